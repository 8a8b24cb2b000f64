"""Reasons and warnings about a series: every sentence once, under a key, so that each can be said in another language.

A `Reason` is its English sentence, a plain `str` to whoever prints it; its key and values go to the viewer, which has
the Chinese (`viewer/src/ui/reasons.ts`; a test holds both tables together). Not for errors, whose words are written
where they are raised: `unreadable` says of which kind one was.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from hounsfield.errors import (
    HounsfieldError,
    LocationError,
    MalformedError,
    NotDicomError,
    TruncatedError,
    UnsupportedError,
)
from hounsfield.language.sentences import Sentence

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # geometry
        "one-slice": "a single slice: the slice step is a convention (1 mm)",
        "one-position": "all {count} slices are at one position (bolus tracking or perfusion)",
        "repeats-one": "1 of {count} slices repeats a position",
        "repeats": "{repeated} of {count} slices repeat a position",
        "sideways": "slices shift sideways by up to {mm} mm from a straight line",
        "uneven": "slice steps vary from {least} to {most} mm",
        "drift": "slices drift by up to {mm} mm from an even grid",
        "missing-one": "1 slice is missing, at {places} mm along the normal",
        "missing": "{count} slices are missing, at {places} mm along the normal",
        "missing-more": "{count} slices are missing, at {places} and {more} more mm along the normal",
        "tilted": "tilted by {degrees}°: each slice lies ({step}) mm from the one before",
        "rounded-positions": "positions are rounded to few decimals: an even step of {mm} mm explains them all",
        # units
        "not-ct": "Modality is {modality}, not CT: values are not HU",
        "modified-hu": "Rescale Type is HU_MOD: modified Hounsfield units, as the scanner defines them",
        "unspecified": "Rescale Type is US (unspecified) on a CT: numbers kept as they are, not called HU",
        "other-unit": "Rescale Type is {unit}: another quantity than Hounsfield units, not clamped",
        "ct-class": "Modality is {modality} on a CT Image whose Rescale Type is HU: taken as a CT",
        "not-ct-class": "the SOP class is one of {kind}, not of CT: values are not called HU",
        "hu-class": "the SOP class is one of {kind}, but Rescale Type is HU: taken as HU",
        "hu-on-request": "taken as HU on request: the file says {unit}",
        "projected": "a localizer is a projection: its values are not HU",
        # conversion
        "rescale-missing": "{name} is missing: taken as {value}",
        "rescale-empty": "{name} is empty: taken as {value}",
        "rescale-senseless": "{name} is {written}: taken as {value}",
        "several-values": "{name} is {written}, where one value belongs: taken as the first, {value}",
        "rescale-differs": "Rescale differs between slices ({count} kinds): each slice by its own",
        "rounded": "{count} voxels were rounded to whole numbers; dtype='float32' keeps their fractions",
        "whole-here": "values are shown here as whole numbers; the volume as a file keeps their fractions",
        "airless": "does not look like HU: much of it is near 0 and nothing below −200, where air is; never shifted",
        "clamped": "{count} voxels ({share} %) lay below −1024 HU and were raised to it",
        "saturated": "{count} voxels do not fit int16 and were saturated; dtype='float32' keeps them",
        "saturated-few": "{count} voxels do not fit int16 and were saturated; dtype='float32' keeps them",
        "filled": "{count} missing slices hold padding, {mm} mm of the volume",
        "made-up": "{count} slices over {mm} mm were made up, between slices too far apart to tell",
        "left-out": "{count} of the series left out: {reason}",
        "left-out-few": "{count} of the series left out: {reason}",
        # placing
        "root-placed": "frames are placed by {source}: none has a position of its own",
        "frame-order": "frames without a position are in the order of the file",
        "instance-order": "slices without a position are in the order of their Instance Numbers (0020,0013)",
        "decimal-comma": "{name} is {written}, with a decimal comma: taken as {value}",
        "decimal-commas": "{name} is written with decimal commas: taken as points",
        "mapping": "no rescale: values by the Real World Value Mapping, in {unit}",
        "unread-order": "the Instance Number (0020,0013) of {count} slices is no whole number: these come first",
        "sign-missing": "Pixel Representation (0028,0103) is missing or senseless: taken as unsigned",
        "sign-missing-signed": "Pixel Representation (0028,0103) is missing or senseless: taken as signed",
        "stream-signed": "Pixel Representation (0028,0103) says unsigned, the codestream signed: taken as signed",
        "stream-unsigned": "Pixel Representation (0028,0103) says signed, the codestream unsigned: taken as unsigned",
        "stream-not-signed": "Pixel Representation (0028,0103) says signed, the codestream unsigned: taken as signed",
        "bits-signed": "Bits Stored (0028,0101) is {stored}, the codestream of {precision} bits: taken as signed",
        "bits-unsigned": "Bits Stored (0028,0101) is {stored}, the codestream of {precision} bits: taken as unsigned",
        # characters, which no number depends on
        "character-set": "texts are read as {used}: they are not in the character set they declare, {declared}",
        "text-length": "the length of {name} counts characters, not bytes: read on at the next element that can be one",
        "character-set-missing": "texts are read as {used}: no character set is declared (0008,0005)",
        "character-set-unknown": "texts are not in the character set they declare, {declared}, nor in one that "
        "can be told: say which with --charset",
        "character-set-unnamed": "texts are beyond ASCII, no character set is declared (0008,0005), and none can be "
        "told: say which with --charset",
        # a series as a whole
        "shared-uid": "{count} different values of {name} under one Series Instance UID: told apart",
        "no-series-uid": "no Series Instance UID (0020,000E): grouped by patient, study, number and description",
        "localizer": "a localizer: a projection, not slices",
        "no-position": "no Image Position (Patient) (0020,0032)",
        "no-frame-position": "Image Position (Patient) (0020,0032) is of the first frame alone, and no step is given",
        "no-orientation": "no Image Orientation (Patient) (0020,0037)",
        "no-spacing": "no Pixel Spacing (0028,0030)",
        "orientation": "Image Orientation (Patient) {orientation} is not two perpendicular unit vectors",
        "frames-of-reference": "{count} different Frame of Reference UIDs in one series: taken as one frame",
        "image-types": "{count} different Image Types (0008,0008) in one volume",
        "dropped-one": "1 slice repeats another one's position and pixels: dropped",
        "dropped": "{count} slices repeat another one's position and pixels: dropped",
        "by-order": "volumes at the same positions are told apart by {name} alone: in that order",
        "uneven-times": "volumes do not follow each other at one step in time: NIfTI's extension holds each time",
        "by-hand": "{name} is the same on all slices: it parts nothing",
        "along": "{name} changes along the volume (slices from 1): {pattern}",
        "alternates": "{name} alternates from slice to slice: {pattern}",
        "unlike": "{name} differs between slices of one volume: {pattern}",
        # one of several volumes
        "phase-cardiac": "{value} % of the cardiac cycle",
        "phase-respiratory": "{value} % of the respiratory cycle",
        "phase-time": "time {value}",
        "phase-seconds": "{value} s",
        "phase-delay": "{value} ms after the trigger",
        "phase-energy": "{value} keV",
        "phase-voltage": "{value} kV",
        "phase-kernel": "kernel {value}",
        "phase-contrast": "contrast {value}",
        "phase-native": "no contrast agent",
        "phase-thickness": "{value} mm thick",
        "phase-kind": "{value}",
        "phase-acquisition": "acquisition {value}",
        "phase-words": "{value}",
        "phase-clock": "at {value}",
        "phase-dimension": "dimension {dimension}: {value}",
        "phase-frames": "frames {first} to {last}",
        "phase-instances": "instances {first} to {last}",
        "phase-slab": "{first} to {last} mm",
        "phase-without": "no {name}",
        "phase-other": "{name}: {value}",
        # what is left out of it
        "among-slices": "a localizer in the series",
        "other-matrix": "matrix {matrix}, the volume's is {volume}",
        "has-position": "has a position, others do not",
        "other-orientation": "another Image Orientation (Patient) than the volume's",
        "other-spacing": "another Pixel Spacing than the volume's",
        "other-class": "another SOP Class than the volume's",
        "repeats-slice": "repeats position and pixels of {name}",
        "damaged-image": "a damaged or cut {kind}: no Rows (0028,0010) and Columns in it",
        "no-image": "no image: {kind}",
        "no-class": "no image: an object without SOP Class UID",
        "colour": "a colour image ({kind}): its values are not HU",
        "samples": "a colour image ({count} samples per pixel): its values are not HU",
        "capture-ct": "a Secondary Capture with the place and unit of a CT: taken if its series is named (--series)",
        "capture-taken": "Secondary Captures with the place and unit of a CT: taken as one on request",
        "capture": "a Secondary Capture: its values are not HU",
        "capture-kind": "a Secondary Capture ({kind}): its values are not HU",
    }
)
"""Key → the English sentence, values in braces."""

UNREADABLE: Mapping[type[HounsfieldError], str] = MappingProxyType(
    {
        NotDicomError: "unreadable-foreign",
        TruncatedError: "unreadable-cut",
        MalformedError: "unreadable-malformed",
        UnsupportedError: "unreadable-unsupported",
        LocationError: "unreadable-place",
        HounsfieldError: "unreadable",
    }
)
"""Kinds of errors by which an object is left out, the nearest first; their sentence is the error's own."""


class Reason(Sentence):
    """A sentence under a key of `REASONS`."""

    key: str

    def __new__(cls, text: str, key: str = "", values: Mapping[str, str] | None = None) -> Self:
        made = super().__new__(cls, text, REASONS.get(key, ""), values)
        made.key = key
        return made


def reason(key: str, **values: object) -> Reason:
    """Return the sentence under `key` with `values` in it. `KeyError` for one that is not in the catalogue."""
    texts = {name: each if isinstance(each, str) else str(each) for name, each in values.items()}
    return Reason(REASONS[key].format(**texts), key, texts)


def unreadable(error: HounsfieldError, text: str | None = None) -> Reason:
    """An error as the reason why an object is left out; `text` where it is not to be the error's `found`."""
    key = next(key for kind, key in UNREADABLE.items() if isinstance(error, kind))
    return Reason(error.found if text is None else text, key)
