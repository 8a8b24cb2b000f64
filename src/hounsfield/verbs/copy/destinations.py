"""Destinations of a copy: any location that is `Writable`.

One that is `Knowing` too says what it has already, so that a copy that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hounsfield.ct.instance import Source
from hounsfield.errors import LocationError
from hounsfield.locations import Delivered, Knowing, Staging, Writable
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.runs import Result, Status
from hounsfield.runs.digest import size_of_source
from hounsfield.verbs.copy.origins import SeriesTask


class Destination:
    """A location as the end of a copy. To be closed."""

    def __init__(self, place: Writable) -> None:
        self.place = place
        self.batch_bytes, self.compares = place.batch_bytes, place.compares

    @cached_property
    def _scratch(self) -> ScratchFolder:
        return ScratchFolder()

    def present(self, task: SeriesTask) -> set[str]:
        """The SOP Instance UIDs of a series that are there, whole."""
        return set(self._present(task))

    def holds(self, task: SeriesTask, uids: set[str], size: int) -> bool:
        """Return whether all these are there still, as a ledger remembers them; without reading them."""
        found = self._present(task, read=False)
        if not isinstance(self.place, Knowing) or not uids <= found.keys():
            return False
        try:
            sizes = [_known_size(found[uid]) for uid in uids]
        except LocationError:
            return False
        return None in sizes or sum(filter(None, sizes)) == size

    def size(self, task: SeriesTask, uids: set[str], results: Iterable[Result]) -> int:
        """Bytes of these there; where the place does not say, those that `results` say were moved."""
        found = self._present(task, read=False)
        sizes = [_known_size(found[uid]) for uid in uids if uid in found]
        if None in sizes or not isinstance(self.place, Knowing):
            return sum(each.bytes for each in results if each.status == Status.DONE)
        return sum(filter(None, sizes))

    def address(self, task: SeriesTask) -> str:
        """Return where a series is, for the ledger: below the folder that both lie in, or in full."""
        if isinstance(self.place, Staging):
            return f"{task.study}/{task.series}"
        return self.place.address(task.study, task.series)

    def held(self, task: SeriesTask, uids: set[str]) -> dict[str, Source]:
        """These as they are there, to be compared."""
        return {uid: source for uid, source in self._present(task, read=False).items() if uid in uids}

    def writing(self) -> AbstractContextManager[None]:
        """Be one of those who write there while the block runs; what killed ones left is removed first."""
        return self.place.writing() if isinstance(self.place, Staging) else contextlib.nullcontext()

    def folder(self, task: SeriesTask) -> Path:
        """A folder that exists, for files on their way."""
        if isinstance(self.place, Staging):
            return self.place.staging(task.study, task.series)
        return self._scratch.path

    def take(self, delivered: Sequence[Delivered]) -> Iterator[Result]:
        """Store these; one item each, whatever happens to them. Their own files are gone in the end."""
        sizes = {each.name: each.size for each in delivered}
        try:
            for result in self.place.write(delivered):
                yield replace(result, bytes=result.bytes or sizes.get(result.unit, 0))
        finally:
            for each in delivered:
                if each.path is not None:
                    each.path.unlink(missing_ok=True)

    def close(self) -> None:
        if "_scratch" in self.__dict__:
            with contextlib.suppress(OSError):
                self._scratch.cleanup()

    def _present(self, task: SeriesTask, *, read: bool = True) -> Mapping[str, Source]:
        if not isinstance(self.place, Knowing):
            return {}
        return self.place.present(task.study, task.series, read=read)


def _known_size(source: Source) -> int | None:
    """Bytes of a source; None where only reading would tell. Raises `LocationError`."""
    knows = hasattr(source, "size") or hasattr(source, "path")
    return size_of_source(source) if knows else None
