"""A DICOMweb server, or a study, series or instance on it, as a location.

Headers come from metadata (PS3.18 10.4.1.1.5), a request for each series; pixels when a source is opened. Opening
a few instances fetches them one by one; opening more of a series fetches it whole, in one answer, through a store
of bounded size (`_SeriesFetch`), since a hundred requests take several times as long as one.
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from hounsfield.client import Client
from hounsfield.ct.instance.reading import read_header
from hounsfield.ct.instance.source import BytesSource, Skipped, Source
from hounsfield.dicom.fast_walk import scan_elements
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, to_dataset
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.locations.archives.names import natural
from hounsfield.locations.location import Location
from hounsfield.locations.servers import find_server, read_servers

if TYPE_CHECKING:
    from pydicom import Dataset

SINGLY = 3
"""Instances of a series that are fetched one by one before the rest is fetched at once."""

HELD_BYTES = 256 * 1024**2
"""What a series that is fetched whole may hold in memory for openers yet to come."""

_SOP_INSTANCE = 0x00080018


def open_dicomweb(text: str) -> DicomwebLocation:
    """The location at a web address, or on a named server: `https://host/dicom-web/studies/1.2`, `pacs:/studies/1.2`.

    A query (`…/studies?PatientID=7`) narrows it. An address below a named server's takes that server's settings.
    """
    address, _, query = text.strip().partition("?")
    asked = Query.parse(query)
    if not address.lower().startswith(("http://", "https://")):
        name, _, path = address.partition(":")
        client = find_server(name).client()
        resource = Resource.parse(f"{client.url}/{path.strip('/')}")
        return DicomwebLocation(client, resource, asked, text)
    for server in read_servers().values():
        base = server.url.rstrip("/")
        if address == base or address.startswith(base + "/"):
            return DicomwebLocation(server.client(), Resource.parse(address), asked)
    client = Client(address)
    return DicomwebLocation(client, client.resource_of(address), asked)


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series on a server: how many instances it says there are, 0 where it does not; number and description."""

    resource: Resource
    count: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class DicomwebLocation:
    """Whatever `resource` names, narrowed by `query` where it is a server or a study."""

    client: Client = field(repr=False)
    resource: Resource
    query: Query = field(default_factory=Query)
    told: str = ""

    @property
    def name(self) -> str:
        return self.told or self.resource.url

    def sources(self) -> Iterator[Source | Skipped]:
        for series in self.series():
            try:
                yield from self._of_series(series)
            except DicomwebError as error:
                if self.resource.series is not None:
                    raise
                yield Skipped(series.url, error.found)

    def for_pixels(self) -> Location:
        """This, or, where it is one whole series, the same with its pixels coming along in one answer."""
        if self.resource.instance is not None:
            return self
        found = list(itertools.islice(self.series(), 2))
        return SeriesLocation(self.client, found[0], self.name) if len(found) == 1 else self

    def series(self) -> Iterator[Resource]:
        """The series in this location, in the natural order of study and series UIDs."""
        return (found.resource for found in self.found_series())

    def found_series(self) -> Iterator[FoundSeries]:
        """The same, each with what the server's search says of it; an address of one series is not searched for."""
        plain = self.resource.plain
        if plain.series is not None:
            yield FoundSeries(plain if plain.instance is None else plain.parent or plain)
            return
        for study in self._studies():
            found = self.client.search_for_series(study, fields="NumberOfSeriesRelatedInstances")
            models = {first(model, "SeriesInstanceUID"): model for model in found}
            for uid in sorted(models, key=natural):
                words = (first(models[uid], "SeriesNumber"), first(models[uid], "SeriesDescription"))
                yield FoundSeries(
                    self.client.resource(study, uid), _count(models[uid]), " ".join(filter(None, words))
                )

    def _studies(self) -> list[str]:
        if self.resource.study is not None:
            return [self.resource.study]
        pages = self.client.pages(self.client.service.all("studies"), self.query)
        uids = {first(model, "StudyInstanceUID") for page in pages for model in page.models}
        return sorted(uids - {""}, key=natural)

    def _of_series(self, series: Resource) -> Iterator[Source | Skipped]:
        asked = self.resource.plain if self.resource.instance is not None else series
        models = self.client.retrieve_metadata(asked)
        fetch = _SeriesFetch(self.client, series, len(models))
        known: dict[str, Model] = {}
        for model in models:
            known.setdefault(first(model, "SOPInstanceUID"), model)
        for uid in sorted(known, key=natural):
            try:
                yield DicomwebSource(series.at(instance=uid), known[uid], fetch)
            except DicomwebError as error:
                yield Skipped(f"{series.url}/instances/{uid[:64]}", error.found)


@dataclass(frozen=True, slots=True)
class SeriesLocation:
    """A series whose instances are held in memory whole, for who wants every pixel of it: one request, no metadata."""

    client: Client = field(repr=False)
    resource: Resource
    name: str

    def sources(self) -> Iterator[Source | Skipped]:
        retrieved = self.client.retrieve_series(self.resource.study or "", self.resource.series or "")
        found = [(sop_instance_uid(each.content) or each.name, each.content) for each in retrieved]
        for uid, content in sorted(found, key=lambda each: natural(each[0])):
            yield BytesSource(f"{self.resource.url}/instances/{uid}", content)


@dataclass(frozen=True, slots=True)
class DicomwebSource:
    """One instance on a server; `metadata()` costs nothing more, `open()` fetches it."""

    resource: Resource
    model: Model = field(repr=False)
    fetch: _SeriesFetch = field(repr=False)

    @property
    def name(self) -> str:
        return self.resource.url

    def metadata(self, tags: Collection[int] | None = None) -> Dataset:
        """The header, or `tags` of it, without the elements that the server holds back as bulk data."""
        if tags is None:
            return to_dataset(self.model)
        wanted = (f"{tag:08X}" for tag in tags)
        return to_dataset({tag: self.model[tag] for tag in wanted if tag in self.model})

    def open(self) -> BinaryIO:
        return io.BytesIO(self.fetch.content(self.resource.instance or ""))


class _SeriesFetch:
    """The bytes of a series' instances: one by one at first, then all in one answer, each handed out once.

    The answer is read by a thread of its own. When what nobody has asked for yet fills `HELD_BYTES`, it pauses and
    openers of other instances fetch theirs singly, so that no order of opening can stop it for good.
    """

    def __init__(self, client: Client, series: Resource, count: int) -> None:
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
        return _fetch_elsewhere, (self._series, self._count)

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
            raise DicomwebError(f"{other} came", expected=uid, where=resource.url)
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


def _fetch_elsewhere(series: Resource, count: int) -> _SeriesFetch:
    return _SeriesFetch(open_dicomweb(series.url).client, series, count)


def _count(model: Model) -> int:
    text = first(model, "NumberOfSeriesRelatedInstances")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def sop_instance_uid(content: bytes) -> str | None:
    """The SOP Instance UID in the bytes of an instance; None where they are none."""
    elements = scan_elements(io.BytesIO(content), {_SOP_INSTANCE: b"UI"})
    if elements is not None and (value := elements.values.get(_SOP_INSTANCE)):
        return value.rstrip(b"\0 ").decode("latin-1")
    try:
        return read_header(BytesSource("an instance", content)).text("SOPInstanceUID") or None
    except HounsfieldError:
        return None
