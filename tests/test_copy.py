"""Copies between folders and servers: all of it, whole, resumable, each instance accounted for."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import dcmread

from hounsfield.cli import main
from hounsfield.client import Client, Retries
from hounsfield.dicomweb.multipart import encode
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.transfer import Summary, copy
from orthanc import OrthancMissing, find_orthanc, running_orthanc
from stub_archive import StubArchive, stub_archive
from stub_server import head

MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'
COUNT = 10


@pytest.fixture(autouse=True)
def no_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write(PhantomSpec(rows=32, columns=32, slices=COUNT), folder)
    return folder


@pytest.fixture
def archive(folder: Path) -> Iterator[StubArchive]:
    with stub_archive(path.read_bytes() for path in sorted(folder.iterdir())) as archive:
        yield archive


def quick(source: str | Path, target: str | Path) -> Summary:
    return copy(source, target, retries=Retries(attempts=3, sleep=lambda seconds: None))


def bytes_below(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def counts(summary: Summary) -> tuple[int, ...]:
    return tuple(summary.counts[name] for name in ("moved", "present", "refused", "failed"))


def whole_series(archive: StubArchive) -> list[str]:
    return [each.path for each in archive.stub.requests if each.path.split("/")[-2:-1] == ["series"]]


def single_instances(archive: StubArchive) -> list[str]:
    return [each.path for each in archive.stub.requests if each.path.split("/")[-2:-1] == ["instances"]]


def test_a_server_s_series_becomes_a_folder_of_the_same_bytes(archive, folder, tmp_path):
    summary = quick(archive.url, tmp_path / "out")
    assert counts(summary) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(folder)
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.dcm")} == {
        f"{study}/{series}/{instance}.dcm" for study, series, instance in archive.contents
    }
    assert summary.size == sum(map(len, archive.contents.values()))
    assert len(whole_series(archive)) == 1
    assert not any("instances" in path for path in archive.stub.paths)


def test_a_second_copy_moves_nothing(archive, tmp_path):
    quick(archive.url, tmp_path)
    before = len(whole_series(archive))
    assert counts(quick(archive.url, tmp_path)) == (0, COUNT, 0, 0)
    assert len(whole_series(archive)) == before


def test_what_is_missing_or_cut_is_fetched_again_and_nothing_else(archive, folder, tmp_path):
    quick(archive.url, tmp_path)
    first, second = sorted(tmp_path.rglob("*.dcm"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    assert counts(quick(archive.url, tmp_path)) == (2, COUNT - 2, 0, 0)
    assert sorted(path.rpartition("/")[2] for path in single_instances(archive)) == [first.stem, second.stem]
    assert bytes_below(tmp_path) == bytes_below(folder)


def cutting(times: int, length: int):
    """Cuts the first `times` answers to a retrieval after `length` bytes."""
    cut = [0]

    def fault(exchange):
        if exchange.method != "GET" or exchange.path.split("/")[-2] not in {"series", "instances"}:
            return False
        cut[0] += 1
        if cut[0] > times:
            return False
        parts = [((("Content-Type", "application/dicom"),), content) for content in fault.contents]
        body = b"".join(encode(parts, "b"))
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + body[:length])
        exchange.end()
        return True

    return fault


def test_a_cut_transfer_goes_on_where_it_was_cut(archive, folder, tmp_path):
    archive.fault = cutting(2, 20_000)
    archive.fault.contents = list(archive.contents.values())
    assert counts(quick(archive.url, tmp_path)) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path) == bytes_below(folder)


def test_a_transfer_that_is_always_cut_keeps_what_came_and_says_what_did_not(archive, folder, tmp_path):
    archive.fault = cutting(10_000, 20_000)
    archive.fault.contents = list(archive.contents.values())
    summary = quick(archive.url, tmp_path)
    moved = summary.counts["moved"]
    assert 0 < moved < COUNT
    assert counts(summary) == (moved, 0, 0, COUNT - moved)
    assert "ends" in summary.told[0].reason
    assert len(list(tmp_path.rglob("*.dcm"))) == len(list(tmp_path.rglob("*.*"))) - len(
        [path for path in tmp_path.rglob("*.*") if path.is_dir()]
    )
    archive.fault = lambda exchange: False
    assert counts(quick(archive.url, tmp_path)) == (COUNT - moved, moved, 0, 0)
    assert bytes_below(tmp_path) == bytes_below(folder)


def test_what_a_server_does_not_send_is_asked_for_and_then_told(archive, tmp_path):
    contents = list(archive.contents.values())
    missing = list(archive.contents)[-1][2]

    def fault(exchange):
        if exchange.path.endswith(missing):
            exchange.answer(404, b"lost")
            return True
        if exchange.path.split("/")[-2:-1] == ["series"]:
            parts = [((("Content-Type", "application/dicom"),), content) for content in contents[:-1]]
            exchange.answer(200, b"".join(encode(parts, "b")), Content_Type=MULTIPART)
            return True
        return False

    archive.fault = fault
    for model in archive.models.values():
        model["00201209"] = {"vr": "IS", "Value": [COUNT]}
    summary = quick(archive.url, tmp_path)
    assert counts(summary) == (COUNT - 1, 0, 0, 1)
    assert summary.told[0].name == missing
    assert "lost" in summary.told[0].reason


def test_a_part_that_is_not_what_was_asked_for_does_not_count(archive, tmp_path):
    other = dcmread(io.BytesIO(next(iter(archive.contents.values()))))
    other.SeriesInstanceUID = "1.2.3"
    stream = io.BytesIO()
    other.save_as(stream)
    keys = list(archive.contents)
    archive.contents[keys[0]] = stream.getvalue()
    archive.contents[keys[1]] = b"no dicom at all"
    archive.contents[keys[2]] = archive.contents[keys[2]][:-50]
    summary = quick(archive.url, tmp_path)
    assert counts(summary) == (COUNT - 3, 0, 0, 3)
    assert len(list(tmp_path.rglob("*.dcm"))) == COUNT - 3
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_goes_to_a_server_once(archive, folder, tmp_path):
    with stub_archive() as target:
        summary = quick(folder, target.url)
        assert counts(summary) == (COUNT, 0, 0, 0)
        assert target.contents == archive.contents
        assert counts(quick(folder, target.url)) == (0, COUNT, 0, 0)
        assert len([each for each in target.stub.requests if each.method == "POST"]) == 1


def test_what_the_target_refuses_or_does_not_confirm_is_told(folder):
    def silent(exchange):
        if exchange.method == "POST":
            exchange.json([{}], status=200)
        return exchange.method == "POST"

    with stub_archive(fault=silent) as target:
        summary = quick(folder, target.url)
    assert counts(summary) == (0, 0, 0, COUNT)
    assert "does not mention" in summary.told[0].reason

    def full(exchange):
        if exchange.method == "POST":
            exchange.answer(507, b"disk full")
        return exchange.method == "POST"

    with stub_archive(fault=full) as target:
        summary = quick(folder, target.url)
    assert counts(summary) == (0, 0, 0, COUNT)
    assert "disk full" in summary.told[0].reason


def test_server_to_server_streams_through_and_resumes(archive):
    with stub_archive(list(archive.contents.values())[:4]) as target:
        assert counts(quick(archive.url, target.url)) == (COUNT - 4, 4, 0, 0)
        assert target.contents == archive.contents


def test_only_what_an_address_names_is_copied(archive, tmp_path):
    study, series, instance = next(iter(archive.contents))
    url = f"{archive.url}/studies/{study}/series/{series}/instances/{instance}"
    assert counts(quick(url, tmp_path)) == (1, 0, 0, 0)
    assert counts(quick(url, tmp_path)) == (0, 1, 0, 0)


def test_a_folder_to_a_folder_never_overwrites(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for path in folder.iterdir():
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no dicom")
    assert counts(quick(tmp_path / "in", tmp_path / "out")) == (COUNT, 0, 0, 0)
    changed = next(path for path in (tmp_path / "out").rglob("*.dcm"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x7f")
    summary = quick(tmp_path / "in", tmp_path / "out")
    assert counts(summary) == (0, COUNT - 1, 1, 0)
    assert changed.read_bytes()[-1:] == b"\x7f"
    assert [each.name.rpartition("/")[2] for each in summary.skipped] == ["notes.txt"]


def test_places_that_make_no_sense_are_errors_at_once(archive, folder, tmp_path):
    study, series, _ = next(iter(archive.contents))
    (tmp_path / "file").write_text("x")
    for source, target in (
        (tmp_path / "nowhere", tmp_path / "out"),
        (folder, tmp_path / "file"),
        (folder, f"{archive.url}/studies/{study}/series/{series}"),
        (folder, "nosuchserver:"),
    ):
        with pytest.raises(HounsfieldError):
            quick(source, target)
    with pytest.raises(LocationError):
        copy(folder, tmp_path / "out", transfer_syntax="jpeg-ls")


def test_progress_is_told_for_every_instance(archive, tmp_path):
    settled, expected = [], []
    copy(archive.url, tmp_path, progress=settled.append, expect=expected.append)
    assert [each.status for each in settled] == ["moved"] * COUNT


def test_a_copy_that_was_killed_is_finished_by_the_next(archive, folder, tmp_path):
    half, go_on = threading.Event(), threading.Event()
    parts = [((("Content-Type", "application/dicom"),), content) for content in archive.contents.values()]
    body = b"".join(encode(parts, "b"))

    def stall(exchange):
        if exchange.path.split("/")[-2:-1] != ["series"]:
            return False
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + body[: len(body) // 2])
        half.set()
        go_on.wait(60)
        exchange.end()
        return True

    archive.fault = stall
    command = [sys.executable, "-m", "hounsfield", "copy", archive.url, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert half.wait(60)
        while len(list((tmp_path / "out").rglob("*.dcm"))) < 3:
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    go_on.set()
    archive.fault = lambda exchange: False
    there = len(list((tmp_path / "out").rglob("*.dcm")))
    assert counts(quick(archive.url, tmp_path / "out")) == (COUNT - there, there, 0, 0)
    assert sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")) == bytes_below(folder)


def test_the_command_tells_and_fails_where_something_is_missing(archive, tmp_path):
    good = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "out"), "--json"])
    told = json.loads(good.stdout)
    assert (good.exit_code, told["moved"], told["complete"]) == (0, COUNT, True)
    again = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "out")])
    assert again.stdout.startswith("0 moved (0 B), 10 present")
    archive.contents[next(iter(archive.contents))] = b"broken"
    bad = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "other")])
    assert bad.exit_code == 1
    assert "1 failed" in bad.stdout


def test_two_orthancs_and_back_give_the_same_bytes(folder, tmp_path):
    try:
        find_orthanc()
    except OrthancMissing as missing:
        pytest.skip(str(missing))
    with running_orthanc(tmp_path / "a") as one, running_orthanc(tmp_path / "b") as other:
        assert counts(quick(folder, one)) == (COUNT, 0, 0, 0)
        [study] = Client(one).search_for_studies()
        assert counts(quick(one, other)) == (COUNT, 0, 0, 0)
        assert counts(quick(one, other)) == (0, COUNT, 0, 0)
        uid = study["0020000D"]["Value"][0]
        assert counts(quick(f"{other}/studies/{uid}", tmp_path / "out")) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(folder)
