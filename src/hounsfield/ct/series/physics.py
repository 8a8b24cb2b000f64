"""The numbers of a series judged by physics, from a few slices before their clamp (docs/trust.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hounsfield.ct.hu import unclamped
from hounsfield.ct.plausibility import (
    ATTRIBUTES,
    MOST_SLICES,
    UNCALIBRATED,
    Evidence,
    Plausibility,
    Sample,
    header_evidence,
    judge,
    spread,
)
from hounsfield.ct.series.assembly import conversion_of
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.units import Unit
from hounsfield.errors import HounsfieldError


def plausibility_of(slices: Sequence[Slice], unit: Unit) -> Plausibility | None:
    """Judge whether the numbers of one volume's slices can be HU; None where their unit is another one.

    Evidence of the header is behind that of the numbers. At most twelve slices are read, on all cores. A slice that
    cannot be read takes no part.
    """
    if not unit.hounsfield or not slices:
        return None
    samples = samples_of(slices, unit)
    found = judge(samples, field_mm=_field_mm(slices[0]))
    said = _said(slices[0])
    return found.with_evidence(*said, uncalibrated=any(each.key in UNCALIBRATED for each in said))


HISTOGRAM = (-2048, 3584, 32)
"""First value, end and width of the bins in which sampled values are counted, in HU."""


def histogram_of(slices: Sequence[Slice], unit: Unit) -> dict[str, Any]:
    """Counts of the values that `plausibility_of` looks at, padding left out: `first`, `step`, `counts`.

    What lies beyond the ends is counted in the last bin on that side.
    """
    first, end, step = HISTOGRAM
    counts = np.zeros((end - first) // step, np.int64)
    for sample in samples_of(slices, unit):
        values = sample.values if sample.padded is None else sample.values[~sample.padded]
        places = np.clip((values[np.isfinite(values)] - first) // step, 0, len(counts) - 1).astype(np.int64)
        counts += np.bincount(places.ravel(), minlength=len(counts))
    return {"first": first, "step": step, "counts": counts.tolist()}


def samples_of(slices: Sequence[Slice], unit: Unit) -> list[Sample]:
    """At most twelve slices before their clamp, spread over the volume; those that cannot be read are left out."""
    chosen = [slices[index] for index in spread(len(slices), MOST_SLICES)]
    with ThreadPoolExecutor(min(len(chosen), os.cpu_count() or 1)) as pool:
        samples = list(pool.map(lambda item: _sample(item, unit), chosen))
    return [sample for sample in samples if sample is not None]


def _said(item: Slice) -> tuple[Evidence, ...]:
    """Return what its header says of the numbers; functional groups before the root."""
    header = item.instance.header
    texts = {keyword: item.plane.phase.get(keyword) or header.text(keyword) for keyword in ATTRIBUTES}
    return header_evidence(
        {**texts, "ImageType": "\\".join(item.plane.frame_type), "RescaleType": item.plane.rescale_type}
    )


def _sample(item: Slice, unit: Unit) -> Sample | None:
    try:
        cells = item.instance.cells(item.plane.frame)
        return Sample(*unclamped(cells, conversion_of(item, unit, clamp=False)))
    except HounsfieldError:
        return None  # what is wrong with it is said by whoever reads all slices


def _field_mm(item: Slice) -> float | None:
    """The shorter side of a slice, in mm."""
    spacing = item.plane.spacing
    if spacing is None:
        return None
    rows, columns = item.shape
    return min(rows * spacing[0], columns * spacing[1])
