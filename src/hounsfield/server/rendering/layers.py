"""Layers over a series: segmentations, structures, label maps, doses and differences, as arrays on a grid.

A layer is whatever is drawn over the values of a series in a viewer. Labels and differences lie on the series' own
voxels, a dose on its own grid. Values are int16: labels are numbered from 1 in the order of their segments, all else
is `scale` times its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.series import LoadOptions
from hounsfield.ct.volume import Volume
from hounsfield.errors import HounsfieldError
from hounsfield.language import translated
from hounsfield.segmentation import Masks, Measured
from hounsfield.segmentation.colours import Rgb
from hounsfield.server.rendering.volumes import Stack

Kind = Literal["SEG", "RTSTRUCT", "labels", "RTDOSE", "difference"]

Cells = NDArray[np.int16]

LARGEST_STEP = 32_000
"""The number that the largest value of a layer with fractions is sent as."""

PALETTE: tuple[Rgb, ...] = (
    *((230, 92, 80), (92, 184, 120), (86, 156, 235), (240, 190, 70), (190, 120, 220)),
    *((80, 200, 200), (245, 140, 60), (160, 200, 80), (235, 130, 170), (140, 150, 235)),
)
"""Colours of segments that name none: apart from one another and from grey."""


@dataclass(frozen=True)
class Layer:
    """A layer as it is sent. `arrays`: for each label array the slices that hold anything, (rows, columns) int16.

    `shape` and `affine` are those of its grid; `facts` whatever else describes it, as JSON values.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64] | None
    arrays: tuple[dict[int, Cells], ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of what is held."""
        return 4096 + sum(each.nbytes for array in self.arrays for each in array.values())

    def to_json(self) -> dict[str, Any]:
        """The description, as JSON values."""
        affine = None if self.affine is None else self.affine.tolist()
        return {"shape": list(self.shape), "affine": affine, "arrays": len(self.arrays), **self.facts}


def whole(stack: Stack, **how: Any) -> tuple[Volume, list[int]]:
    """The volume of what is shown, and which of its slices those are: gaps are filled, and left out again.

    `how`: as `LoadOptions`. Raises what loading raises: slices that make no grid have no layers.
    """
    phase = stack.phase if len(stack.series.phases) > 1 else None
    volume = stack.series.load(LoadOptions(gaps="fill", **how), phase=phase)
    filled = set(volume.report.filled)
    return volume, [index for index in range(volume.shape[0]) if index not in filled]


def labels_layer(masks: Masks, measured: list[Measured], shown: list[int]) -> Layer:
    """Segments and what is measured in them; `shown`: the slices of the grid that are looked at."""
    numbers = np.zeros(max((each.number for each in masks.segments), default=0) + 1, np.int16)
    for place, segment in enumerate(masks.segments, 1):
        numbers[segment.number] = place
    arrays: list[dict[int, Cells]] = []
    for labels in masks.layers:
        planes = {}
        for place, index in enumerate(shown):
            # A label that no segment describes is nothing that could be listed.
            plane = numbers[np.minimum(labels[index], len(numbers) - 1)]
            if plane.any():
                planes[place] = plane
        arrays.append(planes)
    facts = {
        "segments": [_segment(place, each) for place, each in enumerate(measured)],
        "warnings": _both(masks.warnings),
    }
    return Layer((len(shown), *masks.shape[1:]), masks.affine, tuple(arrays), facts)


_MEASURED = ("voxels", "ml", "left_out", "mean", "sd", "minimum", "maximum", "median")


def _segment(place: int, measured: Measured) -> dict[str, Any]:
    described = measured.to_json(histogram=False)
    segment = measured.segment
    out: dict[str, Any] = {"index": place + 1, "number": segment.number, "label": segment.name}
    out |= {"array": segment.layer, "colour": list(segment.colour or PALETTE[place % len(PALETTE)])}
    out |= {name: described.get(name) for name in _MEASURED}
    if segment.kind is not None:
        out["type"] = segment.kind.meaning
    return out


def values_layer(values: NDArray[Any], affine: NDArray[np.float64], unit: str, **facts: Any) -> Layer:
    """Values (slices, rows, columns) in `unit`: as whole numbers where they are, else in steps of the largest."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    largest = max(abs(low), abs(high))
    plain = largest <= LARGEST_STEP and bool((finite == np.rint(finite)).all())
    scale = 1.0 if plain or not largest else largest / LARGEST_STEP
    planes = {index: np.rint(plane / scale).astype(np.int16) for index, plane in enumerate(finite)}
    described = {"unit": unit, "scale": scale, "range": [low, high], **facts}
    slices, rows, columns = values.shape
    return Layer((slices, rows, columns), affine, (planes,), described)


def _both(warnings: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"en": str(each), "zh": translated(each, "zh")} for each in warnings]


@dataclass(frozen=True)
class VolumeBeside:
    """A volume file that lies beside what is served: perhaps a label map, perhaps the same scan as a NIfTI."""

    identifier: str
    name: str
    path: Path


def holds_labels(values: NDArray[Any]) -> bool:
    """Whether numbers are those of a label map: whole, none below 0, few in number, most of them 0."""
    if values.dtype.kind not in "iub" and not (values == np.rint(values)).all():
        return False
    if not values.size or values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        return False
    counts = np.bincount(values.astype(np.uint16, copy=False).ravel())
    return int(np.count_nonzero(counts)) <= MOST_LABELS and bool(counts[0] * 2 > values.size)


MOST_LABELS = 512
"""Different numbers of a label map; a CT has more."""


def reason_of(error: HounsfieldError) -> dict[str, str]:
    """Why a layer cannot be, in both languages."""
    from hounsfield.language import described

    return {"en": described(error, "en"), "zh": described(error, "zh")}
