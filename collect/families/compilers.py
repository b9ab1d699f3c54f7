"""More compilers and generators of code: trees that are passed over again and again, texts kept until the end."""
from command import CPU, MEMORY, variant, Command


@variant("routines", MEMORY, CPU)
def gfortran_routines(m):
    """Routine after routine: each is optimised and mostly given back, what the file has declared stays."""
    chance = m.chance

    def pieces():
        for number in range(m.amount(4, 50)):
            yield f"subroutine s{number}(a, b, n)\ninteger :: n, i, j\nreal :: a(n, n), b(n, n), x\nx = {number}\n".encode()
            for _ in range(chance.randint(2, 12)):
                yield chance.choice((
                    f"do i = 2, n - 1\ndo j = 2, n - 1\na(i, j) = b(j, i) * {chance.random():.4f} + a(i - 1, j + 1)\nend do\nend do\n",
                    f"b(1:n/2, :) = a(1:n/2, :) * x + sin(a(1:n/2, :))\nx = x + sum(b(:, {chance.randint(1, 9)}))\n",
                    f"where (a > {chance.random():.3f})\na = a - b\nelsewhere\na = matmul(b, a)\nend where\n",
                    f"if (x > {chance.randrange(99)}) then\ncall s{chance.randrange(number + 1)}_(b, a, n - 1)\nend if\n")).encode()
            yield f"end subroutine s{number}\n".encode()
    return Command(["gfortran", f"-O{m.one_of(0, 1, 2, 3)}", *m.one_of([], ["-g"]), "-w", "-c", "-o", m.path(".o"), m.write(".f90", pieces())])


@variant("data", MEMORY, CPU)
def gfortran_data(m):
    """Tables of constants: a list of one node for each number, turned into another form at the end."""
    chance = m.chance

    def pieces():
        for table in range(m.amount(40, 400)):
            yield f"block data b{table}\ninteger :: t(1000)\ncommon /c{table}/ t\n".encode()
            for at in range(0, 1000, 20):
                yield f"data t({at + 1}:{at + 20}) / {', '.join(str(chance.getrandbits(30)) for _ in range(20))} /\n".encode()
            yield f"end block data b{table}\n".encode()
    return Command(["gfortran", "-O1", "-ffree-line-length-none", "-c", "-o", m.path(".o"), m.write(".f90", pieces())])


@variant("evaluated", MEMORY, CPU)
def ldc2_evaluated(m):
    """Functions that run in the compiler: it frees nothing of what they make."""
    kind, body, low, high = m.one_of(("string", "r ~= cast(char)('a' + i % 26);", 8000, 28000), ("int[]", "r = r ~ (i * 7);", 4000, 12000),
                                     ("int[]", "int[] t = new int[8]; t[i % 8] = i; r ~= t[i % 8] + i;", 2500, 9000),
                                     ("int[1]", "int[] t = new int[16]; t[i % 16] = i; r[0] += t[i % 7];", 80000, 800000),
                                     ("int[1]", "r[0] = r[0] * 5 + i;", 500000, 4000000))
    text = (f"{kind} f(int n)\n{{\n    {kind} r;\n    for (int i = 0; i < n; i++) {{ {body} }}\n    return r;\n}}\n"
            f"enum size = f({m.amount(low, high)}).length;\n")
    return Command(["ldc2", "-c", f"-of={m.path('.o')}", m.write(".d", [text.encode()])])


@variant("instances", MEMORY, CPU)
def ldc2_instances(m):
    """Templates first, all kept; then the optimiser's passes over what they made."""
    count = m.amount(100, 1100)
    text = (f"struct box(int n) {{ int[n % 9 + 1] v; int sum() {{ int s = n; foreach (i, x; v) s += x * cast(int)i; return s ^ n; }} }}\n"
            f"int all(int n)() {{ static if (n == 0) return 0; else {{ box!n b; b.v[0] = n; return b.sum() + "
            f"{m.one_of('0', 'cast(int)typeof(b).mangleof.length')}; }} }}\n"
            f"int main() {{ int s; static foreach (i; 0 .. {count}) s += all!i(); return s & 1; }}\n")
    return Command(["ldc2", "-c", f"-O{m.one_of(0, 1, 2)}", f"-of={m.path('.o')}", m.write(".d", [text.encode()])])


