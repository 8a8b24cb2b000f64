"""What `check` finds, looked at: a volume and its DICOM side by side, and the difference under the pointer."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from viewer_browser import Person, looking_at, write_phantom

import hounsfield
from hounsfield.ct.volume import Volume

pytestmark = pytest.mark.xdist_group("viewer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series, and a file of it with 60 HU more in a box, its affine mirrored: rows run the other way."""
    root = tmp_path_factory.mktemp("pair")
    write_phantom(root / "ct", rows=80, columns=96, slices=7, padding=None)
    volume = hounsfield.load(root / "ct")
    array = volume.array.copy()
    array[2:5, 20:40, 30:60] += 60
    array[:, 60:, :] -= 7
    hounsfield.write_volume(Volume.from_array(array, volume.affine), root / "head.nii.gz")
    hounsfield.write_volume(
        Volume.from_array(array[::-1], np.diag([5.0, 3.0, 2.0, 1.0])), root / "lost.nii.gz"
    )
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with looking_at(folder / "ct", held_against=folder / "head.nii.gz") as found:
        yield found


def _readings(person: Person, pane: int) -> list[tuple[tuple[int, ...], float, str, list[int]]]:
    """(voxel, value, what the layers say, grey) at points of a pane's stack."""
    return [
        (tuple(each["voxel"]), each["value"], each["layers"], each["grey"])
        for each in person.page.evaluate(_READ, pane)
        if each["voxel"]
        # Well within a voxel: the pixel that is read lies up to one to the right of the pointer.
        and max(abs(exact - whole) for exact, whole in zip(each["index"], each["voxel"], strict=True)) < 0.25
    ]


_READ = """async pane => {
  const element = document.querySelectorAll('[data-view="stack"]')[pane];
  const box = element.getBoundingClientRect();
  const context = element.querySelector("canvas.pixels").getContext("2d");
  const found = [];
  for (let fy = 0.15; fy < 0.9; fy += 0.07) for (let fx = 0.38; fx < 0.62; fx += 0.016) {
    const [x, y] = [Math.floor(fx * box.width), Math.floor(fy * box.height)];
    element.dispatchEvent(new PointerEvent("pointermove",
      {clientX: box.left + x, clientY: box.top + y, pointerType: "mouse", bubbles: true}));
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
    const line = document.querySelector(".readout");
    found.push({voxel: line.dataset.voxel ? line.dataset.voxel.split(",").map(Number) : null,
      index: line.dataset.index?.split(",").map(Number),
      value: Number(line.dataset.value), layers: line.querySelector(".layers-at")?.textContent ?? "",
      grey: [...context.getImageData(x, y, 1, 1).data].slice(0, 3)});
  }
  return found;
}"""


def test_the_difference_under_the_pointer_is_that_of_the_arrays(
    person: Person, folder: Path, address: str
) -> None:
    ct = hounsfield.load(folder / "ct").array.astype(int)
    file = hounsfield.load(folder / "head.nii.gz").array.astype(int)
    person.open(f"{address}&lang=en&smooth=0&3-smooth=0")
    person.see_image(pane=2)
    person.page.locator(".layer .verdict.bad").wait_for()
    person.page.wait_for_timeout(300)
    readings = _readings(person, 2)
    assert len(readings) > 15
    kinds = set()
    for voxel, value, text, (r, _, b) in readings:
        difference = file[voxel] - ct[voxel]
        assert value == ct[voxel]
        assert float(text.removeprefix("Δ ").removesuffix(" HU").replace("−", "-")) == difference
        assert (r > b, r < b) == (difference > 0, difference < 0)
        kinds.add(int(np.sign(difference)))
    assert kinds == {-1, 0, 1}
    assert person.page.locator(".legend").count() == 1
    for voxel, value, text, _ in _readings(person, 1):
        assert value == file[voxel] and text == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_verdict_is_that_of_check_in_both_languages(
    person: Person, folder: Path, address: str, language: str
) -> None:
    from hounsfield.language import translated

    found = hounsfield.check(folder / "head.nii.gz", folder / "ct")
    assert found.values is not None and found.geometry is not None
    person.open(f"{address}&lang={language}")
    person.see_image()
    person.page.locator(".layer .verdict").wait_for()
    said = person.page.locator(".layer").inner_text()
    assert translated(found.values.sentence, "en" if language == "en" else "zh") in said
    assert translated(found.geometry.sentence, "en" if language == "en" else "zh") in said
    assert {"en": "It is not what the DICOM says", "zh": "与 DICOM 不一致"}[language] in said


def test_panes_go_together_voxel_by_voxel_where_the_file_lies_elsewhere(person: Person, folder: Path) -> None:
    with looking_at(folder / "ct", held_against=folder / "lost.nii.gz") as address:
        person.open(f"{address}&lang=en")
        person.see_image(pane=2)
        person.page.locator(".layer .verdict").wait_for()
        assert "apart" in person.page.locator(".layer .check").inner_text()
        person.page.locator('[data-view="stack"]').first.click(position={"x": 60, "y": 60})
        person.page.keyboard.press("Home")
        person.rest()
        state = person.state()
        assert (state["slice"], state["3-slice"]) == ("1", "1")
        file = hounsfield.load(folder / "lost.nii.gz").array
        ct = hounsfield.load(folder / "ct").array
        shown = int(state["2-slice"]) - 1
        # The slice that is shown beside is the one of the same values, but for what was changed.
        assert np.abs(np.sort(file[shown].ravel()) - np.sort(ct[0].ravel())).mean() < 10


def test_a_series_that_is_open_beside_is_offered_as_a_difference(
    person: Person, folder: Path, address: str
) -> None:
    two = re.sub(r"&3-[^&]*|&panel=[^&]*", "", address)
    person.open(f"{two}&lang=en")
    person.see_image(pane=1)
    person.page.locator('[data-view="stack"]').first.click(position={"x": 60, "y": 60})
    person.page.keyboard.press("q")
    person.page.get_by_role("switch", name="Show: head.nii.gz").click()
    person.page.locator(".layer .verdict.bad").wait_for()
    assert "minus~" in person.state()["layers"]


def test_a_volume_file_in_the_folder_is_offered_as_a_difference(person: Person, folder: Path) -> None:
    with looking_at(folder) as address:
        person.open(f"{address}&lang=zh&panel=layers")
        person.see_image()
        person.page.locator(".layer", has_text="head.nii.gz").get_by_role("switch").click()
        person.page.locator(".layer .verdict.bad").wait_for()
        person.page.locator(".legend").wait_for()


def test_check_view_prints_what_it_finds_and_opens_both(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hounsfield",
        "check",
        str(folder / "head.nii.gz"),
        str(folder / "ct"),
        "--view",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines: list[Any] = []
        while not (lines and lines[-1].startswith("http")):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr
        assert any("values" in line for line in lines)
        query = parse_qs(lines[-1].strip().partition("?")[2])
        assert query["series"] == query["3-series"] != query["2-series"]
        assert query["3-layers"] == [f"minus~{query['2-study'][0]}~{query['2-series'][0]}"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 1
    finally:
        process.kill()
        process.communicate()


def test_view_needs_dicom_and_one_volume(folder: Path) -> None:
    command = [sys.executable, "-m", "hounsfield", "check", str(folder / "head.nii.gz"), "--view"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "LOCATION" in done.stderr
