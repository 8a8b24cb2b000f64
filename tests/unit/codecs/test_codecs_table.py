"""The table of codecs: each row keeps the contract, every function that it names is there, each syntax has its row."""

from __future__ import annotations

import pytest

from hounsfield.codecs import CODECS, Codec
from hounsfield.codecs.table import all_codecs, codec_of, coding_of, decoder_of
from hounsfield.dicom.extensions import named
from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.testing import CodecContract


class TestEveryCodec(CodecContract):
    @pytest.fixture(params=CODECS, ids=[each.family for each in CODECS])
    def codec(self, request: pytest.FixtureRequest) -> Codec:
        return request.param


@pytest.mark.parametrize("row", CODECS, ids=[each.family for each in CODECS])
def test_every_function_that_a_row_names_is_there(row: Codec) -> None:
    for function in (
        row.decode,
        row.header,
        row.traits,
        row.begins,
        *(coding.encode for coding in row.codings),
    ):
        assert not function or callable(named(function))
    assert callable(decoder_of(row.family))


def test_every_syntax_that_is_read_has_a_codec_and_every_one_that_is_written_a_coding() -> None:
    for syntax in SYNTAXES.values():
        if syntax.encapsulated and syntax.readable:
            assert codec_of(syntax.family) is not None, syntax.keyword
        if syntax.encapsulated and syntax.writable:
            coding = coding_of(syntax.keyword)
            assert coding is not None and bool(coding.encode) == (syntax.keyword != "jpeg-xl-jpeg")
    assert codec_of("video") is None and coding_of("h264") is None
    assert all_codecs() == CODECS


def test_a_lossy_syntax_has_the_term_of_its_method() -> None:
    for syntax in SYNTAXES.values():
        if syntax.writable and not syntax.lossless:
            codec = codec_of(syntax.family)
            assert codec is not None and codec.lossy_method.startswith("ISO_")
