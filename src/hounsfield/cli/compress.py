"""`hounsfield compress`: another transfer syntax for a file or a tree of them, verified; or what each would cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.errors import HounsfieldError, LocationError

if TYPE_CHECKING:
    from hounsfield.batch import Engine
    from hounsfield.compression import Job, Outcome
    from hounsfield.instance import Skipped, Source
    from hounsfield.locations import Location
    from hounsfield.transcode import Target


def _auto_table(_: click.Context, __: click.Parameter, entries: tuple[str, ...]) -> dict[str, str] | None:
    """`--auto CT=htj2k`, given any number of times, over the built-in table."""
    if not entries:
        return None
    from hounsfield.syntaxes import transfer_syntax
    from hounsfield.transcode import AUTO

    table = dict(AUTO)
    for entry in entries:
        modality, equals, keyword = entry.partition("=")
        if not equals:
            raise click.BadParameter(f"{entry!r} is not MODALITY=SYNTAX")
        try:
            table[modality.strip().upper().replace("*", "")] = transfer_syntax(keyword).keyword
        except HounsfieldError as error:
            raise click.BadParameter(str(error)) from error
    return table


@click.command(
    epilog=options.examples(
        "hounsfield compress scan/ small/ --to jpeg-ls",
        "hounsfield compress scan/ small/ --to auto",
        "hounsfield compress scan/ tiny/ --to jpeg-ls-near --max-error 2",
        "hounsfield compress scan/ tiny/ --to htj2k-lossy --ratio 10",
        "hounsfield compress scan/ --estimate --plot costs.svg",
    )
)
@options.location
@click.argument("out", metavar="[OUT]", required=False)
@click.option("--to", metavar="SYNTAX", help="jpeg-ls, htj2k, jpeg-xl, rle, explicit … , a UID, or auto.")
@click.option("--ratio", type=float, metavar="N", help="Lossy: native to compressed size, met within 10 %.")
@click.option("--max-error", type=float, metavar="HU", help="Lossy: the largest error, never exceeded.")
@click.option("--quality", type=float, metavar="Q", help="Lossy: the coder's own quality, 100 the finest.")
@click.option("--effort", type=click.IntRange(1, 9), default=1, show_default=True, help="Of JPEG XL.")
@click.option(
    "--auto",
    "table",
    multiple=True,
    metavar="MODALITY=SYNTAX",
    callback=_auto_table,
    help="Change what auto chooses; *=SYNTAX for the rest.",
)
@click.option("--extended-offsets", is_flag=True, help="Write Extended Offset Tables.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Files at once [default: one a core].",
)
@click.option("--cluster", metavar="tcp://HOST:8786", help="Work on the Dask cluster of this scheduler.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing more after the first failure.")
@click.option(
    "--estimate", "estimating", is_flag=True, help="Write nothing; say what each syntax would cost."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --estimate: size against error, .svg or .png.",
)
@options.force
@options.as_json
def compress(location: str, out: str | None, as_json: bool, force: bool, **asked: Any) -> None:
    """Rewrite LOCATION in another transfer syntax, to OUT.

    A file becomes a file, anything else a folder of the same shape. Lossless results are decoded and compared
    before they are kept; lossy ones say what was done to them. Run again, it goes on where it stopped.
    """
    from hounsfield.cli.batches import absolute
    from hounsfield.locations import open_location

    place = open_location(absolute(location) if asked["cluster"] else location)
    if asked["estimating"]:
        _estimate(place, asked["plot"], force=force, as_json=as_json)
        return
    if out is None:
        raise click.UsageError("Missing argument 'OUT'.")
    if asked["plot"] is not None:
        raise click.UsageError("--plot goes with --estimate.")
    if asked["to"] is None:
        raise click.UsageError("Missing option '--to'.")
    output = _output(place, out)
    if asked["cluster"]:  # its workers are in other folders
        output = output.absolute()
    engine = _engine(asked["workers"], asked["cluster"])
    _compress(
        place,
        output,
        _target(asked),
        engine,
        force=force,
        as_json=as_json,
        fail_fast=asked["fail_fast"],
    )


def _output(place: Location, out: str) -> Path:
    """`out` as a path; the file in it where a file is to go into a folder, which is there or ends with a slash."""
    from hounsfield.locations import FileLocation

    path = Path(out)
    goes_into = path.is_dir() or out.endswith(("/", os.sep))
    return path / place.path.name if goes_into and isinstance(place, FileLocation) else path


def _target(asked: dict[str, Any]) -> Target:
    from hounsfield.transcode import target

    return target(
        asked["to"],
        ratio=asked["ratio"],
        max_error=asked["max_error"],
        quality=asked["quality"],
        effort=asked["effort"],
        extended_offsets=True if asked["extended_offsets"] else None,
        auto=asked["table"],
    )


def _compress(
    place: Location,
    out: Path,
    target: Target,
    engine: Engine | None,
    *,
    force: bool,
    as_json: bool,
    fail_fast: bool,
) -> None:
    from hounsfield.cli.terminal import progress
    from hounsfield.compression import transcode_files
    from hounsfield.outputs import writing_below

    skipped: list[Skipped] = []
    outcomes = []
    with progress("Compressing") as done:
        jobs = list(_jobs(place, out, skipped))
        done.expect(len(jobs))
        root = out.absolute().parent if [job.out for job in jobs] == [out] else out
        with writing_below(root, (job.out.absolute() for job in jobs)):
            for outcome in transcode_files(jobs, target, force=force, engine=engine, fail_fast=fail_fast):
                outcomes.append(outcome)
                done()
    outcomes.sort(key=lambda outcome: outcome.name)
    _report(outcomes, skipped, as_json=as_json)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise LocationError(
            f"{len(failed)} of {len(outcomes)} files were not compressed, the first: "
            f"{failed[0].name}: {failed[0].reason}",
            where=place.name,
        )
    if not any(outcome.status != "skipped" for outcome in outcomes):
        raise LocationError("no DICOM file in it", where=place.name, remedy="check the location")


def _engine(workers: int | None, cluster: str | None) -> Engine | None:
    """What the options ask for; None for what is best on this machine."""
    from hounsfield import batch
    from hounsfield.cli.batches import engine_of_cluster

    if cluster is not None:
        return engine_of_cluster(cluster, workers)
    return None if workers is None else batch.threads(workers)


def _jobs(place: Location, out: Path, skipped: list[Skipped]) -> Iterator[Job]:
    """Each source and where it goes: a file to a file, the rest below `out` under the names they have."""
    from hounsfield.compression import Job
    from hounsfield.instance import FileSource, Skipped
    from hounsfield.locations import FileLocation

    if isinstance(place, FileLocation):
        yield Job(FileSource(place.path), out)
        return
    _refuse_within(place, out)
    taken: set[Path] = set()
    for source in place.sources():
        if isinstance(source, Skipped):
            skipped.append(source)
        else:
            yield Job(source, _free(out / _relative(source, place), taken))


def _free(path: Path, taken: set[Path]) -> Path:
    """`path`, numbered where another source has it: `a/../b` and `b` of one zip."""
    free, number = path, 1
    while free in taken:
        number += 1
        free = path.with_name(f"{path.name} ({number})")
    taken.add(free)
    return free


def _refuse_within(place: Location, out: Path) -> None:
    root = Path(place.name).absolute()
    if root.is_dir() and out.absolute().is_relative_to(root):
        raise LocationError("lies within what is to be compressed", where=str(out), remedy="write beside it")


def _relative(source: Source, place: Location) -> Path:
    """The source's name without the location's: `folder/archive.zip!/a/b` keeps `archive.zip/a/b`."""
    from hounsfield.instance import FileSource

    root = Path(place.name)
    if isinstance(source, FileSource) and not root.is_dir():
        root = root.parent  # a DICOMDIR names files beside it
    name = source.name.removeprefix(str(root) if isinstance(source, FileSource) else place.name)
    name = name.replace("!/", "/")
    parts = [part for part in Path(name.lstrip("/!\\")).parts if part not in ("..", ".", "/")]
    return Path(*parts) if parts else Path(Path(place.name).name)


def _report(outcomes: list[Outcome], skipped: list[Skipped], *, as_json: bool) -> None:
    from hounsfield.cli.terminal import Column, echo, print_json, table

    if as_json:
        print_json(
            {
                "files": [
                    {"name": o.name, "status": o.status, "out": str(o.out), "reason": o.reason or None}
                    | ({} if o.facts is None else {k: v for k, v in o.facts.items() if k != "name"})
                    for o in outcomes
                ],
                "skipped": [{"name": item.name, "reason": item.reason} for item in skipped],
            }
        )
        return
    rows = _summary(outcomes)
    if rows:
        table(rows, [
            Column("way", "Syntax"), Column("files", "Files", "right"), Column("mb", "MB", "right"),
            Column("ratio", "Ratio", "right"), Column("max_error", "Largest error, HU", "right"),
            Column("psnr", "PSNR, dB", "right"),
        ])  # fmt: skip
    for outcome in outcomes:
        if outcome.status in ("failed", "skipped"):
            echo(f"{outcome.status}: {outcome.name}: {outcome.reason}", err=True)
    counts: Counter[str] = Counter(outcome.status for outcome in outcomes)
    counts["left out"] = len(skipped)
    echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))


def _summary(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """One row for each way that images went, worst errors told."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        if outcome.facts is not None and outcome.status == "written":
            way = f"{outcome.facts['before']} → {outcome.facts['after']}"
            groups.setdefault(way, []).append(outcome.facts)
    rows = []
    for way, facts in groups.items():
        stored = sum(fact["stored_bytes"] for fact in facts)
        native = sum(fact["native_bytes"] for fact in facts)
        noises = [fact["psnr"] for fact in facts if fact["psnr"] is not None]
        rows.append(
            {
                "way": way,
                "files": len(facts),
                "mb": f"{native / 1e6:.1f} → {stored / 1e6:.1f}",
                "ratio": f"{native / max(1, stored):.2f}",
                "max_error": f"{max(fact['max_error'] for fact in facts):g}",
                "psnr": f"{min(noises):.1f}" if noises else "lossless",
            }
        )
    return rows


