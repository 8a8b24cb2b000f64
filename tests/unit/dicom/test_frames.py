"""Where frames lie: every form of offset table, none at all, and pixel data that ends too early."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import phantom
from hounsfield.ct.instance import FileSource, pixels, read_instance
from hounsfield.dicom.encapsulation import count_fragments, encapsulate, locate_frames, read_frame
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError
from hounsfield.phantom import PhantomSpec

DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


def encapsulated(fragments: list[bytes], table: list[int] | None = None, *, closed: bool = True) -> bytes:
    offsets = struct.pack(f"<{len(table)}I", *table) if table else b""
    return item(offsets) + b"".join(map(item, fragments)) + (DELIMITER if closed else b"")


def frames_of(value: bytes, count: int, *, before: bytes = b"", **tables: list[int]) -> list[bytes]:
    stream = io.BytesIO(before + value)
    found = locate_frames(stream, offset=len(before), number_of_frames=count, **tables)
    return [read_frame(stream, frame) for frame in found]


def test_one_fragment_a_frame_needs_no_table() -> None:
    assert frames_of(encapsulated([b"aa", b"bbbb"]), 2, before=b"header") == [b"aa", b"bbbb"]


def test_all_fragments_of_a_single_frame_are_joined() -> None:
    assert frames_of(encapsulated([b"aa", b"bb", b"cc"]), 1) == [b"aabbcc"]


def test_a_basic_offset_table_groups_fragments() -> None:
    assert frames_of(encapsulated([b"aa", b"bb", b"cc"], [0, 20]), 2) == [b"aabb", b"cc"]


def test_trap_15_fragmented_frames_without_table_are_split_by_end_of_image() -> None:
    first, second = b"\xff\xd8\xff1234\xff\xd9\0", b"\xff\xd8\xff567\xff\xd9"
    value = encapsulated([first[:4], first[4:], second[:4], second[4:]])
    assert frames_of(value, 2) == [first, second]


def test_trap_15_fragmented_jpeg2000_without_table_is_split_by_end_of_codestream() -> None:
    first, second = b"\xff\x4f\xff\x51" + b"1" * 8 + b"\xff\xd9", b"\xff\x4f\xff\x51" + b"2" * 4 + b"\xff\xd9"
    assert frames_of(encapsulated([first[:8], first[8:], second]), 2) == [first, second]


def test_trap_15_extended_offset_table_trims_frames_to_their_lengths() -> None:
    value = encapsulated([b"aaa\0", b"bb"])
    got = frames_of(value, 2, extended_offsets=[0, 12], extended_lengths=[3, 2])
    assert got == [b"aaa", b"bb"]


def test_an_extended_table_may_put_frames_in_another_order() -> None:
    assert frames_of(encapsulated([b"aa", b"bb"]), 2, extended_offsets=[10, 0]) == [b"bb", b"aa"]


@pytest.mark.parametrize("offsets", [[0, 11], [0], [4, 12]])
def test_an_extended_table_that_points_nowhere_is_passed_over(offsets: list[int]) -> None:
    assert frames_of(encapsulated([b"aaaa", b"bb"]), 2, extended_offsets=offsets) == [b"aaaa", b"bb"]


def test_a_lying_basic_table_is_passed_over_where_markers_speak() -> None:
    image = b"\xff\xd8\xff\x00\xff\xd9"
    value = encapsulated([image[:4], image[4:], image], [0, 13])
    assert frames_of(value, 2) == [image, image]


def test_trap_11_more_frames_than_the_header_says_are_all_given() -> None:
    image = b"\xff\xd8\xff\x00\xff\xd9"
    assert len(frames_of(encapsulated([image, image]), 1)) == 2


def test_a_missing_sequence_delimiter_is_forgiven() -> None:
    assert frames_of(encapsulated([b"aa"], closed=False), 1) == [b"aa"]


def test_trap_10_a_cut_fragment_names_its_frame() -> None:
    with pytest.raises(TruncatedError, match="frame 2") as caught:
        frames_of(encapsulated([b"aa", b"bbbb"])[:-10], 2)
    assert caught.value.data["frame"] == 1


def test_too_few_fragments_name_the_first_missing_frame() -> None:
    with pytest.raises(TruncatedError, match="frame 2 of 3"):
        frames_of(encapsulated([b"aa"]), 3)


def test_fragments_that_nothing_tells_apart_are_malformed() -> None:
    with pytest.raises(MalformedError, match="no end-of-image"):
        frames_of(encapsulated([b"aa", b"bb", b"cc"]), 2)


def test_an_item_of_undefined_length_is_malformed() -> None:
    with pytest.raises(MalformedError):
        frames_of(item(b"") + b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 1)


def test_fragments_without_end_are_refused_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hounsfield.dicom.encapsulation._MAX_FRAGMENTS", 100)
    assert len(frames_of(encapsulated([b""] * 104), 1)) == 1
    with pytest.raises(MalformedError, match="more than 104 fragments"):
        frames_of(encapsulated([b""] * 105), 1)
    assert len(frames_of(encapsulated([b"aa"] * 300), 300)) == 300


def test_a_frame_that_vanished_since_is_truncated() -> None:
    with pytest.raises(TruncatedError):
        read_frame(io.BytesIO(b"abc"), ((1, 10),))


class Trickle(io.BytesIO):
    """A stream that gives at most three bytes at a time, as a socket or raw file may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(3, size) if size and size > 0 else size)


