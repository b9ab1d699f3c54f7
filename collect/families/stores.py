"""Stores and indexes: databases, zones, mailboxes, traffic, pages and logs; tables that are filled, kept, and written at the end."""
import struct

from command import CPU, MEMORY, variant, Command
from inputs import MIB


def _home(m, *steps, fresh=()):
    """A shell whose home is a directory of the case: what a program keeps for its user goes with the other files."""
    return Command(["sh", "-c", "; ".join((f"export HOME={m.directory} LC_ALL=C.UTF-8 USER=nobody", *steps))], fresh=fresh)


def _pairs(m, count, width, line):
    """Keys in no order, each with a value."""
    chance, value = m.chance, m.chance.randbytes(width * 2).hex()
    return m.write(".pairs", (line.format(chance.getrandbits(44), value[chance.randrange(width):][:width]).encode() for _ in range(count)))


@variant("tree", MEMORY, CPU)
def db_load_tree(m):
    """Pages stay in a cache whose size is an option: the larger tree goes through it, the smaller one only fills it."""
    home = m.path(".db")
    home.mkdir()
    (home / "DB_CONFIG").write_text(f"set_cachesize 0 {m.amount(16 * MIB, 400 * MIB) + MIB} 1\nset_flags DB_TXN_NOSYNC\n")
    pairs = _pairs(m, m.amount(80000, 600000), m.amount(20, 120), "{:x}\n{}\n")
    return Command(["db5.3_load", "-T", "-t", m.one_of("btree", "btree", "hash"), "-h", home, "-f", pairs, "a.db"],
                   fresh=(home / "a.db",))


@variant("import", MEMORY, CPU)
def kctreemgr_import(m):
    """Nodes are held in a cache of a fixed size, and put into a mapped file when it is full."""
    out = m.path(".kct")
    pairs = _pairs(m, m.amount(100000, 500000), m.amount(20, 120), "{:x}\t{}\n")
    return Command(["sh", "-c", f"kctreemgr create {m.one_of('', '-tc', '-ts')} -psiz {m.one_of(2048, 8192, 32768)} -bnum {m.one_of(10000, 1000000)} {out} && "
                    f"exec kctreemgr import {out} {pairs} > /dev/null"], fresh=(out,))


def _memcached(m, bound, *steps):
    """A server on a socket, with one client after the other, and a signal at the end, which it takes as the end of its work."""
    socket = m.path(".sock")
    client = f"nc -U -N {socket} > /dev/null"
    return Command(["sh", "-c", f"memcached -u root -s {socket} -m {bound} -t {m.one_of(1, 2, 4)} & for i in 1 2 3 4 5 6 7 8 9; do test -S {socket} && break; "
                    "sleep 0.1; done; " + "; ".join(step.format(client) for step in steps) + "; kill $!; wait $!"])


def _sets(m, count, longest):
    chance, value = m.chance, m.chance.randbytes(longest).hex()

    def pieces():
        for number in range(count):
            width = chance.randint(1, longest)
            yield f"set K{number} 0 0 {width} noreply\r\n{value[:width]}\r\n".encode()
        yield b"quit\r\n"
    return m.write(".sets", pieces())


@variant("rounds", MEMORY, CPU)
def memcached_rounds(m):
    """Each client brings keys of its own; between them nothing comes."""
    sets = _sets(m, m.amount(50000, 150000), m.amount(30, 300))
    return _memcached(m, 1024, f"for i in $(seq {m.amount(4, 12)}); do sed s/^set\\ K/\\&$i./ {sets} | {{0}}; sleep {m.between(0, 0.5):.1f}; done")


@variant("bound", MEMORY, CPU)
def memcached_bound(m):
    """Larger and larger values: old ones go when all pages are given away, whose number is an option."""
    small, large = _sets(m, m.amount(50000, 120000), 60), _sets(m, m.amount(20000, 50000), 900)
    return _memcached(m, m.amount(20, 200) + 4, f"for i in $(seq {m.amount(5, 12)}); do sed s/^set\\ K/\\&$i./ {small} {large} | {{0}}; done")


def _zone(m, records):
    """Host names in some hundred subdomains."""
    chance, names = m.chance, m.words(400)
    kinds = (lambda: f"A 10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}", lambda: f"AAAA 2001:db8::{chance.getrandbits(16):x}",
             lambda: f"TXT \"{chance.choice(names)} {chance.choice(names)}\"", lambda: f"MX {chance.randrange(50)} {chance.choice(names)}",
             lambda: f"CNAME {chance.choice(names)}.example.org.")
    yield b"$TTL 3600\n@ IN SOA ns.example.org. root.example.org. 1 3600 600 86400 60\n@ IN NS ns.example.org.\nns IN A 10.0.0.1\n"
    for number in range(records):
        yield f"{chance.choice(names)}{number}.{names[number % 391]} IN {kinds[number % 5]()}\n".encode()


