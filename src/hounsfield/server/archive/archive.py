"""`Archive`: a store and its index, kept in step.

Order of a write, always: bytes on the disk, synced, at a place that was free, folder synced; then one index
transaction, by which an instance is there, or another version of it takes the place of the one before; then whoever
waits gets its response. A store that does not remember by itself what was on its way has it noted in the index
before. Order of a removal: the index forgets and notes the keys in one transaction; then the bytes go, with the notes.
Whatever dies in between, `repair` finishes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import FileSource, Skipped, Source
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DamagedError, DicomwebError, HounsfieldError, MalformedError, NotDicomError
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.digests import Digests
from hounsfield.server.archive.index import Entry, Index, Page, Record, record_of
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.archive.index.rebuilding import replace_damaged
from hounsfield.server.archive.integrity import DAMAGED, CheckedSource, Digest, Seal, damaged
from hounsfield.server.archive.publishing import Publication, Taken
from hounsfield.server.archive.reindexing import add_missing, fill, recorded, reindex
from hounsfield.server.archive.store import Arrival, Store
from hounsfield.server.archive.store.indexed_files import UnlinkedFile
from hounsfield.server.archive.store.versions import earlier, key_of, parts_of

REMOVED_TOGETHER = 100
"""Instances that are removed while nobody else may write to the index."""

STALE_SECONDS = 3600.0
"""Age at which what was on its way counts as left behind, where it may be that somebody still works on it."""

SUPERSEDED_SECONDS = 600.0
"""Time that a replaced version stays, for requests that are still reading it."""

IN_ARCHIVE = "what an archive file holds cannot be indexed in place; unpack it, or store it"

log = logging.getLogger("hounsfield.server")


class Archive:
    """Instances in `store`, searchable by `index`. `replace`: other bytes under a known UID replace the old ones."""

    def __init__(self, store: Store, index: Index, *, replace: bool = False) -> None:
        self.store, self.index, self.replace = store, index, replace
        self._recovering = threading.Lock()
        self._lock = threading.Lock()
        self._late: list[tuple[Record, Arrival]] = []
        self.rebuilt: Callable[[], object] = lambda: None
        """Called when the index was made anew: what else than the store belongs into it?"""
        self.on_damage: Callable[[], object] = lambda: None
        """Called when bytes were met that are not those that were stored."""
        self.digests = Digests(index)

    @property
    def name(self) -> str:
        return self.store.name

    def close(self) -> None:
        self.digests.flush()
        self.index.close()

    def search(self, level: Level, scope: Resource, query: Query, *, limit: int) -> Page:
        return self.index.search(level, scope, query, limit=limit)

    def entries(self, scope: Resource) -> list[Entry]:
        return self.index.entries(scope)

    def headers(self, scope: Resource) -> Iterator[tuple[Entry, bytes]]:
        return self.index.headers(scope)

    def version(self, scope: Resource) -> tuple[int, int, int]:
        return self.index.version(scope)

    def source(self, entry: Entry) -> Source:
        """The bytes of an instance, checked as they are read. Those of a file that is another's are its affair."""
        source = self.store.source(entry.key)
        if not self.store.owns(entry.key):
            return source.as_of(entry.size, entry.changed) if isinstance(source, UnlinkedFile) else source
        known = entry.blocks if entry.blocks is not None else lambda found: self.digests.learn(entry, found)
        return CheckedSource(source, entry.instance, entry.size, known, self.damaged)

    def damaged(self, error: DamagedError) -> None:
        """Log and count damage that was found."""
        log.error("%s; %s", error.found, error.remedy)
        self.on_damage()

    def take_in(self, arrived: Sequence[tuple[Record, Arrival]]) -> list[Taken]:
        """Publish synced arrivals and index them; when this returns, what is not "other" is safe.

        Raises `LocationError` or `IndexUnavailable`; then nothing may be acknowledged, and nothing is torn.
        """
        # Files first, then rows: a crash between leaves files without rows, which the next start indexes. A row without
        # its file would be an instance that is listed and cannot be read.
        arrived = [(_with_digest(record, arrival.digest), arrival) for record, arrival in arrived]
        publication = Publication(self.store, self.index, replaces=self.replace)
        taken = publication.publish(arrived)
        kept = [
            (each.record, arrival)
            for each, (_, arrival) in zip(taken, arrived, strict=True)
            if each.outcome != "other"
        ]
        # Names are durable only once their folders are synced, and no row may name what a power cut can take away.
        self.store.settle([record.key for record, _ in kept])
        with self._lock:
            late, self._late = self._late, []
        try:
            beaten = self.index.add([record for record, _ in (*late, *kept)], expected=publication.expected)
        except HounsfieldError:
            # They lie at their place already; whoever stores next brings the index up to date with them.
            with self._lock:
                self._late += [*late, *kept]
            raise
        taken = [
            self._standing(each, arrival, beaten) for each, (_, arrival) in zip(taken, arrived, strict=True)
        ]
        self._keep_present(taken, arrived)
        # Marks of what is on its way go last: until the index has the rows, they tell the next start where to look.
        for _, arrival in (*late, *kept):
            arrival.confirm()
        for _, arrival in arrived:
            arrival.discard()
        if beaten:
            self._retire(SUPERSEDED_SECONDS)
        return taken

    def _standing(self, taken: Taken, arrival: Arrival, beaten: Mapping[str, str]) -> Taken:
        """Return the final outcome, once the index has said which version of the instance is current."""
        key = beaten.get(taken.record.key)
        if key is None or self.replace:
            return taken
        return Taken(replace(taken.record, key=key), "present" if arrival.equals(key) else "other")

    def _keep_present(self, taken: Sequence[Taken], arrived: Sequence[tuple[Record, Arrival]]) -> None:
        """Publish once more what was there already, and was removed before the index heard that it is to stay."""
        gone = [
            (each.record.key, arrival)
            for each, (_, arrival) in zip(taken, arrived, strict=True)
            if each.outcome in {"present", "replaced"} and self.store.size(each.record.key) is None
        ]
        for key, arrival in gone:
            arrival.publish(key)
        if gone:
            self.store.settle([key for key, _ in gone])

    def remove(self, scope: Resource) -> int:
        """Remove every instance at or below `scope`; how many there were.

        Raises `DicomwebError` 409 where one lies in a folder that is indexed in place: that is its owner's.
        """
        entries = self.index.entries(scope)
        if not all(self.store.owns(entry.key) for entry in entries):
            raise DicomwebError(
                "it lies in a watched or imported folder, which is read-only here",
                remedy="remove it in that folder; the index follows",
                status=409,
            )
        # Other versions go, too: those before it, and one that nobody heard of.
        others = [key for entry in entries for key in earlier(entry.key)]
        others += self.store.versions(entry.key for entry in entries)
        keys = self.index.remove(scope, others)
        self._remove(list(dict.fromkeys((*keys, *others))))
        return len(keys)

    def _remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), REMOVED_TOGETHER):
            with self.index.removing(keys[start : start + REMOVED_TOGETHER]) as still:
                self.store.remove(still)

    def _retire(self, older: float) -> None:
        """Remove versions that another one took the place of more than `older` seconds ago."""
        keys = self.index.superseded(older)
        for start in range(0, len(keys), REMOVED_TOGETHER):
            with self.index.retiring(keys[start : start + REMOVED_TOGETHER]) as gone:
                self.store.remove(gone)

    def repair(self, *, older: float = 0.0) -> int:
        """Recover instances that were left incomplete more than `older` seconds ago; return how many there were."""
        keys = self.index.removals()
        self._remove(keys)
        expected = self.index.expected(older)
        for key in expected:
            self._settle(key)
        count = len(keys) + len(expected)
        for state, arrival in self.store.leftovers(older):
            if state:
                count += 1
                self._finish(arrival)
            arrival.discard()
        self._retire(min(older, SUPERSEDED_SECONDS))
        return count

    def _settle(self, key: str) -> None:
        """Index what was expected under `key`, if it came."""
        size = self.store.size(key)
        if size is None:
            self.index.settled([key])
            return
        try:
            found = [self.record(self.store.source(key), size=size, key=key)]
        except (MalformedError, NotDicomError) as error:
            log.warning("could not recover an incomplete instance: %s", error)
            found = []
        self.index.add(found, expected=[key])

    def _finish(self, arrival: Arrival) -> None:
        """Index an arrival that was published but perhaps not indexed."""
        try:
            record = self.record(arrival.source, size=arrival.size)
        except HounsfieldError as error:
            log.warning("could not recover an incomplete instance: %s", error)
            return
        # Which of the versions with these bytes it is, does not matter: the highest counts, the others go.
        keys = [key for key in self.store.versions([record.key]) if arrival.equals(key)]
        self.store.settle(keys)
        self.index.add([self.record(arrival.source, size=arrival.size, key=key) for key in keys])

    def record(self, source: Source, *, size: int | None, key: str | None = None) -> Record:
        """The record of a source. Raises `NotDicomError`, `MalformedError`, `LocationError`."""
        record = record_of(read_header_text(source), key=key or "", size=size)
        if key is None:
            return replace(record, key=key_of(record.study, record.series, record.instance))
        seal = self.store.seal(key) if self.store.owns(key) else None
        return self._sealed(record, source, seal) if seal is not None else record

    def _sealed(self, record: Record, source: Source, seal: Seal) -> Record:
        """The record with its SHA-256; with a header that is not what was stored, one that gives an error at each read.

        Raises `DamagedError` where not even its UIDs are those that it was stored under.
        """
        if seal.check(source, record.header_end):
            return replace(record, sha256=seal.sha256)
        parts = parts_of(record.key)
        instance = parts[2] if parts else record.instance
        self.damaged(error := damaged(instance, "its header", where=source.name))
        if parts is None or parts[:3] != (record.study, record.series, record.instance):
            raise error
        return replace(record, sha256=seal.sha256, blocks=DAMAGED)

    def reindex(self, *, progress: Callable[[int], None] | None = None) -> list[Skipped]:
        """Make the index anew of every stored instance, beside the one in use until it is whole; what was unreadable.

        Raises `LocationError` or `IndexUnavailable`; then the one in use is as it was.
        """
        return reindex(self, progress or (lambda _: None))

    def rebuild(self) -> None:
        """Make a damaged or missing index file anew from everything that belongs into it."""
        replace_damaged(self.index, lambda index: fill(self, index))
        # Whoever did not know of the damage may have added to the old one.
        add_missing(self)
        self.rebuilt()

    def adopt(self, sources: Iterable[Source | Skipped], *, reread: Collection[str] = ()) -> list[Skipped]:
        """Index files where they lie, their real paths as keys; what could not be indexed.

        `reread`: keys of those that changed since they were indexed.
        """
        skipped: list[Skipped] = []

        def named() -> Iterator[tuple[str, Source]]:
            for source in sources:
                if isinstance(source, Skipped):
                    skipped.append(source)
                elif isinstance(source, FileSource):
                    # A path over a link would later count as one that was bent to somewhere else.
                    path = os.path.realpath(source.path)
                    yield path, FileSource(Path(path))
                else:
                    # The archive file is named, not each of its members.
                    skipped.append(Skipped(source.name.partition("!/")[0], IN_ARCHIVE))

        for records in recorded(self, named(), skipped):
            self.index.add(records, reread=reread)
        return skipped

    def recover(self, error: IndexUnavailable) -> None:
        """Make a damaged index anew, in the background; does nothing for an index that is only out of reach."""
        if not error.data.get("damaged") or self.index.file is None:
            return
        if self._recovering.acquire(blocking=False):
            threading.Thread(target=self._recover, name="index-recovery", daemon=True).start()

    def _recover(self) -> None:
        try:
            log.warning("the index is damaged; rebuilding it from the stored files")
            self.rebuild()
            log.warning("the index has been rebuilt")
        except (HounsfieldError, OSError) as error:
            log.error("could not rebuild the index: %s", error)
        finally:
            self._recovering.release()


def _with_digest(record: Record, digest: Digest) -> Record:
    return replace(record, sha256=digest.sha256, blocks=digest.blocks)
