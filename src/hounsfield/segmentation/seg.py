"""DICOM Segmentation → `Masks` on the grid of a volume, whatever the order of its frames, and whichever are missing.

A frame lies where the slice is that it names as its source, and where its position says: both must agree. Of a
FRACTIONAL one, voxels of at least half belong to a segment. PS3.3 C.8.20.2, C.8.23.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.geometry import affine_of
from hounsfield.ct.instance import Instance
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say
from hounsfield.segmentation.grids import ON_OWN_SLICE, ON_SLICE, Fit, Target, fit_plane, slices_of_planes
from hounsfield.segmentation.layers import Layers
from hounsfield.segmentation.masks import Masks, Reference, Segment
from hounsfield.segmentation.seg_header import SegFrame, SegHeader, read_seg_header
from hounsfield.segmentation.seg_pixels import frame_reader

BEYOND = 0.5
"""Of a slice step: a frame further than this from the first and the last slice lies beside the volume."""


@dataclass(frozen=True)
class _Place:
    """One frame's fit, and the slices that take it: none for one that lies outside by `beyond` mm."""

    fit: Fit
    slices: tuple[int, ...]
    beyond: float = 0.0


def read_seg(instance: Instance, volume: Volume, *, nearest: bool | None = None) -> Masks:
    """The segments of `instance` on the grid of `volume`.

    `nearest`: each voxel takes what the segmentation has at its centre, for one of another grid; by default only where
    the volume was itself resampled. Raises `GeometryError` with the mm of what does not fit, `MalformedError`,
    `UnsupportedError`.
    """
    header = read_seg_header(instance)
    target = Target.of(volume, nearest=nearest)
    numbers = [*(segment.number for segment in header.segments), *(frame.segment for frame in header.frames)]
    made = _Making(instance, header, target, Layers(target.shape, numbers, where=instance.name))
    made.check_frame_of_reference(str(volume.header.get("FrameOfReferenceUID", "")))
    made.fill()
    segments = made.segments()
    uids = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    reference = Reference(*(instance.header.text(keyword) for keyword in uids))
    return Masks(made.layers.arrays, segments, volume.affine, instance.name, tuple(made.warnings), reference)


