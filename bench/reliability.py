"""A reliability diagram as SVG: of the ticks whose probability lies in a bin, the share that failed."""

PANEL, GAP, TOP, LEFT = 200, 46, 34, 46


def panel(index, cause, bins):
    x0, y0 = LEFT + index * (PANEL + GAP), TOP
    total = sum(count for count, _, _ in bins)
    out = [f'<text x="{x0}" y="{y0 - 10}" class="name">{cause}</text>',
           f'<rect x="{x0}" y="{y0}" width="{PANEL}" height="{PANEL}" class="frame"/>',
           f'<line x1="{x0}" y1="{y0 + PANEL}" x2="{x0 + PANEL}" y2="{y0}" class="honest"/>']
    for tick in (0, 0.5, 1):
        out.append(f'<text x="{x0 + tick * PANEL}" y="{y0 + PANEL + 14}" class="tick" text-anchor="middle">{tick:g}</text>')
        out.append(f'<text x="{x0 - 5}" y="{y0 + PANEL - tick * PANEL + 4}" class="tick" text-anchor="end">{tick:g}</text>')
    points = []
    for i, (count, mean, rate) in enumerate(bins):
        height = count / total * PANEL
        out.append(f'<rect x="{x0 + i * PANEL / 10 + 1:.1f}" y="{y0 + PANEL - height:.1f}" width="{PANEL / 10 - 2:.1f}" '
                   f'height="{height:.1f}" class="share"/>')
        if count:
            points.append((x0 + mean * PANEL, y0 + PANEL - rate * PANEL))
    out.append('<polyline points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '" class="line"/>')
    out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot"/>' for x, y in points]
    return out


def draw(causes):
    """causes: name -> ten bins of (ticks, mean probability, share that failed)."""
    width, height = LEFT + len(causes) * (PANEL + GAP), TOP + PANEL + 46
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'font-family="sans-serif">',
           '<style>.name{font-size:14px;font-weight:bold}.tick,.axis{font-size:11px;fill:#555}.frame{fill:#fff;stroke:#999}'
           '.honest{stroke:#999;stroke-dasharray:4 4}.share{fill:#d5e3f0}.line{fill:none;stroke:#1f5f99;stroke-width:2}'
           '.dot{fill:#1f5f99}</style>',
           f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for index, (cause, bins) in enumerate(causes.items()):
        out += panel(index, cause, bins)
    out.append(f'<text x="{LEFT}" y="{height - 10}" class="axis">across: probability given; up: share of those ticks that '
               'failed; bars: share of all ticks; dashed: honest</text></svg>')
    return "\n".join(out) + "\n"
