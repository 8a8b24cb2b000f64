"""One instance to another transfer syntax: decode, encode, verify, and a file where all else is as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hounsfield.codecs import FrameFormat, Pixels, Rate, decode_frame, encode_frame, encoded_photometric
from hounsfield.codecs.jpeg_xl import rebuild_jpeg, recompress_jpeg
from hounsfield.codecs.rate import used_bits
from hounsfield.errors import HounsfieldError, MalformedError, UnsupportedError
from hounsfield.frames import encapsulate
from hounsfield.instance import BytesSource, HeaderReader, Instance, Source, read_instance
from hounsfield.syntaxes import TransferSyntax
from hounsfield.transcode.derivation import derivation_edits, derived_uid
from hounsfield.transcode.elements import EXPLICIT_LITTLE, Encoding, encode_element
from hounsfield.transcode.loss import Coded, Loss, LossySearch, frame_scales
from hounsfield.transcode.part10 import (
    EXTENDED_LENGTHS,
    EXTENDED_OFFSETS,
    PIXEL_DATA,
    TOTAL_LENGTH,
    Edit,
    Part10,
    inflated,
    last_element,
    read_part10,
    recoded,
    write_part10,
)
from hounsfield.transcode.pixels import PixelSource, open_pixels
from hounsfield.transcode.target import Choice, Target

_PHOTOMETRIC, _PLANAR, _SOP_INSTANCE = 0x00280004, 0x00280006, 0x00080018
_BITS_STORED, _HIGH_BIT = 0x00280101, 0x00280102
_CODED_BY_CELL = ("jpeg-ls-near", "htj2k-lossy")
_ENCAPSULATED_ICON = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
_NOTHING_LOST = Loss(0.0, math.inf)
_LONGEST_NATIVE = 0xFFFFFFFE
_MOST_AT_ONCE = 2**32
_WORD = 8  # bytes


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A whole file in its new syntax, and what was done.

    `changed` is false where `content` is the source as it was: in the syntax already, without pixels, or of a kind
    that nothing `auto` may choose can hold. `why` says so, or why the syntax is not the one that was asked for first.
    `ratio` is native ÷ stored bytes of the pixels. `max_error` is in HU (rescaled units), `psnr` in dB,
    infinite where nothing was lost. `rate` is what met the target, a hint for a neighbour.
    """

    name: str
    content: bytes
    changed: bool
    before: str
    after: str
    frames: int = 0
    native_bytes: int = 0
    stored_bytes: int = 0
    max_error: float = 0.0
    psnr: float = math.inf
    rate: Rate | None = None
    why: str = ""

    @property
    def ratio(self) -> float:
        return self.native_bytes / self.stored_bytes if self.stored_bytes else 1.0

    def to_json(self) -> dict[str, Any]:
        """The facts without the content."""
        facts = {
            name: getattr(self, name) for name in ("name", "changed", "before", "after", "frames", "why")
        }
        return facts | {
            "native_bytes": self.native_bytes,
            "stored_bytes": self.stored_bytes,
            "ratio": round(self.ratio, 4),
            "max_error": self.max_error,
            "psnr": self.psnr if math.isfinite(self.psnr) else None,
        }


def transcode(source: Source, target: Target, *, hint: Rate | None = None) -> Transcoded:
    """One file by a `Transcoder` of its own."""
    return Transcoder().transcode(source, target, hint=hint)


