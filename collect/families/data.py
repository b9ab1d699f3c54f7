"""Tools that work on data: awk, jq, sqlite3, sort, tsort, grep, column, fzf, gron, gnuplot, bc."""
from command import CACHE, CPU, FAULT, MEMORY, READ, WRITE, variant, script, Command
from inputs import MIB


@variant("join.awk", MEMORY, CPU)
def awk_join(m):
    return Command(["gawk", "-v", f"keep={m.one_of(0, 1, 3)}", "-f", script("awk", "join.awk"), m.text(m.amount(6, 50))])


@variant("table.awk", MEMORY, CPU)
def awk_table(m):
    return Command(["gawk", "-v", f"rows={m.amount(300000, 4000000)}", "-v", f"width={m.amount(6, 120)}", "-f", script("awk", "table.awk")])


@variant("fields.awk", CPU, CACHE)
def awk_fields(m):
    return Command(["gawk", "-f", script("awk", "fields.awk"), m.text(m.amount(20, 150))])


@variant("filters", MEMORY, CPU)
def jq_filters(m):
    wanted = m.one_of("group_by(.group) | map({g: .[0].group, n: length})", "map(select(.value > 0.5)) | length",
                      "[.[] | .tags[]] | unique | length", "sort_by(.value) | .[0:3]", "map(. + {copy: .at}) | length",
                      "reduce .[] as $r ({}; .[$r.name] += [$r.id]) | length")
    return Command(["jq", "-c", wanted, m.json_rows(m.amount(50000, 350000), True)])


@variant("slurp", MEMORY, CPU)
def jq_slurp(m):
    return Command(["jq", "-s", m.one_of("length", "map(.value) | add", "[.[].name] | group_by(.) | length"),
                    m.json_rows(m.amount(50000, 350000), False)])


@variant("lines", CPU, CACHE)
def jq_lines(m):
    return Command(["jq", "-c", "select(.value > 0.9) | {id, name}", m.json_rows(m.amount(60000, 250000), False)])


@variant("bad", FAULT)
def jq_bad(m):
    path = m.json_rows(m.amount(20000, 100000), True)
    with open(path, "r+b") as file:
        file.seek(-40, 2)
        file.write(b"}}}} not json")
    return Command(["jq", "length", path])


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "


@variant("in-memory", MEMORY, CPU)
def sql_memory(m):
    rows, width = m.amount(200000, 2500000), m.amount(20, 120)
    sql = (f"CREATE TABLE t(i INTEGER, k TEXT, v TEXT);\n"
           f"INSERT INTO t {_NUMBERS.format(rows=rows)}SELECT i, hex(randomblob(6)), substr(hex(zeroblob({width})), 1, {width}) FROM n;\n"
           f"CREATE INDEX k ON t(k);\nSELECT count(*), max(k) FROM t;\n")
    return Command(["sqlite3", ":memory:", sql])


@variant("sorting", MEMORY, CPU)
def sql_sort(m):
    rows = m.amount(300000, 2500000)
    return Command(["sqlite3", ":memory:", f"PRAGMA temp_store=memory;\n{_NUMBERS.format(rows=rows)}SELECT count(*) FROM "
                    f"(SELECT i, hex(randomblob(20)) AS h FROM n ORDER BY h);\n"])


@variant("cache", MEMORY, CPU, CACHE)
def sql_cache(m):
    """Grows to the page cache's bound and stays there."""
    database, rows = m.path(".db"), m.amount(150000, 1200000)
    sql = (f"PRAGMA journal_mode=off; PRAGMA synchronous=off; PRAGMA cache_size=-{m.amount(4000, 120000)};\n"
           f"CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT);\n"
           f"INSERT INTO t {_NUMBERS.format(rows=rows)}SELECT hex(randomblob(8)), hex(randomblob(60)) FROM n;\nSELECT count(*) FROM t;\n")
    return Command(["sqlite3", database, sql], fresh=(database,))


