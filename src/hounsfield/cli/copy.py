"""`hounsfield copy`: instances from one location to another, resumable, each accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, engine_of_cluster, paced, recorded
from hounsfield.cli.goals import NAMES, each_image, goals, target_of
from hounsfield.cli.terminal import Column, bytes_text, console, echo, print_json, table
from hounsfield.language import say
from hounsfield.outputs.results import Status, word_of

if TYPE_CHECKING:
    from hounsfield.runs import Pace, Place, Result
    from hounsfield.transcode import Target
    from hounsfield.verbs.copy import Summary

_MOST_LINES = 20
"""Instances named one by one in the summary; all of them with --json."""


@click.command(
    epilog=options.examples(
        "hounsfield copy https://host/dicom-web/studies/1.2.3 scans/",
        "hounsfield copy scans/ pacs:",
        "hounsfield copy pacs:/studies/1.2.3 research: --verify",
        "hounsfield copy scans/ pacs: --ledger run/hounsfield.jsonl",
        "hounsfield copy pacs: s3://bucket/archive --to jpeg-ls --between 20:00-06:00",
    )
)
@click.argument("source", metavar="SOURCE", type=options.Place())
@click.argument("target", metavar="TARGET", type=options.Place())
@click.option(
    "--transfer-syntax",
    metavar="SYNTAX",
    default="*",
    help="Ask the server for this one, by UID or keyword such as jpeg-ls; as stored otherwise.",
)
@goals
@each_image
@click.option(
    "--verify", is_flag=True, help="Read back what is at TARGET in the end and compare it with SOURCE."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    show_default="4",
    help="Series on their way at once.",
)
@click.option("--cluster", metavar="tcp://HOST:8786", help="Work on the Dask cluster of this scheduler.")
@click.option("--fail-fast", is_flag=True, help="Begin no other series after one that is not whole.")
@paced
@recorded
@options.as_json
def copy(
    source: str,
    target: str,
    transfer_syntax: str,
    verify: bool,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    ledger: Path | None,
    content: bool,
    as_json: bool,
    pace: Pace | None,
    **asked: Any,
) -> None:
    """Copy every instance of SOURCE to TARGET, a folder, a bucket or a server; with --to in another transfer syntax.

    In a folder they become study/series/instance.dcm, and hounsfield.jsonl has the outcome of each series; for a
    server or a bucket, --ledger says where that goes. Run it again after an interruption: only what is missing moves.
    Exit status 1 if anything of SOURCE is not at TARGET in the end.
    """
    from hounsfield import runs as batch
    from hounsfield.verbs import copy as transfer
    from hounsfield.verbs.copy.copying import WORKERS

    recode = _recode(asked, cluster=cluster, verify=verify)
    if cluster is not None and pace is not None:
        raise click.UsageError("--max-mb-s and --between are for this machine; leave them out with --cluster")
    usual = WORKERS if recode is None else max(WORKERS, batch.available_cores())
    engine = batch.threads(workers or usual) if cluster is None else engine_of_cluster(cluster, workers)
    with _place(target, ledger, content) as place, _bar() as bar:
        summary = transfer.copy(
            absolute(source),
            target,
            transfer_syntax=transfer_syntax,
            recode=recode,
            verify=verify,
            engine=engine,
            place=place,
            fail_fast=fail_fast,
            pace=pace,
            progress=bar.settled,
            expect=bar.expect,
        )
    print_json(summary.to_json()) if as_json else _show(summary, None if place is None else place.pages)
    if not summary.complete:
        raise click.exceptions.Exit(1)


def _recode(asked: dict[str, Any], *, cluster: str | None, verify: bool) -> Target | None:
    """Return what the options say of another transfer syntax; None where they say nothing."""
    given = [name for name in NAMES if asked[name]]
    if asked["each"] and asked["ratio"] is None and asked["policy"] is None:
        raise click.UsageError("--each says of what a ratio is; it goes with --ratio")
    if not given:
        return None
    if asked["to"] is None and asked["policy"] is None:
        option = {"table": "auto"}.get(given[0], given[0]).replace("_", "-")
        raise click.UsageError(say("--{option} goes with --to", option=option))
    if cluster is not None:
        raise click.UsageError("--to is for this machine; leave it out with --cluster")
    if verify:
        raise click.UsageError(
            "--verify compares bytes, which --to changes; leave it out, and prove the copy by: hounsfield verify"
        )
    target = target_of(asked)
    # Named in a ledger only where it decides, so that runs of earlier versions go on.
    return (
        target if asked["ratio"] is None and asked["policy"] is None else replace(target, each=asked["each"])
    )


def _place(target: str, ledger: Path | None, content: bool) -> AbstractContextManager[Place | None]:
    """Return where the ledger is kept: beside what is copied, or where `--ledger` says; nowhere for a server without
    it.
    """
    from hounsfield.locations import is_path
    from hounsfield.runs.report import open_place

    if is_path(target):
        if Path(target).is_file():
            return nullcontext()  # the copy itself says what is wrong with it
        return open_place(target, ledger=ledger, content=content)
    if ledger is not None:
        return open_place(ledger.parent, ledger=ledger, content=content)
    if content:
        raise click.UsageError("--content is for a ledger; give --ledger a path")
    return nullcontext()


def _show(summary: Summary, pages: Path | None) -> None:
    counts = summary.counts
    parts = [f"{counts['moved']} moved ({bytes_text(summary.size)}"]
    parts[0] += (
        f", {bytes_text(summary.size / summary.seconds)}/s)" if summary.size and summary.seconds else ")"
    )
    parts += [f"{counts['present']} present", f"{counts['refused']} refused", f"{counts['failed']} failed"]
    echo(", ".join(parts))
    if summary.told:
        rows = [
            {"name": each.unit, "status": word_of("copy", each.status), "reason": each.reason}
            for each in summary.told[:_MOST_LINES]
        ]
        columns = [
            Column("status", "status"),
            Column("name", "instance"),
            Column("reason", "reason", folds=True),
        ]
        table(rows, columns)
        if len(summary.told) > _MOST_LINES:
            echo(say("… and {number} more; --json lists all", number=len(summary.told) - _MOST_LINES))
    if summary.skipped:
        first = summary.skipped[0]
        echo(
            say(
                "left out: {count}, the first: {name}: {reason}",
                count=len(summary.skipped),
                name=first.name,
                reason=first.reason,
            ),
            err=True,
        )
    if pages is not None and pages.is_file():
        echo(say("to look through: {pages}", pages=pages))


class _Bar(Protocol):
    def settled(self, result: Result) -> None: ...

    def expect(self, count: int) -> None: ...


class _NoBar:
    def settled(self, result: Result) -> None:
        return

    def expect(self, count: int) -> None:
        return


class _RichBar:
    """Instances done of those known, rate in bytes, time left; the total grows as series are found."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task = bars.add_task("Copying", total=None, rate="")
        self._expected = self._done = 0
        self._size = 0

    def settled(self, result: Result) -> None:
        self._done += 1
        self._size += result.bytes if result.status == Status.DONE else 0
        elapsed = self._bars.tasks[self._task].elapsed or 0
        rate = f"{bytes_text(self._size / elapsed)}/s" if elapsed > 0.5 else ""
        total = max(self._expected, self._done) or None
        self._bars.update(self._task, completed=self._done, total=total, rate=rate)

    def expect(self, count: int) -> None:
        self._expected += count


@contextmanager
def _bar() -> Iterator[_Bar]:
    screen = console(err=True)
    if not screen.is_terminal:
        yield _NoBar()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Copying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
    )
    with Progress(*columns, TimeRemainingColumn(), console=screen, transient=True) as bars:
        yield _RichBar(bars)
