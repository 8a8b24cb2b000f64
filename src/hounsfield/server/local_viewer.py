"""The local viewer: a location served read-only to one browser on this machine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette

from hounsfield.attributes.header_text import INSTANCE_URL
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.locations import Location, as_location
from hounsfield.server.app import make_app
from hounsfield.server.archive.read_only_library import ReadOnlyLibrary
from hounsfield.server.auth.access import Access
from hounsfield.server.state import AppState
from hounsfield.viewer import page

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names this server answers to: a page elsewhere cannot reach it by a name of its own (DNS rebinding)."""

MOST_SERIES = 10_000

_QUERY = "includefield=SeriesDescription,SeriesNumber,NumberOfSeriesRelatedInstances"


@dataclass(frozen=True, slots=True)
class LocalViewer:
    """A served location: the application, and the fragment that opens the page on it; `skipped`: (name, reason)."""

    app: Starlette
    fragment: str
    series: int
    skipped: tuple[tuple[str, str], ...]


@contextlib.contextmanager
def local_viewer(
    location: str | Path | Location, *, series: str | None = None, language: str | None = None
) -> Iterator[LocalViewer]:
    """`location` as an application. `series`: which to open, by number, description, UID or its beginning.

    Raises `LocationError` where it cannot be read, `SelectionError` where it holds nothing to show.
    """
    library = ReadOnlyLibrary(as_location(location))
    try:
        skipped = tuple((each.name, each.reason) for each in library.skipped)
        found = library.search("series", Resource(""), Query.parse(_QUERY), limit=MOST_SERIES)
        rows = [_Row.of(json.loads(text.replace(INSTANCE_URL, ""))) for text in found.models]
        if not rows:
            why = f": {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise SelectionError(
                say("no DICOM in it{why}", why=why), where=library.name, remedy="check the location"
            )
        chosen = _chosen(rows, series, library.name)
        app = make_app(AppState(library, access=Access(hosts=HOSTS)), pages=page())
        yield LocalViewer(app, _fragment(chosen, language), len(rows), skipped)
    finally:
        library.close()


@dataclass(frozen=True, slots=True)
class _Row:
    study: str
    series: str
    number: str
    description: str
    instances: int

    @classmethod
    def of(cls, model: dict[str, Any]) -> _Row:
        def text(tag: str) -> str:
            values = model.get(tag, {}).get("Value") or [""]
            return str(values[0])

        count = text("00201209")
        return cls(
            text("0020000D"),
            text("0020000E"),
            text("00200011"),
            text("0008103E"),
            int(count) if count.isdigit() else 0,
        )

    def matches(self, wanted: str) -> bool:
        if wanted in (self.series, self.number) or wanted.lower() == self.description.lower() != "":
            return True
        return len(wanted) > 3 and "." in wanted and self.series.startswith(wanted)


def _chosen(rows: list[_Row], wanted: str | None, where: str) -> _Row | None:
    """The series asked for; else the largest, if all are of one study; None for the list of studies."""
    if wanted is None:
        several = len({row.study for row in rows}) > 1
        return None if several else max(rows, key=lambda row: row.instances)
    matches = [row for row in rows if row.matches(wanted)]
    if len(matches) == 1:
        return matches[0]
    choices = tuple(
        " ".join(filter(None, (row.number, row.description, row.series))) for row in matches or rows
    )
    raise SelectionError(
        say(
            "{count} series match {wanted}: {listed}",
            count=len(matches) or "no",
            wanted=repr(wanted),
            listed="; ".join(choices[:20]),
        ),
        where=where,
        remedy="choose one with --series, by UID, number or description",
        choices=choices,
    )


def _fragment(chosen: _Row | None, language: str | None) -> str:
    query = {} if chosen is None else {"study": chosen.study, "series": chosen.series}
    if language is not None:
        query["lang"] = language
    return f"#/?{urlencode(query)}"
