"""A folder as a tree of files: all of them, whatever they are; links are not followed and archives not opened.

Not `disk.walk`, which looks for images: for whoever must bring or compare a whole tree.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hounsfield.ct.instance.source import FileSource, Skipped
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.archives.names import is_partial, natural
from hounsfield.locations.dicomdir import is_dicomdir
from hounsfield.locations.disk import first_bytes

DIRECTORY_NAME = "dicomdir"
"""The name of a DICOMDIR, in small letters (PS3.10 8.6)."""


def tree_entries(
    root: Path, *, unlisted: Callable[[Path, OSError], None] | None = None
) -> Iterator[os.DirEntry[str]]:
    """Everything below `root` in natural order, a folder before what is in it.

    `unlisted` is called with a folder that cannot be listed; without it that is a `LocationError`.
    """
    try:
        with os.scandir(root) as entries:
            found = sorted(entries, key=lambda entry: natural(entry.name))
    except OSError as error:
        if unlisted is None:
            raise LocationError(
                say("cannot be listed: {strerror}", strerror=error.strerror), where=str(root)
            ) from error
        unlisted(root, error)
        return
    for entry in found:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from tree_entries(Path(entry.path), unlisted=unlisted)


def tree_sources(root: Path, *, directories: bool = False) -> Iterator[FileSource | Skipped]:
    """Every file below `root` but links; DICOMDIRs with `directories`. `Skipped` is what no file can be made of."""
    for entry in tree_entries(root):
        if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
            continue
        if not entry.is_file(follow_symlinks=False):
            yield Skipped(entry.path, "a pipe, socket or device, not a file")
        elif is_partial(entry.name):
            yield Skipped(entry.path, "an output that was never finished")
        elif directories or not is_directory_file(Path(entry.path)):
            yield FileSource(Path(entry.path))


def is_directory_file(path: Path) -> bool:
    """Return whether it is a DICOMDIR, by name and content."""
    try:
        return path.name.lower() == DIRECTORY_NAME and is_dicomdir(first_bytes(path))
    except HounsfieldError:
        return False
