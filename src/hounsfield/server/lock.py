"""One server at a time on an embedded archive: a lock that the kernel drops when its holders die.

The holder and all its worker processes share it, so that no worker that outlived a killed parent meets a second
server's writes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from hounsfield.errors import LocationError

_held: dict[Path, IO[str]] = {}


def hold(path: Path, *, first: bool) -> None:
    """Hold the lock at `path` until this process ends. `first`: nobody else may hold it.

    Raises `LocationError` where another server does.
    """
    path = path.absolute()
    if path in _held:
        return
    stream = path.open("a+")
    try:
        if first:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stream.seek(0)
            stream.truncate()
            stream.write(f"{os.getpid()}\n")
            stream.flush()
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        stream.seek(0)
        owner = stream.read(32).strip()
        stream.close()
        raise LocationError(
            f"another server runs on this archive{f' (process {owner})' if owner.isdigit() else ''}",
            where=str(path.parent.parent),
            remedy="stop it, or share the archive with --database postgresql://…",
            locked=True,
        ) from error
    _held[path] = stream


def release(path: Path) -> None:
    """Let go of the lock."""
    stream = _held.pop(path.absolute(), None)
    if stream is not None:
        stream.close()
