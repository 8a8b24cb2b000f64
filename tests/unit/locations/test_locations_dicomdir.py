"""A DICOMDIR as a location, written bytes: references alive, moved, dead, hostile."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from hounsfield.ct.instance.source import Skipped
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.locations import DicomdirLocation, Location, open_location
from hounsfield.testing import LocationContract


def write_dicomdir(
    path: Path,
    references: list[str],
    *,
    kind: str = "IMAGE",
    retired: tuple[str, ...] = (),
    implicit: bool = False,
) -> Path:
    """A DICOMDIR whose records refer to `references` ("A/B/I1"); those in `retired` are no longer in use."""
    records = []
    for reference in references:
        record = Dataset()
        record.RecordInUseFlag = 0 if reference in retired else 0xFFFF
        record.DirectoryRecordType = kind
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom says of a hostile one
            record.ReferencedFileID = reference.split("/")
        records.append(record)
    dataset = Dataset()
    dataset.FileSetID = "TEST"
    dataset.DirectoryRecordSequence = records
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"  # type: ignore[assignment]
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def names(location: Location) -> list[str]:
    root = Path(location.name).parent
    return [
        ("-" if isinstance(item, Skipped) else "") + Path(item.name).relative_to(root).as_posix()
        for item in location.sources()
    ]


class TestDicomdir(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        write(tmp_path, "A/I2", "A/I1", "A/I3")
        return open_location(write_dicomdir(tmp_path / "DICOMDIR", ["A/I2", "A/I1", "A/I3"]))

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {"I2": b"A/I2", "I1": b"A/I1", "I3": b"A/I3"}


@pytest.mark.parametrize("implicit", [False, True])
def test_a_dicomdir_is_known_by_content_whatever_its_name(tmp_path: Path, implicit: bool) -> None:
    write(tmp_path, "A/I1", "B/I9")
    location = open_location(write_dicomdir(tmp_path / "a file.bin", ["A/I1"], implicit=implicit))
    assert isinstance(location, DicomdirLocation)
    assert names(location) == ["A/I1"]


def test_trap_52_case_and_endings_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "dicom/s1/i1", "dicom/s1/i2.dcm", "dicom/s2/i2.dcm")
    location = open_location(
        write_dicomdir(tmp_path / "DICOMDIR", ["DICOM/S1/I1", "DICOM/S1/I2", "DICOM/S2/I2"])
    )
    assert names(location) == ["dicom/s1/i1", "dicom/s1/i2.dcm", "dicom/s2/i2.dcm"]


def test_trap_52_a_tree_that_moved_is_matched_by_the_end_of_its_paths(tmp_path: Path) -> None:
    write(tmp_path, "S1/I1", "S2/I1")
    location = open_location(write_dicomdir(tmp_path / "DICOMDIR", ["DICOM/S2/I1", "DICOM/S1/I1"]))
    assert names(location) == ["S2/I1", "S1/I1"]


def test_trap_52_a_file_s_name_alone_is_no_match(tmp_path: Path) -> None:
    write(tmp_path, "S9/I1")
    location = open_location(write_dicomdir(tmp_path / "DICOMDIR", ["DICOM/S1/I1"]))
    assert names(location) == ["-DICOMDIR", "S9/I1"]


def test_trap_52_two_files_that_match_alike_are_no_match(tmp_path: Path) -> None:
    write(tmp_path, "a/S1/I1", "b/S1/I1")
    location = open_location(write_dicomdir(tmp_path / "DICOMDIR", ["DICOM/S1/I1"]))
    assert names(location) == ["-DICOMDIR", "a/S1/I1", "b/S1/I1"]


def test_trap_52_with_dead_references_every_other_file_follows_once(tmp_path: Path) -> None:
    write(tmp_path, "A/I1", "A/I2", "B/I7")
    location = open_location(write_dicomdir(tmp_path / "DICOMDIR", ["A/I2", "GONE/I3", "GONE/I4"]))
    assert names(location) == ["A/I2", "-DICOMDIR", "A/I1", "B/I7"]
    (note,) = (item for item in location.sources() if isinstance(item, Skipped))
    assert note.reason.startswith("2 of its 3 references are dead (GONE/I3, GONE/I4)")


def test_a_dicomdir_that_refers_to_nothing_gives_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "A/I1")
    assert names(open_location(write_dicomdir(tmp_path / "DICOMDIR", []))) == ["-DICOMDIR", "A/I1"]


def test_records_that_are_no_longer_in_use_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "A/I1", "A/I2")
    location = open_location(write_dicomdir(tmp_path / "DICOMDIR", ["A/I1", "A/I2"], retired=("A/I1",)))
    assert names(location) == ["A/I2"]


def test_a_file_referred_to_twice_is_told_once(tmp_path: Path) -> None:
    write(tmp_path, "A/I1")
    assert names(open_location(write_dicomdir(tmp_path / "DICOMDIR", ["A/I1", "A/I1"]))) == ["A/I1"]


def test_a_directory_of_directories_is_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path, "A/I1", "A/I2")
    write_dicomdir(tmp_path / "A" / "DIRFILE", ["A/I2", "A/I1"])
    assert names(open_location(write_dicomdir(tmp_path / "DICOMDIR", ["A/DIRFILE"], kind="STUDY"))) == [
        "-A/DIRFILE",
        "A/I2",
        "A/I1",
    ]
    write_dicomdir(tmp_path / "A" / "DIRFILE", ["DICOMDIR", "A/DIRFILE"], kind="SERIES")
    assert names(open_location(tmp_path / "DICOMDIR"))[:2] == ["-A/DIRFILE", "-DICOMDIR"]


@pytest.mark.parametrize(
    "reference", ["../secret", "A/../../secret", "A\\..\\..\\secret", "/secret", "C:/secret"]
)
def test_a_reference_never_leaves_its_folder(tmp_path: Path, reference: str) -> None:
    write(tmp_path, "secret", "disk/I1")
    location = open_location(write_dicomdir(tmp_path / "disk" / "DICOMDIR", [reference]))
    assert names(location) == ["-DICOMDIR", "I1"]


def test_an_unreadable_dicomdir_is_malformed(tmp_path: Path) -> None:
    path = write_dicomdir(tmp_path / "DICOMDIR", ["A/I1"])
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"\x04\x00\x20\x12SQ", b"\x04\x00\x20\x12UT"))
    location = open_location(path)
    with pytest.raises(MalformedError, match="give the folder it is in instead"):
        list(location.sources())


@given(
    edits=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.none() | st.integers(0, 1 << 20),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_bytes_of_a_dicomdir_give_values_or_our_errors(
    tmp_path: Path, edits: list[tuple[int, int]], cut: int | None
) -> None:
    path = write_dicomdir(tmp_path / "DICOMDIR", ["A/I1", "A/I2", "GONE/I3"])
    write(tmp_path, "A/I1", "A/I2")
    raw = bytearray(path.read_bytes())
    for at, value in edits:
        # The preamble is nobody's business; the records are.
        raw[128 + at % (len(raw) - 128)] = value
    path.write_bytes(raw[: cut % len(raw)] if cut is not None else raw)
    try:
        assert all(item.name for item in DicomdirLocation(path).sources())
    except HounsfieldError as error:
        assert str(error)
