"""The parts of a retrieval as they arrive, and whole ones in memory.

A `Part` streams: take its content before asking for the next, or it is passed over. A `Retrieved` is whole: a
source of bytes like a file, parsed only when asked. The answer to a request for one thing may be multipart or
not (PS3.18 10.4.4 Note 3); both come out as parts.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hounsfield.client.answer import Answer
from hounsfield.dicom.datasets import read_file
from hounsfield.dicomweb.media_types import MULTIPART, MediaType
from hounsfield.dicomweb.multipart import Event, Headers, MultipartParser, PartBegins, PartData, PartEnds
from hounsfield.errors import DicomwebError, HounsfieldError, MalformedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One part, whole: `content` bytes with its own `headers`; `name` says where it is from. Is a `Source`."""

    name: str
    headers: Headers
    content: bytes

    @property
    def media_type(self) -> MediaType | None:
        return _media_type(self.headers)

    @property
    def location(self) -> str | None:
        """The part's Content-Location: which frame or bulk data it is."""
        return _header(self.headers, "content-location")

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)

    def dataset(self) -> Dataset:
        """The data set of an instance, parsed now; `MalformedError` if the bytes are none."""
        try:
            return read_file(self.content)
        except HounsfieldError as error:
            error.at(self.name)
            raise
        except Exception as error:  # pydicom raises whatever the bytes lead it to
            raise MalformedError(
                say("cannot be parsed: {error}", error=str(error)[:200]), where=self.name
            ) from error


class Part:
    """One part while it arrives; `headers` are there at once, the content once."""

    def __init__(self, begins: PartBegins, events: Iterator[Event], url: str) -> None:
        self.index = begins.index
        self.headers = begins.headers
        self.url = url
        self._events = events
        self._whole = False

    @property
    def media_type(self) -> MediaType | None:
        return _media_type(self.headers)

    @property
    def location(self) -> str | None:
        return _header(self.headers, "content-location")

    @property
    def whole(self) -> bool:
        """Return whether all of it was taken and its end was seen."""
        return self._whole

    def chunks(self) -> Iterator[memoryview]:
        """The content in pieces, each good until the next; `DicomwebError` if it is cut or its length is a lie."""
        while not self._whole:
            event = next(self._events)
            if isinstance(event, PartData):
                yield event.content
            elif isinstance(event, PartEnds):
                if event.declared is not None and event.declared != event.length:
                    raise DicomwebError(
                        say("part {number} has {length} bytes", number=self.index + 1, length=event.length),
                        expected=say("{declared}, as its Content-Length says", declared=event.declared),
                        where=self.url,
                        truncated=True,
                        part=self.index,
                    )
                self._whole = True

    def read(self, limit: int = 8 * 1024**3) -> Retrieved:
        """All of it in memory, once; more than `limit` bytes is an error."""
        pieces: list[memoryview] = []
        total = 0
        for chunk in self.chunks():
            total += len(chunk)
            if total > limit:
                raise DicomwebError(
                    "a part too long", expected=say("at most {limit} bytes", limit=limit), where=self.url
                )
            pieces.append(chunk)
        return Retrieved(f"{self.url}#{self.index + 1}", self.headers, b"".join(pieces))

    def save(self, path: Path, *, keep: int = 0) -> tuple[int, bytes]:
        """Write it to a new file: its length, and its first `keep` bytes or a little more, for who must look at them.

        The caller judges the file and gives it its name.
        """
        length, head = 0, b""
        with path.open("wb", buffering=0) as out:
            for chunk in self.chunks():
                if len(head) < keep:
                    head += chunk[:keep]
                rest = chunk
                while len(rest):
                    rest = rest[out.write(rest) or 0 :]
                length += len(chunk)
        return length, head

    def skip(self) -> None:
        for _ in self.chunks():
            pass


def parts_of(answer: Answer) -> Iterator[Part]:
    """The parts of an answer, closing it in the end; `DicomwebError` for a cut body or one that is no retrieval."""
    with answer:
        if answer.status == 204:
            return
        events = _events(answer)
        for event in events:
            if isinstance(event, PartBegins):
                part = Part(event, events, answer.url)
                yield part
                part.skip()


def _events(answer: Answer) -> Iterator[Event]:
    """The multipart events of a body, or those of one part if the body is the thing itself."""
    media_type = answer.media_type
    chunks = answer.chunks()
    first = next(chunks, b"")
    body = itertools.chain([first], chunks)
    if media_type is None:
        media_type = _sniffed(first)
    if _is_multipart(media_type, first):
        yield from _multipart(body, media_type.parameter("boundary"), answer.url)
    elif media_type.name.startswith("text/") or media_type.name in {"application/zip", "application/json"}:
        raise DicomwebError(
            say("answered with {name}", name=media_type.name), expected="multipart/related or DICOM", where=answer.url,
            status=answer.status,
        )  # fmt: skip
    elif first:
        yield from _single(body, answer, media_type.content)


def _is_multipart(media_type: MediaType, first: bytes) -> bool:
    """Return whether a body has parts; some servers call a thing alone multipart, without a boundary."""
    if not media_type.name.startswith("multipart/"):
        return False
    return media_type.parameter("boundary") is not None or _begins_a_part(first) or not first


def _begins_a_part(first: bytes) -> bool:
    return first.lstrip(b"\r\n").startswith(b"--")


def _multipart(body: Iterator[bytes], boundary: str | None, url: str) -> Iterator[Event]:
    # A part whose length is a lie is refused anyway.
    parser = MultipartParser(boundary, trust_lengths=True)
    try:
        for chunk in body:
            yield from parser.feed(chunk)
            if parser.finished:
                return
        yield from parser.close()
    except DicomwebError as error:
        # The wire names its own faults; say which part they hit.
        part = max(parser.parts - 1, 0)
        error.data.setdefault("part", part)
        if error.data.get("truncated") and "part" not in error.found:
            error.found = f"{error.found}, inside part {part + 1}"
        error.at(url)
        raise


def _single(body: Iterator[bytes], answer: Answer, media_type: MediaType) -> Iterator[Event]:
    headers = [("content-type", str(media_type))]
    if location := answer.headers.get("Content-Location"):
        headers.append(("content-location", location))
    yield PartBegins(0, tuple(headers))
    length = 0
    for chunk in body:
        length += len(chunk)
        yield PartData(0, memoryview(chunk))
    yield PartEnds(0, length, None)


def _sniffed(first: bytes) -> MediaType:
    """Return the media type of a body without a Content-Type, by its first bytes."""
    if _begins_a_part(first):
        return MediaType(MULTIPART)
    if first[128:132] == b"DICM":
        return MediaType("application/dicom")
    return MediaType("text/html") if first.lstrip()[:1] == b"<" else MediaType("application/octet-stream")


def _media_type(headers: Headers) -> MediaType | None:
    text = _header(headers, "content-type")
    try:
        return MediaType.parse(text) if text else None
    except DicomwebError:
        return None


def _header(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key == name), None)
