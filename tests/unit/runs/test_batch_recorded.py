"""A folder of series → a folder of volumes, twice: what is missing, changed or failed is done, and nothing else."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from stub_archive import stub_archive

from hounsfield import load, phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, Record, read_ledger

PLAIN = PhantomSpec(rows=40, columns=48, slices=6)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows(result: Result) -> list[dict[str, Any]]:
    return list(json.loads(result.stdout)["volumes"])


def kept(result: Result) -> list[bool]:
    return [row["kept"] for row in rows(result)]


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for seed, name in enumerate("abc", start=1):
        phantom.write(replace(PLAIN, seed=seed, series_description=f"series {name}"), tmp_path / "in" / name)
    return tmp_path


def volume(folder: Path, *more: object) -> Result:
    return run("volume", folder / "in", folder / "out", "--format", ".nii", "--json", *more)


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "out").glob("[!.]*.nii"))}


def latest(folder: Path) -> dict[str, Record]:
    return {record.key: record for record in read_ledger(folder / "out" / LEDGER_NAME)}


def test_the_ledger_tells_everything_of_each_series(three: Path) -> None:
    assert volume(three).exit_code == 0
    for record in latest(three).values():
        assert record.status == "done"
        assert record.source.startswith(str(three / "in"))
        assert record.digest and record.verdict == "regular" and record.unit == "HU"
        assert record.shape == (6, 40, 48)
        assert "dtype" not in record.options  # that of the unit
        assert set(record.versions) >= {"hounsfield", "numpy", "pydicom"}
        assert record.bytes == (three / "out" / record.output).stat().st_size
        assert record.counts["padded"] > 0
        assert record.seconds >= 0 and record.time.endswith("+00:00")


def test_a_second_run_does_nothing(three: Path) -> None:
    assert kept(volume(three)) == [False] * 3
    before = {path: path.stat().st_mtime_ns for path in (three / "out").glob("*.nii")}
    lines = (three / "out" / LEDGER_NAME).read_bytes()
    assert kept(volume(three)) == [True] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (three / "out" / LEDGER_NAME).read_bytes() == lines


def test_what_changed_is_done_again_and_replaced(three: Path) -> None:
    first = rows(volume(three))
    phantom.write(replace(PLAIN, seed=2, series_description="series b", noise=50.0), three / "in" / "b")
    second = volume(three)
    assert kept(second) == [True, False, True]
    assert [row["output"] for row in rows(second)] == [row["output"] for row in first]
    written = np.asarray(nibabel.load(rows(second)[1]["output"]).dataobj).transpose(2, 1, 0)
    assert np.array_equal(written, load(three / "in" / "b").array)


def test_what_is_missing_or_cut_short_is_done_again(three: Path) -> None:
    first = [Path(row["output"]) for row in rows(volume(three))]
    whole = outputs(three)
    first[0].unlink()
    first[2].write_bytes(first[2].read_bytes()[:-7])
    assert kept(volume(three)) == [False, True, False]
    assert outputs(three) == whole


def test_what_failed_is_tried_again(three: Path) -> None:
    hidden = three / "in" / "c" / "CT0003.dcm"
    hidden.rename(three / "away")
    first = volume(three)
    assert [row["status"] for row in rows(first)] == ["made", "made", "failed"]
    assert first.exit_code == 1
    (three / "away").rename(hidden)
    second = volume(three)
    assert [row["status"] for row in rows(second)] == ["made"] * 3
    assert kept(second) == [True, True, False]


def test_other_options_make_other_volumes_in_place(three: Path) -> None:
    volume(three)
    assert kept(volume(three, "--dtype", "float32")) == [False] * 3
    assert len(outputs(three)) == 3
    assert nibabel.load(next((three / "out").glob("*.nii"))).get_data_dtype() == np.float32


def test_series_that_join_or_share_a_name_never_take_another_s_output(three: Path) -> None:
    for name in "abc":
        shutil.rmtree(three / "in" / name)
    phantom.write(replace(PLAIN, seed=12), three / "in" / "m")
    first = rows(volume(three))
    phantom.write(replace(PLAIN, seed=11), three / "in" / "a")
    second = volume(three)
    assert kept(second) == [False, True]
    assert rows(second)[1]["output"] == first[0]["output"]
    assert len(outputs(three)) == 2


def test_a_file_of_somebody_else_s_is_never_replaced_without_force(three: Path) -> None:
    names = [Path(row["output"]).name for row in rows(volume(three))]
    shutil.rmtree(three / "out")
    (three / "out").mkdir()
    (three / "out" / names[1]).write_bytes(b"mine")
    for _ in range(3):
        result = volume(three)
        assert [row["status"] for row in rows(result)] == ["made", "failed", "made"]
        assert "exists already" in rows(result)[1]["reason"]
        assert (three / "out" / names[1]).read_bytes() == b"mine"
    assert [row["status"] for row in rows(volume(three, "--force"))] == ["made"] * 3


def test_what_a_worker_wrote_before_it_was_lost_is_no_stranger_s(three: Path) -> None:
    from hounsfield import scan
    from hounsfield.runs import Job, Result, Status, Task, run_series, threads
    from hounsfield.runs.report import open_place

    class Twice:
        """Writes, is told that the engine was lost, and is asked again."""

        def __init__(self) -> None:
            self.asked: set[str] = set()

        def __call__(self, job: Job) -> Result:
            from hounsfield.outputs import whole_file

            with whole_file(Path(job.target), force=True) as temporary:
                temporary.write_bytes(b"whole")
            if job.key not in self.asked:
                self.asked.add(job.key)
                raise CancelledError
            return Result(job.series.name, Status.DONE)

    with open_place(three / "out") as place:
        task = Task("test", Twice(), ".bin", {})
        answers = list(run_series(scan(three / "in").series, task, place, threads(1)))
    assert [answer.status for answer in answers] == ["done"] * 3


def test_a_location_without_series_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert volume(tmp_path).exit_code == 0
    assert not (tmp_path / "out").exists()


def test_fail_fast_stops_and_the_next_run_does_the_rest(three: Path) -> None:
    missing = three / "in" / "a" / "CT0003.dcm"
    missing.unlink()
    result = volume(three, "--fail-fast", "--workers", "1")
    assert result.exit_code == 1
    assert rows(result)[0]["status"] == "failed"
    assert len(rows(volume(three))) == 3


def test_a_copy_with_new_times_is_known_by_its_content(three: Path) -> None:
    assert kept(volume(three, "--content")) == [False] * 3
    for path in (three / "in").rglob("*.dcm"):
        os.utime(path, (1, 1))
    assert kept(volume(three, "--content")) == [True] * 3
    assert kept(volume(three)) == [False] * 3


def test_workers_give_the_same_bytes_as_one(three: Path) -> None:
    volume(three, "--workers", "1")
    one = outputs(three)
    shutil.rmtree(three / "out")
    assert volume(three, "--workers", "2").exit_code == 0
    assert outputs(three) == one


def test_the_table_has_a_row_a_series_and_no_formulas(three: Path) -> None:
    phantom.write(
        replace(PLAIN, seed=4, series_number=4, series_description="=1+1", missing=(2,)), three / "in" / "d"
    )
    volume(three)
    with (three / "out" / "hounsfield.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["status"] for row in table].count("made") == 3
    assert [row["status"] for row in table].count("failed") == 1


@posix
def test_two_runs_into_one_folder_are_refused(three: Path) -> None:
    import fcntl

    volume(three)
    with (three / "out" / LEDGER_NAME).open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        result = volume(three)
    assert result.exit_code == 1
    assert "another run" in result.stderr


def test_a_source_that_disappears_fails_and_the_rest_goes_on(three: Path) -> None:
    from hounsfield import scan
    from hounsfield.runs.report import open_place
    from hounsfield.verbs.convert import convert_all

    found = scan(three / "in")
    shutil.rmtree(three / "in" / "b")
    with open_place(three / "out") as place:
        answers = list(convert_all(found, place))
    assert sorted(record.status for record in answers) == ["done", "done", "failed"]
    assert "No such file" in next(record.reason for record in answers if record.status == "failed")


def limited(limit: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, under a limit that `resource` has."""
    program = (
        "import resource, sys\n"
        "from hounsfield.cli import main\n"
        f"resource.setrlimit({limit})\n"
        "main(sys.argv[1:])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


FOUR_GIGABYTES = "resource.RLIMIT_AS, (4 << 30, 4 << 30)"


def write_one_of_six_gigabytes(folder: Path) -> None:
    """A series whose header asks for them."""
    spec = replace(PLAIN, seed=8, series_number=8, tags={"Rows": 40000, "Columns": 40000})
    phantom.write(spec, folder / "big")


@posix
def test_a_full_disk_fails_the_series_that_does_not_fit_and_a_second_run_finishes(three: Path) -> None:
    phantom.write(replace(PLAIN, seed=9, slices=60, rows=128, columns=128), three / "in" / "d")
    arguments = ("volume", three / "in", three / "out", "--format", ".nii", "--json")
    done = limited("resource.RLIMIT_FSIZE, (400_000, 400_000)", *arguments)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)["volumes"]
    assert [row["status"] for row in told] == ["made", "made", "made", "failed"]
    assert "cannot be written" in told[3]["reason"]
    assert not list((three / "out").glob(".*partial*"))
    assert kept(volume(three)) == [True, True, True, False]


