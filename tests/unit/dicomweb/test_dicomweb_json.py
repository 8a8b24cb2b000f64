"""DICOM JSON and Native XML: nothing lost in either direction, dirt forgiven element by element."""

from __future__ import annotations

import contextlib
import io
import json
import math
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, config, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement

from hounsfield.dicomweb.dicom_json import bulk_uris, encode_models, from_dataset, parse_models, to_dataset
from hounsfield.dicomweb.native_xml import encode_xml, parse_xml
from hounsfield.errors import DicomwebError

letters = st.text(string.ascii_letters + string.digits + " äßé山田_.", min_size=1, max_size=12).map(str.strip)
words = letters.filter(bool)
decimals = st.one_of(
    st.sampled_from(["1.50", "0", "-0.0", "1e5", "+3", "007", "1.0", "-1024", "0.9765625", "1E-3"]),
    st.floats(-1e10, 1e10, allow_nan=False).map(lambda number: f"{number:.8g}"),
)
ELEMENTS = {
    "LO": (0x00081030, words),
    "CS": (0x00080060, st.text("ABC_ 1", min_size=1, max_size=8).map(str.strip).filter(bool)),
    "UI": (
        0x0020000D,
        st.lists(st.integers(0, 999), min_size=2, max_size=6).map(lambda p: ".".join(map(str, p))),
    ),
    "PN": (0x00100010, st.sampled_from(["A^B", "Yamada^Tarou=山田^太郎=やまだ^たろう", "A^^^Dr", "=山田"])),
    "DS": (0x00281053, decimals),
    "IS": (0x00200013, st.sampled_from(["7", "007", "-3", "+4", "2147483647"])),
    "DA": (0x00080020, st.just("20240131")),
    "UT": (0x0018A003, words),
    "US": (0x00280010, st.integers(0, 65535)),
    "SL": (0x00186020, st.integers(-(2**31), 2**31 - 1)),
    "UV": (0x7FE00001, st.integers(0, 2**64 - 1)),
    "FD": (0x00189073, st.floats(allow_nan=False)),
    "FL": (0x00089459, st.floats(width=32, allow_nan=False)),
    "AT": (0x00280009, st.integers(0, 0xFFFFFFFF)),
    "OB": (0x00282000, st.binary(max_size=9)),
    "OW": (0x7FE00010, st.binary(max_size=9)),
    "UN": (0x00091001, st.binary(max_size=9)),
}
NOT_SEVERAL = {"UT", "OB", "OW", "UN"}


@st.composite
def datasets(draw: Any, depth: Any = 2) -> Dataset:
    dataset = Dataset()
    for vr in draw(st.lists(st.sampled_from(sorted(ELEMENTS)), unique=True, max_size=6)):
        tag, value = ELEMENTS[vr]
        several = 1 if vr in NOT_SEVERAL else draw(st.integers(0, 3))
        values = [draw(value) for _ in range(several)]
        given = values[0] if several == 1 else values
        dataset[tag] = DataElement(tag, vr, given, validation_mode=config.IGNORE)
    if depth:
        items = draw(st.lists(datasets(depth=depth - 1), max_size=2))
        dataset[0x00101002] = DataElement(0x00101002, "SQ", items)
    return dataset


