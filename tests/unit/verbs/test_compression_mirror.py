"""A whole tree in a new place, and what a run would do told beforehand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner, Result
from dicom_frames import PYDICOM_FILES
from pydicom.fileset import FileSet
from test_transcode import image, saved
from test_transcode import phantom as pixels

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.locations import open_location
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.verify import compare_all

SPEC = PhantomSpec(rows=32, columns=40, slices=4)
RECORDS = {
    "hounsfield.jsonl",
    "hounsfield-files.jsonl",
    "hounsfield.csv",
    "hounsfield.html",
    "hounsfield-previews.jsonl",
}
LOSSY = ("--to", "jpeg-ls-near", "--max-error", "2")


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compress", *map(str, arguments)])


def told(*arguments: object) -> dict[str, Any]:
    done = typed(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A file-set, what lies around such things, and a damaged image."""
    root = tmp_path / "tree"
    phantom.write(PhantomSpec(rows=32, columns=40, slices=4, dicomdir="good"), root / "disc")
    (root / "notes").mkdir()
    (root / "notes" / "README.txt").write_text("nothing of the kind, and long enough to be looked at " * 9)
    (root / "notes" / "Thumbs.db").write_bytes(b"thumbs")
    (root / "notes" / "old.zip").write_bytes(b"PK\x03\x04 not unpacked")
    (root / "empty").mkdir()
    alone = image(pixels())
    del alone.SeriesInstanceUID
    (root / "alone.dcm").write_bytes(saved(alone))
    (root / "cut.dcm").write_bytes(saved(image(pixels()))[:-100])
    (root / "alone.dcm").chmod(0o640)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return root


def shape(root: Path) -> dict[str, tuple[int, int]]:
    """Mode and time of change of everything but what a run leaves of itself."""
    found = [path for path in root.rglob("*") if path.name not in RECORDS]
    return {
        path.relative_to(root).as_posix(): (path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in found
        if not path.is_symlink()
    }


def test_everything_comes_along_with_its_times_and_modes(tree: Path, tmp_path: Path) -> None:
    result = typed(tree, tmp_path / "out", "--to", "jpeg-ls", "--mirror")
    assert result.exit_code == 0, result.output
    assert shape(tmp_path / "out") == shape(tree)
    for name in ("notes/README.txt", "notes/Thumbs.db", "notes/old.zip", "cut.dcm"):
        assert (tmp_path / "out" / name).read_bytes() == (tree / name).read_bytes()
    assert read_instance(FileSource(tmp_path / "out" / "alone.dcm")).syntax.keyword == "jpeg-ls"


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), LOSSY], ids=["lossless", "lossy"])
def test_hashes_prove_a_mirror_without_its_original(
    options: tuple[str, ...], tree: Path, tmp_path: Path
) -> None:
    report = image(pixels(), SOPInstanceUID="1.2.9", Modality="SR")
    del report.PixelData, report.Rows, report.Columns
    (tree / "report.dcm").write_bytes(saved(report))
    told(tree, tmp_path / "out", *options, "--mirror", "--hashes")
    ledger, allowed = tmp_path / "out" / "hounsfield-files.jsonl", ["--max-error", "2"]
    command = ["verify", str(ledger), str(tmp_path / "out"), *(allowed if options == LOSSY else [])]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0 and "6 files, 5 frames" in done.output, done.output
    (tmp_path / "out" / "alone.dcm").write_bytes(saved(image(pixels(900))))
    assert CliRunner().invoke(main, command).exit_code == 1
    (tree / "cut.dcm").unlink()
    assert told(tree, tmp_path / "other", *options)  # without --hashes there is none
    assert not (tmp_path / "other" / "hounsfield-files.jsonl").exists()


def test_what_is_copied_is_named_with_its_reason(tree: Path, tmp_path: Path) -> None:
    files = told(tree, tmp_path / "out", "--to", "jpeg-ls", "--mirror")["files"]
    reasons = {Path(each["name"]).name: each["reason"] for each in files if each["status"] == "copied"}
    assert "ends within frame 1" in reasons["cut.dcm"]
    assert reasons.keys() == {"README.txt", "Thumbs.db", "old.zip", "cut.dcm"}


