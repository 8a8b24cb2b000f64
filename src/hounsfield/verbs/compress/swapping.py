"""One file in the place of another, the other kept: how a file is compressed in place and nothing can be lost.

The order is what makes it safe; each step is on the disk before the next begins, so that whatever stops the machine,
the original is at its place, or in the backup, or in both:

1. the new file is written beside the original, synced, and read back
2. the original gets its name in the backup: a second link to the same file, a compared copy where there are no links
3. the folders of the backup are synced
4. the new file is renamed over the original, which must be as it was when it was read
5. the folder is synced; then the ledger of the backup says so

What waits for the disk waits for many files at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs import carry_status, remove_partials, sync, temporary_beside
from hounsfield.outputs.lots import Lots, Waiting, on_disk, passed, synced

State = tuple[int, int]
"""Bytes and time of change, in ns, of a file."""


def state_of(path: Path) -> State:
    """Return what a file is now. Raises `LocationError` where it is gone."""
    try:
        found = path.stat()
    except OSError as error:
        raise LocationError(
            say("cannot be read any more: {strerror}", strerror=error.strerror), where=str(path)
        ) from error
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap(Waiting):
    """A file to be replaced: what it was when it was read, where its original goes, what the ledger says then.

    `keeps_first`: an older original in the backup stays the one that is kept (a DICOMDIR is made anew more than once).
    """

    state: State
    kept: Path
    line: Mapping[str, Any]
    keeps_first: bool = False


class Swaps(Lots[Swap]):
    """Any threads may `swap` at once; a thread of this object brings what came through the steps, lot by lot.

    `root` is the tree, `backup` the folder of originals, `record` appends lines to the ledger and syncs it.
    """

    def __init__(self, root: Path, backup: Path, record: Callable[[list[Mapping[str, Any]]], None]) -> None:
        super().__init__(self._settle)
        self.root, self.backup = root, backup
        self._record = record
        self._cleaned: Path | None = None

    def original_of(self, path: Path) -> Path:
        """Return where the original of a file of the tree is kept."""
        return self.backup / path.relative_to(self.root)

    def swap(
        self, path: Path, content: bytes, state: State, line: Mapping[str, Any], *, keeps_first: bool = False
    ) -> Future[None]:
        """`content` in the place of `path`, which was read when it was in `state`; swapped when the future is done."""
        item = Swap(
            path=path,
            temporary=temporary_beside(path),
            state=state,
            kept=self.original_of(path),
            line=line,
            keeps_first=keeps_first,
        )

        def fill() -> None:
            with _explaining(path):
                item.temporary.write_bytes(content)
                carry_status(path, item.temporary)
                if item.temporary.read_bytes() != content:
                    raise LocationError("read back, the new file is not what was written", where=str(path))

        return self.put(item, fill)

    def _settle(self, lot: list[Swap]) -> None:
        lot = on_disk(lot, _explaining)
        lot = passed(lot, self._keep, _explaining)
        lot = synced(lot, lambda item: item.kept.parent, _explaining)
        lot = passed(lot, _replace, _explaining)
        lot = synced(lot, lambda item: item.path.parent, _explaining)
        try:
            self._record([item.line for item in lot])
        except Exception as error:  # noqa: BLE001 (whoever waits for these files gets it, whatever it is)
            for item in lot:
                item.done.set_exception(error)
            return
        for item in lot:
            item.done.set_result(None)

    def _keep(self, item: Swap) -> None:
        """Give the original its name in the backup; what is there already is never replaced."""
        _refuse_changed(item)
        if os.path.lexists(item.kept):
            if not (item.keeps_first or is_same_file(item.path, item.kept)):
                raise LocationError(
                    "another original of this name is kept there",
                    where=str(item.kept),
                    remedy="discard the backup, or give another --backup",
                )
            return
        self._make_folder(item.kept.parent)
        try:
            os.link(item.path, item.kept)
        except OSError:  # another file system, one without links, or somebody else's file
            self._copy(item)

    def _copy(self, item: Swap) -> None:
        if self._cleaned != item.kept.parent:
            self._cleaned = item.kept.parent
            remove_partials(item.kept.parent, {path.name for path in item.path.parent.iterdir()})
        copy = temporary_beside(item.kept)
        try:
            shutil.copyfile(item.path, copy)
            carry_status(item.path, copy)
            sync(copy)
            if not has_same_bytes(item.path, copy):
                raise LocationError("the copy is not what the original is", where=str(item.kept))
            copy.rename(item.kept)
        finally:
            copy.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """The folder in the backup, as open or closed to others as the one in the tree."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod((self.root / folder.relative_to(self.backup)).stat().st_mode & 0o7777 | 0o700)
        sync(folder.parent)


def is_same_file(one: Path, other: Path) -> bool:
    """One file under two names, or the same bytes."""
    return one.samefile(other) or has_same_bytes(one, other)


def has_same_bytes(one: Path, other: Path) -> bool:
    """Return whether two files hold the same."""
    return one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other)


def sha256_of(path: Path) -> str:
    """Of a whole file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(item: Swap) -> None:
    _refuse_changed(item)
    item.temporary.replace(item.path)


def _refuse_changed(item: Swap) -> None:
    if state_of(item.path) != item.state:
        raise LocationError("was changed while it was compressed", where=str(item.path), remedy="run again")


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocationError(
            say("cannot be replaced: {strerror}", strerror=error.strerror or error),
            where=str(path),
            remedy="check its folder, the backup, their permissions and the free space; the original is untouched",
        ) from error
