"""The header that a CT reader must know of one instance before its pixels: a small typed view of it.

Values are kept as the little-endian bytes they were stored as and decoded when asked for, so that a hundred
thousand headers stay small; numbers are read leniently, and what was wrong is kept as a note. All other
attributes are pydicom's (`Instance.dataset`).
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from hounsfield.ct.instance.items import raw_value
from hounsfield.ct.instance.numbers import read_decimals, unreadable
from hounsfield.ct.instance.source import Source
from hounsfield.ct.instance.texts import decide_texts
from hounsfield.dicom.charsets import UTF8, decode_text, is_foreign
from hounsfield.dicom.decided_texts import AS_DECLARED, Decision, Text
from hounsfield.dicom.fast_walk import PixelElement
from hounsfield.dicom.vr import LOCALIZED, NUMBERS, TEMPORAL, dictionary_vr

if TYPE_CHECKING:
    from pydicom import Dataset

# Keyword → (tag, VR) of PS3.6, of the attributes that decide on selection, geometry or pixel values.
ATTRIBUTES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "SpecificCharacterSet": (0x00080005, "CS"),
        "ImageType": (0x00080008, "CS"),
        "SOPClassUID": (0x00080016, "UI"),
        "SOPInstanceUID": (0x00080018, "UI"),
        "StudyDate": (0x00080020, "DA"),
        "AcquisitionDate": (0x00080022, "DA"),
        "ContentDate": (0x00080023, "DA"),
        "AcquisitionDateTime": (0x0008002A, "DT"),
        "StudyTime": (0x00080030, "TM"),
        "AcquisitionTime": (0x00080032, "TM"),
        "ContentTime": (0x00080033, "TM"),
        "AccessionNumber": (0x00080050, "SH"),
        "Modality": (0x00080060, "CS"),
        "Manufacturer": (0x00080070, "LO"),
        "InstitutionName": (0x00080080, "LO"),
        "StudyDescription": (0x00081030, "LO"),
        "SeriesDescription": (0x0008103E, "LO"),
        "ManufacturerModelName": (0x00081090, "LO"),
        "PatientName": (0x00100010, "PN"),
        "PatientID": (0x00100020, "LO"),
        "PatientBirthDate": (0x00100030, "DA"),
        "PatientSex": (0x00100040, "CS"),
        "ContrastBolusAgent": (0x00180010, "LO"),
        "BodyPartExamined": (0x00180015, "CS"),
        "SliceThickness": (0x00180050, "DS"),
        "KVP": (0x00180060, "DS"),
        "SpacingBetweenSlices": (0x00180088, "DS"),
        "TriggerTime": (0x00181060, "DS"),
        "GantryDetectorTilt": (0x00181120, "DS"),
        "FilterType": (0x00181160, "SH"),
        "ConvolutionKernel": (0x00181210, "SH"),
        "SliceLocationVector": (0x00182005, "DS"),
        "PatientPosition": (0x00185100, "CS"),
        "MultienergyCTAcquisition": (0x00189361, "CS"),
        "StudyInstanceUID": (0x0020000D, "UI"),
        "SeriesInstanceUID": (0x0020000E, "UI"),
        "SeriesNumber": (0x00200011, "IS"),
        "AcquisitionNumber": (0x00200012, "IS"),
        "InstanceNumber": (0x00200013, "IS"),
        "ImagePositionPatient": (0x00200032, "DS"),
        "ImageOrientationPatient": (0x00200037, "DS"),
        "FrameOfReferenceUID": (0x00200052, "UI"),
        "TemporalPositionIdentifier": (0x00200100, "IS"),
        "ImageComments": (0x00204000, "LT"),
        "SamplesPerPixel": (0x00280002, "US"),
        "PhotometricInterpretation": (0x00280004, "CS"),
        "PlanarConfiguration": (0x00280006, "US"),
        "NumberOfFrames": (0x00280008, "IS"),
        "FrameIncrementPointer": (0x00280009, "AT"),
        "Rows": (0x00280010, "US"),
        "Columns": (0x00280011, "US"),
        "PixelSpacing": (0x00280030, "DS"),
        "BitsAllocated": (0x00280100, "US"),
        "BitsStored": (0x00280101, "US"),
        "HighBit": (0x00280102, "US"),
        "PixelRepresentation": (0x00280103, "US"),
        "PixelPaddingValue": (0x00280120, "US"),
        "PixelPaddingRangeLimit": (0x00280121, "US"),
        "FloatPixelPaddingValue": (0x00280122, "FL"),
        "DoubleFloatPixelPaddingValue": (0x00280123, "FD"),
        "FloatPixelPaddingRangeLimit": (0x00280124, "FL"),
        "DoubleFloatPixelPaddingRangeLimit": (0x00280125, "FD"),
        "BurnedInAnnotation": (0x00280301, "CS"),
        "WindowCenter": (0x00281050, "DS"),
        "WindowWidth": (0x00281051, "DS"),
        "RescaleIntercept": (0x00281052, "DS"),
        "RescaleSlope": (0x00281053, "DS"),
        "RescaleType": (0x00281054, "LO"),
        "LossyImageCompression": (0x00282110, "CS"),
        "ModalityLUTSequence": (0x00283000, "SQ"),
        "RealWorldValueMappingSequence": (0x00409096, "SQ"),
        "DetectorInformationSequence": (0x00540022, "SQ"),
        "Units": (0x00541001, "CS"),
        "DoseUnits": (0x30040002, "CS"),
        "GridFrameOffsetVector": (0x3004000C, "DS"),
        "DoseGridScaling": (0x3004000E, "DS"),
        "SharedFunctionalGroupsSequence": (0x52009229, "SQ"),
        "PerFrameFunctionalGroupsSequence": (0x52009230, "SQ"),
        "ExtendedOffsetTable": (0x7FE00001, "OV"),
        "ExtendedOffsetTableLengths": (0x7FE00002, "OV"),
    }
)
WANTED: dict[int, bytes] = {tag: vr.encode("ascii") for tag, vr in ATTRIBUTES.values()}
_AS_WRITTEN = TEMPORAL | {"DS", "IS"}
_BINARY = {**NUMBERS, "OV": NUMBERS["UV"]}
# Keyword → tag and whether its value is text that may be padded: a header of a scan is asked twenty times.
_TAGS = {keyword: (tag, vr not in _BINARY and vr != "AT") for keyword, (tag, vr) in ATTRIBUTES.items()}
_LOCALIZED = tuple(tag for tag, vr in ATTRIBUTES.values() if vr in LOCALIZED)
_CHARACTER_SET = ATTRIBUTES["SpecificCharacterSet"][0]


def _vr_of(tag: int) -> str:
    """The VR of a tag, by the table above first: the dictionary is pydicom's, whose import takes longer than a load."""
    return WANTED[tag].decode("ascii") if tag in WANTED else dictionary_vr(tag)


