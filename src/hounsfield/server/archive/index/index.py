"""`Index`: the reads and writes of the tables. Every method is one transaction, usable from any thread.

Any of them raises `IndexUnavailable` while the database cannot be reached.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from array import array
from bisect import bisect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, text, update

from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.index import database
from hounsfield.server.archive.index.database import IndexUnavailable, available, identity
from hounsfield.server.archive.index.entries import ENTRY, Entry, entry_of, scoped, selected
from hounsfield.server.archive.index.guard import is_being_replaced
from hounsfield.server.archive.index.records import RECORDED, Record, inflated, record_of_row
from hounsfield.server.archive.index.search import MAX_PAGE, Page, search
from hounsfield.server.archive.index.tables import arrivals, instances, removals, series, studies, superseded
from hounsfield.server.archive.index.writing import (
    add_records,
    forget,
    forget_former,
    note_arrivals,
    note_removals,
)
from hounsfield.server.archive.integrity import DAMAGED, Digest, checked, damaged
from hounsfield.server.archive.store.versions import parts_of

MANY = 500
"""Keys in one statement."""

LOT_BYTES = 1 << 20
"""Deflated headers that are read at once, one more or less."""

TRIES = 8
"""Attempts at a change that conflicts with another one."""

T = TypeVar("T")


class Index:
    """The index at a database URL, in `schema` if that is given; opened lazily, made when missing.

    `writing`: held by whoever writes, where only one may.
    """

    def __init__(self, url: str, *, schema: str | None = None) -> None:
        self.url = url
        self._engine = database.open_database(url)
        self._shared = schema is None and self._engine.dialect.name == "postgresql"
        if schema is not None:
            self._engine = self._engine.execution_options(schema_translate_map={None: schema})
        self.writing = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self._file: tuple[int, int, int] | None = None

    @property
    def engine(self) -> Engine:
        """The database's connections."""
        return self._engine

    @property
    def file(self) -> Path | None:
        """The file it is in, if it is in one."""
        return database.file_of(self._engine)

    @property
    def name(self) -> str:
        """Name for people: its file, or the database's address without a password."""
        return str(self.file or self._engine.url.render_as_string(hide_password=True))

    def prepare(self) -> None:
        """Make or migrate the tables."""
        database.prepare(self._engine)
        self.take_file()

    def take_file(self) -> None:
        """The file that is there now is the index, whichever was before."""
        if self.file is not None:
            self._file = identity(self.file)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._check_file()
        with available(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        self._check_file()
        # SQLite has one writer; waiting here is fairer than its own polling.
        lock = self.writing or contextlib.nullcontext()
        writes = self._engine.connect().execution_options(writes=True)
        with lock, available(), writes as connection, connection.begin():
            if self._shared:
                # Whoever replaces the tables must not wait for one who waits for them and holds some of them.
                connection.execute(text("LOCK TABLE studies, series, instances IN ROW EXCLUSIVE MODE"))
            yield connection
        # Replaced while we wrote: what was written may be nowhere.
        self._check_file()

    def _check_file(self) -> None:
        """An index file that was removed or replaced under us must not take writes that nobody will see."""
        file = self.file
        if file is None or self._file is None:
            return
        found = identity(file)
        # SQLite never gives space back by itself: a file that shrank was cut.
        if found is None or found[:2] != self._file[:2] or found[2] < self._file[2]:
            raise IndexUnavailable(
                "the index file is missing", remedy="it is being rebuilt; try again", damaged=True
            )
        self._file = found

    def expect(self, keys: Sequence[str]) -> None:
        """Note what the store is about to hold, until `add` or `settled` settles it."""
        if keys:
            with self._transaction() as connection:
                note_arrivals(connection, keys, since=time.time_ns())

    def expected(self, seconds: float) -> list[str]:
        """Keys that were noted longer than `seconds` ago, and of which nothing was heard since."""
        with self._reading() as connection:
            old = arrivals.c.since <= time.time_ns() - int(seconds * 1e9)
            return list(connection.scalars(select(arrivals.c.key).where(old)))

    def settled(self, keys: Sequence[str]) -> None:
        """Nothing is expected under these keys any more."""
        with self._transaction() as connection:
            for part in _parts(keys):
                connection.execute(delete(arrivals).where(arrivals.c.key.in_(part)))

    def add(
        self, records: Sequence[Record], *, expected: Sequence[str] = (), reread: Collection[str] = ()
    ) -> dict[str, str]:
        """Add instances; of several versions of one the highest stays.

        `expected`: keys that no more are. `reread`: keys of files in place, where other instances may have been
        before. For the key of each version that another one is before, that one's key.
        """
        if not records and not expected:
            return {}
        again = [record for record in records if record.key in reread]
        return _again(lambda: self._add(records, expected, again))

    def _add(
        self, records: Sequence[Record], expected: Sequence[str], again: Sequence[Record]
    ) -> dict[str, str]:
        with self._transaction() as connection:
            forget_former(connection, again)
            # What is stored again must not be removed any more.
            for part in _parts([record.key for record in records]):
                connection.execute(delete(removals).where(removals.c.key.in_(part)))
                connection.execute(delete(superseded).where(superseded.c.key.in_(part)))
            for part in _parts(expected):
                connection.execute(delete(arrivals).where(arrivals.c.key.in_(part)))
            return add_records(connection, records, changed=time.time_ns())

    def search(self, level: Level, scope: Resource, query: Query, *, limit: int = MAX_PAGE) -> Page:
        """See `search.search`; never more than `limit` results."""
        asked = limit if query.limit is None else min(query.limit, limit)
        with self._reading() as connection:
            return search(connection, level, scope, query, limit=asked)

    def entries(self, scope: Resource) -> list[Entry]:
        """Every instance at or below `scope`, in the order in which they came."""
        with self._reading() as connection:
            return [entry_of(row) for row in connection.execute(selected(scope, *ENTRY))]

    def named(self, uids: Sequence[str]) -> list[Entry]:
        """The instances with these SOP Instance UIDs, of whatever study."""
        found: list[Entry] = []
        with self._reading() as connection:
            for part in _parts(uids):
                statement = selected(Resource(""), *ENTRY).where(instances.c.SOPInstanceUID.in_(part))
                found += [entry_of(row) for row in connection.execute(statement)]
        return found

    def headers(self, scope: Resource) -> Iterator[tuple[Entry, bytes]]:
        """Instances with the whole of their header text in UTF-8, INSTANCE_URL in it.

        Those that are there when the first is asked for, but for what is removed before its turn comes. Read in
        lots, so that neither memory nor a transaction is held by who takes them slowly.
        """
        with self._reading() as connection:
            ids = array("q", connection.scalars(selected(scope, instances.c.id)))
        start = 0
        while start < len(ids):
            rows, start = self._lot(ids, start)
            for row in rows:
                entry = entry_of(row)
                if entry.blocks == DAMAGED:
                    raise damaged(entry.instance, "its header", where=entry.key)
                yield entry, inflated(row.header, entry.instance)

    def _lot(self, ids: array[int], start: int) -> tuple[list[Any], int]:
        """Rows of `headers` from `ids[start]` on, as many as one lot takes; and where the next one starts."""
        stop, size, rows = min(start + MANY, len(ids)), 0, list[Any]()
        statement = selected(Resource(""), *ENTRY, instances.c.header)
        statement = statement.where(instances.c.id.in_(ids[start:stop]))
        with self._reading() as connection:
            few = connection.execution_options(stream_results=True, max_row_buffer=16)
            with few.execute(statement) as found:
                for row in found:
                    rows.append(row)
                    size += len(row.header)
                    if size > LOT_BYTES:
                        return rows, bisect(ids, row.id)
        return rows, stop

    def learn(self, digests: Mapping[tuple[int, str], Digest]) -> None:
        """Note the digests of instances, by their numbers and keys."""
        change = update(instances).values(sha256=bindparam("whole"), blocks=bindparam("parts"))
        change = change.where(instances.c.id == bindparam("number"), instances.c.key == bindparam("place"))
        with self._transaction() as connection:
            connection.execute(
                change,
                [
                    {"number": number, "place": key, "whole": digest.sha256, "parts": digest.blocks}
                    for (number, key), digest in sorted(digests.items())
                ],
            )

    def after(self, number: int, count: int) -> list[Entry]:
        """Up to `count` instances in the order of their numbers, those that follow `number`."""
        with self._reading() as connection:
            statement = selected(Resource(""), *ENTRY).where(instances.c.id > number).limit(count)
            return [entry_of(row) for row in connection.execute(statement)]

    def check_header(self, entry: Entry) -> None:
        """Raise `DamagedError` unless what is kept of an instance's header is what was written."""
        with self._reading() as connection:
            statement = select(instances.c.header, instances.c.brief).where(instances.c.id == entry.number)
            found = connection.execute(statement).first()
        if found is not None:
            inflated(found.header, entry.instance)
            checked(found.brief, entry.instance)

    def version(self, scope: Resource) -> tuple[int, int, int]:
        """(number of instances, greatest id, latest change in ns): the same as long as nothing changed."""
        with self._reading() as connection:
            columns = (func.count(), func.max(instances.c.id), func.max(instances.c.changed))
            count, last, changed = connection.execute(scoped(select(*columns), scope)).one()
        return int(count), int(last or 0), int(changed or 0)

    def has(self, keys: Iterable[str]) -> set[str]:
        """Return those of the store's keys that are indexed."""
        wanted, found = list(keys), set[str]()
        with self._reading() as connection:
            for part in _parts(wanted):
                found.update(connection.scalars(select(instances.c.key).where(instances.c.key.in_(part))))
        return found

    def keys_of(self, records: Iterable[Record]) -> dict[tuple[str, str, str], tuple[str, bytes | None]]:
        """Key and SHA-256 of what is indexed under the UIDs (study, series, instance) of these."""
        wanted = {(record.study, record.series, record.instance) for record in records}
        columns = (studies.c.StudyInstanceUID, series.c.SeriesInstanceUID, instances.c.SOPInstanceUID)
        found: dict[tuple[str, str, str], tuple[str, bytes | None]] = {}
        with self._reading() as connection:
            for part in _parts(sorted(instance for _, _, instance in wanted)):
                statement = scoped(select(*columns, instances.c.key, instances.c.sha256), Resource(""))
                for row in connection.execute(statement.where(instances.c.SOPInstanceUID.in_(part))):
                    found[row[0], row[1], row[2]] = row.key, row.sha256
        return {uids: place for uids, place in found.items() if uids in wanted}

    def places(self) -> Iterator[tuple[str, int | None, int]]:
        """(key, size, changed) of every instance."""
        last = 0
        columns = (instances.c.id, instances.c.key, instances.c.size, instances.c.changed)
        while True:
            with self._reading() as connection:
                statement = select(*columns).where(instances.c.id > last).order_by(instances.c.id).limit(5000)
                rows = connection.execute(statement).all()
            if not rows:
                return
            last = rows[-1].id
            yield from ((row.key, row.size, row.changed) for row in rows)

    def remove(self, scope: Resource, others: Sequence[str] = ()) -> list[str]:
        """Forget what is at or below `scope`; its keys, and `others`, are noted until the store removed them."""
        return _again(lambda: self._remove(scope, others))

    def _remove(self, scope: Resource, others: Sequence[str]) -> list[str]:
        with self._transaction() as connection:
            rows = connection.execute(selected(scope, instances.c.id, instances.c.key)).all()
            note_removals(connection, others)
            return forget(connection, [(row.id, row.key) for row in rows])

    def forget_keys(self, keys: Sequence[str]) -> None:
        """Forget instances whose bytes are gone."""
        with self._transaction() as connection:
            for part in _parts(keys):
                rows = connection.execute(
                    select(instances.c.id, instances.c.key).where(instances.c.key.in_(part))
                ).all()
                forget(connection, [(row.id, row.key) for row in rows], noted=False)

    def removals(self) -> list[str]:
        """Keys that the store has still to remove."""
        with self._reading() as connection:
            return list(connection.scalars(select(removals.c.key)))

    @contextmanager
    def removing(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Those keys that the store is still to remove, while nobody can take them in again; at most `MANY`."""
        with self._transaction() as connection:
            noted = removals.c.key.in_(keys)
            yield list(connection.scalars(delete(removals).where(noted).returning(removals.c.key)))

    def superseded(self, seconds: float) -> list[str]:
        """Versions that a later one took the place of longer than `seconds` ago."""
        with self._reading() as connection:
            old = superseded.c.since <= time.time_ns() - int(seconds * 1e9)
            return list(connection.scalars(select(superseded.c.key).where(old)))

    @contextmanager
    def retiring(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Those versions that nobody needs any more, for the store to remove; at most `MANY`."""
        with self._transaction() as connection:
            noted = superseded.c.key.in_(keys)
            gone = connection.scalars(delete(superseded).where(noted).returning(superseded.c.key)).all()
            uids = [parts[2] for parts in map(parts_of, gone) if parts]
            there = select(instances.c.key).where(instances.c.SOPInstanceUID.in_(uids))
            kept = set(connection.scalars(there))
            yield [key for key in gone if key not in kept]

    def totals(self) -> tuple[int, int, int]:
        """(studies, series, instances)"""
        with self._reading() as connection:
            counts = select(func.count(), func.coalesce(func.sum(studies.c.series), 0),
                            func.coalesce(func.sum(studies.c.instances), 0)).select_from(studies)  # fmt: skip
            one, two, three = connection.execute(counts).one()
        return int(one), int(two), int(three)

    def check(self) -> None:
        """Raise `IndexUnavailable` unless the index answers, and with all that it knew."""
        if self.file is not None and is_being_replaced(self.file):
            raise IndexUnavailable("the index is being rebuilt", remedy="try again")
        with self._reading() as connection:
            connection.execute(select(studies.c.id).limit(1)).all()

    def records(self, keys: Sequence[str]) -> list[Record]:
        """Return the records of the instances under these keys, as they were added."""
        found: list[Record] = []
        with self._reading() as connection:
            for part in _parts(keys):
                statement = scoped(select(*RECORDED), Resource(""))
                rows = connection.execute(statement.where(instances.c.key.in_(part)))
                found += [record_of_row(dict(row)) for row in rows.mappings()]
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction() as connection:
            for table in (instances, series, studies):
                connection.execute(delete(table))

    def optimise(self) -> None:
        """Let the database learn what it holds, after much was added."""
        with self._transaction() as connection:
            connection.execute(text("ANALYZE"))


def _again(change: Callable[[], T]) -> T:
    """Make a change; anew where it met another one's."""
    for attempt in range(TRIES):
        try:
            return change()
        except IndexUnavailable as error:
            if not database.is_conflict(error) or attempt == TRIES - 1:
                raise
            time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 (no secret)
    raise AssertionError


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + MANY] for start in range(0, len(keys), MANY))
