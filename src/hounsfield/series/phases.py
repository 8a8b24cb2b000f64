"""Slices at the same position: duplicates to drop, or phases to keep apart (ct_traps 38–40, 50).

One volume is tried first. Only when positions clash are pixels compared, and only where they clash; then the
attribute whose values give regular sub-volumes decides. Phases are never interleaved, and never guessed.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hounsfield.errors import HounsfieldError
from hounsfield.geometry import Stack, Verdict, assess, at_one_position
from hounsfield.instance import Skipped
from hounsfield.reasons import reason
from hounsfield.series.slices import Slice

# Tried in this order; the first that makes every group a volume without clashes wins. Times come last: they may
# differ on every slice of one phase.
_OF_FRAMES = (
    "TemporalPositionIndex",
    "TemporalPositionTimeOffset",
    "NominalCardiacTriggerDelayTime",
    "FrameAcquisitionNumber",
    "FrameAcquisitionDateTime",
)
_OF_INSTANCES = (
    "TemporalPositionIdentifier",
    "TriggerTime",
    "AcquisitionNumber",
    "ConvolutionKernel",
    "KVP",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
REPEATS = "repeats-slice"  # the key of the reason that names the slice that is kept
_ATTRIBUTES = ("ImageType", *_OF_FRAMES, *_OF_INSTANCES)


def _value(item: Slice, keyword: str) -> str:
    """What one slice says under a keyword that may tell phases apart."""
    if keyword == "ImageType":
        return "\\".join(item.plane.frame_type)
    return item.plane.phase.get(keyword, "") if keyword in _OF_FRAMES else item.instance.header.text(keyword)


@dataclass(frozen=True)
class Phase:
    """Slices that are one volume, in order along the normal; `label` says which, "" when it is the only one."""

    label: str
    slices: tuple[Slice, ...]
    stack: Stack


@dataclass(frozen=True)
class Separation:
    """Phases of one part, what was dropped as a duplicate, and what a reader should know."""

    phases: tuple[Phase, ...]
    dropped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def separate(slices: list[Slice]) -> Separation:
    """The phases of slices that share one grid in-plane. Every slice has position, orientation and spacing."""
    phase = _phase("", slices)
    if not phase.stack.repeated:
        return Separation((phase,))
    kept, dropped = _without_duplicates(phase)
    notes: tuple[str, ...] = ()
    if dropped:
        phase = _phase("", kept)
        count = len(dropped)
        notes = (reason("dropped-one") if count == 1 else reason("dropped", count=count),)
        if not phase.stack.repeated:
            return Separation((phase,), dropped, notes)
    return Separation(_split(kept) or (phase,), dropped, notes)


def _phase(label: str, slices: Iterable[Slice]) -> Phase:
    items = list(slices)
    first = items[0].plane
    stack = assess([item.plane.position for item in items], first.orientation, first.spacing)  # type: ignore[arg-type]
    return Phase(label, tuple(items[index] for index in stack.order), stack)


def _split(slices: list[Slice]) -> tuple[Phase, ...]:
    """Phases by the first attribute that makes all of them volumes; () when none does."""
    for keyword in _ATTRIBUTES:
        groups: dict[str, list[Slice]] = defaultdict(list)
        for item in slices:
            groups[_value(item, keyword)].append(item)
        if not 1 < len(groups) <= len(slices) // 2:
            continue
        phases = [
            _phase(f"{keyword}={value}", members) for value, members in sorted(groups.items(), key=_natural)
        ]
        if all(phase.stack.verdict.is_loadable or phase.stack.verdict is Verdict.GAPS for phase in phases):
            return tuple(phases)
    return ()


def _natural(entry: tuple[str, list[Slice]]) -> tuple[float, str]:
    try:
        return float(entry[0]), entry[0]
    except ValueError:
        return np.inf, entry[0]


def _without_duplicates(phase: Phase) -> tuple[list[Slice], tuple[Skipped, ...]]:
    """Slices whose pixels repeat those of another one at their position are dropped.

    When the first clash is of different pixels and every position clashes, these are phases, and no more is read.
    """
    kept: list[Slice] = []
    dropped: list[Skipped] = []
    clusters = _clusters(phase)
    all_clash = all(len(cluster) > 1 for cluster in clusters)
    for cluster in clusters:
        seen: dict[int, Slice] = {}
        for item in cluster:
            digest = _digest(item) if len(cluster) > 1 else 0
            twin = seen.setdefault(digest, item)
            if twin is item:
                kept.append(item)
            else:
                dropped.append(Skipped(item.name, reason(REPEATS, name=twin.name)))
        if all_clash and not dropped:
            return list(phase.slices), ()
    return kept, tuple(dropped)


def _clusters(phase: Phase) -> list[list[Slice]]:
    clusters: list[list[Slice]] = [[phase.slices[0]]]
    spacing = phase.slices[0].plane.spacing
    close = at_one_position(phase.stack.distances, spacing)  # type: ignore[arg-type]
    for item, repeats in zip(phase.slices[1:], close, strict=True):
        if repeats:
            clusters[-1].append(item)
        else:
            clusters.append([item])
    return clusters


def _digest(item: Slice) -> int:
    """A checksum of the slice's cells and rescale; slices that cannot be read are like no other."""
    try:
        cells = np.ascontiguousarray(item.instance.cells(item.plane.frame))
        return hash((zlib.crc32(cells.data), zlib.adler32(cells.data), item.plane.rescale))
    except HounsfieldError:
        return id(item)
