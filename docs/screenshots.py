"""The pictures of `docs/viewer.md`, made anew by `.venv/bin/python docs/screenshots.py`: the phantom, in Chromium."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from viewer_browser import Person, archive_of, chromium, looking_at

from hounsfield.phantom import PhantomSpec, write

IMAGES = Path(__file__).resolve().parent / "images"
NAME = {"patient_name": "Phantom^Hounsfield=体模^哈氏", "character_set": "ISO_IR 192", "seed": 3}


def phantoms(folder: Path) -> Path:
    write(PhantomSpec(rows=512, columns=512, slices=96, slice_step=2.0, series_number=1,
                      series_description="Thin slices", localizers=1, **NAME), folder / "thin")  # fmt: skip
    write(PhantomSpec(rows=256, columns=256, slices=40, slice_step=5.0, series_number=2,
                      series_description="Thick slices", **NAME), folder / "thick")  # fmt: skip
    write(PhantomSpec(rows=256, columns=256, slices=60, slice_step=3.0, tilt=18.0, series_number=3,
                      series_description="Tilted gantry", **NAME), folder / "tilted")  # fmt: skip
    write(PhantomSpec(rows=128, columns=128, slices=24, missing=(9, 10), series_description="Missing slices",
                      patient_name="Quality^Control", patient_id="QC-7", seed=8), folder / "gaps")  # fmt: skip
    return folder


def saved(person: Person, name: str) -> None:
    from PIL import Image

    # The focus of the keys pressed here is not what the picture is about.
    person.page.evaluate("() => document.activeElement.blur()")
    person.rest()
    person.page.wait_for_timeout(400)
    with Image.open(io.BytesIO(person.page.screenshot())) as shot:
        shot.convert("RGB").save(IMAGES / name, optimize=True)


def series(person: Person, root: str, title: str, more: str = "") -> None:
    person.open(f"{root}/#/?lang=en&theme=dark")
    person.page.get_by_role("button", name="Phantom, Hounsfield").click()
    person.page.locator(".card-open", has_text=title).click()
    person.see_image()
    if more:
        person.open(person.address() + more)
        person.see_image(None)
        person.page.wait_for_timeout(600)


def hover(person: Person, x: float, y: float, view: str = "stack") -> None:
    width, height = person.size(view)
    box = person.page.locator(f'[data-view="{view}"]').first.bounding_box()
    person.page.mouse.move(box["x"] + width * x, box["y"] + height * y)


def drag(person: Person, key: str, *path: tuple[float, float], view: str = "stack") -> None:
    person.page.keyboard.press(key)
    hover(person, *path[0], view)
    person.page.mouse.down()
    for place in path[1:]:
        hover(person, *place, view)
    person.page.mouse.up()


def studies(person: Person, root: str) -> None:
    person.open(f"{root}/#/?lang=en&theme=light")
    person.page.get_by_role("button", name="Phantom, Hounsfield").click()
    person.page.wait_for_function("() => document.querySelectorAll('.thumbnail img').length === 3")
    saved(person, "viewer-studies.png")


def stack(person: Person, root: str) -> None:
    series(person, root, "Thin", "&panel=measure")
    drag(person, "e", (0.434, 0.285), (0.461, 0.325))
    drag(person, "e", (0.286, 0.475), (0.312, 0.525))
    drag(person, "d", (0.27, 0.72), (0.73, 0.72))
    person.page.keyboard.press("w")
    hover(person, 0.58, 0.62)
    saved(person, "viewer-stack.png")


def planes(person: Person, root: str) -> None:
    series(person, root, "Tilted", "&layout=planes&panel=numbers&cross=-47,21,10&window=40,700")
    person.see_image("sagittal")
    drag(person, "t", (0.26, 0.42), (0.37, 0.64), view="coronal")
    person.page.keyboard.press("w")
    hover(person, 0.4, 0.42, "axial")
    saved(person, "viewer-planes.png")


def compare(person: Person, root: str) -> None:
    series(person, root, "Thin", "&layout=coronal&window=40,700")
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.get_by_role("button", name="Compare with this series: 3").click()
    person.page.locator('[data-view="coronal"]').nth(1).wait_for()
    person.page.locator(".pane").last.get_by_label("View").select_option("planes")
    person.page.get_by_role("button", name="Series", exact=True).click()
    person.page.locator(".pane").first.locator(".view").click(button="middle")
    for _ in range(8):
        person.page.keyboard.press("ArrowUp")
    person.page.wait_for_function("() => !document.querySelector('progress.loaded')")
    hover(person, 0.3, 0.45, "coronal")
    saved(person, "viewer-compare.png")


def tags(person: Person, root: str) -> None:
    series(person, root, "Thin", "&panel=tags")
    person.page.get_by_label("Search tags").fill("image")
    saved(person, "viewer-tags.png")


def chinese(person: Person, root: str) -> None:
    series(person, root, "Thin")
    person.page.locator(".language").click()
    person.page.keyboard.press("j")
    person.page.locator(".threshold input").first.click()
    hover(person, 0.5, 0.4)
    saved(person, "viewer-chinese.png")


def phone(person: Person, root: str) -> None:
    series(person, root, "Thin", "&panel=numbers")
    saved(person, "viewer-phone.png")


def physics(person: Person, _: str) -> None:
    """A NIfTI whose offset was lost, opened like a folder."""
    import numpy as np

    import hounsfield
    from hounsfield.ct.volume import Volume

    with tempfile.TemporaryDirectory() as folder:
        write(PhantomSpec(rows=256, columns=256, slices=24, padding=None), Path(folder) / "s")
        right = hounsfield.load(Path(folder) / "s")
        lost = Volume.from_array((right.array + np.int16(1024)).astype(np.int16), right.affine)
        hounsfield.write_volume(lost, Path(folder) / "head.nii.gz")
        with looking_at(Path(folder) / "head.nii.gz") as address:
            person.open(f"{address}&panel=numbers&lang=en&theme=light&window=1064,400")
            person.see_image(None)
            person.page.locator(".physics").wait_for()
            saved(person, "viewer-physics.png")


SHOTS: tuple[tuple[Callable[[Person, str], None], tuple[int, int]], ...] = (
    *((shot, (1280, 720)) for shot in (studies, stack, planes, compare, tags, chinese, physics)),
    (phone, (390, 844)),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as work, chromium() as browser:
        data = phantoms(Path(work) / "data")
        with archive_of(Path(work) / "archive", data) as root:
            for shot, (width, height) in SHOTS:
                options: dict[str, Any] = {"device_scale_factor": 2} if shot is phone else {}
                person = Person(browser, width=width, height=height, **options)
                shot(person, root)
                person.close()


if __name__ == "__main__":
    main()
