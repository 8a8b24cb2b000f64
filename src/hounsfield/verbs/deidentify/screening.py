"""Screening of objects that may be de-identified by their attributes alone: an allow-list, since pixels are not looked
at.

What is on none of the lists is left out with its reason, unless the profile includes it by name: text may be in its
pixels, or what is in it is not known. Some kinds stay out in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.verbs.deidentify.matching import Matcher

if TYPE_CHECKING:
    from pydicom import Dataset

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE = f"{_STANDARD_ROOT}5.1.4.1.1."
CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        "2", "2.1", "2.2",  # CT, enhanced, legacy converted
        "128", "128.1", "130",  # PET, legacy converted, enhanced
        "4", "4.1", "4.3", "4.4",  # MR, enhanced, colour is not, legacy converted
        "20",  # nuclear medicine
        "30", "66.1", "66.2", "66.3", "66.4", "66.5", "66.7", "67",  # maps, registrations, segmentations
        "481.2", "481.3", "481.5", "481.8",  # RT dose, structures, plans
    )
)  # fmt: skip
"""SOP classes that may pass (PS3.4 B.5)."""

MODALITIES = frozenset({"CT", "PT", "MR", "NM", "SEG", "REG", "RWV", "RTDOSE", "RTSTRUCT", "RTPLAN", ""})
"""Modalities that may pass; where none is given, the class says enough."""

_LABELS = frozenset(_STORAGE + suffix for suffix in ("66.4", "66.5", "66.7", "481.2"))
"""Classes whose pixels are made by programs and show nothing else: segments, dose."""

_SAYS_WHETHER_BURNED_IN = frozenset(
    _STORAGE + suffix
    for suffix in ("1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "6.1", "6.2", "3.1", "7", "7.1", "7.2", "7.3", "7.4",
                   "12.1", "12.2", "12.1.1", "12.2.1")
)  # fmt: skip
"""Classes whose objects say whether text is burned in: those that do not are not believed to have none."""

_DRAWN_ON = re.compile(
    r"screen|capture|save|^(?!low).*dose( ?(info|report|rep|page|summary|sum|record))?$|report|summary|protocol|prot$"
    r"|text|exam ?info|patient ?info|results?$|ref ?surview|hard ?copy|print|snap|annot|graph|overview"
)
"""Words, signs as spaces, of which an Image Type or the description of a series says that its pixels are a page."""

_PAGES = re.compile(
    r"\b(?:screen ?(?:save|saver|shot|capture)s?|dose (?:report|info|page|summary|record|sheet)|patient protocol"
    r"|exam (?:summary|info|protocol)|snapshots?|capture[ds]?|secondary capture|key images?|report)\b"
)
_DOCUMENTS, _REPORTS, _PHOTOGRAPHS, _CAPTURES = (
    _STORAGE + suffix for suffix in ("104.", "88.", "77.1.", "7.")
)
_DIRECTORY = "1.2.840.10008.1.3.10"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an object should be left out, and the names by which it may be included all the same; () for never."""

    reason: str
    names: tuple[str, ...] = ()


def reason_to_leave_out(dataset: Dataset, include: frozenset[str], matcher: Matcher) -> str:
    """Why the object is left out; "" when its attributes are all there is to treat, or the profile includes it.

    What the reason quotes of the object names nobody: reasons lie beside the data.
    """
    wanted = frozenset(map(_plain, include))
    for objection in _objections(dataset, matcher):
        if not wanted.intersection(map(_plain, objection.names)):
            names = [name for name in objection.names[:1] if name and not matcher.finds(name)]
            return objection.reason + (f" (--include {_quoted(names[0])} lets it in)" if names else "")
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _objections(dataset: Dataset, matcher: Matcher) -> Iterator[Objection]:
    sop_class = str(dataset.get("SOPClassUID", "") or "").strip()
    yield from _by_nature(dataset, sop_class)
    yield from _by_class(sop_class, _text(dataset, "Modality"), matcher)
    yield from _by_burned_in(dataset, sop_class)
    yield from _by_image_type(dataset, matcher)
    if sop_class not in _LABELS and any(keyword in dataset for keyword in _PIXELS):
        yield from _by_capture(dataset, matcher)
    yield from _by_storage(dataset)


def _by_nature(dataset: Dataset, sop_class: str) -> Iterator[Objection]:
    if sop_class == _DIRECTORY:
        yield Objection("a directory of a file-set: it names the patients")
    if not dataset.get("SOPInstanceUID") or not dataset.get("StudyInstanceUID"):
        yield Objection("no SOP or Study Instance UID: not a composite object")
    if sop_class.startswith(_DOCUMENTS):
        yield Objection("an encapsulated document: what is in it is not looked at")


