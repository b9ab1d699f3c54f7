"""Compressors and archivers: memory set by the level and filled by the input, CPU, or the page cache only."""
from command import CACHE, CPU, MEMORY, READ, WRITE, variant, Command
from inputs import MIB


@variant("levels", MEMORY, CPU)
def xz_levels(m):
    return Command(["xz", "-k", "-c", f"-{m.one_of(1, 3, 4, 5, 6, 7, 8, 9)}", m.some_data(3, 24)])


@variant("threads", MEMORY, CPU)
def xz_threads(m):
    return Command(["xz", "-k", "-c", f"-T{m.one_of(2, 3, 4)}", f"--block-size={m.one_of(1, 2, 4)}MiB", f"-{m.one_of(1, 2, 3, 6)}",
                    m.text(m.amount(8, 24))])


@variant("from-pipe", MEMORY, CPU)
def xz_stdin(m):
    options = f"--lzma2=dict={m.one_of(2, 8, 24, 64)}MiB,mode={m.one_of('fast', 'normal')},nice={m.one_of(32, 128, 273)}"
    return Command(["xz", "-c", options], stdin=m.some_data(4, 20))


@variant("file", CPU, CACHE)
def gzip_file(m):
    return Command(["gzip", "-c", f"-{m.one_of(1, 5, 6, 8)}", m.some_data(20, 150)])


@variant("cold", READ, CACHE)
def gzip_cold(m):
    mib = m.amount(20, 80)
    path = m.noise(mib)
    return Command(["gzip", "-c", "-1", path], cold=(path,), read_bytes=mib * MIB)


@variant("file", CPU, CACHE)
def bzip2_file(m):
    return Command(["bzip2", "-k", "-c", f"-{m.one_of(1, 5, 9)}", m.some_data(8, 60)])


@variant("levels", MEMORY, CPU)
def zstd_levels(m):
    return Command(["zstd", "-q", "-c", f"-{m.one_of(3, 9, 12, 15, 17)}", m.some_data(20, 80)])


@variant("ultra", MEMORY, CPU)
def zstd_ultra(m):
    return Command(["zstd", "-q", "-c", "--ultra", f"-{m.one_of(19, 20, 21)}", f"--long={m.one_of(24, 26, 27)}", m.some_data(6, 24)])


@variant("blocks", MEMORY, CPU)
def pigz_blocks(m):
    return Command(["pigz", "-c", f"-p{m.one_of(1, 2, 4)}", f"-b{m.one_of(128, 1024, 8192)}", m.some_data(40, 200)])


@variant("eleven", MEMORY, CPU)
def pigz_zopfli(m):
    return Command(["pigz", "-c", "-11", f"-p{m.one_of(1, 2)}", "-I", "3", m.text(m.amount(1, 4))])


@variant("cold", READ, CACHE)
def pigz_cold(m):
    mib = m.amount(20, 100)
    path = m.noise(mib)
    return Command(["pigz", "-c", "-1", f"-p{m.one_of(1, 2)}", path], cold=(path,), read_bytes=mib * MIB)


@variant("create", CACHE, WRITE)
def tar_create(m):
    files, kib = m.amount(1000, 8000), m.one_of(8, 32)
    out = m.path(".tar")
    return Command(["tar", "-cf", out, m.tree(files, kib)], fresh=(out,))


@variant("compress", CPU, MEMORY)
def tar_compress(m):
    out = m.path(".tar.z")
    return Command(["tar", m.one_of("--xz", "--gzip", "--bzip2"), "-cf", out, m.tree(m.amount(500, 3000), m.one_of(8, 16))],
                   fresh=(out,))


@variant("copy-in", CACHE, WRITE)
def cpio_tree(m):
    out = m.path(".cpio")
    return Command(["sh", "-c", f"find {m.tree(m.amount(1000, 8000), 16)} | exec cpio -o --quiet -H newc > {out}"], fresh=(out,))


@variant("archive", MEMORY, CPU)
def seven_archive(m):
    out = m.path(".7z")
    return Command(["7z", "a", "-bso0", "-bsp0", f"-mx={m.one_of(1, 3, 5, 7, 9)}", f"-mmt={m.one_of(1, 2)}",
                    *m.one_of([], [], ["-m0=ppmd"], ["-m0=bzip2"]), out, m.some_data(4, 50)], fresh=(out,))


@variant("levels", MEMORY, CPU)
def brotli_levels(m):
    return Command(["brotli", "-c", "-q", m.one_of(5, 9, 10, 11), "-w", m.one_of(18, 22, 24), m.some_data(3, 14)])


XZ = (xz_levels, xz_threads, xz_stdin)
GZIP = (gzip_file, gzip_cold)
BZIP2 = (bzip2_file,)
ZSTD = (zstd_levels, zstd_ultra)
PIGZ = (pigz_blocks, pigz_zopfli, pigz_cold)
TAR = (tar_create, tar_compress)
CPIO = (cpio_tree,)
SEVEN = (seven_archive,)
BROTLI = (brotli_levels,)
