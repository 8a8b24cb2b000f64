"""The attributes whose values part slices into volumes of their own: searched for, never guessed.

Wanted are equal stacks: at each position one slice of each, or positions that interleave evenly. One attribute is
tried before two, and two before three; among as many the one that says most to a person (`traits.KNOWN`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from hounsfield.ct.geometry import Stack, Verdict
from hounsfield.ct.series.traits import Trait

Codes = npt.NDArray[np.intp]
Judge = Callable[[Codes], Stack]

MOST_TOGETHER = 3  # attributes that part slices only together
MOST_TRIED = (400, 60, 14)  # attributes of different partitions that are tried alone, in pairs, in threes
SAME_STEP = 0.02  # share of the step by which the steps of equal stacks may differ


class Fit(IntEnum):
    """A measure of how well groups of slices are volumes; the less the better."""

    EQUAL = 0
    """At each position one slice of every group."""
    INTERLEAVED = 1
    """As many slices with the same step in every group, at other positions."""
    LOADABLE = 2
    GAPPED = 3
    NONE = 4


@dataclass(frozen=True)
class Partition:
    """Traits that decide, the group of each slice (slices,) numbered by their values, and each group's stack."""

    traits: tuple[Trait, ...]
    groups: Codes
    stacks: tuple[Stack, ...]
    fit: Fit


@dataclass(frozen=True)
class Places:
    """Slices to be parted: the number of each one's position (slices,), and what makes a stack of some of them.

    `fewest`: slices of each group. `least_step`: mm, of each group, and then all groups have one step.
    """

    clusters: Codes
    judge: Judge
    fewest: int = 1
    least_step: float = 0.0

    @property
    def count(self) -> int:
        """The number of slices."""
        return len(self.clusters)

    @property
    def is_even(self) -> bool:
        """Return whether every position has as many slices."""
        return len(set(np.bincount(self.clusters).tolist())) == 1

    @property
    def is_taken_twice(self) -> bool:
        """Return whether any position has several slices."""
        return int(np.bincount(self.clusters).max()) > 1

    def needs(self, partition: Partition) -> bool:
        """Return whether there must be as many volumes as the partition has, if it is to be believed of several
        traits.
        """
        if not self.is_taken_twice:
            return partition.fit <= Fit.INTERLEAVED
        return len(partition.stacks) == int(np.bincount(self.clusters).max())

    def fit(self, groups: Codes) -> tuple[Fit, tuple[Stack, ...]]:
        """Measure how well the groups are volumes. Those that clash are none at all."""
        kinds = int(groups.max()) + 1
        if (
            not 1 < kinds <= self.count // 2
            or np.bincount(groups).min() < self.fewest
            or self._clashes(groups)
        ):
            return Fit.NONE, ()
        stacks = tuple(self.judge(np.flatnonzero(groups == number)) for number in range(kinds))
        steps = [stack.step for stack in stacks]
        have_one_step = max(steps) - min(steps) <= SAME_STEP * max(steps)
        if self.least_step > 0 and not (have_one_step and min(steps) >= self.least_step):
            return Fit.NONE, ()
        if not all(stack.verdict.is_loadable for stack in stacks):
            gapped = all(stack.verdict.is_loadable or stack.verdict is Verdict.GAPS for stack in stacks)
            return (Fit.GAPPED if gapped else Fit.NONE), stacks
        if self.count == kinds * (int(self.clusters.max()) + 1):
            return Fit.EQUAL, stacks
        sizes = [len(stack.order) for stack in stacks]
        if have_one_step and max(sizes) - min(sizes) <= 1 and min(sizes) > 1:
            return Fit.INTERLEAVED, stacks
        return Fit.LOADABLE, stacks

    def _clashes(self, groups: Codes) -> bool:
        pairs = groups * (int(self.clusters.max()) + 1) + self.clusters
        return len(np.unique(pairs)) < self.count


def best_partition(traits: Sequence[Trait], places: Places, *, worst: Fit) -> Partition | None:
    """The fewest traits that part the slices, no worse than `worst`; None where there are none.

    Several together part anything into something. So they must give as many volumes as the fullest position has
    slices; or, where no position is taken twice, volumes that interleave. One that parts the slices less well is
    better than several, but for an equal stack of each.
    """
    different = _different(traits)
    best: Partition | None = None
    for together in range(1, MOST_TOGETHER + 1):
        for found in _fitting(different[: MOST_TRIED[together - 1]], together, places, worst):
            if together > 1 and not places.needs(found):
                continue
            if best is None or found.fit < best.fit:
                best = found
            if best.fit is Fit.EQUAL:
                return best
        if best is not None and (best.fit <= Fit.INTERLEAVED or not places.is_taken_twice):
            return best
    return best


def _fitting(traits: Sequence[Trait], together: int, places: Places, worst: Fit) -> Iterator[Partition]:
    for chosen in combinations(traits, together):
        groups = grouped(chosen)
        fit, stacks = places.fit(groups)
        if fit <= worst:
            yield Partition(chosen, groups, stacks, fit)


def grouped(traits: Sequence[Trait]) -> Codes:
    """The group of each slice by all traits together, numbered in the order of their values, (slices,)."""
    codes = np.stack([trait.codes for trait in traits], axis=1)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.intp)


def _different(traits: Sequence[Trait]) -> list[Trait]:
    """Traits of different partitions, the first of each; those that differ on most slices part nothing."""
    found: dict[bytes, Trait] = {}
    for trait in traits:
        if trait.kinds <= len(trait.values) // 2:
            _, first, codes = np.unique(trait.codes, return_index=True, return_inverse=True)
            found.setdefault(np.argsort(np.argsort(first))[codes].tobytes(), trait)
    return list(found.values())


def by_rank(trait: Trait, places: Places, *, in_step: bool) -> Partition | None:
    """Volumes one after the other, where values rise from slice to slice: the first at each position, the second …

    None unless there are as many slices at each position, and every value of a volume is below all of the next.
    `in_step`: and every volume goes through the positions as the first does, forwards or backwards.
    """
    numbers = np.array([_sortable(value) for value in trait.values])
    counts = np.bincount(places.clusters)
    if np.isnan(numbers).any() or not places.is_even or counts[0] < 2:
        return None
    by_place = np.lexsort((numbers, places.clusters))
    groups = np.empty(places.count, np.intp)
    groups[by_place] = np.tile(np.arange(counts[0]), len(counts))
    ends = [(numbers[groups == number].min(), numbers[groups == number].max()) for number in range(counts[0])]
    if any(after[0] <= before[1] for before, after in pairwise(ends)):
        return None
    ways = places.clusters[np.lexsort((numbers, groups))].reshape(counts[0], -1)
    forwards, backwards = (np.all(ways == way, axis=1) for way in (ways[0], ways[0][::-1]))
    if in_step and not np.all(forwards | backwards):
        return None
    fit, stacks = places.fit(groups)
    return Partition((trait,), groups, stacks, fit) if fit is Fit.EQUAL else None


def _sortable(value: str) -> float:
    """A number, or a date and time without their punctuation and zone; NaN for anything else."""
    try:
        return float(value.replace(":", ""))
    except ValueError:
        return float("nan")
