"""`hounsfield masks`: segmentations and structures of one kind as another, on the CT they were made on."""

from __future__ import annotations

from pathlib import Path

import click

from hounsfield.cli import options
from hounsfield.cli.loading import one_of
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.language import say, translated

_COLUMNS = (
    Column("number", "label", "right"),
    Column("label", "segment", folds=True),
    Column("voxels", "voxels", "right"),
    Column("algorithm", "algorithm"),
)


@click.command(
    epilog=options.examples(
        "hounsfield masks organs.nii.gz organs.dcm --on scan/ --to seg",
        "hounsfield masks seg.dcm structures.dcm --on scan/ --to rtstruct",
        "hounsfield masks rtstruct.dcm structures.nrrd --on scan/ --to nrrd",
        "hounsfield masks measurements.json drawn.dcm --on scan/ --to seg",
        "hounsfield masks threshold:300 bone.dcm --on scan/ --to labelmap",
    )
)
@click.argument("source", metavar="X")
@options.out
@click.option("--on", "scan", metavar="SCAN", required=True, help="Location of the CT they were made on.")
@one_of("--to", "seg", "labelmap", "rtstruct", "nifti", "nrrd", help="What OUT is to be.")
@options.series
@click.option(
    "--nearest", is_flag=True, help="Masks of another grid: take what they have at each voxel's centre."
)
@options.force
@options.as_json
def masks(
    source: str, out: Path, scan: str, to: str, series: str | None, nearest: bool, force: bool, as_json: bool
) -> None:
    """Write the segments of X on the slices of a CT to OUT.

    X is a DICOM SEG or RT Structure Set, a label map (.nii.gz .nrrd .mha), the JSON of regions that the viewer exports,
    or threshold:LOW[:HIGH] in HU. A SEG names the slices of the series one by one; contours of an RT Structure Set fill
    to the same voxels.
    """
    from hounsfield.cli.loading import scanned
    from hounsfield.ct.series import LoadOptions
    from hounsfield.verbs import masks_writing as verb

    limits = _limits(source)
    chosen = scanned(scan).choose(series)
    with progress("Writing"):
        what = source if limits is None else verb.threshold(chosen.load(LoadOptions(gaps="fill")), *limits)
        written = verb.rewrite_masks(what, out, chosen, to, nearest=True if nearest else None, force=force)  # type: ignore[arg-type]
    counts = written.counts()
    rows = [{**segment.to_json(), "voxels": counts[segment.number]} for segment in written.segments]
    if as_json:
        print_json({"output": str(out), "segments": rows, "warnings": list(written.warnings)})
        return
    table(rows, _COLUMNS)
    for text in written.warnings:
        echo(f"  {translated(text)}", err=True)


def _limits(source: str) -> tuple[float, ...] | None:
    """LOW and HIGH of `threshold:LOW[:HIGH]`, None for anything else."""
    word, _, rest = source.partition(":")
    if word != "threshold" or not rest:
        return None
    try:
        limits = tuple(float(part) for part in rest.split(":"))
    except ValueError:
        limits = ()
    if len(limits) not in (1, 2):
        raise click.UsageError(
            say("{source} is not threshold:LOW or threshold:LOW:HIGH, in HU", source=repr(source))
        )
    return limits
