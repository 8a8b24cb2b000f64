"""A compressed file expanded once into a temporary one, under the caps, so that its parts can be sought."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from hounsfield.errors import LocationError, MalformedError
from hounsfield.language import say
from hounsfield.locations.archives.limits import MIB, ArchiveLimits
from hounsfield.outputs.scratch import ScratchFolder

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_CHUNK = MIB
_XZ_MEMORY = 256 * MIB
"""Memory an xz decoder may take; the highest preset of xz needs 65 MiB, a hostile header can ask for 4 GiB."""


class Spool:
    """A temporary file that is removed when this is, or when Python ends; a copy in another process only reads."""

    def __init__(self, path: Path, folder: ScratchFolder | None = None) -> None:
        self.path, self._folder = path, folder

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)

    @classmethod
    def create(cls) -> Spool:
        folder = ScratchFolder()
        path = folder.path / "expanded.tar"
        path.touch()
        return cls(path, folder)


def compression(head: bytes) -> str | None:
    """ "gzip", "bzip2" or "xz" by the first bytes, or None."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def spool(
    path: Path, packed: str, limits: ArchiveLimits, *, name: str, is_wanted: Callable[[bytes], bool]
) -> Spool:
    """Expand the file at `path`; `LocationError` over `limits` or on a full disk, `MalformedError` if broken.

    `is_wanted` sees the first bytes that come out (a mebibyte, or all); if it says no, nothing more is expanded.
    """
    made = Spool.create()
    try:
        with path.open("rb") as stream, made.path.open("wb") as out:
            expanded = 0
            for chunk in _expanded(cast(BinaryIO, stream), packed):
                if not expanded and not is_wanted(chunk):
                    raise MalformedError(
                        say("is compressed by {packed}, but is no tar", packed=packed),
                        where=name,
                        remedy="expand it first",
                    )
                expanded += len(chunk)
                limits.check_total(expanded, stream.tell(), where=name)
                out.write(chunk)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
        raise MalformedError(
            say("is broken where it is expanded: {error}", error=error),
            where=name,
            remedy="was it copied or downloaded whole?",
        ) from error
    except OSError as error:
        if error.errno is None:  # the decoder of bzip2 speaks so
            raise MalformedError(
                say("is broken where it is expanded: {error}", error=error), where=name
            ) from error
        raise LocationError(
            say(
                "cannot be expanded into {gettempdir}: {strerror}",
                gettempdir=tempfile.gettempdir(),
                strerror=error.strerror,
            ),
            where=name,
            remedy="free some space there, or set TMPDIR to another folder",
        ) from error
    return made


def _expanded(stream: BinaryIO, packed: str) -> Iterator[bytes]:
    if packed == "xz":
        yield from _xz(stream)
        return
    opened = gzip.GzipFile(fileobj=stream) if packed == "gzip" else bz2.BZ2File(stream)
    with opened:
        while chunk := opened.read(_CHUNK):
            yield chunk


def _xz(stream: BinaryIO) -> Iterator[bytes]:
    """Streams of xz one after the other, zeros between them (the .xz format, 2.2), memory bounded."""
    rest = stream.read(_CHUNK)
    while rest:
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        while not decoder.eof:
            if decoder.needs_input and not rest:
                rest = stream.read(_CHUNK)
                if not rest:
                    raise EOFError("it ends within a stream")
            yield decoder.decompress(rest, _CHUNK)
            rest = b""
        rest = decoder.unused_data.lstrip(b"\0") or stream.read(_CHUNK).lstrip(b"\0")
