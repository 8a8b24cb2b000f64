"""Sources of the bytes of one instance: the seam between locations (above) and readers (below).

A contract in prose; `hounsfield.testing.SourceContract` enforces it on every implementation:

- `name` is what a person reads: a path, `archive.zip!/folder/file`, a URL. Stable, unique within a location.
- `open()` gives a fresh binary stream at offset 0, seekable, that the caller closes. Any number may be open
  at once, in any threads. A place that cannot be read raises `LocationError`.
- Nothing is read, listed or fetched before `open()` is called.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeGuard, cast

from hounsfield.errors import LocationError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset


class Source(Protocol):
    """The bytes of one would-be DICOM instance."""

    @property
    def name(self) -> str: ...

    def open(self) -> BinaryIO: ...


class MetadataSource(Source, Protocol):
    """A source that knows its header without its pixels (a DICOMweb instance: PS3.18 10.4.1.1.5)."""

    def metadata(self, tags: Collection[int] | None = None) -> Dataset:
        """The header; with `tags` no more of it than those, which is quicker."""


def has_metadata(source: Source) -> TypeGuard[MetadataSource]:
    """Return whether a source knows its header without its pixels: `isinstance` of the protocol, at a tenth of its
    time.
    """
    return hasattr(source, "metadata")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a location that takes no part, and why; nothing is left out silently."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on disk, opened unbuffered so that pixels go from the page cache into their array in one copy."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def open(self) -> BinaryIO:
        try:
            return cast(BinaryIO, open(self.path, "rb", buffering=0))
        except OSError as error:
            raise LocationError(
                say("cannot be opened: {strerror}", strerror=error.strerror),
                where=self.name,
                remedy="check the path and its permissions",
            ) from error


@dataclass(frozen=True, slots=True)
class BytesSource:
    """Bytes in memory: a part of a multipart answer, a member of a small archive, a test."""

    name: str
    content: bytes

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)
