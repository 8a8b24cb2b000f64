"""Endpoints of the viewer beside DICOMweb: an instance's attributes as rows in English and Chinese; permissions.

The wire format is in `docs/wire.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hounsfield.ct.instance import read_instance
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response, as_json, etag, not_modified
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import AppState

if TYPE_CHECKING:
    from hounsfield.attributes import Row
    from hounsfield.dicom.dictionary import Phrase

MAX_COMPARED = 300
"""Instances of a series that are read to mark what differs between them; of more, as many evenly chosen."""

MAX_TEXT = 4000
"""Characters of one value; no reader wants more of it in a table."""


def capabilities(state: AppState, request: Request) -> Response:
    """Whether instances may be stored and removed, and what is served."""
    request.known()
    name = state.library.name
    return as_json(
        {
            # Where on its machine an archive lies is nobody else's business.
            "name": name.rstrip("/").rpartition("/")[2] if state.writable else name,
            "store": state.writable,
            "delete": state.writable and state.deletes,
        }
    )


def tags(state: AppState, request: Request) -> Response:
    """The attributes of one instance, grouped; those in which its series differs are marked."""
    from hounsfield.attributes import attribute_rows

    request.known()
    entry = found(state, request)[0]
    series = Resource(request.base, request.scope.study, request.scope.series)
    version = state.library.version(series)
    tag = etag("tags", entry.path, entry.changed, version)
    if (same := not_modified(request, tag)) is not None:
        return same
    distinct = state.volumes.value(
        ("distinct", request.scope.study, request.scope.series, version),
        lambda: _distinct(state, series),
        lambda kept: 64 * len(kept),
    )
    rows = attribute_rows(read_instance(state.library.source(entry)).dataset())
    return as_json(
        {"instance": entry.instance, "rows": [_row(row, distinct.get(row.path, 1)) for row in rows]}
    ).with_etag("tags", entry.path, entry.changed, version)


def _distinct(state: AppState, series: Resource) -> dict[str, int]:
    """Path → how many values the instances of the series have, for those with more than one."""
    from hounsfield.attributes import attribute_rows

    entries = state.library.entries(series)
    step = max(1, len(entries) / MAX_COMPARED)
    chosen = [entries[int(number * step)] for number in range(min(len(entries), MAX_COMPARED))]
    first, *others = (read_instance(state.library.source(entry)).dataset() for entry in chosen)
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
