"""WADO-RS frames (PS3.18 10.4.1.1.6): pixels alone, as they are stored or coded anew."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hounsfield.ct.instance import Instance, read_instance
from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.dicomweb.media_types import (
    DEFAULT_TRANSFER_SYNTAX,
    EXPLICIT_LITTLE_ENDIAN,
    MULTIPART,
    OCTETS,
    Accepted,
    MediaType,
    multipart,
)
from hounsfield.dicomweb.resources import parse_frames
from hounsfield.errors import DicomwebError, MalformedError
from hounsfield.language import say
from hounsfield.server.http.collection import Member, collection
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import NOT_ACCEPTABLE, Response, etag, not_modified
from hounsfield.server.http.streams import Piece
from hounsfield.server.rendering.frames import frame_bytes, frame_size, is_bits, is_plain
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import AppState

MAX_FRAMES = 1 << 20
"""Frames in one answer."""


def frames(state: AppState, request: Request) -> Response:
    """Frames by number, from 1, in the order asked."""
    request.known()
    numbers = parse_frames(request.names["frames"])
    entry = found(state, request)[0]
    instance = read_instance(state.library.source(entry))
    if instance.header.pixels is None:
        raise DicomwebError("an instance without pixels", status=404)
    missing = [number for number in numbers if number > entry.frames]
    if missing:
        raise DicomwebError(
            say("no frame {missing}", missing=missing[0]),
            expected=say("1 to {frames}", frames=entry.frames),
            status=404,
        )
    chosen = choose(request.accept, instance, alone=len(numbers) == 1)
    tag = etag(entry.path, entry.changed, numbers, str(chosen))
    if (same := not_modified(request, tag)) is not None:
        return same
    return sent(state, request, instance, numbers, chosen, tag, f"{request.base}/{entry.path}/frames")


def choose(accept: tuple[Accepted, ...], instance: Instance, *, alone: bool) -> MediaType:
    """The media type to send frames in: multipart of it, or (for one frame) it alone (PS3.18 Table 8.7.3-5)."""
    for entry in accept:
        kind = entry.media_type
        if entry.quality <= 0:
            continue
        if kind.name in {"*/*", "multipart/*"} or (kind.name == MULTIPART and kind.inner is None):
            return _multi(_stored(instance))
        inner = kind.content
        syntax = _syntax_for(inner.name, kind.transfer_syntax, instance)
        if syntax is None or (kind.name != MULTIPART and not alone):
            continue
        name = _stored(instance).name if inner.name in {"*/*", "image/*"} else inner.name
        made = MediaType(name, (("transfer-syntax", syntax),))
        return _multi(made) if kind.name == MULTIPART else made
    raise DicomwebError(
        NOT_ACCEPTABLE,
        expected=say('{multipart}; type="{octets}"; transfer-syntax=*', multipart=MULTIPART, octets=OCTETS),
        status=406,
    )


def _multi(inner: MediaType) -> MediaType:
    return multipart(inner.name, transfer_syntax=inner.transfer_syntax)


def _stored(instance: Instance) -> MediaType:
    """Frames as they are stored, by the name of their coding."""
    if instance.is_native:
        return MediaType(OCTETS, (("transfer-syntax", EXPLICIT_LITTLE_ENDIAN),))
    syntax = instance.syntax
    return MediaType(syntax.media_type, (("transfer-syntax", syntax.uid),))


def _syntax_for(name: str, asked: str | None, instance: Instance) -> str | None:
    """The transfer syntax in which frames of media type `name` go out; None if they cannot."""
    stored = EXPLICIT_LITTLE_ENDIAN if instance.is_native else instance.header.transfer_syntax
    if name in {"*/*", "image/*"}:
        return stored
    if name not in DEFAULT_TRANSFER_SYNTAX or name == "application/dicom":
        return None
    if asked == "*":
        of_that_type = name == OCTETS or SYNTAXES[stored].media_type == name
        return stored if of_that_type else DEFAULT_TRANSFER_SYNTAX[name]
    wanted = asked or DEFAULT_TRANSFER_SYNTAX[name]
    return wanted if wanted == stored or _can_be_made(instance, name, wanted) else None


def _can_be_made(instance: Instance, name: str, wanted: str) -> bool:
    """Whether frames can be decoded and coded again as `wanted` under the media type `name`."""
    known = SYNTAXES.get(wanted)
    if known is None or not known.writable or name not in {OCTETS, known.media_type}:
        return False
    readable = instance.is_native or instance.syntax.readable
    return readable and (known.encapsulated or wanted == EXPLICIT_LITTLE_ENDIAN)


def sent(
    state: AppState,
    request: Request,
    instance: Instance,
    numbers: tuple[int, ...],
    chosen: MediaType,
    tag: str,
    base: str,
) -> Response:
    """The frames, in parts or one alone, in the media type that was chosen; `base`: the URL before their numbers."""
    inner = chosen.content
    syntax = inner.transfer_syntax or EXPLICIT_LITTLE_ENDIAN
    if chosen.name != MULTIPART:
        _check_size(state, instance, syntax)
        content = frame_bytes(instance, numbers[0] - 1, syntax)
        return Response(content, str(inner), headers={"ETag": tag}, length=len(content),
                      part=lambda start, stop: iter([content[start:stop]]))  # fmt: skip
    members = frame_members(state, instance, numbers, chosen, base)
    return collection(members, partial(parts_of, inner.name, syntax), tag=tag, head=request.method == "HEAD")


def frame_members(
    state: AppState, instance: Instance, numbers: Sequence[int], chosen: MediaType, base: str, name: str = ""
) -> list[Member]:
    """Frames as parts of an answer; `name` is that of their instance, for messages."""
    inner = chosen.content
    syntax = inner.transfer_syntax or EXPLICIT_LITTLE_ENDIAN
    _check_size(state, instance, syntax)
    size = _native_size(instance, syntax)
    content_type = f"{inner.name}; transfer-syntax={syntax}"
    return [
        Member(
            f"{name} frame {number}".strip(),
            (("Content-Type", content_type), ("Content-Location", f"{base}/{number}")),
            size,
            partial(_frame, state, instance, number - 1, syntax, size),
        )
        for number in numbers
    ]


def _check_size(state: AppState, instance: Instance, syntax: str) -> None:
    """Raise `DicomwebError` 413 for frames that are too large to be converted."""
    if syntax == instance.header.transfer_syntax or instance.header.pixels is None:
        return
    decoded = frame_size(instance)
    if decoded > state.limits.frame:
        raise DicomwebError(
            say("a frame of {decoded} bytes to convert", decoded=decoded),
            expected=say("at most {frame}", frame=state.limits.frame),
            status=413,
        )


def parts_of(inner: str, syntax: str, boundary: str) -> MediaType:
    return multipart(inner, transfer_syntax=syntax, boundary=boundary)


def _native_size(instance: Instance, syntax: str) -> int | None:
    """Bytes of a frame that is sent as it lies in the file; None where it must be made first."""
    plain = is_plain(instance) and syntax == EXPLICIT_LITTLE_ENDIAN
    if not plain or instance.header.pixels is None or instance.header.pixels.keyword != "PixelData":
        return None
    return None if is_bits(instance) else instance.frame_format.native_bytes


def _frame(state: AppState, instance: Instance, frame: int, syntax: str, size: int | None) -> Piece:
    pixels = instance.header.pixels
    if size is None or pixels is None:
        with state.decoding.taken(min(frame_size(instance), state.limits.frame)):
            return frame_bytes(instance, frame, syntax)
    if pixels.length is not None and (frame + 1) * size > pixels.length:
        raise MalformedError(say("frame {number} is truncated", number=frame + 1), where=instance.name)
    start = pixels.offset + frame * size
    return instance.source, start, start + size
