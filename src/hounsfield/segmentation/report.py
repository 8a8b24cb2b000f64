"""A Structured Report of TID 1500 from what was measured, by highdicom (the extra `[masks]`).

Each segment is a group of volumetric measurements (TID 1411) that refers to its segment of a DICOM Segmentation.
"""

from __future__ import annotations

import math
import uuid
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.masks import Reference
from hounsfield.segmentation.measuring import Measured
from hounsfield.segmentation.writing import MAKER, in_unicode, load_highdicom, number_of

if TYPE_CHECKING:
    from pydicom import Dataset

_UNITS = {"HU": ("[hnsf'U]", "Hounsfield unit"), "GY": ("Gy", "gray")}
"""UCUM, by the unit of a volume."""
_OWN = "99HOUNSFIELD"
_DEVICE = uuid.uuid5(uuid.NAMESPACE_DNS, "hounsfield")

_DERIVATIONS = {
    "mean": ("373098007", "Mean"),
    "sd": ("386136009", "Standard Deviation"),
    "minimum": ("255605001", "Minimum"),
    "maximum": ("56851009", "Maximum"),
    "median": ("373099004", "Median"),
}
"""SNOMED CT, CID 3488: of Attenuation Coefficient (112031, DCM) or Absorbed Dose (128513, DCM)."""

_IBSI = {
    "variance": ("ECT3", "Intensity variance"),
    "skewness": ("KE2A", "Intensity skewness"),
    "kurtosis": ("IPH6", "(Excess) intensity kurtosis"),
    "p10": ("QG58", "10th intensity percentile"),
    "p90": ("8DWT", "90th intensity percentile"),
    "interquartile_range": ("SALO", "Intensity interquartile range"),
    "range": ("2OJQ", "Intensity range"),
    "mean_absolute_deviation": ("4FUA", "Intensity-based mean absolute deviation"),
    "robust_mean_absolute_deviation": ("1128", "Intensity-based robust mean absolute deviation"),
    "median_absolute_deviation": ("N72L", "Intensity-based median absolute deviation"),
    "energy": ("N8CA", "Intensity-based energy"),
    "root_mean_square": ("5ZWQ", "Root mean square intensity"),
    "entropy": ("TLU2", "Intensity histogram entropy"),
    "uniformity": ("BJ5W", "Intensity histogram uniformity"),
}
"""Codes of the IBSI reference manual, 3.3 and 3.4; other figures have codes of our own."""

_PURE = ("skewness", "kurtosis", "entropy", "uniformity")
_SQUARED = ("variance", "energy")


def to_sr(measured: Sequence[tuple[Measured, Reference]], sources: Sequence[Dataset]) -> Dataset:
    """A report of `measured`: each with the Segmentation whose segment of that number it is.

    `sources`: headers of the series that was measured. Raises `UnsupportedError` without highdicom, or for values in a
    unit that has no code here.
    """
    hd = load_highdicom()
    first = in_unicode(sources[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom has opinions on names of people
        series = str(first.SeriesInstanceUID)
        groups = [_group(hd, found, segmentation, series) for found, segmentation in measured]
        report = hd.sr.MeasurementReport(
            observation_context=hd.sr.ObservationContext(observer_device_context=_observer(hd)),
            procedure_reported=hd.sr.CodedConcept("25045-6", "LN", "CT unspecified body region"),
            imaging_measurements=groups,
            title=hd.sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
        )
        segmentations = {each.instance: _evidence(each) for _, each in measured}
        made: Dataset = hd.sr.Comprehensive3DSR(
            evidence=[first, *sources[1:], *segmentations.values()],
            content=report[0],
            series_number=number_of(first) + 1,
            series_instance_uid=hd.UID(),
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer=MAKER,
            is_complete=True,
            series_description="Measurements",
        )
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ManufacturerModelName, made.SoftwareVersions = MAKER, version("hounsfield")
    return made


def _observer(hd: Any) -> Any:
    return hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=f"2.25.{_DEVICE.int}", name="hounsfield", manufacturer_name=MAKER, model_name=MAKER
        ),
    )


