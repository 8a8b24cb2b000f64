"""A digest of a series as it was read: a short text that changes when the series does.

By default it covers, of every slice, the header values that decide on selection, geometry and pixels, the transfer
syntax, and the size and time of change of the file (of an archive's member: its size, and checksum where the archive
has one). No pixel is read for it: a file rewritten in place with its size and time forged goes unnoticed. With
`content=True` every byte is read instead of sizes and times, so that a copy with new times is the same series.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hounsfield.ct.instance import Header, Instance, Source
from hounsfield.ct.series import Series
from hounsfield.errors import LocationError
from hounsfield.language import say

_CHUNK = 1 << 20
_MEMBER_FACTS = ("offset", "header_offset", "size", "checksum")
STATE_BYTES = 16


def digest(series: Series, *, content: bool = False) -> str:
    """Of one series, in hexadecimal; the order of its files does not matter. Raises `LocationError`."""
    seen: dict[int, Instance] = {id(item.instance): item.instance for item in series.slices}
    parts = sorted(state(each.header, each.source, content=content) for each in seen.values())
    whole = hashlib.blake2b(digest_size=STATE_BYTES)
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def state(header: Header, source: Source, *, content: bool = False) -> bytes:
    """Return what one file is now: its part of the digest of its series. Raises `LocationError`."""
    digest = hashlib.blake2b(digest_size=STATE_BYTES)
    digest.update(header.transfer_syntax.encode())
    for tag in sorted(header.values):
        value = header.values[tag]
        digest.update(b"%08x%d:" % (tag, len(value)))
        digest.update(value)
    digest.update((content_digest if content else identity)(source).encode())
    return digest.digest()


def identity(source: Source) -> str:
    """Size and time of a file; of a member its place and checksum; nothing for what only the header identifies.

    Raises `LocationError` where it is gone.
    """
    facts = [f"{name}={getattr(source, name)}" for name in _MEMBER_FACTS if hasattr(source, name)]
    path = getattr(source, "path", None)
    if path is not None and not facts:
        try:
            status = Path(path).stat()
        except OSError as error:
            raise LocationError(
                say("cannot be read any more: {strerror}", strerror=error.strerror),
                where=source.name,
                remedy="is it still there?",
            ) from error
        facts = [f"size={status.st_size}", f"changed={status.st_mtime_ns}"]
    return " ".join(facts)


def size_of_source(source: Source) -> int:
    """Bytes of a file or of an archive's member; 0 where only reading it would tell. Raises `LocationError`."""
    size = getattr(source, "size", None)
    if isinstance(size, int):
        return size
    path = getattr(source, "path", None)
    if path is None:
        return 0
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise LocationError(
            say("cannot be read any more: {strerror}", strerror=error.strerror), where=source.name
        ) from error


def content_digest(source: Source) -> str:
    """Of all bytes of a source, in hexadecimal. Raises `LocationError`."""
    digest = hashlib.blake2b(digest_size=STATE_BYTES)
    with source.open() as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_of(name: str) -> str:
    """The folder, archive or address that the name of a source begins with."""
    archive, inside, _ = name.rpartition("!/")
    return archive if inside else name.rpartition("/")[0] or name