class _Making:
    """One segmentation on its way onto the grid."""

    def __init__(self, instance: Instance, header: SegHeader, target: Target, layers: Layers) -> None:
        self.instance, self.header, self.target, self.layers = instance, header, target, layers
        self.warnings: list[str] = []
        self._seen: set[int] = set()
        self._cut: dict[int, int] = defaultdict(int)

    def check_frame_of_reference(self, volumes: str) -> None:
        own = self.header.frame_of_reference
        if not own or not volumes or own == volumes:
            return
        sources = {uid for frame in self.header.frames for uid in frame.uids}
        if not any(self.target.holds(name) for name in sources):
            raise GeometryError(
                say("a segmentation in the frame of reference {own}", own=own),
                expected=say("the volume's, {volumes}", volumes=volumes),
                where=self.instance.name,
                remedy="is it of this series?",
            )
        self.warnings.append(
            say(
                "its frame of reference is {own}, the CT's {volumes}: placed by the slices it names",
                own=own,
                volumes=volumes,
            )
        )

    def fill(self) -> None:
        """Put every frame that holds anything onto the slices that take it."""
        places = _places(self.header.frames, self.instance, self.target, self._where)
        by_labels = self.header.kind == "LABELMAP"
        once: set[tuple[int, int]] = set()
        for index, plane in frame_reader(self.instance, self.header):
            place, frame = places[index], self.header.frames[index]
            self._refuse_beyond(place, index)
            for slice_ in place.slices:
                if (frame.segment, slice_) in once:
                    self.warnings.append(
                        say(
                            "two frames of {segment} on slice {slice_}: united",
                            segment=self.header.named(frame.segment),
                            slice_=slice_,
                        )
                    )
                once.add((frame.segment, slice_))
                self._put(place.fit, frame.segment, slice_, plane, by_labels=by_labels)
        self._say_references()
        self._say_cut()

    def _put(
        self,
        fit: Fit,
        number: int,
        slice_: int,
        plane: tuple[int, int, NDArray[np.generic]],
        *,
        by_labels: bool,
    ) -> None:
        top, left, content = plane
        whole = content
        if top or left or content.shape != self.instance.shape or fit.cut or fit.is_turned:
            if _is_plain(fit, self.instance.shape):
                # A box of a plane that lies voxel upon voxel is that box of the slice.
                self._add(number, slice_, fit.top + top, fit.left + left, content, by_labels=by_labels)
                return
            whole = np.zeros(self.instance.shape, content.dtype)
            whole[top : top + content.shape[0], left : left + content.shape[1]] = content
        taken = fit.apply(whole)
        if fit.cut:
            self._cut[number] += int(np.count_nonzero(whole)) - int(np.count_nonzero(taken))
        self._add(number, slice_, fit.top, fit.left, taken, by_labels=by_labels)

    def _add(
        self, number: int, slice_: int, top: int, left: int, content: NDArray[np.generic], *, by_labels: bool
    ) -> None:
        if not by_labels:
            self.layers.put(number, slice_, top, left, content.astype(bool, copy=False))
            return
        self._seen.update(np.flatnonzero(np.bincount(content.ravel())).tolist())
        self.layers.put_labels(slice_, top, left, content)

    def segments(self) -> tuple[Segment, ...]:
        """Return the meanings of the labels; one for a label that nothing describes too."""
        known = {segment.number for segment in self.header.segments}
        used = self._seen | {frame.segment for frame in self.header.frames}
        extra = sorted(used - known - {0})
        for number in extra:
            self.warnings.append(say("label {number} is described nowhere in it", number=number))
        named = [*self.header.segments, *(Segment(number, f"label {number}") for number in extra)]
        return self.layers.placed(sorted(named, key=lambda segment: segment.number))

    def _refuse_beyond(self, place: _Place, index: int) -> None:
        if place.beyond and not self.target.is_cropped:
            raise GeometryError(
                say("lies {beyond} mm beyond the volume's slices", beyond=format(place.beyond, ".3g")),
                expected=say("a place among {shape} slices", shape=self.target.shape[0]),
                where=self._where(index),
                remedy="is it of this series, and is the series complete?",
            )

    def _say_references(self) -> None:
        target = self.target
        absent = {
            index
            for index, frame in enumerate(self.header.frames)
            if frame.uids and not any(target.holds(name) for name in frame.uids)
        }
        if absent and target.instances and not target.is_resampled:
            first = min(absent)
            self.warnings.append(
                say(
                    "{count} frames refer to slices that are not in this volume, first {where}: placed by position",
                    count=len(absent),
                    where=self._where(first),
                )
            )

    def _say_cut(self) -> None:
        for number, count in self._cut.items():
            if count:
                self.warnings.append(
                    say(
                        "{count} voxels of {segment} lie outside the volume's rows and columns",
                        count=count,
                        segment=self.header.named(number),
                    )
                )

    def _where(self, index: int) -> str:
        return self.header.where(self.instance.name, index)


def _is_plain(fit: Fit, shape: tuple[int, int]) -> bool:
    is_whole = isinstance(fit.rows, slice) and isinstance(fit.columns, slice)
    return (
        is_whole and (fit.rows, fit.columns) == (slice(0, shape[0]), slice(0, shape[1])) and not fit.is_turned
    )


def _places(
    frames: tuple[SegFrame, ...], instance: Instance, target: Target, where: Callable[[int], str]
) -> list[_Place]:
    placer = _Placer(frames, instance.shape, target, where)
    return [placer.place(index) for index in range(len(frames))]


