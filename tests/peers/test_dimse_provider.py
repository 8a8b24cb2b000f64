"""The archive's DIMSE endpoint, called by DCMTK's programs, by pynetdicom and by our own client."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dimse_peers import (
    certificate,
    dcmtk,
    free_port,
    running_storescp,
    skip_without_dcmtk,
    store_with_dcmtk,
)
from dimse_server import Dimse, data_set, dimse_server, never, sendable
from server_support import client, instances, read, uids, until, version

from hounsfield.dimse.acceptor import Limits as AssociationLimits
from hounsfield.dimse.client import Sendable, echo, find, store
from hounsfield.dimse.connection import Tls
from hounsfield.dimse.identifiers import decode_identifier, encode_identifier, identifier
from hounsfield.dimse.negotiation import EXPLICIT, IMPLICIT
from hounsfield.dimse.receiving import ReceivedFile
from hounsfield.dimse.requestor import Peer
from hounsfield.dimse.retrieving import get
from hounsfield.dimse.services import PATIENT_ROOT, STUDY_ROOT, InformationModel
from hounsfield.errors import DimseError, LocationError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.http.limits import Limits
from hounsfield.server.provider.endpoint import endpoint

CT = "1.2.840.10008.5.1.4.1.1.2"
RLE = "1.2.840.10008.1.2.5"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Dimse]:
    with dimse_server(tmp_path / "archive") as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(PhantomSpec(slices=9, rows=64, columns=64), tmp_path_factory.mktemp("phantom"))


def asked(level: str, **keys: Any | list[str]) -> Any:
    return lambda syntax: encode_identifier(identifier(level, keys), syntax)


def found(
    server: Dimse, level: str, model: InformationModel = STUDY_ROOT, **keys: Any
) -> list[pydicom.Dataset]:
    return [
        decode_identifier(each.identifier, each.transfer_syntax)
        for each in find(server.peer(), model.find, asked(level, **keys))
    ]


def of(path: Path) -> str:
    return str(pydicom.dcmread(path).SOPInstanceUID)


# C-ECHO and who may ask.


def test_echoscu_is_answered_and_a_wrong_title_is_not(server: Dimse) -> None:
    skip_without_dcmtk()
    dcmtk("echoscu", "-aec", "HOUNSFIELD", "127.0.0.1", server.port)
    assert "Called AE Title Not Recognized" in dcmtk(
        "echoscu", "-aec", "OTHER", "127.0.0.1", server.port, check=False
    )


def test_only_named_peers_from_their_address_may_ask_elsewhere_than_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no peer is named"):
        endpoint("HOUNSFIELD", "10.0.0.2", 11112)
    made = endpoint("HOUNSFIELD", "10.0.0.2", 11112, peers=["CT1@127.0.0.1:104"])
    assert not made.everybody
    from hounsfield.dimse.pdus import AssociateRequest
    from hounsfield.server.provider.peers import Admission

    admission = Admission(made.title, made.named, made.everybody)
    request = AssociateRequest("HOUNSFIELD", "CT1", ())
    assert admission.refusal(request, "127.0.0.1") is None
    assert admission.refusal(request, "::ffff:127.0.0.1") is None
    assert admission.refusal(request, "127.0.0.2") is not None
    assert admission.refusal(AssociateRequest("HOUNSFIELD", "CT2", ()), "127.0.0.1") is not None
    assert admission.refusal(AssociateRequest("OTHER", "CT1", ()), "127.0.0.1") is not None
    for wrong in ("CT1", "CT1@host", "CT1@host:0", "@host:104", "A" * 17 + "@host:104"):
        with pytest.raises(LocationError, match="no DICOM peer"):
            endpoint("HOUNSFIELD", "10.0.0.2", 11112, peers=[wrong])


def test_tls_with_a_certificate_of_the_peer(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "server")
    theirs, their_key = certificate(tmp_path / "peer")
    with dimse_server(tmp_path / "archive", certificate=(str(cert), str(key)), ca=str(theirs)) as server:
        echo(server.peer(tls=Tls(ca=cert, certificate=theirs, key=their_key).client()))
        with pytest.raises(DimseError):
            echo(server.peer(tls=Tls(ca=cert).client()))
        with pytest.raises(DimseError):
            echo(server.peer())
        skip_without_dcmtk()
        dcmtk(
            "echoscu", "+tls", their_key, theirs, "+cf", cert, "-aec", "HOUNSFIELD", "127.0.0.1", server.port
        )


# C-STORE.


def test_storescu_and_dcmsend_store_what_they_have(server: Dimse, files: list[Path], tmp_path: Path) -> None:
    skip_without_dcmtk()
    store_with_dcmtk(server.port, "HOUNSFIELD", files[:5])
    dcmtk("dcmsend", "-aec", "HOUNSFIELD", "127.0.0.1", server.port, *files[5:])
    stored = server.stored()
    assert {uid: data_set(content) for uid, content in stored.items()} == {
        of(path): data_set(path.read_bytes()) for path in files
    }
    for content in stored.values():
        dataset = read(content)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert dataset.file_meta.TransferSyntaxUID == EXPLICIT
    [audited] = {line["to"][0] for line in server.audited() if line["did"] == "C-STORE /dimse"}
    assert audited == pydicom.dcmread(files[0]).StudyInstanceUID


@pytest.mark.parametrize("syntax", ["implicit", "explicit-big-endian", "deflated", "rle", "jpeg-ls"])
def test_any_accepted_syntax_is_stored_as_it_comes(server: Dimse, syntax: str) -> None:
    contents = instances(transfer_syntax=syntax)
    stored = list(store(server.peer(), map(sendable, contents), never))
    assert {each.kind for each in stored} == {"success"}, stored
    there = server.stored()
    for content in contents:
        assert data_set(there[uids(content)[2]]) == data_set(content)
        assert read(there[uids(content)[2]]).pixel_array.shape == (32, 32)


def test_the_same_again_is_a_success_and_other_bytes_are_refused(server: Dimse) -> None:
    content, *_ = instances()
    other = version(content, 1)
    for given, status in ((content, 0), (content, 0), (other, 0x0111), (content, 0)):
        [stored] = store(server.peer(), [sendable(given)], never)
        assert stored.status == status, stored
    [there] = server.stored().values()
    assert data_set(there) == data_set(content)


def test_what_came_by_stow_is_the_same_when_it_comes_by_c_store(server: Dimse) -> None:
    from hounsfield.server.ingest.upload import Upload

    content, *_ = instances()
    upload = Upload(server.archive, None)
    upload.instance([content])
    assert upload.finish().instances[0].kept
    for given, status in ((content, 0), (version(content, 1), 0x0111)):
        [stored] = store(server.peer(), [sendable(given)], never)
        assert stored.status == status
    assert list(server.stored().values()) == [content]


def test_replacing_where_the_server_replaces(tmp_path: Path) -> None:
    content, *_ = instances()
    with dimse_server(tmp_path / "archive", replace=True) as server:
        for number in range(3):
            [stored] = store(server.peer(), [sendable(version(content, number))], never)
            assert stored.status == 0
        [there] = server.stored().values()
        assert read(there).PatientName == "VERSION^2"


def test_what_does_not_fit_is_refused_with_its_status_and_nothing_is_kept(server: Dimse) -> None:
    content, *_ = instances()
    good = sendable(content)

    def changed(**other: Any) -> Sendable:
        values = {name: getattr(good, name) for name in Sendable.__slots__} | other
        return Sendable(**values)

    cut = data_set(content)[:-10]
    cases = [
        (changed(sop_instance="1.2.3"), 0xA900),
        (changed(data=lambda: [b"not DICOM at all, whatever it is"]), 0xC000),
        (changed(data=lambda: [cut]), 0xC000),
        (changed(data=lambda: [b""]), 0xC000),
    ]
    for given, status in cases:
        [stored] = store(server.peer(), [given], never)
        assert (stored.kind, stored.status) == ("failure", status), stored
        assert stored.reason
    assert server.stored() == {}
    assert not list((server.deployment.private / "incoming").iterdir())
    [stored] = store(server.peer(), [good], never)
    assert stored.status == 0


def test_too_large_an_instance_is_out_of_resources_and_read_past(tmp_path: Path) -> None:
    large, small = instances(slices=1, rows=512, columns=512)[0], instances(slices=1)[0]
    with dimse_server(tmp_path / "archive", limits=Limits(instance=100_000)) as server:
        stored = list(store(server.peer(), [sendable(large), sendable(small)], never))
        assert [each.status for each in stored] in ([0xA700, 0], [0xA700, 0xA900])
        assert stored[0].status == 0xA700


def test_a_full_disk_is_a700(server: Dimse, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from hounsfield.server.archive.store import incoming

    content, *_ = instances()
    original = incoming.os.fdatasync if hasattr(incoming, "os") else None
    if original is None:
        pytest.skip("the store syncs elsewhere")

    def full(descriptor: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(incoming.os, "fdatasync", full)
    monkeypatch.setattr(incoming.os, "fsync", full)
    [stored] = store(server.peer(), [sendable(content)], never)
    assert stored.status == 0xA700, stored
    monkeypatch.undo()
    assert server.stored() == {}
    [stored] = store(server.peer(), [sendable(content)], never)
    assert stored.status == 0


def test_a_meta_group_in_the_data_set_is_left_out(server: Dimse) -> None:
    content, *_ = instances()
    whole = sendable(content)
    given = Sendable("odd", whole.sop_class, whole.sop_instance, whole.transfer_syntax, lambda: [content])
    [stored] = store(server.peer(), [given], never)
    assert stored.status == 0
    assert [data_set(each) for each in server.stored().values()] == [data_set(content)]


def test_four_associations_at_once(server: Dimse) -> None:
    groups = [instances(slices=8, seed=seed) for seed in range(4)]
    outcomes: list[list[object]] = [[] for _ in groups]

    def run(number: int) -> None:
        outcomes[number] = [each.kind for each in store(server.peer(), map(sendable, groups[number]), never)]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [["success"] * 8] * 4
    assert len(server.stored()) == 32


def test_a_peer_that_vanishes_within_an_instance_leaves_nothing(server: Dimse) -> None:
    content, *_ = instances()
    given = sendable(content)

    def torn() -> Iterator[bytes]:
        yield data_set(content)[:1000]
        raise OSError("pulled out")

    broken = Sendable("torn", given.sop_class, given.sop_instance, given.transfer_syntax, torn)
    [stored] = store(server.peer(), [broken], never)
    assert stored.kind is None
    assert until(lambda: not list((server.deployment.private / "incoming").iterdir()))
    assert server.stored() == {}
    [stored] = store(server.peer(), [given], never)
    assert stored.status == 0


# C-FIND.


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dimse]:
    with dimse_server(tmp_path_factory.mktemp("searched")) as server:
        for number, name in enumerate(["ALPHA^ANNA", "BETA^BERT", "Müller^Jörg", "王^小东"]):
            for content in instances(slices=2, seed=number):
                dataset = read(content)
                dataset.SpecificCharacterSet = "ISO_IR 192"
                dataset.PatientName, dataset.PatientID = name, f"12{number}"
                dataset.StudyDate = f"2024010{number + 1}"
                stream = io.BytesIO()
                dataset.save_as(stream)
                [stored] = store(server.peer(), [sendable(stream.getvalue())], never)
                assert stored.status == 0
        yield server


def test_studies_are_found_by_every_kind_of_matching(searched: Dimse) -> None:
    def names(**keys: Any) -> list[str]:
        return sorted(
            str(each.PatientName) for each in found(searched, "STUDY", **{"PatientName": "", **keys})
        )

    assert len(names()) == 4
    assert names(PatientID="121") == ["BETA^BERT"]
    assert names(PatientID="12") == []
    assert names(PatientName="alpha*") == ["ALPHA^ANNA"]
    assert names(StudyDate="20240102-20240103") == ["BETA^BERT", "Müller^Jörg"]
    assert names(PatientID="12?") == names()
    assert names(ModalitiesInStudy="CT") == names()
    assert names(Modality="MR") == []
    assert names(StudyInstanceUID="1.2.3") == []


def test_an_answer_has_what_was_asked_for_in_the_peers_characters(searched: Dimse) -> None:
    [study] = found(searched, "STUDY", PatientID="122", PatientName="", StudyInstanceUID="", AccessionNumber="",
                    ModalitiesInStudy="", NumberOfStudyRelatedInstances="", PatientComments="")  # fmt: skip
    assert study.SpecificCharacterSet == "ISO_IR 192"
    assert (str(study.PatientName), study.ModalitiesInStudy) == ("Müller^Jörg", "CT")
    assert study.NumberOfStudyRelatedInstances == 2
    assert study.QueryRetrieveLevel == "STUDY"
    assert study.RetrieveAETitle == "HOUNSFIELD"
    assert "PatientComments" in study and not study.PatientComments
    latin = found(searched, "STUDY", SpecificCharacterSet="ISO_IR 100", PatientID="122", PatientName="")
    assert [(each.SpecificCharacterSet, str(each.PatientName)) for each in latin] == [
        ("ISO_IR 100", "Müller^Jörg")
    ]
    [chinese] = found(searched, "STUDY", SpecificCharacterSet="GB18030", PatientName="王*")
    assert (chinese.SpecificCharacterSet, str(chinese.PatientName)) == ("GB18030", "王^小东")
    [plain] = found(searched, "STUDY", PatientID="120", PatientName="")
    assert "SpecificCharacterSet" not in plain


def test_series_images_and_patients(searched: Dimse) -> None:
    [study] = found(searched, "STUDY", PatientID="121", StudyInstanceUID="")
    [series] = found(
        searched, "SERIES", StudyInstanceUID=str(study.StudyInstanceUID), SeriesInstanceUID="", Modality="CT"
    )
    images = found(
        searched,
        "IMAGE",
        StudyInstanceUID=str(study.StudyInstanceUID),
        SeriesInstanceUID=str(series.SeriesInstanceUID),
        SOPInstanceUID="",
        InstanceNumber="",
        SOPClassUID="",
        Rows="",
        PatientName="",
    )
    assert {each.SOPClassUID for each in images} == {CT}
    assert {(each.Rows, str(each.PatientName)) for each in images} == {(32, "BETA^BERT")}
    assert len({each.SOPInstanceUID for each in images}) == 2
    patients = found(searched, "PATIENT", PATIENT_ROOT, PatientID="", PatientName="")
    assert sorted(each.PatientID for each in patients) == ["120", "121", "122", "123"]
    assert not any(each.StudyInstanceUID for each in patients if "StudyInstanceUID" in each)


def test_a_key_that_is_not_matched_is_said_to_be_so(searched: Dimse) -> None:
    matches = list(find(searched.peer(), STUDY_ROOT.find, asked("STUDY", SOPClassUID="1.2", PatientID="120")))
    assert [each.unmatched for each in matches] == [True]
    with pytest.raises(DimseError, match="does not match SOP class"):
        list(find(searched.peer(), STUDY_ROOT.find, asked("PATIENT", PatientID="")))
    with pytest.raises(DimseError, match="does not match SOP class"):
        list(find(searched.peer(), STUDY_ROOT.find, asked("NONSENSE", PatientID="")))


def test_a_search_is_cancelled(searched: Dimse) -> None:
    assert len(list(find(searched.peer(), STUDY_ROOT.find, asked("STUDY", PatientID=""), limit=2))) == 2


def test_findscu_and_pynetdicom_read_the_answers(searched: Dimse) -> None:
    skip_without_dcmtk()
    out = dcmtk("findscu", "-S", "-aec", "HOUNSFIELD", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=BETA*",
                "-k", "StudyInstanceUID", "127.0.0.1", searched.port)  # fmt: skip
    assert "BETA^BERT" in out
    from pynetdicom import AE
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

    ae = AE("ME")
    ae.add_requested_context(Find)
    association = ae.associate("127.0.0.1", searched.port, ae_title="HOUNSFIELD")
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.PatientName, query.StudyInstanceUID = "STUDY", "", ""
    answers = [(status.Status, each) for status, each in association.send_c_find(query, Find)]
    association.release()
    assert [status for status, _ in answers] == [0xFF00] * 4 + [0]


# C-GET and C-MOVE.


@pytest.fixture
def filled(server: Dimse, files: list[Path]) -> Dimse:
    assert {
        each.kind for each in store(server.peer(), (sendable(path.read_bytes()) for path in files), never)
    } == {"success"}
    return server


def test_getscu_and_movescu_retrieve(tmp_path: Path, files: list[Path]) -> None:
    skip_without_dcmtk()
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    with running_storescp(tmp_path / "moved", title="WS") as port, dimse_server(
        tmp_path / "archive", peers=[f"WS@127.0.0.1:{port}"]
    ) as server:  # fmt: skip
        assert len(list(store(server.peer(), (sendable(path.read_bytes()) for path in files), never))) == 9
        (tmp_path / "got").mkdir()
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}", "127.0.0.1", server.port)
        dcmtk("getscu", "-S", "-aec", "HOUNSFIELD", "-od", tmp_path / "got", *keys)
        dcmtk("movescu", "-S", "-aec", "HOUNSFIELD", "-aem", "WS", *keys)
        for folder in ("got", "moved"):
            received = {of(path): data_set(path.read_bytes()) for path in (tmp_path / folder).iterdir()}
            assert received == {of(path): data_set(path.read_bytes()) for path in files}
        unknown = dcmtk("movescu", "-S", "-aec", "HOUNSFIELD", "-aem", "NOBODY", "-v", *keys, check=False)
        # DCMTK names the status or gives its number, by its version.
        assert "MoveDestinationUnknown" in unknown or "0xa801" in unknown.lower()
        did = [(line["did"], line["status"], line["to"]) for line in server.audited()]
        assert ("C-GET /dimse", 0, [study]) in did
        assert ("C-MOVE /dimse", 0, [study]) in did


def test_a_move_to_a_peer_that_is_down_fails_every_instance_and_says_so(
    tmp_path: Path, files: list[Path]
) -> None:
    skip_without_dcmtk()
    port = free_port()
    with dimse_server(tmp_path / "archive", peers=[f"WS@127.0.0.1:{port}"]) as server:
        assert len(list(store(server.peer(), (sendable(path.read_bytes()) for path in files), never))) == 9
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k",
                f"StudyInstanceUID={pydicom.dcmread(files[0]).StudyInstanceUID}")  # fmt: skip
        told = dcmtk("movescu", "-S", "-v", "-aec", "HOUNSFIELD", "-aem", "WS", *keys, "127.0.0.1", server.port,
                     check=False)  # fmt: skip
        # As above.
        assert "a702" in told.lower() or "OutOfResources" in told, told
        echo(server.peer())


def test_an_instance_is_converted_only_where_the_peer_does_not_take_it(server: Dimse, tmp_path: Path) -> None:
    contents = instances(transfer_syntax="rle", slices=3)
    plain = instances(slices=3)
    assert {each.kind for each in store(server.peer(), map(sendable, contents), never)} == {"success"}
    study = uids(contents[0])[0]
    for syntaxes, expected in (((EXPLICIT, RLE), RLE), ((IMPLICIT,), IMPLICIT)):
        numbers = itertools.count()
        folder = tmp_path / expected
        folder.mkdir()
        *received, end = get(
            server.peer(),
            STUDY_ROOT.get,
            asked("STUDY", StudyInstanceUID=study),
            lambda folder=folder, numbers=numbers: folder / str(next(numbers)),  # type: ignore[misc]
            sop_classes=[CT],
            syntaxes=syntaxes,
        )
        assert (end.status, end.completed) == (0, 3)
        assert {each.transfer_syntax for each in received if isinstance(each, ReceivedFile)} == {expected}
        pixels = {str(found.SOPInstanceUID): found.pixel_array.tobytes()
                  for found in (pydicom.dcmread(path) for path in folder.iterdir())}  # fmt: skip
        assert pixels == {uids(content)[2]: read(content).pixel_array.tobytes() for content in plain}


def test_what_fails_is_counted_and_listed(filled: Dimse, files: list[Path], tmp_path: Path) -> None:
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    lost, *_ = files
    stored = next(Path(filled.deployment.folder).rglob(f"{of(lost)}.dcm"))
    stored.write_bytes(b"x" * stored.stat().st_size)
    numbers = itertools.count()
    *received, end = get(
        filled.peer(),
        STUDY_ROOT.get,
        asked("STUDY", StudyInstanceUID=study),
        lambda: tmp_path / str(next(numbers)),
        sop_classes=[CT],
        syntaxes=[EXPLICIT],
    )
    from hounsfield.dimse.identifiers import failed_instances

    assert (end.status, end.completed, end.failed) == (0xB000, 8, 1)
    assert failed_instances(end.identifier, end.transfer_syntax) == [of(lost)]
    assert len(received) == 8


def test_pynetdicom_retrieves_one_instance_by_its_uid(filled: Dimse, files: list[Path]) -> None:
    from pynetdicom import AE, build_role, evt
    from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]
    from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet as Get  # type: ignore[attr-defined]

    received: list[str] = []

    def keep(event: Any) -> int:
        received.append(str(event.dataset.SOPInstanceUID))
        return 0

    ae = AE("ME")
    ae.add_requested_context(Get)
    ae.add_requested_context(CTImageStorage)
    roles = [build_role(CTImageStorage, scp_role=True)]
    association = ae.associate(
        "127.0.0.1",
        filled.port,
        ae_title="HOUNSFIELD",
        ext_neg=roles,  # type: ignore[arg-type]
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.SOPInstanceUID = "IMAGE", of(files[3])
    statuses = [status.Status for status, _ in association.send_c_get(query, Get)]
    association.release()
    assert statuses[-1] == 0
    assert received == [of(files[3])]


# Storage commitment.


def commitment(references: list[tuple[str, str]]) -> pydicom.Dataset:
    request = pydicom.Dataset()
    request.TransactionUID = "2.25.1"
    request.ReferencedSOPSequence = []
    for sop_class, instance in references:
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        request.ReferencedSOPSequence.append(item)
    return request


def committed(server: Dimse, request: pydicom.Dataset, title: str, reports: list[pydicom.Dataset]) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StorageCommitmentPushModel as Push  # type: ignore[attr-defined]
    from pynetdicom.sop_class import StorageCommitmentPushModelInstance as Well

    def reported(event: Any) -> tuple[int, None]:
        reports.append(event.event_information)
        return 0, None

    ae = AE(title)
    ae.add_requested_context(Push)
    association = ae.associate(
        "127.0.0.1", server.port, ae_title="HOUNSFIELD", evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)]
    )
    assert association.is_established
    status, _ = association.send_n_action(request, 1, Push, Well)
    assert status.Status == 0
    if title == "ME":
        assert until(lambda: reports)
    association.release()


def test_commitment_over_the_same_association(filled: Dimse, files: list[Path]) -> None:
    reports: list[pydicom.Dataset] = []
    references = [(CT, of(files[0])), (CT, "1.2.3"), ("1.2.840.10008.5.1.4.1.1.4", of(files[1]))]
    committed(filled, commitment(references), "ME", reports)
    [report] = reports
    assert report.TransactionUID == "2.25.1"
    assert [each.ReferencedSOPInstanceUID for each in report.ReferencedSOPSequence] == [of(files[0])]
    assert [(each.ReferencedSOPInstanceUID, each.FailureReason) for each in report.FailedSOPSequence] == [
        ("1.2.3", 0x0112),
        (of(files[1]), 0x0119),
    ]


def test_a_named_peer_gets_its_commitment_over_an_association_of_its_own(
    tmp_path: Path, files: list[Path]
) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StorageCommitmentPushModel as Push  # type: ignore[attr-defined]

    reports: list[pydicom.Dataset] = []
    types: list[int] = []

    def reported(event: Any) -> tuple[int, None]:
        types.append(event.event_type)
        reports.append(event.event_information)
        return 0, None

    ae = AE("CT1")
    ae.add_supported_context(Push, scu_role=True, scp_role=True)
    port = free_port()
    listening = ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)]
    )
    try:
        with dimse_server(tmp_path / "archive", peers=[f"CT1@127.0.0.1:{port}"]) as server:
            contents = [path.read_bytes() for path in files[:2]]
            assert len(list(store(server.peer(), map(sendable, contents), never))) == 2
            committed(server, commitment([(CT, of(path)) for path in files[:2]]), "CT1", [])
            assert until(lambda: reports)
    finally:
        listening.shutdown()
    assert types == [1]
    assert len(reports[0].ReferencedSOPSequence) == 2
    assert "FailedSOPSequence" not in reports[0]


# The command.


def test_the_command_speaks_dimse_too(tmp_path: Path, files: list[Path]) -> None:
    import re
    import subprocess
    import sys

    skip_without_dcmtk()
    command = [sys.executable, "-m", "hounsfield", "serve", str(tmp_path / "archive"), "--port", "0",
               "--dicom-port", "0", "--ae-title", "ARCHIVE", "--workers", "2"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            port = int(re.fullmatch(r"DIMSE at dicom://ARCHIVE@127\.0\.0\.1:(\d+)\n", first)[1])  # type: ignore[index]
            url = second.removeprefix("DICOMweb at ").strip()
            store_with_dcmtk(port, "ARCHIVE", files)
            with client(url) as http:
                assert len(http.get("/instances", timeout=120).json()) == len(files)
                metrics = http.get("/metrics", timeout=120).text
            assert 'method="C-STORE",route="/dimse",status="0"} 9' in metrics
        finally:
            process.terminate()
            assert process.wait(30) is not None


def test_a_peer_with_our_client_sees_an_archive(filled: Dimse) -> None:
    echo(Peer("127.0.0.1", filled.port, "HOUNSFIELD"))


def test_limits_of_associations_are_options_of_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from hounsfield.cli import main
    from hounsfield.server import supervisor

    given = []
    monkeypatch.setattr(supervisor, "serve", lambda *_, dimse, **__: given.append(dimse))
    options = ["--dicom-associations", "3", "--dicom-pdu", "16384", "--dicom-idle", "2.5"]
    for more in (options, []):
        done = CliRunner().invoke(main, ["serve", str(tmp_path / "a"), "--dicom-port", "0", *more])
        assert done.exit_code == 0, done.output
    assert given[0].limits == AssociationLimits(associations=3, max_pdu=16384, idle=2.5)
    assert given[1].limits == AssociationLimits()
    assert CliRunner().invoke(main, ["serve", str(tmp_path / "a"), "--dicom-pdu", "10"]).exit_code == 2


def test_limits_of_associations_hold(tmp_path: Path) -> None:
    from pynetdicom import AE

    from hounsfield.server.deployment import Deployment
    from hounsfield.server.supervisor import answering

    deployment = Deployment(str(tmp_path / "archive"))
    archive = deployment.open(first=True)
    limits = AssociationLimits(associations=1, max_pdu=16384, idle=0.5)
    try:
        made = endpoint("HOUNSFIELD", "127.0.0.1", 0, limits=limits)
        with answering(deployment.state(archive), made) as provider:
            ae = AE("ME")
            ae.add_requested_context("1.2.840.10008.1.1")
            first = ae.associate("127.0.0.1", int(provider.address.rpartition(":")[2]), ae_title="HOUNSFIELD")
            assert first.is_established and first.acceptor.maximum_length == 16384
            second = ae.associate(
                "127.0.0.1", int(provider.address.rpartition(":")[2]), ae_title="HOUNSFIELD"
            )
            assert second.is_rejected
            assert until(lambda: first.is_aborted or first.is_released, 20)
    finally:
        deployment.close(archive)
