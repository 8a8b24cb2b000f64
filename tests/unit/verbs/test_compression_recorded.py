"""The ledger of `compress`: what stands is not opened; what changed or failed is done again, whatever stopped a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from stub_archive import stub_archive
from test_transcode import image, saved
from test_transcode import phantom as pixels

from hounsfield import load, phantom
from hounsfield.cli import main
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, Record, read_ledger
from hounsfield.runs.report import preview_of_file
from hounsfield.verbs.compress import find_files

PLAIN = PhantomSpec(rows=40, columns=48, slices=6)


def tree(folder: Path, count: int = 3, spec: PhantomSpec = PLAIN) -> Path:
    for seed in range(count):
        phantom.write(replace(spec, seed=seed, series_number=seed), folder / str(seed))
    return folder


def typed(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(main, ["compress", *map(str, arguments), "--json"])
    assert done.stdout, done.output
    return done.exit_code, json.loads(done.stdout)


def statuses(told: dict[str, Any]) -> Counter[str]:
    return Counter(each["status"] for each in told["files"])


def latest(out: Path) -> list[Record]:
    return list({record.key: record for record in read_ledger(out / LEDGER_NAME)}.values())


def made(out: Path) -> dict[Path, tuple[int, int]]:
    """Time of change and inode of each output: another inode is another file."""
    found = [path for path in out.rglob("*.dcm") if not path.name.startswith(".")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def edit(path: Path) -> None:
    """Other pixels under the same UIDs, in a file of the same length, as an operator's tool would leave it."""
    content = bytearray(path.read_bytes())
    content[-2:] = b"\x07\x00" if content[-2:] != b"\x07\x00" else b"\x09\x00"
    path.write_bytes(content)


