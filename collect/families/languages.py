"""More interpreters: statistics, Lisp, Prolog, Tcl, Erlang, Java, another awk. Most collect garbage, each in its own way."""
from command import CPU, FAULT, IDLE, MEMORY, variant, script, Command


def _variants(argv, language, name, *traits):
    """Makes a Variant of a function that gives a script's arguments; argv is what comes before the script."""
    def of(arguments):
        return variant(name, *traits)(lambda m: Command([*argv, script(language, name), *arguments(m)]))
    return of


_R, _LISP, _PROLOG, _TCL, _ERLANG = (["Rscript", "--vanilla"], ["sbcl", "--dynamic-space-size", "3GB", "--script"],
                                     ["swipl", "--stack-limit=2g"], ["tclsh"], ["escript"])
# The heap it begins with and its bound are given: without, both are shares of the limit, and growth would depend on it.
_JAVA = ["java", "-XX:+UseSerialGC", "-Xms16m", "-Xmx1200m"]


@_variants(_R, "r", "grow.R", MEMORY, CPU)
def r_grow(m):
    return m.amount(5, 25), m.amount(10000, 80000)


@_variants(_R, "r", "lists.R", MEMORY, CPU)
def r_lists(m):
    return m.amount(200, 2000), m.amount(5000, 40000), m.one_of(1, 1, 0.3, 0.05)


@_variants(_R, "r", "matrix.R", MEMORY, CPU)
def r_matrix(m):
    return m.amount(300, 1100), m.amount(2, 9)


@_variants(_LISP, "lisp", "conses.lisp", MEMORY, CPU)
def lisp_conses(m):
    return m.amount(20000, 400000), m.amount(50, 400), m.one_of(1000, 500, 100, 10)


@_variants(_LISP, "lisp", "table.lisp", MEMORY, CPU)
def lisp_table(m):
    return m.amount(150000, 2000000), m.amount(10, 200)


@_variants(_PROLOG, "prolog", "facts.pl", MEMORY, CPU)
def prolog_facts(m):
    return m.amount(100000, 1200000), m.amount(2, 30)


@_variants(_PROLOG, "prolog", "queens.pl", CPU)
def prolog_queens(m):
    return m.one_of(8, 9, 10),


@_variants(_PROLOG, "prolog", "search.pl", MEMORY, CPU)
def prolog_search(m):
    return m.amount(300000, 4000000),


@_variants(_TCL, "tcl", "words.tcl", MEMORY, CPU)
def tcl_words(m):
    return m.text(m.amount(3, 25), m.amount(500, 50000)),


@_variants(_TCL, "tcl", "strings.tcl", MEMORY, CPU)
def tcl_strings(m):
    return m.amount(500, 4000), m.amount(20, 200), m.one_of(0, 0, 20, 90)


@_variants(_ERLANG, "erlang", "table.erl", MEMORY, CPU)
def erlang_table(m):
    return m.amount(60000, 900000), m.amount(1, 40)


@_variants(_ERLANG, "erlang", "mailbox.erl", MEMORY, CPU, IDLE)
def erlang_mailbox(m):
    return m.amount(10000, 120000), m.amount(20, 300), m.amount(1000, 8000)


@_variants(_JAVA, "java", "Rows.java", MEMORY, CPU)
def java_rows(m):
    return m.amount(400000, 8000000), m.amount(10, 150), m.one_of(1000, 300, 50)


@_variants(_JAVA, "java", "Cache.java", MEMORY, CPU)
def java_cache(m):
    return m.amount(3000, 40000), m.amount(1000, 12000), m.amount(100000, 900000)


@_variants(["java", "-XX:+UseSerialGC", "-Xms16m", "-Xmx180m"], "java", "Heap.java", FAULT)
def java_heap(m):
    """Its own limit: an exception, no OOM kill."""
    return m.amount(20, 400),


@variant("pairs.awk", MEMORY, CPU)
def mawk_pairs(m):
    return Command(["mawk", "-v", f"every={m.one_of(0, 0, 20000, 80000)}", "-f", script("mawk", "pairs.awk"),
                    m.text(m.amount(5, 50), m.amount(1000, 60000))])


@variant("reverse.awk", MEMORY, CPU)
def mawk_reverse(m):
    return Command(["mawk", "-f", script("mawk", "reverse.awk"), m.text(m.amount(30, 300))])


RSCRIPT = (r_grow, r_lists, r_matrix)
SBCL = (lisp_conses, lisp_table)
SWIPL = (prolog_facts, prolog_queens, prolog_search)
TCLSH = (tcl_words, tcl_strings)
ESCRIPT = (erlang_table, erlang_mailbox)
JAVA = (java_rows, java_cache, java_heap)
MAWK = (mawk_pairs, mawk_reverse)
