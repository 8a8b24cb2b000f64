"""Rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4): pictures that a browser shows as they are."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any

from PIL import Image

from hounsfield.ct.instance import Instance, read_instance
from hounsfield.dicomweb.media_types import MULTIPART, Accepted, MediaType, multipart
from hounsfield.dicomweb.resources import parse_frames
from hounsfield.errors import DamagedError, DicomwebError, HounsfieldError, LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.pictures.files import require_film
from hounsfield.server.archive.index import Entry
from hounsfield.server.http.collection import Member, collection
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import NOT_ACCEPTABLE, Response, etag, not_modified
from hounsfield.server.rendering.pictures import (
    MOVING,
    STILL,
    Look,
    Viewport,
    encoded,
    moving,
    parse_window,
    picture,
)
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import AppState

TRIED = 16
"""Pictures that are tried where one stands for many."""

THUMBNAIL = Viewport(128, 128)
Shot = tuple[Entry, int]
"""An instance and a frame of it, from 0."""


class _Frames(Sequence[Shot]):
    """Every frame of some instances; their number is what headers say, and may be any."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._ends = list(accumulate(max(entry.frames, 0) for entry in entries))

    def __len__(self) -> int:
        return min(self._ends[-1] if self._ends else 0, sys.maxsize)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        at = bisect_right(self._ends, index)
        return self._entries[at], index - (self._ends[at - 1] if at else 0)


def rendered(state: AppState, request: Request) -> Response:
    """A still of what is asked for, stills of all of it in parts, or a film through it: by what is accepted."""
    request.known("window", "viewport", "quality", "annotation", "iccprofile")
    return _answered(state, request, _look(state, request), default=None)


def thumbnail(state: AppState, request: Request) -> Response:
    """A small still of the middle."""
    request.known("window", "viewport", "quality")
    look = _look(state, request)
    return _answered(state, request, replace(look, viewport=look.viewport or THUMBNAIL), default="still")


def _look(state: AppState, request: Request) -> Look:
    shown, viewport, quality = (request.parameter(name) for name in ("window", "viewport", "quality"))
    if quality is not None and not (quality.isascii() and quality.isdigit() and 1 <= int(quality[:4]) <= 100):
        raise DicomwebError(
            say("quality={quality}", quality=repr(quality[:20])), expected="1 … 100", status=400
        )
    try:
        return Look(
            parse_window(shown) if shown else None,
            Viewport.parse(viewport, state.limits.pixels) if viewport else None,
            int(quality) if quality else 90,
        )
    except DicomwebError:
        raise
    except HounsfieldError as error:
        raise DicomwebError(error.found, expected=error.expected, status=400) from error


