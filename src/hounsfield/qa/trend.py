"""Numbers over days: control charts by Westgard's rules, and an exponential mean that sees a slow drift.

Runs are compared only with those of the same scanner, kV, kernel, thickness and phantom. Not a verdict: a rule says
which number left its own past, and since when.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from hounsfield.qa.result import Result

BASELINE_RUNS = 10
"""First runs whose mean and scatter the later ones are held against."""

WEIGHT = 0.2
"""Of the newest run in the exponential mean (λ of an EWMA chart)."""

EWMA_SIGMAS = 3.3
"""Of the exponential mean's own scatter: one false alarm in more than 40 runs is rare."""


@dataclass(frozen=True)
class Run:
    """One analysis: `key` says what it may be compared with, `values` its numbers, `errors` their standard errors."""

    uid: str
    date: str
    key: tuple[str, ...]
    values: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_facts(cls, uid: str, facts: Mapping[str, Any], time: str) -> Run:
        """Of a ledger's facts; the day of the scan, or that of the analysis where a header had none."""
        key = tuple(str(each) for each in facts.get("key", ()))
        date = str(facts.get("date") or time[:10].replace("-", ""))
        return cls(uid, date, key, dict(facts.get("values", {})), dict(facts.get("errors", {})))


@dataclass(frozen=True)
class Alarm:
    """A rule that a number broke: since which run, and how far off it is in units of its scatter."""

    quantity: str
    rule: str
    since: str
    run: int
    z: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "quantity": self.quantity,
            "rule": self.rule,
            "since": self.since,
            "run": self.run,
            "z": round(self.z, 2),
        }


def numbers_of(result: Result) -> dict[str, Any]:
    """Return key, values and errors of an analysis, as they go into a ledger."""
    details = result.details
    scanner, protocol = details["scanner"], details["protocol"]
    key = [scanner["manufacturer"], scanner["model"], scanner["station"], protocol["kv"], protocol["kernel"]]
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    for each in details["inserts"]:
        if each["mean"] is not None:
            values[each["name"]], errors[each["name"]] = each["mean"], each["se"]
    others = {
        "uniformity": (details.get("uniformity") or {}).get("signed"),
        "noise": (details.get("noise") or {}).get("sd"),
        "thickness": (details.get("thickness") or {}).get("fwhm"),
        "nodes": (details.get("geometry") or {}).get("mean"),
        "slope": (details.get("linearity") or {}).get("slope"),
    }
    values.update({name: value for name, value in others.items() if value is not None})
    return {
        "key": [str(each) for each in (*key, protocol["step_mm"], result.phantom)],
        "values": values,
        "errors": errors,
    }


def alarms(runs: Sequence[Run], *, baseline: int = BASELINE_RUNS) -> list[Alarm]:
    """Return the rules that numbers broke after the baseline, in the order of the runs.

    "1_2s" only warns. Runs are in the order of their days and of one key; other keys are not looked at.
    """
    if not runs:
        return []
    same = [run for run in runs if run.key == runs[-1].key]
    found = []
    for name in sorted({name for run in same for name in run.values}):
        series = [(index, run) for index, run in enumerate(same) if name in run.values]
        if len(series) > baseline:
            found += _broken(name, series, baseline)
    return sorted(found, key=lambda alarm: alarm.run)


def _broken(name: str, series: list[tuple[int, Run]], baseline: int) -> list[Alarm]:
    values = np.array([run.values[name] for _, run in series])
    errors = [run.errors.get(name, 0.0) for _, run in series[:baseline]]
    centre = float(values[:baseline].mean())
    # The scatter of a short baseline is itself uncertain: never below what the numbers' own errors make.
    sd = max(float(values[:baseline].std(ddof=1)), float(np.median(errors)), 1e-9)
    z = (values - centre) / sd
    found: dict[str, Alarm] = {}
    for index in range(baseline, len(z)):
        for rule, first in _rules(z, index, baseline):
            if rule not in found:
                number, run = series[index]
                found[rule] = Alarm(name, rule, series[first][1].date or run.date, number, float(z[index]))
    drift = _drift(z, baseline)
    if drift is not None:
        number, run = series[drift]
        found["EWMA"] = Alarm(name, "EWMA", run.date, number, float(z[drift]))
    return list(found.values())


def _rules(z: np.ndarray[Any, Any], index: int, baseline: int) -> list[tuple[str, int]]:
    """Return the rules that run `index` breaks, each with the run it begins at (Westgard 1981)."""
    past = z[: index + 1]
    found = []
    if abs(past[-1]) > 2:
        found.append(("1_2s", index))
    if abs(past[-1]) > 3:
        found.append(("1_3s", index))
    if index > baseline:
        two = past[-2:]
        if (two > 2).all() or (two < -2).all():
            found.append(("2_2s", index - 1))
        if two.max() > 2 and two.min() < -2:
            found.append(("R_4s", index - 1))
    for rule, count, level in (("4_1s", 4, 1.0), ("10_x", 10, 0.0)):
        last = past[-count:]
        if index - baseline + 1 >= count and ((last > level).all() or (last < -level).all()):
            found.append((rule, index - count + 1))
    return found


def _drift(z: np.ndarray[Any, Any], baseline: int) -> int | None:
    """Return the run at which the exponential mean leaves its limits."""
    mean = 0.0
    for index in range(baseline, len(z)):
        mean = WEIGHT * float(np.clip(z[index], -3, 3)) + (1 - WEIGHT) * mean
        count = index - baseline + 1
        spread = math.sqrt(WEIGHT / (2 - WEIGHT) * (1 - (1 - WEIGHT) ** (2 * count)) + 1 / baseline)
        if abs(mean) > EWMA_SIGMAS * spread:
            return index
    return None


def gaps(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return pairs of days between which another scanner, protocol or phantom was measured."""
    return [(a.date, b.date) for a, b in pairwise(runs) if a.key != b.key]
