"""The page without a mouse and without eyes: keys alone, a visible focus, what is announced, what axe-core says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer_browser import Person, archive_of, axe_violations

from hounsfield import load
from hounsfield.ct.roi import measure, read_rois
from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for number, (name, step) in enumerate((("Thin", 2.5), ("Thick", 5.0)), 1):
        spec = PhantomSpec(
            rows=64, columns=64, slices=24 // number, slice_step=step, series_number=number,
            series_description=name,
        )  # fmt: skip
        write(spec, root / name)
    return root


@pytest.fixture(scope="module")
def archive(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with archive_of(tmp_path_factory.mktemp("archive"), data) as root:
        yield root


def _open(person: Person, root: str, more: str = "", lang: str = "en") -> None:
    person.open(f"{root}/#/?lang={lang}")
    person.page.locator(".card-open", has_text="Thin").click()
    person.see_image()
    if more:
        person.open(person.address() + more)
        person.see_image(None)


# --- axe-core ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "theme"), [("en", "dark"), ("zh", "light")])
def test_axe_finds_nothing_on_any_page(person: Person, archive: str, lang: str, theme: str) -> None:
    found: dict[str, list[str]] = {}

    def look(what: str) -> None:
        person.rest()
        if violations := axe_violations(person):
            found[what] = violations

    person.open(f"{archive}/#/?lang={lang}&theme={theme}")
    person.page.locator(".card-open").first.wait_for()
    look("list")
    for more in ("", "&panel=numbers&threshold=100,400", "&panel=tags", "&layout=planes", "&layout=coronal"):
        _open(person, archive, f"&theme={theme}{more}", lang)
        look(more or "stack")
    _open(person, archive, f"&theme={theme}&panel=measure&tool=ellipse", lang)
    person.page.locator(".view").focus()
    person.page.keyboard.press("Enter")
    look("measurements")
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("?")
    look("help")
    person.page.keyboard.press("Escape")
    person.page.locator(".toolbar [aria-pressed]").first.click()
    person.page.locator(".beside").last.click()
    person.see_image(pane=1)
    look("compare")
    assert found == {}


# --- keys alone ----------------------------------------------------------------------------------------------


def _focus(person: Person) -> str:
    return str(
        person.page.evaluate(
            "() => (e => e.getAttribute('aria-label') || e.innerText || e.tagName)(document.activeElement)"
        )
    )


def _tab_to(person: Person, name: str, most: int = 80) -> list[str]:
    """Presses Tab until `name` has the focus; what had it on the way. Every focus is one that can be seen."""
    passed: list[str] = []
    for _ in range(most):
        person.page.keyboard.press("Tab")
        here = _focus(person)
        passed.append(here)
        seen = person.page.evaluate(
            """() => { const e = document.activeElement, own = getComputedStyle(e);
              const label = e.closest("label.button"), after = getComputedStyle(e, "::after");
              const drawn = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
              return e === document.body || drawn(own) || (label && drawn(getComputedStyle(label)))
                || (after.borderStyle === "solid" && parseFloat(after.borderWidth) >= 2); }"""
        )
        assert seen, f"the focus on {here!r} cannot be seen"
        if name in here:
            return passed
    raise AssertionError(f"no way by Tab to {name!r}; passed {passed}")


def test_a_whole_look_takes_no_mouse(person: Person, archive: str, data: Path) -> None:
    page, press = person.page, person.page.keyboard.press
    person.open(f"{archive}/#/?lang=en")
    page.locator(".card-open").first.wait_for()
    order = _tab_to(person, "Thin")
    wanted = ("Search", "upload", "Patient", "Images", "Phantom, Hounsfield", "Thin")
    places = [next(k for k, name in enumerate(order) if word in name) for word in wanted]
    assert places == sorted(places)
    press("Enter")
    person.see_image()
    _tab_to(person, "Image. Arrow keys scroll")
    press("ArrowDown")
    press("2")
    person.rest()
    assert " ".join(page.locator(".corner.bottom-left").inner_text().split()) == "Slice 14 / 24 L −600 W 1500"
    press("m")
    person.see_image("coronal")
    _tab_to(person, "Coronal")
    before = person.state()["cross"]
    press("ArrowDown")
    assert person.state()["cross"] != before
    press("k")
    press("t")
    press("Enter")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown"):
        press(key)
    press("Enter")
    person.rest()
    _tab_to(person, "Export JSON")
    with page.expect_download() as waiting:
        press("Enter")
    exported = json.loads(Path(waiting.value.path()).read_text())
    (roi,) = read_rois(json.dumps(exported))
    ours = measure(load(data / "Thin"), roi)
    assert roi.kind == "rectangle" and ours.statistics is not None
    assert exported["measurements"][0]["statistics"]["mean"] == pytest.approx(ours.statistics.mean, abs=1e-7)
    _tab_to(person, "Studies")
    press("Enter")
    page.locator(".study-open").wait_for()


def test_a_region_is_placed_moved_and_resized_by_keys(person: Person, archive: str) -> None:
    _open(person, archive, "&panel=measure&tool=rectangle")
    press = person.page.keyboard.press

    def corners() -> list[list[float]]:
        with person.page.expect_download() as waiting:
            person.page.get_by_role("button", name="Export JSON").click()
        found = json.loads(Path(waiting.value.path()).read_text())["measurements"][0]["points"]
        person.page.locator(".view").focus()
        return list(found)

    person.page.locator(".view").focus()
    press("Enter")
    first = corners()
    # The crosshair begins in the middle.
    assert [sum(axis) / 2 for axis in zip(*first, strict=True)] == pytest.approx([31.5, 31.5])
    press("ArrowRight")
    press("ArrowDown")
    moved = corners()
    assert [point for corner in moved for point in corner] == pytest.approx([x + 1 for p in first for x in p])
    press("Shift+ArrowRight")
    press("Shift+ArrowRight")
    grown = corners()
    assert grown[0] == pytest.approx(moved[0])
    assert grown[1] == pytest.approx([moved[1][0], moved[1][1] + 2])
    press("Escape")
    press("ArrowDown")
    assert corners() == grown
    person.rest()
    assert "14 / 24" in person.page.locator(".corner.bottom-left").inner_text()


def test_keys_scroll_the_plane_that_has_the_focus(person: Person, archive: str) -> None:
    _open(person, archive, "&layout=planes")
    person.page.locator('[data-view="sagittal"]').focus()
    right, left = _ends(person)
    step = (left - right) / 63
    for key, at in (("Home", left), ("ArrowDown", left - step), ("End", right), ("ArrowUp", right + step)):
        person.page.keyboard.press(key)
        there = float(person.state()["cross"].split(",")[0])
        assert there == pytest.approx(at, abs=0.01), key


def _ends(person: Person) -> tuple[float, float]:
    """Lowest and highest L of voxel centres, from the address's own series."""
    query = person.state()
    info = person.page.evaluate(
        "path => fetch(path).then(answer => answer.json())",
        f"dicom-web/studies/{query['study']}/series/{query['series']}/info",
    )
    start, step = info["affine"][0][3], info["affine"][0][2]
    return start, start + step * (info["shape"][2] - 1)


