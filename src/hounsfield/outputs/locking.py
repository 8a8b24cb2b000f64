"""Locks on open files and folders between processes, which the kernel drops when their holder dies.

Advisory (flock): they keep nobody from reading or writing. Windows has none that a folder or several processes could
hold; there nothing is locked, and whoever must know that asks for `HAS_LOCKS`.
"""

from __future__ import annotations

from typing import IO, Any

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None


def lock(file: int | IO[Any], *, shared: bool = False, waits: bool = False) -> None:
    """Lock an open file or folder until it is closed, or its process ends; a lock that is held already is changed.

    Raises `BlockingIOError` where another process holds it and this one does not wait, another `OSError` where the
    file system has no locks.
    """
    if fcntl is not None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))
