"""Compilers, assemblers, linkers, code tools and smaller languages: tables that grow with the source, passes, simulations, heaps."""
import subprocess

from command import CACHE, CPU, MEMORY, variant, Command
from machine import environment, find_program


@variant("table", MEMORY, CPU)
def tcc_table(m):
    return Command(["tcc", "-c", *m.one_of([], ["-g"]), "-o", m.path(".o"), m.c_table(m.amount(120000, 900000))])


@variant("macros", MEMORY, CPU)
def tcc_macros(m):
    """Each definition is kept, each line that uses one is expanded and forgotten."""
    chance, width = m.chance, m.amount(5, 40)
    bodies = ["".join(f"+ {chance.randrange(99)} " for _ in range(chance.randint(1, width))) for _ in range(500)]

    def pieces():
        for number in range(m.amount(80000, 500000)):
            yield f"#define m{number}(a) ((a) {chance.choice(bodies)})\n".encode()
            if number % 5 == 3:
                yield f"m{chance.randrange(number)}(x)\n".encode()
    return Command(["tcc", "-E", "-o", m.path(".i"), m.write(".c", pieces())])


@variant("cells", MEMORY, CPU)
def iverilog_cells(m):
    """A few lines of source that generate thousands of modules."""
    text = """module cell_ #(parameter N = 1) (input clk, input [31:0] a, output reg [31:0] q);
    reg [31:0] m[0:N]; wire [31:0] s = q ^ (a + m[a % N]);
    always @(posedge clk) begin q <= q * 5 + s; m[a % N] <= q; end
endmodule
module top; reg clk = 0; wire [31:0] w[0:COUNT]; genvar i;
    generate for (i = 0; i < COUNT; i = i + 1) begin: g cell_ #(i % 9 + 1) c(clk, w[i], w[i + 1]); end endgenerate
    initial repeat (200) #1 clk = ~clk;
endmodule
"""
    count = m.amount(2000, 12000)
    return Command(["iverilog", "-o", m.path(".vvp"), m.write(".v", [text.replace("COUNT", str(count)).encode()])])


def _vvp(m, text):
    """The simulation of a design that was compiled outside any limit."""
    compiled, source = m.path(".vvp"), m.write(".v", [text.encode()])
    subprocess.run([find_program("iverilog") or "iverilog", "-g2012", "-o", compiled, source], check=True, env=environment(m.directory))
    return Command(["vvp", "-n", compiled])


@variant("clocked", CPU)
def vvp_clocked(m):
    return _vvp(m, f"""module top; reg clk = 0; integer i; reg [31:0] m[0:{m.amount(1000, 1000000)}]; reg [31:0] x = 1;
    always @(posedge clk) begin x <= x * 1664525 + 1013904223; m[x[31:4] % 1000] <= x ^ m[x % 1000]; end
    initial begin repeat ({m.amount(500000, 4000000)}) #1 clk = ~clk; $finish; end
endmodule
""")


@variant("queue", MEMORY, CPU)
def vvp_queue(m):
    """A queue whose writer is faster than its reader, and that may be emptied now and then."""
    count = m.amount(600000, 3000000)
    return _vvp(m, f"""module top; bit [{m.one_of(63, 255, 511)}:0] q[$], y; int x = 1; int n = 0;
    initial begin
        repeat ({count}) begin
            x = x * 1664525 + 1013904223; q.push_back(x); n = n + 1;
            if (x[31:24] < {m.one_of(0, 40, 90)}) y = q.pop_front();
            if (n == {m.one_of(2 * count, count // 2, count // 4)}) begin n = 0; q.delete(); end
        end
        $finish;
    end
endmodule
""")


@variant("trace", CPU, CACHE)
def vvp_trace(m):
    """Each change of each signal goes to a file."""
    return _vvp(m, f"""module top; reg clk = 0; genvar i;
    generate for (i = 0; i < {m.amount(20, 200)}; i = i + 1) begin: g reg [31:0] x = i; always @(posedge clk) x <= x * 1664525 + 1013904223; end endgenerate
    initial begin $dumpfile("{m.path('.vcd').name}"); $dumpvars; repeat ({m.amount(20000, 80000)}) #1 clk = ~clk; $finish; end
endmodule
""")


@variant("names", MEMORY, CPU)
def ctags_names(m):
    """Reads at constant memory; at the end sorts all names."""
    chance = m.chance
    words = m.words(3000)

    def pieces():
        for number in range(m.amount(60000, 500000)):
            yield f"int {chance.choice(words)}_{number};\n".encode() if number % 20 else f"#define {chance.choice(words)}{number} 1\n".encode()
    return Command(["ctags", f"--sort={m.one_of('yes', 'foldcase')}", "-f", m.path(".tags"), m.write(".c", pieces())])


