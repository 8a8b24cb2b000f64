"""The table of docs/trust.md: every kind of field, real and made, under everything that is done to values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.ct.plausibility import MOST_SLICES, Physics, Sample, judge, spread
from hounsfield.ct.plausibility.rule import COARSE_STEP
from hounsfield.ct.series import LoadOptions
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import Trust, inspect

Slices = list[NDArray[np.float32]]
SMALL_FIELD_MM = 40.0

DONE: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "clamped": lambda hu: np.maximum(hu, -1024),
    "offset lost": lambda hu: hu + 1024,
    "water = 1000": lambda hu: hu + 1000,
    "rescaled twice": lambda hu: hu - 1024,
    "twice, clamped": lambda hu: np.maximum(hu - 1024, -1024),
    "half": lambda hu: hu * 0.5,
    "half the slope": lambda hu: (hu + 1024) * 0.5 - 1024,
    "double": lambda hu: hu * 2,
    "ten times": lambda hu: hu * 10,
    "slope 10": lambda hu: (hu + 1024) * 10 - 1024,
    "windowed": lambda hu: np.rint(np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.float32),
    "8 bits": lambda hu: np.rint((hu - hu.min()) / max(np.ptp(hu), 1) * 255).astype(np.float32),
    "fractions": lambda hu: ((hu - hu.min()) / max(np.ptp(hu), 1)).astype(np.float32),
    "negated": lambda hu: -hu,
}
SEEN_WHEREVER_THERE_IS_AIR = (
    "offset lost",
    "water = 1000",
    "rescaled twice",
    "ten times",
    "slope 10",
    "negated",
)
SEEN_ANYWHERE = ("windowed", "8 bits", "fractions")


def judged(
    slices: Slices, change: Callable[[NDArray[np.float32]], NDArray[np.float32]], field_mm: float
) -> Physics:
    return judge([Sample(change(each)) for each in slices], field_mm=field_mm).verdict


REAL = ("philips_phantom", "odd/ge_ct_3slice", "transfer_syntaxes/CTImage.dcm", "field/codecs")


def real_series(data: Path, name: str) -> list[Slices]:
    found = []
    for series in hounsfield.scan(data / name).series:
        if series.unit.hounsfield and series.phases and series.header.integer("Rows", 0) >= 128:  # type: ignore[operator]
            array = series.load(LoadOptions(clamp=False, gaps="fill")).array
            found.append([array[index].astype(np.float32) for index in spread(len(array), MOST_SLICES)])
    return found


@pytest.mark.parametrize("name", REAL)
def test_real_series_under_everything(name: str, real_data: Path) -> None:
    found = real_series(real_data, name)
    assert found
    for slices in found:
        assert judged(slices, lambda hu: hu, 350.0) is Physics.PLAUSIBLE
        assert judged(slices, DONE["clamped"], 350.0) is Physics.PLAUSIBLE
        for change in DONE.keys() - {"clamped"}:
            verdict = judged(slices, DONE[change], 350.0)
            assert verdict is not Physics.PLAUSIBLE, change
            if change in (*SEEN_WHEREVER_THERE_IS_AIR, *SEEN_ANYWHERE):
                assert verdict is Physics.IMPLAUSIBLE, change


def test_no_untouched_real_series_is_implausible_whatever_it_is(real_data: Path) -> None:
    places = [
        path
        for folder in (
            "odd",
            "enhanced",
            "transfer_syntaxes",
            "field/elements",
            "field/codecs",
            "field/reading",
        )
        for path in sorted((real_data / folder).iterdir())
        if not path.name.startswith(("not_hu", "note"))
    ]
    judged_series = 0
    for place in places:
        if place.suffix in (".txt", ".md") or place.name.startswith("LICENSE"):
            continue
        for series in hounsfield.scan(place).series:
            found = series.plausibility()
            judged_series += found is not None
            assert found is None or found.verdict is not Physics.IMPLAUSIBLE, place
    assert judged_series > 30


@pytest.mark.parametrize("name", ["not_hu_8bit", "not_hu_offset_1024"])
def test_what_is_known_not_to_be_hu_is_never_green(name: str, real_data: Path) -> None:
    for series in hounsfield.scan(real_data / "field" / "reading" / name).series:
        found = inspect(series)
        assert found.trust is not Trust.GREEN
        assert found.plausibility is not None and found.plausibility.verdict is not Physics.PLAUSIBLE


def disc(size: int, radius: float, at: tuple[float, float] = (0, 0)) -> NDArray[np.bool_]:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    inside: NDArray[np.bool_] = np.hypot(x - at[0], y - at[1]) < radius
    return inside


def noisy(values: NDArray[np.float64], sd: float, seed: int = 0) -> NDArray[np.float32]:
    return (values + np.random.default_rng(seed).normal(0, sd, values.shape)).astype(np.float32)


def trunk(size: int = 320) -> NDArray[np.float64]:
    values = np.full((size, size), -1000.0)
    for radius, hu in ((0.85, -100.0), (0.75, 50.0)):
        values[disc(size, radius)] = hu
    return values


def graded_bone(size: int) -> NDArray[np.float64]:
    """Trabeculae: nothing in it is uniform over 20 mm."""
    return 300 + 900 * np.random.default_rng(8).random((size // 4, size // 4)).repeat(4, 0).repeat(4, 1)


def kinds() -> dict[str, tuple[Slices, float, bool]]:
    """Name → slices, field in mm, and whether there is air in it."""
    lungs, metal, padded, small = trunk(), trunk(), trunk(), trunk()
    for side in (-0.35, 0.35):
        lungs[disc(320, 0.25, (side, 0))] = -820
        metal[disc(320, 0.03, (side, 0))] = 3071
    padded[~disc(320, 0.99)] = -2000
    head = np.full((320, 320), -1000.0)
    head[disc(320, 0.35)] = 1100
    head[disc(320, 0.30)] = 35
    return {
        "trunk": ([noisy(trunk(), 12)], 350.0, True),
        "lungs": ([noisy(lungs, 20)], 350.0, True),
        "metal": ([noisy(metal, 20)], 350.0, True),
        "padded": ([np.where(padded == -2000, -2000, noisy(padded, 12)).astype(np.float32)], 350.0, True),
        "a small head": ([noisy(head, 6)], 350.0, True),
        "sharp": ([noisy(trunk(), 110)], 350.0, True),
        "muscle alone": ([noisy(small[130:190, 130:190], 12)], SMALL_FIELD_MM, False),
        "lung alone": ([noisy(np.full((200, 200), -820.0), 30)], SMALL_FIELD_MM, False),
        "air alone": ([noisy(np.full((200, 200), -1000.0), 10)], 200.0, True),
        "bone alone": ([noisy(graded_bone(200), 40)], SMALL_FIELD_MM, False),
        "contrast": ([noisy(np.where(disc(320, 0.4), 320.0, trunk()), 15)], 350.0, True),
        "one plastic": ([noisy(np.where(disc(320, 0.6), 120.0, -1000.0), 8)], 350.0, True),
    }


@pytest.mark.parametrize("name", kinds())
def test_no_kind_of_field_is_accused_untouched_and_none_is_believed_when_changed(name: str) -> None:
    slices, field_mm, has_air = kinds()[name]
    assert judged(slices, lambda hu: hu, field_mm) is not Physics.IMPLAUSIBLE
    assert judged(slices, DONE["clamped"], field_mm) is not Physics.IMPLAUSIBLE
    for change in SEEN_ANYWHERE:
        verdict = judged(slices, DONE[change], field_mm)
        assert verdict is not Physics.PLAUSIBLE, change
        assert name.endswith("alone") or verdict is Physics.IMPLAUSIBLE, change
    if has_air and name != "air alone":
        for change in SEEN_WHEREVER_THERE_IS_AIR:
            assert judged(slices, DONE[change], field_mm) is not Physics.PLAUSIBLE, change


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tilt": -18.5},
        {"padding": -2000},
        {"metal": 12000.0},
        {"noise": 60.0},
        {"slope": 0.5},
    ],
)
def test_no_phantom_is_accused(changes: dict[str, float], tmp_path: Path) -> None:
    phantom.write(PhantomSpec(rows=256, columns=256, slices=4, **changes), tmp_path)  # type: ignore[arg-type]
    found = hounsfield.scan(tmp_path).series[0].plausibility()
    assert found is not None and found.verdict is not Physics.IMPLAUSIBLE


@pytest.mark.parametrize(("step", "is_said"), [(COARSE_STEP - 0.5, False), (COARSE_STEP, True)])
def test_values_in_coarse_steps_are_said_and_not_accused(step: float, is_said: bool) -> None:
    values = np.round(noisy(trunk(), 12) / step) * step
    found = judge([Sample(values.astype(np.float32))], field_mm=350.0)
    assert ("coarse-steps" in [each.key for each in found.evidence]) is is_said
    assert found.verdict is Physics.PLAUSIBLE


def test_a_small_object_whose_offset_was_lost_or_slope_halved_is_seen() -> None:
    values = np.full((512, 512), -1000.0)
    values[disc(512, 0.16)] = 95.0
    small = [noisy(values, 6)]
    assert judged(small, lambda hu: hu, 400.0) is Physics.PLAUSIBLE
    for change in ("offset lost", "water = 1000", "half the slope"):
        assert judged(small, DONE[change], 400.0) is Physics.IMPLAUSIBLE, change
