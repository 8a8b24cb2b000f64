"""Where frames lie: every form of offset table, none at all, and pixel data that ends too early."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import phantom
from hounsfield.ct.instance import FileSource, pixels, read_instance
from hounsfield.dicom.encapsulation import (
    count_fragments,
    encapsulate,
    locate_frames,
    missing_bytes,
    read_frame,
)
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.phantom import PhantomSpec

DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value


def encapsulated(fragments: list[bytes], table: list[int] | None = None, *, closed: bool = True) -> bytes:
    offsets = struct.pack(f"<{len(table)}I", *table) if table else b""
    return item(offsets) + b"".join(map(item, fragments)) + (DELIMITER if closed else b"")


def frames_of(value: bytes, count: int, *, before: bytes = b"", **tables: list[int]) -> list[bytes]:
    stream = io.BytesIO(before + value)
    found = locate_frames(stream, offset=len(before), number_of_frames=count, **tables)  # type: ignore[arg-type]
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
    tables: dict[str, Any] = {
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
    got = list(generate_frames(tables.value, number_of_frames=2, extended_offsets=packed))  # type: ignore[arg-type]
    assert got == [b"abc", b"de"]


@pytest.mark.parametrize("keyword", ["explicit", "rle", "jpeg-ls"])
@pytest.mark.parametrize("multiframe", ["enhanced", "no geometry"])
def test_a_number_of_frames_is_held_against_those_that_are_there(
    keyword: str, multiframe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them may lack; a claim beyond that is refused before anything is made for each frame."""
    there = 40
    spec = PhantomSpec(rows=8, columns=8, slices=there, multiframe=multiframe, transfer_syntax=keyword)  # type: ignore[arg-type]
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


def whole_frames_of(value: bytes, count: int, *, before: bytes = b"", **tables: list[int]) -> list[bytes]:
    """The frames that are whole in data that may end too soon."""
    stream = io.BytesIO(before + value)
    found = locate_frames(stream, offset=len(before), number_of_frames=count, truncated=True, **tables)
    return [read_frame(stream, frame) for frame in found]


JPEG = b"\xff\xd8\xff"
END = b"\xff\xd9"


@pytest.mark.parametrize("count", [0, -1])
def test_no_frames_at_all_are_malformed_one_is_not(count: int) -> None:
    for truncated in (False, True):
        with pytest.raises(MalformedError):
            locate_frames(
                io.BytesIO(encapsulated([b"aa"])), offset=0, number_of_frames=count, truncated=truncated
            )
    assert frames_of(encapsulated([b"aa"]), 1) == [b"aa"]


def test_nothing_but_zeros_has_no_frame() -> None:
    for value in (b"", b"\0" * 7, DELIMITER):
        with pytest.raises(TruncatedError) as caught:
            frames_of(value, 3)
        assert caught.value.data["frame"] == 0


def test_two_frames_at_one_entry_of_a_table_are_no_table() -> None:
    # By such a table the first frame would be empty, or the second one the first again.
    image = JPEG + b"12345" + END
    other = JPEG + b"67890" + END
    value = encapsulated([image[:4], image[4:], other], [0, 0])
    assert frames_of(value, 2) == [image, other]
    with pytest.raises(MalformedError) as caught:
        frames_of(encapsulated([b"aa", b"bb", b"cc"], [0, 0]), 2)
    assert caught.value.data["fragments"] == 3
    assert frames_of(encapsulated([b"aa", b"bb"]), 2, extended_offsets=[0, 0]) == [b"aa", b"bb"]
    assert frames_of(encapsulated([b"aa", b"bb"]), 2, extended_offsets=[10, 10]) == [b"aa", b"bb"]


@pytest.mark.parametrize("table", [[0, 10, 30], [0], [10, 20], [0, 30], [0, 12], [0, 9]])
def test_a_basic_table_is_taken_only_where_each_entry_is_a_fragment_and_the_first_is_the_first(
    table: list[int],
) -> None:
    with pytest.raises(MalformedError):
        frames_of(encapsulated([b"aa", b"bb", b"cc"], table), 2)
    assert frames_of(encapsulated([b"aa", b"bb", b"cc"], [0, 10]), 2) == [b"aa", b"bbcc"]


def test_a_basic_table_counts_from_the_first_fragment_wherever_that_is() -> None:
    value = encapsulated([b"aa", b"bb", b"cc", b"dd"], [0, 10, 30])
    assert frames_of(value, 3, before=b"x" * 133) == [b"aa", b"bbcc", b"dd"]


