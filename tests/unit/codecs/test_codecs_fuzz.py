"""A taste of `make fuzz` for damaged codestreams, and that its judge sees what it is there to see."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import fuzz_codestreams
import pytest
from fuzz_codestreams import OUTCOMES, Trials

from hounsfield.codecs import FrameFormat, isolation
from hounsfield.errors import MalformedError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
ALL_SEEDS = fuzz_codestreams.seeds()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No pool in the process that forks; nothing kept."""
    monkeypatch.delenv(isolation.VARIABLE, raising=False)
    monkeypatch.setattr(fuzz_codestreams, "KEPT", tmp_path)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_damaged_codestreams_of_every_family_kill_nothing() -> None:
    trials = Trials(seed=1, seeds=ALL_SEEDS)
    trials.run(seconds=300, most=6000)
    assert trials.failed == [], trials.table()
    assert trials.counts.sum() == 6000
    decoded, refused = (trials.counts[:, OUTCOMES.index(name)] for name in ("decoded", "refused"))
    assert (decoded > 0).all() and (refused > 0).all(), trials.table()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_children_decode_what_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a child refuse nothing: the same outcomes of damaged codestreams, family by family."""
    counts = []
    for mode in ("never", "always"):
        monkeypatch.setenv(isolation.VARIABLE, mode)
        trials = Trials(seed=5, seeds=ALL_SEEDS)
        trials.run(seconds=300, most=4000)
        counts.append(trials.counts.tolist())
    assert counts[0] == counts[1]


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_damaged_codestreams_kill_nothing_for_minutes() -> None:
    """For each new version of imagecodecs, whose figures then go into the table."""
    trials = Trials(seed=int(time.time()), seeds=ALL_SEEDS)
    trials.run(seconds=300)
    assert trials.failed == [], f"seed {trials.seed}\n{trials.table()}"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_judge_sees_deaths_stalls_and_bugs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_codestreams, "LONGEST_SECONDS", 0.3)
    number = iter(range(100))

    def decode(data: bytes, keyword: str, form: FrameFormat) -> object:
        count = next(number)
        if count == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if count == 2:
            raise ZeroDivisionError
        if count == 3:
            time.sleep(60)
        raise MalformedError("as it should be")

    def dying(first: int) -> Trials:
        nonlocal number
        number = iter(range(first, 100))
        found = Trials(decode=decode, seeds=ALL_SEEDS[:3])
        found.run(seconds=20, most=1)
        return found

    outcomes = [OUTCOMES[dying(first).counts.sum(axis=0).argmax()] for first in (0, 1, 2, 3)]
    assert outcomes == ["refused", "death", "bug", "stall"]
