"""WADO-URI (PS3.18 9): one instance by its UIDs in the query, as DICOM or as a picture; for older clients."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from hounsfield.dicomweb.media_types import DICOM, parse_accept
from hounsfield.errors import DicomwebError
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import Answer
from hounsfield.server.routes import rendered, retrieve
from hounsfield.server.state import Service

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


def wado_uri(service: Service, ask: Ask) -> Answer:
    """The object (PS3.18 9.4)."""
    ask.known(*_KNOWN)
    if ask.parameter("requesttype") != "WADO":
        raise DicomwebError("no WADO-URI request", expected="requestType=WADO", status=400)
    if ask.parameter("anonymize") is not None:
        raise DicomwebError("anonymize is not offered here", expected="the parameter left out", status=400)
    names = {}
    for name, key in (("study", "studyuid"), ("series", "seriesuid"), ("instance", "objectuid")):
        if (uid := ask.parameter(key)) is None:
            raise DicomwebError(f"no {key}", expected="studyUID, seriesUID and objectUID", status=400)
        names[name] = uid
    wanted = ask.parameter("contenttype")
    frame = ask.parameter("framenumber")
    if frame is not None:
        names["frames"] = frame
    asked = replace(
        ask, names=names, query_text="", headers={**ask.headers, "accept": wanted or "image/jpeg"}
    )
    if wanted is not None and parse_accept(wanted)[0].media_type.name == DICOM:
        syntax = ask.parameter("transfersyntax") or "1.2.840.10008.1.2.1"
        accept = f"{DICOM}; transfer-syntax={syntax}"
        return retrieve.retrieve(service, replace(asked, headers={**ask.headers, "accept": accept}))
    return rendered.rendered(service, replace(asked, query_text=_look(ask)))


def _look(ask: Ask) -> str:
    """Window, size and quality in the words of the rendered resource."""
    query = {}
    center, width = ask.parameter("windowcenter"), ask.parameter("windowwidth")
    if (center is None) != (width is None):
        raise DicomwebError("half a window", expected="windowCenter and windowWidth", status=400)
    if center is not None:
        query["window"] = f"{center},{width},linear"
    rows, columns = ask.parameter("rows"), ask.parameter("columns")
    if rows is not None or columns is not None:
        query["viewport"] = f"{columns or rows},{rows or columns}"
    if (quality := ask.parameter("imagequality")) is not None:
        query["quality"] = quality
    return urlencode(query)
