"""One association (PS3.8 9.2) without I/O: bytes in, events out; what is to be sent comes back as bytes.

Both sides are the same class: the requestor begins with `request`, the acceptor waits for `AssociateRequest`. The
contents of a P-DATA-TF are passed on as they arrive, in views of the bytes given, so that no data set is ever held
here. An event must be used before the next one is taken.

Anything that breaks the protocol makes a `DimseError` with `data["abort"]`, the reason of the A-ABORT that `failure`
writes; after it nothing more is read.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from hounsfield.dimse.commands import MAX_COMMAND, Command, decode_command, encode_command
from hounsfield.dimse.pdus import (
    ABORT,
    ACCEPTED,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    DATA_TF,
    RELEASE_RP,
    RELEASE_RQ,
    UNEXPECTED_PDU,
    UNRECOGNISED_PDU,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Pdu,
    ReleaseReply,
    ReleaseRequest,
    broken,
    decode,
    encode,
)
from hounsfield.errors import DimseError
from hounsfield.language import say

MAX_PDU = 1024 * 1024
"""Bytes of a P-DATA-TF that we take, and the most that we send where a peer sets no limit."""

MAX_ASSOCIATE = 512 * 1024
"""Bytes of an A-ASSOCIATE: 128 contexts with forty transfer syntaxes each are a third of it."""

_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_START = struct.Struct(">BxIIBB")  # a P-DATA-TF with one PDV
_COMMAND, _LAST = 0x01, 0x02

Buffer = bytes | bytearray | memoryview


class State(Enum):
    """The state of an association. The numbers of PS3.8 table 9-1 are beside them."""

    IDLE = auto()  # Sta1, Sta2, Sta4: nothing sent or received
    REQUESTED = auto()  # Sta5: waiting for A-ASSOCIATE-AC or -RJ
    PROPOSED = auto()  # Sta3: waiting for us to accept or reject
    ESTABLISHED = auto()  # Sta6
    RELEASING = auto()  # Sta7, Sta11: our A-RELEASE-RQ is out
    RELEASE_ASKED = auto()  # Sta8, Sta12: theirs has come
    CLOSED = auto()  # Sta13


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    id: int
    sop_class: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A whole command set; with `command.has_data` its data set follows."""

    context: Context
    command: Command


@dataclass(frozen=True, slots=True)
class DataReceived:
    """The next bytes of the data set of the command before; the last of it come with `last`, perhaps none."""

    content: memoryview
    last: bool


Event = Pdu | CommandReceived | DataReceived

_READABLE = {
    State.IDLE: frozenset({ASSOCIATE_RQ}),
    State.REQUESTED: frozenset({ASSOCIATE_AC, ASSOCIATE_RJ}),
    State.PROPOSED: frozenset[int](),
    State.ESTABLISHED: frozenset({DATA_TF, RELEASE_RQ}),
    State.RELEASING: frozenset({DATA_TF, RELEASE_RQ, RELEASE_RP}),
    State.RELEASE_ASKED: frozenset({RELEASE_RP}),
    State.CLOSED: frozenset[int](),
}
_SIZES = {ASSOCIATE_RQ: MAX_ASSOCIATE, ASSOCIATE_AC: MAX_ASSOCIATE}


