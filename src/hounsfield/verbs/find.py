"""Studies, series or instances that match, wherever they are: asked of a server, or read from files.

One query language for both, that of DICOMweb (`dicomweb.queries`, `dicomweb.matching`). Rows are DICOM JSON with an
`address` that other verbs take.
"""

from __future__ import annotations

import calendar
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hounsfield.attributes.header_text import element_of, text_member
from hounsfield.ct.instance import Instance, Skipped
from hounsfield.dicom.charsets import is_foreign
from hounsfield.dicom.dictionary import attribute
from hounsfield.dicom.vr import BYTES
from hounsfield.dicomweb.attributes import canonical, tag_path
from hounsfield.dicomweb.dicom_json import Model, from_dataset
from hounsfield.dicomweb.matching import matches
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.locations import Found, Level, Location, Searchable, as_location
from hounsfield.locations.addresses import address_of
from hounsfield.locations.headers import read_headers

LEVELS: tuple[Level, ...] = ("study", "series", "instance")

FIELDS: dict[Level, tuple[str, ...]] = {
    "study": (
        *(
            "PatientName",
            "PatientID",
            "StudyDate",
            "ModalitiesInStudy",
            "StudyDescription",
            "AccessionNumber",
        ),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "StudyInstanceUID"),
    ),
    "series": (
        *("PatientName", "PatientID", "StudyDate", "Modality", "SeriesNumber", "SeriesDescription"),
        *("NumberOfSeriesRelatedInstances", "SeriesInstanceUID", "StudyInstanceUID"),
    ),
    "instance": (
        *("Modality", "SeriesNumber", "InstanceNumber", "Rows", "Columns", "SOPClassUID"),
        *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    ),
}
"""Columns of a row, which a server is asked for."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_NOT_PLAIN = BYTES | {"SQ"}
"""VRs of elements that the quick walk over a header does not tell."""

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # PS3.6 A: a DICOMDIR, or a DIRFILE of some makers


def find(
    location: str | Path | Location,
    *,
    level: Level = "study",
    filters: Mapping[str, object] | None = None,
    fields: Iterable[str] = (),
    fuzzy: bool | None = None,
    limit: int | None = None,
    skipped: list[Skipped] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Found]:
    """Find what at `location` matches `filters` (`{keyword: value}`, all kinds of DICOM matching), one by one.

    `fields` adds attributes to those of `FIELDS`; `fuzzy` matches names by the beginnings of words; `warn` is called
    with what a server warns of, `skipped` what was no instance. An unknown keyword is a `DicomwebError`.
    """
    place = as_location(location)
    query = Query.build(filters, include=[*FIELDS[level], *fields], fuzzy=fuzzy, limit=limit)
    query = _with_modality(query, level)
    if isinstance(place, Searchable):
        yield from place.search(level, query, warn=warn or (lambda text: None))
    else:
        found = _in_headers(place, level, query, skipped if skipped is not None else [])
        yield from itertools.islice(found, limit)


def date_range(text: str) -> str:
    """`2024-03`, `2024-01..2024-03`, `2024-01-05..`, `..2023` or DICOM's own as a DICOM date range, ends included."""
    low, dots, high = text.strip().partition("..")
    if not dots:
        if re.fullmatch(r"\d{8}-|-?\d{8}(-\d{8})?", low, re.ASCII):
            return low
        high = low
    begin = _day(low, last=False) if low else ""
    end = _day(high, last=True) if high else ""
    if begin and end and begin > end:
        raise SelectionError(
            say("{text} ends before it begins", text=repr(text[:40])), expected="the earlier date first"
        )
    return begin if begin == end and begin else f"{begin}-{end}"


