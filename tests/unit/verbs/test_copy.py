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
from typing import Any

import pytest
from click.testing import CliRunner
from orthanc import running_orthanc, skip_without_orthanc
from pydicom import dcmread
from stub_archive import StubArchive, stub_archive
from stub_server import head

from hounsfield.cli import main
from hounsfield.client import Client, Retries
from hounsfield.ct.instance import BytesSource, FileSource
from hounsfield.dicomweb.multipart import encode
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.runs import LEDGER_NAME, Record, processes, read_ledger
from hounsfield.verbs.copy import Summary, copy
from hounsfield.verbs.copy.moving import instance_digest

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


def test_a_server_s_series_becomes_a_folder_of_the_same_bytes(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    summary = quick(archive.url, tmp_path / "out")
    assert counts(summary) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(folder)
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.dcm")} == {
        f"{study}/{series}/{instance}.dcm" for study, series, instance in archive.contents
    }
    assert summary.size == sum(map(len, archive.contents.values()))
    assert len(whole_series(archive)) == 1
    assert not any("instances" in path for path in archive.stub.paths)


def test_a_second_copy_moves_nothing(archive: StubArchive, tmp_path: Path) -> None:
    quick(archive.url, tmp_path)
    before = len(whole_series(archive))
    assert counts(quick(archive.url, tmp_path)) == (0, COUNT, 0, 0)
    assert len(whole_series(archive)) == before


def test_what_is_missing_or_cut_is_fetched_again_and_nothing_else(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    quick(archive.url, tmp_path)
    first, second = sorted(tmp_path.rglob("*.dcm"))[:2]
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    assert counts(quick(archive.url, tmp_path)) == (2, COUNT - 2, 0, 0)
    assert sorted(path.rpartition("/")[2] for path in single_instances(archive)) == [first.stem, second.stem]
    assert bytes_below(tmp_path) == bytes_below(folder)


def cutting(times: int, length: int) -> Any:
    """Cuts the first `times` answers to a retrieval after `length` bytes."""
    cut = [0]

    def fault(exchange: Any) -> bool:
        if exchange.method != "GET" or exchange.path.split("/")[-2] not in {"series", "instances"}:
            return False
        cut[0] += 1
        if cut[0] > times:
            return False
        parts = [((("Content-Type", "application/dicom"),), content) for content in fault.contents]  # type: ignore[attr-defined]
        body = b"".join(encode(parts, "b"))
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + body[:length])
        exchange.end()
        return True

    return fault


def test_a_cut_transfer_goes_on_where_it_was_cut(archive: StubArchive, folder: Path, tmp_path: Path) -> None:
    archive.fault = cutting(2, 20_000)
    archive.fault.contents = list(archive.contents.values())  # type: ignore[attr-defined]
    assert counts(quick(archive.url, tmp_path)) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path) == bytes_below(folder)


