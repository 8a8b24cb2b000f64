"""A DICOMweb server, or a study, series or instance on it, as a location.

Headers come from metadata (PS3.18 10.4.1.1.5), a request for each series; pixels when a source is opened
(`fetching`). It searches by itself (`searching`) and brings the instances of a series in one answer (`transfers`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from hounsfield.client import Client
from hounsfield.client.by_uri import NOT_RETRIEVED
from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.misread import reread
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.locations.archives.names import natural
from hounsfield.locations.dicomweb.descriptions import describes_pixels
from hounsfield.locations.dicomweb.fetching import DicomwebSource, SeriesFetch, StoredSource
from hounsfield.locations.dicomweb.searching import Place, search_server
from hounsfield.locations.dicomweb.transfers import retrieved, store
from hounsfield.locations.location import Delivered, Found, Level, ListedSeries
from hounsfield.locations.servers import find_server, server_of
from hounsfield.outputs.results import Result

FEW = 4
"""A series of which at most one in this many instances is wanted gives them one by one, otherwise whole."""


def open_dicomweb(text: str) -> DicomwebLocation:
    """The location at a web address, or on a named server: `https://host/dicom-web/studies/1.2`, `pacs:/studies/1.2`.

    A query (`…/studies?PatientID=7`) narrows it. An address below a named server's takes that server's settings. A
    whole server and a study, not narrowed, are written to as well.
    """
    address, _, query = text.strip().partition("?")
    asked = Query.parse(query)
    if not address.lower().startswith(("http://", "https://")):
        name, _, path = address.partition(":")
        server = find_server(name)
        client = server.client()
        resource = Resource.parse(f"{client.url}/{path.strip('/')}")
        return _location(client, resource, asked, text, server.charset)
    known = server_of(address)
    client = Client(address) if known is None else known.client()
    charset = "" if known is None else known.charset
    return _location(client, client.resource_of(address), asked, charset=charset)


def _location(
    client: Client, resource: Resource, query: Query, spelling: str = "", charset: str = ""
) -> DicomwebLocation:
    takes = resource.level in {"service", "study"} and not query.matches
    return (DicomwebArchive if takes else DicomwebLocation)(client, resource, query, spelling, charset)


@dataclass(frozen=True, slots=True)
class DicomwebLocation:
    """Whatever `resource` names, narrowed by `query` where it is a server or a study; `spelling` is the user's.

    `charset`: the set that the user named for texts that this server gives in another than they declare.
    """

    client: Client = field(repr=False)
    resource: Resource
    query: Query = field(default_factory=Query)
    spelling: str = ""
    charset: str = ""

    def __reduce__(self) -> tuple[object, ...]:
        # A worker elsewhere opens it by that machine's settings: credentials do not travel.
        return _opened_elsewhere, (type(self), self.spelling or self.resource.url, self.resource, self.query)

    @property
    def name(self) -> str:
        return self.spelling or self.resource.url

    def sources(self) -> Iterator[Source | Skipped]:
        for series in self.series():
            try:
                yield from self._of_series(self.client.resource(series.study, series.series))
            except DicomwebError as error:
                if self.resource.series is not None:
                    raise
                yield Skipped(series.address, error.found)

    def search(self, level: Level, query: Query, *, warn: Callable[[str], None]) -> Iterator[Found]:
        place = Place(self.client, self.resource, self.spelling, self.charset)
        return search_server(place, self.query, level, query, warn)

    def series(self) -> Iterator[ListedSeries]:
        """Every series, each with what the server's search says of it; an address of one is not searched for."""
        plain = self.resource.plain
        if plain.study is not None and plain.series is not None:
            url = self.client.resource(plain.study, plain.series).url
            yield ListedSeries(plain.study, plain.series, address=url)
            return
        for study in self._studies():
            found = self.client.search_for_series(study, fields="NumberOfSeriesRelatedInstances")
            models = {first(model, "SeriesInstanceUID"): model for model in found}
            for uid in sorted(models, key=natural):
                words = (first(models[uid], "SeriesNumber"), first(models[uid], "SeriesDescription"))
                name, url = " ".join(filter(None, words)), self.client.resource(study, uid).url
                yield ListedSeries(study, uid, _count(models[uid]), name, url)

    def instances(self, series: ListedSeries) -> list[str]:
        if self.resource.instance is not None:
            return [self.resource.instance]
        found = self.client.search_for_instances(series.study, series.series)
        return [uid for model in found if (uid := first(model, "SOPInstanceUID"))]

    def retrieve(
        self,
        series: ListedSeries,
        instances: Collection[str] | None = None,
        *,
        folder: Path | None = None,
        transfer_syntax: str = "*",
    ) -> Iterator[Delivered | Skipped]:
        for resource in self._requests(series, instances):
            for each in retrieved(self.client, resource, folder, transfer_syntax):
                if isinstance(each, Skipped) or instances is None or each.instance in instances:
                    yield each
                elif each.path is not None:
                    each.path.unlink()

    def _requests(self, series: ListedSeries, instances: Collection[str] | None) -> Iterator[Resource]:
        whole = self.client.resource(series.study, series.series)
        if self.resource.instance is not None:
            yield whole.at(instance=self.resource.instance)
        elif instances is None or (len(instances) > 1 and len(instances) * FEW > len(self.instances(series))):
            yield whole
        else:
            yield from (whole.at(instance=uid) for uid in sorted(instances))

    def _studies(self) -> list[str]:
        if self.resource.study is not None:
            return [self.resource.study]
        # What a query in the address narrows, the server may not have.
        found = self.search("study", Query(), warn=lambda _: None)
        uids = {first(each.model, "StudyInstanceUID") for each in found}
        return sorted(uids - {""}, key=natural)

    def _of_series(self, series: Resource) -> Iterator[Source | Skipped]:
        asked = self.resource.plain if self.resource.instance is not None else series
        try:
            models = self.client.retrieve_metadata(asked)
        except DicomwebError as error:
            uids = self._listed(asked) if error.data.get("status") in NOT_RETRIEVED else []
            if not uids:
                raise
            yield from self._stored(series, uids)
            return
        fetch = SeriesFetch(self.client, series, len(models), self.charset)
        known: dict[str, Model] = {}
        for model in models:
            known.setdefault(first(model, "SOPInstanceUID"), model)
        if not describes_pixels(known, lambda uid: StoredSource(series.at(instance=uid), fetch)):
            yield from self._stored(series, known)
            return
        for uid in sorted(known, key=natural):
            try:
                model, decided = reread(known[uid], self.charset or None)
                yield DicomwebSource(series.at(instance=uid), fetch, model, decided)
            except DicomwebError as error:
                yield Skipped(say("{url}/instances/{uid}", url=series.url, uid=uid[:64]), error.found)

    def _listed(self, asked: Resource) -> list[str]:
        """The instances of a series by a search, where the server gives no metadata."""
        if asked.instance is not None:
            return [asked.instance]
        try:
            found = self.client.search_for_instances(asked.study, asked.series)
        except DicomwebError:
            return []
        return [uid for model in found if (uid := first(model, "SOPInstanceUID"))]

    def _stored(self, series: Resource, uids: Collection[str]) -> Iterator[Source]:
        """Instances whose headers are read from their bytes."""
        fetch = SeriesFetch(self.client, series, len(uids), self.charset)
        yield from (StoredSource(series.at(instance=uid), fetch) for uid in sorted(uids, key=natural))


@dataclass(frozen=True, slots=True)
class DicomwebArchive(DicomwebLocation):
    """A whole server or a study on one: instances are stored there too (PS3.18 10.5)."""

    batch_bytes: ClassVar[int] = 32 * 1024**2
    compares: ClassVar[bool] = False

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        return store(self.client, self.resource.study, instances)

    def address(self, study: str, series: str) -> str:
        return self.client.resource(study, series).url

    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        try:
            found = self.client.search_for_instances(study, series)
        except DicomwebError as error:
            if error.data.get("status") == 404:
                return {}
            raise
        resource = self.client.resource(study, series)
        uids = {uid for model in found if (uid := first(model, "SOPInstanceUID"))}
        fetch = SeriesFetch(self.client, resource, len(uids), self.charset)
        return {uid: StoredSource(resource.at(instance=uid), fetch) for uid in uids}


def _opened_elsewhere(
    kind: type[DicomwebLocation], text: str, resource: Resource, query: Query
) -> DicomwebLocation:
    opened = open_dicomweb(text)
    return replace(kind(opened.client, resource, query), spelling=opened.spelling, charset=opened.charset)


def _count(model: Model) -> int:
    text = first(model, "NumberOfSeriesRelatedInstances")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
