"""Numbers that the worker processes of one server count together: each in a file of its own, read by all.

A number is changed where it lies, so that counting costs no system call, and what a worker counted stays when it
dies. What the numbers mean is `journal`'s.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

_FIRST_BYTES = 64 * 1024
_USED = struct.Struct("<Q")  # bytes in use, at the start of a file
_LENGTH = struct.Struct("<I")  # of a name, which is padded so that its number is aligned
_VALUE = struct.Struct("<d")


class Counters:
    """Numbers by name. `folder`: where the processes of a server keep theirs; None for a process alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}
        self._places: dict[str, int] = {}
        self._file: mmap.mmap | None = None
        if folder is not None:
            path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.counters"
            with path.open("wb") as made:
                made.truncate(_FIRST_BYTES)
            self._path = path
            self._map(_FIRST_BYTES)
            self._used = _USED.size
            self._set_used()

    def add(self, name: str, by: float = 1) -> None:
        """Add to a number, which begins at 0."""
        with self._lock:
            value = self._values.get(name, 0.0) + by
            self._values[name] = value
            if self._file is not None:
                place = self._places.get(name) or self._placed(name)
                _VALUE.pack_into(self._file, place, value)

    def totals(self) -> dict[str, float]:
        """The sums over all processes of the server, those that died among them."""
        if self._folder is None:
            with self._lock:
                return dict(self._values)
        sums: dict[str, float] = {}
        for path in sorted(self._folder.glob("*.counters")):
            for name, value in _read(path):
                sums[name] = sums.get(name, 0.0) + value
        return sums

    def alive(self, name: str) -> float:
        """The sum of one number over the processes that live."""
        if self._folder is None:
            return self._values.get(name, 0.0)
        paths = [path for path in self._folder.glob("*.counters") if _lives(path.stem.partition("-")[0])]
        return sum(value for path in paths for each, value in _read(path) if each == name)

    def _placed(self, name: str) -> int:
        """Make room for a number; where it lies."""
        encoded = name.encode()
        place = self._used + -(-(_LENGTH.size + len(encoded)) // 8) * 8
        end = place + _VALUE.size
        assert self._file is not None
        if end > len(self._file):
            size = 2 * max(len(self._file), end)
            self._file.close()
            os.truncate(self._path, size)
            self._map(size)
        _LENGTH.pack_into(self._file, self._used, len(encoded))
        start = self._used + _LENGTH.size
        self._file[start : start + len(encoded)] = encoded
        self._places[name], self._used = place, end
        # Readers see the number only now.
        self._set_used()
        return place

    def _map(self, size: int) -> None:
        with self._path.open("r+b") as stream:
            self._file = mmap.mmap(stream.fileno(), size)

    def _set_used(self) -> None:
        assert self._file is not None
        _USED.pack_into(self._file, 0, self._used)


def _read(path: Path) -> Iterator[tuple[str, float]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    if len(content) < _USED.size:
        return
    (used,) = _USED.unpack_from(content)
    position = _USED.size
    while position < min(used, len(content)):
        (length,) = _LENGTH.unpack_from(content, position)
        start = position + _LENGTH.size
        place = position + -(-(_LENGTH.size + length) // 8) * 8
        yield content[start : start + length].decode(), _VALUE.unpack_from(content, place)[0]
        position = place + _VALUE.size


def _lives(process: str) -> bool:
    with contextlib.suppress(ProcessLookupError, ValueError):
        os.kill(int(process), 0)
        return True
    return False
