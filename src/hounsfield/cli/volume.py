"""`hounsfield volume`: exact Hounsfield volumes in other programs' formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import (
    absolute,
    at_once,
    chosen,
    engine_for,
    recorded,
    row_of_one,
    rows_of,
    show,
)
from hounsfield.cli.loading import loading as load_options
from hounsfield.cli.loading import one_of
from hounsfield.cli.terminal import progress
from hounsfield.formats.table import format_of, volume_formats, volume_suffixes
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.series import LoadOptions
    from hounsfield.verbs.load import Scan

_SUFFIXES = volume_suffixes()


@click.command(
    help=f"""Write the CT of LOCATION as Hounsfield volumes to OUT.

    OUT with a suffix ({" ".join(_SUFFIXES)}) is one volume; any other OUT is a folder that gets a
    volume for each CT series. The ledger in it, hounsfield.jsonl, tells what was made and what was not, and why;
    hounsfield.csv and hounsfield.html show it. Run again: only what is missing, changed or failed is done.
    """,
    epilog=options.examples(
        "hounsfield volume scan/ head.nii.gz --series 202",
        "hounsfield volume scan.zip volumes/",
        "hounsfield volume study/ volumes/ --workers 8",
        "hounsfield volume study/ s3://bucket/volumes --format .zarr --ledger run/hounsfield.jsonl",
        "hounsfield volume scan/ head.nrrd --rectify --dtype float32",
        "hounsfield volume cardiac/ heart.nii.gz --4d",
    ),
)
@options.location
@options.out_or_address
@options.series
@load_options(values=True)
@click.option(
    "--4d",
    "join_phases",
    is_flag=True,
    help="All phases of a series in one NIfTI, with times where files have them.",
)
@one_of("--format", *_SUFFIXES, help="Format of the files when OUT is a folder.")
@options.isolate
@at_once
@recorded
@options.force
@options.as_json
def volume(
    location: str,
    out: Path | str,
    series: str | None,
    phase: int | None,
    split_by: str | None,
    loading: LoadOptions,
    join_phases: bool,
    format: str,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    ledger: Path | None,
    content: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write one volume, or a folder of them."""
    from hounsfield.cli.loading import scanned
    from hounsfield.runs.report import open_place
    from hounsfield.verbs.convert import convert_all
    from hounsfield.verbs.load import is_remote

    if join_phases:
        _refuse_joined(out, format, phase)
    if _is_one(out):
        found = scanned(location, unit=loading.unit, split_by=split_by)
        rows = [_write_one(found, out, series, phase, loading, force, join_phases)]
        show(rows, found, name="volumes", as_json=as_json)
        return
    _refuse_unknown(out)
    found = chosen(scanned(absolute(location), unit=loading.unit, split_by=split_by), series)
    engine = engine_for(workers, cluster, found, waits=is_remote(location))
    with open_place(out, ledger=ledger, force=force, content=content) as place:
        results = convert_all(
            found,
            place,
            suffix=format,
            options=loading,
            engine=engine,
            fail_fast=fail_fast,
            all_modalities=series is not None,
            join_phases=join_phases,
        )
        rows = rows_of(results, found, "Converting", out)
    show(rows, found, name="volumes", as_json=as_json, pages=place.pages)


def _is_one(out: Path | str) -> bool:
    found = format_of(Path(out).name)
    return found is not None and not (isinstance(out, Path) and out.is_dir() and not found.folder)


def _refuse_unknown(out: Path | str) -> None:
    """An error for a suffix that is no format, before anything is read; a folder has none."""
    from hounsfield.formats import volume_format

    if isinstance(out, Path) and out.suffix and not out.is_dir():
        volume_format(out)


def _refuse_joined(out: Path | str, format: str, phase: int | None) -> None:
    """Refuse what cannot be together with --4d, before anything is read."""
    if phase is not None:
        raise click.UsageError("--4d writes all phases; --phase is for one of them")
    found = format_of(Path(out).name if _is_one(out) else format)
    if found is None or not found.joiner:
        joining = [each for each in volume_formats() if each.joiner]
        names, suffixes = (
            " or ".join(each.name for each in joining),
            " or ".join(suffix for each in joining for suffix in each.suffixes),
        )
        raise click.UsageError(
            say(
                "--4d writes {names}: name OUT {suffixes}, or choose such a --format",
                names=names,
                suffixes=suffixes,
            )
        )


def _write_one(
    found: Scan,
    out: Path | str,
    series: str | None,
    phase: int | None,
    loading: LoadOptions,
    force: bool,
    join_phases: bool,
) -> dict[str, Any]:
    from hounsfield.outputs import refuse_existing
    from hounsfield.verbs.convert import convert, convert_joined

    if isinstance(out, Path):
        refuse_existing(out, force=force)
    picked = found.choose(series)
    with progress("Converting", total=1) as done:
        if join_phases and len(picked.phases) > 1:
            made = convert_joined(picked, out, loading, force=force)
        else:
            made = convert(picked, out, loading, phase=phase, force=force)
        done()
    return row_of_one(picked, made, out, phase)
