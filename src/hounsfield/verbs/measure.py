"""The HU inside segments: of one series, or of every one of a location as a run with a ledger."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.volume import Volume
from hounsfield.language import say
from hounsfield.outputs import refuse_existing, whole_file
from hounsfield.runs import Engine, Job, Place, Result, Status, Task, run_series
from hounsfield.segmentation import Masks, Measured, Reference, recipe, tissues, to_seg, to_sr
from hounsfield.segmentation import measure as measure_masks
from hounsfield.verbs.masks import all_headers, masks_of_series

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIX = ".measure.json"
"""Of the result of each series in a recorded run."""


@dataclass(frozen=True)
class Measurement:
    """One series and its segments: those of `masks`, or tissues by threshold where there is none."""

    series: Series
    volume: Volume
    masks: tuple[Masks, ...]
    segments: tuple[tuple[str, Measured], ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the masks first, then of the volume."""
        return tuple(
            say("{source}: {text}", source=each.source, text=text)
            for each in self.masks
            for text in each.warnings
        ) + tuple(self.volume.report.warnings)

    def of_masks(self) -> Iterator[tuple[int, Measured]]:
        """Yield each segment with the place of its masks among `masks`; segments are in their order."""
        places = [place for place, each in enumerate(self.masks) for _ in each.segments]
        yield from zip(places, (found for _, found in self.segments), strict=True)

    def rows(self, *, histogram: bool = True) -> list[dict[str, Any]]:
        """A row for each segment, as JSON has it."""
        return [{"mask": source, **found.to_json(histogram=histogram)} for source, found in self.segments]

    def to_json(self) -> dict[str, Any]:
        """As JSON values: `segments`, and what they were measured in."""
        return {
            "series": self.series.name,
            "SeriesInstanceUID": self.series.uid,
            "unit": self.volume.unit,
            "shape": list(self.volume.shape),
            "masks": [each.source for each in self.masks],
            "segments": self.rows(),
            "warnings": list(self.warnings),
        }


def measure(
    series: Series,
    masks: Sequence[str | Path] = (),
    *,
    recipes: Sequence[str] = (),
    options: LoadOptions | None = None,
    phase: int | None = None,
    nearest: bool | None = None,
) -> Measurement:
    """The values of a series inside the segments of `masks`: locations of segmentations, structure sets, label maps.

    Without any, in body, lungs, other air and bone, by HU and connectivity. `recipes` by name; `nearest` as in
    `hounsfield.masks`. Raises what loading and reading masks raise, `SelectionError` for an unknown recipe.
    """
    rules = [recipe(name) for name in recipes]
    volume = series.load(options, phase=phase)
    found: list[Masks] = []
    for place in masks:
        found += masks_of_series(place, series, volume, nearest=nearest)
    if not masks:
        found = [tissues(volume)]
    segments = tuple(
        (each.source, measured) for each in found for measured in measure_masks(volume, each, recipes=rules)
    )
    return Measurement(series, volume, tuple(found), segments)


def write_report(found: Measurement, out: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write a measurement as a Structured Report (TID 1500) to `out`; the paths that were written.

    The report refers to segments of DICOM Segmentations: those that were measured, and for masks of other kinds one
    that is written beside it, `NAME.seg.dcm`, `NAME.seg2.dcm` … Raises what writing raises, `UnsupportedError` without
    highdicom, `OutputExistsError` without `force`.
    """
    headers = all_headers(found.series)
    written: dict[Path, Dataset] = {}
    references: dict[int, Reference] = {}
    numbers: dict[tuple[int, int], int] = {}
    for place, masks in enumerate(found.masks):
        numbers |= {(place, each.number): each.number for each in masks.segments}
        if masks.segmentation is not None:
            references[place] = masks.segmentation
            continue
        volume = found.series.load(LoadOptions(gaps="fill"))
        made = to_seg(masks, volume, headers, description=Path(masks.source).name)
        numbers |= {(place, each.number): at for at, each in enumerate(masks.segments, 1)}
        count = len(written) + 1
        written[out.with_name(f"{out.stem}.seg{count if count > 1 else ''}.dcm")] = made
        references[place] = Reference(
            made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID
        )
    measured = [
        (_numbered(each, numbers[place, each.segment.number]), references[place])
        for place, each in found.of_masks()
    ]
    written[out] = to_sr(measured, headers)
    for path in written:
        refuse_existing(path, force=force)
    for path, dataset in written.items():
        with whole_file(path, force=force) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)
    return tuple(written)


def _numbered(found: Measured, number: int) -> Measured:
    return replace(found, segment=replace(found.segment, number=number))


def measure_recorded(
    series: Iterable[Series],
    masks: Sequence[str],
    place: Place,
    engine: Engine,
    *,
    recipes: Sequence[str] = (),
    options: LoadOptions | None = None,
    nearest: bool | None = None,
    fail_fast: bool = False,
) -> Iterator[Result]:
    """The same for many series as a run with a ledger: a result as JSON for each (each phase), in no order."""
    for name in recipes:
        recipe(name)
    options = options or LoadOptions()
    known = {"masks": list(masks), "recipes": list(recipes), "nearest": nearest, "loading": asdict(options)}
    work = _Record(tuple(masks), tuple(recipes), options, nearest)
    task = Task("measure", work, SUFFIX, known, leave_out=_why_not)
    return run_series(series, task, place, engine, fail_fast=fail_fast)


def _why_not(series: Series) -> str:
    return "" if series.phases else "; ".join(series.reasons)


@dataclass(frozen=True)
class _Record:
    """The work of one process on a series; plain values, so that it pickles."""

    masks: tuple[str, ...]
    recipes: tuple[str, ...]
    options: LoadOptions
    nearest: bool | None

    def __call__(self, job: Job) -> Result:
        phase = job.phase if len(job.series.phases) > 1 else None
        found = measure(
            job.series,
            self.masks,
            recipes=self.recipes,
            options=self.options,
            phase=phase,
            nearest=self.nearest,
        )
        with whole_file(Path(job.target), force=True) as temporary:
            temporary.write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False), "utf-8")
        facts = {
            "verdict": found.volume.report.verdict,
            "shape": found.volume.shape,
            "unit": found.volume.unit,
            "warnings": found.warnings,
        }
        return Result(job.series.name, Status.DONE, facts=facts)


def write_csv(rows: Iterable[dict[str, Any]]) -> str:
    """One line a segment: every figure a column, recipes as `recipe.figure`."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in row.items():
        if key == "recipes":
            out |= {
                f"{name}.{figure}": number
                for name, known in value.items()
                for figure, number in known.items()
            }
        elif key in ("type", "category"):
            out[key] = _cell(value["meaning"])
        elif key != "histogram" and not isinstance(value, list):
            out[key] = _cell(value)
    return out


def _cell(value: Any) -> Any:
    # Text that a spreadsheet would take for a formula is led by an apostrophe.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
