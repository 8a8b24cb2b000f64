"""`dicom://…` as a location: found, loaded, copied from and to; DCMTK, Orthanc and our own archive as peers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dimse_peers import (
    Archive,
    running_dcmqrscp,
    running_orthanc_dimse,
    running_storescp,
    skip_without_dcmtk,
    store_with_dcmtk,
)
from dimse_server import Dimse, data_set, dimse_server, never, sendable
from orthanc import skip_without_orthanc
from server_support import instances, read, uids

from hounsfield.ct.instance import FileSource
from hounsfield.dimse.client import store
from hounsfield.errors import DimseError, LocationError
from hounsfield.locations import Delivered, Searchable, SeriesSource, Writable, open_location
from hounsfield.locations.dimse_address import DimseAddress
from hounsfield.locations.servers import add_server
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.archive.index.entries import Entry
from hounsfield.server.provider.finding import Question
from hounsfield.testing import SearchableContract, SeriesSourceContract
from hounsfield.verbs.copy import copy
from hounsfield.verbs.find import find
from hounsfield.verbs.load import load


@pytest.fixture(autouse=True)
def _own_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(PhantomSpec(slices=10), tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc", "dcmqrscp without C-GET"])
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: list[Path]
) -> Iterator[Archive]:
    """An archive that holds the phantom, and knows ME."""
    skip_without_dcmtk()
    folder = tmp_path_factory.mktemp("archive")
    if request.param == "orthanc":
        skip_without_orthanc()
        start = running_orthanc_dimse(folder)
    else:
        start = running_dcmqrscp(folder, *(["--disable-get"] if "without" in request.param else []))
    with start as found:
        store_with_dcmtk(found.port, found.title, files)
        yield found


@pytest.fixture
def named(archive: Archive) -> str:
    """The archive as the named server `ct`."""
    url = f"dicom://{archive.title}@127.0.0.1:{archive.port}"
    add_server("ct", {"url": url, "ae_title": "ME", "receive_port": archive.our_port})
    return url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dicom://CT1@10.0.0.7", DimseAddress("CT1", "10.0.0.7", 104)),
        ("dicom://CT1@host:11112/", DimseAddress("CT1", "host", 11112)),
        ("DICOM://A%20B@[::1]:104/studies/1.2", DimseAddress("A B", "::1", 104, "1.2")),
        ("dicom://A@h:1/studies/1.2/series/3", DimseAddress("A", "h", 1, "1.2", "3")),
        ("dicom://A@h:1/studies/1/series/2/instances/3", DimseAddress("A", "h", 1, "1", "2", "3")),
    ],
)
def test_an_address_is_read_and_written(text: str, expected: DimseAddress) -> None:
    assert DimseAddress.parse(text) == expected
    assert DimseAddress.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["dicom://", "dicom://host:104", "dicom://A@h:0", "dicom://A@h:99999", "dicom://A@h:1/series/2",
     "dicom://A@h:1/studies", "dicom://A@h:1/studies/x", "dicom://ABCDEFGHIJKLMNOPQ@h:1", "dicom://A@h:1/studies/1/2"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(LocationError):
        open_location(text)


def test_studies_series_and_instances_are_found(named: str, files: list[Path]) -> None:
    whole = pydicom.dcmread(files[0])
    [study] = find("ct:", filters={"PatientID": whole.PatientID})
    assert study.address == f"ct:/studies/{whole.StudyInstanceUID}"
    assert (study.value("PatientName"), study.value("StudyDate")) == (str(whole.PatientName), whole.StudyDate)
    [series] = find(named, level="series", filters={"Modality": "CT"})
    assert series.address == f"{named}/studies/{whole.StudyInstanceUID}/series/{whole.SeriesInstanceUID}"
    assert series.value("PatientName") == str(whole.PatientName)
    found = list(find(series.address, level="instance"))
    assert {each.value("SOPInstanceUID") for each in found} == {
        str(pydicom.dcmread(path).SOPInstanceUID) for path in files
    }
    assert len(list(find("ct:", level="instance", limit=3))) == 3
    assert list(find("ct:", filters={"PatientID": "NOBODY"})) == []
    assert list(find("ct:", level="series", filters={"Modality": "MR"})) == []
    words = str(whole.PatientName).lower().replace("^", " ").split()
    assert len(list(find("ct:", filters={"PatientName": " ".join(reversed(words))}, fuzzy=True))) == 1


def test_load_is_the_folder_bit_for_bit(named: str, files: list[Path]) -> None:
    [series] = find("ct:", level="series")
    ours, theirs = load(files[0].parent), load(series.address)
    assert np.array_equal(np.asarray(ours.array), np.asarray(theirs.array))
    assert np.array_equal(ours.affine, theirs.affine)


def test_a_copy_has_every_data_set_and_a_second_one_moves_nothing(
    named: str, files: list[Path], tmp_path: Path
) -> None:
    summary = copy("ct:", tmp_path / "copy")
    assert summary.complete and summary.counts["moved"] == len(files), summary.told
    there = {path.stem: data_set(path.read_bytes()) for path in (tmp_path / "copy").rglob("*.dcm")}
    assert there == {str(pydicom.dcmread(path).SOPInstanceUID): data_set(path.read_bytes()) for path in files}
    again = copy("ct:", tmp_path / "copy")
    assert (again.counts["moved"], again.counts["present"]) == (0, len(files))
    lost = next((tmp_path / "copy").rglob("*.dcm"))
    lost.unlink()
    assert copy("ct:", tmp_path / "copy").counts["moved"] == 1
    assert lost.is_file()


@pytest.mark.parametrize("start", [running_dcmqrscp, running_orthanc_dimse])
def test_a_copy_to_a_peer_is_verified(start: Any, tmp_path: Path) -> None:
    skip_without_dcmtk()
    if start is running_orthanc_dimse:
        skip_without_orthanc()
    write(PhantomSpec(slices=4, rows=64, columns=64), tmp_path / "other")
    with start(tmp_path / "archive") as archive:
        url = f"dicom://{archive.title}@127.0.0.1:{archive.port}"
        add_server("ct", {"url": url, "ae_title": "ME", "receive_port": archive.our_port})
        summary = copy(tmp_path / "other", "ct:", verify=True)
        assert summary.complete and summary.counts["moved"] == 4, summary.told
        assert copy(tmp_path / "other", "ct:").counts["present"] == 4


def test_a_copy_to_a_peer_that_only_stores(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    with running_storescp(tmp_path / "in") as port:
        summary = copy(files[0].parent, f"dicom://STORESCP@127.0.0.1:{port}")
        assert summary.complete, summary.told
        rle = tmp_path / "rle"
        write(PhantomSpec(slices=4, seed=3, transfer_syntax="rle"), rle)
        summary = copy(rle, f"dicom://STORESCP@127.0.0.1:{port}")
        assert summary.complete, summary.told
    received = [pydicom.dcmread(path) for path in (tmp_path / "in").iterdir()]
    assert len(received) == 14
    plain = {str(each.SOPInstanceUID): each.pixel_array for each in received}
    for path in rle.iterdir():
        original = pydicom.dcmread(path)
        assert np.array_equal(plain[str(original.SOPInstanceUID)], original.pixel_array)


# Our own archive as the peer: what it holds is known to the byte.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dimse]:
    with dimse_server(tmp_path_factory.mktemp("server")) as found:
        contents = [*instances(), *instances(series_number=2), *instances(seed=5)]
        assert {each.kind for each in store(found.peer(), map(sendable, contents), never)} == {"success"}
        yield found


def held(server: Dimse) -> dict[tuple[str, str, str], bytes]:
    return {uids(content): content for content in server.stored().values()}


class TestSeriesSource(SeriesSourceContract):
    @pytest.fixture
    def place(self, server: Dimse) -> SeriesSource:
        place = open_location(f"dicom://HOUNSFIELD@127.0.0.1:{server.port}")
        assert isinstance(place, SeriesSource)
        return place

    @pytest.fixture
    def expected(self, server: Dimse) -> dict[tuple[str, str, str], bytes]:
        return held(server)


class TestSearchable(SearchableContract):
    @pytest.fixture
    def place(self, server: Dimse) -> Searchable:
        place = open_location(f"dicom://HOUNSFIELD@127.0.0.1:{server.port}")
        assert isinstance(place, Searchable)
        return place

    @pytest.fixture
    def expected(self, server: Dimse) -> set[tuple[str, str, str]]:
        return set(held(server))


def test_one_instance_by_its_address(server: Dimse) -> None:
    (study, series, instance), content = next(iter(held(server).items()))
    address = (
        f"dicom://HOUNSFIELD@127.0.0.1:{server.port}/studies/{study}/series/{series}/instances/{instance}"
    )
    place = open_location(address)
    [source] = place.sources()
    assert source.name == address
    with source.open() as stream:
        assert stream.read() == content
    assert not isinstance(place, Writable)


def test_an_instance_that_cannot_be_had_is_named_and_the_others_come(
    tmp_path: Path, files: list[Path]
) -> None:
    with dimse_server(tmp_path / "server") as server:
        contents = [path.read_bytes() for path in files]
        assert len(list(store(server.peer(), map(sendable, contents), never))) == 10
        lost = uids(contents[3])[2]
        stored = next((tmp_path / "server").rglob(f"{lost}.dcm"))
        stored.write_bytes(b"x" * stored.stat().st_size)
        address = f"dicom://HOUNSFIELD@127.0.0.1:{server.port}"
        summary = copy(address, tmp_path / "copy")
        assert (summary.counts["moved"], summary.counts["failed"]) == (9, 1)
        assert any(lost in str(each) for each in summary.told)
        with pytest.raises(DimseError, match="1 of 10 instances"):
            load(address)


def test_what_comes_short_is_asked_for_again_by_its_uids(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """139 of 140: a peer that forgets one, says success, and has it when it is asked for it by its UID."""
    from hounsfield.server.provider import retrieving

    original = retrieving.wanted

    def forgetful(archive: Any, content: Any, transfer_syntax: Any, model: Any) -> list[Entry]:
        found = original(archive, content, transfer_syntax, model)
        return found[:-1] if len(found) > 5 else found

    monkeypatch.setattr(retrieving, "wanted", forgetful)
    with dimse_server(tmp_path / "server") as server:
        assert len(list(store(server.peer(), (sendable(path.read_bytes()) for path in files), never))) == 10
        place = open_location(f"dicom://HOUNSFIELD@127.0.0.1:{server.port}")
        assert isinstance(place, SeriesSource)
        [series] = place.series()
        (tmp_path / "out").mkdir()
        came = [
            each for each in place.retrieve(series, folder=tmp_path / "out") if isinstance(each, Delivered)
        ]
        assert len(came) == len({each.instance for each in came}) == 10


def test_a_peer_that_matches_anything_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that a peer ignores: what does not match is left out, and what cannot be told is said."""
    from hounsfield.server.provider import finding

    original = finding.read_question

    def careless(content: Any, transfer_syntax: Any, model: Any) -> Question:
        question = original(content, transfer_syntax, model)
        query = question.query
        return finding.replace(question, query=finding.replace(query, matches=()), ignored=())

    monkeypatch.setattr(finding, "read_question", careless)
    with dimse_server(tmp_path / "server") as server:
        for number in ("12", "123", "4"):
            dataset = read(instances(seed=int(number))[0])
            dataset.PatientID = number
            stream = io.BytesIO()
            dataset.save_as(stream)
            [stored] = store(server.peer(), [sendable(stream.getvalue())], never)
            assert stored.status == 0
        address = f"dicom://HOUNSFIELD@127.0.0.1:{server.port}"
        assert [each.value("PatientID") for each in find(address, filters={"PatientID": "12"})] == ["12"]
        warnings: list[str] = []
        assert list(find(address, filters={"ContrastBolusAgent": "x"}, warn=warnings.append)) == []
        assert len(warnings) < 2


