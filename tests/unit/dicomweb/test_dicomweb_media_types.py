"""Content-Type and Accept as peers write them, and the choice between offers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicomweb.media_types import (
    DICOM,
    DICOM_JSON,
    MediaType,
    accept_ladder,
    accepts,
    multipart,
    negotiate,
    parse_accept,
)
from hounsfield.errors import DicomwebError

tokens = st.text("abcdefgh-1234", min_size=1, max_size=10)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(tokens, tokens, st.lists(st.tuples(tokens, values), max_size=4))
def test_what_is_written_is_read_back(kind: str, subtype: str, parameters: list[tuple[str, str]]) -> None:
    media_type = MediaType(f"{kind}/{subtype}", tuple(parameters))
    assert MediaType.parse(str(media_type)) == media_type


@given(st.text(max_size=80))
def test_any_text_is_a_media_type_or_our_error(text: str) -> None:
    with contextlib.suppress(DicomwebError):
        MediaType.parse(text)
    parse_accept(text)


@pytest.mark.parametrize(
    ("text", "boundary", "kind", "syntax"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', "abc", DICOM, None),
        ("multipart/related; type=application/dicom; boundary=abc", "abc", DICOM, None),
        ("Multipart/Related;BOUNDARY='a;b';Type='application/dicom'", "a;b", DICOM, None),
        ('multipart/related ; boundary = "a;b" ; start=<1> ; type = "application/dicom"', "a;b", DICOM, None),
        (
            'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=x',
            "x",
            DICOM,
            "1.2.840.10008.1.2.1",
        ),
        (
            'multipart/related; transfer-syntax=1.2.840.10008.1.2.4.80; type="application/dicom"; boundary=x',
            "x",
            DICOM,
            "1.2.840.10008.1.2.4.80",
        ),
        (
            'multipart/related; boundary="a\\"b"; type="application/octet-stream"',
            'a"b',
            "application/octet-stream",
            None,
        ),
        ('multipart/related; boundary="never closed', '"never closed', None, None),
        ("multipart/related; boundary=a,b", "a,b", None, None),
    ],
)
def test_multipart_content_types_of_every_peer(
    text: str, boundary: str, kind: str, syntax: str | None
) -> None:
    media_type = MediaType.parse(text)
    assert media_type.name == "multipart/related"
    assert media_type.parameter("boundary") == boundary
    assert (media_type.inner.name if media_type.inner else None) == kind
    assert media_type.transfer_syntax == syntax


def test_accept_entries_come_by_weight() -> None:
    entries = parse_accept('application/json;q=0.5, multipart/related; type="a/b, c"; q=0.9, */*;q=0, x/y')
    assert [str(entry) for entry in entries] == [
        "x/y",
        'multipart/related; type="a/b, c"; q=0.9',
        "application/json; q=0.5",
        "*/*; q=0",
    ]
    assert [str(entry.media_type) for entry in parse_accept("")] == ["*/*"]


OFFERS = [
    MediaType.parse('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80'),
    MediaType.parse('multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'),
    MediaType.parse("application/dicom+json"),
    MediaType.parse(
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
    ),
]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ('multipart/related; type="application/dicom"; transfer-syntax=*', 0),
        ('multipart/related; type="application/dicom"', 1),
        ("multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1", 1),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", 3),
        ("application/dicom+json", 2),
        ("application/*", 2),
        ("*/*", 0),
        ("multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50", None),
        ("text/html, application/dicom+json;q=0.1", 2),
        ("*/*, multipart/related;q=0", 2),
    ],
)
def test_the_offer_that_was_asked_for_is_chosen(accept: str, chosen: int | None) -> None:
    assert negotiate(parse_accept(accept), OFFERS) == (None if chosen is None else OFFERS[chosen])


def test_the_ladder_goes_from_the_standard_to_anything() -> None:
    ladder = accept_ladder()
    assert ladder[0] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    assert ladder[-1] == "*/*"
    offer = multipart(DICOM, transfer_syntax="1.2.840.10008.1.2.1", boundary="b")
    assert all(accepts(parse_accept(step)[0].media_type, offer) for step in (*ladder[:4], ladder[-1]))
    assert not accepts(MediaType(DICOM_JSON), offer)


def test_a_control_character_never_reaches_a_header() -> None:
    with pytest.raises(DicomwebError):
        str(MediaType("a/b", (("c", "d\r\ne"),)))
