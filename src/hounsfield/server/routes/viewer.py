"""What the viewer asks beside DICOMweb: an instance's attributes as rows in English and Chinese; what is allowed here.

The wire format is in `docs/wire.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hounsfield.ct.instance import read_instance
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import Answer, as_json, etag, unchanged
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import Service

if TYPE_CHECKING:
    from hounsfield.attributes import Row
    from hounsfield.dicom.dictionary import Phrase

MAX_COMPARED = 300
"""Instances of a series that are read to mark what differs between them; of more, as many evenly chosen."""

MAX_TEXT = 4000
"""Characters of one value; no reader wants more of it in a table."""


def capabilities(service: Service, ask: Ask) -> Answer:
    """Whether instances may be stored and removed, and what is served."""
    ask.known()
    name = service.library.name
    return as_json(
        {
            # Where on its machine an archive lies is nobody else's business.
            "name": name.rstrip("/").rpartition("/")[2] if service.writable else name,
            "store": service.writable,
            "delete": service.writable and service.deletes,
        }
    )


def tags(service: Service, ask: Ask) -> Answer:
    """The attributes of one instance, grouped; those in which its series differs are marked."""
    from hounsfield.attributes import attribute_rows

    ask.known()
    entry = found(service, ask)[0]
    series = Resource(ask.base, ask.scope.study, ask.scope.series)
    version = service.library.version(series)
    tag = etag("tags", entry.path, entry.changed, version)
    if (same := unchanged(ask, tag)) is not None:
        return same
    distinct = service.volumes.value(
        ("distinct", ask.scope.study, ask.scope.series, version),
        lambda: _distinct(service, series),
        lambda kept: 64 * len(kept),
    )
    rows = attribute_rows(read_instance(service.library.source(entry)).dataset())
    return as_json(
        {"instance": entry.instance, "rows": [_row(row, distinct.get(row.path, 1)) for row in rows]}
    ).with_etag("tags", entry.path, entry.changed, version)


def _distinct(service: Service, series: Resource) -> dict[str, int]:
    """Path → how many values the instances of the series have, for those with more than one."""
    from hounsfield.attributes import attribute_rows

    entries = service.library.entries(series)
    step = max(1, len(entries) / MAX_COMPARED)
    chosen = [entries[int(number * step)] for number in range(min(len(entries), MAX_COMPARED))]
    first, *others = (read_instance(service.library.source(entry)).dataset() for entry in chosen)
    return {row.path: row.distinct for row in attribute_rows(first, others) if row.distinct > 1}


def _row(row: Row, distinct: int) -> dict[str, Any]:
    """Each phrase as [English, Chinese]; an item of a sequence lies one deeper than the sequence."""
    from hounsfield.dicom.dictionary import ITEM

    return {
        "group": _both(row.group.title),
        "depth": row.depth * 2 + (row.tag == ITEM),
        "number": row.number,
        "keyword": row.keyword,
        "vr": row.vr,
        "name": _both(row.name),
        "value": row.value if len(row.value) <= MAX_TEXT else row.value[:MAX_TEXT] + "…",
        "explanation": _both(row.explanation),
        "distinct": distinct if row.depth == 0 else 1,
    }


def _both(phrase: Phrase) -> list[str]:
    return [phrase.say("en"), phrase.say("zh")]
