"""Planes that are turned, slabs, and planes while slices load: where each pixel lies and what it shows."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_browser import Person, looking_at, write_phantom

from hounsfield import load
from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window, apply_window

pytestmark = pytest.mark.xdist_group("viewer")

VIEWS = ("axial", "coronal", "sagittal")
WINDOW = Window(40, 400)
MARGIN = 0.08
"""Probes nearer than this (in voxels) to the edge between two voxels are left out: either grey is right there."""


@pytest.fixture(scope="module")
def tilted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(
        tmp_path_factory.mktemp("tilted"), rows=96, columns=80, slices=24, tilt=18.5, slice_step=4.0
    )


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("upright"), rows=96, columns=80, slices=24, slice_step=4.0)


@pytest.fixture(scope="module")
def address(tilted: Path) -> Iterator[str]:
    with looking_at(tilted) as found:
        yield found


def _grey(values: Any) -> int:
    return int(apply_window(np.array(values, np.float64), WINDOW))


def _is_clear(index: Iterable[float]) -> bool:
    """Whether a place is not on the edge between two voxels."""
    return all(abs(at - np.floor(at) - 0.5) > MARGIN for at in index)


def _points(person: Person, view: str, count: int) -> list[tuple[float, float]]:
    width, height = person.size(view)
    chance = random.Random(5)
    inner = [(0.15 + 0.7 * chance.random(), 0.15 + 0.7 * chance.random()) for _ in range(count)]
    return [(int(x * width) + 0.5, int(y * height) + 0.5) for x, y in inner]


def _away(volume: Volume, found: dict[str, Any]) -> float:
    """mm between the place that is told and that of the voxel's own header."""
    return float(np.linalg.norm(np.array(found["lps"]) - np.array(volume.lps(*found["index"]))))


@pytest.mark.parametrize("turn", ["10,-20,5", "0,35,0", "-40,12,60"])
def test_turned_planes_of_a_tilted_series_show_what_lies_there(
    person: Person, tilted: Path, address: str, turn: str
) -> None:
    volume = load(tilted)
    person.open(f"{address}&layout=planes&smooth=0&window=40,400&turn={turn}")
    person.see_image("axial")
    for view in VIEWS:
        probed = [each for each in person.probe(_points(person, view, 60), view) if each["value"] is not None]
        assert len(probed) > 15, view
        for each in probed:
            assert _away(volume, each) < 0.1
            assert each["value"] == volume.array[tuple(each["voxel"])]
            if _is_clear(each["index"]):
                assert each["grey"][0] == _grey(volume.array[tuple(each["voxel"])])


def test_the_crosshair_is_turned_by_drag_and_the_picture_stays(
    person: Person, tilted: Path, address: str
) -> None:
    volume = load(tilted)
    person.open(f"{address}&layout=planes&tool=crosshair&lang=en")
    person.see_image("axial")
    before, coronal = _pixels(person, "axial"), _pixels(person, "coronal")
    width, height = person.size("axial")
    box = person.page.locator('[data-view="axial"]').bounding_box()
    cross = [float(part) for part in person.state()["cross"].split(",")]
    assert np.linalg.norm(np.array(cross) - np.array(volume.lps(12, 47.5, 39.5))) < 5
    away = 0.36 * min(width, height)
    x, y = box["x"] + width / 2, box["y"] + height / 2
    middle = _middle(person)
    x, y = box["x"] + middle[0], box["y"] + middle[1]
    person.page.mouse.move(x + away, y)
    person.page.mouse.down()
    person.page.mouse.move(x + away * np.cos(np.radians(20)), y + away * np.sin(np.radians(20)), steps=5)
    person.page.mouse.up()
    person.rest()
    turn = np.array([float(part) for part in person.state()["turn"].split(",")])
    assert np.linalg.norm(turn) == pytest.approx(20, abs=0.6)
    assert _pixels(person, "axial") == before and _pixels(person, "coronal") != coronal
    # Elsewhere on the image the tool still moves the crosshair, and does not turn it.
    person.page.mouse.click(x + away * 0.5, y - away * 0.5)
    assert np.allclose([float(part) for part in person.state()["turn"].split(",")], turn, atol=0.01)
    person.page.keyboard.press("\\")
    assert "turn" not in person.state()


def _pixels(person: Person, view: str) -> str:
    """The picture of a view, without what is drawn over it."""
    return str(
        person.page.evaluate(
            "v => document.querySelector(`[data-view=${v}] canvas.pixels`).toDataURL()", view
        )
    )


