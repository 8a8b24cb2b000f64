"""`Series`: slices with a verdict, and the way from them to a `Volume`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hounsfield.ct.geometry import Stack, Verdict, affine_of, at_one_position, is_orthonormal, normal_of
from hounsfield.ct.grid import Box, cropped, oriented, resampled, side_within
from hounsfield.ct.hu import Counts
from hounsfield.ct.instance import Header, Skipped
from hounsfield.ct.plausibility import Physics, Plausibility
from hounsfield.ct.resample import rectify, resample
from hounsfield.ct.series.assembly import Array, Assembled, LoadOptions, assemble, checked
from hounsfield.ct.series.lazy import LazyVolume
from hounsfield.ct.series.phases import Phase
from hounsfield.ct.series.physics import plausibility_of
from hounsfield.ct.series.remedies import remedy_for
from hounsfield.ct.series.slices import Slice, printable
from hounsfield.ct.series.warnings import warnings_of, with_made_up
from hounsfield.ct.units import HOUNSFIELD_UNITS, Unit, hounsfield_on_request
from hounsfield.ct.volume import FrameUid, Report, Volume
from hounsfield.errors import (
    GeometryError,
    HounsfieldError,
    NotHounsfieldError,
    SelectionError,
    UnsupportedError,
)
from hounsfield.language import say
from hounsfield.language.reasons import reason

_FACTS = (
    "PatientID",
    "PatientName",
    "StudyInstanceUID",
    "StudyDate",
    "StudyDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "KVP",
    "BodyPartExamined",
    "PatientPosition",
    "FrameOfReferenceUID",
)


@dataclass(frozen=True, repr=False)
class Series:
    """One Series Instance UID, or the part of it that has one unit and stack.

    `part` tells parts of one UID apart, "" when there is one. `phases`: one, or several volumes at the same
    positions; none when the slices have no place in space. `left_out`: what the UID holds beside the volume.
    """

    uid: str
    part: str
    unit: Unit
    slices: tuple[Slice, ...]
    phases: tuple[Phase, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    left_out: tuple[Skipped, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Series {self.name!r}: {len(self.slices)} slices, {self.verdict}, {self.unit.name}>"

    @property
    def header(self) -> Header:
        """Of the first slice."""
        return self.slices[0].instance.header

    @property
    def facts(self) -> dict[str, str]:
        """Plain facts by DICOM keyword, those that are not empty."""
        return {keyword: text for keyword in _FACTS if (text := self.header.text(keyword))}

    @property
    def name(self) -> str:
        """The name as a person calls it: number and description, or the UID."""
        facts = self.facts
        words = (facts.get("SeriesNumber", ""), facts.get("SeriesDescription", ""), self.part)
        return " ".join(printable(word) for word in words if word) or printable(self.uid)

    @property
    def phases_found(self) -> str:
        """The number of volumes in words, "" for one: phases where positions clash, else kinds that take turns."""
        count = len(self.phases)
        if count < 2:
            return ""
        distances = np.sort(np.concatenate([phase.stack.distances for phase in self.phases]))
        spacing = self.slices[0].plane.spacing
        clash = bool(at_one_position(distances, spacing).any())  # type: ignore[arg-type]
        return f"{count} phases at the same positions" if clash else f"{count} volumes in one series"

    def plausibility(self, phase: int = 0) -> Plausibility | None:
        """Judge by physics whether the numbers of one of its volumes can be HU; None for another unit.

        At most twelve slices are read.
        """
        return plausibility_of(self.phases[phase].slices if self.phases else self.slices, self.unit)

    def load(
        self,
        options: LoadOptions | None = None,
        *,
        phase: int | None = None,
        out: Array | None = None,
        **how: Any,
    ) -> Volume:
        """The volume of these slices. `how`: as `hounsfield.load`, in place of `options`; `out`: an array of the
        volume's shape and type, contiguous, which it is written into and holds.

        Raises `GeometryError` naming the option that would load them, `SelectionError` when a phase must be chosen,
        and whatever reading raises.
        """
        options = self._options(options, how)
        volume = self.in_unit(options.unit)._load(options, phase, out)
        if out is None or volume.array is out:
            return volume
        checked(out, volume.shape, volume.array.dtype.name)[...] = volume.array
        return replace(volume, array=out)

    def lazy(self, options: LoadOptions | None = None, *, phase: int | None = None, **how: Any) -> LazyVolume:
        """The same volume unread: an array that converts the slices it is asked for. Raises as `load` does, and
        `UnsupportedError` for options that need other slices than those.
        """
        options = self._options(options, how)
        if options.resamples:
            raise UnsupportedError(
                "resampling needs the whole volume",
                where=self.name,
                remedy="leave out what resamples, crops or turns; index the array instead",
            )
        series = self.in_unit(options.unit)
        chosen = series._phase(phase, options)
        if options.require_plausible:
            series._refuse_implausible(chosen)
        places = series._places(chosen, options)
        nothing = np.zeros(chosen.slices[0].shape, options.dtype_of(series.unit))
        empty = Assembled(np.broadcast_to(nothing, (max(places) + 1, *nothing.shape)), Counts(), (), ())
        outline = series._volume(chosen, places, empty, options)
        return LazyVolume(chosen.slices, places, series.unit, options, outline)

    @staticmethod
    def _options(options: LoadOptions | None, how: dict[str, Any]) -> LoadOptions:
        if options is not None and how:
            raise HounsfieldError("options and keywords together", expected="one of them")
        return options or LoadOptions.of(**how)

    def in_unit(self, name: str | None) -> Series:
        """The same in HU on request, for files whose Rescale Type is wrong; None leaves what they say."""
        if name is None or self.unit.name in HOUNSFIELD_UNITS:
            return self
        unit = hounsfield_on_request(self.unit)
        notes = tuple(note for note in self.notes if note != self.unit.warning)
        return replace(self, unit=unit, notes=(unit.warning, *notes))

    def _load(self, options: LoadOptions, phase: int | None, out: Array | None) -> Volume:
        chosen = self._phase(phase, options)
        if options.require_plausible:
            self._refuse_implausible(chosen)
        if options.box is not None and not replace(options, box=None, orientation=None).resamples:
            part, inside = self._part(chosen, options, options.box)
            return _regridded(part, replace(options, box=inside))
        volume = self._placed(chosen, options, None if options.resamples else out)
        stack = chosen.stack
        if options.gaps == "interpolate" and stack.verdict is Verdict.GAPS and options.step is None:
            # Places on the grid, not distances: what a file holds stays as it is, however its position jitters.
            places = np.asarray(stack.grid) * stack.step
            volume = with_made_up(resample(volume, stack.step, positions=places), places)
        elif options.step is not None:
            volume = _even(volume, stack, options.step)
        return _regridded(rectify(volume) if options.rectify else volume, options)

    def _phase(self, index: int | None, options: LoadOptions) -> Phase:
        if not self.phases or (options.spacing is not None and self.slices[0].plane.origin is not None):
            # A step that is given outweighs one that was read off the root of the object.
            return self._without_geometry(options)
        if index is None and len(self.phases) > 1:
            labels = tuple(phase.label for phase in self.phases)
            raise SelectionError(
                f"{self.phases_found}: {('; ' if any(', ' in label for label in labels) else ', ').join(labels)}",
                where=self.name,
                remedy=say("choose one with phase=0 … {number} (--phase)", number=len(labels) - 1),
                choices=labels,
            )
        if index is not None and not 0 <= index < len(self.phases):
            raise SelectionError(
                say("no phase {index}", index=index), expected=f"0 … {len(self.phases) - 1}", where=self.name
            )
        if options.spacing is not None:
            raise GeometryError(
                say("spacing={spacing} for slices that have a place in the patient", spacing=options.spacing),
                where=self.name,
                remedy="leave it out; voxel= (--voxel) resamples",
            )
        chosen = self.phases[index or 0]
        self._refuse(chosen, options)
        return chosen

    def _refuse(self, chosen: Phase, options: LoadOptions) -> None:
        """A typed error for slices that are no grid, unless an option says what to make of them."""
        stack = chosen.stack
        if stack.verdict.is_loadable:
            return
        if stack.verdict is Verdict.GAPS and (options.gaps != "error" or options.step is not None):
            return
        is_uneven = stack.verdict is Verdict.IRREGULAR and not stack.repeated
        if is_uneven and options.step is not None and stack.is_straight:
            return
        raise GeometryError(
            f"{stack.verdict}: {'; '.join(stack.reasons)}",
            where=self.name,
            remedy=remedy_for(chosen),
            positions=stack.distances.tolist(),
            verdict=str(stack.verdict),
        )

    def _refuse_implausible(self, chosen: Phase) -> None:
        """Raise `NotHounsfieldError` for numbers that physics rules out."""
        found = plausibility_of(chosen.slices, self.unit)
        if found is not None and found.verdict is Physics.IMPLAUSIBLE:
            raise NotHounsfieldError(
                say("the numbers cannot be HU: {listed}", listed="; ".join(found.sentences())),
                expected="air near −1000, water near 0",
                where=self.name,
                remedy="look at Rescale Slope and Intercept (hounsfield tags), or ask where the files come from",
            )

    def _without_geometry(self, options: LoadOptions) -> Phase:
        """Frames without a place in the patient: only with a spacing that the user gives (ct_traps 49)."""
        localizer = self.slices[0].is_localizer
        if options.spacing is None or localizer:
            remedy = "give spacing=(slice, row, column) in mm (--spacing) if you know it"
            raise GeometryError(
                f"{self.verdict}: {'; '.join(self.reasons)}",
                where=self.name,
                remedy="choose another series" if localizer else remedy,
                verdict=str(self.verdict),
            )
        step, row, column = options.spacing
        plane = self.slices[0].plane
        # What the root says of all frames still holds: only the distance between them was missing.
        given = plane.orientation if plane.orientation and is_orthonormal(plane.orientation) else None
        orientation = np.array(given or (1.0, 0, 0, 0, 1, 0))
        origin = np.array(plane.position or plane.origin or (0.0, 0, 0))
        normal = normal_of(orientation) + 0.0  # no negative zeros
        affine = affine_of(origin, step * normal, orientation, np.array([row, column]))
        distances = np.arange(len(self.slices), dtype=np.float64) * step
        positions = origin + distances[:, None] * normal
        grid = tuple(range(len(self.slices)))
        stack = Stack(Verdict.REGULAR, grid, positions, distances, step, affine, grid, reasons=self.reasons)
        return Phase((), tuple(_without_note(item, "root-placed") for item in self.slices), stack)

    def _placed(self, chosen: Phase, options: LoadOptions, out: Array | None) -> Volume:
        places = self._places(chosen, options)
        made = assemble(chosen.slices, places, max(places) + 1, self.unit, options, out)
        return self._volume(chosen, places, made, options)

    def _part(self, chosen: Phase, options: LoadOptions, box: Box) -> tuple[Volume, Box]:
        """The slices that `box` takes part of, no other one read; and the box within them."""
        places = self._places(chosen, options)
        depth = max(places) + 1
        start, stop = side_within(box[0], depth)
        pairs = [(item, at) for item, at in zip(chosen.slices, places, strict=True) if start <= at < stop]
        if not pairs:
            raise GeometryError(
                say("no file holds slices {start} to {number}", start=start, number=stop - 1), where=self.name
            )
        kept = replace(chosen, slices=tuple(item for item, _ in pairs))
        shifted = tuple(at - start for _, at in pairs)
        made = assemble(kept.slices, shifted, stop - start, self.unit, options)
        volume = self._volume(kept, shifted, made, options)
        affine = volume.affine.copy()
        affine[:3, 3] += start * affine[:3, 0]
        return replace(volume, affine=affine), ((None, None), box[1], box[2])

    @staticmethod
    def _places(chosen: Phase, options: LoadOptions) -> tuple[int, ...]:
        """The place in the array of each slice: with gaps to be filled, places are left out."""
        filling = options.gaps == "fill" and chosen.stack.verdict is Verdict.GAPS
        return (
            chosen.stack.grid
            if filling and chosen.stack.grid is not None
            else tuple(range(len(chosen.slices)))
        )

    def _volume(
        self, chosen: Phase, places: tuple[int, ...], made: Assembled, options: LoadOptions
    ) -> Volume:
        stack = chosen.stack
        affine = stack.affine if stack.affine is not None else self._approximate_affine(chosen)
        if stack.verdict is Verdict.GAPS and options.gaps != "fill":
            affine = self._approximate_affine(chosen)
        uids = [""] * len(made.array)
        for item, place in zip(chosen.slices, places, strict=True):
            frames = item.instance.header.number_of_frames
            uids[place] = FrameUid(item.uid, item.plane.frame + 1) if frames > 1 and item.uid else item.uid
        along = affine[:3, 0] @ np.cross(affine[:3, 2], affine[:3, 1])
        step = abs(float(along)) / float(np.linalg.norm(np.cross(affine[:3, 2], affine[:3, 1])))
        row, column = (float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2))
        return Volume(
            array=made.array,
            affine=affine,
            spacing=(step, row, column),
            unit=self.unit.name,
            uids=tuple(uids),
            report=self._report(chosen, made, options),
            header=self.facts,
        )

    def _approximate_affine(self, chosen: Phase) -> Any:
        """For slices still to be resampled: the straight line from first to last slice."""
        plane, points = chosen.slices[0].plane, chosen.stack.positions
        step = (points[-1] - points[0]) / (len(points) - 1)
        return affine_of(points[0], step, np.asarray(plane.orientation), np.asarray(plane.spacing))

    def _report(self, chosen: Phase, made: Assembled, options: LoadOptions) -> Report:
        rescales = {item.plane.rescale for item in chosen.slices}
        one = next(iter(rescales)) if len(rescales) == 1 else None
        stack = chosen.stack
        notes = [*self.notes, *made.notes]
        if made.filled:
            length = f"{len(made.filled) * stack.step:.4g}"
            notes.append(reason("filled", count=len(made.filled), mm=length))
        return Report(
            warnings=warnings_of(chosen.slices, made.counts, notes, self.left_out),
            padded=made.counts.padded,
            clamped=made.counts.clamped,
            saturated=made.counts.saturated,
            rounded=made.counts.rounded,
            verdict=str(stack.verdict),
            slope=None if one is None or one.lut else one.slope,
            intercept=None if one is None or one.lut else one.intercept,
            filled=made.filled,
            spacing_notes=stack.reasons,
            judge=partial(plausibility_of, chosen.slices, self.unit),
        )


def _regridded(volume: Volume, options: LoadOptions) -> Volume:
    """On another grid, a part of it, with other axes, as far as `options` ask for it."""
    if options.voxel is not None or options.like is not None:
        volume = resampled(
            volume,
            voxel=options.voxel,
            like=options.like,
            interpolation=options.interpolation,
            workers=options.workers,
        )
    if options.box is not None and options.box != ((None, None),) * 3:
        volume = cropped(volume, options.box)
    return oriented(volume, options.orientation) if options.orientation is not None else volume


def _without_note(item: Slice, key: str) -> Slice:
    """The slice without what was said of it under that key, where it does not hold any more."""
    notes = tuple(note for note in item.plane.notes if getattr(note, "key", "") != key)
    return item if notes == item.plane.notes else replace(item, plane=replace(item.plane, notes=notes))


def _even(volume: Volume, stack: Stack, step: float) -> Volume:
    """Resampled to an even step from where the slices truly lie; once gaps are filled, the affine says."""
    if len(volume.array) == 1:
        return volume
    if len(volume.array) != len(stack.distances):
        return resample(volume, step)
    distances = stack.distances - stack.distances[0]
    return with_made_up(resample(volume, step, positions=distances), distances)
