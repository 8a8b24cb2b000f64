"""Credentials for a server: basic, bearer and OAuth2 client credentials; secrets that never show.

A `Secret` is fetched when it is needed, from the environment, a command, the keyring or memory, and prints as
dots wherever it is shown. Sending is not done here, but for the token of OAuth2.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hounsfield.errors import DicomwebError
from hounsfield.language import say

EARLY = 30.0
"""Seconds before its end at which a token is renewed, so that it does not run out on its way."""

COMMAND_TIMEOUT = 60.0
"""Seconds a command may take to print a secret; some ask a person."""

_MEMORY = "memory"


class Secret:
    """A text that is fetched when first asked for and never shown; `origin` says where it is from, for messages."""

    __slots__ = ("_fetch", "_lock", "_text", "origin")

    def __init__(self, fetch: Callable[[], str], origin: str) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._text = ""
        self.origin = origin

    def reveal(self) -> str:
        """The text itself, fetched once; `DicomwebError` that names the origin when there is none."""
        with self._lock:
            if not self._text:
                text = self._fetch().strip("\r\n")
                if not text or not text.isprintable():
                    raise DicomwebError(
                        say("{origin} holds no secret", origin=self.origin), expected="one line of text"
                    )
                self._text = text
            return self._text

    def forget(self) -> bool:
        """Fetch it anew the next time; whether another text can come of that."""
        with self._lock:
            self._text = ""
        return self.origin != _MEMORY

    def __repr__(self) -> str:
        return f"Secret(••• from {self.origin})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

    @classmethod
    def of(cls, text: str) -> Secret:
        """A secret that is in memory already."""
        return cls(lambda: text, _MEMORY)

    @classmethod
    def from_environment(cls, name: str) -> Secret:
        return cls(lambda: os.environ.get(name, ""), f"the environment variable {name}")

    @classmethod
    def from_command(cls, command: Sequence[str]) -> Secret:
        """The standard output of a command, run without a shell."""
        return cls(lambda: _printed(list(command)), f"the command {command[0]!r}")

    @classmethod
    def from_keyring(cls, service: str, user: str) -> Secret:
        """A password of the desktop's keyring; needs the package `keyring`."""
        return cls(lambda: _from_keyring(service, user), f"the keyring entry {service!r} of {user!r}")


class Auth(Protocol):
    """The source of the Authorization header of a request."""

    def authorization(self) -> str:
        """The header's value; fetched anew where it ran out."""

    def renew(self) -> bool:
        """After a 401: forget what was fetched. Whether trying once more can help."""


@dataclass(frozen=True, slots=True)
class Basic:
    """User and password (RFC 7617)."""

    user: str
    password: Secret

    def authorization(self) -> str:
        pair = f"{self.user}:{self.password.reveal()}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def renew(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token (RFC 6750); fetched again when a server no longer takes it, so that a command may hand out fresh ones."""

    token: Secret

    def authorization(self) -> str:
        return "Bearer " + self.token.reveal()

    def renew(self) -> bool:
        return self.token.forget()


@dataclass(slots=True)
class ClientCredentials:
    """OAuth2 client credentials (RFC 6749 4.4): a token from `token_url`, kept until shortly before its end.

    `post` sends a form and gives status and body; the client sets it to its own transport.
    """

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    post: Callable[[str, Mapping[str, str], Mapping[str, str]], tuple[int, bytes]] | None = field(
        default=None, repr=False
    )
    _token: str = field(default="", repr=False, init=False)
    _ends: float = field(default=0.0, repr=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, init=False)

    def authorization(self) -> str:
        with self._lock:
            if not self._token or time.monotonic() >= self._ends:
                self._fetch()
            return "Bearer " + self._token

    def renew(self) -> bool:
        with self._lock:
            self._token = ""
        return True

    def _fetch(self) -> None:
        if self.post is None:
            raise DicomwebError("no way to the token server", where=self.token_url)
        form = {"grant_type": "client_credentials", **self.extra}
        if self.scope:
            form["scope"] = self.scope
        basic = Basic(self.client_id, self.client_secret).authorization()
        status, body = self.post(self.token_url, form, {"Authorization": basic, "Accept": "application/json"})
        answer = _json_object(body)
        if status in {400, 401} and "access_token" not in answer:
            # Some servers want the client in the form (RFC 6749 2.3.1).
            form |= {"client_id": self.client_id, "client_secret": self.client_secret.reveal()}
            status, body = self.post(self.token_url, form, {"Accept": "application/json"})
            answer = _json_object(body)
        token = answer.get("access_token")
        if status != 200 or not isinstance(token, str) or not token.isprintable():
            reason = answer.get("error_description") or answer.get("error") or "no access token"
            raise DicomwebError(
                say("no token: HTTP {status}, {reason}", status=status, reason=str(reason)[:200]),
                where=self.token_url,
                remedy="check client id, secret and scope",
                status=status,
            )
        self._token = token
        self._ends = time.monotonic() + max(_seconds(answer.get("expires_in")) - EARLY, 1.0)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(value: object) -> float:
    try:
        return min(max(float(str(value)), 0.0), 86_400.0)
    except ValueError:
        return 300.0


def _printed(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (the user's own command, no shell)
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError) as error:
        raise DicomwebError(
            say(
                "the command {command} for a secret failed: {name__}",
                command=repr(command[0]),
                name__=type(error).__name__,
            )
        ) from error
    if done.returncode != 0:
        raise DicomwebError(
            say(
                "the command {command} for a secret ended with status {returncode}",
                command=repr(command[0]),
                returncode=done.returncode,
            )
        )
    return done.stdout.strip()


def _from_keyring(service: str, user: str) -> str:
    try:
        import keyring  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise DicomwebError("no keyring on this machine", remedy="pip install keyring") from error
    try:
        return keyring.get_password(service, user) or ""
    except Exception as error:  # whatever its backends raise
        raise DicomwebError(
            say("the keyring cannot be read: {name__}", name__=type(error).__name__)
        ) from error
