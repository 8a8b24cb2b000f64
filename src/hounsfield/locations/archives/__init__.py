"""Zip and tar files as instances to read: their members become `Source`s, nothing is unpacked beside them.

Not a general unpacker: members are never written anywhere by name, links in an archive are never followed.
A zip is read by its central directory, an uncompressed tar by one pass over its headers; a compressed tar is
expanded once into a temporary file that goes away with the last source that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.locations.archives.limits import ArchiveLimits
from hounsfield.locations.archives.names import natural
from hounsfield.locations.archives.tarred import tar_compression, tar_members
from hounsfield.locations.archives.zipped import is_zip, zip_members

__all__ = ["SNIFFED_BYTES", "ArchiveLimits", "archive_members", "is_archive", "natural"]

SNIFFED_BYTES = 1024
"""Of the beginning of a file, enough for `is_archive`."""

_FOREIGN = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
}
"""Magic numbers of what people pack studies in and nothing here unpacks."""


def is_archive(head: bytes) -> bool:
    """Return whether a file that begins with `head` (its first 1024 bytes, or all) is packed; content decides, not
    name.
    """
    if head[128:132] == b"DICM":
        # A preamble may hold anything (PS3.10 7.1), even the magic of an archive.
        return False
    return is_zip(head) or tar_compression(head) is not None or _foreign(head) is not None


def archive_members(
    path: Path, limits: ArchiveLimits, *, name: str | None = None
) -> Iterator[Source | Skipped]:
    """The members of the archive at `path`, in natural order of their names: `archive.zip!/folder/file`.

    `name` stands for the archive where its path would say too much. Raises `LocationError` for an archive that
    is broken, all encrypted, or over `limits`, `UnsupportedError` for another kind of packing.
    """
    shown = str(path) if name is None else name
    try:
        with path.open("rb") as stream:
            head = stream.read(SNIFFED_BYTES)
        if (kind := _foreign(head)) is not None:
            raise UnsupportedError(
                say("is {kind}", kind=kind), expected="zip or tar", where=shown, remedy="unpack it first"
            )
        yield from (zip_members if is_zip(head) else tar_members)(path, limits, name=shown)
    except OSError as error:
        raise LocationError(
            say("cannot be read: {strerror}", strerror=error.strerror or error),
            where=shown,
            remedy="check the path and its permissions",
        ) from error


def _foreign(head: bytes) -> str | None:
    return next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)
