"""C-GET and C-MOVE (PS3.4 C.4.2, C.4.3): which instances an identifier names, and their way out.

An instance goes as it is stored wherever the other side takes that, and is converted only where it does not.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import parse_models
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.uids import is_uid
from hounsfield.dimse.client import Sendable, store
from hounsfield.dimse.commands import Command, Field
from hounsfield.dimse.identifiers import decode_identifier, encode_identifier, identifier
from hounsfield.dimse.part10 import data_set_pieces
from hounsfield.dimse.services import MODELS, InformationModel
from hounsfield.dimse.statuses import (
    CANCEL,
    DATA_SET_MISMATCH,
    MOVE_DESTINATION_UNKNOWN,
    PENDING,
    SOME_SUBOPERATIONS_FAILED,
    SUBOPERATIONS_FAILED,
    SUCCESS,
    Kind,
    kind_of,
)
from hounsfield.errors import DimseError, HounsfieldError
from hounsfield.language import say
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index import Entry
from hounsfield.server.provider.finding import PAGE, is_cancelled, level_of
from hounsfield.server.provider.request import Outcome, Request
from hounsfield.server.rendering.frames import convert, decoded_size
from hounsfield.server.state import AppState

MAX_PATIENT_STUDIES = 10_000
"""Studies of one patient that are retrieved at once."""

log = logging.getLogger("hounsfield.server")


def wanted(archive: Archive, content: bytes, transfer_syntax: str, model: InformationModel) -> list[Entry]:
    """The instances that the identifier of a retrieval names; `DimseError` with a status for one that names none."""
    dataset = decode_identifier(content, transfer_syntax)
    level = level_of(dataset, model)
    keys = {
        name: _uids(dataset.get(name)) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    if level == "PATIENT":
        patient = str(dataset.get("PatientID", "") or "").strip()
        return _of_studies(archive, _studies_of(archive, patient or _missing("PatientID")))
    if level == "STUDY":
        return _of_studies(archive, keys["StudyInstanceUID"] or _missing("StudyInstanceUID"))
    studies, series = set(keys["StudyInstanceUID"]), set(keys["SeriesInstanceUID"])
    if level == "SERIES":
        if not studies or not series:
            _missing("StudyInstanceUID and SeriesInstanceUID")
        found = _of_studies(archive, sorted(studies))
    else:
        found = archive.index.named(keys["SOPInstanceUID"] or _missing("SOPInstanceUID"))
    return [
        each
        for each in found
        if (not studies or each.study in studies) and (not series or each.series in series)
    ]


def _missing(key: str) -> NoReturn:
    raise DimseError(say("no {key}", key=key), status=DATA_SET_MISMATCH)


def _uids(value: object) -> list[str]:
    given = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else []
    found = [str(each).strip("\0 ") for each in given]
    return [each for each in found if is_uid(each)]


def _of_studies(archive: Archive, studies: Sequence[str]) -> list[Entry]:
    return [entry for study in studies for entry in archive.entries(Resource("", study))]


def _studies_of(archive: Archive, patient: str) -> list[str]:
    """The studies whose Patient ID is this one; it may have a wildcard's characters in it."""
    found: list[str] = []
    query = Query((("PatientID", patient),), ("PatientID",))
    while len(found) < MAX_PATIENT_STUDIES:
        page = archive.search("study", Resource(""), query.page(len(found), PAGE), limit=PAGE)
        models = parse_models("[" + ",".join(page.models) + "]")
        found += [first(each, "StudyInstanceUID") for each in models if first(each, "PatientID") == patient]
        if not page.remaining:
            break
    return found


@dataclass
class Progress:
    """The sub-operations of one retrieval."""

    remaining: int
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)

    def note(self, entry: Entry, kind: Kind | None) -> None:
        """One sub-operation has ended."""
        self._ended.add(entry.instance)
        self.remaining -= 1
        if kind == "success":
            self.completed += 1
        elif kind == "warning":
            self.warned += 1
        else:
            self.failed.append(entry.instance)
        if kind in {"success", "warning"}:
            self.studies.add(entry.study)

    def give_up(self, entries: Sequence[Entry]) -> None:
        """The peer cannot be reached any more: all that is left has failed."""
        for entry in entries:
            if entry.instance not in self._ended:
                self.note(entry, None)

    def pending(self, request: Command) -> Command:
        return self._response(request, PENDING, remaining=self.remaining)

    def last(self, request: Command, *, cancelled: bool = False) -> Command:
        """The last response; with the list of what failed, where anything did."""
        if cancelled:
            return self._response(request, CANCEL, remaining=self.remaining, has_data=bool(self.failed))
        status = SUCCESS
        if self.failed or self.warned:
            status = SOME_SUBOPERATIONS_FAILED if self.completed or self.warned else SUBOPERATIONS_FAILED
        return self._response(request, status, has_data=bool(self.failed))

    def failed_list(self, transfer_syntax: str) -> bytes:
        """The identifier of the last response (PS3.4 C.4.2.1.4.2)."""
        dataset = identifier("", {"FailedSOPInstanceUIDList": self.failed})
        del dataset.QueryRetrieveLevel
        return encode_identifier(dataset, transfer_syntax)

    def _response(
        self, request: Command, status: int, *, remaining: int | None = None, has_data: bool = False
    ) -> Command:
        return request.response(
            status,
            has_data=has_data,
            remaining=remaining,
            completed=min(self.completed, 0xFFFF),
            failed=min(len(self.failed), 0xFFFF),
            warned=min(self.warned, 0xFFFF),
        )