def _by_class(sop_class: str, modality: str, matcher: Matcher) -> Iterator[Objection]:
    if not sop_class:
        yield Objection("no SOP Class UID: what it is is not known", (modality,))
    elif sop_class not in CLASSES:
        name, keyword = _class(sop_class)
        if sop_class.startswith(_REPORTS):
            reason = f"a structured report ({name}): its text may name anybody"
        elif sop_class.startswith(_PHOTOGRAPHS):
            reason = f"a photograph or film ({name}): it may show a face or a label"
        elif f"{sop_class}.".startswith(_CAPTURES):
            reason = f"a Secondary Capture ({name}): text may be in its pixels"
        elif not sop_class.startswith(_STANDARD_ROOT):
            reason = "a private SOP class: what it is is not known"
        else:
            reason = f"{name}: not among the SOP classes that may pass"
        yield Objection(reason, (keyword or sop_class, sop_class, modality))
    if modality.upper() not in MODALITIES:
        named = "" if matcher.finds(modality) else f" {modality[:_LONGEST]}"
        yield Objection(
            f"Modality{named}: not among those that may pass", (modality, _class(sop_class)[1], sop_class)
        )


@lru_cache(maxsize=256)
def _class(sop_class: str) -> tuple[str, str]:
    from pydicom.uid import UID

    uid = UID(sop_class)
    return uid.name if uid.name != sop_class else "unknown", uid.keyword if uid.is_valid else ""


def _by_burned_in(dataset: Dataset, sop_class: str) -> Iterator[Objection]:
    burned_in = _text(dataset, "BurnedInAnnotation").upper()
    if burned_in == "YES":
        yield Objection("Burned In Annotation (0028,0301) is YES")
    elif burned_in != "NO" and (burned_in or sop_class in _SAYS_WHETHER_BURNED_IN):
        found = "missing on a class that should have it" if not burned_in else "neither YES nor NO"
        yield Objection(f"Burned In Annotation (0028,0301) is {found}; look at it and set it")


def _by_image_type(dataset: Dataset, matcher: Matcher) -> Iterator[Objection]:
    value = dataset.get("ImageType", None) or ()
    for kind in [value] if isinstance(value, str) else [str(each).strip() for each in value]:
        named = "" if matcher.finds(kind) else f" {kind[:_LONGEST]}"
        if _DRAWN_ON.search(_plain(kind)):
            yield Objection(f"Image Type says{named or ' so'}: text may be in its pixels", (kind,))
        elif not all(map(_is_word_of_type, re.findall(r"[^\W_]+", kind))):
            yield Objection(f"Image Type{named}: not among those that may pass", (kind,))


def _is_word_of_type(word: str) -> bool:
    return len(word) <= 3 or any(map(str.isdigit, word)) or word.casefold() in _words_of_types()


@lru_cache
def _words_of_types() -> frozenset[str]:
    text = files("hounsfield.verbs.deidentify").joinpath("image_types.txt").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.replace("_", " ").split())


def _by_capture(dataset: Dataset, matcher: Matcher) -> Iterator[Objection]:
    conversion = _text(dataset, "ConversionType")
    if conversion:
        named = "" if matcher.finds(conversion) else f" {conversion[:_LONGEST]}"
        yield Objection(f"Conversion Type{named}: made from a screen, a film or a drawing", (conversion,))
    for keyword in ("SeriesDescription", "ProtocolName"):
        page = _PAGES.search(_plain(_text(dataset, keyword)))
        if page:
            yield Objection(f'{keyword} says "{page[0]}": text may be in its pixels', (page[0],))
    is_ct = _text(dataset, "Modality") == "CT" or _text(dataset, "SOPClassUID").startswith(_STORAGE + "2")
    if is_ct and int(dataset.get("SamplesPerPixel", 1) or 1) > 1:
        yield Objection(
            "a colour image among CT (a dose page, a screenshot): text may be in its pixels", ("RGB",)
        )


def _by_storage(dataset: Dataset) -> Iterator[Objection]:
    """Yield where the pixels lie in a way that this cannot treat."""
    syntax = SYNTAXES.get(
        str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
    )
    has_pixels = any(keyword in dataset for keyword in _PIXELS)
    if not has_pixels and "Rows" in dataset and (0x07A1, 0x100A) in dataset:
        yield Objection("its pixels are in private attributes, which are removed; convert it first")
    if syntax is not None and syntax.encapsulated and _has_embedded_overlay(dataset):
        yield Objection("an overlay in the bits of compressed pixels; decompress it first")
    if syntax is not None and syntax.family in ("video", "jpip"):
        yield Objection(f"{syntax.name}: what else its stream holds is not looked at")


def _has_embedded_overlay(dataset: Dataset) -> bool:
    return any(
        (group, 0x0102) in dataset and (group, 0x3000) not in dataset for group in range(0x6000, 0x6020, 2)
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword, "")
    return str(value if isinstance(value, str) else value or "").strip()
