"""Regions of interest: membership, numbers, files."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.ct.roi import Plane, PlaneRoi, Roi, measure, read_rois, write_csv, write_json
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, HounsfieldError, MalformedError

POINT = st.tuples(st.floats(-20, 60), st.floats(-20, 60))


def _volume(unit: str = "HU") -> Volume:
    array = np.random.default_rng(3).integers(-1024, 2000, (4, 30, 40)).astype(np.int16)
    affine = np.array([[0, 0, 0.5, -10], [0.3, 0.8, 0, 20], [2.0, 0, 0, 5], [0, 0, 0, 1.0]])
    header = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    uids = tuple(f"1.2.3.{k}" for k in range(4))
    return Volume(array, affine, (2.0, 0.8, 0.5), unit=unit, uids=uids, header=header)


def test_a_rectangle_holds_the_voxels_whose_centres_lie_in_it_edges_included() -> None:
    mask = Roi("rectangle", 0, ((2, 3), (4.99, 7.2))).mask(30, 40)
    assert mask.sum() == 3 * 5
    assert mask[2:5, 3:8].all()


def test_numbers_are_numpys_over_the_same_voxels() -> None:
    volume = _volume()
    roi = Roi("rectangle", 2, ((5, 6), (20, 30)))
    inside = volume.array[2, 5:21, 6:31].astype(float)
    found = measure(volume, roi).statistics
    assert found is not None
    assert (found.count, found.minimum, found.maximum) == (inside.size, inside.min(), inside.max())
    assert found.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert found.sd == pytest.approx(inside.std(), rel=1e-12)
    assert found.area == pytest.approx(inside.size * 0.4)


def test_an_ellipse_has_nearly_the_area_of_an_ellipse() -> None:
    mask = Roi("ellipse", 0, ((100, 100), (300, 500))).mask(400, 600)
    assert mask.sum() == pytest.approx(np.pi * 100 * 200, rel=0.01)


def test_an_ellipse_without_width_holds_nothing() -> None:
    assert not Roi("ellipse", 0, ((3, 3), (9, 3))).mask(20, 20).any()


def test_a_freehand_star_is_filled_by_the_even_odd_rule() -> None:
    turns = np.linspace(0, 4 * np.pi, 6)[:-1]
    points = tuple((50 - 40 * np.cos(turn), 50 + 40 * np.sin(turn)) for turn in turns)
    mask = Roi("freehand", 0, points).mask(100, 100)
    assert not mask[50, 50]
    assert mask[15, 50]


@given(st.lists(POINT, min_size=3, max_size=12), st.integers(1, 40), st.integers(1, 40))
def test_a_freehand_region_is_what_a_plain_even_odd_count_says(
    points: list[tuple[float, float]], rows: int, columns: int
) -> None:
    mask = Roi("freehand", 0, tuple(points)).mask(rows, columns)
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)):
        if not ((low <= (row, column)) & ((row, column) <= high)).all():
            # Rounding may move a crossing beyond the outermost point; nothing outside the box is inside.
            assert not mask[row, column]
            continue
        crossings = 0
        for (r1, c1), (r2, c2) in zip(points, [points[-1], *points[:-1]], strict=True):
            if (r1 > row) != (r2 > row) and column < (c2 - c1) * (row - r1) / (r2 - r1) + c1:
                crossings += 1
        assert mask[row, column] == (crossings % 2 == 1)


@given(st.sampled_from(["rectangle", "ellipse"]), POINT, POINT)
def test_corners_may_come_in_any_order(kind: str, a: tuple[float, float], b: tuple[float, float]) -> None:
    one = Roi(kind, 0, (a, b)).mask(40, 40)  # type: ignore[arg-type]
    other = Roi(kind, 0, ((b[0], a[1]), (a[0], b[1]))).mask(40, 40)  # type: ignore[arg-type]
    assert np.array_equal(one, other)


def test_lengths_and_angles_are_in_the_patient_not_in_pixels() -> None:
    volume = _volume()
    length = measure(volume, Roi("length", 0, ((0, 0), (10, 0))))
    assert length.length == pytest.approx(8.0)
    angle = measure(volume, Roi("angle", 0, ((0, 10), (0, 0), (10, 0))))
    assert angle.angle == pytest.approx(90.0)
    cobb = measure(volume, Roi("cobb", 0, ((0, 0), (0, 10), (5, 10), (15, 0))))
    assert cobb.angle == pytest.approx(math.degrees(math.atan2(10 * 0.8, 10 * 0.5)))
    two = measure(volume, Roi("bidirectional", 0, ((0, 0), (10, 0), (3, 0), (3, 4))))
    assert (two.length, two.across) == (pytest.approx(8.0), pytest.approx(2.0))
    assert (two.statistics, two.to_json()["across_mm"]) == (None, two.across)
    assert length.statistics is None


def test_a_probe_is_the_voxel_it_lies_in() -> None:
    volume = _volume()
    assert measure(volume, Roi("probe", 1, ((4.49, 7.51),))).value == volume.array[1, 4, 8]
    assert measure(volume, Roi("probe", 1, ((-3, 0),))).value is None


def test_what_is_written_is_read_back() -> None:
    volume = _volume()
    rois = (
        Roi("ellipse", 1, ((2.25, 3.5), (9, 12)), "liver"),
        Roi("freehand", 2, ((1, 1), (5, 9), (8, 2))),
        Roi("probe", 3, ((4, 4),)),
    )
    measured = [measure(volume, roi) for roi in rois]
    assert read_rois(write_json(measured)) == rois
    rows = list(csv.DictReader(io.StringIO(write_csv(measured))))
    assert [row["SOPInstanceUID"] for row in rows] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert float(rows[0]["mean"]) == measured[0].statistics.mean


def test_a_label_that_a_spreadsheet_would_run_is_text() -> None:
    measured = [measure(_volume(), Roi("rectangle", 0, ((0, 0), (2, 2)), "=HYPERLINK(1)"))]
    assert "'=HYPERLINK" in write_csv(measured)


def test_what_was_drawn_across_slices_is_left_out() -> None:
    item = {"kind": "length", "slice": None, "points": [], "lps": [[0, 0, 0], [1, 1, 1]]}
    assert read_rois(json.dumps({"format": "hounsfield measurements", "measurements": [item]})) == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "hounsfield measurements", "measurements": [{"kind": "blob"}]}']
)
def test_files_of_another_kind_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        read_rois(text)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_read_or_refused(item: object) -> None:
    for body in (item, {"format": "hounsfield measurements", "measurements": [item]}):
        try:
            read_rois(json.dumps(body))
        except HounsfieldError:
            continue


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", ((0, 0),)),
        ("freehand", ((0, 0), (1, 1))),
        ("length", ((0, 0), (1, float("nan")))),
        ("length", ((0, 0), (1, 1e300))),
        ("cube", ()),
    ],
)
def test_regions_that_cannot_be_are_refused(kind: str, points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(GeometryError):
        Roi(kind, 0, points)  # type: ignore[arg-type]


def test_a_slice_that_is_not_there_is_refused() -> None:
    with pytest.raises(GeometryError, match="slice 9"):
        measure(_volume(), Roi("rectangle", 9, ((0, 0), (1, 1))))


# --- planes across slices ------------------------------------------------------------------------------------


def _coronal(volume: Volume, row: int) -> Plane:
    """The voxels of one row of every slice: columns across, slices down."""
    return Plane(tuple(volume.lps(0, row, 0)), tuple(volume.affine[:3, 2]), tuple(volume.affine[:3, 0]))


def test_a_plane_through_voxel_centres_measures_voxels() -> None:
    volume = _volume()
    found = measure(volume, PlaneRoi("rectangle", _coronal(volume, 11), ((0.5, 6), (2.5, 30.2))))
    inside = volume.array[1:3, 11, 6:31].astype(float)
    assert found.statistics is not None and not found.interpolated
    assert (found.statistics.count, found.statistics.minimum) == (inside.size, inside.min())
    assert found.statistics.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert found.statistics.area == pytest.approx(inside.size * 0.5 * np.linalg.norm(volume.affine[:3, 0]))
    assert found.uid == ""


def test_a_plane_between_voxels_measures_what_lies_linearly_between() -> None:
    ramp = np.broadcast_to(np.arange(30)[:, None] * 10, (4, 30, 40)).astype(np.int16)
    volume = Volume(ramp, np.diag([2.0, 0.8, 0.5, 1.0]), (2.0, 0.8, 0.5))
    plane = Plane(tuple(volume.lps(0, 3.25, 0)), tuple(volume.affine[:3, 2]), tuple(volume.affine[:3, 0]))
    found = measure(volume, PlaneRoi("rectangle", plane, ((0, 0), (3, 39))))
    assert found.statistics is not None and found.interpolated
    assert (found.statistics.minimum, found.statistics.maximum) == pytest.approx((32.5, 32.5))


def test_what_lies_outside_the_volume_is_in_no_region() -> None:
    volume = _volume()
    found = measure(volume, PlaneRoi("rectangle", _coronal(volume, 2), ((-50, -50), (50, 50))))
    assert found.statistics is not None and found.statistics.count == 4 * 40
    assert measure(volume, PlaneRoi("rectangle", _coronal(volume, 2), ((9, 9), (20, 20)))).statistics is None


def test_planes_come_back_from_their_files() -> None:
    volume = _volume()
    rois = [PlaneRoi(kind, _coronal(volume, 4), points, "p") for kind, points in (  # type: ignore[arg-type]
        ("ellipse", ((0, 2), (3, 30))), ("length", ((0, 0), (3, 30))), ("angle", ((0, 0), (3, 0), (3, 9))),
    )]  # fmt: skip
    measured = [measure(volume, roi) for roi in rois]
    assert list(read_rois(write_json(measured))) == rois
    first = next(iter(csv.DictReader(io.StringIO(write_csv(measured)))))
    assert first["samples"] == "voxels"
    assert [float(mm) for mm in first["plane_down_lps_mm"].split()] == list(volume.affine[:3, 0])
    assert [float(mm) for mm in first["points_lps_mm"].split(";")[0].split()] == list(measured[0].lps[0])


@pytest.mark.parametrize(
    ("across", "down"),
    [
        ((0, 0, 0), (0, 1, 0)),
        ((1, 0, 0), (2, 0, 0)),
        ((1, 0, 0), (0, float("nan"), 0)),
        ((1, 0, 0), (0, 1e300, 0)),
    ],
)
def test_steps_that_span_no_plane_are_refused(
    across: tuple[float, float, float], down: tuple[float, float, float]
) -> None:
    with pytest.raises(GeometryError, match="no plane"):
        Plane((0, 0, 0), across, down)


@pytest.mark.parametrize(
    "points",
    [((-1e5, -1e5), (1e5, 1e5)), ((0.2, -1e9), (0.8, 1e9)), ((-1e8, 0.2), (1e8, 0.8))],
    ids=["large", "without a row", "without a column"],
)
def test_a_region_of_too_many_samples_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    volume = _volume()
    with pytest.raises(GeometryError, match="too many"):
        measure(volume, PlaneRoi("rectangle", _coronal(volume, 2), points))


@settings(max_examples=60)
@given(st.lists(POINT, min_size=3, max_size=8), st.integers(0, 29))
def test_a_freehand_on_a_plane_holds_the_voxels_it_would_hold_on_a_slice(
    points: list[tuple[float, float]], row: int
) -> None:
    array = _volume().array
    volume = Volume(array, np.diag([2.0, 0.8, 0.5, 1.0]), (2.0, 0.8, 0.5))
    turned = Volume(array.transpose(1, 0, 2).copy(), volume.affine[:, [1, 0, 2, 3]], (0.8, 2.0, 0.5))
    plane = measure(volume, PlaneRoi("freehand", _coronal(volume, row), tuple(points))).statistics
    slice_ = measure(turned, Roi("freehand", row, tuple(points))).statistics
    assert (plane is None) == (slice_ is None)
    if plane is not None and slice_ is not None:
        assert (plane.count, plane.minimum, plane.maximum) == (slice_.count, slice_.minimum, slice_.maximum)
        assert plane.mean == pytest.approx(slice_.mean)
