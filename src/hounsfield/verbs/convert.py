"""Series → a folder of volumes, on one core or a cluster, with a result for each.

One series that cannot be converted never stops the others; each output appears whole or not at all; the ledger in
the folder has the result of each, and a second run does what is missing, changed or failed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from hounsfield.ct.geometry import Verdict
from hounsfield.ct.plausibility import Physics
from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.series.streaming import streams
from hounsfield.ct.volume import Volume
from hounsfield.dicom.extensions import named
from hounsfield.errors import OutputExistsError, UnsupportedError
from hounsfield.formats import Compression, bids, volume_format, write_series, write_volume
from hounsfield.language import say
from hounsfield.runs import Engine, Job, Place, Result, Status, Task, run_series, threads
from hounsfield.runs.place import what_is_there
from hounsfield.runs.report import Sample, preview
from hounsfield.segmentation import joined
from hounsfield.verbs.load import Scan
from hounsfield.verbs.masks import masks_of_series, write_labels
from hounsfield.verbs.save import headers_of, is_volume_file

if TYPE_CHECKING:
    from pydicom import Dataset


Sidecar = Literal["", "plain", "identity"]
"""Whether a JSON lies beside a volume, and whether it says whose it is."""


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
    name: str = "",
    sidecar: Sidecar = "",
) -> Iterator[Result]:
    """Write one volume for each CT series (one a phase) into `place`; yields the result of each, in no order.

    `place` comes from `runs.report.open_place`. `engine`: by default this process, one series at a time on all
    its cores. `all_modalities`: do not leave out what is not CT. `join_phases`: the phases of a series in one NIfTI.
    `like`, for DICOM: headers whose patient and study are written, by default those of each series itself.
    `masks`: locations of segments, whose labels are written beside each volume as `NAME.labels` and its suffix.
    `name`: a template of names (`runs.names.Template`). `sidecar`: "plain" or "identity": a JSON beside each.
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
        sidecar,
    )
    leave_out = _no_reason if all_modalities else reason_to_leave_out
    parameters = {**options.to_json(), "suffix": suffix, "level": compression.level}
    if join_phases:
        parameters["join_phases"] = True
    if like:
        parameters["like_study"] = str(like[0].get("StudyInstanceUID", ""))
    if masks:
        parameters |= {"masks": list(masks), "nearest": nearest}
    if sidecar:
        refuse_sidecar(suffix)
        parameters["sidecar"] = sidecar
    beside = ".json" if sidecar else ""
    task = Task(
        "volume", work, suffix, parameters, leave_out, by_phase=not join_phases, name=name, beside=beside
    )
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
    sidecar: Sidecar = ""

    def __call__(self, job: Job) -> Result:
        if self.join_phases and len(job.series.phases) > 1:
            return convert_joined(
                job.series,
                job.target,
                self.options,
                force=True,
                compression=self.compression,
                sidecar=self.sidecar,
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
            sidecar=self.sidecar,
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
    sidecar: Sidecar = "",
) -> Result:
    """Write one volume, slice by slice where format and options allow; with `masks` the labels beside it.

    `like`, for DICOM: headers whose patient and study are written; None: those of the series itself. `sidecar`: a
    JSON beside it, which says who it is with "identity". Raises what loading, reading masks and writing raise;
    `UnsupportedError` for labels beside slices of DICOM.
    """
    _refuse_sidecar_there(target, sidecar, force)
    if not masks and volume_format(target).streamer and streams(options):
        values = Sample()
        written = write_series(
            series, target, options, phase=phase, force=force, compression=compression, seen=values.add
        )
        _beside(series, written, target, sidecar, force, lambda: None)
        return result_of(series, written, values.array(), target=target)
    volume = series.load(options, phase=phase)
    target_format = volume_format(target)
    if like is None:
        like = headers_of(series) if target_format.sourced else ()
    heads, facts = like, {}
    if masks:
        # Labels first: a volume is never there without them.
        facts = _labels_beside(series, volume, target, masks, nearest, force)
    _beside(
        series,
        volume,
        target,
        sidecar,
        force,
        lambda: write_volume(volume, target, force=force, compression=compression, like=heads),
    )
    result = result_of(series, volume, target=target)
    warnings = (*result.facts["warnings"], *facts.pop("warnings", ()))
    return dataclasses.replace(result, facts={**result.facts, **facts, "warnings": warnings})


def _labels_beside(
    series: Series,
    volume: Volume,
    target: str | Path,
    masks: Sequence[str],
    nearest: bool | None,
    force: bool,
) -> dict[str, Any]:
    """Write `NAME.labels` beside a volume; what the result says of them."""
    target_format = volume_format(target)
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
    labels = write_labels(found, volume, f"{str(target)[: -len(suffix)]}.labels{suffix}", force=force)
    return {
        "labels": labels,
        "segments": [segment.to_json() for segment in found.segments],
        "warnings": tuple(f"{found.source}: {text}" for text in found.warnings),
    }


def convert_joined(
    series: Series,
    target: str | Path,
    options: LoadOptions,
    *,
    force: bool = False,
    compression: Compression | None = None,
    sidecar: Sidecar = "",
) -> Result:
    """Write all phases of a series into one NIfTI. Raises what loading and writing do."""
    _refuse_sidecar_there(target, sidecar, force)
    found = volume_format(target)
    if not found.joiner:
        raise UnsupportedError(
            say("{name} holds one volume", name=found.name),
            where=str(target),
            remedy="name it .nii.gz or .nii, or leave out --4d",
        )
    written = named(found.joiner)(series, target, options, force=force, compression=compression)
    _beside(series, written.volume, target, sidecar, force, lambda: None)
    result = result_of(series, written.volume, target=target)
    facts = {**result.facts, "shape": written.shape}
    if len(written.shape) > 3:
        several = say(
            "{count} volumes in one file, 4-D: nnU-Net, MONAI's loaders and many viewers take one a file; without --4d "
            "each has its own",
            count=written.shape[0],
        )
        facts["warnings"] = (*facts["warnings"], several)
    return dataclasses.replace(result, facts=facts)


def refuse_sidecar(suffix: str) -> None:
    """Raise `UnsupportedError` for a format whose own description has the name of the JSON."""
    if ".json" in volume_format(f"volume{suffix}").sidecars:
        raise UnsupportedError(
            say("--sidecar beside {suffix}", suffix=suffix),
            expected="a format without a .json of its own",
            remedy="leave --sidecar out: that .json has it",
        )


def _refuse_sidecar_there(target: str | Path, sidecar: Sidecar, force: bool) -> None:
    if sidecar and not force and what_is_there(path := bids.sidecar_path(target)):
        raise OutputExistsError(
            "exists already", where=path, remedy="give another name, or --force to replace it"
        )


def _beside(
    series: Series,
    volume: Volume,
    target: str | Path,
    sidecar: Sidecar,
    force: bool,
    write: Callable[[], object],
) -> None:
    """Write a volume, and the JSON beside it where one is asked for."""
    if not sidecar:
        write()
        return
    header = None if is_volume_file(series) else series.slices[0].instance.dataset()
    described = bids.sidecar(volume, header, identity=sidecar == "identity")
    bids.with_sidecar(target, described, force, write)


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
    if target is not None and volume.array.dtype == "int16" and not volume.is_hounsfield:
        cautions += (
            say(
                "whole numbers of another unit, {unit}: nothing in most files says they are no HU",
                unit=volume.unit,
            ),
        )
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
