"""A store of metadata and bulk data apart (PS3.18 10.5.2): parts of DICOM JSON or XML, and parts that they refer to.

Parts of bulk data go to one file as they arrive, whatever their size; metadata wait in memory, of which there is a
limit. When the body is whole each instance is composed and taken in like any other. A reference is met by a part of
the same request or not at all: the server asks nobody else for bulk data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, takewhile
from urllib.parse import urljoin

from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, parse_models
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, OCTETS, MediaType
from hounsfield.dicomweb.multipart import Event, PartBegins, PartEnds
from hounsfield.dicomweb.native_xml import parse_xml
from hounsfield.dicomweb.store_results import StoreResult
from hounsfield.errors import DicomwebError, MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.store import Arrival
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest.body import Body, too_large
from hounsfield.server.ingest.composition import Bulk, composed
from hounsfield.server.ingest.upload import Upload
from hounsfield.server.ingest.validation import NOT_UNDERSTOOD

FORMS = frozenset({DICOM_JSON, DICOM_XML})
_JSON = frozenset({DICOM_JSON, "application/json"})
_METADATA = _JSON | {DICOM_XML, "application/xml", "text/xml"}


def is_separate(content_type: MediaType) -> bool:
    """Whether a request's body is metadata, alone or with bulk data beside it."""
    return content_type.content.name in FORMS


@dataclass(slots=True)
class MetadataUpload:
    """One store request of metadata and bulk data; used as an `Upload` is.

    `base` is the URL against which references are resolved.
    """

    archive: Archive
    content_type: MediaType
    study: str | None = None
    limits: Limits = field(default_factory=Limits)
    base: str = ""
    _upload: Upload = field(init=False)
    _body: Body = field(init=False)
    _spool: Arrival | None = None
    _pieces: list[bytes | memoryview] = field(default_factory=list)
    _metadata: list[tuple[str, bytearray]] = field(default_factory=list)
    _bulk: dict[str, list[Bulk]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _nameless: int = 0
    _spooled: int = 0
    _metadata_bytes: int = 0
    _open: PartBegins | None = None

    def __post_init__(self) -> None:
        self._upload = Upload(self.archive, None, self.study, self.limits)
        self._body = Body(self.content_type, self.limits)

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes of the body."""
        for chunk in chunks:
            for event in self._body.feed(chunk):
                self._take(event)
        self._flush()

    def finish(self) -> StoreResult:
        """The body is whole: compose and store; return the outcome of each instance."""
        for event in self._body.close():
            self._take(event)
        self._flush()
        if self._spool is not None:
            self._spool.sync()
        for model in self._models():
            self._store(model)
        result = self._upload.finish()
        others = ["bulk data without Content-Location"] * min(self._nameless, 1)
        others += [
            f"no metadata refer to the bulk data {where[:100]!r}"
            for where in self._bulk
            if where and where not in self._used
        ]
        self._drop()
        return StoreResult(result.instances, (*result.other_failures, *others[:100]))

    def abandon(self) -> None:
        """Drop what is not published."""
        self._upload.abandon()
        self._drop()

    def _drop(self) -> None:
        if self._spool is not None:
            self._spool.discard()
            self._spool = None

    def _take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._begin(event)
        elif isinstance(event, PartEnds):
            self._open = None
        elif self._open is None:
            self._add(event.content)
        else:
            self._spool_away(event.content)

    def _begin(self, event: PartBegins) -> None:
        kind = _media_type(event, self._metadata)
        if kind.name in _METADATA:
            self._metadata.append((kind.name, bytearray()))
            return
        self._open = event
        where = event.header("content-location") or event.header("content-id") or ""
        if not where:
            self._nameless += 1
        if self._spool is None:
            self._spool = self.archive.store.arrival()
            self._spool.write([b""])
        self._bulk.setdefault(self._place(where), []).append(Bulk(self._spool.source, self._spooled, 0, kind))

    def _add(self, content: bytes | memoryview) -> None:
        """More of the metadata."""
        self._metadata[-1][1].extend(content)
        self._metadata_bytes += len(content)
        if self._metadata_bytes > self.limits.metadata:
            raise too_large("too much metadata in one request", self.limits.metadata)

    def _spool_away(self, content: bytes | memoryview) -> None:
        """More of the last part of bulk data."""
        assert self._open is not None
        where = self._place(self._open.header("content-location") or self._open.header("content-id") or "")
        last = self._bulk[where][-1]
        size = last.size + len(content)
        if size > self.limits.instance:
            raise too_large("a part is too large", self.limits.instance)
        self._bulk[where][-1] = Bulk(last.source, last.start, size, last.media_type)
        self._spooled += len(content)
        self._pieces.append(content)

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and self._spool is not None:
            self._spool.write(pieces)

    def _place(self, where: str) -> str:
        """A reference as one that is the same whoever wrote it: absolute, without the marks of a Content-ID."""
        text = where.strip().removeprefix("cid:").removeprefix("<").removesuffix(">")
        try:
            return urljoin(self.base, text) if text else ""
        except ValueError:
            return text

    def _models(self) -> list[Model]:
        """The data sets that came. Raises `DicomwebError` 400 for metadata that are none."""
        found: list[Model] = []
        for kind, content in self._metadata:
            try:
                found += parse_models(bytes(content)) if kind in _JSON else [parse_xml(bytes(content))]
            except DicomwebError as error:
                raise DicomwebError(
                    say("malformed metadata: {found}", found=error.found), expected=error.expected, status=400
                ) from error
        if len(found) > self.limits.parts:
            raise DicomwebError(
                "too many instances in one request",
                expected=say("at most {parts}", parts=self.limits.parts),
                status=413,
            )
        if not found:
            raise DicomwebError(
                "no metadata in the request",
                expected=say("a part of type {dicom_json}", dicom_json=DICOM_JSON),
                status=400,
            )
        return found

    def _found(self, uri: str) -> list[Bulk]:
        where = self._place(uri)
        if not where:
            return []
        # Frames may each be named by its number (PS3.18 10.4.3.3.5).
        self._used.add(where)
        if where in self._bulk:
            return self._bulk[where]
        numbered = takewhile(self._bulk.__contains__, (f"{where}/frames/{number}" for number in count(1)))
        frames: list[Bulk] = []
        for name in numbered:
            self._used.add(name)
            frames += self._bulk[name]
        return frames

    def _store(self, model: Model) -> None:
        model = {str(tag).upper(): element for tag, element in model.items()}
        instance, sop_class = first(model, "00080018"), first(model, "00080016")
        try:
            pieces = composed(model, self._found)
        except (MalformedError, UnsupportedError, DicomwebError) as error:
            code = error.data.get("code")
            reason = f"{error.found} (expected {error.expected})" if error.expected else error.found
            self._upload.refuse(
                code if isinstance(code, int) else NOT_UNDERSTOOD, reason, instance, sop_class
            )
            return
        self._upload.instance(pieces)


def _media_type(event: PartBegins, metadata: list[tuple[str, bytearray]]) -> MediaType:
    """A part's media type; without one the first is metadata and the others are bytes."""
    stated = event.header("content-type")
    if stated and "/" in stated:
        return MediaType.parse(stated)
    return MediaType(OCTETS if metadata else DICOM_JSON)