@variant("classes", MEMORY, CPU)
def valac_classes(m):
    """A tree of everything, checked in place, then a second tree in C."""
    chance = m.chance

    def pieces():
        for number in range(m.amount(50, 450)):
            yield (f"public class Cls{number} : Object {{\n    public int n {{ get; set; default = {number}; }}\n"
                   f"    public signal void changed(int by);\n").encode()
            for member in range(chance.randint(2, 8)):
                yield (f"    public string m{member}(int a, string s) {{ var list = new List<string>(); foreach (var p in s.split(\"{chance.randrange(99)}\")) "
                       f"{{ list.append(p + a.to_string()); n += a * {chance.randrange(99)}; }} changed(n); return @\"$n $s\"; }}\n").encode()
            yield b"}\n"
    return Command(["valac", "-C", "--disable-warnings", m.write(".vala", pieces())])


def _header(m, classes):
    chance = m.chance
    yield b"%module big\n%include <std_vector.i>\n%inline %{\n#include <vector>\n"
    for number in range(classes):
        base = f" : public K{chance.randrange(number)}" if number and chance.random() < 0.6 else ""
        yield f"class K{number}{base} {{\npublic:\n    K{number}(int a = {number});\n    virtual ~K{number}();\n".encode()
        for member in range(chance.randint(2, 9)):
            yield (f"    virtual int f{number}_{member}(const K{chance.randrange(number + 1)} &b, double *x, const char *s = \"\");\n"
                   f"    int v{number}_{member};\n").encode()
        yield b"};\n"
    yield b"%}\n"


@variant("wrappers", MEMORY, CPU)
def swig_wrappers(m):
    """Declarations become a tree; its texts are made and kept until the end."""
    language = m.one_of("python", "ruby", "java", "tcl8", "lua", "csharp")
    return Command(["swig", "-c++", f"-{language}", "-w-all", "-outdir", ".", "-o", m.path(".cc").name, m.write(".i", _header(m, m.amount(20, 220)))])


@variant("grammar", MEMORY, CPU)
def bison_grammar(m):
    """States are made until no new one is found, then the look-ahead of all is given back; the canonical kind takes time, little memory."""
    kind, low, high = m.one_of(("lalr", 60, 700), ("ielr", 40, 300), ("canonical-lr", 10, 36))
    levels, chance = m.amount(low, high), m.chance
    lines = [f"%define lr.type {kind}\n%token NUMBER", *(f" T{i} U{i}" for i in range(levels)), "\n%%\nall: e0 | all e0 ;\n"]
    for level in range(levels):
        lines.append(f"e{level}: e{level + 1} | e{level} T{level} e{level + 1} | U{level} e{chance.randrange(level + 1)} U{level} ;\n")
    lines.append(f"e{levels}: NUMBER | '(' e0 ')' ;\n%%\n")
    return Command(["bison", "-Wno-all", *m.one_of([], ["-v"]), "-o", m.path(".c"), m.write(".y", [line.encode() for line in lines])])


@variant("messages", MEMORY, CPU)
def protoc_messages(m):
    """Definitions are read and linked, then written as code."""
    chance, language = m.chance, m.one_of("cpp", "java", "python", "objc", "csharp")

    def pieces():
        yield b'syntax = "proto3";\npackage big;\n'
        for number in range(m.amount(300, 2500)):
            yield f"message M{number} {{\n".encode()
            for field in range(chance.randint(3, 20)):
                kind = chance.choice(("int32", "string", "repeated double", "map<string, int64>", f"M{chance.randrange(number + 1)}"))
                yield f"  {kind} field_{field} = {field + 1};\n".encode()
            yield b"}\n"
    out = m.path(".d")
    out.mkdir()
    return Command(["protoc", f"--{language}_out={out}", f"--proto_path={m.directory}", m.write(".proto", pieces())])


@variant("encode", MEMORY, CPU)
def protoc_encode(m):
    """One message of many parts, read whole, then written."""
    chance, names = m.chance, m.words(500)
    schema = m.write(".proto", [b'syntax = "proto3";\nmessage All { repeated Row row = 1; }\nmessage Row { int64 id = 1; string name = 2; '
                                b'repeated double at = 3; Row below = 4; }\n'])

    def pieces():
        for number in range(m.amount(60000, 400000)):
            below = f" below {{ id: {number} }}" if number % 3 == 0 else ""
            yield f'row {{ id: {number} name: "{chance.choice(names)}" at: {chance.random()} at: {number}{below} }}\n'.encode()
    return Command(["protoc", f"--proto_path={m.directory}", "--encode=All", schema], stdin=m.write(".txt", pieces()))


