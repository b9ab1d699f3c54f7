"""Which programs the corpus holds, where Debian has them, and which split each belongs to.

This table is the definition of the splits. A program is in one split with all its variants and scripts, so the scores on
`test` are those of programs the model never saw; `validation` chooses thresholds and stops training. Moving a program
between splits makes older scores incomparable: add programs, do not move them."""
from command import TEST, TRAIN, VALIDATION, Program
from families import build, compress, data, documents, files, interpreters, languages, media, net, solvers

PROGRAMS = (
    Program("xz", "xz-utils", TRAIN, compress.XZ),
    Program("python3", "python3", TRAIN, interpreters.PYTHON, interpreter=True),
    Program("perl", "perl", TRAIN, interpreters.PERL, interpreter=True),
    Program("gawk", "gawk", TRAIN, data.GAWK, interpreter=True),
    Program("jq", "jq", TRAIN, data.JQ),
    Program("sqlite3", "sqlite3", TRAIN, data.SQLITE),
    Program("gcc", "gcc", TRAIN, build.GCC),
    Program("g++", "g++", TRAIN, build.GPP),
    Program("gzip", "gzip", TRAIN, compress.GZIP),
    Program("bzip2", "bzip2", TRAIN, compress.BZIP2),
    Program("zstd", "zstd", TRAIN, compress.ZSTD),
    Program("tar", "tar", TRAIN, compress.TAR),
    Program("sort", "coreutils", TRAIN, data.SORT),
    Program("grep", "grep", TRAIN, data.GREP),
    Program("dd", "coreutils", TRAIN, files.DD),
    Program("sha256sum", "coreutils", TRAIN, files.SHA256SUM),
    Program("cp", "coreutils", TRAIN, files.CP),
    Program("find", "findutils", TRAIN, files.FIND),
    Program("make", "make", TRAIN, build.MAKE),
    Program("node", "nodejs", TRAIN, interpreters.NODE, interpreter=True),
    Program("ffmpeg", "ffmpeg", TRAIN, media.FFMPEG),
    Program("openssl", "openssl", TRAIN, net.OPENSSL),
    Program("bc", "bc", TRAIN, data.BC),
    Program("curl", "curl", TRAIN, net.CURL),
    Program("nc", "netcat-openbsd", TRAIN, net.NC),
    Program("z3", "z3", TRAIN, solvers.Z3),
    Program("glpsol", "glpk-utils", TRAIN, solvers.GLPSOL),
    Program("Rscript", "r-base-core", TRAIN, languages.RSCRIPT, interpreter=True),
    Program("sbcl", "sbcl", TRAIN, languages.SBCL, interpreter=True),
    Program("swipl", "swi-prolog-nox", TRAIN, languages.SWIPL, interpreter=True),
    Program("m4", "m4", TRAIN, documents.M4),
    Program("mlr", "miller", TRAIN, documents.MLR),
    Program("cppcheck", "cppcheck", TRAIN, build.CPPCHECK),
    Program("nasm", "nasm", TRAIN, build.NASM),
    Program("ngspice", "ngspice", TRAIN, solvers.NGSPICE),
    Program("samtools", "samtools", TRAIN, solvers.SAMTOOLS),
    Program("pandoc", "pandoc", TRAIN, documents.PANDOC),

    Program("lua5.4", "lua5.4", VALIDATION, interpreters.LUA, interpreter=True),
    Program("guile", "guile-3.0", VALIDATION, interpreters.GUILE, interpreter=True),
    Program("git", "git", VALIDATION, build.GIT),
    Program("sox", "sox", VALIDATION, media.SOX),
    Program("pigz", "pigz", VALIDATION, compress.PIGZ),
    Program("cpio", "cpio", VALIDATION, compress.CPIO),
    Program("dc", "dc", VALIDATION, data.DC),
    Program("socat", "socat", VALIDATION, net.SOCAT),
    Program("brotli", "brotli", VALIDATION, compress.BROTLI),
    Program("gp", "pari-gp", VALIDATION, solvers.GP),
    Program("tclsh", "tcl", VALIDATION, languages.TCLSH, interpreter=True),
    Program("mawk", "mawk", VALIDATION, languages.MAWK, interpreter=True),
    Program("dot", "graphviz", VALIDATION, documents.DOT),
    Program("bwa", "bwa", VALIDATION, solvers.BWA),

    Program("ruby", "ruby", TEST, interpreters.RUBY, interpreter=True),
    Program("php", "php-cli", TEST, interpreters.PHP, interpreter=True),
    Program("convert", "imagemagick", TEST, media.CONVERT),
    Program("gs", "ghostscript", TEST, media.GS),
    Program("gnuplot", "gnuplot-nox", TEST, data.GNUPLOT),
    Program("b2sum", "coreutils", TEST, files.B2SUM),
    Program("rsync", "rsync", TEST, files.RSYNC),
    Program("wget", "wget", TEST, net.WGET),
    Program("7z", "p7zip-full", TEST, compress.SEVEN),
    Program("minisat", "minisat", TEST, solvers.MINISAT),
    Program("escript", "erlang-base", TEST, languages.ESCRIPT, interpreter=True),
    Program("java", "default-jdk-headless", TEST, languages.JAVA, interpreter=True),
    Program("xmllint", "libxml2-utils", TEST, documents.XMLLINT),
    Program("diff", "diffutils", TEST, documents.DIFF),
    Program("shuf", "coreutils", TEST, documents.SHUF),
    Program("datamash", "datamash", TEST, documents.DATAMASH),
    Program("clang", "clang", TEST, build.CLANG),
    Program("rsvg-convert", "librsvg2-bin", TEST, documents.RSVG),
)


def code_of(program, variant):
    """The code_id of a variant's executions, made as the product makes it: the executable, for interpreters the script."""
    return f"{program.name}:{variant.name}" if program.interpreter else program.name
