"""Places on disk as locations: what is found, in which order, what is left out and why."""

from __future__ import annotations

import dataclasses
import os
import random
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hounsfield.ct.instance.source import BytesSource, FileSource, Skipped, Source
from hounsfield.errors import HounsfieldError, LocationError, MalformedError
from hounsfield.locations import (
    ArchiveLocation,
    Delivered,
    DicomdirLocation,
    FileLocation,
    FolderLocation,
    Knowing,
    Location,
    Searchable,
    SeriesSource,
    Staging,
    Writable,
    is_path,
    open_location,
)
from hounsfield.locations.archives import ArchiveLimits
from hounsfield.testing import (
    ComparingContract,
    KnowingContract,
    LocationContract,
    NamedByUidContract,
    WritableContract,
)

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def names(location: Location) -> list[str]:
    """What `location` holds, relative to it, with `-` before what is skipped."""
    shown = []
    for item in location.sources():
        name = os.path.relpath(item.name, location.name).replace("\\", "/")
        shown.append(f"-{name}" if isinstance(item, Skipped) else name)
    return shown


def reasons(location: Location) -> dict[str, str]:
    return {
        os.path.relpath(item.name, location.name): item.reason
        for item in location.sources()
        if isinstance(item, Skipped)
    }


FILES = {"b/I1": b"1", "b/I2": b"2" * 9000, "b/c/I10": b"10", "I3": b"3"}


class TestFile(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        (tmp_path / "slice.txt").write_bytes(b"whatever it is called")
        return open_location(str(tmp_path / "slice.txt"))

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {"slice.txt": b"whatever it is called"}


class TestFolder(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        write(tmp_path, FILES | {"Thumbs.db": b"", "a/DICOMDIR": b""})
        return open_location(tmp_path)

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {
            "DICOMDIR": None,
            "I10": b"10",
            "I1": b"1",
            "I2": b"2" * 9000,
            "I3": b"3",
            "Thumbs.db": None,
        }


class TestFolderWithArchives(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        write(tmp_path / "packed", {"I1": b"one", "I2": b"two"})
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(tmp_path / "packed/I1", "x/Z1")
        with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / "packed/I2", "x/T2")
        (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
        (tmp_path / "honest.zip").write_bytes(b"not packed at all")
        return open_location(tmp_path)

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {
            "Z1": b"one",
            "T2": b"two",
            "broken.zip": None,
            "honest.zip": b"not packed at all",
            "I1": b"one",
            "I2": b"two",
        }


class TestZip(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        with zipfile.ZipFile(tmp_path / "no suffix", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("d/I10", "d/I9", "__MACOSX/._I9"):
                archive.writestr(name, name.encode() * 1000)
        return open_location(str(tmp_path / "no suffix"))

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {"._I9": None, "I9": b"d/I9" * 1000, "I10": b"d/I10" * 1000}


class TestCompressedTar(LocationContract):
    @pytest.fixture
    def location(self, tmp_path: Path) -> Location:
        write(tmp_path, {"d/I10": b"ten", "d/I9": b"nine"})
        with tarfile.open(tmp_path / "a.txz", "w:xz") as tar:
            tar.add(tmp_path / "d", "d")
        return open_location(str(tmp_path / "a.txz"))

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        return {"I9": b"nine", "I10": b"ten"}


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.mkdir(), FolderLocation),
        (lambda path: path.write_bytes(b"anything"), FileLocation),
        (lambda path: path.write_bytes(b""), FileLocation),
        (lambda path: zipfile.ZipFile(path, "w").close(), ArchiveLocation),
        (lambda path: tarfile.open(path, "w:gz").close(), ArchiveLocation),
    ],
)
def test_what_a_path_is_shows_by_content(tmp_path: Path, make: object, kind: type) -> None:
    path = tmp_path / "it.dcm"
    make(path)  # type: ignore[operator]
    assert type(open_location(path)) is kind
    assert open_location(str(path)).name == str(path)


def test_a_location_is_made_without_reading_the_folder_or_the_archive(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    items = open_location(tmp_path / "broken.zip").sources()
    with pytest.raises(MalformedError, match="not a sound zip"):
        next(items)


def test_limits_reach_the_archives_of_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("I1", bytes(100))
    folder = open_location(tmp_path, limits=ArchiveLimits(total_bytes=10))
    assert "over the limit of 10" in reasons(folder)["a.zip"]


def test_a_path_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, {"Head Scan/series1/I1": b""})
    with pytest.raises(LocationError, match="does not exist; did you mean") as caught:
        open_location(str(tmp_path / "head scam" / "series1"))
    assert caught.value.data["near"] == str(tmp_path / "Head Scan" / "series1")
    with pytest.raises(LocationError, match="does not exist; check the path"):
        open_location(str(tmp_path / "quite another thing"))
    with pytest.raises(LocationError, match="does not exist"):
        open_location(str(tmp_path / "Head Scan/series1/I1/I2"))


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 5000])
def test_text_that_can_be_no_path_is_a_location_error(text: str) -> None:
    with pytest.raises(LocationError):
        open_location(text)


