"""Science and databases: genomes, ledgers, proofs, groups; structures built from what was read, searches that grow by themselves."""
import itertools
import math

from command import CACHE, CPU, IDLE, MEMORY, variant, Command
from inputs import MIB

BASES = bytes(b"ACGT"[byte & 3] for byte in range(256))
AMINO = bytes(b"ACDEFGHIKLMNPQRSTVWY"[byte % 20] for byte in range(256))


def _redis(m, *steps):
    """A server on a socket of its own, with one client after the other; the server's status is the case's."""
    socket = m.path(".sock")
    return Command(["sh", "-c", f"redis-server --port 0 --unixsocket {socket} --save '' --dir {socket.parent} --loglevel warning & "
                    f"for i in 1 2 3 4 5 6 7 8 9; do redis-cli -s {socket} ping > /dev/null 2>&1 && break; sleep 0.1; done; "
                    + "; ".join(step.format(f"redis-cli -s {socket}") for step in (*steps, "{} shutdown nosave")) + "; wait $!"])


def _commands(m, count, keys):
    """Writes of every structure the server knows."""
    width, chance = m.amount(10, 300), m.chance
    value = chance.randbytes(width).hex()
    lines = m.one_of((lambda i: f"SET k{chance.randrange(keys)} {value}{i}\n",),
                     (lambda i: f"ZADD z{i % 50} {chance.random()} m{chance.randrange(keys)}\n",),
                     (lambda i: f"HSET h{i % 900} f{chance.randrange(keys)} {value}\n", lambda i: f"RPUSH l{i % 700} {value}{i}\n",
                      lambda i: f"SADD s{i % 40} {chance.randrange(keys)}\n"))
    return m.write(".redis", (lines[i % len(lines)](i).encode() for i in range(count)))


@variant("fill", MEMORY, CPU)
def redis_fill(m):
    count = m.amount(80000, 700000)
    return _redis(m, f"{{}} --pipe < {_commands(m, count, count)}")


@variant("cache", MEMORY, CPU)
def redis_cache(m):
    """Full at its own bound, then one key goes for each that comes."""
    bound = m.amount(15, 90)
    turn = ("for i = 1, 40000 do redis.call('SET', 'k' .. (i + ARGV[1] * 40000), string.rep('v', 20 + i % 180)) end")
    return _redis(m, f"{{}} config set maxmemory {bound}mb", f"{{}} config set maxmemory-policy {m.one_of('allkeys-lru', 'allkeys-random', 'allkeys-lfu')}",
                  f"for i in $(seq {int(bound * m.between(0.12, 0.4)) + 1}); do {{}} eval \"{turn}\" 0 $i; done")


@variant("waves", MEMORY, CPU, IDLE)
def redis_waves(m):
    """A table is filled, read for a while and dropped, each time a larger one, and a little stays."""
    fill = ("for i = 1, ARGV[2] do redis.call('ZADD', 'table', i * 7919 % 99991, 'member' .. i) end "
            "for i = 1, ARGV[2] / 10 do redis.call('RPUSH', 'log', string.rep('x', 90) .. i) end")
    return _redis(m, f"for i in $(seq {m.amount(2, 6)}); do {{0}} eval \"{fill}\" 0 $i $((i * {m.amount(60000, 240000)})); sleep {m.between(0.1, 0.7):.1f}; "
                     f"{{0}} {m.one_of('unlink', 'del', 'unlink')} table; done")


@variant("closure", MEMORY, CPU)
def gringo_closure(m):
    """All paths of a graph, one rule for each."""
    nodes, chance = m.amount(250, 800), m.chance
    edges = (f"edge({chance.randrange(nodes)},{chance.randrange(nodes)}).\n" for _ in range(int(nodes * m.between(1.4, 2.5))))
    return Command(["gringo", m.one_of("--output=smodels", "--text", "--output=intermediate"), m.write(".lp", [
        *(edge.encode() for edge in edges), b"path(X,Y) :- edge(X,Y).\npath(X,Z) :- path(X,Y), edge(Y,Z).\n",
        b"{ keep(X,Y) : path(X,Y) }.\n:- keep(X,Y), keep(Y,X), X < Y.\n"])])


