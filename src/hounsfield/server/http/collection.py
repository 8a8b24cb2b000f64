"""Answers of many members in parts, where one that cannot be made does not spoil the rest (PS3.18 10.4.3).

What must be made is made before the first byte, as far as that goes in `PATIENCE`: then the answer is 206 with a
Warning that names what is missing, or 200, and says its length either way. What is left is made on the way; where
some of that fails, the others are sent, and the connection is torn off, so that nobody takes them for all.
"""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO, NamedTuple, cast

from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.server.http.response import Response
from hounsfield.server.http.streams import Multipart, Piece, blocks

PATIENCE = 8.0
"""Seconds for which members are made before an answer begins; some clients give up after twenty."""

HELD = 1 << 22
"""Bytes of made members up to which they stay in memory; beyond, they lie in a temporary file."""

_NAMED = 3
"""Members that a Warning names; of the others it says how many there are."""


class Member(NamedTuple):
    """One part: its name for messages, its headers, its length (None: not known yet), and what makes its content."""

    name: str
    headers: Sequence[tuple[str, str]]
    length: int | None
    content: Callable[[], Piece]


class _Spool:
    """Members that were made, one behind the other, as a source."""

    name = "members made for one answer"

    def __init__(self) -> None:
        self.file: Any = tempfile.SpooledTemporaryFile(HELD)  # noqa: SIM115
        weakref.finalize(self, self.file.close)

    def open(self) -> BinaryIO:
        return cast(BinaryIO, _View(self.file))

    def add(self, content: bytes) -> Piece:
        start = self.file.seek(0, 2)
        try:
            self.file.write(content)
        except OSError as error:
            raise LocationError(
                "no room to convert what was asked for", remedy="request transfer-syntax=*"
            ) from error
        return self, start, start + len(content)


class _View:
    """The spooled bytes; leaving it does not close the file that others read on."""

    def __init__(self, file: Any) -> None:
        self.seek, self.readinto = file.seek, file.readinto
        file.seek(0)

    def __enter__(self) -> _View:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def collection(
    members: Sequence[Member], media_type: Callable[[str], object], *, tag: str, head: bool = False
) -> Response:
    """The answer that holds all members, or all but those that cannot be made; if there is none, the first's error.

    `media_type` makes the Content-Type of a boundary; `head`: nothing is made, as only the head is asked for.
    """
    if head:
        lengths = Multipart([member[1:] for member in members])
        return Response(
            blocks([]), str(media_type(lengths.boundary)), length=lengths.length, headers={"ETag": tag}
        )
    parts, failed = made(members)
    if failed and not parts:
        raise failed[0][1]
    body = Multipart(parts)
    response = Response(blocks(body.pieces()), str(media_type(body.boundary)), length=body.length)
    if failed:
        response.status = 206
        response.warnings = (warning(failed, len(members)),)
    else:
        response.headers["ETag"] = tag
    return response


_Part = tuple[Sequence[tuple[str, str]], int | None, Callable[[], Piece]]


def made(members: Sequence[Member]) -> tuple[list[_Part], list[tuple[str, HounsfieldError]]]:
    """The parts that can be sent, and the names and errors of those that cannot."""
    spool = _Spool()
    parts: list[_Part] = []
    failed: list[tuple[str, HounsfieldError]] = []
    ends = time.monotonic() + PATIENCE
    for name, headers, length, content in members:
        if length is None and time.monotonic() > ends:
            parts.append((headers, None, content))
            continue
        try:
            piece = content()
            piece = spool.add(piece) if isinstance(piece, bytes) else piece
        except LocationError:
            # A stored file that is damaged or gone is no member to be passed over (docs/decisions/0013-integrity.md).
            raise
        except HounsfieldError as error:
            failed.append((name, error))
            continue
        parts.append((headers, piece[2] - piece[1], partial(_itself, piece)))
    return parts, failed


def _itself(piece: Piece) -> Piece:
    return piece


def warning(failed: Sequence[tuple[str, HounsfieldError]], total: int) -> str:
    """Text of a Warning: which members are missing, and why."""
    named = "; ".join(f"{name}: {error.found}" for name, error in failed[:_NAMED])
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    text = f"{len(failed)} of {total} left out: {named}{more}"
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:1000]
