"""Inputs of the programs, made from a seed: the same case has the same bytes wherever it runs. Nothing is downloaded."""
import json
import pathlib
import random
import struct

MIB = 1 << 20
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


class Inputs:
    """Makes files below one directory; who owns the directory removes them with it."""

    def __init__(self, directory: pathlib.Path, chance: random.Random):
        self.directory = directory
        self.chance = chance
        self._made = 0

    def path(self, suffix=""):
        """A new name; for outputs as well."""
        self._made += 1
        return self.directory / f"f{self._made}{suffix}"

    def write(self, suffix, pieces):
        """A file of these bytes, piece by piece."""
        path = self.path(suffix)
        with open(path, "wb") as out:
            for piece in pieces:
                out.write(piece)
        return path

    def noise(self, mib, suffix=".bin"):
        """Bytes nobody can compress."""
        whole, rest = divmod(int(mib * MIB), MIB)
        sizes = [MIB] * whole + [rest]
        return self.write(suffix, (self.chance.randbytes(size) for size in sizes))

    def words(self, count):
        return ["".join(self.chance.choices(LETTERS, range(26, 0, -1), k=self.chance.randint(2, 11))) for _ in range(count)]

    def text(self, mib, vocabulary=5000, unique=True, suffix=".txt"):
        """Lines of words in phrases that come back, as in real text; unique adds a new word to each line."""
        words = self.words(vocabulary)
        phrases = [" ".join(self.chance.choices(words, k=self.chance.randint(3, 9))) for _ in range(4000)]

        def pieces():
            left = int(mib * MIB)
            while left > 0:
                lines = (" ".join(self.chance.choices(phrases, k=2)) for _ in range(1000))
                if unique:
                    lines = (f"{line} {self.chance.getrandbits(40):x}" for line in lines)
                piece = ("\n".join(lines) + "\n").encode()[:left]
                left -= len(piece)
                yield piece
        return self.write(suffix, pieces())

    def one_line(self, mib):
        """Text without any newline: what reads by lines reads it whole."""
        return self.write(".line", ((" ".join(self.words(1000)) * 170).encode()[:MIB] for _ in range(int(mib))))

    def numbers(self, lines, columns=2):
        chance = self.chance
        return self.write(".dat", ((" ".join(f"{chance.gauss(0, 1000):.6f}" for _ in range(columns)) + "\n").encode()
                                    for _ in range(lines)))

    def json_rows(self, rows, as_array):
        """A JSON array, or one value per line."""
        names, chance = self.words(300), self.chance

        def row(number):
            return json.dumps({"id": number, "name": chance.choice(names), "group": f"g{chance.randrange(200)}",
                               "value": chance.random(), "tags": chance.sample(names, 3),
                               "at": {"x": chance.randrange(1000), "y": chance.randrange(1000)}}).encode()

        def pieces():
            yield b"[" if as_array else b""
            for number in range(rows):
                yield (b",\n" if as_array else b"\n") if number else b""
                yield row(number)
            yield b"]\n" if as_array else b"\n"
        return self.write(".json", pieces())

    def c_source(self, functions, statements):
        """Functions with arithmetic, branches and loops: an optimiser's food."""
        chance = self.chance

        def function(number):
            lines = [f"static int f{number}(int a, int b)\n{{\n    int v[16] = {{a, b}};\n"]
            for _ in range(statements):
                i, j, k, n = (chance.randrange(16) for _ in range(4))
                lines.append(chance.choice((
                    f"    v[{i}] = v[{j}] * {n + 3} + (v[{k}] ^ {chance.randrange(1 << 20)});\n",
                    f"    if (v[{i}] > v[{j}]) v[{k}] += v[{n}] / ({n} + 1); else v[{k}] -= {chance.randrange(999)};\n",
                    f"    for (int i = 0; i < v[{j}] % 9; i++) v[i] += v[{k}] << (i & 7);\n",
                    f"    switch (v[{i}] & 7) {{ case 1: v[{j}]++; break; case 3: v[{k}] = a; break; default: v[{n}] ^= b; }}\n")))
            lines.append(f"    return v[{chance.randrange(16)}] + v[{chance.randrange(16)}];\n}}\n")
            return "".join(lines).encode()

        def pieces():
            for number in range(functions):
                yield function(number)
            yield b"int main(int argc, char **argv)\n{\n    int sum = argc; (void)argv;\n"
            for number in range(functions):
                yield f"    sum += f{number}(sum, {number});\n".encode()
            yield b"    return sum & 1;\n}\n"
        return self.write(".c", pieces())

    def c_table(self, entries):
        """One huge initialised array: memory in the front end, not in the optimiser."""
        rows = (f"{{{self.chance.randrange(1 << 30)}, \"{number:x}\"}},\n".encode() for number in range(entries))
        return self.write(".c", (b"struct { int n; const char *s; } table[] = {\n", *rows,
                                  b"};\nint main(void) { return table[7].n == 0; }\n"))

    def cpp_templates(self, depth, width):
        """Recursive templates, instantiated for many types."""
        text = ["#include <map>\n#include <string>\n#include <vector>\n",
                "template <int N, typename T> struct deep { deep<N - 1, std::vector<T>> *below; T v;",
                " int get() { return N + deep<N - 1, T>().get(); } };\n",
                "template <typename T> struct deep<0, T> { T v; int get() { return 0; } };\n",
                "int main()\n{\n    int sum = 0;\n"]
        for number in range(width):
            text.append(f"    {{ struct type{number} {{ int x; }}; std::map<int, type{number}> m; m[{number}].x = 1; "
                        f"sum += (int)m.size() + deep<{depth}, char[{number + 1}]>().get(); }}\n")
        text.append("    return sum == 0;\n}\n")
        return self.write(".cc", [line.encode() for line in text])

    def image(self, width, height):
        """A PPM picture: stripes with noise."""
        chance = self.chance
        rows = [bytes(chance.choices(range(256), k=width * 3)) for _ in range(24)]
        return self.write(".ppm", (f"P6 {width} {height} 255\n".encode(),
                                    *(chance.choice(rows) for _ in range(height))))

    def sound(self, seconds):
        """A mono WAV of noise at 44.1 kHz."""
        size = int(seconds * 44100) * 2
        head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16, b"data", size)
        return self.write(".wav", (head, *(self.chance.randbytes(88200) for _ in range(size // 88200)),
                                    bytes(size % 88200)))

    def postscript(self, pages, strokes):
        chance = self.chance

        def pieces():
            yield b"%!PS\n"
            for _ in range(pages):
                for _ in range(strokes):
                    x, y, r = chance.randrange(550), chance.randrange(780), chance.randrange(5, 90)
                    yield f"{chance.random():.2f} {chance.random():.2f} 0.5 setrgbcolor {x} {y} {r} 0 360 arc fill\n".encode()
                yield b"showpage\n"
        return self.write(".ps", pieces())

    def tree(self, files, kib):
        """A directory of small files in subdirectories."""
        root = self.path(".d")
        data = [self.chance.randbytes(kib << 9).hex().encode() for _ in range(16)]
        for number in range(files):
            below = root / f"d{number % 37}"
            below.mkdir(parents=True, exist_ok=True)
            (below / f"n{number}").write_bytes(data[number % 16][number % 999:] + str(number).encode())
        return root

    def fast_import(self, commits, files):
        """A stream for git fast-import: every commit changes a few text files."""
        words, chance = self.words(500), self.chance

        def pieces():
            for number in range(commits):
                yield (f"commit refs/heads/main\ncommitter a <a@example.org> {1700000000 + number} +0000\n"
                       f"data 2\nx\n").encode()
                for _ in range(3):
                    body = "\n".join(" ".join(chance.choices(words, k=12)) for _ in range(chance.randint(50, 300))).encode()
                    yield f"M 100644 inline f{chance.randrange(files)}\ndata {len(body)}\n".encode() + body + b"\n"
        return self.write(".fi", pieces())
