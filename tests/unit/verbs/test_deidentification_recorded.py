"""The ledger of `deidentify`: it lies with the data, so it names nobody; by it a second run does only what it must."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner
from stub_archive import stub_archive

from hounsfield import load, phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, Record, read_ledger

PLAIN = PhantomSpec(
    rows=24, columns=24, slices=5, patient_name="Zyxwvut^Qrstuv", patient_id="MRN-7788123", private_tags=True
)


def tree(folder: Path, count: int = 3, spec: PhantomSpec = PLAIN) -> Path:
    for seed in range(count):
        phantom.write(replace(spec, seed=seed, series_number=seed), folder / str(seed))
    return folder


def typed(source: object, out: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
    key = out.with_name("key")
    command = ["deidentify", source, out, "--key", key, "--workers", "1", "--json", *arguments]
    done = CliRunner().invoke(main, [str(argument) for argument in command])
    assert done.stdout, done.output
    return done.exit_code, json.loads(done.stdout)


def latest(out: Path) -> list[Record]:
    return list({record.key: record for record in read_ledger(out / LEDGER_NAME)}.values())


def made(out: Path) -> dict[Path, tuple[int, int]]:
    found = [path for path in out.rglob("*.dcm") if not path.name.startswith(".")]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def edit(path: Path) -> None:
    """Other pixels under the same UIDs."""
    content = bytearray(path.read_bytes())
    content[-2:] = b"\x07\x00" if content[-2:] != b"\x07\x00" else b"\x09\x00"
    path.write_bytes(content)


def forbid_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("looked into an object that stands")

    monkeypatch.setattr("hounsfield.verbs.deidentify.running.deidentify_object", refused)
    monkeypatch.setattr("hounsfield.verbs.deidentify.records.preview_of_file", refused)


def test_what_was_made_is_shown_and_what_was_left_out_says_why_once(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    alone = replace(PLAIN, slices=1, dose_pages=1, series_number=9)
    phantom.write(alone, tmp_path / "in" / "page")
    for path in (tmp_path / "in" / "page").rglob("*.dcm"):
        if not path.name.startswith("DOSE"):
            path.unlink()
    typed(source, out)
    page = (out / "hounsfield.html").read_text("utf-8")
    assert page.count("<img") == page.count("<svg") == 1
    assert page.count("<article") == 2 and "object: 1 left out" in page and "1 file<" in page
    (reason,) = (record.reason for record in latest(out) if record.status == "skipped")
    assert page.count(reason) == 1


def test_each_series_has_a_record_and_the_second_run_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tree(tmp_path / "in", spec=replace(PLAIN, dose_pages=1)), tmp_path / "out"
    status, first = typed(source, out)
    assert status == 0 and first["objects"] == {"made": 15, "left out": 3}
    records = [record for record in latest(out) if record.status == "done"]
    assert sorted(record.output for record in records) == sorted(
        path.relative_to(out).as_posix() for path in out.glob("*/*") if path.is_dir()
    )
    assert all(record.uid == record.output.split("/")[1] for record in records)
    assert {record.bytes for record in records} == {
        sum(path.stat().st_size for path in (out / record.output).iterdir()) for record in records
    }
    before, lines = made(out), (out / LEDGER_NAME).read_bytes()
    forbid_opening(monkeypatch)
    status, second = typed(source, out)
    assert status == 0 and second["objects"] == {"present": 15, "left out": 3}
    assert (second["left_out"], second["attributes"]) == (first["left_out"], first["attributes"])
    assert made(out) == before and (out / LEDGER_NAME).read_bytes() == lines


def test_nothing_in_the_folder_says_whose_it_is(tmp_path: Path) -> None:
    """Canaries: names, numbers, UIDs, descriptions and paths of the source, failures and objects left out included."""
    source, out = tmp_path / "Zyxwvut-MRN-7788123", tmp_path / "out"
    spec = replace(PLAIN, dose_pages=1, series_description="Canarydescription")
    tree(source, 2, spec)
    paths = sorted(source.rglob("*.dcm"))
    secrets = {"Zyxwvut", "Qrstuv", "7788123", "Canarydescription", "Canaryerror"}
    for path in paths:
        dataset = pydicom.dcmread(path)
        secrets |= {dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID}
        secrets |= {str(path.parent), dataset.get("StudyDate") or "Zyxwvut"}
    broken = pydicom.dcmread(paths[0])
    broken.SeriesInstanceUID = ""
    broken.AccessionNumber = "Canaryerror"
    broken.save_as(source / "Canaryerror.dcm")
    paths[1].write_bytes(paths[1].read_bytes()[:900])
    (source / "Canaryerror2.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"Canaryerror" * 20)
    for _ in range(2):
        status, told = typed(source, out)
        assert status == 1 and told["objects"]["failed"] > 0
        edit(paths[3])
    assert len(list(out.rglob("*"))) > 10
    for path in out.rglob("*"):
        content = str(path.relative_to(out)).encode() + (path.read_bytes() if path.is_file() else b"")
        found = [secret for secret in secrets if secret.encode() in content]
        assert found == [], path
        assert not any(secret.encode("utf-16-le") in content for secret in secrets)


def test_what_stands_for_a_source_needs_the_key(tmp_path: Path) -> None:
    """The same source under two keys has nothing in common in two ledgers, but what anybody may know."""
    source = tree(tmp_path / "in", 1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        typed(source, tmp_path / name / "out")
    (one,), (other,) = (latest(tmp_path / name / "out") for name in ("a", "b"))
    assert not {one.key, one.uid, one.digest, one.output, one.files} & {
        other.key,
        other.uid,
        other.digest,
        other.output,
        other.files,
    }
    assert one.source == other.source == "" and one.options == other.options


def test_a_changed_source_is_made_again_and_no_other(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in"), tmp_path / "out"
    typed(source, out)
    before = made(out)
    edit(sorted((source / "1").iterdir())[2])
    status, told = typed(source, out)
    assert status == 0 and told["objects"] == {"made": 1, "present": 14}
    after = made(out)
    assert sum(after[path] != before[path] for path in before) == 1
    series = {load(folder).array.tobytes() for folder in out.glob("*/*") if folder.is_dir()}
    assert series == {load(source / str(number)).array.tobytes() for number in range(3)}
    assert typed(source, out)[1]["objects"] == {"present": 15}


def test_what_is_gone_or_cut_is_made_again_and_other_options_replace_it(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out)
    gone, cut, *_ = sorted(out.rglob("*.dcm"))
    whole = cut.read_bytes()
    gone.unlink()
    cut.write_bytes(whole[:-30])
    assert typed(source, out)[1]["objects"] == {"made": 2, "present": 3}
    assert gone.exists() and cut.read_bytes() == whole
    status, told = typed(source, out, "--keep", "device")
    assert status == 0 and told["objects"] == {"made": 5}
    assert cut.read_bytes() != whole


def test_a_folder_from_before_there_was_a_ledger_is_recognised(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 2), tmp_path / "out"
    typed(source, out)
    before = made(out)
    for path in out.glob("hounsfield*"):
        path.unlink()
    assert typed(source, out)[1]["objects"] == {"present": 10}
    assert made(out) == before and {record.status for record in latest(out)} == {"done"}


def test_what_failed_is_tried_again_alone(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 2), tmp_path / "out"
    typed(tree(tmp_path / "other", 2), out)
    one = sorted(out.rglob("*.dcm"))[0]
    for path in out.glob("hounsfield*"):
        path.unlink()
    one.write_bytes(b"somebody else's")
    status, told = typed(source, out)
    assert status == 1 and told["objects"] == {"failed": 1, "present": 9}
    failed = [record for record in latest(out) if record.status == "failed"]
    assert [record.reason for record in failed] == [
        "1 of 5 objects: 1 other bytes are there under its new UID"
    ]
    assert one.read_bytes() == b"somebody else's"
    one.unlink()
    status, told = typed(source, out)
    assert status == 0 and told["objects"] == {"made": 1, "present": 9}
    assert {record.status for record in latest(out)} == {"done"}


def test_fail_fast_begins_nothing_more(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1, replace(PLAIN, slices=80)), tmp_path / "out"
    typed(source, out)
    first = out / unnamed(source, out)
    for path in [*out.glob("hounsfield*"), *set(out.rglob("*.dcm")) - {first}]:
        path.unlink()
    first.write_bytes(b"somebody else's")
    status, told = typed(source, out, "--fail-fast")
    assert status == 1 and told["objects"]["failed"] == 1 and told["objects"]["made"] < 79
    (record,) = latest(out)
    assert record.status == "failed" and "not begun" in record.reason
    first.unlink()
    assert typed(source, out)[0] == 0
    assert len(made(out)) == 80 and [record.status for record in latest(out)] == ["done"]


def unnamed(source: Path, out: Path) -> str:
    """Where the first object that is read goes."""
    from hounsfield.verbs.deidentify import Pseudonyms

    dataset = pydicom.dcmread(sorted(source.rglob("*.dcm"))[0])
    pseudonyms = Pseudonyms(out.with_name("key").read_bytes().strip())
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    return "/".join(map(pseudonyms.uid, uids)) + ".dcm"


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_leaves_nothing_half_written_and_the_next_finishes_it(
    workers: str, tmp_path: Path
) -> None:
    source, out = tree(tmp_path / "in", 3, replace(PLAIN, slices=100)), tmp_path / "out"
    command = [sys.executable, "-m", "hounsfield", "deidentify", str(source), str(out)]
    command += ["--key", str(out.with_name("key")), "--workers", workers]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (out.exists() and len(made(out)) >= 20):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    for path in made(out):
        pydicom.dcmread(path).pixel_array  # noqa: B018 (reads all of it)
    assert "started" in {record.status for record in latest(out)}
    status, told = typed(source, out, "--workers", workers)
    assert status == 0 and told["objects"]["made"] > 0
    assert len(made(out)) == 300 and not list(out.rglob(".*partial*"))
    assert {record.status for record in latest(out)} == {"done"}
    assert typed(source, out)[1]["objects"] == {"present": 300}


def test_a_series_on_a_server_is_not_fetched_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = phantom.write(PLAIN, tmp_path / "in")
    with stub_archive(path.read_bytes() for path in paths) as archive:
        assert typed(archive.url, tmp_path / "out")[1]["objects"] == {"made": 5}
        forbid_opening(monkeypatch)
        assert typed(archive.url, tmp_path / "out")[1]["objects"] == {"present": 5}


def test_two_files_of_one_object_do_not_replace_each_other(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    one = sorted((source / "0").iterdir())[0]
    (source / "copy.dcm").write_bytes(one.read_bytes())
    for _ in range(2):
        status, told = typed(source, out)
        assert status == 0 and sum(told["objects"].values()) == 6
    assert Counter(record.status for record in latest(out)) == {"done": 1}


def test_force_does_everything_again(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    typed(source, out)
    before = made(out)
    assert typed(source, out, "--force")[1]["objects"] == {"made": 5}
    assert all(told != before[path] for path, told in made(out).items())


def test_a_second_run_without_a_key_says_that_it_knows_nothing_of_the_first(tmp_path: Path) -> None:
    source, out = tree(tmp_path / "in", 1), tmp_path / "out"
    first = CliRunner().invoke(main, ["deidentify", str(source), str(out), "--workers", "1"])
    second = CliRunner().invoke(main, ["deidentify", str(source), str(out), "--workers", "1"])
    assert "without --key" not in first.stderr
    assert "without --key nothing of the earlier run" in second.stderr and second.exit_code == 0
    assert "objects made" in second.stdout and "attributes: removed" in second.stdout
