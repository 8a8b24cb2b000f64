"""The body of a store request as parts, whichever its form: in parts, or one part that is all of it; within limits.

What parts mean is decided by `upload` and `metadata_upload`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hounsfield.dicomweb.media_types import MULTIPART, MediaType
from hounsfield.dicomweb.multipart import Event, MultipartParser, PartBegins, PartData, PartEnds
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.http.limits import Limits


class Body:
    """`feed` chunks, then `close`; each gives events. Raises `DicomwebError` 413 beyond `limits`, 400 for no body."""

    def __init__(self, content_type: MediaType, limits: Limits) -> None:
        self._limits, self._received = limits, 0
        in_parts = content_type.name == MULTIPART
        self._parser = MultipartParser(content_type.parameter("boundary")) if in_parts else None
        self._whole = [PartBegins(0, (("content-type", content_type.name),))]

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events of the next bytes of the body; the contents of parts are views into `chunk`."""
        self._received += len(chunk)
        check_size(self._received, self._limits)
        if self._parser is not None:
            yield from self._counted(self._parser.feed(chunk))
            return
        yield from self._begun()
        yield PartData(0, memoryview(chunk))

    def close(self) -> Iterator[Event]:
        """The body is over: what is still to tell. Raises `DicomwebError` 400 where it was cut off."""
        if self._parser is not None:
            yield from self._counted(self._parser.close())
            return
        yield from self._begun()
        yield PartEnds(0, self._received, None)

    def _begun(self) -> Iterator[Event]:
        """The beginning of the one part, once."""
        while self._whole:
            yield self._whole.pop()

    def _counted(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, PartBegins) and event.index >= self._limits.parts:
                raise DicomwebError(
                    "too many parts in one request",
                    expected=say("at most {parts}", parts=self._limits.parts),
                    status=413,
                )
            yield event


def check_size(size: int, limits: Limits) -> None:
    """Refuse a request of more bytes than one may have."""
    if size > limits.body:
        raise too_large("the request is too large", limits.body)


def too_large(found: str, limit: int) -> DicomwebError:
    return DicomwebError(
        found, expected=say("at most {limit} bytes", limit=limit), remedy="send several requests", status=413
    )
