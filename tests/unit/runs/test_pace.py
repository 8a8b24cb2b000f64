"""How quickly and when a run works: hours of the day, bytes a second, and that a stopped run does not go on waiting."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import Pace, Window, threads, window


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 12, 1, hour, minute, second)


@pytest.mark.parametrize(
    ("text", "now", "seconds"),
    [
        ("20:00-06:00", at(19, 59, 59), 1),
        ("20:00-06:00", at(20), 0),
        ("20:00-06:00", at(0), 0),
        ("20:00-06:00", at(5, 59, 59), 0),
        ("20:00-06:00", at(6), 14 * 3600),
        ("08:30–17:00", at(8, 29), 60),
        ("08:30-17:00", at(16, 59, 59), 0),
        ("08:30-17:00", at(17), 15.5 * 3600),
        ("22:00-24:00", at(23, 59), 0),
        ("22:00-24:00", at(0), 22 * 3600),
        ("0:00-6:00", at(0), 0),
    ],
)
def test_a_window_is_open_from_its_start_up_to_its_end(text: str, now: datetime, seconds: float) -> None:
    assert window(text).opens_in(now) == seconds


@pytest.mark.parametrize(
    "text", ["20-6", "20:00", "25:00-06:00", "20:60-06:00", "06:00-06:00", "00:00-24:00", "night"]
)
def test_what_is_no_window_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SelectionError, match=text):
        window(text)


def test_outside_its_hours_a_run_waits_and_says_so_once() -> None:
    times = iter([at(19, 59, 59), at(19, 59, 59), at(20), at(21)])
    told: list[Window] = []
    pace = Pace(hours=window("20:00-06:00"), on_wait=told.append, now=lambda: next(times))
    slept: list[float] = []
    pace._sleep = slept.append  # type: ignore[assignment, method-assign]
    pace.wait(1)
    pace.wait(1)
    assert slept == [1, 1] and [str(each) for each in told] == ["20:00-06:00"]


def test_a_rate_holds_on_average_and_idle_time_is_not_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("hounsfield.runs.pace.time.monotonic", lambda: clock[0])
    pace = Pace(bytes_per_second=10e6)

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    pace._sleep = sleep  # type: ignore[method-assign]
    begun = []
    for _ in range(5):
        pace.wait(20_000_000)
        begun.append(clock[0])
    assert begun == pytest.approx([100, 102, 104, 106, 108])
    clock[0] += 1000
    pace.wait(20_000_000)
    pace.wait(20_000_000)
    assert clock[0] == pytest.approx(1110)


def test_whoever_waits_is_let_go_when_the_engine_closes() -> None:
    pace = Pace(hours=window("20:00-06:00"), now=lambda: at(12))
    engine = pace.stopping(threads(1))
    executor = engine.open()
    waiting = executor.submit(pace.wait, 1)
    engine.close(executor)
    with pytest.raises(HounsfieldError, match="stopped"):
        waiting.result(timeout=60)


def test_the_options_bound_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=3), tmp_path / "scan")
    waited: list[tuple[float | None, str, int]] = []
    lock = threading.Lock()

    def wait(self: Pace, size: int) -> None:
        with lock:
            waited.append((self.bytes_per_second, str(self.hours), size))

    monkeypatch.setattr(Pace, "wait", wait)
    limits = ["--max-mb-s", "0.5", "--between", "20:00-06:00"]
    command = ["compress", str(tmp_path / "scan"), str(tmp_path / "out"), "--to", "jpeg-ls", *limits]
    assert CliRunner().invoke(main, command).exit_code == 0
    sizes = sorted(path.stat().st_size for path in (tmp_path / "scan").iterdir())
    assert sorted(waited) == [(500_000, "20:00-06:00", size) for size in sizes]


def test_a_copy_keeps_to_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=3), tmp_path / "scan")
    waited: list[int] = []
    monkeypatch.setattr(Pace, "wait", lambda self, size: waited.append(size))
    command = ["copy", str(tmp_path / "scan"), str(tmp_path / "out"), "--max-mb-s", "1"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert sorted(waited) == sorted(path.stat().st_size for path in (tmp_path / "scan").iterdir())
    assert CliRunner().invoke(main, [*command, "--cluster", "tcp://127.0.0.1:1"]).exit_code == 2


@pytest.mark.parametrize("option", [("--between", "20-6"), ("--max-mb-s", "0"), ("--max-mb-s", "-3")])
def test_limits_that_make_no_sense_are_wrong_usage(option: tuple[str, str], tmp_path: Path) -> None:
    command = ["compress", str(tmp_path), str(tmp_path / "out"), "--to", "rle", *option]
    assert CliRunner().invoke(main, command).exit_code == 2
