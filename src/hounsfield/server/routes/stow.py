"""STOW-RS (PS3.18 10.5) at the ASGI edge: a body taken in as it arrives, an answer for every instance."""

from __future__ import annotations

from dataclasses import replace

from anyio import CancelScope, to_thread

from hounsfield.dicomweb.dicom_json import encode_models
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, MediaType, negotiate
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.store_results import StoreResult, store_result_model
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.http.request import Request
from hounsfield.server.http.request_body import Body
from hounsfield.server.http.response import JSON, NOT_ACCEPTABLE, Response
from hounsfield.server.ingest.metadata_upload import MetadataUpload, is_separate
from hounsfield.server.ingest.upload import Upload
from hounsfield.server.state import AppState

FED = 2 << 20
"""Bytes handed to a thread at once."""


async def store(state: AppState, request: Request, body: Body) -> Response:
    """Store the instances in `body`; the status is that of PS3.18 Table 10.5.3-1."""
    media_type = negotiate(request.accept, (MediaType(DICOM_JSON), MediaType(JSON), MediaType(DICOM_XML)))
    if media_type is None:
        raise DicomwebError(
            NOT_ACCEPTABLE,
            expected=DICOM_JSON,
            status=406,
        )
    upload = await to_thread.run_sync(_upload, state, request)
    try:
        waiting: list[bytes] = []
        size = 0
        async for pieces in body:
            waiting += pieces
            size += sum(map(len, pieces))
            if size >= FED:
                await to_thread.run_sync(upload.feed, waiting)
                waiting, size = [], 0
        await to_thread.run_sync(upload.feed, waiting)
        result = await to_thread.run_sync(upload.finish)
    except BaseException:
        with CancelScope(shield=True):
            await to_thread.run_sync(upload.abandon)
        raise
    return replace(_response(result, media_type, request), resources=_studies_of(result))


def _studies_of(result: StoreResult) -> tuple[str, ...]:
    """Return the studies of what was stored, from the paths of the instances."""
    paths = (each.url.removeprefix("studies/") for each in result.instances if each.url)
    return tuple(sorted({path.partition("/")[0] for path in paths}))


def _upload(state: AppState, request: Request) -> Upload | MetadataUpload:
    """Return what takes in a body of the request's media type."""
    content_type = MediaType.parse(request.headers.get("content-type", ""))
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise DicomwebError(
            say("a body with Content-Encoding {coding}", coding=coding[:20]),
            expected="no Content-Encoding",
            status=415,
        )
    if is_separate(content_type):
        base = f"{request.base}{request.path}"
        return MetadataUpload(state.archive, content_type, request.scope.study, state.limits, base)
    return Upload(state.archive, content_type, request.scope.study, state.limits)


def _response(result: StoreResult, media_type: MediaType, request: Request) -> Response:
    report = replace(
        result,
        instances=tuple(
            replace(each, url=f"{request.base}/{each.url}") if each.url else each for each in result.instances
        ),
    )
    studies = {each.url.partition("/series/")[0] for each in report.instances if each.url}
    if len(studies) == 1:
        report = replace(report, url=studies.pop())
    model = store_result_model(report)
    body = encode_xml(model) if media_type.name == DICOM_XML else encode_models([model])[1:-1]
    return Response(
        body, media_type.name, result.status() if result.instances or result.other_failures else 400
    )
