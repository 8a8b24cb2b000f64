"""One DIMSE request as the services see it, and its outcome."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from hounsfield.dimse.acceptor import Accepted, Limits
from hounsfield.dimse.association import Context
from hounsfield.dimse.commands import Command
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.requestor import Peer
from hounsfield.server.provider.peers import NamedPeer
from hounsfield.server.state import AppState


@dataclass(frozen=True, slots=True)
class Door:
    """The address of an archive for DIMSE, and its peers. `everybody`: also to peers that are not among the `named`.

    `tls` is for those that call, `outgoing` for peers that we call.
    """

    title: str
    host: str
    port: int
    named: Sequence[NamedPeer] = ()
    everybody: bool = True
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    outgoing: ssl.SSLContext | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)

    def peer(self, title: str) -> Peer | None:
        """The named peer of an AE title, as somebody we call."""
        for each in self.named:
            if each.title == title:
                return Peer(each.host, each.port, title, self.title, self.outgoing, receive_port=self.port)
        return None


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its data set, on the association `accepted`."""

    state: AppState
    door: Door
    accepted: Accepted
    context: Context
    command: Command
    content: bytes = field(default=b"", repr=False)

    @property
    def connection(self) -> Connection:
        return self.accepted.connection

    @property
    def caller(self) -> str:
        """The calling AE title."""
        return self.accepted.request.calling


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status that was said last, and the studies that were touched."""

    status: int
    studies: Sequence[str] = ()
