"""OME-Zarr, and any Zarr array of three dimensions: its layout from the metadata, its voxels by slabs of slices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import HounsfieldError, MalformedError, UnsupportedError
from hounsfield.formats.reading.layout import VolumeLayout, affine_of_axes, grid, usable
from hounsfield.formats.zarr_package import zarr_package
from hounsfield.language import say

MARKS = ("zarr.json", ".zgroup", ".zarray")
"""Files by which a folder is known for a Zarr."""

_SLAB = 8  # slices read at once
_MM = {"micrometer": 0.001, "meter": 1000.0, "centimeter": 10.0}


def zarr_layout(path: Path) -> tuple[VolumeLayout, Iterator[NDArray[Any]]]:
    """The layout of the finest level, and its slabs, (slices, rows, columns) each, in order.

    Raises `MalformedError`, `UnsupportedError`; the slabs raise `MalformedError` while they are read.
    """
    try:
        array, attributes = _finest(path)
        shape, kind = [int(length) for length in reversed(array.shape)], np.dtype(array.dtype)
    except HounsfieldError:
        raise
    except Exception as error:  # zarr raises many kinds on broken metadata
        raise MalformedError(
            say("a Zarr that cannot be opened ({error})", error=str(error)[:120]), where=str(path)
        ) from error
    affine, notes = _place(attributes)
    said = attributes.get("hounsfield")
    ours: dict[str, Any] = said if isinstance(said, dict) else {}
    facts = {str(key): str(value) for key, value in dict(ours.get("header") or {}).items()}
    layout = VolumeLayout(
        "OME-Zarr",
        grid(shape, "a Zarr", str(path)),
        kind.newbyteorder("="),
        affine,
        unit=str(ours.get("unit", "")),
        facts=facts,
        notes=notes,
    ).checked(str(path))
    return layout, _slabs(array, layout, path)


def _finest(path: Path) -> tuple[Any, dict[str, Any]]:
    opened: Any = zarr_package().open(str(path), mode="r")
    attributes = dict(opened.attrs)
    if not hasattr(opened, "group_keys"):
        return opened, attributes
    multiscales = (attributes.get("ome") or attributes).get("multiscales")
    if multiscales:
        return opened[str(multiscales[0]["datasets"][0]["path"])], attributes
    keys = sorted(opened.array_keys())
    if len(keys) != 1:
        raise UnsupportedError(
            say("a Zarr group of {count} arrays", count=len(keys)),
            expected="an OME-Zarr, or one array",
            where=str(path),
        )
    return opened[keys[0]], attributes


def _place(attributes: dict[str, Any]) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """By our own attribute, which is exact; else by NGFF's scale and translation, which know no direction."""
    try:
        exact = np.array(attributes["hounsfield"]["affine"], np.float64)
        if usable(exact):
            return exact, ()
    except (KeyError, TypeError, ValueError):
        pass
    try:
        image = (attributes.get("ome") or attributes)["multiscales"][0]
        transforms = {part["type"]: part for part in image["datasets"][0]["coordinateTransformations"]}
        mm = [_MM.get(axis.get("unit", ""), 1.0) for axis in image["axes"][-3:]]
        scale = np.array(transforms["scale"]["scale"][-3:], np.float64) * mm
        moved = (
            np.array(transforms.get("translation", {}).get("translation", (0.0, 0.0, 0.0))[-3:], np.float64)
            * mm
        )
        affine = affine_of_axes(np.diag(scale[::-1]), moved[::-1])
        if usable(affine):
            return affine, ("NGFF knows no direction: its axes are taken as the patient's",)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        pass
    return None, ("an array has no place in the patient",)


def _slabs(array: Any, layout: VolumeLayout, path: Path) -> Iterator[NDArray[Any]]:
    volumes, slices, *_ = layout.shape
    for volume in range(volumes):
        for start in range(0, slices, _SLAB):
            try:
                part = (
                    array[volume, start : start + _SLAB] if array.ndim > 3 else array[start : start + _SLAB]
                )
                yield np.atleast_3d(np.asarray(part)) if array.ndim > 2 else np.asarray(array[:])[None]
            except Exception as error:  # as do its codecs
                raise MalformedError(
                    say("a chunk that cannot be read ({error})", error=str(error)[:120]), where=str(path)
                ) from error
