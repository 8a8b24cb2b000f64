"""What the server sends and what Python makes of it, as files that the page's own tests read too.

`python tests/wire_fixtures.py` writes them; `test_viewer_wire` fails when they are no longer what is sent.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "viewer" / "test" / "fixtures"
WINDOWS = ((40, 400), (-600, 1500), (40, 80), (300, 1), (0.5, 255.5))
_REGIONS: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = (
    ("rectangle", ((2.2, 3.1), (11, 17.9))),
    ("ellipse", ((1.5, 2.5), (14, 21.25))),
    ("freehand", ((1.1, 4.2), (13.7, 2.4), (12.2, 20.6), (6.5, 9.1), (2.3, 19.9))),
    ("ellipse", ((-8, -8), (30, 40))),
    ("freehand", ((0, 0), (0, 5), (5, 5), (5, 0))),
)


def made() -> dict[str, bytes]:
    """File name → content: the wire's own bytes, and Python's numbers for them."""
    from hounsfield import load
    from hounsfield.phantom import PhantomSpec, write

    with tempfile.TemporaryDirectory() as name:
        spec = PhantomSpec(rows=16, columns=24, slices=6, tilt=12.0, slice_step=20.0, table=False)
        write(spec, Path(name))
        info, slices = _sent(Path(name))
        volume = load(name)
    told = {
        "crc32": [f"{zlib.crc32(each):08x}" for each in slices],
        "greys": _greys(),
        "regions": _regions(volume),
        "planes": _planes(volume),
        "places": _places(volume),
    }
    return {
        "info.json": _json(info),
        "slices.i16": b"".join(slices),
        "expected.json": _json(told),
        "reasons.json": _json(_reasons()),
    }


def _reasons() -> dict[str, str]:
    from hounsfield.language.reasons import REASONS, UNREADABLE

    return {**REASONS, **dict.fromkeys(UNREADABLE.values(), "")}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _sent(folder: Path) -> tuple[Any, list[bytes]]:
    """What a browser gets: the description of the series, and its slices."""
    from viewer_browser import serving

    from hounsfield.server.local_viewer import local_viewer

    with local_viewer(folder) as shown, serving(shown.app) as root:
        query = dict(part.split("=") for part in shown.fragment.partition("?")[2].split("&"))
        base = f"{root}/dicom-web/studies/{query['study']}/series/{query['series']}"
        with urllib.request.urlopen(f"{base}/info") as answer:
            info = json.load(answer)
        slices = []
        for number in range(info["shape"][0]):
            with urllib.request.urlopen(f"{base}/slices/{number}") as answer:
                slices.append(answer.read())
    return info, slices


def _greys() -> list[dict[str, Any]]:
    from hounsfield.ct.windowing import Window, apply_window

    values = np.unique(np.concatenate([np.arange(-1030, 1700, 7), np.arange(-5, 90)])).astype(np.int16)
    return [
        {
            "center": center,
            "width": width,
            "values": values.tolist(),
            "greys": apply_window(values, Window(center, width)).tolist(),
        }
        for center, width in WINDOWS
    ]


def _regions(volume: Any) -> list[dict[str, Any]]:
    from hounsfield.ct.roi import Roi, measure

    return [measure(volume, Roi(kind, 3, points)).to_json() for kind, points in _REGIONS]  # type: ignore[arg-type]


def _planes(volume: Any) -> list[dict[str, Any]]:
    """Regions across slices: on a plane of voxels (which leans as the stack does), and between them."""
    from hounsfield.ct.roi import Plane, PlaneRoi, measure

    step, row, column, origin = volume.affine[:3].T
    voxels = Plane((origin + 7 * row).tolist(), column.tolist(), (-step).tolist())
    between = Plane(volume.lps(2.2, 3.4, 5.1).tolist(), (1.3, 0.2, 0.0), (0.1, -0.4, 1.9))
    found = []
    for plane in (voxels, between):
        for kind, points in (*_REGIONS, ("rectangle", ((-40, -40), (40, 40)))):
            found.append(measure(volume, PlaneRoi(kind, plane, points)).to_json())  # type: ignore[arg-type]
    return found


def _places(volume: Any) -> list[dict[str, Any]]:
    """LPS of fractional indexes, and the value interpolated there along the slices' own steps."""
    chance = np.random.default_rng(5)
    places = chance.uniform((0, 0, 0), np.array(volume.shape) - 1.001, (60, 3))
    return [
        {
            "index": index.tolist(),
            "lps": volume.lps(*index).tolist(),
            "value": _trilinear(volume.array, index),
        }
        for index in places
    ]


def _trilinear(array: Any, index: Any) -> float:
    low = np.floor(index).astype(int)
    part = index - low
    value = 0.0
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner) == 1, part, 1 - part))
        value += float(weight) * float(array[tuple(low + corner)])
    return value


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file_name, content in made().items():
        (FOLDER / file_name).write_bytes(content)
