"""What makes pages and pictures: typesetting, PDF, markup, spelling, tracing, rendering, sound."""
import struct
import zlib

from command import CACHE, CPU, MEMORY, variant, Command


def _pdf(m, bodies):
    """A PDF of these objects; the first is the catalog."""
    offsets = []

    def pieces():
        at = len(head)
        yield head
        for number, body in enumerate(bodies, 1):
            piece = b"%d 0 obj\n%s\nendobj\n" % (number, body)
            offsets.append(at)
            at += len(piece)
            yield piece
        yield b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
        yield b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        yield b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, at)
    head = b"%PDF-1.5\n"
    return m.write(".pdf", pieces())


def _stream(data, entries=b"", packed=False):
    if packed:
        data, entries = zlib.compress(data, 1), entries + b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def _pages(m, pages, content, sizes=None, picture=None):
    """A PDF where every page has a content stream and perhaps a picture: objects 3, 6, 9 ... are the pages."""
    sizes = sizes or [(595, 842)] * pages
    kids = b" ".join(b"%d 0 R" % (4 + 3 * number) for number in range(pages))

    def bodies():
        yield b"<< /Type /Catalog /Pages 2 0 R >>"
        yield b"<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, kids)
        yield b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        for number, (width, height) in enumerate(sizes):
            yield (b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >>"
                   b" /XObject << /I %d 0 R >> >> >>" % (width, height, 5 + 3 * number, 6 + 3 * number))
            yield _stream(content(number, width, height), packed=True)
            yield picture(number) if picture else b"null"
    return _pdf(m, bodies())


def _strokes(m, count, width, height):
    """Small curves, filled and stroked, all over the page."""
    chance, curves = m.chance, []
    for _ in range(500):
        x, y, *near = chance.randrange(width), chance.randrange(height), *(chance.randint(-30, 30) for _ in range(6))
        points = b" ".join(b"%d" % (at + by) for at, by in zip((x, y) * 3, near))
        curves.append(b"0.%d 0.%d 0.5 rg %d %d m %s c %s" % (chance.randrange(10), chance.randrange(10), x, y, points, chance.choice((b"f", b"S", b"B"))))
    return b"\n".join(chance.choices(curves, k=count))


