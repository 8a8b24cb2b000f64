"""Multipart bodies: written and read back by any chunking, every oddity that peers send, every cut named."""

from __future__ import annotations

import itertools
import random
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicomweb.multipart import (
    MultipartParser,
    PartBegins,
    PartData,
    PartEnds,
    closing,
    encode,
    encoded_length,
    new_boundary,
    part_head,
)
from hounsfield.errors import DicomwebError

Part = tuple[tuple[tuple[str, str], ...], bytes]


def read(
    body: bytes, boundary: str | None, cuts: list[int] | None = None, *, trust_lengths: bool = False
) -> list[Part]:
    """The parts of a body fed in pieces that end at `cuts`."""
    parser = MultipartParser(boundary, trust_lengths=trust_lengths)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(edges)]
    parts: list[tuple[tuple[tuple[str, str], ...], list[bytes]]] = []
    events = itertools.chain(itertools.chain.from_iterable(map(parser.feed, chunks)), parser.close())
    for event in events:
        if isinstance(event, PartBegins):
            assert event.index == len(parts)
            parts.append((event.headers, []))
        elif isinstance(event, PartData):
            assert event.content
            parts[-1][1].append(bytes(event.content))
        else:
            assert isinstance(event, PartEnds)
            assert event.length == sum(map(len, parts[-1][1]))
    return [(headers, b"".join(content)) for headers, content in parts]


names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(lambda name: name.strip("-"))
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
# Contents made of what delimiters are made of find more faults than random bytes do.
tricky = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--x", b"\r\n--", b"x", b" ", b"ab"])).map(
    b"".join
)
contents = st.one_of(tricky.filter(lambda c: not closes_early(c)), st.binary(max_size=200))
boundaries = st.sampled_from(["xy", "xyz1", "a b;c", "=_'()+,./:?-x"])


def closes_early(content: bytes) -> bool:
    return b"\r\n--xy" in b"\r\n" + content + b"\r\n"


@given(
    st.lists(st.tuples(st.lists(st.tuples(names, header_values)).map(tuple), contents), max_size=4),
    boundaries,
    st.lists(st.integers(0, 5000), max_size=12),
)
def test_any_parts_in_any_chunking_come_back_as_they_were(
    parts: list[tuple[tuple[tuple[str, str], ...], bytes]], boundary: str, cuts: list[int]
) -> None:
    body = b"".join(encode(parts, boundary))
    assert len(body) == encoded_length([(headers, len(content)) for headers, content in parts], boundary)
    assert read(body, boundary, cuts) == parts


@given(st.lists(tricky, max_size=3), st.lists(st.integers(0, 500), max_size=20))
def test_chunking_never_changes_what_is_read(contents: list[bytes], cuts: list[int]) -> None:
    body = b"".join(encode([((), content) for content in contents], "x"))

    def outcome(edges: list[Any]) -> list[tuple[tuple[tuple[str, str], ...], bytes]] | str:
        try:
            return read(body, "x", edges)
        except DicomwebError as error:
            return str(error)

    assert outcome(cuts) == outcome([]) == outcome(list(range(len(body))))


def test_a_payload_that_holds_the_boundary_with_more_after_it_is_payload() -> None:
    content = b"\r\n--boundaryX\r\n--boundary x\r\n--boundary-\r\n--boundary--x"
    body = b"".join(encode([((), content)], "boundary"))
    for size in range(1, 12):
        assert read(body, "boundary", list(range(0, len(body), size))) == [((), content)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [((), b"x")]),
        (b"\r\n--b\r\n\r\nx\r\n--b--\r\n", [((), b"x")]),
        (b"a preamble\r\n--b\r\n\r\nx\r\n--b--\r\nan epilogue\r\n--b\r\n", [((), b"x")]),
        (b"--b \t \r\nA:1\r\n\r\nx\r\n--b-- \t\r\n", [((("a", "1"),), b"x")]),
        (
            b"--b\r\nCONTENT-type: a/b;\r\n  c=d\r\nx-Y : z\r\n\r\n\r\n--b--",
            [((("content-type", "a/b; c=d"), ("x-y", "z")), b"")],
        ),
        (b"--b\r\nA: 1\r\n\r\n--b\r\n\r\n--b--", [((("a", "1"),), b""), ((), b"")]),
        (b"--b--\r\n", []),
        (b"\r\n--b--", []),
    ],
)
def test_what_peers_send_is_read(body: bytes, expected: Any) -> None:
    assert read(body, "b") == expected
    assert read(body, "b", list(range(len(body)))) == expected


