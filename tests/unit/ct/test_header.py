"""Typed, lenient access to a header: what is there, what is not, what is nonsense."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hounsfield import phantom
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.ct.instance.header import ATTRIBUTES, Header
from hounsfield.errors import MalformedError
from hounsfield.phantom import PhantomSpec


def header(**values: bytes) -> Header:
    return Header({ATTRIBUTES[keyword][0]: value for keyword, value in values.items()}, "1.2", None)


def test_absent_is_not_empty() -> None:
    one = header(RescaleSlope=b"")
    assert "RescaleSlope" in one
    assert "RescaleIntercept" not in one
    assert one.raw("RescaleSlope") == b""
    assert one.raw("RescaleIntercept") is None
    assert one.number("RescaleSlope") is one.number("RescaleIntercept") is None
    assert one.text("Modality") == ""
    assert one.texts("ImageType") == ()


def test_padding_of_values_is_no_part_of_them() -> None:
    one = header(Modality=b"CT\0 ", SeriesInstanceUID=b"1.2.3\0", SeriesDescription=b" Thorax  ")
    assert one.text("Modality") == "CT"
    assert one.text("SeriesInstanceUID") == "1.2.3"
    assert one.text("SeriesDescription") == "Thorax"


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        (b"1\\2\\3", (1, 2, 3)),
        (b" 1.5\\-2e-1 \\ +3 ", (1.5, -0.2, 3)),
        (b"", None),
        (b"1,5", (1.5,)),
        (b"-1024,0 ", (-1024,)),
        (b"1,5\\-2,25e1\\,5", (1.5, -22.5, 0.5)),
    ],
)
def test_decimal_strings_are_all_numbers_or_none(raw: bytes, numbers: tuple[float, ...] | None) -> None:
    assert header(ImagePositionPatient=raw).numbers("ImagePositionPatient") == numbers


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"1\\\\3",
            b"1\\nan",
            b"1\\1e999",
            b"a",
            b"1,234.5",
            b"1.234,5",
            b"1,2,3",
            b"1_0",
            b"0x10",
            b"inf",
            b"1.0mm",
        ),
        *(b"- 5", b"1;2", b"\xa01", b"1D3", b"--1", b".", b","),
    ],
)
def test_what_is_written_and_no_number_is_refused_by_name(raw: bytes) -> None:
    one = header(ImagePositionPatient=raw)
    with pytest.raises(MalformedError, match=r"Image Position \(Patient\) \(0020,0032\) is "):
        one.numbers("ImagePositionPatient")
    assert one.number("ImagePositionPatient", strict=False) in (None, 1.0)


@pytest.mark.parametrize(
    ("raw", "frames"), [(b"12", 12), (b"12.0", 12), (b"1.5", 1), (b"0", 1), (b"-3", 1), (b"x", 1), (b"", 1)]
)
def test_number_of_frames_is_one_where_it_is_senseless(raw: bytes, frames: int) -> None:
    assert header(NumberOfFrames=raw).number_of_frames == frames


@given(st.integers(0, 65535))
def test_unsigned_shorts(value: int) -> None:
    assert header(Rows=struct.pack("<H", value)).integer("Rows") == value


def test_a_cut_off_short_is_no_number() -> None:
    assert header(Rows=b"\1").integer("Rows", 7) == 7
    with pytest.raises(MalformedError, match="Rows"):
        header(Rows=b"\1").numbers("Rows")


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5))
def test_offsets_beyond_floats_are_exact(offsets: list[int]) -> None:
    raw = struct.pack(f"<{len(offsets)}Q", *offsets)
    assert header(ExtendedOffsetTable=raw).offsets("ExtendedOffsetTable") == tuple(offsets)
    assert header(ExtendedOffsetTable=raw + b"\1\2").offsets("ExtendedOffsetTable") == tuple(offsets)
    assert header().offsets("ExtendedOffsetTable") is None


@given(st.binary(max_size=40), st.sampled_from(["ISO_IR 192", "GB18030", "\\ISO 2022 IR 87", "nonsense", ""]))
def test_text_of_any_bytes_in_any_character_set_is_text(raw: bytes, charset: str) -> None:
    one = header(SpecificCharacterSet=charset.encode(), PatientName=raw, ImageType=raw)
    assert isinstance(one.text("PatientName"), str)
    assert all(isinstance(part, str) for part in one.texts("ImageType"))


@given(st.binary(max_size=20))
def test_numbers_of_any_bytes_are_numbers_or_none(raw: bytes) -> None:
    for keyword, (_, vr) in ATTRIBUTES.items():
        one = header(**{keyword: raw})
        if vr not in ("SQ", "OV"):
            with contextlib.suppress(MalformedError):
                found = one.numbers(keyword)
                assert found is None or all(isinstance(number, float) for number in found)
            one.integer(keyword)
            one.number(keyword, strict=False)


def test_the_same_view_of_a_data_set_that_came_as_json() -> None:
    dataset = Dataset.from_json(
        {
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}]},
            "00200032": {"vr": "DS", "Value": [-161.399994, -148.8, 4.7]},
            "00280010": {"vr": "US", "Value": [512]},
            "00280120": {"vr": "SS", "Value": [-2000]},
            "00281052": {"vr": "DS", "Value": [-1024]},
            "00281053": {"vr": "DS"},
        }
    )
    one = Header.from_dataset(dataset, "1.2.840.10008.1.2.1")
    assert one.texts("ImageType") == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert one.text("PatientName") == "Wang^XiaoDong=王^小东"
    assert one.numbers("ImagePositionPatient") == (-161.399994, -148.8, 4.7)
    assert one.integer("Rows") == 512
    assert one.integer("PixelPaddingValue") == 63536  # the cell; which sign it has is the pixels' to say
    assert one.number("RescaleIntercept") == -1024
    assert one.raw("RescaleSlope") == b""


def test_sequences_are_present_or_not() -> None:
    dataset = Dataset()
    dataset.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    dataset.ModalityLUTSequence = Sequence()
    one = Header.from_dataset(dataset, "1.2")
    assert "SharedFunctionalGroupsSequence" in one
    assert "ModalityLUTSequence" not in one


def test_a_header_holds_values_in_common_with_its_neighbour_and_stays_the_same(tmp_path: Path) -> None:
    first, second = (
        read_instance(FileSource(path)).header
        for path in phantom.write(PhantomSpec(rows=8, columns=8, slices=2), tmp_path)
    )
    shared = second.sharing(first)
    assert dict(shared.values) == dict(second.values)
    same = [tag for tag, value in second.values.items() if first.values.get(tag) == value]
    assert len(same) > 20
    assert all(shared.values[tag] is first.values[tag] for tag in same)
