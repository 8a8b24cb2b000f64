"""Searches, on a server and in a folder alike."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from orthanc import running_orthanc, skip_without_orthanc
from stub_archive import StubArchive, stub_archive

from hounsfield.cli import main
from hounsfield.client import Client
from hounsfield.ct.instance import FileSource, Skipped, read_instance
from hounsfield.dicomweb.attributes import values
from hounsfield.dicomweb.dicom_json import from_dataset
from hounsfield.errors import DicomwebError, SelectionError
from hounsfield.locations import open_location
from hounsfield.phantom import PhantomSpec, write
from hounsfield.verbs.find import FIELDS, Found, date_range, find


@pytest.fixture(autouse=True)
def no_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write(PhantomSpec(rows=16, columns=16, slices=3), folder / "one")
    write(PhantomSpec(rows=16, columns=16, slices=2, seed=7), folder / "two")
    (folder / "two" / "notes.txt").write_text("no dicom")
    return folder


@pytest.fixture
def archive(folder: Path) -> Iterator[StubArchive]:
    with stub_archive(path.read_bytes() for path in sorted(folder.rglob("*.dcm"))) as archive:
        yield archive


def names(found: Iterator[Found], keyword: str = "SOPInstanceUID") -> list[str]:
    return sorted(each.value(keyword) for each in found)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_folder_and_a_server_hold_the_same(archive: StubArchive, folder: Path, level: str) -> None:
    keyword = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}[
        level
    ]
    ours, theirs = list(find(archive.url, level=level)), list(find(folder, level=level))  # type: ignore[arg-type]
    assert names(ours, keyword) == names(theirs, keyword)  # type: ignore[arg-type]
    for each in (*ours, *theirs):
        inside = list(find(each.address, level=level))  # type: ignore[arg-type]
        assert [one.value(keyword) for one in inside] == [each.value(keyword)]
        assert not [item for item in open_location(each.address).sources() if isinstance(item, Skipped)]


def test_addresses_in_archives_and_of_studies_beside_others_are_locations_of_that_alone(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("a/1", "a/2", "b"):
        (tmp_path / "all" / name).mkdir(parents=True)
    one = sorted((folder / "one").rglob("*.dcm"))
    for place, path in zip(("a/1", "a/2", "a/2"), one, strict=False):
        shutil.copy(path, tmp_path / "all" / place)
    with zipfile.ZipFile(tmp_path / "all" / "b" / "two.zip", "w") as packed:
        for path in (folder / "two").rglob("*.dcm"):
            packed.write(path, f"deep/er/{path.name}")
    for level in ("study", "series", "instance"):
        addresses = {each.address for each in find(tmp_path / "all", level=level)}
        assert all(Path(address).exists() for address in addresses)
        assert str(tmp_path / "all" / "b" / "two.zip") in addresses
        assert level == "instance" or str(tmp_path / "all" / "a") in addresses


def test_files_are_counted_and_what_is_none_is_told(folder: Path) -> None:
    skipped: list[Skipped] = []
    found = list(find(folder, skipped=skipped))
    assert sorted(each.value("NumberOfStudyRelatedInstances") for each in found) == ["2", "3"]
    assert [each.value("ModalitiesInStudy") for each in found] == ["CT", "CT"]
    assert [Path(each.name).name for each in skipped] == ["notes.txt"]


def test_files_match_by_every_kind_of_matching(folder: Path) -> None:
    uid = next(find(folder)).value("StudyInstanceUID")
    assert len(list(find(folder, filters={"StudyInstanceUID": [uid, "1.2"]}))) == 1
    assert len(list(find(folder, filters={"Modality": "MR,CT"}))) == 2
    assert len(list(find(folder, filters={"Modality": "MR"}))) == 0
    assert len(list(find(folder, level="instance", filters={"InstanceNumber": "1"}))) == 2
    assert len(list(find(folder, level="instance", limit=3))) == 3
    with pytest.raises(DicomwebError):
        list(find(folder, filters={"NoSuchThing": "1"}))


def test_a_server_that_searches_no_series_across_studies_is_searched_study_by_study(
    archive: StubArchive,
) -> None:
    def fault(exchange: Any) -> bool:
        if exchange.path == "/dicom-web/series":
            exchange.answer(400, b"not supported")
            return True
        return False

    archive.fault = fault
    assert len(list(find(archive.url, level="series"))) == 2


def test_a_server_s_warnings_are_passed_on() -> None:
    def fault(exchange: Any) -> bool:
        exchange.json([], Warning='299 stub: "fuzzymatching is not supported"')
        return True

    told: list[str] = []
    with stub_archive(fault=fault) as archive:
        assert list(find(archive.url, fuzzy=True, warn=told.append)) == []
    assert told == ["fuzzymatching is not supported"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05", "20240305"),
        ("20240305", "20240305"),
        ("2024-02", "20240201-20240229"),
        ("2023", "20230101-20231231"),
        ("2024-01..2024-03", "20240101-20240331"),
        ("2024-01-05..", "20240105-"),
        ("..2023", "-20231231"),
        ("20240101-20240105", "20240101-20240105"),
        ("20240101-", "20240101-"),
    ],
)
def test_dates_as_people_write_them(text: str, expected: str) -> None:
    assert date_range(text) == expected


@pytest.mark.parametrize(
    "text", ["soon", "2024-13", "2024-02-30", "24", "2024-1", "0000", "1..2", "2024-02..2024-01"]
)
def test_what_is_no_date_is_an_error(text: str) -> None:
    with pytest.raises(SelectionError):
        date_range(text)


def test_the_command_prints_tables_json_and_csv(archive: StubArchive, folder: Path) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["find", *arguments])

    assert run(str(folder), "--csv", "--json").exit_code == 2
    assert "1 file is no instance" in run(str(folder)).stderr
    for place in (archive.url, str(folder)):
        rows = json.loads(run(place, "--json").stdout)
        assert len(rows) == 2
        assert all(row["location"] for row in rows)
        table = list(
            csv.DictReader(io.StringIO(run(place, "--csv", "--level", "series", "--fields", "KVP").stdout))
        )
        assert {row["Modality"] for row in table} == {"CT"}
        assert "KVP" in table[0]
        shown = run(place)
        assert shown.exit_code == 0
        assert rows[0]["PatientID"] in shown.stdout
    assert json.loads(run(archive.url, "PatientID=nobody", "--json").stdout) == []
    assert run(str(folder), "Modality").exit_code == 2
    assert run(str(folder), "--date", "soon").exit_code == 1


def test_what_could_run_in_a_spreadsheet_does_not(folder: Path, tmp_path: Path) -> None:
    from pydicom import dcmread

    dataset = dcmread(next(folder.rglob("*.dcm")))
    dataset.StudyDescription = "=cmd|'/c calc'!A1"
    dataset.save_as(tmp_path / "evil.dcm")
    shown = CliRunner().invoke(main, ["find", str(tmp_path / "evil.dcm"), "--csv"]).stdout
    assert ",'=cmd" in shown


def test_an_orthanc_is_searched_by_every_option(folder: Path, tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path / "orthanc") as url, Client(url) as client:
        client.store_instances(sorted(folder.rglob("*.dcm")))
        one = next(find(folder))
        date = one.value("StudyDate")
        arguments = [
            *("--patient-id", one.value("PatientID"), "--patient-name", one.value("PatientName")[:3] + "*"),
            *("--date", f"{date}..{date}", "--modality", "CT"),
        ]
        found = CliRunner().invoke(main, ["find", url, *arguments, "--json"])
        assert one.value("StudyInstanceUID") in {row["StudyInstanceUID"] for row in json.loads(found.stdout)}
        assert len(list(find(url, level="series"))) == 2
        assert len(list(find(url, level="instance", limit=4))) == 4


def test_media_directories_are_no_studies(real_data: Path) -> None:
    # A maker that writes a DIRFILE into every folder gave a nameless study of them all.
    skipped: list[Skipped] = []
    found = list(find(real_data / "philips_phantom", skipped=skipped))
    assert [each.value("PatientID") for each in found] == ["PLASTIC", "PLASTIC"]
    assert sum("file-set" in item.reason for item in skipped) >= 7


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian"])
def test_what_is_found_is_what_the_whole_header_says(syntax: str, tmp_path: Path) -> None:
    """Only what is asked for is read; each value is the one that a whole data set has."""
    asked = [
        *("KVP", "PixelSpacing", "ImageType", "PatientBirthDate", "PixelPaddingValue", "WindowCenter"),
        *("ReferencedStudySequence.ReferencedSOPInstanceUID", "00091001", "Rows", "TransferSyntaxUID"),
    ]
    spec = PhantomSpec(
        rows=8,
        columns=8,
        slices=2,
        transfer_syntax=syntax,
        private_tags=True,
        patient_name="体模^亨氏",
        character_set="ISO_IR 192",
        tags={
            "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
            "PatientBirthDate": "",
            "WindowCenter": ["40", "-600"],
        },
    )
    write(spec, tmp_path)
    found = list(find(tmp_path, level="instance", fields=asked))
    assert len(found) == 2
    for each in found:
        whole = from_dataset(read_instance(FileSource(Path(each.address))).dataset())
        for name in (*asked, *FIELDS["instance"]):
            assert values(each.model, name) == values(whole, name), name
    assert [one.value("PatientName") for one in find(tmp_path, fields=["PatientName"])] == ["体模^亨氏"]


def test_a_match_in_a_sequence_is_found(tmp_path: Path) -> None:
    from pydicom import Dataset

    step = Dataset()
    step.ScheduledProcedureStepID = "STEP 7"
    spec = PhantomSpec(rows=8, columns=8, slices=2, tags={"RequestAttributesSequence": [step]})
    write(spec, tmp_path)
    name = "RequestAttributesSequence.ScheduledProcedureStepID"
    assert len(list(find(tmp_path, level="instance", filters={name: "STEP 7"}))) == 2
    assert list(find(tmp_path, level="instance", filters={name: "STEP 8"})) == []


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_addresses_out_of_a_location_object_open(folder: Path, level: Any) -> None:
    found = list(find(open_location(folder), level=level))
    assert found
    for each in found:
        (again,) = find(each.address, level=level)
        assert again.address == each.address
