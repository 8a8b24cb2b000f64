"""`Masks`: label arrays on the grid of a volume, and what their labels mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, SelectionError
from hounsfield.language import say
from hounsfield.segmentation.colours import colour_at

Labels = NDArray[np.unsignedinteger[Any]]
"""(slices, rows, columns): uint8 or uint16; 0 outside every segment, else the number of one."""

HIGHEST_LABEL = 65535
"""Segment Number (0062,0004) is US, and so is a pixel of a label map (PS3.3 C.8.20.4)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The UIDs by which reports refer to an instance: its SOP class, its own, its series', its study's."""

    sop_class: str
    instance: str
    series: str
    study: str


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The meaning of a label: `number` is its value in the label array `layer`.

    `category` and `kind` are Segmented Property Category and Type; `algorithm` is AUTOMATIC, SEMIAUTOMATIC, MANUAL
    or ""; `colour` is sRGB, 0 … 255 each (PS3.3 C.8.20.4).
    """

    number: int
    name: str
    layer: int = 0
    category: Code | None = None
    kind: Code | None = None
    algorithm: str = ""
    algorithm_name: str = ""
    colour: tuple[int, int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """The segment as plain JSON values, without what is not known."""
        out: dict[str, Any] = {"number": self.number, "label": self.name, "layer": self.layer}
        for name, code in (("category", self.category), ("type", self.kind)):
            if code is not None:
                out[name] = {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
        known = {"algorithm": self.algorithm, "algorithm_name": self.algorithm_name}
        out |= {key: value for key, value in known.items() if value}
        if self.colour is not None:
            out["colour"] = list(self.colour)
        return out


@dataclass(frozen=True, eq=False, repr=False)
class Masks:
    """Segments on the grid of a volume.

    - `layers`: label arrays, (slices, rows, columns) uint8 or uint16 each; several where segments overlap, each
      segment whole in one
    - `segments`: in the order of their numbers; a number is that of one segment in all layers
    - `affine`: the volume's, 4×4, (slice, row, column, 1) → LPS mm
    - `source`: what it was read from; `warnings`: what should be known of it, one line each
    - `segmentation`: the DICOM Segmentation that they were read from, None of all else
    """

    layers: tuple[Labels, ...]
    segments: tuple[Segment, ...]
    affine: NDArray[np.float64]
    source: str = ""
    warnings: tuple[str, ...] = field(default=())
    segmentation: Reference | None = None

    def __repr__(self) -> str:
        shape = "×".join(str(length) for length in self.shape)
        layers = "" if len(self.layers) == 1 else f" in {len(self.layers)} layers"
        return f"<Masks {shape}: {len(self.segments)} segments{layers}>"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)"""
        slices, rows, columns = self.layers[0].shape
        return slices, rows, columns

    def refuse_other_grid(self, volume: Volume) -> None:
        """Raise `GeometryError` where `volume` has another grid."""
        if self.shape != volume.shape or not np.allclose(self.affine, volume.affine, atol=1e-6):
            raise GeometryError(
                say("masks of {shape} voxels", shape=self.shape),
                expected=say("the grid of the volume, {shape}", shape=volume.shape),
                where=self.source,
                remedy="read them again onto this volume: hounsfield.masks(location, volume)",
            )

    @property
    def labels(self) -> Labels:
        """The label array where there is one. Raises `GeometryError` for segments that overlap."""
        if len(self.layers) > 1:
            raise GeometryError(
                "segments that overlap",
                expected="one label array",
                where=self.source,
                remedy="take its layers",
            )
        return self.layers[0]

    def segment(self, which: int | str) -> Segment:
        """A segment by number or name. Raises `SelectionError` that lists the choices."""
        found = [segment for segment in self.segments if which in (segment.number, segment.name)]
        if len(found) == 1:
            return found[0]
        choices = tuple(f"{segment.number} {segment.name}" for segment in self.segments)
        raise SelectionError(
            say("{count} segments {which}", count=len(found) or "no", which=repr(which)),
            expected=say(
                "one of {listed}{which}",
                listed=", ".join(choices[:20]),
                which=" …" if len(choices) > 20 else "",
            ),
            where=self.source,
            choices=choices,
        )

    def mask(self, which: int | str) -> NDArray[np.bool_]:
        """(slices, rows, columns): true in the segment of that number or name."""
        segment = self.segment(which)
        inside: NDArray[np.bool_] = self.layers[segment.layer] == segment.number
        return inside

    @property
    def colours(self) -> dict[int, tuple[int, int, int]]:
        """sRGB by segment number: its own colour, or one by its place."""
        return {each.number: each.colour or colour_at(place) for place, each in enumerate(self.segments)}

    def as_volume(self, layer: int = 0) -> Volume:
        """A label array as a `Volume` without a unit, as every bridge takes it: `to_sitk`, `to_xarray`, `to_torch`."""
        return Volume.from_array(self.layers[layer], self.affine, unit="unspecified")

    def counts(self) -> dict[int, int]:
        """Voxels of each segment, by its number."""
        highest = max((segment.number for segment in self.segments), default=0)
        totals = [np.zeros(highest + 1, np.int64) for _ in self.layers]
        for place, layer in enumerate(self.layers):
            for plane in layer:
                totals[place] += np.bincount(plane.ravel(), minlength=highest + 1)[: highest + 1]
        return {segment.number: int(totals[segment.layer][segment.number]) for segment in self.segments}

    def to_json(self) -> dict[str, Any]:
        """Everything but the arrays, as plain JSON values."""
        return {
            "shape": list(self.shape),
            "layers": len(self.layers),
            "segments": [segment.to_json() for segment in self.segments],
            "source": self.source,
            "warnings": list(self.warnings),
        }