@variant("functions", CPU)
def ctags_functions(m):
    return Command(["ctags", "--sort=no", "--fields=+lnS", "-f", m.path(".tags"), m.c_source(m.amount(1500, 5000), m.amount(20, 50))])


def _luajit(m, text):
    return Command(["luajit", "-"], stdin=m.write(".lua", [text.encode()]))


@variant("objects", MEMORY, CPU)
def luajit_objects(m):
    """Tables of which a share is kept."""
    return _luajit(m, f"""local kept = {{}}
for i = 1, {m.amount(300000, 2500000)} do
    local t = {{ i, {{ name = "n" .. i, at = {{ i % 7, i % 11 }} }} }}
    if i * 7919 % 1000 < {m.one_of(1000, 500, 150)} then kept[#kept + 1] = t end
end
print(#kept)
""")


@variant("joined", MEMORY, CPU)
def luajit_joined(m):
    """A text that is made longer and longer: a new copy each time, the old ones are garbage."""
    return _luajit(m, f"""local s, parts = "", {{}}
for i = 1, {m.amount(1500, 4000)} do
    s = s .. string.rep(string.char(97 + i % 26), {m.amount(200, 1500)})
    if i % {m.one_of(15, 40, 100)} == 0 then parts[#parts + 1] = s end
end
print(#s, #parts)
""")


@variant("sieve", MEMORY, CPU)
def luajit_sieve(m):
    """Its whole memory at once."""
    return _luajit(m, f"""local ffi, n, sum = require("ffi"), {m.amount(20000000, 200000000)}, 0
local sieve = ffi.new("uint8_t[?]", n + 1)
for i = 2, n do
    if sieve[i] == 0 then sum = sum + 1; for j = i + i, n, i do sieve[j] = 1 end end
end
print(sum)
""")


def _lisp(m, text):
    """Compiled as it is read; the heap's bound is given."""
    return Command(["clisp", "-q", "-norc", "-m", "1500MB", "-C", m.write(".lisp", [text.encode()])])


@variant("conses", MEMORY, CPU)
def clisp_conses(m):
    return _lisp(m, f"""(let ((kept nil))
  (dotimes (i {m.amount(20000, 300000)})
    (let ((l (loop for j below {m.amount(20, 90)} collect (* j 1.5d0))))
      (when (< (mod (* i 7919) 1000) {m.one_of(1000, 500, 100)}) (push l kept))))
  (print (length kept)))
""")


@variant("table", MEMORY, CPU)
def clisp_table(m):
    """A hash table that is rehashed as it grows."""
    return _lisp(m, f"""(let ((h (make-hash-table :test 'equal)))
  (dotimes (i {m.amount(100000, 600000)})
    (push i (gethash (format nil "~a-~a" (mod (* i 7919) {m.amount(30000, 600000)}) {m.chance.randrange(99)}) h)))
  (print (hash-table-count h)))
""")


@variant("digits", CPU)
def clisp_digits(m):
    return _lisp(m, f"""(let ((p 1)) (loop for i from 1 to {m.amount(15000, 60000)} do (setf p (* p i))) (print (integer-length p)))
""")


@variant("synthesis", MEMORY, CPU)
def yosys_synthesis(m):
    """Operators become gates, pass by pass; each pass may make more or fewer of them."""
    chance, width, count = m.chance, m.one_of(8, 12, 16), m.amount(60, 250)

    def pieces():
        yield f"module top(input clk, input [{width - 1}:0] a, output [{width - 1}:0] q);\nwire [{width - 1}:0] w0 = a;\n".encode()
        for number in range(1, count):
            one, two = f"w{chance.randrange(number)}", f"w{chance.randrange(number)}"
            value = chance.choice((f"{one} * {two}", f"{one} + {two}", f"{one} ^ ({two} << 3)", f"{one} > {two} ? a : {two}", f"{one} >> {two}[2:0]"))
            yield f"reg [{width - 1}:0] w{number}; always @(posedge clk) w{number} <= {value};\n".encode()
        yield f"assign q = w{count - 1}{''.join(f' ^ w{number}' for number in range(0, count - 1, 7))};\nendmodule\n".encode()
    source = m.write(".v", pieces())
    return Command(["yosys", "-q", "-p", f"synth -top top -noabc {m.one_of('', '-flatten', '-flatten -noshare')}; write_json {m.path('.json').name}", source])


