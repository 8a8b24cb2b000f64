"""The marker segments of a JPEG 2000 codestream held against ISO/IEC 15444-1 annex A, before any decoder sees them.

Decoders trust these segments: one that cannot be made OpenJPH read memory that was not its own, or run without end.
What cannot be is malformed; what may be, but occurs so seldom that no decoder here was tried with it, is named in
`Coding.unproven`. Packets are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.language import say

_CAP, _COD, _COC, _TLM, _PLM, _PLT = 0x50, 0x52, 0x53, 0x55, 0x57, 0x58
_QCD, _QCC, _RGN, _POC, _PPM, _PPT = 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61
_CRG, _COM, _SOT, _SOD, _EOC = 0x63, 0x64, 0x90, 0x93, 0xD9
_ONLY_MAIN, _ONLY_TILE = {_CAP, _TLM, _PLM, _PPM, _CRG}, {_PPT, _PLT}
_SELDOM = {_COC: "COC", _QCC: "QCC", _RGN: "RGN", _POC: "POC", _PPM: "PPM", _PPT: "PPT"}
_MOST_LEVELS = 32  # table A.15
_WIDEST_BLOCK = 8  # sum of the two exponents, less two each (A.18)
_HIGH_THROUGHPUT = 0x40  # code-block style: HT blocks (15444-15 A.4)
_CAUSAL = 0x08  # the one other bit that HT blocks may have
_HT_ALONE = 0x00020000  # Pcap with part 15 and no other (15444-15 A.3)
_MANY_TILES = 1024
"""Each costs decoders ten times what its header has bytes to say."""
MOST_BITPLANES = 30
"""Magnitude bits up to which every OpenJPH has a decoder for the irreversible wavelet."""


class Coding(NamedTuple):
    """The coding of a codestream.

    `high_throughput`: by a CAP segment; `irreversible`: by the 9/7 wavelet, anywhere; `bitplanes`: the
    most magnitude bits of a subband (E-2). `unproven`: what of it decoders were not tried with, "" where they were.
    """

    high_throughput: bool
    irreversible: bool
    bitplanes: int
    unproven: str

    @property
    def is_deep(self) -> bool:
        """Return whether OpenJPH before 0.32 has no decoder for it, and calls none all the same."""
        return self.high_throughput and self.irreversible and self.bitplanes > MOST_BITPLANES


@dataclass(slots=True)
class _Segments:
    """The state that main header and tile-part headers have set so far."""

    components: int
    tiles: int
    high_throughput: bool = False
    irreversible: bool = False
    reversible: bool = False
    bitplanes: int = 0
    blocks: set[int] = field(default_factory=set)
    levels: int = -1
    steps: int = -1
    kinds: set[int] = field(default_factory=set)
    unproven: str = ""
    in_main: bool = True
    begun: set[int] = field(default_factory=set)
    is_overridden: bool = False

    def read(self, marker: int, body: bytes) -> None:
        """Check one segment; `body` is what follows its length."""
        reader = _READERS.get(marker)
        if marker in _SELDOM:
            self.doubt(f"a {_SELDOM[marker]} segment")
        if marker in (_COC, _QCC) or (marker in (_COD, _QCD) and not self.in_main):
            self.is_overridden = True
        if marker in (_ONLY_TILE if self.in_main else _ONLY_MAIN):
            raise MalformedError(
                say(
                    "JPEG 2000 marker FF{marker} in the {which} header",
                    marker=format(marker, "02X"),
                    which="main" if self.in_main else "tile-part",
                ),
                expected="it in the other (ISO/IEC 15444-1 A.2)",
            )
        if reader is not None:
            reader(self, body)
        elif marker < 0x50 or marker in (0x51, 0x91, 0x92, _SOD):
            raise MalformedError(
                say("JPEG 2000 marker FF{marker} within a header", marker=format(marker, "02X"))
            )
        elif marker != _COM:
            self.doubt(f"a segment FF{marker:02X}")

    def doubt(self, what: str) -> None:
        """Remember the first thing that decoders were not tried with."""
        self.unproven = self.unproven or what

    def read_cap(self, body: bytes) -> None:
        """CAP (A.5.2): which other parts are needed, and a word for each."""
        parts = int.from_bytes(body[:4], "big")
        _check_length("CAP", body, 4 + 2 * parts.bit_count())
        self.high_throughput = True
        if parts != _HT_ALONE:
            self.doubt("parts of JPEG 2000 other than 1 and 15")

    def read_cod(self, body: bytes) -> None:
        """COD (A.6.1): progression, layers, and the coding style of all components."""
        if len(body) < 10:
            raise _bad("COD", "length", len(body) + 2, "12 or more")
        if self.levels >= 0:
            self.doubt("several COD segments")
        style, order, layers, transform = body[0], body[1], int.from_bytes(body[2:4], "big"), body[4]
        if style > 7 or order > 4 or not layers or transform > 1:
            raise _bad("COD", "style", body[:5].hex(), "the values of table A.13")
        if transform and self.components < 3:
            self.doubt(f"a component transform of {self.components} components")
        self._read_style("COD", body[5:], has_precincts=bool(style & 1))

    def read_coc(self, body: bytes) -> None:
        """COC (A.6.2): the coding style of one component."""
        rest = self._of_component("COC", body, 6)
        if rest[0] > 1:
            raise _bad("COC", "style", rest[0], "0 or 1")
        self._read_style("COC", rest[1:], has_precincts=rest[0] == 1)

    def _read_style(self, name: str, body: bytes, *, has_precincts: bool) -> None:
        """The part that COD and COC share (table A.15): levels, code-blocks, wavelet, precincts."""
        levels, width, height, blocks, wavelet = body[:5]
        _check_length(name, body, 5 + (levels + 1 if has_precincts else 0))
        if levels > _MOST_LEVELS or max(width, height, width + height) > _WIDEST_BLOCK:
            raise _bad(name, "levels and code-blocks", body[:3].hex(), "the values of tables A.15 and A.18")
        if wavelet > 1 or blocks & 0xC0 == 0x80:
            raise _bad(name, "code-block style and wavelet", body[3:5].hex(), "those of tables A.19 and A.20")
        if any(size & 0x0F == 0 or size & 0xF0 == 0 for size in body[6:]):
            raise _bad(name, "precincts", body[5:].hex(), "at least 2 × 2 above the lowest resolution")
        self.levels = max(self.levels, levels)
        self.blocks.add(blocks)
        self.irreversible |= wavelet == 0
        self.reversible |= wavelet == 1

    def read_qcd(self, body: bytes) -> None:
        """QCD (A.6.4): the quantisation of all components."""
        if self.steps >= 0:
            self.doubt("several QCD segments")
        self._read_steps("QCD", body)

    def read_qcc(self, body: bytes) -> None:
        """QCC (A.6.5): the quantisation of one component."""
        self._read_steps("QCC", self._of_component("QCC", body, 2))

    def _read_steps(self, name: str, body: bytes) -> None:
        """Guard bits, and an exponent for each subband (table A.28)."""
        if not body:
            raise _bad(name, "length", 2, "4 or more")
        kind, guard, steps = body[0] & 0x1F, body[0] >> 5, body[1:]
        width = 1 if kind == 0 else 2
        if kind > 2 or not steps or len(steps) % width or (kind == 1 and len(steps) != 2):
            raise _bad(name, "style and length", f"{kind}, {len(body) + 2}", "those of table A.28")
        deepest = max(steps[::width]) >> 3
        self.bitplanes = max(self.bitplanes, guard + deepest - 1)
        if kind != 1:  # a derived one serves every subband
            count = len(steps) // width
            self.steps = count if self.steps < 0 else min(self.steps, count)
        else:
            self.steps = 1 << 16 if self.steps < 0 else self.steps
        self.kinds.add(min(kind, 1))

    def _of_component(self, name: str, body: bytes, least: int) -> bytes:
        """Return what follows the number of a component, of at least so many bytes."""
        width = 1 if self.components < 257 else 2
        if len(body) < width + least:
            raise _bad(name, "length", len(body) + 2, f"{width + least + 2} or more")
        number = int.from_bytes(body[:width], "big")
        if number >= self.components:
            raise _bad(name, "component", number, f"below {self.components}")
        return body[width:]

    def read_tlm(self, body: bytes) -> None:
        """TLM (A.7.1): numbers of 0 to 2 bytes and lengths of 2 or 4."""
        if len(body) < 2:
            raise _bad("TLM", "length", len(body) + 2, "4 or more")
        number, length = body[1] >> 4 & 3, 4 if body[1] & 0x40 else 2
        if body[1] & 0x8F or number == 3 or (len(body) - 2) % (number + length):
            raise _bad("TLM", "sizes", f"{body[1]:#x} in {len(body) + 2} bytes", "those of table A.33")

    def read_any(self, body: bytes) -> None:
        """A segment that is stepped over by every decoder."""
        if not body:
            raise MalformedError("JPEG 2000 segment without content")

    def finished(self) -> Coding:
        """Return what all of it means together, once the main header was whole."""
        if self.steps < 3 * self.levels + 1 and not self.is_overridden:
            raise MalformedError(
                say("JPEG 2000 quantisation of {steps} subbands", steps=self.steps),
                expected=f"{3 * self.levels + 1}",
            )
        has_ht = any(style & _HIGH_THROUGHPUT for style in self.blocks)
        if self.high_throughput and any(style & ~_CAUSAL != _HIGH_THROUGHPUT for style in self.blocks):
            self.doubt("code-blocks that are not all of high throughput")
        elif has_ht and not self.high_throughput:
            self.doubt("code-blocks of high throughput without a CAP segment")
        if not self.is_overridden and self.kinds != {int(self.irreversible)}:
            self.doubt("a quantisation that is not the wavelet's")
        if has_ht and self.irreversible and self.bitplanes > MOST_BITPLANES:
            self.doubt(f"{self.bitplanes} magnitude bits")
        return Coding(self.high_throughput, self.irreversible, self.bitplanes, self.unproven)


_READERS: dict[int, Callable[[_Segments, bytes], None]] = {
    _CAP: _Segments.read_cap,
    _COD: _Segments.read_cod,
    _COC: _Segments.read_coc,
    _QCD: _Segments.read_qcd,
    _QCC: _Segments.read_qcc,
    _TLM: _Segments.read_tlm,
    **dict.fromkeys((_PLM, _PLT, _PPM, _PPT, _RGN, _POC, _CRG), _Segments.read_any),
}


def check_segments(data: bytes, *, components: int, tiles: int) -> Coding:
    """Walk main header and tile-parts of a codestream whose SIZ segment was checked, to the end.

    Decoders give what they have of a cut stream without a word, so lengths are held against the bytes here
    (A.4.2). A missing EOC marker is forgiven. Raises `MalformedError`, `TruncatedError`.
    """
    found = _Segments(components, tiles)
    position = 4 + int.from_bytes(data[4:6], "big")  # SOC, SIZ
    while True:
        marker = data[position : position + 2]
        if len(marker) < 2 or (marker[0] != 0xFF and found.begun):
            break  # after the last tile-part: nothing, or padding
        if marker[0] != 0xFF:
            raise MalformedError(
                say(
                    "JPEG 2000 marker expected at byte {position}, found {marker}",
                    position=position,
                    marker=marker.hex(),
                )
            )
        if marker[1] == _EOC:
            break
        if marker[1] == _SOT:
            if not found.begun:
                _check_main(found)
            found.in_main = False
            position = _walk_tile_part(data, position, found)
        elif found.begun:
            raise MalformedError(
                say(
                    "JPEG 2000 marker FF{marker} at byte {position}, between tile-parts",
                    marker=format(marker[1], "02X"),
                    position=position,
                )
            )
        else:
            position = _read_segment(data, position, found)
    if not found.begun:
        raise _cut(data)
    if len(found.begun) < tiles:  # which decoders leave as they find them, after work for each
        raise TruncatedError(
            say(
                "JPEG 2000 codestream with {count} of its {tiles} tiles", count=len(found.begun), tiles=tiles
            ),
            found_bytes=len(data),
        )
    if tiles > _MANY_TILES:
        found.doubt(f"{tiles} tiles")
    return found.finished()


def _check_main(found: _Segments) -> None:
    for name, value in (("COD", found.levels), ("QCD", found.steps)):
        if value < 0:
            raise MalformedError(say("JPEG 2000 main header without a {name} segment", name=name))


def _read_segment(data: bytes, position: int, found: _Segments) -> int:
    """Check the segment at `position`; where the next one begins."""
    length = int.from_bytes(data[position + 2 : position + 4], "big")
    end = position + 2 + length
    if length < 2:
        raise MalformedError(
            say("JPEG 2000 segment of {length} bytes at byte {position}", length=length, position=position)
        )
    if end > len(data):
        raise _cut(data)
    found.read(data[position + 1], data[position + 4 : end])
    return end


def _walk_tile_part(data: bytes, start: int, found: _Segments) -> int:
    """Check the tile-part at `start` (A.4.2), its header up to SOD; where it ends."""
    head = data[start + 2 : start + 12]
    if len(head) < 10:
        raise _cut(data)
    if head[:2] != b"\0\x0a":
        raise _bad("SOT", "length", int.from_bytes(head[:2], "big"), "10")
    tile, part = int.from_bytes(head[2:4], "big"), int.from_bytes(head[4:8], "big")
    if tile >= found.tiles or (head[9] and head[8] > head[9]) or head[8] == 0xFF:
        raise _bad(
            "SOT", "tile and part", head[2:].hex(), f"tiles below {found.tiles}, parts below their number"
        )
    found.begun.add(tile)
    if head[8] == head[9]:
        found.doubt("one tile-part more than there are said to be")  # some old encoders count so
    if 0 < part < 14:
        raise MalformedError(say("JPEG 2000 tile-part of {part} bytes", part=part), expected="at least 14")
    end = start + part if part else len(data)
    if end > len(data) or (part == 0 and b"\xff\xd9" not in data[-16:]):
        raise _cut(data)
    position = start + 12
    while data[position : position + 2] != b"\xff\x93":
        if data[position : position + 1] != b"\xff" or position + 2 > end:
            raise MalformedError(
                say("JPEG 2000 tile-part without its data at byte {position}", position=position),
                expected="SOD",
            )
        position = _read_segment(data, position, found)
    if position + 2 > end:
        raise MalformedError(
            say("JPEG 2000 tile-part of {part} bytes that ends within its header", part=part)
        )
    return end


def _check_length(name: str, body: bytes, expected: int) -> None:
    if len(body) != expected:
        raise _bad(name, "length", len(body), expected)


def _bad(name: str, what: str, found: object, expected: object) -> MalformedError:
    return MalformedError(
        say("JPEG 2000 {name} segment: {what} {found}", name=name, what=what, found=found),
        expected=f"{expected}",
        remedy="the frame is damaged; get it again from where it came",
    )


def _cut(data: bytes) -> TruncatedError:
    return TruncatedError(
        say("JPEG 2000 codestream of {count} bytes ends within a tile-part", count=len(data)),
        found_bytes=len(data),
    )