def test_a_second_run_finds_all_of_it_and_changes_nothing(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told(tree, out, "--to", "jpeg-ls", "--mirror")
    before = {path: path.lstat().st_ino for path in out.rglob("*") if path.name not in RECORDS}
    again = told(tree, out, "--to", "jpeg-ls", "--mirror")
    assert {each["status"] for each in again["files"]} == {"present"}
    assert {path: path.lstat().st_ino for path in out.rglob("*") if path.name not in RECORDS} == before
    (tree / "notes" / "README.txt").write_text("changed, and as long as it has to be to be looked at " * 9)
    again = told(tree, out, "--to", "jpeg-ls", "--mirror")
    assert [Path(each["name"]).name for each in again["files"] if each["status"] == "copied"] == [
        "README.txt"
    ]
    assert (out / "notes" / "README.txt").read_text().startswith("changed")


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), LOSSY], ids=["lossless", "lossy"])
def test_a_dicomdir_tells_of_the_files_as_they_are_now(
    options: tuple[str, ...], tree: Path, tmp_path: Path
) -> None:
    told(tree, tmp_path / "out", *options, "--mirror")
    files = FileSet(tmp_path / "out" / "disc" / "DICOMDIR")
    files._stage["t"].cleanup()
    entries = list(files)
    assert len(entries) == 4
    for entry in entries:
        loaded = entry.load()
        assert loaded.SOPInstanceUID == entry.ReferencedSOPInstanceUIDInFile
        assert loaded.file_meta.TransferSyntaxUID == entry.ReferencedTransferSyntaxUIDInFile


def test_a_dicomdir_finds_files_whose_names_became_small(tmp_path: Path) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=2, dicomdir="lowercase"), tmp_path / "disc")
    told(tmp_path / "disc", tmp_path / "out", *LOSSY, "--mirror")
    records = pydicom.dcmread(tmp_path / "out" / "DICOMDIR").DirectoryRecordSequence
    named = {record.ReferencedSOPInstanceUIDInFile for record in records if "ReferencedFileID" in record}
    files = [path for path in (tmp_path / "out").rglob("im*") if path.is_file()]
    assert named == {read_instance(FileSource(path)).header.text("SOPInstanceUID") for path in files}


def test_whatever_lies_in_a_tree_comes_through_whole(tmp_path: Path) -> None:
    """Segmentations, doses, palettes, JPEGs, reports, damaged files, other endians: a mirror, and in place."""
    shutil.copytree(PYDICOM_FILES, tmp_path / "tree")
    shutil.copytree(PYDICOM_FILES, tmp_path / "original")
    done = told(tmp_path / "tree", tmp_path / "out", "--to", "auto", "--mirror")
    assert Counter(each["status"] for each in done["files"])["written"] > 50
    backup = ("--in-place", "--backup", str(tmp_path / "backup"), "--to", "auto")
    assert typed(tmp_path / "tree", *backup).exit_code == 1  # what is damaged is named
    for place in ("out", "tree"):
        found = list(
            compare_all(open_location(str(tmp_path / "original")), open_location(str(tmp_path / place)))
        )
        odd = [(each.unit, each.status, each.reason) for each in found if each.status != "unchanged"]
        assert odd == [] and len(found) > 150


def test_a_dicomdir_with_nothing_new_to_tell_stays_byte_for_byte(tree: Path, tmp_path: Path) -> None:
    told(tree, tmp_path / "out", "--to", "explicit", "--mirror")
    assert (tmp_path / "out/disc/DICOMDIR").read_bytes() == (tree / "disc/DICOMDIR").read_bytes()


