"""Requests of DIMSE peers, one after another on each association: admitted, served, counted and audited."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.dimse.acceptor import Accepted, Acceptor, listen
from hounsfield.dimse.association import CommandReceived, State
from hounsfield.dimse.commands import Field
from hounsfield.dimse.negotiation import UNCOMPRESSED, Acceptance
from hounsfield.dimse.pdus import AssociateAccept, AssociateReject, AssociateRequest
from hounsfield.dimse.receiving import take_store
from hounsfield.dimse.services import MODELS, STORAGE_COMMITMENT, VERIFICATION, is_storage
from hounsfield.dimse.statuses import OUT_OF_RESOURCES, PROCESSING_FAILURE, SUCCESS, UNRECOGNISED_OPERATION
from hounsfield.errors import DimseError, HounsfieldError
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.ops.access_log import Entry
from hounsfield.server.provider.commitment import commit
from hounsfield.server.provider.endpoint import Endpoint
from hounsfield.server.provider.finding import find
from hounsfield.server.provider.peers import Admission
from hounsfield.server.provider.request import Outcome, Request
from hounsfield.server.provider.retrieving import get, move
from hounsfield.server.provider.storing import StoreService
from hounsfield.server.state import AppState

ROUTE = "/dimse"
"""Names of DIMSE requests in metrics and logs, beside the paths of HTTP."""

log = logging.getLogger("hounsfield.server")


def _echo(request: Request) -> Outcome:
    request.connection.write(request.context, request.command.response(SUCCESS))
    return Outcome(SUCCESS)


SERVICES: Mapping[tuple[int, str], Callable[[Request], Outcome]] = {
    (Field.C_ECHO, VERIFICATION): _echo,
    **{(Field.C_FIND, model.find): find for model in MODELS},
    **{(Field.C_GET, model.get): get for model in MODELS},
    **{(Field.C_MOVE, model.move): move for model in MODELS},
    (Field.N_ACTION, STORAGE_COMMITMENT): commit,
}
"""Handlers of requests, by command and SOP class; C-STORE, whose data set is never whole in memory, is beside it."""

_CLASSES = frozenset(sop_class for _, sop_class in SERVICES)


class Provider:
    """The DIMSE services over one archive, at one endpoint."""

    def __init__(self, state: AppState, endpoint: Endpoint) -> None:
        self._state, self._endpoint = state, endpoint
        self._admission = Admission(endpoint.title, endpoint.named, endpoint.everybody)
        self._acceptance = Acceptance(frozenset(), frozenset(), _syntaxes, is_storage)
        self._audited: dict[int, set[str]] = {}
        listener = listen(endpoint.host, endpoint.port)
        self._acceptor = Acceptor(
            listener, self._decide, self._serve, endpoint.limits, endpoint.tls, closed=self._closed
        )
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.address = f"dicom://{endpoint.title}@{host}:{listener.getsockname()[1]}"

    def start(self) -> None:
        self._acceptor.start()

    def stop(self, grace: float = 0.0) -> None:
        """Take no more associations; those that are open may go on for `grace` seconds."""
        self._acceptor.stop(grace)

    def _decide(self, request: AssociateRequest, address: str) -> AssociateAccept | AssociateReject:
        reply = self._admission.refusal(request, address) or self._acceptance.reply(request)
        reason = reply.reason if isinstance(reply, AssociateReject) else SUCCESS
        entry = Entry("A-ASSOCIATE", ROUTE, reason, 0.0, client=address, principal=request.calling)
        self._count(entry)
        if reason:
            self._state.access_log.write_audit(entry, f"A-ASSOCIATE {ROUTE}", [])
        return reply

    def _count(self, entry: Entry) -> None:
        self._state.metrics.count(entry)
        self._state.access_log.write(entry)

    def _closed(self, accepted: Accepted, error: DimseError | None) -> None:
        self._audited.pop(id(accepted), None)

    def _serve(self, accepted: Accepted, received: CommandReceived) -> None:
        if received.command.field == Field.C_CANCEL or received.command.is_response:
            accepted.connection.data(received.command, accepted.limits.idle)
            return  # what it is about has ended already
        request = Request(self._state, self._endpoint, accepted, received.context, received.command)
        begun = time.perf_counter()
        outcome = Outcome(PROCESSING_FAILURE)
        self._state.metrics.begin()
        try:
            outcome = self._done(request, received)
        finally:
            self._state.metrics.end()
            name = received.command.name.removesuffix(" request")
            seconds = time.perf_counter() - begun
            entry = Entry(name, ROUTE, outcome.status, seconds, 0, 0, accepted.address, request.caller)
            self._count(entry)
            self._audit(accepted, entry, outcome)

    def _audit(self, accepted: Accepted, entry: Entry, outcome: Outcome) -> None:
        """Write who did what to which study: of many stores the first of each study in an association."""
        if entry.method == "C-ECHO":
            return
        studies = outcome.studies
        if entry.method == "C-STORE" and entry.status == SUCCESS:
            known = self._audited.setdefault(id(accepted), set())
            studies = [each for each in studies if each not in known]
            known.update(studies)
            if not studies:
                return
        self._state.access_log.write_audit(entry, f"{entry.method} {ROUTE}", list(studies))

    def _done(self, request: Request, received: CommandReceived) -> Outcome:
        command, connection, idle = request.command, request.connection, request.accepted.limits.idle
        if command.field == Field.C_STORE and is_storage(request.context.sop_class):
            keep = StoreService(self._state.archive, self._state.limits)
            verdict = take_store(connection, received, keep, idle)
            return Outcome(verdict.status, keep.studies)
        request = replace(request, content=connection.data(command, idle))
        service = SERVICES.get((command.field, request.context.sop_class))
        if service is None:
            connection.write(request.context, command.response(UNRECOGNISED_OPERATION))
            return Outcome(UNRECOGNISED_OPERATION)
        try:
            return service(request)
        except HounsfieldError as error:
            if isinstance(error, DimseError) and "status" not in error.data:
                raise
            if connection.association.state is State.CLOSED:
                raise DimseError(error.found, where=connection.address) from error
            status = self._status(error)
            connection.write(request.context, command.response(status, comment=error.found[:64]))
            return Outcome(status)

    def _status(self, error: HounsfieldError) -> int:
        """Return the response to a request that failed here."""
        if isinstance(error, IndexUnavailable):
            self._state.archive.recover(error)
            return OUT_OF_RESOURCES
        if isinstance(error, DimseError):
            return int(error.data["status"])
        log.warning("%s: %s", ROUTE, error.found, extra={"seldom": True})
        return PROCESSING_FAILURE if error.data.get("status") != 400 else 0xA900


def _syntaxes(sop_class: str) -> Collection[str]:
    """The transfer syntaxes that are taken for a SOP class: instances come as they are."""
    if sop_class in _CLASSES:
        return UNCOMPRESSED
    return SYNTAXES if is_storage(sop_class) else ()
