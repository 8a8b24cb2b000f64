"""Publishing of arrivals: each under a key of its own that was free, or not at all where it is there already.

Decides by what the index knows and by what the store says; the index hears of it afterwards, by `Archive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from hounsfield.server.archive.index import Index, Record
from hounsfield.server.archive.store import Arrival, Published, Store
from hounsfield.server.archive.store.versions import following, version_of

SIDE_BY_SIDE = 16
"""Publications at once, to a store behind a network."""

Outcome = Literal["stored", "present", "other", "replaced"]
"""Another version's place was taken: "replaced"; or may not be: "other"."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Taken:
    """One instance that an archive was given, under the key where its bytes are, and the outcome."""

    record: Record
    outcome: Outcome


class Publication:
    """One batch of arrivals on their way into a store. `expected` are the keys that the index was given to expect."""

    def __init__(self, store: Store, index: Index, *, replaces: bool) -> None:
        self._store, self._index, self._replaces = store, index, replaces
        self.expected: list[str] = []

    def publish(self, arrived: Sequence[tuple[Record, Arrival]]) -> list[Taken]:
        """Return the outcome of each; what is "stored" or "replaced" is at its place, but its folder is not synced."""
        there = self._index.keys_of(record for record, _ in arrived)
        first = self._each(lambda each: self._planned(*each, there), arrived)
        taken = [each if isinstance(each, Taken) else None for each in first]
        waiting = {number: each for number, each in enumerate(first) if isinstance(each, Record)}
        while waiting:
            self._expect([record.key for record in waiting.values()])
            tries = [(number, record, arrived[number][1]) for number, record in waiting.items()]
            outcomes = self._each(lambda each: each[2].publish(each[1].key), tries)
            for (number, record, _), outcome in zip(tries, outcomes, strict=True):
                if outcome == "other" and self._replaces:
                    waiting[number] = _next(record)
                    continue
                del waiting[number]
                taken[number] = Taken(record, _outcome(record, outcome))
        return [each for each in taken if each is not None]

    def _planned(
        self, record: Record, arrival: Arrival, there: dict[tuple[str, str, str], tuple[str, bytes | None]]
    ) -> Taken | Record:
        """Return the outcome that is known already, or the record with the first key to be tried."""
        key, sha256 = there.get((record.study, record.series, record.instance), (None, None))
        if key is None:
            return record
        current = replace(record, key=key)
        if arrival.equals(key):
            # What is only indexed may go whenever its owner likes; what was stored may not.
            return Taken(current, "present") if version_of(key) else record
        # The same as was stored, of which the bytes were damaged or are gone, is good again with this.
        lost = sha256 == record.sha256 or self._store.size(key) is None
        return _next(current) if self._replaces or lost else Taken(current, "other")

    def _expect(self, keys: Sequence[str]) -> None:
        if self._store.forgets:
            self._index.expect(keys)
            self.expected += keys

    def _each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        if not self._store.parallel:
            return [work(item) for item in items]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            return list(pool.map(work, items))


def _next(record: Record) -> Record:
    return replace(record, key=following(record.key, record.study, record.series, record.instance))


def _outcome(record: Record, published: Published) -> Outcome:
    return "replaced" if published == "stored" and version_of(record.key) > 1 else published