# --- announced -----------------------------------------------------------------------------------------------


def test_slice_window_and_crosshair_are_announced_once_they_rest(person: Person, archive: str) -> None:
    _open(person, archive)
    page = person.page
    line = page.locator(".announcer")
    assert (line.get_attribute("role"), line.get_attribute("aria-live")) == ("status", "polite")
    page.wait_for_function("() => document.querySelector('.announcer').innerText")  # where it opened
    page.evaluate(
        """() => { window.heard = [];
          new MutationObserver(() => heard.push(document.querySelector(".announcer").innerText))
            .observe(document.querySelector(".announcer"), {childList: true, characterData: true, subtree: true}); }"""
    )
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.wait_for_function("() => window.heard.length === 1")
    assert page.evaluate("() => heard[0]").startswith("Slice 18 of 24, at ")
    page.keyboard.press("4")
    page.wait_for_function("() => window.heard.length === 2")
    assert page.evaluate("() => heard[1]") == "Level 480, width 2500 HU"
    page.keyboard.press("m")
    page.wait_for_function("() => /Crosshair at L .*, P .*, S .* mm/.test(window.heard.at(-1))")
    page.locator(".language").click()
    page.keyboard.press("1")
    page.wait_for_function("() => /窗位 40，窗宽 400 HU/.test(window.heard.at(-1))")