@variant("objects", MEMORY, CPU)
def qpdf_objects(m):
    """Every object is held, then numbered anew and written."""
    count, chance = m.amount(25000, 180000), m.chance

    def bodies():
        yield b"<< /Type /Catalog /Pages 2 0 R /Kept 3 0 R >>"
        yield b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>"
        yield b"[%s]" % b" ".join(b"%d 0 R" % number for number in range(5, count, 7))
        yield b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] >>"
        for number in range(5, count):
            yield b"<< /N %d /Next %d 0 R /At [%d %d] /Name (n%x) >>" % (number, number // 3 + 2, number % 89, number % 97, chance.getrandbits(40))
        yield b"null"
    how = m.one_of(["--linearize"], ["--object-streams=generate"], ["--object-streams=generate", "--linearize"], ["--qdf"])
    return Command(["qpdf", "--static-id", *how, _pdf(m, bodies()), m.path(".out")])


@variant("repeated", MEMORY, CPU)
def qpdf_repeated(m):
    """Takes the same pages again and again from more and more files."""
    source = _pages(m, m.amount(150, 800), lambda number, width, height: _strokes(m, 20, width, height))
    copies = [m.write(".pdf", [source.read_bytes()]) for _ in range(m.amount(6, 25))]
    return Command(["qpdf", "--static-id", "--empty", "--pages", *copies, "--", m.path(".out")])


@variant("swelling", MEMORY, CPU)
def pdftoppm_swelling(m):
    """Each page is larger than the one before."""
    pages, growth, strokes = m.amount(16, 30), m.between(1.08, 1.15), m.amount(50, 1000)
    sizes = [(int(300 * growth ** number), int(400 * growth ** number)) for number in range(pages)]
    while sizes[-1][0] > 2500:
        sizes.pop()
    source = _pages(m, len(sizes), lambda number, width, height: _strokes(m, strokes, width, height), sizes)
    return Command(["pdftoppm", "-r", m.one_of(150, 200, 250), *m.one_of(["-gray"], [], ["-aa", "no"]), source, m.path(".page")])


@variant("pages", CPU)
def pdftoppm_pages(m):
    strokes = m.amount(200, 3000)
    source = _pages(m, m.amount(4, 30), lambda number, width, height: _strokes(m, strokes, width, height))
    return Command(["pdftoppm", "-r", m.one_of(75, 100, 200), *m.one_of(["-png"], []), source, m.path(".page")])


@variant("pictures", MEMORY, CPU)
def mutool_pictures(m):
    """Decoded pictures stay in its store as long as there is room."""
    pages, side = m.amount(20, 70), m.amount(600, 1200)
    row = m.chance.randbytes(side * 3 + 999)

    def picture(number):
        data = b"".join(row[(i * number) % 997:][:side * 3] for i in range(side))
        return _stream(data, b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8" % (side, side), True)
    source = _pages(m, pages, lambda number, width, height: b"q %d 0 0 %d 0 0 cm /I Do Q" % (width, height), picture=picture)
    return Command(["mutool", "draw", "-q", "-r", m.one_of(100, 150, 250), "-F", "pnm", "-o", m.path(".pnm"), source])


@variant("list", MEMORY, CPU)
def mutool_list(m):
    """The page is first a list of everything on it."""
    strokes = m.amount(80000, 500000)
    source = _pages(m, 1, lambda number, width, height: _strokes(m, strokes, width, height))
    return Command(["mutool", "draw", "-q", "-r", m.one_of(10, 20, 36), "-F", m.one_of("pnm", "svg", "png"), "-o", m.path(".out"), source])


def _povray(m, scene, width):
    return Command(["povray", "-D", "-GA", "+FN", "+WT2", f"+W{width}", f"+H{width * 3 // 4}", f"+I{scene}", f"+O{m.path('.png')}"])


@variant("spheres", MEMORY, CPU)
def povray_spheres(m):
    """Reads the scene, sorts it, renders it."""
    chance, count = m.chance, m.amount(15000, 160000)

    def pieces():
        yield b"#version 3.7; global_settings { assumed_gamma 1 }\ncamera { location <0,0,-30> look_at 0 }\nlight_source { <9,9,-40> rgb 1 }\n"
        for _ in range(count):
            x, y, z = (chance.randrange(-900, 900) / 100 for _ in range(3))
            yield f"sphere {{ <{x},{y},{z}>, 0.{chance.randint(1, 9)} pigment {{ rgb <0.{chance.randint(1, 9)},0.5,0.2> }} }}\n".encode()
    return _povray(m, m.write(".pov", pieces()), m.amount(100, 500))


@variant("growth", MEMORY, CPU)
def povray_growth(m):
    """A scene that a short program makes: a tree whose branches double with every level."""
    return _povray(m, m.write(".pov", [f"""#version 3.7; global_settings {{ assumed_gamma 1 }}
camera {{ location <0,4,-9> look_at <0,3,0> }} light_source {{ <9,9,-9> rgb 1 }}
#macro branch(at, along, n)
  cylinder {{ at, at + along, {m.between(0.01, 0.04):.3f} pigment {{ rgb <0.4,n/20,0.2> }} }}
  #if (n > 0)
    branch(at + along, vrotate(along, <21,31,9>) * 0.8, n - 1)
    branch(at + along, vrotate(along, <-17,-25,-33>) * 0.8, n - 1)
  #end
#end
branch(0, y * 1.5, {m.one_of(14, 15, 16, 17)})
""".encode()]), m.amount(60, 400))


@variant("light", MEMORY, CPU)
def povray_light(m):
    """Photons are shot and kept before the first line is rendered."""
    return _povray(m, m.write(".pov", [f"""#version 3.7; global_settings {{ assumed_gamma 1 photons {{ count {m.amount(800000, 8000000)} }} }}
camera {{ location <0,5,-9> look_at 0 }} light_source {{ <9,19,-9> rgb 1 photons {{ refraction on reflection on }} }}
plane {{ y, -1 pigment {{ rgb 0.9 }} }}
sphere {{ 0, 1 pigment {{ rgbt 1 }} interior {{ ior 1.5 }} photons {{ target refraction on reflection on }} }}
""".encode()]), m.amount(60, 400))


def _rows(m, rows):
    names, chance = m.words(300), m.chance
    lines = (f"<row id='{number}' to='{chance.randrange(rows)}'><name>{chance.choice(names)}</name><v>{chance.random():.5f}</v></row>\n".encode()
             for number in range(rows))
    return m.write(".xml", (b"<rows>\n", *lines, b"</rows>\n"))


def _sheet(m, body):
    return m.write(".xsl", [f"<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>{body}</xsl:stylesheet>".encode()])


@variant("sorted", MEMORY, CPU)
def xsltproc_sorted(m):
    """The input as a tree, and then the result as another."""
    kind = m.one_of("text", "number")
    sheet = _sheet(m, "<xsl:key name='k' match='row' use='@id'/><xsl:template match='/'><out>"
                      f"<xsl:for-each select='rows/row'><xsl:sort select='v' data-type='{kind}'/>"
                      "<r><xsl:copy-of select='name'/><to><xsl:value-of select=\"key('k', @to)/name\"/></to></r></xsl:for-each></out></xsl:template>")
    return Command(["xsltproc", "-o", m.path(".out"), sheet, _rows(m, m.amount(20000, 160000))])


@variant("doubling", MEMORY, CPU)
def xsltproc_doubling(m):
    """Templates that call themselves twice."""
    sheet = _sheet(m, "<xsl:template name='t'><xsl:param name='n'/><node n='{$n}' "
                      f"text='{'x' * m.amount(1, 500)}'><xsl:if test='$n &gt; 0'>"
                      "<xsl:call-template name='t'><xsl:with-param name='n' select='$n - 1'/></xsl:call-template>"
                      "<xsl:call-template name='t'><xsl:with-param name='n' select='$n - 1'/></xsl:call-template>"
                      "</xsl:if></node></xsl:template><xsl:template match='/'><xsl:call-template name='t'>"
                      f"<xsl:with-param name='n' select='{m.one_of(16, 17, 18)}'/></xsl:call-template></xsl:template>")
    return Command(["xsltproc", "-o", m.path(".out"), sheet, m.write(".xml", [b"<a/>\n"])])


@variant("book", MEMORY, CPU)
def cmark_book(m):
    """All of it becomes a tree before a word is written; what is marked up costs more than plain words."""
    chance, words = m.chance, m.words(500)
    marked = m.between(0.05, 0.6)
    marks = ("*{}*", "**{}**", "`{}`", "[{}](/u)", "[{}][r1]", "*{}")
    lines = [" ".join(chance.choice(marks).format(word) if chance.random() < marked else word for word in chance.choices(words, k=14))
             for _ in range(2000)]

    def pieces():
        for _ in range(m.amount(40, 200)):
            yield "".join(f"{chance.choice(('', '', '- ', '> ', '1. ', '# '))}{line}\n{chance.choice(('', '', chr(10)))}"
                          for line in chance.choices(lines, k=1000)).encode()
        yield b"\n[r1]: /x\n"
    return Command(["cmark", "-t", m.one_of("html", "latex", "xml", "commonmark"), m.write(".md", pieces())])


@variant("trace", MEMORY, CPU)
def potrace_trace(m):
    """Outlines of blots: one path after the other, all kept."""
    chance, side, dots = m.chance, m.amount(1000, 3800) // 8 * 8, m.one_of(2, 4, 9)
    row = b"".join(chance.choice((bytes(dots), b"\xff" * dots, chance.randbytes(1))) for _ in range(side // 8))
    rows = [row[at:] + row[:at] for at in chance.choices(range(len(row)), k=40)]
    rows = [(line * 2)[:side // 8] for line in rows]
    picture = m.write(".pbm", (f"P4 {side} {side}\n".encode(), *(chance.choice(rows) for _ in range(side))))
    return Command(["potrace", "-b", m.one_of("svg", "eps", "pgm", "geojson"), "-t", m.one_of(0, 2, 10), "-o", m.path(".out"), picture])


@variant("rules", MEMORY, CPU)
def sassc_rules(m):
    """Loops in loops: the sheet is expanded in memory."""
    outer = m.amount(80, 300)
    text = f"""@function f($a, $b) {{ @return ($a * 7 + $b) % 97; }}
@for $i from 1 through {outer} {{ .a#{{$i}} {{ @for $j from 1 through {m.amount(100, 200)} {{
  .b#{{$j}} {{ width: f($i, $j) * 1px; color: mix(#123, #fed, f($j, $i)); &:hover {{ margin: $i + $j + px; }} }} }} }} }}
"""
    return Command(["sassc", "-t", m.one_of("expanded", "compressed"), m.write(".scss", [text.encode()]), m.path(".css")])


@variant("lists", MEMORY, CPU)
def sassc_lists(m):
    """Every append copies the list."""
    text = f"""$l: (); $m: ();
@for $i from 1 through {m.amount(4000, 12000)} {{ $l: append($l, $i * 3px); @if $i % {m.one_of(2, 3, 5)} == 0 {{ $m: map-merge($m, (k#{{$i}}: $l)); }} }}
.a {{ width: length($l); height: length($m); }}
"""
    return Command(["sassc", m.write(".scss", [text.encode()]), m.path(".css")])


def _roff(m, paragraphs):
    words, chance = m.words(3000), m.chance
    for _ in range(paragraphs):
        yield f".sp\n{' '.join(chance.choices(words, k=60))}\n\\fB{chance.choice(words)}\\fP and \\s+2{chance.choice(words)}\\s0\n".encode()


@variant("kept", MEMORY, CPU)
def groff_kept(m):
    """Text set into a diversion is kept as single characters until it is let out."""
    parts, paragraphs = m.one_of(1, 1, 2, 5), m.amount(1500, 11000)

    def pieces():
        for part in range(parts):
            yield f".di d{part}\n".encode()
            yield from _roff(m, paragraphs // parts)
            yield f".br\n.di\n{m.chance.choice(('', f'.d{part}'))}\n{m.chance.choice(('', f'.rm d{part}'))}\n".encode()
    return Command(["groff", f"-T{m.one_of('ps', 'ascii', 'utf8')}", m.write(".roff", pieces())])


@variant("book", CPU)
def groff_book(m):
    return Command(["groff", f"-T{m.one_of('ps', 'ascii', 'dvi')}", m.write(".roff", _roff(m, m.amount(6000, 40000)))])


def _blocks(m):
    """Text of 1000 lines each, about 80 KiB."""
    chance, words = m.chance, m.words(900)
    return ["".join(" ".join(chance.choices(words, k=12)) + "\n" for _ in range(1000)).encode() for _ in range(20)]


@variant("hold", MEMORY, CPU)
def sed_hold(m):
    """The whole text in the hold space or the pattern space, then changed there."""
    how = m.one_of("H;$!d;x;s/\\n/,/g", ":a;N;$!ba;s/\\n/ /g", "H;$!d;g;s/[aeiou]/&&/g", "H;$!d;x;s/ [a-m]/\\n&/g")
    return Command(["sed", how, m.write(".txt", m.chance.choices(_blocks(m), k=m.amount(300, 2200)))])


@variant("paragraphs", MEMORY, CPU)
def sed_paragraphs(m):
    """Gathers one paragraph at a time; some of them are much longer."""
    blocks = _blocks(m)
    paragraphs = (b"".join(m.chance.choices(blocks, k=m.amount(3, 500))) + b"\n" for _ in range(m.amount(8, 20)))
    return Command(["sed", "-n", "/^$/!{H;d};x;s/\\n/ /g;p;s/.*//;x", m.write(".txt", paragraphs)])


@variant("doubling", MEMORY, CPU)
def sed_doubling(m):
    """Each line doubles what is held."""
    digits = m.amount(5, 30)
    lines = m.write(".txt", (b"%0*x\n" % (digits, m.chance.getrandbits(4 * digits)) for _ in range(m.one_of(20, 21, 22))))
    return Command(["sed", "-n", "G;G;h;s/[0-4]/&/g;$p", lines])


@variant("check", MEMORY, CPU)
def hunspell_check(m):
    """A large dictionary first, then word after word at the same height."""
    parts, chance = m.words(3000), m.chance
    words = [f"{chance.choice(parts)}{chance.choice(parts)}" for _ in range(m.amount(150000, 800000))]
    base = m.path("")
    with open(f"{base}.dic", "w") as out:
        out.write(f"{len(words)}\n" + "".join(f"{word}{chance.choice(('', '/A', '/AB'))}\n" for word in words))
    with open(f"{base}.aff", "w") as out:
        out.write("SET ISO8859-1\nTRY esianrtolcdugmphbyfvkwz\nSFX A Y 2\nSFX A 0 s .\nSFX A 0 ing .\nPFX B Y 1\nPFX B 0 re .\n")
    text = m.write(".txt", (" ".join(chance.choices(words, k=400)).encode() + b"\n" for _ in range(m.amount(50, 500))))
    return Command(["hunspell", "-d", base, *m.one_of(["-l"], ["-a"]), text])


@variant("repair", MEMORY, CPU)
def tidy_repair(m):
    """A tree of everything, then mended, then written. Status 1 means that there was something to mend."""
    words, chance, depth = m.words(800), m.chance, m.one_of(1, 3, 6)
    lines = [" ".join(chance.choices(words, k=9)) for _ in range(800)]

    def pieces():
        yield b"<!DOCTYPE html><html><head><title>t</title></head><body>\n"
        for number in range(m.amount(12000, 120000)):
            yield (f"{'<div>' * depth}<p id=i{number}>{chance.choice(lines)} <b>{chance.choice(lines)}</b><ul><li>{number}<li>x</ul>"
                   f"{'</div>' * depth}\n").encode()
        yield b"</body></html>\n"
    return Command(["sh", "-c", f"tidy -q {m.one_of('-i', '-c', '-asxml')} --show-warnings no -o {m.path('.out')} {m.write('.html', pieces())}"
                                " 2> /dev/null; test $? -le 1"])


def _png(m, width, height):
    """A picture of slopes with some noise, without a filter."""
    noise = m.chance.randbytes(4096)

    def lines():
        for y in range(height):
            shift = m.chance.randrange(3000)
            row = bytearray(noise[shift:shift + 997] * (width * 3 // 997 + 1))[:width * 3]
            row[::3] = bytes((x * 255 // width + y) & 255 for x in range(width)) if y % 16 == 0 else (b"%c" % (y & 255)) * width
            yield b"\0" + row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packed = zlib.compress(b"".join(lines()), 1)
    return m.write(".png", (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                             chunk(b"IDAT", packed), chunk(b"IEND", b"")))


@variant("colours", MEMORY, CPU)
def pngquant_colours(m):
    return Command(["pngquant", "--force", "--speed", m.one_of(1, 3, 6), *m.one_of([], ["--nofs"]), "--output", m.path(".png"), m.one_of(16, 256), "--",
                    _png(m, m.amount(700, 2600), m.amount(700, 2600))])


@variant("lossless", MEMORY, CPU)
def cwebp_lossless(m):
    picture = _png(m, m.amount(800, 2800), m.amount(800, 2000))
    return Command(["cwebp", "-quiet", *m.one_of(["-lossless", "-m", "4"], ["-near_lossless", "60"], ["-z", "5"], ["-m", "6", "-q", "90"]),
                    picture, "-o", m.path(".webp")])


@variant("speech", CPU, CACHE)
def lame_speech(m):
    return Command(["lame", "--quiet", *m.one_of(["-V", "4"], ["-b", "128"], ["-q", "2"], ["--preset", "standard"]),
                    m.sound(m.amount(100, 600)), m.path(".mp3")])


@variant("panorama", MEMORY, CPU)
def enblend_panorama(m):
    """Picture after picture is blended into the canvas through pyramids of both."""
    width, height, count = m.amount(1400, 4000), m.amount(1200, 2400), m.amount(3, 7)
    strip = width // count
    pictures = []
    for number in range(count):
        left, right = max(number * strip - strip // 3, 0), min((number + 1) * strip + strip // 3, width)
        row = b"".join(m.chance.randbytes(3) + b"\xff" for _ in range(right - left))
        line = bytes(4 * left) + row + bytes(4 * (width - right))
        pictures.append(_tiff(m, width, height, line))
    return Command(["enblend", "--no-optimize", *m.one_of([], ["-l", "4"], ["-l", "7"], ["--fine-mask"]), "-o", m.path(".tif"), *pictures])


def _tiff(m, width, height, line):
    """RGBA without compression, in one strip."""
    tags = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 4, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 200), (277, 3, 1, 4),
            (278, 4, 1, height), (279, 4, 1, len(line) * height), (338, 3, 1, 2))
    table = b"".join(struct.pack("<HHII", tag, kind, count, 180 if tag == 258 else value) for tag, kind, count, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4)
    head = head.ljust(180, b"\0") + struct.pack("<4H", 8, 8, 8, 8)
    return m.write(".tif", (head.ljust(200, b"\0"), *(line for _ in range(height))))


@variant("still", MEMORY, CPU)
def avifenc_still(m):
    """A picture in one piece or in cells of a grid."""
    picture = _png(m, m.amount(400, 2000), m.amount(400, 1600))
    return Command(["avifenc", "-s", m.one_of(6, 8, 9), "-j", m.one_of(1, 2),
                    *m.one_of([], ["-y", "420"], ["-y", "444", "-d", "10"], ["--lossless"]), picture, m.path(".avif")])


QPDF = (qpdf_objects, qpdf_repeated)
PDFTOPPM = (pdftoppm_swelling, pdftoppm_pages)
MUTOOL = (mutool_pictures, mutool_list)
POVRAY = (povray_spheres, povray_growth, povray_light)
XSLTPROC = (xsltproc_sorted, xsltproc_doubling)
CMARK = (cmark_book,)
POTRACE = (potrace_trace,)
SASSC = (sassc_rules, sassc_lists)
GROFF = (groff_kept, groff_book)
SED = (sed_hold, sed_paragraphs, sed_doubling)
HUNSPELL = (hunspell_check,)
TIDY = (tidy_repair,)
PNGQUANT = (pngquant_colours,)
CWEBP = (cwebp_lossless,)
LAME = (lame_speech,)
ENBLEND = (enblend_panorama,)
AVIFENC = (avifenc_still,)
