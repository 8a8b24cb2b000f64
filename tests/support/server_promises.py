"""What an archive promised, while operations ran on it, and whether it holds once it is opened again.

A `World` is an archive with what lies beside it; an operation changes it and promises something when it is done. Each
runs in a child of this process, so that it can die there.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isal import isal_zlib
from server_power import Event, Recorder
from server_steps import Fault, Steps
from server_support import STOW, body, path_of, uids

from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DamagedError, HounsfieldError, LocationError
from hounsfield.server import deployment as deployments
from hounsfield.server.archive import lock
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index import Index
from hounsfield.server.archive.reindexing import fill
from hounsfield.server.deployment import Deployment
from hounsfield.server.ingest.upload import Upload
from hounsfield.server.ingest.watched_folders import WatchedFolders

ALL = Resource("")
DIED = 9


@dataclass(frozen=True)
class Operation:
    """`run` does it on an open archive and says what became of each instance.

    `offers`: what may be there from its beginning on, and is there from its end on unless it was refused: contents
    by SOP Instance UID, None for nothing. Not `certain`: from its end on, too, it may be so or as it was.
    """

    name: str
    run: Callable[[Deployment, Archive], Any]
    offers: dict[str, bytes | None] = field(default_factory=dict)
    certain: bool = True


def storing(*contents: bytes) -> Operation:
    """A store request."""

    def run(_: Deployment, archive: Archive) -> dict[str, bool]:
        upload = Upload(archive, MediaType.parse(STOW))
        try:
            upload.feed([body(contents)])
            result = upload.finish()
        except BaseException:
            upload.abandon()
            raise
        return {each.sop_instance: each.kept for each in result.instances}

    return Operation("store", run, {uids(content)[2]: content for content in contents})


def deleting(content: bytes, level: str = "instance", *, of: Sequence[bytes] = ()) -> Operation:
    """The removal of an instance, or of what is above it, which holds it and `of`."""
    parts = path_of(content, level).split("/")[2::2]

    def run(_: Deployment, archive: Archive) -> None:
        archive.remove(Resource("", *parts))  # type: ignore[arg-type]

    return Operation("delete", run, {uids(each)[2]: None for each in (content, *of)})


def reindexing(found: Mapping[str, bytes] | None = None) -> Operation:
    """An index made anew, which finds what the one before had lost."""
    return Operation("reindex", lambda _, archive: archive.reindex() and None, dict(found or {}))


def adopting(folder: Path, *contents: bytes) -> Operation:
    """`--import` of a folder."""

    def run(deployment: Deployment, archive: Archive) -> None:
        adopted = deployment.watched(archive)
        adopted.add([folder])
        adopted.look(settled=True)

    return Operation("import", run, {uids(content)[2]: content for content in contents})


def watching(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> Operation:
    """A look into folders in which their owner had files of `before`, by SOP Instance UID, and has those of `now`."""

    def run(deployment: Deployment, archive: Archive) -> None:
        deployment.watched(archive).look(settled=True)

    return Operation("watch", run, {uid: now.get(uid) for uid in (*before, *now)})


def changing(folder: Path, files: Mapping[str, bytes | None]) -> Operation:
    """What the owner of a folder does to its files: others, or none any more."""

    def run(_: Deployment, __: Archive) -> None:
        for name, content in files.items():
            path = folder / name
            path.unlink(missing_ok=True)
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    return Operation("change", run)


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
        """Do `operations` in a child; what it said until it died, and the steps that it took.

        Of no operations, the steps are those of a start.
        """
        said = _in_child(lambda say: self._operate(operations, fault, say))
        return Run(operations, said)

    def _operate(
        self, operations: Sequence[Operation], fault: Fault | None, say: Callable[[Any], None]
    ) -> None:
        deployments.STALE_SECONDS = 0.0  # there is no other server
        with self.surrounded(), contextlib.ExitStack() as stack:
            deployment, steps = self.deployment(), Steps(fault)
            if not operations:
                stack.enter_context(steps.installed())
            archive = self._opened(deployment, steps)

            def attempt(number: int) -> str:
                """Why it failed; "" where it did not."""
                say(["begin", number])
                try:
                    result = operations[number].run(deployment, archive)
                except HounsfieldError as error:
                    say(["failed", number, str(error)])
                    return str(error)
                say(["done", number, result])
                return ""

            with steps.installed() if operations else contextlib.nullcontext():
                failed = [number for number in range(len(operations)) if attempt(number)]
            if fault is not None:
                # Nothing has to be started anew: what failed can be done now, and nothing was mixed up.
                found = problems(archive, running=True) if failed else []
                steps.heal()
                again = ((operations[number].name, attempt(number)) for number in failed)
                found += [f"{name} fails again: {why}" for name, why in again if why]
                say(["wrong", found])
            say(["steps", steps.names])
            deployment.close(archive)

    def record(self, operations: Sequence[Operation]) -> list[Event]:
        """What happened below `root` while `operations` were done; of no operations, while it was opened."""
        with tempfile.NamedTemporaryFile() as file:

            def work(_: Callable[[Any], None]) -> None:
                deployments.STALE_SECONDS = 0.0
                recorder = Recorder(self.root)
                with recorder.installed():
                    deployment = self.deployment()
                    archive = deployment.open(first=True)
                    for number, operation in enumerate(operations):
                        recorder.say(["begin", number])
                        recorder.say(["done", number, operation.run(deployment, archive)])
                    events = list(recorder.events)
                    deployment.close(archive)
                Path(file.name).write_bytes(pickle.dumps(events))

            said = _in_child(work)
            assert not said, said
            return list(pickle.loads(Path(file.name).read_bytes()))

    def _opened(self, deployment: Deployment, steps: Steps) -> Archive:
        """The archive; where that failed, once the fault is over."""
        try:
            return deployment.open(first=True)
        except HounsfieldError:
            steps.heal()
            lock.release(deployment.lock)
            return deployment.open(first=True)

    def problems(self, run: Run, before: Sequence[Run] = (), *, powerless: bool = False) -> list[str]:
        """What was not as it was promised, or is not in an archive that is opened anew.

        `powerless`: after a power failure, which may leave files of which no index ever hears.
        """

        def look(say: Callable[[Any], None]) -> None:
            deployments.STALE_SECONDS = 0.0
            with self.surrounded():
                deployment = self.deployment()
                archive = deployment.open(first=True)
                found = problems(archive, *before, run, powerless=powerless)
                adopted = deployment.watched(archive)
                if adopted.folders():
                    adopted.look(settled=True)
                    found += _differences_from(adopted.folders(), archive)
                found += _forgotten(adopted, (*before, run))
                say(found)
                deployment.close(archive)

        said = _in_child(look)
        found = said[-1] if said and isinstance(said[-1], list) else [f"it cannot be opened: {said}"]
        return [*run.wrong, *found]

    @contextlib.contextmanager
    def kept(self) -> Iterator[Callable[[], None]]:
        """Gives what brings the world back to what it is now."""
        copy = self.root.with_name(self.root.name + ".copy")
        shutil.rmtree(copy, ignore_errors=True)
        _copy(self.root, copy)

        def back() -> None:
            shutil.rmtree(self.root)
            _copy(copy, self.root)
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

    @property
    def wrong(self) -> list[str]:
        """What did not go well while it ran."""
        said = [line for line in self.said if line[0] in {"wrong", "broken"}]
        return [str(each) for line in said for each in (line[1] if line[0] == "wrong" else line[1:])]

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
                elif not operation.certain:
                    continue
                elif not isinstance(results, dict) or results.get(uid):
                    allowed[uid] = {content}
                elif len(allowed[uid]) > 1:  # refused
                    allowed[uid].discard(content)


def problems(archive: Archive, *runs: Run, running: bool = False, powerless: bool = False) -> list[str]:
    """What is not as it was promised in `runs`."""
    allowed: dict[str, set[bytes | None]] = {}
    for run in runs:
        run.allow(allowed)
    found: list[str] = []
    there: dict[str, bytes | None] = {}
    for entry, text in archive.headers(ALL):
        try:
            with archive.source(entry).open() as stream:
                content = stream.read()
        except DamagedError as error:
            found.append(f"{entry.instance}: {error.found}")
            continue
        except LocationError as error:
            there[entry.instance] = None
            if archive.store.owns(entry.key):
                found.append(f"{entry.instance}: {error.found}")
            continue
        there[entry.instance] = content
        record = archive.record(BytesSource("x", content), size=len(content), key=entry.key)
        if entry.size != len(content) or bytes(isal_zlib.decompress(record.header)) != text:
            found.append(f"{entry.instance}: metadata of one version, pixels of another")
    if running:
        return found
    for uid, contents in allowed.items():
        content = there.get(uid)  # type: ignore[assignment]
        # A file whose owner changed it is in the index, and not served before it is read again.
        if content not in contents and not (uid in there and content is None):
            what = "gone" if content is None else "of a version that nobody may see any more"
            found.append(f"{uid}: {what}, of {len(contents)} that it may be")
    found += [f"{uid}: nobody stored it" for uid in there if uid not in allowed]
    return found + _miscounts(archive) + (_orphans(archive, allowed) if powerless else disagreements(archive))


def _miscounts(archive: Archive) -> list[str]:
    """Where the index does not agree with itself: its counts, and what is found by UIDs."""
    entries, totals = archive.entries(ALL), archive.index.totals()
    series = {(entry.study, entry.series) for entry in entries}
    found: list[str] = []
    if totals != (len({study for study, _ in series}), len(series), len(entries)):
        found.append(f"counts {totals} of {len(entries)} instances")
    for entry in entries:
        if archive.entries(Resource("", entry.study, entry.series, entry.instance)) != [entry]:
            found.append(f"{entry.instance}: is not found by its UIDs")
    return found


def _orphans(archive: Archive, allowed: Mapping[str, set[bytes | None]]) -> list[str]:
    """What an index made anew of the stored files would bring back, and may not."""
    found: list[str] = []
    with _made_anew(archive) as index:
        for entry in index.entries(ALL):
            with archive.store.source(entry.key).open() as stream:
                if stream.read() not in allowed[entry.instance]:
                    found.append(
                        f"{entry.instance}: an index made anew would bring back what may not be there"
                    )
        keys = {entry.key for entry in archive.entries(ALL) if archive.store.owns(entry.key)}
        if gone := keys.difference(archive.store.walk()):
            found.append(f"indexed, and not there: {sorted(gone)}")
    return found


def _forgotten(adopted: WatchedFolders, runs: Sequence[Run]) -> list[str]:
    """Folders that were imported, and are not remembered."""
    imported = any(
        line[0] == "done" and run.operations[line[1]].name == "import" for run in runs for line in run.said
    )
    return ["the folder that was imported is forgotten"] if imported and not adopted.folders() else []


def _differences_from(folders: Sequence[Path], archive: Archive) -> list[str]:
    """Where the index does not say what is in the folders that are indexed in place."""
    files = {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*.dcm")}
    indexed = {}
    for entry in archive.entries(ALL):
        if not archive.store.owns(entry.key):
            with archive.source(entry).open() as stream:
                indexed[entry.key] = stream.read()
    return [] if indexed == files else [f"folders and index differ: {sorted(files.keys() ^ indexed.keys())}"]


def disagreements(archive: Archive) -> list[str]:
    """Where the index, the store and its leftovers do not agree, and what an index made anew would say otherwise."""
    found: list[str] = []
    keys = {entry.key for entry in archive.entries(ALL) if archive.store.owns(entry.key)}
    stored = set(archive.store.walk())
    if keys != stored:
        found.append(f"index and store differ: {sorted(keys ^ stored)}")
    entries = archive.entries(ALL)
    keys_anew = _keys_of_an_index_made_anew(archive)
    if keys_anew != {(entry.instance, entry.key) for entry in entries if archive.store.owns(entry.key)}:
        found.append("an index made anew of the stored files would say otherwise")
    if left := list(archive.store.leftovers(0.0)):
        found.append(f"{len(left)} left behind on the way in")
    return found


def _copy(folder: Path, to: Path) -> None:
    """Copy a folder; two names of one file are two names of its copy."""
    made: dict[int, str] = {}

    def copy(source: str, target: str) -> None:
        number = Path(source).stat().st_ino
        if number in made:
            os.link(made[number], target)
        else:
            made[number] = shutil.copy2(source, target)

    shutil.copytree(folder, to, copy_function=copy)


@contextlib.contextmanager
def _made_anew(archive: Archive) -> Iterator[Index]:
    """An index made of the stored files alone."""
    with tempfile.TemporaryDirectory() as folder:
        index = Index(f"sqlite:///{folder}/index.sqlite")
        index.prepare()
        fill(archive, index)
        yield index
        index.close()


def _keys_of_an_index_made_anew(archive: Archive) -> set[tuple[str, str]]:
    with _made_anew(archive) as index:
        return {(entry.instance, entry.key) for entry in index.entries(ALL)}


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
