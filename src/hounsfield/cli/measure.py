"""`hounsfield measure`: the HU inside segments and structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, at_once, chosen, engine_for, recorded, rows_of, show
from hounsfield.cli.loading import loading as load_options
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.language import say, translated

if TYPE_CHECKING:
    from hounsfield.ct.series import LoadOptions

_COLUMNS = (
    Column("label", "segment", folds=True),
    Column("voxels", "voxels", "right"),
    Column("ml", "ml", "right"),
    *(Column(key, key, "right") for key in ("mean", "sd", "minimum", "median", "maximum")),
    Column("figures", "recipes", folds=True),
)


@click.command(
    epilog=options.examples(
        "hounsfield measure scan/ --mask liver.dcm",
        "hounsfield measure scan/ --mask rtstruct.dcm --mask organs.nii.gz --csv",
        "hounsfield measure scan/ --mask lungs.nii.gz --recipe laa --recipe perc15 --json",
        "hounsfield measure scan/ --mask liver.dcm --sr report.dcm",
        "hounsfield measure study/ --mask study/ --report measured/ --workers 8",
    )
)
@options.location
@options.series
@load_options(values=False)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="X",
    help="Where segments are: SEG, RTSTRUCT, a label map, regions of the viewer. May be given again.",
)
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="R",
    help="Figures of the literature: laa, perc15, calcium, muscle, fat, bone. May be given again.",
)
@click.option(
    "--nearest", is_flag=True, help="Masks of another grid: take what they have at each voxel's centre."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each segment.")
@click.option(
    "--sr",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Also as a DICOM Structured Report (TID 1500), OUT; masks that are no SEG become one beside it.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Every series of LOCATION: results, ledger and pages go here.",
)
@options.isolate
@at_once
@recorded
@options.force
@options.as_json
def measure(
    location: str,
    series: str | None,
    phase: int | None,
    split_by: str | None,
    loading: LoadOptions,
    masks: tuple[str, ...],
    recipes: tuple[str, ...],
    nearest: bool,
    as_csv: bool,
    sr: Path | None,
    report: Path | None,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    ledger: Path | None,
    content: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Measure the HU of LOCATION inside segments.

    Statistics are those of the IBSI reference manual; padding and clamped voxels are counted apart. Without --mask:
    body, lungs, other air and bone, by HU and connectivity alone.
    """
    from hounsfield.cli.loading import scanned
    from hounsfield.verbs import measure as verb

    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two ways to print: choose one")
    places = [absolute(place) for place in masks]
    by_centres = True if nearest else None
    if report is None:
        if ledger is not None:
            raise click.UsageError("--ledger needs --report")
        found = scanned(location, unit=loading.unit, split_by=split_by).choose(series)
        with progress("Measuring"):
            made = verb.measure(
                found, places, recipes=recipes, options=loading, phase=phase, nearest=by_centres
            )
        paths = () if sr is None else verb.write_report(made, sr, force=force)
        _print(made, as_csv=as_csv, as_json=as_json)
        if not as_json and not as_csv:
            for path in paths:
                echo(say("written: {path}", path=path))
        return
    if phase is not None or as_csv or sr is not None:
        raise click.UsageError("--phase, --csv and --sr are for one series, without --report")
    from hounsfield.runs.report import open_place

    scan = chosen(scanned(absolute(location), unit=loading.unit, split_by=split_by), series)
    engine = engine_for(workers, cluster, scan)
    with open_place(report, ledger=ledger, force=force, content=content) as place:
        results = verb.measure_recorded(
            scan.series,
            places,
            place,
            engine,
            recipes=recipes,
            options=loading,
            nearest=by_centres,
            fail_fast=fail_fast,
        )
        rows = rows_of(results, scan, "Measuring", report)
    show(rows, scan, name="series", as_json=as_json, pages=place.pages)


def _print(made: Any, *, as_csv: bool, as_json: bool) -> None:
    from hounsfield.verbs.measure import write_csv

    if as_json:
        print_json(made.to_json())
        return
    if as_csv:
        click.echo(write_csv(made.rows(histogram=False)), nl=False)
        return
    echo(f"{made.series.name} · {'×'.join(map(str, made.volume.shape))} · {made.volume.unit}")
    table([_row(row) for row in made.rows(histogram=False)], _COLUMNS)
    for text in made.warnings:
        echo(f"  {translated(text)}", err=True)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    numbers = ("ml", "mean", "sd", "minimum", "median", "maximum")
    figures = [
        f"{name.removesuffix('_percent')} {value:.4g}{' %' if name.endswith('_percent') else ''}"
        for known in row.get("recipes", {}).values()
        for name, value in known.items()
    ]
    shown = {
        name: f"{row[name]:.4g}" if name == "ml" else f"{row[name]:.1f}" for name in numbers if name in row
    }
    return {"label": row["label"], "voxels": row["voxels"], **shown, "figures": ", ".join(figures)}
