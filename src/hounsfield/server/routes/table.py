"""Every endpoint: its path, method, function, and who may use it. Routes and OpenAPI are both made of this table."""

from __future__ import annotations

from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response
from hounsfield.server.routes import (
    bulk_data,
    capabilities,
    delete,
    documents,
    frames,
    layers,
    metrics,
    rendered,
    retrieve,
    search,
    stow,
    viewer,
    volumes,
    wado_uri,
)
from hounsfield.server.routes.endpoint import INSTANCE, SERIES, STUDY, Endpoint
from hounsfield.server.state import AppState


def _open_api(state: AppState, request: Request) -> Response:
    return capabilities.open_api(state, request, ENDPOINTS)


_SEARCHES = tuple(
    Endpoint(path, search.search, f"Search {what}", search=True)
    for path, what in (
        ("/studies", "studies"),
        ("/series", "series of all studies"),
        ("/instances", "instances of all studies"),
        (f"{STUDY}/series", "the series of a study"),
        (f"{STUDY}/instances", "the instances of a study"),
        (f"{SERIES}/instances", "the instances of a series"),
    )
)
_DICOM = ('multipart/related; type="application/dicom"', "application/dicom", "application/zip")
_RETRIEVALS = tuple(
    Endpoint(
        path,
        retrieve.retrieve,
        f"Retrieve the instances of one {what}",
        produces=_DICOM,
        parameters=(("dicomdir", "true: a ZIP archive is a file-set with a DICOMDIR"),),
    )
    for path, what in ((STUDY, "study"), (SERIES, "series"), (INSTANCE, "instance"))
)
_METADATA = tuple(
    Endpoint(f"{path}/metadata", retrieve.metadata, f"Headers of one {what} without bulk data")
    for path, what in ((STUDY, "study"), (SERIES, "series"), (INSTANCE, "instance"))
)
_PIXELS = (
    Endpoint(
        f"{INSTANCE}/frames/{{frames}}",
        frames.frames,
        "Frames by number",
        produces=('multipart/related; type="application/octet-stream"', "application/octet-stream"),
    ),
    Endpoint(
        f"{INSTANCE}/bulkdata/{{reference:path}}",
        bulk_data.bulk_data,
        "One long value",
        produces=("application/octet-stream",),
    ),
    *(
        Endpoint(
            f"{path}/{name}",
            function,
            f"{described} of one {what}",
            produces=('multipart/related; type="application/octet-stream"',),
        )
        for path, what in ((STUDY, "study"), (SERIES, "series"), (INSTANCE, "instance"))
        for name, function, described in (
            ("bulkdata", bulk_data.all_bulk_data, "All long values"),
            ("pixeldata", bulk_data.pixel_data, "The pixels"),
        )
    ),
)

_CHOICE = (("part", "which part of the series, from 0"), ("phase", "which phase of it, from 0"))
_VOLUMES = (
    Endpoint(
        f"{SERIES}/info",
        volumes.info,
        "Geometry, unit, verdict and conversion of a series",
        produces=("application/json",),
        parameters=_CHOICE,
    ),
    Endpoint(
        f"{SERIES}/plausibility",
        volumes.plausibility,
        "Whether the numbers can be HU, by physics, with evidence and a histogram",
        produces=("application/json",),
        parameters=_CHOICE,
        heavy=True,
    ),
    Endpoint(
        f"{SERIES}/slices/{{number}}",
        volumes.slice_values,
        "Hounsfield units of one slice, int16 little-endian",
        produces=("application/octet-stream",),
        parameters=(*_CHOICE, ("filter", "delta or none"), ("encoding", "identity, gzip or zstd")),
        heavy=True,
    ),
    Endpoint(
        f"{SERIES}/slices",
        volumes.slices,
        "Hounsfield units of every slice in one response, from one outwards",
        produces=("application/octet-stream",),
        parameters=(
            *_CHOICE,
            ("from", "the slice that comes first; by default the middle one"),
            ("most", "how many at most"),
            ("encoding", "identity or gzip"),
        ),
        heavy=True,
    ),
    Endpoint(
        f"{SERIES}/volume",
        volumes.volume,
        "A series as one file in Hounsfield units",
        produces=("application/gzip", "application/octet-stream"),
        parameters=(
            ("format", "nifti, nrrd, mha or npy"),
            *_CHOICE,
            ("gaps", "error, fill or interpolate"),
            ("dtype", "int16 or float32"),
        ),
        heavy=True,
    ),
)

