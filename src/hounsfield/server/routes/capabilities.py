"""Self-description of a server: capabilities as OpenAPI or WADL, health, readiness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hounsfield import __version__
from hounsfield.dicomweb.media_types import MediaType, negotiate
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.language import say
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import JSON, NOT_ACCEPTABLE, Response, as_json
from hounsfield.server.routes.endpoint import Endpoint
from hounsfield.server.routes.wadl import WADL, wadl
from hounsfield.server.state import AppState

_PARAMETER = re.compile(r"{(\w+)(?::path)?}")
_BYTES = {"type": "string", "format": "binary"}
_UID = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}
_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "study": _UID,
    "series": _UID,
    "instance": _UID,
    "frames": {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
    "number": {"type": "string", "pattern": "^[0-9]{1,9}$"},
    "layer": {"type": "string", "pattern": "^[0-9A-Za-z_.-]{1,64}$"},
    "reference": {"type": "string", "pattern": r"^[0-9A-F]{8}(\.[0-9]+\.[0-9A-F]{8})*$"},
}


def capabilities(
    state: AppState, request: Request, endpoints: Sequence[Endpoint], *, below: str = ""
) -> Response:
    """Return `endpoints` at and under `below` as OpenAPI, or as WADL where only that is accepted (PS3.18 8.9)."""
    chosen = negotiate(request.accept, (MediaType(JSON), MediaType(WADL)))
    if chosen is None:
        raise DicomwebError(
            NOT_ACCEPTABLE,
            expected=say("{json} or {wadl}", json=JSON, wadl=WADL),
            status=406,
        )
    if chosen.name == JSON:
        return open_api(state, request, endpoints, below)
    described = [
        (_PARAMETER.sub(r"{\1}", each.path), tuple(_PARAMETER.findall(each.path)), each)
        for each in _offered(state, endpoints, below)
    ]
    return Response(wadl(request.base, described), WADL)


def is_requested(request: Request) -> bool:
    """Whether a client names a form of capabilities, rather than take anything or nothing."""
    return any(entry.media_type.name in {JSON, WADL} for entry in request.accept)


def _offered(state: AppState, endpoints: Sequence[Endpoint], below: str) -> list[Endpoint]:
    return [
        each
        for each in endpoints
        if each.is_offered(writable=state.writable) and (each.path + "/").startswith(f"{below}/")
    ]


def open_api(state: AppState, request: Request, endpoints: Sequence[Endpoint], below: str = "") -> Response:
    """Return the OpenAPI document of those of `endpoints` that this server offers at `below` and under it."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in _offered(state, endpoints, below):
        path = _PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return as_json(
        {
            "openapi": "3.1.0",
            "info": {"title": "hounsfield", "version": __version__, "summary": "DICOMweb, and CT in HU"},
            "servers": [{"url": request.base}],
            "paths": dict(sorted(paths.items())),
        }
    )


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    names = _PARAMETER.findall(endpoint.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]} for name in names
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in endpoint.queries
    ]
    operation: dict[str, Any] = {"summary": endpoint.summary, "parameters": parameters, "responses": {}}
    good: dict[str, Any] = {"description": "OK"}
    if endpoint.method == "GET":
        good["content"] = {kind: {} for kind in endpoint.produces}
    if endpoint.method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {kind.partition(";")[0]: {"schema": _BYTES} for kind in endpoint.consumes},
        }
        good["content"] = {kind: {} for kind in endpoint.produces}
    responses = {"204" if endpoint.method == "DELETE" else "200": good}
    for status, meaning in _problems(endpoint):
        responses[status] = {"description": meaning, "content": {"application/json": {}}}
    operation["responses"] = responses
    return operation


def _problems(endpoint: Endpoint) -> list[tuple[str, str]]:
    found = [
        ("400", "bad request"),
        ("401", "authentication required"),
        ("403", "forbidden"),
        ("406", "not acceptable"),
    ]
    if "{" in endpoint.path:
        found.append(("404", "not found"))
    if endpoint.method == "POST":
        found += [("202", "some instances were refused"), ("409", "all instances were refused"), ("413", "too large"),
                  ("415", "unsupported media type")]  # fmt: skip
    if endpoint.heavy:
        found += [("409", "not a volume"), ("413", "too large")]
    return [*found, ("503", "unavailable"), ("304", "not modified")]


def health(state: AppState, request: Request) -> Response:
    """Whether the process answers at all."""
    return as_json({"status": "up"})


def readiness(state: AppState, request: Request) -> Response:
    """Whether requests can be served: the index answers and the store takes files."""
    problems = {}
    if state.writable:
        for name, part in (("index", state.archive.index), ("store", state.archive.store)):
            try:
                part.check()
            except HounsfieldError as error:
                problems[name] = error.found
    return as_json({"ready": not problems, **problems}, status=503 if problems else 200)
