"""What a person does at the page, done in Debian's Chromium: every point of it seen working."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hounsfield import load
from hounsfield.phantom import PhantomSpec, write
from viewer_browser import Person, archive_of, looking_at, serving

pytestmark = pytest.mark.xdist_group("viewer")

EVIL = "<script>alert(1)</script>^<b>Evil</b>"


def _phantom(folder: Path, **spec: Any) -> Path:
    write(PhantomSpec(**({"rows": 64, "columns": 64, "slices": 12} | spec)), folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study of three series (thin, thick, tilted), a second of a patient with markup for a name."""
    root = tmp_path_factory.mktemp("data")
    _phantom(root / "thin", series_number=1, series_description="Thin", seed=3)
    _phantom(root / "thick", series_number=2, series_description="Thick", slices=6, slice_step=5.0, seed=3)
    _phantom(root / "tilted", series_number=3, series_description="Tilted", tilt=18.0, seed=3)
    _phantom(
        root / "evil", patient_name=EVIL, patient_id="EVIL", character_set="ISO_IR 192", seed=4, missing=(5,)
    )
    return root


@pytest.fixture(scope="module")
def archive(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with archive_of(tmp_path_factory.mktemp("archive"), data) as root:
        yield root


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    with looking_at(data / "thin") as address:
        yield address


def _open_series(person: Person, root: str, title: str, patient: str = "Phantom, Hounsfield") -> None:
    person.open(f"{root}/#/?lang=en")
    person.page.get_by_role("button", name=patient).click()
    person.page.locator(".card-open", has_text=title).click()
    person.see_image()


# --- opening -------------------------------------------------------------------------------------------------


def test_view_opens_on_the_middle_slice_without_a_click(person: Person, url: str) -> None:
    person.open(url)
    person.see_image()
    assert "7 / 12" in person.page.locator(".corner.bottom-left").inner_text()
    assert person.point(400, 300)["value"] is not None


def test_a_zip_is_looked_at_where_it_lies(person: Person, data: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "thin"), "zip", data / "thin")
    before = sorted(path.name for path in tmp_path.iterdir())
    with looking_at(packed) as address:
        person.open(address)
        person.see_image()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_series_on_another_server_is_looked_at_from_there(person: Person, archive: str, data: Path) -> None:
    facts = load(data / "thick").header
    remote = f"{archive}/dicom-web/studies/{facts['StudyInstanceUID']}/series/{facts['SeriesInstanceUID']}"
    with looking_at(remote) as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        assert "Thick" in person.page.locator(".caption").inner_text()
        found = person.point(*(side / 2 for side in person.size()))
        assert found["value"] == load(data / "thick").array[tuple(found["voxel"])]


def test_the_series_asked_for_is_the_one_that_opens(person: Person, data: Path) -> None:
    with looking_at(data, series="Tilted") as address:
        person.open(address)
        person.see_image()
        assert "Tilted" in person.page.locator(".caption").inner_text()


def test_nothing_is_asked_of_another_host_and_the_page_works_without_the_network(
    person: Person, url: str
) -> None:
    person.open(url)
    person.see_image()
    person.context.set_offline(True)
    person.page.keyboard.press("End")
    person.page.keyboard.press("m")
    person.see_image("coronal")
    root = url.partition("#")[0]
    assert [address for address in person.asked if not address.startswith((root, "about:", "blob:"))] == []


# --- studies -------------------------------------------------------------------------------------------------