def as_written(dataset: Dataset) -> bytes:
    """The very bytes of a data set, so that "007" and "7" differ."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset, parent_encoding="utf-8")
    return stream.getvalue()


@given(datasets())
def test_a_data_set_comes_back_from_json_byte_for_byte(dataset: Dataset) -> None:
    [model] = parse_models(encode_models([from_dataset(dataset)]))
    problems: list[str] = []
    back = to_dataset(model, problems=problems)
    assert problems == []
    assert as_written(back) == as_written(dataset)
    assert from_dataset(back) == model


@given(datasets())
def test_a_model_comes_back_from_xml(dataset: Dataset) -> None:
    model = json.loads(json.dumps(from_dataset(dataset)))
    assert parse_xml(encode_xml(model)) == as_xml_keeps_it(model)


def as_xml_keeps_it(model: Any) -> dict[Any, dict[Any, Any]]:
    """XML has no numbers: decimal strings come back as their characters."""
    kept = {}
    for tag, element in model.items():
        values = element.get("Value")
        if element["vr"] in {"DS", "IS"} and values:
            values = [
                None if value is None else repr(value) if isinstance(value, float) else str(value)
                for value in values
            ]
        elif element["vr"] == "SQ" and values:
            values = [as_xml_keeps_it(item) for item in values]
        kept[tag] = {**element, **({"Value": values} if values else {})}
    return kept


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "reportsi.dcm", "examples_palette.dcm"]
)
def test_bundled_files_come_back_from_json(name: str) -> None:
    dataset = dcmread(get_testdata_file(name))  # type: ignore[arg-type]
    [model] = parse_models(encode_models([from_dataset(dataset)]))
    again = to_dataset(model)
    stream = io.BytesIO()
    again.file_meta = dataset.file_meta
    again.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    assert from_dataset(dcmread(stream)) == model


@pytest.mark.parametrize(
    ("element", "expected", "told"),
    [
        ({"vr": "FD", "Value": ["-Infinity"]}, -math.inf, False),
        ({"vr": "DS", "Value": [""]}, None, False),
        ({"vr": "IS", "Value": ["abc"]}, None, True),
        ({"vr": "IS", "Value": [1.5]}, None, True),
        ({"vr": "US", "Value": 512}, 512, False),
        ({"vr": "US", "Value": "512"}, 512, False),
        ({"Value": ["x"]}, b"", True),
        ({"vr": "LO", "Value": {"a": 1}}, None, True),
        ({"vr": "DS", "Value": ["NaN"]}, None, True),
        ({"vr": "DS", "Value": [1.00000000000000001, None]}, ["1", ""], False),
        ({"vr": "PN", "Value": ["A^B"]}, "A^B", False),
        ({"vr": "OB", "InlineBinary": ["AAE="]}, b"\x00\x01", False),
        ({"vr": "OB", "InlineBinary": "A"}, b"", True),
        ({"vr": "AT", "Value": ["00280010"]}, 0x00280010, False),
        ({"vr": "AT", "Value": ["zz"]}, None, True),
        ({"vr": "zz", "Value": [b"".hex()]}, b"", False),
        ({}, b"", False),
    ],
)
def test_dirt_costs_one_element_and_no_more(element: Any, expected: Any, told: bool) -> None:
    problems: list[str] = []
    dataset = to_dataset(
        {"00091001": element, "00100020": {"vr": "LO", "Value": ["kept"]}}, problems=problems
    )
    assert dataset.PatientID == "kept"
    value = dataset[0x00091001].value
    if expected is None:
        assert not value
    elif isinstance(expected, list):
        assert [str(each) for each in value] == expected
    else:
        assert value == expected
    assert bool(problems) is told


def test_a_missing_vr_comes_from_the_dictionary() -> None:
    dataset = to_dataset({"00280010": {"Value": [512]}, "0020000d": {"Value": ["1.2"]}})
    assert (dataset.Rows, dataset.StudyInstanceUID) == (512, "1.2")


def test_bulk_data_is_fetched_where_asked_and_told_where_not() -> None:
    model = {
        "7FE00010": {"vr": "OW", "BulkDataURI": "../bulk/1"},
        "00101002": {"vr": "SQ", "Value": [{}, {"00282000": {"vr": "OB", "BulkDataURI": "b"}}]},
        "00280106": {"vr": "US", "BulkDataURI": "c"},
    }
    assert bulk_uris(model) == {"7FE00010": "../bulk/1", "00101002.1.00282000": "b", "00280106": "c"}
    problems: list[str] = []
    assert "PixelData" not in to_dataset(model, problems=problems)
    assert len(problems) == 3
    dataset = to_dataset(model, bulk=lambda path, uri: b"\x02\x01")
    assert dataset.PixelData == b"\x02\x01"
    assert dataset.SmallestImagePixelValue == 258
    written = from_dataset(dataset, bulk=lambda path, value: f"u/{path}")
    assert bulk_uris(written) == {"7FE00010": "u/7FE00010", "00101002.1.00282000": "u/00101002.1.00282000"}


def test_json_declares_utf_8_and_leaves_out_group_lengths_and_file_meta() -> None:
    dataset = dcmread(get_testdata_file("CT_small.dcm"))  # type: ignore[arg-type]
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.add_new(0x00090000, "UL", 4)
    model = from_dataset(dataset)
    assert model["00080005"]["Value"] == ["ISO_IR 192"]
    assert not [tag for tag in model if tag.endswith("0000") or tag.startswith("0002")]


@pytest.mark.parametrize("body", [b"", b"  ", b"[]", b"{}", b"[{}]"])
def test_an_empty_answer_is_no_result_whichever_edition(body: bytes) -> None:
    assert parse_models(body) in ([], [{}])


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"7", b"[" * 100_000, b"\xff", b'{"a":' * 2000])
def test_what_is_not_dicom_json_is_our_error(body: bytes) -> None:
    with pytest.raises(DicomwebError):
        parse_models(body)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["00100020", "00280010", "7fe00010", "00101002", "00100010", "00281053", "x", "00280009"]
        ),
        st.one_of(
            json_values,
            st.fixed_dictionaries(
                {},
                optional={
                    "vr": st.sampled_from([*sorted(ELEMENTS), "SQ", "zz", None, 7]),
                    "Value": json_values,
                    "InlineBinary": json_values,
                    "BulkDataURI": json_values,
                },
            ),
        ),
    )
)
def test_any_json_gives_a_data_set(model: dict[str, Any]) -> None:
    dataset = to_dataset(model, bulk=lambda path, uri: b"ab")
    assert isinstance(from_dataset(dataset), dict)


def test_sequences_nested_without_end_are_our_error() -> None:
    model: dict[str, Any] = {}
    for _ in range(200):
        model = {"00101002": {"vr": "SQ", "Value": [model]}}
    with pytest.raises(DicomwebError):
        to_dataset(model)
    assert bulk_uris(model) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"<NativeDicomModel>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>',
        b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
        b"<NativeDicomModel>" + b"<a>" * 5000,
    ],
)
def test_xml_that_is_no_model_is_our_error(body: bytes) -> None:
    with pytest.raises(DicomwebError):
        parse_xml(body)


PIECES = [
    *(
        b"<DicomAttribute tag='00080016' vr='PN'>",
        b"</DicomAttribute>",
        b"<Item>",
        b"</Item>",
        b"<PersonName>",
    ),
    *(b"<Alphabetic>", b"<FamilyName>x</FamilyName>", b"<Value>1</Value>", b"</PersonName>"),
]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_nesting_of_xml_is_a_model_or_our_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(DicomwebError):
        parse_xml(b"<NativeDicomModel>" + b"".join(pieces) + b"</NativeDicomModel>")
