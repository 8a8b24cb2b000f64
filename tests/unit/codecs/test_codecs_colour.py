"""Colour spaces: known values of the standard's equations, and palettes at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from hounsfield.codecs.colour import PaletteChannel, palette_to_rgb, to_rgb
from hounsfield.errors import MalformedError, UnsupportedError

YBR = np.array([[[76, 85, 255], [150, 44, 21], [29, 255, 107], [255, 128, 128]]], np.uint8)
RGB = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


def test_primaries_in_ybr_full_become_rgb() -> None:
    got = to_rgb(YBR, "YBR_FULL")
    assert got.dtype == np.uint8
    assert np.abs(got[0].astype(int) - RGB).max() <= 2


def test_partial_range_reaches_black_and_white() -> None:
    limits = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    assert to_rgb(limits, "YBR_PARTIAL_420").tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_what_decoders_undo_is_left_alone() -> None:
    for space in ("RGB", "YBR_RCT", "YBR_ICT", "XYB"):
        assert to_rgb(YBR, space) is YBR


def test_palettes_are_indexed_from_their_first_and_held_at_their_ends() -> None:
    channel = PaletteChannel(first=10, bits=8, entries=[1, 2, 3])
    got = palette_to_rgb(np.array([[0, 10, 11, 200]], np.uint8), [channel] * 3)
    assert got[..., 0].tolist() == [[1, 1, 2, 3]] and got.dtype == np.uint8


def test_deep_palettes_stay_deep() -> None:
    channel = PaletteChannel(first=-1, bits=16, entries=[0, 65535])
    assert palette_to_rgb(np.array([[0]], np.int16), [channel] * 3).tolist() == [[[65535] * 3]]


def test_no_colour_where_there_is_none() -> None:
    with pytest.raises(UnsupportedError):
        to_rgb(YBR, "MONOCHROME2")
    with pytest.raises(MalformedError):
        to_rgb(YBR[..., 0], "YBR_FULL")
    with pytest.raises(MalformedError):
        palette_to_rgb(YBR[..., 0], [])