def _evidence(reference: Reference) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = reference.sop_class, reference.instance
    made.SeriesInstanceUID, made.StudyInstanceUID = reference.series, reference.study
    return made


def _group(hd: Any, found: Measured, segmentation: Reference, series: str) -> Any:
    segment = found.segment
    kind = segment.kind
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(hd.UID(), segment.name),
        referenced_segment=hd.sr.ReferencedSegment(
            segmentation.sop_class,
            segmentation.instance,
            segment.number,
            source_series=hd.sr.SourceSeriesForSegmentation(series),
        ),
        finding_type=None if kind is None else hd.sr.CodedConcept(kind.value, kind.scheme, kind.meaning),
        measurements=list(_measurements(hd, found)),
    )


def _measurements(hd: Any, found: Measured) -> Iterator[Any]:
    if found.unit not in _UNITS:
        raise UnsupportedError(
            say("values in {unit} have no code in a report", unit=found.unit), expected="HU or Gy"
        )
    pure = hd.sr.CodedConcept("1", "UCUM", "no units")
    code, meaning = _UNITS[found.unit]
    unit = hd.sr.CodedConcept(code, "UCUM", meaning)
    squared = hd.sr.CodedConcept(f"{code}2", "UCUM", f"square {meaning}")
    quantity = hd.sr.CodedConcept(
        *(
            ("112031", "DCM", "Attenuation Coefficient")
            if found.unit == "HU"
            else ("128513", "DCM", "Absorbed Dose")
        )
    )
    facts = found.to_json(histogram=False)
    cubic = hd.sr.CodedConcept("cm3", "UCUM", "cubic centimeter")
    yield hd.sr.Measurement(hd.sr.CodedConcept("118565006", "SCT", "Volume"), facts["ml"], cubic)
    for name in ("voxels", "left_out"):
        yield hd.sr.Measurement(_own(hd, name), facts[name], pure)
    for name, value in facts.items():
        if name in _DERIVATIONS:
            derived, words = _DERIVATIONS[name]
            yield hd.sr.Measurement(
                quantity, value, unit, derivation=hd.sr.CodedConcept(derived, "SCT", words)
            )
        elif isinstance(value, float) and name != "ml":
            concept = (
                hd.sr.CodedConcept(_IBSI[name][0], "IBSI", _IBSI[name][1])
                if name in _IBSI
                else _own(hd, name)
            )
            yield hd.sr.Measurement(
                concept, value, pure if name in _PURE else squared if name in _SQUARED else unit
            )
    for recipe, figures in found.recipes.items():
        for name, value in figures.items():
            if not math.isnan(value):
                words = name if name.startswith(recipe) else f"{recipe} {name}"
                yield hd.sr.Measurement(_own(hd, words), value, _unit_of(hd, name, unit, pure))


def _unit_of(hd: Any, name: str, unit: Any, pure: Any) -> Any:
    """The unit of a recipe's figure, which its name ends in."""
    known = {
        "percent": ("%", "Percent"),
        "ml": ("cm3", "cubic centimeter"),
        "mm3": ("mm3", "cubic millimeter"),
        "l": ("g/L", "gram per liter"),
    }
    last = name.rsplit("_", 1)[-1]
    if last in ("hu", "mean"):
        return unit
    return hd.sr.CodedConcept(known[last][0], "UCUM", known[last][1]) if last in known else pure


def _own(hd: Any, name: str) -> Any:
    """A code of our own: the name in capitals (at most 16 characters, PS3.5 6.2), the meaning in words."""
    capitals = "".join(part[:5] for part in name.replace(" ", "_").upper().split("_"))[:16]
    return hd.sr.CodedConcept(capitals, _OWN, name.replace("_", " "))
