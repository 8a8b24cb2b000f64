"""Proxy headers: the client's address and the URL that it used, behind a trusted proxy (RFC 7239, X-Forwarded-*)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from hounsfield.errors import UnsupportedError
from hounsfield.language import say

_HOST = re.compile(r"[A-Za-z0-9._\-\[\]:]{1,255}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]+)*")
_FOR = re.compile(r'(?i)(?<![A-Za-z])for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]*)')
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]*)\s*(?:;|$)')


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the client sent it: `scheme`, `host` (with port), `prefix` that a proxy removed; its own address."""

    scheme: str
    host: str
    prefix: str = ""
    client: str = ""

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


def is_host(text: str) -> bool:
    """Whether a text is a name or an address, perhaps with a port, and nothing else; URLs are made of it."""
    return _HOST.fullmatch(text) is not None


def seen(
    direct: Seen, headers: Mapping[str, str], *, trusted: bool, proxies: Container[str] = frozenset()
) -> Seen:
    """`direct`, corrected by what a trusted proxy says; what makes no sense is left as it was.

    A client may have written what comes first in a list of addresses: its own is the last that is no proxy's.
    """
    if not trusted:
        return direct
    forwarded = _forwarded(headers.get("forwarded", ""))
    scheme = forwarded.get("proto") or _first(headers.get("x-forwarded-proto"))
    host = forwarded.get("host") or _first(headers.get("x-forwarded-host"))
    passed = [_unquoted(each) for each in _FOR.findall(headers.get("forwarded", ""))]
    passed = passed or [each.strip() for each in headers.get("x-forwarded-for", "").split(",")]
    client = next((each for each in reversed(passed) if each not in proxies), passed[0])
    prefix = _first(headers.get("x-forwarded-prefix")).rstrip("/")
    return Seen(
        scheme if scheme in {"http", "https"} else direct.scheme,
        host if _HOST.fullmatch(host) else direct.host,
        prefix if prefix and _PREFIX.fullmatch(prefix) else direct.prefix,
        client if _HOST.fullmatch(client) else direct.client,
    )


def _forwarded(text: str) -> dict[str, str]:
    """The pairs of the first element of a Forwarded header."""
    found: dict[str, str] = {}
    position = 0
    while match := _PAIR.match(text, position):
        found.setdefault(match[1].lower(), _unquoted(match[2]))
        position = match.end()
        if match.end() == match.start() or text[position : position + 1] == ",":
            break
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.strip('"'))


def _first(text: str | None) -> str:
    return (text or "").partition(",")[0].strip()


class TrustedProxies:
    """The addresses that `texts` name: `10.0.0.7`, `10.0.0.0/24`, `fd00::/8`. Raises `UnsupportedError`."""

    def __init__(self, texts: Iterable[str]) -> None:
        try:
            self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)
        except ValueError as error:
            raise UnsupportedError(
                say("--proxy with {partition}", partition=str(error).partition(" does not")[0]),
                expected="an address, or a network: 10.0.0.0/24",
            ) from error
        self._known = lru_cache(maxsize=1024)(self._holds)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._known(address)

    def _holds(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A server that listens on all addresses sees IPv4 clients under IPv6 ones.
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in network for network in self._networks)
