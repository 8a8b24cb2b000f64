"""RT Structure Set → `Masks`: contours filled by the rule of `hounsfield.ct.roi` (PS3.3 C.8.8.5, C.8.8.6).

A voxel belongs to a structure when its centre lies inside an odd number of the structure's contours on its slice: a
contour within another is a hole, of a keyhole the channel has no width. Points are one voxel each.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.instance import Instance
from hounsfield.ct.instance.items import Level, items, raw_value, value
from hounsfield.ct.instance.raw_items import RawItem, raw_dataset
from hounsfield.ct.instance.reading import pydicom_tolerated, read_dataset
from hounsfield.ct.roi.filling import filled_stack
from hounsfield.ct.volume import Volume
from hounsfield.dicom.fast_walk import Unrecognised
from hounsfield.errors import GeometryError, MalformedError
from hounsfield.language import say
from hounsfield.segmentation.grids import ON_OWN_SLICE, ON_SLICE, Target, referenced, slices_of_planes
from hounsfield.segmentation.layers import Layers
from hounsfield.segmentation.masks import HIGHEST_LABEL, Masks, Segment

Points = NDArray[np.float64]

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_ALGORITHMS = {"AUTOMATIC": "AUTOMATIC", "SEMIAUTOMATIC": "SEMIAUTOMATIC", "MANUAL": "MANUAL"}


@dataclass(frozen=True, eq=False)
class Contour:
    """One contour, the `number`th of its structure: `points` (points, 3) LPS mm, `uids` of the slices that it names."""

    kind: str
    points: Points
    uids: tuple[str, ...]
    number: int


@dataclass(frozen=True, eq=False)
class Structure:
    """A structure: ROI Number, name, and its contours as they are read."""

    segment: Segment
    frame_of_reference: str
    contours: tuple[Contour, ...]


def read_rtstruct(instance: Instance, volume: Volume) -> Masks:
    """The structures of `instance`, filled on the grid of `volume`.

    Raises `GeometryError` with the mm for contours off every slice or out of the volume, `MalformedError` for what
    cannot be read. Open, empty, repeated and self-crossing contours are warnings.
    """
    warnings: list[str] = []
    structures = _numbered(_structures(instance), warnings)
    _check_frame_of_reference(structures, volume, instance.name)
    target = Target.of(volume)
    layers = Layers(target.shape, [each.segment.number for each in structures], where=instance.name)
    reach = _reach(structures, target) if target.is_resampled else 0.0
    for structure in structures:
        _Filling(structure, target, layers, instance.name, warnings, reach).fill()
    segments = layers.placed(structure.segment for structure in structures)
    return Masks(layers.arrays, segments, volume.affine, instance.name, tuple(warnings))


class _Filling:
    """One structure on its way onto the grid."""

    def __init__(
        self,
        structure: Structure,
        target: Target,
        layers: Layers,
        name: str,
        warnings: list[str],
        reach: float,
    ) -> None:
        self._structure, self._target, self._layers = structure, target, layers
        self._name, self._warnings, self._reach = name, warnings, reach

    def fill(self) -> None:
        kinds = Counter(
            each.kind for each in self._structure.contours if each.kind not in (*_CLOSED, "POINT")
        )
        for kind, count in kinds.items():
            self._warn(
                say(
                    "{count} contours of type {kind} enclose nothing: left out",
                    count=count,
                    kind=kind or say("nothing"),
                )
            )
        by_slice: dict[int, list[Points]] = defaultdict(list)
        for slices, places, contour in self._placed():
            self._check(places, contour, slices)
            for slice_ in slices:
                if contour.kind == "POINT":
                    self._point(slice_, places)
                elif any(np.array_equal(places, other) for other in by_slice[slice_]):
                    self._warn(
                        say(
                            "contour {number} on slice {slice_} is there twice: taken once",
                            number=contour.number,
                            slice_=slice_,
                        )
                    )
                else:
                    by_slice[slice_].append(places)
        self._fill(by_slice)

    def _fill(self, by_slice: dict[int, list[Points]]) -> None:
        slices = [slice_ for slice_, outlines in by_slice.items() for _ in outlines]
        if not slices:
            return
        outlines = [points for each in by_slice.values() for points in each]
        found = filled_stack(
            np.concatenate(outlines), [len(points) for points in outlines], slices, *self._target.shape[1:]
        )
        self._layers.put_voxels(self._structure.segment.number, found.voxels)
        crossing, empty = (np.flatnonzero(wrong) for wrong in (found.crossing, found.counts == 0))
        if len(crossing):
            self._warn(
                say(
                    "{count} contours cross themselves, the first on slice {slice_}",
                    count=len(crossing),
                    slice_=slices[crossing[0]],
                )
            )
        if len(empty):
            self._warn(
                say(
                    "{count} contours hold no voxel's centre, the first on slice {slice_}",
                    count=len(empty),
                    slice_=slices[empty[0]],
                )
            )

    def _placed(self) -> Iterator[tuple[tuple[int, ...], Points, Contour]]:
        """Each contour with its slices and its points, (points, 2) as (row, column)."""
        used = [
            each for each in self._structure.contours if each.kind in (*_CLOSED, "POINT") and len(each.points)
        ]
        if not used:
            return
        ends = np.cumsum([len(each.points) for each in used])
        index = np.split(self._target.index(np.concatenate([each.points for each in used])), ends[:-1])
        placed: list[tuple[Points, Contour]] = list(zip(index, used, strict=True))
        if self._target.is_resampled:
            yield from self._placed_by_centres(placed)
            return
        for at, contour in placed:
            beside = self._target.is_cropped and not -0.5 < at[:, 0].mean() < self._target.shape[0] - 0.5
            yield () if beside else (self._slice(at[:, 0], contour),), at[:, 1:], contour

    def _placed_by_centres(
        self, placed: list[tuple[Points, Contour]]
    ) -> Iterator[tuple[tuple[int, ...], Points, Contour]]:
        target = self._target
        at = [round(float(index[:, 0].mean()) * target.step, 3) for index, _ in placed]
        distances = np.array(sorted(set(at)))
        taking = dict(zip(distances.tolist(), slices_of_planes(target, distances, self._reach), strict=True))
        for mm, (index, contour) in zip(at, placed, strict=True):
            self._refuse_slanted(index[:, 0], contour)
            if not -self._reach <= mm <= (target.shape[0] - 1) * target.step + self._reach:
                raise self._error(
                    say("lies beyond the volume's slices, {mm} mm from the first", mm=format(mm, ".3g")),
                    contour,
                )
            yield taking[mm], index[:, 1:], contour

    def _slice(self, at: NDArray[np.float64], contour: Contour) -> int:
        """The slice of a contour. Raises `GeometryError` for one that lies on none."""
        target = self._target
        named = {target.slice_of_uid[uid] for uid in contour.uids if uid in target.slice_of_uid}
        middle = float(at.mean())
        nearest = named.pop() if len(named) == 1 else min(max(round(middle), 0), target.shape[0] - 1)
        is_named = len(contour.uids) > 0 and target.slice_of_uid.get(contour.uids[0]) == nearest
        self._refuse_slanted(at, contour)
        off = float(np.abs(at - nearest).max())
        if off > (ON_OWN_SLICE if is_named else ON_SLICE):
            mm = format(off * target.step, ".3g")
            if is_named:
                text = say(
                    "lies {mm} mm from slice {slice_}, which it names as its source", mm=mm, slice_=nearest
                )
            else:
                text = say("lies {mm} mm from slice {slice_}, the nearest", mm=mm, slice_=nearest)
            raise self._error(text, contour)
        return nearest

    def _refuse_slanted(self, at: NDArray[np.float64], contour: Contour) -> None:
        span = float(np.ptp(at))
        if span > 2 * ON_SLICE:
            mm = span * self._target.step
            raise self._error(
                say("lies in no slice: its points are {mm} mm apart across the slices", mm=format(mm, ".3g")),
                contour,
            )

    def _error(self, found: str, contour: Contour) -> GeometryError:
        segment = self._structure.segment
        return GeometryError(
            found,
            expected=say(
                "contours on the {shape} slices of the CT, {step} mm apart",
                shape=self._target.shape[0],
                step=format(self._target.step, ".4g"),
            ),
            where=say(
                "{name}, structure {name2}, contour {number}",
                name=self._name,
                name2=repr(segment.name),
                number=contour.number,
            ),
            remedy="is it of this series?",
        )

    def _check(self, places: Points, contour: Contour, slices: tuple[int, ...]) -> None:
        last = np.array(self._target.shape[1:]) - 0.5
        least, most = places.min(axis=0), places.max(axis=0)
        if ((most < -0.5) | (least > last)).any() and not self._target.is_cropped:
            raise self._error(say("lies outside the CT's rows and columns"), contour)
        if ((least < -0.5) | (most > last)).any():
            self._warn(
                say(
                    "contour {number} on slice {slice_} reaches beyond the CT's rows and columns: cut there",
                    number=contour.number,
                    slice_=", ".join(map(str, slices)) or "–",
                )
            )

    def _point(self, slice_: int, places: Points) -> None:
        for row, column in np.floor(places + 0.5).astype(int).tolist():
            if 0 <= row < self._target.shape[1] and 0 <= column < self._target.shape[2]:
                self._layers.put(self._structure.segment.number, slice_, row, column, np.ones((1, 1), bool))

    def _warn(self, text: str) -> None:
        segment = self._structure.segment
        self._warnings.append(
            say("structure {number} ({name}): {text}", number=segment.number, name=segment.name, text=text)
        )


def _reach(structures: Iterable[Structure], target: Target) -> float:
    """mm between neighbouring contours, by the planes of all structures: half to either side is a contour's."""
    at = {
        round(float(target.index(contour.points[0])[0]) * target.step, 2)
        for structure in structures
        for contour in structure.contours
        if len(contour.points)
    }
    steps = np.diff(np.array(sorted(at)))
    return float(np.median(steps)) if len(steps) else target.step


