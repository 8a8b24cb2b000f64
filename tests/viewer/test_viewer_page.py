"""What a person does at the page, done in Debian's Chromium: opening, looking, planes, several series at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_browser import Person, looking_at, open_series, write_phantom

from hounsfield import load

pytestmark = pytest.mark.xdist_group("viewer")


# --- opening -------------------------------------------------------------------------------------------------


def test_view_opens_on_the_middle_slice_without_a_click(person: Person, thin_url: str) -> None:
    person.open(thin_url)
    person.see_image()
    assert "7 / 12" in person.page.locator(".corner.bottom-left").inner_text()
    assert person.point(400, 300)["value"] is not None


def test_a_zip_is_looked_at_where_it_lies(person: Person, studies_folder: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "thin"), "zip", studies_folder / "thin")
    before = sorted(path.name for path in tmp_path.iterdir())
    with looking_at(packed) as address:
        person.open(address)
        person.see_image()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_series_on_another_server_is_looked_at_from_there(
    person: Person, studies_archive: str, studies_folder: Path
) -> None:
    facts = load(studies_folder / "thick").header
    remote = (
        f"{studies_archive}/dicom-web/studies/{facts['StudyInstanceUID']}/series/{facts['SeriesInstanceUID']}"
    )
    with looking_at(remote) as address:
        person.open(f"{address}&lang=en")
        person.see_image()
        assert "Thick" in person.page.locator(".caption").inner_text()
        found = person.point(*(side / 2 for side in person.size()))  # type: ignore[arg-type]
        assert found["value"] == load(studies_folder / "thick").array[tuple(found["voxel"])]


def test_the_series_asked_for_is_the_one_that_opens(person: Person, studies_folder: Path) -> None:
    with looking_at(studies_folder, series="Tilted") as address:
        person.open(address)
        person.see_image()
        assert "Tilted" in person.page.locator(".caption").inner_text()


def test_nothing_is_asked_of_another_host_and_the_page_works_without_the_network(
    person: Person, thin_url: str
) -> None:
    person.open(thin_url)
    person.see_image()
    person.context.set_offline(True)
    person.page.keyboard.press("End")
    person.page.keyboard.press("m")
    person.see_image("coronal")
    root = thin_url.partition("#")[0]
    assert [address for address in person.asked if not address.startswith((root, "about:", "blob:"))] == []


# --- looking -------------------------------------------------------------------------------------------------


def _slice(person: Person) -> str:
    person.rest()
    return str(person.page.locator(".corner.bottom-left").first.inner_text()).split()[1]


def test_keys_scroll_window_turn_and_reset(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&lang=en")
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
    assert "L −600 W 1500" in person.page.locator(".corner.bottom-left").inner_text()
    for key in ("r", "h", "+", "i", "n"):
        press(key)
    address = person.address()
    assert "invert=1" in address and "smooth=0" in address and "pose=" in address
    press(" ")
    address = person.address()
    assert not any(name in address for name in ("invert", "smooth", "pose", "window"))


def test_mouse_drags_window_pan_and_zoom_and_the_wheel_scrolls(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&lang=en")
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


def test_numbers_typed_in_are_the_window(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&lang=en")
    person.see_image()
    person.page.get_by_role("spinbutton", name="Level").fill("123")
    person.page.get_by_role("spinbutton", name="Level").press("Enter")
    person.page.get_by_role("spinbutton", name="Width").fill("456")
    person.page.get_by_role("spinbutton", name="Width").press("Enter")
    person.rest()
    assert "L 123 W 456" in person.page.locator(".corner.bottom-left").inner_text()


def test_cine_plays_and_stops(person: Person, thin_url: str) -> None:
    person.open(thin_url)
    person.see_image()
    person.page.keyboard.press("c")
    person.page.wait_for_function(
        "() => !document.querySelector('.corner.bottom-left').innerText.includes(' 7 /')"
    )
    person.page.keyboard.press("c")
    assert _slice(person) == _slice(person)


def test_two_fingers_zoom(browser: Any, thin_url: str) -> None:
    person = Person(browser, width=390, height=844, has_touch=True)
    person.open(thin_url)
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


def test_the_address_holds_the_whole_view(person: Person, thin_url: str) -> None:
    state = (
        "&slice=4&window=55,333&pose=2,30,-10,45,f&colours=hot&threshold=100,900&layout=planes"
        "&cross=5,-8,3&panel=numbers&lang=zh&theme=light&slab=mean,7"
    )
    person.open(thin_url + state)
    person.see_image("axial")
    kept = person.state()
    for part in state.strip("&").split("&"):
        name, _, value = part.partition("=")
        if name not in {"slice", "cross"}:
            assert kept[name] == value, name
    assert np.allclose([float(mm) for mm in kept["cross"].split(",")], (5, -8, 3), atol=0.01)


def test_back_leads_to_the_list(person: Person, studies_archive: str) -> None:
    open_series(person, studies_archive, "Thin")
    person.page.go_back()
    person.page.locator(".studies").wait_for()
    person.page.go_forward()
    person.see_image()


# --- planes --------------------------------------------------------------------------------------------------


def test_the_crosshair_links_the_planes(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&layout=planes&tool=crosshair")
    person.see_image("axial")
    width, height = person.size("coronal")
    box = person.page.locator('[data-view="coronal"]').bounding_box()
    person.page.mouse.click(box["x"] + width * 0.4, box["y"] + height * 0.45)
    there = [float(mm) for mm in person.state()["cross"].split(",")]
    found = person.point(width * 0.4, height * 0.45, "coronal")
    # The line of numbers speaks of the pixel's centre, the crosshair lies where the pointer was.
    assert np.linalg.norm(np.subtract(there, found["lps"])) < 4.0


def test_irregular_series_say_why_they_have_no_planes(person: Person, studies_archive: str) -> None:
    open_series(person, studies_archive, "Phantom", patient="alert(1)")
    assert person.page.get_by_role("button", name="No planes").is_disabled()
    person.page.keyboard.press("j")
    assert "slices are missing" in person.page.locator(".panel").inner_text()


# --- several -------------------------------------------------------------------------------------------------


def test_series_side_by_side_scroll_together_in_space(
    person: Person, studies_archive: str, studies_folder: Path
) -> None:
    open_series(person, studies_archive, "Thin")
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.get_by_role("button", name="Compare with this series: 2 · Thick").click()
    person.see_image(pane=1)
    assert person.page.locator(".pane").count() == 2
    thin, thick = load(studies_folder / "thin"), load(studies_folder / "thick")
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


def test_one_of_several_series_is_shown_alone_and_all_again(person: Person, studies_archive: str) -> None:
    open_series(person, studies_archive, "Thin")
    panes = person.page.locator(".pane")
    person.page.keyboard.press("o")
    assert panes.count() == 1 and "alone" not in person.state()
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.get_by_role("button", name="Compare with this series: 2 · Thick").click()
    person.see_image(pane=1)
    panes.last.locator(".view").dblclick()
    person.page.wait_for_function("() => document.querySelectorAll('.pane').length === 1")
    person.see_image()
    assert person.page.locator(".caption-title").inner_text() == "2 · Thick"
    assert person.state()["alone"] == "2"
    person.open(person.address())
    person.see_image()
    assert panes.count() == 1
    person.page.keyboard.press("Escape")
    person.page.wait_for_function("() => document.querySelectorAll('.pane').length === 2")
    person.see_image(pane=1)
    panes.first.get_by_role("button", name="One pane alone").click()
    person.page.wait_for_function("() => document.querySelectorAll('.pane').length === 1")
    assert person.page.locator(".caption-title").inner_text() == "1 · Thin"
    person.page.keyboard.press("o")
    person.page.wait_for_function("() => document.querySelectorAll('.pane').length === 2")
    assert "alone" not in person.state()


def test_planes_stand_side_by_side_linked_by_place(
    person: Person, studies_archive: str, studies_folder: Path
) -> None:
    open_series(person, studies_archive, "Thin")
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
        tilted = load(studies_folder / "tilted")
        index = np.linalg.solve(tilted.affine[:3, :3], place - tilted.affine[:3, 3])
        if all(0 <= round(at) < size for at, size in zip(index, tilted.shape, strict=True)):
            assert np.allclose(place, other, atol=0.002)
            checked += 1
    assert checked
    address = person.address()
    person.open(address)
    person.see_image("sagittal")
    assert person.page.locator('[data-view="coronal"]').count() == 2


def test_a_double_click_shows_one_plane_alone_and_all_three_again(person: Person, thin_url: str) -> None:
    person.open(f"{thin_url}&layout=planes&lang=en")
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
    folder = write_phantom(tmp_path / "phases", phases=2, slices=6)
    with looking_at(folder) as address:
        person.open(f"{address}&panel=numbers&lang=en")
        person.see_image()
        place = tuple(side / 2 for side in person.size())
        first = person.point(*place)  # type: ignore[arg-type]
        assert first["value"] == load(folder, phase=0).array[tuple(first["voxel"])]
        person.page.locator(".panel section", has_text="Phase").get_by_role("combobox").select_option("0/1")
        person.see_image()
        second = person.point(*place)  # type: ignore[arg-type]
        assert second["value"] == load(folder, phase=1).array[tuple(second["voxel"])]
        assert "phase=1" in person.address()


# --- for everybody -------------------------------------------------------------------------------------------


def test_every_control_has_a_name(person: Person, studies_archive: str) -> None:
    open_series(person, studies_archive, "Thin")
    for panel in ("j", "g", "k", "?"):
        person.page.keyboard.press(panel)
        person.rest()
        nameless = person.page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, [role=slider], canvas[role]")]
              .filter(e => !(e.getAttribute("aria-label") || e.innerText || e.title || (e.labels && e.labels.length)))
              .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []


def test_help_opens_and_closes_by_key_and_the_mouse_is_bound_anew_there(
    person: Person, thin_url: str
) -> None:
    person.open(f"{thin_url}&lang=en")
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
    browser: Any, studies_archive: str, width: int, height: int, lang: str
) -> None:
    person = Person(browser, width=width, height=height)
    person.open(f"{studies_archive}/#/?lang={lang}")
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
