"""Where a request came from and what the client called us, when a proxy stands between (RFC 7239, X-Forwarded-*)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HOST = re.compile(r"[A-Za-z0-9._\-\[\]:]{1,255}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]+)*")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]*)\s*(?:;|$)')


@dataclass(frozen=True, slots=True)
class Seen:
    """How the client saw us: `scheme`, `host` (with port), `prefix` that a proxy took away; and its own address."""

    scheme: str
    host: str
    prefix: str = ""
    client: str = ""

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


def seen(direct: Seen, headers: Mapping[str, str], *, trusted: bool) -> Seen:
    """`direct`, corrected by what a trusted proxy says; what makes no sense is left as it was."""
    if not trusted:
        return direct
    told = _forwarded(headers.get("forwarded", ""))
    scheme = told.get("proto") or _first(headers.get("x-forwarded-proto"))
    host = told.get("host") or _first(headers.get("x-forwarded-host"))
    client = told.get("for") or _first(headers.get("x-forwarded-for"))
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
        found.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", match[2].strip('"')))
        position = match.end()
        if match.end() == match.start() or text[position : position + 1] == ",":
            break
    return found


def _first(text: str | None) -> str:
    return (text or "").partition(",")[0].strip()
