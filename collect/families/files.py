"""Programs that move bytes: disk, page cache, checksums. Most must never be taken for memory failures."""
from command import CACHE, CPU, MEMORY, READ, WRITE, variant, Command
from inputs import MIB


@variant("direct-read", READ)
def dd_read(m):
    mib = m.amount(20, 200)
    path = m.noise(mib)
    return Command(["dd", f"if={path}", "of=/dev/null", f"bs={m.one_of('64k', '256k', '1M', '4M')}", "iflag=direct", "status=none"],
                   read_bytes=mib * MIB)


@variant("direct-write", WRITE)
def dd_write(m):
    mib, out = m.amount(20, 150), m.path(".out")
    size, count = m.one_of((256, mib * 4), (1024, mib), (64, mib * 16))
    return Command(["dd", "if=/dev/zero", f"of={out}", f"bs={size}k", f"count={count}", "oflag=direct", "status=none"],
                   written_bytes=mib * MIB, fresh=(out,))


@variant("synced-write", WRITE, CACHE)
def dd_sync(m):
    mib, out = m.amount(20, 150), m.path(".out")
    return Command(["dd", "if=/dev/zero", f"of={out}", "bs=1M", f"count={mib}", m.one_of("conv=fsync", "oflag=dsync"), "status=none"],
                   written_bytes=mib * MIB, fresh=(out,))


@variant("page-cache", CACHE, READ)
def dd_cache(m):
    mib, out = m.amount(60, 300), m.path(".out")
    path = m.noise(mib)
    return Command(["dd", f"if={path}", f"of={out}", "bs=128k", "status=none"], cold=(path,), read_bytes=mib * MIB, fresh=(out,))


@variant("one-block", MEMORY)
def dd_block(m):
    """One buffer as large as the file: all memory at once."""
    return Command(["dd", "if=/dev/zero", "of=/dev/null", f"bs={m.amount(40, 500)}M", f"count={m.amount(2, 8)}", "status=none"])


@variant("cold", CACHE, READ)
def sum_cold(m):
    mib = m.amount(60, 300)
    path = m.noise(mib)
    return Command(["sha256sum", path], cold=(path,), read_bytes=mib * MIB)


@variant("again", CACHE, CPU)
def sum_many(m):
    return Command(["sha256sum", *[m.noise(m.amount(20, 60))] * m.amount(4, 20)])


@variant("cold", CACHE, READ)
def b2sum_cold(m):
    mib = m.amount(60, 300)
    path = m.noise(mib)
    return Command(["b2sum", path], cold=(path,), read_bytes=mib * MIB)


@variant("again", CACHE, CPU)
def b2sum_many(m):
    return Command(["b2sum", *[m.noise(m.amount(20, 60))] * m.amount(10, 40)])


@variant("file", CACHE, READ)
def cp_file(m):
    mib, out = m.amount(40, 250), m.path(".out")
    path = m.noise(mib)
    return Command(["cp", "--reflink=never", path, out], cold=(path,), read_bytes=mib * MIB, fresh=(out,))


@variant("tree", CACHE)
def cp_tree(m):
    out = m.path(".copy")
    return Command(["cp", "-r", "--reflink=never", m.tree(m.amount(500, 4000), 16), out], fresh=(out,))


@variant("tree", CACHE, CPU)
def find_tree(m):
    tree = m.tree(m.amount(800, 4000), 1)
    return Command(["find", *[tree] * m.amount(10, 60), "-type", "f", "-size", "+1k", "-newermt", "2001-01-01",
                    "-name", "n*[02468]", "-printf", "%s %p\n"])


@variant("exec", CPU)
def find_exec(m):
    return Command(["find", m.tree(m.amount(150, 900), 1), "-type", "f", "-exec", "wc", "-c", "{}", ";"])


@variant("copy", CACHE, READ)
def rsync_copy(m):
    mib, out = m.amount(40, 200), m.path(".out")
    path = m.noise(mib)
    return Command(["rsync", *m.one_of([], ["--whole-file"], ["--fsync"]), path, out], cold=(path,), read_bytes=mib * MIB, fresh=(out,))


@variant("tree", CACHE, CPU)
def rsync_tree(m):
    out = m.path(".copy")
    return Command(["rsync", "-a", "--checksum", m.tree(m.amount(800, 4000), 8), out], fresh=(out,))


DD = (dd_read, dd_write, dd_sync, dd_cache, dd_block)
SHA256SUM = (sum_cold, sum_many)
B2SUM = (b2sum_cold, b2sum_many)
CP = (cp_file, cp_tree)
FIND = (find_tree, find_exec)
RSYNC = (rsync_copy, rsync_tree)
