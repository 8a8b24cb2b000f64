"""The DIMSE endpoint of an archive as an operator describes it, refused where it would be open to strangers."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.dimse.acceptor import Limits
from hounsfield.dimse.connection import Tls
from hounsfield.dimse.pdus import ae_title
from hounsfield.dimse.requestor import Peer
from hounsfield.errors import DimseError, LocationError
from hounsfield.language import say
from hounsfield.server.auth.access import is_loopback
from hounsfield.server.provider.peers import NamedPeer


@dataclass(frozen=True, slots=True)
class Endpoint:
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


def endpoint(
    title: str,
    host: str,
    port: int,
    *,
    peers: Sequence[str] = (),
    insecure: bool = False,
    certificate: tuple[str, str] | None = None,
    ca: str | None = None,
    limits: Limits | None = None,
) -> Endpoint:
    """Return the endpoint at an address: open to all on this machine alone, elsewhere to `peers` (`AE@host:port`).

    `insecure` opens it to all at any address; `limits` are those of its associations. `certificate` and key make it
    TLS; with `ca` peers must show one, too.
    Raises `LocationError` for what makes no sense, or would be open to strangers.
    """
    try:
        ae_title(title)
    except DimseError as error:
        raise LocationError(error.found, expected=error.expected) from error
    named = [NamedPeer.parse(each) for each in peers]
    everybody = insecure or is_loopback(host)
    if not everybody and not named:
        raise LocationError(
            say("DIMSE at {host} would be open to nobody: no peer is named", host=host),
            remedy="name those that may call (--dicom-peer AE@HOST:PORT), or open it to all with --insecure",
        )
    limits = limits or Limits()
    if certificate is None:
        return Endpoint(title, host, port, named, everybody, limits=limits)
    tls = Tls(Path(ca) if ca else None, Path(certificate[0]), Path(certificate[1]), names=False)
    return Endpoint(title, host, port, named, everybody, tls.server(), tls.client(), limits)
