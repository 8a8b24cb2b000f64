"""What the page tells: values under the pointer, trust, histogram, measurements, tags. In Debian's Chromium."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from viewer_browser import Person, looking_at, open_series

from hounsfield import load

pytestmark = pytest.mark.xdist_group("viewer")


# --- numbers -------------------------------------------------------------------------------------------------


def test_the_chain_voxel_and_place_stand_under_the_pointer(
    person: Person, studies_folder: Path, thin_url: str
) -> None:
    person.open(f"{thin_url}&lang=en")
    person.see_image()
    found = person.point(*(side / 2 + 30 for side in person.size()))  # type: ignore[arg-type]
    value = int(load(studies_folder / "thin").array[tuple(found["voxel"])])
    assert found["value"] == value
    said = str(value).replace("-", "−")
    assert f"{said} HU = stored {value + 1024} × 1 − 1024" in found["text"]
    person.page.locator(".chain").click()
    person.page.locator(".tag").first.wait_for()


def test_padding_is_shown_as_padding(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&lang=en")
    person.see_image()
    width, height = person.size()
    corner = person.point(width / 2 - height * 0.47, height * 0.04)
    assert corner["value"] == -1024
    assert "outside the field" in corner["text"]


def test_the_badge_is_green_amber_or_red_with_reasons(
    person: Person, studies_archive: str, real_data: Path
) -> None:
    for title, kind in (("Thin", "good"), ("Tilted", "care")):
        open_series(person, studies_archive, title)
        assert kind in str(person.page.locator(".badge").get_attribute("class")).split()
    assert "tilted" in str(person.page.locator(".badge").get_attribute("title"))
    with looking_at(real_data / "enhanced" / "eCT_Supplemental.dcm") as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        assert "bad" in str(person.page.locator(".badge").get_attribute("class")).split()
        found = person.point(*(side / 2 for side in person.size()))  # type: ignore[arg-type]
        assert "HU" not in found["text"]


def test_window_edges_are_moved_on_the_histogram(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&panel=numbers&window=40,400&lang=en")
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
    person: Person, thin_url: str, tmp_path: Path
) -> None:
    person.open(f"{thin_url}&panel=measure&lang=en")
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
    person.open(f"{thin_url}&panel=measure&lang=en")
    person.see_image()
    person.page.locator('input[type="file"]').set_input_files(str(kept))
    person.page.get_by_text("2 imported").wait_for()
    again = [entry for entry in entries.all_inner_texts() if "Ellipse" in entry]
    mean = json.loads(kept.read_text())["measurements"][0]["statistics"]["mean"]
    assert str(round(mean, 1)).replace("-", "−") in again[0]
    kept.write_text("{}")
    person.page.locator('input[type="file"]').set_input_files(str(kept))
    person.page.get_by_text("could not be imported").wait_for()


def test_the_picture_is_saved_as_png(person: Person, thin_url: str) -> None:
    from PIL import Image

    person.open(thin_url)
    person.see_image()
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Save as PNG").click()
    with Image.open(saved.value.path()) as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("L").tobytes())) > 50


# --- tags ----------------------------------------------------------------------------------------------------


def test_tags_are_grouped_searched_and_told_in_chinese(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&panel=tags&lang=en")
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
