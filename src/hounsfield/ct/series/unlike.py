"""Differences between slices of one volume that lie on one grid: another kVp, kernel, contrast … (ct_traps 59).

Kinds that take turns evenly are volumes of their own (`phases`). What is left is named, with its pattern: a change
along the volume, turns that part nothing, a mixture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from hounsfield.ct.series.naming import attribute_name
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.series.traits import Trait, known_traits
from hounsfield.language.reasons import Reason, reason

TOLD = (
    "KVP",
    "MonoenergeticEnergyEquivalent",
    "ConvolutionKernel",
    "ConvolutionKernelGroup",
    "ContrastBolusAgent",
    "ContrastBolusAgentPhase",
    "ContrastBolusAgentAdministered",
    "SliceThickness",
    "FilterType",
    "PatientPosition",
    "SeriesDescription",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
)
"""Attributes that are the same on all slices of one volume."""

INTERLEAVING = (
    *TOLD,
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "ImageComments",
    "FrameComments",
)
"""Attributes that part slices that take turns evenly; comments may be anything, so that only their turns count."""

TAKING_TURNS = ("AcquisitionNumber", "FrameAcquisitionNumber", "AcquisitionDate", "AcquisitionTime")
"""Attributes that differ along many a volume, stretch after stretch of slices: named only where they alternate."""

_LONGEST_PATTERN = 6  # kinds or stretches that are named one by one


def unlike_notes(slices: Sequence[Slice]) -> list[Reason]:
    """A note for each attribute that is not the same on the ordered slices of one volume."""
    if len(slices) < 2:
        return []
    traits = known_traits(slices, (*TOLD, *TAKING_TURNS))
    return [_note(trait) for trait in traits if trait.keyword in TOLD or _takes_turns(trait)]


def _takes_turns(trait: Trait) -> bool:
    """Return whether values come back along the volume, and not because there is one for each slice."""
    return trait.kinds <= len(trait.values) // 2 and len(_stretches(trait)) > trait.kinds


def _note(trait: Trait) -> Reason:
    name, stretches = attribute_name(trait.keyword), _stretches(trait)
    if len(stretches) == trait.kinds:
        spans = [f"{_shown(value)} ({first}–{last})" for value, first, last in stretches]
        return reason("along", name=name, pattern=_listed(spans))
    kinds = [f"{_shown(value)} × {count}" for value, count in Counter(trait.values).items()]
    takes_turns = len(stretches) == len(trait.values)
    return reason("alternates" if takes_turns else "unlike", name=name, pattern=_listed(kinds))


def _stretches(trait: Trait) -> list[tuple[str, int, int]]:
    """Each run of one value: it, its first and its last slice, counted from 1."""
    found: list[tuple[str, int, int]] = []
    for value, run in groupby(enumerate(trait.values, start=1), key=lambda pair: pair[1]):
        places = [place for place, _ in run]
        found.append((value, places[0], places[-1]))
    return found


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _LONGEST_PATTERN
    return ", ".join(parts[:_LONGEST_PATTERN]) + (f" … (+{more})" if more > 0 else "")


def _shown(value: str) -> str:
    return value or "–"
