"""Requests out, answers in: connections, redirects, repeats, authorization. Knows HTTP, nothing of DICOM.

What the user gave for one server (authorization, headers, client certificate) goes to that server's origin and
nowhere else, whatever a redirect or a link says.
"""

from __future__ import annotations

import email.utils
import ipaddress
import logging
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from hounsfield.client.answer import Answer
from hounsfield.client.credentials import Auth, ClientCredentials
from hounsfield.client.options import Limits, Retries, Timeouts, Transport
from hounsfield.errors import DicomwebError
from hounsfield.language import say

LOG = logging.getLogger("hounsfield.client")
"""Methods, paths and statuses at DEBUG; never queries (they name patients), headers or bodies."""

TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
NOT_DONE = frozenset({429, 503})
"""Statuses with which a server says that it has not begun."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_URL = 8000

Repeat = Literal["always", "if not begun", "never"]


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: `chunks` makes it anew for each attempt, `length` bytes if that is known."""

    chunks: Callable[[], Iterator[bytes | memoryview]]
    length: int | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `repeat` says when it may be sent again."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeat: Repeat = "always"


class Wire:
    """Sends requests for one server (`base`); safe to use from many threads at once."""

    def __init__(
        self,
        base: str,
        *,
        auth: Auth | None,
        headers: Mapping[str, str],
        timeouts: Timeouts,
        retries: Retries,
        limits: Limits,
        transport: Transport,
        connections: int,
    ) -> None:
        self.origin = origin(base)
        self.limits = limits
        self._auth = auth
        self._headers = dict(headers)
        self._timeouts = timeouts
        self._retries = retries
        self._transport = transport
        self._connections = connections
        self._own = _pool(base, transport, timeouts, connections, own=True)
        self._others: urllib3.PoolManager | None = None
        if isinstance(auth, ClientCredentials) and auth.post is None:
            auth.post = self._post_form

    def close(self) -> None:
        self._own.clear()
        if self._others is not None:
            self._others.clear()

    def send(self, request: Request) -> Answer:
        """The answer to `request`, whatever its status; only what never came is a `DicomwebError`."""
        attempt, renewed = 1, False
        while True:
            try:
                answer = self._follow(request)
            except DicomwebError as error:
                again = request.repeat == "always" or not error.data.get("sent", True)
                if not error.data.get("transient") or not again or attempt >= self._retries.attempts:
                    raise
                LOG.debug("%s: %s; attempt %d", shown(request.url), error.found, attempt + 1)
                self._retries.sleep(self._retries.pause(attempt))
                attempt += 1
                continue
            if answer.status == 401 and self._auth is not None and not renewed and self._auth.renew():
                renewed = True
                answer.close()
                continue
            wait = self._wait(request, answer, attempt)
            if wait is None:
                return answer
            answer.close()
            LOG.debug("%s: HTTP %d; again in %.1f s", shown(request.url), answer.status, wait)
            self._retries.sleep(wait)
            attempt += 1

    def demand(self, request: Request) -> Answer:
        """The answer to `request`; a status of 400 or more is a `DicomwebError` with the server's reason."""
        answer = self.send(request)
        if answer.status < 400:
            return answer
        with answer:
            raise failure(answer)

    def _wait(self, request: Request, answer: Answer, attempt: int) -> float | None:
        """Seconds until this request is to be sent again, or None."""
        may = TRY_AGAIN if request.repeat == "always" else NOT_DONE
        if answer.status not in may or request.repeat == "never" or attempt >= self._retries.attempts:
            return None
        asked = retry_after(answer.headers.get("Retry-After"))
        if asked is not None and asked > self._retries.longest_asked:
            return None
        return max(asked or 0.0, self._retries.pause(attempt))

    def _follow(self, request: Request) -> Answer:
        """Send, and go where the answer points; a loop, a store sent elsewhere or a step to plain HTTP is an error."""
        url, method, seen = request.url, request.method, {request.url}
        while True:
            answer = self._once(method, url, request)
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not target:
                return answer
            answer.close()
            following = _target(url, target)
            if following in seen or len(seen) > self.limits.redirects:
                raise DicomwebError(
                    "redirects that lead nowhere",
                    where=shown(request.url),
                    expected=say("at most {redirects}", redirects=self.limits.redirects),
                    status=answer.status,
                )
            if origin(following) != self.origin and request.body is not None:
                raise DicomwebError(
                    say("a store redirected to another server, {origin}", origin=origin(following)),
                    where=shown(request.url),
                    remedy="give that server's URL if it is yours",
                    status=answer.status,
                )
            seen.add(following)
            url = following

    def _once(self, method: str, url: str, request: Request) -> Answer:
        if len(url) > _MAX_URL:
            raise DicomwebError(
                "a URL too long",
                expected=say("at most {max_url} characters", max_url=_MAX_URL),
                where=shown(url),
            )
        own = origin(url) == self.origin
        headers = {"User-Agent": "hounsfield", "Accept-Encoding": "identity", **request.headers}
        if own:
            headers = {**self._headers, **headers}
            if self._auth is not None:
                headers["Authorization"] = self._auth.authorization()
        body: Iterator[bytes | memoryview] | None = None
        if request.body is not None:
            body = request.body.chunks()
            headers["Content-Type"] = request.body.content_type
            if request.body.length is not None:
                headers["Content-Length"] = str(request.body.length)
        try:
            response = self._pool_for(own).urlopen(
                method, url, body=body, headers=headers, redirect=False, retries=False,
                preload_content=False, decode_content=False, timeout=self._timeout(request),
            )  # fmt: skip
        except (HTTPError, OSError, ValueError) as error:
            raise _unanswered(error, url) from error
        LOG.debug("%s %s: HTTP %d", method, shown(url), response.status)
        return Answer(response, shown(url), self._timeouts)

    def _timeout(self, request: Request) -> urllib3.Timeout:
        # A server answers a store only once it has written all of it.
        silence = self._timeouts.read if request.body is None else self._timeouts.store
        return urllib3.Timeout(connect=self._timeouts.connect, read=silence)

    def _pool_for(self, own: bool) -> urllib3.PoolManager:
        if own:
            return self._own
        if self._others is None:
            self._others = _pool("", self._transport, self._timeouts, self._connections, own=False)
        return self._others

    def _post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a form to a token server: its own pool, none of our headers, no repeats."""
        try:
            response = self._pool_for(False).urlopen(
                "POST", url, body=urlencode(form), redirect=False, retries=False, preload_content=False,
                headers={**headers, "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "hounsfield"},
            )  # fmt: skip
        except (HTTPError, OSError, ValueError) as error:
            raise _unanswered(error, url) from error
        with Answer(response, shown(url), self._timeouts) as answer:
            return answer.status, answer.read(1024 * 1024)


def failure(answer: Answer) -> DicomwebError:
    """Return the error for a status of 400 or more, with the server's own words."""
    reason = answer.reason()
    wait = retry_after(answer.headers.get("Retry-After"))
    remedies = {
        401: "give credentials, or check them",
        403: "these credentials do not allow it",
        404: "check the URL and the UIDs",
        429: f"the server asks to wait {wait:g} s" if wait is not None else "try again later",
        503: f"the server asks to wait {wait:g} s" if wait is not None else "try again later",
    }
    said = f": {reason}" if reason else ""
    return DicomwebError(
        say("HTTP {status}{said}", status=answer.status, said=said),
        where=answer.url,
        remedy=remedies.get(answer.status),
        status=answer.status,
        reason=reason,
        retry_after=wait,
    )


