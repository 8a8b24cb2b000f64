"""Masks of one kind written as another, on the slices of the CT that they were made on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, SelectionError, UnsupportedError
from hounsfield.language import say
from hounsfield.outputs import refuse_existing, whole_file
from hounsfield.segmentation import Masks, Segment, to_rtstruct, to_seg
from hounsfield.verbs.masks import all_headers, masks, write_labels

if TYPE_CHECKING:
    from pydicom import Dataset

Kind = Literal["seg", "labelmap", "rtstruct", "nifti", "nrrd"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SUFFIXES = {"nifti": (".nii", ".nii.gz"), "nrrd": (".nrrd",)}


def threshold(volume: Volume, low: float, high: float = float("inf")) -> Masks:
    """The voxels from `low` to `high` HU, both included, as one segment; padding is none of them."""
    inside = (volume.array >= low) & (volume.array <= high)
    if volume.report.padded or volume.report.clamped:
        inside &= volume.array != volume.padding_value
    name = f"{low:g} … {high:g} {volume.unit}" if np.isfinite(high) else f"from {low:g} {volume.unit}"
    segment = Segment(1, name, algorithm="AUTOMATIC", algorithm_name="threshold")
    return Masks((inside.astype(np.uint8),), (segment,), volume.affine, "threshold")


def rewrite_masks(
    source: str | Path | Masks,
    out: Path,
    series: Series,
    kind: Kind,
    *,
    nearest: bool | None = None,
    force: bool = False,
) -> Masks:
    """Write the masks of `source` on the slices of `series` to `out`; what was written.

    `source`: a location, or masks of any grid of that series, which are taken back onto its slices. `kind`: "seg"
    (BINARY), "labelmap", "rtstruct", "nifti" or "nrrd". The file appears whole or not at all. Raises what reading and
    writing raise, `OutputExistsError` without `force`, `UnsupportedError` for a suffix that is another format's.
    """
    refuse_existing(out, force=force)
    if kind in _SUFFIXES and not out.name.lower().endswith(_SUFFIXES[kind]):
        raise UnsupportedError(
            say("{name} is no name for {kind}", name=out.name, kind=kind),
            expected=" or ".join(_SUFFIXES[kind]),
            where=str(out),
        )
    volume = series.load(LoadOptions(gaps="fill"))
    found = source if isinstance(source, Masks) else masks(source, volume, nearest=nearest)
    if not found.segments:
        raise SelectionError("no segment in it", expected="something to write", where=found.source)
    if kind in _SUFFIXES:
        _write_labels(found, volume, out, force)
        return found
    headers = all_headers(series)
    made = _object(found, volume, headers, kind)
    with whole_file(out, force=force) as temporary:
        made.save_as(temporary, enforce_file_format=True)
    return found


def _object(found: Masks, volume: Volume, headers: list[Dataset], kind: Kind) -> Dataset:
    description = Path(found.source).name or "Segmentation"
    if kind == "rtstruct":
        return to_rtstruct(found, volume, headers, description=description)
    return to_seg(
        found,
        volume,
        headers,
        kind="LABELMAP" if kind == "labelmap" else "BINARY",
        description=description,
    )


def _write_labels(found: Masks, volume: Volume, out: Path, force: bool) -> None:
    """One label map."""
    if len(found.layers) > 1:
        raise GeometryError(
            say("segments that overlap, in {count} layers", count=len(found.layers)),
            expected="one label a voxel",
            where=found.source,
            remedy="write --to seg or rtstruct",
        )
    write_labels(found, volume, out, force=force)
