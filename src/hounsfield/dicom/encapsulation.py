"""The bytes of each frame in encapsulated Pixel Data (PS3.5 A.4). Nothing here decodes them.

Only item headers are read, and the first and last bytes of fragments where no offset table says which fragments
make a frame; what is written has a table always. Native Pixel Data needs no such search: its frames have one
length, and follow each other.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import BinaryIO, TypeAlias

from hounsfield.errors import MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

Extent: TypeAlias = tuple[int, int]
"""Absolute offset and length, in bytes, of a run of a frame's bytes."""

Frame: TypeAlias = tuple[Extent, ...]
"""The extents whose bytes, joined, are one frame's codestream."""

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONGEST_FRAGMENT = 0xFFFFFFFE
_END_OF_IMAGE = b"\xff\xd9"  # JPEG and JPEG-LS EOI, JPEG 2000 EOC: the same two bytes
_STARTS = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cjP  ",
    b"\x00\x00\x00\x0cJXL ",
    b"\xff\x0a",
)
_MAX_FRAGMENTS = 1 << 20  # of one frame; a list of them takes thirty times the bytes of empty ones
_FRAGMENTS_A_FRAME = 4
_TAIL = 16  # bytes looked at for an end-of-image marker before its padding


def locate_frames(
    stream: BinaryIO,
    *,
    offset: int,
    number_of_frames: int,
    extended_offsets: Sequence[int] | None = None,
    extended_lengths: Sequence[int] | None = None,
    truncated: bool = False,
) -> tuple[Frame, ...]:
    """The frames of the encapsulated Pixel Data whose value begins at `offset` in `stream`.

    `offset` is where the first item tag is, that of the Basic Offset Table. The tables are tried in the order
    Extended Offset Table (PS3.3 C.7.6.3.1.8), Basic Offset Table, one fragment a frame, end-of-image markers; a
    table that does not point at item tags is passed over when the fragments speak for themselves.

    The result may be longer than `number_of_frames` when there are more frames than the header says. With
    `truncated`, data that end too soon give the whole frames before their end. Raises `TruncatedError` naming the
    first frame that is not whole, `MalformedError` where fragments cannot be assigned to frames.
    """
    if number_of_frames < 1:
        raise MalformedError(
            say("Number of Frames is {number_of_frames}", number_of_frames=number_of_frames),
            expected="at least 1",
        )
    table, fragments, is_whole = _read_items(stream, offset, number_of_frames, forgiving=truncated)
    if truncated and (not is_whole or len(fragments) < number_of_frames):
        return _before_the_end(stream, fragments, extended_offsets or table)
    if len(fragments) < number_of_frames:
        raise TruncatedError(
            say(
                "pixel data ends before frame {number} of {number_of_frames}",
                number=len(fragments) + 1,
                number_of_frames=number_of_frames,
            ),
            expected=say("at least {number_of_frames} fragments", number_of_frames=number_of_frames),
            frame=len(fragments),
            found_fragments=len(fragments),
        )
    if extended_offsets:
        extended = _by_extended_table(fragments, extended_offsets, extended_lengths, number_of_frames)
        if extended is not None:
            return extended
    if len(fragments) == number_of_frames:
        return tuple((fragment,) for fragment in fragments)
    by_table = _by_basic_table(fragments, table, number_of_frames)
    if by_table is not None:
        return by_table
    filled = [fragment for fragment in fragments if fragment[1]]  # an empty one between frames is none
    if len(filled) == number_of_frames:
        return tuple((fragment,) for fragment in filled)
    by_markers = _by_markers(stream, filled, number_of_frames)
    if by_markers is None and truncated and _is_cut(stream, fragments):
        # Cut between two fragments of a frame: as many fragments as frames, and yet not all frames.
        before = _before_the_end(stream, fragments, extended_offsets or table)
        by_markers = before if len(before) < number_of_frames else None
    return by_markers or _alone(fragments, number_of_frames)


def count_fragments(stream: BinaryIO, offset: int, *, most: int) -> int:
    """Return how many fragments with content begin behind the Basic Offset Table at `offset`; counts up to `most`.

    No frame has less than one, so that a Number of Frames can be held against it before anything is made for each.
    """
    end = stream.seek(0, os.SEEK_END)
    found, position = 0, offset
    for number in range(2 * most + 1):
        stream.seek(position)
        header = _read(stream, 8)
        position += 8 + int.from_bytes(header[4:], "little")
        if found >= most or header[:4] != _ITEM or position > end:
            break
        found += number > 0 and header[4:] != b"\0\0\0\0"
    return found


def missing_bytes(stream: BinaryIO, offset: int, *, most: int) -> str:
    """Return what encapsulated Pixel Data whose value begins at `offset` lacks up to its delimiter; "" for nothing.

    Raises `UnsupportedError` beyond `most` fragments, `MalformedError` for what is no fragment.
    """
    size = stream.seek(0, os.SEEK_END)
    position = offset
    for _ in range(most):
        stream.seek(position)
        header = _read(stream, 8)
        if len(header) < 8:
            return "the end of encapsulated Pixel Data is missing"
        length = int.from_bytes(header[4:], "little")
        if header[:4] == _DELIMITER:
            return ""
        if header[:4] != _ITEM or length == _UNDEFINED_LENGTH:
            raise MalformedError("no item where a fragment of Pixel Data should begin")
        position += 8 + length
        if position > size:
            return f"{position - size} bytes of a fragment are missing"
    raise UnsupportedError("too many fragments of Pixel Data", expected=say("at most {most}", most=most))