def test_bytes_behind_the_last_entry_of_a_basic_table_are_none() -> None:
    table = struct.pack("<2I", 0, 20) + b"\x07\x07"
    value = item(table) + b"".join(map(item, [b"aa", b"bb", b"cc"])) + DELIMITER
    assert frames_of(value, 2) == [b"aabb", b"cc"]


@pytest.mark.parametrize(
    ("lengths", "first"),
    [
        ([3, 2], b"aaa"),
        ([4, 2], b"aaaa"),
        ([1, 2], b"a"),
        ([0, 2], b"aaaa"),
        ([5, 2], b"aaaa"),
        ([3], b"aaa"),
    ],
)
def test_an_extended_length_trims_its_fragment_and_never_goes_beyond_it(
    lengths: list[int], first: bytes
) -> None:
    value = encapsulated([b"aaaa", b"bb"])
    got = frames_of(value, 2, extended_offsets=[0, 12], extended_lengths=lengths)
    assert got == [first, b"bb"]


def test_an_extended_table_goes_before_a_basic_one() -> None:
    value = encapsulated([b"aa", b"bb", b"cc"], [0, 10])
    assert frames_of(value, 2, extended_offsets=[0, 20]) == [b"aa", b"cc"]
    assert frames_of(value, 2, extended_offsets=[0, 21]) == [b"aa", b"bbcc"]


def test_empty_fragments_between_frames_are_none_of_them() -> None:
    assert frames_of(encapsulated([b"aa", b"", b"bb", b""]), 2) == [b"aa", b"bb"]
    image = JPEG + b"12345" + END
    assert frames_of(encapsulated([image[:4], b"", image[4:], b"", image]), 2) == [image, image]


@pytest.mark.parametrize("padding", [0, 1, 14])
def test_an_end_of_image_counts_with_zeros_behind_it_within_sixteen_bytes(padding: int) -> None:
    image = JPEG + b"12345" + END + b"\0" * padding
    image += b"\0" * (len(image) % 2)
    assert frames_of(encapsulated([image[:4], image[4:], image]), 2) == [image, image]


def test_more_zeros_behind_an_end_of_image_hide_it() -> None:
    image = JPEG + b"12345" + END + b"\0" * 16
    with pytest.raises(MalformedError):
        frames_of(encapsulated([image[:4], image[4:], image]), 2)


def test_an_end_of_image_before_what_starts_none_is_data() -> None:
    image = JPEG + b"1" + END + b"23" + END
    value = encapsulated([image[:6], image[6:], image])
    assert frames_of(value, 2) == [image, image]


@pytest.mark.parametrize(
    "start",
    [
        b"\xff\xd8\xff",
        b"\xff\x4f\xff\x51",
        b"\x00\x00\x00\x0cjP  ",
        b"\x00\x00\x00\x0cJXL ",
        b"\xff\x0a",
    ],
)
def test_every_kind_of_codestream_is_known_by_its_first_bytes(start: bytes) -> None:
    image = start + b"12345678" + END
    assert frames_of(encapsulated([image[:10], image[10:], image]), 2) == [image, image]


def test_too_many_frames_by_markers_are_all_given_too_few_are_malformed() -> None:
    image = JPEG + b"12345" + END
    fragments = [image[:4], image[4:]] * 3
    assert frames_of(encapsulated(fragments), 2) == [image] * 3
    assert frames_of(encapsulated(fragments), 3) == [image] * 3
    with pytest.raises(MalformedError) as caught:
        frames_of(encapsulated(fragments), 4)
    assert caught.value.data["fragments"] == 6


@pytest.mark.parametrize("fragment", [2, 4])
def test_what_is_cut_off_is_told_in_bytes_of_the_frame_that_it_is_of(fragment: int) -> None:
    value = encapsulated([b"aa", b"bbbb"])
    cut = value[: len(value) - len(DELIMITER) - (4 - fragment) - 1]
    with pytest.raises(TruncatedError) as caught:
        frames_of(cut, 2, before=b"header")
    data = caught.value.data
    assert (data["frame"], data["found_bytes"], data["expected_bytes"]) == (1, fragment - 1, 4)
    with pytest.raises(TruncatedError) as caught:
        frames_of(cut, 1)
    assert caught.value.data["frame"] == 0  # of one frame, all fragments are the first's


