"""Ledgers as hounsfield 0.1 wrote them are understood: what they say is done is not done again, what is not is done.

`ledgers/*.jsonl` were written by that version for the tree that `exam` builds; `{place}` stands for its folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, read_ledger
from hounsfield.runs.ledger import FILE_LEDGER_NAME

LEDGERS = Path(__file__).with_name("ledgers")
VERBS: dict[str, tuple[str, ...]] = {
    "volume": ("--format", ".nii"),
    "compress": ("--to", "rle"),
    "deidentify": ("--key", "key"),
    "copy": (),
}


@pytest.fixture
def exam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two series of three slices, byte for byte and to the second as they were then, and the key that was used."""
    spec = PhantomSpec(rows=24, columns=24, slices=3)
    for seed, name in enumerate("ab", start=1):
        series = replace(spec, seed=seed, series_number=seed, series_description=f"series {name}")
        phantom.write(series, tmp_path / "exam" / name)
    for path in (tmp_path / "exam").rglob("*.dcm"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    (tmp_path / "key").write_text("5f" * 32 + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(verb: str, *more: str) -> dict[str, Any]:
    command = [verb, "exam", "out", *VERBS[verb], "--workers", "1", "--json", *more]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def written_before(name: str, place: Path) -> str:
    return (LEDGERS / f"{name}.jsonl").read_text("utf-8").replace("{place}", str(place))


def words(verb: str, told: dict[str, Any]) -> dict[str, int]:
    """How often each word of the verb's JSON is said."""
    if verb == "volume":
        return Counter(f"{row['status']}{' before' * row['kept']}" for row in told["volumes"])
    if verb == "compress":
        return Counter(row["status"] for row in told["files"])
    counts = told["objects"] if verb == "deidentify" else {name: told[name] for name in ("moved", "present")}
    return {word: count for word, count in counts.items() if count}


@pytest.mark.parametrize(
    ("verb", "first", "again"),
    [
        ("volume", {"made": 2}, {"made before": 2}),
        ("compress", {"written": 6}, {"present": 6}),
        ("deidentify", {"made": 6}, {"present": 6}),
        ("copy", {"moved": 6}, {"present": 6}),
    ],
)
def test_what_an_older_ledger_says_is_done_stands(
    exam: Path, verb: str, first: dict[str, int], again: dict[str, int]
) -> None:
    assert words(verb, run(verb)) == first
    ledger = exam / "out" / LEDGER_NAME
    ledger.write_text(written_before(verb, exam), "utf-8")
    before = {path: path.stat().st_mtime_ns for path in (exam / "out").rglob("*") if path.suffix != ".html"}
    assert words(verb, run(verb)) == again
    assert ledger.read_text("utf-8") == written_before(verb, exam)
    outputs = [path for path in before if path.suffix in (".nii", ".dcm")]
    assert outputs and all(path.stat().st_mtime_ns == before[path] for path in outputs)


@pytest.mark.parametrize(
    ("verb", "again"),
    [
        ("volume", {"made": 1, "made before": 1}),
        ("compress", {"written": 3, "present": 3}),
        ("deidentify", {"made": 3, "present": 3}),
        ("copy", {"moved": 3, "present": 3}),
    ],
)
def test_a_run_that_an_older_version_was_stopped_in_is_resumed(
    exam: Path, verb: str, again: dict[str, int]
) -> None:
    run(verb)
    lines = written_before(verb, exam).splitlines(keepends=True)
    (exam / "out" / LEDGER_NAME).write_text("".join(lines[:-1]), "utf-8")
    begun = json.loads(lines[-1])["output"]
    output = exam / "out" / begun
    shutil.rmtree(output) if output.is_dir() else output.unlink()
    assert words(verb, run(verb)) == again
    latest = {record.key: record for record in read_ledger(exam / "out" / LEDGER_NAME)}
    assert [record.status for record in latest.values()] == ["done", "done"]


def test_what_an_older_version_compressed_in_place_stands_and_its_backup_can_be_discarded(exam: Path) -> None:
    command = [
        "compress",
        "exam",
        "--in-place",
        "--backup",
        "backup",
        "--to",
        "rle",
        "--workers",
        "1",
        "--json",
    ]
    assert CliRunner().invoke(main, command).exit_code == 0
    (exam / "exam").rename("tree")
    command[1] = "tree"
    (exam / "backup" / FILE_LEDGER_NAME).write_text(written_before("backup", exam), "utf-8")
    told = json.loads(CliRunner().invoke(main, command).stdout)
    assert Counter(row["status"] for row in told["files"]) == {"present": 6}
    held = CliRunner().invoke(main, ["verify", f"backup/{FILE_LEDGER_NAME}", "tree", "--json"])
    assert json.loads(held.stdout)["counts"] == {"same": 6}
    gone = CliRunner().invoke(
        main, ["compress", "tree", "--in-place", "--backup", "backup", "--discard-backup"]
    )
    assert gone.exit_code == 0 and "6 discarded" in gone.output
