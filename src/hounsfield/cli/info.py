"""`hounsfield info`: what each series is, and how far its numbers can be trusted."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, at_once, chosen, engine_for
from hounsfield.cli.terminal import Column, console, echo, print_json, progress, table, width

if TYPE_CHECKING:
    from hounsfield.batch import Engine
    from hounsfield.errors import HounsfieldError
    from hounsfield.inspection import Inspection
    from hounsfield.instance import Skipped
    from hounsfield.reading import Scan


@click.command(
    epilog=options.examples(
        "hounsfield info scan/",
        "hounsfield info scan.zip --series 202",
        "hounsfield info scan/ --json",
    )
)
@options.location
@options.series
@click.option(
    "--pixels/--no-pixels",
    default=None,
    help="Read pixels for range and histogram (default: not over a network).",
)
@click.option("--short", is_flag=True, help="One line a series.")
@at_once
@options.as_json
def info(
    location: str,
    series: str | None,
    pixels: bool | None,
    short: bool,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    as_json: bool,
) -> None:
    """Say what each series of LOCATION is: geometry, Hounsfield scale, padding, range, what is stored."""
    from hounsfield.cli.scanning import scanned
    from hounsfield.reading import is_remote

    found = chosen(scanned(absolute(location)), series)
    remote = is_remote(location)
    read = not short and (not remote if pixels is None else pixels)
    looked = _looked(found, engine_for(workers, cluster, found, waits=remote or not read), read, fail_fast)
    if as_json:
        skipped = [{"name": item.name, "reason": item.reason} for item in found.skipped]
        print_json({"location": location, "series": [item.to_json() for item in looked], "skipped": skipped})
        return
    from hounsfield.cli.inspections import show, summary

    if short:
        narrow = console().width < _WIDE
        columns = [column for column in _COLUMNS if not (narrow and column.key in _WIDE_ONLY)]
        table([summary(item) for item in looked], columns)
    else:
        for inspected in looked:
            show(inspected, width())
            echo()
    if found.skipped and series is None:
        show_skipped(found.skipped)
    if not looked:
        found.choose()  # nothing to tell of is an error, as for every other verb


def _looked(found: Scan, engine: Engine, pixels: bool, fail_fast: bool) -> list[Inspection]:
    """Every series looked at, in the order of the scan; the first whose worker died is the verb's error."""
    from hounsfield.batch import run_each
    from hounsfield.inspection import inspect

    places = {id(series): place for place, series in enumerate(found.series)}
    looked: dict[int, Inspection] = {}
    problem: HounsfieldError | None = None
    with progress("Reading", total=len(found.series)) as done:
        look = functools.partial(inspect, pixels=pixels)
        for finished in run_each(look, found.series, engine, fail_fast=fail_fast):
            if finished.value is not None:
                looked[places[id(finished.item)]] = finished.value
            elif problem is None and finished.error is not None:
                problem = finished.error.at(finished.item.name)
            done()
    if problem is not None:
        raise problem
    return [looked[place] for place in sorted(looked)]


def show_skipped(skipped: Iterable[Skipped]) -> None:
    """What took no part, by reason; single names only where they are few."""
    by_reason: dict[str, list[str]] = {}
    for item in skipped:
        by_reason.setdefault(item.reason, []).append(item.name)
    echo(f"Left out: {sum(map(len, by_reason.values()))}")
    for reason, names in by_reason.items():
        shown = ", ".join(name.rpartition("/")[2] or name for name in names[:_NAMES])
        echo(f"  {len(names):>4} × {reason}: {shown}{' …' if len(names) > _NAMES else ''}")


_NAMES = 3
_COLUMNS = (
    Column("name", "series", folds=True),
    Column("verdict", "verdict"),
    Column("slices", "slices", "right"),
    Column("matrix", "matrix"),
    Column("spacing", "spacing mm", folds=True),
    Column("unit", "unit"),
    Column("rescale", "rescale"),
    Column("syntax", "stored as", folds=True),
    Column("trust", "trust"),
)
_WIDE = 120  # columns of a terminal below which the short form leaves out what the long one tells too
_WIDE_ONLY = ("rescale", "syntax")
