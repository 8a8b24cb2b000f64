"""Slices of one series that are several volumes: duplicates to drop, phases to keep apart (ct_traps 38–40, 50, 59, 65).

One volume is tried first. Where positions clash, pixels are compared, and only there; then the attributes that vary
are searched for those that part the slices into volumes (`partition`). Slices of other kVp, kernel or contrast that
interleave evenly are parted too, though their positions would make one volume. Phases are never interleaved, and
never guessed: what nothing parts stays as it is, and is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from hounsfield.ct.geometry import Stack, Verdict, assess, at_one_position, slab_numbers
from hounsfield.ct.instance import Skipped
from hounsfield.ct.series.naming import attribute_name, names_of, plain_names, range_name
from hounsfield.ct.series.partition import Fit, Partition, Places, best_partition, by_rank, grouped
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.series.traits import (
    GAPS,
    IN_ORDER,
    Trait,
    all_traits,
    dimension_traits,
    known_traits,
    trait_of,
)
from hounsfield.ct.series.unlike import INTERLEAVING, unlike_notes
from hounsfield.errors import HounsfieldError
from hounsfield.language.reasons import Reason, reason

REPEATS = "repeats-slice"  # the key of the reason that names the slice that is kept
FEWEST = (
    3  # slices of each volume, where no position is taken twice: two slices are a volume wherever they are
)
COARSER = 1.5  # times the step of all slices together is at least that of volumes that interleave
_BY_CLOCK, _BY_FILE = IN_ORDER[:-2], IN_ORDER[-2:]
_SEVERITY = (Verdict.REGULAR, Verdict.SHEARED, Verdict.GAPS, Verdict.IRREGULAR, Verdict.NOT_A_VOLUME)


@dataclass(frozen=True)
class Phase:
    """Slices that are one volume, in order along the normal; `names` say which, () when it is the only one."""

    names: tuple[Reason, ...]
    slices: tuple[Slice, ...]
    stack: Stack

    @property
    def label(self) -> str:
        """The name of the phase as a person calls it, "" when it is the only one."""
        return ", ".join(self.names)


@dataclass(frozen=True)
class Separation:
    """Phases of one part, what was dropped as a duplicate, and what a reader should know."""

    phases: tuple[Phase, ...]
    dropped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Stack:
        """The stack of the phase that is least of a volume."""
        return max((phase.stack for phase in self.phases), key=lambda stack: _SEVERITY.index(stack.verdict))


def separate(slices: list[Slice], split_by: Sequence[str] = ()) -> Separation:
    """The phases of slices that share one grid in-plane. Every slice has position, orientation and spacing.

    `split_by`: what parts them by the user's word, as `traits.asked_keywords` gives it.
    """
    phase = _phase((), slices)
    dropped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    if phase.stack.repeated:
        kept, dropped = _without_duplicates(phase)
        if dropped:
            phase = _phase((), kept)
            count = len(dropped)
            notes = (reason("dropped-one") if count == 1 else reason("dropped", count=count),)
    phases, more = _parted_by_hand(phase, split_by) if split_by else _parted(phase)
    unlike = [note for each in phases for note in unlike_notes(each.slices)]
    return Separation(phases, dropped, tuple(dict.fromkeys((*notes, *more, *unlike))))


def _parted(phase: Phase) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The volumes that a set of slices is, one where nothing parts it."""
    notes: tuple[str, ...] = ()
    if phase.stack.repeated:
        found, notes = _of_clashing(phase)
    elif phase.stack.verdict is Verdict.IRREGULAR:
        places = _places(phase, fewest=FEWEST)
        found = best_partition(known_traits(phase.slices), places, worst=Fit.LOADABLE)
    else:
        found = _of_interleaved(phase)
    return ((phase,) if found is None else _phases(phase.slices, found)), notes


def _parted_by_hand(phase: Phase, split_by: Sequence[str]) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The volumes by attributes that a user names, whatever they make; what is the same on all slices parts none."""
    slices = phase.slices
    asked = [_slabs(phase) if keyword == GAPS else trait_of(slices, keyword) for keyword in split_by]
    traits = [trait for trait in asked if 1 < trait.kinds < len(slices)]
    if not traits:
        parted, notes = _parted(phase)
        idle = [reason("by-hand", name=attribute_name(trait.keyword)) for trait in asked if trait.kinds == 1]
        return parted, (*idle, *notes)
    groups = grouped(traits)
    stacks = [_stack_of(slices, np.flatnonzero(groups == number)) for number in range(int(groups.max()) + 1)]
    return _phases(slices, Partition(tuple(traits), groups, tuple(stacks), Fit.NONE)), ()


def _slabs(phase: Phase) -> Trait:
    """The slab of each ordered slice between gaps: its number, and where it begins and ends along the normal."""
    clusters = _clusters(phase)
    places = phase.stack.distances[np.unique(clusters, return_index=True)[1]]
    numbers = slab_numbers(places)
    ends = [
        (places[numbers == number][0], places[numbers == number][-1]) for number in range(numbers[-1] + 1)
    ]
    spans = [f"{number}\\{first:g}\\{last:g}" for number, (first, last) in enumerate(ends)]
    return Trait(GAPS, tuple(spans[numbers[cluster]] for cluster in clusters))


def _of_clashing(phase: Phase) -> tuple[Partition | None, tuple[str, ...]]:
    """Part slices at the same positions: by known attributes, clocks, any element at all, the files' order."""
    slices, places = phase.slices, _places(phase, fewest=1)
    known = [*known_traits(slices), *dimension_traits(slices)]
    found = (
        best_partition(known, places, worst=Fit.INTERLEAVED)
        or _ranked(slices, places, _BY_CLOCK)
        or best_partition(known, places, worst=Fit.GAPPED)
        # The whole headers, only now: an element that singles out a slice or two would tell nothing.
        or best_partition(all_traits(slices), _places(phase, fewest=2), worst=Fit.GAPPED)
    )
    if found is not None:
        return found, ()
    found = _ranked(slices, places, _BY_FILE)
    if found is None:
        return None, ()
    return found, (reason("by-order", name=attribute_name(found.traits[0].keyword)),)