def forbid_opening(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    """Outputs cannot be opened, and of the sources no pixels are transcoded."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("looked into a file that stands")

    monkeypatch.setattr("hounsfield.verbs.compress.files.is_done", refused)
    monkeypatch.setattr("hounsfield.verbs.compress.files._result", refused)
    monkeypatch.setattr("hounsfield.verbs.compress.series.preview_of_file", refused)


def test_each_series_has_a_record_and_the_second_run_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tree(tmp_path / "in"), tmp_path / "out"
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"written": 18}
    records = latest(out)
    assert [record.status for record in records] == ["done"] * 3
    for number, record in enumerate(records):
        assert record.verb == "compress" and record.options["to"] == "jpeg-ls"
        assert record.source == str(source / str(number)) and record.output == str(number)
        assert record.counts == {"written": 6} and record.versions["hounsfield"]
        assert record.bytes == sum(path.stat().st_size for path in (out / str(number)).glob("*.dcm"))
        assert record.facts["bytes_before"] == sum(p.stat().st_size for p in (source / str(number)).iterdir())
        assert record.facts["ways"] == ["explicit → jpeg-ls"] and "max_error" not in record.facts
    before, lines = made(out), (out / LEDGER_NAME).read_bytes()
    forbid_opening(monkeypatch, out)
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"present": 18}
    assert all(each["kept"] for each in told["series"])
    assert made(out) == before and (out / LEDGER_NAME).read_bytes() == lines


def test_the_middle_file_that_was_written_shows_its_series(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in"), tmp_path / "out"

    def shown() -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (out / "hounsfield-previews.jsonl").read_text("utf-8").splitlines()
        ]

    typed(source, out, "--to", "jpeg-ls")
    assert [each["key"] for each in shown()] == [record.key for record in latest(out)]
    assert shown()[1] == {"key": shown()[1]["key"], **preview_of_file(sorted((out / "1").iterdir())[3])}
    page = (out / "hounsfield.html").read_text("utf-8")
    assert page.count("<img") == page.count("<svg") == 3 and page.count("Thumbnail") == 1
    edit(sorted((source / "1").iterdir())[2])
    typed(source, out, "--to", "jpeg-ls")
    assert len(shown()) == 3  # the one in the middle stands
    edit(sorted((source / "1").iterdir())[3])
    typed(source, out, "--to", "jpeg-ls")
    assert len(shown()) == 4 and shown()[3]["key"] == shown()[1]["key"]


@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
def test_a_file_edited_under_its_uid_is_done_again_and_no_other(
    workers: tuple[str, ...], tmp_path: Path
) -> None:
    source, out = tree(tmp_path / "in"), tmp_path / "out"
    typed(source, out, "--to", "jpeg-ls", *workers)
    before = made(out)
    changed = sorted((source / "1").iterdir())[2]
    edit(changed)
    status, told = typed(source, out, "--to", "jpeg-ls", *workers)
    assert status == 0 and statuses(told) == {"written": 1, "present": 17}
    after = made(out)
    assert [path for path in after if after[path] != before[path]] == [out / "1" / changed.name]
    assert (load(out / "1").array == load(source / "1").array).all()
    assert statuses(typed(source, out, "--to", "jpeg-ls")[1]) == {"present": 18}


def test_with_content_a_copy_of_the_source_with_new_times_is_the_same(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out, "--to", "rle", "--content")
    before = made(out)
    for path in (source / "0").iterdir():
        os.utime(path, (1, 1))
    assert typed(source, out, "--to", "rle", "--content")[1]["series"][0]["kept"]
    assert made(out) == before
    status, told = typed(source, out, "--to", "rle")
    assert status == 0 and statuses(told) == {"written": 6}  # known by other things than before


def test_an_output_that_is_gone_or_cut_is_made_again(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out, "--to", "jpeg-ls")
    gone, cut, *_ = sorted((out / "0").iterdir())
    whole = cut.read_bytes()
    gone.unlink()
    cut.write_bytes(whole[:-200])
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"written": 2, "present": 4}
    assert gone.exists() and cut.read_bytes() == whole


def test_other_options_replace_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out, "--to", "jpeg-ls")
    status, told = typed(source, out, "--to", "rle")
    assert status == 0 and statuses(told) == {"written": 6}
    assert {read_instance(FileSource(path)).syntax.keyword for path in out.rglob("*.dcm")} == {"rle"}
    stranger = tmp_path / "other" / "0" / sorted((source / "0").iterdir())[0].name
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"somebody else's")
    for _ in range(2):
        status, told = typed(source, tmp_path / "other", "--to", "rle")
        assert status == 1 and statuses(told)["failed"] == 1
        assert stranger.read_bytes() == b"somebody else's"
    assert typed(source, tmp_path / "other", "--to", "rle", "--force")[0] == 0


def test_outputs_from_before_there_was_a_ledger_are_recognised(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 2), tmp_path / "out"
    typed(source, out, "--to", "jpeg-ls")
    before = made(out)
    for path in out.glob("hounsfield*"):
        path.unlink()
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"present": 12}
    assert made(out) == before
    assert [record.status for record in latest(out)] == ["done"] * 2
    assert all(each["kept"] for each in typed(source, out, "--to", "jpeg-ls")[1]["series"])


def test_a_failed_file_is_named_in_its_series_and_tried_again_alone(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 2), tmp_path / "out"
    broken = sorted((source / "0").iterdir())[1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 1 and statuses(told) == {"written": 11, "failed": 1}
    fine, failed = sorted(latest(out), key=lambda record: record.status)
    assert (failed.status, fine.status) == ("failed", "done")
    assert failed.reason.startswith("1 of 6 files: ") and broken.name in failed.reason
    assert "frame 1" in failed.reason and failed.counts == {"failed": 1, "written": 5}
    others = sum(path.stat().st_size for path in (source / "0").iterdir() if path != broken)
    assert failed.facts["bytes_before"] == others  # of those that there are after
    assert "failed" in (out / "hounsfield.html").read_text("utf-8")
    before = made(out)
    broken.write_bytes(whole)
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"written": 1, "present": 11}
    assert before.items() <= made(out).items()
    assert {record.status for record in latest(out)} == {"done"}


def test_a_file_of_no_series_that_fails_has_a_line_until_it_does_not(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    lost = source / "0" / "lost.dcm"
    alone = image(pixels())
    del alone.SeriesInstanceUID
    whole = saved(alone)
    lost.write_bytes(whole[:-100])
    (source / "notes.txt").write_text("nothing of the kind, and long enough to be looked at " * 9)
    assert typed(source, out, "--to", "rle")[0] == 1
    assert [record.series for record in latest(out) if record.status == "failed"] == ["0/lost.dcm"]
    lost.write_bytes(whole)
    assert typed(source, out, "--to", "rle")[0] == 0
    assert {record.status for record in latest(out)} == {"done"}
    assert {path.name for path in out.iterdir()} == {
        "0",
        LEDGER_NAME,
        "hounsfield.csv",
        "hounsfield.html",
        "hounsfield-previews.jsonl",
    }


def test_fail_fast_begins_nothing_more_and_the_ledger_says_what_was_not_begun(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1, replace(PLAIN, slices=60)), tmp_path / "out"
    broken = sorted((source / "0").iterdir())[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    status, told = typed(source, out, "--to", "rle", "--workers", "1", "--fail-fast")
    assert status == 1 and statuses(told)["failed"] == 1 and statuses(told)["written"] < 10
    (record,) = latest(out)
    assert record.status == "failed" and "not begun" in record.reason
    broken.write_bytes(whole)
    assert typed(source, out, "--to", "rle")[0] == 0
    assert [record.status for record in latest(out)] == ["done"]
    assert (load(out).array == load(source).array).all()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("change", [False, True], ids=["first run", "of changed sources"])
def test_a_killed_run_leaves_nothing_half_written_and_the_next_finishes_it(
    change: bool, tmp_path: Path
) -> None:
    spec = replace(PLAIN, rows=256, columns=256, slices=40)
    source, out = tree(tmp_path / "in", 3, spec), tmp_path / "out"
    arguments = [str(source), str(out), "--to", "jpeg-xl", "--effort", "5"]
    if change:
        assert typed(*arguments)[0] == 0
        for path in source.rglob("*.dcm"):
            edit(path)
    before = made(out) if change else {}
    command = [sys.executable, "-m", "hounsfield", "compress", *arguments, "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if out.exists() and sum(before.get(path) != told for path, told in made(out).items()) >= 8:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    for path in made(out):
        read_instance(FileSource(path)).cells()
    assert "started" in {record.status for record in latest(out)}
    edited = sorted((source / "0").iterdir())[0]
    edit(edited)  # while nobody was looking
    status, told = typed(*arguments)
    assert status == 0 and statuses(told)["written"] > 0
    assert not list(out.rglob(".*partial*"))
    assert {record.status for record in latest(out)} == {"done"}
    for number in range(3):
        assert (load(out / str(number)).array == load(source / str(number)).array).all()
    assert statuses(typed(*arguments)[1]) == {"present": 120}


def test_of_a_growing_series_only_what_is_new_is_done(tmp_path: Path) -> None:
    source, out, rest = tree(tmp_path / "in", 1), tmp_path / "out", tmp_path / "rest"
    rest.mkdir()
    late = sorted((source / "0").iterdir())[3:]
    for path in late:
        path.rename(rest / path.name)
    typed(source, out, "--to", "jpeg-ls")
    for path in late:
        shutil.copy2(rest / path.name, path)
    status, told = typed(source, out, "--to", "jpeg-ls")
    assert status == 0 and statuses(told) == {"written": 3, "present": 3}
    (record,) = latest(out)
    assert record.facts["files"] == 6 and record.counts == {"present": 3, "written": 3}
    late[0].unlink()
    assert statuses(typed(source, out, "--to", "jpeg-ls")[1]) == {"present": 5}
    assert latest(out)[0].facts["files"] == 5


def test_two_halves_of_a_series_into_one_folder_both_stand(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    halves = [tmp_path / "a", tmp_path / "b"]
    for number, path in enumerate(sorted((source / "0").iterdir())):
        halves[number % 2].mkdir(exist_ok=True)
        path.rename(halves[number % 2] / path.name)
    for half in (*halves, *halves):
        status, told = typed(half, out, "--to", "rle")
        assert status == 0
    assert statuses(told) == {"present": 3}
    edit(next(halves[0].iterdir()))
    assert statuses(typed(halves[0], out, "--to", "rle")[1]) == {"written": 1, "present": 2}


def test_archives_and_servers_have_their_series_recorded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "in", 2)
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in sorted(source.rglob("*.dcm")):
            archive.write(path, path.relative_to(source))
    contents = [path.read_bytes() for path in sorted(source.rglob("*.dcm"))]
    with stub_archive(contents) as server:
        for name, place in (("zip", tmp_path / "scan.zip"), ("web", server.url)):
            status, told = typed(place, tmp_path / name, "--to", "jpeg-ls")
            assert status == 0 and statuses(told) == {"written": 12}
            assert [record.status for record in latest(tmp_path / name)] == ["done"] * 2
        forbid_opening(monkeypatch, tmp_path)
        for name, place in (("zip", tmp_path / "scan.zip"), ("web", server.url)):
            assert all(each["kept"] for each in typed(place, tmp_path / name, "--to", "jpeg-ls")[1]["series"])


def test_what_was_lost_is_in_the_record_and_on_the_page(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out, "--to", "jpeg-ls-near", "--max-error", "2")
    (record,) = latest(out)
    assert 0 < record.facts["max_error"] <= 2 and record.facts["psnr"] > 30
    page = (out / "hounsfield.html").read_text("utf-8")
    assert "explicit → jpeg-ls-near" in page and "largest error 2 HU" in page and "6 files" in page
    table = (out / "hounsfield.csv").read_text("utf-8").splitlines()
    row = dict(zip(table[0].split(","), table[1].split(","), strict=False))
    assert row["files"] == "6" and row["largest error"] == "2" and float(row["ratio"]) > 1
    edit(sorted((source / "0").iterdir())[0])
    typed(source, out, "--to", "jpeg-ls-near", "--max-error", "2")
    assert latest(out)[0].facts["measured"] == 6 and latest(out)[0].facts["max_error"] > 0


def test_a_single_file_has_no_ledger_and_no_output_takes_the_name_of_one(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", 1)
    first, *_ = sorted((source / "0").iterdir())
    assert (
        CliRunner().invoke(main, ["compress", str(first), f"{tmp_path}/one/", "--to", "rle"]).exit_code == 0
    )
    assert [path.name for path in (tmp_path / "one").iterdir()] == [first.name]
    assert list(find_files([(FileSource(first), Path(LEDGER_NAME))]).outputs) == [f"{LEDGER_NAME} (2)"]


def test_two_runs_into_one_folder_at_a_time_are_refused(tmp_path: Path) -> None:
    from hounsfield.runs.report import open_place

    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    with open_place(out):
        done = CliRunner().invoke(main, ["compress", str(source), str(out), "--to", "rle"])
        assert done.exit_code == 1 and "another run" in done.output


def test_the_ledger_may_lie_elsewhere(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    ledger = tmp_path / "run" / "compress.jsonl"
    assert typed(source, out, "--to", "rle", "--ledger", ledger)[0] == 0
    assert [record.status for record in read_ledger(ledger)] == ["started", "done"]
    assert [path.name for path in out.iterdir()] == ["0"]


@pytest.mark.parametrize("verb", ["compress", "deidentify"])
def test_on_a_disk_that_fills_up_what_is_there_is_whole_and_the_next_run_finishes(
    verb: str, tmp_path: Path
) -> None:
    """A file system of 2 MB in memory, in a namespace of its own, for outputs, ledger and pages together."""
    if shutil.which("unshare") is None or (
        subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0
    ):
        pytest.skip("no namespaces for this user here")
    source, kept, disk = (
        tree(tmp_path / "in", 3, replace(PLAIN, rows=192, columns=192, slices=24)),
        tmp_path / "kept",
        tmp_path / "disk",
    )
    disk.mkdir()
    options = {"compress": ["--to", "rle"], "deidentify": ["--key", str(tmp_path / "key")]}[verb]
    script = (
        'disk=$1; kept=$2; shift 2; mount -t tmpfs -o size=2m none "$disk" || exit 99; '
        '"$@" "$disk/out"; status=$?; cp -r "$disk/out" "$kept"; exit $status'
    )
    command = [sys.executable, "-m", "hounsfield", verb, *options, "--workers", "1", str(source)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", disk, kept, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("no tmpfs for this user here")
    assert done.returncode == 1 and "No space left" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    whole = made(kept)
    assert 0 < len(whole) < 72
    for path in whole:
        read_instance(FileSource(path)).cells()
    assert not list(kept.rglob(".*partial*"))
    assert CliRunner().invoke(main, [verb, *options, str(source), str(kept)]).exit_code == 0
    assert len(made(kept)) == 72 and {record.status for record in latest(kept) if record.uid} == {"done"}
