"""Line charts as SVG, by hand: points are joined, both axes say their unit."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea")


@dataclass
class Chart:
    """What is drawn: each of `lines` is a name and its points."""

    title: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]
    logarithmic: bool = False


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 to just above `most`, five or so."""
    step = 10 ** math.floor(math.log10(most / 4 or 1)) if most > 0 else 1.0
    step = next(step * k for k in (1, 2, 5, 10) if most / (step * k) <= 6)
    return [i * step for i in range(math.ceil(most / step - 1e-9) + 1)]


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _axes(chart: Chart, place_x, place_y, marks_x: list[float], marks_y: list[float]) -> list[str]:
    floor, right = place_y(0), _WIDTH - _RIGHT
    out = [_text(_WIDTH / 2, 22, chart.title, more=' font-weight="bold"')]
    for y in marks_y:
        at = place_y(y)
        out.append(f'<line x1="{_LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#ddd"/>')
        out.append(_text(_LEFT - 8, at + 4, f"{y:g}", "end"))
    for x in marks_x:
        out.append(_text(place_x(x), floor + 18, f"{x:.4g}" if x >= 10 else f"{x:.2g}"))
    out.append(_text((_LEFT + right) / 2, _HEIGHT - 10, chart.across))
    middle = (_TOP + floor) / 2
    out.append(_text(16, middle, chart.up, more=f' transform="rotate(-90 16 {middle:.1f})"'))
    return out


def draw(chart: Chart, file: Path) -> None:
    """Writes the chart."""
    points = [point for line in chart.lines.values() for point in line]
    marks_x = sorted({x for x, _ in points})
    marks_y = _ticks(max(y for _, y in points))
    scale = math.log10 if chart.logarithmic else float
    low, high = scale(marks_x[0]), scale(marks_x[-1])
    wide, tall = _WIDTH - _LEFT - _RIGHT - 20, _HEIGHT - _TOP - _BOTTOM

    def place_x(x: float) -> float:
        return _LEFT + 10 + wide * (scale(x) - low) / ((high - low) or 1)

    def place_y(y: float) -> float:
        return _TOP + tall * (1 - y / marks_y[-1])

    out = _axes(chart, place_x, place_y, marks_x, marks_y)
    for n, (name, line) in enumerate(chart.lines.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        at = [(place_x(x), place_y(y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at)
        out.append(_text(_LEFT + 14, _TOP + 14 + 16 * n, name, "start", f' fill="{colour}"'))
    style = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    ground = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {style}>'
    file.write_text("\n".join([head, ground, *out, "</svg>", ""]))
