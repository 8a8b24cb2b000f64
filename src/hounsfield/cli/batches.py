"""Options and the table of verbs that work through many series: how many at once, where, and the outcome of each."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from hounsfield.cli.options import FiniteRange
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.errors import HounsfieldError
from hounsfield.language import listed, say
from hounsfield.outputs.results import Status, word_of

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.ct.series import Series
    from hounsfield.runs import Engine, Pace, Result, Window
    from hounsfield.verbs.load import Scan

Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")

_COLUMNS = (
    Column("series", "series", folds=True),
    Column("status", "status"),
    Column("shape", "slices×rows×columns"),
    Column("unit", "unit"),
    Column("output", "output", folds=True),
    Column("note", "what to know", folds=True),
)
_NAMES = 3
_STATUSES = ("made", "made before", "left out", "failed", "started")


def at_once(command: Command) -> Command:
    """`workers: int | None`, `cluster: str | None`, `fail_fast: bool`: how a verb works through many series."""
    for option in (
        click.option("--fail-fast", is_flag=True, help="Begin nothing more after the first failure."),
        click.option(
            "--cluster", metavar="tcp://HOST:8786", help="Work on the Dask cluster of this scheduler."
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            show_default="one a core",
            help="Series at once, each in a process.",
        ),
    ):
        command = option(command)
    return command


def recorded(command: Command) -> Command:
    """`ledger: Path | None`, `content: bool`: the record of a run that writes a folder."""
    for option in (
        click.option(
            "--content", is_flag=True, help="Know series again by all their bytes, not by size and time."
        ),
        click.option(
            "--ledger",
            type=click.Path(path_type=Path),
            show_default="hounsfield.jsonl in the folder",
            help="Where the ledger is.",
        ),
    ):
        command = option(command)
    return command


def paced(command: Command) -> Command:
    """`pace: Pace | None` of `--max-mb-s` and `--between`: how quickly and when a long run may work."""

    @click.option(
        "--between",
        metavar="HH:MM-HH:MM",
        callback=_window,
        help="Work in these hours of the day only, such as 20:00-06:00; wait outside them.",
    )
    @click.option(
        "--max-mb-s",
        type=FiniteRange(min=0, min_open=True),
        metavar="N",
        help="Read at most so many MB a second, on average.",
    )
    @functools.wraps(command)
    def with_pace(*arguments: Any, max_mb_s: float | None, between: Window | None, **asked: Any) -> Any:
        return command(*arguments, pace=_pace(max_mb_s, between), **asked)

    return cast(Command, with_pace)


def _pace(max_mb_s: float | None, between: Window | None) -> Pace | None:
    from hounsfield.runs import Pace

    if max_mb_s is None and between is None:
        return None
    return Pace(None if max_mb_s is None else max_mb_s * 1e6, between, _waits)


def _window(_: click.Context, __: click.Parameter, text: str | None) -> Window | None:
    from hounsfield.runs import window

    if text is None:
        return None
    try:
        return window(text)
    except HounsfieldError as error:
        raise click.BadParameter(str(error)) from error


def _waits(hours: Window) -> None:
    echo(say("outside {hours}: waiting until it begins", hours=hours), err=True)


MANY_SLICES = 400
"""From here on processes are worth the half second that they take to start: one that dies takes nothing with it."""


def engine_for(workers: int | None, cluster: str | None, found: Scan, *, waits: bool = False) -> Engine:
    """The engine that the options ask for. `waits`: the work waits for a network rather than computes."""
    from hounsfield import runs as batch

    if cluster is not None:
        return engine_of_cluster(cluster, workers)
    count = min(workers or batch.available_cores(), max(len(found.series), 1))
    small = workers is None and sum(len(series.slices) for series in found.series) < MANY_SLICES
    return batch.threads(count) if waits or small or count == 1 else batch.processes(count)


def engine_of_cluster(address: str, workers: int | None = None) -> Engine:
    """The Dask cluster of that scheduler; its workers are its own to number."""
    import logging

    from hounsfield import runs as batch

    if workers is not None:
        raise click.UsageError("--workers is for this machine; the workers of a --cluster are its own")
    # Dask logs each lost worker at length; what it means for a series is in the ledger.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with progress("Waiting for the scheduler"):
        return batch.cluster(address)


def absolute(location: str) -> str:
    """The location as a worker in another folder would name it, where it is a path."""
    return os.path.abspath(location) if Path(location).exists() else location  # noqa: PTH100 (a link stays one)


def chosen(found: Scan, series: str | None) -> Scan:
    """The scan, of one series alone where one is asked for."""
    return found if series is None else replace(found, series=(found.choose(series),))


def rows_of(
    results: Iterable[Result], found: Scan, description: str, folder: Path | str
) -> list[dict[str, Any]]:
    """All results as JSON has them, in the order of the scan; a bar shows how far they have come."""
    places = {f"{series.uid}#{series.part}": place for place, series in enumerate(found.series)}
    with progress(description, total=len(found.series)) as done:
        got = []
        for result in results:
            got.append(result)
            if result.facts["phase"] == 0:
                done()
    got.sort(key=lambda each: (places[f"{each.facts['uid']}#{each.facts['part']}"], each.facts["phase"]))
    return [row(result, folder=str(folder)) for result in got]


def row(result: Result, *, folder: str = "") -> dict[str, Any]:
    """One series of a ledger as JSON has it; `output` as a path from here."""
    facts = result.facts
    output = f"{folder}/{result.output}" if result.output and folder else result.output
    return {
        "series": result.unit,
        "SeriesInstanceUID": facts["uid"],
        "phase": facts["phase"],
        "phase_name": facts["phase_name"],
        "status": series_word(result),
        "kept": facts["kept"],
        "output": output if result.is_there else "",
        "verdict": facts["verdict"],
        "shape": list(facts["shape"]),
        "unit": facts["unit"],
        "warnings": list(facts["warnings"]),
        "plausibility": facts.get("plausibility"),
        "reason": result.reason,
    }


def series_word(result: Result) -> str:
    """The status of a series as JSON has it, where what stands is `made` and `kept`."""
    return word_of("series", Status.DONE if result.is_there else result.status)


def row_of_one(series: Series, made: Result, out: Path | str, phase: int | None) -> dict[str, Any]:
    """The same for a series that was written to a file by itself, without a ledger."""
    return {
        "series": series.name,
        "SeriesInstanceUID": series.uid,
        "phase": phase or 0,
        "phase_name": series.phases[phase].label if phase is not None and len(series.phases) > 1 else "",
        "status": series_word(made),
        "kept": False,
        "output": str(out),
        "verdict": made.facts["verdict"],
        "shape": list(made.facts["shape"]),
        "unit": made.facts["unit"],
        "warnings": list(made.facts["warnings"]),
        "plausibility": made.facts.get("plausibility"),
        "reason": "",
    }


def show(
    rows: list[dict[str, Any]], found: Scan, *, name: str, as_json: bool, pages: Path | None = None
) -> None:
    """Print the outcome of each series, what took no part, and where the pages are; exit status 1 if any failed."""
    if as_json:
        skipped = [{"name": item.name, "reason": item.reason} for item in found.skipped]
        print_json({name: rows, "skipped": skipped})
    elif rows:
        table([_line(item) for item in rows], _COLUMNS)
    if found.skipped and not as_json:
        echo()
        show_skipped(found.skipped)
    if not rows and not as_json:
        found.choose()  # nothing to do is an error, as for a single output
    if len(rows) > 1 and not as_json:
        echo(_totals(rows, pages))
    if any(item["status"] == "failed" for item in rows):
        raise click.exceptions.Exit(1)


def show_skipped(skipped: Iterable[Skipped]) -> None:
    """Show what took no part, by reason; single names only where they are few."""
    by_reason: dict[str, list[str]] = {}
    for item in skipped:
        by_reason.setdefault(item.reason, []).append(item.name)
    echo(say("Left out: {sum}", sum=sum(map(len, by_reason.values()))))
    for reason, names in by_reason.items():
        shown = ", ".join(name.rpartition("/")[2] or name for name in names[:_NAMES])
        more = " …" if len(names) > _NAMES else ""
        echo(
            say("  {count} × {reason}: {names}", count=f"{len(names):>4}", reason=reason, names=shown + more)
        )


def _totals(rows: list[dict[str, Any]], pages: Path | None) -> str:
    counted = Counter(_line(item)["status"] for item in rows)
    each = [
        say("{count} {status}", count=counted[status], status=say(status))
        for status in sorted(counted, key=_STATUSES.index)
    ]
    line = say("\n{count} series: {counts}", count=len(rows), counts=listed(each, ", "))
    if pages is None or not pages.is_file():
        return line
    return say("{line}; to look through: {pages}", line=line, pages=pages)


def _line(item: dict[str, Any]) -> dict[str, Any]:
    return {
        **item,
        "status": f"{item['status']} before" if item["kept"] and item["status"] == "made" else item["status"],
        "shape": "×".join(map(str, item["shape"])),
        "note": "; ".join(filter(None, [item["phase_name"], item["reason"] or "; ".join(item["warnings"])])),
    }
