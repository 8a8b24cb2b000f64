"""Volume files, opened: their voxels mapped from disk, expanded once where they are compressed.

A header's sizes are claims: they are held against the file and against the limits of archives, and nothing is
expanded further than they ask for. A header may name a file beside it, and none elsewhere.
"""

from __future__ import annotations

import bz2
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import LocationError, MalformedError, TruncatedError
from hounsfield.formats.reading import HEADER_BYTES, Beginning, VolumeLayout, read_layout, reader_of
from hounsfield.formats.reading.omezarr import MARKS, zarr_layout
from hounsfield.language import say
from hounsfield.locations.archives.limits import MIB, ArchiveLimits
from hounsfield.locations.archives.spool import Spool

_GZIP = b"\x1f\x8b"
_ANY_ZLIB = 47  # zlib's word for gzip or zlib, whichever it is


def is_volume(path: Path, head: bytes) -> bool:
    """Return whether a path is a volume file, by suffix or magic number, or a folder that is a Zarr. `head`: of a
    file.
    """
    if path.is_dir():
        try:
            return any((path / mark).is_file() for mark in MARKS)
        except OSError:
            return False  # listing it will say why
    return reader_of(path, head) is not None


@dataclass(frozen=True)
class VolumeFile:
    """One volume file, open: `cells` (volumes, slices, rows, columns) as stored, mapped from disk.

    `stamp` is the file's size and time when it was opened. `spool` keeps the expanded file as long as this, or any
    slice of it, is there.
    """

    name: str
    layout: VolumeLayout
    path: Path
    offset: int
    stamp: str
    spool: Spool | None = None

    @property
    def cells(self) -> NDArray[Any]:
        """The stored numbers, of the file's own type; `layout.slope` and `intercept` make values of them."""
        shape = self.layout.shape
        order: Any = "F" if self.layout.slices_fastest else "C"
        mapped: NDArray[Any] = np.memmap(
            self.path, self.layout.dtype, "r", self.offset, shape[1:] if order == "F" else shape, order
        )
        return mapped.reshape(shape) if order == "F" else mapped

    def values(self, volume: int = 0) -> NDArray[Any]:
        """(slices, rows, columns) values by the file's own scale: its own type where that changes nothing.

        A scale makes float32 of 8 and 16 bits, float64 of more.
        """
        cells = self.cells[volume]
        native: NDArray[Any] = cells.astype(cells.dtype.newbyteorder("="), copy=False)
        if (self.layout.slope, self.layout.intercept) == (1.0, 0.0):
            return native
        real = np.float32 if native.dtype.itemsize <= 2 else np.float64
        scaled: NDArray[Any] = native.astype(real)
        scaled *= real(self.layout.slope)
        scaled += real(self.layout.intercept)
        return scaled


def open_volume(path: Path, limits: ArchiveLimits | None = None) -> VolumeFile:
    """The volume file at `path`. Raises `LocationError`, `MalformedError`, `UnsupportedError`."""
    limits = limits or ArchiveLimits()
    try:
        return _open_zarr(path, limits) if path.is_dir() else _open_file(path, limits)
    except OSError as error:
        raise LocationError(
            say("cannot be read: {strerror}", strerror=error.strerror or error),
            where=str(path),
            remedy="check the path and its permissions",
        ) from error


def _open_file(path: Path, limits: ArchiveLimits) -> VolumeFile:
    with path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
        stream.seek(0)
        blocks = _expanded(cast(BinaryIO, stream), "gzip", str(path)) if packed else None
        head = stream.read(HEADER_BYTES) if blocks is None else next(blocks, b"")
    reader = reader_of(path, head)
    if reader is None:
        raise MalformedError("is no volume file", where=str(path))
    beside = _Beside(path)
    layout = read_layout(reader, Beginning(str(path), head, "gzip" if packed else "raw", beside.text))
    data = beside.file(layout.data_file) if layout.data_file else path
    limits.check_total(layout.bytes, data.stat().st_size, where=str(path))
    if layout.encoding == "raw":
        return VolumeFile(str(path), layout, data, _offset(layout, data, str(path)), _stamp(path, data))
    if layout.offset < 0:
        raise MalformedError("compressed voxels counted from the end", where=str(path))
    made = _spooled(_unpacked(layout, data, str(path)), layout.offset + layout.bytes, str(path))
    return VolumeFile(str(path), layout, made.path, layout.offset, _stamp(path, data), made)


