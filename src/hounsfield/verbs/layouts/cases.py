"""Cases of a data set: a volume of one series each, its labels under numbers that mean the same in every case."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.instance import Skipped
from hounsfield.ct.plausibility import Physics
from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.runs.names import UNKNOWN, safe
from hounsfield.segmentation import Masks, joined
from hounsfield.segmentation.found import FoundMasks
from hounsfield.verbs.load import Scan, instances
from hounsfield.verbs.masks import find_masks, masks_of_series, read_found

_FACTS = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "KVP")


@dataclass(frozen=True)
class Case:
    """One volume of a data set. `patient` and `id` are fit for names; `image` and `label` paths in the data set.

    `facts`: what the card counts; `digest`: equal for equal values at equal places.
    """

    id: str
    patient: str
    series: str
    uid: str
    digest: str
    facts: dict[str, Any]
    image: str = ""
    label: str = ""


@dataclass
class Labels:
    """The numbers of segments by name, 1 … as they are met; the same name has the same number in every case."""

    numbers: dict[str, int] = field(default_factory=dict)

    def renumbered(self, masks: Masks) -> NDArray[Any]:
        """The label array of one case, uint8 or uint16, under the numbers of the data set.

        Raises `GeometryError` for segments that overlap, since a voxel has one label.
        """
        if len(masks.layers) > 1:
            raise GeometryError(
                "segments that overlap",
                expected="one label a voxel",
                where=masks.source,
                remedy="write them apart, one --mask for each data set",
            )
        for segment in masks.segments:
            self.numbers.setdefault(segment.name, len(self.numbers) + 1)
        highest = max((segment.number for segment in masks.segments), default=0)
        table = np.zeros(max(highest, int(masks.labels.max())) + 1, np.uint16)
        for segment in masks.segments:
            table[segment.number] = self.numbers[segment.name]
        made = table[masks.labels]
        return made.astype(np.uint8) if made.max(initial=0) < 256 else made


class Drawn:
    """Segmentations by the series that they refer to: those beside the scan, and those of `places`."""

    def __init__(self, scan: Scan, places: Sequence[str], *, nearest: bool | None) -> None:
        self.places, self.nearest = places, nearest
        found: list[FoundMasks] = list(scan.masks) if not places else []
        self.files: list[str] = []
        for place in places:
            held: list[Skipped] = []
            read = find_masks(instances(place, skipped=held))
            found += read
            if not read:
                self.files.append(place)
        self.by_series: dict[str, list[FoundMasks]] = {}
        for each in found:
            self.by_series.setdefault(each.referenced_series(), []).append(each)
        self.count = len(scan.series)

    def of(self, series: Series, volume: Volume) -> Masks | None:
        """The segments of a series on the grid of its volume; None where there are none. Raises what reading does."""
        own = [read_found(each, volume, self.nearest) for each in self.by_series.get(series.uid, ())]
        if self.files and self.count > 1:
            raise UnsupportedError(
                say("{file} does not say of which series it is", file=self.files[0]),
                expected="DICOM SEG or RTSTRUCT, which do",
                remedy="choose one series with --series",
            )
        for place in self.files:
            own += masks_of_series(place, series, volume, nearest=self.nearest)
        return joined(own) if own else None


def parts(scan: Scan) -> Iterator[tuple[Series, int | None]]:
    """Every volume of a scan, in the order of patients, studies and series: its phase where there are several."""
    order = sorted(
        scan.series,
        key=lambda each: (
            each.facts.get("PatientID", ""),
            each.facts.get("StudyDate", ""),
            each.header.integer("SeriesNumber", 0) or 0,
            each.uid,
            each.part,
        ),
    )
    for series in order:
        if len(series.phases) > 1:
            yield from ((series, phase) for phase in range(len(series.phases)))
        else:
            yield series, None


def loaded(series: Series, phase: int | None, options: LoadOptions) -> Volume:
    """The volume of a case. Raises what loading raises, and `GeometryError` for a tilt, which SimpleITK refuses."""
    if series.header.text("Modality") not in ("CT", ""):
        raise UnsupportedError(
            say("Modality is {modality}", modality=series.header.text("Modality")), expected="CT"
        )
    volume = series.load(options, phase=phase)
    if volume.is_sheared:
        raise GeometryError(
            say("tilted by {degrees}°", degrees=f"{volume.tilt_degrees:.1f}"),
            expected="a grid with right angles, which ITK reads",
            remedy="make it upright: --rectify",
        )
    return volume


def case_of(series: Series, phase: int | None, volume: Volume, taken: set[str]) -> Case:
    """The case of a volume, its name not among `taken`, which it joins."""
    patient = patient_key(series)
    words = [patient, series.facts.get("SeriesNumber", "") or series.uid[-6:]]
    words += [] if phase is None else [f"phase{phase}"]
    plain = safe("_".join(words))[:80]
    name, number = plain, 1
    while name.casefold() in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name.casefold())
    judged = volume.report.plausibility
    facts: dict[str, Any] = {keyword: series.header.text(keyword) or UNKNOWN for keyword in _FACTS}
    facts |= {
        "shape": list(volume.shape),
        "spacing": [round(mm, 4) for mm in volume.spacing],
        "unit": volume.unit,
        "verdict": volume.report.verdict,
        "plausibility": None if judged is None else str(judged.verdict),
        "implausible": judged is not None and judged.verdict is Physics.IMPLAUSIBLE,
        "warnings": [str(text) for text in volume.report.warnings],
    }
    return Case(name, patient, series.name, series.uid, _digest(volume), facts)


def patient_key(series: Series) -> str:
    """The patient as part of a name: Patient ID, or the end of the Study Instance UID where it is empty."""
    known = safe(series.facts.get("PatientID", ""))
    return known or f"{UNKNOWN}{series.facts.get('StudyInstanceUID', series.uid)[-6:]}".replace(".", "")


def unique_subjects(cases: Iterable[Case]) -> dict[str, str]:
    """Patient → `sub-` label of letters and digits (BIDS), each its own."""
    made: dict[str, str] = {}
    for case in cases:
        if case.patient in made:
            continue
        label = re.sub(r"[^A-Za-z0-9]", "", case.patient)
        if not label or label.casefold() in {each.casefold() for each in made.values()}:
            label += hashlib.sha256(case.patient.encode()).hexdigest()[:8]
        made[case.patient] = label
    return made


def folds(cases: Sequence[Case], count: int = 5) -> list[list[str]]:
    """Case names of each fold: a patient is in one alone; none where there is one patient."""
    patients = sorted(
        {case.patient for case in cases}, key=lambda each: hashlib.sha256(each.encode()).hexdigest()
    )
    count = min(count, len(patients))
    if count < 2:
        return []
    place = {patient: number % count for number, patient in enumerate(patients)}
    return [[case.id for case in cases if place[case.patient] == fold] for fold in range(count)]


def placed(case: Case, image: str, label: str) -> Case:
    """The case with the paths of its files."""
    return replace(case, image=image, label=label)


def _digest(volume: Volume) -> str:
    made = hashlib.sha256(volume.affine.tobytes())
    for plane in volume.array:
        made.update(np.ascontiguousarray(plane).data)
    return made.hexdigest()


def reason_of(error: HounsfieldError, series: Series) -> str:
    """Why a series was left out, without its name in front."""
    return str(error).removeprefix(f"{series.name}: ")
