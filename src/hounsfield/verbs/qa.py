"""Every phantom of a location, analysed; what is none is left out with its reason."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.ct.series import LoadOptions, Series
from hounsfield.errors import HounsfieldError
from hounsfield.qa.analysis import analyse
from hounsfield.qa.page import pictures
from hounsfield.qa.result import Result
from hounsfield.qa.trend import Run, numbers_of
from hounsfield.runs.ledger import Record, open_ledger, read_ledger
from hounsfield.verbs.load import Scan

LEDGER = "hounsfield.jsonl"


@dataclass(frozen=True)
class Analysed:
    """One series: its result, or why there is none."""

    name: str
    uid: str
    date: str
    result: Result | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; `refused` in place of numbers."""
        known = {"series": {"name": self.name, "uid": self.uid, "date": self.date}}
        return {**known, **({"refused": self.reason} if self.result is None else self.result.json())}


@dataclass(frozen=True)
class Options:
    """The options of `hounsfield.qa.analyse`."""

    phantom: str = "auto"
    limits: str | None = None
    unconfirmed_limits: bool = False
    roll: float | None = None


def analyse_all(scan: Scan, options: Options) -> Iterator[Analysed]:
    """Yield the analysis of every CT series of a scan, one after the other: only one volume is held."""
    for series in scan.series:
        date = series.header.text("AcquisitionDate") or series.header.text("StudyDate")
        try:
            result = analyse_series(series, options)
        except HounsfieldError as error:
            yield Analysed(series.name, series.uid, date, None, str(error))
        except (ValueError, ArithmeticError, LookupError) as error:
            # Numbers that no fit foresaw in one series are no reason to lose the others.
            yield Analysed(series.name, series.uid, date, None, f"could not be measured: {error}")
        else:
            yield Analysed(series.name, series.uid, date, result)


def analyse_series(series: Series, options: Options) -> Result:
    """Return the analysis of one series, its air as it was stored; raises a `HounsfieldError`."""
    if any("LOCALIZER" in each.instance.header.text("ImageType") for each in series.slices[:1]):
        raise HounsfieldError("a localizer", expected="slices of a phantom")
    if any(each.instance.header.text("LossyImageCompression") == "01" for each in series.slices):
        raise HounsfieldError("compressed with loss", expected="original values", where=series.name)
    volume = series.load(LoadOptions(clamp=False))
    return analyse(
        volume,
        options.phantom,
        options.limits,
        unconfirmed_limits=options.unconfirmed_limits,
        roll=options.roll,
    )


def drawn(scan: Scan, analysed: Analysed) -> list[str]:
    """Return pictures of the modules of one analysis, its slices read again."""
    series = next(each for each in scan.series if each.uid == analysed.uid and each.name == analysed.name)
    if analysed.result is None:
        return []
    return pictures(series.load(LoadOptions(clamp=False)), analysed.result)


def record(folder: Path, analysed: list[Analysed]) -> list[Run]:
    """Append the numbers of each analysis to the ledger in a folder; every run that it now holds."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with open_ledger(folder / LEDGER) as ledger:
        for each in analysed:
            if each.result is None:
                continue
            facts = {"date": each.date, **numbers_of(each.result)}
            ledger.append(
                Record(
                    key=f"qa/{each.uid}",
                    status="done",
                    verb="qa",
                    series=each.name,
                    uid=each.uid,
                    facts=facts,
                    time=now,
                )
            )
    return runs_in(folder / LEDGER)


def runs_in(path: Path) -> list[Run]:
    """Return the runs of a ledger, the last of each series, in the order of their dates."""
    latest = {one.key: one for one in read_ledger(path) if one.verb == "qa" and one.status == "done"}
    runs = [Run.from_facts(one.uid, one.facts, one.time) for one in latest.values()]
    return sorted(runs, key=lambda run: run.date)
