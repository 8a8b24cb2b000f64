"""QIDO-RS (PS3.18 10.6): studies, series and instances that match, at each level and across all."""

from __future__ import annotations

from typing import cast

from hounsfield.attributes.header_text import INSTANCE_URL
from hounsfield.dicomweb.dicom_json import parse_models
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, MULTIPART, MediaType, multipart, negotiate
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DicomwebError
from hounsfield.server.archive.attributes import Level
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import JSON, Answer
from hounsfield.server.http.streams import Multipart
from hounsfield.server.state import Service

_OFFERS = (MediaType(DICOM_JSON), MediaType(JSON), multipart(DICOM_XML))
_LEVELS = {"studies": "study", "series": "series", "instances": "instance"}


def search(service: Service, ask: Ask) -> Answer:
    """The results as DICOM JSON, or as parts of XML for who asks."""
    chosen = negotiate(ask.accept, _OFFERS)
    if chosen is None:
        raise DicomwebError("no such form of search results", expected=DICOM_JSON, status=406)
    level = cast(Level, _LEVELS[ask.path.rstrip("/").rpartition("/")[2]])
    query = Query.parse(ask.parameters)
    page = service.library.search(level, ask.scope, query, limit=service.limits.page)
    text = "[" + ",".join(page.models) + "]"
    body = text.replace(INSTANCE_URL, ask.base).encode("utf-8", "surrogatepass")
    warnings: tuple[str, ...] = ()
    if page.remaining:
        least = "at least " if page.at_least else ""
        told = f"There are {least}{page.remaining} additional results that can be requested"
        warnings = (told,)
    if chosen.name == MULTIPART:
        return _as_xml(body, warnings)
    return Answer(body, chosen.name, warnings=warnings)


def _as_xml(body: bytes, warnings: tuple[str, ...]) -> Answer:
    documents = [encode_xml(model) for model in parse_models(body)]
    if not documents:
        return Answer(status=204, warnings=warnings)
    parts = [((("Content-Type", DICOM_XML),), len(each), lambda each=each: each) for each in documents]
    made = Multipart(parts)
    content = b"".join(piece for piece in made.pieces() if isinstance(piece, bytes))
    return Answer(content, str(multipart(DICOM_XML, boundary=made.boundary)), warnings=warnings)
