"""C-GET and C-MOVE: instances as files while they come, and in the end what the peer says it sent.

Whether all is there is not the peer's to say: who asks compares the UIDs that came with those that it wants.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.dimse.acceptor import Accepted, Acceptor, Limits, listen
from hounsfield.dimse.association import CommandReceived
from hounsfield.dimse.client import Encode
from hounsfield.dimse.commands import Command, Field
from hounsfield.dimse.connection import MAX_IDENTIFIER, Message
from hounsfield.dimse.negotiation import IMPLICIT, UNCOMPRESSED, Acceptance, Pair
from hounsfield.dimse.pdus import MAX_CONTEXTS
from hounsfield.dimse.receiving import FileSink, ReceivedFile, take_store
from hounsfield.dimse.requestor import Peer, Requestor, administrators_line, associate
from hounsfield.dimse.services import VERIFICATION, is_storage
from hounsfield.dimse.statuses import (
    MOVE_DESTINATION_UNKNOWN,
    SUCCESS,
    UNRECOGNISED_OPERATION,
    kind_of,
    words,
)
from hounsfield.errors import DimseError
from hounsfield.language import say

NewPath = Callable[[], Path]


@dataclass(frozen=True, slots=True)
class RetrieveEnd:
    """The last response: counts of sub-operations as the peer tells them, its failed instances, and it in words."""

    status: int
    reason: str
    completed: int
    failed: int
    warned: int
    identifier: bytes = field(default=b"", repr=False)
    transfer_syntax: str = IMPLICIT


Retrieved = ReceivedFile | RetrieveEnd


def get(
    peer: Peer,
    sop_class: str,
    encode: Encode,
    new_path: NewPath,
    *,
    sop_classes: Collection[str],
    syntaxes: Collection[str],
) -> Iterator[Retrieved]:
    """C-GET: instances of `sop_classes` in any of `syntaxes`, over the association that asks for them.

    `DimseError` with `data["unsupported"]` if the peer does not offer it.
    """
    pairs: list[Pair] = [(sop_class, UNCOMPRESSED), *_storage_pairs(sop_classes, syntaxes)]
    received: list[ReceivedFile] = []
    sink = FileSink(new_path, received.append)
    with associate(peer, pairs, as_scp=sop_classes) as requestor:
        context = requestor.need(sop_class, "this retrieval (C-GET)")
        request = Command(Field.C_GET, requestor.new_id(), True, sop_class, priority=0)
        requestor.send(context, request, [encode(context.transfer_syntax)])
        while True:
            event = requestor.connection.next(peer.timeouts.pending)
            if not isinstance(event, CommandReceived):
                raise DimseError(
                    say("a {name__} within a C-GET", name__=type(event).__name__), where=peer.address
                )
            if event.command.field == Field.C_STORE:
                take_store(requestor.connection, event, sink, peer.timeouts.store)
                yield from received
                received.clear()
                continue
            message = Message(
                event.context, event.command, requestor.connection.data(event.command, peer.timeouts.response)
            )
            if _is_last(request, message, peer):
                yield _end(message)
                return


def _storage_pairs(sop_classes: Collection[str], syntaxes: Collection[str]) -> list[Pair]:
    """A context for each class and syntax, so that instances come as they are stored; else one for each class."""
    if len(sop_classes) * len(syntaxes) < MAX_CONTEXTS:
        return [(each, (syntax,)) for each in sop_classes for syntax in syntaxes]
    return [(each, tuple(syntaxes)) for each in list(sop_classes)[: MAX_CONTEXTS - 1]]


def _is_last(request: Command, message: Message, peer: Peer) -> bool:
    command = message.command
    if command.field != request.field | 0x8000 or command.message_id != request.message_id:
        raise DimseError(
            say("a {name} to message {message_id}", name=command.name, message_id=command.message_id),
            expected=say("a response to message {message_id}", message_id=request.message_id),
            where=peer.address,
        )
    return kind_of(command.status or 0) != "pending"


def _end(message: Message) -> RetrieveEnd:
    command = message.command
    status = command.status or 0
    return RetrieveEnd(
        status,
        "" if status == SUCCESS else words(command),
        command.completed or 0,
        command.failed or 0,
        command.warned or 0,
        message.data[:MAX_IDENTIFIER],
        message.context.transfer_syntax,
    )


_ports: dict[int, threading.Lock] = {}
_ports_lock = threading.Lock()


def _port_lock(port: int) -> threading.Lock:
    """Only one retrieval of this process listens at a port at once; others wait for it."""
    with _ports_lock:
        return _ports.setdefault(port, threading.Lock())


def move(
    peer: Peer, sop_class: str, encode: Encode, new_path: NewPath, *, syntaxes: Collection[str]
) -> Iterator[Retrieved]:
    """C-MOVE to ourselves: instances of any storage class in any of `syntaxes` come to `peer.receive_port`.

    The peer must know our AE title, address and port; if it does not, the `DimseError` has the line that its
    administrator must add.
    """
    with associate(peer, [(sop_class, UNCOMPRESSED)]) as requestor, _port_lock(peer.receive_port):
        requestor.need(sop_class, "this retrieval (C-MOVE)")
        arrived: queue.SimpleQueue[Retrieved | BaseException] = queue.SimpleQueue()
        receiver = _receiver(requestor, FileSink(new_path, arrived.put), syntaxes)
        asking = threading.Thread(
            target=_ask, args=(requestor, sop_class, encode, arrived), name="dimse-move", daemon=True
        )
        receiver.start()
        try:
            asking.start()
            while True:
                found = arrived.get()
                if isinstance(found, BaseException):
                    raise found
                if isinstance(found, RetrieveEnd):
                    # The peer has our responses to all it sent before it says so: nothing is still under way.
                    yield _explained(peer, found, requestor.connection.local_address)
                    return
                yield found
        finally:
            receiver.stop()
            if asking.is_alive():
                requestor.connection.abort()
                asking.join()


def _ask(
    requestor: Requestor,
    sop_class: str,
    encode: Encode,
    arrived: queue.SimpleQueue[Retrieved | BaseException],
) -> None:
    """Send the C-MOVE and read its responses to the last."""
    try:
        context = requestor.need(sop_class, "this retrieval (C-MOVE)")
        peer = requestor.peer
        request = Command(
            Field.C_MOVE, requestor.new_id(), True, sop_class, priority=0, destination=peer.calling
        )
        requestor.send(context, request, [encode(context.transfer_syntax)])
        for message in requestor.responses(request, peer.timeouts.pending):
            if _is_last(request, message, peer):
                arrived.put(_end(message))
    except BaseException as error:  # noqa: BLE001 (raised again by the thread that waits)
        arrived.put(error)


def _explained(peer: Peer, end: RetrieveEnd, local: str) -> RetrieveEnd:
    if end.status == MOVE_DESTINATION_UNKNOWN:
        raise DimseError(
            say("C-MOVE: {reason}", reason=end.reason),
            where=peer.address,
            remedy=say(
                "its administrator must add: {administrators_line}",
                administrators_line=administrators_line(peer, local),
            ),
            status=end.status,
        )
    return end


def _receiver(requestor: Requestor, sink: FileSink, syntaxes: Collection[str]) -> Acceptor:
    """A storage SCP for one retrieval, at the address from which the peer was reached."""
    peer = requestor.peer
    acceptance = Acceptance(
        frozenset({peer.calling}),
        frozenset(),
        lambda uid: syntaxes if is_storage(uid) else UNCOMPRESSED if uid == VERIFICATION else (),
        lambda uid: False,
    )

    def serve(accepted: Accepted, received: CommandReceived) -> None:
        connection = accepted.connection
        if received.command.field == Field.C_STORE:
            take_store(connection, received, sink, peer.timeouts.store)
        else:
            connection.data(received.command, peer.timeouts.response)
            status = SUCCESS if received.command.field == Field.C_ECHO else UNRECOGNISED_OPERATION
            connection.write(received.context, received.command.response(status))

    listener = listen(requestor.connection.local_address, peer.receive_port)
    return Acceptor(
        listener, lambda request, _: acceptance.reply(request), serve, Limits(artim=30.0, idle=600.0)
    )
