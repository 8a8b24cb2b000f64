"""In which order a search tells what it found: `orderby`. An extension; PS3.18 leaves the order to the server.

By columns only, at the level of the search and above it. What is matched is `search`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, func

from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.archive.attributes import LEVELS, SEARCHED, Level
from hounsfield.server.archive.index.admission import plural
from hounsfield.server.archive.index.tables import TABLES, series, studies

MAX_KEYS = 8
"""Attributes in one order."""

_COUNTED: dict[Level, Mapping[str, ColumnElement[Any]]] = {
    "study": {
        "ModalitiesInStudy": func.nullif(studies.c.modalities, ""),
        "NumberOfStudyRelatedSeries": studies.c.series,
        "NumberOfStudyRelatedInstances": studies.c.instances,
    },
    "series": {"NumberOfSeriesRelatedInstances": series.c.instances},
    "instance": {},
}


@lru_cache(maxsize=8)
def sortable(level: Level) -> Mapping[str, tuple[Level, ColumnElement[Any]]]:
    """Return the sort keys of a level: keyword, the level it is of, its column."""
    return {
        name: (above, column)
        for above in LEVELS[: LEVELS.index(level) + 1]
        for name, column in (
            *((each.keyword, TABLES[above].c[each.keyword]) for each in SEARCHED[above]),
            *_COUNTED[above].items(),
        )
    }


def ordered_by(level: Level, names: Sequence[str]) -> tuple[frozenset[Level], list[ColumnElement[Any]]]:
    """The levels that an order needs, and its terms; `names` are keywords, `-` before one that descends.

    What has no value comes last, whichever the direction; equals stay as they came, or after a descending key the
    last before the first, which lets an index be read backwards. Raises `DicomwebError` 400.
    """
    if len(names) > MAX_KEYS:
        raise DicomwebError(
            say("{count} keys to order by", count=len(names)),
            expected=say("at most {max_keys}", max_keys=MAX_KEYS),
            status=400,
        )
    known = sortable(level)
    needed, terms, descends = {level}, list[ColumnElement[Any]](), False
    for name in names:
        found = known.get(name.removeprefix("-"))
        if found is None:
            raise DicomwebError(
                say(
                    "{plural} cannot be ordered by {removeprefix}",
                    plural=plural(level),
                    removeprefix=name.removeprefix("-")[:64],
                ),
                expected=", ".join(known),
                status=400,
            )
        descends = name.startswith("-")
        needed.add(found[0])
        terms.append((found[1].desc() if descends else found[1].asc()).nulls_last())
    number = TABLES[level].c.id
    return frozenset(needed), [*terms, number.desc() if descends else number.asc()]