def test_a_transfer_that_is_always_cut_keeps_what_came_and_says_what_did_not(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    archive.fault = cutting(10_000, 20_000)
    archive.fault.contents = list(archive.contents.values())  # type: ignore[attr-defined]
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


def test_what_a_server_does_not_send_is_asked_for_and_then_told(archive: StubArchive, tmp_path: Path) -> None:
    contents = list(archive.contents.values())
    missing = list(archive.contents)[-1][2]

    def fault(exchange: Any) -> bool:
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
    assert summary.told[0].unit == missing
    assert "lost" in summary.told[0].reason


def test_a_part_that_is_not_what_was_asked_for_does_not_count(archive: StubArchive, tmp_path: Path) -> None:
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


def test_a_folder_goes_to_a_server_once(archive: StubArchive, folder: Path, tmp_path: Path) -> None:
    with stub_archive() as target:
        summary = quick(folder, target.url)
        assert counts(summary) == (COUNT, 0, 0, 0)
        assert target.contents == archive.contents
        assert counts(quick(folder, target.url)) == (0, COUNT, 0, 0)
        assert len([each for each in target.stub.requests if each.method == "POST"]) == 1


def test_what_the_target_refuses_or_does_not_confirm_is_told(folder: Path) -> None:
    def silent(exchange: Any) -> Any:
        if exchange.method == "POST":
            exchange.json([{}], status=200)
        return exchange.method == "POST"

    with stub_archive(fault=silent) as target:
        summary = quick(folder, target.url)
    assert counts(summary) == (0, 0, 0, COUNT)
    assert "does not mention" in summary.told[0].reason

    def full(exchange: Any) -> Any:
        if exchange.method == "POST":
            exchange.answer(507, b"disk full")
        return exchange.method == "POST"

    with stub_archive(fault=full) as target:
        summary = quick(folder, target.url)
    assert counts(summary) == (0, 0, 0, COUNT)
    assert "disk full" in summary.told[0].reason


def test_server_to_server_streams_through_and_resumes(archive: StubArchive) -> None:
    with stub_archive(list(archive.contents.values())[:4]) as target:
        assert counts(quick(archive.url, target.url)) == (COUNT - 4, 4, 0, 0)
        assert target.contents == archive.contents


def test_only_what_an_address_names_is_copied(archive: StubArchive, tmp_path: Path) -> None:
    study, series, instance = next(iter(archive.contents))
    url = f"{archive.url}/studies/{study}/series/{series}/instances/{instance}"
    assert counts(quick(url, tmp_path)) == (1, 0, 0, 0)
    assert counts(quick(url, tmp_path)) == (0, 1, 0, 0)


def test_a_folder_to_a_folder_never_overwrites(folder: Path, tmp_path: Path) -> None:
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


def test_places_that_make_no_sense_are_errors_at_once(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    study, series, _ = next(iter(archive.contents))
    (tmp_path / "file").write_text("x")
    for source, target in (
        (tmp_path / "nowhere", tmp_path / "out"),
        (folder, tmp_path / "file"),
        (folder, f"{archive.url}/studies/{study}/series/{series}"),
        (folder, "nosuchserver:"),
        (folder, folder),
        (folder, folder / "sorted"),
    ):
        with pytest.raises(HounsfieldError):
            quick(source, target)
    with pytest.raises(LocationError):
        copy(folder, tmp_path / "out", transfer_syntax="jpeg-ls")


def test_progress_is_told_for_every_instance(archive: StubArchive, tmp_path: Path) -> None:
    settled: list[Any] = []
    expected: list[Any] = []
    copy(archive.url, tmp_path, progress=settled.append, expect=expected.append)
    assert [each.status for each in settled] == ["done"] * COUNT


def test_a_copy_that_was_killed_is_finished_by_the_next(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    half, go_on = threading.Event(), threading.Event()
    parts = [((("Content-Type", "application/dicom"),), content) for content in archive.contents.values()]
    body = b"".join(encode(parts, "b"))

    def stall(exchange: Any) -> bool:
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


def test_the_command_tells_and_fails_where_something_is_missing(archive: StubArchive, tmp_path: Path) -> None:
    good = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "out"), "--json"])
    told = json.loads(good.stdout)
    assert (good.exit_code, told["moved"], told["complete"]) == (0, COUNT, True)
    again = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "out")])
    assert again.stdout.startswith("0 moved (0 B), 10 present")
    archive.contents[next(iter(archive.contents))] = b"broken"
    bad = CliRunner().invoke(main, ["copy", archive.url, str(tmp_path / "other")])
    assert bad.exit_code == 1
    assert "1 failed" in bad.stdout


def ledger_of(folder: Path) -> dict[str, Record]:
    return {record.key: record for record in read_ledger(folder / LEDGER_NAME)}