class Association:
    """The protocol of one connection; `max_pdu` is what we announce and hold the peer to."""

    def __init__(self, *, max_pdu: int = MAX_PDU) -> None:
        self.max_pdu = max_pdu
        self.state = State.IDLE
        self.contexts: dict[int, Context] = {}
        self.peer_max_pdu = 0
        self.proposal: AssociateRequest | None = None
        self._pending = bytearray()  # a header, or a PDU other than P-DATA-TF, that is not whole yet
        self._left_in_pdu = 0  # of a P-DATA-TF, bytes to come
        self._left_in_pdv = 0
        self._control = 0
        self._context: Context | None = None
        self._command = bytearray()
        self._awaits_data: Context | None = None
        self._released_both = False

    # What we send.

    def request(self, proposal: AssociateRequest) -> bytes:
        """The A-ASSOCIATE-RQ that proposes; our maximum length is set in it."""
        self._expect(State.IDLE)
        self.proposal = replace(proposal, user=replace(proposal.user, max_length=self.max_pdu))
        self.state = State.REQUESTED
        return encode(self.proposal)

    def accept(self, reply: AssociateAccept) -> bytes:
        """The A-ASSOCIATE-AC that answers the proposal received."""
        self._expect(State.PROPOSED)
        reply = replace(reply, user=replace(reply.user, max_length=self.max_pdu))
        self._establish(reply)
        return encode(reply)

    def reject(self, reply: AssociateReject) -> bytes:
        self._expect(State.PROPOSED)
        self.state = State.CLOSED
        return encode(reply)

    def release(self) -> bytes:
        """The A-RELEASE-RQ; what the peer still sends is read on."""
        self._expect(State.ESTABLISHED)
        self.state = State.RELEASING
        return encode(ReleaseRequest())

    def reply_release(self) -> bytes:
        """The A-RELEASE-RP to the peer's request."""
        self._expect(State.RELEASE_ASKED)
        if self._released_both and self.proposal is not None:
            self._released_both = (
                False  # the requestor answers first, then waits (PS3.8 9.2.3, Sta9 and Sta11)
            )
            self.state = State.RELEASING
        else:
            self.state = State.CLOSED
        return encode(ReleaseReply())

    def abort(self) -> bytes:
        """The A-ABORT of a user who gives up."""
        self.state = State.CLOSED
        return encode(Abort())

    def failure(self, error: DimseError) -> bytes:
        """The A-ABORT for what the peer sent."""
        self.state = State.CLOSED
        return encode(Abort(2, int(error.data.get("abort", 0))))

    def send(self, context: Context, command: Command, data: Iterable[Buffer] = ()) -> Iterator[list[Buffer]]:
        """A message as lists of buffers, each a whole number of PDUs; `data` in pieces of any size.

        The data set's pieces are not copied.
        """
        self._expect(State.ESTABLISHED, State.RELEASE_ASKED)
        limit = self.payload
        content = encode_command(command)
        first: list[Buffer] = []
        for start in range(0, len(content), limit):
            piece = content[start : start + limit]
            last = _LAST if start + limit >= len(content) else 0
            first += [_start(context, len(piece), _COMMAND | last), piece]
        if command.has_data:
            yield from _paged(first, context, data, limit)
        else:
            yield first

    @property
    def payload(self) -> int:
        """Bytes of a message that one PDU to the peer may carry."""
        return max(min(self.peer_max_pdu or MAX_PDU, MAX_PDU) - _PDV.size, 1)

    # What we receive.

    def receive(self, data: Buffer) -> Iterator[Event]:
        """The events that these bytes complete; `DimseError` where they break the protocol."""
        view = memoryview(data)
        while view and self.state is not State.CLOSED:
            if self._left_in_pdu:
                view = yield from self._data(view)
            else:
                view = yield from self._whole(view)

    def _whole(self, view: memoryview) -> Generator[Event, None, memoryview]:
        """Collect a header, and all of a PDU that is no P-DATA-TF; returns what follows."""
        view = self._fill(view, _HEADER.size)
        if len(self._pending) < _HEADER.size:
            return view
        kind, length = _HEADER.unpack_from(self._pending)
        self._check(kind, length)
        if kind == DATA_TF:
            self._pending.clear()
            self._left_in_pdu = length
            return view
        view = self._fill(view, _HEADER.size + length)
        if len(self._pending) == _HEADER.size + length:
            content = bytes(self._pending[_HEADER.size :])
            self._pending.clear()
            yield self._arrived(decode(kind, content))
        return view

    def _fill(self, view: memoryview, size: int) -> memoryview:
        wanted = max(size - len(self._pending), 0)
        self._pending += view[:wanted]
        return view[wanted:]

    def _check(self, kind: int, length: int) -> None:
        if not ASSOCIATE_RQ <= kind <= ABORT:
            raise broken(f"a PDU of type 0x{kind:02X}", reason=UNRECOGNISED_PDU)
        if kind != ABORT and kind not in _READABLE[self.state]:
            raise broken(f"a PDU of type {kind} while {self.state.name}", reason=UNEXPECTED_PDU)
        limit = self.max_pdu if kind == DATA_TF else _SIZES.get(kind, 4)
        if length > limit or (kind == DATA_TF and length < _PDV.size):
            raise broken(f"a PDU of type {kind} of {length} bytes", expected=f"at most {limit}")

    def _arrived(self, pdu: Pdu) -> Pdu:
        """Change state by what came."""
        match pdu:
            case AssociateRequest():
                self.state, self.peer_max_pdu = State.PROPOSED, pdu.user.max_length
                self._proposed = pdu
            case AssociateAccept():
                self.peer_max_pdu = pdu.user.max_length
                self._establish(pdu)
            case ReleaseRequest():
                if self._awaits_data is not None or self._command:
                    raise broken("an A-RELEASE-RQ within a message", reason=UNEXPECTED_PDU)
                self._released_both = self.state is State.RELEASING
                self.state = State.RELEASE_ASKED
            case _:
                self.state = State.CLOSED
        return pdu

    def _establish(self, reply: AssociateAccept) -> None:
        proposal = self.proposal or self._proposed
        proposed = {each.id: each for each in proposal.contexts}
        for each in reply.results:
            known = proposed.get(each.id)
            if known is None:
                raise broken(f"a result for presentation context {each.id}, which was not proposed")
            if each.result != ACCEPTED:
                continue
            if each.transfer_syntax not in known.transfer_syntaxes:
                raise broken(f"context {each.id} accepted in {each.transfer_syntax}, which was not proposed")
            self.contexts[each.id] = Context(each.id, known.abstract_syntax, each.transfer_syntax)
        if 0 < self.peer_max_pdu <= _PDV.size:
            raise broken(f"a maximum length of {self.peer_max_pdu}", expected=f"more than {_PDV.size}")
        self.state = State.ESTABLISHED

    def _data(self, view: memoryview) -> Generator[Event, None, memoryview]:
        """Read on in a P-DATA-TF; returns what follows it, or nothing."""
        while view and self._left_in_pdu:
            if not self._left_in_pdv:
                view = self._fill(view, _PDV.size)
                if len(self._pending) < _PDV.size:
                    return view
                self._begin_pdv(*_PDV.unpack_from(self._pending))
                self._pending.clear()
                if self._left_in_pdv:
                    continue
                piece = view[:0]
            else:
                piece = view[: self._left_in_pdv]
            view = view[len(piece) :]
            self._left_in_pdv -= len(piece)
            self._left_in_pdu -= len(piece)
            event = self._taken(piece, bool(self._control & _LAST) and not self._left_in_pdv)
            if event is not None:
                yield event
        return view

    def _begin_pdv(self, length: int, context: int, control: int) -> None:
        size = length + 4
        if length < 2 or size > self._left_in_pdu or 0 < self._left_in_pdu - size < _PDV.size:
            raise broken(
                f"a PDV of {length} bytes", expected=f"2 to {self._left_in_pdu - 4}, filling its PDU"
            )
        known = self.contexts.get(context)
        if known is None:
            raise broken(f"data in presentation context {context}, which was not accepted")
        is_command = bool(control & _COMMAND)
        if is_command == (self._awaits_data is not None):
            what = "a command within a data set" if is_command else "data without a command"
            raise broken(what, reason=UNEXPECTED_PDU)
        if (self._awaits_data or (self._command and self._context) or known) is not known:
            raise broken("a message in two presentation contexts")
        self._context, self._control = known, control
        self._left_in_pdu -= _PDV.size
        self._left_in_pdv = length - 2

    def _taken(self, piece: memoryview, last: bool) -> Event | None:
        if not self._control & _COMMAND:
            if last:
                self._awaits_data = None
            return DataReceived(piece, last) if piece or last else None
        self._command += piece
        if len(self._command) > MAX_COMMAND:
            raise broken(f"a command set of more than {MAX_COMMAND} bytes")
        if not last:
            return None
        assert self._context is not None
        command = decode_command(bytes(self._command))
        self._command.clear()
        self._awaits_data = self._context if command.has_data else None
        return CommandReceived(self._context, command)

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            raise DimseError(say("the association is {name}", name=self.state.name), expected=states[0].name)


def _start(context: Context, size: int, control: int) -> bytes:
    return _START.pack(DATA_TF, size + _PDV.size, size + 2, context.id, control)


def _paged(
    first: list[Buffer], context: Context, data: Iterable[Buffer], limit: int
) -> Iterator[list[Buffer]]:
    """The PDUs of a data set behind those of `first`; each holds as much as it may, the last one says so."""
    out, held, size = first, list[Buffer](), 0
    for buffer in data:
        view = memoryview(buffer)
        while view:
            if size == limit:
                yield [*out, _start(context, size, 0), *held]
                out, held, size = [], [], 0
            piece = view[: limit - size]
            held.append(piece)
            size += len(piece)
            view = view[len(piece) :]
    yield [*out, _start(context, size, _LAST), *held]
