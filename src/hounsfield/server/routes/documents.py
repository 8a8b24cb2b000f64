"""Objects without pixels for the viewer: reports, lists, files within files. The wire format is in `docs/wire.md`."""

from __future__ import annotations

from dataclasses import asdict

from hounsfield.ct.instance import read_instance
from hounsfield.errors import DicomwebError
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response, as_json
from hounsfield.server.rendering.documents import class_name_of, document_of, encapsulated
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import AppState


def document(state: AppState, request: Request) -> Response:
    """An object as a person reads it: kind, title, facts, and what is in it."""
    request.known()
    entry = found(state, request)[0]
    dataset = read_instance(state.library.source(entry)).dataset()
    made = document_of(dataset)
    return as_json({"instance": entry.instance, **asdict(made)})


def encapsulated_file(state: AppState, request: Request) -> Response:
    """The file within an object: a PDF to be shown, sandboxed as every response is, any other to be saved."""
    request.known()
    entry = found(state, request)[0]
    dataset = read_instance(state.library.source(entry)).dataset()
    content, media_type = encapsulated(dataset)
    if not content:
        raise DicomwebError("no document in it", expected="an encapsulated document", status=404)
    is_pdf = media_type == "application/pdf"
    named = class_name_of(str(dataset.get("SOPClassUID", ""))).removeprefix("Encapsulated ").lower()
    suffix = "pdf" if is_pdf else named if named in ("stl", "obj", "mtl", "cda") else "bin"
    disposition = "inline" if is_pdf else "attachment"
    headers = {"Content-Disposition": f'{disposition}; filename="{entry.instance}.{suffix}"'}
    return Response(content, media_type, headers=headers).with_etag("encapsulated", entry.path, entry.changed)