def test_a_header_of_a_fragment_that_is_cut_off_is_of_its_frame_but_zeros_are_an_end() -> None:
    value = encapsulated([b"aa", b"bb", b"cc"], closed=False)
    with pytest.raises(TruncatedError) as caught:
        frames_of(value[:-3], 3)
    assert caught.value.data["frame"] == 2
    assert "found_fragments" not in caught.value.data
    assert frames_of(encapsulated([b"aa", b"bb"], closed=False) + b"\0" * 7, 2) == [b"aa", b"bb"]
    with pytest.raises(MalformedError) as malformed:
        frames_of(encapsulated([b"aa", b"bb"], closed=False) + b"\0" * 8, 3)
    assert malformed.value.data["frame"] == 2
    assert not isinstance(malformed.value, TruncatedError)


def test_fragments_that_are_too_few_are_counted() -> None:
    with pytest.raises(TruncatedError) as caught:
        frames_of(encapsulated([b"aa", b"bb"]), 3)
    assert (caught.value.data["frame"], caught.value.data["found_fragments"]) == (2, 2)


def test_a_frame_that_ends_too_soon_tells_its_bytes() -> None:
    with pytest.raises(TruncatedError) as caught:
        read_frame(io.BytesIO(b"abc"), ((0, 2), (1, 10)))
    assert (caught.value.data["found_bytes"], caught.value.data["expected_bytes"]) == (2, 10)
    assert read_frame(io.BytesIO(b"abcdef"), ((4, 2), (0, 3))) == b"efabc"


def test_of_data_that_end_too_soon_the_frames_before_their_end_are_whole() -> None:
    images = [JPEG + bytes([65 + n]) * 5 + END for n in range(3)]
    fragments = [part for image in images for part in (image[:4], image[4:])]
    table = [0, 26, 52]
    for offsets in (table, None):
        value = encapsulated(fragments, offsets, closed=False)
        cut = len(encapsulated([], offsets, closed=False))
        for end in (cut + 78, cut + 77, cut + 53, cut + 52):
            expected = images if end == cut + 78 else images[:2]
            assert whole_frames_of(value[:end], 3, before=b"head") == expected, end
        assert whole_frames_of(value[: cut + 51], 3) == images[:1]
        assert whole_frames_of(value[: cut + 25], 3) == []
        assert whole_frames_of(value[:cut], 3) == []


def test_data_cut_between_two_fragments_of_a_frame_give_the_frames_before_it() -> None:
    # Found by mutation testing: as many fragments as frames were taken for all of them.
    images = [JPEG + bytes([65 + n]) * 5 + END for n in range(3)]
    fragments = [part for image in images for part in (image[:4], image[4:])]
    for offsets in ([0, 26, 52], None):
        value = encapsulated(fragments[:4], offsets, closed=False)
        assert whole_frames_of(value, 3) == images[:2]
        with pytest.raises(MalformedError):
            whole_frames_of(value + DELIMITER, 3)
    table_alone = encapsulated([b"aa", b"bb", b"cc", b"dd"], [0, 20, 40], closed=False)
    assert whole_frames_of(table_alone, 3) == [b"aabb", b"ccdd"]
    with pytest.raises(MalformedError):  # fragments that nothing tells apart are no frames
        whole_frames_of(encapsulated([b"aa", b"bb", b"cc"], closed=False), 2)


def test_of_data_that_end_too_soon_without_markers_a_fragment_is_a_frame() -> None:
    value = encapsulated([b"rle1", b"rle2", b"rle3"])
    assert whole_frames_of(value[:-10], 3) == [b"rle1", b"rle2"]
    assert whole_frames_of(value, 5) == [b"rle1", b"rle2", b"rle3"]
    assert whole_frames_of(value, 3) == [b"rle1", b"rle2", b"rle3"]


def test_of_data_that_end_too_soon_a_table_goes_on_as_far_as_it_is_true() -> None:
    value = encapsulated([b"aa", b"bb", b"cc", b"dd"], closed=False)[:-1]
    assert whole_frames_of(value, 4, extended_offsets=[0, 10, 20, 30]) == [b"aa", b"bb", b"cc"]
    assert whole_frames_of(value, 4, extended_offsets=[0, 10, 21, 30]) == [b"aa"]
    assert whole_frames_of(value, 4, extended_offsets=[0, 10, 10, 30]) == [b"aa"]
    assert whole_frames_of(value, 4, extended_offsets=[0, 20, 10, 30]) == [b"aabb"]
    assert whole_frames_of(value, 4, extended_offsets=[10, 20, 30, 40]) == [b"aa", b"bb", b"cc"]


def test_data_that_are_whole_are_all_there_whatever_is_forgiven() -> None:
    value = encapsulated([b"aa", b"bb", b"cc"], [0, 20])
    assert whole_frames_of(value, 2) == [b"aabb", b"cc"]
    endless = [JPEG + b"1", JPEG + b"2"]
    assert whole_frames_of(encapsulated(endless), 2) == endless


