"""The frames of one file for the transcoder: encoded bytes and whole cells, nothing masked or rescaled."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

from hounsfield.codecs import FrameFormat, Pixels, decode_frame, decoded_photometric
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.frames import Frame, read_frame
from hounsfield.instance import Header
from hounsfield.instance.encapsulated import frames_behind
from hounsfield.syntaxes import TransferSyntax, transfer_syntax

_MAX_FRAMES = 1 << 24


@dataclass(frozen=True, slots=True)
class PixelSource:
    """Pixel Data in `data`, in which the header's offset counts; frames are numbered from 0.

    `frame_format` is the header's. `extents` is empty for native pixels, which `native` tells: they may be under
    a compressed syntax too.
    """

    data: bytes
    syntax: TransferSyntax
    frame_format: FrameFormat
    count: int
    offset: int
    swapped: bool
    extents: tuple[Frame, ...]

    @property
    def native(self) -> bool:
        return not self.extents

    @property
    def decoded_format(self) -> FrameFormat:
        """The format of `cells`: colour by pixel, in the space the decoder leaves it in."""
        return _decoded(self.frame_format)

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
            raise error.at(f"frame {frame + 1}") from error

    def _decoded_cells(self, frame: int) -> Pixels:
        return decode_frame(self.encoded(frame), self.syntax, self.frame_format)

    def _native_cells(self, frame: int) -> Pixels:
        form = self.frame_format
        syntax = transfer_syntax("explicit") if self.syntax.encapsulated else self.syntax
        bits = form.rows * form.columns * form.samples_per_pixel * form.bits_allocated
        if form.bits_allocated == 1:
            begin, rest = divmod(bits * frame, 8)
            part = memoryview(self.data)[self.offset + begin :]
            return decode_frame(part[: (rest + bits + 7) // 8], syntax, form, bit_offset=rest)  # type: ignore[arg-type]
        begin = self.offset + form.native_bytes * frame
        if self.swapped and form.bits_allocated == 8 and form.native_bytes % 2 and self.count > 1:
            raise UnsupportedError(
                "frames of odd length in big endian words", remedy="convert the file first"
            )
        length = form.native_bytes + (form.native_bytes % 2 if self.count == 1 else 0)
        return decode_frame(
            memoryview(self.data)[begin : begin + length],  # type: ignore[arg-type]
            syntax,
            form,
            swap_words=self.swapped,
        )


def open_pixels(data: bytes, header: Header) -> PixelSource:
    """The frames behind `header`. Raises for ones that cannot be taken apart, or where there are none."""
    if header.pixels is None:
        raise MalformedError("no Pixel Data (7FE0,0010) in it", expected="an image")
    if header.pixels.keyword != "PixelData":
        raise UnsupportedError(f"{header.pixels.keyword} in place of Pixel Data", expected="integer pixels")
    syntax = transfer_syntax(header.transfer_syntax)
    if not syntax.readable:
        raise UnsupportedError(f"{syntax.name} ({syntax.uid}) cannot be decoded: {syntax.note}")
    form, count = _format(header), header.number_of_frames
    if count > _MAX_FRAMES:
        raise MalformedError(f"Number of Frames is {count}", expected=f"at most {_MAX_FRAMES}")
    form.check()
    offset, length = header.pixels.offset, header.pixels.length
    extents: tuple[Frame, ...] = ()
    if length is None:
        if not syntax.encapsulated:
            raise MalformedError("native pixels of undefined length", expected="a length (PS3.5 A.1)")
        extents = frames_behind(io.BytesIO(data), header, offset)[:count]
    else:
        _check_length(min(length, len(data) - offset), form, count)
    return PixelSource(data, syntax, form, count, offset, header.pixels.swapped, extents)


def _check_length(found: int, form: FrameFormat, count: int) -> None:
    needed = form.native_bytes * count
    if form.bits_allocated == 1:  # frames follow each other without padding
        needed = (form.rows * form.columns * form.samples_per_pixel * count + 7) // 8
    if found < needed:
        frame = found // form.native_bytes
        raise TruncatedError(
            f"pixel data ends within frame {frame + 1} of {count}",
            found_bytes=found,
            expected_bytes=needed,
            frame=frame,
        )


def decoded_format(header: Header) -> FrameFormat:
    """The format of an image's frames once they are decoded, by its header alone. Raises `MalformedError`."""
    return _decoded(_format(header))


def _decoded(given: FrameFormat) -> FrameFormat:
    photometric = decoded_photometric(given.photometric_interpretation)
    return replace(given, photometric_interpretation=photometric, planar_configuration=0)


def _format(header: Header) -> FrameFormat:
    def number(keyword: str, default: int | None = None) -> int:
        value = header.integer(keyword, default)
        if value is None:
            raise MalformedError(f"{keyword} is missing", expected="the Image Pixel Module (PS3.3 C.7.6.3)")
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