def _day(text: str, *, last: bool) -> str:
    match = re.fullmatch(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?", text.strip(), re.ASCII)
    year, month, day = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    month = month or (12 if last else 1)
    if not 1 <= year <= 9999 or not 1 <= month <= 12:
        raise _no_date(text)
    days = calendar.monthrange(year, month)[1]
    day = day or (days if last else 1)
    if not 1 <= day <= days:
        raise _no_date(text)
    return f"{year:04d}{month:02d}{day:02d}"


def _no_date(text: str) -> SelectionError:
    return SelectionError(
        say("{text} is no date", text=repr(text[:40])),
        expected="2024, 2024-03, 2024-03-31 or a range with ..",
    )


def _with_modality(query: Query, level: Level) -> Query:
    """A study has Modalities in Study where a series has Modality; people say modality of either."""
    names = ("Modality", "ModalitiesInStudy") if level == "study" else ("ModalitiesInStudy", "Modality")
    wanted = tuple((names[1] if name == names[0] else name, value) for name, value in query.matches)
    return replace(query, matches=wanted)


def _in_headers(place: Location, level: Level, query: Query, skipped: list[Skipped]) -> Iterator[Found]:
    groups: dict[tuple[str, ...], list[Instance]] = {}
    depth = LEVELS.index(level) + 1
    asked = _asked(query)
    for instance in _instances(place, asked, skipped):
        groups.setdefault(tuple(instance.header.text(key) for key in _UIDS[:depth]), []).append(instance)
    for members in groups.values():
        try:
            model = _model(members, level, asked)
        except HounsfieldError as error:
            skipped.append(Skipped(members[0].name, error.found))
            continue
        if matches(query, model):
            yield Found(model, address_of(place, [member.source for member in members]))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Attributes that a search shows or compares: tag → VR of those that a header tells, and `others`, by tag."""

    plain: dict[int, str]
    others: frozenset[int]


def _asked(query: Query) -> _Asked:
    names = {*query.include, *(name for name, _ in query.matches), *_UIDS}
    plain: dict[int, str] = {}
    others: set[int] = set()
    for name in names:
        tag = int(tag_path(name)[0], 16)
        vr = attribute(tag).vr
        if "." in name or " or " in vr or vr in _NOT_PLAIN:
            others.add(tag)
        else:
            plain[tag] = vr
    return _Asked(plain, frozenset(others))


def _instances(place: Location, asked: _Asked, skipped: list[Skipped]) -> Iterator[Instance]:
    also = {tag: vr.encode() for tag, vr in asked.plain.items()}
    for instance in read_headers(place.sources(), skipped, also=also):
        if instance.header.text("SOPClassUID") == _MEDIA_DIRECTORY:
            skipped.append(Skipped(instance.name, "a directory of a file-set, not an instance"))
        else:
            yield instance


def _model(members: list[Instance], level: Level, asked: _Asked) -> Model:
    """Return what is asked of the first member, and what a server would count over all."""
    first, header = members[0], members[0].header
    model: Model = from_dataset(first.dataset(), tags=asked.others) if asked.others else {}
    for tag, vr in asked.plain.items():
        value = header.values.get(tag)
        if value is None:
            continue
        # Nine in ten values are ASCII, in whatever character set they are.
        member = text_member(tag, vr, value, header.charset if is_foreign(value) else "")
        if member is not None:
            model[f"{tag:08X}"] = element_of(member)
    if level == "study":
        modalities = sorted({member.header.text("Modality") for member in members} - {""})
        series = {member.header.text("SeriesInstanceUID") for member in members}
        model["00080061"] = {"vr": "CS", "Value": modalities}
        model["00201206"] = {"vr": "IS", "Value": [len(series)]}
        model["00201208"] = {"vr": "IS", "Value": [len(members)]}
    elif level == "series":
        model["00201209"] = {"vr": "IS", "Value": [len(members)]}
    return model


def row(found: Found, fields: Iterable[str]) -> dict[str, Any]:
    """A match as plain values by keyword, several joined by a backslash as in DICOM."""
    from hounsfield.dicomweb.attributes import values

    shown: dict[str, Any] = {canonical(name): "\\".join(values(found.model, name)) for name in fields}
    return {**shown, "location": found.address}
