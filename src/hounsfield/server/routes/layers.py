"""Layers over a series: which there are, what each is, and its values. The wire format is in `docs/wire.md`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hounsfield.ct.instance import Instance, read_instance
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError, HounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.segmentation import Masks, measure, read_rtstruct, read_seg
from hounsfield.segmentation.found import KINDS, found_masks
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response, as_json
from hounsfield.server.rendering.comparison import compared
from hounsfield.server.rendering.layers import (
    Kind,
    Layer,
    VolumeBeside,
    holds_labels,
    labels_layer,
    values_layer,
    whole,
)
from hounsfield.server.rendering.volumes import Stack
from hounsfield.server.routes.slice_records import NOTHING_DONE, Made, outwards, records
from hounsfield.server.routes.volumes import coding_of, number_of, record_response
from hounsfield.server.state import AppState

MINUS = "minus~"
"""Beginning of the identifier of a difference; behind it the study and series that this one is taken from."""

MOST_LAYERS = 500
_MODALITIES = ("SEG", "RTSTRUCT", "RTDOSE")


@dataclass(frozen=True)
class _Found:
    """Something that may be laid over a series. `drawn_on`: the series that it says it was made on, or ""."""

    identifier: str
    kind: Kind
    name: str
    study: str = ""
    series: str = ""
    drawn_on: str = ""
    instance: Instance | None = None
    beside: VolumeBeside | None = None

    def to_json(self) -> dict[str, Any]:
        names = ("kind", "name", "study", "series", "drawn_on")
        return {"id": self.identifier, **{name: getattr(self, name) for name in names}}


def layers(state: AppState, request: Request) -> Response:
    """The list of what may be laid over a series: by headers, and by the numbers of volume files beside it."""
    request.known("part", "phase")
    return as_json({"layers": [each.to_json() for each in _found(state, request)]})


def layer(state: AppState, request: Request) -> Response:
    """One layer: its grid, its segments with what is measured in them, its unit."""
    request.known("part", "phase")
    return as_json({"id": request.names["layer"], **_made(state, request).to_json()})


def layer_slices(state: AppState, request: Request) -> Response:
    """The slices of a layer that hold anything, from one outwards, as records."""
    request.known("part", "phase", "array", "from", "encoding")
    made = _made(state, request)
    number = number_of(request, "array") or 0
    if number >= len(made.arrays):
        raise SelectionError(say("no array {number}", number=number), expected=f"0 … {len(made.arrays) - 1}")
    planes = made.arrays[number]
    start = number_of(request, "from")
    order = outwards(made.shape[0], made.shape[0] // 2 if start is None else start)

    def make(index: int) -> Made:
        return planes[index], NOTHING_DONE

    return record_response(records((index for index in order if index in planes), make), coding_of(request))


def _found(state: AppState, request: Request) -> list[_Found]:
    """Every layer but differences to other series: of the study, or of all of a place that is only read."""
    scope = request.scope
    within = Resource(request.base, scope.study) if state.writable else Resource(request.base)
    version = state.library.version(within)
    key = ("layers", scope.study, scope.series, version)
    found: list[_Found] = state.volumes.value(
        key, lambda: list(_listed(state, within)), lambda made: 1024 * (1 + len(made))
    )
    frame = _frame_of_reference(state, request)
    fitting = [each for each in found if each.series != scope.series and _fits(each, scope.series, frame)]
    return [*fitting, *_files(state)]


def _fits(found: _Found, series: str | None, frame: str) -> bool:
    """Whether it says that it is of this series, or of the same place in the same patient."""
    if found.drawn_on == series:
        return True
    assert found.instance is not None
    own = found.instance.header.text("FrameOfReferenceUID")
    return own == frame if own and frame else found.drawn_on == ""


def _frame_of_reference(state: AppState, request: Request) -> str:
    stack = _stack(state, request)
    return stack.slices[0].instance.header.text("FrameOfReferenceUID")


def _listed(state: AppState, within: Resource) -> Iterator[_Found]:
    for modality in _MODALITIES:
        query = Query.parse(f"Modality={modality}")
        for text in state.library.search("instance", within, query, limit=MOST_LAYERS).models:
            yield from _of(state, within, text)


def _of(state: AppState, within: Resource, text: str) -> Iterator[_Found]:
    import json

    from hounsfield.attributes.header_text import INSTANCE_URL

    model = json.loads(text.replace(INSTANCE_URL, ""))
    study, series, uid = (str(model[tag]["Value"][0]) for tag in ("0020000D", "0020000E", "00080018"))
    for entry in state.library.entries(Resource(within.base, study, series, uid)):
        try:
            instance = read_instance(state.library.source(entry))
            masks = found_masks(instance)
            name = instance.header.text("SeriesDescription")
            if masks is not None:
                kind: Kind = "SEG" if KINDS[instance.header.text("SOPClassUID")] == "SEG" else "RTSTRUCT"
                yield _Found(uid, kind, name, study, series, masks.referenced_series(), instance)
            elif instance.header.text("Modality") == "RTDOSE":
                yield _Found(uid, "RTDOSE", name, study, series, "", instance)
        except HounsfieldError:
            continue  # What cannot be read is said in the list of series.


def _files(state: AppState) -> Iterator[_Found]:
    for file in state.beside:
        is_map = state.volumes.value(("labels", file.path), partial(_is_label_map, file), lambda _: 64)
        kind: Kind = "labels" if is_map else "difference"
        identifier = file.identifier if kind == "labels" else MINUS + file.identifier
        yield _Found(identifier, kind, file.name, beside=file)


def _is_label_map(file: VolumeBeside) -> bool:
    from hounsfield.locations.volume_files import open_volume

    try:
        opened = open_volume(file.path)
        return opened.layout.shape[0] == 1 and holds_labels(opened.values())
    except HounsfieldError:
        return False


def _stack(state: AppState, request: Request) -> Stack:
    scanned = state.volumes.scan(request.scope)
    return scanned.chosen(number_of(request, "part"), number_of(request, "phase"))


def _made(state: AppState, request: Request) -> Layer:
    """The layer that a request names, kept between requests."""
    stack = _stack(state, request)
    stack.check(0, state.limits.frame)
    needed = len(stack.slices) * int(np.prod(stack.slices[0].shape))
    if needed * 4 > state.limits.decoded:
        raise DicomwebError(
            say("a series of {count} voxels", count=needed),
            expected=say("at most {most}", most=state.limits.decoded // 4),
            status=413,
        )
    identifier = request.names["layer"]
    version = state.library.version(Resource(request.base))
    key = ("layer", identifier, request.scope.study, request.scope.series, version, stack.part, stack.phase)

    def make() -> Layer:
        with state.decoding.taken(needed * 4):
            return _make(state, request, stack, identifier)

    return state.volumes.value(key, make, lambda made: made.nbytes)


def _make(state: AppState, request: Request, stack: Stack, identifier: str) -> Layer:
    if identifier.startswith(MINUS):
        return _difference(state, request, stack, identifier.removeprefix(MINUS))
    chosen = next((each for each in _found(state, request) if each.identifier == identifier), None)
    if chosen is None:
        raise SelectionError(
            say("no layer {name}", name=identifier[:64]),
            expected="one that the list of layers has",
            where=stack.series.name,
        )
    if chosen.kind == "RTDOSE":
        return _dose(state, request, chosen)
    volume, shown = whole(stack)
    masks = _masks(chosen, volume)
    return labels_layer(masks, measure(volume, masks), shown)


def _masks(chosen: _Found, volume: Any) -> Masks:
    if chosen.beside is not None:
        from hounsfield.verbs.masks import masks

        return masks(chosen.beside.path, volume)
    assert chosen.instance is not None
    if chosen.kind == "RTSTRUCT":
        return read_rtstruct(chosen.instance, volume)
    return read_seg(chosen.instance, volume)


def _dose(state: AppState, request: Request, chosen: _Found) -> Layer:
    scanned = state.volumes.scan(Resource(request.base, chosen.study, chosen.series))
    for part in scanned.parts:
        for number, phase in enumerate(part.phases):
            if any(each.uid == chosen.identifier for each in phase.slices):
                loaded = part.load(phase=number if len(part.phases) > 1 else None, dtype="float32")
                return values_layer(loaded.array, loaded.affine, loaded.unit)
    reasons = "; ".join(sorted({str(each.reason) for each in scanned.skipped}))
    raise SelectionError(say("no dose grid: {reasons}", reasons=reasons), where=chosen.name)


def _difference(state: AppState, request: Request, stack: Stack, other: str) -> Layer:
    """Another volume less this one, voxel by voxel, turned as it must be to lie upon it."""
    beside = next((each for each in state.beside if each.identifier == other), None)
    if beside is not None:
        return compared(stack, beside.path)
    study, _, series = other.partition("~")
    if not study or not series:
        raise DicomwebError("no other series", expected=f"{MINUS}1.2.3~1.2.4", status=400)
    scanned = state.volumes.scan(Resource(request.base, study, series))
    taken = scanned.chosen(None, None)
    return compared(stack, whole(taken, dtype="float32", clamp=False)[0])
