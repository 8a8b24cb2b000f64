"""QIDO-RS (PS3.18 10.6): studies, series and instances that match, at each level and across all."""

from __future__ import annotations

from typing import cast

from hounsfield.attributes.header_text import INSTANCE_URL
from hounsfield.dicomweb.dicom_json import parse_models
from hounsfield.dicomweb.matching import check_value
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, MULTIPART, MediaType, multipart, negotiate
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DicomwebError
from hounsfield.server.archive.attributes import Level
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import JSON, NOT_ACCEPTABLE, Response
from hounsfield.server.http.streams import Multipart
from hounsfield.server.state import AppState

_OFFERS = (MediaType(DICOM_JSON), MediaType(JSON), multipart(DICOM_XML))
_LEVELS = {"studies": "study", "series": "series", "instances": "instance"}


def search(state: AppState, request: Request) -> Response:
    """The results as DICOM JSON, or as parts of XML for who asks."""
    chosen = negotiate(request.accept, _OFFERS)
    if chosen is None:
        raise DicomwebError(NOT_ACCEPTABLE, expected=DICOM_JSON, status=406)
    level = cast(Level, _LEVELS[request.path.rstrip("/").rpartition("/")[2]])
    query = Query.parse(request.parameters)
    for name, value in query.matches:
        check_value(name, value)
    page = state.library.search(level, request.scope, query, limit=state.limits.page)
    text = "[" + ",".join(page.models) + "]"
    body = text.replace(INSTANCE_URL, request.base).encode("utf-8", "surrogatepass")
    warnings: tuple[str, ...] = ()
    if page.remaining:
        least = "at least " if page.at_least else ""
        described = f"There are {least}{page.remaining} additional results that can be requested"
        warnings = (described,)
    if chosen.name == MULTIPART:
        return _as_xml(body, warnings)
    return Response(body, chosen.name, warnings=warnings)


def _as_xml(body: bytes, warnings: tuple[str, ...]) -> Response:
    documents = [encode_xml(model) for model in parse_models(body)]
    if not documents:
        return Response(status=204, warnings=warnings)
    parts = [((("Content-Type", DICOM_XML),), len(each), lambda each=each: each) for each in documents]
    made = Multipart(parts)
    content = b"".join(piece for piece in made.pieces() if isinstance(piece, bytes))
    return Response(content, str(multipart(DICOM_XML, boundary=made.boundary)), warnings=warnings)
