"""What reads a document whole: parsers, converters, layout, comparison, tables."""
from command import CACHE, CPU, FAULT, MEMORY, READ, variant, Command
from inputs import MIB


def _xml(m, rows):
    names, chance = m.words(200), m.chance

    def pieces():
        yield b"<?xml version='1.0'?>\n<rows>\n"
        for number in range(rows):
            yield (f"<row id='{number}' group='{chance.choice(names)}'><name>{chance.choice(names)} {number:x}</name>"
                   f"<at x='{chance.randrange(999)}' y='{chance.randrange(999)}'/><text>{' '.join(chance.choices(names, k=8))}</text></row>\n").encode()
        yield b"</rows>\n"
    return m.write(".xml", pieces())


@variant("tree", MEMORY, CPU)
def xmllint_tree(m):
    return Command(["xmllint", *m.one_of(["--noout"], ["--format"], ["--c14n"],
                                         ["--noout", "--copy"]), "--huge", _xml(m, m.amount(10000, 200000))])


@variant("query", MEMORY, CPU)
def xmllint_query(m):
    return Command(["xmllint", "--huge", "--xpath", m.one_of("count(//row[at/@x > 500])", "count(//row[name])", "sum(//at/@y)"),
                    _xml(m, m.amount(20000, 200000))])


@variant("bad", FAULT)
def xmllint_bad(m):
    path = _xml(m, m.amount(20000, 200000))
    with open(path, "r+b") as file:
        file.seek(-8, 2)
        file.write(b"</wors>\n")
    return Command(["xmllint", "--huge", "--noout", path])


@variant("stream", CPU, CACHE)
def xmllint_stream(m):
    return Command(["xmllint", "--stream", "--huge", _xml(m, m.amount(60000, 500000))])


def _changed(m, path, one_in):
    """A copy with lines changed here and there."""
    chance = m.chance
    with open(path, "rb") as source:
        return m.write(".new", (line if chance.randrange(one_in) else b"changed " + line for line in source))


def _diff(how, old, new):
    """Status 1 is an answer, no failure."""
    return Command(["sh", "-c", f"diff {how} {old} {new} > /dev/null; test $? -le 1"])


@variant("texts", MEMORY, CPU)
def diff_texts(m):
    old = m.text(m.amount(30, 250))
    return _diff(m.one_of("-u", "-q", "-y", "--speed-large-files"), old, _changed(m, old, m.one_of(20, 300, 5000)))


@variant("numbers", MEMORY, CPU)
def diff_numbers(m):
    """Nothing in common but by chance: much searching."""
    old = m.write(".a", (f"{m.chance.randrange(4000)}\n".encode() for _ in range(m.amount(8000, 60000))))
    return _diff(m.one_of("-e", "-d"), old, _changed(m, old, m.one_of(2, 3, 5)))


@variant("lines", MEMORY, CPU)
def shuf_lines(m):
    return Command(["shuf", m.text(m.amount(30, 300))])


