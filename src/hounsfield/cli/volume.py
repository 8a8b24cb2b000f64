"""`hounsfield volume`: exact Hounsfield volumes in other programs' formats."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from hounsfield.cli import options
from hounsfield.cli.terminal import Column, echo, print_json, progress, table

if TYPE_CHECKING:
    from hounsfield.conversion import Converted
    from hounsfield.reading import Scan
    from hounsfield.series import LoadOptions

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TABLE = "volumes.csv"
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".npy", ".zarr")
_COLUMNS = (
    Column("series", "series", folds=True),
    Column("status", "status"),
    Column("shape", "slices×rows×columns"),
    Column("unit", "unit"),
    Column("output", "output", folds=True),
    Column("note", "what to know", folds=True),
)


class Spacing(click.ParamType[tuple[float, ...]]):
    """Three lengths in mm, as `2.5,0.7,0.7`: slice, row, column."""

    name = "SLICE,ROW,COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            parts = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            parts = ()
        if len(parts) != 3 or not all(0 < part < float("inf") for part in parts):
            self.fail(f"{value!r} is not three lengths in mm, such as 2.5,0.7,0.7", param, ctx)
        return parts


def _choice(name: str, *values: str, help: str) -> Callable[[_Function], _Function]:
    """An option of several words, the first of which is the default."""
    return click.option(name, type=click.Choice(values), default=values[0], show_default=True, help=help)


@click.command(
    epilog=options.examples(
        "hounsfield volume scan/ head.nii.gz --series 202",
        "hounsfield volume scan.zip volumes/",
        "hounsfield volume scan/ head.nrrd --rectify --dtype float32",
    )
)
@options.location
@options.out
@options.series
@click.option("--phase", type=int, help="Which of several volumes at the same positions, from 0.")
@_choice("--dtype", "int16", "float32", help="float32 keeps fractions.")
@click.option(
    "--clamp/--no-clamp", default=True, show_default=True, help="Raise what lies below −1024 HU to it."
)
@_choice("--gaps", "error", "fill", "interpolate", help="What to do about missing slices.")
@click.option(
    "--step", type=click.FloatRange(min=0, min_open=True), metavar="MM", help="Resample to this slice step."
)
@click.option("--rectify", is_flag=True, help="Make a tilted series upright.")
@_choice("--truncated", "error", "fill", help="What to do about files that end early.")
@click.option("--spacing", type=Spacing(), help="In mm, for frames that have no place in the patient.")
@_choice("--format", *_SUFFIXES, help="Format of the files when OUT is a folder.")
@options.force
@options.as_json
def volume(
    location: str,
    out: Path,
    series: str | None,
    phase: int | None,
    dtype: Literal["int16", "float32"],
    clamp: bool,
    gaps: Literal["error", "fill", "interpolate"],
    step: float | None,
    rectify: bool,
    truncated: Literal["error", "fill"],
    spacing: tuple[float, float, float] | None,
    format: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write the CT of LOCATION as Hounsfield volumes to OUT.

    OUT with a suffix (.nii .nii.gz .nrrd .mha .npy .zarr) is one volume; any other OUT is a folder that gets a
    volume for each CT series, and volumes.csv, which says what was made and what was not, and why.
    """
    from hounsfield.reading import scan
    from hounsfield.series import LoadOptions

    chosen = LoadOptions(dtype, clamp, gaps, step, rectify, truncated, spacing)
    found = scan(location)
    if _is_one(out):
        rows = [_write_one(found, out, series, phase, chosen, force)]
    else:
        rows = _write_all(found, out, series, format, chosen, force)
    if as_json:
        skipped = [{"name": item.name, "reason": item.reason} for item in found.skipped]
        print_json({"volumes": rows, "skipped": skipped})
    else:
        _show(rows, found)
    if any(row.status == "failed" for row in rows):
        raise click.exceptions.Exit(1)


def _is_one(out: Path) -> bool:
    name = out.name.lower()
    return name.endswith(_SUFFIXES) and not (out.is_dir() and not name.endswith(".zarr"))


def _write_one(
    found: Scan, out: Path, series: str | None, phase: int | None, chosen: LoadOptions, force: bool
) -> Converted:
    from hounsfield.conversion import made
    from hounsfield.export import write_volume
    from hounsfield.outputs import refuse_existing

    refuse_existing(out, force=force)
    picked = found.choose(series)
    with progress("Converting", total=1) as done:
        loaded = picked.load(chosen, phase=phase)
        write_volume(loaded, out, force=force)
        done()
    return made(picked, loaded, out)


def _write_all(
    found: Scan, out: Path, series: str | None, suffix: str, chosen: LoadOptions, force: bool
) -> list[Converted]:
    from hounsfield.conversion import convert_all
    from hounsfield.outputs import refuse_existing
    from hounsfield.reading import Scan

    refuse_existing(out / _TABLE, force=force)
    if series is not None:
        found = Scan(found.location, (found.choose(series),), found.skipped)
    with progress("Converting", total=len(found.series)) as done:
        rows = list(convert_all(found, out, suffix=suffix, options=chosen, force=force, done=done))
    if rows:
        _write_table(rows, out / _TABLE)
    return rows


def _write_table(rows: list[Converted], path: Path) -> None:
    from hounsfield.outputs import whole_file

    with (
        whole_file(path, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, fieldnames=list(rows[0].to_json()))
        writer.writeheader()
        for row in rows:
            flat = {
                key: "; ".join(map(str, value)) if isinstance(value, list) else value
                for key, value in row.to_json().items()
            }
            writer.writerow({**flat, "shape": "×".join(map(str, row.shape))})


def _show(rows: list[Converted], found: Scan) -> None:
    from hounsfield.cli.info import show_skipped

    shown = [
        {
            "series": row.series,
            "status": row.status,
            "shape": "×".join(map(str, row.shape)),
            "unit": row.unit,
            "output": row.output,
            "note": row.reason or "; ".join(row.warnings),
        }
        for row in rows
    ]
    if shown:
        table(shown, _COLUMNS)
    else:
        echo(f"No series with images in {found.location}.")
    if found.skipped:
        echo()
        show_skipped(found.skipped)
