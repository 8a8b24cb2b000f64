"""`Response`: what endpoints return: whole bodies, streams in large blocks, ranges, errors.

Endpoints are plain functions that run in threads and return one; `sending` brings it onto the wire.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hounsfield.dicomweb.warnings299 import PeerWarning
from hounsfield.errors import (
    DamagedError,
    DicomwebError,
    GeometryError,
    HounsfieldError,
    LocationError,
    MalformedError,
    NotDicomError,
    NotHounsfieldError,
    SelectionError,
    UnsupportedError,
)
from hounsfield.language import translated
from hounsfield.server.http.request import Request

AGENT = "hounsfield"
JSON = "application/json"
DICOM_JSON = "application/dicom+json"
_GZIP = 31  # window bits of zlib: the largest window, and gzip around it
NOT_ACCEPTABLE = "not available in an accepted media type"
"""The text of a 406."""

LEAST_COMPRESSED = 1024
"""Bodies shorter than this are not worth compressing."""

STATUS: dict[type[HounsfieldError], int] = {
    DicomwebError: 400,
    SelectionError: 404,
    GeometryError: 409,
    NotHounsfieldError: 409,
    UnsupportedError: 406,
    NotDicomError: 422,
    MalformedError: 422,
    LocationError: 503,
    DamagedError: 500,
    HounsfieldError: 500,
}
"""The HTTP status of each error that says no other itself."""

Block = bytes | memoryview
Body = bytes | bytearray | Iterator[Block]


@dataclass(slots=True)
class Response:
    """`content` whole, or an iterator of blocks of `length` bytes altogether (None: not known before the end).

    `part(start, stop)` gives blocks of a range, where ranges are served. `resources`: what the audit log names,
    where the URL does not.
    """

    content: Body = b""
    media_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    part: Callable[[int, int], Iterator[Block]] | None = None
    warnings: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def with_etag(self, *parts: object) -> Response:
        self.headers["ETag"] = etag(*parts)
        return self


def etag(*parts: object) -> str:
    """An entity tag of values that change whenever the content does."""
    return '"' + hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest() + '"'


def not_modified(request: Request, tag: str) -> Response | None:
    """304 if the client has what `tag` names already (RFC 9110 13.1.2); endpoints ask before they work."""
    asked = request.headers.get("if-none-match")
    if asked is None or request.method not in {"GET", "HEAD"}:
        return None
    tags = {each.strip().removeprefix("W/") for each in asked.split(",")}
    if tag in tags or "*" in tags:
        return Response(b"", status=304, headers={"ETag": tag})
    return None


def as_json(value: Any, *, status: int = 200, media_type: str = JSON) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body.encode("utf-8", "replace"), media_type, status)


def error_response(error: HounsfieldError) -> Response:
    """The answer to a request that failed: a status, and a line that says why."""
    status = error.data.get("status")
    if not isinstance(status, int) or not 400 <= status < 600:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    # Where on this machine something lies is nobody else's business.
    described: dict[str, Any] = {"status": status, "error": error.found}
    if (chinese := translated(error.found, "zh")) != error.found:
        described["error_zh"] = chinese
    if error.expected:
        described["expected"] = error.expected
    if error.remedy and status < 500:
        described["remedy"] = error.remedy
    response = as_json(described, status=status)
    if status in {429, 503}:
        response.headers["Retry-After"] = "60" if status == 429 else "2"
    return response


def ranged(request: Request, response: Response) -> Response:
    """The part of the answer that a Range header asks for (RFC 9110 14.2): one range of bytes, or all."""
    if response.part is None or response.length is None or response.status != 200:
        return response
    response.headers["Accept-Ranges"] = "bytes"
    asked = request.headers.get("range")
    condition = request.headers.get("if-range")
    if asked is None or (condition is not None and condition != response.headers.get("ETag")):
        return response
    found = _range(asked, response.length)
    if found is None:
        return response
    start, stop = found
    if start >= stop:
        close_content(response)
        return replace(
            as_json({"status": 416, "error": "no such range"}, status=416),
            headers={"Content-Range": f"bytes */{response.length}"},
        )
    close_content(response)
    headers = {**response.headers, "Content-Range": f"bytes {start}-{stop - 1}/{response.length}"}
    return replace(
        response,
        status=206,
        content=response.part(start, stop),
        length=stop - start,
        headers=headers,
        part=None,
    )


def _range(text: str, length: int) -> tuple[int, int] | None:
    """(start, stop) of a single range; None for what is no such thing and thus ignored."""
    unit, _, spec = text.partition("=")
    first, mark, last = spec.strip().partition("-")
    first, last = first.strip(), last.strip()
    digits = (first + last).isascii() and (first or "0").isdigit() and (last or "0").isdigit()
    if unit.strip().lower() != "bytes" or not mark or not digits or not (first or last) or len(spec) > 40:
        return None
    if not first:
        return max(length - int(last), 0), length if int(last) else 0
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1 if last else length, length)


def close_content(response: Response) -> None:
    """Let go of what an answer would have been read from."""
    close = getattr(response.content, "close", None)
    if close is not None:
        close()


def header_lines(request: Request, response: Response) -> list[tuple[bytes, bytes]]:
    """The header fields of an answer, ready for the wire."""
    fields = {"Content-Type": response.media_type, "Vary": "Accept, Accept-Encoding, Authorization"}
    fields |= response.headers
    if response.status in {204, 304}:
        del fields["Content-Type"]
    length = len(response.content) if isinstance(response.content, (bytes, bytearray)) else response.length
    if length is not None and response.status not in {204, 304}:
        fields["Content-Length"] = str(length)
    lines = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    lines += [(b"warning", str(PeerWarning(299, AGENT, text)).encode("latin-1", "replace"))
              for text in response.warnings]  # fmt: skip
    return lines


def compressed(request: Request, response: Response) -> Response:
    """JSON and XML in gzip for who asks; pixels never: they cost far more than they save."""
    content = response.content
    if isinstance(content, (bytes, bytearray)):
        if len(content) < LEAST_COMPRESSED:
            return response
    elif response.length is not None:
        return response
    if "Content-Encoding" in response.headers or "gzip" not in request.encodings():
        return response
    if not response.media_type.partition(";")[0].endswith(("json", "xml", "html", "javascript", "css")):
        return response
    if isinstance(content, (bytes, bytearray)):
        from isal import igzip

        response.content = igzip.compress(bytes(content), 1)
    else:
        response.content = _in_gzip(content)
    response.headers["Content-Encoding"] = "gzip"
    return response


def digested(request: Request, response: Response) -> Response:
    """An answer that is in memory whole with its SHA-256 (RFC 9530 3); slices, which have a CRC-32, for who wants it.

    What goes out as it is made has none: it would have to be made twice.
    """
    content = response.content
    if (
        response.status != 200
        or "Repr-Digest" in response.headers
        or not isinstance(content, (bytes, bytearray))
    ):
        return response
    wanted = request.headers.get("want-repr-digest")
    if (wanted is None and "X-CRC32" in response.headers) or (
        wanted is not None and not _wants_sha256(wanted)
    ):
        return response
    response.headers["Repr-Digest"] = repr_digest(hashlib.sha256(content).digest())
    return response


def repr_digest(sha256: bytes) -> str:
    """Return the field value of `Repr-Digest` (RFC 9530, 3)."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def _wants_sha256(wanted: str) -> bool:
    """Whether a preference such as `sha-256=10, sha-512=3` takes SHA-256 (RFC 9530 4: 0 is not acceptable)."""
    found = re.search(r"(?i)(?:^|,)\s*sha-256\s*=\s*(\d+)", wanted)
    return found is not None and int(found[1]) > 0


def _in_gzip(blocks: Iterator[Block]) -> Iterator[bytes]:
    from isal import isal_zlib

    deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
    for block in blocks:
        if packed := deflate.compress(block):
            yield packed
    yield deflate.flush()
