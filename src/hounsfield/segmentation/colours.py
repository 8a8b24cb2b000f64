"""Recommended Display CIELab Value (0062,000D) ↔ sRGB (PS3.3 C.10.7.1.1: D50, L* 0 … 100, a* and b* −128 … 127).

And colours for segments that have none: `colour_at`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]

_D50 = np.array([0.96422, 1.0, 0.82521])
# Linear sRGB → XYZ of D50, adapted by Bradford's matrix (IEC 61966-2-1; ICC.1 annex E).
_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ)
_SCALE, _OFFSET = np.array([65535 / 100, 65535 / 255, 65535 / 255]), np.array([0.0, 128.0, 128.0])
_KNEE = 6 / 29

_FIRST = ((228, 26, 28), (55, 126, 184), (77, 175, 74), (152, 78, 163), (255, 127, 0), (166, 86, 40))
_GOLDEN = 0.618034


def colour_at(place: int) -> Rgb:
    """sRGB of the segment at a place, from 0, of a list: six that differ well, then hues spread by the golden ratio."""
    if place < len(_FIRST):
        return _FIRST[place]
    red, green, blue = colorsys.hsv_to_rgb(place * _GOLDEN % 1, (0.85, 0.55)[place % 2], 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def rgb_of_cielab(values: Sequence[float]) -> Rgb | None:
    """sRGB of three values of US; None for another number of them."""
    if len(values) != 3:
        return None
    lightness, a, b = np.asarray(values, np.float64) / _SCALE - _OFFSET
    y = (lightness + 16) / 116
    curve = np.array([y + a / 500, y, y - b / 200])
    xyz = _D50 * np.where(curve > _KNEE, curve**3, 3 * _KNEE**2 * (curve - 4 / 29))
    linear = np.clip(_FROM_XYZ @ xyz, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(encoded * 255).astype(int).tolist()
    return red, green, blue


def cielab_of_rgb(colour: Rgb) -> list[int]:
    """The three values of US for an sRGB colour."""
    encoded = np.asarray(colour, np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    share = _TO_XYZ @ linear / _D50
    curve: NDArray[np.float64] = np.where(share > _KNEE**3, np.cbrt(share), share / (3 * _KNEE**2) + 4 / 29)
    lab = np.array([116 * curve[1] - 16, 500 * (curve[0] - curve[1]), 200 * (curve[1] - curve[2])])
    values: list[int] = np.clip(np.rint((lab + _OFFSET) * _SCALE), 0, 65535).astype(int).tolist()
    return values
