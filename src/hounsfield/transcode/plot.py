"""Size against error of an estimate, as one SVG or PNG: a line for each lossy syntax, a mark for each lossless one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.outputs import whole_file
from hounsfield.transcode.estimating import Cost, Estimate

_WIDTH, _HEIGHT = 900, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 60
_COLOURS = ("#0b6e99", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#34495e")
_PLAIN = "#333333"
_STAIR = 15  # pixels between the labels of lossless syntaxes, which stand side by side
_ERROR_TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class _Mark:
    x: float
    y: float
    colour: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The drawing that both formats share: lines and dots with labels, ticks of both axes."""

    lines: list[tuple[list[_Mark], str]]
    dots: list[_Mark]
    across: list[tuple[float, str]]
    up: list[tuple[float, str]]
    title: str
    unit: str

    @property
    def error_axis(self) -> str:
        return f"largest error, {self.unit}" if self.unit else "largest error"


def write_plot(measured: Estimate, path: Path, *, force: bool = False) -> None:
    """Draw `measured` to `path`, `.svg` or `.png`. Raises `UnsupportedError` for another suffix."""
    writers: dict[str, Callable[[_Drawing, Path], None]] = {".svg": _write_svg, ".png": _write_png}
    writer = writers[plot_format(path)]
    drawing = _draw(measured)
    with whole_file(path, force=force) as temporary:
        writer(drawing, temporary)


def plot_format(path: Path) -> str:
    """`.svg` or `.png`. Raises `UnsupportedError` for another suffix, before anything is measured for it."""
    suffix = path.suffix.lower()
    if suffix not in (".svg", ".png"):
        raise UnsupportedError(
            say("no plot by the suffix {suffix}", suffix=repr(path.suffix)),
            expected=".svg or .png",
            where=str(path),
        )
    return suffix


def _draw(measured: Estimate) -> _Drawing:
    costs = measured.costs
    most = max(cost.ratio for cost in costs)
    worst = max(2.0, *(cost.max_error for cost in costs))
    x = _scale(100 / most * 0.8, 100, _LEFT, _WIDTH - _RIGHT, math.log10)
    y = _scale(0, worst, _HEIGHT - _BOTTOM, _TOP, lambda error: math.log10(1 + error))
    by_syntax: dict[str, list[Cost]] = {}
    for cost in costs:
        by_syntax.setdefault(cost.syntax.keyword, []).append(cost)
    lines, dots = [], []
    colours = iter(_COLOURS * len(by_syntax))
    for keyword, group in by_syntax.items():
        if group[0].rate is None:
            dots.append(_Mark(x(100 / group[0].ratio), y(0), _PLAIN, keyword))
            continue
        colour = next(colours)
        marks = [
            _Mark(x(100 / c.ratio), y(c.max_error), colour) for c in sorted(group, key=lambda c: c.ratio)
        ]
        lines.append((marks, keyword))
    across = [(x(p), f"{p}%") for p in (1, 2, 5, 10, 20, 30, 50, 100) if p >= 100 / most * 0.8]
    up = [(y(error), str(error)) for error in _ERROR_TICKS if error <= worst]
    plural = "s" * (measured.images != 1)
    title = (
        f"{measured.images} image{plural}, {measured.native_bytes / 1e6:.0f} MB: size against largest error"
    )
    return _Drawing(lines, sorted(dots, key=lambda dot: dot.x), across, up, title, measured.unit)


def _scale(
    low: float, high: float, start: float, stop: float, bend: Callable[[float], float]
) -> Callable[[float], float]:
    first, last = bend(low), bend(high)
    return lambda value: start + (bend(value) - first) / (last - first) * (stop - start)


def _write_svg(drawing: _Drawing, path: Path) -> None:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(drawing.title)}</text>',
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 14}" text-anchor="middle">size, % of native</text>',
        f'<text x="16" y="{_HEIGHT / 2}" transform="rotate(-90 16 {_HEIGHT / 2})" '
        f'text-anchor="middle">{drawing.error_axis}</text>',
    ]
    for at, label in drawing.across:
        parts.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    for at, label in drawing.up:
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for index, (marks, label) in enumerate(drawing.lines):
        points = " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in marks)
        colour = marks[0].colour
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{m.x:.1f}" cy="{m.y:.1f}" r="4" fill="{colour}"/>' for m in marks]
        parts.append(
            f'<text x="{right + 14}" y="{_TOP + 16 + 20 * index}" fill="{colour}">{escape(label)}</text>'
        )
    for index, mark in enumerate(drawing.dots):
        top = mark.y - 16 - _STAIR * (len(drawing.dots) - index)
        parts.append(f'<path d="M{mark.x:.1f} {mark.y:.1f}V{top:.1f}" stroke="{mark.colour}" opacity=".4"/>')
        parts.append(f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="4" fill="{mark.colour}"/>')
        parts.append(
            f'<text x="{mark.x + 5:.1f}" y="{top + 4:.1f}" fill="{mark.colour}">{escape(mark.label)}</text>'
        )
    path.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")


def _write_png(drawing: _Drawing, path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    pen.font = ImageFont.load_default(size=13)
    pen.text((_LEFT, 4), drawing.title, fill="black")
    pen.text(((_LEFT + right) / 2 - 50, _HEIGHT - 24), "size, % of native", fill="black")
    pen.text((6, _TOP - 16), drawing.error_axis, fill="black")
    for at, label in drawing.across:
        pen.line([(at, _TOP), (at, bottom)], fill="#dddddd")
        pen.text((at - 8, bottom + 6), label, fill="black")
    for at, label in drawing.up:
        pen.line([(_LEFT, at), (right, at)], fill="#dddddd")
        pen.text((_LEFT - 32, at - 6), label, fill="black")
    for index, (marks, label) in enumerate(drawing.lines):
        for one, two in pairwise(marks):
            pen.line([(one.x, one.y), (two.x, two.y)], fill=marks[0].colour, width=2)
        for mark in marks:
            pen.ellipse([mark.x - 4, mark.y - 4, mark.x + 4, mark.y + 4], fill=mark.colour)
        pen.text((right + 14, _TOP + 6 + 20 * index), label, fill=marks[0].colour)
    for index, mark in enumerate(drawing.dots):
        top = mark.y - 16 - _STAIR * (len(drawing.dots) - index)
        pen.line([(mark.x, mark.y), (mark.x, top)], fill="#aaaaaa")
        pen.ellipse([mark.x - 4, mark.y - 4, mark.x + 4, mark.y + 4], fill=mark.colour)
        pen.text((mark.x + 5, top - 8), mark.label, fill=mark.colour)
    image.save(path)
