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
from hounsfield.ct.instance import Skipped, Source, read_instance
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import SelectionError
from hounsfield.language import say
from hounsfield.locations import Location, as_location
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.server.app import make_app
from hounsfield.server.archive.read_only_library import ReadOnlyLibrary
from hounsfield.server.auth.access import Access
from hounsfield.server.rendering.beside import volumes_beside
from hounsfield.server.state import AppState
from hounsfield.viewer import page

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names this server answers to: a page elsewhere cannot reach it by a name of its own (DNS rebinding)."""

MOST_SERIES = 10_000

NO_IMAGES = frozenset({"SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "DOC", "REG"})
"""Modalities of what is shown over, or beside, the images of a study (PS3.3 C.7.3.1.1.1)."""

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
    location: str | Path | Location,
    *,
    series: str | None = None,
    language: str | None = None,
    held_against: str | Path | None = None,
) -> Iterator[LocalViewer]:
    """`location` as an application. `series`: which to open, by number, description, UID or its beginning.

    `held_against`: a volume to be shown beside it, and the difference of the two. Raises `LocationError` where one
    cannot be read, `SelectionError` where there is nothing to show.
    """
    place = as_location(location)
    library = ReadOnlyLibrary(place if held_against is None else _Both(place, as_location(held_against)))
    scratch = ScratchFolder()
    try:
        skipped = tuple((each.name, each.reason) for each in library.skipped)
        found = library.search("series", Resource(""), Query.parse(_QUERY), limit=MOST_SERIES)
        rows = [_Row.of(json.loads(text.replace(INSTANCE_URL, ""))) for text in found.models]
        if not rows:
            why = f": {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise SelectionError(
                say("no DICOM in it{why}", why=why), where=library.name, remedy="check the location"
            )
        if held_against is None:
            fragment = _fragment(_chosen(rows, series, library.name), language)
        else:
            other = _first_series(as_location(held_against))
            fragment = _comparison(
                _chosen([row for row in rows if row.series != other], series, place.name),
                rows,
                other,
                language,
            )
        beside = volumes_beside(library.skipped, library.others, scratch.path)
        app = make_app(AppState(library, access=Access(hosts=HOSTS), beside=beside), pages=page())
        yield LocalViewer(app, fragment, len(rows), skipped)
    finally:
        library.close()
        scratch.cleanup()


@dataclass(frozen=True, slots=True)
class _Both:
    """Two locations as one."""

    one: Location
    other: Location

    @property
    def name(self) -> str:
        return f"{self.one.name}, {self.other.name}"

    def sources(self) -> Iterator[Source | Skipped]:
        yield from self.one.sources()
        yield from self.other.sources()


@dataclass(frozen=True, slots=True)
class _Row:
    study: str
    series: str
    number: str
    description: str
    instances: int
    modality: str = ""

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
            text("00080060"),
        )

    def matches(self, wanted: str) -> bool:
        if wanted in (self.series, self.number) or wanted.lower() == self.description.lower() != "":
            return True
        return len(wanted) > 3 and "." in wanted and self.series.startswith(wanted)


def _chosen(rows: list[_Row], wanted: str | None, where: str) -> _Row | None:
    """The series asked for; else the largest, if all are of one study; None for the list of studies."""
    if wanted is None:
        # What lies over a series, or has no pixels, is no choice of its own, whatever study it says.
        images = [row for row in rows if row.modality not in NO_IMAGES] or rows
        several = len({row.study for row in images}) > 1
        return None if several else max(images, key=lambda row: row.instances)
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


def _first_series(location: Location) -> str:
    """The Series Instance UID of the first instance of a location, "" where it has none."""
    for source in location.sources():
        if not isinstance(source, Skipped):
            return read_instance(source).header.text("SeriesInstanceUID")
    return ""


def _comparison(chosen: _Row | None, rows: list[_Row], other: str, language: str | None) -> str:
    """The fragment of three panes: the series, what is held against it, and the series under the difference."""
    beside = next((row for row in rows if row.series == other), None)
    if chosen is None or beside is None:
        return _fragment(chosen, language)
    query = {"study": chosen.study, "series": chosen.series}
    query |= {"2-study": beside.study, "2-series": beside.series}
    query |= {"3-study": chosen.study, "3-series": chosen.series}
    query["3-layers"] = f"minus~{beside.study}~{beside.series}"
    query["panel"] = "layers"
    if language is not None:
        query["lang"] = language
    return f"#/?{urlencode(query)}"


def _fragment(chosen: _Row | None, language: str | None) -> str:
    query = {} if chosen is None else {"study": chosen.study, "series": chosen.series}
    if language is not None:
        query["lang"] = language
    return f"#/?{urlencode(query)}"
