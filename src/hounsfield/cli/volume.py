"""`hounsfield volume`: exact Hounsfield volumes in other programs' formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from hounsfield.cli.layouts import write_data_set
from hounsfield.cli.loading import loading as load_options
from hounsfield.cli.terminal import progress
from hounsfield.errors import UnsupportedError
from hounsfield.formats.table import format_by_keyword, format_of, volume_formats, volume_suffixes
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

    from hounsfield.ct.sampling import Interpolation
    from hounsfield.ct.series import LoadOptions, Series
    from hounsfield.verbs.convert import Sidecar
    from hounsfield.verbs.layouts.writing import Layout
    from hounsfield.verbs.load import Scan

_SUFFIXES = volume_suffixes()
_KEYWORDS = tuple(each.keyword for each in volume_formats())


class Format(click.ParamType[str]):
    """A format by its suffix or its keyword; the suffix."""

    name = "|".join(_SUFFIXES)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{self.name}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in _SUFFIXES:
            return str(value)
        try:
            return format_by_keyword(str(value)).suffixes[0]
        except UnsupportedError as error:
            self.fail(str(error), param, ctx)


@click.command(
    help=f"""Write the CT of LOCATION as Hounsfield volumes to OUT.

    OUT with a suffix ({" ".join(_SUFFIXES)}) is one volume; any other OUT is a folder that gets a
    volume for each CT series; .dicom is a folder of slices, .dcm one Enhanced CT. The ledger in it,
    hounsfield.jsonl, tells what was made and what was not, and why; hounsfield.csv and hounsfield.html show it.
    Run again: only what is missing, changed or failed is done.
    """,
    epilog=options.examples(
        "hounsfield volume scan/ head.nii.gz --series 202",
        "hounsfield volume scan.zip volumes/",
        "hounsfield volume study/ volumes/ --workers 8",
        "hounsfield volume study/ s3://bucket/volumes --format .zarr --ledger run/hounsfield.jsonl",
        "hounsfield volume scan/ head.nrrd --rectify --dtype float32",
        "hounsfield volume cardiac/ heart.nii.gz --4d",
        "hounsfield volume study/ out/ --name '{PatientID}/{SeriesNumber}_{SeriesDescription}' --sidecar",
        "hounsfield volume export/ Dataset007_Liver --layout nnunet --rectify",
        "hounsfield volume scan/ out/ --format dicom --voxel 1",
        "hounsfield volume denoised.nii.gz back.dicom --like scan/",
        "hounsfield volume study/ volumes/ --format .npy --mask study/",
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
@click.option(
    "--format",
    type=Format(),
    show_default=_SUFFIXES[0],
    help="Format of the files when OUT is a folder, also by name: " + ", ".join(_KEYWORDS) + ".",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="X",
    help="Segments as a label map beside each volume, NAME.labels…: SEG, RTSTRUCT, a label map. May be given again.",
)
@click.option(
    "--nearest", is_flag=True, help="Masks of another grid: take what they have at each voxel's centre."
)
@click.option(
    "--name",
    metavar="TEMPLATE",
    help="Names in the folder, such as '{PatientID}/{StudyDate}_{SeriesNumber}_{SeriesDescription}'.",
)
@click.option("--sidecar", is_flag=True, help="A JSON beside each volume, as BIDS has it; it names nobody.")
@click.option("--identity", is_flag=True, help="With --sidecar: who, when and where, too.")
@click.option(
    "--layout",
    type=click.Choice(["nnunet", "monai", "bids"]),
    help="OUT is a data set for these: labels of the --mask, or of what lies beside the CT, splits, a data card.",
)
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
    like: str | None,
    interpolation: Interpolation,
    join_phases: bool,
    masks: tuple[str, ...],
    nearest: bool,
    format: str | None,
    name: str | None,
    sidecar: bool,
    identity: bool,
    layout: Layout | None,
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

    if layout is not None:
        found = chosen(scanned(absolute(location), unit=loading.unit, split_by=split_by), series)
        loading, _ = _like(next(iter(found.series), None), like, interpolation, _SUFFIXES[0], loading)
        write_data_set(
            found, out, layout, masks, True if nearest else None, loading, force=force, as_json=as_json
        )
        return
    is_one = _is_one(out)
    suffix = _suffix_of(out, format, is_one=is_one)
    if join_phases:
        _refuse_joined(suffix, phase)
        if masks:
            raise click.UsageError("--4d writes phases into one file; --mask is for one volume a file")
    how: dict[str, Any] = {
        "masks": [absolute(place) for place in masks],
        "nearest": True if nearest else None,
        "sidecar": _sidecar(sidecar, identity, suffix),
    }
    _check_name(name, is_one=is_one)
    if is_one:
        found = scanned(location, unit=loading.unit, split_by=split_by)
        loading, headers = _like(found.choose(series), like, interpolation, suffix, loading)
        rows = [_write_one(found, out, series, phase, loading, force, join_phases, headers, **how)]
        show(rows, found, name="volumes", as_json=as_json)
        return
    _refuse_unknown(out)
    found = chosen(scanned(absolute(location), unit=loading.unit, split_by=split_by), series)
    loading, headers = _like(next(iter(found.series), None), like, interpolation, suffix, loading)
    engine = engine_for(workers, cluster, found, waits=is_remote(location))
    with open_place(out, ledger=ledger, force=force, content=content) as place:
        results = convert_all(
            found,
            place,
            suffix=suffix,
            options=loading,
            engine=engine,
            fail_fast=fail_fast,
            all_modalities=series is not None,
            join_phases=join_phases,
            like=headers,
            **how,
            name=name or "",
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


def _suffix_of(out: Path | str, asked: str | None, *, is_one: bool) -> str:
    """The suffix of what is written. An error for a --format that OUT contradicts."""
    if not is_one:
        return asked or _SUFFIXES[0]
    name = Path(out).name.lower()
    if asked is not None and not name.endswith(asked):
        raise click.UsageError(
            say(
                "--format {asked} is for a folder of volumes; OUT is one by its name, {name}",
                asked=asked,
                name=name,
            )
        )
    return asked or max((suffix for suffix in _SUFFIXES if name.endswith(suffix)), key=len)


def _sidecar(asked: bool, identity: bool, suffix: str) -> Sidecar:
    from hounsfield.verbs.convert import refuse_sidecar

    if identity and not asked:
        raise click.UsageError("--identity goes with --sidecar")
    if asked:
        refuse_sidecar(suffix)
    return ("identity" if identity else "plain") if asked else ""


def _check_name(name: str | None, *, is_one: bool) -> None:
    """An error for a --name that is none, before anything is read."""
    from hounsfield.runs.names import Template

    if name is not None and is_one:
        raise click.UsageError("--name is for a folder of volumes; OUT is the name of one")
    if name is not None:
        Template(name)


def _like(
    series: Series | None, like: str | None, interpolation: Interpolation, suffix: str, loading: LoadOptions
) -> tuple[LoadOptions, Sequence[Dataset] | None]:
    """The meaning of --like: a grid; or for a volume file that becomes DICOM whose patient and study it is of."""
    from hounsfield.cli.loading import grid_of
    from hounsfield.verbs.save import headers_of, is_volume_file, series_like

    found = format_of(f"volume{suffix}")
    if like is None:
        return replace(loading, interpolation=interpolation), None
    if found is not None and found.sourced and series is not None and is_volume_file(series):
        return replace(loading, interpolation=interpolation), headers_of(series_like(like))
    return replace(loading, like=grid_of(like), interpolation=interpolation), None


def _refuse_joined(suffix: str, phase: int | None) -> None:
    """Refuse what cannot be together with --4d, before anything is read."""
    if phase is not None:
        raise click.UsageError("--4d writes all phases; --phase is for one of them")
    found = format_of(f"volume{suffix}")
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
    like: Sequence[Dataset] | None,
    **how: Any,
) -> dict[str, Any]:
    from hounsfield.outputs import refuse_existing
    from hounsfield.verbs.convert import convert, convert_joined

    if isinstance(out, Path):
        refuse_existing(out, force=force)
    picked = found.choose(series)
    with progress("Converting", total=1) as done:
        if join_phases and len(picked.phases) > 1:
            made = convert_joined(picked, out, loading, force=force, sidecar=how["sidecar"])
        else:
            made = convert(picked, out, loading, phase=phase, force=force, like=like, **how)
        done()
    return row_of_one(picked, made, out, phase)