def get(request: Request) -> Outcome:
    """C-GET: the instances go over the association that asks for them."""
    model = next(each for each in MODELS if each.get == request.context.sop_class)
    entries = wanted(request.state.archive, request.content, request.context.transfer_syntax, model)
    progress = Progress(len(entries))
    numbers = itertools.count(1)
    for entry in entries:
        kind, cancelled = _sent_back(request, entry, next(numbers) % 0xFFFF or 1)
        progress.note(entry, kind)
        if cancelled:
            return _ended(request, progress, cancelled=True)
        request.connection.write(request.context, progress.pending(request.command))
    return _ended(request, progress)


def _sent_back(request: Request, entry: Entry, number: int) -> tuple[Kind | None, bool]:
    """Send one instance in a context of its class; what the peer said, and whether it cancelled meanwhile."""
    connection = request.connection
    contexts = {
        each.transfer_syntax: each
        for each in connection.association.contexts.values()
        if each.sop_class == entry.sop_class
    }
    sent = _fitting(request.state, entry, list(contexts))
    if sent is None:
        return None, is_cancelled(connection, request.command)
    context = contexts[sent.transfer_syntax]
    command = Command(Field.C_STORE, number, True, sent.sop_class, sent.sop_instance, priority=0)
    try:
        pieces = iter(sent.data())
        first_piece = next(pieces, b"")
    except HounsfieldError as error:
        log.warning("%s cannot be sent: %s", entry.path, error.found, extra={"seldom": True})
        return None, is_cancelled(connection, request.command)
    try:
        connection.write(context, command, itertools.chain([first_piece], pieces))
    except HounsfieldError:
        connection.abort()  # half of it is sent
        raise
    cancelled = False
    while True:
        message = connection.message(request.accepted.limits.idle).command
        if message.field == Field.C_CANCEL:
            cancelled = True
        elif message.field == command.field | 0x8000 and message.message_id == number:
            return kind_of(message.status or 0), cancelled
        else:
            connection.abort()
            raise DimseError(f"a {message.name}", expected="the response to a C-STORE")


def _fitting(state: AppState, entry: Entry, syntaxes: Sequence[str]) -> Sendable | None:
    """The instance as it is, or converted to the first of the transfer syntaxes for which that succeeds."""
    if entry.syntax in syntaxes:
        return _as_stored(state, entry)
    for syntax in syntaxes:
        try:
            return _converted(state, entry, syntax)
        except HounsfieldError as error:
            log.info("%s is not converted to %s: %s", entry.path, syntax, error.found)
    return None


def _as_stored(state: AppState, entry: Entry) -> Sendable:
    source = state.archive.source(entry)
    return Sendable(
        entry.path, entry.sop_class, entry.instance, entry.syntax, lambda: data_set_pieces(source.open)
    )


def _converted(state: AppState, entry: Entry, syntax: str) -> Sendable:
    instance = read_instance(state.archive.source(entry))
    with state.decoding.taken(decoded_size(instance) or entry.size or 0):
        content = convert(instance, syntax, limit=state.limits.decoded)
    made = BytesSource(entry.path, content)
    return Sendable(entry.path, entry.sop_class, entry.instance, syntax, lambda: data_set_pieces(made.open))


def move(request: Request) -> Outcome:
    """C-MOVE: the instances go to a named peer, over associations of our own."""
    model = next(each for each in MODELS if each.move == request.context.sop_class)
    title = request.command.destination or ""
    peer = request.endpoint.peer(title)
    if peer is None:
        raise DimseError(
            say("{title} is no named peer", title=repr(title[:16])), status=MOVE_DESTINATION_UNKNOWN
        )
    entries = wanted(request.state.archive, request.content, request.context.transfer_syntax, model)
    known = {entry.path: entry for entry in entries}
    progress = Progress(len(entries))

    def recode(instance: Sendable, syntaxes: Sequence[str]) -> Sendable:
        return _converted(request.state, known[instance.name], syntaxes[0])

    outgoing = (_as_stored(request.state, entry) for entry in entries)
    originator = request.caller, request.command.message_id
    try:
        for stored in store(peer, outgoing, recode, originator):
            progress.note(known[stored.instance.name], stored.kind)
            request.connection.write(request.context, progress.pending(request.command))
            if is_cancelled(request.connection, request.command):
                return _ended(request, progress, cancelled=True)
    except DimseError as error:
        if error.where == request.connection.address:
            raise  # it is who asked that is gone, not the destination
        log.warning("C-MOVE to %s: %s", title, error, extra={"seldom": True})
        progress.give_up(entries)
    return _ended(request, progress)


def _ended(request: Request, progress: Progress, *, cancelled: bool = False) -> Outcome:
    """Send the last response."""
    last = progress.last(request.command, cancelled=cancelled)
    data = [progress.failed_list(request.context.transfer_syntax)] if last.has_data else []
    request.connection.write(request.context, last, data)
    return Outcome(last.status or SUCCESS, sorted(progress.studies))
