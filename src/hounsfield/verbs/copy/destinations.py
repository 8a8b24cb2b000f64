"""Where the instances of a copy go: a folder as `study/series/instance.dcm`, a bucket in the same shape, a DICOMweb
server.

They say what they have already, so that a copy that was interrupted goes on where it stopped, and none lets a
file count that is not whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hounsfield.client import Client
from hounsfield.ct.instance import FileSource
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.store_results import StoredInstance
from hounsfield.errors import DicomwebError, HounsfieldError, LocationError
from hounsfield.locations import FolderSink
from hounsfield.locations.buckets import ObjectSource, objects, put_object
from hounsfield.locations.dicomweb import DicomwebLocation
from hounsfield.outputs import storing_below
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.verbs.copy.origins import Delivered, SeriesTask, ServerOrigin, written_uids
from hounsfield.verbs.copy.summary import Item, Status

_OUTCOMES: dict[str, Status] = {
    "stored": "moved",
    "warned": "moved",
    "refused": "refused",
    "unconfirmed": "failed",
}


class Destination(Protocol):
    """Where instances go. `batch` is how many bytes it wants at once, `compares` whether it looks at bytes itself."""

    @property
    def batch(self) -> int: ...

    @property
    def compares(self) -> bool: ...

    def present(self, task: SeriesTask) -> set[str]:
        """The SOP Instance UIDs of a series that are there, whole."""

    def holds(self, task: SeriesTask, uids: set[str], size: int) -> bool:
        """Whether all these are there still, as a ledger remembers them; told without reading them."""

    def size(self, task: SeriesTask, uids: set[str], items: Iterable[Item]) -> int:
        """Bytes of these there; of a server those that `items` say were moved."""

    def address(self, task: SeriesTask) -> str:
        """Where a series is, for the ledger."""

    def held(self, task: SeriesTask, uids: set[str], spool: Path) -> Iterator[Delivered | Item]:
        """These as they are there, to be compared."""

    def writing(self) -> AbstractContextManager[None]:
        """Be one of those who write there while the block runs; what killed ones left is removed first."""

    def spool(self, task: SeriesTask) -> Path:
        """A folder that exists, for files on their way."""

    def take(self, delivered: Sequence[Delivered]) -> Iterator[Item]:
        """Store these; one item each, whatever happens to them. Their own files are gone in the end."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FolderDestination:
    """`path/study/series/instance.dcm`; files from a server are renamed into place, never copied."""

    path: Path
    batch: int = 0
    compares: bool = True

    def present(self, task: SeriesTask) -> set[str]:
        folder = self._folder(task)
        found = set()
        for path in folder.glob("*.dcm") if folder.is_dir() else ():
            expected = (task.study, task.series, path.stem)
            with contextlib.suppress(HounsfieldError, OSError):
                # One that was cut (by a full disk, a power failure) is no instance: it is fetched again.
                if written_uids(FileSource(path)) == expected:
                    found.add(path.stem)
        return found

    def holds(self, task: SeriesTask, uids: set[str], size: int) -> bool:
        try:
            return self.size(task, uids, ()) == size
        except LocationError:
            return False

    def size(self, task: SeriesTask, uids: set[str], items: Iterable[Item]) -> int:
        folder = self._folder(task)
        try:
            return sum((folder / f"{uid}.dcm").stat().st_size for uid in uids)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise LocationError(f"cannot be read: {error.strerror}", where=str(folder)) from error

    def address(self, task: SeriesTask) -> str:
        return f"{task.study}/{task.series}"

    def held(self, task: SeriesTask, uids: set[str], spool: Path) -> Iterator[Delivered | Item]:
        for uid in uids:
            path = self._folder(task) / f"{uid}.dcm"
            if path.is_file():
                yield Delivered(task.study, task.series, uid, FileSource(path), path.stat().st_size)

    def writing(self) -> AbstractContextManager[None]:
        return storing_below(self.path)

    def spool(self, task: SeriesTask) -> Path:
        folder = self._folder(task)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocationError(f"cannot be made: {error.strerror}", where=str(folder)) from error
        return folder

    def take(self, delivered: Sequence[Delivered]) -> Iterator[Item]:
        for each in delivered:
            yield self._renamed(each, each.path) if each.path is not None else self._copied(each)

    def close(self) -> None:
        return

    def _folder(self, task: SeriesTask) -> Path:
        return self.path / task.study / task.series

    def _renamed(self, delivered: Delivered, path: Path) -> Item:
        target = self.path / delivered.study / delivered.series / f"{delivered.instance}.dcm"
        try:
            path.replace(target)
        except OSError as error:
            path.unlink(missing_ok=True)
            return Item(delivered.name, "failed", reason=f"{target}: {error.strerror}")
        return Item(delivered.name, "moved", delivered.size)

    def _copied(self, delivered: Delivered) -> Item:
        outcome = FolderSink(self.path).write(
            delivered.source, study=delivered.study, series=delivered.series, instance=delivered.instance
        )
        status: Status = "moved" if outcome.status == "stored" else outcome.status
        return Item(delivered.name, status, delivered.size, outcome.reason or "")


