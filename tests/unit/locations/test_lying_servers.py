"""Servers that do not do what they say: prefixes for values, keys left out, attributes kept back, texts misread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner
from foreign_texts import HOSPITAL, NAME, chinese, slice_of
from pydicom import dcmread
from stub_archive import StubArchive, stub_archive
from stub_server import Exchange

from hounsfield.cli import main
from hounsfield.locations import open_location
from hounsfield.verbs.find import find
from hounsfield.verbs.load import scan

Model = dict[str, dict[str, object]]


@pytest.fixture(autouse=True)
def no_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))


def patient(number: str, **tags: Any) -> bytes:
    dataset = dcmread(io.BytesIO(slice_of({}, charset=None, series=f"1.2.3.{number}")))
    dataset.PatientID = number
    dataset.PatientName = f"DOE^{number}"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


@contextmanager
def lying(
    contents: list[bytes], applies: Callable[[dict[str, str], Model], bool], hidden: tuple[str, ...] = ()
) -> Iterator[StubArchive]:
    """An archive whose searches give what `applies`, without the tags that are `hidden`."""
    archives: list[StubArchive] = []

    def fault(exchange: Exchange) -> bool:
        from hounsfield.dicomweb.resources import Resource

        resource = Resource.parse(f"http://h{exchange.path}")
        if resource.collection is None or exchange.method != "GET":
            return False
        depth = ["studies", "series", "instances"].index(resource.collection) + 1
        asked = {key: values[0] for key, values in parse_qs(exchange.query).items()}
        archive = archives[0]
        found = {key[:depth]: archive.models[key] for key in archive._below(resource)}
        models = [model for model in found.values() if applies(asked, model)]
        start, limit = int(asked.get("offset", 0)), int(asked.get("limit", 1000))
        shown = [
            {tag: each for tag, each in model.items() if tag not in (*hidden, "7FE00010")} for model in models
        ]
        exchange.json(shown[start : start + limit])
        return True

    with stub_archive(contents, fault) as archive:
        archives.append(archive)
        yield archive


def value(model: Model, tag: str) -> str:
    values = model.get(tag, {}).get("Value", [""])
    assert isinstance(values, list)
    return str(values[0])


def test_a_server_that_matches_beginnings() -> None:
    def by_prefix(asked: dict[str, str], model: Model) -> bool:
        return value(model, "00100020").startswith(asked.get("PatientID", ""))

    with lying([patient(each) for each in ("12", "123", "4")], by_prefix) as archive:
        warnings: list[str] = []
        found = list(find(archive.url, filters={"PatientID": "12"}, warn=warnings.append))
        assert [each.value("PatientID") for each in found] == ["12"]
        assert len(warnings) == 1 and "PatientID" in warnings[0] and "1 of its results" in warnings[0]
        # A number of results is one of those that match, wherever they come.
        [one] = find(archive.url, filters={"PatientID": "123"}, limit=1)
        assert one.value("PatientID") == "123"
        done = CliRunner().invoke(main, ["find", archive.url, "--patient-id", "12", "--json"])
        assert done.exit_code == 0 and '"123"' not in done.stdout
        assert "does not match PatientID as asked" in done.stderr
        # An address narrows what is read in the same way.
        sources = list(open_location(f"{archive.url}/studies?PatientID=12").sources())
        assert len(sources) == 1


def test_a_limit_is_reached_past_results_that_do_not_match() -> None:
    with lying([patient(each) for each in ("1", "2", "3")], lambda asked, model: True) as archive:
        [found] = find(archive.url, filters={"PatientID": "3"}, limit=1)
        assert found.value("PatientID") == "3"


def test_keys_that_a_server_does_not_know_are_looked_up_in_instances() -> None:
    contents = [patient(each, ContrastBolusAgent="IODINE" if each == "2" else "NONE") for each in "123"]
    with lying(contents, lambda asked, model: True, hidden=("00180010",)) as archive:
        warnings: list[str] = []
        filters = {"ContrastBolusAgent": "IODINE"}
        found = list(find(archive.url, level="series", filters=filters, warn=warnings.append))
        assert [each.value("PatientID") for each in found] == ["2"]
        assert any("ContrastBolusAgent" in each for each in warnings)
        assert any(
            "includefield" in each.query and "ContrastBolusAgent" in each.query
            for each in archive.stub.requests
        )


def test_what_cannot_be_looked_up_is_left_out_and_said() -> None:
    def fault(exchange: Exchange) -> bool:
        if exchange.path.endswith("/metadata"):
            exchange.answer(500, b"no")
            return True
        return False

    with lying([patient("1")], lambda asked, model: True, hidden=("00180010",)) as archive:
        inner = archive.fault
        archive.fault = lambda exchange: fault(exchange) or inner(exchange)
        warnings: list[str] = []
        assert list(find(archive.url, filters={"ContrastBolusAgent": "x"}, warn=warnings.append)) == []
        assert any("does not tell ContrastBolusAgent" in each for each in warnings)


def test_modalities_of_studies_that_are_not_told() -> None:
    contents = [patient("1", Modality="MR"), patient("2", Modality="CT")]
    with lying(contents, lambda asked, model: True, hidden=("00080061",)) as archive:
        found = list(find(archive.url, filters={"Modality": "CT"}))
        assert [each.value("PatientID") for each in found] == ["2"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"PatientName": "doe^1"}, ["1"]),  # PS3.4 C.2.2.2.1: names without regard to case and accents
        ({"PatientName": "DÖE*"}, ["1", "2"]),
        ({"StudyDescription": "head"}, []),  # other values by it
        ({"StudyDescription": "HE*D"}, ["1"]),
        ({"StudyDate": "20240101-20240103"}, ["1", "2"]),
        ({"StudyDate": "-20231231"}, []),
    ],
)
def test_the_matcher_is_that_of_folders(asked: dict[str, str], wanted: list[str], tmp_path: Path) -> None:
    contents = [patient("1", StudyDescription="HEAD"), patient("2", StudyDescription="CHEST")]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    with lying(contents, lambda asked, model: True) as archive:
        for place in (archive.url, str(tmp_path)):
            found = sorted(each.value("PatientID") for each in find(place, filters=asked))
            assert found == wanted, place


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_texts_that_a_server_misread(level: str) -> None:
    # What Orthanc and others make of GB18030 under ISO_IR 100: a character for each byte.
    content = slice_of(chinese(), charset="ISO_IR 100")
    with stub_archive([content]) as archive:
        [found] = find(archive.url, level=level, fields=["PatientName", "InstitutionName"])  # type: ignore[arg-type]
        assert (found.value("PatientName"), found.value("InstitutionName")) == (NAME, HOSPITAL)
        [series] = scan(archive.url).series
        assert series.facts["PatientName"] == NAME
        assert any(getattr(note, "key", "") == "character-set" for note in series.notes)


def test_a_setting_for_each_server(tmp_path: Path) -> None:
    texts = {
        0x00100010: (b"PN", "ИВАНОВ^ИВАН".encode("cp1251")),
        0x0008103E: (b"LO", "ГОЛОВА".encode("cp1251")),
    }
    with stub_archive([slice_of(texts, charset="ISO_IR 100")]) as archive:  # type: ignore[arg-type]
        run = CliRunner().invoke
        done = run(main, ["servers", "add", "pacs", archive.url, "--charset", "windows-1251"])
        assert done.exit_code == 0, done.output
        for place in ("pacs:", archive.url):
            [found] = find(place)
            assert found.value("PatientName") == "ИВАНОВ^ИВАН"
            [series] = scan(place).series
            assert series.facts["SeriesDescription"] == "ГОЛОВА"
        refused = run(main, ["servers", "add", "other", archive.url, "--charset", "klingon"])
        assert refused.exit_code == 1 and "no character set 'klingon'" in refused.output


def changed(archive: StubArchive, **stated: Any) -> None:
    """Give the metadata of an archive other values than its instances have; None takes an attribute out."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for model in archive.models.values():
        for keyword, given in stated.items():
            tag = tag_for_keyword(keyword)
            assert tag is not None
            if given is None:
                model.pop(f"{tag:08X}", None)
            else:
                model[f"{tag:08X}"] = {
                    "vr": dictionary_VR(tag),
                    "Value": given if isinstance(given, list) else [given],
                }


