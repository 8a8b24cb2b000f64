"""Statistics by IBSI, connected parts against SimpleITK, recipes on lesions that are known, tissues of the phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from mask_objects import blobs, write_ct
from numpy.typing import NDArray

import hounsfield
from hounsfield.ct.volume import Report, Volume
from hounsfield.errors import GeometryError, NotHounsfieldError, SelectionError
from hounsfield.segmentation import Masks, Segment, measure, recipe, tissues
from hounsfield.segmentation.connected import connected
from hounsfield.segmentation.statistics import Distribution, first_order

# The digital phantom of the Image Biomarker Standardisation Initiative, slice by slice; 0 is outside its region.
IBSI = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
IBSI_VALUES = {
    "mean": 2.15,
    "variance": 3.05,
    "skewness": 1.08,
    "kurtosis": -0.355,
    "median": 1,
    "minimum": 1,
    "p10": 1,
    "p90": 4,
    "maximum": 6,
    "interquartile_range": 3,
    "range": 5,
    "mean_absolute_deviation": 1.55,
    "robust_mean_absolute_deviation": 1.11,
    "median_absolute_deviation": 1.15,
    "energy": 567,
    "root_mean_square": 2.77,
    "entropy": 1.27,
    "uniformity": 0.512,
}


def _volume(
    array: NDArray[np.int16], mm: tuple[float, float, float] = (3.0, 0.5, 0.5), **report: Any
) -> Volume:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = (*mm, 1.0)
    return Volume(array, affine, mm, report=Report(**report))


def _masks(volume: Volume, labels: NDArray[np.uint8]) -> Masks:
    numbers = [int(number) for number in np.unique(labels) if number]
    segments = tuple(Segment(number, f"s{number}") for number in numbers)
    return Masks((labels,), segments, volume.affine)


def test_the_digital_phantom_has_the_published_values() -> None:
    found = first_order(Distribution.of(IBSI[IBSI > 0]), bin_width=1)
    assert (IBSI > 0).sum() == 74
    for name, value in IBSI_VALUES.items():
        assert float(f"{found[name]:.3g}") == pytest.approx(value), name


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_measure_is_what_numpy_says(kind: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(40, 200, (20, 30, 30)).round().astype(kind)
    volume = _volume(values)
    labels = rng.integers(0, 6, values.shape).astype(np.uint8)
    for each in measure(volume, _masks(volume, labels)):
        inside = values[labels == each.segment.number].astype(float)
        told = each.to_json()
        assert told["voxels"] == inside.size
        assert told["ml"] == pytest.approx(inside.size * 0.75e-3)
        assert told["mean"] == pytest.approx(inside.mean(), rel=1e-9)
        assert told["sd"] == pytest.approx(inside.std(), rel=1e-9)
        assert told["p15"] == pytest.approx(np.percentile(inside, 15), abs=1e-9)
        assert sum(told["histogram"]["counts"]) == inside.size


def test_padding_and_what_was_clamped_are_counted_apart() -> None:
    values = np.full((2, 4, 4), -700, np.int16)
    values[0, 0] = -1024
    labels = np.ones(values.shape, np.uint8)
    padded = _volume(values, padded=4)
    (found,) = measure(padded, _masks(padded, labels))
    assert (found.values.total, found.left_out, found.values.mean) == (28, 4, -700.0)
    true = _volume(values)
    assert measure(true, _masks(true, labels))[0].values.total == 32


def test_an_empty_segment_has_counts_alone_and_other_grids_are_refused() -> None:
    volume = _volume(np.zeros((2, 4, 4), np.int16))
    empty = Masks((np.zeros((2, 4, 4), np.uint8),), (Segment(1, "nothing"),), volume.affine)
    told = measure(volume, empty)[0].to_json()
    assert (told["voxels"], told["ml"]) == (0, 0)
    assert "mean" not in told
    with pytest.raises(GeometryError, match="the grid of the volume"):
        measure(_volume(np.zeros((3, 4, 4), np.int16)), empty)


@pytest.mark.parametrize("shape", [(40, 50), (12, 20, 25)])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.7])
def test_connected_parts_are_those_of_simpleitk(shape: tuple[int, ...], share: float) -> None:
    mask = np.random.default_rng(7).random(shape) < share
    parts = connected(mask)
    peer = SimpleITK.GetArrayFromImage(
        SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
    )
    assert sorted(parts.sizes.tolist()) == sorted(np.bincount(peer.ravel())[1:].tolist())
    largest = peer == np.argmax(np.bincount(peer.ravel())[1:]) + 1
    assert parts.largest().sum() == largest.sum()
    assert np.array_equal(parts.mask(np.ones(len(parts.sizes), bool)), mask)


def test_agatston_of_lesions_that_are_known() -> None:
    values = np.zeros((4, 40, 40), np.int16)
    values[0, 5:9, 5:9] = 150  # 16 voxels of 0.25 mm²: 4 mm² × 1
    values[1, 5:9, 5:9] = 250  # × 2
    values[1, 20:24, 20:24] = 399  # × 3
    values[2, 5:9, 5:9] = 130
    values[2, 6, 6] = 400  # × 4, by the highest
    values[3, 30, 30:33] = 900  # 0.75 mm²: too small
    values[3, 35:39, 35:39] = 129  # too thin
    volume = _volume(values)
    labels = np.ones(values.shape, np.uint8)
    figures = measure(volume, _masks(volume, labels), recipes=[recipe("calcium")])[0].recipes["calcium"]
    assert figures["agatston"] == pytest.approx(4 * (1 + 2 + 3 + 4))
    assert figures["calcium_mm3"] == pytest.approx(4 * 16 * 0.25 * 3)
    thin = _volume(values, (1.5, 0.5, 0.5))
    figures = measure(thin, _masks(thin, labels), recipes=[recipe("calcium")])[0].recipes["calcium"]
    assert figures["agatston"] == pytest.approx(4 * (1 + 2 + 3 + 4) / 2)


def test_lung_and_tissue_recipes() -> None:
    values = np.full((1, 10, 10), -850, np.int16)
    values[0, :2] = -951
    values[0, 2] = -950
    values[0, 3] = 40
    volume = _volume(values)
    one = _masks(volume, np.ones(values.shape, np.uint8))
    names = ["laa", "perc15", "muscle", "fat", "bone"]
    found = measure(volume, one, recipes=[recipe(name) for name in names])[0].recipes
    assert found["laa"]["laa_950_percent"] == pytest.approx(20)
    assert found["laa"]["laa_910_percent"] == pytest.approx(30)
    assert found["perc15"]["perc15_hu"] == -951
    assert found["muscle"]["muscle_percent"] == pytest.approx(10)
    assert found["muscle"]["muscle_mean"] == 40
    assert found["fat"]["fat_percent"] == 0
    with pytest.raises(SelectionError, match="perc15"):
        recipe("volume")
    with pytest.raises(NotHounsfieldError):
        unknown = Volume(values, volume.affine, volume.spacing, unit="unspecified")
        measure(unknown, one, recipes=[recipe("fat")])


def test_tissues_leave_the_table_out() -> None:
    rows = np.arange(100)
    y, x = np.mgrid[:100, :100]
    body = (y - 45) ** 2 + (x - 50) ** 2 <= 32**2
    lung = (y - 45) ** 2 + (abs(x - 50) - 14) ** 2 <= 10**2
    spine = (y - 65) ** 2 + (x - 50) ** 2 <= 4**2
    bowel = (y - 62) ** 2 + (x - 62) ** 2 <= 2**2
    plane = np.full((100, 100), -1000, np.int16)
    plane[78:80, 10:90] = 100  # the shell of a table, touching the back
    plane[body] = 40
    plane[lung], plane[spine], plane[bowel] = -850, 600, -1000
    volume = _volume(np.repeat(plane[None], 12, axis=0), (5.0, 3.0, 3.0))
    found = tissues(volume)
    assert len(rows) == 100
    counted = found.counts()
    assert counted[2] == 12 * (lung & ~spine & ~bowel).sum()
    assert counted[3] == 12 * bowel.sum()
    assert counted[4] == 12 * spine.sum()
    assert abs(counted[1] / (12 * body.sum()) - 1) < 0.01
    assert not found.mask(1)[:, 79, :30].any()


@pytest.mark.parametrize("wall", [1, 3])
def test_a_hollow_head_has_no_lungs(wall: int) -> None:
    row, column = np.mgrid[:80, :80]
    away = np.hypot(row - 40, column - 40)
    plane = np.full((80, 80), -1000, np.int16)
    plane[away < 30] = 100
    plane[away < 25] = -1000
    # Walls that partial volume blurs inwards: the mean is a lung's, the median that of air.
    for step in range(8):
        plane[(away < 25 - step * wall / 2) & (away >= 24.5 - step * wall / 2)] = -450 - 50 * step
    volume = _volume(np.repeat(plane[None], 12, axis=0), (5.0, 3.0, 3.0))
    found = tissues(volume)
    assert found.counts()[2] == 0
    assert found.counts()[3] > 12 * 1000


def test_masks_of_the_phantom_measure_its_rods(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", rows=64, columns=64)
    volume = hounsfield.load(tmp_path / "ct")
    labels = (blobs(volume.shape, 2) * np.array([1, 2])[:, None, None, None]).sum(axis=0).astype(np.uint8)
    for each in measure(volume, _masks(volume, labels)):
        inside = volume.array[labels == each.segment.number]
        inside = inside[inside != -1024]
        assert each.to_json()["mean"] == pytest.approx(float(inside.mean()))