def test_the_boundary_is_found_when_the_content_type_has_none() -> None:
    body = b"".join(encode([((("A", "1"),), b"one"), ((), b"two")], "found-1"))
    assert [content for _, content in read(b"hello\r\n" + body, None)] == [b"one", b"two"]
    assert [content for _, content in read(body, None, list(range(len(body))))] == [b"one", b"two"]


@pytest.mark.parametrize("boundary", ["b", None])
def test_every_truncation_is_an_error_that_names_the_part(boundary: str | None) -> None:
    body = b"".join(encode([((("A", "1"),), b"one" * 5), ((), b"two" * 5)], "b"))
    whole = len(body) - len(b"\r\n")
    for length in range(whole):
        with pytest.raises(DicomwebError) as caught:
            read(body[:length], boundary)
        assert caught.value.data.get("truncated")
        inside_second = body.index(b"two") <= length
        assert ("part 2" in str(caught.value)) is inside_second
    assert len(read(body[:whole], "b")) == 2


@given(
    st.lists(st.one_of(tricky, st.binary(max_size=50)), max_size=4),
    st.lists(st.integers(0, 900), max_size=12),
)
def test_lengths_that_are_trusted_find_the_same_parts_whatever_they_hold(
    contents: list[bytes], cuts: list[int]
) -> None:
    parts = [((("content-length", str(len(content))),), content) for content in contents]
    body = b"".join(encode(parts, "x" * 20))
    assert read(body, "x" * 20, cuts, trust_lengths=True) == parts
    if all(contents):
        # Content may then even hold the delimiter itself.
        body = b"".join(encode(parts, "x"))
        assert read(body, "x", cuts, trust_lengths=True) == parts


def test_the_declared_length_of_a_part_comes_with_its_end() -> None:
    body = b"--b\r\nContent-Length: 5\r\n\r\nabc\r\n--b\r\ncontent-length: x\r\n\r\n\r\n--b--"
    parser = MultipartParser("b")
    ends = [event for event in [*parser.feed(body), *parser.close()] if isinstance(event, PartEnds)]
    assert [(end.length, end.declared) for end in ends] == [(3, 5), (0, None)]


@pytest.mark.parametrize(
    "body",
    [b"--b\r\n" + b"A: 1\r\n" * 20_000, b"x" * 2_000_000, b"--b" + b" " * 2_000_000],
)
def test_headers_and_preambles_without_end_are_refused_before_they_fill_memory(body: bytes) -> None:
    parser = MultipartParser("b")
    with pytest.raises(DicomwebError):
        for start in range(0, len(body), 65536):
            list(parser.feed(body[start : start + 65536]))
            assert len(parser._held) < 200_000
        list(parser.close())


def test_content_comes_out_as_views_of_the_very_chunk() -> None:
    parser = MultipartParser("b")
    list(parser.feed(b"--b\r\n\r\n"))
    list(parser.feed(b"first"))
    chunk = b"0" * 100_000
    [event] = parser.feed(chunk)
    assert isinstance(event, PartData)
    assert event.content.obj is chunk


@pytest.mark.parametrize("boundary", ["line\nend", "x" * 300, "界"])
def test_an_impossible_boundary_is_our_error(boundary: str) -> None:
    with pytest.raises(DicomwebError):
        MultipartParser(boundary)


def test_a_header_cannot_smuggle_a_line() -> None:
    with pytest.raises(DicomwebError):
        part_head("b", [("A", "1\r\nB: 2")])


def test_boundaries_differ_and_close() -> None:
    assert new_boundary() != new_boundary()
    assert closing("b", empty=True) == b"--b--\r\n"


def test_long_content_full_of_beginnings_of_the_delimiter_is_kept_whatever_the_chunks() -> None:
    dice = random.Random(1)
    contents = [
        b"".join(dice.choices([b"\r", b"\n", b"\r\n--", b"\r\n--b", b"-", b"\0", b"b" * 3000], k=400))
        for _ in range(3)
    ]
    contents = [each.replace(b"\r\n--bo", b"") for each in contents]
    whole = b"".join(encode([({}, each) for each in contents], "bo"))
    for size in (17_000, 40_000, len(whole)):
        parser, found = MultipartParser("bo"), list[bytes]()
        chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
        for event in chain(*(parser.feed(chunk) for chunk in chunks), parser.close()):
            if isinstance(event, PartBegins):
                found.append(b"")
            elif isinstance(event, PartData):
                found[-1] += bytes(event.content)
        assert found == contents
