"""Timeouts, retries, trust and limits of a client, as frozen values."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.client.credentials import Secret


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is the longest silence, `store` the longest that a server may think about what it was sent.

    A body that over `patience` seconds comes slower than `slowest` bytes a second is given up.
    """

    connect: float = 10.0
    read: float = 120.0
    store: float = 900.0
    patience: float = 120.0
    slowest: int = 1000


@dataclass(frozen=True, slots=True)
class Retries:
    """The retry policy for requests that may be repeated: backoff doubling from `first` to `longest` seconds.

    A server's Retry-After is heeded up to `longest_asked`; beyond that the error names its wait.
    """

    attempts: int = 5
    first: float = 0.25
    longest: float = 20.0
    longest_asked: float = 120.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def pause(self, attempt: int) -> float:
        """Seconds before attempt `attempt` + 1, spread so that many clients do not come back at once."""
        full = min(self.longest, self.first * 2.0 ** (attempt - 1))
        return full * (0.5 + random.random() / 2)  # noqa: S311 (spread, not secrecy)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a response in memory (bytes), and on how many pages and redirects are followed."""

    text: int = 512 * 1024**2
    instance: int = 8 * 1024**3
    redirects: int = 5
    pages: int = 10_000


@dataclass(frozen=True, slots=True)
class Transport:
    """The way to the server: own certificate authority, client certificate with key, proxy.

    `verify=False` trusts anybody and is for laboratories. `proxy` None takes the environment's (HTTPS_PROXY …),
    never for the machine itself; "" takes none.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: Secret | None = None
    verify: bool = True
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Path segments that a server puts between its base URL and searches, retrieval or stores."""

    search: str = ""
    retrieve: str = ""
    store: str = ""