_LAYERS = (
    Endpoint(
        f"{SERIES}/layers",
        layers.layers,
        "Segmentations, structures, label maps and doses that lie over a series",
        produces=("application/json",),
        parameters=_CHOICE,
        heavy=True,
    ),
    Endpoint(
        f"{SERIES}/layers/{{layer}}",
        layers.layer,
        "One layer: its grid, its segments and what is measured in them",
        produces=("application/json",),
        parameters=_CHOICE,
        heavy=True,
    ),
    Endpoint(
        f"{SERIES}/layers/{{layer}}/slices",
        layers.layer_slices,
        "The slices of a layer that hold anything, in one response",
        produces=("application/octet-stream",),
        parameters=(
            *_CHOICE,
            ("array", "which of its arrays, from 0"),
            ("from", "the slice that comes first; by default the middle one"),
            ("encoding", "identity or gzip"),
        ),
        heavy=True,
    ),
)

_PICTURES = ("image/jpeg", "image/png", "image/gif", "video/mp4")
_LOOK = (
    ("window", "centre,width,function, or a preset's name"),
    ("viewport", "width,height of the picture, then x,y,width,height of what it shows"),
    ("quality", "1 to 100"),
)
_RESOURCES = (STUDY, SERIES, INSTANCE, f"{INSTANCE}/frames/{{frames}}")
_RENDERED = (
    *(
        Endpoint(
            f"{path}/rendered",
            rendered.rendered,
            "Pictures",
            produces=_PICTURES,
            parameters=_LOOK,
            heavy=True,
        )
        for path in _RESOURCES
    ),
    *(
        Endpoint(
            f"{path}/thumbnail",
            rendered.thumbnail,
            "A small picture",
            produces=_PICTURES,
            parameters=_LOOK,
            heavy=True,
        )
        for path in _RESOURCES
    ),
)
_WADO_URI = Endpoint(
    "/wado",
    wado_uri.wado_uri,
    "One instance by UIDs in the query (WADO-URI)",
    produces=("application/dicom", *_PICTURES),
    parameters=tuple(
        (name, "see PS3.18 9.4") for name in ("requestType", "studyUID", "seriesUID", "objectUID")
    ),
    heavy=True,
)
_STORES = tuple(
    Endpoint(
        path,
        None,
        f"Store instances{what}",
        upload=stow.store,
        method="POST",
        scope="write",
        produces=("application/dicom+json", "application/dicom+xml"),
        consumes=(
            'multipart/related; type="application/dicom"',
            "application/dicom",
            'multipart/related; type="application/dicom+json"',
            "application/dicom+json",
            'multipart/related; type="application/dicom+xml"',
            "application/dicom+xml",
        ),
    )
    for path, what in (("/studies", ""), (STUDY, " of one study"))
)
_REMOVALS = tuple(
    Endpoint(path, delete.remove, f"Remove one {what}", method="DELETE", scope="delete")
    for path, what in ((STUDY, "study"), (SERIES, "series"), (INSTANCE, "instance"))
)
_PAGE = (
    Endpoint(
        "/capabilities",
        viewer.capabilities,
        "Whether instances may be stored and removed",
        produces=("application/json",),
    ),
    Endpoint(
        f"{INSTANCE}/tags",
        viewer.tags,
        "The attributes of an instance as rows, in English and Chinese",
        produces=("application/json",),
    ),
)
_DOCUMENTS = (
    Endpoint(
        f"{INSTANCE}/document",
        documents.document,
        "An object without pixels as a person reads it: a report as a tree, structures and segments as lists",
        produces=("application/json",),
    ),
    Endpoint(
        f"{INSTANCE}/encapsulated",
        documents.encapsulated_file,
        "The file within an object",
        produces=("application/pdf", "application/octet-stream"),
    ),
)
_SELF = (
    Endpoint("/openapi.json", _open_api, "This document", scope="none", produces=("application/json",)),
    Endpoint(
        "/health",
        capabilities.health,
        "Whether the server is up",
        scope="none",
        produces=("application/json",),
    ),
    Endpoint("/metrics", metrics.metrics, "For Prometheus", produces=("text/plain",)),
    Endpoint(
        "/ready", capabilities.readiness, "Whether it can serve", scope="none", produces=("application/json",)
    ),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *(*_SEARCHES, *_RETRIEVALS, *_METADATA, *_PIXELS, *_VOLUMES, *_LAYERS, *_RENDERED, _WADO_URI),
    *(*_STORES, *_REMOVALS, *_PAGE, *_DOCUMENTS, *_SELF),
)
