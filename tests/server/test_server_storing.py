"""Stores over HTTP: every instance gets its own answer, and what is acknowledged lies on the disk, whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from httpx2._models import Response
from server_support import AS_STORED, STOW, Running, body, instances, parts_of, path_of, running, uids

from hounsfield.ct.instance import Skipped
from hounsfield.dicomweb.store_results import StoreResult, parse_store_result
from hounsfield.locations import open_location
from hounsfield.server.archive.archive import IN_ARCHIVE
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest.watched_folders import WatchedFolders


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def result(answer: Response, *asked: Any) -> StoreResult:
    return parse_store_result(answer.status_code, answer.headers["content-type"], answer.content, asked)


def files(server: Running) -> list[Any]:
    return sorted(path for path in server.archive.store.root.rglob("*.dcm"))  # type: ignore[attr-defined]


def test_stored_files_are_plain_dicom_at_study_series_instance(server: Running) -> None:
    contents = instances()
    answer = server.store(contents)
    assert answer.status_code == 200
    told = result(answer, *(uids(each)[2] for each in contents))
    assert told.complete and len(told.instances) == len(contents)
    study, series, instance = uids(contents[0])
    assert (server.archive.store.root / study / series / f"{instance}.dcm").read_bytes() == contents[0]  # type: ignore[attr-defined]
    assert len(files(server)) == len(contents)
    assert not list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]
    assert told.instances[0].url == f"{server.url}{path_of(contents[0])}"


def test_the_same_bytes_again_are_a_success_and_change_nothing(server: Running) -> None:
    contents = instances()
    server.store(contents)
    before = {path: path.stat().st_mtime_ns for path in files(server)}
    assert server.store(contents).status_code == 200
    assert {path: path.stat().st_mtime_ns for path in files(server)} == before
    assert server.archive.index.totals() == (1, 1, len(contents))


def test_other_bytes_under_a_known_uid_are_refused_with_a_reason_and_the_first_stay(server: Running) -> None:
    contents = instances()
    server.store(contents)
    changed = _with(contents[0], PatientID="SOMEBODY ELSE")
    answer = server.store([changed, contents[1]])
    assert answer.status_code == 202
    told = result(answer, uids(contents[0])[2], uids(contents[1])[2])
    assert [each.outcome for each in told.instances] == ["refused", "stored"]
    assert told.instances[0].code == 0x0111 and "other content" in told.instances[0].reason
    assert parts_of(server.get(path_of(contents[0]), AS_STORED))[0][1] == contents[0]


def test_other_bytes_replace_the_first_where_that_is_the_policy(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path, replace=True) as server:
        server.store(contents)
        changed = _with(contents[0], SeriesDescription="Changed", InstanceNumber=77)
        assert server.store([changed]).status_code == 200
        assert parts_of(server.get(path_of(contents[0]), AS_STORED))[0][1] == changed
        (model,) = server.get(path_of(contents[0]) + "/metadata").json()
        assert model["00200013"]["Value"] == [77]
        assert server.archive.index.totals() == (1, 1, len(contents))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: content[: len(content) // 2], "missing"),
        (lambda content: content[:-1], "missing"),
        (lambda content: b"\0" * 500, "DICM"),
        (lambda content: content[:200], ""),
        (lambda content: b"", "DICM"),
        (lambda content: _with(content, SOPInstanceUID="../../etc"), "SOP Instance UID"),
        (lambda content: _with(content, StudyInstanceUID=""), "Study Instance UID"),
        (lambda content: _with(content, SOPClassUID=""), "SOP Class"),
    ],
    ids=[
        "cut in half",
        "cut by a byte",
        "zeros",
        "header cut",
        "empty",
        "path as UID",
        "no study",
        "no class",
    ],
)
def test_a_bad_instance_is_refused_and_its_neighbours_are_stored(
    server: Running, spoil: Any, words: str
) -> None:
    contents = instances()
    answer = server.store([contents[0], spoil(contents[1]), contents[2]])
    assert answer.status_code == 202
    told = result(answer, uids(contents[0])[2], uids(contents[2])[2])
    reasons = [each.reason for each in told.having("refused")] + list(told.other_failures)
    assert len(reasons) == 1 and words in reasons[0]
    assert len(files(server)) == 2
    assert not list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]


def test_nothing_but_bad_instances_is_409(server: Running) -> None:
    assert server.store([b"nonsense", b"rubbish"]).status_code == 409


def test_a_truncated_compressed_instance_is_refused(server: Running) -> None:
    (content, *_) = instances(transfer_syntax="jpeg-ls")
    assert server.store([content[:-9]]).status_code == 409
    assert server.store([content]).status_code == 200


def test_an_instance_of_another_study_than_the_url_is_refused(server: Running) -> None:
    contents = instances()
    answer = server.store(contents, path="/studies/1.2.3")
    assert answer.status_code == 409
    assert {each.code for each in result(answer).instances} == {0xA900}
    assert server.store(contents, path=path_of(contents[0], "study")).status_code == 200


def test_one_instance_may_be_the_whole_body(server: Running) -> None:
    content = instances()[0]
    answer = server.http.post("/studies", content=content, headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200
    assert len(files(server)) == 1


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/zip"}, b"PK", 415),
        ({"Content-Type": 'multipart/related; type="application/pdf"; boundary=b'}, b"", 415),
        ({"Content-Type": STOW}, b"", 400),
        ({"Content-Type": STOW}, b"no multipart at all", 400),
        ({"Content-Type": STOW}, b"--b\r\n\r\nDICM", 400),
        ({"Content-Type": STOW}, b"--b--\r\n", 400),
        ({"Content-Type": "nonsense"}, b"x", 400),
        ({"Content-Type": STOW, "Accept": "image/png"}, b"--b--\r\n", 406),
    ],
)
def test_bodies_that_are_none_are_refused_whole(
    server: Running, headers: dict[str, str], content: bytes, status: int
) -> None:
    assert server.http.post("/studies", content=content, headers=headers).status_code == status
    assert files(server) == []
    assert not list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]


def test_the_answer_is_xml_for_who_asks(server: Running) -> None:
    contents = instances()
    answer = server.store(contents, Accept="application/dicom+xml")
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert result(answer, *(uids(each)[2] for each in contents)).complete


def test_limits_hold(tmp_path: Path) -> None:
    contents = instances()
    limits = Limits(body=2 * len(contents[0]), parts=100, instance=1 << 30)
    with running(tmp_path / "one", limits=limits) as server:
        assert server.store(contents).status_code == 413
        assert files(server) == []
    with running(tmp_path / "two", limits=Limits(instance=1000)) as server:
        assert server.store(contents).status_code == 409
    with running(tmp_path / "three", limits=Limits(parts=2)) as server:
        assert server.store(contents).status_code == 413


def test_a_stored_encoding_does_not_matter(server: Running) -> None:
    for keyword in ("implicit", "explicit-big-endian", "deflated", "rle", "jpeg-ls"):
        contents = instances(transfer_syntax=keyword, seed=hash(keyword) % 1000)
        assert server.store(contents).status_code == 200, keyword
        models = server.get(path_of(contents[0], "series") + "/metadata").json()
        assert len(models) == len(contents)


def test_a_study_of_several_series_is_counted(server: Running) -> None:
    server.store(instances(series_number=1) + instances(series_number=2))
    (study,) = server.get("/studies?includefield=all").json()
    assert study["00201206"]["Value"] == [2] and study["00201208"]["Value"] == [6]
    assert study["00080061"]["Value"] == ["CT"]


def test_removal_is_off_unless_the_server_was_started_with_it(server: Running) -> None:
    contents = instances()
    server.store(contents)
    assert server.http.delete(path_of(contents[0])).status_code == 403
    assert len(files(server)) == len(contents)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_removal_is_from_index_and_disk(tmp_path: Path, level: str) -> None:
    contents = instances()
    with running(tmp_path, deletes=True) as server:
        server.store(contents)
        assert server.http.delete(path_of(contents[0], level)).status_code == 204
        assert server.get(path_of(contents[0], level)).status_code == 404
        left = len(contents) - 1 if level == "instance" else 0
        assert len(files(server)) == left
        assert server.archive.index.totals() == ((1, 1, left) if left else (0, 0, 0))
        assert server.http.delete(path_of(contents[0], level)).status_code == 404
        assert server.store(contents).status_code == 200


def test_folders_are_indexed_where_they_lie_and_followed(tmp_path: Path) -> None:
    contents = instances()
    outside = tmp_path / "outside"
    outside.mkdir()
    for number, content in enumerate(contents[:2]):
        (outside / f"I{number}").write_bytes(content)
    (outside / "notes.txt").write_text("no DICOM")
    with running(tmp_path / "archive", deletes=True) as server:
        adopted = WatchedFolders(server.archive, tmp_path / "folders.json")
        adopted.add([outside])
        adopted.look(settled=True)
        assert parts_of(server.get(path_of(contents[0]), AS_STORED))[0][1] == contents[0]
        assert files(server) == []
        assert server.http.delete(path_of(contents[0])).status_code == 409
        (outside / "I2").write_bytes(contents[2])
        (outside / "I0").unlink()
        adopted.look()
        assert server.get(path_of(contents[2])).status_code == 404  # it may still be growing
        assert server.get(path_of(contents[0])).status_code == 404
        adopted.look()
        assert server.get(path_of(contents[2])).status_code == 200


def test_what_cannot_be_indexed_in_place_is_told_once_and_a_link_above_a_folder_is_followed(
    tmp_path: Path,
) -> None:
    contents = instances()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "I0").write_bytes(contents[0])
    (tmp_path / "link").symlink_to(outside)
    with zipfile.ZipFile(outside / "more.zip", "w") as archive:
        archive.writestr("I1", contents[1])
        archive.writestr("I2", contents[2])
    with running(tmp_path / "archive", deletes=True) as server:
        adopted = WatchedFolders(server.archive, tmp_path / "folders.json")
        adopted.add([tmp_path / "link"])
        assert adopted.look(settled=True) == [Skipped(str(outside / "more.zip"), IN_ARCHIVE)]
        assert adopted.look(settled=True) == []
        assert server.get(path_of(contents[0])).status_code == 200
    with running(tmp_path / "another") as server:
        skipped = server.archive.adopt(open_location(tmp_path / "link").sources())
        assert {each.reason for each in skipped} == {IN_ARCHIVE}
        assert parts_of(server.get(path_of(contents[0]), AS_STORED))[0][1] == contents[0]


def _with(content: bytes, **elements: Any) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    with pytest.warns() if "../" in str(elements) else __import__("contextlib").nullcontext():
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    if "SOPInstanceUID" in elements:
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"  # type: ignore[assignment]
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    return out.getvalue()


def test_the_body_is_written_in_pieces_of_any_size(server: Running) -> None:
    from hounsfield.dicomweb.media_types import MediaType
    from hounsfield.server.ingest.upload import Upload

    contents = instances()
    whole = body(contents)
    upload = Upload(server.archive, MediaType.parse(STOW))
    for start in range(0, len(whole), 7):
        upload.feed([whole[start : start + 7]])
    assert upload.finish().complete
    assert [path.read_bytes() for path in files(server)] == sorted(contents, key=path_of)


def test_explicit_data_under_an_implicit_syntax_are_refused_with_the_true_reason(server: Running) -> None:
    content = instances(slices=1)[0]
    assert content.count(b"1.2.840.10008.1.2.1\0") == 1
    # The same length, so that the file meta group stays whole.
    mislabelled = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")
    answer = server.store([mislabelled])
    assert answer.status_code == 409
    assert "Explicit VR" in answer.text and "Implicit VR Little Endian" in answer.text
    assert server.store([content]).status_code == 200
