"""What builds software: compilers, make, git."""
import subprocess

from command import CPU, FAULT, MEMORY, variant, Command
from machine import environment, find_program


@variant("functions", MEMORY, CPU)
def gcc_functions(m):
    return Command(["gcc", f"-O{m.one_of(1, 2, 3)}", *m.one_of([], ["-g"]), "-w", "-c", "-o", "/dev/null",
                    m.c_source(m.amount(40, 500), m.amount(10, 60))])


@variant("one-function", MEMORY, CPU)
def gcc_one(m):
    return Command(["gcc", f"-O{m.one_of(0, 1, 2)}", "-w", "-c", "-o", "/dev/null", m.c_source(1, m.amount(400, 2500))])


@variant("table", MEMORY, CPU)
def gcc_table(m):
    return Command(["gcc", "-O1", "-w", "-c", "-o", "/dev/null", m.c_table(m.amount(50000, 600000))])


@variant("error", FAULT)
def gcc_error(m):
    path = m.c_source(m.amount(60, 300), 30)
    path.write_text(path.read_text().replace("return sum & 1;", "return sum & undeclared;"))
    return Command(["gcc", "-O2", "-w", "-c", "-o", "/dev/null", path])


@variant("templates", MEMORY, CPU)
def gpp_templates(m):
    return Command(["g++", f"-O{m.one_of(0, 1, 2)}", "-ftemplate-depth=2000", "-c", "-o", "/dev/null",
                    m.cpp_templates(m.amount(40, 300), m.amount(4, 40))])


@variant("headers", MEMORY, CPU)
def gpp_headers(m):
    path = m.path(".cc")
    names = m.words(m.amount(5, 40))
    parts = ["#include <regex>\n#include <map>\n#include <unordered_map>\n#include <iostream>\n"]
    for i, name in enumerate(names):
        parts.append(f"struct s{i} {{ int x; }};\nstd::unordered_map<std::string, std::map<int, s{i}>> m{i};\n"
                     f"bool f{i}(const std::string &t) {{ std::regex r(\"{name}.*\"); m{i}[t][1].x++;"
                     f" return std::regex_match(t, r); }}\n")
    path.write_text("".join(parts))
    return Command(["g++", f"-O{m.one_of(0, 1, 2)}", "-c", "-o", "/dev/null", path])


@variant("units", MEMORY, CPU)
def make_units(m):
    units = m.amount(4, 14)
    makefile = m.path(".mk")
    objects = []
    rules = []
    for _ in range(units):
        source = m.c_source(m.amount(20, 120), m.amount(10, 30))
        objects.append(f"{source}.o")
        rules.append(f"{source}.o: {source}\n\tgcc -O{m.one_of(1, 2)} -w -c -o $@ $<\n")
    makefile.write_text(f"all: {' '.join(objects)}\n" + "".join(rules))
    return Command(["make", "-s", f"-j{m.one_of(1, 2, 3)}", "-f", makefile], fresh=tuple(objects))


def _repository(m, commits, files):
    """A bare repository of loose history in one pack, made outside any limit."""
    directory, stream = m.path(".git"), m.fast_import(commits, files)
    git = find_program("git")
    if not git:
        return directory
    subprocess.run([git, "init", "-q", "--bare", directory], check=True, env=environment(m.directory))
    with open(stream, "rb") as source:
        subprocess.run([git, "-C", directory, "fast-import", "--quiet"], stdin=source, check=True, env=environment(m.directory))
    return directory


@variant("repack", MEMORY, CPU)
def git_repack(m):
    repository = _repository(m, m.amount(150, 900), m.amount(5, 60))
    return Command(["git", "-C", repository, "-c", f"pack.threads={m.one_of(1, 2)}", "repack", "-adfq", f"--window={m.amount(10, 120)}",
                    f"--depth={m.amount(10, 60)}"])


@variant("fast-import", MEMORY, CPU)
def git_import(m):
    stream, repository = m.fast_import(m.amount(400, 2500), m.amount(5, 200)), m.path(".git")
    subprocess.run([find_program("git") or "git", "init", "-q", "--bare", repository], check=True, env=environment(m.directory))
    return Command(["git", "-C", repository, "fast-import", "--quiet", "--force"], stdin=stream)


@variant("units", MEMORY, CPU)
def clang_units(m):
    source = m.c_source(m.amount(40, 400), m.amount(10, 50)) if m.one_of(0, 1) else m.c_table(m.amount(50000, 500000))
    return Command(["clang", f"-O{m.one_of(0, 1, 2)}", *m.one_of([], ["-g"]), "-w", "-c", "-o", m.path(".o"), source])


@variant("templates", MEMORY, CPU)
def clang_templates(m):
    return Command(["clang", "-x", "c++", f"-O{m.one_of(0, 1)}", "-ftemplate-depth=2000", "-w", "-c", "-o", m.path(".o"),
                    m.cpp_templates(m.amount(40, 250), m.amount(4, 30))])


@variant("checks", MEMORY, CPU)
def cppcheck_checks(m):
    return Command(["cppcheck", "-q", *m.one_of([], ["--enable=all"], ["--inconclusive"]), m.c_source(m.amount(10, 120), m.amount(10, 60))])


@variant("labels", MEMORY, CPU)
def nasm_labels(m):
    chance = m.chance

    def pieces():
        yield b"bits 64\nsection .text\n"
        for number in range(m.amount(20000, 400000)):
            yield chance.choice((f"l{number}: mov rax, {chance.getrandbits(30)}\n", f"l{number}: jmp l{chance.randrange(number + 1)}\n",
                                 f"l{number}: dq {', '.join(str(chance.getrandbits(40)) for _ in range(8))}\n")).encode()
    return Command(["nasm", f"-O{m.one_of('0', 'x')}", "-f", m.one_of("elf64", "bin"), *m.one_of([], ["-g"]), "-o", m.path(".o"),
                    m.write(".asm", pieces())])


@variant("repeated", MEMORY, CPU)
def nasm_repeated(m):
    text = f"bits 64\n%assign i 0\n%rep {m.amount(20000, 300000)}\nm %+ i: add rax, i\n dd i, i * 3\n%assign i i + 1\n%endrep\n"
    return Command(["nasm", "-f", "elf64", "-o", m.path(".o"), m.write(".asm", [text.encode()])])


GCC = (gcc_functions, gcc_one, gcc_table, gcc_error)
GPP = (gpp_templates, gpp_headers)
MAKE = (make_units,)
GIT = (git_repack, git_import)
CLANG = (clang_units, clang_templates)
CPPCHECK = (cppcheck_checks,)
NASM = (nasm_labels, nasm_repeated)
