"""Solvers, checkers of models, numeric tools and simulations: search whose memory nobody can tell from the input, models held whole, traces."""
from command import CPU, MEMORY, variant, Command


def _clauses(m, variables, clauses):
    """Random 3-SAT; at 4.26 clauses for each variable it is hardest."""
    chance = m.chance

    def pieces():
        yield f"p cnf {variables} {clauses}\n".encode()
        for _ in range(clauses):
            literals = (chance.choice((-1, 1)) * chance.randint(1, variables) for _ in range(3))
            yield f"{' '.join(map(str, literals))} 0\n".encode()
    return m.write(".cnf", pieces())


def _minisat(m, variables, clauses):
    """Its status 10 and 20 are answers, no failures."""
    return Command(["sh", "-c", f"minisat -verb=0 -cpu-lim=20 {_clauses(m, variables, clauses)}; test $? -le 20"])


@variant("hard", MEMORY, CPU)
def minisat_hard(m):
    variables = m.amount(200, 320)
    return _minisat(m, variables, int(4.26 * variables))


@variant("large", MEMORY, CPU)
def minisat_large(m):
    variables = m.amount(40000, 400000)
    return _minisat(m, variables, int(m.between(3.2, 3.7) * variables))


@variant("products", MEMORY, CPU)
def z3_products(m):
    """Equations over bit vectors: each product is a net of gates."""
    width, count, chance = m.one_of(16, 24, 32), m.amount(100, 900), m.chance
    names = [f"v{i}" for i in range(count // 2 + 2)]

    def pieces():
        for name in names:
            yield f"(declare-const {name} (_ BitVec {width}))\n".encode()
        for _ in range(count):
            a, b, c = chance.sample(names, 3)
            yield f"(assert (bvult (bvmul {a} {b}) (bvadd {c} (_ bv{chance.getrandbits(width - 2)} {width}))))\n".encode()
        yield b"(check-sat)\n"
    return Command(["z3", "-T:40", m.write(".smt2", pieces())])


@variant("pigeons", MEMORY, CPU)
def z3_pigeons(m):
    """More pigeons than holes: lemma after lemma."""
    holes = m.one_of(7, 8, 9, 10)
    text = [f"(declare-const p{i} Int)\n(assert (and (>= p{i} 0) (< p{i} {holes})))\n" for i in range(holes + 1)]
    text.append(f"(assert (distinct {' '.join(f'p{i}' for i in range(holes + 1))}))\n(check-sat)\n")
    return Command(["z3", "-T:30", m.write(".smt2", [line.encode() for line in text])])


@variant("knapsack", CPU)
def glpsol_knapsack(m):
    """Branch and bound: it ends by its own clock."""
    items, chance = m.amount(30, 90), m.chance
    weights = [chance.randint(200, 1200) for _ in range(items)]
    values = [weight + chance.randint(90, 110) for weight in weights]

    def total(factors):
        return " + ".join(f"{factor} x{i}" for i, factor in enumerate(factors))
    text = (f"Maximize\n v: {total(values)}\nSubject To\n w: {total(weights)} <= {sum(weights) // 2}\n"
            f" u: {total(reversed(weights))} <= {sum(weights) // 2}\nBinary\n {' '.join(f'x{i}' for i in range(items))}\nEnd\n")
    return Command(["glpsol", "--lp", m.write(".lp", [text.encode()]), "--tmlim", m.amount(4, 16), *m.one_of(["--bfs"], ["--dfs"], [])])


@variant("transport", MEMORY, CPU)
def glpsol_transport(m):
    sources, sinks, chance = m.amount(100, 350), m.amount(300, 1500), m.chance

    def pieces():
        yield b"Minimize\n c: "
        for i in range(sources):
            yield ("".join(f" + {chance.randint(1, 99)} x{i}_{j}" for j in range(sinks)) + "\n").encode()
        yield b"Subject To\n"
        for i in range(sources):
            yield (f" s{i}: " + " + ".join(f"x{i}_{j}" for j in range(sinks)) + f" <= {sinks}\n").encode()
        for j in range(sinks):
            yield (f" d{j}: " + " + ".join(f"x{i}_{j}" for i in range(sources)) + f" >= {chance.randint(1, sources // 2)}\n").encode()
        yield b"End\n"
    return Command(["glpsol", "--lp", m.write(".lp", pieces()), "--tmlim", "20"])


@variant("lists", MEMORY, CPU)
def gp_lists(m):
    count = m.amount(200000, 3000000)
    return Command(["gp", "-f", "-q", "-s", "1G"], stdin=m.write(
        ".gp", [f"L=List();for(i=1,{count},listput(L,random(10^{m.amount(10, 60)})));print(#Set(L))\n".encode()]))


@variant("matrix", MEMORY, CPU)
def gp_matrix(m):
    n = m.amount(80, 350)
    return Command(["gp", "-f", "-q", "-s", "2G"], stdin=m.write(
        ".gp", [f"print(matdet(matrix({n},{n},i,j,random(10^{m.amount(3, 20)})))!=0)\n".encode()]))


@variant("factors", CPU)
def gp_factors(m):
    digits = m.amount(22, 32)
    return Command(["gp", "-f", "-q", "-s", "200M"], stdin=m.write(
        ".gp", [f"for(i=1,{m.amount(1, 8)},print(factor(nextprime(random(10^{digits}))*nextprime(random(10^{digits})))))\n".encode()]))


@variant("transient", MEMORY, CPU)
def ngspice_transient(m):
    """Keeps every voltage at every time step."""
    cells, steps = m.amount(40, 300), m.amount(8000, 90000)
    lines = ["ladder", "V1 n0 0 SIN(0 1 1MEG)"]
    for i in range(cells):
        lines += [f"R{i} n{i} n{i + 1} {m.chance.randint(10, 999)}", f"C{i} n{i + 1} 0 {m.chance.randint(1, 99)}p"]
        if i % 7 == 3:
            lines.append(f"D{i} n{i + 1} 0 d1")
    lines += [".model d1 D", f".tran 10n {steps * 10}n 0 10n", ".save all", ".print tran v(n1)", ".end"]
    return Command(["ngspice", "-b", m.write(".cir", ["\n".join(lines).encode() + b"\n"])])


@variant("index", MEMORY, CPU)
def bwa_index(m):
    chance = m.chance
    genome = m.write(".fa", (b">g\n", *((("".join(chance.choices("ACGT", k=80)) + "\n") * m.one_of(1, 1, 2)).encode()
                                        for _ in range(m.amount(20000, 120000)))))
    return Command(["bwa", "index", "-p", m.path(".index"), genome])


@variant("sort", MEMORY, CPU)
def samtools_sort(m):
    """Reads alignments until its buffer is full, sorts, writes, and begins again."""
    chance = m.chance
    bases, marks = ("".join(chance.choices("ACGT", k=1100)), "".join(chance.choices("FGHIJ", k=1100)))

    def pieces():
        yield b"@HD\tVN:1.6\n@SQ\tSN:c1\tLN:240000000\n"
        for number in range(m.amount(100000, 900000)):
            at = chance.randrange(1000)
            yield (f"r{number}\t0\tc1\t{chance.randrange(1, 239000000)}\t60\t100M\t*\t0\t0\t{bases[at:at + 100]}\t"
                   f"{marks[at:at + 100]}\n").encode()
    return Command(["samtools", "sort", "-m", f"{m.one_of(40, 80, 160, 700)}M", "-T", m.path(".part"), "-O", m.one_of("bam", "sam"),
                    "-l", "1", "-o", m.path(".out"), m.write(".sam", pieces())])


def _search(command, *answers):
    """A shell that takes 0 and these statuses for answers, or for the end of the search's own time, and any other for a failure."""
    return Command(["sh", "-c", f"{command}; case $? in {'|'.join(map(str, (0, *answers)))}) ;; *) exit 1 ;; esac"])


@variant("states", MEMORY, CPU)
def spin_states(m):
    """The model becomes a checker in C that is compiled, then keeps every state it meets, in a table of a size given."""
    processes, bound, model = m.one_of(3, 4), m.amount(16, 42), m.path(".pml")
    model.write_text(f"byte turn; int seen[{processes}];\nactive [{processes}] proctype p()\n{{\n    byte x = 0; byte y = 0;\n"
                     f"    do\n    :: x < {bound} -> atomic {{ x++; turn = (turn + _pid) % 7; }}\n    :: x > 2 -> x = x - 2; seen[_pid] = x;\n"
                     f"    :: y < 3 && turn != _pid -> y++\n    :: y > 0 -> y = 0\n    od\n}}\n")
    kind = m.one_of("", "", "-DCOLLAPSE", "-DHC4", "-DBITSTATE")
    return _search(f"spin -a {model.name} && gcc -O1 -w {kind} -DMEMLIM={m.amount(200, 900)} -DNOREDUCE -o pan pan.c && "
                   f"timeout {m.amount(5, 16)} ./pan -n -m{m.amount(10000, 1000000)} -w{m.one_of(18, 20, 24, 26)}", 124)


def _formula(m, width, count):
    """Equations of bit vectors over a few dozen names."""
    chance, names = m.chance, [f"v{i}" for i in range(count // 2 + 3)]
    yield b"(set-logic QF_BV)\n"
    for name in names:
        yield f"(declare-const {name} (_ BitVec {width}))\n".encode()
    for _ in range(count):
        a, b, c = chance.sample(names, 3)
        kind = chance.choice(("bvmul", "bvmul", "bvadd", "bvudiv", "bvurem", "bvshl"))
        yield f"(assert (bvult ({kind} {a} {b}) (bvxor {c} (_ bv{chance.getrandbits(width - 2)} {width}))))\n".encode()
    yield b"(check-sat)\n"


@variant("vectors", MEMORY, CPU)
def cvc5_vectors(m):
    """Each operation is a net of gates, made before the search; the search learns clauses, until its clock ends it."""
    path = m.write(".smt2", _formula(m, m.one_of(16, 32), m.amount(40, 600)))
    return _search(f"cvc5 --tlimit={m.amount(5000, 16000)} {path}", 134)


@variant("clauses", MEMORY, CPU)
def picosat_clauses(m):
    """Clauses are learned, and half of them go when there are too many."""
    variables, ratio = m.one_of((m.amount(60000, 250000), m.between(3.4, 3.8)), (m.amount(70000, 350000), m.between(2.8, 3.4)))
    return _search(f"timeout {m.amount(6, 18)} picosat -n {_clauses(m, variables, int(variables * ratio))}", 10, 20, 124)


@variant("clauses", MEMORY, CPU)
def clasp_clauses(m):
    """One search, or two that share what they learn; with -n 0 answer after answer."""
    variables, ratio = m.one_of((m.amount(50000, 250000), m.between(3.4, 3.8)), (m.amount(70000, 350000), m.between(2.8, 3.4)))
    return _search(f"clasp -q --time-limit={m.amount(5, 16)} -t {m.one_of(1, 1, 2)} --configuration={m.one_of('frumpy', 'crafty', 'trendy')} "
                   f"{_clauses(m, variables, int(variables * ratio))} {m.one_of(1, 1, 0)}", 1, 10, 11, 20, 30)


MINISAT = (minisat_hard, minisat_large)
Z3 = (z3_products, z3_pigeons)
GLPSOL = (glpsol_knapsack, glpsol_transport)
GP = (gp_lists, gp_matrix, gp_factors)
NGSPICE = (ngspice_transient,)
BWA = (bwa_index,)
SAMTOOLS = (samtools_sort,)
SPIN = (spin_states,)
CVC5 = (cvc5_vectors,)
PICOSAT = (picosat_clauses,)
CLASP = (clasp_clauses,)
