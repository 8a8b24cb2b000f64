"""HU → what a screen shows: VOI windows (PS3.3 C.11.2.1.2) and the presets radiologists know by name.

For eyes only: a windowed value is never a Hounsfield unit again. Arrays in, uint8 arrays of the same shape out;
no pictures here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import SelectionError, UnsupportedError
from hounsfield.language import say

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
"""VOI LUT Function (0028,1056)."""

LARGEST_OUT = 255


@dataclass(frozen=True)
class Window:
    """The HU shown between black and white: `center` and `width` as in (0028,1050) and (0028,1051).

    Raises `UnsupportedError` for a function that PS3.3 C.11.2.1.3 does not define, or a width below 1
    (LINEAR) or not above 0 (LINEAR_EXACT, SIGMOID).
    """

    center: float
    width: float
    function: Function = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in get_args(Function):
            raise UnsupportedError(
                say("VOI LUT function {function}", function=repr(self.function)),
                expected=", ".join(get_args(Function)),
            )
        narrow = self.width < 1 if self.function == "LINEAR" else self.width <= 0
        if narrow or not math.isfinite(self.width) or not math.isfinite(self.center):
            least = "at least 1" if self.function == "LINEAR" else "above 0"
            raise UnsupportedError(
                say(
                    "a window of centre {center} and width {width}",
                    center=format(self.center, "g"),
                    width=format(self.width, "g"),
                ),
                expected=say("a width {least} (PS3.3 C.11.2.1.2)", least=least),
            )

    def __str__(self) -> str:
        return f"{self.center:g}/{self.width:g}"


@dataclass(frozen=True)
class Preset:
    """A window that has a name; `english` and `chinese` are how a reader is shown it."""

    name: str
    window: Window
    english: str
    chinese: str
    other_names: tuple[str, ...] = ()


_PRESETS = (
    Preset("soft-tissue", Window(40, 400), "Soft tissue", "软组织窗", ("soft", "abdomen", "腹部", "软组织")),
    Preset("lung", Window(-600, 1500), "Lung", "肺窗", ("lungs", "肺")),
    Preset("mediastinum", Window(50, 350), "Mediastinum", "纵隔窗", ("chest", "纵隔")),
    Preset("bone", Window(480, 2500), "Bone", "骨窗", ("bones", "骨")),
    Preset("brain", Window(40, 80), "Brain", "脑窗", ("head", "颅脑", "脑")),
    Preset("stroke", Window(40, 40), "Stroke", "卒中窗", ("卒中",)),
    Preset("subdural", Window(75, 200), "Subdural", "硬膜下窗", ("blood", "硬膜下")),
    Preset("posterior-fossa", Window(40, 120), "Posterior fossa", "后颅窝窗", ("后颅窝",)),
    Preset("temporal-bone", Window(600, 2800), "Temporal bone", "颞骨窗", ("petrous", "颞骨")),
    Preset("liver", Window(90, 150), "Liver", "肝窗", ("肝",)),
    Preset("angio", Window(300, 600), "Angiography", "血管窗", ("angiography", "cta", "vessels", "血管")),
    Preset("spine", Window(40, 300), "Spine", "脊柱窗", ("脊柱",)),
    Preset("full", Window(1024, 4096), "Everything", "全范围", ("all", "全部")),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _PRESETS})
"""Presets by name, in the order a menu shows them. Widths and centres are customary, no standard sets them."""

_NAMES = {
    name.casefold(): preset
    for preset in _PRESETS
    for name in (preset.name, preset.english, preset.chinese, *preset.other_names)
}
_NUMBER = r"([-+−]?\d+(?:\.\d*)?|[-+−]?\.\d+)"
_CENTER_WIDTH = re.compile(
    rf"\s*(?:c\s*=?\s*)?{_NUMBER}\s*[/,;|]\s*(?:w\s*=?\s*)?{_NUMBER}\s*", re.IGNORECASE
)


def window(text: str | Window, function: Function = "LINEAR") -> Window:
    """A window by a preset's name in English or Chinese ("lung", "Soft tissue", "脑窗") or as "centre/width".

    Raises `SelectionError` for anything else, naming the presets.
    """
    if isinstance(text, Window):
        return text
    numbers = _CENTER_WIDTH.fullmatch(text)
    if numbers is not None:
        center, width = (float(number.replace("−", "-")) for number in numbers.groups())
        return Window(center, width, function)
    plain = " ".join(text.casefold().split())
    preset = _NAMES.get(plain) or _NAMES.get(plain.replace(" ", "-").replace("_", "-"))
    if preset is None:
        raise SelectionError(
            say("no window {text}", text=repr(text)),
            expected=say("centre/width such as 40/400, or {listed}", listed=", ".join(PRESETS)),
            choices=tuple(PRESETS),
        )
    return Window(preset.window.center, preset.window.width, function)


def apply_window(array: NDArray[Any], shown: Window, *, invert: bool = False) -> NDArray[np.uint8]:
    """HU (any shape) → uint8 (same shape), 0 black … 255 white, rounded to nearest.

    `invert` swaps black and white on the display (MONOCHROME1, PS3.3 C.7.6.3.1.2); HU are never inverted.
    16-bit arrays go through a table, so that every value costs one look-up. NaN is black.
    """
    if array.dtype.kind in "iu" and array.dtype.itemsize == 2:
        table = _table(shown, array.dtype.kind == "i", invert)
        return np.asarray(table[array.astype(array.dtype.newbyteorder("="), copy=False).view(np.uint16)])
    return _shown(array, shown, invert)


def display_values(
    x: NDArray[Any], shown: Window, low: float = 0.0, high: float = 255.0
) -> NDArray[np.float64]:
    """The standard's formulas as they stand, float64: HU (any shape) → `low` … `high`."""
    x = np.asarray(x, dtype=np.float64)
    c, w, span = shown.center, shown.width, high - low
    if shown.function == "SIGMOID":
        # PS3.3 C.11.2.1.3.1; below −700 the exponential would overflow, and the value is `low` long before.
        y: NDArray[np.float64] = span / (1 + np.exp(np.minimum(-4 * (x - c) / w, 700))) + low
        return y
    if shown.function == "LINEAR":
        # PS3.3 C.11.2.1.2.1: the centre moves half a step down and the width loses one.
        c, w = c - 0.5, w - 1
    under, over = x <= c - w / 2, x > c + w / 2
    inside = ((x - c) / w + 0.5) * span + low if w > 0 else np.full_like(x, low)
    return np.where(under, low, np.where(over, high, inside))


@lru_cache(maxsize=32)
def _table(shown: Window, signed: bool, invert: bool) -> NDArray[np.uint8]:
    """(65536,) uint8, indexed by the value's bits read as unsigned."""
    values = np.arange(65536, dtype=np.uint16)
    return _shown(values.view(np.int16) if signed else values, shown, invert)


def _shown(array: NDArray[Any], shown: Window, invert: bool) -> NDArray[np.uint8]:
    values = np.rint(display_values(np.nan_to_num(array, nan=-np.inf, posinf=np.inf, neginf=-np.inf), shown))
    bytes_ = values.astype(np.uint8)
    return LARGEST_OUT - bytes_ if invert else bytes_
