#!/usr/bin/env python3
"""The progress lines of `forestall-retrain train` (standard input) as learning curves (SVG, standard output)."""
import re
import sys

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 300, 56, 20, 40
LINE = re.compile(r"(?:member (\d+)/\d+ )?epoch (\d+)/\d+ loss ([\d.]+) validation ([\d.]+)")
COLOURS = ("#1f5f99", "#b5532a", "#3a7d44", "#7a4a9a")


def main():
    curves = {}
    for line in sys.stdin:
        found = LINE.search(line)
        if found:
            member, epoch, train, validation = found.groups()
            curves.setdefault(int(member or 1), []).append((int(epoch), float(train), float(validation)))
    if not curves:
        sys.exit("learning-curve: no progress lines on standard input")
    points = [value for curve in curves.values() for point in curve for value in point[1:]]
    low, high, last = 0, min(max(points), 1.5), max(point[0] for curve in curves.values() for point in curve)

    def place(epoch, loss):
        share = (min(loss, high) - low) / (high - low)
        return (f"{LEFT + (epoch - 1) / max(last - 1, 1) * (WIDTH - LEFT - 20):.1f},"
                f"{HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM):.1f}")

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']
    for step in range(5):
        loss = low + (high - low) * step / 4
        y = place(1, loss).split(",")[1]
        out.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - 20}" y2="{y}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{float(y) + 4}" text-anchor="end" fill="#555">{loss:.2f}</text>')
    for epoch in range(1, last + 1, max(1, last // 10)):
        x = place(epoch, 0).split(",")[0]
        out.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#555">{epoch}</text>')
    for member, curve in sorted(curves.items()):
        colour = COLOURS[(member - 1) % len(COLOURS)]
        for column, dash in ((1, ' stroke-dasharray="4 3"'), (2, "")):
            line = " ".join(place(point[0], point[column]) for point in curve)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}" fill="#555">across: epoch; up: loss per tick; dashed: training programs; '
               'solid: validation programs; a colour per member</text></svg>')
    print("\n".join(out))


if __name__ == "__main__":
    main()
