"""From an instance's header to the rows of the index: column values, and the JSON that answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from isal import isal_zlib

from hounsfield.attributes.header_text import INSTANCE_URL, HeaderText, values_of
from hounsfield.dicomweb.matching import folded, moment, words
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import MalformedError
from hounsfield.server.archive.attributes import (
    LEVELS,
    REQUIRED,
    SEARCHED,
    SHOWN,
    UIDS,
    Level,
    Searched,
    belongs,
)
from hounsfield.server.archive.index.tables import NAME_GROUPS, TABLES
from hounsfield.server.archive.integrity import damaged, with_check

Value = str | int | None

_IsalError = cast("type[Exception]", isal_zlib.error)

MAX_VALUE = 256
"""Characters of a value that are indexed; DICOM's longest searched VR has 64."""


@dataclass(frozen=True, slots=True)
class Record:
    """The index's record of one instance.

    `values` holds each level's columns; `headers` the JSON of what belongs to study and series; `brief` that of
    the instance as searches show it, both with their CRC-32; `header` all of it, deflated. `key`, `size` and the
    digest are the store's: `sha256` of the whole, `blocks` as in `integrity.Digest`; None where they are not known yet.
    `header_end` is where the pixels begin, or the end.
    """

    study: str
    series: str
    instance: str
    sop_class: str
    syntax: str
    frames: int
    key: str
    size: int | None
    values: Mapping[Level, Mapping[str, Value]]
    headers: Mapping[Level, str]
    brief: str
    header: bytes
    sha256: bytes | None = None
    blocks: bytes | None = None
    header_end: int = 0


def record_of(text: HeaderText, *, key: str, size: int | None) -> Record:
    """The record of an instance. Raises `MalformedError` where a UID is missing or none."""
    study, series, instance = (_uid(text, level) for level in LEVELS)
    header = text.instance.header
    return Record(
        study=study,
        series=series,
        instance=instance,
        sop_class=text.first(0x00080016),
        syntax=header.transfer_syntax,
        frames=header.number_of_frames,
        key=key,
        size=size,
        header_end=header.pixels.offset if header.pixels is not None else size or 0,
        values={level: _columns(text, level) for level in LEVELS},
        headers={level: with_check(_joined(text, level)) for level in LEVELS[:2]},
        brief=with_check(_brief(text)),
        header=isal_zlib.compress(text.text().encode("utf-8", "surrogatepass"), 1),
    )


def inflated(header: bytes, instance: str) -> bytes:
    """A record's `header` as text in UTF-8; its checksum (RFC 1950) tells when it is not what was written."""
    try:
        return bytes(isal_zlib.decompress(header))
    except _IsalError as error:
        raise damaged(instance, "its header in the index", where="the index") from error


def _uid(text: HeaderText, level: Level) -> str:
    name = {"study": "Study", "series": "Series", "instance": "SOP"}[level]
    uid = text.first(UIDS[level]).strip()
    if not is_uid(uid):
        found = f"{uid[:64]!r} is no {name} Instance UID" if uid else f"no {name} Instance UID"
        raise MalformedError(found, expected="digits and single dots, at most 64", where=text.instance.name)
    return uid


@lru_cache(maxsize=256)
def _places(tags: tuple[int, ...]) -> Mapping[Level, tuple[int, ...]]:
    """Return the elements that belong to study and series, and those shown of an instance; slices of a series agree."""
    shown = SHOWN["instance"]
    return {
        "study": tuple(tag for tag in tags if belongs(tag, "study")),
        "series": tuple(tag for tag in tags if belongs(tag, "series")),
        "instance": tuple(tag for tag in tags if tag in shown),
    }


def _joined(text: HeaderText, level: Level) -> str:
    """Return the part of a header that belongs to `level`, as one JSON object."""
    return "{" + ",".join([text.elements[tag] for tag in _places(tuple(text.elements))[level]]) + "}"


def _brief(text: HeaderText) -> str:
    members = {tag: f'"{tag:08X}":{{"vr":"{vr}"}}' for tag, vr in REQUIRED["instance"].items()}
    members |= {tag: text.elements[tag] for tag in _places(tuple(text.elements))["instance"]}
    members[0x00080056] = '"00080056":{"vr":"CS","Value":["ONLINE"]}'
    members[0x00081190] = f'"00081190":{{"vr":"UR","Value":["{INSTANCE_URL}"]}}'
    return "{" + ",".join(members[tag] for tag in sorted(members)) + "}"


def _columns(text: HeaderText, level: Level) -> dict[str, Value]:
    columns: dict[str, Value] = {}
    for each in SEARCHED[level]:
        member = text.elements.get(each.tag)
        columns |= _empty(each) if member is None else _cells(each, member)
    return columns


@lru_cache(maxsize=1024)
def _empty(each: Searched) -> Mapping[str, Value]:
    names = [each.keyword]
    if each.kind == "name":
        names += [f"{each.keyword}_{part}" for part in (*NAME_GROUPS, "words")]
    return dict.fromkeys(names)


def _searched_names(level: Level) -> list[str]:
    return [name for each in SEARCHED[level] for name in _empty(each)]


_OF_STORE = ("frames", "key", "size", "brief", "sha256", "blocks")

RECORDED = (
    *(
        TABLES[level].c[name].label(f"{level}_{name}")
        for level in LEVELS
        for name in (*_searched_names(level), "header")
    ),
    *(TABLES["instance"].c[name] for name in _OF_STORE),
)
"""The columns of which `record_of_row` makes a record again."""


def record_of_row(row: Mapping[str, Any]) -> Record:
    """The record that a row of the index was made of."""
    values = {level: {name: row[f"{level}_{name}"] for name in _searched_names(level)} for level in LEVELS}
    instance = values["instance"]
    return Record(
        study=row["study_StudyInstanceUID"],
        series=row["series_SeriesInstanceUID"],
        instance=row["instance_SOPInstanceUID"],
        sop_class=instance["SOPClassUID"] or "",
        syntax=instance["AvailableTransferSyntaxUID"] or "",
        values=values,
        headers={level: row[f"{level}_header"] for level in LEVELS[:2]},
        header=row["instance_header"],
        **{name: row[name] for name in _OF_STORE},
    )


@lru_cache(maxsize=16384)
def _cells(each: Searched, member: str) -> Mapping[str, Value]:
    """The columns of one element, as search compares them."""
    value = next(iter(values_of(member)), "").strip().replace("\0", "")[:MAX_VALUE]
    if not value:
        return _empty(each)
    if each.kind == "number":
        try:
            number = int(float(value))
        except (ValueError, OverflowError):
            return _empty(each)
        return {each.keyword: number if abs(number) < 2**62 else None}
    if each.kind in {"date", "time"}:
        return {each.keyword: moment(value, "DA" if each.kind == "date" else "TM")}
    if each.kind == "name":
        whole = folded(value).rstrip("^= ")
        cells: dict[str, Value] = {each.keyword: whole}
        groups = [group.rstrip("^ ") for group in whole.split("=", len(NAME_GROUPS) - 1)]
        for number, part in enumerate(NAME_GROUPS):
            cells[f"{each.keyword}_{part}"] = groups[number] if number < len(groups) else None
        return cells | {f"{each.keyword}_words": f" {' '.join(words(value))}"}
    return {each.keyword: value}
