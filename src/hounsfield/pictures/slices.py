"""Every slice of a volume as a picture for networks: windowed to 8 bits, or 16 bits that keep every HU.

Nothing is drawn upon them and no pixel is resampled: row and column are those of the array. `slices.json` in the folder
has the rule from pixel to value, and where each slice lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window, apply_window
from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.outputs import whole_folder

OFFSET = 1024
"""Added to HU in 16 bits, so that none of −1024 … 64511 is negative."""

SLICE_SUFFIXES = (".png", ".tif")
DESCRIPTION = "slices.json"

_LEVEL = 1  # deflate: 6 takes four times as long for a tenth less


def write_slices(
    volume: Volume,
    folder: str | Path,
    *,
    shown: Window,
    bits: int = 8,
    invert: bool = False,
    suffix: str = ".png",
    labels: NDArray[Any] | None = None,
    segments: Sequence[dict[str, Any]] = (),
    workers: int | None = None,
    force: bool = False,
) -> Path:
    """Write `0001.png` … in the order of the slices, `labels/0001.png` … beside them, and `slices.json`.

    - `bits`: 8, by the window `shown`; 16, the value + 1024, whatever the window
    - `labels`: (slices, rows, columns) of whole numbers, written as they are; `segments` say what they mean
    - `workers`: threads; None for one a core

    The folder appears whole or not at all. Raises `UnsupportedError` for values that 16 bits do not hold.
    """
    if bits == 16:
        _refuse_beyond(volume)
    digits = max(4, len(str(volume.shape[0])))
    names = [f"{number:0{digits}d}{suffix}" for number in range(1, volume.shape[0] + 1)]
    with whole_folder(Path(folder), force=force) as place:
        if labels is not None:
            (place / "labels").mkdir()

        def write(index: int) -> None:
            plane = volume.array[index]
            if bits == 16:
                pixels = (plane.astype(np.int32) + OFFSET).astype(np.uint16)
            else:
                pixels = apply_window(plane, shown, invert=invert)
            _write(pixels, place / names[index])
            if labels is not None:
                _write(_narrow(labels[index], labels), place / "labels" / names[index])

        with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
            list(pool.map(write, range(len(names))))
        described = _described(volume, names, shown, bits, invert)
        if labels is not None:
            described |= {"labels": "labels/", "segments": list(segments)}
        (place / DESCRIPTION).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return Path(folder)


def _refuse_beyond(volume: Volume) -> None:
    low, high = float(volume.array.min()), float(volume.array.max())
    if volume.array.dtype.kind == "f" or low < -OFFSET or high + OFFSET > 65535:
        raise UnsupportedError(
            say("values of {low} … {high} {unit}", low=f"{low:g}", high=f"{high:g}", unit=volume.unit),
            expected="whole numbers of −1024 … 64511",
            remedy="leave --bits 16 out, or write .nrrd",
        )


def _narrow(plane: NDArray[Any], all_of_them: NDArray[Any]) -> NDArray[Any]:
    """Labels in 8 bits where they fit, one type for all slices."""
    kind = np.uint8 if all_of_them.dtype.itemsize == 1 or all_of_them.max() < 256 else np.uint16
    return np.ascontiguousarray(plane.astype(kind))


def _write(pixels: NDArray[Any], path: Path) -> None:
    if path.suffix == ".png":
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=_LEVEL))
        return
    from PIL import Image

    Image.fromarray(pixels).save(path, "TIFF", compression="tiff_adobe_deflate")


def _described(volume: Volume, names: list[str], shown: Window, bits: int, invert: bool) -> dict[str, Any]:
    if bits == 16:
        rule: dict[str, Any] = {"value": f"pixel - {OFFSET}", "offset": -OFFSET, "scale": 1}
    else:
        rule = {"window": str(shown), "centre": shown.center, "width": shown.width, "invert": invert}
    normal = volume.normal
    return {
        "unit": volume.unit,
        "bits": bits,
        "rule": rule,
        "shape": list(volume.shape),
        "spacing": list(volume.spacing),
        "affine": volume.affine.tolist(),
        "affine_frame": "LPS, mm: affine @ (slice, row, column, 1)",
        "slices": [
            {
                "file": name,
                "position": round(float(volume.lps(index, 0, 0) @ normal), 6),
                "SOPInstanceUID": volume.uids[index],
            }
            for index, name in enumerate(names)
        ],
    }
