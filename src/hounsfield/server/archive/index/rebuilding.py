"""An index made anew beside the one that is used, whose place it takes in one step once it is whole.

In SQLite it is a file of its own, and a rename; in PostgreSQL a schema of its own, and one transaction that moves its
tables, until which all servers read the old ones. What dies before has changed nothing. How an index is filled is
`hounsfield.server.archive.reindexing`'s.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs import sync
from hounsfield.server.archive.index.database import IndexUnavailable, available, sqlstate
from hounsfield.server.archive.index.guard import one_at_a_time
from hounsfield.server.archive.index.index import Index
from hounsfield.server.archive.index.tables import TABLES, studies

SCHEMA = "hounsfield_rebuild"
"""Of the tables that are being made in a PostgreSQL database."""

LOCK_TRIES = 500
"""Number of times that the tables in use are asked for; each time other servers wait for less than half a second."""

_ADVISORY_LOCK = 4815162343
_NOT_NOW = frozenset({"55P03", "40P01"})
_NAMES = tuple(table.name for table in TABLES.values())


class Beside(Protocol):
    """An index that is being made, and how it differs from the one in use. `index` is to be filled."""

    index: Index

    def missing(self) -> list[str]:
        """Keys in the index in use that the new one does not have."""

    def extra(self) -> list[str]:
        """Keys in the new one that the index in use does not have, or is to forget."""

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Nobody writes to the index in use."""

    def swap(self) -> None:
        """Take its place; while `alone`."""


@contextmanager
def beside(index: Index) -> Iterator[Beside]:
    """A new index beside a sound one. Raises `LocationError` where somebody makes one already."""
    with _written(index), _file_beside(index) if index.file is not None else _schema_beside(index) as made:
        yield made


def replace_damaged(index: Index, fill: Callable[[Index], object]) -> None:
    """Replace a damaged or missing file by one that `fill` fills; other processes wait, then take the new one."""
    file = index.file
    if file is None:
        return
    with _written(index), one_at_a_time(file, damaged=True):
        index.close()
        if not is_sound(index):
            fresh = _fresh(file)
            try:
                made = Index(f"sqlite:///{fresh}")
                _prepare(made)
                fill(made)
                _finish(made)
                _set_aside(file)
                # No old log may come back beside the new file; if that does not, it is made anew once more.
                sync(file.parent)
                fresh.replace(file)
            finally:
                _remove(fresh)
        index.prepare()


@contextmanager
def _written(index: Index) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocationError(
            say("the index cannot be rebuilt: {strerror}", strerror=error.strerror),
            where=index.name,
            remedy="check the folder, its permissions and the free space",
            status=503,
        ) from error


def is_sound(index: Index) -> bool:
    """Whether the file is an index with nothing wrong that a quick look can see.

    Raises `IndexUnavailable` where that cannot be checked now.
    """
    if index.file is None or not index.file.exists():
        return False
    try:
        with available(), index.engine.connect() as connection, connection.begin():
            connection.execute(select(studies.c.id).limit(1)).all()
            return connection.execute(text("PRAGMA quick_check(1)")).scalar() == "ok"
    except IndexUnavailable as error:
        if error.data.get("damaged"):
            return False
        raise
    finally:
        index.close()


def _prepare(made: Index) -> None:
    """Make the tables; their numbers are greater than those of any index before, which readers may still hold."""
    made.prepare()
    first = time.time_ns() // 1_000_000
    with available(), made.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for name in _NAMES:
            if made.file is not None:
                values = {"name": name, "first": first}
                connection.execute(
                    text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :first)"), values
                )
            else:
                values = {"column": f"{SCHEMA}.{name}", "first": first}
                connection.execute(
                    text("SELECT setval(pg_get_serial_sequence(:column, 'id'), :first)"), values
                )


def _difference(one: str, other: str) -> str:
    return _sql(
        "SELECT key FROM {one}.instances EXCEPT SELECT key FROM {other}.instances", one=one, other=other
    )


def _removed(fresh: str, live: str) -> str:
    statement = "SELECT key FROM {fresh}.instances INTERSECT SELECT key FROM {live}.removals"
    return _sql(statement, fresh=fresh, live=live)


def _digests(fresh: str, live: str) -> str:
    """Digests, which the files may not have, of bytes that never change."""
    change = (
        "UPDATE {fresh}.instances AS made SET sha256 = known.sha256, blocks = known.blocks "
        "FROM {live}.instances AS known "
        "WHERE made.key = known.key AND made.blocks IS NULL AND length(known.blocks) > 0 "
        "AND known.key NOT LIKE '/%'"
    )
    return _sql(change, fresh=fresh, live=live)


def _note(name: str, to: str, of: str) -> str:
    """Rows of one of the tables beside those of instances."""
    change = "INSERT INTO {to}.{name} SELECT * FROM {of}.{name} WHERE true ON CONFLICT DO NOTHING"
    return _sql(change, to=to, of=of, name=name)


def _sql(statement: str, **names: str) -> str:
    """A statement with names of schemas and tables, all of them our own, which no parameter can be."""
    return statement.format(**names)


# In a file


@contextmanager
def _file_beside(index: Index) -> Iterator[Beside]:
    file = index.file
    assert file is not None
    with one_at_a_time(file):
        made = _FileBeside(index, file)
        try:
            _prepare(made.index)
            yield made
        finally:
            made.index.close()
            _remove(made.path)


