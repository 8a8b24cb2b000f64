"""What the browser shows against what Python has: greys, planes, regions, slices. In Debian's Chromium."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_browser import Person, looking_at

from hounsfield import load
from hounsfield.ct.roi import measure, read_rois
from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window, apply_window
from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")

POSES = (
    "1,0,0,0",
    "1,0,0,90",
    "1,0,0,180,f",
    "1,0,0,270,f",
    "2.5,40,-30,0",
    "4,-120,75,33",
    "0.7,10,10,123.4,f",
    "8,300,-200,201",
)
MARGIN = 0.08
"""Probes nearer than this (in voxels) to the edge between two voxels are left out: either grey is right there."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write(PhantomSpec(rows=96, columns=128, slices=20, pixel_spacing=(1.9, 1.4), slice_step=3.0), folder)
    return folder


@pytest.fixture(scope="module")
def url(phantom: Path) -> Iterator[str]:
    with looking_at(phantom) as address:
        yield address


def _points(person: Person, count: int, view: str = "stack") -> list[tuple[float, float]]:
    """Centres of device pixels all over a view; the same at each run."""
    width, height = person.size(view)
    chance = random.Random(11)
    return [(chance.randrange(int(width)) + 0.5, chance.randrange(int(height)) + 0.5) for _ in range(count)]


def _clear_of_edges(index: list[float]) -> bool:
    return all(abs(at - np.floor(at) - 0.5) > MARGIN for at in index)


def _check_greys(found: list[dict[str, Any]], volume: Volume, window: Window, *, invert: bool = False) -> int:
    """Every probe: the value is the array's, the grey is the window's; how many were checked."""
    checked = 0
    for each in found:
        if each["value"] is None or not _clear_of_edges(each["index"]):
            continue
        value = volume.array[tuple(each["voxel"])]
        assert each["value"] == value, each
        grey = int(apply_window(np.array([value]), window, invert=invert)[0])
        assert each["grey"] == [grey] * 3, each
        checked += 1
    return checked


def test_the_grey_drawn_is_the_windowed_hu_under_the_pointer_turned_flipped_and_zoomed(
    person: Person, phantom: Path, url: str
) -> None:
    volume, checked = load(phantom), 0
    for pose in POSES:
        person.open(f"{url}&slice=7&smooth=0&window=40,400&pose={pose}")
        person.see_image()
        checked += _check_greys(person.probe(_points(person, 400)), volume, Window(40, 400))
    assert checked >= 1000


def test_inverted_greys_leave_the_numbers_alone(person: Person, phantom: Path, url: str) -> None:
    person.open(f"{url}&slice=12&smooth=0&window=-600,1500&invert=1")
    person.see_image()
    found = person.probe(_points(person, 200))
    assert _check_greys(found, load(phantom), Window(-600, 1500), invert=True) > 50


def test_places_under_the_pointer_are_those_of_the_volume(person: Person, phantom: Path, url: str) -> None:
    volume = load(phantom)
    person.open(f"{url}&slice=3&pose=1.7,33,-20,30")
    person.see_image()
    found = [each for each in person.probe(_points(person, 100)) if each["value"] is not None]
    assert len(found) > 30
    for each in found:
        assert np.allclose(each["lps"], volume.lps(*each["index"]), atol=1e-6)


@pytest.mark.parametrize("frame", ["slices", "patient"])
def test_planes_of_a_tilted_series_are_within_a_tenth_of_a_millimetre_of_its_headers(
    person: Person, real_data: Path, frame: str
) -> None:
    folder = real_data / "philips_phantom" / "S21610" / "S2010"
    places = _header_places(folder)
    volume = load(folder)
    with looking_at(folder) as address:
        person.open(f"{address}&layout=planes&smooth=0&window=40,400&frame={frame}")
        checked = 0
        for view in ("axial", "coronal", "sagittal"):
            person.see_image(view)
            found = person.probe(_points(person, 400, view), view)
            checked += _check_greys(found, volume, Window(40, 400))
            for each in found:
                if each["value"] is not None:
                    assert np.linalg.norm(places(each["index"]) - each["lps"]) < 0.1
    assert checked > 150


