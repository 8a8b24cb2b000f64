"""A series in memory, whole: for who wants every pixel of it, one request and no metadata."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.locations.archives.names import natural
from hounsfield.locations.location import ListedSeries, Location, SeriesSource


@dataclass(frozen=True, slots=True)
class RetrievedSeries:
    """The instances of `series` as `place` brings them together, in the natural order of their UIDs."""

    place: SeriesSource
    series: ListedSeries

    @property
    def name(self) -> str:
        return self.place.name

    def sources(self) -> Iterator[Source | Skipped]:
        found = list(self.place.retrieve(self.series))
        yield from (each for each in found if isinstance(each, Skipped))
        delivered = [each for each in found if not isinstance(each, Skipped)]
        yield from (each.source for each in sorted(delivered, key=lambda each: natural(each.instance)))


def with_pixels(place: Location) -> Location:
    """The same place; where it is one whole series that comes in one piece, with its pixels coming along."""
    if not isinstance(place, SeriesSource):
        return place
    found = list(itertools.islice(place.series(), 2))
    return RetrievedSeries(place, found[0]) if len(found) == 1 else place
