"""The members of a zip, by its central directory (APPNOTE 4.3); stored and deflated ones are read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.errors import LocationError, MalformedError
from hounsfield.language import say
from hounsfield.locations.archives.limits import ArchiveLimits
from hounsfield.locations.archives.names import natural, why_not_this_member
from hounsfield.locations.archives.streams import Extent, Inflated

_ENCRYPTED = 0x1 | 0x40 | 0x2000
"""General purpose bits: encrypted, strongly encrypted, names masked (APPNOTE 4.4.4)."""

_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES"}
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_END, _END_64 = struct.Struct("<4s8xL"), struct.Struct("<4s36xQ")
_LEAST_ENTRY = 46
"""Bytes of the shortest entry of a central directory; bounds how many there can be before any is parsed."""

# What `zipfile` raises over bytes that are no sound zip.
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    struct.error,
    ValueError,
    EOFError,
    OverflowError,
    IndexError,
)


def is_zip(head: bytes) -> bool:
    """Return whether a file begins as a zip does: with a local header, or the end of an empty directory."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One member as a `Source`; plain values, so that it can be handed to another process."""

    name: str
    path: Path
    header_offset: int
    deflated: bool
    packed_bytes: int
    size: int
    checksum: int

    def open(self) -> BinaryIO:
        try:
            stream = self.path.open("rb", buffering=0)
        except OSError as error:
            raise LocationError(
                say("cannot be opened: {strerror}", strerror=error.strerror),
                where=self.name,
                remedy="is the archive still there?",
            ) from error
        try:
            return self._opened(cast(BinaryIO, stream))
        except BaseException:
            stream.close()
            raise

    def _opened(self, stream: BinaryIO) -> BinaryIO:
        stream.seek(self.header_offset)
        header = stream.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise MalformedError(
                "is not where the archive's directory says", where=self.name, remedy="the archive is damaged"
            )
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        offset = self.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        if not self.deflated:
            return cast(BinaryIO, Extent(stream, offset, self.size, self.name))
        stream.seek(offset)
        return cast(BinaryIO, Inflated(stream, self.packed_bytes, self.size, self.checksum, self.name))


def zip_members(path: Path, limits: ArchiveLimits, *, name: str) -> Iterator[Source | Skipped]:
    """Every file in the zip at `path` in natural order; raises as `archive_members` says."""
    # Not `is_dir`, which raises for a member without a name.
    files = [info for info in _directory(path, limits, name) if not info.filename.endswith("/")]
    archive_bytes = path.stat().st_size
    limits.check_total(sum(info.file_size for info in files), archive_bytes, where=name)
    if files and all(info.flag_bits & _ENCRYPTED for info in files):
        raise LocationError(
            "is encrypted", where=name, remedy="unpack it with its password and give the folder"
        )
    taken: dict[str, int] = {}
    for info in sorted(files, key=lambda info: natural(info.filename)):
        taken[info.filename] = count = taken.get(info.filename, 0) + 1
        shown = f"{name}!/{info.filename}" + (f" ({count})" if count > 1 else "")
        reason = _why_left_out(info, limits, archive_bytes)
        yield Skipped(shown, reason) if reason else _member(path, info, shown)


def _member(path: Path, info: zipfile.ZipInfo, shown: str) -> ZipMember:
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return ZipMember(shown, path, info.header_offset, deflated, info.compress_size, info.file_size, info.CRC)


def _why_left_out(info: zipfile.ZipInfo, limits: ArchiveLimits, archive_bytes: int) -> str | None:
    if (reason := why_not_this_member(info.filename)) is not None:
        return reason
    if info.flag_bits & _ENCRYPTED:
        return "encrypted; unpack it with its password first"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        return f"compressed by {method}, which is not read here; unpack the archive first"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return "declares two sizes for the same bytes; the archive is damaged"
    if not 0 <= info.header_offset <= archive_bytes - _LOCAL_HEADER.size - info.compress_size:
        return "lies outside of the archive; it is damaged or was not copied whole"
    return limits.member_excess(info.file_size, info.compress_size)


def _directory(path: Path, limits: ArchiveLimits, name: str) -> list[zipfile.ZipInfo]:
    try:
        with path.open("rb") as stream:
            _check_directory_size(cast(BinaryIO, stream), limits, name)
            with zipfile.ZipFile(stream) as archive:
                infos = archive.infolist()
    except _BROKEN as error:
        raise MalformedError(
            say("is not a sound zip: {error}", error=error),
            where=name,
            remedy="was it copied or downloaded whole?",
        ) from error
    limits.check_members(len(infos), where=name)
    return infos


def _check_directory_size(stream: BinaryIO, limits: ArchiveLimits, name: str) -> None:
    """Refuse a central directory of absurdly many entries before `zipfile` makes an object of each."""
    size = stream.seek(0, 2)
    start = max(size - 65_557 - 76, 0)  # the longest comment, the end record, the two records of zip64
    stream.seek(start)
    tail = stream.read()
    for record, magic in ((_END, b"PK\x05\x06"), (_END_64, b"PK\x06\x06")):
        at = tail.rfind(magic)
        if 0 <= at <= len(tail) - record.size:
            declared = record.unpack_from(tail, at)[1]
            if declared != 0xFFFFFFFF:
                limits.check_members(min(declared, size) // _LEAST_ENTRY, where=name)
    stream.seek(0)
