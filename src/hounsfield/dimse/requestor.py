"""The association that we ask for: whom we ask, as whom, and the words for being refused."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from hounsfield.dimse.association import Association, Buffer, Context, State
from hounsfield.dimse.commands import Command
from hounsfield.dimse.connection import Connection, Message, connect
from hounsfield.dimse.negotiation import Pair, proposed
from hounsfield.dimse.pdus import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UserIdentity,
    UserInformation,
    ae_title,
)
from hounsfield.dimse.statuses import CALLED_UNKNOWN, CALLING_UNKNOWN, kind_of, rejection_words
from hounsfield.errors import DimseError
from hounsfield.language import say

AE_TITLE = "HOUNSFIELD"
"""As whom we call, unless a peer's settings say otherwise."""

RECEIVE_PORT = 11112
"""The destination of a C-MOVE that we ask for."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of silence: `response` before an echo, a release or a proposal is answered, `store` after a C-STORE.

    `pending` is that of a search or retrieval: it may take its time, and keep-alive notices a peer that is gone.
    """

    connect: float = 10.0
    response: float = 60.0
    store: float = 900.0
    pending: float = 3600.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we ask (`called` at `host`:`port`), as whom (`calling`), and how.

    `receive_port` is where we listen during a C-MOVE; the peer must know it.
    """

    host: str
    port: int
    called: str
    calling: str = AE_TITLE
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    identity: UserIdentity | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    receive_port: int = RECEIVE_PORT

    def __post_init__(self) -> None:
        ae_title(self.called)
        ae_title(self.calling)

    @property
    def address(self) -> str:
        """The peer as a location."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"dicom://{self.called}@{host}:{self.port}"


class Requestor:
    """An association that is established. Leaving its block releases it, or aborts it on an error."""

    def __init__(self, peer: Peer, connection: Connection) -> None:
        self.peer = peer
        self.connection = connection
        self._message_id = 0

    def __enter__(self) -> Requestor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.connection.abort()

    def context(self, sop_class: str, syntax: str | None = None) -> Context | None:
        """The accepted context of a SOP class, in a transfer syntax if one is given."""
        for each in self.connection.association.contexts.values():
            if each.sop_class == sop_class and syntax in (None, each.transfer_syntax):
                return each
        return None

    def need(self, sop_class: str, what: str) -> Context:
        """The accepted context of a service; `DimseError` if the peer does not have it."""
        found = self.context(sop_class)
        if found is None:
            raise DimseError(
                say("does not offer {what}", what=what), where=self.peer.address, unsupported=sop_class
            )
        return found

    def new_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, context: Context, command: Command, data: Iterable[Buffer] = ()) -> None:
        self.connection.write(context, command, data)

    def response(self, request: Command, timeout: float) -> Message:
        """The next message, which must be a response to `request`."""
        found = self.connection.message(timeout)
        if found.command.field != request.field | 0x8000 or found.command.message_id != request.message_id:
            raise DimseError(
                say(
                    "a {name} to message {message_id}",
                    name=found.command.name,
                    message_id=found.command.message_id,
                ),
                expected=say("a response to message {message_id}", message_id=request.message_id),
                where=self.peer.address,
            )
        return found

    def responses(self, request: Command, timeout: float) -> Iterator[Message]:
        """Every response to `request`, the last one too."""
        while True:
            found = self.response(request, timeout)
            yield found
            if kind_of(found.command.status or 0) != "pending":
                return

    def release(self) -> None:
        """End the association in order; a peer that does not is left alone."""
        with contextlib.suppress(DimseError):
            if self.connection.association.state is State.ESTABLISHED:
                self.connection.send(self.connection.association.release())
                self._await_release()
        self.connection.close()

    def _await_release(self) -> None:
        while self.connection.association.state is not State.CLOSED:
            event = self.connection.next(min(self.peer.timeouts.response, 10.0))
            if isinstance(event, ReleaseRequest):
                self.connection.send(self.connection.association.reply_release())
            elif isinstance(event, ReleaseReply):
                return


def associate(peer: Peer, pairs: Iterable[Pair], *, as_scp: Iterable[str] = ()) -> Requestor:
    """An association with `peer` in which it took at least one of the presentation contexts `pairs`.

    `as_scp`: SOP classes of which we are SCP, for a C-GET. `DimseError` says why there is none; `data["rejected"]` is
    the (source, reason) of a rejection.
    """
    association = Association()
    user = UserInformation(
        roles=tuple(RoleSelection(each, False, True) for each in as_scp), identity=peer.identity
    )
    asked = association.request(AssociateRequest(peer.called, peer.calling, proposed(pairs), user))
    sock = connect(peer.host, peer.port, tls=peer.tls, timeout=peer.timeouts.connect)
    connection = Connection(sock, association, peer.address)
    try:
        connection.send(asked)
        event = connection.next(peer.timeouts.response)
        if isinstance(event, AssociateReject):
            raise _rejected(peer, event, connection.local_address)
        assert isinstance(event, AssociateAccept)
        if not association.contexts:
            raise DimseError(
                "accepts none of the services that are needed", where=peer.address, unsupported=""
            )
    except BaseException:
        connection.abort()
        raise
    return Requestor(peer, connection)


def _rejected(peer: Peer, reject: AssociateReject, local: str) -> DimseError:
    why = (reject.source, reject.reason)
    remedy = None
    if why == CALLED_UNKNOWN:
        remedy = f"it is not called {peer.called!r}: ask its administrator for its AE title (case counts)"
    elif why == CALLING_UNKNOWN:
        remedy = f"its administrator must add: {administrators_line(peer, local)}"
    elif reject.result == 2:
        remedy = "try again later"
    return DimseError(
        say("rejects the association: {rejection_words}", rejection_words=rejection_words(reject)),
        where=peer.address,
        remedy=remedy,
        rejected=why,
        transient=reject.result == 2,
    )


def administrators_line(peer: Peer, local: str) -> str:
    """Return what the peer's administrator enters so that it knows us: in words, and as Orthanc and DCMTK spell it."""
    return (
        f"AE title {peer.calling}, address {local}, port {peer.receive_port} "
        f'(Orthanc, DicomModalities: "{peer.calling}": ["{peer.calling}", "{local}", {peer.receive_port}]; '
        f"dcmqrscp, HostTable: {peer.calling.lower()} = ({peer.calling}, {local}, {peer.receive_port}))"
    )
