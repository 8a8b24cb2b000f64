"""A door as an operator describes it, refused where strangers could come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hounsfield.dimse.connection import Tls
from hounsfield.dimse.pdus import ae_title
from hounsfield.errors import DimseError, LocationError
from hounsfield.language import say
from hounsfield.server.auth.access import is_loopback
from hounsfield.server.provider.peers import NamedPeer
from hounsfield.server.provider.request import Door


def door(
    title: str,
    host: str,
    port: int,
    *,
    peers: Sequence[str] = (),
    insecure: bool = False,
    certificate: tuple[str, str] | None = None,
    ca: str | None = None,
) -> Door:
    """The door at an address: open to all on this machine alone, elsewhere to the named `peers` (`AE@host:port`).

    `insecure` opens it to all at any address. `certificate` and key make it TLS; with `ca` peers must show one, too.
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
    if certificate is None:
        return Door(title, host, port, named, everybody)
    tls = Tls(Path(ca) if ca else None, Path(certificate[0]), Path(certificate[1]), names=False)
    return Door(title, host, port, named, everybody, tls.server(), tls.client())
