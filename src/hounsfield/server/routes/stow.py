"""STOW-RS (PS3.18 10.5) at the ASGI edge: a body taken in as it arrives, an answer for every instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from anyio import CancelScope, to_thread
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from hounsfield.dicomweb.dicom_json import encode_models
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, MediaType, negotiate
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.store_results import StoreResult, store_result_model
from hounsfield.errors import DicomwebError
from hounsfield.server.http.inbox import Inbox
from hounsfield.server.http.limits import Limits
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import JSON, Answer
from hounsfield.server.ingest.metadata_upload import SeparateIntake, is_separate
from hounsfield.server.ingest.upload import Intake
from hounsfield.server.state import Service

FED = 2 << 20
"""Bytes handed to a thread at once."""


async def store(
    service: Service, ask: Ask, receive: Receive, inbox: Inbox | None = None
) -> tuple[Answer, StoreResult]:
    """Take in the body that `receive` gives; the answer with the status of PS3.18 Table 10.5.3-1."""
    media_type = negotiate(ask.accept, (MediaType(DICOM_JSON), MediaType(JSON), MediaType(DICOM_XML)))
    if media_type is None:
        raise DicomwebError("no such form of a store's answer", expected=DICOM_JSON, status=406)
    intake = await to_thread.run_sync(_intake, service, ask)
    try:
        waiting: list[bytes] = []
        size = 0
        async for pieces in _timely(receive, service.limits, inbox):
            waiting += pieces
            size += sum(map(len, pieces))
            if size >= FED:
                await to_thread.run_sync(intake.feed, waiting)
                waiting, size = [], 0
        await to_thread.run_sync(intake.feed, waiting)
        result = await to_thread.run_sync(intake.finish)
    except BaseException:
        with CancelScope(shield=True):
            await to_thread.run_sync(intake.abandon)
        raise
    return _answer(result, media_type, ask), result


def _intake(service: Service, ask: Ask) -> Intake | SeparateIntake:
    """What takes in a body of the request's media type."""
    content_type = MediaType.parse(ask.headers.get("content-type", ""))
    coding = ask.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise DicomwebError(f"a body in {coding[:20]}", expected="no Content-Encoding", status=415)
    if is_separate(content_type):
        base = f"{ask.base}{ask.path}"
        return SeparateIntake(service.archive, content_type, ask.scope.study, service.limits, base)
    return Intake(service.archive, content_type, ask.scope.study, service.limits)


async def _timely(receive: Receive, limits: Limits, inbox: Inbox | None) -> AsyncIterator[list[bytes]]:
    """The body; 408 when too little comes for too long, `ClientDisconnect` when the client is gone."""
    if inbox is not None:
        inbox.claimed = True
    clock = asyncio.get_running_loop().time
    more, came, end = True, 0, clock() + limits.seconds
    while more:
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise DicomwebError(
                "the body does not come", expected=f"{limits.pace} bytes in {limits.seconds:g} s", status=408
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        pieces = [message["body"]] if message.get("body") else []
        # What came before the claim is in the message; only then comes what is in the inbox.
        pieces += inbox.take() if inbox is not None else []
        came += sum(map(len, pieces))
        given = clock()
        yield pieces
        # A client that drips must not hold a place for ever; the time that we took is not the client's.
        end += clock() - given
        if came >= limits.pace:
            came, end = 0, clock() + limits.seconds


def _answer(result: StoreResult, media_type: MediaType, ask: Ask) -> Answer:
    told = replace(
        result,
        instances=tuple(
            replace(each, url=f"{ask.base}/{each.url}") if each.url else each for each in result.instances
        ),
    )
    studies = {each.url.partition("/series/")[0] for each in told.instances if each.url}
    if len(studies) == 1:
        told = replace(told, url=studies.pop())
    model = store_result_model(told)
    body = encode_xml(model) if media_type.name == DICOM_XML else encode_models([model])[1:-1]
    return Answer(
        body, media_type.name, result.status() if result.instances or result.other_failures else 400
    )
