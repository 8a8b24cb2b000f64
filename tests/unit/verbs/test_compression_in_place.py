"""A tree compressed where it lies: whatever stops it and wherever, each original is at its place or in the backup."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydicom.fileset import FileSet
from test_transcode import image, saved
from test_transcode import phantom as pixels

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.locations import open_location
from hounsfield.outputs.results import word_of
from hounsfield.phantom import PhantomSpec
from hounsfield.transcode.proving import frame_hashes
from hounsfield.verbs.verify import compare_all

SUPPORT = Path(__file__).resolve().parents[2] / "support"
LEDGER = "hounsfield-files.jsonl"
SPEC = PhantomSpec(rows=16, columns=16, slices=1, dicomdir="good")


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compress", *map(str, arguments)])


def in_place(tree: Path, *options: object) -> Result:
    return typed(tree, "--in-place", "--backup", tree.parent / "backup", *options)


def told(result: Result) -> Counter[str]:
    assert result.stdout, result.output
    return Counter(each["status"] for each in json.loads(result.stdout)["files"])


def lines(backup: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (backup / LEDGER).read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LEDGER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def statuses(old: Path, new: Path) -> set[str]:
    found = compare_all(open_location(str(old)), open_location(str(new)))
    return {word_of("verify", each.status, each.facts) for each in found}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    phantom.write(SPEC, root / "disc")
    (root / "a").mkdir()
    (root / "a" / "1.dcm").write_bytes(saved(image(pixels())))
    (root / "a" / "2.dcm").write_bytes(saved(image(pixels(), SOPInstanceUID="1.2.3.5")))
    (root / "a" / "1.dcm").chmod(0o640)
    os.utime(root / "a" / "1.dcm", ns=(10**18, 10**18))
    (root / "notes.txt").write_text("nothing of the kind, and long enough to be looked at " * 9)
    shutil.copytree(root, tmp_path / "original")
    return root


def test_files_are_replaced_and_their_originals_kept(tree: Path, tmp_path: Path) -> None:
    inode = (tree / "a/1.dcm").stat().st_ino
    result = in_place(tree, "--to", "jpeg-ls")
    assert result.exit_code == 0 and "--discard-backup" in result.output, result.output
    assert statuses(tmp_path / "original", tree) == {"same"}
    assert read_instance(FileSource(tree / "a/1.dcm")).syntax.keyword == "jpeg-ls"
    status = (tree / "a/1.dcm").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (10**18, 0o640)
    kept = contents(tmp_path / "backup")
    original = contents(tmp_path / "original")
    assert kept == {name: content for name, content in original.items() if name != "notes.txt"}
    assert (tmp_path / "backup/a/1.dcm").stat().st_ino == inode  # the very file, not a copy


def test_the_ledger_has_the_hash_of_each_frame_of_the_original(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "htj2k")
    line = next(line for line in lines(tmp_path / "backup") if line.get("file") == "a/1.dcm")
    assert line["frames"] == list(frame_hashes(FileSource(tmp_path / "original/a/1.dcm")))
    assert line["frames"] == list(frame_hashes(FileSource(tree / "a/1.dcm")))
    assert line["sha256"] == hashlib.sha256((tree / "a/1.dcm").read_bytes()).hexdigest()
    assert (line["before"], line["after"]) == ("explicit", "htj2k")


def test_a_second_run_opens_nothing_that_stands(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "small.dcm").write_bytes(saved(image(pixels()[:1, :2].copy(), SOPInstanceUID="1.2.9")))
    first = told(in_place(tree, "--to", "auto", "--json"))
    assert first["kept"] == 2  # the text, and what would become no smaller
    before = contents(tree)

    def refused(*_: object) -> None:
        raise AssertionError("looked into a file that stands")

    monkeypatch.setattr("hounsfield.verbs.compress.in_place._InPlace._replaced", refused)
    notes = (tree / "notes.txt").read_bytes()
    (tree / "notes.txt").unlink()
    assert told(in_place(tree, "--to", "auto", "--json")).keys() == {"present"}
    assert contents(tree) | {"notes.txt": notes} == before


def test_what_is_new_or_changed_since_is_done(tree: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    (tree / "a/new.dcm").write_bytes(saved(image(pixels(1500), SOPInstanceUID="1.2.3.9")))
    result = told(in_place(tree, "--to", "jpeg-ls", "--json"))
    assert result["written"] == 1 and result["failed"] == 0


def test_what_is_damaged_stays_as_it_is_and_is_named(tree: Path) -> None:
    cut = tree / "a/1.dcm"
    cut.write_bytes(cut.read_bytes()[:-50])
    content = cut.read_bytes()
    result = in_place(tree, "--to", "jpeg-ls")
    assert result.exit_code == 1 and "1.dcm" in result.output and cut.read_bytes() == content
    assert not (tree.parent / "backup/a/1.dcm").exists()


def test_a_file_that_changes_meanwhile_is_left_alone(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hounsfield.verbs.compress import swapping

    change = tree / "a/1.dcm"
    steps: list[Any] = []
    keep = swapping.Swaps._keep

    def changing(self: swapping.Swaps, item: swapping.Swap) -> None:
        keep(self, item)
        if item.path == change and not steps:
            steps.append(item)
            change.write_bytes(b"somebody was quicker")

    monkeypatch.setattr(swapping.Swaps, "_keep", changing)
    result = in_place(tree, "--to", "jpeg-ls")
    assert result.exit_code == 1 and "was changed while it was compressed" in result.output
    assert change.read_bytes() == b"somebody was quicker"


def test_a_loss_is_taken_once_only(tree: Path, tmp_path: Path) -> None:
    lossy = ("--to", "jpeg-ls-near", "--max-error", "3")
    in_place(tree, *lossy)
    before = contents(tree)
    (tmp_path / "backup" / LEDGER).write_text(  # as if killed before anything was in the ledger
        (tmp_path / "backup" / LEDGER).read_text("utf-8").splitlines(keepends=True)[0], "utf-8"
    )
    assert told(in_place(tree, *lossy, "--json"))["present"] == 4
    assert contents(tree) == before
    assert {line.get("status") for line in lines(tmp_path / "backup")[1:]} == {"swapped"}
    assert in_place(tree, "--discard-backup").exit_code == 0


def test_a_file_that_is_neither_the_original_nor_made_from_it_is_not_touched(
    tree: Path, tmp_path: Path
) -> None:
    in_place(tree, "--to", "jpeg-ls")
    other = saved(image(pixels(700), SOPInstanceUID="1.2.3.4"))
    (tree / "a/1.dcm").write_bytes(other)
    result = in_place(tree, "--to", "jpeg-ls")
    assert result.exit_code == 1 and "neither the original" in result.output
    assert (tree / "a/1.dcm").read_bytes() == other
    assert (tmp_path / "backup/a/1.dcm").read_bytes() == (tmp_path / "original/a/1.dcm").read_bytes()


def test_originals_that_were_put_back_are_compressed_again(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    shutil.copytree(tmp_path / "backup", tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns(LEDGER))
    assert contents(tree) == contents(tmp_path / "original")
    assert told(in_place(tree, "--to", "jpeg-ls", "--json"))["written"] == 4
    assert statuses(tmp_path / "original", tree) == {"same"}


def test_discarding_removes_originals_and_says_what_it_keeps(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    changed = tree / "a/1.dcm"
    changed.write_bytes(changed.read_bytes() + b"\0\0")
    result = in_place(tree, "--discard-backup")
    assert result.exit_code == 1 and "is not what was swapped for it any more" in result.output
    assert contents(tmp_path / "backup").keys() == {"a/1.dcm"}
    shutil.copy2(tmp_path / "backup/a/1.dcm", changed)
    assert in_place(tree, "--to", "jpeg-ls").exit_code == 0
    assert in_place(tree, "--discard-backup").exit_code == 0
    assert [path.name for path in (tmp_path / "backup").rglob("*")] == [LEDGER]
    assert statuses(tmp_path / "original", tree) == {"same"}


def test_other_options_need_the_originals_discarded_first(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    result = in_place(tree, "--to", "htj2k")
    assert result.exit_code == 1 and "other options" in result.output
    in_place(tree, "--discard-backup")
    assert in_place(tree, "--to", "htj2k").exit_code == 0
    assert read_instance(FileSource(tree / "a/1.dcm")).syntax.keyword == "htj2k"
    assert statuses(tmp_path / "original", tree) == {"same"}


def test_a_backup_is_of_one_tree_and_not_in_it(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    shutil.copytree(tmp_path / "original", tmp_path / "other")
    done = typed(tmp_path / "other", "--in-place", "--backup", tmp_path / "backup", "--to", "jpeg-ls")
    assert done.exit_code == 1 and "keeps the originals of" in done.output
    for backup in (tree / "inside", tmp_path, tree):
        done = typed(tree, "--in-place", "--backup", backup, "--to", "jpeg-ls")
        assert done.exit_code == 1 and "lie within each other" in done.output
        assert not (backup / LEDGER).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks")
def test_two_runs_never_rewrite_one_tree_at_once(tree: Path, tmp_path: Path) -> None:
    from hounsfield.verbs.compress import open_backup

    with open_backup(tmp_path / "other", tree, {}):
        result = in_place(tree, "--to", "jpeg-ls")
    assert result.exit_code == 1 and "another run is writing it; wait for it" in result.output


def test_a_dicomdir_is_made_anew_and_its_original_kept(tree: Path, tmp_path: Path) -> None:
    in_place(tree, "--to", "jpeg-ls")
    files = FileSet(tree / "disc" / "DICOMDIR")
    files._stage["t"].cleanup()
    assert [entry.ReferencedTransferSyntaxUIDInFile for entry in files] == ["1.2.840.10008.1.2.4.80"]
    assert (tmp_path / "backup/disc/DICOMDIR").read_bytes() == (
        tmp_path / "original/disc/DICOMDIR"
    ).read_bytes()


def test_one_file_is_compressed_in_place_too(tree: Path, tmp_path: Path) -> None:
    done = typed(tree / "a/1.dcm", "--in-place", "--backup", tmp_path / "backup", "--to", "jpeg-ls")
    assert done.exit_code == 0, done.output
    assert contents(tmp_path / "backup").keys() == {"1.dcm"}
    done = typed(tree / "a/1.dcm", "--in-place", "--backup", tmp_path / "backup", "--discard-backup")
    assert done.exit_code == 0, done.output


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(saved(image(pixels())))
    (tree / "link.dcm").symlink_to(outside)
    before = outside.read_bytes()
    in_place(tree, "--to", "jpeg-ls")
    assert outside.read_bytes() == before and (tree / "link.dcm").is_symlink()


def test_a_dry_run_in_place_touches_nothing(tree: Path, tmp_path: Path) -> None:
    result = in_place(tree, "--to", "jpeg-ls", "--dry-run")
    assert result.exit_code == 0 and "3 compress, 1 keep" in result.output, result.output
    assert contents(tree) == contents(tmp_path / "original") and not (tmp_path / "backup").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--in-place", "--to", "rle"),
        ("OUT", "--in-place", "--backup", "B", "--to", "rle"),
        ("--in-place", "--backup", "B"),
        ("--in-place", "--backup", "B", "--to", "rle", "--mirror"),
        ("--in-place", "--backup", "B", "--to", "rle", "--force"),
        ("--in-place", "--backup", "B", "--discard-backup", "--to", "rle"),
        ("--discard-backup",),
        ("OUT", "--to", "rle", "--backup", "B"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_in_place_is_wrong_usage(
    options: tuple[str, ...], tree: Path, tmp_path: Path
) -> None:
    given = [str(tmp_path / option) if option in ("OUT", "B") else option for option in options]
    result = typed(tree, *given)
    assert result.exit_code == 2, result.output
    assert contents(tree) == contents(tmp_path / "original")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("action", ["compress", "compress copy", "discard"])
def test_a_run_that_dies_before_any_of_its_steps_loses_nothing(action: str, tmp_path: Path) -> None:
    start = tmp_path / "start" / "tree"
    phantom.write(SPEC, start / "disc")
    (start / "a").mkdir()
    (start / "a" / "1.dcm").write_bytes(saved(image(pixels())))
    (start / "notes.txt").write_text("nothing of the kind, and long enough to be looked at " * 9)
    shutil.copytree(start, tmp_path / "start" / "original")
    command = [sys.executable, str(SUPPORT / "crash_points.py"), str(tmp_path), *action.split()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    *problems, end = map(json.loads, done.stdout.splitlines())
    assert problems == [], done.stderr
    assert end["status"] == 0 and end["steps"] > 8


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_run_killed_at_random_is_finished_by_the_next(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for seed in range(3):
        spec = PhantomSpec(rows=96, columns=96, slices=20, seed=seed, series_number=seed)
        phantom.write(spec, tree / str(seed))
    shutil.copytree(tree, tmp_path / "original")
    command = [sys.executable, "-m", "hounsfield", "compress", str(tree), "--in-place"]
    command += ["--backup", str(tmp_path / "backup"), "--to", "jpeg-xl", "--effort", "5", "--workers", "2"]
    chance = random.Random(15)
    for _ in range(6):
        until = chance.randrange(1, 25)
        before = len(list((tmp_path / "backup").rglob("*.dcm")))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if len(list((tmp_path / "backup").rglob("*.dcm"))) >= before + until:
                    break
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        for path in (tmp_path / "original").rglob("*.dcm"):
            name = path.relative_to(tmp_path / "original")
            kept = tmp_path / "backup" / name
            assert path.read_bytes() in {
                (tree / name).read_bytes(),
                kept.read_bytes() if kept.exists() else b"",
            }
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert not list(tmp_path.rglob(".*.partial.*"))
    assert statuses(tmp_path / "original", tree) == {"same"}
    assert in_place(tree, "--discard-backup").exit_code == 0
    assert contents(tmp_path / "backup") == {}


def test_each_step_is_on_the_disk_before_the_next_begins(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, str]] = []
    descriptors: dict[int, str] = {}
    opened = os.open

    def noted(name: str) -> Callable[..., Any]:
        function = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            steps.append((name, str(arguments[-1] if name != "fsync" else descriptors.get(arguments[0], ""))))
            return result

        return call

    def opening(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = opened(path, *arguments, **options)
        descriptors[descriptor] = str(path)
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    for name in ("fsync", "link", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    assert (
        typed(tree / "a/1.dcm", "--in-place", "--backup", tree / "backup", "--to", "jpeg-ls").exit_code == 0
    )
    backup = tree / "backup"
    wanted: list[tuple[str, Callable[[str], bool]]] = [
        ("fsync", lambda path: ".partial." in path),
        ("link", lambda path: path == str(backup / "1.dcm")),
        ("fsync", lambda path: path == str(backup)),
        ("replace", lambda path: path == str(tree / "a" / "1.dcm")),
        ("fsync", lambda path: path == str(tree / "a")),
    ]
    places = [
        next(at for at, (kind, path) in enumerate(steps) if kind == wants and ends(path))
        for wants, ends in wanted
    ]
    assert places == sorted(places)
    assert max(at for at, (_, path) in enumerate(steps) if path.endswith(LEDGER)) > places[-1]


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), ("--to", "jpeg-ls-near", "--max-error", "3")])
def test_when_the_originals_are_gone_the_ledger_still_proves(
    options: tuple[str, ...], tree: Path, tmp_path: Path
) -> None:
    in_place(tree, *options)
    assert in_place(tree, "--discard-backup").exit_code == 0
    ledger = tmp_path / "backup" / LEDGER
    lossy = ["--max-error", "3"] if "--max-error" in options else []

    def verified(*more: str) -> Result:
        return CliRunner().invoke(main, ["verify", str(ledger), str(tree), *more])

    done = verified(*lossy, "--csv", str(tmp_path / "audit.csv"))
    assert done.exit_code == 0, done.output
    assert ("3 lossy" if lossy else "4 same") in done.output  # the DICOMDIR among the latter
    assert len((tmp_path / "audit.csv").read_text("utf-8").splitlines()) == 5
    if lossy:
        assert verified().exit_code == 1
    shutil.copy2(tmp_path / "original/a/2.dcm", tree / "a/2.dcm")
    assert verified().exit_code == (1 if lossy else 0)  # other bytes of the same values
    (tree / "a/2.dcm").write_bytes(saved(image(pixels(900))))
    done = verified(*lossy)
    assert done.exit_code == 1 and "2.dcm" in done.output
    (tree / "a/1.dcm").unlink()
    assert "missing" in verified(*lossy).output
