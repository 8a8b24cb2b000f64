"""`ReadOnlyLibrary`: any location served read-only where it lies: a folder, an archive file, a DICOMweb server.

Headers are read once into an index that lives as long as this process; no pixel is copied anywhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import FileSource, Skipped, Source
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.locations import Location
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.index import Entry, Index, Page, Record, record_of

_BATCH = 200


class ReadOnlyLibrary:
    """A library over `location`. `skipped` lists what is no instance, with reasons, and `others` those of them that can
    be opened, by name. To be closed."""

    def __init__(self, location: Location) -> None:
        """Reads every header. Raises `LocationError` when the location cannot be read at all."""
        self._location = location
        self._folder = ScratchFolder()
        self._index = Index(f"sqlite:///{self._folder.path / 'index.sqlite'}")
        self._sources: dict[str, Source] = {}
        self.skipped: list[Skipped] = []
        self.others: dict[str, Source] = {}
        self._index.prepare()
        self._read()

    @property
    def name(self) -> str:
        return self._location.name

    def close(self) -> None:
        self._index.close()
        self._folder.cleanup()

    def _read(self) -> None:
        sources = self._named()
        with ThreadPoolExecutor(4) as pool:
            while batch := list(islice(sources, _BATCH)):
                found = list(pool.map(self._record, batch))
                self.skipped += [each for each in found if isinstance(each, Skipped)]
                records = [each for each in found if isinstance(each, Record)]
                self._sources |= {
                    source.name: source for source, each in zip(batch, found, strict=True) if each in records
                }
                self._index.add(records)
                self.others |= {
                    source.name: source
                    for source, each in zip(batch, found, strict=True)
                    if isinstance(each, Skipped)
                }

    def _named(self) -> Iterator[Source]:
        for source in self._location.sources():
            if isinstance(source, Skipped):
                self.skipped.append(source)
            else:
                yield source

    def _record(self, source: Source) -> Record | Skipped:
        try:
            return record_of(read_header_text(source), key=source.name, size=_size(source))
        except HounsfieldError as error:
            return Skipped(source.name, error.found)

    def search(self, level: Level, scope: Resource, query: Query, *, limit: int) -> Page:
        return self._index.search(level, scope, query, limit=limit)

    def entries(self, scope: Resource) -> list[Entry]:
        return self._index.entries(scope)

    def headers(self, scope: Resource) -> Iterator[tuple[Entry, bytes]]:
        return self._index.headers(scope)

    def version(self, scope: Resource) -> tuple[int, int, int]:
        return self._index.version(scope)

    def source(self, entry: Entry) -> Source:
        try:
            return self._sources[entry.key]
        except KeyError as error:
            raise LocationError("the instance no longer exists", where=entry.key) from error


def _size(source: Source) -> int | None:
    """Bytes of a file; what lies elsewhere tells its size when it is read."""
    if isinstance(source, FileSource):
        with contextlib.suppress(OSError):
            return source.path.stat().st_size
    return None
