"""`DeidentifiedLibrary`: a library seen through `deidentify`. Whatever is asked of it is made of de-identified files.

Its index holds de-identified headers alone, and its sources give de-identified bytes: searches, metadata, frames,
pictures and volumes are made of those, and none of them can tell more. What `deidentify` leaves out is not there. UIDs
are the new ones everywhere; the originals are known to this object alone.
"""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import BytesSource, Source
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.index import Entry, Index, Page, Record, record_of
from hounsfield.server.archive.library import Library
from hounsfield.verbs.deidentify import Profile, Pseudonyms, deidentify_object

KEPT_BYTES = 256 << 20
"""Bytes of de-identified files that are kept, so that a series is not made anew for each of its slices."""

_BATCH = 100

log = logging.getLogger("hounsfield.server")


class DeidentifiedLibrary:
    """`library` by `profile`; what comes to it later appears, what goes disappears. To be closed."""

    def __init__(self, library: Library, profile: Profile, pseudonyms: Pseudonyms) -> None:
        """Make every object anonymous once, for the index. Raises `LocationError` where the library cannot be read."""
        self._library, self._profile, self._pseudonyms = library, profile, pseudonyms
        self._folder = ScratchFolder()
        self._index = Index(f"sqlite:///{self._folder.path / 'index.sqlite'}")
        self._index.prepare()
        self._originals: dict[str, Entry] = {}
        self._keys: dict[tuple[str, int], str] = {}
        self._version: tuple[int, int, int] | None = None
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._updating, self._keeping = threading.Lock(), threading.Lock()
        self.left_out = 0
        self._update()

    @property
    def name(self) -> str:
        return "de-identified"

    def close(self) -> None:
        self._index.close()
        self._folder.cleanup()

    def search(self, level: Level, scope: Resource, query: Query, *, limit: int) -> Page:
        self._update()
        return self._index.search(level, scope, query, limit=limit)

    def entries(self, scope: Resource) -> list[Entry]:
        self._update()
        return self._index.entries(scope)

    def headers(self, scope: Resource) -> Iterator[tuple[Entry, bytes]]:
        self._update()
        return self._index.headers(scope)

    def version(self, scope: Resource) -> tuple[int, int, int]:
        self._update()
        return self._index.version(scope)

    def source(self, entry: Entry) -> Source:
        if entry.key not in self._originals:
            raise LocationError("the instance no longer exists", status=404)
        return _Source(self, entry.key)

    def content(self, key: str) -> bytes:
        """The de-identified file with this key. Raises `LocationError` that says nothing of the original."""
        with self._keeping:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        original = self._originals.get(key)
        made = None
        try:
            if original is not None:
                made = deidentify_object(self._library.source(original), self._profile, self._pseudonyms)
        except HounsfieldError as error:
            # Its words may quote the original.
            raise LocationError("the instance cannot be read or de-identified", status=500) from error
        if made is None or made.reason:
            raise LocationError("the instance no longer exists", status=404)
        self._keep(key, made.content)
        return made.content

    def _keep(self, key: str, content: bytes) -> None:
        with self._keeping:
            if key not in self._kept:
                self._kept[key] = content
                self._kept_bytes += len(content)
            while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._kept_bytes -= len(gone)

    def _update(self) -> None:
        """Follow what changed in the library since the last time."""
        with self._updating:
            version = self._library.version(Resource(""))
            if version == self._version:
                return
            entries = {(each.path, each.changed): each for each in self._library.entries(Resource(""))}
            gone = [name for name in self._keys if name not in entries]
            keys = [self._keys.pop(name) for name in gone]
            self._index.forget_keys([key for key in keys if key])
            for key in keys:
                self._originals.pop(key, None)
            new = [(name, entry) for name, entry in entries.items() if name not in self._keys]
            for start in range(0, len(new), _BATCH):
                self._add(new[start : start + _BATCH])
            self.left_out = sum(not key for key in self._keys.values())
            self._version = version

    def _add(self, new: list[tuple[tuple[str, int], Entry]]) -> None:
        records: dict[str, Record] = {}
        for name, entry in new:
            record = self._record(entry)
            self._keys[name] = record.key if record is not None else ""
            if record is not None:
                records[record.key] = record
                self._originals[record.key] = entry
        self._index.add(list(records.values()))

    def _record(self, entry: Entry) -> Record | None:
        """The record of an object as it is shown; None for one that is left out."""
        try:
            made = deidentify_object(self._library.source(entry), self._profile, self._pseudonyms)
            if made.reason:
                return None
            key = f"{made.study}/{made.series}/{made.instance}.{entry.number}"
            record = record_of(
                read_header_text(BytesSource(key, made.content)), key=key, size=len(made.content)
            )
        except HounsfieldError as error:
            log.warning("an instance is left out, as it cannot be de-identified (%s)", type(error).__name__)
            return None
        self._keep(key, made.content)
        return record


@dataclass(frozen=True)
class _Source:
    """A de-identified file, made when it is opened."""

    library: DeidentifiedLibrary
    name: str

    def open(self) -> BinaryIO:
        return io.BytesIO(self.library.content(self.name))