@dataclass(frozen=True, slots=True)
class Header:
    """Typed, lenient access to the attributes of `ATTRIBUTES`.

    `values` maps tag to little-endian value bytes (b"" for a sequence that is present); `transfer_syntax` is a
    UID; `pixels` says where the pixel element is in the stream that it was read from, None without one. `source`
    has the texts that are not here; `decided` is the character set where it is decided already, by whom read them.
    """

    values: Mapping[int, bytes]
    transfer_syntax: str
    pixels: PixelElement | None
    source: Source | None = field(default=None, compare=False, repr=False)
    decided: Decision | None = field(default=None, compare=False, repr=False)

    def __contains__(self, keyword: str) -> bool:
        return ATTRIBUTES[keyword][0] in self.values

    def raw(self, keyword: str) -> bytes | None:
        """The value's bytes without their padding; None when the attribute is absent."""
        tag, is_text = _TAGS[keyword]
        value = self.values.get(tag)
        return value.rstrip(b"\0 ") if is_text and value is not None else value

    def text(self, keyword: str) -> str:
        """A text value in the character set that the texts are in, "" when absent; undecodable bytes become U+FFFD."""
        raw = self.raw(keyword)
        if not raw:
            return ""
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").strip()
        tag, vr = ATTRIBUTES[keyword]
        if tag == _CHARACTER_SET:
            return raw.decode("latin-1").strip()
        return decode_text(raw, self.charset, person=vr == "PN").strip()

    @property
    def _declared(self) -> str:
        return self.values.get(_CHARACTER_SET, b"").decode("ascii", "replace").strip("\0 ")

    @property
    def charset(self) -> str:
        """The set that the bytes in `values` are in; UTF-8 where they were read in another before."""
        return self.character_set.of(self._declared) if self.decided is None else UTF8

    @property
    def character_set(self) -> Decision:
        """The character set that the texts are in, decided for all of the data set; read anew at each call."""
        if self.decided is not None:
            return self.decided
        declared = self._declared
        texts = [
            Text(value.rstrip(b"\0 "), declared, _vr_of(tag) == "PN")
            for tag, value in self.values.items()
            if is_foreign(value) and _vr_of(tag) in LOCALIZED
        ]
        return decide_texts(tuple(texts), declared, self.source) if texts else AS_DECLARED

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values of a multi-valued text attribute (PS3.5 6.4)."""
        text = self.text(keyword)
        return tuple(part.strip() for part in text.split("\\")) if text else ()

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """All values as finite floats; None when absent or empty. Raises `MalformedError` for what is no number."""
        tag, vr = ATTRIBUTES[keyword]
        raw = self.raw(keyword)
        numbers = _numbers(raw, vr) if raw else None
        if raw and numbers is None:
            raise unreadable(tag, raw.decode("latin-1") if vr not in _BINARY else raw.hex())
        return numbers

    def number(self, keyword: str, *, strict: bool = True) -> float | None:
        """The first value as a finite float, or None; unless `strict`, None too for what is no number."""
        raw = self.raw(keyword)
        numbers = self.numbers(keyword) if strict else _numbers(raw, ATTRIBUTES[keyword][1]) if raw else None
        return numbers[0] if numbers else None

    def integer(self, keyword: str, default: int | None = None) -> int | None:
        """The first value as an integer, `default` when absent or not a whole number.

        For what only orders or describes: values that decide on voxels are read by `numbers`.
        """
        raw = self.raw(keyword)
        if raw is None:
            return default
        if ATTRIBUTES[keyword][1] == "US" and len(raw) >= 2:
            return raw[0] | raw[1] << 8
        number = self.number(keyword, strict=False)
        return default if number is None or number != int(number) else int(number)

    def offsets(self, keyword: str) -> tuple[int, ...] | None:
        """The 64-bit entries of an Extended Offset Table attribute (PS3.3 C.7.6.3), exact."""
        raw = self.raw(keyword)
        return struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8]) if raw else None

    @property
    def has_several_frames(self) -> bool:
        """Return whether Number of Frames is above 1. Raises `MalformedError` where it is written and no
        whole number.
        """
        if ATTRIBUTES["NumberOfFrames"][0] not in self.values:
            return False
        number = self.number("NumberOfFrames")
        if number is not None and number != int(number):
            raise unreadable(ATTRIBUTES["NumberOfFrames"][0], self.text("NumberOfFrames"), "a whole number")
        return number is not None and number > 1

    @property
    def number_of_frames(self) -> int:
        """Number of Frames (0028,0008); 1 when absent or senseless."""
        if ATTRIBUTES["NumberOfFrames"][0] not in self.values:
            return 1
        frames = self.integer("NumberOfFrames", 1)
        return frames if frames is not None and frames > 0 else 1

    def sharing(self, other: Header) -> Header:
        """The same header, its values held in common with `other` where they are equal.

        Slices of one series differ in a dozen of some fifty attributes; a hundred thousand headers fit in memory
        when they hold the others once.
        """
        known = other.values
        values = {tag: known[tag] if known.get(tag) == value else value for tag, value in self.values.items()}
        return Header(values, self.transfer_syntax, self.pixels, self.source, self.decided)

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        transfer_syntax: str,
        pixels: PixelElement | None = None,
        *,
        wanted: Mapping[int, bytes] = WANTED,
        decided: Decision = AS_DECLARED,
    ) -> Header:
        """The same view of a header that pydicom read, or that came as DICOM JSON (PS3.18 F).

        `decided`: the character set by which its texts are read; here they are UTF-8.
        """
        values: dict[int, bytes] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns when a value is looked at
            for tag, vr in wanted.items():
                if tag in dataset:
                    encoded = _encode(dataset, tag, vr.decode("ascii"))
                    if encoded is not None:
                        values[tag] = encoded
        if values.get(_CHARACTER_SET) or any(not values.get(tag, b"").isascii() for tag in _LOCALIZED):
            values[_CHARACTER_SET] = b"ISO_IR 192"
        return cls(values, transfer_syntax, pixels, decided=decided)


@lru_cache(maxsize=1024)  # orientation, spacing and rescale are the same bytes on every slice of a series
def _numbers(raw: bytes, vr: str) -> tuple[float, ...] | None:
    try:
        if vr in _BINARY:
            size = struct.calcsize(_BINARY[vr])
            numbers = tuple(float(n) for n in struct.unpack(f"<{len(raw) // size}{_BINARY[vr]}", raw))
        else:
            numbers = read_decimals(raw.decode("latin-1")) or ()
    except (ValueError, struct.error):
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _encode(dataset: Dataset, tag: int, vr: str) -> bytes | None:
    """One element's value in the form that the fast walk gives; None when pydicom cannot make sense of it."""
    try:
        if vr == "SQ":
            return b"" if dataset[tag].value else None
        if vr in _AS_WRITTEN and (raw := raw_value(dataset, tag)) is not None:
            return raw  # pydicom converts, and drops what it cannot
        value = dataset[tag].value
        if value is None:
            return b""
        if vr in _BINARY or vr == "AT":
            return _encode_binary(value, vr)
        parts = value if isinstance(value, (list, tuple)) or _is_multivalue(value) else [value]
        text = "\\".join(_number_text(part) for part in parts)
        return text.encode("utf-8", "replace")
    except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element; it then counts as absent)
        return None


def _encode_binary(value: object, vr: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if vr == "AT":
        tags = value if _is_multivalue(value) else [value]
        return b"".join(struct.pack("<HH", int(tag) >> 16, int(tag) & 0xFFFF) for tag in tags)  # type: ignore[attr-defined]
    first = value[0] if _is_multivalue(value) else value  # type: ignore[index]
    if vr == "US":  # signed padding values share the cell: PS3.5 6.2 "US or SS"
        return struct.pack("<H", int(str(first).strip()) & 0xFFFF)
    return struct.pack(f"<{_BINARY[vr]}", first)


def _is_multivalue(value: object) -> bool:
    from pydicom.multival import MultiValue

    return isinstance(value, (list, tuple, MultiValue))


def _number_text(value: object) -> str:
    original = getattr(value, "original_string", None)  # DS and IS keep what was written (PN keeps bytes)
    return original if isinstance(original, str) else "" if value is None else str(value)
