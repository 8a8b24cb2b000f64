"""Pictures of a volume: one plane, a projection, a montage, three planes side by side.

Each is a `Picture`: an image, grey unless something lies upon it, and the facts that go into its file. Nothing is
written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window
from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.pictures.drawing import (
    FAINT,
    LARGEST_SIDE,
    Look,
    Pen,
    caption,
    drawn,
    extent,
    font_size,
    legend,
    natural_scale,
    scale_bar,
    window_words,
)
from hounsfield.pictures.overlays import seen
from hounsfield.pictures.planes import VIEWS, Cut, Stack, acquired_plane, nearest, slab_range, stack

Projection = Literal["mip", "minip"]

GAP = 2
"""Black pixels between the tiles of a montage."""

MONTAGE_TILE = 256
"""Longest side of a tile, in pixels, where no size is asked for."""


CAPTIONED_ROW = 1200
"""Width in pixels at least of three captioned planes: words need room in each."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An 8-bit image, grey or with overlays RGB, `scale` mm a pixel, and plain facts about it by name."""

    image: Image.Image
    scale: float
    facts: Mapping[str, str]


def slice_picture(
    volume: Volume,
    *,
    plane: str = "axial",
    number: int | None = None,
    position: float | None = None,
    look: Look | None = None,
) -> Picture:
    """One plane: by its number from 0, by its position in mm along the patient's axis, or the middle one.

    Raises `SelectionError` for a plane that is not there.
    """
    look = look or Look()
    planes = stack(volume, plane)
    cut = planes.cut(chosen(planes, number, position))
    return plane_picture(volume, cut, look)


def projection_picture(
    volume: Volume,
    kind: Projection,
    *,
    plane: str = "coronal",
    slab: float | None = None,
    number: int | None = None,
    position: float | None = None,
    look: Look | None = None,
) -> Picture:
    """Highest ("mip") or lowest ("minip") values through a slab of `slab` mm about a plane, or all of them.

    Overlays are not drawn: a voxel of a projection is at no one depth.
    """
    look = replace(look or Look(), overlays=())
    planes = stack(volume, plane)
    middle = chosen(planes, number, position)
    first, last = slab_range(planes, middle, slab)
    values = planes.extreme(first, last, highest=kind == "mip")
    step = abs(float(planes.positions[-1] - planes.positions[0])) / max(len(planes.positions) - 1, 1)
    cut = replace(planes.cut(middle), values=values, uid="")
    name = "MIP" if kind == "mip" else "MinIP"
    thick = f"{name} {(last - first + 1) * step:.1f} mm" if len(planes.positions) > 1 else name
    words = [plane.capitalize(), thick] + ([cut.place] if slab is not None else [])
    return _finished(volume, cut, look, words, {"Projection": thick})


def plane_picture(volume: Volume, cut: Cut, look: Look) -> Picture:
    """The picture of a plane that is cut already."""
    words = [f"{cut.plane.capitalize()} {cut.number + 1}/{cut.count}", cut.place]
    if volume.is_sheared and cut.plane == acquired_plane(volume):
        words.append(f"tilt {volume.tilt_degrees:.1f}°")
    return _finished(volume, cut, look, words, {})