def test_a_damaged_dicomdir_is_carried_over_and_named(tree: Path, tmp_path: Path) -> None:
    whole = (tree / "disc/DICOMDIR").read_bytes()
    (tree / "disc/DICOMDIR").write_bytes(whole[: len(whole) // 2])
    told(tree, tmp_path / "out", "--to", "jpeg-ls", "--mirror")
    assert (tmp_path / "out/disc/DICOMDIR").read_bytes() == whole[: len(whole) // 2]


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="needs dcmdump (Debian: dcmtk)")
def test_dcmtk_follows_the_offsets_of_a_rebuilt_dicomdir(tree: Path, tmp_path: Path) -> None:
    told(tree, tmp_path / "out", *LOSSY, "--mirror")
    command = ["dcmdump", "-q", str(tmp_path / "out/disc/DICOMDIR")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    places = {line.split("$")[1].split()[0] for line in done.stdout.splitlines() if "offset=$" in line}
    pointers = [line.split()[2] for line in done.stdout.splitlines() if line.split()[1:2] == ["up"]]
    assert {pointer for pointer in pointers if pointer != "0"} <= places


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_links_lead_to_the_new_tree_where_they_led_into_the_old(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.txt"
    outside.write_text("outside")
    (tree / "notes" / "relative").symlink_to("../alone.dcm")
    (tree / "absolute").symlink_to(tree / "notes" / "README.txt")
    (tree / "out of it").symlink_to("../elsewhere.txt")
    (tree / "folder").symlink_to("notes")
    (tree / "dead").symlink_to("nothing")
    out = tmp_path / "deep" / "er" / "out"
    told(tree, out, "--to", "jpeg-ls", "--mirror")
    assert (out / "notes/relative").resolve() == (out / "alone.dcm").resolve()
    assert (out / "absolute").resolve() == (out / "notes/README.txt").resolve()
    assert (out / "out of it").read_text() == "outside"
    assert (out / "folder").is_symlink() and (out / "folder/Thumbs.db").is_file()
    assert str((out / "dead").readlink()) == "nothing"
    assert {each["status"] for each in told(tree, out, "--to", "jpeg-ls", "--mirror")["files"]} == {"present"}


def test_somebody_elses_file_is_never_replaced(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "notes").mkdir(parents=True)
    (tmp_path / "out" / "notes" / "README.txt").write_text("mine")
    for _ in range(2):
        assert typed(tree, tmp_path / "out", "--to", "jpeg-ls", "--mirror").exit_code == 1
        assert (tmp_path / "out" / "notes" / "README.txt").read_text() == "mine"


def test_only_a_folder_is_mirrored(tree: Path, tmp_path: Path) -> None:
    for place in (tree / "alone.dcm", tree / "disc" / "DICOMDIR"):
        assert typed(place, tmp_path / "out", "--to", "rle", "--mirror").exit_code == 2


@pytest.mark.parametrize("mirror", [(), ("--mirror",)], ids=["images", "mirror"])
def test_a_dry_run_tells_what_the_run_then_does(mirror: tuple[str, ...], tree: Path, tmp_path: Path) -> None:
    (tree / "cut.dcm").unlink()  # only its pixels would tell
    would = told(tree, tmp_path / "out", "--to", "jpeg-ls", *mirror, "--dry-run")["files"]
    assert not (tmp_path / "out").exists()
    done = told(tree, tmp_path / "out", "--to", "jpeg-ls", *mirror)["files"]
    names = {"compress": "written", "copy": "copied", "leave out": "skipped", "is there": "present"}
    assert {each["name"]: names[each["would"]] for each in would} == {
        each["name"]: each["status"] for each in done if "DICOMDIR" not in each["name"]
    }
    again = told(tree, tmp_path / "out", "--to", "jpeg-ls", *mirror, "--dry-run")["files"]
    assert {each["would"] for each in again} <= {"is there", "leave out"}


def test_a_dry_run_tells_a_person_and_leaves_the_ledger_alone(tree: Path, tmp_path: Path) -> None:
    typed(tree, tmp_path / "out", "--to", "jpeg-ls")
    before = (tmp_path / "out" / "hounsfield.jsonl").read_bytes()
    result = typed(tree, tmp_path / "out", "--to", "htj2k", "--dry-run")
    assert result.exit_code == 0 and "explicit → htj2k" in result.output
    assert "nothing was written" in result.output
    assert (tmp_path / "out" / "hounsfield.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "option",
    [
        ("--workers", "2"),
        ("--fail-fast",),
        ("--max-mb-s", "1"),
        ("--plot", "x.svg"),
        ("--between", "20:00-06:00"),
    ],
)
def test_options_that_a_dry_run_would_ignore_are_refused(
    option: tuple[str, ...], tree: Path, tmp_path: Path
) -> None:
    result = typed(tree, tmp_path / "out", "--to", "rle", "--dry-run", *option)
    assert result.exit_code == 2 and f"leave out {option[0]}" in result.output
