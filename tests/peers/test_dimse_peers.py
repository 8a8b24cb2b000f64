"""The DIMSE client against DCMTK, Orthanc and pynetdicom: echo, find, get, move and store."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dimse_peers import (
    Archive,
    certificate,
    free_port,
    running_dcmqrscp,
    running_orthanc_dimse,
    running_storescp,
    skip_without_dcmtk,
    store_with_dcmtk,
)
from orthanc import skip_without_orthanc

from hounsfield.dimse.client import Sendable, echo, find, store
from hounsfield.dimse.connection import Tls
from hounsfield.dimse.identifiers import decode_identifier, encode_identifier, identifier
from hounsfield.dimse.negotiation import EXPLICIT, IMPLICIT
from hounsfield.dimse.receiving import ReceivedFile
from hounsfield.dimse.requestor import Peer, Timeouts
from hounsfield.dimse.retrieving import RetrieveEnd, get, move
from hounsfield.dimse.services import PATIENT_ROOT, STUDY_ROOT, InformationModel
from hounsfield.errors import DimseError, LocationError
from hounsfield.phantom import PhantomSpec, write

CT = "1.2.840.10008.5.1.4.1.1.2"
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = (EXPLICIT, IMPLICIT, RLE)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(PhantomSpec(slices=12), tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: list[Path]
) -> Iterator[Archive]:
    """An archive that holds the phantom."""
    skip_without_dcmtk()
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "orthanc":
        skip_without_orthanc()
    start = running_dcmqrscp if request.param == "dcmqrscp" else running_orthanc_dimse
    with start(folder) as found:
        store_with_dcmtk(found.port, found.title, files)
        yield found


def peer_of(archive: Archive, **options: Any) -> Peer:
    given = {"calling": "ME", "receive_port": archive.our_port, **options}
    return Peer("127.0.0.1", archive.port, archive.title, **given)


def asked(level: str, **keys: Any | list[str]) -> Any:
    return lambda syntax: encode_identifier(identifier(level, keys), syntax)


def sendable(path: Path) -> Sendable:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    content = path.read_bytes()
    start = 132 + 12 + dataset.file_meta.FileMetaInformationGroupLength
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    return Sendable(
        path.name,
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        syntax,
        lambda: [memoryview(content)[start:]],
    )


def never(instance: Any, syntaxes: Any) -> None:
    raise AssertionError(f"{instance.name} need not be recoded to {syntaxes}")


def data_set(path: Path) -> bytes:
    """The bytes of a file behind its meta group."""
    meta = pydicom.dcmread(path, stop_before_pixels=True).file_meta
    return path.read_bytes()[144 + meta.FileMetaInformationGroupLength :]


def paths(folder: Path) -> Any:
    numbers = itertools.count()
    return lambda: folder / f"{next(numbers)}.part"


def test_echo(archive: Archive) -> None:
    echo(peer_of(archive))


@pytest.mark.parametrize("model", [STUDY_ROOT, PATIENT_ROOT], ids=lambda each: each.name)
def test_find_goes_down_the_levels(archive: Archive, files: list[Path], model: InformationModel) -> None:
    peer = peer_of(archive)
    whole = pydicom.dcmread(files[0])
    keys = {"PatientID": str(whole.PatientID)}
    if model is PATIENT_ROOT:
        [patient] = find(peer, model.find, asked("PATIENT", PatientName="", **keys))
        assert str(decode_identifier(patient.identifier, patient.transfer_syntax).PatientName) == str(
            whole.PatientName
        )
    [study] = find(peer, model.find, asked("STUDY", StudyInstanceUID="", **keys))
    found = decode_identifier(study.identifier, study.transfer_syntax)
    assert found.StudyInstanceUID == whole.StudyInstanceUID
    keys["StudyInstanceUID"] = str(found.StudyInstanceUID)
    [series] = find(peer, model.find, asked("SERIES", SeriesInstanceUID="", **keys))
    found = decode_identifier(series.identifier, series.transfer_syntax)
    keys["SeriesInstanceUID"] = str(found.SeriesInstanceUID)
    images = [
        decode_identifier(each.identifier, each.transfer_syntax)
        for each in find(peer, model.find, asked("IMAGE", SOPInstanceUID="", **keys))
    ]
    assert {str(each.SOPInstanceUID) for each in images} == {
        str(pydicom.dcmread(path).SOPInstanceUID) for path in files
    }
    assert len(list(find(peer, model.find, asked("IMAGE", SOPInstanceUID="", **keys), limit=3))) == 3


def retrieved(found: Iterator[ReceivedFile | RetrieveEnd]) -> tuple[dict[str, Path], RetrieveEnd]:
    *received, end = found
    assert isinstance(end, RetrieveEnd)
    return {each.sop_instance: each.path for each in received}, end


@pytest.mark.parametrize("how", ["get", "move"])
def test_a_series_comes_as_it_was_stored(
    archive: Archive, files: list[Path], how: str, tmp_path: Path
) -> None:
    peer = peer_of(archive)
    whole = pydicom.dcmread(files[0])
    wanted = asked(
        "SERIES", StudyInstanceUID=str(whole.StudyInstanceUID), SeriesInstanceUID=str(whole.SeriesInstanceUID)
    )
    if how == "get":
        answer = get(peer, STUDY_ROOT.get, wanted, paths(tmp_path), sop_classes=[CT], syntaxes=SYNTAXES)
    else:
        answer = move(peer, STUDY_ROOT.move, wanted, paths(tmp_path), syntaxes=SYNTAXES)
    received, end = retrieved(answer)
    assert (end.status, end.completed, end.failed) == (0, len(files), 0)
    assert {uid: data_set(path) for uid, path in received.items()} == {
        str(pydicom.dcmread(path).SOPInstanceUID): data_set(path) for path in files
    }
    for path in received.values():
        meta = pydicom.dcmread(path).file_meta
        assert meta.TransferSyntaxUID == whole.file_meta.TransferSyntaxUID
        assert meta.MediaStorageSOPInstanceUID == pydicom.dcmread(path).SOPInstanceUID


def test_some_instances_by_a_list_of_uids(archive: Archive, files: list[Path], tmp_path: Path) -> None:
    whole = [pydicom.dcmread(path) for path in files[:3]]
    wanted = asked(
        "IMAGE",
        StudyInstanceUID=str(whole[0].StudyInstanceUID),
        SeriesInstanceUID=str(whole[0].SeriesInstanceUID),
        SOPInstanceUID=[str(each.SOPInstanceUID) for each in whole],
    )
    received, _ = retrieved(
        get(
            peer_of(archive),
            STUDY_ROOT.get,
            wanted,
            paths(tmp_path),
            sop_classes=[CT],
            syntaxes=SYNTAXES,
        )
    )
    assert set(received) == {str(each.SOPInstanceUID) for each in whole}


def test_a_move_to_somebody_unknown_names_the_administrators_line(
    archive: Archive, files: list[Path], tmp_path: Path
) -> None:
    peer = peer_of(archive, calling="STRANGER")
    wanted = asked("STUDY", StudyInstanceUID=str(pydicom.dcmread(files[0]).StudyInstanceUID))
    with pytest.raises(DimseError) as caught:
        list(move(peer, STUDY_ROOT.move, wanted, paths(tmp_path), syntaxes=SYNTAXES))
    if archive.title == "QR":
        assert caught.value.data["status"] == 0xA801
    line = f'"STRANGER": ["STRANGER", "127.0.0.1", {archive.our_port}]'
    assert archive.title == "ORTHANC" or line in str(caught.value)


def test_store_to_an_archive_and_the_same_again(archive: Archive, tmp_path: Path) -> None:
    other = write(PhantomSpec(slices=5, transfer_syntax="implicit", seed=7), tmp_path / "phantom")
    for _ in range(2):
        stored = list(store(peer_of(archive), map(sendable, other), never))  # type: ignore[arg-type]
        assert [each.kind for each in stored] == ["success"] * 5, stored


def test_storescp_has_what_was_sent(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    with running_storescp(tmp_path / "in", "+xa") as port:
        peer = Peer("127.0.0.1", port, "STORESCP")
        mixed = [
            *files,
            *write(PhantomSpec(slices=3, transfer_syntax="rle", seed=5), tmp_path / "rle"),
        ]
        stored = list(store(peer, map(sendable, mixed), never))  # type: ignore[arg-type]
        assert {each.kind for each in stored} == {"success"}
    received = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in (tmp_path / "in").iterdir()}
    for path in mixed:
        there = received[str(pydicom.dcmread(path).SOPInstanceUID)]
        assert data_set(there) == data_set(path)


def test_only_what_the_peer_refuses_is_recoded(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    rle = write(PhantomSpec(slices=12, transfer_syntax="rle"), tmp_path / "rle")
    plain = {each.sop_instance: each.data for each in map(sendable, files)}
    given: list[tuple[str, tuple[str, ...]]] = []

    def recode(instance: Any, syntaxes: Any) -> Sendable:
        given.append((instance.transfer_syntax, tuple(syntaxes)))
        return Sendable(
            instance.name,
            instance.sop_class,
            instance.sop_instance,
            EXPLICIT,
            plain[instance.sop_instance],
        )

    with running_storescp(tmp_path / "in") as port:
        peer = Peer("127.0.0.1", port, "STORESCP")
        stored = list(store(peer, map(sendable, [*rle, files[5]]), recode))
        assert [each.kind for each in stored] == ["success"] * 13, stored
        assert given == [(RLE, (EXPLICIT, IMPLICIT))] * 12


def test_what_cannot_be_read_or_is_of_no_class_fails_alone(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()

    def broken() -> None:
        raise OSError("gone")

    odd = Sendable("odd", "1.2.3.4", "1.2.3", EXPLICIT, lambda: [b""])
    gone = Sendable("gone", CT, "1.2.3", EXPLICIT, broken)  # type: ignore[arg-type]
    with running_storescp(tmp_path / "in") as port:
        peer = Peer("127.0.0.1", port, "STORESCP")
        stored = list(store(peer, [odd, gone, sendable(files[0])], never))  # type: ignore[arg-type]
    assert {each.instance.name: each.kind for each in stored} == {
        "odd": "failure",
        "gone": "failure",
        files[0].name: "success",
    }
    assert "SOP class" in next(each.reason for each in stored if each.instance.name == "odd")


def test_rejections_say_what_to_do(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    with running_dcmqrscp(tmp_path / "qr") as archive:
        with pytest.raises(DimseError, match="called AE title not recognised") as caught:
            echo(Peer("127.0.0.1", archive.port, "NOBODY"))
        assert caught.value.data["rejected"] == (1, 7)
        assert "ask its administrator for its AE title" in str(caught.value)


def test_an_unknown_caller_gets_the_line_for_the_administrator(tmp_path: Path) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    ae = AE("PACS")
    ae.add_supported_context(Verification)
    ae.require_calling_aet = ["SOMEBODY"]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda e: 0)])
    try:
        port = server.socket.getsockname()[1]
        with pytest.raises(DimseError, match="calling AE title not recognised") as caught:
            echo(Peer("127.0.0.1", port, "PACS", calling="ME", receive_port=104))
        assert 'AE title ME, address 127.0.0.1, port 104 (Orthanc, DicomModalities: "ME"' in str(caught.value)
        echo(Peer("127.0.0.1", port, "PACS", calling="SOMEBODY"))
    finally:
        server.shutdown()


def test_nobody_there_and_somebody_who_says_nothing() -> None:
    import socket

    with pytest.raises(DimseError, match="nothing listens there"):
        echo(Peer("127.0.0.1", free_port(), "PACS"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(DimseError, match=r"silent for 0.2 s"):
            echo(Peer("127.0.0.1", port, "PACS", timeouts=Timeouts(response=0.2)))

        def web_server() -> None:
            listener.accept()[0].close()
            sock, _ = listener.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=web_server)
        thread.start()
        with pytest.raises(DimseError, match="a PDU of type 0x48"):
            echo(Peer("127.0.0.1", port, "PACS"))
        thread.join()


def test_tls_with_certificates_on_both_sides(files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    cert, key = certificate(tmp_path / "pacs")
    our_cert, our_key = certificate(tmp_path / "me")
    secure = ("+tls", key, cert, "+cf", our_cert)
    with running_storescp(tmp_path / "in", *secure) as port:
        tls = Tls(ca=cert, certificate=our_cert, key=our_key)
        peer = Peer("127.0.0.1", port, "STORESCP", tls=tls.client())
        echo(peer)
        assert {each.kind for each in store(peer, map(sendable, files), never)} == {"success"}  # type: ignore[arg-type]
        with pytest.raises(DimseError, match="its certificate is not trusted"):
            echo(Peer("127.0.0.1", port, "STORESCP", tls=Tls(ca=our_cert).client()))
        with pytest.raises(DimseError, match=r"connection lost|closed the connection|aborted"):
            echo(Peer("127.0.0.1", port, "STORESCP", tls=Tls(ca=cert).client()))
        with pytest.raises(DimseError):
            echo(Peer("127.0.0.1", port, "STORESCP", timeouts=Timeouts(response=2)))
    assert len(list((tmp_path / "in").iterdir())) == len(files)
    with pytest.raises(LocationError, match="certificate or key"):
        Tls(ca=files[0]).client()