def _check_frame_of_reference(structures: Iterable[Structure], volume: Volume, name: str) -> None:
    own = str(volume.header.get("FrameOfReferenceUID", ""))
    target = Target.of(volume)
    for structure in structures:
        other = structure.frame_of_reference
        named = {uid for contour in structure.contours for uid in contour.uids}
        if own and other and own != other and not any(target.holds(name) for name in named):
            raise GeometryError(
                say("is in the frame of reference {other}", other=other),
                expected=say("the volume's, {own}", own=own),
                where=say("{name}, structure {name2}", name=name, name2=repr(structure.segment.name)),
                remedy="is it of this series?",
            )


def _numbered(structures: list[Structure], warnings: list[str]) -> list[Structure]:
    """The same, with numbers that labels can have."""
    numbers = [each.segment.number for each in structures]
    if all(1 <= number <= HIGHEST_LABEL for number in numbers) and len(set(numbers)) == len(numbers):
        return structures
    warnings.append(
        say(
            "its ROI Numbers are no labels of 1 … {highest}, each once: numbered in their order",
            highest=HIGHEST_LABEL,
        )
    )
    return [
        replace(each, segment=replace(each.segment, number=place)) for place, each in enumerate(structures, 1)
    ]


def _structures(instance: Instance) -> list[Structure]:
    with pydicom_tolerated(instance.name):
        if not hasattr(instance.source, "metadata"):
            with suppress(Unrecognised):
                raw = raw_dataset(instance.source, has_pixels=False)
                if raw is not None:
                    return _read(raw, instance.name)
        return _read(read_dataset(instance.source), instance.name)


