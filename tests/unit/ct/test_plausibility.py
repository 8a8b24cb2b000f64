"""Whether numbers can be HU: what was done to slices, real and made, is seen; untouched ones are never accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.ct.hu import Conversion, Padding, Rescale, StoredFormat, unclamped
from hounsfield.ct.plausibility import MOST_SLICES, Physics, Plausibility, Sample, judge, judge_array, spread
from hounsfield.ct.plausibility.blocks import FLAT_RANGE, SAME_PADDING, UNDECLARED_PADDING, blocks_of
from hounsfield.ct.plausibility.evidence import LOOKS_LIKE, SENTENCES
from hounsfield.ct.plausibility.measured import AIR_SHARE, Measured
from hounsfield.ct.plausibility.rule import TRUSTED_AIR
from hounsfield.ct.series import LoadOptions
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import Trust, inspect

Slice = NDArray[np.float32]

SMALL = PhantomSpec(rows=48, columns=64, slices=5)
AIR, FAT, MUSCLE, BONE, LUNG = -1000.0, -100.0, 50.0, 700.0, -800.0


def body(size: int = 320, *, noise: float = 12.0, air: float = AIR, seed: int = 1) -> Slice:
    """A trunk in air: fat around muscle, two lungs, a spine whose bone is graded."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    values = np.full((size, size), air, np.float32)
    values[np.hypot(x / 0.85, y / 0.7) < 1] = FAT
    values[np.hypot(x / 0.75, y / 0.6) < 1] = MUSCLE
    for side in (-0.35, 0.35):
        values[np.hypot((x - side) / 0.2, (y + 0.1) / 0.3) < 1] = LUNG
    spine = np.hypot(x / 0.12, (y - 0.35) / 0.12)
    values = np.where(spine < 1, MUSCLE + (BONE - MUSCLE) * (1 - spine), values).astype(np.float32)
    return values + np.random.default_rng(seed).normal(0, noise, values.shape).astype(np.float32)


def judged(
    values: Slice, *, field_mm: float = 350.0, padded: NDArray[np.bool_] | None = None
) -> Plausibility:
    return judge([Sample(values, padded)], field_mm=field_mm)


CORRUPTIONS: dict[str, Callable[[Slice], Slice]] = {
    "offset lost": lambda hu: hu + 1024,
    "water = 1000": lambda hu: hu + 1000,
    "rescaled twice": lambda hu: hu - 1024,
    "slope 10": lambda hu: (hu + 1024) * 10 - 1024,
    "times 2": lambda hu: hu * 2,
    "times 10": lambda hu: hu * 10,
    "windowed": lambda hu: np.clip((hu + 160) / 400 * 255, 0, 255).astype(np.uint8),
    "whole range in 8 bits": lambda hu: ((hu - hu.min()) / np.ptp(hu) * 255).astype(np.uint8),
    "fractions": lambda hu: (hu - hu.min()) / np.ptp(hu),
    "negated": lambda hu: -hu,
    "inverted": lambda hu: 3071 - hu,
}

