"""What hands expect of the page: wheels, Escape, deleting, copying, typing a slice's number. In Debian's Chromium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_browser import Person, archive_of, looking_at

from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")

_FINGERS = """events => {
  const view = document.querySelector('[data-view="stack"]');
  for (const [type, id, x, y] of events) view.dispatchEvent(new PointerEvent(type,
    {pointerId: id, clientX: x, clientY: y, pointerType: "touch", bubbles: true, buttons: 1}));
}"""


def _open(person: Person, url: str, more: str = "") -> None:
    person.open(f"{url}&lang=en{more}")
    person.see_image(None)


def _corner(person: Person) -> str:
    person.rest()
    return str(person.page.locator(".corner.bottom-left").first.inner_text()).splitlines()[0]


def _measurements(person: Person) -> int:
    person.rest()
    return int(person.page.locator(".measurements li").count())


def _line(person: Person, *points: tuple[float, float]) -> None:
    person.page.mouse.move(*points[0])
    person.page.mouse.down()
    for point in points[1:]:
        person.page.mouse.move(*point, steps=3)
    person.page.mouse.up()
    person.rest()


@pytest.mark.parametrize("notch", [100, 120])
def test_a_notch_of_the_wheel_is_one_slice(person: Person, thin_url: str, notch: int) -> None:
    _open(person, thin_url, "&slice=2")
    person.page.mouse.move(600, 400)
    for slice_ in range(3, 7):
        person.page.mouse.wheel(0, notch)
        person.page.wait_for_function("() => !document.querySelector('[aria-busy]')")
        person.page.wait_for_function(
            "now => document.querySelector('.corner.bottom-left').innerText.startsWith(now)",
            arg=f"Slice {slice_} /",
        )


def test_what_was_read_last_stays_to_be_copied_and_clicked(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    person.page.mouse.move(600, 400)
    person.rest()
    line = person.page.locator(".readout")
    assert "HU = stored" in line.inner_text()
    person.page.mouse.move(600, 710, steps=6)
    person.rest()
    assert " HU" in line.inner_text()
    person.page.evaluate(
        """() => document.addEventListener("copy", event =>
          (document.body.dataset.copied = event.clipboardData.getData("text/plain")))"""
    )
    person.page.keyboard.press("Control+c")
    copied = person.page.evaluate("() => document.body.dataset.copied")
    value, voxel, place = copied.split("\t")
    assert value.startswith(line.get_attribute("data-value")) and "−" not in copied
    assert json.loads(voxel) == [int(n) for n in line.get_attribute("data-voxel").split(",")]
    assert place.endswith("mm")
    person.page.locator(".chain").click()
    person.page.get_by_role("searchbox", name="Search tags").wait_for()


def test_reset_stays_on_the_slice_and_the_planes_with_it(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&layout=planes&slice=3")
    person.page.keyboard.press("Home")
    person.page.keyboard.press(" ")
    assert _corner(person) == "Slice 1 / 12"
    assert person.point(150, 200, "axial")["voxel"][0] == 0


def test_keys_zoom_no_further_than_the_wheel_does(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    for _ in range(40):
        person.page.keyboard.press("+")
    assert float(person.state()["pose"].partition(",")[0]) == 60


def test_cine_plays_the_plane_that_is_shown(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&layout=coronal")
    before = person.page.locator(".corner.bottom-left").inner_text().split("/")[0]
    slice_ = person.state()["slice"]
    person.page.keyboard.press("c")
    person.page.wait_for_function(
        "before => !document.querySelector('.corner.bottom-left').innerText.includes(before)",
        arg=before,
    )
    person.page.keyboard.press("c")
    assert person.state()["slice"] == slice_


def test_a_second_finger_leaves_no_measurement(browser: Any, thin_url: str) -> None:
    person = Person(browser, width=390, height=844, has_touch=True)
    _open(person, thin_url, "&panel=measure&tool=length")
    first = [("pointerdown", 1, 150, 300), ("pointermove", 1, 170, 310)]
    pinch = [("pointerdown", 2, 250, 300), ("pointermove", 2, 290, 300)]
    person.page.evaluate(_FINGERS, [*first, *pinch, ("pointerup", 1, 170, 310), ("pointerup", 2, 290, 300)])
    assert _measurements(person) == 0
    assert "pose" in person.state()
    person.page.evaluate(_FINGERS, [*first, ("pointercancel", 1, 170, 310)])
    assert _measurements(person) == 0
    assert person.troubles == []
    person.close()


def test_a_tap_reads_the_value_there_and_it_stays(browser: Any, thin_url: str) -> None:
    person = Person(browser, width=390, height=844, has_touch=True)
    _open(person, thin_url)
    person.page.touchscreen.tap(150, 420)
    person.rest()
    assert "HU = stored" in person.page.locator(".readout").inner_text()
    person.close()


def test_escape_ends_what_is_being_drawn_and_then_the_tool(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&panel=measure&tool=angle")
    _line(person, (400, 300), (500, 300))
    person.page.keyboard.press("Escape")
    person.page.mouse.click(520, 200)
    assert _measurements(person) == 0
    assert person.state()["tool"] == "angle"
    person.page.keyboard.press("Escape")
    assert "tool" not in person.state()


def test_an_angle_begun_on_one_slice_is_not_ended_on_another(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&panel=measure&tool=angle")
    _line(person, (400, 300), (500, 300))
    person.page.keyboard.press("ArrowDown")
    person.page.mouse.move(520, 210)
    person.page.mouse.click(520, 200)
    assert _measurements(person) == 0
    _line(person, (400, 300), (500, 300))
    person.page.mouse.click(500, 200)
    assert _measurements(person) == 1
    assert "90.0°" in person.page.locator(".measurements").inner_text()


def test_two_lines_make_a_cobb_angle_or_two_diameters(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&panel=measure&tool=cobb")
    _line(person, (400, 300), (500, 300))
    assert _measurements(person) == 0
    _line(person, (400, 400), (500, 500))
    assert _measurements(person) == 1
    assert "45.0°" in person.page.locator(".measurements").inner_text()
    person.page.keyboard.press("y")
    _line(person, (420, 200), (520, 200))
    _line(person, (470, 170), (470, 220))
    (_, two) = person.page.locator(".measurements .entry").all_inner_texts()
    first, second = (float(line.removesuffix(" mm")) for line in two.splitlines() if line.endswith(" mm"))
    assert (two.splitlines()[0], first) == ("Two diameters", pytest.approx(2 * second, abs=0.2))
    person.page.keyboard.press("u")
    _line(person, (400, 300), (500, 300))
    person.page.keyboard.press("ArrowDown")
    _line(person, (400, 400), (500, 500))
    assert _measurements(person) == 2


def test_delete_spares_what_is_not_seen(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&tool=length")
    _line(person, (400, 300), (500, 300))
    person.page.keyboard.press("ArrowDown")
    person.page.keyboard.press("Delete")
    person.page.keyboard.press("k")
    assert _measurements(person) == 1
    person.page.keyboard.press("Delete")
    assert _measurements(person) == 0


def test_a_slice_is_gone_to_by_its_number(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    for number, there in (("4", "4"), ("99", "12")):
        person.page.keyboard.press("Control+g")
        field = person.page.get_by_role("spinbutton", name="Go to a slice")
        field.wait_for()
        person.page.keyboard.type(number)
        person.page.keyboard.press("Enter")
        assert _corner(person) == f"Slice {there} / 12"
    person.page.get_by_role("button", name="Slice 12 / 12").click()
    field.wait_for()
    person.page.keyboard.press("Escape")
    person.page.keyboard.press("ArrowUp")
    assert _corner(person) == "Slice 11 / 12"


def test_after_a_number_or_a_preset_the_keys_are_the_images_again(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    level = person.page.get_by_role("spinbutton", name="Level")
    level.fill("77")
    level.press("Enter")
    person.page.keyboard.press("ArrowDown")
    assert _corner(person) == "Slice 8 / 12"
    width = person.page.get_by_role("spinbutton", name="Width")
    width.fill("0")
    width.press("Enter")
    assert width.input_value() == "400"
    assert person.state()["window"] == "77,400"


def test_a_measurement_of_another_series_is_gone_to(person: Person, tmp_path: Path) -> None:
    for number, name in ((1, "one"), (2, "two")):
        spec = PhantomSpec(
            rows=32, columns=32, slices=5, series_number=number, series_description=name, seed=9
        )
        write(spec, tmp_path / "in" / name)
    with archive_of(tmp_path / "archive", tmp_path / "in") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.locator(".card-open", has_text="one").click()
        person.see_image()
        person.page.keyboard.press("Home")
        person.page.keyboard.press("d")
        _line(person, (400, 300), (500, 300))
        person.page.keyboard.press("k")
        person.page.keyboard.press("PageDown")
        person.page.wait_for_function("() => document.title.startsWith('2 · two')")
        person.page.locator(".measurements .entry").click()
        person.page.wait_for_function("() => document.title.startsWith('1 · one')")
        person.see_image()
        assert _corner(person) == "Slice 1 / 5"


def test_cine_has_a_rate_while_it_plays(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    rate = person.page.get_by_label("Frames a second")
    assert rate.count() == 0
    person.page.keyboard.press("c")
    rate.select_option("30")
    person.page.keyboard.press("c")
    person.page.keyboard.press("c")
    assert rate.input_value() == "30"


def test_a_slice_that_cannot_be_read_is_named_and_not_trusted(person: Person, thin_url: str) -> None:
    person.without_streams()
    person.page.route(
        "**/slices/6*", lambda route: route.fulfill(status=500, body='{"error": "it ends early"}')
    )
    person.open(f"{thin_url}&lang=en")
    person.page.get_by_text("Could not be read: slice 7: it ends early").wait_for()
    person.page.get_by_text("This slice could not be read.").wait_for()
    assert "bad" in person.page.locator(".badge").get_attribute("class")
    person.page.locator("progress.loaded").wait_for(state="detached")
    person.page.unroute("**/slices/6*")
    person.page.get_by_role("button", name="Retry").click()
    person.see_image()
    assert "good" in person.page.locator(".badge").get_attribute("class")
    assert person.page.locator(".notice").count() == 0


def test_a_measurement_is_moved_by_its_line(person: Person, thin_url: str) -> None:
    _open(person, thin_url, "&panel=measure&tool=freehand")
    _line(person, (300, 300), (400, 300), (400, 400), (300, 400))
    before = _exported(person)
    view = person.page.locator(".view").first
    person.page.mouse.move(350, 300)
    person.rest()
    assert view.get_attribute("data-graspable") is not None
    _line(person, (350, 300), (410, 330))
    after = _exported(person)
    shifts = np.subtract(after["points"], before["points"])
    np.testing.assert_allclose(shifts, shifts[:1] + np.zeros_like(shifts), atol=1e-9)
    assert shifts[0][1] == pytest.approx(2 * shifts[0][0], abs=1e-6) and shifts[0][0] > 1
    person.page.mouse.move(350, 350)
    person.rest()
    assert view.get_attribute("data-graspable") is None
    assert _measurements(person) == 1


def test_a_probe_that_is_moved_on_a_plane_is_read_anew(
    person: Person, thin_url: str, studies_folder: Path
) -> None:
    from hounsfield import load

    volume = load(studies_folder / "thin")
    _open(person, thin_url, "&panel=measure&tool=probe&layout=coronal")
    person.page.mouse.click(450, 420)
    for start, end in (((450, 420), (560, 380)), ((560, 380), (500, 400))):
        _line(person, start, end)
        found = _exported(person)
        index = np.linalg.solve(volume.affine, [*found["lps"][0], 1])[:3]
        assert found["value"] == volume.array[tuple(np.floor(index + 0.5).astype(int))]
    assert _measurements(person) == 1


def _exported(person: Person) -> Any:
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Export JSON").click()
    return json.loads(Path(saved.value.path()).read_text())["measurements"][0]


def test_the_slider_takes_the_wheel_too(person: Person, thin_url: str) -> None:
    _open(person, thin_url)
    person.page.locator(".slider").hover()
    person.page.mouse.wheel(0, 120)
    person.page.wait_for_function(
        "() => document.querySelector('.corner.bottom-left').innerText.startsWith('Slice 8 /')"
    )


# --- pictures and scouts ---------------------------------------------------------------------------------------


def test_a_picture_says_whose_it_is(person: Person, real_data: Path, tmp_path: Path) -> None:
    with archive_of(tmp_path, real_data / "philips_phantom" / "S21570" / "S4010") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.locator(".card-open").click()
        person.see_image()
        assert "HEAD" in person.page.locator(".identity").inner_text()
        assert person.page.locator(".caption-title").inner_text() == "401 · Exam Summary"


def test_a_localizer_has_directions_and_a_scale(person: Person, real_data: Path) -> None:
    from hounsfield.ct.instance import FileSource, read_instance

    folder = real_data / "philips_phantom" / "S21570" / "S1000"
    path = next(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "DIRFILE")
    plane = read_instance(FileSource(path)).planes[0]
    with looking_at(folder) as url:
        _open(person, url)
        read = person.point(500, 300)
        row, column = read["index"][1:]
        along: Any
        down: Any
        along, down = np.reshape(plane.orientation, (2, 3))  # type: ignore[arg-type]
        place = np.array(plane.position) + along * column * plane.spacing[1] + down * row * plane.spacing[0]  # type: ignore[index]
        np.testing.assert_allclose(read["lps"], place, atol=0.01)
        person.page.keyboard.press("k")
        person.page.keyboard.press("d")
        _line(person, (300, 300), (500, 300))
        assert " mm" in person.page.locator(".measurements").inner_text()


def test_regions_of_pixels_without_a_size_have_no_area(person: Person, tmp_path: Path) -> None:
    write(PhantomSpec(rows=32, columns=32, slices=1, seed=9), tmp_path)
    _strip(next(path for path in tmp_path.rglob("*") if path.is_file()))
    with looking_at(tmp_path) as url:
        _open(person, url, "&panel=measure&tool=rectangle")
        _line(person, (400, 300), (500, 380))
        person.page.keyboard.press("d")
        _line(person, (400, 420), (500, 420))
        said = person.page.locator(".measurements").inner_text()
        assert "voxels" in said and "pixels" in said and "mm" not in said


def _strip(path: Path) -> None:
    """No pixel size and no place."""
    import pydicom

    data = pydicom.dcmread(path)
    for keyword in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"):
        if keyword in data:
            del data[keyword]
    data.save_as(path)


def test_presets_in_hounsfield_units_are_for_ct(person: Person, tmp_path: Path) -> None:
    import pydicom

    write(PhantomSpec(rows=32, columns=32, slices=3, seed=9, rescale_type=None), tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = pydicom.dcmread(path)
            data.Modality = "MR"
            data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"  # type: ignore[assignment]
            data.save_as(path)
    with looking_at(tmp_path) as url:
        _open(person, url)
        person.page.keyboard.press("2")
        assert "window" not in person.state()
        assert "Lung" not in person.page.get_by_label("Presets").inner_text()