def read_frame(stream: BinaryIO, frame: Frame) -> bytes:
    """The bytes of one frame; a trailing padding byte may be among them. Raises `TruncatedError`."""
    parts = []
    for start, length in frame:
        stream.seek(start)
        part = _read(stream, length)
        if len(part) < length:
            raise TruncatedError(
                say(
                    "only {count} of {length} bytes at offset {start}",
                    count=len(part),
                    length=length,
                    start=start,
                ),
                found_bytes=len(part),
                expected_bytes=length,
            )
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read(stream: BinaryIO, length: int) -> bytes:
    """`length` bytes, fewer only at the end; an unbuffered stream may give less at a time."""
    data = stream.read(length) or b""
    while len(data) < length and (more := stream.read(length - len(data))):
        data += more
    return data


def _read_items(
    stream: BinaryIO, offset: int, number_of_frames: int, *, forgiving: bool
) -> tuple[tuple[int, ...], list[Extent], bool]:
    """The Basic Offset Table, the extents of all fragments, and whether they end as they should.

    Each fragment is checked against the end of the stream; where `forgiving`, one beyond it ends the list.
    """
    end = stream.seek(0, os.SEEK_END)
    first = _item_length(stream, offset, end, 0, number_of_frames)
    if first is None:
        raise TruncatedError("pixel data has no Basic Offset Table and no fragment", frame=0)
    stream.seek(offset + 8)
    raw = _read(stream, first)
    table = struct.unpack(f"<{first // 4}I", raw[: first // 4 * 4])
    fragments: list[Extent] = []
    most = _MAX_FRAGMENTS + _FRAGMENTS_A_FRAME * number_of_frames
    position = offset + 8 + first
    try:
        while (length := _item_length(stream, position, end, len(fragments), number_of_frames)) is not None:
            fragments.append((position + 8, length))
            position += 8 + length
            if len(fragments) > most:
                raise MalformedError(
                    say(
                        "more than {most} fragments for {number_of_frames} frames",
                        most=most,
                        number_of_frames=number_of_frames,
                    ),
                    expected="one to four a frame",
                )
    except TruncatedError:
        if not forgiving:
            raise
        return table, fragments, False
    return table, fragments, True


def _before_the_end(stream: BinaryIO, fragments: list[Extent], table: Sequence[int]) -> tuple[Frame, ...]:
    """The whole frames of data that end too soon: up to where the next begins, or by end-of-image markers.

    Without a table and without markers (RLE) a fragment is a frame (PS3.5 A.4.2).
    """
    if not fragments:
        return ()
    first = fragments[0][0]
    ends = {
        start + length - first + 8 for start, length in fragments
    }  # where a next fragment's value would begin
    frames: list[Frame] = []
    starts = [start - first for start, _ in fragments]
    if table and table[0] == 0:
        for begin, end in pairwise(table):
            if end not in ends or begin >= end:
                break
            frames.append(tuple(fragments[bisect_left(starts, begin) : bisect_left(starts, end)]))
        return tuple(frames)
    if not _starts_image(stream, *fragments[0]):
        return tuple((fragment,) for fragment in fragments)
    parts: list[Extent] = []
    for fragment in fragments:
        parts.append(fragment)
        if _ends_image(stream, *fragment):
            frames.append(tuple(parts))
            parts = []
    return tuple(frames)


def _is_cut(stream: BinaryIO, fragments: list[Extent]) -> bool:
    """Return whether nothing follows the last fragment, not even the delimiter."""
    stream.seek(sum(fragments[-1]))
    return len(_read(stream, 8)) < 8


def _item_length(stream: BinaryIO, position: int, end: int, index: int, number_of_frames: int) -> int | None:
    """Length of the item at `position`, `None` at the end of the items (a missing delimiter is forgiven)."""
    frame = min(index, number_of_frames - 1)
    stream.seek(position)
    header = _read(stream, 8)
    if not header.strip(b"\0") and len(header) < 8:
        return None
    if len(header) < 8:
        raise TruncatedError(
            say(
                "item header of frame {number} is cut off at offset {position}",
                number=frame + 1,
                position=position,
            ),
            frame=frame,
        )
    tag, length = header[:4], int.from_bytes(header[4:], "little")
    if tag == _DELIMITER:
        return None
    if tag != _ITEM or length == _UNDEFINED_LENGTH:
        raise MalformedError(
            say(
                "no item of defined length at offset {position} of frame {number}",
                position=position,
                number=frame + 1,
            ),
            expected="item tag FFFE,E000",
            frame=frame,
        )
    if position + 8 + length > end:
        raise TruncatedError(
            say(
                "frame {number} ends {number2} bytes after the data does",
                number=frame + 1,
                number2=position + 8 + length - end,
            ),
            expected=say("{length} bytes at offset {number}", length=length, number=position + 8),
            frame=frame,
            found_bytes=end - position - 8,
            expected_bytes=length,
        )
    return length


def _by_extended_table(
    fragments: list[Extent],
    offsets: Sequence[int],
    lengths: Sequence[int] | None,
    number_of_frames: int,
) -> tuple[Frame, ...] | None:
    """PS3.3 C.7.6.3.1.8: offsets of item tags after the Basic Offset Table; one fragment each; exact lengths."""
    if len(set(offsets)) != number_of_frames or len(offsets) != number_of_frames or not fragments:
        return None  # two frames at one entry are one of them read twice
    first = fragments[0][0]
    known = dict(fragments)
    frames = []
    for index, relative in enumerate(offsets):
        start = first + int(relative)
        if start not in known:
            return None
        length = known[start]
        if lengths is not None and index < len(lengths) and 0 < lengths[index] <= length:
            length = int(lengths[index])
        frames.append(((start, length),))
    return tuple(frames)


def _by_basic_table(
    fragments: list[Extent], table: tuple[int, ...], number_of_frames: int
) -> tuple[Frame, ...] | None:
    """PS3.5 A.4: offsets of each frame's first item tag from the first after the table."""
    if len(table) != number_of_frames or table[0] != 0:
        return None
    starts = [start - fragments[0][0] for start, _ in fragments]
    cuts: list[int] = []
    for offset in table:
        index = bisect_left(starts, offset)
        if index == len(starts) or starts[index] != offset or (cuts and index <= cuts[-1]):
            return None
        cuts.append(index)
    return tuple(
        tuple(fragments[begin:stop]) for begin, stop in zip(cuts, [*cuts[1:], len(fragments)], strict=True)
    )


def _by_markers(stream: BinaryIO, fragments: list[Extent], number_of_frames: int) -> tuple[Frame, ...] | None:
    """A frame ends with the fragment that ends with an end-of-image marker, before one that starts an image."""
    frames: list[Frame] = []
    begin = 0
    for index, (start, length) in enumerate(fragments):
        last = index + 1 == len(fragments)
        if last or (_ends_image(stream, start, length) and _starts_image(stream, *fragments[index + 1])):
            frames.append(tuple(fragments[begin : index + 1]))
            begin = index + 1
    return tuple(frames) if len(frames) >= number_of_frames else None


def _ends_image(stream: BinaryIO, start: int, length: int) -> bool:
    taken = min(length, _TAIL)
    stream.seek(start + length - taken)
    return _read(stream, taken).rstrip(b"\0").endswith(_END_OF_IMAGE)


def _starts_image(stream: BinaryIO, start: int, length: int) -> bool:
    stream.seek(start)
    return _read(stream, min(length, _TAIL)).startswith(_STARTS)


def _alone(fragments: list[Extent], number_of_frames: int) -> tuple[Frame, ...]:
    if number_of_frames == 1:
        return (tuple(fragments),)
    raise MalformedError(
        say(
            "{count} fragments, no offset table, and no end-of-image markers that make "
            "{number_of_frames} frames",
            count=len(fragments),
            number_of_frames=number_of_frames,
        ),
        expected="a Basic or Extended Offset Table",
        fragments=len(fragments),
    )


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """A Pixel Data value in pieces, from its Basic Offset Table to its sequence delimiter, and the extended table if
    any. The frames are among the pieces as they were given: nothing is copied.
    """

    pieces: tuple[bytes, ...]
    extended_offsets: tuple[int, ...] = ()
    extended_lengths: tuple[int, ...] = ()

    @property
    def value(self) -> bytes:
        return b"".join(self.pieces)


def encapsulate(frames: Sequence[bytes], *, extended: bool | None = None) -> Encapsulation:
    """One fragment a frame, padded to even length (PS3.5 A.4).

    Offsets go to the Basic Offset Table, or where they do not fit 32 bits to the Extended Offset Table with an
    empty basic one (PS3.3 C.7.6.3.1.8); `extended` forces either.
    """
    if any(len(frame) > _LONGEST_FRAGMENT for frame in frames):
        raise UnsupportedError("a frame of 4 GiB or more", expected="a fragment's length in 32 bits")
    lengths = [len(frame) + len(frame) % 2 for frame in frames]
    offsets = tuple(accumulate((8 + length for length in lengths), initial=0))[:-1]
    if extended is None:
        extended = bool(offsets) and offsets[-1] >= _UNDEFINED_LENGTH
    table = b"" if extended else struct.pack(f"<{len(offsets)}I", *offsets)
    pieces = [struct.pack("<4sI", _ITEM, len(table)), table]
    for frame, length in zip(frames, lengths, strict=True):
        pieces += (struct.pack("<4sI", _ITEM, length), frame, b"\0" * (length - len(frame)))
    pieces += (_DELIMITER, b"\0\0\0\0")
    if not extended:
        return Encapsulation(tuple(pieces))
    return Encapsulation(tuple(pieces), offsets, tuple(map(len, frames)))
