"""C-FIND (PS3.4 C.4.1): the keys of an identifier as a search of the index, and its results as identifiers.

Matching is QIDO's, in its order. Keys that a level does not have are answered as empty; where they were to be matched,
the answers say that they were not (FF01). The patient level is made of studies.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from hounsfield.dicomweb.attributes import canonical, first, tag_path
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.matching import is_universal
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.uids import is_uid
from hounsfield.dimse.association import CommandReceived
from hounsfield.dimse.commands import Command, Field
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.identifiers import decode_identifier
from hounsfield.dimse.services import MODELS, InformationModel
from hounsfield.dimse.services import Level as QueryLevel
from hounsfield.dimse.statuses import CANCEL, DATA_SET_MISMATCH, PENDING, PENDING_UNSUPPORTED, SUCCESS
from hounsfield.errors import DimseError
from hounsfield.language import say
from hounsfield.server.archive.attributes import COUNTED, LEVELS, Level, belongs
from hounsfield.server.archive.library import Library
from hounsfield.server.provider.answers import Answers
from hounsfield.server.provider.request import Outcome, Request

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

ANSWERS_AT_ONCE = 64
"""Answers that are sent before it is looked whether the peer cancelled."""

PAGE = 500
"""Results that are read from the index at once."""

_LEVELS: dict[QueryLevel, Level] = {
    "PATIENT": "study",
    "STUDY": "study",
    "SERIES": "series",
    "IMAGE": "instance",
}
_NOT_KEYS = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080054, 0x00080056, 0x00080201})
"""Elements of an identifier that are no keys: character set, level, retrieve AE, availability, time zone."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID")
_PATIENT_ID, _ISSUER = "PatientID", "IssuerOfPatientID"


@dataclass(frozen=True, slots=True)
class Question:
    """The query of a C-FIND. `ignored`: keys that were to be matched and are not."""

    level: QueryLevel
    query: Query
    tags: tuple[int, ...]
    ignored: tuple[str, ...]
    character_set: str

    def answers(self, title: str, transfer_syntax: str) -> Answers:
        """Return the writer of the results."""
        fixed = {0x00080052: ("CS", self.level), 0x00080054: ("AE", title), 0x00080056: ("CS", "ONLINE")}
        return Answers(self.tags, fixed, transfer_syntax, self.character_set)

    def results(self, library: Library) -> Iterator[Model]:
        """Every match, read page by page."""
        level = _LEVELS[self.level]
        scope, query = _scoped(level, self.query)
        models = _paged(library, level, scope, query)
        return _patients(models) if self.level == "PATIENT" else models


def find(request: Request) -> Outcome:
    """Answer a C-FIND: every match, some of them with each system call, until the peer cancels."""
    model = next(each for each in MODELS if each.find == request.context.sop_class)
    question = read_question(request.content, request.context.transfer_syntax, model)
    answers = question.answers(request.endpoint.title, request.context.transfer_syntax)
    status = PENDING_UNSUPPORTED if question.ignored else PENDING
    pending = request.command.response(status, has_data=True)
    results = question.results(request.state.archive)
    while lot := list(itertools.islice(results, ANSWERS_AT_ONCE)):
        request.connection.write_all((request.context, pending, [answers.encode(each)]) for each in lot)
        if is_cancelled(request.connection, request.command):
            request.connection.write(request.context, request.command.response(CANCEL))
            return Outcome(CANCEL)
    request.connection.write(request.context, request.command.response(SUCCESS))
    return Outcome(SUCCESS)


def is_cancelled(connection: Connection, command: Command) -> bool:
    """Whether a C-CANCEL of this request has come; `DimseError` for anything else."""
    event = connection.poll()
    if event is None:
        return False
    if not isinstance(event, CommandReceived) or event.command.field != Field.C_CANCEL:
        connection.abort()
        raise DimseError(
            say("a {name__} while a {name} is answered", name__=type(event).__name__, name=command.name)
        )
    return event.command.message_id == command.message_id


