"""Peers that may ask for an association, and the named peers that instances may be moved to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.dimse.pdus import AssociateReject, AssociateRequest, ae_title
from hounsfield.errors import DimseError, LocationError
from hounsfield.language import say

CALLED_UNKNOWN, CALLING_UNKNOWN = AssociateReject(1, 1, 7), AssociateReject(1, 1, 3)


@dataclass(frozen=True, slots=True)
class NamedPeer:
    """A peer by its AE title; it calls from `host`, and listens there at `port`."""

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> NamedPeer:
        """`CT1@10.0.0.7:104`; `LocationError` for what is not of that form."""
        title, at, place = text.rpartition("@")
        host, colon, port = place.rpartition(":")
        try:
            if not (at and colon and host and port.isascii() and 0 < int(port) < 65536):
                raise ValueError
            ae_title(title)
        except (ValueError, DimseError) as error:
            raise LocationError(
                say("{text} is no DICOM peer", text=repr(text)), expected="AETITLE@host:port"
            ) from error
        return cls(title, host.strip("[]"), int(port))

    def calls_from(self, address: str) -> bool:
        """Whether `address` is one of the peer's."""
        try:
            return _plain(self.host) == _plain(address)
        except ValueError:
            pass
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except OSError:
            return False
        return any(_plain(str(each[4][0])) == _plain(address) for each in found)


@dataclass(frozen=True, slots=True)
class Admission:
    """`title` is what we must be called by. Not `everybody`: only a named peer, from its own address, may ask."""

    title: str
    named: Sequence[NamedPeer]
    everybody: bool

    def refusal(self, request: AssociateRequest, address: str) -> AssociateReject | None:
        """Why a peer may not ask; None if it may."""
        if request.called != self.title:
            return CALLED_UNKNOWN
        if self.everybody or any(
            each.title == request.calling and each.calls_from(address) for each in self.named
        ):
            return None
        return CALLING_UNKNOWN


def _plain(address: str) -> str:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
