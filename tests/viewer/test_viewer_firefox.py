"""The page in Debian's Firefox: it opens, draws what Python has, goes to three planes and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from firefox import firefox
from viewer_browser import looking_at, need_page

from hounsfield import load
from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")

_READ = """(() => {
  const view = document.querySelector('[data-view="stack"]'), box = view.getBoundingClientRect();
  const place = {clientX: box.left + box.width / 2 + 20.5, clientY: box.top + box.height / 2 + 9.5};
  view.dispatchEvent(new PointerEvent("pointermove", {...place, pointerType: "mouse", bubbles: true}));
  return new Promise(done => setTimeout(() => {
    const line = document.querySelector(".readout").dataset;
    done([line.voxel.split(",").map(Number), Number(line.value)]);
  }, 200));
})()"""


def test_firefox_shows_the_stack_and_three_planes(tmp_path: Path) -> None:
    need_page()
    write(PhantomSpec(rows=64, columns=64, slices=10), tmp_path)
    volume = load(tmp_path)
    with looking_at(tmp_path) as address, firefox() as browser:
        browser.open(f"{address}&lang=en")
        browser.wait_for("document.querySelector('[data-view=stack] canvas[data-drawn]')")
        browser.wait_for("!document.querySelector('progress.loaded')")
        voxel, value = browser.evaluate(_READ)
        assert value == volume.array[tuple(voxel)]
        browser.press("m")
        browser.wait_for("document.querySelector('[data-view=sagittal] canvas[data-drawn]')")
        browser.press("j")
        browser.wait_for("document.querySelector('.histogram canvas')")
        assert browser.screenshot().startswith(b"\x89PNG")
