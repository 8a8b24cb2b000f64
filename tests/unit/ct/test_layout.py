"""Headers read one after another, what recurs compared at once: the same headers as each read by itself."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield import HounsfieldError, phantom
from hounsfield.ct.instance import BytesSource, FileSource, Header, HeaderReader, Source
from hounsfield.ct.instance.header import WANTED
from hounsfield.ct.instance.reading import read_header
from hounsfield.dicom.fast_walk import scan_elements
from hounsfield.dicom.layout import ElementLayout
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=8, columns=8, slices=6)


def outcome(read: Iterable[Header]) -> Header | str:
    """The header, or the error in words."""
    try:
        (header,) = read
    except HounsfieldError as error:
        return f"{type(error).__name__}: {error}"
    return header


def assert_read_alike(sources: list[Source]) -> None:
    reader = HeaderReader()
    for source in sources:
        together = outcome(reader.read(one) for one in (source,))
        assert together == outcome(read_header(one) for one in (source,)), source.name


def shared(contents: list[bytes]) -> list[bool]:
    """Of each file, whether the layout of those before it did."""
    layout = ElementLayout(WANTED)
    found = []
    for content in contents:
        with BytesSource("a file", content).open() as stream:
            found.append(layout.scan(stream)[1])
    return found


def test_real_ct_is_read_alike_in_the_order_of_its_files(real_data: Path) -> None:
    assert_read_alike([FileSource(path) for path in sorted(real_data.rglob("*")) if path.is_file()])


def test_pydicoms_own_files_are_read_alike() -> None:
    folder = Path(pydicom.data.__file__).parent
    assert_read_alike([FileSource(path) for path in sorted(folder.rglob("*.dcm"))])


def test_nearly_all_slices_of_a_real_series_are_like_those_before(real_data: Path) -> None:
    folder = real_data / "philips_phantom" / "S21570" / "S2020"
    found = shared([path.read_bytes() for path in sorted(folder.glob("I*"))])
    assert found.count(True) > 0.9 * len(found)


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "jpeg-ls"])
def test_slices_of_every_encoding_share_a_layout(syntax: str, tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, slices=12, transfer_syntax=syntax, private_tags=True), tmp_path)
    found = shared([path.read_bytes() for path in paths])
    assert found[:2] == [False, False]  # two files are needed to tell what recurs
    assert found.count(True) >= 9  # and another once, where a UID is longer, and with it the file meta group
    assert_read_alike([FileSource(path) for path in paths])


def test_a_value_that_begins_to_differ_late_widens_the_layout(tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, slices=12), tmp_path)
    contents = [path.read_bytes() for path in paths]
    later = contents[8].replace(b"HOUNSFIELD", b"hounsfield")
    kvp = [content.replace(b"120 ", b"80.5", 1) if i >= 6 else content for i, content in enumerate(contents)]
    assert kvp[6] != contents[6]
    found = shared(kvp)
    assert not found[6]
    assert found[4] and found[7:] == [True] * 5
    assert_read_alike([BytesSource(str(i), content) for i, content in enumerate([*kvp, later])])


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    count = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return head + struct.pack("<HI", 0, count) + value
    return head + struct.pack("<H", count) + value


def part10(*elements: bytes) -> bytes:
    meta = element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
    return bytes(128) + b"DICM" + meta + b"".join(elements) + element(0x7FE00010, b"OW", b"\1\2")


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


END_OF_SEQUENCE = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
UNDEFINED = 0xFFFFFFFF


def test_sequences_of_undefined_length_may_differ() -> None:
    contents = [
        part10(
            element(0x00081140, b"SQ", item(element(0x00081155, b"UI", uid)) + END_OF_SEQUENCE, UNDEFINED),
            element(0x00200013, b"IS", number),
        )
        for uid, number in ((b"1.2.3.4\0", b"1 "), (b"1.2.3.55", b"12"), (b"1.2.3.456789", b"1234"))
    ]
    assert shared(contents) == [False, False, True]
    assert_read_alike([BytesSource("s", content) for content in contents])


def test_an_element_that_comes_in_between_is_not_overlooked() -> None:
    def content(number: bytes, *more: bytes) -> bytes:
        return part10(element(0x00200013, b"IS", number), *more, element(0x00280010, b"US", b"\3\0"))

    kernel = element(0x00200032, b"DS", b"1\\2\\3 ")
    contents = [content(b"1 "), content(b"2 "), content(b"3 "), content(b"4 ", kernel), content(b"5 ")]
    assert shared(contents) == [False, False, True, False, False]
    assert_read_alike([BytesSource("s", each) for each in contents])


def test_another_transfer_syntax_is_another_layout(tmp_path: Path) -> None:
    one = phantom.write(replace(SMALL, transfer_syntax="explicit"), tmp_path / "a")
    other = phantom.write(replace(SMALL, transfer_syntax="jpeg-ls"), tmp_path / "b")
    mixed = [path for pair in zip(one, other, strict=True) for path in pair]
    assert_read_alike([FileSource(path) for path in mixed])


def test_files_that_are_all_different_are_not_learnt_for_ever() -> None:
    tags = [0x00200013 + i for i in range(40)]
    contents = [part10(element(tag, b"IS", b"1 ")) for tag in tags]
    layout = ElementLayout(WANTED)
    for content in contents:
        with BytesSource("a file", content).open() as stream:
            assert layout.scan(stream)[0] == scan_elements(BytesSource("a file", content).open(), WANTED)
    assert layout.has_given_up


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("headers")
    written = []
    for syntax in ("explicit", "implicit"):
        paths = phantom.write(replace(SMALL, transfer_syntax=syntax, private_tags=True), folder / syntax)
        written.append([path.read_bytes() for path in paths])
    return [*written[0], *written[1]]


edits = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "insert"]), st.integers(132, 2400), st.integers(0, 255)),
    max_size=3,
)


@settings(max_examples=150)
@given(chosen=st.lists(st.tuples(st.integers(0, 5), edits), min_size=2, max_size=8), implicit=st.booleans())
def test_mutated_headers_are_read_alike(
    headers: list[bytes], chosen: list[tuple[int, list[tuple[str, int, int]]]], implicit: bool
) -> None:
    sources: list[Source] = []
    for number, (index, changes) in enumerate([(0, []), (1, []), (2, []), *chosen]):
        content = bytearray(headers[index + 6 * implicit])
        for kind, place, value in changes:
            if kind == "set":
                content[place % len(content)] = value
            elif kind == "cut":
                del content[place : place + value % 4]
            else:
                content[place:place] = bytes([value])
        sources.append(BytesSource(str(number), bytes(content)))
    assert_read_alike(sources)