def _estimate(place: Location, plot: Path | None, *, force: bool, as_json: bool) -> None:
    from hounsfield.cli.terminal import Column, echo, print_json, progress, table
    from hounsfield.instance import Skipped
    from hounsfield.transcode import estimate, write_plot
    from hounsfield.transcode.estimating import steps

    if plot is not None:
        from hounsfield.outputs import refuse_existing

        refuse_existing(plot, force=force)
    with progress("Measuring", total=steps()) as done:
        sources = [source for source in place.sources() if not isinstance(source, Skipped)]
        measured = estimate(sources, on_step=done)
    if plot is not None:
        write_plot(measured, plot, force=force)
    rows = [cost.to_json() | {"mb": f"{cost.stored_bytes / 1e6:.1f}"} for cost in measured.costs]
    if as_json:
        print_json(
            {
                "images": measured.images,
                "native_bytes": measured.native_bytes,
                "stored_bytes": measured.stored_bytes,
                "sampled": measured.sampled,
                "costs": [cost.to_json() for cost in measured.costs],
                "impossible": measured.impossible,
            }
        )
        return
    echo(
        f"{measured.images} image{'s' * (measured.images != 1)}: {measured.native_bytes / 1e6:.1f} MB of pixels, "
        f"{measured.stored_bytes / 1e6:.1f} MB now; measured on {measured.sampled} of them, on one core"
    )
    table(rows, [
        Column("syntax", "Syntax"), Column("setting", "Setting"), Column("mb", "MB", "right"),
        Column("ratio", "Ratio", "right"), Column("encode_mb_s", "Encode MB/s", "right"),
        Column("decode_mb_s", "Decode MB/s", "right"), Column("max_error", "Largest error, HU", "right"),
    ])  # fmt: skip
    for keyword, reason in measured.impossible.items():
        echo(f"not {keyword}: {reason}")
