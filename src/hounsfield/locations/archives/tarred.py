"""The members of a tar: ustar, GNU and pax headers (POSIX.1-2017 pax, "ustar Interchange Format"), by one pass.

Read here rather than by `tarfile`, whose headers may be of any size and whose loops trust them. A compressed tar
(gzip, bzip2, xz) is first expanded into a temporary file, removed with the last source that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.errors import LocationError, MalformedError
from hounsfield.language import say
from hounsfield.locations.archives.limits import ArchiveLimits
from hounsfield.locations.archives.names import natural, why_not_this_member
from hounsfield.locations.archives.spool import Spool, compression, spool
from hounsfield.locations.archives.streams import Extent

BLOCK = 512
_ZEROS = bytes(BLOCK)
_LONGEST_NAME = 64 << 10
"""Bytes of a GNU long name or a pax header; a longer one is an attack."""

_FILES = b"\x00" + b"07"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}
_SILENT = b"5gKVMD"
"""Folders, global headers, long link names, volume labels, multi-volume and dump-directory records."""


def tar_compression(head: bytes) -> str | None:
    """Return how a file that begins with `head` packs a tar: "" not at all, "gzip", "bzip2", "xz"; None: it is no tar.

    Whether what is compressed is a tar shows only once it is expanded.
    """
    return "" if _begins_a_tar(head) else compression(head)


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member as a `Source`. It holds on to the temporary file it is in, if it is in one."""

    name: str
    path: Path
    offset: int
    size: int
    spool: Spool | None = None

    def open(self) -> BinaryIO:
        try:
            stream = self.path.open("rb", buffering=0)
        except OSError as error:
            raise LocationError(
                say("cannot be opened: {strerror}", strerror=error.strerror),
                where=self.name,
                remedy="is the archive still there?",
            ) from error
        return cast(BinaryIO, Extent(cast(BinaryIO, stream), self.offset, self.size, self.name))


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: bytes
    offset: int
    size: int


def tar_members(path: Path, limits: ArchiveLimits, *, name: str) -> Iterator[Source | Skipped]:
    """Every file in the tar at `path` in natural order; raises as `archive_members` says."""
    spooled: Spool | None = None
    with path.open("rb") as stream:
        packed = compression(stream.read(16))
    if packed is not None:
        spooled = spool(path, packed, limits, name=name, is_wanted=_is_tar)
        path = spooled.path
    with path.open("rb") as stream:
        entries, ending = _index(cast(BinaryIO, stream), os.fstat(stream.fileno()).st_size, limits, name)
    taken: dict[str, int] = {}
    for entry in sorted(entries, key=lambda entry: natural(entry.name)):
        taken[entry.name] = count = taken.get(entry.name, 0) + 1
        shown = f"{name}!/{entry.name}" + (f" ({count})" if count > 1 else "")
        reason = _why_left_out(entry, limits)
        yield Skipped(shown, reason) if reason else TarMember(shown, path, entry.offset, entry.size, spooled)
    if ending is not None:
        yield Skipped(name, ending)


def _why_left_out(entry: _Entry, limits: ArchiveLimits) -> str | None:
    if (reason := why_not_this_member(entry.name)) is not None:
        return reason
    if entry.kind in _KINDS:
        return f"{_KINDS[entry.kind]}, not a file with bytes of its own"
    if entry.kind not in _FILES:
        return f"a member of the unknown type {entry.kind!r}"
    return limits.member_excess(entry.size, entry.size)


def _index(stream: BinaryIO, size: int, limits: ArchiveLimits, name: str) -> tuple[list[_Entry], str | None]:
    """Every member but folders, and why the pass ended early if it did: what came before is still good."""
    entries: list[_Entry] = []
    position, extended = 0, _Extended()
    while position + BLOCK <= size:
        stream.seek(position)
        header = stream.read(BLOCK)
        if header == _ZEROS:
            return entries, None
        if not _checksum_holds(header):
            if position == 0:
                raise MalformedError("is not a tar", where=name, remedy="give the file that is inside it")
            return entries, f"its headers are broken from byte {position} on; what follows is lost"
        kind = header[156:157]
        declared = _number(header[124:136]) if extended.size is None else extended.size
        if declared is None or position + BLOCK + declared > size:
            return entries, f"ends within the member at byte {position}; was it copied whole?"
        offset = position + BLOCK + (_sparse_map(stream, header) if kind == b"S" else 0)
        position = offset + -(-declared // BLOCK) * BLOCK
        if kind in b"Lx":
            extended = extended.with_header(kind, stream, declared)
            continue
        if kind not in _SILENT and not (kind in _FILES and (extended.name or _name(header)).endswith("/")):
            entries.append(_Entry(extended.name or _name(header), kind, offset, declared))
            limits.check_members(len(entries), where=name)
        if kind not in b"gKV":
            extended = _Extended()
    return entries, "ends without its end mark; was it copied whole?" if position > size else None


@dataclass(frozen=True, slots=True)
class _Extended:
    """An extended header of the member that follows it: a name or size that does not fit ustar."""

    name: str | None = None
    size: int | None = None

    def with_header(self, kind: bytes, stream: BinaryIO, length: int) -> _Extended:
        if length > _LONGEST_NAME:
            return self
        content = stream.read(length)
        if kind == b"L":
            return _Extended(_text(content.split(b"\0")[0]), self.size)
        records = _pax_records(content)
        size = records.get(b"size", b"")
        return _Extended(
            _text(records[b"path"]) if records.get(b"path") else self.name,
            int(size) if size.isdigit() and len(size) < 20 else self.size,
        )


def _pax_records(content: bytes) -> dict[bytes, bytes]:
    """`length keyword=value\\n` records; stops at the first that is not one."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(content):
        digits, blank, _ = content[position : position + 12].partition(b" ")
        if not blank or not digits.isdigit() or not int(digits):
            break
        record = content[position + len(digits) + 1 : position + int(digits) - 1]
        keyword, _, value = record.partition(b"=")
        records[keyword] = value
        position += int(digits)
    return records


def _sparse_map(stream: BinaryIO, header: bytes) -> int:
    """Bytes of the continuation blocks of an old GNU sparse map, which stand before the data."""
    length = 0
    more = header[482:483]
    while more == b"\x01":
        block = stream.read(BLOCK)
        length += len(block)
        more = block[504:505]
    return length


def _name(header: bytes) -> str:
    name = _text(header[:100].split(b"\0")[0])
    # The prefix is POSIX's; GNU keeps times there.
    prefix = _text(header[345:500].split(b"\0")[0]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _number(field: bytes) -> int | None:
    """A size: octal digits, or with the first bit set base 256 (GNU); None if it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    try:
        number = int(digits, 8) if digits else 0
    except ValueError:
        return None
    return number if number >= 0 else None


def _is_tar(expanded: bytes) -> bool:
    # An empty tar is its end mark alone; of a file that is not compressed, zeros say nothing.
    return _begins_a_tar(expanded) or not expanded.strip(b"\0")


def _begins_a_tar(head: bytes) -> bool:
    return len(head) >= BLOCK and _checksum_holds(head[:BLOCK])


def _checksum_holds(header: bytes) -> bool:
    """Return whether a header's sum is the one it declares; some writers summed signed bytes."""
    declared = _number(header[148:156])
    if not declared:
        return False
    unsigned = sum(header) - sum(header[148:156]) + 8 * 32
    signed = unsigned - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
    return declared in {unsigned, signed}
