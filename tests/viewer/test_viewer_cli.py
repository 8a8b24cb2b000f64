"""`hounsfield view` as a command: it serves until it is stopped, on this machine only, and copies nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hounsfield.phantom import PhantomSpec, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write(PhantomSpec(rows=16, columns=16, slices=3, series_number=7, series_description="Chest"), root / "a")
    write(PhantomSpec(rows=16, columns=16, slices=5, series_number=8, series_description="Head"), root / "b")
    (root / "notes.txt").write_text("nothing")
    return root


@contextmanager
def _viewing(*arguments: str) -> Iterator[str]:
    """The address that the command prints."""
    command = [sys.executable, "-m", "hounsfield", "view", "--no-browser", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()


def _failed(*arguments: str) -> str:
    command = [sys.executable, "-m", "hounsfield", "view", "--no-browser", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_address_opens_the_largest_series_of_one_study(folder: Path) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    with _viewing(str(folder)) as address:
        root, _, fragment = address.partition("#")
        assert root.startswith("http://127.0.0.1:")
        series = fragment.partition("series=")[2].partition("&")[0]
        with urllib.request.urlopen(f"{root}dicom-web/instances?SeriesInstanceUID={series}") as answer:
            assert len(json.load(answer)) == 5
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_a_series_is_named_by_number_or_description(folder: Path) -> None:
    for wanted in ("7", "chest"):
        with _viewing(str(folder), "--series", wanted, "--lang", "zh") as address:
            assert "lang=zh" in address
            root, _, fragment = address.partition("#")
            series = fragment.partition("series=")[2].partition("&")[0]
            with urllib.request.urlopen(f"{root}dicom-web/instances?SeriesInstanceUID={series}") as answer:
                assert len(json.load(answer)) == 3


def test_it_takes_nothing_in_and_answers_to_no_other_name(folder: Path) -> None:
    with _viewing(str(folder)) as address:
        root = address.partition("#")[0]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{root}dicom-web/studies", b"", method="POST"))
        assert refused.value.code == 405
        refused.value.close()
        with pytest.raises(urllib.error.HTTPError) as misled:
            urllib.request.urlopen(
                urllib.request.Request(f"{root}dicom-web/studies", headers={"Host": "evil.example"})
            )
        assert misled.value.code == 421
        misled.value.close()


def test_what_cannot_be_viewed_is_told(folder: Path, tmp_path: Path) -> None:
    assert "no series match 'legs'" in _failed(str(folder), "--series", "legs")
    assert "7 Chest" in _failed(str(folder), "--series", "legs")
    (tmp_path / "note.txt").write_text("nothing")
    assert "no DICOM in it" in _failed(str(tmp_path))
    assert "error" in _failed(str(tmp_path / "absent"))
