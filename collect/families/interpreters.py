"""Interpreters with the scripts of collect/scripts: growth of every shape, sawtooths, jumps, CPU only, own faults."""
from command import CPU, FAULT, IDLE, MEMORY, NET, READ, variant, script, Command
from inputs import MIB
from network import HUB_ADDRESS, RAW_PORT


def _python(name, *arguments, gauge=False, **more):
    return Command(["python3", script("python", name), *arguments], gauge=gauge, **more)


@variant("graph.py", MEMORY, CPU)
def py_graph(m):
    return _python("graph.py", m.amount(20000, 250000), m.amount(3, 12), m.chance.randrange(999),
                   m.one_of(0, 0, m.between(0.005, 0.06)), gauge=m.one_of(True, False))


@variant("cache.py", MEMORY, CPU, IDLE)
def py_cache(m):
    return _python("cache.py", m.amount(2000, 30000), m.amount(500, 8000), m.amount(40000, 300000), m.chance.randrange(999),
                   m.one_of(0, m.between(0.002, 0.02)), gauge=m.one_of(True, False))


@variant("batches.py", MEMORY)
def py_batches(m):
    return _python("batches.py", m.amount(4, 14), m.amount(8000, 120000), m.one_of(1, 1, 1.1, 1.25), m.chance.randrange(999),
                   m.one_of(0.01, 0.05, 0.15), gauge=m.one_of(True, False))


@variant("jump.py", MEMORY)
def py_jump(m):
    return _python("jump.py", m.amount(5, 120), m.between(1, 9), m.amount(30, 400), m.one_of(1, 1, 2, 3), m.between(0, 3))


@variant("leak.py", MEMORY, IDLE)
def py_leak(m):
    requests = m.amount(800, 5000)
    return _python("leak.py", m.amount(5, 80), requests, m.amount(8000, 120000), m.between(3, 14) / requests,
                   m.chance.randrange(999), gauge=m.one_of(True, False))


@variant("words.py", MEMORY, CPU)
def py_words(m):
    return _python("words.py", m.text(m.amount(5, 40), m.amount(500, 50000), unique=m.one_of(True, False)),
                   gauge=m.one_of(True, False))


@variant("primes.py", CPU)
def py_primes(m):
    return _python("primes.py", m.amount(400000, 3000000), gauge=m.one_of(True, True, False))


@variant("pool.py", MEMORY, IDLE)
def py_pool(m):
    return _python("pool.py", m.amount(2, 8), m.amount(10, 60), m.between(0.3, 2), m.between(0.2, 4))


@variant("fault.py", FAULT)
def py_fault(m):
    return _python("fault.py", m.amount(3, 120), m.between(0.3, 7), m.one_of("exit", "abort", "segv", "raise", "recursion"))


@variant("rows.py", MEMORY)
def py_rows(m):
    return _python("rows.py", m.amount(3, 12), m.amount(5000, 90000), m.between(0.1, 1.5), m.chance.randrange(999),
                   gauge=m.one_of(True, False))


@variant("upload.py", NET)
def py_upload(m):
    mib = m.amount(6, 60)
    return _python("upload.py", HUB_ADDRESS, RAW_PORT, mib, gauge=m.one_of(True, False), sent_bytes=mib * MIB)


@variant("scan.py", READ)
def py_scan(m):
    mib = m.amount(20, 120)
    path = m.noise(mib)
    return _python("scan.py", path, gauge=m.one_of(True, False), cold=(path,), read_bytes=mib * MIB)


@variant("index.pl", MEMORY, CPU)
def pl_index(m):
    return Command(["perl", script("perl", "index.pl"), m.text(m.amount(5, 30), m.amount(500, 50000)), m.one_of(0, 0.02, 0.06)])


@variant("strings.pl", MEMORY)
def pl_strings(m):
    return Command(["perl", script("perl", "strings.pl"), m.amount(2, 6), m.amount(30, 250), m.between(0.02, 0.25)])


@variant("tree.pl", MEMORY, CPU)
def pl_tree(m):
    depth, fanout = m.one_of((17, 2), (18, 2), (19, 2), (11, 3), (12, 3), (9, 4), (6, 8))
    return Command(["perl", script("perl", "tree.pl"), depth, fanout, m.one_of(0, 0.01, 0.04)])


