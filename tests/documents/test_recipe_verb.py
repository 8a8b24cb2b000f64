"""The recipe "Add a verb" of CONTRIBUTING: its two modules and its row make a verb that is recorded and resumed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hounsfield.phantom import PhantomSpec, write

PROJECT = Path(__file__).parents[2]
PLAIN = PhantomSpec(rows=24, columns=24, slices=3)
RESULTS_AT_MOST = 8

# As if the modules lay in the package and the row in its table.
PROGRAM = """
import sys
import hounsfield.cli, hounsfield.verbs
for package in (hounsfield.cli, hounsfield.verbs):
    package.__path__.append(f"{sys.argv[1]}/{package.__name__.rpartition('.')[2]}")
hounsfield.cli.VERBS |= {%s}
if __name__ == "__main__":
    hounsfield.cli.main(sys.argv[2:])
"""


def recipe() -> str:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    return text[text.index("## Add a verb") :].partition("\n## ")[0]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    modules = re.findall(r"```python\n(.*?)```", recipe(), re.DOTALL)
    for room, module in zip(("verbs", "cli"), modules, strict=True):
        (tmp_path / "site" / room).mkdir(parents=True)
        (tmp_path / "site" / room / "air.py").write_text(module, "utf-8")
    (row,) = re.findall(r'`("air": ".*?")`', recipe())
    (tmp_path / "program.py").write_text(PROGRAM % row, "utf-8")
    return tmp_path / "program.py"


def typed(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), str(program.parent / "site"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=os.environ)


def rows(program: Path, *arguments: object) -> list[dict[str, Any]]:
    done = typed(program, "air", *arguments, "--workers", "1", "--json")
    return list(json.loads(done.stdout)["series"])


def test_a_verb_by_the_recipe_runs_is_recorded_and_resumed(program: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "scan" / str(seed))
    first = rows(program, tmp_path / "scan", tmp_path / "out")
    assert [(row["status"], row["kept"], row["unit"]) for row in first] == [("made", False, "HU")] * 2
    assert all(Path(row["output"]).read_text().endswith("%\n") for row in first)
    Path(first[0]["output"]).unlink()
    again = rows(program, tmp_path / "scan", tmp_path / "out")
    assert [row["kept"] for row in again] == [False, True]
    assert (tmp_path / "out" / "hounsfield.html").is_file()


def test_its_help_is_that_of_any_verb(program: Path) -> None:
    assert "Say how much of each series is air." in typed(program, "--help").stdout
    told = typed(program, "air", "--help").stdout
    assert all(option in told for option in ("--workers", "--cluster", "--ledger", "--force", "--json"))


def test_classes_of_results_are_few() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    command = re.findall(r"```\n(grep .*?)\n```", text, re.DOTALL)[0]
    listed = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)
    found = listed.stdout.splitlines()
    assert 0 < len(found) <= RESULTS_AT_MOST, found