def origin(url: str) -> str:
    """Scheme, host and port, the port always there: what a browser calls the origin."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme.lower(), 0)
    except ValueError as error:
        raise DicomwebError("a URL without a sane port", where=shown(url)) from error
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}:{port}"


def shown(url: str) -> str:
    """`url` as it may stand in messages and logs: no query, no credentials."""
    plain = url.partition("?")[0].partition("#")[0]
    scheme, mark, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    return (scheme + mark + host.rpartition("@")[2] + slash + path)[:300]


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def retry_after(text: str | None) -> float | None:
    """Seconds in a Retry-After header, from a number or a date; None when it has neither."""
    stripped = (text or "").strip()
    if stripped.isascii() and stripped.isdigit():
        return float(stripped[:9])
    try:
        moment = email.utils.parsedate_to_datetime(stripped)
    except (ValueError, TypeError):
        return None
    return max(moment.timestamp() - time.time(), 0.0)


def _target(url: str, location: str) -> str:
    following = urljoin(url, location)
    parts = urlsplit(following)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DicomwebError("a redirect to what is no web address", where=shown(url))
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise DicomwebError("a redirect from https to plain http", where=shown(url), remedy="refused")
    return following.partition("#")[0]


def _tls_reason(error: SSLError) -> str:
    """Return what OpenSSL found wrong with the certificate, or its code for whatever else it was."""
    found = getattr(error.args[0] if error.args else None, "verify_message", "")
    text = str(error)
    return found or text[text.find("[") : text.find("]") + 1] or "TLS failed"


def _unanswered(error: Exception, url: str) -> DicomwebError:
    """No answer came: what happened, whether the request can have arrived, whether trying again makes sense."""
    sent = not isinstance(error, (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError))
    if isinstance(error, SSLError):
        return DicomwebError(
            say("no secure connection: {tls_reason}", tls_reason=_tls_reason(error)[:120]),
            where=shown(url),
            remedy="give the authority of its certificate",
            sent=False,
        )
    if isinstance(error, (LocationParseError, ValueError)):
        return DicomwebError("not a URL that can be asked", where=shown(url), sent=False)
    if isinstance(error, NewConnectionError):
        # It is a kind of ConnectTimeoutError to urllib3, so it comes first.
        found, remedy = "no connection", "is the server running, are host and port right?"
    elif isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        found, remedy = "no answer in time", "try again, or give longer timeouts"
    else:
        found, remedy = f"the connection broke ({_cause(error)})", "try again"
    return DicomwebError(found, where=shown(url), remedy=remedy, transient=True, sent=sent)


def _cause(error: Exception) -> str:
    inner: Any = error.args[-1] if error.args else error
    return type(inner).__name__ if isinstance(inner, BaseException) else type(error).__name__


def _pool(
    base: str, transport: Transport, timeouts: Timeouts, connections: int, *, own: bool
) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "maxsize": connections,
        "timeout": urllib3.Timeout(connect=timeouts.connect, read=timeouts.read),
    }
    if not transport.verify and own:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    if transport.ca is not None:
        options["ca_certs"] = str(transport.ca)
    if transport.certificate is not None and own:
        options["cert_file"] = str(transport.certificate)
        options["key_file"] = str(transport.key or transport.certificate)
        if transport.key_password is not None:
            options["key_password"] = transport.key_password.reveal()
    proxy = transport.proxy if transport.proxy is not None else _environment_proxy(base)
    if not proxy:
        return urllib3.PoolManager(**options)
    userinfo = urlsplit(proxy).netloc.rpartition("@")[0]
    headers = urllib3.make_headers(proxy_basic_auth=userinfo) if userinfo else None
    plain = proxy.replace(f"{userinfo}@", "", 1) if userinfo else proxy
    return urllib3.ProxyManager(plain, proxy_headers=headers, **options)


def _environment_proxy(url: str) -> str:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for `url`; none for this machine itself."""
    parts = urlsplit(url)
    if not parts.hostname or is_loopback(url) or urllib.request.proxy_bypass(parts.hostname):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")
