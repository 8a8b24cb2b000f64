"""A bucket, or a folder in one, as a location: `s3://bucket/folder`, `gs://…`, `az://…`, by obstore.

Objects are listed page by page and read by ranges, so that a header costs no whole object. Credentials, region and
endpoint come from the environment, as for outputs (`hounsfield.formats.buckets`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, ClassVar, cast

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.formats.buckets import obstore_of, open_store, size_of, telling
from hounsfield.locations.archives.names import sounds_like_archive, why_not_an_image
from hounsfield.locations.location import Delivered
from hounsfield.outputs.results import Result, Status

_BUFFER = 64 * 1024
"""Bytes that one request brings at least: most headers."""


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object in a bucket: `place` is the address of the location, `key` the name below it, `checksum` its ETag."""

    place: str
    key: str
    size: int
    checksum: str = ""

    @property
    def name(self) -> str:
        return f"{self.place}/{self.key}"

    def open(self) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Raw(self), _BUFFER))


class _Raw(io.RawIOBase):
    """An object read by ranges; all of what is left by one request."""

    def __init__(self, source: ObjectSource) -> None:
        self.source = source
        self.name = source.name  # pydicom asks a stream for it
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._range(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def readall(self) -> bytes:
        return self._range(max(0, self.source.size - self._at))

    def _range(self, length: int) -> bytes:
        length = min(length, self.source.size - self._at)
        if length <= 0:
            return b""
        with telling(self.source.name):
            found = obstore_of().get_range(
                _opened(self.source.place), self.source.key, start=self._at, length=length
            )
        content = bytes(found)
        if not content:
            raise LocationError("an object ends before its size", where=self.source.name)
        self._at += len(content)
        return content


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """All objects below an address; archives among them are left out, since they are read by jumps all over.

    The address of one object is a location too. What is written becomes `study/series/instance.dcm`; an object
    appears whole when its upload ends.
    """

    name: str
    batch_bytes: ClassVar[int] = 0
    compares: ClassVar[bool] = False

    def sources(self) -> Iterator[Source | Skipped]:
        is_empty = True
        for found in objects(self.name):
            is_empty = False
            reason = _why_not(found.key.rpartition("/")[2])
            yield found if reason is None else Skipped(found.name, reason)
        if is_empty and (one := _object_at(self.name)) is not None:
            yield one

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        return (self._uploaded(each) for each in instances)

    def _uploaded(self, each: Delivered) -> Result:
        key = f"{each.study}/{each.series}/{each.instance}.dcm"
        for uid in (each.study, each.series, each.instance):
            if not is_uid(uid):
                return Result(each.name, Status.REFUSED, f"{uid[:64]!r} is no UID")
        try:
            with each.source.open() as stream:
                content = stream.read()
            put_object(self.name, key, content)
        except HounsfieldError as error:
            return Result(each.name, Status.FAILED, str(error))
        return Result(each.name, Status.DONE, output=f"{self.name}/{key}", bytes=len(content))

    def address(self, study: str, series: str) -> str:
        return f"{self.name}/{study}/{series}"

    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        found = (
            (source.key.rpartition("/")[2], source) for source in objects(self.name, f"{study}/{series}")
        )
        return {name.removesuffix(".dcm"): source for name, source in found if name.endswith(".dcm")}


def objects(place: str, prefix: str | None = None) -> Iterator[ObjectSource]:
    """Every object below an address, or those below a folder there, as a bucket lists them."""
    with telling(place):
        for page in obstore_of().list(_opened(place), prefix):
            for found in page:
                yield ObjectSource(
                    place, str(found["path"]), int(found["size"]), str(found.get("e_tag") or "")
                )


def _object_at(address: str) -> ObjectSource | None:
    """The one object whose address this is, if there is one."""
    if address.count("/") < 3:  # scheme://bucket
        return None
    size = size_of(address)
    folder, _, key = address.rpartition("/")
    return None if size is None else ObjectSource(folder, key, size)


def put_object(place: str, key: str, content: bytes) -> None:
    """Make or replace an object below an address; it appears whole. Raises `LocationError`."""
    with telling(f"{place}/{key}"):
        obstore_of().put(_opened(place), key, content)


def _why_not(name: str) -> str | None:
    reason = why_not_an_image(name)
    if reason is None and sounds_like_archive(name):
        return "an archive in a bucket; download it first"
    return reason


@lru_cache(maxsize=8)
def _opened(address: str) -> Any:
    return open_store(address)


def open_bucket(text: str) -> BucketLocation:
    """The location that an address names. Raises `LocationError`, `UnsupportedError` without obstore."""
    address = text.rstrip("/")
    if address.endswith(":"):
        raise LocationError("names no bucket", where=text, remedy="give one, such as s3://bucket/folder")
    _opened(address)
    return BucketLocation(address)
