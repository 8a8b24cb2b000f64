"""What archives go through, one scenario after the other, with a fault at each step; run as a program.

A process of its own: what it forks must not inherit threads. `broken` runs it and gives what did not hold.
"""

from __future__ import annotations

import contextlib
import errno
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore.store
from server_power import Disk, Event, State, write
from server_promises import (
    Operation,
    Run,
    World,
    adopting,
    changing,
    deleting,
    reindexing,
    storing,
    watching,
)
from server_steps import Fault
from server_support import instances, uids, version

from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.store.versions import following, key_of
from hounsfield.server.deployment import Deployment

FIRST = instances(slices=2, rows=8, columns=8)
OTHERS = instances(slices=2, rows=8, columns=8, series_number=2)

SCENARIOS = ("store", "repeat", "replace", "replace twice", "delete", "reindex", "start", "import", "watch")


def operations(scenario: str, world: World) -> tuple[Sequence[Operation], Sequence[Operation]]:
    """What was done before, and what is done while something fails."""
    by_uid = {uids(content)[2]: content for content in (*FIRST, *OTHERS)}
    kept, changed, gone = list(by_uid)[:3]
    files = {"a/1.dcm": by_uid[kept], "a/2.dcm": by_uid[changed], "b/3.dcm": by_uid[gone]}
    changes = {"a/2.dcm": version(by_uid[changed], 1), "b/3.dcm": None, "b/4.dcm": OTHERS[1]}
    before = {kept: by_uid[kept], changed: by_uid[changed], gone: by_uid[gone]}
    now = {kept: by_uid[kept], changed: version(by_uid[changed], 1), uids(OTHERS[1])[2]: OTHERS[1]}
    imported = [changing(world.owner, files), adopting(world.owner, *before.values())]
    return {
        "first store": ([], [storing(*FIRST)]),
        "first import": ([], [changing(world.owner, files), adopting(world.owner, *before.values())]),
        "store and reindex": (
            [storing(*FIRST), losing(FIRST[0])],
            [storing(OTHERS[0]), reindexing({uids(FIRST[0])[2]: FIRST[0]})],
        ),
        "damaged": (
            [storing(*FIRST), losing(FIRST[0]), keeping_log(world)],
            [reindexing({uids(FIRST[0])[2]: FIRST[0]})],
        ),
        "store and import": (
            [],
            [changing(world.owner, files), storing(OTHERS[1]), adopting(world.owner, *before.values())],
        ),
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
        "reindex": ([storing(*FIRST, *OTHERS), storing(version(FIRST[0], 1))], [reindexing()]),
        "start": (
            [
                storing(*FIRST, *OTHERS),
                storing(version(FIRST[0], 1)),
                left_behind(version(FIRST[1], 1), OTHERS[0]),
            ],
            [],
        ),
        "import": (
            [changing(world.owner, files), storing(OTHERS[1])],
            [adopting(world.owner, *before.values())],
        ),
        "watch": ([*imported, changing(world.owner, changes)], [watching(before, now)]),
    }[scenario]


def left_behind(published: bytes, removed: bytes) -> Operation:
    """What processes that died left: a version of which no index heard, and a removal that only the index did."""

    def run(_: Deployment, archive: Archive) -> None:
        arrival = archive.store.arrival()
        arrival.write([published])
        arrival.sync()
        record = archive.record(arrival.source, size=arrival.size)
        key = following(record.key, record.study, record.series, record.instance)
        archive.index.expect([key] if archive.store.forgets else [])
        assert arrival.publish(key) == "stored"
        archive.index.remove(Resource("", *uids(removed)))

    return Operation("leave behind", run, {uids(published)[2]: published, uids(removed)[2]: None})


def losing(content: bytes) -> Operation:
    """An index that lost an instance, whose file is there."""

    def run(_: Deployment, archive: Archive) -> None:
        archive.index.forget_keys([key_of(*uids(content))])

    return Operation("lose", run, {uids(content)[2]: None}, certain=False)


def keeping_log(world: World) -> Operation:
    """Keep the index's log, for `spoil`."""

    def run(_: Deployment, archive: Archive) -> None:
        assert archive.index.file is not None
        log = archive.index.file.with_name(archive.index.file.name + "-wal")
        (world.root / "log").write_bytes(log.read_bytes())

    return Operation("keep log", run)


def spoil(world: World) -> None:
    """Leave a damaged index, and the log that its process left when it died."""
    file = world.folder / ".hounsfield" / "index.sqlite"
    file.write_bytes(b"no database" * 1000)
    shutil.copy(world.root / "log", f"{file}-wal")


FAULTS: dict[str, Callable[[int], Fault]] = {
    "death": Fault,
    "EIO": lambda number: Fault(number, error=errno.EIO),
    "ENOSPC": lambda number: Fault(number, error=errno.ENOSPC, lasting=True),
    "short": lambda number: Fault(number, short=True),
    "short, then ENOSPC": lambda number: Fault(number, error=errno.ENOSPC, short=True, lasting=True),
}
WRITES = {"write", "writev"}
"""Steps that may be done by half."""


POWER = (
    "first store",
    "first import",
    "store",
    "store and import",
    "replace",
    "delete",
    "store and reindex",
    "damaged",
    "start",
)
"""Scenarios in which the power fails."""


