"""Searches over HTTP: matching at three levels and across all, pages, fields; SQL and the plain matcher agree."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from httpx2._models import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_support import Running, instances, path_of, running, uids
from sqlalchemy.dialects import sqlite

from hounsfield.dicomweb.matching import matches
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.warnings299 import parse_warnings
from hounsfield.server.archive.index.search import _Plan
from hounsfield.server.http.limits import Limits

# No backslash in a name: it parts values, and a name has one (VM 1).
NAMES = [
    "Müller^Hans",
    "MUELLER^HANS",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "O'Neil^[x]",
    "",
    "A_B%C^D",
]
DATES = ["20240101", "20240229", "19991231", ""]


def study(number: int, **tags: Any) -> list[bytes]:
    """A small study with its own tags."""
    known = {"StudyDate": DATES[number % len(DATES)], "StudyID": str(number)} | tags
    if number in {6, 9}:
        known["OtherPatientIDs"] = ["FIRST", "SECOND"] if number == 9 else "SECOND"
    return instances(
        slices=2, rows=8, columns=8, seed=1000 + number, patient_id=f"P{number:03d}",
        patient_name=NAMES[number % len(NAMES)], character_set="ISO_IR 192", tags=known,
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive"), limits=Limits(page=20)) as found:
        for number in range(12):
            contents = study(number, Modality="MR" if number == 5 else "CT", StudyTime=f"{number:02d}3000")
            assert found.store(contents).status_code == 200
        found.store(
            instances(slices=1, rows=8, columns=8, seed=1003, series_number=2, tags={"Modality": "SR"})
        )
        yield found


def patients(answer: Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [model["00100020"]["Value"][0] for model in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientID=P003", {"P003"}),
        ("00100020=P003", {"P003"}),
        ("PatientID=P00?", {f"P{n:03d}" for n in range(10)}),
        ("PatientID=*1", {"P001", "P011"}),
        ("PatientID=p003", set()),
        ("PatientName=m%C3%BCller*", {"P000", "P006"}),
        ("PatientName=MULLER^HANS", {"P000", "P006"}),
        ("PatientName=mueller*", {"P001", "P007"}),
        ("PatientName=%E5%B1%B1%E7%94%B0*", {"P002", "P008"}),
        ("PatientName=O'Neil^[x]", {"P003", "P009"}),
        ("PatientName=A_B%25C*", {"P005", "P011"}),
        ("PatientName=AxB%25C*", set()),
        ("PatientName=hans%20mul&fuzzymatching=true", {"P000", "P006"}),
        ("StudyDate=20240101", {"P000", "P004", "P008"}),
        ("StudyDate=20240101-", {"P000", "P001", "P004", "P005", "P008", "P009"}),
        ("StudyDate=-20231231", {"P002", "P006", "P010"}),
        ("StudyDate=20240102-20240301", {"P001", "P005", "P009"}),
        ("StudyTime=0900-1030", {"P009", "P010"}),
        ("ModalitiesInStudy=MR", {"P005"}),
        ("ModalitiesInStudy=MR,SR", {"P003", "P005", "HU-PHANTOM"}),
        ("StudyID=4&PatientID=P004", {"P004"}),
        ("PatientID=", {f"P{n:03d}" for n in range(12)} | {"HU-PHANTOM"}),
        ("StudyDescription=nothing*", set()),
    ],
)
def test_studies_match(server: Running, query: str, expected: Any) -> None:
    found = patients(server.get(f"/studies?{query}"))
    # The second series of one study came in a study of its own patient, if the phantom says so.
    assert set(found) - {"HU-PHANTOM"} == expected - {"HU-PHANTOM"}
    assert len(found) == len(set(found))


def test_an_empty_result_is_an_empty_list(server: Running) -> None:
    answer = server.get("/studies?PatientID=NOBODY")
    assert (answer.status_code, answer.json()) == (200, [])


def test_uids_may_be_a_list(server: Running) -> None:
    wanted = [uids(study(number)[0])[0] for number in (1, 4)]
    answer = server.get("/studies?StudyInstanceUID=" + ",".join(wanted))
    assert patients(answer) == ["P001", "P004"]


def test_series_and_instances_are_searched_below_and_across(server: Running) -> None:
    content = study(2)[0]
    assert len(server.get(path_of(content, "study") + "/series").json()) == 1
    assert len(server.get(path_of(content, "study") + "/instances").json()) == 2
    (one,) = server.get(path_of(content, "series") + "/instances?InstanceNumber=1").json()
    assert one["00200013"]["Value"] == [1] and one["00080018"]["Value"] == [uids(one_of(content))[2]]
    relational = server.get("/series?PatientID=P002").json()
    assert relational[0]["00100020"]["Value"] == ["P002"]
    everywhere = server.get("/instances?PatientID=P002&Modality=CT").json()
    assert len(everywhere) == 2
    assert {model["00081190"]["Value"][0] for model in everywhere} == {
        f"{server.url}{path_of(each)}" for each in study(2)
    }


def one_of(content: bytes) -> bytes:
    return min(
        study(2),
        key=lambda each: pydicom.dcmread(io.BytesIO(each)).InstanceNumber,
    )


def test_answers_hold_what_the_standard_asks_for(server: Running) -> None:
    (model,) = server.get("/studies?PatientID=P001").json()
    required = "00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020 00100030"
    assert set(required.split()) <= set(model)
    assert list(model) == sorted(model)
    (series,) = server.get(path_of(study(1)[0], "study") + "/series").json()
    assert {"00080060", "0008103E", "0020000D", "0020000E", "00200011", "00201209"} <= set(series)
    assert "00100010" not in series  # named in the URL: nothing above it
    (first, _) = server.get(path_of(study(1)[0], "series") + "/instances").json()
    assert {"00080016", "00080018", "00200013", "00280010", "00280011", "00280100"} <= set(first)
    assert list(first) == sorted(first)


def test_required_attributes_are_told_empty_where_files_do_not_have_them(tmp_path: Path) -> None:
    content = instances(slices=1, rows=8, columns=8)[0]
    dataset = pydicom.dcmread(io.BytesIO(content))
    names = (
        "StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate"
    )
    for name in (*names.split(), "PatientSex", "StudyID", "Modality", "SeriesNumber", "InstanceNumber"):
        if name in dataset:
            del dataset[name]
    out = io.BytesIO()
    dataset.save_as(out)
    with running(tmp_path) as server:
        assert server.store([out.getvalue()]).status_code == 200
        (study,) = server.get("/studies").json()
        for tag in ("00080020", "00080050", "00080061", "00080090", "00100010", "00100020", "00200010"):
            assert study[tag].keys() == {"vr"}
        (series,) = server.get("/series").json()
        assert (
            series["00080060"] == {"vr": "CS"} and series["00200011"] == {"vr": "IS"} and "00100020" in series
        )
        (instance,) = server.get(path_of(content, "series") + "/instances").json()
        assert instance["00200013"] == {"vr": "IS"} and list(instance) == sorted(instance)


def test_further_fields_are_included_and_lower_ones_are_not(server: Running) -> None:
    (model,) = server.get(
        "/studies?PatientID=P001&includefield=00080080,InstitutionName&includefield=KVP"
    ).json()
    assert "00180060" not in model
    (first, *_) = server.get("/instances?PatientID=P001&includefield=KVP,PixelSpacing,00100010").json()
    assert first["00280030"]["Value"] and first["00100010"]["Value"]
    everything = server.get("/instances?PatientID=P001&includefield=all&limit=1").json()[0]
    assert {"00200032", "00281053", "0020000D", "00100020", "00080060"} <= set(everything)


def test_attributes_without_a_column_are_matched_too(server: Running) -> None:
    assert len(server.get("/instances?PatientID=P001&ImageType=ORIGINAL").json()) == 2
    assert server.get("/instances?PatientID=P001&ImageType=DERIVED").json() == []


@pytest.mark.parametrize("query", ["Patient=1", "PatienID=1", "limit=x", "limit=-1", "offset=1e3", "fuzzymatching=1",
                                   "Modality=CT", "SOPInstanceUID=1.2", "NumberOfStudyRelatedSeries=1", "%FF=1",
                                   "PatientID=%00"])  # fmt: skip
def test_what_makes_no_sense_is_refused_and_not_ignored(server: Running, query: str) -> None:
    answer = server.get(f"/studies?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_pages_are_stable_and_say_what_is_left(server: Running) -> None:
    everything = patients(server.get("/studies"))
    got: list[str] = []
    for offset in itertools.count(0, 5):
        answer = server.get(f"/studies?limit=5&offset={offset}")
        page = patients(answer)
        got += page
        (remaining,) = [each.remaining for each in parse_warnings(answer.headers.get("warning"))] or [0]
        assert remaining == len(everything) - len(got)
        if not remaining:
            break
    assert got == everything
    assert server.get("/studies?limit=0").json() == []
    assert server.get("/studies?offset=1000").json() == []


def test_a_server_gives_no_more_than_its_limit(server: Running) -> None:
    answer = server.get("/instances?limit=100000")
    assert len(answer.json()) == 20
    assert parse_warnings(answer.headers["warning"])[0].remaining == 5


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('PatientName=""', {"P004", "P010"}),
        ('StudyDate=""', {"P003", "P007", "P011"}),
        ('PatientName=""&StudyDate=20240101', {"P004"}),
        ('PatientID=""', set()),
        ('OtherPatientIDs=""', {f"P{n:03d}" for n in range(12) if n not in {6, 9}}),
        ('ModalitiesInStudy=""', set()),
    ],
)
def test_what_is_empty_is_found(server: Running, query: str, expected: Any) -> None:
    found = set(patients(server.get(f"/studies?{query}&emptyvaluematching=true")))
    assert found - {"HU-PHANTOM"} == expected
    assert "warning" not in server.get("/studies?emptyvaluematching=true&limit=100").headers
    if query.count("=") == 1:
        # Without the parameter the quotation marks are a value like another.
        assert patients(server.get(f"/studies?{query}")) == []


def test_what_is_no_date_or_number_is_not_empty(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.store(
            instances(slices=1, rows=8, columns=8, seed=1, tags={"StudyDate": "", "SeriesNumber": ""})
        )
        odd = edited(instances(slices=1, rows=8, columns=8, seed=2)[0], StudyDate="yesterday")
        assert server.store([odd]).status_code == 200
        assert len(server.get('/studies?StudyDate=""&emptyvaluematching=true').json()) == 1
        assert len(server.get('/series?SeriesNumber=""&emptyvaluematching=true').json()) == 1
        found = server.get('/instances?StudyDate=""&InstanceNumber=1&emptyvaluematching=true').json()
        assert len(found) == 1


def edited(content: bytes, **values: Any) -> bytes:
    """`content` with values that pydicom would not let pass."""
    from pydicom.config import IGNORE
    from pydicom.dataelem import DataElement

    dataset = pydicom.dcmread(io.BytesIO(content))
    for name, value in values.items():
        dataset[name] = DataElement(dataset[name].tag, "LO", value, validation_mode=IGNORE)
        dataset[name].VR = "DA"
    out = io.BytesIO()
    with pydicom.config.disable_value_validation():
        dataset.save_as(out)
    return out.getvalue()


def test_any_of_an_attributes_values_matches_and_each_asked_must_where_several_are(server: Running) -> None:
    for value in ("ORIGINAL", "PRIMARY", "AXIAL", "PRI*"):
        assert len(server.get(f"/instances?PatientID=P001&ImageType={value}").json()) == 2
    assert patients(server.get("/studies?OtherPatientIDs=SECOND")) == ["P006", "P009"]
    assert patients(server.get("/studies?OtherPatientIDs=FIRST")) == ["P009"]
    several = "&multiplevaluematching=true"
    assert patients(server.get(f"/studies?OtherPatientIDs=SECOND\\FIRST{several}")) == ["P009"]
    assert patients(server.get(f"/studies?OtherPatientIDs=SECOND\\THIRD{several}")) == []
    assert len(server.get(f"/instances?PatientID=P001&ImageType=AXIAL,ORIGINAL{several}").json()) == 2
    assert server.get(f"/instances?PatientID=P001&ImageType=AXIAL,DERIVED{several}").json() == []


def test_modalities_in_study_are_all_there_where_several_are_asked_for(server: Running) -> None:
    both = server.get("/studies?ModalitiesInStudy=CT\\SR&multiplevaluematching=true")
    assert len(patients(both)) == 1
    assert patients(server.get("/studies?ModalitiesInStudy=CT\\MR&multiplevaluematching=true")) == []
    of_series = server.get("/series?ModalitiesInStudy=CT,SR&multiplevaluematching=true").json()
    assert {each["00080060"]["Value"][0] for each in of_series} == {"CT", "SR"}


def test_results_come_as_xml_to_who_asks(server: Running) -> None:
    answer = server.get("/studies?PatientID=P001", 'multipart/related; type="application/dicom+xml"')
    assert answer.status_code == 200 and b"NativeDicomModel" in answer.content


@pytest.mark.parametrize(
    "path",
    [
        "/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060",
        "/studies?limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060&PatientName=*mul*",
        "/studies?ModalitiesInStudy=CT%2CMR&limit=101&offset=0&StudyDate=20200101-20301231",
    ],
)
def test_the_requests_of_ohif_are_answered(server: Running, path: str) -> None:
    assert server.get(path, "application/dicom+json").status_code == 200
    content = study(1)[0]
    fields = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
    assert len(server.get(f"{path_of(content, 'study')}/series?{fields}").json()) == 1


@pytest.mark.parametrize(
    ("level", "filters", "flags"),
    [
        ("study", {"PatientID": "P1"}, {}),
        ("study", {"StudyDate": "20200101-20200202"}, {}),
        ("study", {"AccessionNumber": '""'}, {"match_empty": True}),
        ("study", {"PatientID": '""'}, {"match_empty": True}),
        ("instance", {"PatientID": "P1"}, {}),
        ("instance", {"PatientID": '""'}, {"match_empty": True}),
        ("instance", {"SOPInstanceUID": "1.2,1.3"}, {}),
        ("series", {"SeriesInstanceUID": "1.2"}, {}),
    ],
)
def test_searches_are_answered_by_an_index(
    server: Running, level: str, filters: dict[str, str], flags: Any
) -> None:
    query = replace(Query.build(filters), **flags)
    statement = _Plan("sqlite", level, _everything(), query).rows().limit(101)  # type: ignore[arg-type]
    text = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with server.archive.index._reading() as connection:
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert not any(step.startswith("SCAN") for step in steps), steps


_MODELS: list[dict[str, Any]] = []
_PATTERNS = st.one_of(
    st.sampled_from(["*", "", '""', ' ""', "CT\\SR", "CT,SR", ",", "\\", "SECOND\\FIRST", "P00?", "*0*", "P003", "p*",
                     "*^*", "*=*", "?*", "mul*", "MÜLLER^HANS", "山田*", "[x]", "*[x]*", "a_b*", "*%*", "o'neil*",
                     "*\\*", "20240101", "20240101-", "-2024", "2024", "-", "abc"]),
    st.text(alphabet="MmüÜul^er*?=[]%_\\'P0123-9", max_size=8),
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    name=st.sampled_from(
        [
            "PatientID",
            "PatientName",
            "StudyDate",
            "StudyTime",
            "StudyID",
            "AccessionNumber",
            "OtherPatientIDs",
            "ModalitiesInStudy",
        ]
    ),
    value=_PATTERNS,
    fuzzy=st.booleans(),
    empty=st.booleans(),
    several=st.booleans(),
)
def test_sql_matches_as_the_plain_matcher_does(
    server: Running, name: str, value: str, fuzzy: bool, empty: bool, several: bool
) -> None:
    query = Query(((name, value),), fuzzy=fuzzy, match_empty=empty, match_multiple=several)
    found = server.archive.search("study", _everything(), query, limit=100)
    wanted = [model for model in _all_models(server) if matches(query, model)]
    assert len(found.models) == len(wanted)


def _all_models(server: Running) -> list[dict[str, Any]]:
    if not _MODELS:
        _MODELS.extend(server.get("/studies?includefield=all").json())
    return _MODELS


@functools.cache
def _everything() -> Resource:
    from hounsfield.dicomweb.resources import Resource

    return Resource("")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/studies", "StudyDate=2024-13-45"),
        ("/studies", "StudyDate=20240230"),
        ("/studies", "StudyDate=yesterday"),
        ("/studies", "StudyDate=20240101-soon"),
        ("/studies", "StudyDate=-"),
        ("/studies", "StudyTime=2560"),
        ("/studies", "PatientBirthDate=01.02.1999"),
        ("/series", "SeriesNumber=first"),
        ("/instances", "Rows=wide"),
        ("/instances", "AcquisitionDateTime=20240101250000"),
        ("/instances", "KVP=120%20kV"),
        ("/instances", "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate=x"),
    ],
)
def test_a_date_time_or_number_that_is_none_is_400(server: Running, path: str, query: str) -> None:
    """It would match nothing, and a typing error would look like an archive without the study."""
    answer = server.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]
    assert any(word in answer.json()["expected"] for word in ("date", "time", "number"))


@pytest.mark.parametrize(
    "query",
    ["StudyDate=2024", "StudyDate=202402-", "StudyDate=-20240229", "StudyDate=2024-02-29", "StudyDate=", "StudyDate=*",
     "StudyTime=09:30", "StudyTime=093000.5-235960", 'StudyDate=""&emptyvaluematching=true'],
)  # fmt: skip
def test_dates_and_times_in_part_and_ranges_of_them_are_searched(server: Running, query: str) -> None:
    assert server.get(f"/studies?{query}").status_code == 200
