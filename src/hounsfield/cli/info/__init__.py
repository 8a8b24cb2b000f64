"""`hounsfield info`: what each series is, and how far its numbers can be trusted."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Literal

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, at_once, chosen, engine_for, show_skipped
from hounsfield.cli.terminal import Column, console, echo, print_json, progress, table, width
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.errors import HounsfieldError
    from hounsfield.runs import Engine
    from hounsfield.verbs.inspect import Inspection
    from hounsfield.verbs.load import Scan


@click.command(
    epilog=options.examples(
        "hounsfield info scan/",
        "hounsfield info scan.zip --series 202",
        "hounsfield info scan/ --json",
    )
)
@options.location
@options.series
@options.unit
@options.split_by
@click.option(
    "--pixels/--no-pixels",
    default=None,
    help="Read pixels for range and histogram (default: not over a network).",
)
@click.option("--short", is_flag=True, help="One line a series.")
@options.isolate
@at_once
@options.as_json
def info(
    location: str,
    series: str | None,
    unit: Literal["HU"] | None,
    split_by: str | None,
    pixels: bool | None,
    short: bool,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    as_json: bool,
) -> None:
    """Say what each series of LOCATION is: geometry, Hounsfield scale, padding, range, what is stored."""
    from hounsfield.cli.loading import scanned
    from hounsfield.verbs.load import is_remote

    found = chosen(scanned(absolute(location), unit=unit, split_by=split_by), series)
    remote = is_remote(location)
    read = not short and (not remote if pixels is None else pixels)
    looked, failed = _looked(
        found, engine_for(workers, cluster, found, waits=remote or not read), read, fail_fast
    )
    if as_json:
        print_json(
            {
                "location": location,
                "series": [item.to_json() for item in looked],
                "failed": [{"name": name, "reason": str(error)} for name, error in failed],
                "masks": [item.to_json() for item in found.masks],
                "skipped": [{"name": item.name, "reason": item.reason} for item in found.skipped],
            }
        )
    else:
        _show(looked, short)
        for item in found.masks:
            echo(
                say(
                    "segments: {name}; hounsfield measure {location} --mask …",
                    name=item.name,
                    location=location,
                )
            )
        if found.skipped and series is None:
            if short:
                echo()
            show_skipped(found.skipped)
    for name, error in failed:
        echo(say("failed: {name}: {error}", name=name, error=error), err=True)
    if failed:
        raise click.exceptions.Exit(1)
    if not looked and not as_json and not (found.masks and series is None):
        found.choose()  # nothing to tell of is an error, as for every other verb


def _show(looked: list[Inspection], short: bool) -> None:
    from hounsfield.cli.info.inspections import show, summary

    if not short:
        for inspected in looked:
            show(inspected, width())
            echo()
        return
    narrow = console().width < _WIDE
    columns = [column for column in _COLUMNS if not (narrow and column.key in _WIDE_ONLY)]
    table([summary(item) for item in looked], columns)


def _looked(
    found: Scan, engine: Engine, pixels: bool, fail_fast: bool
) -> tuple[list[Inspection], list[tuple[str, HounsfieldError]]]:
    """Every series looked at, in the order of the scan; and those that could not be, by name."""
    from hounsfield.runs import run_each
    from hounsfield.verbs.inspect import inspect

    places = {id(series): place for place, series in enumerate(found.series)}
    looked: dict[int, Inspection] = {}
    failed: dict[int, tuple[str, HounsfieldError]] = {}
    with progress("Reading", total=len(found.series)) as done:
        look = functools.partial(inspect, pixels=pixels)
        unread = operator.attrgetter("problem")
        for finished in run_each(look, found.series, engine, fail_fast=fail_fast, fails=unread):
            place = places[id(finished.item)]
            if finished.value is not None:
                looked[place] = finished.value
            elif finished.error is not None:
                failed[place] = (finished.item.name, finished.error)
            done()
    return [looked[place] for place in sorted(looked)], [failed[place] for place in sorted(failed)]


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
