"""WADO-RS bulk data and pixel data (PS3.18 10.4.1.1.5 and .6; CP-2040): one long value, or all of an instance, a
series or a study."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from hounsfield.ct.instance import Instance, read_instance
from hounsfield.dicomweb.media_types import MULTIPART, OCTETS, Accepted, MediaType, multipart
from hounsfield.errors import DicomwebError, HounsfieldError, LocationError, MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.index import Entry
from hounsfield.server.http.collection import Member, collection
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import NOT_ACCEPTABLE, Response, etag, not_modified
from hounsfield.server.http.streams import Multipart, Piece, blocks
from hounsfield.server.rendering.frames import is_plain
from hounsfield.server.routes.frames import MAX_FRAMES, choose, frame_members, sent
from hounsfield.server.routes.retrieve import found, parts_of
from hounsfield.server.state import AppState

_PIXELS = "7FE00010"
_OTHER_PIXELS = ("7FE00008", "7FE00009")
_REFERENCE = re.compile(rb'"BulkDataURI":"\x01/bulkdata/([0-9A-Fa-f.]+)"')


def bulk_data(state: AppState, request: Request) -> Response:
    """One long value by its path of tags and item numbers, as metadata refers to it."""
    request.known()
    entry = found(state, request)[0]
    instance = read_instance(state.library.source(entry))
    path = request.names["reference"].strip("/")
    tag = etag(entry.path, entry.changed, path)
    if (same := not_modified(request, tag)) is not None:
        return same
    if path.upper() == _PIXELS and _has_coded_frames(instance):
        chosen = choose(request.accept, instance, alone=entry.frames == 1)
        base = f"{request.base}/{entry.path}/frames"
        return sent(state, request, instance, tuple(_numbers(entry)), chosen, tag, base)
    part, length = _opened(state, entry, instance, path)
    return _octets(request, part, length, tag)


def all_bulk_data(state: AppState, request: Request) -> Response:
    """Every value at or below the resource that metadata refer to by a URI."""
    return _all(state, request, _references)


def pixel_data(state: AppState, request: Request) -> Response:
    """The pixels of every instance at or below the resource that has some."""
    return _all(state, request, _pixel_references)


def _all(state: AppState, request: Request, references: Callable[[bytes], list[str]]) -> Response:
    request.known()
    members: list[Member] = []
    versions = []
    for entry, text in state.library.headers(request.scope):
        versions.append((entry.path, entry.changed))
        for path in references(text):
            members += _members(state, request, entry, path)
    if not members:
        raise DicomwebError(
            say("nothing of that kind in this {level}", level=request.scope.level),
            expected="bulk data", status=404,
        )  # fmt: skip
    tag = etag(versions, [str(each) for each in request.accept], request.path)
    if (same := not_modified(request, tag)) is not None:
        return same
    # A part that fails has no type.
    inner = next((MediaType.parse(value).name for each in members for key, value in each.headers
                  if key == "Content-Type"), OCTETS)  # fmt: skip
    return collection(members, partial(parts_of, inner), tag=tag, head=request.method == "HEAD")


def _references(text: bytes) -> list[str]:
    return [path.decode() for path in _REFERENCE.findall(text)]


def _pixel_references(text: bytes) -> list[str]:
    return [path for path in _references(text) if path in {_PIXELS, *_OTHER_PIXELS}]


def _members(state: AppState, request: Request, entry: Entry, path: str) -> Iterator[Member]:
    """The parts of one value: one, or one for each frame of what is not plain bytes."""
    base, name = f"{request.base}/{entry.path}", f"{entry.instance} {path}"
    try:
        instance = read_instance(state.library.source(entry))
        plain = _takes_octets(request.accept)
        if path == _PIXELS and (_has_coded_frames(instance) or not plain):
            chosen = choose(request.accept, instance, alone=False)
            yield from frame_members(
                state, instance, _numbers(entry), chosen, f"{base}/frames", entry.instance
            )
            return
        if not plain:
            raise _not_acceptable()
    except LocationError:
        raise
    except HounsfieldError as error:
        yield Member(name, (("Content-Location", base),), None, partial(_failed, error))
        return
    headers = (("Content-Type", OCTETS), ("Content-Location", f"{base}/bulkdata/{path}"))
    yield Member(name, headers, None, partial(_whole, state, entry, instance, path))


def _failed(error: HounsfieldError) -> Piece:
    raise error


def _whole(state: AppState, entry: Entry, instance: Instance, path: str) -> Piece:
    part, length = _opened(state, entry, instance, path)
    return part(0, length)


def _has_coded_frames(instance: Instance) -> bool:
    return instance.header.pixels is not None and not is_plain(instance)


def _numbers(entry: Entry) -> range:
    """The numbers of all frames, from 1."""
    if entry.frames > MAX_FRAMES:
        raise MalformedError(
            say("{frames} frames", frames=entry.frames),
            expected=say("at most {max_frames}", max_frames=MAX_FRAMES),
            where=entry.instance,
        )
    return range(1, entry.frames + 1)


def _opened(
    state: AppState, entry: Entry, instance: Instance, path: str
) -> tuple[Callable[[int, int], Piece], int]:
    """Function that gives a range of a value's bytes, and how many it has."""
    pixels, source = instance.header.pixels, instance.source
    if pixels is not None and pixels.length is not None and path.upper() in {_PIXELS, *_OTHER_PIXELS}:
        start, length = pixels.offset, pixels.length
        return lambda first, last: (source, start + first, start + last), length
    # Beside pixels an instance is read in one piece.
    with state.decoding.taken(0 if pixels is not None else entry.size or 0):
        value = _value(instance, path)
    return lambda first, last: value[first:last], len(value)


def _takes_octets(accept: tuple[Accepted, ...]) -> bool:
    """Whether parts of plain bytes are accepted."""
    return any(
        entry.quality > 0
        and entry.media_type.name in {MULTIPART, "multipart/*", "*/*"}
        and entry.media_type.content.name in {OCTETS, "*/*", "application/*", MULTIPART, "multipart/*"}
        for entry in accept
    )


def _not_acceptable() -> DicomwebError:
    return DicomwebError(
        NOT_ACCEPTABLE,
        expected=say('{multipart}; type="{octets}"', multipart=MULTIPART, octets=OCTETS),
        status=406,
    )


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
