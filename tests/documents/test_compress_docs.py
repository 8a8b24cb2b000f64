"""Every command of docs/compress.md runs as it is printed, in the order of the page."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from stub_archive import stub_archive
from test_export_buckets import bucket, endpoint

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import Pace
from hounsfield.transcode import policy_target

__all__ = ["bucket", "endpoint"]  # fixtures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compress.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line[2:], comments=True) for line in lines]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page takes for granted: a scan, an archive, no clock to wait for."""
    # Smooth enough that a tenth of its size can be had.
    phantom.write(PhantomSpec(rows=128, columns=128, slices=3, noise=4), tmp_path / "scan")
    for seed in range(2):
        spec = PhantomSpec(rows=32, columns=32, slices=3, seed=seed, series_number=seed, dicomdir="good")
        phantom.write(spec, tmp_path / "archive" / str(seed))
    (tmp_path / "archive" / "README.txt").write_text(
        "nothing of the kind, and long enough to be looked at " * 9
    )
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))
    monkeypatch.setattr(Pace, "wait", lambda self, size: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_room(place: Path, names: set[str]) -> None:
    """Each example stands for itself: what an earlier one made goes aside."""
    for name in names:
        if (place / name).exists():
            (place / name).rename(place / f"{name}.{len(list(place.iterdir()))}")


def test_every_command_of_the_page_runs(place: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [path.read_bytes() for path in sorted((place / "scan").iterdir())]
    outputs = {"small", "tiny", "new", "costs.svg"}
    with stub_archive(contents) as server:
        assert CliRunner().invoke(main, ["servers", "add", "pacs", server.url]).exit_code == 0
        for command in commands():
            assert command[0] == "hounsfield"
            if command[1] != "verify":
                make_room(place, {part.rstrip("/") for part in command[2:]} & outputs)
            done = CliRunner().invoke(main, command[1:])
            assert done.exit_code == 0, (command, done.output)


def test_the_policy_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "policy.toml").write_text(text, "utf-8")
    target = policy_target(tmp_path / "policy.toml")
    assert target.policy is not None and len(target.policy.rules) == len(tomllib.loads(text)["rule"]) == 4