def test_short_reads_are_continued() -> None:
    stream = Trickle(encapsulated([b"abcdefgh", b"ij"]))
    frames = locate_frames(stream, offset=0, number_of_frames=2)
    assert [read_frame(stream, frame) for frame in frames] == [b"abcdefgh", b"ij"]


@given(
    st.lists(
        st.lists(st.binary(max_size=6).map(lambda b: b + b"\0" * (len(b) % 2)), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_any_grouping_survives_a_basic_offset_table(frames: list[list[bytes]]) -> None:
    sizes = [sum(len(fragment) + 8 for fragment in frame) for frame in frames]
    table = [0, *accumulate(sizes)][:-1]
    value = encapsulated([fragment for frame in frames for fragment in frame], table)
    assert frames_of(value, len(frames)) == [b"".join(frame) for frame in frames]


@given(st.binary(max_size=80), st.integers(-1, 5))
def test_arbitrary_bytes_give_frames_or_one_of_our_errors(value: bytes, count: int) -> None:
    with suppress(HounsfieldError):
        assert len(frames_of(value, count)) >= count


@given(st.integers(0, 70), st.integers(0, 255))
def test_mutated_pixel_data_gives_frames_or_one_of_our_errors(position: int, value: int) -> None:
    data = bytearray(encapsulated([b"\xff\xd8\xffa", b"bc\xff\xd9", b"\xff\xd8\xff\xff\xd9\0"], [0, 24]))
    data[position % len(data)] = value
    with suppress(HounsfieldError):
        frames_of(bytes(data), 2)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=7), st.booleans())
def test_what_is_encapsulated_is_located_again(frames: list[bytes], extended: bool) -> None:
    written = encapsulate(frames, extended=extended)
    assert len(written.value) % 2 == 0
    tables = {
        "extended_offsets": list(written.extended_offsets),
        "extended_lengths": list(written.extended_lengths),
    }
    got = frames_of(written.value, len(frames), **(tables if extended else {}))
    assert [frame[: len(before)] for frame, before in zip(got, frames, strict=True)] == frames
    assert all(len(frame) % 2 == 0 for frame in got) or extended


def test_pydicom_reads_the_offset_tables_written_here() -> None:
    from pydicom.encaps import generate_frames, parse_basic_offsets

    written = encapsulate([b"abc", b"de", b"f"])
    assert parse_basic_offsets(written.value) == [0, 12, 22]
    assert list(generate_frames(written.value, number_of_frames=3)) == [b"abc\0", b"de", b"f\0"]
    tables = encapsulate([b"abc", b"de"], extended=True)
    packed = tuple(struct.pack("<2Q", *t) for t in (tables.extended_offsets, tables.extended_lengths))
    got = list(generate_frames(tables.value, number_of_frames=2, extended_offsets=packed))
    assert got == [b"abc", b"de"]


@pytest.mark.parametrize("keyword", ["explicit", "rle", "jpeg-ls"])
@pytest.mark.parametrize("multiframe", ["enhanced", "no geometry"])
def test_a_number_of_frames_is_held_against_those_that_are_there(
    keyword: str, multiframe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them may lack; a claim beyond that is refused before anything is made for each frame."""
    there = 40
    spec = PhantomSpec(rows=8, columns=8, slices=there, multiframe=multiframe, transfer_syntax=keyword)
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    dataset.pop("PerFrameFunctionalGroupsSequence", None)
    for claimed, is_possible in ((2 * there + 2, True), (2 * there + 3, False), (10**6, False)):
        dataset.NumberOfFrames = claimed
        dataset.save_as(path)
        instance = read_instance(FileSource(path))
        if is_possible:
            assert len(instance.planes) == claimed
        else:
            with monkeypatch.context() as patch:
                patch.setattr(pixels, "read_planes_of_groups", None)
                patch.setattr(pixels, "planes_of_frames", None)
                with pytest.raises(MalformedError, match=f"Number of Frames is {claimed}"):
                    _ = instance.planes


def test_no_frames_are_there_without_pixels(tmp_path: Path) -> None:
    (path,) = phantom.write(PhantomSpec(rows=8, columns=8, slices=4, multiframe="enhanced"), tmp_path)
    dataset = pydicom.dcmread(path)
    del dataset.PixelData, dataset.PerFrameFunctionalGroupsSequence
    dataset.NumberOfFrames = 32000
    dataset.save_as(path)
    with pytest.raises(MalformedError, match="Number of Frames is 32000"):
        _ = read_instance(FileSource(path)).planes


def test_fragments_are_counted_as_far_as_they_are_there() -> None:
    value = encapsulate([b"ab", b"cd", b"ef"]).value
    assert [count_fragments(io.BytesIO(value), 0, most=most) for most in (1, 3, 9)] == [1, 3, 3]
    assert count_fragments(io.BytesIO(value[: value.index(b"ef")]), 0, most=9) == 2
    empty = encapsulate([b"", b"ab", b""]).value
    assert count_fragments(io.BytesIO(empty), 0, most=9) == 1