def _answered(state: AppState, request: Request, look: Look, default: str | None) -> Response:
    entries = found(state, request)
    shots = _shots(state, request, entries)
    media_type, in_parts = _chosen(request.accept)
    asked = (request.names.get("frames"), look, media_type, in_parts, default)
    tag = etag([(entry.path, entry.changed) for entry in entries], *asked)
    if (same := not_modified(request, tag)) is not None:
        return same
    _check(state, shots)
    headers = {"ETag": tag}
    several = len(shots) > 1 and default is None
    many = default is None and (
        in_parts or media_type == "video/mp4" or (media_type == "image/gif" and several)
    )
    if many and len(shots) > state.limits.pictures:
        raise DicomwebError(
            say("{count} pictures in one response", count=len(shots)),
            expected=say("at most {pictures}", pictures=state.limits.pictures),
            status=413,
        )
    if in_parts and default is None:
        members = [
            Member(
                f"{entry.instance} frame {frame + 1}",
                (("Content-Type", media_type), ("Content-Location", f"{request.base}/{entry.path}/rendered")),
                None,
                partial(_still, state, (entry, frame), media_type, look),
            )
            for entry, frame in shots
        ]
        return collection(members, partial(_parts_of, media_type), tag=tag, head=request.method == "HEAD")
    if many or media_type == "video/mp4":
        shots = shots if many else [shots[len(shots) // 2]]
        takes = [partial(_taken, state, shot, look) for shot in shots]
        return Response(moving(takes, media_type), media_type, headers=headers)
    return Response(_near_the_middle(state, shots, media_type, look), media_type, headers=headers)


def _parts_of(inner: str, boundary: str) -> MediaType:
    return multipart(inner, boundary=boundary)


def _near_the_middle(state: AppState, shots: Sequence[Shot], media_type: str, look: Look) -> bytes:
    """The picture in the middle of the shots, or the nearest that can be made; if none can, the middle's error."""
    problem: HounsfieldError | None = None
    for shot in _from_the_middle(shots):
        try:
            return _still(state, shot, media_type, look)
        except LocationError:
            raise
        except HounsfieldError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _from_the_middle(shots: Sequence[Shot]) -> Iterator[Shot]:
    """At most `TRIED` of the shots, from the middle outwards."""
    middle = len(shots) // 2
    for away in range(min(TRIED, 2 * len(shots))):
        index = middle + (away + 1) // 2 * (1 if away % 2 else -1)
        if 0 <= index < len(shots):
            yield shots[index]


def _chosen(accept: tuple[Accepted, ...]) -> tuple[str, bool]:
    """(media type, whether in parts) of the first accepted thing that can be made."""
    problem: UnsupportedError | None = None
    for entry in accept:
        name, kind = entry.media_type.name, entry.media_type.content.name
        if entry.quality <= 0:
            continue
        if name in {"*/*", "image/*"} or (name == MULTIPART and entry.media_type.inner is None):
            return "image/jpeg", name == MULTIPART
        if kind == "video/mp4":
            try:
                require_film()
            except UnsupportedError as error:
                problem = error
                continue
        if kind in STILL or (kind in MOVING and name != MULTIPART):
            return kind, name == MULTIPART
    if problem is not None:
        raise problem
    raise DicomwebError(NOT_ACCEPTABLE, expected=", ".join((*STILL, "video/mp4")), status=406)


def _shots(state: AppState, request: Request, entries: list[Entry]) -> Sequence[Shot]:
    """Return the frames to be shown, in the order in which one scrolls through them."""
    if "frames" in request.names:
        numbers = parse_frames(request.names["frames"])
        if max(numbers) > entries[0].frames:
            raise DicomwebError(
                say("no frame {numbers}", numbers=max(numbers)),
                expected=say("1 to {frames}", frames=entries[0].frames),
                status=404,
            )
        return [(entries[0], number - 1) for number in numbers]
    if request.scope.instance is None and request.scope.series is not None:
        ordered = _as_stacked(state, request, {entry.instance: entry for entry in entries})
        if ordered:
            return ordered
    return _Frames(entries)


def _as_stacked(state: AppState, request: Request, by_uid: dict[str, Entry]) -> list[Shot]:
    """The order of the volume, where the series is one."""
    try:
        stack = state.volumes.scan(request.scope).chosen(None, None)
    except DamagedError:
        raise
    except HounsfieldError:
        return []
    if len(stack.slices) < len(by_uid) / 2:
        return []
    return [(by_uid[item.uid], item.plane.frame) for item in stack.slices if item.uid in by_uid]


def _check(state: AppState, shots: Sequence[Shot]) -> None:
    """Refuse what has no picture before anything of it is sent."""
    if not shots:
        raise DicomwebError("no frames to render", status=404)
    problem: HounsfieldError | None = None
    for entry, _ in _from_the_middle(shots):
        try:
            _checked(state, entry)
            return
        except LocationError:
            raise
        except HounsfieldError as error:
            problem = problem or error
    if problem is not None:
        raise problem


def _checked(state: AppState, entry: Entry) -> Instance:
    """The instance, whose header says that its pictures are none too large."""
    instance = read_instance(state.library.source(entry))
    if instance.header.pixels is None or "Rows" not in instance.header:
        raise DicomwebError("no image in it", expected="an image", status=406)
    size = (instance.header.integer("Rows", 0) or 0) * (instance.header.integer("Columns", 0) or 0)
    if size > state.limits.pixels:
        raise DicomwebError(
            say("a picture of {size} pixels", size=size),
            expected=say("at most {pixels}", pixels=state.limits.pixels),
            status=413,
        )
    return instance


def _taken(state: AppState, shot: Shot, look: Look) -> Image.Image:
    entry, frame = shot
    return picture(_checked(state, entry), frame, look)


def _still(state: AppState, shot: Shot, media_type: str, look: Look) -> bytes:
    return encoded(_taken(state, shot, look), media_type, look)
