"""A volume in memory → a file or folder, in the words of the command: `volume.save(path, format=, like=)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.ct.series import Series
from hounsfield.ct.volume import Volume
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.formats import format_for, write_volume
from hounsfield.language import say
from hounsfield.locations.volumes import VolumeSlice
from hounsfield.verbs.load import scan

if TYPE_CHECKING:
    from pydicom import Dataset


def save(
    volume: Volume,
    path: str | Path,
    *,
    format: str | None = None,
    like: str | Path | Series | None = None,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write a volume; the paths that were written.

    - `path`: its suffix says the format
    - `format`: a keyword in place of a suffix, such as "dicom" (a folder of CT Images) or "enhanced" (one file)
    - `like`, for DICOM: a series or a location whose patient and study it is of; equipment and acquisition are given,
      too, where the volume was made of that series. Without it what `volume.header` says is written
    - `force`: replace what is there

    Raises `UnsupportedError` for a format that does not hold it, `OutputExistsError` without `force`.
    """
    found = format_for(path, format)
    if like is not None and not found.sourced:
        raise UnsupportedError(
            say("{name} names no patient and study", name=found.name),
            where=str(path),
            remedy="leave like= out",
        )
    series = like if isinstance(like, Series) or like is None else series_like(like, volume)
    headers = () if series is None else headers_of(series)
    return write_volume(volume, path, force=force, like=headers, format=format)


def headers_of(series: Series) -> Sequence[Dataset]:
    """The headers of its first and last slice, without pixels; none of a volume file, whose headers are made up."""
    if is_volume_file(series):
        return ()
    first, last = series.slices[0].instance, series.slices[-1].instance
    headers = [instance.dataset() for instance in ([first] if first is last else [first, last])]
    if any("SOPInstanceUID" not in each for each in headers):
        raise MalformedError("an instance without its UIDs", where=series.name)
    return headers


def is_volume_file(series: Series) -> bool:
    """Return whether the series is a NIfTI, NRRD and the like, in whose header there is no patient."""
    return isinstance(series.slices[0].instance.source, VolumeSlice)


def series_like(location: str | Path, volume: Volume | None = None) -> Series:
    """The series of a location that the volume was made of, where it is there; else any of its only study."""
    found = scan(location)
    uid = "" if volume is None else str(volume.header.get("SeriesInstanceUID", ""))
    own = [each for each in found.series if each.uid == uid]
    if own:
        return own[0]
    studies = {each.facts.get("StudyInstanceUID") for each in found.series}
    # Any series says whose study it is; where there are several studies, somebody has to choose.
    return found.series[0] if len(studies) == 1 else found.choose()
