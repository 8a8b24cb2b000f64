"""The tutorial in the documentation, step by step as it is written, against a real Orthanc."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from orthanc import running_orthanc, skip_without_orthanc

import hounsfield
from hounsfield.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "dicomweb.md"
ADDRESS = "http://127.0.0.1:8042/dicom-web"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_tutorial_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_orthanc()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))
    with running_orthanc(tmp_path / "orthanc") as url:
        printed: dict[Any, Any] = {}
        for line in "\n".join(blocks("console")).splitlines():
            arguments = shlex.split(line.removeprefix("$ hounsfield ").replace(ADDRESS, url))
            done = CliRunner().invoke(main, arguments)
            assert done.exit_code == 0, f"{line}\n{done.output}"
            printed.setdefault(line, []).append(done.output)
        for block in blocks("python"):
            exec(compile(block.replace(ADDRESS, url), str(PAGE), "exec"), {"__name__": "tutorial"})
    copies = [output for line, found in printed.items() if "copy demo" in line for output in found]
    here = sorted(path.read_bytes() for path in (tmp_path / "demo-output" / "dicom").iterdir())
    assert copies[0].startswith(f"{len(here)} moved")
    assert copies[1].startswith(f"0 moved (0 B), {len(here)} present")
    there = sorted(path.read_bytes() for path in (tmp_path / "from-server").rglob("*.dcm"))
    assert there == here
    assert np.array_equal(hounsfield.load("from-server").array, hounsfield.load("demo-output/dicom").array)
    assert f"'present': {len(here)}" in capsys.readouterr().out
