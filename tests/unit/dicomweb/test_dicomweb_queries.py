"""Searches: parameters read and written, and what they match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicomweb.attributes import canonical, first, values, vr_of
from hounsfield.dicomweb.matching import glob, matches, value_matches
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DicomwebError

keywords = st.sampled_from(
    ["PatientID", "StudyDate", "00091001", "OtherPatientIDsSequence.PatientID", "Modality"]
)
flags = st.sampled_from([None, True, False])
counts = st.one_of(st.none(), st.integers(0, 10**9))


@given(
    st.builds(
        Query,
        matches=st.lists(st.tuples(keywords, st.text(max_size=20)), max_size=4).map(tuple),
        include=st.lists(keywords, max_size=3, unique=True).map(tuple),
        fuzzy=flags,
        limit=counts,
        offset=counts,
        match_empty=flags,
        match_multiple=flags,
        extra=st.sampled_from([(), (("accept", "application/dicom+json"),)]),
        order=st.lists(keywords, max_size=3, unique=True).flatmap(
            lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names))
        ),
    )
)
def test_what_is_written_is_read_back(query: Query) -> None:
    try:
        text = query.encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    assert Query.parse(text) == query


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_our_error(text: str) -> None:
    try:
        Query.parse(text)
    except DicomwebError as error:
        assert error.data["status"] == 400


def test_fields_come_by_commas_repeats_keywords_tags_and_sequences() -> None:
    query = Query.parse(
        "includefield=00081030%2C00080060&includefield=patientid".replace("patientid", "PatientID")
        + "&includefield=00101002.00100020&includefield=StudyDescription"
    )
    assert query.include == ("StudyDescription", "Modality", "PatientID", "OtherPatientIDsSequence.PatientID")
    assert Query.parse("includefield=00081030&includefield=ALL").include == ("all",)


def test_an_order_comes_by_commas_and_repeats_each_attribute_once() -> None:
    query = Query.parse("orderby=-00080020,%20PatientName,&OrderBy=StudyDate,00100020")
    assert query.order == ("-StudyDate", "PatientName", "PatientID")
    with pytest.raises(DicomwebError, match="Nonsense"):
        Query.parse("orderby=Nonsense")


def test_what_ohif_asks_is_understood() -> None:
    query = Query.parse("limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060")
    assert (query.limit, query.offset, query.fuzzy) == (101, 0, False)


@pytest.mark.parametrize(
    "text",
    [
        "PatientIdd=1",
        "limit=x",
        "limit=-1",
        "offset=1.5",
        "fuzzymatching=maybe",
        "PatientID=%FF",
        "=1",
        "limit=²",
    ],
)
def test_an_unknown_key_or_a_bad_value_is_400_and_never_ignored(text: str) -> None:
    with pytest.raises(DicomwebError) as caught:
        Query.parse(text)
    assert caught.value.data["status"] == 400


def test_filters_are_built_from_any_spelling() -> None:
    query = Query.build({"00100020": "1*", "ModalitiesInStudy": ["CT", "MR"]}, include="StudyDate", limit=5)
    assert query.encode() == "PatientID=1*&ModalitiesInStudy=CT,MR&includefield=StudyDate&limit=5"
    assert query.value("(0010,0020)") == "1*"
    assert canonical("0020000d") == "StudyInstanceUID"


@pytest.mark.parametrize(
    ("vr", "asked", "found", "expected"),
    [
        ("LO", "", (), True),
        ("LO", "*", (), True),
        ("LO", "abc", (), False),
        ("LO", "abc", ("x", "abc"), True),
        ("LO", "Abc", ("abc",), False),
        ("LO", "a*c", ("abbbc",), True),
        ("LO", "a?c", ("abbc",), False),
        ("LO", "a*b*", ("a*b",), True),
        ("PN", "muller", ("Müller^Jürgen",), False),
        ("PN", "muller*", ("Müller^Jürgen",), True),
        ("PN", "MULLER^JURGEN", ("Müller^Jürgen^^^",), True),
        ("PN", "山田*", ("Yamada^Tarou=山田^太郎",), True),
        ("UI", "1.2,1.3", ("1.3",), True),
        ("UI", "1.2\\1.3", ("1.2",), True),
        ("UI", "1.*", ("1.2",), False),
        ("DA", "20240101-20240131", ("20240131",), True),
        ("DA", "20240101-20240131", ("20240201",), False),
        ("DA", "20240101-", ("20991231",), True),
        ("DA", "-20240101", ("20240101",), True),
        ("DA", "2024-01-05", ("20240105",), True),
        ("DA", "20240101-", ("",), False),
        ("DA", "20240101", ("20240101",), True),
        ("TM", "1015-1016", ("101630.25",), True),
        ("TM", "101500-101600", ("101600.5",), True),
        ("TM", "10:15", ("101559",), True),
        ("DT", "20240101-0500", ("20240101101010",), True),
        ("DT", "20240101000000-0500-20240102000000-0500", ("20240101120000",), True),
        ("DT", "2023-2024", ("20241231",), True),
        ("IS", "7", ("07",), True),
        ("DS", "1.5", ("1.50",), True),
        ("US", "512", ("512",), True),
        ("US", "512", ("256",), False),
    ],
)
def test_each_kind_of_matching(
    vr: str, asked: str | tuple[str], found: tuple[str, ...], expected: bool
) -> None:
    assert value_matches(asked, found, vr=vr) is expected  # type: ignore[arg-type]


def test_fuzzy_names_match_by_the_beginnings_of_words() -> None:
    assert value_matches("jur mull", ("Müller^Jürgen",), vr="PN", query=Query(fuzzy=True))
    assert not value_matches("jur smith", ("Müller^Jürgen",), vr="PN", query=Query(fuzzy=True))


def test_modalities_in_study_are_alternatives() -> None:
    model = {"00080061": {"vr": "CS", "Value": ["CT", "SR"]}, "00100020": {"vr": "LO", "Value": ["7"]}}
    assert matches(Query.build({"ModalitiesInStudy": "MR,CT", "PatientID": "7"}), model)
    assert not matches(Query.build({"ModalitiesInStudy": "MR,PT"}), model)


EMPTY = Query(match_empty=True)
SEVERAL = Query(match_multiple=True)


@pytest.mark.parametrize(
    ("name", "asked", "found", "query", "expected"),
    [
        ("PatientID", '""', (), EMPTY, True),
        ("PatientID", '""', ("",), EMPTY, True),
        ("PatientID", '""', (" ",), EMPTY, True),
        ("PatientID", '""', ("7",), EMPTY, False),
        ("StudyDate", '""', (), EMPTY, True),
        ("StudyDate", '""', ("yesterday",), EMPTY, False),
        ("PatientID", '""', (), Query(), False),
        ("PatientID", '""', ('""',), Query(), True),
        ("ModalitiesInStudy", "CT\\PT", ("PT", "SR", "CT"), SEVERAL, True),
        ("ModalitiesInStudy", "CT,PT", ("CT", "SR"), SEVERAL, False),
        ("ModalitiesInStudy", "CT,PT", ("CT", "SR"), Query(), True),
        ("ImageType", "PRIMARY\\ORIGINAL", ("ORIGINAL", "PRIMARY", "AXIAL"), SEVERAL, True),
        ("OtherPatientIDs", "a, b\\c", ("c", "a, b"), SEVERAL, True),
        ("PatientID", "a\\b", ("a",), SEVERAL, True),  # VM 1: as without
    ],
)
def test_empty_and_multiple_value_matching(
    name: str, asked: str, found: tuple[str, ...], query: Query, expected: bool
) -> None:
    assert value_matches(asked, found, vr=vr_of(name), name=name, query=query) is expected


def test_keys_of_one_sequence_are_met_by_one_item_of_it() -> None:
    items = [{"00401001": {"vr": "SH", "Value": [value]}, "00400009": {"vr": "SH", "Value": [other]}}
             for value, other in (("R1", "S1"), ("R2", "S2"))]  # fmt: skip
    model = {"00400275": {"vr": "SQ", "Value": items}}

    def asked(procedure: str, step: str) -> Query:
        names = ("RequestedProcedureID", "ScheduledProcedureStepID")
        pairs = zip(names, (procedure, step), strict=True)
        return Query.build({f"RequestAttributesSequence.{name}": value for name, value in pairs})

    assert matches(asked("R1", "S1"), model) and matches(asked("R2", "*"), model)
    assert not matches(asked("R1", "S2"), model)
    assert matches(asked("*", ""), {})


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_mean_what_a_regular_expression_says(pattern: str, text: str) -> None:
    import re

    expression = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    assert glob(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_a_hostile_wildcard_takes_no_time() -> None:
    assert not glob("*a" * 2000 + "b", "a" * 5000)


def test_values_are_read_out_of_dirty_json() -> None:
    model = {
        "00080060": {"Value": "CT"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "C"}]},
        "00101002": {
            "vr": "SQ",
            "Value": [{"00100020": {"vr": "LO", "Value": ["1", None]}}, None, {"00100020": 3}],
        },
        "0020000d": {"vr": "UI", "Value": ["1.2"]},
        "00200013": 7,
    }
    assert values(model, "Modality") == ("CT",)
    assert first(model, "PatientName") == "A^B==C"
    assert values(model, "OtherPatientIDsSequence.PatientID") == ("1",)
    assert first(model, "StudyInstanceUID") == "1.2"
    assert first(model, "InstanceNumber", "none") == "none"