def test_texts_without_a_character_set(tmp_path: Path) -> None:
    from hounsfield.dimse.client import Match
    from hounsfield.locations.dimse.charsets import decoded

    def answer(text: bytes, charset: bytes = b"") -> Match:
        elements = b"\x08\0\x05\0" + len(charset).to_bytes(4, "little") + charset
        elements += b"\x10\0\x10\0" + len(text).to_bytes(4, "little") + text
        return Match(elements, "1.2.840.10008.1.2", False)

    name = "张^三丰"
    for codec, given in (("utf-8", ""), ("gb18030", ""), ("big5", "big5")):
        text = ("張^三豐" if codec == "big5" else name).encode(codec)
        text += b" " * (len(text) % 2)
        if codec == "big5":
            continue
        assert str(decoded(answer(text), given).PatientName) == name
    latin = "Müller^Jörg ".encode("latin-1")
    assert str(decoded(answer(latin), "ISO_IR 100").PatientName).strip() == "Müller^Jörg"
    assert str(decoded(answer(latin, b"ISO_IR 100"), "GB18030").PatientName).strip() == "Müller^Jörg"


def test_a_server_by_name_and_its_settings_make_sense(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no address of a DIMSE peer"):
        add_server("bad", {"url": "dicom://nothing"})
        open_location("bad:")
    add_server("long", {"url": "dicom://A@h:1", "ae_title": "MUCH TOO LONG A TITLE"})
    with pytest.raises(LocationError, match="no AE title"):
        open_location("long:")
    add_server("odd", {"url": "dicom://A@h:1", "receive_port": "x"})
    with pytest.raises(LocationError, match="makes no sense"):
        open_location("odd:")
    assert FileSource  # type: ignore[truthy-function]  # the other kind of source


def run(*arguments: object) -> tuple[int, str]:
    from click.testing import CliRunner

    from hounsfield.cli import main

    result = CliRunner().invoke(main, [str(each) for each in arguments])
    return result.exit_code, result.output


def test_the_command_names_tests_finds_and_copies(
    archive: Archive, files: list[Path], tmp_path: Path
) -> None:
    url = f"dicom://{archive.title}@127.0.0.1:{archive.port}"
    code, out = run("servers", "add", "ct", url, "--ae-title", "ME", "--receive-port", archive.our_port)
    assert code == 0, out
    code, out = run("servers", "test", "ct")
    assert code == 0 and f"ct answers at {url}, and offers C-FIND" in out, out
    assert ("retrieval is by C-MOVE" in out) == ("C-GET" not in out)
    code, out = run("find", "ct:", "--json")
    assert code == 0 and str(pydicom.dcmread(files[0]).PatientID) in out, out
    code, out = run("copy", "ct:", tmp_path / "copy", "--json")
    assert code == 0, out
    assert len(list((tmp_path / "copy").rglob("*.dcm"))) == len(files)
    code, out = run("info", f"ct:/studies/{pydicom.dcmread(files[0]).StudyInstanceUID}")
    assert code == 0 and "128 × 128" in out, out
    code, out = run("servers", "add", "web", "https://host/dicom-web", "--ae-title", "ME")
    assert code == 2 and "dicom:// addresses" in out


def test_a_rejection_is_explained_by_the_command(tmp_path: Path) -> None:
    with dimse_server(tmp_path / "server", title="ARCHIVE") as server:
        assert run("servers", "add", "ct", f"dicom://OTHER@127.0.0.1:{server.port}")[0] == 0
        code, out = run("servers", "test", "ct")
        assert code != 0
        assert "called AE title not recognised" in out and "ask its administrator" in out
