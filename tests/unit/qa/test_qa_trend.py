"""Control charts over synthetic runs: what drifts and what jumps is named, what is even is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.qa.trend import Run, alarms


def runs(values: NDArray[Any] | list[float]) -> list[Any]:
    return [
        Run(str(i), f"2024{1 + i // 28:02d}{1 + i % 28:02d}", ("scanner", "120"), {"Teflon": v})
        for i, v in enumerate(values)
    ]


def test_a_drift_is_seen_by_run_twelve_after_it_began_and_an_outlier_at_once() -> None:
    noise = np.random.default_rng(3).normal(0, 0.4, 40)
    drift = np.where(np.arange(40) >= 10, np.arange(40) - 9, 0) * 0.25
    found = alarms(runs(1000 + noise + drift))
    ewma = next(alarm for alarm in found if alarm.rule == "EWMA")
    assert ewma.run <= 10 + 12
    jump = 1000 + noise.copy()
    jump[27] = jump[:10].mean() + 3.5 * jump[:10].std(ddof=1)
    outlier = next(alarm for alarm in alarms(runs(jump)) if alarm.rule == "1_3s")
    assert outlier.run == 27
    assert outlier.since == runs(jump)[27].date


def test_forty_even_runs_raise_no_more_than_one_alarm_each() -> None:
    counts = []
    for seed in range(20):
        found = alarms(runs(1000 + np.random.default_rng(seed).normal(0, 0.4, 40)))
        counts.append(sum(alarm.rule in ("1_3s", "EWMA") for alarm in found))
    assert np.mean(counts) <= 1


def test_another_protocol_is_never_compared() -> None:
    first = runs(1000 + np.random.default_rng(1).normal(0, 0.4, 20))
    other = [Run("x", "20250101", ("scanner", "80"), {"Teflon": 1100.0})]
    assert alarms([*first, *other]) == []
    assert alarms([]) == []


def test_fewer_runs_than_a_baseline_say_nothing() -> None:
    assert alarms(runs([1000.0] * 9 + [2000.0])) == []
