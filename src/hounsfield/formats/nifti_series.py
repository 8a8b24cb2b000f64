"""Several volumes of one series as one NIfTI of four dimensions, axes (column, row, slice, phase).

A volume at a time is in memory. NIfTI has room for one step in time alone: names and times of all volumes are in the
header's extension, as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.series.times import phase_times
from hounsfield.ct.volume import Report, Volume
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.formats import buckets, volume_format
from hounsfield.formats.deflate import blocks, write_gzip, write_raw
from hounsfield.formats.description import Compression
from hounsfield.formats.nifti import nifti_header
from hounsfield.language import say
from hounsfield.language.reasons import reason
from hounsfield.outputs import whole_file

EVEN_TIME = 0.01  # share of the mean by which steps in time may differ to be called even
COMMENT = 6  # code of a NIfTI extension that is text
SAME_GRID = 0.01  # share of a voxel by which volumes may lie apart and still be on one grid


@dataclass(frozen=True)
class Phases:
    """The phases that were written: the first volume, its report for all of them; `count` volumes, their names and
    times (s).
    """

    volume: Volume
    names: tuple[str, ...]
    times: tuple[float, ...] | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(phases, slices, rows, columns)"""
        return (len(self.names), *self.volume.shape)


def write_phases(
    series: Series,
    path: str | Path,
    options: LoadOptions | None = None,
    *,
    force: bool = False,
    compression: Compression | None = None,
) -> Phases:
    """Write all phases of a series into one `.nii` or `.nii.gz`, on a disk or at an address in a bucket.

    Raises `GeometryError` where they are not on one grid, `UnsupportedError` for another suffix, and whatever loading
    raises; then nothing is written.
    """
    if not volume_format(path).joiner:
        raise UnsupportedError(
            "only NIfTI holds several volumes in one file", where=str(path), remedy="name it .nii.gz or .nii"
        )
    writing = _Writing(series, options or LoadOptions(), compression or Compression())
    if buckets.is_address(path):
        buckets.upload(str(path), writing.write, force=force)
    else:
        with whole_file(Path(path).absolute(), force=force) as temporary:
            writing.write(temporary, is_compressed=str(path).lower().endswith(".gz"))
    return writing.phases()


class _Writing:
    """The volumes one after the other, held against the first, and what is to be said of them all."""

    def __init__(self, series: Series, options: LoadOptions, compression: Compression) -> None:
        self.series, self.options, self.compression = series, options, compression
        self.names = tuple(phase.label for phase in series.phases)
        self.times = phase_times(series.phases) if len(series.phases) > 1 else None
        self.first: Volume | None = None
        self.reports: list[Report] = []

    def write(self, path: Path, *, is_compressed: bool | None = None) -> None:
        """Write the file; compressed where its name says so, or the caller who knows a better name."""
        with path.open("wb") as file:
            if path.name.lower().endswith(".gz") if is_compressed is None else is_compressed:
                write_gzip(file, self.blocks(), self.compression)
            else:
                write_raw(file, self.blocks())

    def blocks(self) -> Iterator[memoryview]:
        """Header, extension and voxels, as they are in the file."""
        for number in range(len(self.names)):
            volume = self.series.load(self.options, phase=number)
            self.reports.append(volume.report)
            if self.first is None:
                self.first = volume
                yield memoryview(self._start(volume))
            else:
                self._check(volume, number)
            yield from blocks(volume.array)

    def _check(self, volume: Volume, number: int) -> None:
        assert self.first is not None
        corner = np.array([*self.first.shape, 1]) - 1.0
        apart = np.abs(
            (volume.affine - self.first.affine) @ np.stack([np.eye(4)[3], [*corner[:3], 1]], axis=1)
        )
        if volume.shape != self.first.shape or apart.max() > SAME_GRID * min(self.first.spacing):
            raise GeometryError(
                say("{names} is not on the grid of {names2}", names=self.names[number], names2=self.names[0]),
                where=self.series.name,
                remedy="write them one by one, without --4d",
            )

    def _start(self, volume: Volume) -> bytes:
        """The header and its extension (NIfTI-1: a flag of four bytes, then size, code and text)."""
        header = nifti_header(volume)
        header.set_data_shape((*volume.shape[::-1], len(self.names)))
        header.set_zooms((*header.get_zooms()[:3], self._time_step()))
        header.set_xyzt_units("mm", "sec" if self.times else None)
        described: dict[str, Any] = {"phases": list(self.names)}
        if self.times is not None:
            described["times_s"] = list(self.times)
        text = json.dumps(described, ensure_ascii=False).encode()
        extension = nibabel.nifti1.Nifti1Extension(COMMENT, text)
        written = io.BytesIO()
        extension.write_to(written, False)
        header["vox_offset"] = header.sizeof_hdr + 4 + len(written.getvalue())
        return bytes(header.binaryblock) + b"\1\0\0\0" + written.getvalue()

    def _time_step(self) -> float:
        """Mean seconds from volume to volume; 0, which says nothing, where they do not follow each other."""
        steps = np.diff(self.times or ())
        return float(steps.mean()) if len(steps) and np.all(steps > 0) else 0.0

    def phases(self) -> Phases:
        """Return what was written."""
        assert self.first is not None
        steps = np.diff(self.times or ())
        notes: list[str] = []
        if len(steps) and not (np.all(steps > 0) and np.ptp(steps) <= EVEN_TIME * steps.mean()):
            notes.append(reason("uneven-times"))
        first = self.reports[0]
        report = replace(
            first,
            warnings=tuple(dict.fromkeys([*(w for each in self.reports for w in each.warnings), *notes])),
            **{
                name: sum(getattr(each, name) for each in self.reports)
                for name in ("padded", "clamped", "saturated", "rounded")
            },
        )
        return Phases(replace(self.first, report=report), self.names, self.times)
