"""Results in the order asked for: by one key and several, empty values last, stable from page to page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from httpx2._models import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_postgres import postgres
from server_support import Running, instances, running
from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.warnings299 import parse_warnings
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.index import Index, Record, record_of
from hounsfield.server.archive.index import search as searching
from hounsfield.server.archive.index.ordering import sortable
from hounsfield.server.archive.index.search import _Plan
from hounsfield.server.archive.index.tables import VERSION, schema

DATES = ("20240101", None, "19991231", "20240101", "20240229", None)
NAMES = ("zoe", "adam", None, "bea", "adam", "zoe")
EVERYTHING = Resource("")


def records() -> list[Record]:
    """Six studies of up to three series of two instances, the columns of which are known."""
    model = record_of(
        read_header_text(BytesSource("x", instances(slices=1, rows=8, columns=8)[0])), key="", size=1
    )
    found = []
    for study, part, number in itertools.product(range(6), range(3), range(2)):
        if part > study % 3:
            continue
        uid = f"1.2.{study}.{part}.{number}"
        values = {
            "study": {**model.values["study"], "StudyDate": DATES[study], "PatientName": NAMES[study],
                      "PatientID": f"P{study}", "StudyTime": f"{(7 * study) % 24:02d}0000"},
            "series": {**model.values["series"], "SeriesNumber": (5 * part + study) % 7, "Modality": "CT"},
            "instance": {**model.values["instance"], "InstanceNumber": 10 - number},
        }  # fmt: skip
        uids: dict[str, Any] = {"study": f"1.2.{study}", "series": f"1.2.{study}.{part}", "instance": uid}
        found.append(replace(model, **uids, key=uid, values=values))  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("index")
        found = Index(f"sqlite:///{folder / 'index.sqlite'}")
        found.prepare()
        found.add(records())
        yield found
        found.close()
        return
    with postgres() as server:
        found = Index(server.url)
        found.prepare()
        found.add(records())
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive")) as found:
        found.archive.index.add(records())
        yield found


def told(answer: Response) -> list[str]:
    """The last UIDs of the results' URLs without 1.2; the rest of these headers is that of the phantom."""
    assert answer.status_code == 200, answer.text
    return [model["00081190"]["Value"][0].rpartition("/1.2.")[2] for model in answer.json()]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("StudyDate", "203415"),
        ("-StudyDate", "430251"),
        ("00080020", "203415"),
        ("-StudyDate,PatientName", "430215"),
        ("StudyDate,%20-StudyTime", "230451"),
        ("PatientName", "143052"),
        ("PatientName,-PatientID", "413502"),
        ("-PatientName,StudyDate,PatientID", "053412"),
        ("NumberOfStudyRelatedInstances,-PatientID", "304152"),
        ("-NumberOfStudyRelatedSeries,PatientID", "251403"),
        ("ModalitiesInStudy,-PatientID", "543210"),
        ("StudyDate,-StudyDate", "203415"),
        ("", "012345"),
    ],
)
def test_studies_come_in_the_order_asked_for(server: Running, order: str, expected: str) -> None:
    assert "".join(told(server.get(f"/studies?orderby={order}"))) == expected


def test_an_order_may_be_told_in_several_parameters(server: Running) -> None:
    assert "".join(told(server.get("/studies?orderby=-StudyDate&ORDERBY=PatientName"))) == "430215"


def test_an_order_holds_below_and_with_what_is_matched(server: Running) -> None:
    assert "".join(told(server.get("/studies?StudyDate=20240101-&orderby=-StudyDate,-PatientID"))) == "430"
    assert told(server.get("/studies/1.2.5/series?orderby=-SeriesNumber")) == ["5.0", "5.1", "5.2"]
    assert told(server.get("/studies/1.2.5/series?orderby=SeriesNumber")) == ["5.2", "5.1", "5.0"]
    below = server.get("/studies/1.2.5/series/1.2.5.1/instances?orderby=InstanceNumber")
    assert told(below) == ["5.1.1", "5.1.0"]
    across = server.get("/instances?orderby=PatientName,-SeriesNumber,InstanceNumber&limit=3")
    assert told(across) == ["1.1.1", "1.1.0", "4.0.1"]


def test_an_order_holds_for_attributes_without_a_column(server: Running) -> None:
    """Which are matched on header texts."""
    path = '/instances?ImageComments=""&emptyvaluematching=true&orderby=-PatientID,SOPInstanceUID'
    assert told(server.get(f"{path}&limit=4&offset=1")) == ["5.0.1", "5.1.0", "5.1.1", "5.2.0"]