@variant("durable", WRITE)
def sql_durable(m):
    database, mib = m.path(".db"), m.amount(10, 50)
    rows = mib * 16
    sql = "PRAGMA synchronous=full;\nCREATE TABLE t(v BLOB);\n" + \
          f"INSERT INTO t {_NUMBERS.format(rows=16)}SELECT randomblob(65000) FROM n;\n" * (rows // 16)
    text = m.path(".sql")
    text.write_text(sql)
    return Command(["sqlite3", database], stdin=text, fresh=(database,), written_bytes=mib * MIB)


@variant("buffer", MEMORY, CPU)
def sort_buffer(m):
    return Command(["sort", "-S", f"{m.amount(10, 500)}M", f"--parallel={m.one_of(1, 2)}", *m.one_of([], ["-r"], ["-k2"], ["-u"]),
                    "-T", m.directory, m.text(m.amount(30, 150))])


@variant("plain", MEMORY, CPU)
def sort_plain(m):
    return Command(["sort", *m.one_of(["-n"], ["-g"]), "-T", m.directory, m.numbers(m.amount(150000, 1200000), 3)])


@variant("pattern", CPU, CACHE)
def grep_pattern(m):
    return Command(["grep", "-c", "-E", m.one_of("(a|e)+[rst]{2,3}o", "^[a-m]+ [n-z]+ ", "([a-z])e\\1"), m.text(m.amount(60, 300))])


@variant("one-line", MEMORY)
def grep_line(m):
    return Command(["grep", "-c", "-a", m.one_of("e", "th", "[aeiou]r"), m.one_line(m.amount(60, 400))])


@variant("cold", READ, CACHE)
def grep_cold(m):
    mib = m.amount(30, 140)
    path = m.noise(mib)
    return Command(["grep", "-c", "-a", "-E", m.one_of("a", "zz", "[a-d]{3}"), path], cold=(path,), read_bytes=mib * MIB)


@variant("missing", FAULT)
def grep_missing(m):
    """Exit status 1: it found nothing, which nobody's memory changes."""
    return Command(["grep", "-F", "no such words in it", m.text(m.amount(20, 120))])


@variant("plot", MEMORY, CPU)
def gnuplot_plot(m):
    out = m.path(f".{m.one_of('png', 'svg')}")
    terminal = "svg" if out.suffix == ".svg" else "dumb"
    path = m.numbers(m.amount(100000, 900000))
    how = m.one_of("with dots", "with lines", "using 1:2 smooth unique", "using 1:2 smooth kdensity with lines")
    return Command(["gnuplot", "-e", f"set terminal {terminal}; set output '{out}'; plot '{path}' {how}"], fresh=(out,))


@variant("surface", MEMORY, CPU)
def gnuplot_surface(m):
    n = m.amount(40, 150) if m.one_of(0, 0, 1) else m.amount(300, 1500)
    hidden = "set hidden3d; " if n <= 150 else ""
    return Command(["gnuplot", "-e", f"set terminal dumb; set output '/dev/null'; set isosamples {n},{n}; {hidden}splot sin(x)*cos(y*x/9)"])


@variant("digits", CPU)
def bc_digits(m):
    text = m.path(".bc")
    text.write_text(f"scale={m.amount(1200, 3000)}\n4*a(1)\nquit\n")
    return Command(["bc", "-q", "-l", text])


@variant("powers", CPU, MEMORY)
def dc_powers(m):
    text = m.path(".dc")
    text.write_text(f"3 {m.amount(100000, 1500000)} ^ Z p\n")
    return Command(["dc", text])


@variant("edges", MEMORY, CPU)
def tsort_edges(m):
    chance, edges = m.chance, m.amount(250000, 1200000)
    nodes = int(edges * m.between(0.2, 1.5)) + 2

    def pieces():
        for _ in range(edges):
            a, b = int(chance.random() * nodes), int(chance.random() * nodes)
            if a != b:
                yield b"n%d n%d\n" % (min(a, b), max(a, b))
    return Command(["tsort", m.write(".edges", pieces())])


@variant("table", MEMORY, CPU)
def column_table(m):
    """All cells are held, then all widths are known, then all is printed."""
    return Command(["column", "-t", *m.one_of([], ["-R", "1,2"], ["-o", " | "]), m.numbers(m.amount(30000, 250000), m.amount(2, 4))])


@variant("fill", MEMORY, CPU)
def column_fill(m):
    return Command(["column", *m.one_of([], ["-x"]), "-c", m.one_of(80, 200), m.write(".txt", (f"{m.chance.getrandbits(48):x}\n".encode()
                    for _ in range(m.amount(100000, 1200000))))])


@variant("filter", MEMORY, CPU)
def fzf_filter(m):
    """Lines in chunks, then those that match, with marks, sorted."""
    pattern = m.one_of("eta", "oin", "a e i", "^e", "!z e", "'tion | s")
    return Command(["sh", "-c", f"fzf {m.one_of('', '--tac', '--tiebreak=end,index', '--no-sort')} --filter=\"{pattern}\" < {m.text(m.amount(8, 50))} "
                    "> /dev/null; test $? -le 1"])


@variant("lines", MEMORY, CPU)
def gron_lines(m):
    """The document, then a statement for each of its values, sorted or not."""
    return Command(["gron", *m.one_of([], ["--no-sort"], ["--json"]), m.json_rows(m.amount(8000, 60000), True)])


@variant("stream", CPU, MEMORY)
def gron_stream(m):
    """A document per line; what was made of one is thrown away with it."""
    return Command(["gron", "--stream", *m.one_of([], ["--no-sort"]), m.json_rows(m.amount(10000, 100000), False)])


@variant("document", MEMORY, CPU)
def jshon_document(m):
    return Command(["jshon", *m.one_of(["-S"], ["-C"], ["-l"], ["-a", "-e", "tags", "-l"])], stdin=m.json_rows(m.amount(25000, 130000), True))


GAWK = (awk_join, awk_table, awk_fields)
JQ = (jq_filters, jq_slurp, jq_lines, jq_bad)
SQLITE = (sql_memory, sql_sort, sql_cache, sql_durable)
SORT = (sort_buffer, sort_plain)
GREP = (grep_pattern, grep_line, grep_cold, grep_missing)
GNUPLOT = (gnuplot_plot, gnuplot_surface)
BC = (bc_digits,)
DC = (dc_powers,)
TSORT = (tsort_edges,)
COLUMN = (column_table, column_fill)
FZF = (fzf_filter,)
GRON = (gron_lines, gron_stream)
JSHON = (jshon_document,)