def read_question(content: bytes, transfer_syntax: str, model: InformationModel) -> Question:
    """The question of an identifier; `DimseError` with a status for one that makes no sense."""
    dataset = decode_identifier(content, transfer_syntax)
    try:
        elements = list(dataset)
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise _mismatch("an identifier that cannot be read") from error
    level = level_of(dataset, model)
    matches: list[tuple[str, str]] = []
    tags: list[int] = []
    ignored: list[str] = []
    for element in elements:
        if element.tag in _NOT_KEYS or element.tag.element == 0 or element.tag.group <= 2:
            continue
        tags.append(int(element.tag))
        for given, value in _conditions(element):
            name = _asked_name(given, level)
            if _is_known(name, _LEVELS[level]):
                matches.append((name, value))
            else:
                ignored.append(name)
    names = [canonical(f"{tag:08X}") for tag in tags]
    include = tuple(each for each in names if each in COUNTED or _is_known(each, _LEVELS[level]))
    character_set = str(dataset.get("SpecificCharacterSet", "") or "")
    return Question(level, Query(tuple(matches), include), tuple(tags), tuple(ignored), character_set)


def level_of(dataset: Dataset, model: InformationModel) -> QueryLevel:
    """The Query/Retrieve Level of an identifier, which the information model must have."""
    level = str(dataset.get("QueryRetrieveLevel", "") or "").strip().upper()
    if level not in model.levels:
        raise _mismatch(f"level {level[:16]!r} of {model.name}")
    return level


def _mismatch(found: str) -> DimseError:
    return DimseError(found, status=DATA_SET_MISMATCH)


def _conditions(element: DataElement, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return the conditions of an element, and those in its item if it is a sequence."""
    name = prefix + canonical(f"{int(element.tag):08X}")
    if element.VR == "SQ":
        for item in element.value or ():
            for inner in item:
                yield from _conditions(inner, f"{name}.")
        return
    value = _text(element)
    if not is_universal(value):
        yield name, value


def _text(element: DataElement) -> str:
    value = element.value
    if value is None or isinstance(value, bytes):
        return ""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return "\\".join(map(str, cast("Iterable[object]", value))) if several else str(value)


def _asked_name(name: str, level: QueryLevel) -> str:
    """Many ask for studies by Modality, which is an attribute of series, and mean this."""
    return "ModalitiesInStudy" if name == "Modality" and _LEVELS[level] == "study" else name


def _is_known(name: str, level: Level) -> bool:
    """Whether results of `level` have an attribute, and can be searched by it."""
    if name in COUNTED:
        return name == "ModalitiesInStudy"
    tag = int(tag_path(name)[0], 16)
    return any(belongs(tag, each) for each in LEVELS[: LEVELS.index(level) + 1])


def _scoped(level: Level, query: Query) -> tuple[Resource, Query]:
    """The study and series that are asked for as the scope of a search, which then has less to say of each match."""
    study = _single_uid(query, "StudyInstanceUID") if level != "study" else None
    series = _single_uid(query, "SeriesInstanceUID") if study is not None and level == "instance" else None
    named = {name for name, uid in zip(_UIDS, (study, series), strict=True) if uid is not None}
    rest = tuple(each for each in query.matches if each[0] not in named)
    # UIDs are in every answer; asked for, they would bring all of their level with them.
    include = tuple(each for each in query.include if each not in _UIDS)
    return Resource("", study, series), replace(query, matches=rest, include=include)


def _single_uid(query: Query, name: str) -> str | None:
    found = [value for key, value in query.matches if key == name]
    return found[0] if len(found) == 1 and is_uid(found[0]) else None


def _paged(library: Library, level: Level, scope: Resource, query: Query) -> Iterator[Model]:
    offset = 0
    while True:
        page = library.search(level, scope, query.page(offset, PAGE), limit=PAGE)
        for text in page.models:
            yield json.loads(text, strict=False)  # the mark for a URL is a control character
        offset += len(page.models)
        if not page.remaining or not page.models:
            return


def _patients(studies: Iterable[Model]) -> Iterator[Model]:
    """Each patient once, with the attributes of the first study."""
    seen: set[tuple[str, str]] = set()
    for model in studies:
        patient = first(model, _PATIENT_ID), first(model, _ISSUER)
        if patient not in seen:
            seen.add(patient)
            yield model