def _read(dataset: Level, name: str) -> list[Structure]:
    contours = {_integer(item, "ReferencedROINumber"): item for item in items(dataset, "ROIContourSequence")}
    found = []
    for item in items(dataset, "StructureSetROISequence"):
        number = _integer(item, "ROINumber")
        drawn = contours.pop(number, None)
        segment = Segment(
            number=number,
            name=_text(item, "ROIName") or f"structure {number}",
            algorithm=_ALGORITHMS.get(_text(item, "ROIGenerationAlgorithm"), ""),
            colour=_colour(drawn),
        )
        outlines = (
            ()
            if drawn is None
            else tuple(
                _contours(
                    drawn, say("{name}, structure {structure}", name=name, structure=repr(segment.name))
                )
            )
        )
        found.append(Structure(segment, _text(item, "ReferencedFrameOfReferenceUID"), outlines))
    if contours:
        raise MalformedError(
            say("contours of ROI Number {next}, which is no structure", next=next(iter(contours))),
            expected="a number of Structure Set ROI Sequence (3006,0020)",
            where=name,
        )
    return found


def _contours(drawn: Level, where: str) -> Iterator[Contour]:
    for number, item in enumerate(items(drawn, "ContourSequence"), 1):
        points = _points(item, say("{where}, contour {number}", where=where, number=number))
        uids = tuple(
            name
            for image in items(item, "ContourImageSequence")
            for name in referenced(
                _text(image, "ReferencedSOPInstanceUID"),
                _text(image, "ReferencedFrameNumber").strip("[]").replace(", ", "\\"),
            )
        )
        yield Contour(_text(item, "ContourGeometricType").upper(), points, uids, number)


