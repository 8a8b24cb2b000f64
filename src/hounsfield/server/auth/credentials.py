"""Authentication by a file of bearer tokens and passwords.

The file holds no secret that could be used: SHA-256 of tokens (which are random and long), scrypt of passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hounsfield.errors import LocationError, MalformedError, SelectionError
from hounsfield.language import say
from hounsfield.outputs import whole_file
from hounsfield.server.auth.principals import SCOPES, Principal, basic_credentials
from hounsfield.server.private_folder import make_private

PREFIX = "hu_"
"""Of every token, so that one that leaked is known for what it is."""

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
_REMEMBERED_SECONDS = 60.0
_NOBODY = "00" * 16
_scrypting = threading.BoundedSemaphore(2)
"""Passwords that are tried at once: each takes 16 MiB and a core."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One line of the file: a token (`kind` "token") or a password; `expires` seconds since 1970, or None."""

    name: str
    kind: str
    secret: str
    scopes: tuple[str, ...]
    salt: str = ""
    created: float = 0.0
    expires: float | None = None

    def valid(self) -> bool:
        return self.expires is None or self.expires > time.time()


@dataclass
class CredentialFile:
    """Tokens and passwords in a JSON file that only its owner may read; changes count at once."""

    path: Path
    _known: tuple[Credential, ...] = ()
    _stamp: tuple[int, int] | None = None
    _verified: dict[bytes, tuple[float, Credential]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def credentials(self) -> tuple[Credential, ...]:
        """Everything in the file; nothing where there is none. Raises `MalformedError`, `LocationError`."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return ()
        stamp = (found.st_mtime_ns, found.st_ino)
        with self._lock:
            if stamp != self._stamp:
                self._known = _read(self.path)
                self._stamp = stamp
                self._verified.clear()
            return self._known

    def add_token(self, name: str, scopes: Iterable[str], *, days: float | None = None) -> str:
        """Add a token and return it, once and never again. Raises `SelectionError` for a name that is taken."""
        token = PREFIX + secrets.token_urlsafe(32)
        expires = None if days is None else time.time() + days * 86400
        digest = hashlib.sha256(token.encode()).hexdigest()
        self._add(Credential(name, "token", digest, _scopes(scopes), "", time.time(), expires))
        return token

    def add_password(self, name: str, password: str, scopes: Iterable[str]) -> None:
        """A user for Basic authentication."""
        if ":" in name or len(password) < 8:
            raise SelectionError(
                "invalid user or password",
                expected="a user without a colon; a password of at least 8 characters",
            )
        salt = secrets.token_hex(16)
        self._add(Credential(name, "password", _scrypt(password, salt), _scopes(scopes), salt, time.time()))

    def revoke(self, name: str) -> None:
        """Remove whatever has that name. Raises `SelectionError` where nothing has."""
        known = self.credentials()
        if all(each.name != name for each in known):
            choices = tuple(each.name for each in known)
            raise SelectionError(
                say("nothing named {name}", name=repr(name)),
                expected=", ".join(choices) or None,
                choices=choices,
            )
        self._write([each for each in known if each.name != name])

    def _add(self, credential: Credential) -> None:
        known = self.credentials()
        if not credential.name or any(each.name == credential.name for each in known):
            raise SelectionError(
                say("the name {name} is taken", name=repr(credential.name)),
                remedy="choose another, or revoke it first",
            )
        self._write([*known, credential])

    def _write(self, credentials: list[Credential]) -> None:
        if not self.path.parent.exists():
            make_private(self.path.parent)
        with whole_file(self.path, force=True) as temporary:
            descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(
                    {"version": 1, "credentials": [asdict(each) for each in credentials]}, stream, indent=1
                )
        with self._lock:
            self._stamp = None

    def token(self, text: str) -> Principal | None:
        """Return the principal of a token; None for an unknown one."""
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        for each in self.credentials():
            if each.kind == "token" and each.valid() and hmac.compare_digest(each.secret, digest):
                return Principal(each.name, frozenset(each.scopes))
        return None

    def password(self, name: str, password: str) -> Principal | None:
        """Return the principal of a password; a right one is cached for a minute, since scrypt is slow on purpose."""
        known = self.credentials()
        proof = hmac.digest(self._key, f"{name}\0{password}".encode("utf-8", "replace"), "sha256")
        with self._lock:
            until, credential = self._verified.get(proof, (0.0, None))
        if credential is not None and until > time.monotonic():
            return Principal(credential.name, frozenset(credential.scopes))
        for each in known:
            if each.kind == "password" and each.name == name and each.valid():
                if hmac.compare_digest(_scrypt(password, each.salt), each.secret):
                    with self._lock:
                        if len(self._verified) > 1000:
                            self._verified.clear()
                        self._verified[proof] = (time.monotonic() + _REMEMBERED_SECONDS, each)
                    return Principal(each.name, frozenset(each.scopes))
                return None
        # A name that nobody has takes as long as a wrong password.
        _scrypt(password, _NOBODY)
        return None


def _read(path: Path) -> tuple[Credential, ...]:
    try:
        content = json.loads(path.read_text("utf-8"))
        return tuple(
            Credential(**{**each, "scopes": _scopes(each["scopes"])}) for each in content["credentials"]
        )
    except OSError as error:
        raise LocationError(
            say("cannot be read: {strerror}", strerror=error.strerror), where=str(path)
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedError(
            "not a credentials file", where=str(path), remedy="repair or remove it"
        ) from error


def _scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(scopes))
    unknown = [each for each in found if each not in SCOPES]
    if unknown or not found:
        raise SelectionError(
            say("no scope {listed}", listed=", ".join(unknown) or "given"), expected=", ".join(SCOPES)
        )
    return found


def _scrypt(password: str, salt: str) -> str:
    with _scrypting:
        return hashlib.scrypt(password.encode("utf-8", "replace"), salt=bytes.fromhex(salt), **_SCRYPT).hex()


@dataclass(frozen=True)
class Tokens:
    """Bearer tokens of a file."""

    file: CredentialFile
    scheme: str = "Bearer"

    def principal(self, scheme: str, credentials: str) -> Principal | None:
        return self.file.token(credentials) if scheme == "bearer" else None


@dataclass(frozen=True)
class Passwords:
    """Names and passwords of a file (RFC 7617)."""

    file: CredentialFile
    scheme: str = "Basic"

    def principal(self, scheme: str, credentials: str) -> Principal | None:
        if scheme != "basic":
            return None
        name, password = basic_credentials(credentials)
        return self.file.password(name, password) if password is not None else None
