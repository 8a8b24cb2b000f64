"""Windows: the standard's formulas to the letter, presets by name, tables that equal the formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.ct.windowing import PRESETS, Window, apply_window, display_values, window
from hounsfield.errors import SelectionError, UnsupportedError


@pytest.mark.parametrize(
    ("shown", "values"),
    [
        # The examples of PS3.3 C.11.2.1.2.1, with 0 … 255 as output.
        (Window(2048, 4096), {0: 0, 4095: 255}),
        (Window(2048, 1), {2047: 0, 2048: 255}),
        (Window(0, 100), {-50: 0, 49: 255}),
        (Window(0, 1), {-1: 0, 0: 255}),
        # The examples of PS3.3 C.11.2.1.3.2.
        (Window(2048, 4096, "LINEAR_EXACT"), {0: 0, 4096: 255}),
        (Window(0, 100, "LINEAR_EXACT"), {-50: 0, 50: 255, 0: 127.5}),
    ],
)
def test_the_ends_are_where_the_standard_puts_them(shown: Window, values: dict[str, Any]) -> None:
    found = display_values(np.array(list(values)), shown)
    assert found == pytest.approx(list(values.values()))


def as_written(x: int, c: int, w: Any, function: str, low: int, high: int) -> int:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, transcribed for one number."""
    if function == "LINEAR":
        if x <= c - 0.5 - (w - 1) / 2:
            return low
        if x > c - 0.5 + (w - 1) / 2:
            return high
        return ((x - (c - 0.5)) / (w - 1) + 0.5) * (high - low) + low
    if function == "LINEAR_EXACT":
        if x <= c - w / 2:
            return low
        if x > c + w / 2:
            return high
        return ((x - c) / w + 0.5) * (high - low) + low
    return (high - low) / (1 + math.exp(-4 * (x - c) / w)) + low  # type: ignore[return-value]


@given(
    x=st.integers(-32768, 32767),
    c=st.integers(-2000, 3000),
    w=st.integers(1, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_every_value_is_what_the_standard_writes(x: int, c: int, w: int, function: str) -> None:
    try:
        expected = as_written(x, c, w, function, 0, 255)
    except OverflowError:
        expected = 0.0  # type: ignore[assignment]
    assert display_values(np.array([x]), Window(c, w, function))[0] == pytest.approx(expected, abs=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.dtype(">i2")])
def test_the_table_equals_the_formula(dtype: Any, function: str) -> None:
    array = np.arange(-32768, 32768).astype(dtype).reshape(256, 256)
    shown = Window(40, 400, function)  # type: ignore[arg-type]
    expected = np.rint(display_values(array, shown)).astype(np.uint8)
    assert np.array_equal(apply_window(array, shown), expected)
    assert np.array_equal(apply_window(array.astype(np.float32), shown), expected)
    assert np.array_equal(apply_window(array, shown, invert=True), 255 - expected)


def test_any_shape_and_any_memory_order() -> None:
    array = np.arange(-60, 60, dtype=np.int16).reshape(4, 5, 6)
    whole = apply_window(array, Window(0, 100))
    assert np.array_equal(apply_window(array[::2, :, ::-1], Window(0, 100)), whole[::2, :, ::-1])
    assert np.array_equal(apply_window(array.T, Window(0, 100)), whole.T)


def test_nothing_measured_is_black() -> None:
    array = np.array([np.nan, -np.inf, np.inf, 0], np.float32)
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        assert apply_window(array, Window(0, 100, function))[:3].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("text", "center", "width"),
    [
        ("lung", -600, 1500),
        ("Soft tissue", 40, 400),
        ("soft_tissue", 40, 400),
        ("LIVER", 90, 150),
        ("bone", 480, 2500),
        ("brain", 40, 80),
        ("mediastinum", 50, 350),
        ("stroke", 40, 40),
        ("subdural", 75, 200),
        ("angio", 300, 600),
        ("肺窗", -600, 1500),
        ("脑窗", 40, 80),
        ("40/400", 40, 400),
        ("-600 / 1500", -600, 1500),
        ("−600,1500", -600, 1500),
        ("c=40.5, w=80", 40.5, 80),
        ("C40/W80", 40, 80),
    ],
)
def test_windows_are_read_from_text(text: str, center: int, width: int) -> None:
    assert window(text) == Window(center, width)


def test_an_unknown_window_is_told_the_presets() -> None:
    with pytest.raises(SelectionError, match=r"no window 'lumg'.*40/400.*soft-tissue, lung") as caught:
        window("lumg")
    assert "lung" in caught.value.data["choices"]


@pytest.mark.parametrize("text", ["", "40", "40/", "/400", "40/400/3", "1e5/2", "40 400"])
def test_text_that_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(SelectionError):
        window(text)


@pytest.mark.parametrize(
    ("width", "function"),
    [
        (0.5, "LINEAR"),
        (0, "LINEAR_EXACT"),
        (-4, "SIGMOID"),
        (math.inf, "LINEAR"),
        (math.nan, "SIGMOID"),
        (40, "CUBIC"),
    ],
)
def test_windows_that_the_standard_does_not_allow_are_refused(width: float, function: str) -> None:
    with pytest.raises(UnsupportedError):
        Window(40, width, function)  # type: ignore[arg-type]


def test_presets_have_names_in_both_languages() -> None:
    for name, preset in PRESETS.items():
        assert window(name) == window(preset.english) == window(preset.chinese) == preset.window
        assert not preset.chinese.isascii()


def test_a_window_reads_as_it_is_written() -> None:
    assert str(Window(-600, 1500)) == "-600/1500"
    assert window(str(Window(40.5, 80))) == Window(40.5, 80)
