"""Tokens of an OpenID provider as bearer tokens: signed JSON Web Tokens, checked against the keys that it publishes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hounsfield.errors import DicomwebError, UnsupportedError
from hounsfield.server.auth.principals import SCOPES, Principal

REFRESH_SECONDS = 10.0
"""After which a token with an unknown key makes the server look for new ones."""

DOWN_SECONDS = 5.0
"""For which a provider that could not be reached is left alone."""


@dataclass
class OpenId:
    """JSON Web Tokens of one OpenID provider, held against its published keys (RFC 7519, OpenID Connect Core).

    `claim` names the claim that holds scopes or roles: `hounsfield.read` or `hounsfield:read` and so on; whoever
    has a valid token and no such claim may read only if `readers` says so.
    """

    issuer: str
    audience: str
    keys_url: str | None = None
    claim: str = "scope"
    readers: bool = False
    scheme: str = "Bearer"
    _client: Any = None
    _asked: float = -math.inf
    _down_until: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def principal(self, scheme: str, credentials: str) -> Principal | None:
        if scheme != "bearer" or credentials.count(".") != 2:
            return None
        import jwt

        try:
            key = self._key(credentials)
            if key is None:
                return None
            # Only what a private key signs: with a shared secret, whoever verifies could also forge.
            claims = jwt.decode(
                credentials, key, algorithms=["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"],
                audience=self.audience, issuer=self.issuer, leeway=30,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except jwt.PyJWKClientConnectionError as error:
            raise DicomwebError(
                "the OpenID provider is unreachable", remedy="try again", status=503
            ) from error
        except (jwt.PyJWTError, TypeError, ValueError):
            # The last two: a token that names another kind of key than the provider's.
            return None
        scopes = self._granted(claims)
        return Principal(str(claims["sub"])[:200], scopes) if scopes else None

    def _granted(self, claims: Mapping[str, Any]) -> frozenset[str]:
        claim: Any = claims
        for step in self.claim.split("."):
            claim = claim.get(step, ()) if isinstance(claim, Mapping) else ()
        names = claim.split() if isinstance(claim, str) else [str(each) for each in claim or ()]
        found = {name.replace(":", ".").removeprefix("hounsfield.") for name in names
                 if name.startswith(("hounsfield.", "hounsfield:"))}  # fmt: skip
        granted = found & set(SCOPES)
        return frozenset(granted or ({"read"} if self.readers else ()))

    def _key(self, token: str) -> Any:
        """The provider's key that a token names; None for none. One thread asks the provider, and not too often."""
        import jwt

        kid = jwt.get_unverified_header(token).get("kid")
        with self._lock:
            known = self._published(refresh=False)
            found = jwt.PyJWKClient.match_kid(known, str(kid))
            if found is None and time.monotonic() - self._asked > REFRESH_SECONDS:
                # New keys since; a token that nobody signed makes us look no more often than that.
                found = jwt.PyJWKClient.match_kid(self._published(refresh=True), str(kid))
        return found.key if found is not None else None

    def _published(self, *, refresh: bool) -> Any:
        import jwt

        if time.monotonic() < self._down_until:
            raise jwt.PyJWKClientConnectionError("it could not be reached a moment ago")
        try:
            if self._client is None:
                url = self.keys_url or _discovered(self.issuer)
                self._client = jwt.PyJWKClient(url, cache_keys=False, lifespan=300, timeout=5)
                refresh = True
            if refresh:
                self._asked = time.monotonic()
            return self._client.get_signing_keys(refresh=refresh)
        except jwt.PyJWKClientConnectionError:
            self._down_until = time.monotonic() + DOWN_SECONDS
            raise


def _discovered(issuer: str) -> str:
    """Return the URL of an issuer's keys (OpenID Connect Discovery 4)."""
    import jwt
    import urllib3

    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        document = urllib3.request("GET", url, timeout=5.0, retries=1).json()
        keys = str(document["jwks_uri"])
        of_that_issuer = str(document.get("issuer", issuer)).rstrip("/") == issuer.rstrip("/")
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise jwt.PyJWKClientConnectionError(f"no OpenID configuration: {type(error).__name__}") from error
    if not of_that_issuer or not keys.startswith("https://" if issuer.startswith("https://") else "http"):
        raise jwt.PyJWKClientConnectionError("an OpenID configuration of another issuer, or keys without TLS")
    return keys


def require_openid() -> None:
    """Raise `UnsupportedError` unless what OpenID needs is installed."""
    try:
        import jwt  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "OpenID needs the package pyjwt", remedy='pip install "hounsfield[oidc]"'
        ) from error
