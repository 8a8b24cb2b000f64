"""A function over many items: on every engine, bounded, and in spite of workers that are killed for real."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from batch_work import (
    die_at_seven,
    die_once,
    double,
    environment,
    fail_at_three,
    slow_double,
    take_all_memory,
)
from stub_archive import stub_archive

from hounsfield import load, phantom, scan
from hounsfield import runs as batch
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.phantom import PhantomSpec
from hounsfield.runs.running import AHEAD, as_hounsfield_error

PLAIN = PhantomSpec(rows=24, columns=24, slices=4)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


def values(finished: Iterator[batch.Finished[int, int]]) -> list[int]:
    return sorted(each.value for each in finished if each.value is not None)


@pytest.mark.parametrize(
    "engine", [batch.threads(1), batch.threads(3), batch.processes(2)], ids=lambda e: e.name
)
def test_every_item_is_answered_once(engine: batch.Engine) -> None:
    assert values(batch.run_each(double, range(20), engine)) == list(range(0, 40, 2))


def test_any_executor_will_do_and_stays_open() -> None:
    with ThreadPoolExecutor(2) as executor:
        assert values(batch.run_each(double, range(5), batch.existing(executor))) == [0, 2, 4, 6, 8]
        assert executor.submit(double, 4).result() == 8


def test_no_more_items_are_drawn_than_keep_the_workers_busy() -> None:
    drawn, most, finished = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for number in range(50):
            drawn += 1
            yield number

    for _ in batch.run_each(slow_double, items(), batch.threads(2)):
        most = max(most, drawn - finished)
        finished += 1
    assert finished == 50
    assert most <= AHEAD * 2


def test_an_exception_is_told_of_its_item_and_the_rest_goes_on() -> None:
    finished = list(batch.run_each(fail_at_three, range(8), batch.threads(2)))
    (failed,) = [each for each in finished if each.error is not None]
    assert failed.item == 3
    assert "ZeroDivisionError: three" in str(failed.error)
    assert len(finished) == 8


def test_fail_fast_begins_nothing_after_a_failure() -> None:
    finished = list(batch.run_each(fail_at_three, range(1000), batch.threads(1), fail_fast=True))
    assert [each.item for each in finished if each.error is not None] == [3]
    assert len(finished) <= 4 + AHEAD


def test_nothing_to_do_opens_no_engine() -> None:
    def refuse() -> ThreadPoolExecutor:
        raise AssertionError("opened")

    engine = batch.Engine("none", 2, refuse, lambda executor: None)
    assert list(batch.run_each(double, [], engine)) == []


@posix
def test_the_item_that_kills_its_worker_fails_and_no_other_does() -> None:
    finished = list(batch.run_each(die_at_seven, range(16), batch.processes(2)))
    (failed,) = [each for each in finished if each.error is not None]
    assert failed.item == 7
    assert "killed twice" in str(failed.error)
    assert values(iter(finished)) == [2 * number for number in range(16) if number != 7]


@posix
def test_items_whose_worker_died_once_are_done_after_all(tmp_path: Path) -> None:
    work = [(number, str(tmp_path)) for number in range(12)]
    finished = list(batch.run_each(die_once, work, batch.processes(2)))
    assert [str(each.error) for each in finished if each.error is not None] == []
    assert values(iter(finished)) == list(range(0, 24, 2))  # type: ignore[arg-type]
    assert len(list(tmp_path.glob("died-*"))) == 2


@posix
def test_an_item_that_takes_all_memory_fails_and_the_rest_goes_on() -> None:
    finished = list(batch.run_each(take_all_memory, range(8), batch.processes(2)))
    (failed,) = [each for each in finished if each.error is not None]
    assert failed.item == 3
    assert "memory" in str(failed.error)
    assert len(finished) == 8


def test_workers_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    list(batch.run_each(double, range(2), batch.processes(1)))
    monkeypatch.setenv("HOUNSFIELD_TEST_WORD", "now")
    (finished,) = batch.run_each(environment, ["HOUNSFIELD_TEST_WORD"], batch.processes(1))
    assert finished.value == "now"


def test_no_worker_process_outlives_a_run() -> None:
    before = set(multiprocessing.active_children())
    list(batch.run_each(double, range(4), batch.processes(2)))
    assert set(multiprocessing.active_children()) <= before


def test_a_run_that_is_left_early_lets_its_workers_go() -> None:
    before = set(multiprocessing.active_children())
    run = batch.run_each(slow_double, range(1000), batch.processes(2))
    assert next(run).value is not None
    run.close()
    assert set(multiprocessing.active_children()) <= before


def test_errors_of_any_kind_are_told_in_one_line_of_ours() -> None:
    mine = LocationError("gone", where="there")
    assert as_hounsfield_error(mine) is mine
    for error in (MemoryError(), OSError(28, "No space left on device", "x"), KeyError("a\nb")):
        assert isinstance(as_hounsfield_error(error), HounsfieldError)
        assert "\n" not in str(as_hounsfield_error(error))
    assert "No space left" in str(as_hounsfield_error(OSError(28, "No space left on device", "x")))


def test_an_unreachable_cluster_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "distributed", reason="distributed is not installed: pip install 'hounsfield[cluster]'"
    )
    monkeypatch.setattr("hounsfield.runs.clusters.CLUSTER_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(LocationError, match="no Dask scheduler answers"):
        batch.cluster("tcp://127.0.0.1:9")


def test_series_travel_to_a_worker_small_and_load_there(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path)
    (series,) = scan(tmp_path).series
    packed = pickle.dumps(series)
    assert len(packed) < 4000 * len(series.slices)
    assert (pickle.loads(packed).load().array == series.load().array).all()


def test_members_of_archives_travel_too(tmp_path: Path) -> None:
    import shutil

    phantom.write(PLAIN, tmp_path / "in")
    for kind in ("zip", "gztar"):
        packed = shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "in")
        (series,) = scan(packed).series
        finished = list(batch.run_each(_loaded, [series], batch.processes(1)))
        assert finished[0].error is None
        assert finished[0].value == int(series.load().array.sum())


def test_series_on_a_server_travel_without_their_connections(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path / "in")
    with stub_archive(path.read_bytes() for path in paths) as archive:
        (series,) = scan(archive.url).series
        copy = pickle.loads(pickle.dumps(series))
        assert (copy.load().array == load(tmp_path / "in").array).all()


def _loaded(series: object) -> int:
    return int(series.load().array.sum())  # type: ignore[attr-defined]
