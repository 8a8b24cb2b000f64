"""A volume at a glance: a thumbnail of its middle slice and a histogram of a sample of its voxels, both small."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.ct.series import LoadOptions, find_series
from hounsfield.ct.series.phases import separate
from hounsfield.ct.volume import Volume
from hounsfield.errors import HounsfieldError
from hounsfield.pictures import Look, acquired_plane, default_window, slice_picture

THUMBNAIL_PIXELS = 160
BINS = 64
SAMPLED_VOXELS = 250_000
DATA_URL = "data:image/jpeg;base64,"
_QUALITY = 70
_SHORTS = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.float64)
_MAP_ENDS = 0.0, 100.0
_HU_RANGE = -1024.0, 2048.0
"""The range of a histogram of Hounsfield units: one for all, so that they compare."""


def preview(volume: Volume, values: NDArray[Any] | None = None) -> dict[str, Any]:
    """`thumbnail`: a data URL; `window`: what it shows; `histogram`: `low`, `high` and counts of a sample; `unit`.

    `values`: that sample, where the volume's array holds but its middle slice.
    """
    look = Look(default_window(volume), size=THUMBNAIL_PIXELS, plain=True)
    return {
        "thumbnail": _data_url(volume, look),
        "window": f"{look.window.center:g}/{look.window.width:g}",
        "histogram": _histogram(volume, sample(volume.array) if values is None else values),
        "unit": volume.unit,
    }


def preview_of_file(path: Path) -> dict[str, Any]:
    """The same of one file: its slice, or the middle one of its frames; nothing where it has no values to show."""
    try:
        found, _ = find_series([read_instance(FileSource(path))])
        if not found:
            return {}
        middle = found[0].slices[len(found[0].slices) // 2]
        plane = middle.plane
        placed = None not in (plane.position, plane.orientation, plane.spacing)
        phases = separate([middle]).phases if placed else ()
        alone = dataclasses.replace(found[0], slices=(middle,), phases=phases)
        return preview(alone.load(LoadOptions(spacing=None if placed else (1, 1, 1), workers=1)))
    except HounsfieldError:
        return {}


def preview_html(volume: Volume, *, size: int = 256) -> str:
    """A volume in a notebook: the middle slice, what it is and what its report says, as one HTML fragment."""
    look = Look(default_window(volume), size=size, plain=True)
    shape, spacing = (" × ".join(f"{part:g}" for part in parts) for parts in (volume.shape, volume.spacing))
    report = volume.report
    counts = {"padded": report.padded, "clamped": report.clamped, "saturated": report.saturated}
    rows = {
        "voxels": f"{shape} {volume.array.dtype.name}, {volume.unit}",
        "spacing": f"{spacing} mm{f', tilted {volume.tilt_degrees:.1f}°' if volume.is_sheared else ''}",
        "series": str(volume.header.get("SeriesDescription") or volume.header.get("SeriesInstanceUID") or ""),
        "verdict": report.verdict,
        "voxels changed": ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none",
        **{f"warning {number}": text for number, text in enumerate(report.warnings, start=1)},
    }
    table = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
        if text
    )
    picture = f"<img alt='middle slice' style='vertical-align:top' src='{_data_url(volume, look)}'>"
    return (
        "<div style='display:flex;gap:1em;align-items:flex-start;flex-wrap:wrap'>"
        f"{picture}<table>{table}</table></div>"
    )


def _data_url(volume: Volume, look: Look) -> str:
    picture = slice_picture(volume, plane=acquired_plane(volume), look=look)
    stream = io.BytesIO()
    picture.image.save(stream, "JPEG", quality=_QUALITY)
    return DATA_URL + base64.b64encode(stream.getvalue()).decode("ascii")


def _histogram(volume: Volume, some: NDArray[Any]) -> Mapping[str, Any]:
    low, high = _HU_RANGE
    if not volume.is_hounsfield:
        low, high = (float(end) for end in np.percentile(some, _MAP_ENDS))
        high = max(high, low + 1)
    if some.dtype == np.int16 and volume.is_hounsfield:
        # Counted by value first: several times as fast as a histogram of each voxel.
        places = ((_SHORTS.clip(low, high) - low) * (BINS / (high - low))).astype(np.intp)
        by_value = np.bincount(some.view(np.uint16), minlength=len(_SHORTS))
        counts = np.bincount(np.minimum(places, BINS - 1), by_value, BINS).astype(np.int64)
    else:
        counts, _ = np.histogram(np.clip(some, low, high), BINS, (low, high))
    return {"low": low, "high": high, "counts": counts.tolist()}


def sample(array: NDArray[Any]) -> NDArray[Any]:
    """About `SAMPLED_VOXELS` values of (slices, rows, columns), spread over all of it."""
    step = max(1, int(np.ceil((array.size / SAMPLED_VOXELS) ** (1 / 3))))
    return np.ascontiguousarray(array[step // 2 % len(array) :: step, ::step, ::step]).reshape(-1)


class Sample:
    """The values of a volume that comes in slabs, every so many, so that they stay about `SAMPLED_VOXELS`."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = []
        self.every = 1

    def add(self, start: int, slab: NDArray[Any]) -> None:
        """The next slices; where they begin does not matter to a histogram."""
        self.parts.append(sample(slab)[:: self.every])
        if sum(len(part) for part in self.parts) > 2 * SAMPLED_VOXELS:
            self.every *= 2
            self.parts = [part[::2] for part in self.parts]

    def array(self) -> NDArray[Any]:
        """All that was kept."""
        return np.concatenate(self.parts)
