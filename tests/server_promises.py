"""What an archive promised, while operations ran on it, and whether it holds once it is opened again.

A `World` is an archive with what lies beside it; an operation changes it and promises something when it is done. Each
runs in a child of this process, so that it can die there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isal import isal_zlib

from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import HounsfieldError
from hounsfield.instance import BytesSource
from hounsfield.server import deployment as deployments
from hounsfield.server.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.index import Index
from hounsfield.server.intake import Intake
from server_steps import Fault, Steps
from server_support import STOW, body, path_of, uids

ALL = Resource("")
DIED = 9


@dataclass(frozen=True)
class Operation:
    """`run` does it on an open archive and says what became of each instance; `offers` what may be there from its
    beginning on: contents by SOP Instance UID, None for nothing. `stored`: offers were sent to be stored."""

    name: str
    run: Callable[[Deployment, Archive], Any]
    offers: dict[str, bytes | None] = field(default_factory=dict)


def storing(*contents: bytes) -> Operation:
    """A store request."""

    def run(_: Deployment, archive: Archive) -> dict[str, bool]:
        intake = Intake(archive, MediaType.parse(STOW))
        try:
            intake.feed([body(contents)])
            result = intake.finish()
        except BaseException:
            intake.abandon()
            raise
        return {each.sop_instance: each.kept for each in result.instances}

    return Operation("store", run, {uids(content)[2]: content for content in contents})


def deleting(content: bytes, level: str = "instance", *, of: Sequence[bytes] = ()) -> Operation:
    """The removal of an instance, or of what is above it, which holds it and `of`."""
    parts = path_of(content, level).split("/")[2::2]

    def run(_: Deployment, archive: Archive) -> None:
        archive.remove(Resource("", *parts))

    return Operation("delete", run, {uids(each)[2]: None for each in (content, *of)})


def repairing() -> Operation:
    return Operation("repair", lambda _, archive: archive.repair())


def reindexing() -> Operation:
    return Operation("reindex", lambda _, archive: archive.reindex())


def adopting(folder: Path, *contents: bytes) -> Operation:
    """`--import` of a folder."""

    def run(deployment: Deployment, archive: Archive) -> None:
        adopted = deployment.adopted(archive)
        adopted.add([folder])
        adopted.look(settled=True)

    return Operation("import", run, {uids(content)[2]: content for content in contents})


def watching(**changed: bytes | None) -> Operation:
    """A look into the folders that are watched, in which their owner changed what the offers say."""

    def run(deployment: Deployment, archive: Archive) -> None:
        deployment.adopted(archive).look(settled=True)

    return Operation("watch", run, dict(changed))


@dataclass
class World:
    """An archive in `root`/archive; what its owner keeps is in `root`/owner. `options` are a `Deployment`'s."""

    root: Path
    options: dict[str, Any] = field(default_factory=dict)
    reset: Callable[[], None] = lambda: None
    """Bring what is not in `root` to its state before."""
    surrounded: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext

    @property
    def folder(self) -> Path:
        return self.root / "archive"

    @property
    def owner(self) -> Path:
        return self.root / "owner"

    def deployment(self) -> Deployment:
        return Deployment(str(self.folder), **self.options)

    def run(self, operations: Sequence[Operation], fault: Fault | None = None) -> Run:
        """Do `operations` in a child; what it said until it died, and the steps that it took."""
        said = _in_child(lambda say: self._operate(operations, fault, say))
        return Run(operations, said)

    def _operate(
        self, operations: Sequence[Operation], fault: Fault | None, say: Callable[[Any], None]
    ) -> None:
        deployments.STALE_SECONDS = 0.0  # there is no other server
        with self.surrounded():
            deployment = self.deployment()
            archive = deployment.open(first=True)
            steps = Steps(fault)
            with steps.installed():
                for number, operation in enumerate(operations):
                    say(["begin", number])
                    try:
                        result = operation.run(deployment, archive)
                    except HounsfieldError as error:
                        say(["failed", number, error.found])
                        steps.heal()
                        continue
                    say(["done", number, result])
            say(["steps", steps.names])
            say(
                [
                    "problems",
                    problems(archive, Run(operations, []), running=True) if fault and fault.error else [],
                ]
            )
            deployment.close(archive)

    def problems(self, run: Run, before: Sequence[Run] = ()) -> list[str]:
        """What is not as it was promised, in an archive that is opened anew."""

        def look(say: Callable[[Any], None]) -> None:
            deployments.STALE_SECONDS = 0.0
            with self.surrounded():
                deployment = self.deployment()
                archive = deployment.open(first=True)
                say(problems(archive, *before, run))
                deployment.close(archive)

        said = _in_child(look)
        return said[-1] if said and isinstance(said[-1], list) else [f"it cannot be opened: {said}"]

    @contextlib.contextmanager
    def kept(self) -> Iterator[Callable[[], None]]:
        """Gives what brings the world back to what it is now."""
        copy = self.root.with_name(self.root.name + ".copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.root, copy)

        def back() -> None:
            shutil.rmtree(self.root)
            shutil.copytree(copy, self.root)
            self.reset()

        try:
            yield back
        finally:
            shutil.rmtree(copy, ignore_errors=True)


@dataclass
class Run:
    """Operations, and what was said while they ran."""

    operations: Sequence[Operation]
    said: list[Any]

    @property
    def steps(self) -> list[str]:
        return next((line[1] for line in self.said if line[0] == "steps"), [])

    @property
    def is_whole(self) -> bool:
        return bool(self.steps)

    def allow(self, allowed: dict[str, set[bytes | None]]) -> None:
        """What may be there now, by SOP Instance UID, after what was there before."""
        for line in self.said:
            if line[0] not in {"begin", "done"}:
                continue
            operation = self.operations[line[1]]
            results = line[2] if line[0] == "done" else None
            for uid, content in operation.offers.items():
                if line[0] == "begin":
                    allowed.setdefault(uid, {None}).add(content)
                elif not isinstance(results, dict) or results.get(uid):
                    allowed[uid] = {content}
                elif len(allowed[uid]) > 1:  # refused
                    allowed[uid].discard(content)


def problems(archive: Archive, *runs: Run, running: bool = False) -> list[str]:
    """What is not as it was promised in `runs`."""
    allowed: dict[str, set[bytes | None]] = {}
    for run in runs:
        run.allow(allowed)
    found: list[str] = []
    there: dict[str, bytes] = {}
    for entry, text in archive.headers(ALL):
        with archive.store.source(entry.key).open() as stream:
            content = stream.read()
        there[entry.instance] = content
        record = archive.record(BytesSource("x", content), size=len(content), key=entry.key)
        if entry.size != len(content) or bytes(isal_zlib.decompress(record.header)) != text:
            found.append(f"{entry.instance}: metadata of one version, pixels of another")
    if running:
        return found
    for uid, contents in allowed.items():
        content = there.get(uid)
        if content not in contents:
            what = "gone" if content is None else "of a version that nobody may see any more"
            found.append(f"{uid}: {what}, of {len(contents)} that it may be")
    found += [f"{uid}: nobody stored it" for uid in there if uid not in allowed]
    return found + disagreements(archive)


def disagreements(archive: Archive) -> list[str]:
    """Where the index, the store and its leftovers do not agree, and what an index made anew would say otherwise."""
    found: list[str] = []
    keys = {entry.key for entry in archive.entries(ALL) if archive.store.owns(entry.key)}
    stored = set(archive.store.walk())
    if keys != stored:
        found.append(f"index and store differ: {sorted(keys ^ stored)}")
    totals = archive.index.totals()
    entries = archive.entries(ALL)
    if totals != (
        len({entry.study for entry in entries}),
        len({(entry.study, entry.series) for entry in entries}),
        len(entries),
    ):
        found.append(f"counts {totals} of {len(entries)} instances")
    keys_anew = _keys_of_an_index_made_anew(archive)
    if keys_anew != {(entry.instance, entry.key) for entry in entries if archive.store.owns(entry.key)}:
        found.append("an index made anew of the stored files would say otherwise")
    if left := list(archive.store.leftovers(0.0)):
        found.append(f"{len(left)} left behind on the way in")
    return found


def _keys_of_an_index_made_anew(archive: Archive) -> set[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        index = Index(f"sqlite:///{folder}/index.sqlite")
        index.prepare()
        archive.reindex(index)
        found = {(entry.instance, entry.key) for entry in index.entries(ALL)}
        index.close()
    return found


def _in_child(work: Callable[[Callable[[Any], None]], None]) -> list[Any]:
    """What `work` says, in lines, in a child of this process that may die."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write = os.write

        def say(line: Any) -> None:
            write(writer, json.dumps(line).encode() + b"\n")

        status = 1
        try:
            work(say)
            status = 0
        except BaseException as error:  # noqa: BLE001 (whatever it is, it belongs into the report)
            say(["broken", f"{type(error).__name__}: {error}", traceback.format_exc()])
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = [json.loads(line) for line in stream]
    os.waitpid(child, 0)
    return lines
