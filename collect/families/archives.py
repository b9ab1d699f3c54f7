"""Archivers, backup and file tools, differences and checksums: dictionaries, indexes of pieces, tables of names, queues of blocks."""
from command import CACHE, CPU, MEMORY, WRITE, variant, Command
from inputs import MIB


def _edited(m, path, edits):
    """A copy with pieces put in, taken out and replaced."""
    old, chance = path.read_bytes(), m.chance

    def pieces():
        at = 0
        for cut in sorted(chance.randrange(len(old)) for _ in range(edits)):
            yield old[at:cut]
            yield chance.randbytes(chance.randint(0, 400))
            at = max(at, cut + chance.randint(0, 400))
        yield old[at:]
    return m.write(".new", pieces())


@variant("file", MEMORY, CPU)
def lrzip_file(m):
    """A long search for repetitions, then the streams that are left to another compressor."""
    out, fast = m.path(".lrz"), m.one_of(True, True, False)
    return Command(["lrzip", "-q", "-f", "-w", "1", *(m.one_of(["-l"], ["-g"], ["-n"]) if fast else ["-L", m.one_of(1, 4, 7)]),
                    "-p", m.one_of(1, 2), "-o", out, m.some_data(*((10, 60) if fast else (4, 18)))], fresh=(out,))


@variant("from-pipe", MEMORY, CPU)
def lrzip_stdin(m):
    """Nothing to map: the window is filled from the pipe."""
    out = m.path(".lrz")
    return Command(["lrzip", "-q", "-f", "-w", "1", m.one_of("-l", "-g", "-n"), "-p", m.one_of(1, 2), "-o", out],
                   stdin=m.some_data(8, 45), fresh=(out,))


@variant("add", MEMORY, CPU)
def zpaq_add(m):
    """Pieces go to blocks, blocks to threads with a model each."""
    out, method = m.path(".zpaq"), m.one_of(1, 1, 2, 3)
    return Command(["zpaq", "add", out, m.text(m.amount(*((15, 80) if method == 1 else (4, 15)))), "-method", method,
                    "-threads", m.one_of(1, 2)], fresh=(out,))


@variant("levels", MEMORY, CPU)
def plzip_levels(m):
    return Command(["plzip", "-k", "-c", f"-{m.one_of(0, 0, 1, 2, 4, 6)}", f"-n{m.one_of(1, 2, 4)}", m.some_data(4, 18)])


@variant("blocks", MEMORY, CPU)
def plzip_blocks(m):
    """Large blocks: one thread waits for the other, the packets between them pile up."""
    return Command(["plzip", "-k", "-c", f"-{m.one_of(0, 1, 3)}", f"-B{m.one_of(1, 4, 8)}MiB", f"-n{m.one_of(2, 3, 6)}"],
                   stdin=m.some_data(6, 24))


@variant("levels", MEMORY, CPU)
def rzip_levels(m):
    out = m.path(".rz")
    return Command(["rzip", "-k", "-f", f"-{m.one_of(0, 3, 6, 9)}", "-o", out, m.some_data(6, 50)], fresh=(out,))


@variant("image", MEMORY, CPU)
def mksquashfs_image(m):
    """Its queues are given their size, and filled as fast as the disk reads and the threads compress."""
    out = m.path(".squashfs")
    return Command(["mksquashfs", m.tree(m.amount(1000, 4000), 16), m.some_data(15, 80), out, "-noappend", "-no-progress", "-quiet",
                    "-mem", f"{m.one_of(48, 96, 192, 384)}M", "-processors", m.one_of(1, 2), "-comp", m.one_of("gzip", "lz4", "zstd", "lzo"),
                    "-b", m.one_of("64K", "256K", "1M")], fresh=(out,))