def unsigned_series(slices: int = 4) -> list[bytes]:
    """CT slices of unsigned cells with an intercept of −1024."""
    contents = []
    for number in range(1, slices + 1):
        dataset = dcmread(io.BytesIO(slice_of({}, charset=None, number=number)))
        dataset.PixelRepresentation, dataset.RescaleIntercept = 0, "-1024"
        dataset.PixelData = bytes(range(256)) * 2
        out = io.BytesIO()
        dataset.save_as(out)
        contents.append(out.getvalue())
    return contents


@pytest.mark.parametrize(
    "stated",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None, "PixelSpacing": None},
        {"RescaleIntercept": 0},
        {"RescaleIntercept": None, "RescaleSlope": None},
    ],
)
def test_geometry_and_rescale_are_not_taken_from_metadata_that_lack_or_invent_them(
    stated: dict[str, object],
) -> None:
    contents = unsigned_series()
    with stub_archive(contents) as archive:
        wanted = scan(archive.url).series[0].load()
    with stub_archive(contents) as archive:
        changed(archive, **stated)
        [series] = scan(archive.url).series
        assert series.verdict.is_loadable and series.unit.hounsfield
        volume = series.load()
        assert (volume.array == wanted.array).all() and (volume.affine == wanted.affine).all()
        assert volume.array.min() < -700


