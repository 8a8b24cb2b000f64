"""The contract of codecs: what is lossless comes back as it was, and no damage ends in anything but our errors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hounsfield.codecs import (
    Codec,
    FrameFormat,
    PixelKind,
    codestream_header,
    decode_frame,
    encode_frame,
    holds,
    written_format,
)
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax, transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError

_KINDS = (
    *((bits, allocated, signed, "MONOCHROME2") for bits, allocated in ((8, 8), (12, 16), (16, 16), (24, 32))
      for signed in (False, True)),
    (8, 8, False, "RGB"),
)  # fmt: skip


class CodecContract:
    """`hounsfield.codecs.Codec`. Give `codec`."""

    @pytest.fixture
    def codec(self) -> Codec:
        raise NotImplementedError

    def test_its_syntaxes_are_known_by_uid_and_keyword(self, codec: Codec) -> None:
        syntaxes = list(_syntaxes(codec))
        assert syntaxes
        for syntax in syntaxes:
            assert transfer_syntax(syntax.uid) == transfer_syntax(syntax.keyword) == SYNTAXES[syntax.uid]
        assert {each.keyword for each in codec.codings} <= {each.keyword for each in syntaxes}

    def test_what_is_lossless_comes_back_as_it_was(self, codec: Codec) -> None:
        for syntax, form, frame in _cases(codec):
            codestream = encode_frame(frame, syntax, form)
            # An encapsulated frame has even length (PS3.5 A.4).
            decoded = decode_frame(
                codestream + bytes(len(codestream) % 2), syntax, written_format(syntax, form)
            )
            assert decoded.dtype == form.dtype
            assert decoded.shape == form.shape
            if syntax.lossless:
                assert np.array_equal(decoded, frame), (syntax.keyword, str(PixelKind.of(form)))

    def test_a_frame_is_decoded_into_memory_that_is_given(self, codec: Codec) -> None:
        for syntax, form, frame in _cases(codec):
            out = np.empty(form.shape, form.dtype)
            decoded = decode_frame(
                encode_frame(frame, syntax, form), syntax, written_format(syntax, form), out=out
            )
            assert not syntax.lossless or np.array_equal(decoded, frame)

    def test_the_header_of_a_codestream_says_what_it_holds(self, codec: Codec) -> None:
        for syntax, form, frame in _cases(codec) if codec.header else ():
            header = codestream_header(encode_frame(frame, syntax, form), syntax)
            assert header is not None
            assert (header.rows, header.columns, header.components) == (
                form.rows,
                form.columns,
                form.samples_per_pixel,
            )

    def test_what_a_syntax_does_not_hold_is_refused(self, codec: Codec) -> None:
        for syntax in _written(codec):
            for form in _forms():
                if not holds(syntax, PixelKind.of(form)):
                    with pytest.raises(UnsupportedError):
                        encode_frame(_frame(form), syntax, form)

    def test_a_frame_of_another_size_is_refused(self, codec: Codec) -> None:
        for syntax, form, frame in itertools.islice(_cases(codec), 4):
            codestream = encode_frame(frame, syntax, form)
            written = written_format(syntax, form)
            for rows, columns in ((form.rows + 40, form.columns), (form.rows, form.columns + 40)):
                other = FrameFormat(
                    rows,
                    columns,
                    written.samples_per_pixel,
                    written.bits_allocated,
                    written.bits_stored,
                    written.high_bit,
                    written.pixel_representation,
                    written.photometric_interpretation,
                )
                with pytest.raises((MalformedError, TruncatedError)):
                    decode_frame(codestream, syntax, other)

    def test_damage_ends_in_an_error_of_ours_or_in_a_frame(self, codec: Codec) -> None:
        chance = np.random.default_rng(7)
        for syntax, form, frame in itertools.islice(_cases(codec), 4):
            codestream = encode_frame(frame, syntax, form)
            cuts = [codestream[: len(codestream) * part // 8] for part in range(8)]
            for data in (*cuts, *(_damaged(codestream, chance) for _ in range(8))):
                try:
                    decoded = decode_frame(data, syntax, written_format(syntax, form))
                except HounsfieldError:
                    continue
                assert decoded.shape == form.shape
                assert decoded.dtype == form.dtype


def _syntaxes(codec: Codec) -> Iterator[TransferSyntax]:
    return (each for each in SYNTAXES.values() if each.family == codec.family and each.readable)


def _written(codec: Codec) -> Iterator[TransferSyntax]:
    return (transfer_syntax(each.keyword) for each in codec.codings if each.encode)


def _cases(codec: Codec) -> Iterator[tuple[TransferSyntax, FrameFormat, NDArray[Any]]]:
    """Every syntax with every kind of pixels that it holds."""
    for syntax in _written(codec):
        for form in _forms():
            if holds(syntax, PixelKind.of(form)):
                yield syntax, form, _frame(form)


def _forms() -> Iterator[FrameFormat]:
    """Frames of 37 × 53: neither side is a power of two, and one sample more than pairs."""
    for bits, allocated, signed, photometric in _KINDS:
        samples = 3 if photometric == "RGB" else 1
        yield FrameFormat(37, 53, samples, allocated, bits, bits - 1, int(signed), photometric)


def _frame(form: FrameFormat) -> NDArray[Any]:
    """A slope with noise, that uses every bit."""
    generator = np.random.default_rng(form.bits_stored + form.samples_per_pixel)
    low = -(1 << form.bits_stored - 1) if form.signed else 0
    slope = np.linspace(0, (1 << form.bits_stored) - 1, int(np.prod(form.shape))).reshape(form.shape)
    noise = generator.integers(0, 8, form.shape)
    values = np.clip(slope.astype(np.int64) + noise, 0, (1 << form.bits_stored) - 1)
    frame: NDArray[Any] = (values + low).astype(form.dtype)
    return frame


def _damaged(codestream: bytes, chance: np.random.Generator) -> bytes:
    damaged = bytearray(codestream)
    for _ in range(1 + len(damaged) // 200):
        damaged[int(chance.integers(len(damaged)))] ^= 1 << int(chance.integers(8))
    return bytes(damaged)