@variant("binary", MEMORY, CPU)
def flatc_binary(m):
    """A document beside the buffer that is filled from its end and doubled when it is full."""
    schema = m.write(".fbs", [b"table At { x: int; y: int; }\ntable Row { id: int; name: string; group: string; value: double; tags: [string]; at: At; }\n"
                              b"table All { rows: [Row]; }\nroot_type All;\n"])
    chance, names = m.chance, m.words(500)
    parts = [f'"name": "{chance.choice(names)}", "value": {chance.random()}, "tags": {chance.sample(names, 3)}, "at": {{"x": {i}, "y": 7}}}}'.replace("'", '"')
             for i in range(2000)]
    data = m.write(".json", [b'{"rows": [', *(f'{"," if i else ""}{{"id": {i}, {chance.choice(parts)}\n'.encode()
                                                for i in range(m.amount(60000, 600000))), b"]}\n"])
    return Command(["flatc", "--strict-json", "-b", "-o", m.directory, schema, data])


@variant("history", MEMORY, CPU)
def ghdl_history(m):
    """A design is analysed and translated in memory, then its simulation keeps a share of what it makes."""
    text = f"""entity top is end;
architecture a of top is
    type node; type link is access node;
    type node is record value : integer; rest : bit_vector(0 to {m.one_of(63, 255)}); below : link; end record;
begin
    process
        variable first, next_one : link; variable x : integer := 1;
    begin
        for i in 1 to {m.amount(200000, 2000000)} loop
            x := (x * 75 + 74) mod 65537;
            next_one := new node; next_one.value := x; next_one.below := first; first := next_one;
            if i mod {m.one_of(1, 2, 3)} /= 0 and first.below /= null then next_one := first.below; first.below := next_one.below; deallocate(next_one); end if;
        end loop;
        wait;
    end process;
end;
"""
    return Command(["ghdl-mcode", "-c", "--std=08", m.write(".vhd", [text.encode()]), "-r", "top"])


@variant("cells", MEMORY, CPU)
def ghdl_cells(m):
    """A process and its signals for each cell, all made before the first step; then steps at that size."""
    text = f"""entity cell is generic (n : integer); port (clk : in bit; a : in integer; q : out integer := 0); end;
architecture a of cell is
    type store is array (0 to 63) of integer; signal m : store := (others => n); signal s : integer := n;
begin
    process (clk) begin if clk = '1' then s <= (s * 5 + a) mod 65537; m(s mod 64) <= s; q <= m(a mod 64); end if; end process;
end;
entity top is end;
architecture a of top is
    type wires is array (0 to {m.amount(1000, 12000)}) of integer; signal w : wires; signal clk : bit;
begin
    g : for i in 0 to w'length - 2 generate c : entity work.cell generic map (i) port map (clk, w(i), w(i + 1)); end generate;
    process begin for i in 1 to {m.amount(40, 400)} loop wait for 1 ns; clk <= not clk; end loop; wait; end process;
end;
"""
    return Command(["ghdl-mcode", "-c", "--std=08", m.write(".vhd", [text.encode()]), "-r", "top"])


@variant("bundle", MEMORY, CPU)
def esbuild_bundle(m):
    """All modules at once, each on a thread of its own; collected now and then; one output made at the end."""
    chance, count = m.chance, m.amount(60, 700)
    words = m.words(300)
    for number in range(count):
        lines = [f"import {{ f{n}_0 as g{i} }} from './m{n}.js';\n" for i, n in enumerate({chance.randrange(count) for _ in range(3)})]
        for member in range(chance.randint(5, 90)):
            word = chance.choice(words)
            lines.append(f"export function f{number}_{member}(a, {{ b = {chance.randrange(99)}, ...rest }}) {{ const {word}_ = `x${{a}}{word}`; "
                         f"for (const k in rest) {{ a += g0?.(k) ?? [...b, {{ {word}: k }}].map(v => v * {chance.random()}); }} return {word}_ + a; }}\n")
        (m.directory / f"m{number}.js").write_text("".join(lines))
    main = m.write(".js", [f"export * from './m{number}.js';\n".encode() for number in range(count)])
    return Command(["esbuild", main, "--bundle", *m.one_of([], ["--minify"], ["--sourcemap"]), "--log-level=error", f"--outfile={m.path('.out.js')}"])


@variant("sources", MEMORY, CPU)
def uncrustify_sources(m):
    """A list of all pieces of the source, passed over many times."""
    return Command(["uncrustify", "-q", "-l", "C", "-c", "-", "-f", m.c_source(m.amount(15, 90), m.amount(15, 35)), "-o", m.path(".out")])


GFORTRAN = (gfortran_routines, gfortran_data)
LDC2 = (ldc2_evaluated, ldc2_instances)
VALAC = (valac_classes,)
SWIG = (swig_wrappers,)
BISON = (bison_grammar,)
PROTOC = (protoc_messages, protoc_encode)
FLATC = (flatc_binary,)
GHDL = (ghdl_history, ghdl_cells)
ESBUILD = (esbuild_bundle,)
UNCRUSTIFY = (uncrustify_sources,)
