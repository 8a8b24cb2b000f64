"""A DIMSE peer, or a study, series or instance on it, as a location.

It searches by itself (`searching`), brings the instances of a series together (`transfers`), and takes instances where
it is a whole peer. Reading a source brings its series (`fetching`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from hounsfield.ct.instance.source import BytesSource, Skipped, Source
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DimseError
from hounsfield.locations.archives.names import natural
from hounsfield.locations.dimse.fetching import DimseSource, SeriesFiles
from hounsfield.locations.dimse.searching import DEPTHS, found_models
from hounsfield.locations.dimse.settings import Called, called
from hounsfield.locations.dimse.transfers import Retriever, store
from hounsfield.locations.dimse_address import DimseAddress
from hounsfield.locations.location import Delivered, Found, Level, ListedSeries
from hounsfield.outputs.results import Result
from hounsfield.outputs.scratch import ScratchFolder

_LISTED = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)


def open_dimse(text: str) -> DimseLocation:
    """The location at `dicom://AET@host:port/studies/…`, or on a named server (`ct:/studies/…`)."""
    found = called(text)
    kind = DimseArchive if found.address.study is None else DimseLocation
    spelling = "" if text.strip().lower().startswith("dicom://") else text.strip()
    return kind(found, spelling)


@dataclass(frozen=True, slots=True)
class DimseLocation:
    """Whatever `called.address` names; `spelling` is the user's, where it is a named server."""

    called: Called = field(repr=False)
    spelling: str = ""
    _retriever: Retriever = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_retriever", Retriever(self.called.peer))

    def __reduce__(self) -> tuple[object, ...]:
        # A worker elsewhere opens it by that machine's settings: secrets do not travel.
        return open_dimse, (self.name,)

    @property
    def name(self) -> str:
        return self.spelling or str(self.called.address)

    def sources(self) -> Iterator[Source | Skipped]:
        for series in self.series():
            try:
                uids = self.instances(series)
            except DimseError as error:
                if self.called.address.series is not None:
                    raise
                yield Skipped(series.address, error.found)
                continue
            wanted = uids if self.called.address.instance is not None else None
            files = SeriesFiles(partial(_fetch, self, series, wanted))
            for uid in uids:
                yield DimseSource(f"{series.address}/instances/{uid}", uid, files, self.called.charset)

    def search(self, level: Level, query: Query, *, warn: Callable[[str], None]) -> Iterator[Found]:
        depth = DEPTHS[level]
        for model in islice(found_models(self.called, depth, query, warn), query.limit):
            uids = [
                first(model, name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            ]
            yield Found(model, self._spelled(self.called.address.at(*uids[:depth])))

    def series(self) -> Iterator[ListedSeries]:
        """Every series, with what the peer says of it."""
        models = list(found_models(_whole_series(self.called), 2, Query(include=_LISTED)))
        found: dict[tuple[str, str], ListedSeries] = {}
        for model in models:
            study, series = first(model, "StudyInstanceUID"), first(model, "SeriesInstanceUID")
            words = (first(model, "SeriesNumber"), first(model, "SeriesDescription"))
            count = first(model, "NumberOfSeriesRelatedInstances")
            number = int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0
            address = self._spelled(self.called.address.at(study, series))
            found[study, series] = ListedSeries(
                study,
                series,
                1 if self.called.address.instance else number,
                " ".join(filter(None, words)),
                address,
            )
        yield from (found[key] for key in sorted(found, key=lambda key: (natural(key[0]), natural(key[1]))))

    def instances(self, series: ListedSeries) -> list[str]:
        return sorted(self._listed(series), key=natural)

    def retrieve(
        self,
        series: ListedSeries,
        instances: Collection[str] | None = None,
        *,
        folder: Path | None = None,
        transfer_syntax: str = "*",
    ) -> Iterator[Delivered | Skipped]:
        listed = self._listed(series)
        if self.called.address.instance is not None:
            instances = listed
        if folder is not None:
            yield from self._retriever.series(
                series.study, series.series, instances, listed, folder, transfer_syntax
            )
            return
        with ScratchFolder() as scratch:
            for each in self._retriever.series(
                series.study, series.series, instances, listed, scratch, transfer_syntax
            ):
                yield each if isinstance(each, Skipped) else self._in_memory(each)

    def _in_memory(self, each: Delivered) -> Delivered:
        assert each.path is not None
        content = each.path.read_bytes()
        each.path.unlink()
        address = self._spelled(self.called.address.at(each.study, each.series, each.instance))
        return replace(each, source=BytesSource(address, content), path=None)

    def _listed(self, series: ListedSeries) -> dict[str, str]:
        """The SOP classes of a series' instances by SOP Instance UID, "" where the peer does not say."""
        instance = self.called.address.instance
        at = self.called.address.at(series.study, series.series, instance)
        models = found_models(replace(self.called, address=at), 3, Query())
        return {first(each, "SOPInstanceUID"): first(each, "SOPClassUID") for each in models}

    def _spelled(self, address: DimseAddress) -> str:
        """An address as the user names the peer."""
        name, colon, _ = self.spelling.partition(":")
        return f"{name}:{address.path}" if colon else str(address)


@dataclass(frozen=True, slots=True)
class DimseArchive(DimseLocation):
    """A whole peer: instances are stored there too (C-STORE), and known by its searches if it has them."""

    batch_bytes: ClassVar[int] = 32 * 1024**2
    compares: ClassVar[bool] = False

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        return store(self.called.peer, instances)

    def address(self, study: str, series: str) -> str:
        return self._spelled(self.called.address.at(study, series))

    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        listed = ListedSeries(study, series, address=self.address(study, series))
        try:
            uids = self.instances(listed)
        except DimseError as error:
            if "unsupported" in error.data:
                return {}  # it stores and does not search: what it has is not known
            raise
        files = SeriesFiles(partial(_fetch, self, listed, None))
        return {
            uid: DimseSource(f"{listed.address}/instances/{uid}", uid, files, self.called.charset)
            for uid in uids
        }


def _whole_series(peer: Called) -> Called:
    return replace(peer, address=replace(peer.address, instance=None))


def _fetch(
    place: DimseLocation, series: ListedSeries, wanted: Collection[str] | None, folder: Path
) -> Iterator[Delivered | Skipped]:
    return place.retrieve(series, wanted, folder=folder)
