"""Pictures, sound, video, pages: large buffers taken early, jumps, long computing at a flat height."""
from command import CPU, MEMORY, variant, Command


@variant("filters", MEMORY, CPU)
def convert_filters(m):
    image = m.image(m.amount(1200, 4500), m.amount(1200, 4500))
    work = m.one_of(["-blur", "0x3"], ["-resize", "170%"], ["-rotate", "30"], ["-median", "2"], ["-colorspace", "Lab", "-equalize"],
                    ["-swirl", "90"], ["(", "+clone", "-negate", ")", "-append", "-resize", "60%"])
    return Command(["convert", "-limit", "memory", "4GiB", "-limit", "map", "4GiB", "-limit", "thread", "2", image, *work, "ppm:/dev/null"])


@variant("frames", MEMORY)
def convert_frames(m):
    """A list of pictures held together: stairs."""
    size, frames = m.amount(500, 1800), m.amount(4, 16)
    images = [m.image(size, size) for _ in range(2)]
    return Command(["convert", "-limit", "memory", "4GiB", *(images * frames),
                    "-morph", "1", "-evaluate-sequence", "mean", "ppm:/dev/null"])


@variant("x264", MEMORY, CPU)
def ffmpeg_x264(m):
    width = m.one_of(320, 640, 960, 1280)
    return Command(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={width}x{width * 9 // 16 // 2 * 2}:rate=25",
                    "-t", m.amount(4, 40), "-c:v", "libx264", "-preset", m.one_of("ultrafast", "veryfast", "fast", "slow"),
                    "-threads", m.one_of(1, 2),
                    *m.one_of([], ["-x264-params", f"rc-lookahead={m.one_of(60, 150, 250)}"]), "-f", "null", "-"])


@variant("reverse", MEMORY)
def ffmpeg_reverse(m):
    """Keeps every frame before it writes the first: linear growth, then a slow fall."""
    return Command(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i",
                    f"testsrc2=size={m.one_of('320x240', '480x360', '640x480')}:rate=25:duration={m.amount(8, 50)}",
                    "-vf", "format=yuv420p,reverse", "-c:v", m.one_of("mpeg4", "rawvideo"), "-f", "null", "-"])


@variant("audio", CPU)
def ffmpeg_audio(m):
    return Command(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "anoisesrc=r=48000", "-t", m.amount(200, 3000), "-c:a",
                    m.one_of("flac", "aac", "ac3"), "-f", "null", "-"])


@variant("reverse", MEMORY, CPU)
def sox_reverse(m):
    return Command(["sox", m.sound(m.amount(150, 1200)), "-n", m.one_of("reverse", "stat"), m.one_of("vol", "gain"),
                    "0.5", "rate", m.one_of("96000", "22050")])


@variant("effects", CPU)
def sox_effects(m):
    return Command(["sox", m.sound(m.amount(100, 800)), "-n", *m.one_of(["reverb"], ["tempo", "1.3"], ["pitch", "200"], ["flanger"])])


@variant("pages", MEMORY, CPU)
def gs_pages(m):
    how = m.one_of(["ppmraw"], ["pbmraw"], ["pdfwrite"], ["ppmraw", "-dGraphicsAlphaBits=4"], ["ppmraw", "-dMaxBitmap=500000000"])
    return Command(["gs", "-q", "-dNOPAUSE", "-dBATCH", f"-r{m.one_of(100, 200, 300, 450)}", f"-sDEVICE={how[0]}", *how[1:],
                    "-sOutputFile=/dev/null", m.postscript(m.amount(3, 20), m.amount(300, 4000))])


CONVERT = (convert_filters, convert_frames)
FFMPEG = (ffmpeg_x264, ffmpeg_reverse, ffmpeg_audio)
SOX = (sox_reverse, sox_effects)
GS = (gs_pages,)
