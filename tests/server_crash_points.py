"""What archives go through, one scenario after the other, with a fault at each step; run as a program.

A process of its own: what it forks must not inherit threads. `broken` runs it and gives what did not hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from server_promises import Operation, World, deleting, storing
from server_steps import Fault
from server_support import instances, version

FIRST = instances(slices=2, rows=8, columns=8)
OTHERS = instances(slices=2, rows=8, columns=8, series_number=2)

SCENARIOS: dict[str, tuple[Sequence[Operation], Sequence[Operation]]] = {
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
"""What was done before, and what is done while something fails."""


def broken(scenario: str, **options: Any) -> dict[str, list[str]]:
    """What did not hold in a scenario after a fault, by the step at which it was."""
    run = subprocess.run(
        [sys.executable, __file__, json.dumps({"scenario": scenario, **options})],
        stdout=subprocess.PIPE, text=True, timeout=3000, check=True,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert found["steps"] > 10  # else nothing was tried
    return dict(found["broken"])


def fast_folder() -> str | None:
    """Where files are in memory, if there is such a place: no process that dies needs a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def crashed(
    world: World, before: Sequence[Operation], operations: Sequence[Operation]
) -> Iterator[tuple[str, list[str]]]:
    """Die at each step; (step, what does not hold afterwards)."""
    earlier = [world.run(before)]
    with world.kept() as back:
        whole = world.run(operations)
        assert whole.is_whole, whole.said
        for number, name in enumerate(whole.steps):
            back()
            run = world.run(operations, Fault(number))
            yield f"{number} {name}", world.problems(run, earlier)


def main(told: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        world = World(Path(folder) / "world", {"replace": True, "deletes": True})
        tried = list(crashed(world, *SCENARIOS[told["scenario"]]))
    print(json.dumps({"steps": len(tried), "broken": {step: wrong for step, wrong in tried if wrong}}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