@pytest.mark.parametrize("text", ["http://127.0.0.1:9/dicom-web", "HTTPS://host/dicom-web/studies/1.2"])
def test_web_addresses_are_recognised_before_paths_and_nothing_is_asked_yet(text: str) -> None:
    assert open_location(text).name.lower() == text.lower()


@pytest.mark.parametrize("text", ["nopacs:", "nopacs:/studies/1.2"])
def test_servers_are_recognised_before_paths(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))
    with pytest.raises(LocationError, match="no server is called 'nopacs'"):
        open_location(text)


def test_a_file_that_looks_like_a_server_s_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pacs:").write_bytes(b"")
    assert isinstance(open_location("pacs:"), FileLocation)
    assert is_path(r"C:\scans") and not is_path("dicom-server:/studies")


@POSIX
def test_a_pipe_is_neither_opened_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocationError, match="pipe, socket or device"):
        open_location(tmp_path / "pipe")
    assert reasons(open_location(tmp_path)) == {"pipe": "a pipe, socket or device, not a file"}


@POSIX
def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", {"a/I1": b"1"})
    write(tmp_path / "elsewhere", {"I7": b"7"})
    (folder / "a" / "up").symlink_to(folder)
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    (folder / "d").symlink_to(tmp_path / "nowhere")
    (folder / "e").symlink_to(folder / "e")
    (folder / "f").symlink_to(folder / "a" / "I1")
    assert names(FolderLocation(folder)) == ["a/I1", "-a/up", "b/I7", "-c", "-d", "-e", "f"]
    assert reasons(FolderLocation(folder))["d"] == "a link to nothing"


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of an unprivileged user's, who the test is for as long as it runs: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        privileged = os.geteuid() == 0
        if privileged:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if privileged:
                os.seteuid(0)


@POSIX
def test_a_folder_that_may_not_be_read_is_left_out_and_the_rest_is_not(as_nobody: Path) -> None:
    write(as_nobody, {"a/I1": b"1", "b/I2": b"2", "c.zip": b""})
    (as_nobody / "a").chmod(0)
    (as_nobody / "c.zip").chmod(0)
    try:
        assert names(FolderLocation(as_nobody)) == ["-a", "b/I2", "-c.zip"]
        with pytest.raises(LocationError, match="cannot be listed: Permission denied"):
            list(open_location(as_nobody / "a").sources())
        with pytest.raises(LocationError, match="cannot be opened: Permission denied"):
            open_location(as_nobody / "c.zip")
    finally:
        (as_nobody / "a").chmod(0o700)


def test_a_folder_that_vanishes_while_it_is_walked_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"a/I1": b"1", "b/I2": b"2"})
    items = FolderLocation(tmp_path).sources()
    next(items)
    (tmp_path / "b/I2").unlink()
    (tmp_path / "b").rmdir()
    (rest,) = items
    assert isinstance(rest, Skipped)


def test_a_folder_deeper_than_python_s_stack_is_walked(tmp_path: Path) -> None:
    levels = [tmp_path]
    for _ in range(1000):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    (levels[-1] / "I1").write_bytes(b"1")
    try:
        assert sum(1 for _ in FolderLocation(tmp_path).sources()) == 1
    finally:
        (levels[-1] / "I1").unlink()
        for level in reversed(levels[1:]):
            level.rmdir()


def test_trap_53_anything_else_among_the_slices_is_left_to_who_reads_it(tmp_path: Path) -> None:
    write(tmp_path, {"readme.txt": b"x", "report.json": b"{}", ".hidden": b"y", "I1": b"1"})
    assert sorted(names(FolderLocation(tmp_path))) == [".hidden", "I1", "readme.txt", "report.json"]


def test_trap_53_an_operating_system_s_files_are_left_out_with_a_reason(tmp_path: Path) -> None:
    odd = [".DS_Store", "._I1", "Thumbs.db", "desktop.ini", "__MACOSX/I1", "$RECYCLE.BIN/I1"]
    write(tmp_path, dict.fromkeys(odd, b"") | {"I1": b"1", ".0123456789ab.partial.I2.dcm": b""})
    found = reasons(FolderLocation(tmp_path))
    assert set(found) == {name.split("/")[0] for name in odd} | {".0123456789ab.partial.I2.dcm"}
    assert found[".0123456789ab.partial.I2.dcm"] == "an output that was never finished"


# --- a folder to write to


