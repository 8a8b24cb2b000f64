"""Remedies for slices that are no volume as they are; never more than is honest, never the impossible."""

from __future__ import annotations

import numpy as np

from hounsfield.ct.geometry import Stack, Verdict, assess, at_one_position, slab_numbers
from hounsfield.ct.series.phases import Phase

MOST_SLABS = 4  # a series of more pieces is not a few slabs with holes between them


def remedy_for(phase: Phase) -> str:
    """The option that would load the slices, or what to do where there is none."""
    stack = phase.stack
    if stack.verdict is Verdict.GAPS:
        return _of_gaps(phase)
    if stack.verdict is not Verdict.IRREGULAR:
        return "load it where it is one slice, or choose another series"
    if stack.repeated:
        return _of_clashing(phase)
    if not stack.is_straight:
        return "no option makes a volume of it; choose instances by hand"
    return _slabs(phase) or f"resample it with step={stack.step:.3g} (--step)"


def _of_gaps(phase: Phase) -> str:
    if not phase.stack.holes:
        return 'load it with gaps="fill" or gaps="interpolate" (--gaps), or step=… mm (--step)'
    slabs = _slabs(phase)
    # Nobody knows what is in a hole of many slices: nothing that makes it up is offered.
    return 'fill it with padding by gaps="fill" (--gaps fill)' + (f", or {slabs}" if slabs else "")


def _slabs(phase: Phase) -> str:
    """The offer of the slabs of a series with holes, "" where there are none or they are no volumes."""
    count = len(_loadable_slabs(phase.stack, phase)) if phase.stack.holes else 0
    if not 1 < count <= MOST_SLABS:
        return ""
    return f'load each of its {count} slabs by itself with split_by="gaps" (--split-by gaps)'


def _loadable_slabs(stack: Stack, phase: Phase) -> list[Stack]:
    """Each slab between gaps, none where any of them is no volume."""
    plane = phase.slices[0].plane
    numbers = slab_numbers(stack.distances)
    slabs = [
        assess(stack.positions[numbers == number], plane.orientation, plane.spacing)  # type: ignore[arg-type]
        for number in range(int(numbers[-1]) + 1)
    ]
    return slabs if all(slab.verdict.is_loadable and len(slab.order) > 1 for slab in slabs) else []


def _of_clashing(phase: Phase) -> str:
    spacing = phase.slices[0].plane.spacing
    place = int(np.argmax(at_one_position(phase.stack.distances, spacing)))  # type: ignore[arg-type]
    first, second = phase.slices[place], phase.slices[place + 1]
    none = "no attribute tells phases apart"
    if any(item.instance.header.number_of_frames > 1 for item in (first, second)):
        # Nobody can leave out a frame of a file.
        return f"{none} ({first.name} and {second.name} are at one position); name one with split_by=… (--split-by)"
    return f"{none}; leave out one of {first.name} and {second.name}"