@variant("plan", MEMORY, CPU)
def gringo_plan(m):
    """Moves on a board over time: the same rules for each step."""
    board, steps = m.amount(15, 50), m.amount(30, 200)
    text = (f"time(1..{steps}). pos(1..{board},1..{board}). robot(1..3).\nat(R,R,R,0) :- robot(R).\n"
            "{ at(R,X+DX,Y+DY,T) : DX = -1..1, DY = -1..1, pos(X+DX,Y+DY) } 1 :- at(R,X,Y,T-1), time(T).\n"
            ":- at(R,X,Y,T), at(S,X,Y,T), R < S.\n:- at(R,X,Y,T), at(S,X+1,Y,T), R < S, time(T).\n"
            f"far(R,T) :- at(R,X,Y,T), X + Y > {board}.\n:- robot(R), not far(R,{steps}).\n")
    return Command(["gringo", m.one_of("--output=smodels", "--text"), m.write(".lp", [text.encode()])])


def _cadical(m, clauses, variables):
    """Its status 10 and 20 are answers; 0 says it ran out of its own time."""
    path = m.write(".cnf", (f"p cnf {variables} {len(clauses)}\n".encode(), *(f"{' '.join(map(str, clause))} 0\n".encode() for clause in clauses)))
    return Command(["sh", "-c", f"cadical -q -n -t {m.amount(5, 18)} {m.one_of('', '--sat', '--unsat', '--plain')} {path}; test $? -le 20"])


@variant("colours", MEMORY, CPU)
def cadical_colours(m):
    """A graph to be coloured, with nearly as many edges as allow it."""
    nodes, (colours, density), chance = m.amount(4000, 30000), m.one_of((3, 2.1), (4, 3.9), (5, 5.4)), m.chance
    clauses = [[node * colours + colour + 1 for colour in range(colours)] for node in range(nodes)]
    for _ in range(int(nodes * density * m.between(0.85, 1))):
        a, b = chance.randrange(nodes), chance.randrange(nodes - 1)
        b += b >= a
        clauses += ([-(a * colours + colour + 1), -(b * colours + colour + 1)] for colour in range(colours))
    return _cadical(m, clauses, nodes * colours)


@variant("algebra", MEMORY, CPU)
def eprover_algebra(m):
    """Each equation found is combined with all before: growth that grows."""
    axioms = {"group": "m(e,X)=X m(i(X),X)=e m(m(X,Y),Z)=m(X,m(Y,Z)) m(X,m(X,m(X,X)))=e", "ring": "a(X,Y)=a(Y,X) a(a(X,Y),Z)=a(X,a(Y,Z)) a(o,X)=X "
              "a(n(X),X)=o m(m(X,Y),Z)=m(X,m(Y,Z)) m(X,a(Y,Z))=a(m(X,Y),m(X,Z)) m(a(Y,Z),X)=a(m(Y,X),m(Z,X))",
              "lattice": "j(X,Y)=j(Y,X) k(X,Y)=k(Y,X) j(j(X,Y),Z)=j(X,j(Y,Z)) k(k(X,Y),Z)=k(X,k(Y,Z)) j(X,k(X,Y))=X k(X,j(X,Y))=X",
              "robbins": "a(X,Y)=a(Y,X) a(a(X,Y),Z)=a(X,a(Y,Z)) n(a(n(a(X,Y)),n(a(X,n(Y)))))=X"}
    goals = {"group": "m(a0,b0)!=m(b0,a0)", "ring": "m(a0,m(a0,b0))!=m(b0,a0)", "lattice": "j(a0,k(b0,c0))!=k(j(a0,b0),c0)",
             "robbins": "a(n(a(n(a0),b0)),n(a(n(a0),n(b0))))!=a0"}
    kind = m.one_of(*axioms)
    text = "".join(f"cnf(x{i},axiom,({axiom})).\n" for i, axiom in enumerate(axioms[kind].split())) + f"cnf(g,negated_conjecture,({goals[kind]})).\n"
    return _eprover(m, text)


