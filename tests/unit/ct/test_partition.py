"""What parts slices into volumes, by traits and positions alone: no files, no pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hounsfield.ct.geometry import Stack, Verdict, assess
from hounsfield.ct.series.partition import Codes, Fit, Places, best_partition, by_rank, grouped
from hounsfield.ct.series.phases import Phase, Separation
from hounsfield.ct.series.traits import Trait

AXIAL = (1.0, 0, 0, 0, 1, 0)


def places_of(positions: Sequence[float], *, fewest: int = 1, least_step: float = 0.0) -> Places:
    """Slices at those places along the normal, in that order."""
    along = np.asarray(positions, float)

    def judge(members: Codes) -> Stack:
        points = np.zeros((len(members), 3))
        points[:, 2] = along[members]
        return assess(points, AXIAL, (0.7, 0.7))

    return Places(np.unique(along, return_inverse=True)[1].astype(np.intp), judge, fewest, least_step)


def fit_of(*stacks: Sequence[float], fewest: int = 1, least_step: float = 0.0) -> Fit:
    """How well stacks at those places are volumes of their own."""
    groups = np.repeat(np.arange(len(stacks)), [len(stack) for stack in stacks])
    positions = [position for stack in stacks for position in stack]
    return places_of(positions, fewest=fewest, least_step=least_step).fit(groups)[0]


@pytest.mark.parametrize(
    ("stacks", "fit"),
    [
        ([[0, 1, 2], [0, 1, 2]], Fit.EQUAL),
        ([[0, 1], [0, 1], [0, 1]], Fit.EQUAL),
        ([[0, 2, 4], [1, 3, 5]], Fit.INTERLEAVED),
        ([[0, 2, 4], [1, 3]], Fit.INTERLEAVED),
        ([[0, 2, 4, 6], [1, 3]], Fit.LOADABLE),
        ([[0, 1, 2], [3, 4, 5]], Fit.INTERLEAVED),
        ([[0, 2, 4], [1, 3.04, 5.08]], Fit.INTERLEAVED),
        ([[0, 2, 4], [1, 3.042, 5.084]], Fit.LOADABLE),
        ([[0, 2.04, 4.08], [1, 3, 5]], Fit.INTERLEAVED),
        ([[0, 1, 2], [0, 1, 2, 3]], Fit.INTERLEAVED),
        ([[0, 1, 2], [0, 1, 2, 3, 4]], Fit.LOADABLE),
        ([[0, 1, 3, 4], [0, 1, 2, 3]], Fit.GAPPED),
        ([[0, 1, 3, 4], [0, 1, 3, 4]], Fit.GAPPED),
        ([[0, 1, 2.3, 3], [0, 1, 2, 3]], Fit.NONE),
        ([[0, 0, 1], [0, 1, 2]], Fit.NONE),
        ([[0, 1, 2, 3]], Fit.NONE),
        ([[0, 1], [2]], Fit.NONE),
        ([[0], [1], [2]], Fit.NONE),
        ([[0, 1, 2], [3]], Fit.LOADABLE),
    ],
)
def test_how_well_groups_of_slices_are_volumes(stacks: list[list[float]], fit: Fit) -> None:
    assert fit_of(*stacks) is fit


def test_each_group_has_at_least_the_fewest_slices() -> None:
    assert fit_of([0, 2, 4], [1, 3, 5], fewest=3) is Fit.INTERLEAVED
    assert fit_of([0, 2, 4], [1, 3, 5], fewest=4) is Fit.NONE
    assert fit_of([0, 2, 4], [1, 3], fewest=3) is Fit.NONE


def test_with_a_least_step_all_groups_have_one_step_of_at_least_that() -> None:
    assert fit_of([0, 2, 4], [1, 3, 5], least_step=2.0) is Fit.INTERLEAVED
    assert fit_of([0, 2, 4], [1, 3, 5], least_step=2.01) is Fit.NONE
    assert fit_of([0, 2, 4], [1, 4, 7], least_step=1.0) is Fit.NONE
    assert fit_of([0, 2, 4], [1, 4, 7]) is Fit.LOADABLE


def trait(keyword: str, values: str | Sequence[str]) -> Trait:
    return Trait(keyword, tuple(values))


def chosen(traits: list[Trait], places: Places, *, worst: Fit = Fit.GAPPED) -> list[str] | None:
    found = best_partition(traits, places, worst=worst)
    return None if found is None else [each.keyword for each in found.traits]


TWICE = [0, 1, 2, 0, 1, 2]


def test_the_first_of_equally_good_traits_parts_the_slices_and_a_better_one_before_it() -> None:
    a, b = trait("a", "xxxyyy"), trait("b", "pppqqq")
    assert chosen([a, b], places_of(TWICE)) == ["a"]
    assert chosen([b, a], places_of(TWICE)) == ["b"]
    # Fits no volume, or less well.
    assert chosen([trait("no", "xyyxyy"), a], places_of(TWICE)) == ["a"]
    halves, turns = trait("halves", "xxxxyy"), trait("turns", "xyxyxy")
    assert chosen([halves, turns], places_of(range(6))) == ["turns"]
    assert chosen([turns, halves], places_of(range(6))) == ["turns"]


def test_nothing_worse_than_asked_for_is_taken() -> None:
    halves = trait("halves", "xxxxyy")
    assert chosen([halves], places_of(range(6)), worst=Fit.LOADABLE) == ["halves"]
    assert chosen([halves], places_of(range(6)), worst=Fit.INTERLEAVED) is None
    assert chosen([], places_of(range(6))) is None
    assert chosen([trait("one", "xxxxxx")], places_of(range(6))) is None


def test_a_trait_that_differs_on_most_slices_parts_none() -> None:
    pairs = trait("pairs", ["1", "1", "2", "2", "3", "3"])
    assert chosen([pairs], places_of(range(6))) == ["pairs"]
    assert chosen([trait("more", ["1", "1", "2", "3", "4", "4"])], places_of(range(6))) is None


def test_two_traits_part_what_none_does_alone_where_as_many_volumes_are_wanted() -> None:
    positions = [0, 1, 2] * 4
    kernel, pass_ = trait("kernel", "aaabbbaaabbb"), trait("pass", "xxxxxxyyyyyy")
    assert chosen([kernel, pass_], places_of(positions)) == ["kernel", "pass"]
    # Three volumes at the fullest position, and two of the four groups lie elsewhere.
    elsewhere = [0, 1, 2, 0, 1, 2, 0, 1, 2, 5, 6, 7]
    assert chosen([kernel, pass_], places_of(elsewhere)) is None


def test_three_traits_part_what_two_do_not() -> None:
    positions = [0, 1] * 8
    codes = [f"{number:03b}" for number in range(8) for _ in range(2)]
    traits = [trait(name, [code[place] for code in codes]) for place, name in enumerate("abc")]
    assert chosen(traits, places_of(positions)) == ["a", "b", "c"]
    codes = [f"{number:04b}" for number in range(16) for _ in range(2)]
    traits = [trait(name, [code[place] for code in codes]) for place, name in enumerate("abcd")]
    assert chosen(traits, places_of([0, 1] * 16)) is None


def test_groups_are_numbered_in_the_order_of_their_values() -> None:
    assert grouped([trait("a", ["10", "9", "10", "9"])]).tolist() == [1, 0, 1, 0]
    both = grouped([trait("a", "yyxx"), trait("b", "pqpq")])
    assert both.tolist() == [2, 3, 0, 1]


def ranked(values: Sequence[str], positions: Sequence[float], *, in_step: bool = False) -> list[int] | None:
    found = by_rank(trait("time", values), places_of(positions), in_step=in_step)
    return None if found is None else found.groups.tolist()


def test_values_that_rise_part_one_pass_from_the_next() -> None:
    assert ranked(["1", "2", "3", "4", "5", "6"], TWICE) == [0, 0, 0, 1, 1, 1]
    assert ranked(["6", "5", "4", "3", "2", "1"], TWICE) == [1, 1, 1, 0, 0, 0]
    assert (
        ranked(["10:00:00", "10:00:01", "10:00:02", "10:00:03", "10:00:04", "10:00:10.5"], TWICE) is not None
    )
    assert ranked(["1", "2", "10", "11", "12", "13"], TWICE) == [0, 0, 0, 1, 1, 1]  # by size, not by letters


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3", "3", "4", "5"],  # a value of one pass is in the next
        ["1", "2", "4", "3", "5", "6"],
        ["1", "2", "three", "4", "5", "6"],
        ["", "2", "3", "4", "5", "6"],
    ],
)
def test_values_of_which_one_is_in_the_next_pass_part_nothing(values: list[str]) -> None:
    assert ranked(values, TWICE) is None


def test_passes_are_told_by_rank_only_where_each_has_every_position() -> None:
    assert ranked(["1", "2", "3", "4", "5"], [0, 1, 2, 0, 1]) is None
    assert ranked(["1", "2", "3"], [0, 1, 2]) is None
    assert ranked(["1", "2", "3", "4"], [0, 1, 0, 1]) == [0, 0, 1, 1]


def test_in_step_every_pass_goes_as_the_first_does_or_back() -> None:
    numbers = ["1", "2", "3", "4", "5", "6"]
    assert ranked(numbers, [0, 1, 2, 0, 1, 2], in_step=True) == [0, 0, 0, 1, 1, 1]
    assert ranked(numbers, [0, 1, 2, 2, 1, 0], in_step=True) == [0, 0, 0, 1, 1, 1]
    assert ranked(numbers, [0, 1, 2, 1, 2, 0], in_step=True) is None
    assert ranked(numbers, [0, 1, 2, 1, 2, 0]) == [0, 0, 0, 1, 1, 1]


def test_a_pass_that_is_no_volume_is_none_by_rank() -> None:
    assert ranked(["1", "2", "3", "4", "5", "6"], [0, 1, 2.3, 0, 1, 2.3]) is None
    assert ranked(["1", "2", "3", "4", "5", "6"], [0, 1, 3, 0, 1, 3]) is None  # with a gap: not an equal one


VERDICTS = {
    Verdict.REGULAR: [0, 1, 2, 3],
    Verdict.GAPS: [0, 1, 3, 4],
    Verdict.IRREGULAR: [0, 1, 2.3, 3],
    Verdict.NOT_A_VOLUME: [1, 1, 1],
}


def phase_of(verdict: Verdict) -> Phase:
    if verdict is Verdict.SHEARED:
        stack = assess([[0, 0.3 * z, z] for z in range(4)], AXIAL, (0.7, 0.7))
    else:
        stack = assess([[0, 0, z] for z in VERDICTS[verdict]], AXIAL, (0.7, 0.7))  # type: ignore[attr-defined]
    assert stack.verdict is verdict
    return Phase((), (), stack)


def test_a_series_is_as_good_as_the_worst_of_its_volumes() -> None:
    severity = [Verdict.REGULAR, Verdict.SHEARED, Verdict.GAPS, Verdict.IRREGULAR, Verdict.NOT_A_VOLUME]
    phases = [phase_of(verdict) for verdict in severity]
    for better, one in enumerate(phases):
        for worse, other in enumerate(phases):
            worst = severity[max(better, worse)]
            assert Separation((one, other)).worst.verdict is worst
            assert Separation((one, other, phases[0])).worst.verdict is worst
