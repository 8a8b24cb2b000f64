"""`Instance`: a header that is read, and pixel frames that are read when asked for.

Frames come out as cells or stored values; turning them into Hounsfield units belongs to `hu`.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hounsfield.ct.hu import Padding, StoredFormat
from hounsfield.ct.instance.encapsulated import frames_behind, read_rest
from hounsfield.ct.instance.formats import REAL_BITS, declared_formats, format_notes, required
from hounsfield.ct.instance.header import Header
from hounsfield.ct.instance.native import read_arranged, read_native
from hounsfield.ct.instance.planes import (
    Plane,
    plane_of_header,
    planes_of_frames,
    read_planes_of_groups,
)
from hounsfield.ct.instance.reading import (
    HeaderReader,
    open_pixels,
    private_pixels,
    pydicom_tolerated,
    read_dataset,
    read_header,
)
from hounsfield.ct.instance.scales import has_scale_in_sequences, scale_of_header
from hounsfield.ct.instance.signs import STATING_A_SIGN, Sign, sign_of
from hounsfield.ct.instance.source import BytesSource, Source, has_metadata
from hounsfield.ct.instance.stated import disagreement
from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

    from hounsfield.codecs import FrameFormat
    from hounsfield.dicom.encapsulation import Frame
    from hounsfield.dicom.syntaxes import TransferSyntax

Array = npt.NDArray[Any]

FRAMES_LIMIT = 1 << 18  # more frames than any CT has; a larger number is damage, and would cost memory
FRAMES_UNQUESTIONED = 64  # so few cost nothing
ITEM_TAG = b"\xfe\xff\x00\xe0"


def read_instance(source: Source, *, reader: HeaderReader | None = None) -> Instance:
    """The instance that `source` holds, header read, pixels not.

    `reader`: the one that reads the headers of its series, which read together take a third of the time and of
    the memory. Raises `NotDicomError`, `MalformedError`, `LocationError`.
    """
    return Instance(source, read_header(source) if reader is None else reader.read(source))


def _refuse_disagreement(stated: Header, found: Header, name: str) -> None:
    """Refuse pixels whose header came before them, and is not theirs: values and places would be made up."""
    keyword = disagreement(stated, found)
    if keyword is not None:
        raise MalformedError(
            say("the server's metadata have another {keyword} than the instance", keyword=keyword),
            expected=found.text(keyword) or None,
            where=name,
            remedy="copy the series into a folder (hounsfield copy), and read it there",
        )


@dataclass(slots=True)
class _Found:
    """A cache of what reading one instance has found: sign of its values, places of its frames, all of its bytes."""

    sign: Sign | None = None
    frames: tuple[Frame, ...] | None = None
    whole: Instance | None = None


@dataclass(frozen=True, repr=False)
class Instance:
    """One SOP Instance. Frames are counted from 0."""

    source: Source
    header: Header

    def __repr__(self) -> str:
        return f"<Instance {self.name}>"

    @property
    def name(self) -> str:
        """The source's name, as messages give it."""
        return self.source.name

    def dataset(self) -> Dataset:
        """All attributes but the pixels, as pydicom reads them; read anew at each call."""
        return read_dataset(self.source)

    @property
    def syntax(self) -> TransferSyntax:
        """Its row in the table of transfer syntaxes. Raises `UnsupportedError` for one that is not there."""
        from hounsfield.dicom.syntaxes import transfer_syntax

        return transfer_syntax(self.header.transfer_syntax)

    @cached_property
    def stored_format(self) -> StoredFormat:
        """Bits and sign (0028,0100–0103), lenient about High Bit; the sign is the codestream's where that states one.

        Raises `MalformedError`, `UnsupportedError`.
        """
        declared, sign = self.declared_format, self._sign
        return declared if sign.signed == declared.signed else replace(declared, signed=sign.signed)

    @property
    def declared_format(self) -> StoredFormat:
        """The same by the header alone, which is all that can be known before pixels are read."""
        return self._declared[0]

    @cached_property
    def _declared(self) -> tuple[StoredFormat, FrameFormat]:
        try:
            return declared_formats(self.header)
        except HounsfieldError as error:
            error.at(self.name)
            raise

    @cached_property
    def padding(self) -> Padding | None:
        """Pixel Padding Value and Range Limit as stored values; None when not declared."""
        return self.padding_in(self.stored_format)

    def padding_in(self, stored: StoredFormat) -> Padding | None:
        """The same, in a format that need not be asked of a codestream (`declared_format`)."""
        if self.is_real:
            return self._real_padding()
        value, limit = map(self.header.integer, ("PixelPaddingValue", "PixelPaddingRangeLimit"))
        return None if value is None else Padding.declared(value, limit, stored)

    @property
    def is_real(self) -> bool:
        """Pixels are real numbers: Float or Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25)."""
        return self._real_bits > 0

    @property
    def _real_bits(self) -> int:
        pixels = self.header.pixels
        return 0 if pixels is None else REAL_BITS.get(pixels.keyword, 0)

    def _real_padding(self) -> Padding | None:
        """Float or Double Float Pixel Padding Value and Range Limit (0028,0122–0125)."""
        name = "FloatPixel" if self._real_bits == REAL_BITS["FloatPixelData"] else "DoubleFloatPixel"
        # Not strict: NaN is padding without being declared.
        value = self.header.number(f"{name}PaddingValue", strict=False)
        if value is None:
            return None
        limit = self.header.number(f"{name}PaddingRangeLimit", strict=False)
        ends = value, value if limit is None else limit
        return Padding(min(ends), max(ends))

    @cached_property
    def _found(self) -> _Found:
        return _Found()

    @property
    def _sign(self) -> Sign:
        """Return whether values are signed; the pixels are asked where the header does not say, or codestreams may."""
        if self._found.sign is None:
            self._found.sign = self._find_sign()
        return self._found.sign

    def _find_sign(self) -> Sign:
        says, declared = self.header.integer("PixelRepresentation"), self.declared_format
        if self.header.pixels is None or self.is_real or (says in (0, 1) and self.is_native):
            return Sign(declared.signed)
        if says == 0 and self.syntax.family not in STATING_A_SIGN:
            return Sign(signed=False)
        if self.is_native:
            return sign_of(self, None)
        try:
            with open_pixels(self.source, self.header) as stream:
                return sign_of(self, self._encoded(stream, 0, truncated=True))
        except HounsfieldError:
            return Sign(self.declared_format.signed)  # reading the pixels will say why

    def unsigned_cells(self) -> Array:
        """Return the cells, (rows, columns), of the first frame, read without a sign, whatever the header says."""
        unsigned = replace(self)
        unsigned._found.sign = Sign(signed=False)
        return unsigned.cells()

    @property
    def frame_format(self) -> FrameFormat:
        """Return what a decoder must know of a frame. Raises `MalformedError`, `UnsupportedError`."""
        declared, sign = self._declared[1], self._sign
        is_same = sign.signed == declared.signed
        return declared if is_same else replace(declared, pixel_representation=int(sign.signed))

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """Geometry and rescale of every frame, in frame order. Raises `MalformedError`."""
        header = self.header
        try:
            if header.has_several_frames:
                self._check_number_of_frames()
            if "PerFrameFunctionalGroupsSequence" in header or "SharedFunctionalGroupsSequence" in header:
                return read_planes_of_groups(self.source, header)
            scale = scale_of_header(header, self.dataset() if has_scale_in_sequences(header) else None)
            if header.has_several_frames:
                return planes_of_frames(header, scale, self._dataset_of_detectors())
            return (plane_of_header(header, scale),)
        except HounsfieldError as error:
            error.at(self.name)
            raise

    def _check_number_of_frames(self) -> None:
        """Refuse a number that the pixels cannot be, before a plane is made for each; half of them may lack."""
        count = self.header.number_of_frames
        most = min(FRAMES_LIMIT, 2 * (1 + self._frames_there(min(count, FRAMES_LIMIT))))
        if count > most:
            raise MalformedError(
                say("Number of Frames is {count}", count=count),
                expected=say("at most {most}, by the size of the pixels", most=most),
                where=self.name,
                remedy="the file is damaged or cut; get it again from where it came",
            )

    def _frames_there(self, count: int) -> int:
        """Count the frames by the bytes that are there, `count` at most; a source may have no bytes yet."""
        from hounsfield.dicom.encapsulation import count_fragments

        pixels = self.header.pixels
        if pixels is None:
            return count if has_metadata(self.source) or count <= FRAMES_UNQUESTIONED else 0
        if self.is_native:
            length = 0 if pixels.length is None else pixels.length
            if count > FRAMES_UNQUESTIONED:
                with open_pixels(self.source, self.header) as stream:
                    length = min(length, stream.seek(0, os.SEEK_END) - pixels.offset)
            return max(length, 0) // self.frame_bytes
        if count <= FRAMES_UNQUESTIONED:
            return count
        with open_pixels(self.source, self.header) as stream:
            return count_fragments(stream, pixels.offset, most=count)

    def _dataset_of_detectors(self) -> Dataset | None:
        if "DetectorInformationSequence" not in self.header:
            return None
        with pydicom_tolerated(self.name):
            return self.dataset()

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(rows, columns). Raises `MalformedError`."""
        try:
            return required(self.header, "Rows"), required(self.header, "Columns")
        except HounsfieldError as error:
            error.at(self.name)
            raise

    @cached_property
    def samples(self) -> int:
        """Samples per Pixel (0028,0002)."""
        return self.header.integer("SamplesPerPixel", 1) or 1

    @property
    def frame_bytes(self) -> int:
        """Size of one native frame, without padding to even length."""
        return self._declared[1].native_bytes

    @cached_property
    def is_native(self) -> bool:
        """Pixels are stored as they are: by the syntax, or in spite of it (a defined length: trap 12)."""
        pixels = self.header.pixels
        if pixels is None or not self.syntax.encapsulated:
            return pixels is not None
        if pixels.length is None:
            return False
        # Some writers give encapsulated pixels a length all the same: then they begin with an item (PS3.5 A.4).
        with open_pixels(self.source, self.header) as stream:
            stream.seek(pixels.offset)
            return stream.read(len(ITEM_TAG)) != ITEM_TAG

    @property
    def pixel_notes(self) -> tuple[str, ...]:
        """Notes on what is odd about how the pixels are stored, and yet readable."""
        pixels = self.header.pixels
        notes = [] if self.is_real else list(format_notes(self.header, self.stored_format))
        notes += [self._sign.note] if self._sign.note else []
        if pixels is None or pixels.length is None or not self.is_native:
            return tuple(notes)
        if self.syntax.encapsulated:
            notes.append(f"declares {self.syntax.name} but holds native pixels: read as native")
        surplus = pixels.length - self.frame_bytes * self.header.number_of_frames
        if surplus >= self.frame_bytes > 0:
            notes.append(f"{surplus // self.frame_bytes} more frames than Number of Frames says: not read")
        return tuple(notes)

    def cells(self, frame: int = 0, *, out: Array | None = None, fill: int | None = None) -> Array:
        """One frame's cells, (rows, columns) or (rows, columns, samples), native-endian.

        Encapsulated frames come as stored values, native ones as raw cells: `hu.stored_values` finishes both.
        `out`: a C-contiguous (rows, columns) array with cells of the right width, which frames are read or decoded
        into without another copy; what it held is lost, even on failure. `fill`: the cell value that replaces
        what a truncated native frame lacks, and leave to give the whole frames of encapsulated data that end too
        soon; without it both are a `TruncatedError`. Raises `MalformedError`, `UnsupportedError`, `LocationError`.
        """
        if not 0 <= frame < self.header.number_of_frames:
            raise MalformedError(
                say("no frame {frame}", frame=frame),
                expected=say("0 to {number}", number=self.header.number_of_frames - 1),
                where=self.name,
            )
        pixels = self.header.pixels
        try:
            if pixels is None and has_metadata(self.source):
                return self._fetched().cells(frame, out=out, fill=fill)
            if pixels is None:
                return self._private_cells(frame)
            with open_pixels(self.source, self.header) as stream:
                if self.is_native:
                    return self._native_cells(stream, pixels, frame, out, fill)
                return self._decoded_cells(stream, frame, out, truncated=fill is not None)
        except HounsfieldError as error:
            error.at(self.name)
            raise

    def _fetched(self) -> Instance:
        """This instance from its bytes, where the header came alone; kept while it has more frames to give."""
        known = self._found.whole
        if known is None:
            with self.source.open() as stream:
                known = read_instance(BytesSource(self.name, stream.read()))
            _refuse_disagreement(self.header, known.header, self.name)
            if self.header.number_of_frames > 1:
                self._found.whole = known
        return known

    def _native_cells(
        self, stream: BinaryIO, pixels: PixelElement, frame: int, out: Array | None, fill: int | None
    ) -> Array:
        form, little_endian = self.frame_format, self.syntax.little_endian_pixels
        is_by_plane = form.samples_per_pixel > 1 and form.planar_configuration == 1
        is_in_words = pixels.swapped and form.bits_allocated != 16 and not self.is_real
        if is_by_plane or form.subsampled or is_in_words:
            return read_arranged(stream, pixels, frame, form, little_endian=little_endian, fill=fill)
        cell = np.dtype(f"f{form.bits_allocated // 8}") if self.is_real else form.dtype
        ordered = cell.newbyteorder("<" if little_endian else ">")
        return read_native(stream, pixels, frame, shape=form.shape, cell=ordered, out=out, fill=fill)

    def _decoded_cells(self, stream: BinaryIO, frame: int, out: Array | None, *, truncated: bool) -> Array:
        from hounsfield.codecs import decode_frame

        data = self._encoded(stream, frame, truncated=truncated)
        if self._found.sign is None:  # found from what is at hand, instead of reading it once more
            self._found.sign = sign_of(self, data)
        try:
            return decode_frame(data, self.syntax, self.frame_format, out=out)
        except HounsfieldError as error:
            if self.header.number_of_frames > 1:
                error.at(say("frame {number}", number=frame + 1))
            raise

    def _encoded(self, stream: BinaryIO, frame: int, *, truncated: bool) -> bytes:
        """The codestream of one encapsulated frame."""
        from hounsfield.dicom.encapsulation import read_frame

        rest = None
        pixels = self.header.pixels
        assert pixels is not None
        if self.header.number_of_frames == 1:
            rest = read_rest(stream, pixels.offset, frame_bytes=self.frame_bytes)
        if rest is None:
            frames = self.frames_in(stream, truncated=truncated)
        else:
            stream = io.BytesIO(rest)
            frames = frames_behind(stream, self.header, 0, truncated=truncated)
        if frame >= len(frames):
            raise TruncatedError(say("pixel data ends before frame {number} does", number=frame + 1))
        return read_frame(stream, frames[frame])

    def frames_in(self, stream: BinaryIO, *, truncated: bool) -> tuple[Frame, ...]:
        """Locate each encapsulated frame's bytes, once for an instance of many frames."""
        known = self._found.frames
        if known is None:
            pixels = self.header.pixels
            assert pixels is not None
            known = frames_behind(stream, self.header, pixels.offset, truncated=truncated)
            self._found.frames = known
        return known

    def _private_cells(self, frame: int) -> Array:
        """Those of Philips, used only where Pixel Data is not (trap 13)."""
        from hounsfield.codecs.pmsct_rle import decode_pmsct_rle

        if self.header.number_of_frames == 1:
            with pydicom_tolerated(self.name):
                data = private_pixels(self.dataset())
            if data is not None:
                return decode_pmsct_rle(data, self.frame_format)
        raise UnsupportedError("no Pixel Data (7FE0,0010) in it", expected="an image")