class _FileBeside:
    def __init__(self, live: Index, file: Path) -> None:
        self._live, self._file, self.path = live, file, _fresh(file)
        self.index = Index(f"sqlite:///{self.path}")

    def missing(self) -> list[str]:
        return self._run(_difference("live", "main"))

    def extra(self) -> list[str]:
        return self._run(_difference("main", "live"), _removed("main", "live"))

    def _run(self, *statements: str) -> list[str]:
        with available(), contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("ATTACH DATABASE ? AS live", (str(self._file),))
            return [row[0] for each in statements for row in connection.execute(each)]

    @contextmanager
    def alone(self) -> Iterator[None]:
        assert self._live.writing is not None
        with self._live.writing:
            yield

    def swap(self) -> None:
        notes = (_note(name, "main", "live") for name in ("removals", "superseded", "arrivals"))
        self._run(*notes, _digests("main", "live"))
        _finish(self.index)
        # Its log must be empty: SQLite would take it for that of the new file.
        _finish(self._live)
        for name in _files(self._file)[1:]:
            name.unlink(missing_ok=True)
        sync(self._file.parent)
        self.path.replace(self._file)
        self._live.take_file()
        sync(self._file.parent)


def _fresh(file: Path) -> Path:
    """A name for a new file; those that killed processes left are removed."""
    for left in file.parent.glob(f".{file.name}.*.new*"):
        left.unlink(missing_ok=True)
    return file.with_name(f".{file.name}.{secrets.token_hex(6)}.new")


def _remove(fresh: Path) -> None:
    for name in _files(fresh):
        name.unlink(missing_ok=True)


def _finish(index: Index) -> None:
    """Close, with everything in the one file. Raises `IndexUnavailable` where somebody reads for too long."""
    try:
        with available(), index.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    finally:
        index.close()
    if busy:
        raise IndexUnavailable("timed out waiting for readers of the index", remedy="try again")


def _files(file: Path) -> list[Path]:
    return [file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm", "-journal"))]


def _set_aside(file: Path) -> None:
    """Keep a damaged file for whoever wants to look at it; its log would spoil the new one."""
    for name in _files(file):
        if name == file:
            with contextlib.suppress(FileNotFoundError):
                file.replace(file.with_name(file.name + ".damaged"))
        else:
            name.unlink(missing_ok=True)


# In a database of several servers


@contextmanager
def _schema_beside(index: Index) -> Iterator[Beside]:
    with available(), index.engine.connect() as control:
        if not control.execute(text(f"SELECT pg_try_advisory_lock({_ADVISORY_LOCK})")).scalar():
            raise LocationError(
                "another server is rebuilding this index", where=index.name, remedy="wait for it"
            )
        made = _SchemaBeside(index, control)
        try:
            made.make()
            yield made
        finally:
            made.index.close()
            control.rollback()
            control.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            control.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
            control.commit()


class _SchemaBeside:
    """`control`: a connection that holds what keeps others from doing the same."""

    def __init__(self, live: Index, control: Connection) -> None:
        self._control = control
        self._live = str(control.execute(text("SELECT quote_ident(current_schema())")).scalar())
        self._name = live.name
        self._alone = False
        self.index = Index(live.url, schema=SCHEMA)
        control.commit()

    def make(self) -> None:
        try:
            self._control.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            self._control.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            self._control.commit()
        except ProgrammingError as error:
            raise LocationError(
                "not allowed to create a schema beside the index in use",
                where=self._name,
                remedy="GRANT CREATE ON DATABASE … to the server's account",
            ) from error
        _prepare(self.index)

    def missing(self) -> list[str]:
        return self._keys(_difference(self._live, SCHEMA))

    def extra(self) -> list[str]:
        return self._keys(_difference(SCHEMA, self._live)) + self._keys(_removed(SCHEMA, self._live))

    def _keys(self, statement: str) -> list[str]:
        found = list(self._control.scalars(text(statement)))
        if not self._alone:
            self._control.commit()
        return found

    @contextmanager
    def alone(self) -> Iterator[None]:
        self._lock("SHARE ROW EXCLUSIVE")
        self._alone = True
        yield
        self._control.commit()
        self._alone = False

    def swap(self) -> None:
        self._control.execute(text(_digests(SCHEMA, self._live)))
        self._control.execute(text(_note("superseded", self._live, SCHEMA)))
        self._lock("ACCESS EXCLUSIVE")
        for name in reversed(_NAMES):
            self._control.execute(text(f"DROP TABLE {self._live}.{name}"))
        for name in _NAMES:
            self._control.execute(text(f"ALTER TABLE {SCHEMA}.{name} SET SCHEMA {self._live}"))

    def _lock(self, mode: str) -> None:
        """Wait for the tables in use without making others wait: those who hold them may want what we hold."""
        tables = ", ".join(f"{self._live}.{name}" for name in _NAMES)
        for attempt in range(LOCK_TRIES):
            try:
                with self._control.begin_nested():
                    self._control.execute(text("SET LOCAL lock_timeout = '400ms'"))
                    self._control.execute(text(f"LOCK TABLE {tables} IN {mode} MODE"))
                return
            except DBAPIError as error:
                if sqlstate(error) not in _NOT_NOW or attempt == LOCK_TRIES - 1:
                    raise
                time.sleep(random.uniform(0, 0.2))  # noqa: S311 (no secret)