def _compilezone(m, zone):
    return Command(["named-compilezone", "-q", "-k", "ignore", "-i", m.one_of("none", "local"), "-F", m.one_of("text", "raw"), "-o", m.path(".zone"),
                    "example.org", zone])


@variant("zone", MEMORY, CPU)
def compilezone_zone(m):
    """A tree of names is built, then looked through, then written in order."""
    return _compilezone(m, m.write(".zone", _zone(m, m.amount(40000, 350000))))


@variant("generated", MEMORY, CPU)
def compilezone_generated(m):
    """A few lines that stand for very many."""
    lines = (f"$GENERATE 1-{m.amount(15000, 110000)} {m.one_of('h', 'n$.h')}$.s{number} A 10.{number}.0.1\n".encode() for number in range(m.amount(2, 6)))
    return _compilezone(m, m.write(".zone", (*_zone(m, 10), *lines)))


def _packets(m, count, talks):
    """A capture of TCP segments and DNS questions between hosts; as many conversations as told."""
    chance = m.chance
    payload, names = chance.randbytes(3000), [word.encode() for word in m.words(3000)]
    yield struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    for number in range(count):
        talk = chance.randrange(talks)
        if talk % 4:
            at, size = talk % 1500, chance.randrange(400)
            body = struct.pack(">HHIIBBHHH", 1024 + talk % 60000, 9000 + talk % 7, number * 400 & 0xffffffff, 1, 0x50, 0x18, 8192, 0, 0) + payload[at:at + size]
            protocol = 6
        else:
            name = names[talk % 3000]
            question = struct.pack(">HHHHHH", number & 65535, 0x100, 1, 0, 0, 0) + b"%c%s\x07example\x00\x00\x01\x00\x01" % (len(name), name)
            body, protocol = struct.pack(">HHHH", 1024 + talk % 60000, 53, len(question) + 8, 0) + question, 17
        packet = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(body), number & 65535, 0, 64, protocol, 0,
                                                                 0x0a000000 + talk, 0x0b000000 + talk % 251) + body
        yield struct.pack("<IIII", 1700000000 + number // 1000, number % 1000 * 1000, len(packet), len(packet)) + packet


@variant("read", MEMORY, CPU)
def tshark_read(m):
    """Reads a capture once or twice; something is kept of every conversation, and when reading twice of every packet."""
    count = m.amount(20000, 140000)
    capture = m.write(".pcap", _packets(m, count, max(1, count // m.one_of(2, 5, 40))))
    return _home(m, f"exec tshark -n -r {capture} {m.one_of('', '-2', '-2 -R tcp', '-Y dns', '-T fields -e ip.src -e tcp.len')} > /dev/null")


@variant("statistics", MEMORY, CPU)
def tshark_statistics(m):
    """Tables of who talked with whom, written at the end."""
    count = m.amount(20000, 140000)
    capture = m.write(".pcap", _packets(m, count, max(1, count // m.one_of(1, 3, 30))))
    return _home(m, f"exec tshark -n -q -r {capture} -z {m.one_of('conv,tcp', 'endpoints,ip', 'io,phs', 'conv,ip -z dns,tree')} > /dev/null")


def _catalogue(m, count, translated):
    """Messages of an interface, and for some a translation."""
    chance = m.chance
    words = m.words(2000)
    yield b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    for number in range(count):
        text = " ".join(chance.choices(words, k=chance.randint(3, 12)))
        yield f"#: src/file{number % 99}.c:{number}\nmsgid \"{text} {number}\"\nmsgstr \"{text[::-1] if translated else ''}\"\n\n".encode()


@variant("merge", MEMORY, CPU)
def msgmerge_merge(m):
    """Two catalogues are read into lists and tables, then every message is looked for."""
    count = m.amount(15000, 110000)
    return Command(["msgmerge", "-q", "-N", *m.one_of([], ["--sort-output"], ["--sort-by-file"]), "-o", m.path(".po"),
                    m.write(".po", _catalogue(m, count, True)), m.write(".pot", _catalogue(m, count // m.one_of(1, 2, 4) + 1, False))])


@variant("fuzzy", CPU)
def msgmerge_fuzzy(m):
    """An index of the old texts, then a long search in it for each new one."""
    count = m.amount(1500, 7000)
    return Command(["msgmerge", "-q", "-o", m.path(".po"), m.write(".po", _catalogue(m, count, True)),
                    m.write(".pot", _catalogue(m, m.amount(300, 1500), False))])


def _page(m, rows, nested):
    """Paragraphs, lists and tables."""
    chance, lines = m.chance, [" ".join(m.words(12)) for _ in range(200)]
    yield b"<html><head><title>t</title></head><body>\n"
    for number in range(rows):
        if nested and number % 50 == 0:
            yield b"<table border=1>" if number % 100 == 0 else b"</table>\n"
        cell = f"<a href='#n{number}'>{chance.choice(lines)}</a> <i>{chance.choice(lines)}</i>"
        yield (f"<tr><td>{number}</td><td>{cell}</td></tr>\n" if nested and number % 100 < 50 else f"<p>{cell}<ul><li>{number}</ul>\n").encode()
    yield b"</table></body></html>\n" if nested else b"</body></html>\n"


@variant("page", MEMORY, CPU)
def w3m_page(m):
    """The page is a list of lines with the properties of every character; a table is laid out when its end comes."""
    page = m.write(".html", _page(m, m.amount(5000, 60000), m.one_of(True, False)))
    return _home(m, f"exec w3m -dump -cols {m.one_of(60, 80, 200)} -T text/html {page} > /dev/null")


@variant("graph", MEMORY, CPU)
def rapper_graph(m):
    """Some of the outputs are written as statements come, others need all of them."""
    chance, names, things = m.chance, m.words(2000), m.amount(500, 20000)
    triples = (f"<http://example.org/{chance.randrange(things)}> <http://example.org/p#{chance.choice(names[:40])}> "
               + (f"\"{chance.choice(names)} {number}\"" if number % 3 else f"<http://example.org/{chance.randrange(things)}>") + " .\n"
               for number in range(m.amount(40000, 200000)))
    return Command(["rapper", "-q", "-i", "ntriples", "-o", m.one_of("turtle", "turtle", "rdfxml-abbrev", "dot", "json"),
                    m.write(".nt", (triple.encode() for triple in triples))])


def _mail(m, number, size, words):
    chance = m.chance
    body = " ".join(chance.choices(words, k=size))
    return (f"From: {chance.choice(words)}@example.org\nTo: {chance.choice(words)}@example.org\n"
            f"Subject: {chance.choice(words)} {chance.choice(words)} {number}\n"
            f"Message-ID: <{number}.{chance.getrandbits(32)}@example.org>\nDate: Mon, 01 Jan 2024 10:{number // 60 % 60:02}:{number % 60:02} +0000\n"
            + (f"In-Reply-To: <{number - 1}.0@example.org>\n" if number % 3 == 0 else "") + f"\n{body} {chance.getrandbits(40):x}\n\n").encode()


def _maildir(m, count, size, vocabulary):
    box, words = m.path(".maildir"), m.words(vocabulary)
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    for number in range(count):
        (box / "cur" / f"{number}.x:2,S").write_bytes(_mail(m, number, size, words))
    return box


def _mbox(m, count, size, vocabulary):
    words = m.words(vocabulary)
    return m.write(".mbox", (b"From x@example.org Mon Jan  1 10:00:00 2024\n" + _mail(m, number, size, words) for number in range(count)))


@variant("new", MEMORY, CPU)
def notmuch_new(m):
    """Changes pile up until as many mails are in as an option says; then they go to the disk and the next pile begins."""
    box, config = _maildir(m, m.amount(400, 1000), m.amount(60, 700), m.amount(2000, 60000)), m.path(".conf")
    config.write_text(f"[database]\npath={box}\n[user]\nname=x\nprimary_email=x@example.org\n[new]\ntags=new\n[search]\n[maildir]\nsynchronize_flags=false\n")
    return _home(m, f"export XAPIAN_FLUSH_THRESHOLD={m.one_of(200, 400, 1000, 10000)}", f"exec notmuch --config={config} new --quiet",
                 fresh=(box / ".notmuch",))


@variant("index", MEMORY, CPU)
def mairix_index(m):
    """All words with the numbers of their mails, written at the end."""
    count, size, vocabulary = m.amount(2500, 16000), m.amount(120, 350), m.amount(2000, 100000)
    box, rc, index = _mbox(m, count, size, vocabulary), m.path(".rc"), m.path(".mairix")
    rc.write_text(f"base={m.directory}\nmbox={box.name}\nmfolder=found\ndatabase={index}\n")
    return Command(["mairix", "-f", rc, "-p"], fresh=(index, f"{index}.lock"))


@variant("words", MEMORY, CPU)
def fasttext_words(m):
    """Room for all words and pieces of words is taken at once, and then only worked on; the output is written from it."""
    text, out = m.text(m.amount(1, 2), vocabulary=m.amount(1000, 20000), unique=m.one_of(True, False)), m.path(".model")
    return Command(["fasttext", m.one_of("skipgram", "cbow", "cbow"), "-input", text, "-output", out, "-dim", m.one_of(10, 20, 50),
                    "-bucket", m.amount(40000, 1200000), "-epoch", 1, "-minCount", m.one_of(1, 2, 5), "-thread", m.one_of(1, 2), "-verbose", 0])


@variant("classes", MEMORY, CPU)
def fasttext_classes(m):
    lines = m.text(m.amount(2, 8), vocabulary=m.amount(1000, 20000)).read_bytes().splitlines(True)
    labelled = m.write(".txt", (b"__label__%d %s" % (m.chance.randrange(20), line) for line in lines))
    return Command(["fasttext", "supervised", "-input", labelled, "-output", m.path(".model"), "-dim", m.one_of(10, 50, 100), "-wordNgrams", m.one_of(1, 2, 3),
                    "-bucket", m.amount(40000, 900000), "-epoch", m.one_of(1, 3), "-thread", m.one_of(1, 2), "-verbose", 0])


@variant("index", MEMORY, CPU)
def swish_index(m):
    """Words and places are packed in memory, then sorted and written; its economic mode puts them to the disk now and then."""
    box, config = _maildir(m, m.amount(800, 3000), m.amount(300, 1200), m.amount(2000, 100000)), m.path(".conf")
    config.write_text("IndexContents TXT* .txt\nDefaultContents TXT*\n")
    return Command(["swish-e", "-v", 0, *m.one_of([], [], ["-e"]), "-c", config, "-i", box, "-f", m.path(".index")])


@variant("rules", MEMORY, CPU)
def yara_rules(m):
    """All rules become one automaton; then data goes through it."""
    chance = m.chance
    rules = (f"rule r{number} {{ strings: $a = \"{chance.randbytes(6).hex()}\" {m.one_of('', 'nocase', 'wide ascii')} $b = {{ {chance.randbytes(5).hex(' ')} "
             f"?? {chance.randbytes(3).hex(' ')} }} condition: any of them }}\n" for number in range(m.amount(1500, 20000)))
    return Command(["yara", "-w", "-p", m.one_of(1, 2), m.write(".yar", (rule.encode() for rule in rules)), m.some_data(10, 120)])


@variant("log", MEMORY, CPU)
def goaccess_log(m):
    """Tables of visitors, pages and referrers; how many are different decides how large they become."""
    chance, pages = m.chance, m.words(m.amount(300, 60000))
    visitors = m.amount(1000, 300000)

    def lines():
        for number in range(m.amount(30000, 200000)):
            who = chance.randrange(visitors)
            yield (f"10.{who >> 16}.{who >> 8 & 255}.{who & 255} - - [{number // 20000 % 28 + 1:02}/Jan/2024:"
                   f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} "
                   f"+0000] \"GET /{chance.choice(pages)}/{who % 37} HTTP/1.1\" {chance.choice((200, 200, 304, 404))} {chance.randrange(90000)} "
                   f"\"http://{chance.choice(pages)}.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:{who % 90}.0) Firefox/{who % 90}.0\"\n").encode()
    return Command(["goaccess", m.write(".log", lines()), "--log-format=COMBINED", "--no-global-config", "--no-progress",
                    "-o", m.path(m.one_of(".html", ".json", ".csv"))])


DB_LOAD = (db_load_tree,)
KCTREEMGR = (kctreemgr_import,)
MEMCACHED = (memcached_rounds, memcached_bound)
COMPILEZONE = (compilezone_zone, compilezone_generated)
TSHARK = (tshark_read, tshark_statistics)
MSGMERGE = (msgmerge_merge, msgmerge_fuzzy)
W3M = (w3m_page,)
RAPPER = (rapper_graph,)
NOTMUCH = (notmuch_new,)
MAIRIX = (mairix_index,)
FASTTEXT = (fasttext_words, fasttext_classes)
SWISH = (swish_index,)
YARA = (yara_rules,)
GOACCESS = (goaccess_log,)