LOOKS = {
    "offset lost": "offset-lost",
    "water = 1000": "offset-lost",
    "rescaled twice": "rescaled-twice",
    "slope 10": "scaled",
    "times 2": "scaled",
    "times 10": "scaled",
    "windowed": "windowed",
    "whole range in 8 bits": "windowed",
    "fractions": "fraction",
    "negated": "inverted",
    "inverted": "inverted",
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_was_done_to_a_trunk_is_seen_and_named(name: str) -> None:
    assert judged(body()).verdict is Physics.PLAUSIBLE
    found = judged(CORRUPTIONS[name](body()))
    assert found.verdict is Physics.IMPLAUSIBLE
    assert found.looks_like == LOOKS[name]


@pytest.mark.parametrize("noise", [2.0, 12.0, 40.0, 80.0])
def test_a_trunk_is_plausible_at_any_noise_of_a_scanner(noise: float) -> None:
    found = judged(body(noise=noise))
    assert found.verdict is Physics.PLAUSIBLE
    air, tissue = found.evidence
    assert (air.key, tissue.key) == ("air", "tissue")
    assert air.number == pytest.approx(AIR, abs=10) and tissue.number == pytest.approx(MUSCLE, abs=15)


def test_values_clamped_at_the_floor_are_plausible() -> None:
    assert judged(np.maximum(body(noise=40.0), -1024)).verdict is Physics.PLAUSIBLE


@pytest.mark.parametrize(
    "make",
    [
        lambda: body()[140:180, 140:180],  # muscle alone
        lambda: np.full((256, 256), LUNG, np.float32) + np.random.default_rng(2).normal(0, 30, (256, 256)),
        lambda: np.full((256, 256), AIR, np.float32) + np.random.default_rng(3).normal(0, 10, (256, 256)),
        lambda: np.linspace(100, 1300, 256)[:, None] + np.random.default_rng(4).normal(0, 60, (256, 256)),
        lambda: np.full((256, 256), 120.0, np.float32) + np.random.default_rng(5).normal(0, 8, (256, 256)),
    ],
    ids=["muscle", "lung", "air", "bone", "a phantom of one plastic"],
)
def test_a_field_of_one_matter_is_unknown_not_accused(make: Callable[[], Slice]) -> None:
    assert judged(np.asarray(make(), np.float32), field_mm=60.0).verdict is Physics.UNKNOWN


def test_metal_is_no_reason_to_accuse() -> None:
    values = body()
    y, x = np.mgrid[:320, :320]
    for column in (120, 200):
        values[np.hypot(y - 160, x - column) < 12] = 3071
    assert judged(values).verdict is not Physics.IMPLAUSIBLE


@pytest.mark.parametrize(
    ("air", "verdict"), [(TRUSTED_AIR[1] - 2, "plausible"), (TRUSTED_AIR[1] + 2, "unknown")]
)
def test_air_may_be_raised_by_scatter_up_to_a_limit(air: float, verdict: str) -> None:
    values = body(noise=5.0, air=air)
    values[values > 40] -= 20  # air above −965 is trusted only beside tissue at its place
    assert judged(values).verdict == verdict


@pytest.mark.parametrize(
    ("air", "verdict"), [(TRUSTED_AIR[0] + 2, "plausible"), (TRUSTED_AIR[0] - 3, "unknown")]
)
def test_air_is_hardly_ever_lower_than_vacuum(air: float, verdict: str) -> None:
    assert judged(body(noise=5.0, air=air)).verdict == verdict


def test_declared_padding_takes_no_part() -> None:
    values = body()
    padded = np.zeros(values.shape, bool)
    padded[:, :80] = True
    values[padded] = np.where(np.arange(padded.sum()) % 2, -3024, -3000)
    values[0, 0] = -1000  # no corner gives it away
    assert judged(values, padded=padded).verdict is Physics.PLAUSIBLE
    assert judged(values).verdict is Physics.IMPLAUSIBLE


@pytest.mark.parametrize(
    ("padding", "is_left_out"), [(UNDECLARED_PADDING, True), (UNDECLARED_PADDING + 1, False)]
)
def test_padding_that_no_header_declares_is_known_by_its_corner(padding: float, is_left_out: bool) -> None:
    values = np.full((256, 256), padding, np.float32)
    values[64:192, 64:192] = 50 + np.random.default_rng(0).normal(0, 5, (128, 128))
    low = blocks_of(values).low
    assert (low > -100) == is_left_out


@pytest.mark.parametrize(("spread", "is_padding"), [(2 * SAME_PADDING, True), (2 * SAME_PADDING + 1, False)])
def test_a_corner_that_varies_is_air_that_was_rescaled_twice(spread: float, is_padding: bool) -> None:
    values = body() - 1024
    values[:8, :8] = -2024
    values[0, 1] += spread
    kept = blocks_of(values).mean
    assert (np.mean(kept < -1950) < 0.05) == is_padding


@pytest.mark.parametrize(("step", "is_flat"), [(FLAT_RANGE - 1, True), (FLAT_RANGE + 1, False)])
def test_a_patch_is_flat_while_five_blocks_agree(step: float, is_flat: bool) -> None:
    values = np.random.default_rng(0).normal(0, 0.01, (256, 256)).astype(np.float32)
    values[:, 128:] += step
    blocks = blocks_of(values)
    assert blocks.flat.sum() == 30 * 30 - (0 if is_flat else 2 * 30)


def test_nothing_but_padding_is_unknown() -> None:
    empty = np.full((64, 64), -2000.0, np.float32)
    for found in (judged(empty), judged(empty, padded=np.ones((64, 64), bool)), judge([])):
        assert found.verdict is Physics.UNKNOWN
        assert [each.key for each in found.evidence] == ["nothing-measured"]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (4, 4)])
def test_a_slice_smaller_than_a_block_is_unknown(shape: tuple[int, int]) -> None:
    assert judged(np.zeros(shape, np.float32)).verdict is Physics.UNKNOWN


def test_what_is_no_number_takes_no_part() -> None:
    values = body()
    values[:, :60] = np.nan
    values[0, 300] = np.inf
    assert judge_array(values[None]).verdict is Physics.PLAUSIBLE
    assert judge_array(np.full((2, 64, 64), np.nan)).verdict is Physics.UNKNOWN


def test_a_little_air_is_no_anchor() -> None:
    values = np.full((512, 512), MUSCLE, np.float32) + np.random.default_rng(0).normal(0, 10, (512, 512))
    side = int(np.sqrt(AIR_SHARE * 64 * 64)) * 8  # flat are the inner blocks only
    values[:side, :side] += AIR - MUSCLE
    assert judged(values.astype(np.float32)).evidence[0].key == "no-air"


