"""One server at a time on an embedded archive: a lock that the kernel drops when its holders die.

The holder and all its worker processes share it, so that no worker that outlived a killed parent meets a second
server's writes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs.locking import lock

_held: dict[Path, IO[str]] = {}


def hold(path: Path, *, first: bool) -> None:
    """Hold the lock at `path` until this process ends. `first`: nobody else may hold it.

    Raises `LocationError` where another server does, or where it cannot be held at all.
    """
    path = path.absolute()
    if path in _held:
        return
    try:
        stream = path.open("a+")
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        if first:
            lock(stream)
            stream.seek(0)
            stream.truncate()
            stream.write(f"{os.getpid()}\n")
            stream.flush()
        lock(stream, shared=True)
    except BlockingIOError as error:
        stream.seek(0)
        owner = stream.read(32).strip()
        stream.close()
        raise LocationError(
            say(
                "another server runs on this archive{which}",
                which=f" (process {owner})" if owner.isdigit() else "",
            ),
            where=str(path.parent.parent),
            remedy="stop it, or share the archive with --database postgresql://…",
            locked=True,
        ) from error
    except OSError as error:
        stream.close()
        raise _unusable(path, error) from error
    _held[path] = stream


def _unusable(path: Path, error: OSError) -> LocationError:
    return LocationError(
        say("its lock cannot be held: {strerror}", strerror=error.strerror),
        where=str(path),
        remedy="check the folder, its permissions and the free space",
    )


def release(path: Path) -> None:
    """Let go of the lock."""
    stream = _held.pop(path.absolute(), None)
    if stream is not None:
        stream.close()
