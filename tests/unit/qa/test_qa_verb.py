"""The verb `qa`: JSON, exit status, page and ledger over files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.phantom import write as write_body
from hounsfield.phantom.qa import Scan, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("qa") / "scan"
    write(Scan(shape=(52, 220, 220), spacing=(4.0, 1.0, 1.0), thickness=4.0, noise=4.0, roll=5.0), place)
    return place


def run(*words: Any) -> Result:
    return CliRunner().invoke(main, ["qa", *map(str, words)])


def test_json_page_curve_and_ledger_of_a_phantom(folder: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(folder, out, "--json", "--curve", "ed", "--use-plastics", "--lang", "zh")
    assert done.exit_code == 0, done.output
    (series,) = json.loads(done.stdout)["series"]
    truth = json.loads((folder / "truth.json").read_text())
    assert series["phantom"]["model"] == truth["phantom"]
    assert abs(series["placement"]["roll"] - truth["placement"]["roll"]) < 0.1
    means = {each["name"]: each["mean"] for each in series["inserts"]}
    assert all(abs(means[each["name"]] - each["hu"]) < 1.5 for each in truth["inserts"])
    assert {each["material"] for each in series["inserts"]} >= {
        "Teflon",
        "Delrin",
        "acrylic",
        "LDPE",
        "PMP",
        "air",
    }
    page = (out / "qa.html").read_text(encoding="utf-8")
    assert "聚四氟乙烯" in page and "<script" not in page and "http" not in page
    assert (out / "curve.csv").read_text().count("\n") >= 9
    assert len((out / "hounsfield.jsonl").read_text().splitlines()) == 1
    assert json.loads((out / "qa.json").read_text(encoding="utf-8"))["series"] == [series]


def test_exit_status_says_broken_refused_or_measured(folder: Any, tmp_path: Path) -> None:
    limits = tmp_path / "mine.json"
    row = {"quantity": "insert:Teflon", "low": 1100, "high": 1200, "source": "physics, 2024"}
    limits.write_text(json.dumps({"name": "mine", "limits": [row]}))
    assert run(folder, "--limits", limits).exit_code == 3
    refused = run(folder, "--limits", "ws519-status")
    assert refused.exit_code == 1 and "not checked against its text" in refused.stderr
    wrong = run(folder, "--phantom", "catphan504")
    assert wrong.exit_code == 1 and "CatPhan 604" in wrong.stderr
    assert "Teflon" not in wrong.stdout


def test_a_body_is_no_phantom_of_the_field(tmp_path: Path) -> None:
    write_body(PhantomSpec(rows=96, columns=96, slices=12), tmp_path / "body")
    done = run(tmp_path / "body")
    assert done.exit_code == 1
    assert "no phantom" in done.stderr


def test_demo_writes_a_phantom_of_the_field_that_qa_finds(tmp_path: Path) -> None:
    out = tmp_path / "catphan"
    made = CliRunner().invoke(main, ["demo", "--phantom", "catphan503", "--out", str(out), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["files"] == 90
    (series,) = json.loads(run(out, "--json").stdout)["series"]
    assert series["phantom"]["model"] == "catphan503"
    assert series["missing"] == []