def test_slices_are_spread_over_the_volume() -> None:
    assert spread(5, MOST_SLICES) == [0, 1, 2, 3, 4]
    chosen = spread(600, MOST_SLICES)
    assert len(chosen) == MOST_SLICES and chosen[0] > 0 and chosen[-1] < 599
    assert {b - a for a, b in pairwise(chosen)} == {50}


def test_every_sentence_is_there_in_both_languages() -> None:
    for english, chinese in [*SENTENCES.values(), *LOOKS_LIKE.values()]:
        assert english.translate({ord(sign): None for sign in "−…“”"}).isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
        assert ("{number}" in english) == ("{number}" in chinese)


def test_a_verdict_as_json_says_what_and_why() -> None:
    facts = judged(CORRUPTIONS["offset lost"](body())).to_json()
    assert facts["verdict"] == "implausible"
    assert facts["looks_like"]["key"] == "offset-lost"
    first = facts["evidence"][0]
    assert isinstance(first["number"], float) and first["sentence"] and first["sentence_zh"]


REAL_HU = ("philips_phantom", "odd/ge_ct_3slice")
ALWAYS_SEEN = ("rescaled twice", "slope 10", "times 10", "windowed", "fractions", "negated", "inverted")


def real_samples(folder: Path) -> list[list[Slice]]:
    """Up to twelve slices of each series that is HU and a volume, unclamped."""
    found = []
    for series in hounsfield.scan(folder).series:
        if series.unit.hounsfield and series.verdict.is_loadable:
            array = series.load(LoadOptions(clamp=False)).array
            found.append([array[index].astype(np.float32) for index in spread(len(array), MOST_SLICES)])
    return found


@pytest.mark.parametrize("folder", REAL_HU)
def test_no_untouched_real_series_is_accused_and_each_corruption_is_seen(
    folder: str, real_data: Path
) -> None:
    stacks = real_samples(real_data / folder)
    assert stacks
    for stack in stacks:
        assert judge([Sample(values) for values in stack]).verdict is Physics.PLAUSIBLE
        assert judge([Sample(np.maximum(values, -1024)) for values in stack]).verdict is Physics.PLAUSIBLE
        for name in ALWAYS_SEEN:
            changed = judge([Sample(CORRUPTIONS[name](values)) for values in stack])
            assert changed.verdict is Physics.IMPLAUSIBLE, name
        for name, corrupt in CORRUPTIONS.items():
            changed = judge([Sample(corrupt(values)) for values in stack])
            assert changed.verdict is not Physics.PLAUSIBLE, name


RESCALES = {
    "offset lost": ("1", "0"),
    "rescaled twice": ("1", "-2048"),
    "slope 10": ("10", "-1024"),
    "half the slope": ("0.5", "-1024"),
}


def rescaled(folder: Path, out: Path, slope: str, intercept: str) -> Path:
    """Every seventh slice of a real series under another Rescale Slope and Intercept; its pixels as they are."""
    out.mkdir()
    for path in sorted(folder.glob("I*"), key=lambda path: int(path.name[1:]))[::7]:
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.save_as(out / path.name)
    return out


@pytest.mark.parametrize("name", RESCALES)
def test_a_real_series_under_a_wrong_rescale_is_never_green(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "philips_phantom" / "S21570" / "S2020"
    right = inspect(hounsfield.scan(rescaled(folder, tmp_path / "right", "1", "-1024")).series[0])
    wrong = inspect(hounsfield.scan(rescaled(folder, tmp_path / "wrong", *RESCALES[name])).series[0])
    assert right.trust is Trust.GREEN
    assert right.plausibility is not None and right.plausibility.verdict is Physics.PLAUSIBLE
    assert wrong.trust is not Trust.GREEN
    assert wrong.plausibility is not None and wrong.plausibility.verdict is not Physics.PLAUSIBLE
    if wrong.is_implausible:
        assert wrong.trust is Trust.RED
        assert wrong.plausibility.looks_like == LOOKS[name]
        assert wrong.cautions[0] == f"the numbers cannot be HU: {wrong.plausibility.sentences()[0]}"
    assert wrong.to_json()["plausibility"] == wrong.plausibility.to_json()


def test_another_unit_is_not_judged(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, rescale_type="Z_EFF"), tmp_path)
    assert inspect(hounsfield.scan(tmp_path).series[0]).plausibility is None


def test_padding_of_the_file_and_values_below_the_clamp_reach_the_judge(tmp_path: Path) -> None:
    cells = np.array([[-2000, -1500], [0, 40]], np.int16)
    conversion = Conversion(StoredFormat(16, 16, 15, True), Rescale(1.0, -24.0), Padding(-2000, -2000))
    values, padded = unclamped(cells, conversion)
    assert values.tolist() == [[-2024, -1524], [-24, 16]]
    assert padded is not None and padded.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(("columns", "small"), [(19, True), (20, False)])
def test_a_picture_of_few_pixels_is_too_small_to_judge(columns: int, small: bool) -> None:
    values = np.zeros((10, columns), np.float32)
    assert Measured.of([Sample(values, np.zeros(values.shape, bool))], None).is_small is small
