"""`serve --deidentified`: the same archive seen through `deidentify`; every byte that it sends is searched."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pydicom
import pytest
from server_support import (
    AS_STORED,
    STOW,
    Running,
    body,
    client,
    instances,
    parts_of,
    path_of,
    running,
    served,
    start,
    uids,
)

from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.app import make_app
from hounsfield.server.archive.deidentified_library import DeidentifiedLibrary
from hounsfield.server.state import AppState
from hounsfield.verbs.deidentify import Profile, Pseudonyms, deidentify_object

KEY = b"a key of more than sixteen bytes"
SECRETS = (
    "Zyxwvut",
    "Johannes",
    "MRN0007788123",
    "ACC4455667",
    "Klinikum",
    "Mustermann",
    "19610523",
    "20240229",
)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
TAGS = {
    "PatientName": "Zyxwvut^Johannes",
    "PatientID": "MRN0007788123",
    "AccessionNumber": "ACC4455667",
    "InstitutionName": "Klinikum Nord",
    "ReferringPhysicianName": "Mustermann^Eva",
    "PatientBirthDate": "19610523",
    "StudyDate": "20240229",
    "SeriesDescription": "Thorax Zyxwvut",
    "ImageComments": "for Johannes",
}


def _known(content: bytes, **others: str) -> bytes:
    """The instance with all that names somebody."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, value in {**TAGS, **others}.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _contents() -> list[bytes]:
    plain = [_known(each) for each in instances(slices=3)]
    coded = [_known(each) for each in instances(slices=2, seed=5, transfer_syntax="jpeg-ls")]
    capture = {
        "SOPInstanceUID": "1.2.333.4",
        "SeriesInstanceUID": "1.2.333.5",
        "SOPClassUID": SECONDARY_CAPTURE,
    }
    return [*plain, *coded, _known(plain[0], **capture)]


@dataclass
class Shown:
    """The archive itself, and the server that shows it de-identified."""

    archive: Running
    contents: list[bytes]
    http: httpx2.Client
    library: DeidentifiedLibrary

    def get(self, path: str, accept: str = "*/*") -> httpx2.Response:
        return self.http.get(path, headers={"Accept": accept})


@contextlib.contextmanager
def _shown(folder: Path) -> Iterator[Shown]:
    contents = _contents()
    with running(folder) as archive:
        assert archive.store(contents).status_code == 200
        library = DeidentifiedLibrary(archive.archive, Profile(), Pseudonyms(KEY))
        try:
            with served(make_app(AppState(library))) as url, client(url + "/dicom-web") as http:
                yield Shown(archive, contents, http, library)
        finally:
            library.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with _shown(tmp_path_factory.mktemp("archive")) as found:
        yield found


def _secrets(contents: list[bytes]) -> list[str]:
    own = {uid for content in contents for uid in uids(content)}
    frames = {
        str(pydicom.dcmread(io.BytesIO(content)).get("FrameOfReferenceUID", "")) for content in contents
    }
    return [*SECRETS, *own, *filter(None, frames)]


def _searched(answer: httpx2.Response, secrets: list[str], what: str) -> None:
    """Nothing of the secrets is in an answer: head, body, what a ZIP holds, in 8 and 16 bits a character."""
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
    bodies = [head, answer.content]
    if answer.headers.get("content-type") == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            bodies += [name.encode() for name in archive.namelist()]
            bodies += [archive.read(name) for name in archive.namelist()]
    if answer.content.startswith(b"\x1f\x8b"):
        bodies.append(gzip.decompress(answer.content))
    looked_for = [secret.lower().encode(coding) for secret in secrets for coding in ("ascii", "utf-16-le")]
    for sent in bodies:
        lower = sent.lower()
        for secret in looked_for:
            assert secret not in lower, f"{secret!r} in {what}"


ANY, XML = "*/*", 'multipart/related; type="application/dicom+xml"'
SEARCHES = ("/studies?includefield=all", "/series?includefield=all", "/instances?includefield=all")
SERVICE = ("/capabilities", "/openapi.json", "/health", "/ready", "/metrics")
OF_A_SERIES = (
    "info",
    "plausibility",
    "slices/0",
    "slices/0?encoding=gzip",
    "volume?format=nifti",
    "volume?format=nrrd",
)
OF_AN_INSTANCE = ("frames/1", "frames/1/rendered", "tags", "bulkdata/7FE00010")


