"""Names of one of several volumes: "80 kV", "40 % of the cardiac cycle", each as a reason with its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hounsfield.ct.series.slices import Slice
from hounsfield.ct.series.traits import DIMENSION, GAPS, Trait, natural
from hounsfield.language.reasons import Reason, reason

_KEYS = {
    "NominalPercentageOfCardiacPhase": "phase-cardiac",
    "NominalPercentageOfRespiratoryPhase": "phase-respiratory",
    "TemporalPositionIndex": "phase-time",
    "TemporalPositionIdentifier": "phase-time",
    "TemporalPositionTimeOffset": "phase-seconds",
    "NominalCardiacTriggerDelayTime": "phase-delay",
    "ActualCardiacTriggerDelayTime": "phase-delay",
    "NominalRespiratoryTriggerDelayTime": "phase-delay",
    "TriggerTime": "phase-delay",
    "MonoenergeticEnergyEquivalent": "phase-energy",
    "KVP": "phase-voltage",
    "ConvolutionKernel": "phase-kernel",
    "ConvolutionKernelGroup": "phase-kernel",
    "ContrastBolusAgent": "phase-contrast",
    "SliceThickness": "phase-thickness",
    "ImageType": "phase-kind",
    "AcquisitionNumber": "phase-acquisition",
    "FrameAcquisitionNumber": "phase-acquisition",
    "SeriesDescription": "phase-words",
    "ImageComments": "phase-words",
    "FrameComments": "phase-words",
    "FrameLabel": "phase-words",
    "AcquisitionDateTime": "phase-clock",
    "FrameAcquisitionDateTime": "phase-clock",
    "FrameReferenceDateTime": "phase-clock",
    "AcquisitionTime": "phase-clock",
    "ContentTime": "phase-clock",
}
_ENERGY = "MonoenergeticEnergyEquivalent"
_WORDS = {"frame": "the order of frames in the file", GAPS: "the distance of slices"}
_ABSENT = {"ContrastBolusAgent": "phase-native"}
# Image Types of virtual monoenergetic images, whose KVP is an energy in keV.
_MONOENERGETIC = frozenset({"VMI", "MONOENERGETIC", "MONO", "VIRTUAL_MONO"})
_LONGEST = 40
_DATE_DIGITS = 8


def names_of(traits: Sequence[Trait], place: int, item: Slice) -> tuple[Reason, ...]:
    """Return what the traits say of the slice at `place`, one name for each."""
    is_monoenergetic = not _MONOENERGETIC.isdisjoint(item.plane.frame_type)
    return tuple(
        _name(replace(trait, keyword=_ENERGY), trait.values[place])
        if trait.keyword == "KVP" and is_monoenergetic
        else _name(trait, trait.values[place])
        for trait in traits
    )


def plain_names(traits: Sequence[Trait], place: int) -> tuple[Reason, ...]:
    """The same by attribute and whole value, where shorter names are those of several."""
    return tuple(
        reason("phase-other", value=trait.values[place] or "–", name=_attribute(trait.keyword))
        for trait in traits
    )


def range_name(trait: Trait, places: Sequence[int]) -> Reason:
    """Name slices at `places` that nothing but their order by this trait tells from others."""
    values = sorted((trait.values[place] for place in places), key=natural)
    if trait.keyword == "frame":
        first, last = (str(int(value) + 1) for value in (values[0], values[-1]))
        return reason("phase-frames", first=first, last=last)
    if trait.keyword == "InstanceNumber":
        return reason("phase-instances", first=values[0], last=values[-1])
    return _name(trait, values[0])


def attribute_name(keyword: str) -> str:
    """An attribute as PS3.6 names it, with its tag; the words given where it has none."""
    from hounsfield.dicom.dictionary import attribute, find_tag, written

    if keyword.startswith(DIMENSION):
        return f"dimension {keyword[len(DIMENSION) + 1 : -1]} of Dimension Index Values (0020,9157)"
    if keyword in _WORDS:
        return _WORDS[keyword]
    if keyword.startswith("("):
        return keyword
    tag = find_tag(keyword)
    return f"{attribute(tag).name.en} {written(tag)}"


def _name(trait: Trait, value: str) -> Reason:
    keyword = trait.keyword
    if keyword == GAPS:
        _, first, last = value.split("\\")
        return reason("phase-slab", first=first, last=last)
    if not value:
        key = _ABSENT.get(keyword, "phase-without")
        return reason(key, name=_attribute(keyword))
    shown = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    if keyword.startswith(DIMENSION):
        return reason("phase-dimension", dimension=keyword[len(DIMENSION) + 1 : -1], value=shown)
    key = _KEYS.get(keyword, "phase-other")
    if key == "phase-kind":
        shown = _differing(value, trait.values)
    elif key == "phase-clock":
        shown = _clock(value)
    elif key in ("phase-cardiac", "phase-respiratory", "phase-seconds", "phase-delay", "phase-energy"):
        number, _ = natural(value)
        shown = f"{number:g}" if number < float("inf") else shown
    if key == "phase-other":
        return reason(key, name=_attribute(keyword), value=shown)
    return reason(key, value=shown)


def _attribute(keyword: str) -> str:
    """The attribute as PS3.6 names it, a tag where nobody names it."""
    from hounsfield.dicom.dictionary import attribute, find_tag

    if keyword in _WORDS or keyword.startswith(("(", DIMENSION)):
        return _WORDS.get(keyword, keyword)
    return attribute(find_tag(keyword)).name.en


def _differing(value: str, values: Sequence[str]) -> str:
    """The parts of an Image Type that are not the same in all of them."""
    kinds = [kind.split("\\") for kind in dict.fromkeys(values)]
    parts = value.split("\\")
    words = [
        part
        for place, part in enumerate(parts)
        if len({kind[place] if place < len(kind) else "" for kind in kinds}) > 1
    ]
    return " ".join(words) or value


def _clock(value: str) -> str:
    """A Time or Date Time as a clock shows it (PS3.5 6.2), without its date."""
    digits, dot, fraction = value.partition(".")
    digits = digits.replace(":", "")
    if len(digits) > _DATE_DIGITS:
        digits = digits[_DATE_DIGITS:]
    if not digits.isdigit() or len(digits) != 6:
        return value
    fraction = fraction.rstrip("0")
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:]}" + (f"{dot}{fraction}" if fraction else "")
