"""The bytes of instances on a server, fetched when a source is opened.

Opening a few instances fetches them one by one; opening more of a series fetches it whole, in one answer, through a
store of bounded size, since a hundred requests take several times as long as one.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from hounsfield.client import Client
from hounsfield.dicom.decided_texts import AS_DECLARED, Decision
from hounsfield.dicomweb.dicom_json import Model, to_dataset
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.language import say
from hounsfield.locations.servers import client_of
from hounsfield.locations.uids import sop_instance_uid

if TYPE_CHECKING:
    from pydicom import Dataset

SINGLY = 3
"""Instances of a series that are fetched one by one before the rest is fetched at once."""

HELD_BYTES = 256 * 1024**2
"""Bytes that a series that is fetched whole may hold in memory for openers yet to come."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    """One instance on a server, of which nothing is known but its UIDs; `open()` fetches it."""

    resource: Resource
    fetch: SeriesFetch = field(repr=False)

    @property
    def name(self) -> str:
        return self.resource.url

    @property
    def charset(self) -> str:
        """The set that the user named for texts that this server gives in another than they declare."""
        return self.fetch.charset

    def open(self) -> BinaryIO:
        return io.BytesIO(self.fetch.content(self.resource.instance or ""))


@dataclass(frozen=True, slots=True)
class DicomwebSource(StoredSource):
    """One instance on a server with its header; `metadata()` costs nothing more.

    `decided`: the set that the texts of `model` were in.
    """

    model: Model = field(repr=False)
    decided: Decision = AS_DECLARED

    def metadata(self, tags: Collection[int] | None = None) -> Dataset:
        """The header, or `tags` of it, without the elements that the server holds back as bulk data."""
        if tags is None:
            return to_dataset(self.model)
        wanted = (f"{tag:08X}" for tag in tags)
        return to_dataset({tag: self.model[tag] for tag in wanted if tag in self.model})


class SeriesFetch:
    """The bytes of a series' instances: one by one at first, then all in one answer, each handed out once.

    The answer is read by a thread of its own. When what nobody has asked for yet fills `HELD_BYTES`, it pauses and
    openers of other instances fetch theirs singly, so that no order of opening can stop it for good.
    """

    def __init__(self, client: Client, series: Resource, count: int, charset: str = "") -> None:
        self.charset = charset
        self._client = client
        self._series = series
        self._count = count
        self._ready: dict[str, bytes] = {}
        self._held = 0
        self._opened: set[str] = set()
        self._arrived: set[str] = set()
        self._served: set[str] = set()
        self._state = "singly"
        self._changed = threading.Condition()

    def __reduce__(self) -> tuple[object, ...]:
        # A worker elsewhere asks the server itself, by that machine's settings: credentials do not travel.
        return _fetch_elsewhere, (self._series, self._count, self.charset)

    def content(self, uid: str) -> bytes:
        """The bytes of one instance; `DicomwebError` if it cannot be had or is another one."""
        with self._changed:
            self._opened.add(uid)
            if self._state == "singly" and len(self._opened) > SINGLY and self._count > SINGLY + 1:
                self._state = "running"
                threading.Thread(target=self._run, name="hounsfield series", daemon=True).start()
            while True:
                if uid in self._ready:
                    content = self._ready.pop(uid)
                    self._held -= len(content)
                    self._served.add(uid)
                    self._changed.notify_all()
                    return content
                if self._state != "running" or uid in self._arrived:
                    break
                self._changed.wait()
            self._served.add(uid)
        return self._single(uid)

    def _single(self, uid: str) -> bytes:
        resource = self._series.at(instance=uid)
        content = self._client.retrieve_instance(resource.study or "", resource.series or "", uid).content
        found = sop_instance_uid(content)
        if found != uid:
            other = "no DICOM" if found is None else f"another instance, {found},"
            raise DicomwebError(say("{other} came", other=other), expected=uid, where=resource.url)
        return content

    def _run(self) -> None:
        """Read the whole series, pausing while too much is held. A failure only means that openers go singly."""
        try:
            for part in self._client.iter_parts(self._series):
                content = part.read().content
                if not self._put(sop_instance_uid(content) or "", content):
                    return
        except HounsfieldError:
            pass
        finally:
            with self._changed:
                self._state = "over"
                self._changed.notify_all()

    def _put(self, uid: str, content: bytes) -> bool:
        with self._changed:
            self._arrived.add(uid)
            if uid in self._served:
                return True
            while self._held and self._held + len(content) > HELD_BYTES:
                self._state = "paused"
                self._changed.notify_all()
                if not self._changed.wait(timeout=60):
                    # Nobody wants the rest.
                    return False
            self._state = "running"
            self._ready[uid] = content
            self._held += len(content)
            self._changed.notify_all()
            return True


def _fetch_elsewhere(series: Resource, count: int, charset: str = "") -> SeriesFetch:
    return SeriesFetch(client_of(series.url), series, count, charset)