def _middle(person: Person) -> tuple[float, float]:
    """Where the crosshair's lines meet in the axial view, by the two colours of its lines."""
    found = person.page.evaluate(
        """() => {
          const canvas = document.querySelector('[data-view="axial"] canvas.lines');
          const {width, height} = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const rows = new Array(height).fill(0), columns = new Array(width).fill(0);
          for (let y = 0; y < height; y++) for (let x = 0; x < width; x++)
            if (data[(y * width + x) * 4 + 3] > 60) { rows[y] += 1; columns[x] += 1; }
          const top = list => list.indexOf(Math.max(...list));
          return [top(columns) / devicePixelRatio, top(rows) / devicePixelRatio];
        }"""
    )
    return found[0], found[1]


def test_planes_are_turned_by_keys_about_the_view_that_has_the_focus_and_it_is_said(
    person: Person, address: str
) -> None:
    person.open(f"{address}&layout=planes&lang=zh")
    person.see_image("axial")
    person.page.locator('[data-view="coronal"]').focus()
    for _ in range(5):
        person.page.keyboard.press("]")
    turn = [float(part) for part in person.state()["turn"].split(",")]
    assert np.linalg.norm(turn) == pytest.approx(10, abs=0.01)
    person.page.wait_for_function("() => document.querySelector('.announcer').innerText.includes('10')")
    assert "平面已旋转" in person.page.locator(".announcer").inner_text()
    person.page.keyboard.press("[")
    assert np.linalg.norm([float(part) for part in person.state()["turn"].split(",")]) == pytest.approx(
        8, abs=0.01
    )
    person.page.keyboard.press(" ")
    assert "turn" not in person.state()


@pytest.mark.parametrize("mode", ["mip", "minip", "mean"])
def test_a_slab_straight_through_the_voxels_is_their_projection(
    person: Person, upright: Path, mode: str
) -> None:
    volume = load(upright)
    together = {"mip": np.max, "minip": np.min, "mean": np.mean}[mode]
    with looking_at(upright) as address:
        person.open(f"{address}&layout=planes&smooth=0&window=40,400&slab={mode},20")
        person.see_image("axial")
        cross = np.array([float(part) for part in person.state()["cross"].split(",")])
        middle = np.linalg.solve(volume.affine, [*cross, 1])[:3]
        for axis, view in enumerate(VIEWS):
            reach = 10 / np.linalg.norm(volume.affine[:3, axis])
            first, last = (
                int(np.ceil(middle[axis] - reach - 1e-6)),
                int(np.floor(middle[axis] + reach + 1e-6)),
            )
            projected = together(volume.array.take(range(first, last + 1), axis), axis)  # type: ignore[operator]
            seen = 0
            for each in person.probe(_points(person, view, 40), view):
                if each["value"] is None or not _is_clear(np.delete(each["index"], axis)):
                    continue
                value = projected[tuple(np.delete(each["voxel"], axis))]
                assert abs(each["grey"][0] - _grey(np.rint(value))) <= 1, (view, each)
                seen += 1
            assert seen > 8


def test_a_slab_of_turned_planes_is_finished_once_things_rest(person: Person, address: str) -> None:
    person.open(f"{address}&layout=planes&slab=mip,25&turn=10,-20,5")
    person.see_image("coronal")
    drawn = _pixels(person, "coronal")
    person.page.locator('[data-view="axial"]').hover(position={"x": 200, "y": 200})
    person.page.mouse.wheel(0, 100)
    person.page.mouse.wheel(0, -100)
    person.see_image("coronal")
    assert _pixels(person, "coronal") == drawn


@pytest.mark.parametrize(("language", "words"), [("en", "1 of 24"), ("zh", "24 层中的 1 层")])
def test_planes_say_how_many_slices_there_are_while_they_load(
    person: Person, address: str, language: str, words: str
) -> None:
    held: list[Any] = []
    is_open = False

    def answer(route: Any) -> None:
        if is_open:
            route.continue_()
        else:
            held.append(route)

    person.page.route(re.compile(r"/slices(\?|/(?!12))"), answer)
    person.open(f"{address}&layout=planes&lang={language}")
    count = person.page.locator(".loaded-count")
    person.page.get_by_text(words, exact=True).wait_for()
    is_open = True
    for route in held:
        route.continue_()
    count.wait_for(state="detached")
