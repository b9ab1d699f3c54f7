"""More pictures, sound, video and geometry: frames that wait for others, planes taken early, meshes that grow by each point."""
import struct

from command import CPU, MEMORY, variant, Command


def _video(m, width, height, frames):
    """A Y4M film: textures that move, and cuts."""
    chance, size = m.chance, width * height * 3 // 2
    strip = b"".join(bytes((x * k // width + chance.randrange(grain)) & 255 for x in range(width)) for k, grain in ((150, 2), (300, 12), (90, 40), (220, 6)))
    texture = strip * (size * 2 // len(strip) + 2)

    def pieces():
        yield f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode()
        at = 0
        for _ in range(frames):
            at = chance.randrange(size) if chance.random() < 0.02 else (at + 3 + 2 * width) % size
            yield b"FRAME\n" + texture[at:at + size]
    return m.write(".y4m", pieces())


def _picture(m, width, height):
    """A PPM of slopes and grain."""
    grain, left = m.chance.randbytes(1 << 16).translate(bytes(b >> 4 for b in range(256))), width * 3
    slope = bytes((x * 200 // left) & 255 for x in range(left)) * 2

    def rows():
        for y in range(height):
            if y % 4 == 0:
                row = slope[y * 3 % left:][:left]
                yield row
            elif y % 4 == 2:
                at = m.chance.randrange(1 << 15)
                yield (grain[at:] * (left // (1 << 15) + 1))[:left]
            else:
                yield row[3:] + row[:3]
    return m.write(".ppm", (f"P6\n{width} {height}\n255\n".encode(), *rows()))


def _points(m, count, axes):
    chance = m.chance
    return [" ".join(f"{chance.random():.7f}" for _ in range(axes)) for _ in range(count)]


@variant("filters", MEMORY, CPU)
def gm_filters(m):
    """One picture, and a second of its size for most steps: a jump for each, then the old one goes."""
    work = m.one_of(["-blur", "0x2"], ["-resize", "150%", "-rotate", "20"], ["-enhance", "-despeckle"], ["-swirl", "60", "-flip"],
                    ["-colorspace", "HSL", "-equalize"], ["-median", "1"], ["-shear", "20x10"])
    return Command(["gm", "convert", _picture(m, m.amount(1100, 3600), m.amount(1200, 3200)), *work, m.path(".ppm")])


@variant("morph", MEMORY, CPU)
def gm_morph(m):
    """Pictures between pictures, each kept until all are written: stairs."""
    width, height = m.amount(700, 1500), m.amount(600, 1100)
    return Command(["gm", "convert", _picture(m, width, height), _picture(m, width, height), "-morph", m.amount(10, 44),
                    *m.one_of([], ["-blur", "0x1"], ["-despeckle"]), m.path(".miff")])


@variant("montage", MEMORY, CPU)
def gm_montage(m):
    """All tiles are read, then put on one sheet."""
    picture = _picture(m, m.amount(600, 1500), m.amount(500, 1300))
    return Command(["gm", "montage", "-geometry", f"{m.one_of(200, 400, 600)}x400+4+4", *[picture] * m.amount(12, 45), m.path(".miff")])


@variant("stream", MEMORY, CPU)
def vips_stream(m):
    """A picture passes in bands: what is held depends on its width and the window, not on its height."""
    width, height, out = m.amount(1500, 6000), m.amount(1500, 6000), m.path(".v")
    work = m.one_of(["gaussblur", "{}", out, m.between(2, 20)], ["sharpen", "{}", out], ["resize", "{}", out, "0.4"], ["colourspace", "{}", out, "lab"],
                    ["rank", "{}", out, 5, 5, 12])
    picture = _picture(m, width, height)
    return Command(["vips", *[picture if part == "{}" else part for part in work]])


@variant("whole", MEMORY, CPU)
def vips_whole(m):
    """Needs all of the picture before it can give a line: complex numbers, labels or a turned copy."""
    picture, out = _picture(m, *(m.amount(700, 2600) // 64 * 64 + 64 for _ in "xy")), m.path(".v")
    first, second = m.path(".v"), m.path(".v")
    work = m.one_of(f"fwfft {first} {second} && vips invfft {second} {out}", f"labelregions {first} {out}", f"fwfft {first} {out}",
                    f"hist_local {first} {out} 7 7")
    return Command(["sh", "-c", f"vips extract_band {picture} {first} 1 && vips {work}"])


@variant("tiles", MEMORY, CPU)
def opj_tiles(m):
    """The whole picture as 32-bit planes, then tile by tile its waves and blocks, or all at once without tiles."""
    picture = _picture(m, m.amount(900, 3600), m.amount(900, 3000))
    return Command(["opj_compress", "-i", picture, "-o", m.path(".jp2"), *m.one_of([], ["-t", "512,512"], ["-t", "1024,1024"]),
                    *m.one_of([], ["-r", "20,10,5"], ["-I", "-q", "35,45"]), *m.one_of([], ["-b", "32,32"], ["-n", "3"])])


@variant("lookahead", MEMORY, CPU)
def x264_lookahead(m):
    """Frames wait until the lookahead is full: a climb, then level for the rest of the film."""
    height = m.one_of(240, 360, 480, 720)
    film = _video(m, height * 16 // 9 // 2 * 2, height, m.amount(40, 150) * 480 // height)
    return Command(["x264", "--quiet", "--no-progress", "--threads", m.one_of(1, 2, 4), "--preset", m.one_of("superfast", "veryfast", "faster", "medium"),
                    "--rc-lookahead", m.amount(10, 120), *m.one_of([], ["--bframes", "8", "--b-adapt", "2"], ["--ref", "8"]), "-o", m.path(".264"), film])


@variant("lookahead", MEMORY, CPU)
def x265_lookahead(m):
    """As others of its kind, with more for each frame."""
    height = m.one_of(240, 360, 480)
    film = _video(m, height * 16 // 9 // 4 * 4, height, m.amount(30, 150) * 240 // height)
    return Command(["x265", "--log-level", "error", "--pools", m.one_of(1, 2), "--preset", m.one_of("ultrafast", "superfast", "veryfast"),
                    "--rc-lookahead", max(m.amount(15, 150), 10), *m.one_of([], ["--frame-threads", "3"], ["--bframes", "8"]), "-o", m.path(".265"), film])


@variant("passes", MEMORY, CPU)
def aomenc_passes(m):
    """Two passes, the second with frames ahead of it."""
    height = m.one_of(144, 240, 360, 480)
    film = _video(m, height * 16 // 9 // 4 * 4, height, m.amount(24, 120) * 144 // height + 2)
    return Command(["aomenc", "-q", f"--cpu-used={m.one_of(6, 7, 8)}", f"--threads={m.one_of(1, 2)}", f"--lag-in-frames={m.amount(5, 48)}",
                    f"--passes={m.one_of(1, 2)}", "--ivf", "-o", m.path(".ivf"), film])


@variant("live", CPU)
def aomenc_live(m):
    height = m.one_of(240, 360, 480)
    film = _video(m, height * 16 // 9 // 4 * 4, height, m.amount(60, 240) * 240 // height)
    return Command(["aomenc", "-q", "--rt", "--cpu-used=9", "--passes=1", f"--threads={m.one_of(1, 2)}", "--ivf", "-o", m.path(".ivf"), film])


@variant("passes", MEMORY, CPU)
def vpxenc_passes(m):
    """The first pass is quick and small, the second takes frames ahead."""
    height = m.one_of(240, 360, 480, 720)
    film = _video(m, height * 16 // 9 // 4 * 4, height, m.amount(40, 170) * 240 // height)
    return Command(["vpxenc", "-q", f"--codec={m.one_of('vp8', 'vp9')}", f"--passes={m.one_of(1, 2)}", "--good", f"--cpu-used={m.one_of(4, 5)}",
                    f"--threads={m.one_of(1, 2)}", f"--lag-in-frames={m.amount(4, 25)}", "--auto-alt-ref=1", "-o", m.path(".webm"), film])


def _subtitles(m, count, length):
    words, chance = m.words(2000), m.chance

    def stamp(t):
        return f"{t // 3600000:02}:{t // 60000 % 60:02}:{t // 1000 % 60:02},{t % 1000:03}"
    return m.write(".srt", (f"{i + 1}\n{stamp(i * 40)} --> {stamp(i * 40 + 35)}\n{' '.join(chance.choices(words, k=length))}\n\n".encode()
                            for i in range(count)))


@variant("subtitles", MEMORY, CPU)
def mkvmerge_subtitles(m):
    """Texts are read whole, one file after the other; then the clusters go out in order of time, each with an index entry that stays."""
    length = m.amount(10, 150)
    return Command(["mkvmerge", "-q", "-o", m.path(".mkv"), *(_subtitles(m, m.amount(4000, 20000), length) for _ in range(m.one_of(1, 2, 4)))])


@variant("attachments", MEMORY, CPU)
def mkvmerge_attachments(m):
    """Files to go along are taken in before the first packet: jumps, then long level work on the sound."""
    files = [part for _ in range(m.one_of(1, 2, 3))
             for part in ("--attachment-mime-type", "application/octet-stream", "--attach-file", m.noise(m.amount(4, 45)))]
    texts = _subtitles(m, m.amount(4000, 12000), 12)
    return Command(["mkvmerge", "-q", "-o", m.path(".mkv"), *files, m.sound(m.amount(100, 400)), texts])


def _gif(m, width, height, frames):
    """Frames of 128 colours; each code is one byte, as the table is cleared before codes grow."""
    chance, noise = m.chance, m.chance.randbytes(1 << 16).translate(bytes(b & 127 for b in range(256)))

    def pieces():
        yield b"GIF89a" + struct.pack("<HHBBB", width, height, 0xf6, 0, 0) + chance.randbytes(384)
        for number in range(frames):
            at = chance.randrange(1 << 15)
            row = (noise[at:at + 400] + bytes([number & 127]) * 600) * (width // 1000 + 1)
            pixels = b"".join((row[y % 7 * 40:] + row)[:width] for y in range(height))
            codes = b"".join(b"\x80" + pixels[i:i + 120] for i in range(0, len(pixels), 120)) + b"\x81"
            yield b"\x21\xf9\x04\x04\x05\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x07"
            yield b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255)) + b"\0"
        yield b";"
    return m.write(".gif", pieces())


@variant("animation", MEMORY, CPU)
def gifsicle_animation(m):
    """All frames are read packed, then one after the other is unpacked and compared with those before."""
    width, height = m.amount(400, 850), m.amount(400, 800)
    work = m.one_of(["-O3"], ["-O2", "--colors", "64"], ["--resize-method", "sample", "--scale", "1.3"], ["-U", "--scale", "0.7"], ["-O3", "--lossy=40"],
                    ["-U", "--dither", "--colors", "32"])
    return Command(["gifsicle", "-w", *work, "-o", m.path(".gif"), _gif(m, width, height, m.amount(20, 60))])


@variant("notes", MEMORY, CPU)
def csound_notes(m):
    """Each voice that sounds with others has its own delay line; a voice that ended is used again: stairs with the number at once."""
    seconds, voices, chance = m.amount(30, 110), m.amount(30, 150), m.chance
    length, rise = m.between(2, 12), m.one_of(True, False)
    text = [f"<CsoundSynthesizer>\n<CsInstruments>\nsr=44100\nksmps=64\nnchnls=1\n0dbfs=1\ngi1 ftgen 1,0,16384,10,1,.5,.3\ninstr 1\na1 poscil p4,p5,1\n"
            f"ad delayr {length:.2f}\na2 deltapi {length / 2:.2f}\ndelayw a1+a2*.4\nout a1*.1+a2*.1\nendin\n</CsInstruments>\n<CsScore>\n"]
    for number in range(voices * 4):
        at = seconds * (number / voices / 4) ** (0.6 if rise else 1)
        text.append(f"i1 {at:.3f} {seconds * chance.uniform(0.05, 0.3):.3f} .02 {chance.randint(80, 900)}\n")
    text.append("e\n</CsScore>\n</CsoundSynthesizer>\n")
    return Command(["csound", "-d", "-m0", "-n", m.write(".csd", (line.encode() for line in text))])


@variant("tables", MEMORY, CPU)
def csound_tables(m):
    """Tables of the score are made one by one and stay, then they are played."""
    log, count = m.one_of(18, 19, 20), m.amount(10, 50)
    text = ["<CsoundSynthesizer>\n<CsInstruments>\nsr=44100\nksmps=32\nnchnls=1\n0dbfs=1\ninstr 1\na1 poscil .1,p4,p5\n"
            "a2 moogladder a1,900,.3\nout a2\nendin\n</CsInstruments>\n<CsScore>\n"]
    for number in range(count):
        kind = m.one_of(f"10 {' '.join(str(round(1 / h, 2)) for h in range(1, m.chance.randint(3, 12)))}", "21 6 1", "7 0 1000 1 90000 0")
        text.append(f"f{number + 1} {number * m.between(0, 1.5):.2f} {1 << log} {kind}\n")
    text.extend(f"i1 {number * 1.5:.1f} {m.amount(5, 20)} {number % 90 + 60} {number + 1}\n" for number in range(count))
    text.append("e\n</CsScore>\n</CsoundSynthesizer>\n")
    return Command(["csound", "-d", "-m0", "-n", m.write(".csd", (line.encode() for line in text))])


@variant("points", MEMORY, CPU)
def qdelaunay_points(m):
    """Facets grow with each point that is added, the more the more axes there are."""
    axes, most = m.one_of((2, 300000), (3, 60000), (4, 6000), (5, 900))
    count = m.amount(most // 6, most) + 8
    return Command(["qdelaunay", *m.one_of([], ["Qt"], ["QJ"]), m.one_of("s", "i", "Fv"), "TI",
                    m.write(".pts", (f"{axes}\n{count}\n".encode(), "\n".join(_points(m, count, axes)).encode(), b"\n")), "TO", m.path(".out")])


@variant("union", MEMORY, CPU)
def openscad_union(m):
    """Solids are joined, or cut out of a slab, one by one and exactly: the result so far grows with its corners."""
    chance = m.chance
    shape = m.one_of("sphere(3,$fn=10);", "cylinder(h=9,r=2,$fn=14);", "cube(4);", "rotate([20,30,9]) cube([2,2,12]);")
    text = "\n".join(f"translate([{chance.uniform(0, 30):.2f},{chance.uniform(0, 30):.2f},{chance.uniform(0, 9):.2f}]) {shape}"
                     for _ in range(m.amount(8, 36) + 1))
    first = m.one_of("union() {", "difference() { translate([-1,-1,1]) cube([36,36,7]);")
    return Command(["openscad", "-q", "-o", m.path(".stl"), m.write(".scad", [f"{first}\n{text}\n}}\n".encode()])])


@variant("lists", MEMORY, CPU)
def openscad_lists(m):
    """A surface is computed as lists of points and faces and written without solid geometry: jumps from stage to stage."""
    side = m.amount(90, 480)
    text = (f"n={side};\np=[for(i=[0:n]) for(j=[0:n]) [i,j,sin(i*7)*cos(j*5)*{m.amount(3, 9)}]];\n"
            "f=[for(i=[0:n-1]) for(j=[0:n-1]) each [[i*(n+1)+j,i*(n+1)+j+1,(i+1)*(n+1)+j],[i*(n+1)+j+1,(i+1)*(n+1)+j+1,(i+1)*(n+1)+j]]];\n"
            "polyhedron(p,f);\n")
    return Command(["openscad", "-q", "-o", m.path(".off"), m.write(".scad", [text.encode()])])


@variant("effort", MEMORY, CPU)
def cjxl_effort(m):
    """The picture as floating point planes at once; lossless trees are learned from all samples."""
    way, low, high = m.one_of((["-d", "1", "-e", "4"], 700, 3000), (["-d", "2", "-e", "7"], 500, 2200), (["-d", "0", "-e", "3"], 900, 3600),
                              (["-d", "0", "-e", "5"], 400, 1500), (["-d", "0", "-e", "7"], 300, 1000))
    return Command(["cjxl", "--quiet", *way, "--num_threads=" + m.one_of("0", "1", "2"), _picture(m, m.amount(low, high), m.amount(low, high)), m.path(".jxl")])


@variant("points", MEMORY, CPU)
def tetgen_points(m):
    """Tetrahedra between all points: growth with each that is put in."""
    count = m.amount(20000, 250000) + 5
    nodes = m.write(".node", (f"{count} 3 0 0\n".encode(), "\n".join(f"{i} {point}" for i, point in enumerate(_points(m, count, 3))).encode(), b"\n"))
    return Command(["tetgen", "-Q" + m.one_of("NEF", "", "J"), nodes])


@variant("refine", MEMORY, CPU)
def tetgen_refine(m):
    """A box is filled and cut finer until every part is small enough: growth that the input does not show."""
    corners = [f"{i + 1} {i & 1} {i >> 1 & 1} {i >> 2}" for i in range(8)]
    sides = ("1 2 4 3", "5 6 8 7", "1 2 6 5", "3 4 8 7", "1 3 7 5", "2 4 8 6")
    text = "8 3 0 0\n" + "\n".join(corners) + "\n6 0\n" + "".join(f"1\n4 {side}\n" for side in sides) + "0\n0\n"
    return Command(["tetgen", f"-Qpq{m.one_of('1.4', '1.6', '2')}a{1 / m.amount(30000, 400000):.9f}", m.write(".poly", [text.encode()])])


@variant("colours", MEMORY, CPU)
def pnmremap_colours(m):
    """A table takes in each new colour with the nearest of the palette, so it grows until all colours were seen."""
    known = [m.chance.randbytes(3) for _ in range(m.one_of(16, 64, 256))]
    palette = m.write(".ppm", (f"P6 {len(known)} 1 255\n".encode(), *known))
    width, height = m.amount(480, 1250), m.amount(480, 1100)
    picture = m.write(".ppm", (f"P6 {width} {height} 255\n".encode(), *(m.chance.randbytes(width * 3) for _ in range(height))))
    return Command(["sh", "-c", f"pnmremap {m.one_of('', '-floyd', '-norandom -floyd')} -mapfile={palette} {picture} > {m.path('.out')}"])


@variant("sheets", MEMORY, CPU)
def unpaper_sheets(m):
    """Scan after scan is read, turned, cleaned and given back: a saw."""
    flags, most = m.one_of(("--no-noisefilter", 1700), ("--no-deskew", 1700), ("--no-deskew --no-noisefilter --no-blurfilter --no-grayfilter", 2800))
    chance, width, height = m.chance, m.amount(800, most), m.amount(1000, most)
    lines = [bytes(chance.choice((0, 255, 255)) for _ in range(width // 8)) for _ in range(16)]
    lines = [b"".join(bytes([pixel]) * 8 for pixel in line).ljust(width, b"\xff") for line in lines] + [b"\xff" * width] * 12
    names = [m.path(".pgm") for _ in range(m.amount(2, 4))]
    for name in names:
        name.write_bytes(f"P5 {width} {height} 255\n".encode() + b"".join(chance.choice(lines) * 10 for _ in range(height // 10 + 1))[:width * height])
    return Command(["sh", "-c", "; ".join(f"unpaper -q --overwrite {flags} {name} {m.path('.pgm')}" for name in names)])


@variant("points", MEMORY, CPU)
def delaunay_points(m):
    """Triangles, edges and a hash of what hangs on what: growth with each point."""
    count = m.amount(16000, 80000) + 3
    path = m.write(".pts", (f"{count} 0 0\n".encode(), *(f"{point} 0\n".encode() for point in _points(m, count, 2))))
    return Command(["sh", "-c", f"delaunay {m.one_of('', '-d', '-c')} < {path} > {m.path('.gts')}"])


GM = (gm_filters, gm_morph, gm_montage)
VIPS = (vips_stream, vips_whole)
OPJ = (opj_tiles,)
X264 = (x264_lookahead,)
X265 = (x265_lookahead,)
AOMENC = (aomenc_passes, aomenc_live)
VPXENC = (vpxenc_passes,)
MKVMERGE = (mkvmerge_subtitles, mkvmerge_attachments)
GIFSICLE = (gifsicle_animation,)
CSOUND = (csound_notes, csound_tables)
QDELAUNAY = (qdelaunay_points,)
OPENSCAD = (openscad_union, openscad_lists)
CJXL = (cjxl_effort,)
TETGEN = (tetgen_points, tetgen_refine)
PNMREMAP = (pnmremap_colours,)
UNPAPER = (unpaper_sheets,)
DELAUNAY = (delaunay_points,)