def montage_picture(
    volume: Volume, rows: int, columns: int, *, plane: str = "axial", look: Look | None = None
) -> Picture:
    """`rows` × `columns` planes, evenly chosen from the first to the last, each with its position."""
    look = look or Look()
    if rows < 1 or columns < 1 or max(rows, columns) > 100:
        raise SelectionError(
            say("a montage of {rows}×{columns}", rows=rows, columns=columns),
            expected="1 … 100 rows and columns",
        )
    planes = stack(volume, plane)
    count = min(rows * columns, len(planes.positions))
    numbers = np.rint(np.linspace(0, len(planes.positions) - 1, count)).astype(int)
    if count == 1:
        numbers = np.array([len(planes.positions) // 2])
    first = planes.cut(int(numbers[0]))
    high, wide = extent(first)
    longest = max(rows * high, columns * wide)
    size = look.size or min(LARGEST_SIDE, round(MONTAGE_TILE * longest / max(high, wide)))
    scale = longest / size
    tile = max(1, round(high / scale)), max(1, round(wide / scale))
    mode = "RGB" if look.overlays else "L"
    canvas = Image.new(mode, (columns * (tile[1] + GAP) - GAP, rows * (tile[0] + GAP) - GAP))
    for index, number in enumerate(numbers):
        cut = planes.cut(int(number))
        image = drawn(cut, look, scale)
        if not look.plain:
            shown = look.window if index == 0 else None
            _label(image, cut, shown=shown, bar=scale if index == count - 1 else None)
            if index == 0 and look.overlays:
                cuts = (planes.cut(int(number)) for number in numbers)
                legend(image, seen(cuts, look.overlays), size=font_size((image.width * 2, image.height * 2)))
        canvas.paste(image, (index % columns * (tile[1] + GAP), index // columns * (tile[0] + GAP)))
    facts = _facts(volume, first, look) | {
        "Montage": f"{rows}×{columns}",
        "Positions": _listed(planes, numbers),
    }
    facts.pop("SOPInstanceUID", None)
    return Picture(canvas, scale, facts)


def planes_picture(
    volume: Volume, *, center: tuple[float, float, float] | None = None, look: Look | None = None
) -> Picture:
    """Axial, coronal and sagittal through one point (LPS mm; by default the middle), at one scale.

    Ticks at each plane's edges show where the other two cut it.
    """
    look = look or Look()
    point = (
        volume.lps(*((np.array(volume.shape) - 1) / 2)) if center is None else np.array(center, dtype=float)
    )
    cuts = []
    for plane, view in VIEWS.items():
        planes = stack(volume, plane)
        cuts.append(planes.cut(nearest(planes, float(point[view.axis]))))
    scale = _row_scale(cuts, look)
    images = [drawn(cut, look, scale) for cut in cuts]
    if not look.plain:
        for cut, image in zip(cuts, images, strict=True):
            _ticks(image, cut, point)
    panels = _panels(images)
    if not look.plain:
        for panel, cut, shown, bar in zip(
            panels, cuts, (look.window, None, None), (None, None, scale), strict=True
        ):
            words = [cut.plane.capitalize(), cut.place]
            caption(panel, cut, words, size=font_size((panel.height, panel.height)), shown=shown, scale=bar)
        legend(panels[-1], seen(cuts, look.overlays), size=font_size((panels[-1].height, panels[-1].height)))
    canvas = Image.new(images[0].mode, (sum(panel.width + GAP for panel in panels) - GAP, panels[0].height))
    for index, panel in enumerate(panels):
        canvas.paste(panel, (sum(before.width + GAP for before in panels[:index]), 0))
    facts = _facts(volume, cuts[0], look) | {"Plane": ", ".join(cut.plane for cut in cuts)}
    facts |= {"Position": ", ".join(cut.place for cut in cuts)}
    facts.pop("SOPInstanceUID", None)
    return Picture(canvas, scale, facts)


def _row_scale(cuts: list[Cut], look: Look) -> float:
    """Millimetres a pixel for planes side by side."""
    width = sum(extent(cut)[1] for cut in cuts)
    longest = max(width, *(extent(cut)[0] for cut in cuts))
    if look.size is not None:
        return longest / look.size
    scale = min(min(cut.spacing) for cut in cuts)
    if not look.plain:
        scale = min(scale, width / CAPTIONED_ROW)
    return max(scale, longest / LARGEST_SIDE)


def _panels(images: list[Image.Image]) -> list[Image.Image]:
    """Each image in the middle of a black panel as high as the highest."""
    tall = max(image.height for image in images)
    panels = [Image.new(image.mode, (image.width, tall)) for image in images]
    for panel, image in zip(panels, images, strict=True):
        panel.paste(image, (0, (tall - image.height) // 2))
    return panels


def chosen(planes: Stack, number: int | None, position: float | None) -> int:
    """The plane meant: by number from 0, by position in mm, or the middle one."""
    count = len(planes.positions)
    if position is not None:
        return nearest(planes, position)
    if number is None:
        return count // 2
    if not 0 <= number < count:
        raise SelectionError(say("no slice {number}", number=number + 1), expected=f"1 … {count}")
    return number


def _finished(volume: Volume, cut: Cut, look: Look, words: list[str], more: dict[str, str]) -> Picture:
    scale = natural_scale(cut, look)
    image = drawn(cut, look, scale)
    if not look.plain:
        caption(image, cut, words, size=font_size(image.size), shown=look.window, scale=scale)
        legend(image, seen([cut], look.overlays), size=font_size(image.size))
    return Picture(image, scale, _facts(volume, cut, look) | more)


def _facts(volume: Volume, cut: Cut, look: Look) -> dict[str, str]:
    facts = {
        "Software": "hounsfield",
        "Window": f"center {look.window.center:g}, width {look.window.width:g}, {look.window.function}",
        "Unit": volume.unit,
        "Plane": cut.plane,
        "Position": cut.place,
        "SOPInstanceUID": cut.uid,
        "SeriesInstanceUID": str(volume.header.get("SeriesInstanceUID") or ""),
    }
    names = {name: colour for each in look.overlays for name, colour in each.legend()}
    facts["Segments"] = ", ".join("{} #{:02x}{:02x}{:02x}".format(name, *rgb) for name, rgb in names.items())
    if look.invert:
        facts["Inverted"] = "black is high"
    return {name: text for name, text in facts.items() if text}


def _label(image: Image.Image, cut: Cut, *, shown: Window | None, bar: float | None) -> None:
    """A tile's position; on the first tile also the sides and the window, on the last a scale bar."""
    size = font_size((image.width * 2, image.height * 2))
    pen = Pen(image, size)
    margin = max(2, size // 3)
    pen.write((margin, margin), cut.place, "la")
    if shown is not None:
        pen.write((margin, image.height - margin), window_words(shown), "ld")
        pen.write((margin, image.height / 2), cut.edges[0], "lm")
        pen.write((image.width - margin, image.height / 2), cut.edges[1], "rm")
    if bar is not None:
        scale_bar(pen, (image.width - margin, image.height - margin), bar, image.width / 3)


def _ticks(image: Image.Image, cut: Cut, point: np.ndarray) -> None:
    """Short marks at the edges where planes through `point` cut this one."""
    pen = Pen(image, font_size(image.size))
    row, column = np.linalg.lstsq(cut.steps, point - cut.corner, rcond=None)[0]
    rows, columns = cut.values.shape
    x = (float(column) + 0.5) / columns * image.width
    y = (float(row) + 0.5) / rows * image.height
    long = max(6, min(image.size) // 24)
    # Inside the letters at the middle of each edge, so that neither hides the other.
    inset = 2 * font_size(image.size)
    for start, end in (
        ((x, inset), (x, inset + long)),
        ((x, image.height - inset), (x, image.height - inset - long)),
        ((inset, y), (inset + long, y)),
        ((image.width - inset, y), (image.width - inset - long, y)),
    ):
        pen.line(start, end, FAINT)


def _listed(planes: Stack, numbers: np.ndarray) -> str:
    return ", ".join(f"{planes.positions[number]:.1f}" for number in numbers) + " mm"