@posix
def test_a_series_that_takes_all_memory_fails_and_the_rest_is_made(three: Path) -> None:
    """Its header asks for 6 GB, in workers that may have 4."""
    write_one_of_six_gigabytes(three / "in")
    arguments = ("volume", three / "in", three / "out", "--format", ".nii", "--workers", "2", "--json")
    done = limited(FOUR_GIGABYTES, *arguments)
    assert done.returncode == 1, done.stderr
    told = {row["series"]: row for row in json.loads(done.stdout)["volumes"]}
    failed = [row for row in told.values() if row["status"] == "failed"]
    assert [row["series"] for row in failed] == ["8 Phantom"]
    assert "GiB" in failed[0]["reason"]
    assert len(outputs(three)) == 3


@posix
def test_info_tells_of_every_series_but_the_one_that_takes_all_memory(three: Path) -> None:
    write_one_of_six_gigabytes(three / "in")
    done = limited(FOUR_GIGABYTES, "info", three / "in", "--workers", "2", "--json")
    told = json.loads(done.stdout)
    unread = [item["name"] for item in told["series"] if item["trust"] == "red"]
    unread += [item["name"] for item in told["failed"]]
    assert unread == ["8 Phantom"]
    assert len(told["series"]) + len(told["failed"]) == 4
    assert done.returncode == (1 if told["failed"] else 0)


