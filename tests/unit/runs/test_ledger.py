"""The ledger: whole lines, the last of a key the truth, crashes and full disks survived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hounsfield.errors import LocationError
from hounsfield.runs import Record, Status, open_ledger, read_ledger

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
HEAD = Record(
    key="1.2#@0",
    status=Status.DONE,
    series="Kopf 头",
    shape=(3, 4, 5),
    warnings=("a", "b"),
    counts={"padded": 7},
)


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "l.jsonl"
    other = Record(key="2", status=Status.FAILED, reason="why\nnot")
    with open_ledger(path) as ledger:
        ledger.append(HEAD, other)
    assert list(read_ledger(path)) == [HEAD, other]
    assert len(path.read_bytes().splitlines()) == 2


def test_the_last_line_of_a_key_is_the_truth(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    with open_ledger(path) as ledger:
        ledger.append(Record(key="1", status=Status.FAILED))
        ledger.append(Record(key="1", status=Status.DONE))
        assert ledger.latest["1"].status == "done"
    with open_ledger(path) as ledger:
        assert ledger.latest["1"].status == "done"


@pytest.mark.parametrize(
    "torn", [b'{"key": "9", "sta', b"{", b'{"key": "9", "status": "made"', b"\xff\xfe\x00"]
)
def test_a_torn_last_line_counts_for_nothing_and_spoils_nothing(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "l.jsonl"
    with open_ledger(path) as ledger:
        ledger.append(HEAD)
    with path.open("ab") as stream:
        stream.write(torn)
    with open_ledger(path) as ledger:
        assert list(ledger.latest) == [HEAD.key]
        ledger.append(Record(key="2", status=Status.DONE))
    assert [record.key for record in read_ledger(path)] == [HEAD.key, "2"]


def test_lines_of_other_versions_and_other_kinds_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    lines = [
        {"key": "1", "status": "made", "of tomorrow": [1]},
        {"status": "made"},
        [1, 2],
        3,
        {"key": "2", "status": "x"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [record.key for record in read_ledger(path)] == ["1", "2"]


def test_lone_surrogates_of_broken_file_names_are_kept_from_breaking_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "l.jsonl") as ledger:
        ledger.append(Record(key="1", status=Status.DONE, source="bad\udcff.dcm"))
    assert [record.key for record in read_ledger(tmp_path / "l.jsonl")] == ["1"]


@posix
def test_two_runs_never_write_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    with open_ledger(path), pytest.raises(LocationError, match="another run"), open_ledger(path):
        pass
    with open_ledger(path) as ledger:
        ledger.append(HEAD)


@posix
def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from hounsfield.runs import Record, open_ledger\n"
        "from hounsfield.errors import LocationError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "with open_ledger(Path(sys.argv[1])) as ledger:\n"
        "    try:\n"
        "        for number in range(1000):\n"
        "            ledger.append(Record(key=str(number), status='made', reason='x' * 300))\n"
        "    except LocationError as error:\n"
        "        print(len(ledger.latest), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    count, _, told = done.stdout.partition(" ")
    assert "cannot be written" in told
    assert path.read_bytes().endswith(b"\n")
    assert len(list(read_ledger(path))) == int(count) > 5
