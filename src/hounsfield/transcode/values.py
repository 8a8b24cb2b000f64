"""The values of an image's frames as a codestream of their own precision holds them: nothing above Bits Stored.

Bits above it may be anything (PS3.5 8.1.1), so readers of native pixels leave them out; a codestream has no such bits,
and whoever decodes it takes all for values. What stands there goes where others find it: overlays to Overlay
Data (60xx,3000) (PS3.5 8.1.2), a padding value that Bits Stored does not hold into a wider Bits Stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hounsfield.codecs import FrameFormat, Pixels
from hounsfield.codecs.table import codec_of
from hounsfield.ct.hu import Padding, StoredFormat, stored_values
from hounsfield.ct.instance import Header
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, encode_element
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.transcode.part10 import Part10
from hounsfield.transcode.pixels import PixelSource

BITS_STORED, HIGH_BIT = 0x00280101, 0x00280102
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FIRST_FRAME = 0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051
_BITS, _POSITION, _DATA = 0x0100, 0x0102, 0x3000


@dataclass(slots=True)
class _Overlay:
    """An overlay in a bit of the cells; `planes` are its bits, frame after frame."""

    group: int
    position: int
    planes: list[Pixels]


class FrameValues:
    """Frames of `pixels` for a codestream in `syntax`: asked for once each, in their order.

    `form` is the format of what `frame` gives. Afterwards `edits` are the elements that say where all of it is now,
    and `note` what was done, "" where there was nothing above Bits Stored. `padding`: the cell of a padding value that
    Bits Stored did not hold, if there is one.
    """

    def __init__(self, pixels: PixelSource, part: Part10, header: Header, syntax: TransferSyntax) -> None:
        self._pixels, self._part = pixels, part
        given = pixels.decoded_format
        stored = min(given.bits_stored, given.bits_allocated) or given.bits_allocated
        high = given.high_bit if stored - 1 <= given.high_bit < given.bits_allocated else stored - 1
        self._stored = StoredFormat(given.bits_allocated, stored, high, given.signed)
        codec = codec_of(syntax.family)
        # Without a codec it is native: cells, not values, and whatever is in them is kept.
        self._is_by_cell = codec is None or codec.whole_cells or given.bits_allocated == 1
        self.padding = None if self._is_by_cell else _padding_above(header, self._stored)
        self._overlays: list[_Overlay] | None = None
        self._is_reduced = False
        self._dropped = 0
        bits = given.bits_allocated if self.padding is not None else stored
        self.form: FrameFormat = (
            given if self._is_by_cell else replace(given, bits_stored=bits, high_bit=bits - 1)
        )

    def frame(self, index: int) -> Pixels:
        """Frame `index`, (rows, columns[, samples]). Raises as `PixelSource.cells`."""
        cells = self._pixels.cells(index)
        if self._is_by_cell:
            return cells
        values = stored_values(cells, self._stored)
        if values is cells or np.shares_memory(values, cells):
            self._keep_overlays(None, index)
            return values
        self._is_reduced = True
        self._keep_overlays(cells, index)
        self._dropped += self._count_dropped(cells, values)
        if self.padding is not None:
            values = np.where(cells.view(f"u{cells.dtype.itemsize}") == self.padding, cells, values)
        return np.ascontiguousarray(values)

    def _keep_overlays(self, cells: Pixels | None, index: int) -> None:
        """The overlay bits of one frame; those of frames before the first that has any are blank."""
        if self._overlays is None:
            if cells is None:
                return
            blank = np.zeros(cells.shape, bool)
            self._overlays = _embedded(self._part, self._stored)
            for overlay in self._overlays:
                overlay.planes += [blank] * index
        for overlay in self._overlays:
            if cells is None:
                overlay.planes.append(np.zeros(self.form.shape, bool))
            else:
                overlay.planes.append((cells >> overlay.position & 1).astype(bool))

    def _count_dropped(self, cells: Pixels, values: Pixels) -> int:
        """Cells with something outside Bits Stored that is neither a sign, nor an overlay, nor padding."""
        stored, unsigned = self._stored, f"u{cells.dtype.itemsize}"
        known = (1 << stored.bits_stored) - 1 << stored.high_bit + 1 - stored.bits_stored
        for overlay in self._overlays or ():
            known |= 1 << overlay.position
        outside = np.array(~known & (1 << stored.bits_allocated) - 1, unsigned)
        rest = cells.view(unsigned) & outside
        is_left = (rest != 0) & (rest != values.view(unsigned) & outside)
        if self.padding is not None:
            is_left &= cells.view(unsigned) != self.padding
        return int(np.count_nonzero(is_left))

    @property
    def edits(self) -> dict[int, bytes]:
        """Elements in Explicit VR Little Endian, by tag."""
        given = self._pixels.frame_format
        found: dict[int, bytes] = {}
        for overlay in self._overlays or ():
            found |= self._moved(overlay)
        if (self.form.bits_stored, self.form.high_bit) != (given.bits_stored, given.high_bit):
            found |= bits_edits(self.form.bits_stored)
        return found

    def _moved(self, overlay: _Overlay) -> dict[int, bytes]:
        """The overlay as elements of its own (PS3.3 C.9.2); what it has already is kept."""
        tag, count = overlay.group << 16, len(overlay.planes)
        packed = np.packbits(np.concatenate([plane.ravel() for plane in overlay.planes]), bitorder="little")
        values = {
            _ROWS: (b"US", _us(self.form.rows)),
            _COLUMNS: (b"US", _us(self.form.columns)),
            _BITS: (b"US", _us(1)),
            _POSITION: (b"US", _us(0)),
            _DATA: (b"OW", packed.tobytes()),
        }
        if self._part.find(tag | _TYPE) is None:
            values[_TYPE] = b"CS", b"G"
        if self._part.find(tag | _ORIGIN) is None:
            values[_ORIGIN] = b"SS", _us(1) * 2
        if count > 1:
            values |= {_FRAMES: (b"IS", str(count).encode()), _FIRST_FRAME: (b"US", _us(1))}
        return {
            tag | element: encode_element(
                tag | element, vr, value, EXPLICIT_LITTLE, filler=b"\0" if vr == b"OW" else b" "
            )
            for element, (vr, value) in values.items()
        }

    @property
    def note(self) -> str:
        """Return the fate of the bits outside Bits Stored."""
        if not self._is_reduced:
            return ""
        said = []
        if self._overlays:
            groups = ", ".join(f"({overlay.group:04X},3000)" for overlay in self._overlays)
            said.append(f"overlays in the pixel cells moved to {groups}")
        if self._dropped:
            said.append(
                f"{self._dropped} cells had something outside Bits Stored, which no value has: left out"
            )
        return "; ".join(said)


def bits_edits(bits: int) -> dict[int, bytes]:
    """Bits Stored and High Bit of values that fill the low `bits` of their cells."""
    return {
        tag: encode_element(tag, b"US", _us(value), EXPLICIT_LITTLE)
        for tag, value in ((BITS_STORED, bits), (HIGH_BIT, bits - 1))
    }


def _us(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _padding_above(header: Header, stored: StoredFormat) -> int | None:
    """A padding value that Bits Stored cannot hold (−2000 over 12 unsigned bits), as its 16-bit cell."""
    value = header.integer("PixelPaddingValue")
    if value is None or stored.bits_allocated != 16 or not stored.is_plain:
        return None
    least, greatest = stored.range
    return None if least <= Padding.declared(value, None, stored).low <= greatest else value & 0xFFFF


def _embedded(part: Part10, stored: StoredFormat) -> list[_Overlay]:
    """The overlays that are bits of the cells outside the stored ones (PS3.5 8.1.2)."""
    order = "little" if part.encoding.little else "big"
    found = []
    for group in _OVERLAY_GROUPS:
        position = part.find(group << 16 | _POSITION)
        if not position or part.find(group << 16 | _DATA) is not None:
            continue
        bit = int.from_bytes(position[:2], order)  # type: ignore[arg-type]
        if stored.high_bit < bit < stored.bits_allocated or bit <= stored.high_bit - stored.bits_stored:
            found.append(_Overlay(group, bit, []))
    return found
