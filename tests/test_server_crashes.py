"""Death at every step of what changes an archive; afterwards what was promised holds."""

from __future__ import annotations

import pytest

from server_promises import World, deleting, storing
from server_steps import Fault
from server_support import instances, version

FIRST = instances(slices=2, rows=8, columns=8)
OTHERS = instances(slices=2, rows=8, columns=8, series_number=2)


SCENARIOS = {
    "store": ([storing(OTHERS[0])], [storing(*FIRST)]),
    "repeat": ([storing(*FIRST)], [storing(*FIRST)]),
    "replace": ([storing(*FIRST, *OTHERS)], [storing(*(version(content, 1) for content in FIRST))]),
    "replace twice": (
        [storing(*FIRST, *OTHERS)],
        [storing(version(FIRST[0], 1)), storing(version(FIRST[0], 2), OTHERS[0])],
    ),
    "delete": (
        [storing(*FIRST, *OTHERS)],
        [deleting(FIRST[0]), deleting(OTHERS[0], "series", of=OTHERS[1:])],
    ),
}


def crashed(world, before, operations):
    """Die at each step; what does not hold afterwards, by step."""
    earlier = [world.run(before)]
    found = {}
    with world.kept() as back:
        whole = world.run(operations)
        assert whole.is_whole, whole.said
        back()
        for number in range(len(whole.steps)):
            run = world.run(operations, Fault(number))
            if wrong := world.problems(run, earlier):
                found[f"{number} {whole.steps[number]}"] = wrong
            back()
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_death_at_any_step_breaks_no_promise(tmp_path, scenario):
    before, operations = SCENARIOS[scenario]
    found = crashed(World(tmp_path / "world", {"replace": True, "deletes": True}), before, operations)
    assert not found, found
