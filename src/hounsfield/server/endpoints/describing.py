"""What a server says of itself: capabilities, OpenAPI, health, readiness, metrics."""

from __future__ import annotations

import re
from typing import Any

from hounsfield import __version__
from hounsfield.errors import HounsfieldError
from hounsfield.server.answers import Answer, as_json
from hounsfield.server.ask import Ask
from hounsfield.server.service import Service

_PARAMETER = re.compile(r"{(\w+)(?::path)?}")
_BYTES = {"type": "string", "format": "binary"}
_UID = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}
_PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "study": _UID,
    "series": _UID,
    "instance": _UID,
    "frames": {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
    "number": {"type": "string", "pattern": "^[0-9]{1,9}$"},
    "reference": {"type": "string", "pattern": r"^[0-9A-F]{8}(\.[0-9]+\.[0-9A-F]{8})*$"},
}
_SEARCH = (
    ("limit", "how many results at most"),
    ("offset", "how many to leave out first"),
    ("fuzzymatching", "true: words of names by their beginnings"),
    ("includefield", "further attributes, by keyword or tag, or all"),
    ("PatientName", "with * and ?, without regard to case and accents"),
    ("PatientID", "with * and ?"),
    ("StudyDate", "a date, or a range a-b, a-, -b"),
    ("ModalitiesInStudy", "one or several"),
)


def open_api(service: Service, ask: Ask) -> Answer:
    """The OpenAPI document of this very server, made of the table its routes are made of."""
    from hounsfield.server.endpoints.table import ENDPOINTS

    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" and not service.writable:
            continue
        path = _PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return as_json(
        {
            "openapi": "3.1.0",
            "info": {"title": "hounsfield", "version": __version__, "summary": "DICOMweb, and CT in HU"},
            "servers": [{"url": ask.base}],
            "paths": dict(sorted(paths.items())),
        }
    )


def _operation(endpoint: Any) -> dict[str, Any]:
    names = _PARAMETER.findall(endpoint.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]} for name in names
    ]
    known = (*endpoint.parameters, *(_SEARCH if endpoint.search else ()))
    parameters += [
        {"name": name, "in": "query", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in known
    ]
    operation: dict[str, Any] = {"summary": endpoint.summary, "parameters": parameters, "responses": {}}
    good: dict[str, Any] = {"description": "as asked"}
    if endpoint.method == "GET":
        good["content"] = {kind: {} for kind in endpoint.produces}
    if endpoint.method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": _BYTES} for kind in ("multipart/related", "application/dicom")},
        }
        good["content"] = {"application/dicom+json": {}}
    responses = {"204" if endpoint.method == "DELETE" else "200": good}
    for status, meaning in _problems(endpoint):
        responses[status] = {"description": meaning, "content": {"application/json": {}}}
    operation["responses"] = responses
    return operation


def _problems(endpoint: Any) -> list[tuple[str, str]]:
    found = [
        ("400", "not understood"),
        ("401", "who are you?"),
        ("403", "not allowed"),
        ("406", "no such form"),
    ]
    if "{" in endpoint.path:
        found.append(("404", "not here"))
    if endpoint.method == "POST":
        found += [("202", "some were refused"), ("409", "all were refused"), ("413", "too large"),
                  ("415", "not DICOM")]  # fmt: skip
    if endpoint.heavy:
        found += [("409", "not a volume"), ("413", "too large")]
    return [*found, ("503", "not now"), ("304", "as you have it")]


def health(service: Service, ask: Ask) -> Answer:
    """Whether the process answers at all."""
    return as_json({"status": "up"})


def readiness(service: Service, ask: Ask) -> Answer:
    """Whether requests can be served: the index answers and the store takes files."""
    problems = {}
    if service.writable:
        for name, part in (("index", service.archive.index), ("store", service.archive.store)):
            try:
                part.check()
            except HounsfieldError as error:
                problems[name] = error.found
    return as_json({"ready": not problems, **problems}, status=503 if problems else 200)