def _header_places(folder: Path) -> Any:
    """(slice, row, column) → LPS mm straight from Image Position and Orientation (Patient), slice by slice."""
    from pydicom import dcmread

    headers = [
        dcmread(path, stop_before_pixels=True, force=True) for path in folder.rglob("*") if path.is_file()
    ]
    slices = [each for each in headers if "ImagePositionPatient" in each]
    first = slices[0]
    row, column = np.array(first.ImageOrientationPatient[:3]), np.array(first.ImageOrientationPatient[3:])
    down, across = (float(mm) for mm in first.PixelSpacing)
    normal = np.cross(row, column)
    positions = sorted(
        (np.array(each.ImagePositionPatient, float) for each in slices), key=lambda p: p @ normal
    )

    def place(index: list[float]) -> Any:
        at = min(max(index[0], 0), len(positions) - 1)
        below = int(min(np.floor(at), len(positions) - 2))
        step = positions[below + 1] - positions[below]
        start = positions[below] + (index[0] - below) * step
        return start + index[1] * down * column + index[2] * across * row

    return place


def test_every_slice_arrives_as_python_has_it(person: Person, phantom: Path, url: str) -> None:
    person.open(url)
    person.see_image()
    query = url.partition("?")[2]
    study, series = (part.partition("=")[2] for part in query.split("&")[:2])
    found = person.page.evaluate(
        """async base => {
          const info = await (await fetch(base + "/info")).json();
          const all = await Promise.all(info.slices.map(async (_, k) => {
            const answer = await fetch(`${base}/slices/${k}`);
            return [answer.headers.get("X-CRC32"), [...new Int16Array(await answer.arrayBuffer())]];
          }));
          return all;
        }""",
        f"dicom-web/studies/{study}/series/{series}",
    )
    volume = load(phantom)
    assert len(found) == len(volume.array)
    for values, (crc, sent) in zip(volume.array, found, strict=True):
        assert crc == f"{zlib.crc32(values.astype('<i2').tobytes()):08x}"
        assert np.array_equal(np.array(sent, np.int16).reshape(values.shape), values)


SHAPES = {
    "t": [(300, 200), (520, 380)],
    "e": [(350, 180), (640, 420)],
    "f": [(400, 200), (560, 260), (610, 380), (480, 430), (380, 330), (400, 200)],
    "d": [(300, 250), (700, 470)],
}


def test_regions_measure_what_hounsfield_roi_measures(
    person: Person, phantom: Path, url: str, tmp_path: Path
) -> None:
    person.open(f"{url}&slice=9&panel=measure&pose=1.3,20,10,20")
    person.see_image()
    box = person.page.locator('[data-view="stack"]').bounding_box()
    for key, corners in SHAPES.items():
        person.page.keyboard.press(key)
        _drag(person, [(box["x"] + x, box["y"] + y) for x, y in corners])
    with person.page.expect_download() as waiting:
        person.page.get_by_role("button", name="Export JSON").click()
    exported = json.loads(Path(waiting.value.path()).read_text())
    volume = load(phantom)
    rois = read_rois(json.dumps(exported))
    assert {roi.kind for roi in rois} == {"rectangle", "ellipse", "freehand", "length"}
    for shown, roi in zip(exported["measurements"], rois, strict=True):
        ours = measure(volume, roi).to_json()
        assert shown["SOPInstanceUID"] == ours["SOPInstanceUID"] == volume.uids[roi.slice]
        assert np.allclose(shown["lps"], ours["lps"], atol=1e-6)
        if roi.kind == "length":
            assert shown["length_mm"] == pytest.approx(ours["length_mm"], abs=1e-6)
            continue
        assert ours["statistics"]["count"] > 200
        for name, value in ours["statistics"].items():
            assert shown["statistics"][name] == pytest.approx(value, rel=1e-9, abs=1e-9), (roi.kind, name)


def _drawn_on_planes(person: Person) -> list[dict[str, Any]]:
    """An ellipse, a rectangle, a freehand and a length on each of the three planes, as they are exported."""
    for view in ("axial", "coronal", "sagittal"):
        box = person.page.locator(f'[data-view="{view}"]').bounding_box()
        for key, corners in SHAPES.items():
            person.page.keyboard.press(key)
            path = [(x / 1000 + 0.05, y / 600) for x, y in corners]
            _drag(person, [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path])
    with person.page.expect_download() as waiting:
        person.page.get_by_role("button", name="Export JSON").click()
    return list(json.loads(Path(waiting.value.path()).read_text())["measurements"])


