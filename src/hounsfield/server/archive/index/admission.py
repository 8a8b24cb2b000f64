"""Limits of a search: how much in all, and of which level. Refused here, rather than by a database in its words."""

from __future__ import annotations

from hounsfield.dicomweb.attributes import tag_path
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.archive.attributes import COUNTED, LEVELS, Level, belongs, searched

MAX_TERMS = 200
"""Values, words and keys that one search may ask for in all; SQL has limits of its own, and they are no answer."""

MAX_ASKED = 1024
"""Characters of one value that is asked for."""


def check_terms(query: Query) -> None:
    """Refuse a search of more parts than a database takes; UIDs are one list, of which ten count as one."""
    marks = str.maketrans("\\^= ", ",,,,")
    terms = 0
    for name, value in query.matches:
        found = searched(name)
        number = len(value.translate(marks).split(","))
        if number == 1 and len(value) > MAX_ASKED:
            raise DicomwebError(
                say("{name} of {count} characters", name=name, count=len(value)),
                expected=say("at most {max_asked}", max_asked=MAX_ASKED),
                status=400,
            )
        terms += 1 + number // 10 if found is not None and found[1].kind in {"uid", "number"} else number
    if terms > MAX_TERMS:
        raise DicomwebError(
            say("a search for {terms} values", terms=terms),
            expected=say("at most {max_terms}", max_terms=MAX_TERMS),
            remedy="send several searches",
            status=400,
        )


def check_level(name: str, level: Level) -> None:
    """Refuse to search studies by what only their series or instances have (PS3.18 10.6.1.2)."""
    tag = int(tag_path(name)[0], 16)
    if name in COUNTED:
        return
    lowest = next(each for each in reversed(LEVELS) if belongs(tag, each))
    if all(not belongs(tag, each) for each in LEVELS[: LEVELS.index(level) + 1]):
        hint = "; use ModalitiesInStudy" if name == "Modality" else ""
        raise DicomwebError(
            say("{name} is not an attribute of a {level}", name=name, level=level),
            remedy=say("search {plural} by it{hint}", plural=plural(lowest), hint=hint),
            status=400,
        )


def plural(level: Level) -> str:
    return {"study": "studies", "series": "series", "instance": "instances"}[level]
