"""Folders for what lives no longer than the process that needs it; what killed processes left in theirs is removed.

Not for outputs, which appear beside their place (`outputs`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from hounsfield.outputs.locking import HAS_LOCKS, lock

PREFIX = "hounsfield-scratch-"
"""Of every such folder."""


class ScratchFolder:
    """A folder for files that live no longer than this object, `path`; what killed processes left in theirs is removed.

    One is known as left by its lock, which the kernel drops when its holder dies.
    """

    def __init__(self) -> None:
        _remove_scratch(Path(tempfile.gettempdir()))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            descriptor = _locked(self.path)
            if self.path.exists():  # or it was taken for one that was left, before it was locked
                break
            _release(descriptor)
        self._finalizer = weakref.finalize(self, _remove_own, self.path, descriptor, os.getpid())

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove it with all that is in it; done at the latest when Python ends."""
        self._finalizer()


def _remove_own(folder: Path, descriptor: int, owner: int) -> None:
    # A forked child that lets go of its copy must not take the files from its parent.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
    _release(descriptor)


def _remove_scratch(temporary: Path) -> None:
    """Remove the folders of those that died, of this user alone."""
    if not hasattr(os, "getuid"):
        return
    for folder in temporary.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.getuid() and (descriptor := _locked(folder, waiting=False)) >= 0:
                shutil.rmtree(folder, ignore_errors=True)
                _release(descriptor)


def _locked(folder: Path, *, waiting: bool = True) -> int:
    """A descriptor that holds a lock on `folder`; -1 where somebody else holds it, or nothing can be locked."""
    if not HAS_LOCKS:
        return -1
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return -1
    try:
        lock(descriptor, waits=waiting)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _release(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