@variant("numbers", MEMORY)
def shuf_numbers(m):
    """Its whole table at once, then touched at random."""
    count = m.amount(3000000, 60000000)
    return Command(["shuf", "-i", f"1-{count}", "-n", max(count // m.one_of(1, 2, 10), 1)])


@variant("cold", MEMORY, READ)
def shuf_cold(m):
    mib = m.amount(20, 120)
    path = m.text(mib)
    return Command(["shuf", "-n", m.amount(10, 100000), path], cold=(path,), read_bytes=mib * MIB)


def _table(m, lines, suffix=".tsv", between="\t", head=""):
    names, chance = m.words(m.amount(20, 20000)), m.chance

    def pieces():
        yield head.encode()
        for number in range(lines):
            yield between.join((chance.choice(names), str(number), f"{chance.gauss(0, 99):.4f}", chance.choice(names))).encode() + b"\n"
    return m.write(suffix, pieces())


@variant("groups", MEMORY, CPU)
def datamash_groups(m):
    return Command(["datamash", *m.one_of(["-s"], []), "-g", "1", m.one_of("median", "unique", "collapse", "q3"), m.one_of("2", "3")],
                   stdin=_table(m, m.amount(200000, 2500000)))


@variant("whole", MEMORY, CPU)
def datamash_whole(m):
    return Command(["datamash", *m.one_of(["median", "3"], ["transpose"], ["unique", "4"], ["mode", "3", "iqr", "3"])],
                   stdin=_table(m, m.amount(200000, 3000000)))


@variant("verbs", MEMORY, CPU)
def mlr_verbs(m):
    verb = m.one_of(["sort", "-nr", "value"], ["tac"], ["count-distinct", "-f", "name,other"], ["stats1", "-a", "p50,mean", "-f", "value", "-g", "name"],
                    ["group-by", "name"])
    return Command(["mlr", "--icsv", "--ojson", *verb, _table(m, m.amount(20000, 300000), ".csv", ",", "name,id,value,other\n")])


@variant("stream", CPU, CACHE)
def mlr_stream(m):
    return Command(["mlr", "--icsv", "--ocsv", "put", "$w = $value * 2 . \"x\"", _table(m, m.amount(100000, 900000), ".csv", ",", "name,id,value,other\n")])


@variant("layout", MEMORY, CPU)
def dot_layout(m):
    nodes, chance = m.amount(60, 300), m.chance
    edges = (f"n{chance.randrange(nodes)} -> n{chance.randrange(nodes)};\n".encode() for _ in range(int(nodes * m.between(1.0, 1.7))))
    return Command(["dot", f"-K{m.one_of('dot', 'dot', 'neato', 'sfdp')}", f"-T{m.one_of('svg', 'plain')}", m.write(".gv", (b"digraph g {\n", *edges, b"}\n"))])


@variant("book", MEMORY, CPU)
def pandoc_book(m):
    words, chance = m.words(2000), m.chance

    def pieces():
        for chapter in range(m.amount(5, 60)):
            yield f"# {' '.join(chance.choices(words, k=4))}\n\n".encode()
            for _ in range(chance.randint(5, 40)):
                text = " ".join(chance.choices((*words, "**strong**", "*em*", "`code`", "[link](http://example.org)"), k=80))
                yield chance.choice((f"{text}\n\n", f"- {text}\n- {text}\n\n", f"> {text}\n\n")).encode()
    return Command(["pandoc", "-f", "markdown", "-t", m.one_of("html", "native", "latex", "docx"), "-o", m.path(".out"),
                    m.write(".md", pieces())])


@variant("drawing", MEMORY, CPU)
def rsvg_drawing(m):
    chance, shapes = m.chance, m.amount(200, 6000)

    def pieces():
        yield b'<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="700"><filter id="b"><feGaussianBlur stdDeviation="4"/></filter>\n'
        for number in range(shapes):
            x, y, r = chance.randrange(1000), chance.randrange(700), chance.randrange(3, 90)
            soft = ' filter="url(#b)"' if number % 97 == 0 else ""
            yield f'<circle cx="{x}" cy="{y}" r="{r}" fill="#{chance.getrandbits(24):06x}" opacity="0.{chance.randint(1, 9)}"{soft}/>\n'.encode()
        yield b"</svg>\n"
    return Command(["rsvg-convert", "--unlimited", "-w", m.amount(800, 6000), "-o", m.path(".png"), m.write(".svg", pieces())])


@variant("macros", MEMORY, CPU)
def m4_macros(m):
    """Definitions are kept, expansions forgotten."""
    count, width = m.amount(150000, 2000000), m.amount(10, 300)

    def pieces():
        for number in range(count):
            yield f"define(`m{number}', `{'x' * m.chance.randint(1, width)} $1')dnl\n".encode()
            if number % 50 == 7:
                yield f"m{m.chance.randrange(number)}(`a')\n".encode()
    return Command(["m4", "-H", "65537", m.write(".m4", pieces())])


XMLLINT = (xmllint_tree, xmllint_query, xmllint_bad, xmllint_stream)
DIFF = (diff_texts, diff_numbers)
SHUF = (shuf_lines, shuf_numbers, shuf_cold)
DATAMASH = (datamash_groups, datamash_whole)
MLR = (mlr_verbs, mlr_stream)
DOT = (dot_layout,)
PANDOC = (pandoc_book,)
RSVG = (rsvg_drawing,)
M4 = (m4_macros,)