def broken(*scenarios: str, fault: str, store: str = "folder", limit: int = 0) -> dict[str, list[str]]:
    """What did not hold in scenarios after a fault, by the step at which it was; of a power failure, `limit` ways."""
    found = _run({"scenarios": scenarios, "fault": fault, "store": store, "limit": limit})
    assert min(found["tried"].values()) > 0, found["tried"]
    return dict(found["broken"])


def objections(*scenarios: str) -> dict[str, str | None]:
    """For each sync in the code, what did not hold without it; None where all did in all these scenarios."""
    return dict(_run({"scenarios": scenarios, "fault": "no sync", "store": "folder", "limit": 15}))


def _run(told: dict[str, Any]) -> Any:
    command = [sys.executable, __file__, json.dumps(told)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=3000, check=True)
    return json.loads(run.stdout)


def fast_folder() -> str | None:
    """Where files are in memory, if there is such a place: no process that dies needs a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def tried(world: World, scenario: str, fault: str) -> Iterator[tuple[str, list[str]]]:
    """Have the fault at each step; (step, what did not hold)."""
    before, during = operations(scenario, world)
    earlier = [world.run(before)]
    assert earlier[0].is_whole, earlier[0].said
    with world.kept() as back:
        whole = world.run(during)
        assert whole.is_whole, whole.said
        for number, name in enumerate(whole.steps):
            if fault.startswith("short") and name not in WRITES:
                continue
            back()
            run = world.run(during, FAULTS[fault](number))
            yield f"{number} {name}", world.problems(run, earlier)


def power_failed(
    trace: Trace, limit: int, without: frozenset[str] = frozenset()
) -> Iterator[tuple[str, list[str]]]:
    """Have the power fail in `limit` ways at most, those after the last answer first; (when, what did not hold).

    `without`: syncs that are left out.
    """
    dice = random.Random(1)
    states: list[tuple[str, list[Any], State]] = []
    disk, said = trace.disk(without), list[Any]()
    seen: set[int] = set()
    for number, event in enumerate(trace.events):
        disk.take(event)
        if event.line is not None:
            said.append(event.line)
        for state in disk.states(dice):
            mark = hash((len(said), tuple(sorted(state.items()))))
            if mark not in seen:
                seen.add(mark)
                states.append((f"{number} {event.kind} {event.site}", list(said), state))
    last = [each for each in states if len(each[1]) == len(said)]
    others = [each for each in states if len(each[1]) < len(said)]
    dice.shuffle(others)
    for when, until, state in [*last, *others][:limit]:
        shutil.rmtree(trace.world.folder, ignore_errors=True)
        write(state)
        yield when, trace.world.problems(Run(trace.operations, until), trace.before, powerless=True)


@dataclass(frozen=True)
class Trace:
    """What happened to a world in a scenario."""

    world: World
    before: Sequence[Run]
    operations: Sequence[Operation]
    start: Disk
    events: Sequence[Event]

    @classmethod
    def of(cls, world: World, scenario: str) -> Trace:
        before, during = operations(scenario, world)
        world.root.mkdir(parents=True, exist_ok=True)
        earlier = [world.run(before)] if before else []
        if scenario == "damaged":
            spoil(world)
        start = Disk(world.root)
        start.remember()
        return cls(world, earlier, during, start, world.record(during))

    def disk(self, without: frozenset[str]) -> Disk:
        start = self.start
        return Disk(start.base, without, dict(start.names), dict(start.contents), [], dict(start.latest))

    @property
    def sites(self) -> list[str]:
        return sorted({event.site for event in self.events if event.site})


@contextlib.contextmanager
def _objects(folder: Path) -> Iterator[None]:
    """A folder in the place of a bucket: the same library, without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    real, put = obstore.store.from_url, obstore.put
    obstore.store.from_url = lambda url: obstore.store.LocalStore(folder)  # type: ignore[assignment]

    def put_without_attributes(*arguments: Any, attributes: object = None, **named: Any) -> Any:
        return put(*arguments, **named)  # a folder of the library's takes none, which a bucket does

    obstore.put = put_without_attributes
    try:
        yield
    finally:
        obstore.store.from_url, obstore.put = real, put


def without_syncs(scenarios: Sequence[str], limit: int) -> dict[str, str | None]:
    """See `objections`."""
    found: dict[str, str | None] = {}
    for scenario in scenarios:
        with world_of("folder") as world:
            trace = Trace.of(world, scenario)
            for site in trace.sites:
                if not found.get(site):
                    tried = power_failed(trace, limit, frozenset({site}))
                    found[site] = next((f"{scenario}: {wrong[0]}" for _, wrong in tried if wrong), None)
    return found


@contextlib.contextmanager
def world_of(store: str) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        world = World(Path(folder) / "world", {"replace": True, "deletes": True})
        if store == "objects":
            world.options["store"] = "s3://bucket/ct"
            world.surrounded = lambda: _objects(world.root / "bucket")
        yield world


def main(told: dict[str, Any]) -> Any:
    if told["fault"] == "no sync":
        return without_syncs(told["scenarios"], told["limit"])
    number: dict[str, int] = {}
    wrong: dict[str, list[str]] = {}
    for scenario in told["scenarios"]:
        with world_of(told["store"]) as world:
            if told["fault"] == "power":
                points = power_failed(Trace.of(world, scenario), told["limit"])
            else:
                points = tried(world, scenario, told["fault"])
            found = list(points)
        number[scenario] = len(found)
        wrong |= {f"{scenario}: {step}": problems for step, problems in found if problems}
    return {"tried": number, "broken": wrong}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