class _Placer:
    """Finds the slices and the fit of every frame; planes of one place are fitted once."""

    def __init__(
        self,
        frames: tuple[SegFrame, ...],
        shape: tuple[int, int],
        target: Target,
        where: Callable[[int], str],
    ) -> None:
        self._frames, self._shape, self._target, self._where = frames, shape, target, where
        self._known: dict[tuple[object, ...], _Place] = {}
        self._taking: dict[float, tuple[int, ...]] = {}
        self._reach = 0.0
        if target.is_resampled:
            self._stack()

    def place(self, index: int) -> _Place:
        frame = self._frames[index]
        key = (frame.position, frame.orientation, frame.spacing, frame.uids)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._place(frame, self._name(index))
        return found

    def _name(self, index: int) -> str:
        return self._where(index)

    def _place(self, frame: SegFrame, where: str) -> _Place:
        target = self._target
        named = [target.slice_of_uid[uid] for uid in frame.uids if uid in target.slice_of_uid]
        if frame.position is None or frame.orientation is None or frame.spacing is None:
            return self._by_name(named, where)
        plane = affine_of(
            np.array(frame.position), np.zeros(3), np.array(frame.orientation), np.array(frame.spacing)
        )
        first = target.index(plane[:3, 3])
        steps = (target.inverse @ plane[:3, 1:3]).T
        self._refuse_slanted(steps, where)
        fit = fit_plane(target, first[1:], steps[:, 1:], self._shape, where)
        if target.is_resampled:
            at_mm = self._distance(frame)
            outside = max(-at_mm, at_mm - target.step * (target.shape[0] - 1)) - self._reach / 2 * (
                1 + ON_SLICE
            )
            return _Place(fit, self._taking[at_mm], max(outside, 0.0))
        return self._at(fit, float(first[0]), named, where)

    def _at(self, fit: Fit, at: float, named: list[int], where: str) -> _Place:
        """On the slice that it names, or else on the one where it lies."""
        target, count = self._target, self._target.shape[0]
        if len(named) == 1:
            off = abs(at - named[0])
            if off > ON_OWN_SLICE:
                raise GeometryError(
                    say(
                        "names slice {named} as its source and lies {number} mm from it",
                        named=named[0],
                        number=format(off * target.step, ".3g"),
                    ),
                    where=where,
                    remedy="one of the two is wrong: make the segmentation again",
                )
            return _Place(fit, (named[0],))
        nearest = round(at)
        if not -BEYOND <= at <= count - 1 + BEYOND:
            return _Place(fit, (), max(-at, at - (count - 1)) * target.step)
        nearest = min(max(nearest, 0), count - 1)
        off = abs(at - nearest)
        if off > ON_SLICE:
            raise GeometryError(
                say(
                    "lies {number} mm from slice {nearest}, the nearest",
                    number=format(off * target.step, ".3g"),
                    nearest=nearest,
                ),
                expected="a place on a slice",
                where=where,
                remedy="is it of this series? nearest=True (--nearest) takes what it has at each voxel's centre",
            )
        return _Place(fit, (nearest,))

    def _by_name(self, named: list[int], where: str) -> _Place:
        same = self._shape == self._target.shape[1:]
        if len(named) != 1 or not same:
            raise GeometryError(
                say(
                    "has no plane of its own, and names {count} slices of {describe}",
                    count=len(named),
                    describe=self._target.describe(),
                ),
                expected="a plane, or one slice of its own rows and columns",
                where=where,
            )
        rows, columns = self._shape
        return _Place(Fit(0, 0, slice(0, rows), slice(0, columns), False, False), (named[0],))

    def _refuse_slanted(self, steps: NDArray[np.float64], where: str) -> None:
        across = np.abs(steps[:, 0]) * (np.array(self._shape) - 1)
        if across.max() > ON_SLICE:
            raise GeometryError(
                say(
                    "its far end lies {number} mm off the slice where it begins",
                    number=format(across.max() * self._target.step, ".3g"),
                ),
                expected="planes along the CT's slices",
                where=where,
                remedy="resample the mask onto the CT first",
            )

    def _distance(self, frame: SegFrame) -> float:
        assert frame.position is not None
        return round(float((np.array(frame.position) - self._target.affine[:3, 3]) @ self._target.normal), 4)

    def _stack(self) -> None:
        placed = [frame for frame in self._frames if frame.position is not None]
        distances = np.array(sorted({self._distance(frame) for frame in placed}))
        if not len(distances):
            return
        reach = max((frame.reach for frame in placed), default=0.0)
        if reach <= 0:
            reach = float(np.diff(distances).min()) if len(distances) > 1 else self._target.step
        self._reach = reach
        taking = slices_of_planes(self._target, distances, reach)
        self._taking = dict(zip(distances.tolist(), taking, strict=True))
