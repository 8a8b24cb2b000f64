"""The lock beside an index file under which it is replaced; it says whether there is no sound index meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hounsfield.outputs.locking import lock

_DAMAGED = "damaged"


def _guard(file: Path) -> Path:
    return file.with_suffix(".rebuild")


@contextmanager
def one_at_a_time(file: Path, *, damaged: bool = False) -> Iterator[None]:
    """Be the one process that replaces `file`; wait for another one. `damaged`: it cannot be used until then."""
    with _guard(file).open("a") as stream:
        lock(stream, waits=True)
        stream.truncate(0)
        if damaged:
            stream.write(_DAMAGED)
            stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def is_being_replaced(file: Path) -> bool:
    """Whether some process makes a damaged index anew now."""
    with contextlib.suppress(FileNotFoundError), _guard(file).open() as stream:
        try:
            lock(stream, shared=True)
        except BlockingIOError:
            return stream.read() == _DAMAGED
    return False
