"""Warnings that a reader of a volume must know before trusting it: one list for `load` and for `info`.

What is little alone (a few voxels, a few slices, a localizer) is listed as well, but does not make the trust amber.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hounsfield.ct.geometry import WIDE_STEP, Vector
from hounsfield.ct.hu import Counts
from hounsfield.ct.instance import Skipped
from hounsfield.ct.series.phases import REPEATS
from hounsfield.ct.series.slices import Slice
from hounsfield.language.reasons import Reason, reason

if TYPE_CHECKING:
    from hounsfield.ct.volume import Volume

LEFT_OUT_SHARE = 0.05  # of a series' slices, by which those left out of its volume are more than a few
CLAMPED_SHARE = (
    0.05  # of the voxels: more than the noise of air, which lies below −1024 here and there (trap 30)
)
SATURATED_SHARE = 0.001  # of the voxels: more than a piece of metal
_CHARACTERS = frozenset(
    {"character-set", "character-set-missing", "character-set-unknown", "character-set-unnamed"}
)
_LITTLE = frozenset({"left-out-few", "saturated-few", "rounded-positions"}) | _CHARACTERS
_NO_SLICES = frozenset(
    {"among-slices", "colour", "samples", "capture", "capture-kind"}
)  # not of the volume's kind


def is_little(warning: str) -> bool:
    """Return whether a warning is worth a line, but no amber light."""
    return getattr(warning, "key", "") in _LITTLE


def warnings_of(
    slices: Sequence[Slice],
    counts: Counts | None,
    notes: Iterable[str],
    left_out: Sequence[Skipped],
) -> tuple[str, ...]:
    """Of a volume of `slices`: `notes`, then what follows from the counts of its voxels (None where they were not
    read), from its rescales and from what was left out of it; each once.
    """
    found = list(notes)
    if counts is not None:
        found += count_warnings(counts, slices)
    rescales = {item.plane.rescale for item in slices}
    if len(rescales) > 1:
        found.append(reason("rescale-differs", count=len(rescales)))
    found += left_out_warnings(left_out, len(slices))
    return tuple(dict.fromkeys(found))


def count_warnings(counts: Counts, slices: Sequence[Slice]) -> list[str]:
    """Return what a reader must know of the counts over `slices` before trusting the values."""
    found: list[str] = []
    voxels = sum(rows * columns for rows, columns in (item.shape for item in slices)) or 1
    if counts.masked:
        found.append(f"{counts.masked} cells held bits above Bits Stored: masked")
    if counts.padding_ignored:
        found.append(
            f"{counts.padding_ignored} voxels equal a declared Pixel Padding Value that may be anatomy: kept as values"
        )
    if counts.clamped > CLAMPED_SHARE * voxels:
        found.append(reason("clamped", count=counts.clamped, share=f"{100 * counts.clamped / voxels:.0f}"))
    if counts.saturated:
        few = counts.saturated <= SATURATED_SHARE * voxels
        found.append(reason("saturated-few" if few else "saturated", count=counts.saturated))
    if counts.rounded:
        found.append(reason("rounded", count=counts.rounded))
    if 0 < len(slices) <= counts.airless:
        found.append(reason("airless"))
    return found


def left_out_warnings(left_out: Sequence[Skipped], slices: int) -> list[Reason]:
    """Return what was left out of a volume of so many slices, by reason.

    Duplicates that were dropped are a note of the series already.
    """
    keys = {item.reason: getattr(item.reason, "key", "") for item in left_out}
    counted = Counter(item.reason for item in left_out if keys[item.reason] != REPEATS)
    missed = sum(count for why, count in counted.items() if keys[why] not in _NO_SLICES)
    few = missed <= LEFT_OUT_SHARE * (slices + missed)
    return [
        reason("left-out-few" if few or keys[why] in _NO_SLICES else "left-out", count=count, reason=why)
        for why, count in counted.items()
    ]


def with_made_up(volume: Volume, distances: Vector) -> Volume:
    """The volume with a warning for slices that interpolation made up between slices too far apart.

    `distances` (slices,) mm along the normal: where the slices that files hold lie, from the volume's first.
    """
    steps = np.diff(distances)
    if not len(steps) or not volume.report.filled:
        return volume
    wide = steps > WIDE_STEP * float(np.median(steps))
    places = np.asarray(volume.report.filled) * volume.spacing[0]
    between = np.clip(np.searchsorted(distances, places, side="right") - 1, 0, len(steps) - 1)
    made_up = between[wide[between]]
    if not len(made_up):
        return volume
    length = float(steps[np.unique(made_up)].sum())
    note = reason("made-up", count=len(made_up), mm=f"{length:.4g}")
    report = replace(volume.report, warnings=(*volume.report.warnings, note))
    return replace(volume, report=report)
