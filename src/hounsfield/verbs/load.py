"""From a location to series to a volume: `scan` and `load`, on which every verb stands.

Headers are read once each; what is left out is listed with its reason; a choice that must be made is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from hounsfield.ct.grid import Side
from hounsfield.ct.instance import Instance, Skipped, Source
from hounsfield.ct.sampling import Interpolation
from hounsfield.ct.series import LoadOptions, Series, find_series
from hounsfield.ct.series.slices import printable
from hounsfield.ct.volume import Volume
from hounsfield.errors import HounsfieldError, NotHounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.locations import Location, as_location
from hounsfield.locations.headers import read_headers
from hounsfield.locations.retrieved import with_pixels
from hounsfield.segmentation.found import FoundMasks, found_masks


@dataclass(frozen=True, repr=False)
class Scan:
    """The content of a location: `series` with verdicts, and `skipped`, everything else, with reasons.

    `captures`: series of Secondary Captures that are CT but for their class; `choose` gives one that is named.
    `masks`: segmentations and structure sets beside them, for `hounsfield.masks`.
    """

    location: str
    series: tuple[Series, ...]
    skipped: tuple[Skipped, ...]
    captures: tuple[Series, ...] = ()
    masks: tuple[FoundMasks, ...] = ()

    def __repr__(self) -> str:
        held = "".join(f"\n  {_choice(series)}" for series in self.series)
        return (
            f"<Scan of {self.location}: {len(self.series)} series, {len(self.skipped)} files skipped{held}>"
        )

    def choose(self, wanted: str | int | None = None) -> Series:
        """One series: by UID, Series Number or description, or the beginning of one where a single series has it; with
        None the only CT there is.

        Raises `SelectionError` that lists the choices.
        """
        candidates = self.series if wanted is not None else self._default_candidates()
        matches = [series for series in candidates if wanted is None or _matches(series, str(wanted))]
        if wanted is not None and not matches:
            matches = [series for series in self.captures if _matches(series, str(wanted))]
        if wanted is not None and not matches:
            begun = [series for series in self.series if _begins(series, str(wanted))]
            matches = begun if len(begun) == 1 else []
        if len(matches) == 1:
            return matches[0]
        if not self.series and not matches and not self.captures and self.masks:
            raise SelectionError(
                say(
                    "no CT series in it but segments: {listed}",
                    listed="; ".join(each.name for each in self.masks),
                ),
                where=self.location,
                remedy="read them onto a CT: hounsfield.masks(location, volume), hounsfield measure CT --mask …",
            )
        if not self.series and not matches and not self.captures:
            why = f": {self.skipped[0].name}: {self.skipped[0].reason}" if self.skipped else ""
            more = len(self.skipped) - 1
            why += f"; and {more} more {'file' if more == 1 else 'files'} skipped" if more > 0 else ""
            raise SelectionError(
                say("no CT series in it{why}", why=why), where=self.location, remedy="check the location"
            )
        if not self.series and wanted is None:
            raise SelectionError(
                say(
                    "no CT series in it but Secondary Captures: {listed}",
                    listed="; ".join(map(_choice, self.captures)),
                ),
                where=self.location,
                remedy="take one all the same with series=… (--series)",
                choices=tuple(map(_choice, self.captures)),
            )
        found = "no series" if not matches else f"{len(matches)} series"
        asked = "" if wanted is None else f" match {wanted!r}"
        listed = matches or [*self.series] or [*self.captures]
        choices = tuple(_choice(series, among=listed) for series in listed)
        raise SelectionError(
            f"{found}{asked}: {'; '.join(choices)}",
            where=self.location,
            remedy="choose one with series=… (--series), by UID, number or description",
            choices=choices,
        )

    def _default_candidates(self) -> tuple[Series, ...]:
        """Localizers and other things that are no volume do not make a choice necessary."""
        volumes = tuple(series for series in self.series if series.phases)
        return volumes or self.series


def instances(
    location: str | PathLike[str] | Location, *, skipped: list[Skipped] | None = None
) -> Iterator[Instance]:
    """Every DICOM instance in a location, header read; what is not one goes to `skipped`.

    Raises `LocationError` when the location itself cannot be read.
    """
    left_out = [] if skipped is None else skipped

    def whole_reason(source: Source, error: HounsfieldError) -> None:
        left_out.append(Skipped(source.name, str(error).removeprefix(f"{source.name}: ")))

    yield from read_headers(as_location(location).sources(), left_out, on_error=whole_reason)


def scan(
    location: str | PathLike[str] | Location,
    *,
    unit: Literal["HU"] | None = None,
    split_by: str | Sequence[str] | None = None,
    seen: Callable[[], None] | None = None,
) -> Scan:
    """Scan a location from headers alone (pixels are compared only where positions clash).

    `unit` and `split_by` are those of `load`. `seen` is called after each instance: a hundred thousand of them take
    a while, and somebody waits. Raises `LocationError` when the location itself cannot be read, `SelectionError` for
    a `split_by` that names no attribute.
    """
    skipped: list[Skipped] = []
    read = instances(location, skipped=skipped)
    captures: list[Series] = []
    held: list[FoundMasks] = []
    read = _without_masks(read if seen is None else _told(read, seen), held)
    found = find_series(read, captures=captures, unit=unit, split_by=split_by)
    name = str(location) if isinstance(location, (str, PathLike)) else location.name
    return Scan(name, found[0], (*skipped, *found[1]), tuple(captures), tuple(held))


def _without_masks(read: Iterator[Instance], held: list[FoundMasks]) -> Iterator[Instance]:
    """The instances that are no masks; those that are go to `held`, and are neither series nor left out."""
    for instance in read:
        if (found := found_masks(instance)) is not None:
            held.append(found)
        else:
            yield instance


def _told(read: Iterator[Instance], seen: Callable[[], None]) -> Iterator[Instance]:
    for instance in read:
        yield instance
        seen()


def load(
    location: str | PathLike[str] | Location,
    *,
    series: str | int | None = None,
    phase: int | None = None,
    split_by: str | Sequence[str] | None = None,
    dtype: Literal["int16", "float32"] | None = None,
    clamp: bool = True,
    gaps: Literal["error", "fill", "interpolate"] = "error",
    step: float | None = None,
    rectify: bool = False,
    voxel: float | tuple[float, float, float] | None = None,
    like: Volume | None = None,
    interpolation: Interpolation = "linear",
    slices: slice | Side | None = None,
    box: Sequence[slice | Side] | None = None,
    orientation: str | None = None,
    truncated: Literal["error", "fill"] = "error",
    spacing: tuple[float, float, float] | None = None,
    unit: Literal["HU"] | None = None,
    out: NDArray[Any] | None = None,
    require_hounsfield: bool = False,
    require_plausible: bool = False,
    workers: int | None = None,
) -> Volume:
    """The volume of one series in a location.

    `array` (slices, rows, columns) in `unit`, slices ordered along row × column direction; `affine` (slice, row,
    column, 1) → LPS mm, exact under tilt.

    - `series`: UID (or its beginning), Series Number or description; needed when there are several
    - `phase`: which of several volumes in one series, from 0
    - `split_by`: keywords or tags by whose values the series is parted into volumes, or "gaps" for the slabs between
      gaps; by default what parts it is found
    - `dtype`: "int16": rounded to nearest and saturated, with counts and a warning in the report; "float32": exact;
      None: int16 for Hounsfield units, float32 for any other
    - `clamp`: values below −1024 HU become −1024
    - `gaps`: what of missing slices: "error"; "fill" with −1024; "interpolate" between neighbours
    - `step`: resample to this slice step in mm, whatever the spacing was
    - `rectify`: shift the slices of a tilted series in their planes until they stack upright
    - `voxel`: resample to voxels of so many mm, one length or (slice, row, column); or `like`: to the grid of another
      volume; `interpolation`: "linear", "nearest" or "cubic"
    - `slices`: these alone, (start, stop) or a slice; or `box`: a part of that grid, for slices, rows and columns. What
      lies outside is not read, unless something is resampled
    - `out`: an array of the volume's shape and type, contiguous, to be written into: the volume holds it
    - `orientation`: three letters such as "RAS", where columns, rows and slices rise to
    - `truncated`: what of files that end early: "error"; "fill" what is not there with −1024, listed in the report
    - `spacing`: (slice, row, column) mm for frames that have no place in the patient
    - `unit`: "HU": the values are Hounsfield units, whatever Rescale Type says; the report keeps what it said
    - `require_hounsfield`: `NotHounsfieldError` for values in another unit, instead of a volume that says so
    - `require_plausible`: the same for numbers that physics rules out (docs/trust.md); `report.plausibility` has the
      verdict without it, computed when asked for
    - `workers`: threads; None for one a core

    Raises `SelectionError` listing the choices, `GeometryError` naming the option that would load the slices,
    `MalformedError` and its kin for what cannot be read. PS3.3 C.7.6.2.1.1, C.11.1.1.2.
    """
    options = LoadOptions.of(
        dtype=dtype,
        clamp=clamp,
        gaps=gaps,
        step=step,
        rectify=rectify,
        voxel=voxel,
        like=like,
        interpolation=interpolation,
        slices=slices,
        box=box,
        orientation=orientation,
        truncated=truncated,
        spacing=spacing,
        unit=unit,
        require_plausible=require_plausible,
        workers=workers,
    )
    chosen = scan(with_pixels(as_location(location)), unit=unit, split_by=split_by).choose(series)
    if require_hounsfield and not chosen.unit.hounsfield:
        raise NotHounsfieldError(
            say("values are in {name}", name=chosen.unit.name),
            expected="HU",
            where=chosen.name,
            remedy=say(
                "{warning}; if they are HU all the same: unit='HU' (--unit HU)", warning=chosen.unit.warning
            ),
        )
    return chosen.load(options, phase=phase, out=out)


def _matches(series: Series, wanted: str) -> bool:
    facts = series.facts
    if wanted in (series.uid, f"{series.uid}#{series.part}", facts.get("SeriesNumber"), series.name):
        return True
    if wanted.lower() == facts.get("SeriesDescription", "").lower() != "":
        return True
    return len(wanted) > 3 and "." in wanted and series.uid.startswith(wanted)


def _begins(series: Series, wanted: str) -> bool:
    """Return whether the description begins with `wanted`, which has three letters at least; case does not matter."""
    description = series.facts.get("SeriesDescription", "").casefold()
    return len(wanted) >= 3 and description.startswith(wanted.casefold())


def _choice(series: Series, *, among: Sequence[Series] = ()) -> str:
    label = f"#{series.part}" if series.part else ""
    slices = "1 slice" if len(series.slices) == 1 else f"{len(series.slices)} slices"
    # Whose it is, where there are several patients to choose from.
    patients = {other.header.text("PatientID") for other in among}
    whose = f", Patient ID {printable(series.header.text('PatientID'))!r}" if len(patients) > 1 else ""
    return f"{series.name} ({slices}, {series.verdict}{whose}, {series.uid}{label})"


def is_remote(location: str | Path) -> bool:
    """Return whether reading the location goes over a network, so that pixels are fetched only on demand."""
    text = str(location)
    scheme, separator, _ = text.partition(":")
    # One letter before the colon is a Windows drive.
    return bool(separator) and len(scheme) > 1 and not Path(text).exists()