@variant("functions", MEMORY, CPU)
def fpc_functions(m):
    chance, names = m.chance, "abcd"
    lines = [f"  if {x} > {y} then {x} := {y} * {n} + {z} else {z} := {x} xor {n * 91};\n"
             for x in names for y in names for z in names for n in range(2, 12)]

    def pieces():
        yield b"program big;\n"
        for number in range(m.amount(500, 4000)):
            yield (f"function f{number}(a, b: longint): longint;\nvar c, d: longint;\nbegin\n  c := a; d := b;\n"
                   f"{''.join(chance.choices(lines, k=chance.randint(5, 30)))}  f{number} := a + b + c + d;\nend;\n").encode()
        yield b"begin\nend.\n"
    return Command(["fpc", "-v0", m.one_of("-O-", "-O1", "-O2", "-O3"), "-Cn", "-FE.", m.write(".pas", pieces())])


@variant("script", MEMORY, CPU)
def shellcheck_script(m):
    """What it finds is an answer, no failure."""
    def pieces():
        yield b"#!/bin/sh\n"
        for number in range(m.amount(30, 240)):
            yield (f"f{number}() {{\n a=$1 b=\"$2\"\n for x in \"$@\"; do if [ \"$x\" -gt {number} ]; then echo \"$a\" $b | grep {number}; "
                   f"else v{number}=$(cat \"$x\"); fi; done\n case \"$a\" in x) echo $v{number};; *) return {number % 9};; esac\n}}\n"
                   f"f{number} a \"$v{number}\"\n").encode()
    return Command(["sh", "-c", f"shellcheck {m.one_of('', '-s bash', '-S error', '-f gcc')} {m.write('.sh', pieces()).name}; test $? -le 1"])


@variant("program", MEMORY, CPU)
def cobc_program(m):
    chance, fields = m.chance, m.amount(500, 4000)

    def pieces():
        yield b"       IDENTIFICATION DIVISION.\n       PROGRAM-ID. BIG.\n       DATA DIVISION.\n       WORKING-STORAGE SECTION.\n"
        for number in range(fields):
            yield f"       01 V{number} PIC 9({chance.randint(2, 9)}) VALUE {number % 99}.\n".encode()
        yield b"       PROCEDURE DIVISION.\n"
        for number in range(m.amount(6000, 35000)):
            a, b, c = (f"V{chance.randrange(fields)}" for _ in range(3))
            yield (f"       P{number}.\n           ADD {a} TO {b}.\n           IF {c} > {number % 99}\n"
                   f"             COMPUTE {a} = {b} * 3 + {c}\n           END-IF.\n").encode()
    return Command(["cobc", "-C", "-o", m.path(".c"), m.write(".cob", pieces())])


@variant("units", MEMORY, CPU)
def chicken_units(m):
    """A copying collector that doubles its heap."""
    chance = m.chance

    def pieces():
        for number in range(m.amount(80, 600)):
            yield (f"(define (f{number} x y) (let loop ((i 0) (acc (list {chance.randrange(99)} x))) (if (> i y) (map (lambda (z) (+ z {number})) acc) "
                   f"(loop (+ i 1) (cons (f{chance.randrange(number + 1)} i x) acc)))))\n").encode()
    return Command(["chicken", m.write(".scm", pieces()), "-optimize-level", m.one_of("0", "2", "3"), "-output-file", m.path(".c")])


def _pypy(m, text):
    return Command(["pypy3", "-"], stdin=m.write(".py", [text.encode()]))


@variant("rows", MEMORY, CPU)
def pypy_rows(m):
    return _pypy(m, f"""kept = {{}}
for i in range({m.amount(500000, 4000000)}):
    key = i * 7919 % {m.amount(100000, 4000000)}
    kept[key] = {m.one_of('(i, str(i), [i, i + 1])', 'str(i) * 8', '[float(i), key]')}
print(len(kept))
""")


@variant("generations", MEMORY, CPU)
def pypy_generations(m):
    """Builds a generation from the last one and drops that."""
    return _pypy(m, f"""old = [str(i) for i in range({m.amount(80000, 600000)})]
for turn in range({m.amount(6, 25)}):
    new = []
    for text in old:
        new.append(text + "x" * (turn % 7))
    old = new + new[:len(new) // {m.one_of(4, 10, 1000)}]
print(len(old))
""")


@variant("digits", CPU)
def pypy_digits(m):
    return _pypy(m, f"""a, s = 1, 0
for i in range({m.amount(300000000, 3000000000)}):
    a = a * 1103515245 + 12345 & 0x7fffffff
    s ^= a >> 7
print(s)
""")