class Transcoder:
    """Transcodes one file after another, and holds what neighbours share: the layout of headers, a frame's memory.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._originals, self.results = HeaderReader(), HeaderReader()
        self._scratch: Pixels | None = None

    def unlike(self, cells: Pixels) -> Pixels:
        """Memory that differs from `cells` everywhere, so that what equals them afterwards was decoded into it."""
        if self._scratch is None or (self._scratch.shape, self._scratch.dtype) != (cells.shape, cells.dtype):
            self._scratch = np.empty_like(cells, order="C", subok=False)
        return np.invert(cells, out=self._scratch)

    def transcode(self, source: Source, target: Target, *, hint: Rate | None = None) -> Transcoded:
        """`source` in the syntax of `target`; every tag that need not change is kept byte for byte.

        Lossless results are read back out of the finished file and compared before they are given. Lossy ones
        meet the goal of `target`, carry their own SOP Instance UID, and say what was done (PS3.3 C.7.6.1.1.5).
        `hint` is the `rate` of a similar image. Errors are `HounsfieldError` with the source's name, and frame
        where there is one.
        """
        try:
            with source.open() as stream:
                content = stream.read()
            return self._transcode(BytesSource(source.name, content), target, hint)
        except HounsfieldError as error:
            raise error.at(source.name) from error

    def _transcode(self, source: BytesSource, target: Target, hint: Rate | None) -> Transcoded:
        instance = read_instance(source, reader=self._originals)
        before = instance.syntax
        if instance.header.pixels is None:
            return _unchanged(source, before, None, "has no pixels")
        choice = target.chosen_for(instance.header)
        if choice.target is None:
            return _unchanged(source, before, None, choice.why)
        try:
            return self._as_chosen(source, instance, choice, hint)
        except UnsupportedError as error:
            if target.syntax is not None:
                raise
            return _unchanged(source, before, None, str(error))

    def _as_chosen(
        self, source: BytesSource, instance: Instance, choice: Choice, hint: Rate | None
    ) -> Transcoded:
        before, target = instance.syntax, choice.target
        assert target is not None and target.syntax is not None
        syntax = target.syntax
        dataset = inflated(source, instance.header)
        pixels = open_pixels(source.content if dataset is None else dataset, instance.header)
        if before is syntax and not target.lossy and not (pixels.native and syntax.encapsulated):
            return _unchanged(source, before, pixels, f"is {syntax.keyword} already")
        last = last_element(source.content, instance.header, pixels.extents) if dataset is None else None
        part = read_part10(source.content, before, dataset, pixels=last)
        _refuse_compressed_icons(part)
        work = _Work(self, instance, pixels, part, target, syntax, hint)
        result = work.run()
        if target.auto is not None and len(result.content) >= len(source.content) and not before.deflated:
            return _unchanged(source, before, pixels, f"is no smaller as {syntax.keyword}")
        return replace(result, why=choice.why)


def _unchanged(
    source: BytesSource, syntax: TransferSyntax, pixels: PixelSource | None, why: str
) -> Transcoded:
    counts = (pixels.count, pixels.native_bytes, pixels.stored_bytes) if pixels is not None else (0, 0, 0)
    return Transcoded(source.name, source.content, False, syntax.keyword, syntax.keyword, *counts, why=why)


def _refuse_compressed_icons(part: Part10) -> None:
    """An icon or other nested image that is compressed would be in the wrong syntax afterwards (PS3.5 A.4)."""
    limit = part.pixels
    if limit is None:
        limit = next((e.start for e in part.elements if e.tag == PIXEL_DATA), len(part.dataset))
    if part.encoding == EXPLICIT_LITTLE and part.dataset.find(_ENCAPSULATED_ICON, 0, limit) >= 0:
        raise UnsupportedError(
            "a nested image (an icon) is compressed too",
            remedy="remove Icon Image Sequence (0088,0200) first",
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """One instance on its way."""

    transcoder: Transcoder
    instance: Instance
    pixels: PixelSource
    part: Part10
    target: Target
    syntax: TransferSyntax
    hint: Rate | None

    def run(self) -> Transcoded:
        lossless_jpeg = self._whole_jpegs()
        if lossless_jpeg is not None:
            coded, form = Coded(lossless_jpeg, None, _NOTHING_LOST), self.pixels.frame_format
            edits = self._pixel_edits(coded.streams, form.photometric_interpretation)
            return self._result(coded, self._written(edits))
        if self.syntax.keyword == "jpeg-xl-jpeg":
            raise UnsupportedError(
                f"jpeg-xl-jpeg of {self.pixels.syntax.keyword}", expected="baseline JPEG (.50)"
            )
        form = self.pixels.decoded_format
        if not self.target.lossy:
            return self._lossless(form)
        if self.pixels.native_bytes > _MOST_AT_ONCE:
            raise UnsupportedError(
                f"{self.pixels.native_bytes} bytes of pixels in one lossy image",
                expected=f"at most {_MOST_AT_ONCE}, since all frames are coded at one rate",
            )
        cells = [self.pixels.cells(index) for index in range(self.pixels.count)]
        scales = frame_scales(self.instance, len(cells))
        coded = LossySearch(cells, scales, form, self.target).run(self.hint)
        return self._lossy(coded, form, self._depth_edits(form, cells))

    def _whole_jpegs(self) -> list[bytes] | None:
        """Baseline JPEGs into JPEG XL and back without touching a coefficient; `None` if it is not that."""
        if self.pixels.native:
            return None
        way = (self.pixels.syntax.keyword, self.syntax.keyword)
        if way == ("jpeg", "jpeg-xl-jpeg"):
            originals = [self.pixels.encoded(index).rstrip(b"\0") for index in range(self.pixels.count)]
            packed = [recompress_jpeg(original) for original in originals]
            if any(rebuild_jpeg(p) != o for p, o in zip(packed, originals, strict=True)):
                raise MalformedError("a JPEG is not rebuilt byte for byte from JPEG XL")
            return packed
        if way == ("jpeg-xl-jpeg", "jpeg"):
            return [rebuild_jpeg(self.pixels.encoded(index)) for index in range(self.pixels.count)]
        return None

    def _lossless(self, form: FrameFormat) -> Transcoded:
        """Frame by frame, so that a file of many frames needs no more memory than its streams."""
        if not self.syntax.encapsulated and self.pixels.native_bytes > _LONGEST_NATIVE:
            raise UnsupportedError(
                f"{self.pixels.native_bytes} bytes of native pixels", expected="less than 4 GiB"
            )
        streams = [self._proved(self.pixels.cells(index), form, index) for index in range(self.pixels.count)]
        if self.syntax.encapsulated:
            content = self._written(self._pixel_edits(streams, self._photometric(form)))
        else:
            streams = _packed(streams, form) if form.bits_allocated == 1 else streams
            content = self._written(self._native_edits(streams, form))
        return self._result(Coded(streams, None, _NOTHING_LOST), content)

    def _proved(self, cells: Pixels, form: FrameFormat, index: int) -> bytes:
        """One frame encoded, decoded, and found to be the same."""
        stream = encode_frame(cells, self.syntax, form, rate=Rate(effort=self.target.effort))
        decoded = decode_frame(stream, self.syntax, form, out=self.transcoder.unlike(cells))
        if not _is_same(decoded, cells):
            raise self._broken(index)
        return stream

    def _broken(self, index: int) -> HounsfieldError:
        return HounsfieldError(
            f"frame {index + 1} does not come back from {self.syntax.keyword} as it was",
            remedy="nothing was written; please report this image",
            frame=index,
        )

    def _lossy(self, coded: Coded, form: FrameFormat, depth: dict[int, bytes]) -> Transcoded:
        ratio = self.pixels.native_bytes / max(1, sum(map(len, coded.streams)))
        photometric = self._photometric(form, reversible=coded.rate is None)
        if coded.rate is None:  # nothing was lost after all, and so the image stays what it is
            return self._result(coded, self._written(self._pixel_edits(coded.streams, photometric)))
        part = recoded(self.part, self.syntax)
        goal = goal_of(self.target)
        original = (part.find(_SOP_INSTANCE) or b"").rstrip(b"\0 ")
        uid = derived_uid(original, self.syntax, goal)
        edits = {
            **derivation_edits(part, self.syntax, ratio=ratio, goal=goal, uid=uid),
            **self._pixel_edits(coded.streams, photometric),
            **depth,
        }
        return self._result(coded, write_part10(part, self.syntax, edits, instance_uid=uid))

    def _photometric(self, form: FrameFormat, *, reversible: bool = True) -> str:
        given = encoded_photometric(self.syntax, form.photometric_interpretation)
        if reversible and given in ("YBR_ICT", "XYB"):
            return "YBR_RCT" if given == "YBR_ICT" else "RGB"
        return given

    def _written(self, edits: Mapping[int, Edit]) -> bytes:
        return write_part10(recoded(self.part, self.syntax), self.syntax, edits)

    def _pixel_edits(self, streams: Sequence[bytes], photometric: str) -> dict[int, Edit]:
        """Encapsulated Pixel Data, its offset tables, and the colour attributes where they change."""
        written = encapsulate(streams, extended=self.target.extended_offsets)
        edits: dict[int, Edit] = {**self._colour_edits(photometric), TOTAL_LENGTH: b""}
        edits[PIXEL_DATA] = (
            encode_element(PIXEL_DATA, b"OB", b"", EXPLICIT_LITTLE, undefined=True),
            *written.pieces,
        )
        for tag, table in (
            (EXTENDED_OFFSETS, written.extended_offsets),
            (EXTENDED_LENGTHS, written.extended_lengths),
        ):
            packed = np.asarray(table, "<u8").tobytes()
            edits[tag] = encode_element(tag, b"OV", packed, EXPLICIT_LITTLE) if table else b""
        return edits

    def _native_edits(self, frames: Sequence[bytes], form: FrameFormat) -> dict[int, bytes]:
        encoding = Encoding(self.syntax.implicit_vr, self.syntax.little_endian)
        vr = b"OB" if form.bits_allocated <= 8 and not encoding.implicit else b"OW"
        value = b"".join(frames)
        edits = self._colour_edits(form.photometric_interpretation)
        edits[PIXEL_DATA] = encode_element(PIXEL_DATA, vr, value, encoding)
        return edits | {EXTENDED_OFFSETS: b"", EXTENDED_LENGTHS: b"", TOTAL_LENGTH: b""}

    def _colour_edits(self, photometric: str) -> dict[int, bytes]:
        given = self.pixels.frame_format
        encoding = Encoding(self.syntax.implicit_vr, self.syntax.little_endian)
        edits: dict[int, bytes] = {}
        if photometric != given.photometric_interpretation:
            value = photometric.encode("ascii")
            edits[_PHOTOMETRIC] = encode_element(_PHOTOMETRIC, b"CS", value, encoding, filler=b" ")
        if given.samples_per_pixel > 1 and given.planar_configuration:
            edits[_PLANAR] = encode_element(_PLANAR, b"US", b"\0\0", encoding)
        return edits

    def _depth_edits(self, form: FrameFormat, cells: Sequence[Pixels]) -> dict[int, bytes]:
        """Bits Stored as the codestream has them, where whole cells are coded with loss.

        The highest value may become a little higher, and readers take only as many bits as are said to be stored.
        """
        bits = form.cell_bytes * 8
        is_plain = form.high_bit == form.bits_stored - 1 < bits - 1
        if self.syntax.keyword not in _CODED_BY_CELL or not is_plain:
            return {}
        if any(used_bits(frame, form) > form.bits_stored for frame in cells):
            return {}  # something else is above them (overlays), which must not become values
        return {
            tag: encode_element(tag, b"US", value.to_bytes(2, "little"), EXPLICIT_LITTLE)
            for tag, value in ((_BITS_STORED, bits), (_HIGH_BIT, bits - 1))
        }

    def _verify(self, content: bytes, streams: Sequence[bytes]) -> None:
        """Read the finished file as anyone would: each frame must be the one that was encoded and proved."""
        written = BytesSource(self.instance.name, content)
        header = self.transcoder.results.read(written)
        dataset = inflated(written, header)
        content = content if dataset is None else dataset
        again = open_pixels(content, header)
        if again.native == self.syntax.encapsulated:
            raise self._broken(0)
        position = again.offset
        for index, expected in enumerate(streams):
            if again.native:
                start, length = position, len(expected)
            else:  # one fragment a frame: none is copied to be compared
                ((start, length),) = again.extents[index]
            position += len(expected)
            if not content.startswith(expected, start) or length > len(expected) + 1:
                raise self._broken(index)

    def _result(self, coded: Coded, content: bytes) -> Transcoded:
        self._verify(content, coded.streams)
        return Transcoded(
            self.instance.name,
            content,
            True,
            self.pixels.syntax.keyword,
            self.syntax.keyword,
            self.pixels.count,
            self.pixels.native_bytes,
            sum(map(len, coded.streams)),
            coded.loss.max_error,
            coded.loss.psnr,
            coded.rate,
        )


def _is_same(decoded: Pixels, cells: Pixels) -> bool:
    """Every cell equal; eight bytes at once where they lie in one piece, which nearly all do."""
    if decoded.shape != cells.shape or decoded.dtype != cells.dtype:
        return False
    if decoded.nbytes % _WORD == 0 and decoded.flags.c_contiguous and cells.flags.c_contiguous:
        decoded, cells = (array.reshape(-1).view(np.uint64) for array in (decoded, cells))
    return np.array_equal(decoded, cells)


def _packed(streams: Sequence[bytes], form: FrameFormat) -> list[bytes]:
    """Single-bit frames follow each other without padding (PS3.5 8.1.1); one piece."""
    count = form.rows * form.columns * form.samples_per_pixel
    bits = [np.unpackbits(np.frombuffer(s, np.uint8), count=count, bitorder="little") for s in streams]
    return [np.packbits(np.concatenate(bits), bitorder="little").tobytes()]


def goal_of(target: Target) -> str:
    """What was asked for, in words; part of the derived UID."""
    if target.ratio is not None:
        return f"ratio {target.ratio:g}"
    if target.max_error is not None:
        return f"error at most {target.max_error:g}"
    return f"quality {target.quality:g}"
