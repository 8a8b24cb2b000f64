"""Series → a folder of volumes, on one core or a cluster, with a result for each.

One series that cannot be converted never stops the others; each output appears whole or not at all; the ledger in
the folder has the result of each, and a second run does what is missing, changed or failed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hounsfield.ct.geometry import Verdict
from hounsfield.ct.plausibility import Physics
from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.series.streaming import streams
from hounsfield.ct.volume import Volume
from hounsfield.dicom.extensions import named
from hounsfield.errors import UnsupportedError
from hounsfield.formats import Compression, volume_format, write_series, write_volume
from hounsfield.language import say
from hounsfield.runs import Engine, Job, Place, Result, Status, Task, run_series, threads
from hounsfield.runs.report import Sample, preview
from hounsfield.segmentation import joined
from hounsfield.verbs.load import Scan
from hounsfield.verbs.masks import masks_of_series, write_labels
from hounsfield.verbs.save import headers_of

if TYPE_CHECKING:
    from pydicom import Dataset


def convert_all(
    scan: Scan,
    place: Place,
    *,
    suffix: str = ".nii.gz",
    options: LoadOptions | None = None,
    compression: Compression | None = None,
    engine: Engine | None = None,
    fail_fast: bool = False,
    all_modalities: bool = False,
    join_phases: bool = False,
    like: Sequence[Dataset] | None = None,
    masks: Sequence[str] = (),
    nearest: bool | None = None,
) -> Iterator[Result]:
    """Write one volume for each CT series (one a phase) into `place`; yields the result of each, in no order.

    `place` comes from `runs.report.open_place`. `engine`: by default this process, one series at a time on all
    its cores. `all_modalities`: do not leave out what is not CT. `join_phases`: the phases of a series in one NIfTI.
    `like`, for DICOM: headers whose patient and study are written, by default those of each series itself.
    `masks`: locations of segments, whose labels are written beside each volume as `NAME.labels` and its suffix.
    """
    engine = engine or threads()
    options, compression = options or LoadOptions(), compression or Compression()
    work = _Convert(
        dataclasses.replace(options, workers=engine.cores),
        dataclasses.replace(compression, threads=engine.cores),
        join_phases,
        None if like is None else tuple(like),
        tuple(masks),
        nearest,
    )
    leave_out = _no_reason if all_modalities else reason_to_leave_out
    parameters = {**options.to_json(), "suffix": suffix, "level": compression.level}
    if join_phases:
        parameters["join_phases"] = True
    if like:
        parameters["like_study"] = str(like[0].get("StudyInstanceUID", ""))
    if masks:
        parameters |= {"masks": list(masks), "nearest": nearest}
    task = Task("volume", work, suffix, parameters, leave_out, by_phase=not join_phases)
    return run_series(scan.series, task, place, engine, fail_fast=fail_fast)


@dataclass(frozen=True)
class _Convert:
    """The work on a series; plain values, so that it pickles."""

    options: LoadOptions
    compression: Compression
    join_phases: bool
    like: tuple[Dataset, ...] | None = None
    masks: tuple[str, ...] = ()
    nearest: bool | None = None

    def __call__(self, job: Job) -> Result:
        if self.join_phases and len(job.series.phases) > 1:
            return convert_joined(
                job.series, job.target, self.options, force=True, compression=self.compression
            )
        return convert(
            job.series,
            job.target,
            self.options,
            force=True,
            compression=self.compression,
            like=self.like,
            masks=self.masks,
            nearest=self.nearest,
        )


def convert(
    series: Series,
    target: str | Path,
    options: LoadOptions,
    *,
    phase: int | None = None,
    force: bool = False,
    compression: Compression | None = None,
    like: Sequence[Dataset] | None = None,
    masks: Sequence[str] = (),
    nearest: bool | None = None,
) -> Result:
    """Write one volume, slice by slice where format and options allow; with `masks` the labels beside it.

    `like`, for DICOM: headers whose patient and study are written; None: those of the series itself. Raises what
    loading, reading masks and writing raise; `UnsupportedError` for labels beside slices of DICOM.
    """
    if not masks and volume_format(target).streamer and streams(options):
        values = Sample()
        written = write_series(
            series, target, options, phase=phase, force=force, compression=compression, seen=values.add
        )
        return result_of(series, written, values.array(), target=target)
    volume = series.load(options, phase=phase)
    target_format = volume_format(target)
    if like is None:
        like = headers_of(series) if target_format.sourced else ()
    if not masks:
        write_volume(volume, target, force=force, compression=compression, like=like)
        return result_of(series, volume, target=target)
    if target_format.sourced:
        raise UnsupportedError(
            say("labels are not written beside {name}", name=target_format.name),
            where=str(target),
            remedy="write them as DICOM: hounsfield masks X OUT --on SCAN --to seg",
        )
    found = joined(
        [each for place in masks for each in masks_of_series(place, series, volume, nearest=nearest)]
    )
    suffix = next(end for end in target_format.suffixes if str(target).lower().endswith(end))
    # Labels first: a volume is never there without them.
    labels = write_labels(found, volume, f"{str(target)[: -len(suffix)]}.labels{suffix}", force=force)
    write_volume(volume, target, force=force, compression=compression)
    result = result_of(series, volume, target=target)
    facts: dict[str, Any] = {
        "labels": labels,
        "segments": [segment.to_json() for segment in found.segments],
        "warnings": (*result.facts["warnings"], *(f"{found.source}: {text}" for text in found.warnings)),
    }
    return dataclasses.replace(result, facts={**result.facts, **facts})


def convert_joined(
    series: Series,
    target: str | Path,
    options: LoadOptions,
    *,
    force: bool = False,
    compression: Compression | None = None,
) -> Result:
    """Write all phases of a series into one NIfTI. Raises what loading and writing do."""
    found = volume_format(target)
    if not found.joiner:
        raise UnsupportedError(
            say("{name} holds one volume", name=found.name),
            where=str(target),
            remedy="name it .nii.gz or .nii, or leave out --4d",
        )
    written = named(found.joiner)(series, target, options, force=force, compression=compression)
    result = result_of(series, written.volume, target=target)
    return dataclasses.replace(result, facts={**result.facts, "shape": written.shape})


def result_of(
    series: Series,
    volume: Volume,
    values: NDArray[Any] | None = None,
    *,
    target: str | Path | None = None,
) -> Result:
    """The result for an output made of a volume. `values`: a sample, where the array does not hold them; `target`:
    the file or folder of a volume, of whose format something may have to be said.
    """
    cautions = () if target is None else volume_format(target).cautions_of(volume)
    report = volume.report.to_json()
    judged = volume.report.plausibility
    cannot_be = (
        (f"the numbers cannot be HU: {judged.sentences()[0]}",)
        if judged is not None and judged.verdict is Physics.IMPLAUSIBLE
        else ()
    )
    facts = {
        "verdict": volume.report.verdict,
        "shape": volume.shape,
        "unit": volume.unit,
        "counts": {name: report[name] for name in ("padded", "clamped", "saturated", "rounded")},
        "warnings": (*cannot_be, *volume.report.warnings, *cautions),
        "plausibility": None if judged is None else str(judged.verdict),
        "preview": preview(volume, values),
    }
    return Result(series.name, Status.DONE, facts=facts)


def reason_to_leave_out(series: Series) -> str:
    """Why a series is no CT volume by its nature; "" when it should become one."""
    modality = series.header.text("Modality")
    if modality not in ("CT", ""):
        return f"Modality is {modality}, not CT; choose it with --series to convert it all the same"
    if series.slices[0].is_localizer and series.verdict is Verdict.NOT_A_VOLUME:
        return series.reasons[0]
    return ""


def _no_reason(_: Series) -> str:
    return ""
