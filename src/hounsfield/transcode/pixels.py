"""The frames of one file for the transcoder: encoded bytes and whole cells, nothing masked or rescaled."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

from hounsfield.codecs import FrameFormat, Pixels, decode_frame, decoded_photometric
from hounsfield.codecs.codestreams import decoded_colour, traits_of
from hounsfield.codecs.native import decode_native, native_extent
from hounsfield.ct.instance import Header, Instance
from hounsfield.ct.instance.encapsulated import frames_behind
from hounsfield.ct.instance.pixels import ITEM_TAG
from hounsfield.dicom.encapsulation import Frame, read_frame
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.language import say

_MAX_FRAMES = 1 << 24


@dataclass(frozen=True, slots=True)
class PixelSource:
    """Pixel Data in `data`, in which the header's offset counts; frames are numbered from 0.

    `frame_format` is the header's; `colour` the space of decoded samples, by the markers of the first frame where
    they say so. `extents` is empty for native pixels, which `native` tells: they may be under a compressed syntax too.
    """

    data: bytes
    syntax: TransferSyntax
    frame_format: FrameFormat
    count: int
    offset: int
    swapped: bool
    extents: tuple[Frame, ...]
    colour: str

    @property
    def native(self) -> bool:
        return not self.extents

    @property
    def decoded_format(self) -> FrameFormat:
        """The format of `cells`: colour by pixel, in the space the decoder leaves it in."""
        return replace(self.frame_format, photometric_interpretation=self.colour, planar_configuration=0)

    @property
    def is_mislabelled(self) -> bool:
        """Markers say another colour space than Photometric Interpretation does."""
        return self.colour != decoded_photometric(self.frame_format.photometric_interpretation)

    @property
    def native_bytes(self) -> int:
        """Bytes of all frames uncompressed."""
        return self.decoded_format.native_bytes * self.count

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames as they are stored."""
        if self.native:
            return self.frame_format.native_bytes * self.count
        return sum(length for frame in self.extents for _, length in frame)

    def encoded(self, frame: int) -> bytes:
        """The codestream of one encapsulated frame."""
        return read_frame(io.BytesIO(self.data), self.extents[frame])

    def cells(self, frame: int) -> Pixels:
        """Every bit of one frame's cells, (rows, columns[, samples]). Errors name the frame."""
        try:
            return self._native_cells(frame) if self.native else self._decoded_cells(frame)
        except HounsfieldError as error:
            error.at(say("frame {number}", number=frame + 1))
            raise

    def _decoded_cells(self, frame: int) -> Pixels:
        data = self.encoded(frame)
        if self.frame_format.samples_per_pixel > 1 and frame and self._colour_of(data) != self.colour:
            raise UnsupportedError(
                say("a codestream of {colour_of}", colour_of=self._colour_of(data)),
                expected=say("{colour}, as that of frame 1", colour=self.colour),
            )
        return decode_frame(data, self.syntax, self.frame_format)

    def _colour_of(self, data: bytes) -> str:
        labelled = decoded_photometric(self.frame_format.photometric_interpretation)
        return decoded_colour(data, self.syntax, labelled)

    def lossy_method(self) -> str:
        """Lossy Image Compression Method of what the codestreams say was lost in them, "" where they say nothing."""
        if self.native:
            return ""
        found = (traits_of(self.encoded(index), self.syntax).method for index in range(self.count))
        return next(filter(None, found), "")

    def _native_cells(self, frame: int) -> Pixels:
        start, length, bit_offset = native_extent(self.frame_format, frame, words=self.swapped)
        start += self.offset
        return decode_native(
            memoryview(self.data)[start : start + length],
            self.frame_format,
            little_endian=self.syntax.little_endian_pixels,
            swap_words=self.swapped,
            bit_offset=bit_offset,
        )


def open_pixels(data: bytes, header: Header) -> PixelSource:
    """The frames behind `header`. Raises for ones that cannot be taken apart, or where there are none."""
    if header.pixels is None:
        raise MalformedError("no Pixel Data (7FE0,0010) in it", expected="an image")
    if header.pixels.keyword != "PixelData":
        raise UnsupportedError(
            say("{keyword} in place of Pixel Data", keyword=header.pixels.keyword), expected="integer pixels"
        )
    syntax = transfer_syntax(header.transfer_syntax)
    if not syntax.readable:
        raise UnsupportedError(
            say(
                "{name} ({uid}) cannot be decoded: {note}", name=syntax.name, uid=syntax.uid, note=syntax.note
            )
        )
    form, count = _format(header), header.number_of_frames
    if count > _MAX_FRAMES:
        raise MalformedError(
            say("Number of Frames is {count}", count=count),
            expected=say("at most {max_frames}", max_frames=_MAX_FRAMES),
        )
    form.check()
    offset, length = header.pixels.offset, header.pixels.length
    extents: tuple[Frame, ...] = ()
    colour = decoded_photometric(form.photometric_interpretation)
    if length is None and not syntax.encapsulated:
        raise MalformedError("native pixels of undefined length", expected="a length (PS3.5 A.1)")
    # Some writers give encapsulated pixels a length all the same: then they begin with an item (PS3.5 A.4).
    if syntax.encapsulated and (length is None or data.startswith(ITEM_TAG, offset)):
        extents = frames_behind(io.BytesIO(data), header, offset)[:count]
        if form.samples_per_pixel > 1:
            colour = decoded_colour(read_frame(io.BytesIO(data), extents[0]), syntax, colour)
    else:
        _check_length(min(length or 0, len(data) - offset), form, count)
    return PixelSource(data, syntax, form, count, offset, header.pixels.swapped, extents, colour)


def with_true_sign(pixels: PixelSource, instance: Instance) -> PixelSource:
    """The frames as signed as their codestream states, or as they must be, whatever the header says."""
    form = pixels.frame_format
    if form.bits_allocated == 1 or instance.stored_format.signed == form.signed:
        return pixels
    return replace(pixels, frame_format=replace(form, pixel_representation=int(not form.signed)))


def _check_length(found: int, form: FrameFormat, count: int) -> None:
    needed = form.native_bytes * count
    if form.bits_allocated == 1:  # frames follow each other without padding
        needed = (form.rows * form.columns * form.samples_per_pixel * count + 7) // 8
    if found < needed:
        frame = found // form.native_bytes
        raise TruncatedError(
            say("pixel data ends within frame {number} of {count}", number=frame + 1, count=count),
            found_bytes=found,
            expected_bytes=needed,
            frame=frame,
        )


def decoded_format(header: Header) -> FrameFormat:
    """The format of an image's frames once they are decoded, by its label alone. Raises `MalformedError`."""
    given = _format(header)
    photometric = decoded_photometric(given.photometric_interpretation)
    return replace(given, photometric_interpretation=photometric, planar_configuration=0)


def _format(header: Header) -> FrameFormat:
    def number(keyword: str, default: int | None = None) -> int:
        value = header.integer(keyword, default)
        if value is None:
            raise MalformedError(
                say("{keyword} is missing", keyword=keyword),
                expected="the Image Pixel Module (PS3.3 C.7.6.3)",
            )
        return value

    allocated = number("BitsAllocated")
    stored = number("BitsStored", allocated)
    return FrameFormat(
        rows=number("Rows"),
        columns=number("Columns"),
        samples_per_pixel=number("SamplesPerPixel", 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=number("HighBit", stored - 1),
        pixel_representation=number("PixelRepresentation", 0),
        photometric_interpretation=header.text("PhotometricInterpretation") or "MONOCHROME2",
        planar_configuration=number("PlanarConfiguration", 0),
    )
