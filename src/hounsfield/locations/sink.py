"""Where instances are written: the other side of a location.

A contract in prose; `SinkContract` in `tests/contracts.py` enforces it on every implementation: an instance is
stored whole or not at all; what is there already is never overwritten: the same bytes are `present`, other bytes
under the same UID are `refused`; no failure of one instance stops the next, each ends in an `Outcome`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from hounsfield.ct.instance.source import BytesSource, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, OutputExistsError
from hounsfield.outputs import whole_file

Status = Literal["stored", "present", "refused", "failed"]
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance: `name` of its source, `where` it is now, `reason` if it was not stored.

    `refused`: the sink will not have it, and trying again will not help. `failed`: it might.
    """

    name: str
    status: Status
    where: str | None = None
    reason: str | None = None


class Sink(Protocol):
    """Anything that instances can be written to."""

    @property
    def name(self) -> str: ...

    def write(self, source: Source | bytes, *, study: str, series: str, instance: str) -> Outcome:
        """Store the bytes of `source` under these UIDs. Never raises for what is wrong with one instance."""


@dataclass(frozen=True, slots=True)
class FolderSink:
    """A folder that takes instances as `study/series/instance.dcm`; made when the first is written."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def write(self, source: Source | bytes, *, study: str, series: str, instance: str) -> Outcome:
        if isinstance(source, bytes):
            source = BytesSource(instance, source)
        for keyword, uid in (("Study", study), ("Series", series), ("SOP", instance)):
            # A UID becomes a name on disk: nothing but digits and dots may.
            if not is_uid(uid):
                return Outcome(source.name, "refused", reason=f"its {keyword} Instance UID is {uid[:64]!r}")
        target = self.path / study / series / f"{instance}.dcm"
        try:
            return self._written(source, target)
        except HounsfieldError as error:
            return Outcome(source.name, "failed", reason=str(error))
        except OSError as error:
            return Outcome(source.name, "failed", reason=error.strerror or str(error))

    def _written(self, source: Source, target: Path) -> Outcome:
        if os.path.lexists(target):
            return _compared(source, target)
        try:
            with source.open() as stream, whole_file(target) as temporary, temporary.open("wb") as out:
                while chunk := stream.read(_CHUNK):
                    out.write(chunk)
        except OutputExistsError:
            # Another writer was quicker.
            return _compared(source, target)
        return Outcome(source.name, "stored", str(target))


def _compared(source: Source, target: Path) -> Outcome:
    with source.open() as stream, target.open("rb") as present:
        if _same(stream, present):
            return Outcome(source.name, "present", str(target))
    return Outcome(
        source.name, "refused", str(target), "other bytes are stored there under the same SOP Instance UID"
    )


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    while True:
        ours = _exactly(one, _CHUNK)
        if ours != _exactly(other, _CHUNK):
            return False
        if not ours:
            return True


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, or all that are left; an unbuffered stream may give fewer at a time."""
    content = stream.read(size)
    while content and len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content