def told(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(main, ["copy", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    for number in range(3):
        spec = PhantomSpec(rows=24, columns=24, slices=4, seed=number, series_number=number)
        write(spec, tmp_path / "in" / str(number))
    return tmp_path / "in"


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_the_ledger_tells_of_each_series_and_a_second_copy_keeps_them(
    three: Path, tmp_path: Path, kind: str
) -> None:
    with stub_archive() as target:
        out = tmp_path / "out" if kind == "folder" else target.url
        more = [] if kind == "folder" else ["--ledger", tmp_path / "out" / LEDGER_NAME]
        status, first = told(three, out, *more)
        assert (status, first["moved"]) == (0, 12)
        assert [each["kept"] for each in first["series"]] == [False] * 3
        lines = (tmp_path / "out" / LEDGER_NAME).read_bytes()
        for record in ledger_of(tmp_path / "out").values():
            assert (record.status, record.verb, record.counts) == ("done", "copy", {"moved": 4})
            assert record.source.startswith(str(three)) and record.digest and record.bytes
            assert record.uid in record.output and record.series.endswith("Phantom")
        status, again = told(three, out, *more)
        assert (status, again["moved"], again["present"]) == (0, 0, 12)
        assert [each["kept"] for each in again["series"]] == [True] * 3
        assert (tmp_path / "out" / LEDGER_NAME).read_bytes() == lines
        assert {"hounsfield.csv", "hounsfield.html"} <= {each.name for each in (tmp_path / "out").iterdir()}


def test_a_series_off_a_server_is_recorded_by_number_and_description(three: Path, tmp_path: Path) -> None:
    with stub_archive(path.read_bytes() for path in three.rglob("*.dcm")) as source:
        assert told(source.url, tmp_path / "out")[0] == 0
    names = sorted(record.series for record in ledger_of(tmp_path / "out").values())
    assert [name.split()[0] for name in names] == ["0", "1", "2"] and names[0].endswith("Phantom")
    assert names[1] in (tmp_path / "out" / "hounsfield.html").read_text("utf-8")


def test_what_changed_joined_or_was_lost_is_copied_and_the_rest_is_kept(three: Path, tmp_path: Path) -> None:
    told(three, tmp_path / "out")
    (lost,) = list((tmp_path / "out").rglob("*.dcm"))[:1]
    series = lost.parent.name
    lost.unlink()
    write(PhantomSpec(rows=24, columns=24, slices=2, seed=9, series_number=9), three / "9")
    status, again = told(three, tmp_path / "out")
    assert (status, again["moved"], again["present"]) == (0, 3, 11)
    assert {each["SeriesInstanceUID"] for each in again["series"] if not each["kept"]} > {series}
    assert sum(each["kept"] for each in again["series"]) == 2
    assert lost.is_file()
    assert "earlier run" in " ".join(
        each["reason"] for each in told(tmp_path / "out", tmp_path / "b")[1]["skipped"]
    )


def test_a_series_of_a_server_that_gains_an_instance_is_no_longer_kept(folder: Path, tmp_path: Path) -> None:
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    with stub_archive(contents[:-1]) as archive:
        assert told(archive.url, tmp_path / "out")[1]["moved"] == COUNT - 1
        assert told(archive.url, tmp_path / "out")[1]["series"][0]["kept"]
        archive.add(contents[-1])
        again = told(archive.url, tmp_path / "out")[1]
    assert (again["moved"], again["series"][0]["kept"]) == (1, False)
    assert ledger_of(tmp_path / "out").popitem()[1].bytes == sum(map(len, contents))


def test_a_series_that_failed_is_recorded_and_tried_again(three: Path, tmp_path: Path) -> None:
    with stub_archive(fault=refuse_posts) as target:
        more = ["--ledger", tmp_path / "run" / LEDGER_NAME]
        status, first = told(three, target.url, *more)
        assert (status, first["failed"]) == (1, 12)
        assert all("4 of 4 are not there" in each["reason"] for each in first["series"])
        assert [record.status for record in ledger_of(tmp_path / "run").values()] == ["failed"] * 3
        target.fault = lambda exchange: False
        assert told(three, target.url, *more)[1]["moved"] == 12
        assert [record.status for record in ledger_of(tmp_path / "run").values()] == ["done"] * 3


def refuse_posts(exchange: Any) -> Any:
    if exchange.method == "POST":
        exchange.answer(507, b"disk full")
    return exchange.method == "POST"


def test_fail_fast_begins_no_series_after_one_that_is_not_whole(three: Path, tmp_path: Path) -> None:
    for number in range(3, 9):
        write(
            PhantomSpec(rows=24, columns=24, slices=1, seed=number, series_number=number), three / str(number)
        )
    with stub_archive(fault=refuse_posts) as target:
        status, told_ = told(three, target.url, "--fail-fast", "--workers", "1")
    assert status == 1
    assert 1 <= len(told_["series"]) < 9


def test_a_file_that_disappears_fails_its_series_and_the_rest_is_copied(three: Path, tmp_path: Path) -> None:
    class Vanishing:
        """Takes a file away once all headers are read."""

        def __init__(self) -> None:
            self.gone = False

        def __call__(self, count: int) -> None:
            if not self.gone:
                next((three / "1").iterdir()).unlink()
                self.gone = True

    summary = copy(three, tmp_path / "out", expect=Vanishing(), workers=1)
    assert counts(summary)[0] >= 8
    assert sorted(each.status for each in summary.series) == ["done", "done", "failed"]


def test_a_full_disk_fails_what_does_not_fit_and_the_next_copy_finishes(three: Path, tmp_path: Path) -> None:
    write(PhantomSpec(rows=256, columns=256, slices=2, seed=9, series_number=9), three / "9")
    program = (
        "import resource, sys\n"
        "from hounsfield.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, "copy", three, tmp_path / "out", "--json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    first = json.loads(done.stdout)
    assert (first["moved"], first["failed"]) == (12, 2)
    assert sorted(each["status"] for each in first["series"]) == ["failed", "made", "made", "made"]
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 12
    status, again = told(three, tmp_path / "out")
    assert (status, again["moved"], again["present"]) == (0, 2, 12)


def altered(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def test_verify_finds_other_bytes_under_the_same_uid_on_a_server(
    archive: StubArchive, folder: Path, tmp_path: Path
) -> None:
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    with stub_archive([altered(contents[0]), *contents[1:4]]) as target:
        assert counts(quick(folder, target.url)) == (COUNT - 4, 4, 0, 0)
        for source in (folder, archive.url):
            summary = copy(source, target.url, verify=True)
            assert counts(summary) == (0, COUNT - 1, 1, 0)
            assert "other bytes" in summary.told[0].reason


def test_verify_finds_what_a_server_did_to_what_it_was_sent(folder: Path) -> None:
    with stub_archive() as target:
        add = target.add
        target.add = lambda content: add(altered(content))  # type: ignore[method-assign]
        summary = copy(folder, target.url, verify=True)
    assert counts(summary) == (0, 0, 0, COUNT)
    assert "not what was sent" in summary.told[0].reason


def test_verify_finds_a_file_that_changed_though_its_size_did_not(
    archive: StubArchive, tmp_path: Path
) -> None:
    quick(archive.url, tmp_path / "out")
    changed = next((tmp_path / "out").rglob("*.dcm"))
    changed.write_bytes(altered(changed.read_bytes()))
    assert counts(quick(archive.url, tmp_path / "out")) == (0, COUNT, 0, 0)
    assert counts(copy(archive.url, tmp_path / "out", verify=True)) == (0, COUNT - 1, 1, 0)
    assert counts(copy(archive.url, tmp_path / "other", verify=True)) == (COUNT, 0, 0, 0)
    assert not list(tmp_path.rglob("*.partial"))


def test_file_meta_of_a_server_s_own_is_no_difference(folder: Path) -> None:
    (path, *_) = sorted(folder.iterdir())
    dataset = dcmread(path)
    dataset.file_meta.ImplementationVersionName = "ANOTHER"
    stream = io.BytesIO()
    dataset.save_as(stream)
    assert stream.getvalue() != path.read_bytes()
    same = instance_digest(BytesSource("x", stream.getvalue()))
    assert same == instance_digest(FileSource(path))
    assert same != instance_digest(BytesSource("x", altered(stream.getvalue())))
    other = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    assert same != instance_digest(BytesSource("x", other))


def test_a_copy_to_our_own_server_is_verified(folder: Path, tmp_path: Path) -> None:
    from server_support import running

    with running(tmp_path / "archive") as server:
        assert counts(copy(folder, server.url, verify=True)) == (COUNT, 0, 0, 0)
        assert counts(copy(folder, server.url, verify=True)) == (0, COUNT, 0, 0)
        assert counts(copy(server.url, tmp_path / "out", verify=True)) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(folder)


def test_a_copy_to_an_orthanc_is_verified(folder: Path, tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path / "a") as one:
        assert counts(copy(folder, one, verify=True)) == (COUNT, 0, 0, 0)
        assert counts(copy(folder, one, verify=True)) == (0, COUNT, 0, 0)


def test_worker_processes_copy_by_the_words_for_both_ends(three: Path, tmp_path: Path) -> None:
    with stub_archive() as target:
        assert counts(copy(three, target.url, engine=processes(2))) == (12, 0, 0, 0)
        assert counts(copy(target.url, tmp_path / "out", engine=processes(2), verify=True)) == (12, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(three)


def test_two_orthancs_and_back_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path / "a") as one, running_orthanc(tmp_path / "b") as other:
        assert counts(quick(folder, one)) == (COUNT, 0, 0, 0)
        [study] = Client(one).search_for_studies()
        assert counts(quick(one, other)) == (COUNT, 0, 0, 0)
        assert counts(quick(one, other)) == (0, COUNT, 0, 0)
        uid = study["0020000D"]["Value"][0]
        assert counts(quick(f"{other}/studies/{uid}", tmp_path / "out")) == (COUNT, 0, 0, 0)
    assert bytes_below(tmp_path / "out") == bytes_below(folder)