class TestFolderWritten(WritableContract, ComparingContract, NamedByUidContract, KnowingContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> FolderLocation:
        return FolderLocation(tmp_path / "archive")

    def test_nothing_unfinished_is_left_behind(
        self, place: FolderLocation, instances: list[Delivered]
    ) -> None:
        (first, *_) = instances
        other = dataclasses.replace(first, source=BytesSource("other", b"other"))
        assert [each.status for each in place.write([first, other])] == ["done", "refused"]
        assert names(place) == [f"{first.study}/{first.series}/{first.instance}.dcm"]

    def test_a_source_that_breaks_off_leaves_nothing(self, place: FolderLocation, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("I1", random.Random(3).randbytes(3 << 20))
        damaged = bytearray(path.read_bytes())
        damaged[2_500_000] ^= 0xFF
        path.write_bytes(damaged)
        (source,) = open_location(path).sources()
        assert not isinstance(source, Skipped)
        (outcome,) = place.write([Delivered("1.2.3", "1.2.3.4", "1.2.3.4.5", source)])
        assert outcome.status == "failed"
        assert outcome.reason is not None and "a.zip!/I1" in outcome.reason
        assert names(place) == []

    def test_a_folder_that_cannot_be_made_is_a_failure_not_an_exception(
        self, tmp_path: Path, instances: list[Delivered]
    ) -> None:
        (tmp_path / "file").write_bytes(b"")
        (outcome,) = FolderLocation(tmp_path / "file").write(instances[:1])
        assert outcome.status == "failed"
        assert outcome.reason

    def test_one_that_was_cut_is_not_whole_though_it_is_listed(
        self, place: FolderLocation, instances: list[Delivered]
    ) -> None:
        (first, *_) = instances
        (outcome,) = place.write([first])
        path = Path(outcome.output)
        path.write_bytes(path.read_bytes()[:-1])
        assert list(place.present(first.study, first.series)) == []
        assert list(place.present(first.study, first.series, read=False)) == [first.instance]


def test_each_kind_of_place_declares_what_it_can_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    protocols = (Searchable, SeriesSource, Writable, Knowing, Staging)
    server = "http://127.0.0.1:9/dicom-web"
    declared = {
        tmp_path: {Writable, Knowing, Staging},
        tmp_path / "file": set(),
        tmp_path / "a.zip": set(),
        server: {Searchable, SeriesSource, Writable, Knowing},
        f"{server}/studies/1.2": {Searchable, SeriesSource, Writable, Knowing},
        f"{server}/studies?PatientID=1": {Searchable, SeriesSource},
        f"{server}/studies/1.2/series/1.3": {Searchable, SeriesSource},
    }
    for text, expected in declared.items():
        place = open_location(text)  # type: ignore[arg-type]
        assert {protocol for protocol in protocols if isinstance(place, protocol)} == expected, text


# --- real data


def test_trap_56_a_real_zip_holds_its_slices(real_data: Path) -> None:
    sources = list(open_location(real_data / "odd" / "dupe-positions.zip").sources())
    assert len(sources) == 11
    for source in sources:
        assert not isinstance(source, Skipped)
        with source.open() as stream:
            assert stream.read(132)[128:] == b"DICM"


def test_every_file_of_a_real_folder_is_told_once(real_data: Path) -> None:
    folder = real_data / "philips_phantom"
    told = [item.name for item in open_location(folder).sources()]
    assert sorted(told) == sorted(str(path) for path in folder.rglob("*") if path.is_file())


def readable(source: Source | Skipped) -> bool:
    if isinstance(source, Skipped):
        return False
    try:
        with source.open() as stream:
            return stream.read(132)[128:] == b"DICM"
    except HounsfieldError:
        return False


def test_trap_52_a_real_dicomdir_with_dead_references_finds_every_image(real_data: Path) -> None:
    folder = real_data / "philips_phantom"
    location = open_location(folder / "DICOMDIR.dead")
    assert isinstance(location, DicomdirLocation)
    items = list(location.sources())
    images = {item.name for item in items if isinstance(item, FileSource) and readable(item)}
    on_disk = {str(path) for path in folder.glob("S*/S*/I*")}
    assert on_disk <= images
    (note,) = (item for item in items if item.name == location.name)
    assert isinstance(note, Skipped)
    assert "198 of its 433 references are dead (DICOM/S21610/S3010/I210" in note.reason


def test_trap_52_a_real_dicomdir_of_directories_is_followed(real_data: Path) -> None:
    folder = real_data / "philips_phantom"
    items = list(open_location(folder / "DICOMDIR").sources())
    assert {str(path) for path in folder.glob("S*/S*/I*")} <= {
        item.name for item in items if not isinstance(item, Skipped)
    }
    assert len({item.name for item in items}) == len(items)
    notes = {item.name: item.reason for item in items if isinstance(item, Skipped)}
    assert notes[str(folder / "S21570" / "DIRFILE")] == "a directory of a file-set, not an image"


def test_trap_52_a_real_directory_in_the_midst_finds_its_own_images(real_data: Path) -> None:
    folder = real_data / "philips_phantom" / "S21570" / "S2010"
    items = list(open_location(folder / "DIRFILE").sources())
    assert {item.name for item in items} == {str(path) for path in folder.glob("I*")}
