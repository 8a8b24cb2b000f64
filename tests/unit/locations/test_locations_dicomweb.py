"""A DICOMweb server as a location: the same contract as folders, metadata for headers, pixels when asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from orthanc import running_orthanc, skip_without_orthanc
from stub_archive import StubArchive, stub_archive

from hounsfield.cli import main
from hounsfield.client import Client
from hounsfield.ct.instance import Skipped, Source
from hounsfield.errors import DicomwebError, LocationError
from hounsfield.locations import Location, Searchable, SeriesSource, Writable, open_location
from hounsfield.locations.dicomweb import fetching as room
from hounsfield.phantom import PhantomSpec, write
from hounsfield.testing import (
    KnowingContract,
    LocationContract,
    SearchableContract,
    SeriesSourceContract,
    SourceContract,
    WritableContract,
)
from hounsfield.verbs.load import load, scan


@pytest.fixture(autouse=True)
def no_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write(PhantomSpec(rows=32, columns=32, slices=12), folder)
    return folder


@pytest.fixture
def archive(folder: Path) -> Iterator[StubArchive]:
    with stub_archive(path.read_bytes() for path in sorted(folder.iterdir())) as archive:
        yield archive


def uids(archive: StubArchive) -> tuple[str, str, str]:
    return next(iter(archive.contents))


def retrievals(archive: StubArchive) -> list[str]:
    return [
        each.path for each in archive.stub.requests if "metadata" not in each.path and "/series/" in each.path
    ]


class TestLocation(LocationContract):
    @pytest.fixture
    def location(self, archive: StubArchive) -> Location:
        return open_location(archive.url)

    @pytest.fixture
    def expected(self, archive: StubArchive) -> Mapping[str, bytes | None]:
        found = {key[2]: content for key, content in archive.contents.items()}
        return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


class TestSource(SourceContract):
    @pytest.fixture
    def source(self, archive: StubArchive) -> Source:
        return next(item for item in open_location(archive.url).sources() if not isinstance(item, Skipped))

    @pytest.fixture
    def content(self, source: Source, archive: StubArchive) -> bytes:
        return archive.contents[next(key for key in archive.contents if source.name.endswith("/" + key[2]))]


class TestServerAsSeries(SeriesSourceContract):
    @pytest.fixture
    def place(self, archive: StubArchive) -> SeriesSource:
        place = open_location(archive.url)
        assert isinstance(place, SeriesSource)
        return place

    @pytest.fixture
    def expected(self, archive: StubArchive) -> Mapping[tuple[str, str, str], bytes]:
        return dict(archive.contents)


class TestServerSearched(SearchableContract):
    @pytest.fixture
    def place(self, archive: StubArchive) -> Searchable:
        place = open_location(archive.url)
        assert isinstance(place, Searchable)
        return place

    @pytest.fixture
    def expected(self, archive: StubArchive) -> set[tuple[str, str, str]]:
        return set(archive.contents)


class TestServerWritten(WritableContract, KnowingContract):
    @pytest.fixture
    def place(self) -> Iterator[Writable]:
        with stub_archive() as archive:
            place = open_location(archive.url)
            assert isinstance(place, Writable)
            yield place


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_volume_off_a_server_equals_the_folder_s(archive: StubArchive, folder: Path, depth: int) -> None:
    study, series, _ = uids(archive)
    url = archive.url + ["", f"/studies/{study}", f"/studies/{study}/series/{series}"][depth]
    ours, theirs = load(url), load(folder)
    assert np.array_equal(ours.array, theirs.array)
    assert np.array_equal(ours.affine, theirs.affine)
    assert ours.uids == theirs.uids
    assert ours.report.to_json() == theirs.report.to_json()
    assert len(retrievals(archive)) == 1


def test_a_scan_fetches_metadata_and_no_pixels(archive: StubArchive, folder: Path) -> None:
    found = scan(archive.url)
    assert [series.verdict for series in found.series] == [series.verdict for series in scan(folder).series]
    assert retrievals(archive) == []


def test_a_series_that_was_scanned_is_fetched_whole_once_several_are_opened(
    archive: StubArchive, folder: Path
) -> None:
    [series] = scan(archive.url).series
    volume = series.load()
    assert np.array_equal(volume.array, load(folder).array)
    assert len(retrievals(archive)) <= room.SINGLY + 2 + 1


def test_what_does_not_fit_in_memory_is_fetched_singly(
    archive: StubArchive, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "HELD_BYTES", 6000)
    [series] = scan(archive.url).series
    assert np.array_equal(series.load().array, load(folder).array)


def test_one_slice_is_one_request(archive: StubArchive) -> None:
    [series] = scan(archive.url).series
    series.slices[3].instance.cells(0)
    assert len(retrievals(archive)) == 1
    assert "/instances/" in retrievals(archive)[0]


def test_an_instance_is_a_location_of_one(archive: StubArchive) -> None:
    study, series, instance = uids(archive)
    [source] = open_location(f"{archive.url}/studies/{study}/series/{series}/instances/{instance}").sources()
    with source.open() as stream:
        assert stream.read() == archive.contents[study, series, instance]


def test_a_query_narrows_a_location(archive: StubArchive) -> None:
    assert len(list(open_location(f"{archive.url}/studies?PatientID=nobody").sources())) == 0
    with pytest.raises(DicomwebError):
        open_location(f"{archive.url}/studies?PatientIDD=1")


def test_another_instance_than_asked_for_is_an_error(archive: StubArchive) -> None:
    study, series, _ = uids(archive)
    other = list(archive.contents.values())[1]
    key = uids(archive)
    archive.contents[key] = other
    source = next(
        each
        for each in open_location(f"{archive.url}/studies/{study}/series/{series}").sources()
        if key[2] in each.name
    )
    with pytest.raises(DicomwebError, match="another instance"):
        source.open()


def test_a_series_whose_metadata_fails_is_skipped_with_the_reason_and_the_rest_stands(
    archive: StubArchive,
) -> None:
    def fault(exchange: Any) -> bool:
        if exchange.path.endswith("/metadata"):
            exchange.answer(500, b"index broken")
            return True
        return False

    archive.fault = fault
    [item] = open_location(archive.url).sources()
    assert isinstance(item, Skipped)
    assert "index broken" in item.reason
    with pytest.raises(DicomwebError):
        list(open_location(f"{archive.url}/studies/{uids(archive)[0]}/series/{uids(archive)[1]}").sources())


def test_a_named_server_is_a_location(archive: StubArchive, tmp_path: Path) -> None:
    (tmp_path / "servers.toml").write_text(
        f'[pacs]\nurl = "{archive.url}"\nauth = {{ kind = "basic", user = "me", password = "word" }}\n'
    )
    study = uids(archive)[0]
    for text in ("pacs:", "pacs:/", f"pacs:/studies/{study}"):
        location = open_location(text)
        assert location.name == text
        assert len(list(location.sources())) == 12
    # An address below it takes its credentials along.
    list(open_location(f"{archive.url}/studies/{study}").sources())
    assert {each.headers.get("authorization") for each in archive.stub.requests} == {"Basic bWU6d29yZA=="}
    with pytest.raises(LocationError, match="no server is called 'nope'"):
        open_location("nope:/studies/1")


def test_a_location_travels_to_a_worker_as_its_address_and_without_credentials(archive: StubArchive) -> None:
    study = uids(archive)[0]
    address = f"{archive.url}/studies/{study}".replace("http://", "http://me:word@")
    place = open_location(address)
    text = pickle.dumps(place)
    assert b"word" not in text
    there = pickle.loads(text)
    assert (type(there), there.name, there.resource) == (type(place), place.name, place.resource)  # type: ignore[attr-defined]
    assert [source.name for source in there.sources()] == [source.name for source in place.sources()]


def test_credentials_in_an_address_are_used_and_not_shown(archive: StubArchive) -> None:
    location = open_location(archive.url.replace("http://", "http://me:word@"))
    assert "word" not in location.name + repr(location)
    next(iter(location.sources()))
    assert archive.stub.requests[0].headers["authorization"] == "Basic bWU6d29yZA=="


def test_load_from_orthanc_equals_load_from_the_folder(folder: Path, tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path / "orthanc") as url, Client(url) as client:
        assert client.store_instances(sorted(folder.iterdir())).complete
        ours, theirs = load(url), load(folder)
        [scanned] = scan(url).series
        assert np.array_equal(scanned.load().array, theirs.array)
    assert np.array_equal(ours.array, theirs.array)
    assert np.array_equal(ours.affine, theirs.affine)
    assert ours.report.to_json() == theirs.report.to_json()


def test_what_metadata_does_not_tell_is_not_made_up(archive: StubArchive) -> None:
    told = CliRunner().invoke(main, ["info", archive.url])
    assert told.exit_code == 0
    assert "transfer syntax not given by the server" in told.stdout
    assert "MB of pixels" not in told.stdout
    for model in archive.models.values():
        model["00083002"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.80"]}
    assert "JPEG-LS" in CliRunner().invoke(main, ["info", archive.url]).stdout
    assert retrievals(archive) == []