def _of_interleaved(phase: Phase) -> Partition | None:
    """Part slices that would make one volume, but are of several kinds that take turns."""
    traits = known_traits(phase.slices, INTERLEAVING)
    if not traits:
        return None
    return best_partition(
        traits, _places(phase, fewest=1, least_step=COARSER * phase.stack.step), worst=Fit.GAPPED
    )


def _ranked(slices: Sequence[Slice], places: Places, keywords: Iterable[str]) -> Partition | None:
    # A clock tells one pass from the next; numbers do only where each pass is numbered like the others.
    in_step = keywords is _BY_FILE
    found = (by_rank(trait, places, in_step=in_step) for trait in known_traits(slices, keywords))
    return next((partition for partition in found if partition is not None), None)


def _places(phase: Phase, *, fewest: int, least_step: float = 0.0) -> Places:
    return Places(_clusters(phase), partial(_stack_of, phase.slices), fewest, least_step)


def _stack_of(slices: Sequence[Slice], members: npt.NDArray[np.intp]) -> Stack:
    return _assessed([slices[index] for index in members])


def _assessed(items: Sequence[Slice]) -> Stack:
    """The stack of slices, by the orientation and spacing of its first along the normal, whatever their order here."""
    stack = _assessed_by(items[0], items)
    first = items[stack.order[0]]
    same = (first.plane.orientation, first.plane.spacing) == (
        items[0].plane.orientation,
        items[0].plane.spacing,
    )
    return stack if same else _assessed_by(first, items)


def _assessed_by(first: Slice, items: Sequence[Slice]) -> Stack:
    plane = first.plane
    return assess([item.plane.position for item in items], plane.orientation, plane.spacing)  # type: ignore[arg-type]


def _phase(names: tuple[Reason, ...], slices: Iterable[Slice]) -> Phase:
    items = list(slices)
    stack = _assessed(items)
    return Phase(names, tuple(items[index] for index in stack.order), stack)


def _phases(slices: Sequence[Slice], partition: Partition) -> tuple[Phase, ...]:
    """The groups of a partition as volumes, with names of which no two are the same."""
    members = [np.flatnonzero(partition.groups == number) for number in range(len(partition.stacks))]
    # Where values differ within a volume, it is their order that parted it from the others.
    is_ranked = len(partition.traits) == 1 and partition.traits[0].kinds > len(members)
    names = [
        (range_name(partition.traits[0], each.tolist()),)
        if is_ranked
        else names_of(partition.traits, int(each[0]), slices[int(each[0])])
        for each in members
    ]
    if len({", ".join(each) for each in names}) < len(names):
        names = [plain_names(partition.traits, int(each[0])) for each in members]
    return tuple(
        Phase(name, tuple(slices[int(each[index])] for index in stack.order), stack)
        for name, each, stack in zip(names, members, partition.stacks, strict=True)
    )


def _without_duplicates(phase: Phase) -> tuple[list[Slice], tuple[Skipped, ...]]:
    """Slices whose pixels repeat those of another one at their position are dropped.

    When the first clash is of different pixels and every position clashes, these are phases, and no more is read.
    """
    kept: list[Slice] = []
    dropped: list[Skipped] = []
    numbers = _clusters(phase)
    clusters = [
        [phase.slices[index] for index in np.flatnonzero(numbers == number)]
        for number in range(numbers[-1] + 1)
    ]
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


def _clusters(phase: Phase) -> npt.NDArray[np.intp]:
    """The number of each ordered slice's position along the normal, (slices,)."""
    spacing = phase.slices[0].plane.spacing
    apart = ~at_one_position(phase.stack.distances, spacing)  # type: ignore[arg-type]
    return np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)


def _digest(item: Slice) -> int:
    """A checksum of the slice's cells and rescale; slices that cannot be read are like no other."""
    try:
        cells = np.ascontiguousarray(item.instance.cells(item.plane.frame))
        return hash((zlib.crc32(cells.data), zlib.adler32(cells.data), item.plane.rescale))
    except HounsfieldError:
        return id(item)
