"""An index filled from the stored files: anew beside the one in use, or with what is missing from it.

Others may store and remove meanwhile: what they did is caught up with until little is left, and the rest while nobody
writes. When and how a new index takes its place is `index.rebuilding`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from hounsfield.ct.instance import Skipped, Source
from hounsfield.errors import HounsfieldError
from hounsfield.server.archive.index import Index, Record
from hounsfield.server.archive.index.rebuilding import Beside, beside

if TYPE_CHECKING:
    from hounsfield.server.archive.store import Store

BATCH = 500
"""Instances in one index transaction while many are indexed."""

FEW = 100
"""Differences that are caught up with while nobody may write."""

ROUNDS = 5
"""Rounds of catching up before."""

_THREADS = 4


class Indexed(Protocol):
    """The part of an archive that reindexing works on."""

    @property
    def store(self) -> Store: ...

    @property
    def index(self) -> Index: ...

    def record(self, source: Source, *, size: int | None, key: str | None = None) -> Record: ...


def reindex(archive: Indexed, progress: Callable[[int], None]) -> list[Skipped]:
    """Make the index anew and take it into use; see `Archive.reindex`."""
    with beside(archive.index) as made:
        skipped = fill(archive, made.index, progress)
        differences = _Differences(archive, made)
        for _ in range(ROUNDS):
            if differences.catch_up() <= FEW:
                break
        with made.alone():
            differences.catch_up()
            made.swap()
    return skipped


def fill(archive: Indexed, index: Index, progress: Callable[[int], None] = lambda _: None) -> list[Skipped]:
    """Add every stored instance; what could not be read."""
    skipped: list[Skipped] = []
    done = 0
    for records in recorded(archive, _sources(archive, archive.store.walk()), skipped):
        index.add(records)
        done += len(records)
        progress(done)
    index.optimise()
    return skipped


def add_missing(archive: Indexed) -> None:
    """Add stored instances that are not indexed."""
    keys = archive.store.walk()
    while lot := list(islice(keys, BATCH)):
        there = archive.index.has(lot)
        missing = [key for key in lot if key not in there]
        for records in recorded(archive, _sources(archive, missing), []):
            archive.index.add(records)


class _Differences:
    """Between a new index and the one in use, which others change meanwhile.

    Some are meant to be: what only the new one found, and what only the other one knows.
    """

    def __init__(self, archive: Indexed, made: Beside) -> None:
        self._archive, self._made = archive, made
        self._unknown, self._found = set[str](), set[str]()

    def catch_up(self) -> int:
        """Bring the new one up to date; how many differences there were that are not meant to be."""
        missing = set(self._made.missing())
        new = sorted(missing - self._unknown)
        for start in range(0, len(new), BATCH):
            _add(self._archive, self._made.index, new[start : start + BATCH])
        self._unknown = missing
        extra = set(self._made.extra())
        pending = set(self._archive.index.removals())
        gone = [
            key
            for key in sorted((extra - self._found) | (extra & pending))
            if key in pending or self._archive.store.size(key) is None
        ]
        self._made.index.forget_keys(gone)
        self._found = extra.difference(gone)
        return len(new) + len(gone)


def _add(archive: Indexed, index: Index, keys: Sequence[str]) -> None:
    """Add what is under these keys; what cannot be read now, as the index in use knows it."""
    skipped: list[Skipped] = []
    read = [record for lot in recorded(archive, _sources(archive, keys), skipped) for record in lot]
    left = set(keys).difference(record.key for record in read)
    # Files in place may be another machine's to read; of those that are stored none is without its bytes.
    kept = [key for key in left if not archive.store.owns(key) or archive.store.size(key) is not None]
    index.add([*read, *archive.index.records(kept)])


def _sources(archive: Indexed, keys: Iterable[str]) -> Iterator[tuple[str, Source]]:
    return ((key, archive.store.source(key)) for key in keys)


def recorded(
    archive: Indexed, sources: Iterator[tuple[str, Source]], skipped: list[Skipped]
) -> Iterator[list[Record]]:
    """Records in batches, read by several threads; what could not be read is added to `skipped`."""

    def read(named: tuple[str, Source]) -> Record | Skipped:
        key, source = named
        try:
            return archive.record(source, size=archive.store.size(key), key=key)
        except HounsfieldError as error:
            return Skipped(source.name, error.found)

    with ThreadPoolExecutor(_THREADS) as pool:
        while batch := list(islice(sources, BATCH)):
            results = list(pool.map(read, batch))
            skipped += [each for each in results if isinstance(each, Skipped)]
            yield [each for each in results if isinstance(each, Record)]
