"""One HTTP answer: status, headers, and a body that is pulled in pieces, with a watch on size and pace.

Not here: what the body means, and whether the status is good.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError, ReadTimeoutError

from hounsfield.client.options import Timeouts
from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.warnings299 import PeerWarning, parse_warnings
from hounsfield.errors import DicomwebError
from hounsfield.language import say

CHUNK = 512 * 1024
"""Bytes asked for at once: large enough that Python's share is small, small beside a slice."""

REASON_BYTES = 64 * 1024
DRAINED = 64 * 1024
"""Bytes read off an unwanted response to keep its connection; beyond, closing is cheaper."""

_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


class Answer:
    """A context manager: leaving it gives the connection back, or closes it if the body was not read to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, timeouts: Timeouts) -> None:
        self._response = response
        self._timeouts = timeouts
        self._ended = False
        self.url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def media_type(self) -> MediaType | None:
        """The media type that the response states; None when it states nothing that can be read."""
        try:
            return MediaType.parse(self.headers.get("Content-Type", ""))
        except DicomwebError:
            return None

    @property
    def length(self) -> int | None:
        text = self.headers.get("Content-Length", "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    @property
    def warnings(self) -> tuple[PeerWarning, ...]:
        """Every warning; HTTP allows the header several times."""
        return parse_warnings(self.headers.get("Warning"))

    def chunks(self) -> Iterator[bytes]:
        """The body, content encodings undone, in pieces of at most `CHUNK` bytes as they arrive.

        An end before the declared length, a silence or a drip raises `DicomwebError` with `truncated` true.
        """
        decode = bool(self.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"})
        started, received = time.monotonic(), 0
        while chunk := self._read(decode):
            yield chunk
            received += len(chunk)
            elapsed = time.monotonic() - started
            if elapsed > self._timeouts.patience:
                if received < elapsed * self._timeouts.slowest:
                    raise self._broken(f"slower than {self._timeouts.slowest} bytes a second")
                started, received = time.monotonic(), 0
        self._ended = True

    def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes of it: a longer one, also a compressed one, is an error."""
        parts: list[bytes] = []
        total = 0
        for chunk in self.chunks():
            total += len(chunk)
            if total > limit:
                raise DicomwebError(
                    "an answer too long", expected=say("at most {limit} bytes", limit=limit), where=self.url
                )
            parts.append(chunk)
        return b"".join(parts)

    def close(self) -> None:
        """Keep the connection if little is left to read on it, close it otherwise. May be called again."""
        try:
            if not self._ended and self._little_left():
                self._response.read(DRAINED, decode_content=False)
                self._ended = self._response.length_remaining == 0
        except (HTTPError, OSError):
            self._ended = False
        if self._ended:
            self._response.release_conn()
        else:
            self._response.close()

    def reason(self) -> str:
        """The reason that the server gives, in one line of at most 300 characters; "" when it gives none."""
        try:
            body = b""
            for chunk in self.chunks():
                body += chunk
                if len(body) > REASON_BYTES:
                    break
        except DicomwebError:
            return ""
        return readable_reason(body[:REASON_BYTES])

    def _little_left(self) -> bool:
        left = self._response.length_remaining
        return left is not None and left <= DRAINED

    def _read(self, decode: bool) -> bytes:
        try:
            return self._response.read1(CHUNK, decode_content=decode) or self._whole()
        except IncompleteRead as error:
            raise self._broken(f"the body ends {error.expected} bytes short") from error
        except ReadTimeoutError as error:
            raise self._broken(f"silent for {self._timeouts.read:g} s") from error
        except ProtocolError as error:
            raise self._broken("the connection broke") from error
        except (HTTPError, OSError) as error:
            raise self._broken(f"the body cannot be read ({type(error).__name__})") from error

    def _whole(self) -> bytes:
        """Nothing, if nothing was to come any more."""
        left = self._response.length_remaining
        if left:
            raise self._broken(f"the body ends {left} bytes short")
        return b""

    def _broken(self, found: str) -> DicomwebError:
        return DicomwebError(
            found,
            where=self.url,
            remedy="the transfer was cut; try again",
            truncated=True,
            status=self.status,
        )


def readable_reason(body: bytes) -> str:
    """The message in an error's body, whether JSON, HTML or text, made fit to be shown."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith(("{", "[")):
        text = _said(text) or text
    elif text.startswith("<"):
        text = html.unescape(_TAGS.sub(" ", text))
    shown = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return shown if len(shown) <= 300 else shown[:299] + "…"


def _said(text: str) -> str:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if isinstance(found, list):
        found = found[0] if found else {}
    parts: list[str] = []
    while isinstance(found, dict):
        lower = {str(key).lower(): value for key, value in found.items()}
        for key in (
            "message",
            "details",
            "detail",
            "error_description",
            "errormessage",
            "title",
            "httperror",
        ):
            if isinstance(lower.get(key), str) and lower[key] not in parts:
                parts.append(lower[key])
        found = lower.get("error")
        if isinstance(found, str):
            parts.append(found)
    return ": ".join(part for part in parts if part.strip())