def _eprover(m, text):
    """Its status 8 and below says what it found or why it gave up."""
    path = m.write(".p", [text.encode()])
    return Command(["sh", "-c", f"eprover -s {m.one_of('--auto', '', '-xAuto')} --cpu-limit={m.amount(3, 13)} {path}; test $? -le 9"])


@variant("relations", MEMORY, CPU)
def eprover_relations(m):
    """Facts and rules: what follows is as much as the facts allow."""
    things, chance = m.amount(40, 300), m.chance
    text = "".join(f"cnf(f{i},axiom,(r{chance.randrange(3)}(c{chance.randrange(things)},c{chance.randrange(things)}))).\n" for i in range(things * 2))
    text += ("cnf(t0,axiom,(r0(X,Z)|~r0(X,Y)|~r0(Y,Z))).\ncnf(t1,axiom,(r1(X,Z)|r2(Z,X)|~r0(X,Y)|~r1(Y,Z))).\n"
             "cnf(t2,axiom,(r2(X,Y)|~r1(Y,X))).\ncnf(t3,axiom,(r0(X,Y)|~r2(X,Y))).\ncnf(g,negated_conjecture,(~q(X))).\n")
    return _eprover(m, text)


def _bases(m, count):
    return m.chance.randbytes(count).translate(BASES)


