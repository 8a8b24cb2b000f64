"""WADO-RS (PS3.18 10.4): instances, whole studies and series, their metadata.

As stored wherever the client takes it; in Explicit VR Little Endian where it says nothing; in another syntax where
it names one that there is a codec for. Implicit VR and Big Endian never leave (8.7.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal

from hounsfield.attributes.header_text import INSTANCE_URL
from hounsfield.ct.instance import read_instance
from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.dicomweb.dicom_json import parse_models
from hounsfield.dicomweb.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    EXPLICIT_LITTLE_ENDIAN,
    MULTIPART,
    NOT_ON_THE_WEB,
    Accepted,
    MediaType,
    multipart,
    negotiate,
)
from hounsfield.dicomweb.multipart import encode, new_boundary
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.errors import DicomwebError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.index import Entry
from hounsfield.server.http.collection import Member, collection
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import JSON, NOT_ACCEPTABLE, Response, etag, not_modified, repr_digest
from hounsfield.server.http.streams import Piece, blocks, whole_or_blocks
from hounsfield.server.http.zipping import ZIP
from hounsfield.server.rendering.frames import convert, decoded_size
from hounsfield.server.routes.zip_files import zip_file
from hounsfield.server.state import AppState

_XML_PART = (("Content-Type", DICOM_XML),)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The form that an Accept entry requests, and in which syntax ("*": as stored)."""

    form: Literal["parts", "alone", "zip"]
    syntax: str


def retrieve(state: AppState, request: Request) -> Response:
    """Every instance at or below the resource."""
    entries = found(state, request)
    wanted = _wanted(request.accept, alone=len(entries) == 1)
    request.known(*(("dicomdir",) if wanted.form == "zip" else ()))
    tag = etag(wanted, request.query_text, [(entry.path, entry.changed, entry.size) for entry in entries])
    if (same := not_modified(request, tag)) is not None:
        return same
    if wanted.form == "alone":
        return _alone(state, entries[0], _target(entries[0], wanted.syntax), tag)
    members = [_member(state, request, entry, wanted.syntax) for entry in entries]
    if wanted.form == "zip":
        return zip_file(state, request, entries, members, tag)
    return collection(members, partial(parts_of, DICOM), tag=tag, head=request.method == "HEAD")


def parts_of(inner: str, boundary: str) -> MediaType:
    return multipart(inner, boundary=boundary)


def _member(state: AppState, request: Request, entry: Entry, syntax: str) -> Member:
    """An instance as a part; what cannot be sent in `syntax` fails when it is made."""
    location = ("Content-Location", f"{request.base}/{entry.path}")
    try:
        target = _target(entry, syntax)
    except UnsupportedError as error:
        return Member(entry.instance, (location,), None, partial(_failed, error))
    headers = (("Content-Type", f"{DICOM}; transfer-syntax={target}"), location)
    size = entry.size if target == entry.syntax else None
    return Member(entry.instance, headers, size, partial(_content, state, entry, target))


def _failed(error: UnsupportedError) -> Piece:
    raise error


def metadata(state: AppState, request: Request) -> Response:
    """Headers without bulk data, of every instance at or below the resource."""
    request.known("includefield")
    offers = (MediaType(DICOM_JSON), MediaType(JSON), multipart(DICOM_XML))
    chosen = negotiate(request.accept, offers)
    if chosen is None:
        raise DicomwebError(NOT_ACCEPTABLE, expected=DICOM_JSON, status=406)
    version = state.library.version(request.scope)
    tag = etag(version, chosen, request.base)
    if version[0] and (same := not_modified(request, tag)) is not None:
        return same
    texts = _texts(state, request)
    first = next(texts, None)
    if first is None:
        raise absent(request)
    texts = chain((first,), texts)
    if chosen.name != MULTIPART:
        return Response(whole_or_blocks(_as_array(texts)), chosen.name, headers={"ETag": tag})
    boundary = new_boundary()
    documents = ((_XML_PART, encode_xml(model)) for text in texts for model in parse_models(b"[%b]" % text))
    media_type = str(multipart(DICOM_XML, boundary=boundary))
    return Response(whole_or_blocks(encode(documents, boundary)), media_type, headers={"ETag": tag})