def test_metadata_that_are_no_match_for_the_pixels_give_no_values() -> None:
    from hounsfield.errors import HounsfieldError

    with stub_archive(unsigned_series()) as archive:
        changed(archive, RescaleIntercept=-1000)  # nothing odd about it
        [series] = scan(archive.url).series
        with pytest.raises(HounsfieldError, match="RescaleIntercept"):
            series.load()


@contextmanager
def without_wado_rs(contents: list[bytes], place: str, *, metadata: bool) -> Iterator[StubArchive]:
    """An archive that searches and gives instances by WADO-URI at `place` alone."""
    archives: list[StubArchive] = []

    def fault(exchange: Exchange) -> bool:
        asked = {key: values[0] for key, values in parse_qs(exchange.query).items()}
        if asked.get("requestType") == "WADO":
            key = (asked["studyUID"], asked["seriesUID"], asked["objectUID"])
            content = archives[0].contents.get(key)
            if exchange.path != place or content is None or asked["contentType"] != "application/dicom":
                exchange.answer(404, b"not here")
            else:
                exchange.answer(200, content, Content_Type="application/dicom")
            return True
        is_search = exchange.path.endswith(("/studies", "/series", "/instances"))
        if is_search or (metadata and exchange.path.endswith("/metadata")):
            return False
        exchange.answer(501 if "studies" in exchange.path else 404, b"not implemented")
        return True

    with stub_archive(contents, fault) as archive:
        archives.append(archive)
        yield archive


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("place", ["/wado", "/dicom-web/wado", "/dicom-web"])
def test_servers_without_wado_rs_are_read_by_wado_uri(place: str, metadata: bool, tmp_path: Path) -> None:
    contents = unsigned_series()
    with without_wado_rs(contents, place, metadata=metadata) as archive:
        [series] = scan(archive.url).series
        assert series.verdict.is_loadable
        assert series.load().array.shape == (4, 16, 16)
        done = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        copied = sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm"))
        assert copied == sorted(contents)
        # It is looked for once.
        elsewhere = [each for each in archive.stub.requests if "WADO" in each.query and each.path != place]
        assert len(elsewhere) <= 3 * 3


def test_wado_uri_where_a_setting_says(tmp_path: Path) -> None:
    with without_wado_rs(unsigned_series(), "/far/away", metadata=True) as archive:
        where = archive.url.replace("/dicom-web", "/far/away")
        done = CliRunner().invoke(main, ["servers", "add", "pacs", archive.url, "--wado-uri", where])
        assert done.exit_code == 0, done.output
        assert scan("pacs:").series[0].load().array.shape == (4, 16, 16)


def test_an_instance_that_is_not_there_is_asked_for_once() -> None:
    from hounsfield.client import Client
    from hounsfield.errors import DicomwebError

    contents = unsigned_series()
    with stub_archive(contents) as archive, Client(archive.url) as client:
        study, series, instance = next(iter(archive.contents))
        client.retrieve_instance(study, series, instance)
        with pytest.raises(DicomwebError):
            client.retrieve_instance(study, series, "1.9.9")
        assert not any("WADO" in each.query for each in archive.stub.requests)