def test_studies_are_listed_searched_and_sorted(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    names = person.page.locator(".study-open")
    person.page.wait_for_function("() => document.querySelectorAll('.study-open').length === 2")
    person.page.get_by_role("button", name="Patient ID").click()
    assert "script" in names.first.inner_text()
    person.page.get_by_role("button", name="Patient ID").click()
    assert "script" in names.last.inner_text()
    for text, found in (("hounsfield", 1), ("evil", 1), ("HU-PHANTOM", 1), ("CT phantom", 2), ("nobody", 0)):
        person.page.get_by_role("searchbox").fill(text)
        person.page.wait_for_function(f"() => document.querySelectorAll('.study-open').length === {found}")
    assert "q=nobody" in person.address()


def test_series_have_thumbnails(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    person.page.get_by_role("button", name="Phantom, Hounsfield").click()
    person.page.wait_for_function(
        "() => document.querySelectorAll('.thumbnail img').length === 3"
        " && [...document.querySelectorAll('.thumbnail img')].every(i => i.naturalWidth > 0)"
    )


def test_a_name_with_markup_in_it_is_text(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    person.page.get_by_text("<b>Evil</b>", exact=False).first.wait_for()
    person.page.get_by_role("button", name="alert(1)").click()
    person.page.locator(".card-open").first.click()
    person.see_image()
    person.page.keyboard.press("g")
    person.page.locator(".tag-value", has_text="<b>Evil</b>").wait_for()
    assert person.page.locator("b, body script").count() == 0


def test_files_are_uploaded_and_studies_deleted(person: Person, tmp_path: Path) -> None:
    files = sorted(_phantom(tmp_path / "new", slices=4, patient_name="New^Comer", seed=9).glob("*.dcm"))
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all")
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_text("No studies here yet").wait_for()
        person.page.locator(".upload input").set_input_files([*map(str, files), str(broken)])
        told = person.page.locator(".upload-progress", has_text="4 stored · 1 refused")
        told.wait_for()
        person.page.get_by_role("button", name="New, Comer").wait_for()
        person.page.get_by_role("button", name="Delete").click()
        person.page.get_by_role("button", name="Cancel").click()
        assert person.page.locator(".study-open").count() == 1
        person.page.get_by_role("button", name="Delete").click()
        person.page.locator("button.danger").click()
        person.page.get_by_text("No studies here yet").wait_for()


def test_dropped_files_are_stored(person: Person, tmp_path: Path) -> None:
    content = next(_phantom(tmp_path / "new", slices=1, seed=10).glob("*.dcm")).read_bytes()
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_text("No studies here yet").wait_for()
        person.page.evaluate(
            """bytes => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], "one.dcm"));
              window.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true, bubbles: true}));
            }""",
            list(content),
        )
        person.page.locator(".study-open").wait_for()


def test_what_only_reads_offers_no_upload(person: Person, data: Path) -> None:
    with looking_at(data) as address:
        person.open(f"{address.partition('#')[0]}#/?lang=en")
        person.page.locator(".study-open").first.wait_for()
        person.rest()
        assert person.page.locator(".upload").count() == 0
        assert person.page.get_by_role("button", name="Delete").count() == 0


# --- looking -------------------------------------------------------------------------------------------------


def _slice(person: Person) -> str:
    person.rest()
    return str(person.page.locator(".corner.bottom-left").first.inner_text()).split()[1]


def test_keys_scroll_window_turn_and_reset(person: Person, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    press = person.page.keyboard.press
    for key, slice_ in (
        ("ArrowDown", "8"),
        ("ArrowUp", "7"),
        ("Home", "1"),
        ("End", "12"),
        ("Shift+ArrowUp", "2"),
    ):
        press(key)
        assert _slice(person) == slice_
    press("2")
    assert "L -600 W 1500" in person.page.locator(".corner.bottom-left").inner_text()
    for key in ("r", "h", "+", "i", "n"):
        press(key)
    address = person.address()
    assert "invert=1" in address and "smooth=0" in address and "pose=" in address
    press(" ")
    address = person.address()
    assert not any(name in address for name in ("invert", "smooth", "pose", "window"))


def test_mouse_drags_window_pan_and_zoom_and_the_wheel_scrolls(person: Person, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    mouse = person.page.mouse
    mouse.move(600, 400)
    for button, changed in (("left", "window="), ("middle", "pose="), ("right", "pose=")):
        mouse.move(600, 400)
        mouse.down(button=button)
        mouse.move(640, 450, steps=5)
        mouse.up(button=button)
        assert changed in person.address(), button
        person.page.keyboard.press(" ")
    mouse.wheel(0, 120)
    # Nobody waits for a wheel: the browser turns it when it comes to it.
    person.page.wait_for_function(
        "() => Number(document.querySelector('.corner.bottom-left').innerText.split(/\\s+/)[1]) > 7"
    )


def test_numbers_typed_in_are_the_window(person: Person, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    person.page.get_by_role("spinbutton", name="Level").fill("123")
    person.page.get_by_role("spinbutton", name="Level").press("Enter")
    person.page.get_by_role("spinbutton", name="Width").fill("456")
    person.page.get_by_role("spinbutton", name="Width").press("Enter")
    person.rest()
    assert "L 123 W 456" in person.page.locator(".corner.bottom-left").inner_text()


def test_cine_plays_and_stops(person: Person, url: str) -> None:
    person.open(url)
    person.see_image()
    person.page.keyboard.press("c")
    person.page.wait_for_function(
        "() => !document.querySelector('.corner.bottom-left').innerText.includes(' 7 /')"
    )
    person.page.keyboard.press("c")
    assert _slice(person) == _slice(person)


def test_two_fingers_zoom(browser: Any, url: str) -> None:
    person = Person(browser, width=390, height=844, has_touch=True)
    person.open(url)
    person.see_image()
    person.page.evaluate(
        """() => {
          const view = document.querySelector('[data-view="stack"]');
          const finger = (type, id, x, y) => view.dispatchEvent(new PointerEvent(type,
            {pointerId: id, clientX: x, clientY: y, pointerType: "touch", bubbles: true, buttons: 1}));
          finger("pointerdown", 1, 150, 400); finger("pointerdown", 2, 250, 400);
          for (let k = 1; k <= 10; k++) {
            finger("pointermove", 1, 150 - 5 * k, 400);
            finger("pointermove", 2, 250 + 5 * k, 400);
          }
          finger("pointerup", 1, 100, 400); finger("pointerup", 2, 300, 400);
        }"""
    )
    zoom = float(person.state()["pose"].partition(",")[0])
    assert 1.8 < zoom < 2.2
    assert person.troubles == []
    person.close()


def test_the_address_holds_the_whole_view(person: Person, url: str) -> None:
    state = (
        "&slice=4&window=55,333&pose=2,30,-10,45,f&colours=hot&threshold=100,900&layout=planes"
        "&cross=5,-8,3&panel=numbers&lang=zh&theme=light&slab=mean,7"
    )
    person.open(url + state)
    person.see_image("axial")
    kept = person.state()
    for part in state.strip("&").split("&"):
        name, _, value = part.partition("=")
        if name not in {"slice", "cross"}:
            assert kept[name] == value, name
    assert np.allclose([float(mm) for mm in kept["cross"].split(",")], (5, -8, 3), atol=0.01)


def test_back_leads_to_the_list(person: Person, archive: str) -> None:
    _open_series(person, archive, "Thin")
    person.page.go_back()
    person.page.locator(".studies").wait_for()
    person.page.go_forward()
    person.see_image()


# --- planes --------------------------------------------------------------------------------------------------


def test_the_crosshair_links_the_planes(person: Person, url: str) -> None:
    person.open(f"{url}&layout=planes&tool=crosshair")
    person.see_image("axial")
    width, height = person.size("coronal")
    box = person.page.locator('[data-view="coronal"]').bounding_box()
    person.page.mouse.click(box["x"] + width * 0.4, box["y"] + height * 0.45)
    there = [float(mm) for mm in person.state()["cross"].split(",")]
    found = person.point(width * 0.4, height * 0.45, "coronal")
    # The line of numbers speaks of the pixel's centre, the crosshair lies where the pointer was.
    assert np.linalg.norm(np.subtract(there, found["lps"])) < 4.0


def test_irregular_series_say_why_they_have_no_planes(person: Person, archive: str) -> None:
    _open_series(person, archive, "Phantom", patient="alert(1)")
    assert person.page.get_by_role("button", name="No planes").is_disabled()
    person.page.keyboard.press("j")
    assert "slices are missing" in person.page.locator(".panel").inner_text()


# --- numbers -------------------------------------------------------------------------------------------------


def test_the_chain_voxel_and_place_stand_under_the_pointer(person: Person, data: Path, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    found = person.point(*(side / 2 + 30 for side in person.size()))
    value = int(load(data / "thin").array[tuple(found["voxel"])])
    assert found["value"] == value
    said = str(value).replace("-", "−")
    assert f"{said} HU = stored {value + 1024} × 1 − 1024" in found["text"]
    person.page.locator(".chain").click()
    person.page.locator(".tag").first.wait_for()


def test_padding_is_shown_as_padding(person: Person, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    width, height = person.size()
    corner = person.point(width / 2 - height * 0.47, height * 0.04)
    assert corner["value"] == -1024
    assert "outside the field" in corner["text"]


def test_the_badge_is_green_amber_or_red_with_reasons(person: Person, archive: str, real_data: Path) -> None:
    for title, kind in (("Thin", "good"), ("Tilted", "care")):
        _open_series(person, archive, title)
        assert kind in str(person.page.locator(".badge").get_attribute("class")).split()
    assert "tilted" in str(person.page.locator(".badge").get_attribute("title"))
    with looking_at(real_data / "enhanced" / "eCT_Supplemental.dcm") as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        assert "bad" in str(person.page.locator(".badge").get_attribute("class")).split()
        found = person.point(*(side / 2 for side in person.size()))
        assert "HU" not in found["text"]


def test_window_edges_are_moved_on_the_histogram(person: Person, url: str) -> None:
    person.open(f"{url}&panel=numbers&window=40,400&lang=en")
    person.see_image()
    edge = person.page.get_by_role("slider", name="Upper edge of the window")
    edge.focus()
    edge.press("ArrowRight")
    edge.press("ArrowUp")
    person.rest()
    assert person.page.get_by_role("slider", name="Upper edge").get_attribute("aria-valuenow") == "251"
    box = edge.bounding_box()
    person.page.mouse.move(box["x"] + 8, box["y"] + 40)
    person.page.mouse.down()
    person.page.mouse.move(box["x"] + 48, box["y"] + 40, steps=4)
    person.page.mouse.up()
    person.rest()
    assert int(edge.get_attribute("aria-valuenow")) > 300


def _draw(person: Person, key: str, path: list[tuple[float, float]]) -> None:
    person.page.keyboard.press(key)
    box = person.page.locator(".view").first.bounding_box()
    person.page.mouse.move(box["x"] + path[0][0], box["y"] + path[0][1])
    person.page.mouse.down()
    for x, y in path[1:]:
        person.page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    person.page.mouse.up()
    person.rest()


def test_measurements_are_undone_named_exported_and_imported(
    person: Person, url: str, tmp_path: Path
) -> None:
    person.open(f"{url}&panel=measure&lang=en")
    person.see_image()
    entries = person.page.locator(".measurements li")
    _draw(person, "e", [(300, 200), (500, 380)])
    _draw(person, "a", [(560, 420), (640, 300)])
    box = person.page.locator(".view").first.bounding_box()
    person.page.mouse.click(box["x"] + 520, box["y"] + 180)
    person.rest()
    assert entries.count() == 2
    person.page.keyboard.press("Control+z")
    assert entries.count() == 1
    person.page.keyboard.press("Control+y")
    assert entries.count() == 2
    entries.first.get_by_role("textbox").fill("=lesion")
    entries.first.get_by_role("textbox").press("Enter")
    with person.page.expect_download() as csv:
        person.page.get_by_role("button", name="Export CSV").click()
    assert ",'=lesion," in Path(csv.value.path()).read_text(encoding="utf-8-sig").replace("ellipse", "")
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Export JSON").click()
    kept = tmp_path / "kept.json"
    kept.write_bytes(Path(saved.value.path()).read_bytes())
    person.open(f"{url}&panel=measure&lang=en")
    person.see_image()
    person.page.locator('input[type="file"]').set_input_files(str(kept))
    person.page.get_by_text("2 imported").wait_for()
    again = [entry for entry in entries.all_inner_texts() if "Ellipse" in entry]
    mean = json.loads(kept.read_text())["measurements"][0]["statistics"]["mean"]
    assert str(round(mean, 1)).replace("-", "−") in again[0]
    kept.write_text("{}")
    person.page.locator('input[type="file"]').set_input_files(str(kept))
    person.page.get_by_text("could not be imported").wait_for()


def test_the_picture_is_saved_as_png(person: Person, url: str) -> None:
    from PIL import Image

    person.open(url)
    person.see_image()
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Save as PNG").click()
    with Image.open(saved.value.path()) as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("L").tobytes())) > 50


# --- tags ----------------------------------------------------------------------------------------------------


def test_tags_are_grouped_searched_and_told_in_chinese(person: Person, url: str) -> None:
    person.open(f"{url}&panel=tags&lang=en")
    person.see_image()
    person.page.locator(".tag").first.wait_for()
    groups = person.page.locator(".panel summary").all_inner_texts()
    assert [name.split()[0] for name in groups[:4]] == ["Patient", "Study", "Series", "Image"]
    person.page.get_by_label("Search tags").fill("0028,1052")
    assert person.page.locator(".tag").count() == 1
    assert (
        "−1024" in person.page.locator(".tag").inner_text()
        or "-1024" in person.page.locator(".tag").inner_text()
    )
    person.page.get_by_label("Search tags").fill("")
    person.page.get_by_text("Only what differs between slices").click()
    names = person.page.locator(".tag-name").all_inner_texts()
    assert any("SOP Instance UID" in name for name in names)
    assert not any(
        "Patient" in name and "Position" not in name and "Orientation" not in name for name in names
    )
    person.page.locator(".language").click()
    assert "图像" in " ".join(person.page.locator(".panel summary").all_inner_texts())


# --- several -------------------------------------------------------------------------------------------------


def test_series_side_by_side_scroll_together_in_space(person: Person, archive: str, data: Path) -> None:
    _open_series(person, archive, "Thin")
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.get_by_role("button", name="Compare with this series: 2 · Thick").click()
    person.see_image(pane=1)
    assert person.page.locator(".pane").count() == 2
    thin, thick = load(data / "thin"), load(data / "thick")
    first = person.page.locator('[data-view="stack"]').first
    first.click(button="middle")
    for key in ("End", "ArrowUp", "ArrowUp", "Home"):
        person.page.keyboard.press(key)
        person.rest()
        shown = [
            int(text.split()[1]) - 1 for text in person.page.locator(".corner.bottom-left").all_inner_texts()
        ]
        height = thin.lps(shown[0], 0, 0)[2]
        nearest = int(np.argmin([abs(thick.lps(k, 0, 0)[2] - height) for k in range(thick.shape[0])]))
        assert abs(shown[1] - nearest) <= 1
    address = person.address()
    assert "2-series=" in address
    person.open(address)
    person.see_image(pane=1)


def test_planes_stand_side_by_side_linked_by_place(person: Person, archive: str, data: Path) -> None:
    _open_series(person, archive, "Thin")
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.get_by_role("button", name="Compare with this series: 3 · Tilted").click()
    person.see_image(pane=1)
    panes = person.page.locator(".pane")
    panes.first.get_by_label("View").select_option("coronal")
    panes.last.get_by_label("View").select_option("planes")
    for view in ("coronal", "axial"):
        person.see_image(view)
    panes.first.locator(".view").click(button="middle")
    checked = 0
    for key in ("End", *["Shift+ArrowUp"] * 3, "ArrowUp"):
        person.page.keyboard.press(key)
        state = person.state()
        assert (state["layout"], state["2-layout"]) == ("coronal", "planes")
        place = np.array([float(mm) for mm in state["cross"].split(",")])
        other = np.array([float(mm) for mm in state["2-cross"].split(",")])
        tilted = load(data / "tilted")
        index = np.linalg.solve(tilted.affine[:3, :3], place - tilted.affine[:3, 3])
        if all(0 <= round(at) < size for at, size in zip(index, tilted.shape, strict=True)):
            assert np.allclose(place, other, atol=0.002)
            checked += 1
    assert checked
    address = person.address()
    person.open(address)
    person.see_image("sagittal")
    assert person.page.locator('[data-view="coronal"]').count() == 2


def test_a_double_click_shows_one_plane_alone_and_all_three_again(person: Person, url: str) -> None:
    person.open(f"{url}&layout=planes&lang=en")
    person.see_image("coronal")
    person.page.locator('[data-view="coronal"]').dblclick()
    person.see_image("coronal")
    assert person.page.locator(".view").count() == 1
    slider = person.page.get_by_role("slider", name="Coronal")
    assert slider.get_attribute("max") == "64"
    slider.fill("9")
    assert "layout=coronal" in person.address()
    assert "9 / 64" in person.page.locator(".corner.bottom-left").inner_text()
    person.page.locator(".view").dblclick()
    person.see_image("sagittal")
    assert person.page.locator(".view").count() == 3


def test_phases_of_one_series_are_chosen(person: Person, tmp_path: Path) -> None:
    folder = _phantom(tmp_path / "phases", phases=2, slices=6)
    with looking_at(folder) as address:
        person.open(f"{address}&panel=numbers&lang=en")
        person.see_image()
        place = tuple(side / 2 for side in person.size())
        first = person.point(*place)
        assert first["value"] == load(folder, phase=0).array[tuple(first["voxel"])]
        person.page.locator(".panel section", has_text="Phase").get_by_role("combobox").select_option("0/1")
        person.see_image()
        second = person.point(*place)
        assert second["value"] == load(folder, phase=1).array[tuple(second["voxel"])]
        assert "phase=1" in person.address()


def test_pictures_without_values_are_shown(person: Person, real_data: Path) -> None:
    with looking_at(real_data / "philips_phantom" / "S21570" / "S4010") as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        found = person.page.evaluate(
            """() => { const c = document.querySelector("canvas.pixels");
              return new Set(c.getContext("2d").getImageData(0, 0, c.width, c.height).data).size; }"""
        )
        assert found > 3


# --- troubles ------------------------------------------------------------------------------------------------


def test_a_lost_server_is_told_and_tried_again(person: Person, data: Path) -> None:
    with looking_at(data / "thin") as address:
        person.page.route("**/info", lambda route: route.abort())
        person.open(f"{address}&lang=en")
        person.page.get_by_text("The server does not answer.").wait_for()
        person.page.unroute("**/info")
        person.page.get_by_role("button", name="Retry").click()
        person.see_image()


def test_slices_that_cannot_be_had_are_told_and_tried_again(person: Person, url: str) -> None:
    person.page.route("**/slices/3", lambda route: route.fulfill(status=500, body='{"error": "a torn file"}'))
    person.open(f"{url}&lang=en")
    person.page.get_by_text("a torn file").wait_for()
    person.page.unroute("**/slices/3")
    person.page.get_by_role("button", name="Retry").click()
    person.see_image()


def test_a_slice_damaged_on_its_way_is_not_shown(person: Person, url: str) -> None:
    def damaged(route: Any) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[100] ^= 1
        route.fulfill(response=answer, body=bytes(body))

    person.page.route("**/slices/6", damaged)
    person.open(f"{url}&lang=en")
    person.page.get_by_text("CRC-32 is not").wait_for()


def test_an_unknown_series_is_told(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?study=1.2.3&series=1.2.3.4&lang=en")
    person.page.get_by_text("no such series here").wait_for()


def test_a_server_that_asks_for_a_token_is_given_one_that_no_address_shows(
    person: Person, data: Path, tmp_path: Path
) -> None:
    from hounsfield.locations import open_location
    from hounsfield.server.access import Access
    from hounsfield.server.app import make_app
    from hounsfield.server.borrowed import BorrowedLibrary
    from hounsfield.server.credentials import CredentialFile, Tokens
    from hounsfield.server.service import Service
    from hounsfield.viewer import page

    file = CredentialFile(tmp_path / "credentials.json")
    token = file.add_token("reader", ["read"])
    library = BorrowedLibrary(open_location(data / "thin"))
    app = make_app(Service(library), access=Access((Tokens(file),)), pages=page())
    with contextlib.closing(library), serving(app) as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_label("Access token").fill(token)
        person.page.get_by_role("button", name="Sign in").click()
        person.page.locator(".study-open").wait_for()
        person.page.wait_for_function("() => document.querySelector('.thumbnail img')?.naturalWidth > 0")
        person.page.locator(".card-open").click()
        person.see_image()
        assert person.point(*(side / 2 for side in person.size()))["value"] is not None
        assert token not in person.page.url and not any(token in address for address in person.asked)


# --- for everybody -------------------------------------------------------------------------------------------


def test_every_control_has_a_name(person: Person, archive: str) -> None:
    _open_series(person, archive, "Thin")
    for panel in ("j", "g", "k", "?"):
        person.page.keyboard.press(panel)
        person.rest()
        nameless = person.page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, [role=slider], canvas[role]")]
              .filter(e => !(e.getAttribute("aria-label") || e.innerText || e.title || (e.labels && e.labels.length)))
              .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []


def test_help_opens_and_closes_by_key_and_the_mouse_is_bound_anew_there(person: Person, url: str) -> None:
    person.open(f"{url}&lang=en")
    person.see_image()
    person.page.keyboard.press("?")
    person.page.get_by_label("Left drag").select_option("scroll")
    person.page.keyboard.press("Escape")
    assert person.page.locator("dialog").count() == 0
    person.page.mouse.move(600, 300)
    person.page.mouse.down()
    person.page.mouse.move(600, 330, steps=6)
    person.page.mouse.up()
    assert _slice(person) != "7"


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 720), (1920, 1080)])
def test_nothing_sticks_out_or_overlaps(
    browser: Any, archive: str, width: int, height: int, lang: str
) -> None:
    person = Person(browser, width=width, height=height)
    person.open(f"{archive}/#/?lang={lang}")
    person.page.locator(".study-open").first.click()
    person.rest()
    assert person.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    person.page.locator(".card-open").first.click()
    person.see_image()
    for key in ("j", "g", "k"):
        person.page.keyboard.press(key)
        person.rest()
        assert person.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert person.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
        width_, height_ = person.size()
        assert min(width_, height_) > 200
    assert person.troubles == []
    person.close()


# --- not only CT ---------------------------------------------------------------------------------------------


def _image(path: Path, pixels: Any, **attributes: Any) -> None:
    """One DICOM image of `pixels`, (frames, rows, columns[, 3])."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image, meta = Dataset(), FileMetaDataset()
    colour = pixels.ndim == 4
    image.SOPClassUID = attributes.pop("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.PatientID, image.PatientName, image.StudyDate = "X", "Any^Body", "20260101"
    image.NumberOfFrames, image.Rows, image.Columns = pixels.shape[:3]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits, bits - 1, 0
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.PixelData = pixels.tobytes()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    image.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)


def _grey_at(person: Person, x: float, y: float) -> list[int]:
    return list(
        person.page.evaluate(
            """([x, y]) => [...document.querySelector("canvas.pixels").getContext("2d")
              .getImageData(Math.floor(x), Math.floor(y), 1, 1).data].slice(0, 3)""",
            [x, y],
        )
    )


def test_an_ultrasound_cine_in_colour_shows_frame_by_frame(person: Person, tmp_path: Path) -> None:
    frames = np.zeros((5, 40, 60, 3), np.uint8)
    frames[:, :, :, 0] = (np.arange(5) * 50)[:, None, None]
    _image(tmp_path / "us.dcm", frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")
    with looking_at(tmp_path) as address:
        person.open(f"{address}&slice=1&lang=en")
        person.see_image()
        width, height = person.size()
        for frame in range(5):
            person.see_image()
            red, green, _ = _grey_at(person, width / 2, height / 2)
            assert abs(red - frame * 50) < 8 and green < 8
            person.page.keyboard.press("ArrowDown")
        assert person.page.get_by_role("spinbutton", name="Level").count() == 0


def test_a_magnetic_resonance_image_has_its_own_unit(person: Person, tmp_path: Path) -> None:
    pixels = np.tile(np.arange(0, 1600, 25, dtype=np.uint16), (1, 48, 1))
    mr = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "Modality": "MR",
        "PixelSpacing": [1, 1],
        "BitsStored": 12,
    }
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "HighBit": 11}
    _image(tmp_path / "mr.dcm", pixels, **mr, **place)
    with looking_at(tmp_path) as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        found = person.point(*(side / 2 for side in person.size()))
        assert "HU" not in found["text"]


def test_monochrome1_is_shown_turned_over_and_measured_as_it_is(person: Person, tmp_path: Path) -> None:
    folder = _phantom(tmp_path / "m1", photometric="MONOCHROME1")
    with looking_at(folder) as address:
        person.open(f"{address}&smooth=0&window=40,400")
        person.see_image()
        width, height = person.size()
        corner = person.point(width / 2 - height * 0.47, height * 0.04)
        assert corner["value"] == -1024
        assert corner["grey"] == [255, 255, 255]
