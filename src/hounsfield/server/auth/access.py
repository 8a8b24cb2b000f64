"""Authorisation: which principal may do what, and from where. Authentication is in `credentials` and `openid`."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.auth.principals import SCOPES, Authenticator, Principal, basic_credentials
from hounsfield.server.http.proxy_headers import is_host

MAX_GUESSES, GUESSING_SECONDS, MAX_GUESSERS = 20, 60.0, 10_000
"""Rate limit of logins: failures for a name from an address in so many seconds; how many such pairs are kept."""

MAX_NAME = 128
"""Characters of a name by which failures are counted."""

EVERYBODY = Principal("anonymous", frozenset(SCOPES))
"""Whoever reaches a server that asks for no credentials."""


class Guesses:
    """Wrong passwords by the address they came from and the name they were for, so that nobody tries many.

    Others behind that address, and other names, are not locked out by them. Tokens are not counted: they are random and
    too long to be guessed.
    """

    def __init__(self) -> None:
        self._wrong: dict[tuple[str, str], tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, client: str, name: str) -> None:
        """Refuse one who guessed too often, for a while (429)."""
        with self._lock:
            count, since = self._wrong.get((client, name[:MAX_NAME]), (0, 0.0))
        if count >= MAX_GUESSES and time.monotonic() - since < GUESSING_SECONDS:
            raise DicomwebError("too many failed logins", remedy="wait a minute", status=429)

    def note(self, client: str, name: str) -> None:
        now, guess = time.monotonic(), (client, name[:MAX_NAME])
        with self._lock:
            count, since = self._wrong.pop(guess, (0, now))
            fresh = now - since < GUESSING_SECONDS
            self._wrong[guess] = (count + 1, since) if fresh else (1, now)
            while len(self._wrong) > MAX_GUESSERS:
                del self._wrong[next(iter(self._wrong))]


@dataclass(frozen=True, slots=True)
class Access:
    """`authenticators`: ways to prove who one is; none: everybody may do everything.

    `hosts`: the names in Host that are answered, none for any. A server that asks nobody for credentials answers
    only to its own: else any web page could reach it by a name of its own that leads here (DNS rebinding).
    `origins`: pages of other origins that may use the server from a browser; "*" for all.
    `proxies`: the peers whose Forwarded headers are believed.
    """

    authenticators: Sequence[Authenticator] = ()
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()
    proxies: Container[str] = frozenset({"127.0.0.1", "::1"})
    guesses: Guesses = field(default_factory=Guesses)

    def admit(self, authorization: str | None, scope: str, client: str = "") -> Principal | None:
        """Return the principal of a request; None for the scope "none". Raises `DicomwebError` 401, 403 or 429.

        `client`: the address that the request came from.
        """
        if scope == "none":
            return None
        if not self.authenticators:
            return EVERYBODY
        scheme, _, credentials = (authorization or "").strip().partition(" ")
        name = basic_credentials(credentials.strip())[0] if scheme.lower() == "basic" else None
        if name is not None:
            self.guesses.check(client, name)
        for each in self.authenticators if credentials else ():
            principal = each.principal(scheme.lower(), credentials.strip())
            if principal is None:
                continue
            if scope not in principal.scopes:
                raise DicomwebError(say("the scope {scope} is required", scope=repr(scope)), status=403)
            return principal
        if name is not None and credentials:
            self.guesses.note(client, name)
        raise DicomwebError(
            "authentication required", expected="valid credentials in an Authorization header", status=401
        )

    def challenges(self) -> str:
        """The WWW-Authenticate of a 401."""
        schemes = dict.fromkeys(each.scheme for each in self.authenticators)
        return ", ".join(f'{scheme} realm="hounsfield"' for scheme in schemes)

    def check_host(self, hosts: Sequence[str]) -> None:
        """Refuse several Hosts and one that is none (400; RFC 9112 3.2), and one that is not ours (421)."""
        if len(hosts) > 1:
            raise DicomwebError(
                say("{count} Host header fields", count=len(hosts)), expected="one", status=400
            )
        host = hosts[0] if hosts else ""
        if host and not is_host(host):
            raise DicomwebError("invalid Host", expected="a name or address, perhaps with a port", status=400)
        name = (
            host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        )
        if self.hosts is not None and name.strip("[]").lower() not in self.hosts:
            raise DicomwebError("this server is not known by that name", status=421)


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