def test_info_and_image_work_through_many_series_on_worker_processes(three: Path) -> None:
    alone = json.loads(run("info", three / "in", "--workers", "1", "--json").stdout)
    told = json.loads(run("info", three / "in", "--workers", "2", "--json").stdout)
    assert told == alone and len(told["series"]) == 3
    for status in ("made", "kept"):
        done = run("image", three / "in", three / "pictures", "--workers", "2", "--json")
        pictures = json.loads(done.stdout)["pictures"]
        assert [row["status"] for row in pictures] == ["made"] * 3
        assert [row["kept"] for row in pictures] == [status == "kept"] * 3
    assert len(list((three / "pictures").glob("*.png"))) == 3


def test_a_server_s_series_become_volumes_and_are_kept(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path / "in")
    with stub_archive(path.read_bytes() for path in paths) as archive:
        for again in (False, True):
            result = run(
                "volume", archive.url, tmp_path / "out", "--format", ".nii", "--workers", "2", "--json"
            )
            (row,) = rows(result)
            assert (row["status"], row["kept"]) == ("made", again)
    written = np.asarray(nibabel.load(row["output"]).dataobj).transpose(2, 1, 0)
    assert np.array_equal(written, load(tmp_path / "in").array)


@posix
@pytest.mark.parametrize("workers", ["1", "2"])
def test_kill_9_anywhere_leaves_nothing_half_written_and_the_next_run_finishes(
    tmp_path: Path, workers: str
) -> None:
    for seed in range(8):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed, slices=12), tmp_path / "in" / str(seed))
    command = [
        sys.executable,
        "-m",
        "hounsfield",
        "volume",
        "in",
        "out",
        "--format",
        ".nii",
        "--workers",
        workers,
    ]
    volume(tmp_path, "--workers", "1")
    whole = outputs(tmp_path)
    shutil.rmtree(tmp_path / "out")
    chance = random.Random(int(workers))
    kills = 0
    for _ in range(6):
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _wait_for_lines(tmp_path / "out" / LEDGER_NAME, process, chance.randrange(2, 14))
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        for name, content in outputs(tmp_path).items():
            assert content == whole[name], f"{name} is half-written"
        for record in latest(tmp_path).values():
            assert record.status == "started" or (tmp_path / "out" / record.output).exists()
    assert kills >= 1
    assert volume(tmp_path, "--workers", workers).exit_code == 0
    assert outputs(tmp_path) == whole
    assert not list((tmp_path / "out").glob(".*partial*"))
    assert {record.status for record in latest(tmp_path).values()} == {"done"}


def _wait_for_lines(path: Path, process: subprocess.Popen[bytes], count: int) -> None:
    begin = path.stat().st_size if path.exists() else 0
    for _ in range(2000):
        if process.poll() is not None:
            return
        if path.exists() and path.stat().st_size > begin + 80 * count:
            return
        time.sleep(0.005)
