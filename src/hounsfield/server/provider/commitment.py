"""Storage commitment (PS3.4 J): whether instances are safe here, said so that their sender may delete its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hounsfield.dimse.association import Context
from hounsfield.dimse.commands import Command, Field
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.identifiers import decode_identifier, encode_identifier
from hounsfield.dimse.negotiation import UNCOMPRESSED
from hounsfield.dimse.requestor import Peer, associate
from hounsfield.dimse.services import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from hounsfield.dimse.statuses import NO_SUCH_ACTION, NO_SUCH_INSTANCE, SUCCESS
from hounsfield.errors import DimseError
from hounsfield.language import say
from hounsfield.server.archive.archive import Archive
from hounsfield.server.provider.request import Outcome, Request

if TYPE_CHECKING:
    from pydicom import Dataset

REQUEST_COMMITMENT = 1
"""Action Type of the N-ACTION (PS3.4 J.3.2)."""

ALL_COMMITTED, SOME_FAILED = 1, 2
"""Event Types of the N-EVENT-REPORT (PS3.4 J.3.3)."""

CLASS_CONFLICT = 0x0119
INVALID_ARGUMENT = 0x0115

MAX_REFERENCES = 100_000
"""Instances in one request."""

RETRY_SECONDS = (0.0, 5.0, 60.0, 600.0)
"""When a report is sent to a peer that cannot be reached."""

log = logging.getLogger("hounsfield.server")


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a transaction: (SOP class, instance) that are safe, and those that are not with their reason."""

    transaction: str
    committed: Sequence[tuple[str, str]]
    failed: Sequence[tuple[str, str, int]]
    studies: frozenset[str] = frozenset()

    @property
    def event_type(self) -> int:
        return SOME_FAILED if self.failed else ALL_COMMITTED

    def encode(self, transfer_syntax: str) -> bytes:
        """The event information (PS3.4 table J.3-2)."""
        from pydicom import Dataset

        dataset = Dataset()
        dataset.TransactionUID = self.transaction
        if self.committed:
            dataset.ReferencedSOPSequence = [_reference(*each) for each in self.committed]
        if self.failed:
            dataset.FailedSOPSequence = [_reference(*each) for each in self.failed]
        return encode_identifier(dataset, transfer_syntax)


def _reference(sop_class: str, instance: str, reason: int | None = None) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    if reason is not None:
        item.FailureReason = reason
    return item


def commit(request: Request) -> Outcome:
    """Answer an N-ACTION and report on it: to a named peer over an association of our own, else over this one."""
    if request.command.action_type != REQUEST_COMMITMENT:
        raise DimseError(
            say("action type {action_type}", action_type=request.command.action_type), status=NO_SUCH_ACTION
        )
    report = answer(request.state.archive, request.content, request.context.transfer_syntax)
    request.connection.write(request.context, request.command.response(SUCCESS))
    peer = request.endpoint.peer(request.caller)
    if peer is not None:
        report_later(peer, report)
    else:
        report_on(request.connection, request.context, 1, report, request.accepted.limits.idle)
    return Outcome(SUCCESS, sorted(report.studies))


def answer(archive: Archive, content: bytes, transfer_syntax: str) -> Report:
    """The report on a request: an instance counts when the index has it and its bytes lie at their place.

    `DimseError` with a status for a request that makes no sense.
    """
    try:
        dataset = decode_identifier(content, transfer_syntax)
        transaction = str(dataset.TransactionUID)
        references = [
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in dataset.ReferencedSOPSequence
        ]
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise DimseError("a request for commitment that cannot be read", status=INVALID_ARGUMENT) from error
    if not references or len(references) > MAX_REFERENCES:
        raise DimseError(
            say("commitment of {count} instances", count=len(references)), status=INVALID_ARGUMENT
        )
    here = {
        entry.instance: entry
        for entry in archive.index.named(list({instance for _, instance in references}))
        if archive.store.owns(entry.key) and archive.store.size(entry.key) == entry.size
    }
    committed, failed = [], []
    for sop_class, instance in references:
        if instance not in here:
            failed.append((sop_class, instance, NO_SUCH_INSTANCE))
        elif here[instance].sop_class != sop_class:
            failed.append((sop_class, instance, CLASS_CONFLICT))
        else:
            committed.append((sop_class, instance))
    return Report(transaction, committed, failed, frozenset(here[uid].study for _, uid in committed))


def report_on(
    connection: Connection, context: Context, message_id: int, report: Report, timeout: float
) -> None:
    """Send a report over an association and read the response."""
    command = Command(
        Field.N_EVENT_REPORT,
        message_id,
        True,
        STORAGE_COMMITMENT,
        STORAGE_COMMITMENT_INSTANCE,
        event_type=report.event_type,
    )
    connection.write(context, command, [report.encode(context.transfer_syntax)])
    response = connection.message(timeout).command
    if response.field != command.field | 0x8000 or response.status != 0:
        raise DimseError(
            say("a {name} with status {status}", name=response.name, status=response.status),
            where=connection.address,
        )


def report_later(peer: Peer, report: Report) -> None:
    """Send a report over an association of our own, in the background, again while the peer cannot be reached."""
    threading.Thread(target=_report, args=(peer, report), name="dimse-commitment", daemon=True).start()


def _report(peer: Peer, report: Report) -> None:
    for seconds in RETRY_SECONDS:
        time.sleep(seconds)
        try:
            # We are the SCP of an association that we ask for (PS3.4 J.3.3): the peer is its SCU.
            with associate(
                peer, [(STORAGE_COMMITMENT, UNCOMPRESSED)], as_scp=[STORAGE_COMMITMENT]
            ) as requestor:
                context = requestor.need(STORAGE_COMMITMENT, "storage commitment")
                report_on(requestor.connection, context, requestor.new_id(), report, peer.timeouts.response)
            return
        except DimseError as error:
            problem = error
    log.warning("a storage commitment report was not delivered: %s", problem)
