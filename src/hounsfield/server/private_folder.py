"""Folders that only their owner may enter: what a server keeps beside its archive."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hounsfield.outputs import sync


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; one above it too, where that is not there yet."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    # Those above, too: a folder whose name did not reach the disk is lost with all that lies in it.
    for each in dict.fromkeys((folder.parent, folder.parent.parent, *(one.parent for one in made))):
        with contextlib.suppress(PermissionError, FileNotFoundError):
            sync(each)