@variant("image", CACHE, WRITE)
def xorriso_image(m):
    out = m.path(".iso")
    return Command(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", out, m.tree(m.amount(1500, 9000), 16)], fresh=(out,))


@variant("delta", MEMORY, CPU)
def xdelta3_delta(m):
    """Source and input windows are given their size; the instructions of a window are kept until it is written."""
    old, out = m.some_data(35, 110), m.path(".delta")
    return Command(["xdelta3", "-e", "-f", f"-{m.one_of(1, 3, 6, 9)}", "-B", m.one_of(16, 48, 128) * MIB, "-W", m.one_of(1, 8, 16) * MIB,
                    "-S", m.one_of("none", "djw"), "-s", old, _edited(m, old, m.amount(100, 20000)), out], fresh=(out,))


@variant("strangers", MEMORY, CPU)
def xdelta3_strangers(m):
    """Nothing in common: all is searched in vain."""
    out = m.path(".delta")
    return Command(["xdelta3", "-e", "-f", f"-{m.one_of(1, 3, 6)}", "-B", m.one_of(16, 64) * MIB, "-W", m.one_of(1, 4, 16) * MIB,
                    "-s", m.noise(m.amount(20, 80)), m.some_data(6, 30), out], fresh=(out,))


@variant("patch", MEMORY, CPU)
def bsdiff_patch(m):
    """Sorts every suffix of the old file, then searches for the new one in them."""
    old = m.some_data(2, 13)
    return Command(["bsdiff", old, _edited(m, old, m.amount(10, 3000)), m.path(".patch")])


@variant("create", MEMORY, CPU)
def par2_create(m):
    """As many recovery blocks at a time as the memory it was given holds; then it reads everything again."""
    out = m.path(".par2")
    return Command(["sh", "-c", f"rm -f {out.with_suffix('')}.*; exec par2 create -q -q -m{m.one_of(40, 100, 400)} -b{m.amount(40, 160)} "
                    f"-r{m.amount(50, 100)} -n1 {out} {m.noise(m.amount(30, 100))}"])


@variant("create", MEMORY, CPU)
def borg_create(m):
    """The smaller the pieces it cuts, the larger the index of them."""
    repository, base = m.path(".borg"), m.path(".base")
    smallest = m.one_of(6, 7, 8, 10, 12)
    data = m.some_data(15, 90) if m.one_of(0, 1) else m.tree(m.amount(500, 4000), 8)
    return Command(["sh", "-c", f"export BORG_BASE_DIR={base} BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes\n"
                    f"borg init -e none {repository} && exec borg create --chunker-params "
                    f"{smallest},{smallest + 8},{smallest + 3},255 -C {m.one_of('none', 'lz4', 'zstd,3', 'zlib,6')} {repository}::a {data}"],
                   fresh=(repository, base))


@variant("backup", MEMORY, CPU)
def restic_backup(m):
    """Packs are filled and sealed by several threads; collected garbage comes and goes."""
    repository = m.path(".restic")
    data = m.noise(m.amount(30, 200)) if m.one_of(0, 1) else m.tree(m.amount(800, 6000), 16)
    return Command(["sh", "-c", f"export RESTIC_PASSWORD=x\nrestic -q --no-cache -r {repository} init && "
                    f"exec restic -q --no-cache -r {repository} --compression {m.one_of('off', 'auto', 'max')} "
                    f"--pack-size {m.one_of(4, 16, 64)} backup {data}"], fresh=(repository,))


@variant("known", MEMORY, CPU)
def hashdeep_known(m):
    """A long list of known sums is read before the first file is looked at. Its low statuses are answers, no failures."""
    chance = m.chance

    def pieces():
        yield b"%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n"
        for number in range(m.amount(60000, 500000)):
            yield f"{chance.randrange(1 << 24)},{chance.getrandbits(128):032x},{chance.getrandbits(256):064x},known/{number}\n".encode()
    return Command(["sh", "-c", f"hashdeep {m.one_of('-m', '-x', '-M')} -k {m.write('.sums', pieces())} "
                    f"{m.noise(m.amount(10, 200))} > /dev/null; test $? -le 3"])


@variant("file", MEMORY, CPU)
def zopfli_file(m):
    """Many rounds for each block, blocks one after another."""
    return Command(["zopfli", "-c", f"--i{m.one_of(1, 3, 5, 10)}", m.one_of("--gzip", "--zlib", "--deflate"), m.write(".txt", [
        m.text(m.amount(2, 5)).read_bytes()[:m.amount(300, 3000) << 10]])])


@variant("index", MEMORY, CPU)
def ptx_index(m):
    """Text and a table of all its words, which then are sorted and written with what is around them."""
    return Command(["ptx", *m.one_of([], ["-f"], ["-A"], ["-w", "150"]), m.text(m.amount(2, 18), vocabulary=m.amount(500, 20000))])


@variant("groups", MEMORY, CPU)
def join_groups(m):
    """All lines of a key are held, so memory grows with the largest group so far."""
    keys, most, chance = m.amount(15, 80), m.amount(50000, 200000), m.chance
    rest = " ".join(m.words(40))

    def left():
        for key in range(keys):
            for number in range(int(most * chance.random() ** 3)):
                yield f"k{key:04} {number} {rest[number % 150:]}\n".encode()
    return Command(["join", m.write(".left", left()), m.write(".right", (f"k{key:04} {key}\n".encode() * m.one_of(1, 2, 4) for key in range(keys)))])


@variant("sort", MEMORY, CPU)
def busybox_sort(m):
    return Command(["busybox", "sort", *m.one_of([], ["-r"], ["-u"], ["-k", "2"]), "-o", m.path(".out"), m.text(m.amount(10, 90))])


@variant("reverse", MEMORY, CPU)
def busybox_tac(m):
    """A list of lines, each an allocation of its own."""
    return Command(["busybox", "tac", m.text(m.amount(15, 120), unique=m.one_of(True, False))])


@variant("counts", MEMORY, CPU)
def busybox_awk(m):
    return Command(["busybox", "awk", m.one_of("{ n[$NF]++ } END { for (k in n) c++; print c }",
                                               "{ for (i = 1; i <= NF; i++) n[$i] = n[$i] + NR } END { for (k in n) s += n[k]; print s }",
                                               "{ l[NR] = $0 } END { for (i = NR; i > 0; i--) s += length(l[i]); print s }"),
                    m.text(m.amount(15, 90))])


@variant("blocks", MEMORY, CPU)
def pbzip2_blocks(m):
    """Blocks that wait for a thread, and blocks that wait for those before them."""
    return Command(["pbzip2", "-k", "-c", f"-p{m.one_of(2, 3, 4)}", f"-b{m.one_of(9, 30, 90)}", f"-m{m.one_of(50, 100, 400)}",
                    m.text(m.amount(12, 50))])


@variant("delta", MEMORY, CPU)
def rdiff_delta(m):
    """The sums of the old file first, then held in a table while the new one is searched byte by byte."""
    old, sums = m.noise(m.amount(25, 120)), m.path(".sums")
    new = _edited(m, old, m.amount(100, 20000))
    return Command(["sh", "-c", f"rdiff -f -b {m.one_of(16, 32, 64, 128)} signature {old} {sums} && exec rdiff -f delta {sums} {new} {m.path('.delta')}"])


@variant("password", MEMORY, CPU)
def argon2_password(m):
    """Memory depends on an option alone; it is gone through again and again."""
    kib = m.amount(20 << 10, 500 << 10)
    return Command(["argon2", "somesalt", m.one_of("-i", "-d", "-id"), "-k", kib, "-t", max(1, m.amount(500 << 10, 3 << 20) // kib),
                    "-p", m.one_of(1, 2)], stdin=m.write(".pass", [b"correct horse"]))


@variant("passes", WRITE, CACHE)
def shred_passes(m):
    mib, passes = m.amount(40, 200), m.amount(2, 6)
    return Command(["shred", "-n", passes, *m.one_of([], ["-x"]), m.noise(mib)], written_bytes=mib * MIB * passes)


LRZIP = (lrzip_file, lrzip_stdin)
ZPAQ = (zpaq_add,)
PLZIP = (plzip_levels, plzip_blocks)
RZIP = (rzip_levels,)
MKSQUASHFS = (mksquashfs_image,)
XORRISO = (xorriso_image,)
XDELTA3 = (xdelta3_delta, xdelta3_strangers)
BSDIFF = (bsdiff_patch,)
PAR2 = (par2_create,)
BORG = (borg_create,)
RESTIC = (restic_backup,)
HASHDEEP = (hashdeep_known,)
ZOPFLI = (zopfli_file,)
PTX = (ptx_index,)
JOIN = (join_groups,)
BUSYBOX = (busybox_sort, busybox_tac, busybox_awk)
PBZIP2 = (pbzip2_blocks,)
RDIFF = (rdiff_delta,)
ARGON2 = (argon2_password,)
SHRED = (shred_passes,)
