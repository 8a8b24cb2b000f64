"""Whole runs of the verb while things break for real: the rest goes on, the ledger is true, a second run finishes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_batch_memory import tree

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, Record, read_ledger

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
SPEC = PhantomSpec(rows=192, columns=192, slices=24)
COUNT = 8


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for seed in range(COUNT):
        phantom.write(replace(SPEC, seed=seed, series_number=seed), folder / str(seed))
    return folder


def latest(out: Path) -> list[Record]:
    return list({record.key: record for record in read_ledger(out / LEDGER_NAME)}.values())


def begin(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hounsfield", "volume", *map(str, arguments), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finishes(many: Path, out: Path) -> None:
    """A second run makes what is missing; outputs are the ones that an undisturbed run makes."""
    done = CliRunner().invoke(main, ["volume", str(many), str(out), "--format", ".nii", "--json"])
    assert done.exit_code == 0, done.output
    CliRunner().invoke(main, ["volume", str(many), str(out) + "-whole", "--format", ".nii", "--workers", "1"])
    whole = {path.name: path.read_bytes() for path in Path(f"{out}-whole").glob("*.nii")}
    assert {path.name: path.read_bytes() for path in out.glob("*.nii")} == whole
    assert {record.status for record in latest(out)} == {"done"}
    assert not list(out.glob(".*partial*"))


def is_truly_made(out: Path) -> None:
    for record in latest(out):
        if record.status == "done":
            assert (out / record.output).stat().st_size == record.bytes


def lines(out: Path) -> int:
    path = out / LEDGER_NAME
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until_lines(out: Path, process: subprocess.Popen[str], count: int) -> None:
    for _ in range(6000):
        if lines(out) >= count or process.poll() is not None:
            return
        time.sleep(0.005)
    raise AssertionError("the run never got there")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Processes below it that computed: what Python starts besides stays idle."""
    found = []
    for child in tree(process.pid)[1:]:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        if int(fields[11]) > 5:
            found.append(child)
    return found


def test_worker_processes_killed_in_the_middle_cost_nothing(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = begin(many, out, "--format", ".nii.gz", "--workers", "2")
    killed = 0
    for count in (4, 9):
        until_lines(out, process, count)
        for worker in workers_of(process)[-1:]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
    told, complained = process.communicate(timeout=120)
    assert killed >= 1
    assert process.returncode == 0, complained
    assert [row["status"] for row in json.loads(told)["volumes"]] == ["made"] * COUNT
    is_truly_made(out)


def test_sources_that_disappear_while_it_runs_fail_and_come_back(many: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(many, source)
    process = begin(source, out, "--format", ".nii", "--workers", "1")
    until_lines(out, process, 2)
    (source / str(COUNT - 1)).rename(tmp_path / "away")
    told, _ = process.communicate(timeout=120)
    statuses = [row["status"] for row in json.loads(told)["volumes"]]
    assert process.returncode == 1 and statuses.count("failed") == 1
    is_truly_made(out)
    (tmp_path / "away").rename(source / str(COUNT - 1))
    finishes(source, out)


def test_a_disk_that_fills_up_stops_no_series_that_fits(many: Path, tmp_path: Path) -> None:
    """A file system of 4 MB in memory, in a namespace of its own, for outputs, ledger and pages together."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces for this user here")
    kept = tmp_path / "kept"
    script = (
        'mount -t tmpfs -o size=4m none "$1" || exit 99; '
        '"$2" -m hounsfield volume "$3" "$1/out" --format .nii --workers 1 --json; status=$?; '
        'cp -r "$1/out" "$4"; exit $status'
    )
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path / "disk", sys.executable, many, kept],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("no tmpfs for this user here")
    assert done.returncode == 1
    assert "No space left" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    made = [record for record in latest(kept) if record.status == "done"]
    assert 1 <= len(made) < COUNT
    is_truly_made(kept)
    assert (kept / LEDGER_NAME).read_bytes().endswith(b"\n")
    finishes(many, kept)
