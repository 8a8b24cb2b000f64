"""Who may do what: principals, their scopes, and the rule that decides. How they prove who they are: `credentials`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hounsfield.errors import DicomwebError

if TYPE_CHECKING:
    from hounsfield.server.credentials import Authenticator

SCOPES = ("read", "write", "delete")


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks: a name for the audit log, and the scopes "read", "write", "delete" they have."""

    name: str
    scopes: frozenset[str]


EVERYBODY = Principal("anonymous", frozenset(SCOPES))
"""Whoever reaches a server that asks for no credentials."""


@dataclass(frozen=True, slots=True)
class Access:
    """`authenticators`: ways to prove who one is; none: everybody may do everything.

    `hosts`: the names in Host that are answered, none for any. A server that asks nobody for credentials answers
    only to its own: else any web page could reach it by a name of its own that leads here (DNS rebinding).
    `origins`: pages of other origins that may use the server from a browser; "*" for all.
    `proxies`: addresses whose Forwarded headers are believed.
    """

    authenticators: Sequence[Authenticator] = ()
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset({"127.0.0.1", "::1"})

    def admit(self, authorization: str | None, scope: str) -> Principal | None:
        """Who asks, if they may; raises `DicomwebError` 401 or 403. None where nobody is asked."""
        if scope == "none":
            return None
        if not self.authenticators:
            return EVERYBODY
        scheme, _, credentials = (authorization or "").strip().partition(" ")
        for each in self.authenticators if credentials else ():
            principal = each.principal(scheme.lower(), credentials.strip())
            if principal is None:
                continue
            if scope not in principal.scopes:
                raise DicomwebError(f"{scope} is not among your scopes", status=403)
            return principal
        raise DicomwebError("who are you?", expected="an Authorization header that holds", status=401)

    def challenges(self) -> str:
        """The WWW-Authenticate of a 401."""
        schemes = dict.fromkeys(each.scheme for each in self.authenticators)
        return ", ".join(f'{scheme} realm="hounsfield"' for scheme in schemes)

    def check_host(self, host: str) -> None:
        """Refuse a Host that is not ours (421)."""
        name = (
            host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        )
        if self.hosts is not None and name.strip("[]").lower() not in self.hosts:
            raise DicomwebError("this server does not answer to that name", status=421)

    def origin(self, asked: str | None) -> str | None:
        """What Access-Control-Allow-Origin says to a page of `asked`; None for nothing."""
        if asked is None or not self.origins:
            return None
        return asked if asked in self.origins or "*" in self.origins else None


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
