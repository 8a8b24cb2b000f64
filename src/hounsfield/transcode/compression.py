"""One instance to another transfer syntax: decode, encode, verify, and a file where all else is as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hounsfield.codecs import (
    FrameFormat,
    PixelKind,
    Pixels,
    Rate,
    decode_frame,
    encode_frame,
    encoded_photometric,
    refuse_unheld,
    written_format,
)
from hounsfield.ct.hu import stored_values
from hounsfield.ct.instance import BytesSource, HeaderReader, Instance, Source, read_instance
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.derivation import PastLoss, derivation_edits, derived_uid, past_loss_edits
from hounsfield.transcode.edits import (
    colour_edits,
    encapsulated_edits,
    native_edits,
    padding_edits,
    sign_edits,
)
from hounsfield.transcode.jpegs import photometric_of_jpeg, whole_jpegs
from hounsfield.transcode.loss import (
    NOTHING_LOST,
    FrameScale,
    comparable,
    decoder_slack,
    error_unit,
    frame_scales,
    measure,
)
from hounsfield.transcode.nested import with_native_icons
from hounsfield.transcode.part10 import (
    Edit,
    Part10,
    inflated,
    last_element,
    read_part10,
    recoded,
    write_part10,
)
from hounsfield.transcode.pixels import PixelSource, open_pixels, with_true_sign
from hounsfield.transcode.search import Coded, CommonRate, LossySearch
from hounsfield.transcode.target import Choice, Target, choose
from hounsfield.transcode.transcoded import Transcoded, goal_of
from hounsfield.transcode.values import FrameValues, bits_edits

_SOP_INSTANCE = 0x00080018
_LONGEST_NATIVE = 0xFFFFFFFE
_MOST_AT_ONCE = 2**32
_WORD = 8  # bytes


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

    def transcode(
        self, source: Source, target: Target, *, hint: Rate | None = None, common: CommonRate | None = None
    ) -> Transcoded:
        """`source` in the syntax of `target`; every tag that need not change is kept byte for byte.

        Lossless results are read back out of the finished file and compared before they are given. Lossy ones
        meet the goal of `target`, carry their own SOP Instance UID, and say what was done (PS3.3 C.7.6.1.1.5).
        `hint` is the `rate` of a similar image, `common` that of its series. Errors are `HounsfieldError` with the
        source's name, and frame where there is one.
        """
        try:
            return self._transcode(_held(source), target, common or hint)
        except HounsfieldError as error:
            error.at(source.name)
            raise

    def search(self, source: Source, target: Target) -> LossySearch | None:
        """Return what `transcode` would search through for a ratio of `source`; None where it is asked for none, or
        fails.
        """
        try:
            held = _held(source)
            instance = read_instance(held, reader=self._originals)
            choice = choose(held, instance.header, target)
            if instance.header.pixels is None or choice.target is None or choice.target.ratio is None:
                return None
            work = self._work(held, instance, choice, None)
            return work.search(work.values())[0]
        except HounsfieldError:
            return None

    def _transcode(self, source: BytesSource, target: Target, hint: Rate | CommonRate | None) -> Transcoded:
        instance = read_instance(source, reader=self._originals)
        before = instance.syntax
        if instance.header.pixels is None:
            read_part10(source.content, inflated(source, instance.header))  # one that is cut off says so
            return _unchanged(source, before, None, "has no pixels")
        choice = choose(source, instance.header, target)
        if choice.target is None:
            return _unchanged(source, before, None, choice.why)
        try:
            return self._as_chosen(source, instance, choice, hint)
        except UnsupportedError as error:
            if target.syntax is not None:
                raise
            return _unchanged(source, before, None, str(error))

    def _as_chosen(
        self, source: BytesSource, instance: Instance, choice: Choice, hint: Rate | CommonRate | None
    ) -> Transcoded:
        work, before = self._work(source, instance, choice, hint), instance.syntax
        syntax, pixels = work.syntax, work.pixels
        if before is syntax and not work.target.lossy and not (pixels.native and syntax.encapsulated):
            return _unchanged(source, before, pixels, f"is {syntax.keyword} already")
        result = work.run()
        if (
            work.target.auto is not None
            and len(result.content) >= len(source.content)
            and not before.deflated
        ):
            return _unchanged(source, before, pixels, f"is no smaller as {syntax.keyword}")
        return replace(result, why="; ".join(filter(None, (choice.why, result.why))))

    def _work(
        self, source: BytesSource, instance: Instance, choice: Choice, hint: Rate | CommonRate | None
    ) -> _Work:
        assert choice.target is not None and choice.target.syntax is not None
        dataset = inflated(source, instance.header)
        pixels = open_pixels(source.content if dataset is None else dataset, instance.header)
        last = last_element(source.content, instance.header, pixels.extents) if dataset is None else None
        part = read_part10(source.content, dataset, pixels=last)
        pixels = with_true_sign(pixels, instance)
        return _Work(self, instance, pixels, part, choice.target, choice.target.syntax, hint)


def _held(source: Source) -> BytesSource:
    with source.open() as stream:
        return BytesSource(source.name, stream.read())


def _unchanged(
    source: BytesSource, syntax: TransferSyntax, pixels: PixelSource | None, why: str
) -> Transcoded:
    counts = (pixels.count, pixels.native_bytes, pixels.stored_bytes) if pixels is not None else (0, 0, 0)
    return Transcoded(source.name, source.content, False, syntax.keyword, syntax.keyword, *counts, why=why)


@dataclass(frozen=True, slots=True)
class _Work:
    """One instance on its way."""

    transcoder: Transcoder
    instance: Instance
    pixels: PixelSource
    part: Part10
    target: Target
    syntax: TransferSyntax
    hint: Rate | CommonRate | None

    def run(self) -> Transcoded:
        lossless_jpeg = whole_jpegs(self.pixels, self.syntax)
        if lossless_jpeg is not None:
            coded = Coded(lossless_jpeg, None, NOTHING_LOST)
            return self._result(coded, photometric_of_jpeg(self.pixels), {})
        if self.syntax.keyword == "jpeg-xl-jpeg":
            raise UnsupportedError(
                say("jpeg-xl-jpeg of {keyword}", keyword=self.pixels.syntax.keyword),
                expected="baseline JPEG (.50)",
            )
        values = self.values()
        return self._lossy(values) if self.target.lossy else self._lossless(values)

    def values(self) -> FrameValues:
        """The values of its frames, of a kind that the syntax holds."""
        values = FrameValues(self.pixels, self.part, self.instance.header, self.syntax)
        refuse_unheld(self.syntax, PixelKind.of(values.form))
        return values

    def _lossless(self, values: FrameValues) -> Transcoded:
        """Frame by frame, so that a file of many frames needs no more memory than its streams."""
        if not self.syntax.encapsulated and self.pixels.native_bytes > _LONGEST_NATIVE:
            raise UnsupportedError(
                say("{native_bytes} bytes of native pixels", native_bytes=self.pixels.native_bytes),
                expected="less than 4 GiB",
            )
        streams = [
            self._proved(values.frame(index), values.form, index) for index in range(self.pixels.count)
        ]
        if values.form.bits_allocated == 1 and not self.syntax.encapsulated:
            streams = _packed(streams, values.form)
        coded = Coded(streams, None, NOTHING_LOST)
        return self._result(coded, self._photometric(values.form), values.edits, note=values.note)

    def _proved(self, cells: Pixels, form: FrameFormat, index: int) -> bytes:
        """One frame encoded, decoded, and found to be the same."""
        stream = encode_frame(cells, self.syntax, form, rate=Rate(effort=self.target.effort))
        decoded = decode_frame(stream, self.syntax, form, out=self.transcoder.unlike(cells))
        if not _is_same(decoded, cells):
            raise self._broken(index)
        return stream

    def _broken(self, index: int) -> HounsfieldError:
        return HounsfieldError(
            say(
                "frame {number} does not come back from {keyword} as it was",
                number=index + 1,
                keyword=self.syntax.keyword,
            ),
            remedy="nothing was written; please report this image",
            frame=index,
        )

    def search(self, values: FrameValues) -> tuple[LossySearch, list[Pixels], list[FrameScale]]:
        """The search for what is asked of it, with its frames and their scales."""
        if self.pixels.native_bytes > _MOST_AT_ONCE:
            raise UnsupportedError(
                say(
                    "{native_bytes} bytes of pixels in one lossy image", native_bytes=self.pixels.native_bytes
                ),
                expected=say(
                    "at most {most_at_once}, since all frames are coded at one rate",
                    most_at_once=_MOST_AT_ONCE,
                ),
            )
        frames = [values.frame(index) for index in range(self.pixels.count)]
        scales = frame_scales(self.instance, len(frames))
        return LossySearch(frames, scales, values.form, self.target), frames, scales

    def _lossy(self, values: FrameValues) -> Transcoded:
        search, frames, scales = self.search(values)
        coded = search.run(self.hint)
        edits = values.edits
        if coded.rate is None:  # nothing was lost after all, and so the image stays what it is
            return self._result(coded, self._photometric(values.form), edits, note=values.note)
        written = written_format(self.syntax, values.form)
        if written != values.form:
            edits |= bits_edits(written.bits_stored)
        if coded.loss.padding is not None:
            edits |= padding_edits(coded.loss.padding, values.form)
        photometric = encoded_photometric(self.syntax, values.form.photometric_interpretation)
        result = self._result(coded, photometric, edits, note=values.note)
        self._check_promise(result.content, frames, scales, values.form)
        return result

    def _check_promise(
        self, content: bytes, frames: Sequence[Pixels], scales: Sequence[FrameScale], form: FrameFormat
    ) -> None:
        """The finished file, read as anyone would: no cell of it is further off than was promised."""
        again = read_instance(BytesSource(self.instance.name, content))
        pixels = open_pixels(content, again.header)
        decoded = []
        for index in range(len(frames)):
            values = stored_values(pixels.cells(index), again.stored_format)
            decoded.append(comparable(values, self.syntax, form))
        found = measure(frames, decoded, scales, decoder_slack(self.syntax, form))
        if not found.keeps(self.target.max_error) or found.padding not in (None, again.padding):
            raise HounsfieldError(
                say(
                    "the finished file is off by {worst}, with {strays} cells of padding astray",
                    worst=format(found.worst, "g"),
                    strays=found.strays,
                ),
                expected=say("what {goal_of} promises", goal_of=goal_of(self.target)),
                remedy="nothing was written; please report this image",
            )

    def _photometric(self, form: FrameFormat) -> str:
        """Of what is coded reversibly, be it in a syntax that may lose."""
        given = encoded_photometric(self.syntax, form.photometric_interpretation)
        return {"YBR_ICT": "YBR_RCT", "XYB": "RGB"}.get(given, given)

    def _result(
        self, coded: Coded, photometric: str, changed: Mapping[int, Edit], *, note: str = ""
    ) -> Transcoded:
        """The finished file, read back; as a lossy derivation of the original where something was lost."""
        part = recoded(with_native_icons(self.part, self.pixels.syntax), self.syntax)
        # And those of a file that was not Explicit VR Little Endian before.
        part = with_native_icons(part, self.pixels.syntax)
        past = self._past_loss()
        edits = {**changed, **colour_edits(self.pixels.frame_format, photometric, self.syntax)}
        if self._is_sign_mended:
            edits |= sign_edits(self.pixels.frame_format, self.syntax)
        if self.syntax.encapsulated:
            edits |= encapsulated_edits(coded.streams, extended_offsets=self.target.extended_offsets)
        else:
            edits |= native_edits(coded.streams, self.pixels.decoded_format, self.syntax)
        stored, uid = sum(map(len, coded.streams)), None
        if coded.rate is not None:
            goal, original = goal_of(self.target), (part.find(_SOP_INSTANCE) or b"").rstrip(b"\0 ")
            uid = derived_uid(original, self.syntax, goal)
            ratio = self.pixels.native_bytes / max(1, stored)
            derived = derivation_edits(part, self.syntax, ratio=ratio, goal=goal, uid=uid, past=past)
            edits = {**derived, **edits}
        elif past is not None:
            edits = {**past_loss_edits(part, past, part.encoding), **edits}
        content = write_part10(part, self.syntax, edits, instance_uid=uid)
        self._verify(content, coded.streams)
        return Transcoded(
            self.instance.name,
            content,
            True,
            self.pixels.syntax.keyword,
            self.syntax.keyword,
            self.pixels.count,
            self.pixels.native_bytes,
            stored,
            coded.loss.max_error,
            coded.loss.psnr,
            coded.rate,
            "; ".join(filter(None, (note, self._mended(photometric, past)))),
            "" if coded.rate is None else error_unit(self.instance),
            coded.loss.worst,
        )

    @property
    def _is_sign_mended(self) -> bool:
        """The header says another sign than the values have, or none."""
        said = self.instance.header.integer("PixelRepresentation")
        return (
            self.pixels.frame_format.bits_allocated > 1
            and said != self.pixels.frame_format.pixel_representation
        )

    def _past_loss(self) -> PastLoss | None:
        """Return what the codestreams lost, where the header does not say that anything was (PS3.3 C.7.6.1.1.5)."""
        if self.instance.header.text("LossyImageCompression") == "01":
            return None
        method = self.pixels.lossy_method()
        return (
            PastLoss(method, self.pixels.native_bytes / max(1, self.pixels.stored_bytes)) if method else None
        )

    def _mended(self, photometric: str, past: PastLoss | None) -> str:
        """Return what the header said wrongly of the codestream, and no longer does."""
        said = []
        if len(self.part.dataset) > self.part.end:
            said.append(f"{len(self.part.dataset) - self.part.end} bytes behind its last element left out")
        if self._is_sign_mended:
            said.append(f"Pixel Representation is {self.pixels.frame_format.pixel_representation} now")
        if self.pixels.is_mislabelled:
            labelled = self.pixels.frame_format.photometric_interpretation
            said.append(f"labelled {labelled}, but its markers say {self.pixels.colour}: now {photometric}")
        if past is not None:
            said.append(f"was compressed with loss ({past.method}) and did not say so: now it does")
        return "; ".join(said)

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