def _texts(state: AppState, request: Request) -> Iterator[bytes]:
    """The headers asked for as DICOM JSON objects."""
    mark = INSTANCE_URL.encode()
    for entry, text in state.library.headers(request.scope):
        yield text.replace(mark, f"{request.base}/{entry.path}".encode())


def _as_array(texts: Iterator[bytes]) -> Iterator[bytes]:
    before = b"["
    for text in texts:
        yield before
        yield text
        before = b","
    yield b"]"


def found(state: AppState, request: Request) -> list[Entry]:
    """Return the entries at or below the resource. Raises `DicomwebError` 404 for none."""
    entries = state.library.entries(request.scope)
    if not entries:
        raise absent(request)
    return entries


def absent(request: Request) -> DicomwebError:
    return DicomwebError(
        say("no such {level} here", level=request.scope.level), expected="a stored one", status=404
    )


def _wanted(accept: tuple[Accepted, ...], *, alone: bool) -> _Wanted:
    """The first thing a client accepts that can be made; 406 for none."""
    for entry in accept:
        kind = entry.media_type
        if entry.quality <= 0:
            continue
        if kind.name in {"*/*", MULTIPART, "multipart/*"}:
            inner = kind.inner
            if inner is not None and inner.name not in {DICOM, "*/*", "application/*"}:
                continue
            # Who takes anything takes it as it is stored.
            default = "*" if kind.name != MULTIPART else EXPLICIT_LITTLE_ENDIAN
            syntax = kind.transfer_syntax or default
            if _possible(syntax):
                return _Wanted("parts", syntax)
        elif kind.name == ZIP:
            if _possible(kind.transfer_syntax or "*"):
                return _Wanted("zip", kind.transfer_syntax or "*")
        elif kind.name in {DICOM, "application/*"} and alone:
            syntax = kind.transfer_syntax or EXPLICIT_LITTLE_ENDIAN
            if _possible(syntax):
                return _Wanted("alone", syntax)
    raise DicomwebError(
        NOT_ACCEPTABLE,
        expected=f'{MULTIPART}; type="{DICOM}"; transfer-syntax=*' + (f", or {DICOM}" if alone else ""),
        status=406,
    )


def _possible(syntax: str) -> bool:
    return syntax == "*" or (syntax not in NOT_ON_THE_WEB and syntax in SYNTAXES)


def _target(entry: Entry, asked: str) -> str:
    """The transfer syntax that an instance is sent in."""
    if asked == "*":
        return EXPLICIT_LITTLE_ENDIAN if entry.syntax in NOT_ON_THE_WEB else entry.syntax
    if asked == entry.syntax:
        return asked
    known = SYNTAXES.get(entry.syntax)
    if known is not None and not known.readable:
        raise UnsupportedError(
            say("it is stored in {name}, which cannot be converted", name=known.name),
            remedy="request transfer-syntax=*",
        )
    if not SYNTAXES[asked].writable:
        raise UnsupportedError(
            say("{name} cannot be encoded", name=SYNTAXES[asked].name), remedy="request transfer-syntax=*"
        )
    return asked


def _content(state: AppState, entry: Entry, target: str) -> Piece:
    source = state.library.source(entry)
    if target != entry.syntax:
        instance = read_instance(source)
        with state.decoding.taken(decoded_size(instance) or entry.size or 0):
            return convert(instance, target, limit=state.limits.decoded)
    if entry.size is None:
        with source.open() as stream:
            return stream.read()
    return source, 0, entry.size


def _alone(state: AppState, entry: Entry, target: str, tag: str) -> Response:
    media_type = f"{DICOM}; transfer-syntax={target}"
    piece = _content(state, entry, target)
    headers = {"ETag": tag, "Content-Disposition": f'attachment; filename="{entry.instance}.dcm"'}
    if isinstance(piece, bytes):
        return Response(
            piece, media_type, headers=headers, length=len(piece), part=lambda a, b: iter([piece[a:b]])
        )
    source, _, size = piece
    if entry.sha256 is not None:
        headers["Repr-Digest"] = repr_digest(entry.sha256)
    return Response(
        blocks([piece]),
        media_type,
        headers=headers,
        length=size,
        part=lambda start, stop: blocks([(source, start, stop)]),
    )