def _points(item: Level, where: str) -> Points:
    """(points, 3). Raises `MalformedError` for what are no triples of numbers."""
    # As written: pydicom makes an object of each number, which takes most of the time of a structure set.
    raw = item.raw("ContourData") if isinstance(item, RawItem) else raw_value(item, "ContourData")
    given = value(item, "ContourData") if raw is None else None
    try:
        if raw is not None:
            numbers = _numbers(raw.strip(b"\0 "))
        else:
            numbers = np.array(
                str(given).split("\\") if isinstance(given, str) and given else given or [], np.float64
            )
    except (TypeError, ValueError) as error:
        raise MalformedError("Contour Data (3006,0050) is no list of numbers", where=where) from error
    if len(numbers) % 3 or not np.isfinite(numbers).all():
        raise MalformedError(
            say("Contour Data (3006,0050) of {count} numbers", count=len(numbers)),
            expected="finite ones, three a point",
            where=where,
        )
    return numbers.reshape(-1, 3)


def _numbers(text: bytes) -> NDArray[np.float64]:
    """Decimal Strings between backslashes. Raises `ValueError`."""
    if not text:
        return np.zeros(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what cannot be read to its end is a warning of numpy's
        try:
            found: NDArray[np.float64] = np.fromstring(text, np.float64, sep="\\")
        except DeprecationWarning as error:
            raise ValueError(str(error)) from error
    if len(found) != text.count(b"\\") + 1:
        raise ValueError("a part is no number")
    return found


def _colour(drawn: Level | None) -> tuple[int, int, int] | None:
    text = "" if drawn is None else str(value(drawn, "ROIDisplayColor") or "").strip("[]").replace(", ", "\\")
    parts = text.split("\\")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        return None
    red, green, blue = (min(int(part), 255) for part in parts)
    return red, green, blue


def _integer(item: Level, keyword: str) -> int:
    text = _text(item, keyword)
    return int(text) if text.lstrip("+-").isdigit() else 0


def _text(level: Level, keyword: str) -> str:
    found = value(level, keyword)
    return "" if found is None else str(found).strip(" \0")