def _resources(shown: Shown) -> Iterator[tuple[str, str]]:
    """Every resource with every form of it."""
    yield from ((path, ANY) for path in (*SEARCHES, *SERVICE))
    yield from ((path, XML) for path in SEARCHES)
    one_of_each = {model["0020000E"]["Value"][0]: model for model in shown.get("/instances").json()}
    for model in one_of_each.values():
        study, series, instance = (model[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        of_study = f"/studies/{study}"
        of_series = f"{of_study}/series/{series}"
        of_instance = f"{of_series}/instances/{instance}"
        for level in (of_study, of_series, of_instance):
            for accept in (AS_STORED, 'multipart/related; type="application/dicom"', "application/zip"):
                yield level, accept
            yield f"{level}?dicomdir=true", "application/zip"
            for what in ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata"):
                yield f"{level}/{what}", ANY
            yield f"{level}/metadata", XML
            yield f"{level}/rendered", 'multipart/related; type="image/png"'
        yield f"{of_study}/series?includefield=all", ANY
        yield f"{of_series}/instances?includefield=all", ANY
        yield from ((f"{of_series}/{what}", ANY) for what in OF_A_SERIES)
        yield from ((f"{of_instance}/{what}", ANY) for what in OF_AN_INSTANCE)
        query = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        yield from ((f"{query}{what}", ANY) for what in ("", "&contentType=application/dicom"))


def test_no_byte_of_any_answer_tells_whose_it_is(shown: Shown) -> None:
    secrets = _secrets(shown.contents)
    asked = dict.fromkeys(_resources(shown))
    assert len(asked) > 80
    for path, accept in asked:
        answer = shown.get(path, accept)
        assert answer.status_code in {200, 206}, (path, accept, answer.text[:200])
        assert answer.content
        _searched(answer, secrets, f"{path} {accept}")


def test_errors_tell_nothing_either(shown: Shown) -> None:
    study, series, instance = uids(shown.contents[0])
    asked = (
        f"/studies/{study}",
        f"/studies/{study}/metadata",
        f"/studies/{study}/series/{series}/instances/{instance}/frames/1",
    )
    for path in asked:
        answer = shown.get(path)
        assert answer.status_code == 404
        _searched(answer, _secrets(shown.contents), path)
    assert shown.get(f"/studies?StudyInstanceUID={study}").json() == []
    assert shown.get("/studies?PatientName=Zyxwvut*").json() == []
    assert shown.get("/studies?PatientID=MRN0007788123").json() == []


def test_instances_are_what_deidentify_makes_of_them(shown: Shown) -> None:
    pseudonyms = Pseudonyms(KEY)
    made = [deidentify_object(BytesSource("x", content), Profile(), pseudonyms) for content in shown.contents]
    assert [bool(each.reason) for each in made] == [False] * 5 + [True]  # a Secondary Capture may show a name
    got = []
    for model in shown.get("/studies").json():
        got += [
            content
            for _, content in parts_of(shown.get(f"/studies/{model['0020000D']['Value'][0]}", AS_STORED))
        ]
    assert sorted(got) == sorted(each.content for each in made if not each.reason)
    assert shown.library.left_out == 1
    for each in made[:5]:
        alone = shown.get(f"/studies/{each.study}/series/{each.series}/instances/{each.instance}", AS_STORED)
        assert [content for _, content in parts_of(alone)] == [each.content]


def test_pictures_and_values_are_those_of_the_archive(shown: Shown) -> None:
    original = path_of(shown.contents[0])
    new = deidentify_object(BytesSource("x", shown.contents[0]), Profile(), Pseudonyms(KEY))
    path = f"/studies/{new.study}/series/{new.series}/instances/{new.instance}"
    assert (
        shown.get(f"{path}/frames/1").content.split(b"\r\n\r\n", 1)[1][:512]
        == (shown.archive.get(f"{original}/frames/1").content.split(b"\r\n\r\n", 1)[1][:512])
    )
    assert shown.get(f"{path}/rendered?window=40,400,linear", "image/png").content == (
        shown.archive.get(f"{original}/rendered?window=40,400,linear", "image/png").content
    )


def test_nothing_is_stored_or_removed_through_it(shown: Shown) -> None:
    answer = shown.http.post("/studies", content=b"", headers={"Content-Type": "application/dicom"})
    assert answer.status_code in {404, 405}
    study = shown.get("/studies").json()[0]["0020000D"]["Value"][0]
    assert shown.http.delete(f"/studies/{study}").status_code in {404, 405}
    assert shown.get("/capabilities").json() == {"name": "de-identified", "store": False, "delete": False}


def test_what_comes_later_appears_and_what_goes_disappears(tmp_path: Path) -> None:
    with _shown(tmp_path / "archive") as shown:
        before = {model["0020000D"]["Value"][0] for model in shown.get("/studies").json()}
        later = [_known(each) for each in instances(slices=1, seed=77)]
        shown.archive.store(later)
        models = shown.get("/studies").json()
        new = {model["0020000D"]["Value"][0] for model in models} - before
        assert len(new) == 1
        assert len({model["00100020"]["Value"][0] for model in models}) == 1  # one patient, one pseudonym
        shown.archive.archive.remove(Resource("", uids(later[0])[0]))
        assert {model["0020000D"]["Value"][0] for model in shown.get("/studies").json()} == before
        assert shown.get(f"/studies/{new.pop()}").status_code == 404


def test_the_command_shows_the_archive_beside_its_server(tmp_path: Path) -> None:
    folder, key = tmp_path / "archive", tmp_path / "key"
    contents = _contents()
    key.write_bytes(KEY)
    plain = start(str(folder), "--workers", "1")
    try:
        with client(plain.url) as http:
            assert (
                http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code
                == 200
            )
        shown = start(str(folder), "--deidentified", "--key", str(key))
        try:
            with client(shown.url) as http:
                answer = http.get("/studies?includefield=all")
                _searched(answer, _secrets(contents), "the command")
                made = deidentify_object(BytesSource("x", contents[0]), Profile(), Pseudonyms(KEY))
                assert made.study in {model["0020000D"]["Value"][0] for model in json.loads(answer.content)}
        finally:
            shown.kill()
    finally:
        plain.kill()


def test_what_does_not_go_with_it_is_refused(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hounsfield.cli import main

    for options in (["--dicom-port", "0"], ["--allow-delete"], ["--watch", str(tmp_path)], ["--reindex"]):
        done = CliRunner().invoke(main, ["serve", str(tmp_path / "a"), "--deidentified", *options])
        assert done.exit_code == 2 and options[0] in done.output
    done = CliRunner().invoke(main, ["serve", str(tmp_path / "a"), "--dates", "shift"])
    assert done.exit_code == 2 and "--deidentified" in done.output
