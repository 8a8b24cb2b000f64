"""WADO-URI (PS3.18 9): one instance by its UIDs in the query, as DICOM or as a picture; for older clients."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from hounsfield.ct.instance import read_instance
from hounsfield.dicomweb.media_types import DICOM, parse_accept
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response
from hounsfield.server.routes import rendered, retrieve
from hounsfield.server.state import AppState

_KNOWN = (
    *(
        "requesttype",
        "studyuid",
        "seriesuid",
        "objectuid",
        "contenttype",
        "charset",
        "anonymize",
        "annotation",
    ),
    *(
        "rows",
        "columns",
        "region",
        "windowcenter",
        "windowwidth",
        "framenumber",
        "imagequality",
        "transfersyntax",
    ),
)


def wado_uri(state: AppState, request: Request) -> Response:
    """The object (PS3.18 9.4)."""
    request.known(*_KNOWN)
    if request.parameter("requesttype") != "WADO":
        raise DicomwebError("not a WADO-URI request", expected="requestType=WADO", status=400)
    if request.parameter("anonymize") is not None:
        raise DicomwebError("anonymize is not offered here", expected="a request without it", status=400)
    names = {}
    for name, key in (("study", "studyuid"), ("series", "seriesuid"), ("instance", "objectuid")):
        if (uid := request.parameter(key)) is None:
            raise DicomwebError(
                say("no {key}", key=key), expected="studyUID, seriesUID and objectUID", status=400
            )
        names[name] = uid
    wanted = request.parameter("contenttype")
    frame = request.parameter("framenumber")
    if frame is not None:
        names["frames"] = frame
    asked = replace(
        request, names=names, query_text="", headers={**request.headers, "accept": wanted or "image/jpeg"}
    )
    accepted = parse_accept(wanted or "")
    if wanted is not None and accepted and accepted[0].media_type.name == DICOM:
        syntax = request.parameter("transfersyntax") or "1.2.840.10008.1.2.1"
        accept = f"{DICOM}; transfer-syntax={syntax}"
        return retrieve.retrieve(state, replace(asked, headers={**request.headers, "accept": accept}))
    return rendered.rendered(state, replace(asked, query_text=_look(state, replace(request, names=names))))


def _look(state: AppState, request: Request) -> str:
    """Window, size and quality in the words of the rendered resource."""
    query = {}
    center, width = request.parameter("windowcenter"), request.parameter("windowwidth")
    if (center is None) != (width is None):
        raise DicomwebError("an incomplete window", expected="windowCenter and windowWidth", status=400)
    if center is not None:
        query["window"] = f"{center},{width},linear"
    rows, columns = request.parameter("rows"), request.parameter("columns")
    region = request.parameter("region")
    if region is not None:
        query["viewport"] = _viewport(state, request, region, rows, columns)
    elif rows is not None or columns is not None:
        query["viewport"] = f"{columns or rows},{rows or columns}"
    if (quality := request.parameter("imagequality")) is not None:
        query["quality"] = quality
    return urlencode(query)


def _viewport(state: AppState, request: Request, region: str, rows: str | None, columns: str | None) -> str:
    """The viewport of a region `xmin,ymin,xmax,ymax`, from 0 to 1 of the image's width or height (PS3.18 9.4.1.2.6)."""
    try:
        left, top, right, bottom = (float(each) for each in region.split(","))
    except ValueError:
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise DicomwebError(
            say("region={region}", region=repr(region[:60])),
            expected="xmin,ymin,xmax,ymax, each from 0 to 1",
            status=400,
        )
    header = read_instance(state.library.source(retrieve.found(state, request)[0])).header
    height, width = header.integer("Rows", 0) or 0, header.integer("Columns", 0) or 0
    x, y, w, h = left * width, top * height, (right - left) * width, (bottom - top) * height
    # Without a size of the picture, the region's own pixels.
    size = f"{columns or rows or max(1, round(w))},{rows or columns or max(1, round(h))}"
    return f"{size},{x},{y},{w},{h}"
