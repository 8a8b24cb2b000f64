"""What a killed copy left behind is named, and gone with the next run, however young it is; what others write stays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import hounsfield
from hounsfield.outputs import storing_below
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.phantom import PhantomSpec, write
from hounsfield.verbs.copy import Summary, copy

COUNT = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write(PhantomSpec(rows=32, columns=32, slices=COUNT), folder)
    return folder


def moved(summary: Summary) -> int:
    assert summary.counts["failed"] == summary.counts["refused"] == 0
    return summary.counts["moved"]


def leave(root: Path, *names: str) -> list[Path]:
    """Files that a killed copy would have left in a series' folder, as young as can be."""
    folder = root / "1.2" / "1.3"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"whose name it has")
    return [folder / name for name in names]


LEFT = (
    ".0123456789ab.partial.instance",
    ".0123456789ab.partial.dcm",
    ".0123456789ab.partial.3.4.5.dcm",
    ".0123456789abcdef.partial",
)
OTHERS = (
    ".0123456789ab.partial.txt",
    "partial.dcm",
    ".hidden.partial",
    ".0123456789AB.partial.dcm",
    "1.4.dcm",
)


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    left = leave(tmp_path / "out", *LEFT, *OTHERS)
    assert moved(copy(folder, tmp_path / "out")) == COUNT
    assert [path.name for path in left if path.exists()] == list(OTHERS)


def test_what_another_copy_is_about_to_write_is_left_to_it(folder: Path, tmp_path: Path) -> None:
    with storing_below(tmp_path / "out"):
        left = leave(tmp_path / "out", *LEFT)
        copy(folder, tmp_path / "out")
    assert all(path.exists() for path in left)
    copy(folder, tmp_path / "out")
    assert not any(path.exists() for path in left)


def test_what_a_killed_one_left_is_named_by_a_scan_and_taken_for_no_image(
    folder: Path, tmp_path: Path
) -> None:
    (path, *_) = sorted(folder.iterdir())
    left = leave(tmp_path, *LEFT)
    for each in left:
        each.write_bytes(path.read_bytes())
    found = hounsfield.scan(tmp_path)
    assert found.series == () and {Path(each.name).name for each in found.skipped} == set(LEFT)
    assert {each.reason for each in found.skipped} == {"an output that was never finished"}


def test_a_copy_that_is_killed_between_servers_leaves_nothing_that_the_next_does_not_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = "import time\nfrom hounsfield.outputs.scratch import ScratchFolder\nmade = ScratchFolder()\n"
    script += "(made.path / 'patient').write_bytes(b'x')\nprint(made.path, flush=True)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    left = Path(process.stdout.readline().strip())
    monkeypatch.setattr(tempfile, "tempdir", None)
    with ScratchFolder() as own:
        assert left.exists() and own.exists() and own.parent == left.parent == tmp_path
    process.kill()
    process.wait(10)
    process.stdout.close()
    assert left.exists()
    with ScratchFolder() as own:
        assert not left.exists() and own.exists()
    assert not own.exists()
