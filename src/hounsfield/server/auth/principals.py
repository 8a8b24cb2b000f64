"""Principals and their scopes, and the protocol of authenticators."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol

SCOPES = ("read", "write", "delete")


@dataclass(frozen=True, slots=True)
class Principal:
    """A client that is known: a name for the audit log, and the scopes "read", "write", "delete" they have."""

    name: str
    scopes: frozenset[str]


class Authenticator(Protocol):
    """One way of authentication."""

    @property
    def scheme(self) -> str:
        """Scheme that a 401 names: "Bearer", "Basic"."""

    def principal(self, scheme: str, credentials: str) -> Principal | None:
        """Return the principal; None for unknown credentials. `scheme` in lower case. May be called from any thread."""


def basic_credentials(credentials: str) -> tuple[str, str | None]:
    """Name and password of Basic credentials (RFC 7617); no password where they are none."""
    try:
        name, mark, password = base64.b64decode(credentials, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return "", None
    return name, password if mark else None
