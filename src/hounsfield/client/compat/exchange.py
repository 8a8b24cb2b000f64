"""One request, sent through the caller's `requests` session or through our own connections.

A session is used as it is, with its credentials, adapters, certificates and hooks; it is never imported here.
Failures are `DicomwebError`s that are also what callers of `dicomweb-client` catch: `requests.HTTPError`,
`requests.ConnectionError`, `retrying.RetryError`. Who catches those has imported them, so only loaded ones count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3

from hounsfield.client.answer import CHUNK, Answer
from hounsfield.client.options import Limits, Retries, Timeouts, Transport
from hounsfield.client.wire import Body, Request, Wire, failure
from hounsfield.errors import DicomwebError


@dataclass
class OwnSession:
    """Settings of our own connections, under the names that `requests.Session` has for them."""

    headers: dict[str, str] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)

    def wire(self, base: str, timeout: float | tuple[float, float]) -> Wire:
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        proxy = self.proxies.get(urlsplit(base).scheme)
        return Wire(
            base,
            auth=None,
            headers=self.headers,
            timeouts=Timeouts(connect=connect, read=read, store=max(read, Timeouts().store)),
            retries=Retries(attempts=1),
            limits=Limits(),
            transport=Transport(proxy=proxy if proxy is None or "://" in proxy else f"http://{proxy}"),
            connections=8,
        )


class Pieces(Sequence[bytes]):
    """A body as its pieces, read anew for each attempt; its length is that of all of them in bytes."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._length = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def __getitem__(self, index: Any) -> Any:
        return self._pieces[index]


def send_by_session(
    session: Any,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Pieces | None,
    timeout: float | tuple[float, float],
) -> tuple[Answer, Any]:
    """The answer through `session`, and the session's own response."""
    options: dict[str, Any] = {"headers": dict(headers), "timeout": timeout, "stream": True}
    if body is not None:
        options["data"] = body if len(body) else b""
    response = getattr(session, method.lower())(url, **options)
    raw = cast("urllib3.BaseHTTPResponse", _SessionBody(response))
    return Answer(raw, url.partition("?")[0], Timeouts()), response


def send_by_wire(
    wire: Wire, method: str, url: str, headers: Mapping[str, str], body: Pieces | None
) -> tuple[Answer, Any]:
    """The answer over our own connections, and what stands for a response in the errors."""
    sent = Body(lambda: iter(body), len(body), headers["Content-Type"]) if body is not None else None
    try:
        answer = wire.send(Request(method, url, headers, sent, repeat="never"))
    except DicomwebError as error:
        raise _also(error, "requests.exceptions", "ConnectionError") from error
    return answer, SimpleNamespace(status_code=answer.status, headers=answer.headers, url=answer.url)


def http_error(answer: Answer, response: Any) -> DicomwebError:
    """Error for a status of 400 or more: with the server's reason, and a `requests.HTTPError` to who knows those."""
    error = _also(failure(answer), "requests.exceptions", "HTTPError")
    error.response = response  # type: ignore[attr-defined]
    return error


def retry_error(answer: Answer, response: Any, attempts: int) -> DicomwebError:
    """Error for a status that stayed after all attempts: also a `retrying.RetryError`."""
    error = _also(failure(answer), "retrying", "RetryError")
    error.found += f" after {attempts} attempts"
    module = sys.modules.get("retrying")
    if module is not None:
        error.last_attempt = module.Attempt(response, attempts, False)  # type: ignore[attr-defined]
    return error


class _SessionBody:
    """A `requests.Response` as the response of urllib3 that `Answer` reads; works for mocked ones too."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._chunks = response.iter_content(CHUNK)
        self.status: int = response.status_code
        self.headers = {
            name: value for name, value in response.headers.items() if name.lower() != "content-encoding"
        }
        self.length_remaining: int | None = None

    def read1(self, _: int, *, decode_content: bool) -> bytes:
        try:
            return next(self._chunks, b"")
        except Exception as error:  # requests, an adapter or a mock raises whatever it is led to
            raise urllib3.exceptions.ProtocolError("the session's body broke", error) from error

    def release_conn(self) -> None:
        self._response.close()

    close = release_conn


def _also(error: DicomwebError, module: str, name: str) -> DicomwebError:
    """`error` as a class that is also `module.name`, if that module is loaded."""
    other = getattr(sys.modules.get(module), name, None)
    if other is None:
        return error
    kind = type(name, (DicomwebError, other), {})
    return cast(
        DicomwebError,
        kind(error.found, expected=error.expected, where=error.where, remedy=error.remedy, **error.data),
    )