def _as_python_measures(shown: list[dict[str, Any]], volume: Volume) -> list[str]:
    """Asserts that every exported measurement is what `hounsfield.ct.roi` measures; what each was measured on."""
    found = []
    text = json.dumps({"format": "hounsfield measurements", "measurements": shown})
    for each, roi in zip(shown, read_rois(text), strict=True):
        ours = measure(volume, roi).to_json()
        assert np.allclose(each["lps"], ours["lps"], atol=1e-6)
        assert each["SOPInstanceUID"] == ours["SOPInstanceUID"]
        assert each.get("samples") == ours.get("samples")
        found.append(ours.get("samples", "slice"))
        if roi.kind == "length":
            assert each["length_mm"] == pytest.approx(ours["length_mm"], abs=1e-6)
            continue
        assert ours["statistics"]["count"] > 100
        for name, value in ours["statistics"].items():
            assert each["statistics"][name] == pytest.approx(value, rel=1e-9, abs=1e-7), (roi, name)
    return found


def test_regions_on_the_planes_of_an_upright_volume_measure_its_voxels(
    person: Person, phantom: Path, url: str
) -> None:
    person.open(f"{url}&layout=planes&panel=measure&cross=3,-7,4.1&lang=en")
    person.see_image("sagittal")
    volume = load(phantom)
    shown = _drawn_on_planes(person)
    assert _as_python_measures(shown, volume) == ["slice"] * 4 + ["voxels"] * 8
    coronal = next(each for each in shown if each["kind"] == "rectangle" and each.get("samples"))
    # By hand: the voxels of one row of every slice, between the corners.
    places = np.linalg.solve(volume.affine[:3, :3], (np.array(coronal["lps"]) - volume.affine[:3, 3]).T).T
    row = round(places[0][1])
    low, high = np.ceil(places.min(axis=0)).astype(int), np.floor(places.max(axis=0)).astype(int)
    inside = volume.array[low[0] : high[0] + 1, row, low[2] : high[2] + 1]
    assert coronal["statistics"]["count"] == inside.size
    assert coronal["statistics"]["mean"] == pytest.approx(inside.mean(), rel=1e-12)


def test_regions_on_the_planes_of_a_tilted_series_measure_the_samples_shown(
    person: Person, real_data: Path
) -> None:
    folder = real_data / "philips_phantom" / "S21610" / "S2010"
    with looking_at(folder) as address:
        person.open(f"{address}&layout=planes&panel=measure&lang=en")
        for view in ("axial", "coronal", "sagittal"):
            person.see_image(view)
        told = _as_python_measures(_drawn_on_planes(person), load(folder))
    assert told[:4] == ["slice"] * 4
    assert "interpolated" in told[4:]


def _drag(person: Person, path: list[tuple[float, float]]) -> None:
    mouse = person.page.mouse
    mouse.move(*path[0])
    mouse.down()
    for place in path[1:]:
        mouse.move(*place, steps=4)
    mouse.up()
    person.rest()


def test_a_threshold_has_the_volume_that_its_voxels_have(person: Person, phantom: Path, url: str) -> None:
    volume = load(phantom)
    person.open(f"{url}&panel=numbers&threshold=200,3071")
    person.see_image()
    result = person.page.locator(".result")
    person.page.wait_for_function("() => /20 of 20/.test(document.querySelector('.result')?.innerText)")
    inside = int(((volume.array >= 200) & (volume.array <= 3071)).sum())
    assert int(result.get_attribute("data-voxels")) == inside
    ml = inside * np.prod(volume.spacing) / 1000
    assert f"{ml:.2f} ml" in result.inner_text()


def test_the_largest_value_of_a_slab_is_shown_across_it(person: Person, phantom: Path, url: str) -> None:
    volume = load(phantom)
    person.open(f"{url}&layout=planes&smooth=0&window=40,400&slab=mip,300")
    person.see_image("axial")
    projected = volume.array.max(axis=0)
    found = [
        each for each in person.probe(_points(person, 300, "axial"), "axial") if each["value"] is not None
    ]
    checked = 0
    for each in found:
        _, row, column = each["index"]
        if not _clear_of_edges([row, column]):
            continue
        nearest = projected[round(row), round(column)]
        assert each["grey"][0] == apply_window(np.array([nearest]), Window(40, 400))[0]
        checked += 1
    assert checked > 80