@variant("crunch.pl", CPU)
def pl_crunch(m):
    return Command(["perl", script("perl", "crunch.pl"), m.amount(150, 1500)])


@variant("objects.lua", MEMORY, CPU)
def lua_objects(m):
    return Command(["lua5.4", script("lua", "objects.lua"), m.amount(1000000, 10000000), m.amount(20, 400), m.amount(8, 120)])


@variant("matrix.lua", CPU)
def lua_matrix(m):
    return Command(["lua5.4", script("lua", "matrix.lua"), m.amount(250, 600)])


@variant("strings.lua", MEMORY)
def lua_strings(m):
    return Command(["lua5.4", script("lua", "strings.lua"), m.amount(4, 14), m.amount(5, 40)])


@variant("fault.lua", FAULT)
def lua_fault(m):
    return Command(["lua5.4", script("lua", "fault.lua"), m.amount(5, 80), m.amount(20, 400)])


@variant("hash.rb", MEMORY, CPU)
def rb_hash(m):
    return Command(["ruby", script("ruby", "hash.rb"), m.text(m.amount(2, 14), m.amount(500, 50000)), m.one_of(0, 0.01, 0.04)])


@variant("sawtooth.rb", MEMORY)
def rb_sawtooth(m):
    objects = m.amount(50000, 400000)
    return Command(["ruby", script("ruby", "sawtooth.rb"), m.amount(5, 25), objects, int(objects * m.between(0, 0.3))])


@variant("digits.rb", CPU)
def rb_digits(m):
    return Command(["ruby", script("ruby", "digits.rb"), m.amount(2000, 7000)])


@variant("rows.php", MEMORY, CPU)
def php_rows(m):
    return Command(["php", "-d", "memory_limit=-1", script("php", "rows.php"), m.text(m.amount(5, 40)), m.one_of(0, 10000, 40000)])


@variant("blocks.php", MEMORY, IDLE)
def php_blocks(m):
    return Command(["php", "-d", "memory_limit=-1", script("php", "blocks.php"), m.amount(5, 80), m.amount(300, 5000), m.amount(20, 200),
                    m.amount(200, 2000), m.amount(5000, 60000)])


@variant("limit.php", FAULT)
def php_limit(m):
    """PHP's own limit: it fails without any OOM kill, and no allocation would have helped."""
    return Command(["php", "-d", f"memory_limit={m.amount(20, 80)}M", script("php", "blocks.php"), 5,
                    m.amount(200, 2000), 200, 1024, 20000])


@variant("crunch.php", CPU)
def php_crunch(m):
    return Command(["php", script("php", "crunch.php"), m.amount(3000, 16000)])


@variant("objects.js", MEMORY, CPU)
def node_objects(m):
    per_turn = m.amount(2000, 30000)
    return Command(["node", script("node", "objects.js"), m.amount(300000, 3000000), per_turn, m.amount(5, 60)])


@variant("buffers.js", MEMORY)
def node_buffers(m):
    mib = m.amount(10, 120)
    return Command(["node", *m.one_of(["--expose-gc"], []), script("node", "buffers.js"), m.amount(4, 20), mib, m.amount(100, 900),
                    int(mib * m.between(0, 0.3))])


@variant("heap.js", FAULT)
def node_heap(m):
    """V8's own limit: abort, no OOM kill."""
    return Command(["node", f"--max-old-space-size={m.amount(40, 120)}", script("node", "objects.js"), 9000000, m.amount(5000, 30000), 10])


@variant("crunch.js", CPU)
def node_crunch(m):
    return Command(["node", script("node", "crunch.js"), m.amount(4000, 30000)])


@variant("lists.scm", MEMORY, CPU)
def guile_lists(m):
    return Command(["guile", "--no-auto-compile", script("scheme", "lists.scm"), m.amount(80000, 800000), m.amount(20, 60)])


PYTHON = (py_graph, py_cache, py_batches, py_jump, py_leak, py_words, py_primes, py_pool, py_fault, py_rows, py_upload, py_scan)
PERL = (pl_index, pl_strings, pl_tree, pl_crunch)
LUA = (lua_objects, lua_matrix, lua_strings, lua_fault)
RUBY = (rb_hash, rb_sawtooth, rb_digits)
PHP = (php_rows, php_blocks, php_limit, php_crunch)
NODE = (node_objects, node_buffers, node_heap, node_crunch)
GUILE = (guile_lists,)