@dataclass(slots=True)
class BucketDestination:
    """`s3://…/study/series/instance.dcm`; an object appears whole when its upload ends, and is never replaced."""

    place: str
    batch: int = 0
    compares: bool = False
    _folder: ScratchFolder = field(default_factory=ScratchFolder, repr=False)

    def present(self, task: SeriesTask) -> set[str]:
        return set(self._objects(task))

    def holds(self, task: SeriesTask, uids: set[str], size: int) -> bool:
        found = self._objects(task)
        return uids <= found.keys() and sum(found[uid].size for uid in uids) == size

    def size(self, task: SeriesTask, uids: set[str], items: Iterable[Item]) -> int:
        found = self._objects(task)
        return sum(found[uid].size for uid in uids if uid in found)

    def address(self, task: SeriesTask) -> str:
        return f"{self.place}/{task.study}/{task.series}"

    def held(self, task: SeriesTask, uids: set[str], spool: Path) -> Iterator[Delivered | Item]:
        found = self._objects(task)
        for uid in uids & found.keys():
            yield Delivered(task.study, task.series, uid, found[uid], found[uid].size)

    def writing(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def spool(self, task: SeriesTask) -> Path:
        return self._folder.path

    def take(self, delivered: Sequence[Delivered]) -> Iterator[Item]:
        for each in delivered:
            yield self._uploaded(each)

    def close(self) -> None:
        self._folder.cleanup()

    def _uploaded(self, each: Delivered) -> Item:
        key = f"{each.study}/{each.series}/{each.instance}.dcm"
        try:
            with each.source.open() as stream:
                content = stream.read()
            put_object(self.place, key, content)
        except HounsfieldError as error:
            return Item(each.name, "failed", reason=str(error))
        finally:
            if each.path is not None:
                each.path.unlink(missing_ok=True)
        return Item(each.name, "moved", len(content))

    def _objects(self, task: SeriesTask) -> dict[str, ObjectSource]:
        """What is there of a series, by SOP Instance UID."""
        folder = f"{task.study}/{task.series}"
        found = ((source.key.rpartition("/")[2], source) for source in objects(self.place, folder))
        return {name.removesuffix(".dcm"): source for name, source in found if name.endswith(".dcm")}


@dataclass(slots=True)
class ServerDestination:
    """A DICOMweb server; what it does not confirm has failed."""

    client: Client
    study: str | None = None
    batch: int = 32 * 1024**2
    compares: bool = False
    _folder: ScratchFolder = field(default_factory=ScratchFolder, repr=False)

    def present(self, task: SeriesTask) -> set[str]:
        try:
            found = self.client.search_for_instances(task.study, task.series)
        except DicomwebError as error:
            if error.data.get("status") == 404:
                return set()
            raise
        return {first(model, "SOPInstanceUID") for model in found}

    def holds(self, task: SeriesTask, uids: set[str], size: int) -> bool:
        return uids <= self.present(task)

    def size(self, task: SeriesTask, uids: set[str], items: Iterable[Item]) -> int:
        return sum(item.size for item in items if item.status == "moved")

    def address(self, task: SeriesTask) -> str:
        return self.client.resource(task.study, task.series).url

    def held(self, task: SeriesTask, uids: set[str], spool: Path) -> Iterator[Delivered | Item]:
        origin = ServerOrigin(DicomwebLocation(self.client, self.client.resource(task.study, task.series)))
        left = set(uids)
        try:
            for each in origin.deliver(task, uids, spool):
                left.discard(each.name if isinstance(each, Item) else each.instance)
                yield each
        except HounsfieldError:
            # One that the server cannot read keeps no other back.
            with contextlib.suppress(HounsfieldError):
                yield from origin.deliver(task, left, spool, singly=True)

    def writing(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def spool(self, task: SeriesTask) -> Path:
        return self._folder.path

    def take(self, delivered: Sequence[Delivered]) -> Iterator[Item]:
        by_uid = {each.instance: each for each in delivered}
        try:
            result = self.client.store_instances([each.source for each in delivered], self.study)
            for stored in result.instances:
                each = by_uid.pop(stored.sop_instance, None)
                if each is not None:
                    yield _item(each, stored)
            reason = "; ".join(result.other_failures) or "the server did not speak of it"
        except HounsfieldError as error:
            reason = str(error)
        finally:
            for each in delivered:
                if each.path is not None:
                    each.path.unlink(missing_ok=True)
        yield from (Item(each.name, "failed", reason=reason) for each in by_uid.values())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.cleanup()


def _item(delivered: Delivered, stored: StoredInstance) -> Item:
    size = delivered.size
    if not size and stored.kept:
        with delivered.source.open() as stream:
            size = stream.seek(0, os.SEEK_END)
    return Item(delivered.name, _OUTCOMES[stored.outcome], size, stored.reason)