def test_what_a_pixel_data_value_lacks_is_counted_in_bytes() -> None:
    value = encapsulate([b"ab", b"cdef"]).value
    assert missing_bytes(io.BytesIO(b"xx" + value + b"more"), 2, most=4) == ""
    with pytest.raises(UnsupportedError):
        missing_bytes(io.BytesIO(value), 0, most=3)
    start = value.index(b"cdef")
    assert missing_bytes(io.BytesIO(value[: start + 4]), 0, most=9).startswith("the end of")
    assert missing_bytes(io.BytesIO(value[: start + 4] + DELIMITER[:7]), 0, most=9).startswith("the end of")
    assert missing_bytes(io.BytesIO(value[: start + 3]), 0, most=9).startswith("1 bytes")
    assert missing_bytes(io.BytesIO(value[:start]), 0, most=9).startswith("4 bytes")
    for wrong in (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\x10\x00\x10\x00\0\0\0\0"):
        with pytest.raises(MalformedError):
            missing_bytes(io.BytesIO(value[: start + 4] + wrong), 0, most=9)


def test_fragments_are_counted_up_to_what_is_no_fragment() -> None:
    value = b"xx" + encapsulated([b"ab", b"", b"cd", b"ef"], [0, 10])
    for most, found in ((1, 1), (2, 2), (3, 3), (4, 3)):
        assert count_fragments(io.BytesIO(value), 2, most=most) == found
    for empty, found in ((3, 1), (4, 0)):  # a look at twice as many as asked for is enough
        assert count_fragments(io.BytesIO(encapsulated([b""] * empty + [b"ab"])), 0, most=2) == found
    start = value.index(b"cd")
    assert count_fragments(io.BytesIO(value[: start + 2]), 2, most=4) == 2
    assert count_fragments(io.BytesIO(value[: start + 1]), 2, most=4) == 1
    assert count_fragments(io.BytesIO(value[: start + 2] + b"other" * 4), 2, most=4) == 2


class Long(bytes):
    """A frame as long as it says."""

    length = 0

    def __len__(self) -> int:
        return self.length


def long(length: int) -> bytes:
    frame = Long()
    frame.length = length
    return frame


def test_a_fragment_has_a_length_of_32_bits_that_is_defined() -> None:
    written = encapsulate([long(0xFFFFFFFE)])
    assert written.pieces[2] == b"\xfe\xff\x00\xe0\xfe\xff\xff\xff"
    assert written.extended_offsets == ()
    with pytest.raises(UnsupportedError):
        encapsulate([b"", long(0xFFFFFFFF)])


@pytest.mark.parametrize(("length", "extended"), [(0xFFFFFFF6, False), (0xFFFFFFF8, True)])
def test_offsets_beyond_32_bits_make_the_table_an_extended_one(length: int, extended: bool) -> None:
    written = encapsulate([long(length), b"abc"])
    assert bool(written.extended_offsets) is extended
    table = b"" if extended else struct.pack("<2I", 0, length + 8)
    assert written.pieces[:2] == (b"\xfe\xff\x00\xe0" + struct.pack("<I", len(table)), table)
    if extended:
        assert written.extended_offsets == (0, length + 8)
        assert written.extended_lengths == (length, 3)


def test_no_frames_are_an_empty_table_and_an_end() -> None:
    assert encapsulate([]).value == item(b"") + DELIMITER


def test_every_byte_that_is_written_is_where_the_standard_has_it() -> None:
    basic = item(struct.pack("<2I", 0, 12)) + item(b"abc\0") + item(b"de") + DELIMITER
    assert encapsulate([b"abc", b"de"]).value == basic
    assert encapsulate([b"abc", b"de"], extended=False).value == basic
    forced = encapsulate([b"abc", b"de"], extended=True)
    assert forced.value == item(b"") + item(b"abc\0") + item(b"de") + DELIMITER
    assert (forced.extended_offsets, forced.extended_lengths) == ((0, 12), (3, 2))


def test_a_stream_that_gives_little_at_a_time_is_searched_like_any_other() -> None:
    images = [JPEG + bytes([65 + n]) * 20 + END + b"\0" for n in range(2)]
    value = encapsulated([part for image in images for part in (image[:9], image[9:])])
    stream = Trickle(value)
    found = locate_frames(stream, offset=0, number_of_frames=2)
    assert [read_frame(stream, frame) for frame in found] == images
    assert count_fragments(stream, 0, most=9) == 4
    assert missing_bytes(stream, 0, most=9) == ""