def _genome(m, bases, repeats=1):
    """Sequences of one to a few million bases, maybe with parts that come back."""
    def pieces():
        left, number = bases, 0
        while left > 0:
            size = min(left, m.chance.randint(MIB, 4 * MIB))
            unit = _bases(m, max(size // repeats, 1))
            yield f">c{number}\n".encode() + (unit * repeats)[:size] + b"\n"
            left, number = left - size, number + 1
    return m.write(".fa", pieces())


def _reads(m, genome, count, length, errors):
    """Pieces of a genome, some bases wrong."""
    chance = m.chance

    def pieces():
        for number in range(count):
            at = chance.randrange(len(genome) - length)
            read = bytearray(genome[at:at + length])
            for _ in range(errors):
                read[chance.randrange(length)] = chance.choice(b"ACGT")
            yield b">r%d\n%s\n" % (number, read)
    return m.write(".fa", pieces())


@variant("index", MEMORY, CPU)
def minimap2_index(m):
    return Command(["minimap2", "-t", "1", "-k", m.one_of(15, 19, 21), "-w", m.one_of(5, 10, 19), "-d", m.path(".mmi"),
                    _genome(m, m.amount(4000000, 40000000), m.one_of(1, 1, 3))])


@variant("map", MEMORY, CPU)
def minimap2_map(m):
    """An index first, then reads in batches of its option's size."""
    genome = _bases(m, m.amount(2000000, 20000000))
    target = m.write(".fa", (b">g\n", genome, b"\n"))
    reads = _reads(m, genome, m.amount(500, 4000), 5000, 100)
    return Command(["minimap2", "-t", m.one_of(1, 2), "-K", m.one_of("2M", "8M", "30M"), *m.one_of(["-a"], ["-c"], []), "-o", m.path(".out"), target, reads])


@variant("overlap", MEMORY, CPU)
def minimap2_overlap(m):
    genome = _bases(m, m.amount(100000, 700000))
    reads = _reads(m, genome, m.amount(300, 1500), 4000, 150)
    return Command(["minimap2", "-t", "1", "-x", "ava-ont", "-o", m.path(".paf"), reads, reads])


@variant("hash", MEMORY, CPU)
def velveth_hash(m):
    """A tree of words grows with each read until all words of the genome are known; errors make new ones for ever."""
    genome = _bases(m, m.amount(300000, 4000000))
    reads = _reads(m, genome, m.amount(30000, 200000), 80, m.one_of(0, 1, 2))
    return Command(["velveth", m.path(".d"), m.one_of(17, 21, 27, 31), "-fasta", "-short", reads])


@variant("assemble", MEMORY, CPU)
def velveth_assemble(m):
    """The words, then in a second program the graph of them."""
    genome, where = _bases(m, m.amount(150000, 900000)), m.path(".d")
    reads = _reads(m, genome, m.amount(15000, 90000), 80, m.one_of(0, 0, 1))
    return Command(["sh", "-c", f"velveth {where} {m.one_of(21, 25, 31)} -fasta -short {reads} && velvetg {where} -cov_cutoff 2"])


def _regions(m, count, longest):
    chance = m.chance
    starts = (int(chance.random() * 200000000) for _ in range(count))
    return m.write(".bed", (f"c{start % 7}\t{start}\t{start + 20 + start % longest}\tr{number}\t{start % 999}\t+\n".encode()
                            for number, start in enumerate(starts)))


@variant("sort", MEMORY, CPU)
def bedtools_sort(m):
    return Command(["bedtools", "sort", *m.one_of([], ["-sizeA"], ["-chrThenScoreD"]), "-i", _regions(m, m.amount(80000, 700000), 9000)])


@variant("intersect", MEMORY, CPU)
def bedtools_intersect(m):
    """One file is held, the other passes by."""
    held, passing = _regions(m, m.amount(60000, 500000), 900), _regions(m, m.amount(60000, 250000), m.one_of(100, 1000))
    return Command(["bedtools", m.one_of("intersect", "subtract", "coverage"), "-a", passing, "-b", held])


@variant("journal", MEMORY, CPU)
def ledger_journal(m):
    names, chance = m.words(m.amount(30, 3000)), m.chance

    def pieces():
        for number in range(m.amount(10000, 80000)):
            day, amount = number % 336, chance.randint(100, 99999) / 100
            note = f"    ; {chance.choice(names)}: {chance.choice(names)}\n" if number % 5 == 0 else ""
            yield (f"2024/{day // 28 + 1:02}/{day % 28 + 1:02} {chance.choice(names)}\n{note}"
                   f"    Expenses:{chance.choice(names)}:{chance.choice(names)}  ${amount:.2f}\n    Assets:{chance.choice(names)}\n\n").encode()
    report = m.one_of(["balance"], ["register"], ["register", "-M"], ["balance", "--flat"], ["print"])
    return Command(["ledger", "--args-only", "-f", m.write(".ledger", pieces()), *report, "-o", m.path(".out")])


@variant("count", CPU)
def geng_count(m):
    """All graphs of a size: long, and nothing is kept."""
    kind, points, parts = m.one_of(("-c", 11, 300), ("-t", 13, 20), ("-b", 14, 20), ("-q", 11, 300))
    return Command(["nauty-geng", "-u", kind, points, f"0/{m.amount(parts // 4, parts * 2)}"])


@variant("list", CPU, CACHE)
def geng_list(m):
    return Command(["nauty-geng", *m.one_of([], ["-C"], ["-l"]), 11, f"0/{m.amount(120, 1000)}", m.path(".g6")])


def _family(m, count, length, changes, letters):
    """Sequences that descend from each other."""
    chance = m.chance
    known = [chance.randbytes(length).translate(letters)]
    for _ in range(count - 1):
        child = bytearray(chance.choice(known))
        for _ in range(changes):
            child[chance.randrange(length)] = chance.choice(letters)
        known.append(bytes(child))
    return m.write(".fa", (b">s%d\n%s\n" % (i, sequence) for i, sequence in enumerate(known)))


@variant("align", MEMORY, CPU)
def muscle_align(m):
    """A table for each two sequences."""
    path = _family(m, m.amount(3, 6), m.amount(1000, 3500), 60, AMINO)
    return Command(["muscle", "-threads", m.one_of(1, 2), "-align", path, "-output", m.path(".afa")])


@variant("tree", MEMORY, CPU)
def fasttree_tree(m):
    """A profile for each sequence, then one for each join of two."""
    kind = m.one_of("-nt", "")
    path = _family(m, m.amount(400, 3000), m.amount(150, 600), m.amount(5, 30), BASES if kind else AMINO)
    return Command(["fasttree", "-quiet", *([kind] if kind else []), "-noml", *m.one_of([], ["-fastest"], ["-nosupport"]), "-out", m.path(".tree"), path])


def _gap(m, text):
    """It collects garbage when the workspace it began with is full, and takes more when that freed too little."""
    return Command(["gap", "-q", "-r", "-A", "-m", f"{m.amount(4, 64)}m", "-o", "2g"], stdin=m.write(".g", [text.encode(), b"\nquit;\n"]))


@variant("orbits", MEMORY, CPU)
def gap_orbits(m):
    """All images of one thing under a group, all kept."""
    kind, count = m.one_of(("OnSets", math.comb), ("OnTuples", math.perm))
    size, wanted = m.one_of(2, 3, 4), m.amount(20000, 300000)
    points = next(points for points in itertools.count(size) if count(points, size) >= wanted)
    return _gap(m, f"g:=SymmetricGroup({points});; Print(Length(Orbit(g,[1..{size}],{kind})),\"\\n\");")


@variant("garbage", MEMORY, CPU)
def gap_garbage(m):
    """Most of what it makes is thrown away."""
    return _gap(m, f"l:=[];; for i in [1..{m.amount(30000, 250000)}] do x:=List([1..{m.amount(5, 20)}],j->Random(1,10^30)); "
                   f"if i mod {m.amount(1, 6)}=0 then Add(l,Product(x)); fi; od; Print(Length(l),\"\\n\");")


@variant("features", MEMORY, CPU)
def ogr2ogr_features(m):
    """Its own kind of JSON is read as a stream, the other one whole; some of the outputs are documents made in memory."""
    chance, names, esri = m.chance, m.words(300), m.one_of(True, True, False)

    def pieces():
        yield (b'{"geometryType":"esriGeometryPolygon","spatialReference":{"wkid":4326},"fields":[{"name":"id","type":"esriFieldTypeInteger"},'
               b'{"name":"name","type":"esriFieldTypeString"}],"features":[\n' if esri else b'{"type":"FeatureCollection","features":[\n')
        for number in range(m.amount(12000, 90000)):
            x, y = chance.uniform(-170, 170), chance.uniform(-80, 80)
            ring = [f"[{x + chance.random():.5f},{y + chance.random():.5f}]" for _ in range(chance.randint(3, 9))]
            about, rings = f'{{"id":{number},"name":"{chance.choice(names)}"}}', f"[[{','.join((*ring, ring[0]))}]]"
            yield (f'{"," if number else ""}' + (f'{{"attributes":{about},"geometry":{{"rings":{rings}}}}}' if esri else
                   f'{{"type":"Feature","properties":{about},"geometry":{{"type":"Polygon","coordinates":{rings}}}}}') + "\n").encode()
        yield b"]}\n"
    kind, suffix = m.one_of(("GeoJSON", ".json"), ("FlatGeobuf", ".fgb"), ("LIBKML", ".kml"), ("ODS", ".ods"), ("XLSX", ".xlsx"))
    out = m.path(suffix)
    return Command(["ogr2ogr", "-f", kind, out, m.write(".json", pieces())], fresh=(out,))


REDIS = (redis_fill, redis_cache, redis_waves)
GRINGO = (gringo_closure, gringo_plan)
CADICAL = (cadical_colours,)
EPROVER = (eprover_algebra, eprover_relations)
MINIMAP2 = (minimap2_index, minimap2_map, minimap2_overlap)
VELVETH = (velveth_hash, velveth_assemble)
BEDTOOLS = (bedtools_sort, bedtools_intersect)
LEDGER = (ledger_journal,)
GENG = (geng_count, geng_list)
MUSCLE = (muscle_align,)
FASTTREE = (fasttree_tree,)
GAP = (gap_orbits, gap_garbage)
OGR2OGR = (ogr2ogr_features,)
