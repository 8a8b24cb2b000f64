"""WADO-RS frames and bulk data (PS3.18 10.4.1.1.2, 10.4.1.1.6, 10.5 of frames): pixels and long values alone."""

from __future__ import annotations

from collections.abc import Callable
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
from hounsfield.errors import DicomwebError, MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.http.collection import Member, collection
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import NOT_ACCEPTABLE, Response, etag, not_modified
from hounsfield.server.http.streams import Multipart, Piece, blocks
from hounsfield.server.rendering.frames import frame_bytes, frame_size, is_bits, is_plain
from hounsfield.server.routes.retrieve import found
from hounsfield.server.state import AppState

MAX_FRAMES = 1 << 20
"""Frames in one answer."""

_PIXELS = "7FE00010"


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
    return _sent(state, request, instance, numbers, chosen, tag, f"{request.base}/{entry.path}/frames")


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


def _sent(
    state: AppState,
    request: Request,
    instance: Instance,
    numbers: tuple[int, ...],
    chosen: MediaType,
    tag: str,
    base: str,
) -> Response:
    inner = chosen.content
    syntax = inner.transfer_syntax or EXPLICIT_LITTLE_ENDIAN
    if syntax != instance.header.transfer_syntax and instance.header.pixels is not None:
        decoded = frame_size(instance)
        if decoded > state.limits.frame:
            raise DicomwebError(
                say("a frame of {decoded} bytes to convert", decoded=decoded),
                expected=say("at most {frame}", frame=state.limits.frame),
                status=413,
            )
    if chosen.name != MULTIPART:
        content = frame_bytes(instance, numbers[0] - 1, syntax)
        return Response(content, str(inner), headers={"ETag": tag}, length=len(content),
                      part=lambda start, stop: iter([content[start:stop]]))  # fmt: skip
    size = _native_size(instance, syntax)
    content_type = f"{inner.name}; transfer-syntax={syntax}"
    members = [
        Member(
            f"frame {number}",
            (("Content-Type", content_type), ("Content-Location", f"{base}/{number}")),
            size,
            partial(_frame, state, instance, number - 1, syntax, size),
        )
        for number in numbers
    ]
    return collection(members, partial(_parts_of, inner.name, syntax), tag=tag, head=request.method == "HEAD")


def _parts_of(inner: str, syntax: str, boundary: str) -> MediaType:
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


def bulk_data(state: AppState, request: Request) -> Response:
    """One long value by its path of tags and item numbers, as metadata refers to it."""
    request.known()
    entry = found(state, request)[0]
    source = state.library.source(entry)
    instance = read_instance(source)
    path = request.names["reference"].strip("/")
    tag = etag(entry.path, entry.changed, path)
    if (same := not_modified(request, tag)) is not None:
        return same
    pixels = instance.header.pixels
    if path.upper() == _PIXELS and pixels is not None and not is_plain(instance):
        chosen = choose(request.accept, instance, alone=entry.frames == 1)
        if entry.frames > MAX_FRAMES:
            raise MalformedError(
                say("{frames} frames", frames=entry.frames),
                expected=say("at most {max_frames}", max_frames=MAX_FRAMES),
                where=entry.instance,
            )
        numbers = tuple(range(1, entry.frames + 1))
        return _sent(state, request, instance, numbers, chosen, tag, f"{request.base}/{entry.path}/frames")
    part: Callable[[int, int], Piece]
    if pixels is not None and pixels.length is not None and path.upper() in {_PIXELS, "7FE00008", "7FE00009"}:
        start, length = pixels.offset, pixels.length
        part = lambda first, last: (source, start + first, start + last)  # noqa: E731
    else:
        # Beside pixels an instance is read in one piece.
        with state.decoding.taken(0 if pixels is not None else entry.size or 0):
            value = _value(instance, path)
        length = len(value)
        part = lambda first, last: value[first:last]  # noqa: E731
    return _octets(request, part, length, tag)


def _octets(request: Request, part: Callable[[int, int], Piece], length: int, tag: str) -> Response:
    for entry in request.accept:
        inner = entry.media_type.content.name
        if entry.quality <= 0 or inner not in {OCTETS, "*/*", "application/*", "multipart/*", MULTIPART}:
            continue
        if entry.media_type.name in {MULTIPART, "multipart/*"}:
            made = Multipart([((("Content-Type", OCTETS),), length, lambda: part(0, length))])
            media_type = str(multipart(OCTETS, boundary=made.boundary))
            return Response(blocks(made.pieces()), media_type, length=made.length, headers={"ETag": tag})
        return Response(
            blocks([part(0, length)]), OCTETS, length=length, headers={"ETag": tag},
            part=lambda first, last: blocks([part(first, last)]),
        )  # fmt: skip
    raise DicomwebError("bulk data are available in one media type", expected=OCTETS, status=406)


def _value(instance: Instance, path: str) -> bytes:
    """The value at a path such as `00091010` or `00400275.0.00091010`."""
    absent = DicomwebError("no such bulk data here", expected="a path that metadata gave", status=404)
    steps = path.split(".")
    dataset = instance.dataset()
    try:
        for tag, number in zip(steps[:-1:2], steps[1::2], strict=True):
            dataset = dataset[int(tag, 16)].value[int(number)]
        value = dataset[int(steps[-1], 16)].value
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise absent from error
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    raise UnsupportedError("the value is not bulk data", status=404)
