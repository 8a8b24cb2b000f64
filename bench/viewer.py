"""How fast the viewer is, beside the prebuilt OHIF (`@ohif/app` from npm) on the same server and series: `make bench`.

140 slices of 512² on loopback, Debian's Chromium without a GPU, a fresh context each time, medians. Times begin with
the navigation. The first image is the first frame in which the series is drawn; a frame rate is that of frames in
which something new was drawn while every frame asked for something new.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from real_slices import SERIES, data_folder
from viewer_browser import chromium

ROUNDS = 5
SECONDS = 2.0
OHIF = "3.13.2"
LARGE = 1500

_WATCH = """
window.marks = {};
(() => {
  const look = () => {
    const canvas = document.querySelector("canvas.pixels[data-drawn]");
    if (canvas && !marks.first) marks.first = performance.now();
    if (marks.first && !document.querySelector("progress.loaded")) { marks.all = performance.now(); return; }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""

_WATCH_OHIF = """
window.marks = {};
(() => {
  const small = document.createElement("canvas");
  small.width = small.height = 24;
  const look = () => {
    for (const canvas of document.querySelectorAll("canvas")) {
      if (canvas.width < 200 || canvas.height < 200) continue;
      const context = small.getContext("2d", {willReadFrequently: true});
      context.drawImage(canvas, 0, 0, 24, 24);
      const greys = context.getImageData(0, 0, 24, 24).data.filter((_, k) => k % 4 === 0);
      if (new Set(greys).size > 3) { marks.first = performance.now(); return; }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""

_JUMP = """async slice => {
  const slider = document.querySelector(".slider"), canvas = document.querySelector("canvas.pixels");
  const start = performance.now(), before = Number(canvas.dataset.drawn);
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(slider, String(slice));
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  while (Number(canvas.dataset.drawn) === before) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""

_FRAMES = """async ({seconds, kind}) => {
  const views = [...document.querySelectorAll(".view")];
  const view = views[views.length - 1];
  const box = view.getBoundingClientRect();
  const drawn = () => Number(view.querySelector("canvas.pixels").dataset.drawn);
  const at = {clientX: box.left + box.width / 2, clientY: box.top + box.height / 2};
  const fire = (type, more) => view.dispatchEvent(
    new PointerEvent(type, {...at, pointerId: 7, pointerType: "mouse", bubbles: true, button: 0, ...more}));
  if (kind !== "scroll") fire("pointerdown", {});
  const before = drawn(), start = performance.now();
  let k = 0, worst = 0, last = start;
  while (performance.now() - start < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
    k += 1;
    const turn = k / 9;
    if (kind === "scroll")
      view.dispatchEvent(new WheelEvent("wheel",
        {...at, deltaY: Math.sin(k / 12) > 0 ? 60 : -60, bubbles: true, cancelable: true}));
    else fire("pointermove", {clientX: at.clientX + 60 * Math.sin(turn), clientY: at.clientY + 45 * Math.cos(turn)});
  }
  fire("pointerup", {});
  return [(drawn() - before) * 1000 / (performance.now() - start), worst];
}"""


def real_series() -> Path | None:
    """140 real slices, where they are (see tests/conftest.py)."""
    folder = data_folder() / SERIES
    return folder if folder.is_dir() else None


def phantom(folder: Path, slices: int = 140) -> Path:
    """Slices of 512², made here."""
    from hounsfield.phantom import PhantomSpec, write

    write(PhantomSpec(rows=512, columns=512, slices=slices, slice_step=140 / slices), folder)
    return folder


@contextlib.contextmanager
def page_of(browser: Any, script: str) -> Iterator[tuple[Any, list[Any]]]:
    """A page in a fresh context that runs `script` first; the requests it makes."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(120_000)
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 (a built-in takes no mark)
    page.add_init_script(script)
    yield page, asked
    context.close()


def ours(browser: Any, url: str, layout: str) -> dict[str, float]:
    """First image, all slices, requests and kB before the first image, memory."""
    with page_of(browser, _WATCH) as (page, asked):
        page.goto(f"{url}&layout={layout}")
        page.wait_for_function("() => window.marks.all")
        marks = page.evaluate("() => window.marks")
        outside = [each for each in asked if not each.url.startswith((url.partition("#")[0], "blob:"))]
        page.wait_for_timeout(300)
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")
        held = heap["usedSize"] + heap.get("embedderHeapUsedSize", 0) + heap.get("backingStorageSize", 0)
        return {
            "first image, s": marks["first"] / 1000,
            "all slices, s": marks["all"] / 1000,
            "requests elsewhere": len(outside),
            "memory, MB": held / 1e6,
        }


def rates(browser: Any, url: str) -> dict[str, float]:
    """Frames per second of what a hand does, in stack and planes."""
    found: dict[str, float] = {}
    slab, oblique = "planes&slab=mip,30", "planes&slab=mip,30&turn=10,-15,5"
    for layout, kinds in (
        ("stack", ("scroll", "window")),
        ("planes", ("scroll", "window", "crosshair")),
        (slab, ("crosshair",)),
        (oblique, ("crosshair",)),
    ):
        for kind in kinds:
            with page_of(browser, _WATCH) as (page, _):
                page.goto(f"{url}&layout={layout}&tool={'window' if kind == 'scroll' else kind}")
                page.wait_for_function("() => window.marks.all")
                page.wait_for_timeout(300)
                fps, worst = page.evaluate(_FRAMES, {"seconds": SECONDS, "kind": kind})
                found[f"{layout}: {kind}, frames/s"] = fps
                found[f"{layout}: {kind}, longest frame, ms"] = worst
    return found


def large(work: Path) -> None:
    """A series of 1500 slices (786 MB): first image, all of it, memory, slices gone to while it loads, scrolling."""
    folder = phantom(work / "large", LARGE)
    with chromium() as browser, served(folder, work) as root:
        study, series = largest_series(root)
        url = f"{root}/#/?study={study}&series={series}"
        found = ours(browser, url, "stack")
        with page_of(browser, _WATCH) as (page, _):
            page.goto(url)
            page.wait_for_function("() => window.marks.first")
            jumps = [page.evaluate(_JUMP, slice_) for slice_ in (1400, 100, 1200, 5, 1000)]
            page.wait_for_function("() => window.marks.all")
            page.wait_for_timeout(300)
            found["slice gone to while loading, ms (median)"] = statistics.median(jumps)
            found["scroll, frames/s"], _ = page.evaluate(_FRAMES, {"seconds": SECONDS, "kind": "scroll"})
        show(f"hounsfield, {LARGE} slices", found)


def theirs(browser: Any, url: str) -> dict[str, float]:
    with page_of(browser, _WATCH_OHIF) as (page, asked):
        page.goto(url)
        page.wait_for_function("() => window.marks.first", timeout=60_000)
        return {
            "first image, s": page.evaluate("() => window.marks.first") / 1000,
            "requests before it": len(asked),
        }


class _Static(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; the page for every other path, as a single-page application wants."""

    def send_head(self) -> Any:
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        return super().send_head()

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextlib.contextmanager
def ohif(folder: Path, dicomweb: str) -> Iterator[str]:
    """OHIF on a port of its own, told where the server is."""
    config = {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": {
                    "friendlyName": "hounsfield",
                    "name": "hounsfield",
                    **dict.fromkeys(("wadoUriRoot", "qidoRoot", "wadoRoot"), dicomweb),
                    "imageRendering": "wadors",
                    "thumbnailRendering": "wadors",
                    "enableStudyLazyLoad": True,
                    "supportsFuzzyMatching": False,
                    "bulkDataURI": {"enabled": True},
                },
            }
        ],
    }
    (folder / "app-config.js").write_text(f"window.config = {json.dumps(config)};\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Static, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def packed_ohif(into: Path) -> Path | None:
    """The prebuilt OHIF from npm, unpacked; None, with a word, where it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        print("OHIF: not measured, npm is not installed (Debian: npm)")
        return None
    command = [npm, "pack", f"@ohif/app@{OHIF}", "--silent"]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"OHIF: not measured, npm cannot fetch it: {done.stderr.strip()[:200]}")
        return None
    with tarfile.open(next(into.glob("*.tgz"))) as archive:
        archive.extractall(into, filter="data")
    return into / "package" / "dist"


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def show(title: str, figures: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:40} {value:10.2f}")


@contextlib.contextmanager
def served(folder: Path, work: Path) -> Iterator[str]:
    """`hounsfield serve` in a process of its own, `folder` indexed in place; its root."""
    command = [sys.executable, "-m", "hounsfield", "serve", str(work / "archive"), "--import", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--origin", "*"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        yield told.split()[-1].removesuffix("/dicom-web")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def largest_series(root: str) -> tuple[str, str]:
    """(study, series) of the most instances."""
    query = "includefield=NumberOfSeriesRelatedInstances"
    with urllib.request.urlopen(f"{root}/dicom-web/series?{query}") as answer:
        found = json.load(answer)
    best = max(found, key=lambda each: int(each["00201209"]["Value"][0]))
    return best["0020000D"]["Value"][0], best["0020000E"]["Value"][0]


def run(folder: Path, work: Path, rounds: int, peers: bool) -> None:
    volume = 140 * 512 * 512 * 2 / 1e6
    with chromium() as browser, served(folder, work) as root:
        study, series = largest_series(root)
        url = f"{root}/#/?study={study}&series={series}"
        for layout in ("stack", "planes", "planes&slab=mip,30"):
            ours(browser, url, layout)
            found = medians([ours(browser, url, layout) for _ in range(rounds)])
            show(f"hounsfield, {layout} (median of {rounds}; the volume is {volume:.0f} MB)", found)
        show("hounsfield, while something moves", rates(browser, url))
        dist = packed_ohif(work) if peers else None
        if dist is None:
            return
        with ohif(dist, f"{root}/dicom-web") as there:
            address = f"{there}/viewer?StudyInstanceUIDs={study}"
            theirs(browser, address)
            show(
                f"OHIF {OHIF} on the same server", medians([theirs(browser, address) for _ in range(rounds)])
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="a series instead of the phantom")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--large", action="store_true", help=f"a series of {LARGE} slices, and nothing else")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as work:
        if chosen.large:
            large(Path(work))
            return
        folder = chosen.folder or real_series() or phantom(Path(work) / "phantom")
        print(f"140 × 512² from {'real CT' if folder == real_series() else folder.name}")
        run(folder, Path(work), chosen.rounds, not chosen.no_peers)


if __name__ == "__main__":
    main()