def _stamp(*paths: Path) -> str:
    """Sizes and times of the files that a volume is in."""
    states = [path.stat() for path in paths]
    return f"{sum(state.st_size for state in states)}-{max(state.st_mtime_ns for state in states)}"


def _offset(layout: VolumeLayout, data: Path, name: str) -> int:
    """Return where the voxels of an uncompressed file begin. Raises `TruncatedError`."""
    size = data.stat().st_size
    begin = size - layout.bytes if layout.offset < 0 else layout.offset
    if begin < 0 or begin + layout.bytes > size:
        raise TruncatedError(
            say("ends after {size} bytes", size=size),
            expected=say("{number} by its header", number=max(begin, 0) + layout.bytes),
            where=name,
            remedy="was it copied or downloaded whole?",
        )
    return begin


def _open_zarr(path: Path, limits: ArchiveLimits) -> VolumeFile:
    layout, slabs = zarr_layout(path)
    packed = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    limits.check_total(layout.bytes, packed, where=str(path))
    blocks = (np.ascontiguousarray(slab, layout.dtype).tobytes() for slab in slabs)
    made = _spooled(blocks, layout.bytes, str(path))
    return VolumeFile(str(path), layout, made.path, 0, _stamp(*sorted(path.rglob("*"))), made)


class _Beside:
    """Other files in a volume file's folder, and none elsewhere: a header must not name any file of the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str) -> Path:
        if PurePath(name).name != name or name in ("", ".", "..") or "\\" in name:
            raise MalformedError(
                say("its voxels are said to be in {name}", name=repr(name)),
                expected="a file in the same folder",
                where=str(self.path),
            )
        return self.path.with_name(name)

    def text(self, name: str) -> str | None:
        try:
            with self.file(name).open("rb") as stream:
                return stream.read(HEADER_BYTES).decode("utf-8", "replace")
        except (OSError, MalformedError):
            return None


def _unpacked(layout: VolumeLayout, data: Path, name: str) -> Iterator[bytes]:
    with data.open("rb") as stream:
        stream.seek(layout.packed_from)
        yield from _expanded(cast(BinaryIO, stream), layout.encoding, name)


def _expanded(stream: BinaryIO, encoding: str, name: str) -> Iterator[bytes]:
    """At most a mebibyte at a time of what a stream expands to; several members are one, as in gzip."""
    try:
        if encoding == "bzip2":
            with bz2.BZ2File(stream) as opened:
                while chunk := opened.read(MIB):
                    yield chunk
            return
        rest = stream.read(MIB)
        while rest:
            decoder = zlib.decompressobj(_ANY_ZLIB)
            while not decoder.eof and rest:
                if chunk := decoder.decompress(rest, MIB):
                    yield chunk
                rest = decoder.unconsumed_tail or (b"" if decoder.eof else stream.read(MIB))
            rest = (decoder.unused_data or stream.read(MIB)).lstrip(b"\0")
    except (zlib.error, EOFError, ValueError) as error:
        raise MalformedError(
            say("is broken where it is expanded: {error}", error=error),
            where=name,
            remedy="was it copied or downloaded whole?",
        ) from error


def _spooled(blocks: Iterator[bytes], size: int, name: str) -> Spool:
    """The first `size` bytes in a temporary file.

    Raises `TruncatedError` where there are fewer, `LocationError` for a full disk.
    """
    made, done = Spool.create(), 0
    try:
        with made.path.open("wb") as out:
            for block in blocks:
                done += out.write(block[: size - done])
                if done == size:
                    return made
    except OSError as error:
        raise LocationError(
            say(
                "cannot be expanded into {gettempdir}: {strerror}",
                gettempdir=tempfile.gettempdir(),
                strerror=error.strerror or error,
            ),
            where=name,
            remedy="free some space there, or set TMPDIR to another folder",
        ) from error
    raise TruncatedError(
        say("expands to {done} bytes", done=done),
        expected=say("{size} by its header", size=size),
        where=name,
        remedy="was it copied whole?",
    )
