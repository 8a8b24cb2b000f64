"""Layouts: what the headers of one series have in common, learnt from file to file, so that it is walked over only
once.

Slices differ in some twenty of 130 elements. The bytes between those are compared as they are, in one step each;
only the elements that differ are read. Nothing is guessed: bytes that equal those of a header which the strict
walk (`fast_walk`) accepted mean the same, and the first byte that does not fit hands the file to that walk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from hounsfield.dicom.encoding import LARGEST_HEADER
from hounsfield.dicom.fast_walk import (
    FIRST_READ,
    TRANSFER_SYNTAX,
    Elements,
    Trace,
    Unrecognised,
    checked_length,
    keep_value,
    pixel_element,
    scan_elements,
)
from hounsfield.dicom.nesting import LEAST_DEEP

_PATIENCE = 8  # misses more than hits: then these are no slices of one series, and learning is for nothing
_FIRST_ELEMENT = 132  # after preamble and prefix (PS3.10 7.1)


@dataclass(frozen=True, slots=True)
class _Step:
    """Bytes that recur, up to and with the tag and VR of an element that differs; then that one's length and value."""

    recurring: bytes
    tag: int
    vr: bytes
    length_bytes: int
    expected: bytes | None  # its VR by the dictionary if it is wanted
    is_data: bool  # of the data set, not of the file meta group


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Steps from the first element to the pixels, and the wanted values among what recurs."""

    steps: tuple[_Step, ...]
    rest: bytes
    values: dict[int, bytes]
    transfer_syntax: str
    implicit: bool

    def match(self, buffer: bytes) -> Elements | None:
        """The elements of a header that is like this; None if it is not, or goes on beyond the buffer."""
        position = _FIRST_ELEMENT
        values = self.values.copy()
        for step in self.steps:
            if not buffer.startswith(step.recurring, position):
                return None
            position += len(step.recurring) + step.length_bytes
            length = int.from_bytes(buffer[position - step.length_bytes : position], "little")
            if length >= LEAST_DEEP and step.length_bytes == 4:
                vr = b"" if self.implicit and step.is_data else step.vr
                length = checked_length(buffer, position, vr, length)
            start, position = position, position + length
            if step.expected == step.vr != b"SQ":
                values[step.tag] = buffer[start:position]
            elif step.expected is not None:
                keep_value(values, buffer, step.tag, step.vr, start, position, step.expected)
        if not buffer.startswith(self.rest, position):
            return None
        position += len(self.rest)
        if position + LARGEST_HEADER > len(buffer):
            return None
        return Elements(values, self.transfer_syntax, pixel_element(buffer, position, implicit=self.implicit))


class ElementLayout:
    """Reads the `wanted` elements of one file after another; a reader's own, not for several threads."""

    def __init__(self, wanted: dict[int, bytes]) -> None:
        self._wanted = wanted
        self._pattern: _Pattern | None = None
        self._last: Trace | None = None
        self._differing: frozenset[int] = frozenset()  # tags, of the pattern
        self._misses = 0

    @property
    def has_given_up(self) -> bool:
        """These are not the slices of one series: each is walked over by itself."""
        return self._misses > _PATIENCE

    def scan(self, stream: BinaryIO) -> tuple[Elements | None, bool]:
        """As `scan_elements` gives it, and whether what recurs is held in common with the file before."""
        if self.has_given_up:
            return scan_elements(stream, self._wanted), False
        if self._pattern is not None and self._last is not None:
            try:
                elements = self._pattern.match(stream.read(max(FIRST_READ, len(self._last.buffer))))
            except (Unrecognised, struct.error):
                elements = None
            if elements is not None:
                self._misses -= 1
                return elements, True
            stream.seek(0)
        self._misses += 1
        trace = Trace()
        elements = scan_elements(stream, self._wanted, trace=trace)
        if elements is not None:
            self._learn(trace, elements)
        return elements, False

    def _learn(self, new: Trace, elements: Elements) -> None:
        """Widen the pattern by what differs from the file before; begin anew where the elements are others."""
        old, self._last, self._pattern = self._last, new, None
        if (
            old is None
            or old.implicit != new.implicit
            or [span[0] for span in old.spans] != [span[0] for span in new.spans]
        ):
            self._differing = frozenset()
            return
        differing = {
            one[0]
            for one, other in zip(old.spans, new.spans, strict=True)
            if old.buffer[one[2] : one[4]] != new.buffer[other[2] : other[4]]
        } | self._differing
        if TRANSFER_SYNTAX not in differing:
            self._differing = frozenset(differing)
            self._pattern = self._pattern_of(new, elements)

    def _pattern_of(self, trace: Trace, elements: Elements) -> _Pattern:
        steps: list[_Step] = []
        begin = _FIRST_ELEMENT
        buffer = trace.buffer
        for tag, written, start, value, end in trace.spans:
            if tag not in self._differing:
                continue
            is_data = start >= trace.data_set
            length_bytes = 2 if written and value - start < LARGEST_HEADER else 4
            expected = self._wanted.get(tag) if is_data else None
            vr = written or expected or b""
            steps.append(
                _Step(buffer[begin : value - length_bytes], tag, vr, length_bytes, expected, is_data)
            )
            begin = end
        values = {tag: value for tag, value in elements.values.items() if tag not in self._differing}
        rest = buffer[begin : trace.pixels]
        return _Pattern(tuple(steps), rest, values, elements.transfer_syntax, trace.implicit)
