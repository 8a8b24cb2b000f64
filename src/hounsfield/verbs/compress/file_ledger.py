"""The ledger of a backup: a line for each file of a tree that is compressed in place, appended and never rewritten.

Not `hounsfield.runs`'s, whose lines are series and whose truth is held in memory: here eight bytes are, for each file
that is settled. Its first line names the tree and the options; a line `swapped` says that the original of a file is in
the backup, its compressed self at its place; `kept` that it stays as it is. `all discarded` begins anew.
"""

from __future__ import annotations

import hashlib
import os
import threading
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.runs.ledger import FILE_LEDGER_NAME, append_lines, appending, hold, read_lines
from hounsfield.verbs.compress.swapping import State

_NOTED_TOGETHER = 64


class FileLedger:
    """An open ledger, this process the only writer; any threads may ask and append."""

    def __init__(self, folder: Path, descriptor: int, settled: array[int]) -> None:
        self.folder = folder
        self.path = folder / FILE_LEDGER_NAME
        self._descriptor = descriptor
        self._settled = np.sort(np.frombuffer(settled, np.uint64)) if settled else np.empty(0, np.uint64)
        self._lock = threading.Lock()
        self._waiting: list[Mapping[str, Any]] = []

    def is_settled(self, name: str, state: State) -> bool:
        """Return whether an earlier run settled this file, and it is as that run left it."""
        mark = np.uint64(_mark(name, state))
        at = int(np.searchsorted(self._settled, mark))
        return at < len(self._settled) and bool(self._settled[at] == mark)

    def line(self, name: str, status: str, state: State, **facts: Any) -> Mapping[str, Any]:
        """Return what is said of one file; `state` is that of the file at its place from now on."""
        return {"file": name, "status": status, "state": list(state), **facts, "time": _now()}

    def append(self, lines: list[Mapping[str, Any]]) -> None:
        """Write and sync lines, and those that were only noted. Raises `LocationError`."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if waiting or lines:
                append_lines(self._descriptor, self.path, [*waiting, *lines])

    def note(self, name: str, status: str, state: State, **facts: Any) -> None:
        """Keep a line for the next sync: what a crash takes of it is found out again."""
        with self._lock:
            self._waiting.append(self.line(name, status, state, **facts))
            is_many = len(self._waiting) >= _NOTED_TOGETHER
        if is_many:
            self.append([])


@contextmanager
def open_backup(folder: Path, root: Path, options: Mapping[str, Any] | None) -> Iterator[FileLedger]:
    """The ledger of the backup in `folder`, made if need be, held while the block runs. `options` None: any.

    Raises `LocationError` where it keeps originals of another tree or of a run with other options, where another run
    holds it, or where tree and backup lie within each other.
    """
    refuse_overlap(folder, root)
    path = folder / FILE_LEDGER_NAME
    with _alone(root if root.is_dir() else root.parent), appending(path) as descriptor:
        begun, settled = _read(path)
        header = {"tree": str(root.resolve()), "options": None if options is None else dict(options)}
        if begun is None:
            append_lines(descriptor, path, [{**header, "time": _now()}])
        else:
            _refuse_other(folder, begun, header)
        ledger = FileLedger(folder, descriptor, settled)
        try:
            yield ledger
        finally:
            ledger.append([])


@contextmanager
def _alone(tree: Path) -> Iterator[None]:
    """No other run replaces files of the tree meanwhile, whatever its backup."""
    if os.name == "nt":
        yield
        return
    descriptor = os.open(tree, os.O_RDONLY)
    try:
        hold(descriptor, tree, "wait for it")
        yield
    finally:
        os.close(descriptor)


def refuse_overlap(folder: Path, root: Path) -> None:
    """Raise `LocationError` where the backup lies in the tree, or the tree in the backup."""
    one, other = folder.resolve(), root.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise LocationError(
            "backup and tree lie within each other", where=str(folder), remedy="give a folder beside the tree"
        )


def _refuse_other(folder: Path, begun: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    if begun.get("tree") != header["tree"]:
        raise LocationError(
            say("keeps the originals of {begun}", begun=begun.get("tree")),
            where=str(folder),
            remedy="give another --backup",
        )
    if header["options"] not in (None, begun.get("options")):
        raise LocationError(
            "keeps the originals of a run with other options",
            where=str(folder),
            remedy="discard them first (--discard-backup), or give another --backup",
        )


def _read(path: Path) -> tuple[Mapping[str, Any] | None, array[int]]:
    """The line that the present originals began with, and the marks of all that is settled since."""
    begun: Mapping[str, Any] | None = None
    settled = array("Q")
    for line in read_lines(path):
        if line.get("status") == "all discarded":
            begun, settled = None, array("Q")
        elif "tree" in line:
            begun = begun or line
        elif (mark := _mark_of(line)) is not None:
            settled.append(mark)
    return begun, settled


def _mark_of(line: Mapping[str, Any]) -> int | None:
    state = line.get("state")
    if not isinstance(line.get("file"), str) or not isinstance(state, list) or len(state) != 2:
        return None
    return _mark(line["file"], (state[0], state[1]))


def _mark(name: str, state: State) -> int:
    text = f"{name}\0{state[0]}\0{state[1]}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