@pytest.mark.parametrize(
    "path",
    [
        "/studies?orderby=Nonsense",
        "/studies?orderby=KVP",
        "/studies?orderby=SeriesNumber",
        "/studies?orderby=NumberOfSeriesRelatedInstances",
        "/series?orderby=InstanceNumber",
        "/studies?orderby=--StudyDate",
        "/studies?orderby=StudyDate%20desc",
        "/studies?orderby=RetrieveURL",
        "/instances?orderby=" + ",".join(sortable("instance")),
    ],
)
def test_what_cannot_be_ordered_by_is_refused(server: Running, path: str) -> None:
    answer = server.get(path)
    assert answer.status_code == 400
    assert answer.json()["expected"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    level=st.sampled_from(["study", "series", "instance"]),
    keys=st.lists(st.tuples(st.sampled_from(["", "-"]), st.integers(0, 100)), max_size=4),
    limit=st.integers(1, 4),
)
def test_pages_of_any_order_are_the_whole_of_it(
    index: Index, level: Level, keys: list[tuple[str, int]], limit: int
) -> None:
    names = list(sortable(level))
    order = ",".join(sign + names[number % len(names)] for sign, number in keys)
    whole = index.search(level, EVERYTHING, Query.parse(f"orderby={order}"))
    got: list[str] = []
    for offset in itertools.count(0, limit):
        page = index.search(level, EVERYTHING, Query.parse(f"orderby={order}&limit={limit}&offset={offset}"))
        got += page.models
        assert page.remaining == len(whole.models) - len(got)
        if not page.remaining:
            break
    assert tuple(got) == whole.models
    assert sorted(got) == sorted(index.search(level, EVERYTHING, Query()).models)


def test_databases_agree_on_an_order(index: Index) -> None:
    """Names and numbers, dates and what has none; see `test_studies_come_in_the_order_asked_for`."""
    for order, expected in (("-StudyDate,PatientName", "430215"), ("PatientName,-PatientID", "413502")):
        models = index.search("study", EVERYTHING, Query.parse(f"orderby={order}")).models
        found = "".join(model.partition("/studies/1.2.")[2][0] for model in models)
        assert found == expected


@pytest.mark.parametrize(
    "order",
    ["StudyDate", "-StudyDate", "PatientName", "PatientID", "AccessionNumber", "-StudyDate,-StudyTime"],
)
def test_the_usual_orders_are_read_off_an_index(index: Index, order: str) -> None:
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[index._engine.dialect.name].dialect()
    statement = _Plan(dialect.name, "study", EVERYTHING, Query.parse(f"orderby={order}")).keys().limit(101)
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    with index._reading() as connection:
        if dialect.name == "sqlite":
            steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
            assert "USING" in steps[0] and "INDEX studies_" in steps[0], steps
            assert order == "-StudyDate,-StudyTime" or not any("TEMP B-TREE" in step for step in steps), steps
        else:
            # Of a table as small as this one would rather read all of it.
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                connection.execute(text(f"SET LOCAL {setting} = off"))
            plan = "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {sql}")))
            assert "Scan using studies_" in plan and "->  Sort" not in plan, plan


def test_an_index_of_an_older_version_learns_to_read_the_newest_first(index: Index) -> None:
    if index._engine.dialect.name == "postgresql":
        with index._transaction() as connection:
            connection.execute(text("DROP INDEX studies_newest"))
    with index._transaction() as connection:
        connection.execute(schema.update().values(version=2))
    index.prepare()
    with index._reading() as connection:
        assert connection.execute(schema.select()).scalar() == VERSION
        if index._engine.dialect.name == "postgresql":
            found = text("SELECT count(*) FROM pg_indexes WHERE indexname = 'studies_newest'")
            assert connection.execute(found).scalar() == 1


def test_orders_of_more_rows_than_are_read_at_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = index.search("instance", EVERYTHING, Query.parse("orderby=-SOPInstanceUID"))
    monkeypatch.setattr(searching, "ROWS", 3)
    assert index.search("instance", EVERYTHING, Query.parse("orderby=-SOPInstanceUID")) == whole


def test_the_rest_is_counted_in_any_order(server: Running) -> None:
    answer = server.get("/studies?orderby=-PatientID&limit=4")
    assert parse_warnings(answer.headers["warning"])[0].remaining == 2
