"""Segmentations of a location, on the grid of a volume: `masks`, and which there are: `find_masks`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.ct.instance import BytesSource, Instance, has_metadata, read_instance
from hounsfield.ct.roi import read_rois
from hounsfield.ct.series import Series
from hounsfield.ct.volume import Volume
from hounsfield.errors import LocationError, MalformedError, SelectionError
from hounsfield.language import say
from hounsfield.locations import Location
from hounsfield.locations.volume_files import is_volume, open_volume
from hounsfield.segmentation import Masks, read_drawn, read_labels, read_rtstruct, read_seg
from hounsfield.segmentation.found import FoundMasks, found_masks
from hounsfield.verbs.load import instances

if TYPE_CHECKING:
    from pydicom import Dataset

    from hounsfield.pictures import Overlay

_LONGEST_DRAWING = 64 << 20
"""Bytes of a file of regions drawn in the viewer."""


def find_masks(read: Iterable[Instance]) -> list[FoundMasks]:
    """The segmentations and structure sets among instances, in their order."""
    return [found for instance in read if (found := found_masks(instance)) is not None]


def masks(
    location: str | PathLike[str] | Location,
    volume: Volume,
    *,
    which: str | None = None,
    nearest: bool | None = None,
) -> Masks:
    """The segments that a location holds, on the grid of `volume`: label arrays (slices, rows, columns).

    - `location`: DICOM SEG or RT Structure Set, alone or among other files, in any location; a label map
      (.nii.gz, .nrrd, .mha, .npy, .zarr); the JSON of regions that the viewer exports
    - `which`: SOP or Series Instance UID (or its beginning), or description, where a location holds several
    - `nearest`: True takes for each voxel what the mask has at its centre, for masks of another grid; None does so
      only where the volume was itself resampled (`rectify`, `step`), False never

    Raises `GeometryError` with the mm of what does not fit, `SelectionError` listing what there is, `MalformedError`
    and `UnsupportedError`. PS3.3 C.8.20.2, C.8.8.6.
    """
    path = None if isinstance(location, Location) else Path(location)
    if path is not None and path.suffix.lower() == ".json" and path.is_file():
        return read_drawn(read_rois(_text(path)), volume, name=str(path))
    if path is not None and path.exists() and is_volume(path, _head(path)):
        return _labels(path, volume, nearest)
    found = _chosen(find_masks(instances(location)), which, location)
    return read_found(found, volume, nearest)


def masks_of_series(
    location: str | PathLike[str], series: Series, volume: Volume, *, nearest: bool | None = None
) -> list[Masks]:
    """Every segmentation of a location that refers to `series`; where it holds one alone, that, whatever it refers to.

    Raises what `masks` raises; `SelectionError` where several are there and none is of this series.
    """
    path = Path(location)
    if (path.is_file() and path.suffix.lower() == ".json") or (
        path.exists() and is_volume(path, _head(path))
    ):
        return [masks(location, volume, nearest=nearest)]
    found = find_masks(instances(location))
    own = [each for each in found if each.referenced_series() == series.uid]
    if not own:
        own = [_chosen(found, None, location)]
    return [read_found(each, volume, nearest) for each in own]


def read_found(found: FoundMasks, volume: Volume, nearest: bool | None) -> Masks:
    """The masks of one object; of one that a server holds all bytes are fetched first, once."""
    instance = found.instance
    if has_metadata(instance.source):
        with instance.source.open() as stream:
            instance = read_instance(BytesSource(instance.name, stream.read()))
    if found.kind == "RTSTRUCT":
        return read_rtstruct(instance, volume)
    return read_seg(instance, volume, nearest=nearest)


def all_headers(series: Series) -> list[Dataset]:
    """The header of each instance of a series, once, as objects that refer to its slices need them."""
    instances = {id(each.instance): each.instance for each in series.slices}
    return [instance.dataset() for instance in instances.values()]


def write_labels(found: Masks, volume: Volume, out: str | Path, *, force: bool = False) -> tuple[str, ...]:
    """Write the label arrays of `found` in the format that the suffix of `out` names; the names of what was written.

    A file for each layer, `NAME-2.SUFFIX` and so on for those behind the first. What labels mean stands in the header
    as 3D Slicer has it, where the format (NRRD, MHA) has a place for it. Raises what `write_volume` raises.
    """
    from hounsfield.formats import volume_format, write_volume

    suffix = next(end for end in volume_format(out).suffixes if str(out).lower().endswith(end))
    stem = str(out)[: -len(suffix)]
    written = []
    for place, layer in enumerate(found.layers):
        header = dict(volume.header)
        here = [segment for segment in found.segments if segment.layer == place]
        for number, segment in enumerate(here):
            header |= {
                f"Segment{number}_LabelValue": str(segment.number),
                f"Segment{number}_Name": segment.name,
            }
            if segment.colour is not None:
                header[f"Segment{number}_Color"] = " ".join(f"{part / 255:.4f}" for part in segment.colour)
        target = f"{stem}-{place + 1}{suffix}" if place else f"{stem}{suffix}"
        labels = replace(volume, array=layer, unit="unspecified", header=header)
        write_volume(labels, target, force=force)
        written.append(target.rsplit("/", 1)[-1])
    return tuple(written)


def overlays(
    found: Iterable[Masks], *, opacity: float | None = None, outlined: bool = True
) -> tuple[Overlay, ...]:
    """Masks as pictures take them (`Look.overlays`): every label array an overlay, in the colours of its segments.

    `opacity` 0 … 1 of the fills, by default `hounsfield.pictures.OPACITY`.
    """
    from hounsfield.pictures import OPACITY, Overlay

    made = []
    for masks in found:
        colours = masks.colours
        for place, layer in enumerate(masks.layers):
            here = [segment for segment in masks.segments if segment.layer == place]
            made.append(
                Overlay(
                    layer,
                    masks.affine,
                    {segment.number: colours[segment.number] for segment in here},
                    {segment.number: segment.name for segment in here},
                    OPACITY if opacity is None else opacity,
                    outlined,
                )
            )
    return tuple(made)


def _labels(path: Path, volume: Volume, nearest: bool | None) -> Masks:
    file = open_volume(path)
    if file.layout.shape[0] != 1:
        raise MalformedError(
            say("{shape} volumes in one file", shape=file.layout.shape[0]),
            expected="one label map",
            where=file.name,
        )
    facts = file.layout.facts
    # 3D Slicer says what labels mean as Segment0_LabelValue, Segment0_Name …; so does what is written here.
    parts = [key.removesuffix("_LabelValue") for key in facts if key.endswith("_LabelValue")]
    names = {
        int(facts[f"{part}_LabelValue"]): facts.get(f"{part}_Name", part)
        for part in parts
        if facts[f"{part}_LabelValue"].isdigit()
    }
    return read_labels(
        file.values(), file.layout.affine, volume, name=file.name, names=names, nearest=nearest
    )


def _chosen(found: list[FoundMasks], which: str | None, location: object) -> FoundMasks:
    matches = [
        each
        for each in found
        if which is None
        or which == each.description
        or (len(which) > 3 and (each.uid.startswith(which) or each.series.startswith(which)))
    ]
    if len(matches) == 1:
        return matches[0]
    where = location.name if isinstance(location, Location) else str(location)
    choices = tuple(f"{each.name} {each.uid}" for each in matches or found)
    if not found:
        raise SelectionError(
            "no segmentation in it", expected="DICOM SEG, RT Structure Set, a label map", where=where
        )
    raise SelectionError(
        say(
            "{count} of {count2} segmentations{which}: {listed}",
            count=len(matches) or "none",
            count2=len(found),
            which="" if which is None else f" for {which!r}",
            listed="; ".join(choices),
        ),
        where=where,
        remedy="choose one with which=…, by UID or description",
        choices=choices,
    )


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with path.open("rb") as stream:
        return stream.read(256)


def _text(path: Path) -> str:
    if path.stat().st_size > _LONGEST_DRAWING:
        raise LocationError("is too large to be regions that were drawn", where=str(path))
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("is no text in UTF-8", where=str(path)) from error