def _assembly(m, labels):
    """Code full of labels; @ stands for the number of the unit, $$ for that of another one."""
    chance = m.chance
    lines = [f"movq ${chance.getrandbits(30)}, %rax\n", "call outside\n", "addq %rax, %rbx\n", f".quad {chance.getrandbits(40)}\n", "leaq 8(%rax), %rcx\n"]
    return "".join(f".globl u@_{number}\nu@_{number}: {chance.choice(lines)}{chance.choice(lines)} jmp u$$_{chance.randrange(labels)}\n"
                   for number in range(labels))


@variant("labels", MEMORY, CPU)
def as_labels(m):
    text = _assembly(m, m.amount(60000, 450000)).replace("@", "0").replace("$$", "0")
    return Command(["as", *m.one_of([], ["-g"], ["--reduce-memory-overheads"]), "-o", m.path(".o"), m.write(".s", [text.encode()])])


@variant("repeated", MEMORY, CPU)
def as_repeated(m):
    """A macro that calls itself twice: its depth decides."""
    text = f""".macro deep n
.if \\n
deep "(\\n-1)"
deep "(\\n-1)"
.else
l\\@: movq $l\\@, %rax
jmp l\\@
.endif
.endm
deep {m.one_of(16, 17, 18)}
"""
    return Command(["as", "-o", m.path(".o"), m.write(".s", [text.encode()])])


def _objects(m, units, labels):
    """Objects that refer to each other, assembled outside any limit."""
    text, objects = _assembly(m, labels), []
    for unit in range(units):
        source, made = m.write(".s", [text.replace("@", str(unit)).replace("$$", str(m.chance.randrange(unit + 1))).encode()]), m.path(".o")
        subprocess.run([find_program("as") or "as", "-o", made, source], check=True, env=environment(m.directory))
        source.unlink()
        objects.append(made)
    return objects


@variant("objects", MEMORY, CPU)
def ld_objects(m):
    """Symbols first, object after object; then the output."""
    return Command(["ld", *m.one_of(["-r"], ["-shared"], ["-shared", "--emit-relocs"], ["-shared", "-O2", "-s"]), "-o", m.path(".out"),
                    *_objects(m, m.amount(6, 16), m.amount(10000, 35000))])


@variant("sources", MEMORY, CPU)
def doxygen_sources(m):
    """Parses everything, then links it, then writes page by page."""
    words, chance = m.words(800), m.chance

    def pieces():
        for number in range(m.amount(100, 900)):
            yield f"/** {' '.join(chance.choices(words, k=30))}. See f{chance.randrange(number + 1)}_0(). */\nclass c{number}\n{{\npublic:\n".encode()
            for member in range(chance.randint(2, 9)):
                yield (f"    /** {' '.join(chance.choices(words, k=12))}.\n * @param a {chance.choice(words)} */\n"
                       f"    int f{number}_{member}(int a, const c{chance.randrange(number + 1)} &b);\n").encode()
            yield b"};\n"
    source = m.write(".h", pieces())
    settings = (f"INPUT={source.name}\nOUTPUT_DIRECTORY={m.path('.d').name}\nQUIET=YES\nWARNINGS=NO\nGENERATE_LATEX=NO\nHAVE_DOT=NO\n"
                f"EXTRACT_ALL=YES\nSOURCE_BROWSER={m.one_of('YES', 'NO')}\nGENERATE_XML={m.one_of('YES', 'NO')}\n")
    return Command(["doxygen", m.write(".conf", [settings.encode()])])


@variant("objects", MEMORY, CPU)
def lld_objects(m):
    return Command(["ld.lld", *m.one_of(["-r"], ["-shared"], ["-shared", "-O2", "-s"]), "--unresolved-symbols=ignore-all", "-z", "notext",
                    f"--threads={m.one_of(1, 2)}", "-o", m.path(".out"), *_objects(m, m.amount(5, 10), m.amount(8000, 24000))])


TCC = (tcc_table, tcc_macros)
IVERILOG = (iverilog_cells,)
VVP = (vvp_clocked, vvp_queue, vvp_trace)
CTAGS = (ctags_names, ctags_functions)
LUAJIT = (luajit_objects, luajit_joined, luajit_sieve)
CLISP = (clisp_conses, clisp_table, clisp_digits)
YOSYS = (yosys_synthesis,)
FPC = (fpc_functions,)
SHELLCHECK = (shellcheck_script,)
COBC = (cobc_program,)
CHICKEN = (chicken_units,)
PYPY = (pypy_rows, pypy_generations, pypy_digits)
AS = (as_labels, as_repeated)
LD = (ld_objects,)
DOXYGEN = (doxygen_sources,)
LLD = (lld_objects,)
