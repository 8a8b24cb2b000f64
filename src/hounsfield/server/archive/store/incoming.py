"""The folder of what is on its way in: names that never meet, who still works on what, and room for it.

Each process that takes anything in holds a lock beside the folder for as long as it lives, so that a body which comes
for hours differs from one whose process died. Where locks do not work (an old NFS) only the age decides.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs.locking import HAS_LOCKS, lock

LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Free space below which nothing is taken in: the index must still be able to write."""

_process = secrets.token_hex(8)
_numbers = itertools.count()
_guard = threading.Lock()
_held: dict[Path, int] = {}


class Incoming:
    """The files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks = folder.with_name(folder.name + "-locks")
        self._arriving: weakref.WeakValueDictionary[Path, object] = weakref.WeakValueDictionary()

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.folder, self._locks):
            folder.mkdir(parents=True, exist_ok=True)

    def name(self) -> Path:
        """A path for one more."""
        with _guard:
            if self.folder not in _held:
                _held[self.folder] = _hold(self._locks / _process)
        return self.folder / f"{_process}-{next(_numbers)}"

    def keep(self, path: Path, arrival: object) -> None:
        """Somebody works on `path` for as long as there is `arrival`."""
        self._arriving[path] = arrival

    def left_behind(self, older: float) -> Iterator[Path]:
        """Files that nobody works on, and nobody touched for `older` seconds; locks of the dead are removed."""
        # Whoever came after the locks were looked at is not among what lies here now.
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        locks = list(self._locks.iterdir()) if self._locks.is_dir() else []
        others = {lock.name for lock in locks if lock.name != _process and _is_held(lock)}
        for path in paths:
            if path.name.partition("-")[0] in others or path in self._arriving:
                continue
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime >= older:
                    yield path

    def check_room(self, coming: int = 0) -> None:
        """Raise `LocationError` where `coming` bytes more would fill the disk."""
        found = os.statvfs(self.folder)
        if found.f_bavail * found.f_frsize < LEAST_FREE_BYTES + coming:
            raise LocationError(
                "the disk is full",
                expected=say("{number} MiB free beside what comes", number=LEAST_FREE_BYTES >> 20),
                where=str(self.folder),
                remedy="free some space",
                status=507,
            )


def _hold(path: Path) -> int:
    """Hold a lock until this process ends; its descriptor, -1 where there are no locks."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            lock(descriptor, waits=True)
            # Somebody who tidies up may have taken the name away before it was locked.
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            return -1
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    """Whether the process that made a lock lives; the lock of one that does not is removed."""
    if not HAS_LOCKS:  # nobody can tell; what a dead one left is not worth what a living one writes
        return path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        lock(descriptor)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
