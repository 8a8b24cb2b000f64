"""Planes → pictures: windowed, square pixels, overlays upon them, and the few discreet words that say what is seen.

Knows Pillow and no files: a `Cut` and a `Look` in, an 8-bit image out, grey or with overlays RGB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window, apply_window, window
from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.pictures.overlays import Overlay, Rgb, painted
from hounsfield.pictures.planes import Cut

SMALLEST_CAPTIONED = 512
"""Longest side in pixels at least, unless plain or sized: words need room."""

LARGEST_SIDE = 8192
"""No picture is larger: beyond that it is a mistyped size or a header gone mad."""

INK, SHADOW, FAINT = 225, 0, 150

LAST_LETTER = 0x250
"""Code points from here on, beyond Latin, are not in the font that Pillow brings."""

LONGEST_NAME = 28
"""Letters of a name in a legend."""


@dataclass(frozen=True)
class Look:
    """The look of a picture.

    `window` what is black and what is white; `invert` swaps them. `size` pixels of the longest side; by default
    one pixel a voxel, but at least 512 pixels under captions. `plain` leaves out every letter and line. `overlays`
    lie upon slices and planes, not upon projections.
    """

    window: Window = field(default_factory=lambda: window("soft-tissue"))
    invert: bool = False
    size: int | None = None
    plain: bool = False
    overlays: tuple[Overlay, ...] = ()

    def __post_init__(self) -> None:
        if self.size is not None and not 1 <= self.size <= LARGEST_SIDE:
            raise SelectionError(
                say("a size of {size} pixels", size=self.size), expected=f"1 … {LARGEST_SIDE}"
            )


HEADS = frozenset({"HEAD", "BRAIN", "SKULL"})
CHESTS = frozenset({"CHEST", "LUNG", "THORAX"})
"""Body Part Examined (0018,0015) that asks for another window than soft tissue (PS3.16 Annex L)."""

AIR_AT_MOST = -500
"""Numbers of no stated unit that reach below this hold air, and are shown as a CT."""

MAP_ENDS = 0.5, 99.5
"""Percentiles between which a map in another unit is shown: its outliers hide the rest."""


SAMPLED_VALUES = 1_000_000


def default_window(volume: Volume) -> Window:
    """Return the window a reader expects first: brain for a head, lung for a chest, else soft tissue; a map whole."""
    if not volume.is_hounsfield and (volume.unit != "unspecified" or volume.array.min() > AIR_AT_MOST):
        # An odd stride meets every column in turn; a million values say enough.
        some = volume.array.reshape(-1)[:: max(1, volume.array.size // SAMPLED_VALUES) | 1]
        low, high = (float(end) for end in np.percentile(some, MAP_ENDS))
        return Window(_short((low + high) / 2), max(_short(high - low), 1.0))
    part = str(volume.header.get("BodyPartExamined") or "").strip().upper()
    return window("brain" if part in HEADS else "lung" if part in CHESTS else "soft-tissue")


def natural_scale(cut: Cut, look: Look) -> float:
    """Millimetres a pixel of the picture."""
    height, width = extent(cut)
    longest = max(height, width)
    if look.size is not None:
        return longest / look.size
    scale = min(cut.spacing)
    if not look.plain:
        scale = min(scale, longest / SMALLEST_CAPTIONED)
    return max(scale, longest / LARGEST_SIDE)


def extent(cut: Cut) -> tuple[float, float]:
    """(height, width) in mm."""
    rows, columns = cut.values.shape
    return rows * cut.spacing[0], columns * cut.spacing[1]


def grey(cut: Cut, look: Look, scale: float) -> Image.Image:
    """The plane in square pixels of `scale` mm, windowed; interpolated in HU, before the window.

    Where voxels are square and `scale` is theirs, each pixel is one voxel's value.
    """
    height, width = (max(1, round(mm / scale)) for mm in extent(cut))
    values: NDArray[Any] = cut.values
    if (height, width) != values.shape:
        # Linear: anything smoother rings around bone and metal, and a narrow window shows it.
        wide = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        values = np.asarray(wide.resize((width, height), Image.Resampling.BILINEAR))
    return Image.fromarray(np.ascontiguousarray(apply_window(values, look.window, invert=look.invert)))


def drawn(cut: Cut, look: Look, scale: float) -> Image.Image:
    """The plane as `grey` has it, and the overlays of the look upon it."""
    return painted(grey(cut, look, scale), cut, look.overlays)


def caption(
    image: Image.Image,
    cut: Cut,
    words: list[str],
    *,
    size: int,
    shown: Window | None = None,
    scale: float | None = None,
) -> None:
    """Draw letters at the edges, words in the upper left; the window in the lower left, a scale bar.

    `size` is the letters' height in pixels.
    """
    pen = Pen(image, size)
    left, right, top, bottom = cut.edges
    wide, high = image.size
    margin = max(4, size // 2)
    pen.write((margin, high / 2), left, "lm")
    pen.write((wide - margin, high / 2), right, "rm")
    pen.write((wide / 2, margin), top, "ma")
    pen.write((wide / 2, high - margin), bottom, "md")
    for line, text in enumerate(words):
        pen.write((margin, margin + line * size * 1.25), text, "la")
    if shown is not None:
        pen.write((margin, high - margin), window_words(shown), "ld")
    if scale is not None:
        scale_bar(pen, (wide - margin, high - margin), scale, wide / 4)


def window_words(shown: Window) -> str:
    """The window as the corner of a picture says it."""
    return f"C {shown.center:g}  W {shown.width:g}"


def font_size(size: tuple[int, int]) -> int:
    """Height of letters in pixels for a picture of a size."""
    return max(11, min(28, min(size) // 30))


class Pen:
    """Writes light words with a dark rim, legible over bone and over air."""

    def __init__(self, image: Image.Image, size: int) -> None:
        self.draw = ImageDraw.Draw(image)
        self.size = size
        self._font = _font(size)
        self._is_grey = image.mode == "L"

    def write(self, at: tuple[float, float], text: str, anchor: str) -> None:
        rim = max(1, self.size // 10)
        ink, shadow = self._ink(INK), self._ink(SHADOW)
        self.draw.text(at, text, ink, self._font, anchor, stroke_width=rim, stroke_fill=shadow)

    def line(self, start: tuple[float, float], end: tuple[float, float], ink: int = INK) -> None:
        width = max(1, self.size // 12)
        self.draw.line([start, end], fill=self._ink(SHADOW), width=width + 2)
        self.draw.line([start, end], fill=self._ink(ink), width=width)

    def key(self, right: float, top: float, text: str, colour: Rgb) -> None:
        """Write a name with its colour beside it, from `right` to the left."""
        side = self.size * 0.75
        self.draw.rectangle(
            [right - side, top, right, top + side], fill=colour, outline=self._ink(SHADOW), width=1
        )
        self.write((right - side * 1.5, top + side / 2), text, "rm")

    def _ink(self, grey: int) -> int | Rgb:
        return grey if self._is_grey else (grey, grey, grey)


def legend(image: Image.Image, entries: Iterable[tuple[str, Rgb]], *, size: int) -> None:
    """Draw names and colours in the upper right corner; how many more there are where not all have room."""
    pen, lines = Pen(image, size), list(entries)
    margin, step = max(4, size // 2), size * 1.25
    # Down to the letter in the middle of the edge.
    room = max(int((image.height / 2 - margin - size) / step), 1)
    shown = lines if len(lines) <= room else lines[: room - 1]
    for line, (name, colour) in enumerate(shown):
        pen.key(image.width - margin, margin + line * step, _written(name), colour)
    if len(shown) < len(lines):
        pen.write(
            (image.width - margin, margin + len(shown) * step), f"+ {len(lines) - len(shown)} more", "ra"
        )


def _written(name: str) -> str:
    """A name as the letters that Pillow brings can write it: Latin; other signs are left blank."""
    letters = "".join(letter if ord(letter) < LAST_LETTER else "·" for letter in name)
    return letters if len(letters) <= LONGEST_NAME else letters[: LONGEST_NAME - 1] + "…"


def scale_bar(pen: Pen, corner: tuple[float, float], scale: float, longest: float) -> None:
    """A bar of a round length, at most `longest` pixels, ending at its lower right `corner`, with its length."""
    length = _round_below(longest * scale)
    x, y = corner
    start = x - length / scale
    tick = pen.size / 4
    pen.line((start, y - tick), (x, y - tick))
    for end in (start, x):
        pen.line((end, y - 2 * tick), (end, y))
    name = f"{length / 10:g} cm" if length >= 10 else f"{length:g} mm"
    pen.write(((start + x) / 2, y - 2.5 * tick), name, "md")


def _short(number: float) -> float:
    """Three digits are enough to say it."""
    return float(f"{number:.3g}")


def _round_below(length: float) -> float:
    """The largest of 1, 2, 5 · 10ⁿ mm that is not above a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(factor * power for factor in (1, 2, 5) if factor * power <= length * (1 + 1e-9)))


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)
