"""What tests of the viewer share: a server in a thread, Debian's Chromium, and words for what a person does.

Skipped, loudly, where the page is not built or Chromium or Playwright is not installed.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hounsfield.phantom import PhantomSpec, write
from hounsfield.viewer import HOW_TO_BUILD, page

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


PATIENCE_MS = 60_000
"""How long a person waits for what must come; only a test that fails takes so long."""

STREAM = re.compile(r"/slices\?")
"""The address of the response that has many slices."""

EVIL = "<script>alert(1)</script>^<b>Evil</b>"


def write_phantom(folder: Path, **spec: Any) -> Path:
    """A small phantom in `folder`."""
    write(PhantomSpec(**({"rows": 64, "columns": 64, "slices": 12} | spec)), folder)
    return folder


def write_studies(root: Path) -> Path:
    """One study of three series (thin, thick, tilted), a second of a patient with markup for a name."""
    write_phantom(root / "thin", series_number=1, series_description="Thin", seed=3)
    write_phantom(
        root / "thick", series_number=2, series_description="Thick", slices=6, slice_step=5.0, seed=3
    )
    write_phantom(root / "tilted", series_number=3, series_description="Tilted", tilt=18.0, seed=3)
    write_phantom(
        root / "evil", patient_name=EVIL, patient_id="EVIL", character_set="ISO_IR 192", seed=4, missing=(5,)
    )
    return root


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """`app` on a free port of this machine; the URL of its root."""
    import uvicorn

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def looking_at(location: Path | str, **options: Any) -> Iterator[str]:
    """The URL that `hounsfield view LOCATION` opens."""
    from hounsfield.server.local_viewer import local_viewer

    with local_viewer(location, **options) as shown, serving(shown.app) as root:
        yield f"{root}/{shown.fragment}"


@contextlib.contextmanager
def archive_of(folder: Path, *sources: Path) -> Iterator[str]:
    """The root of an archive in `folder` that allows deletion, with the files of `sources` indexed."""
    from hounsfield.locations import open_location
    from hounsfield.server.app import make_app
    from hounsfield.server.deployment import Deployment

    deployment = Deployment(str(folder), deletes=True)
    archive = deployment.open(first=True)
    for source in sources:
        archive.adopt(open_location(source).sources())
    with serving(make_app(deployment.state(archive), pages=page())) as root:
        yield root
    deployment.close(archive)


def need_page() -> Path:
    """The built page, or a skip that says how to build it."""
    folder = page()
    if folder is None:
        pytest.skip(f"the viewer's page is not built: {HOW_TO_BUILD}")
    return folder


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser, or a skip that names what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (PyPI)")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


AXE = Path(__file__).resolve().parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"


def axe_violations(person: Person) -> list[str]:
    """What axe-core finds, every rule it has, one line each."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm; then: make viewer)")
    person.page.evaluate(AXE.read_text())
    found = person.page.evaluate("async () => (await axe.run(document)).violations")
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


class Person:
    """Somebody at the page: opens it, waits for the image, points, reads. Keeps what went wrong in `troubles`."""

    def __init__(self, browser: Any, *, width: int = 1280, height: int = 720, **context: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, locale="en-GB", **context
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", lambda dialog: (self.troubles.append(dialog.message), dialog.dismiss()))  # type: ignore[func-returns-value]
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def close(self) -> None:
        self.context.close()

    def open(self, url: str) -> None:
        """The page at `url`, anew even when only the fragment differs."""
        self.page.goto("about:blank")
        self.page.goto(url)

    def see_image(self, view: str | None = "stack", pane: int = 0) -> None:
        """Wait until a view (without a name, any) has drawn what it is asked for and every slice has come."""
        self.rest()
        shown = "[data-view]" if view is None else f'[data-view="{view}"]'
        drawn = self.page.locator(f"{shown}:not([aria-busy]) canvas.pixels[data-drawn]").nth(pane)
        with self._telling_what_is_there():
            drawn.wait_for()
            self.page.wait_for_function("() => !document.querySelector('progress.loaded')")
        self.rest()

    @contextlib.contextmanager
    def _telling_what_is_there(self) -> Iterator[None]:
        from playwright.sync_api import TimeoutError as Waited

        try:
            yield
        except Waited as error:
            text = self.page.locator("body").inner_text()
            raise AssertionError(f"{error}\n{self.troubles}\n{self.asked[-10:]}\n{text}") from error

    def without_streams(self) -> None:
        """Slices come one by one: the response of many is torn off."""
        self.page.route(STREAM, lambda route: route.abort())

    def address(self) -> str:
        """The page's address once it says what the page shows."""
        self.rest()
        # A timer of the page's own: the page's, which was begun before it, comes first however slow the machine.
        return str(
            self.page.evaluate("() => new Promise(done => setTimeout(() => done(location.href), 200))")
        )

    def state(self) -> dict[str, str]:
        """What the address says, by name."""
        return dict(part.split("=") for part in self.address().partition("?")[2].split("&"))

    def rest(self) -> None:
        """Until what was changed is drawn."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))"
        )

    def point(self, x: float, y: float, view: str = "stack") -> dict[str, Any]:
        """What the line of numbers says with the pointer at (x, y) of a view, and the grey drawn there."""
        return self.probe([(x, y)], view)[0]

    def probe(self, points: list[tuple[float, float]], view: str = "stack") -> list[dict[str, Any]]:
        """The same for many points; a point outside the volume has no value."""
        return self.page.evaluate(_PROBE, {"points": points, "view": view})

    def size(self, view: str = "stack") -> tuple[float, float]:
        box = self.page.locator(f'[data-view="{view}"]').first.bounding_box()
        return box["width"], box["height"]


def open_series(person: Person, root: str, title: str, patient: str = "Phantom, Hounsfield") -> None:
    """From the list of studies to a series of a patient."""
    person.open(f"{root}/#/?lang=en")
    person.page.get_by_role("button", name=patient).click()
    person.page.locator(".card-open", has_text=title).click()
    person.see_image()


_PROBE = """async ({points, view}) => {
  const element = document.querySelector(`[data-view="${view}"]`);
  const canvas = element.querySelector("canvas.pixels");
  const box = element.getBoundingClientRect();
  const context = canvas.getContext("2d");
  const found = [];
  const numbers = text => text ? text.split(",").map(Number) : null;
  for (const [x, y] of points) {
    element.dispatchEvent(new PointerEvent("pointermove",
      {clientX: box.left + x, clientY: box.top + y, pointerType: "mouse", bubbles: true}));
    // A message comes back sooner than the shortest timer, and after the page has rendered.
    for (let k = 0; k < 3; k++) await new Promise(done => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    });
    const line = document.querySelector(".readout");
    const [r, g, b] = context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
    const value = line.dataset.value;
    found.push({value: value === undefined ? null : Number(value), voxel: numbers(line.dataset.voxel),
      index: numbers(line.dataset.index), lps: numbers(line.dataset.lps), grey: [r, g, b], text: line.innerText});
  }
  return found;
}"""
