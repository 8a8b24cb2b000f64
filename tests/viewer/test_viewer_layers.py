"""Layers in the viewer: segmentations, structures, label maps and doses over a CT, as the arrays have them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mask_objects import blobs, write_ct, write_dose, write_rtstruct, write_seg
from viewer_browser import Person, axe_violations, looking_at

import hounsfield
from hounsfield.ct.volume import Volume

pytestmark = pytest.mark.xdist_group("viewer")

SHAPE = (10, 96, 112)


@dataclass(frozen=True)
class Scene:
    """A tilted CT with a segmentation, structures, a label map and a dose beside it, in one folder."""

    folder: Path
    volume: Volume
    dose: Volume

    def masks(self, name: str) -> hounsfield.Masks:
        return hounsfield.masks(self.folder / name, self.volume)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    slices, rows, columns = SHAPE
    ct = write_ct(folder / "ct", tilt=12.0, rows=rows, columns=columns, slices=slices, slice_step=4.0)
    volume = hounsfield.load(folder / "ct")
    write_seg(folder / "organs.dcm", ct, blobs(SHAPE, 3, overlapping=True).transpose(1, 2, 3, 0).astype("u1"))
    square = np.array([(5, 20, 30), (5, 20, 60), (5, 50, 60), (5, 50, 30)], float)
    write_rtstruct(folder / "structures.dcm", volume, {"Target": [("CLOSED_PLANAR", square)]}, uids=True)
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:8, 60:80, 50:90] = 7
    hounsfield.write_volume(
        Volume.from_array(labels, volume.affine, unit="unspecified"), folder / "map.nii.gz"
    )
    middle = np.array(volume.lps(5, 48, 56))
    affine = np.eye(4)
    affine[:3, :3] = np.array([(0, 0, 8), (0, 8, 0), (6, 0, 0)], float)
    affine[:3, 3] = middle - affine[:3, :3] @ np.array([4, 8, 8])
    z, y, x = np.mgrid[:9, :17, :17]
    write_dose(
        folder / "dose.dcm", volume, 60 * np.exp(-((z - 4) ** 2 + (y - 8) ** 2 + (x - 8) ** 2) / 20.0), affine
    )
    return Scene(folder, volume, hounsfield.load(folder / "dose.dcm", dtype="float32").resampled(like=volume))


@pytest.fixture(scope="module")
def address(scene: Scene) -> Any:
    with looking_at(scene.folder, series="Phantom") as found:
        yield found


def _show(person: Person, name: str) -> None:
    """Open the panel and lay one over the image."""
    if not person.page.locator(".layer").count():
        person.page.locator(".layer").first.wait_for()
    section = person.page.locator(".layer", has_text=name)
    section.get_by_role("switch").click()
    section.locator(".opacity").wait_for()
    person.page.wait_for_load_state("networkidle")  # its slices come one by one
    person.rest()


def _rows(person: Person, name: str) -> dict[int, tuple[str, str]]:
    """Segment number → (ml, mean) as the list has them."""
    rows = person.page.locator(".layer", has_text=name).locator("tr[data-segment]")
    return {
        int(str(row.get_attribute("data-segment"))): tuple(row.locator(".figure").all_inner_texts())
        for row in rows.all()
    }


def _at(person: Person, view: str, text: str = ".layers-at") -> str:
    found = person.page.locator(f".readout {text}")
    return found.inner_text() if found.count() else ""


POINTS = [(fx, fy) for fx in (0.3, 0.42, 0.5, 0.57, 0.66) for fy in (0.25, 0.4, 0.5, 0.6, 0.7)]


def _probe_names(person: Person, view: str) -> list[tuple[list[float], set[str], list[int]]]:
    """(voxel, names in the line of numbers, colour) at points of a view."""
    width, height = person.size(view)
    found = []
    for fx, fy in POINTS:
        told = person.point(fx * width, fy * height, view)
        if told["voxel"] is None:
            continue
        names = _at(person, view)
        found.append((told["voxel"], set(names.split(" · ")) if names else set(), told["grey"]))
    return found


@pytest.mark.parametrize("view", ["stack", "axial", "coronal", "sagittal"])
def test_segments_lie_where_the_arrays_say_on_the_stack_and_on_all_planes(
    person: Person, scene: Scene, address: str, view: str
) -> None:
    masks = scene.masks("organs.dcm")
    layout = "stack" if view == "stack" else "planes"
    person.open(f"{address}&lang=en&panel=layers&smooth=0&layout={layout}")
    person.see_image(view)
    _show(person, "Segmentation")
    person.page.locator(".layer", has_text="Segmentation").get_by_label("Drawn as").select_option("fill")
    inside = 0
    for voxel, names, (r, g, b) in _probe_names(person, view):
        expected = {each.name for each in masks.segments if masks.mask(each.number)[tuple(map(int, voxel))]}
        assert names == expected, voxel
        assert (len({r, g, b}) > 1) == bool(expected), (voxel, (r, g, b))
        inside += bool(expected)
    assert inside > 3


def test_ml_and_mean_are_those_of_measure(person: Person, scene: Scene, address: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "hounsfield", "measure", str(scene.folder / "ct"), "--json"]
        + [f"--mask={scene.folder / name}" for name in ("organs.dcm", "structures.dcm", "map.nii.gz")],
        check=True,
        capture_output=True,
        text=True,
    )
    segments = json.loads(told.stdout)["segments"]
    person.open(f"{address}&lang=en&panel=layers")
    person.see_image()
    for name in ("Segmentation", "Structures", "map.nii.gz"):
        _show(person, name)
    shown = {**_rows(person, "Segmentation")}
    shown = {("organs.dcm", number): row for number, row in shown.items()}  # type: ignore[misc]
    shown |= {("structures.dcm", number): row for number, row in _rows(person, "Structures").items()}  # type: ignore[misc]
    shown |= {("map.nii.gz", number): row for number, row in _rows(person, "map.nii.gz").items()}  # type: ignore[misc]
    assert len(shown) == len(segments) == 5
    for each in segments:
        ml, mean = shown[Path(each["mask"]).name, each["number"]]  # type: ignore[index]
        assert float(ml) == pytest.approx(each["ml"], abs=0.051)
        assert float(mean.replace("−", "-")) == pytest.approx(each["mean"], abs=0.051)


def test_a_segment_is_hidden_and_coloured_and_the_address_keeps_it(
    person: Person, scene: Scene, address: str
) -> None:
    person.open(f"{address}&lang=en&panel=layers&slice=6")
    person.see_image()
    _show(person, "map.nii.gz")
    section = person.page.locator(".layer", has_text="map.nii.gz")
    section.get_by_label("Drawn as").select_option("fill")
    section.get_by_label("Opacity").evaluate(_SET, "100")
    section.locator("input[type=color]").evaluate(_SET, "#00ff80")
    section.get_by_role("button", name="label 7").click()
    person.rest()
    centre = person.page.evaluate(_FIND_COLOUR, [0, 255, 128])
    assert centre > 500
    again = person.address()
    section.get_by_label("Show: label 7").uncheck()
    person.rest()
    assert person.page.evaluate(_FIND_COLOUR, [0, 255, 128]) == 0
    hidden = person.address()
    for url, there in ((again, True), (hidden, False)):
        person.open(url)
        person.see_image()
        person.page.locator(".layer tr[data-segment]").first.wait_for()
        person.page.wait_for_timeout(400)
        assert (person.page.evaluate(_FIND_COLOUR, [0, 255, 128]) > 500) == there
    person.page.keyboard.press(",")
    assert person.page.get_by_role("switch", name="map.nii.gz").get_attribute("aria-checked") == "false"


_SET = "(e, value) => { e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})) }"

_FIND_COLOUR = """([r, g, b]) => {
  const canvas = document.querySelector("canvas.pixels");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let k = 0; k < data.length; k += 4)
    if (Math.abs(data[k] - r) + Math.abs(data[k + 1] - g) + Math.abs(data[k + 2] - b) < 6) found += 1;
  return found;
}"""


@pytest.mark.parametrize("view", ["stack", "coronal"])
def test_a_dose_is_a_wash_with_its_gray_under_the_pointer(
    person: Person, scene: Scene, address: str, view: str
) -> None:
    layout = "stack" if view == "stack" else "planes"
    person.open(f"{address}&lang=en&panel=layers&layout={layout}")
    person.see_image(view)
    _show(person, "Plan dose")
    assert "Gy" in person.page.locator(".legend").first.inner_text()
    width, height = person.size(view)
    high = 0
    for fx, fy in POINTS:
        told = person.point(fx * width, fy * height, view)
        text = _at(person, view)
        if told["voxel"] is None or not text:
            continue
        # The line speaks of the place under the pointer, the array of the voxel's centre: less than a voxel apart.
        exact = _dose_at(scene, told["lps"])
        assert float(text.split()[0]) == pytest.approx(exact, abs=0.02)
        coloured = len(set(told["grey"])) > 1
        assert coloured == (exact >= 3.0) or abs(exact - 3.0) < 0.5
        high += exact > 20
    assert high


def _dose_at(scene: Scene, lps: list[float]) -> float:
    raw = hounsfield.load(scene.folder / "dose.dcm", dtype="float32")
    at = np.linalg.solve(raw.affine, np.array([*lps, 1.0]))[:3]
    low = np.floor(at).astype(int)
    part = at - low
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        index = np.minimum(low + corner, np.array(raw.shape) - 1)
        weight = float(np.prod(np.where(np.array(corner), part, 1 - part)))
        total += weight * float(raw.array[tuple(index)])
    return total


def test_what_does_not_fit_says_so_in_both_languages(person: Person, scene: Scene, tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 10:20, 10:20] = 1
    moved = scene.volume.affine.copy()
    moved[:3, 3] += 3.3
    for path in (scene.folder / "ct").rglob("*.dcm"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    hounsfield.write_volume(Volume.from_array(labels, moved, unit="unspecified"), tmp_path / "off.nii.gz")
    with looking_at(tmp_path) as found:
        for language, words in (("en", "off the CT"), ("zh", "CT")):
            person.open(f"{found}&lang={language}&panel=layers")
            person.see_image()
            section = person.page.locator(".layer", has_text="off.nii.gz")
            section.get_by_role("switch").click()
            alert = section.get_by_role("alert")
            alert.wait_for()
            assert words in alert.inner_text() and "mm" in alert.inner_text()


def test_the_rail_lists_segmentations_as_layers_of_the_ct(person: Person, scene: Scene, address: str) -> None:
    person.open(f"{address}&lang=zh")
    person.see_image()
    person.page.get_by_role("button", name="序列", exact=True).click()
    switch = person.page.locator(".rail").get_by_role("switch")
    switch.first.wait_for()
    switch.first.click()
    assert switch.first.get_attribute("aria-checked") == "true"
    person.page.locator(".segments").wait_for()
    assert "填充和轮廓" in person.page.locator(".layer", has=person.page.locator(".segments")).inner_text()


def test_layers_are_reached_by_keyboard_and_named(person: Person, scene: Scene, address: str) -> None:
    person.open(f"{address}&lang=en")
    person.see_image()
    person.page.keyboard.press("q")
    person.page.locator(".layer").first.wait_for()
    switch = person.page.locator(".layer", has_text="map.nii.gz").get_by_role("switch")
    assert "map.nii.gz" in str(switch.get_attribute("aria-label"))
    switch.focus()
    person.page.keyboard.press("Enter")
    person.page.locator(".segments").wait_for()
    assert switch.get_attribute("aria-checked") == "true"


@pytest.mark.parametrize(("language", "theme"), [("en", "dark"), ("zh", "light")])
def test_axe_finds_nothing_on_layers(
    person: Person, scene: Scene, address: str, language: str, theme: str
) -> None:
    person.open(f"{address}&lang={language}&theme={theme}&panel=layers")
    person.see_image()
    person.page.locator(".layer").first.wait_for()
    for name in ("map.nii.gz", "Plan dose"):
        _show(person, name)
    person.page.locator(".segments").wait_for()
    person.page.locator(".legend").wait_for()
    assert axe_violations(person) == []


def test_view_opens_on_the_ct_whatever_study_its_masks_say(scene: Scene) -> None:
    from hounsfield.server.local_viewer import local_viewer

    with local_viewer(scene.folder) as shown:
        assert shown.fragment.endswith(f"series={scene.volume.header['SeriesInstanceUID']}")
