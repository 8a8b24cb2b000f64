"""The database under the index: opened, made, migrated; and what differs between SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.schema import CreateColumn

from hounsfield.errors import HounsfieldError, LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.index.tables import MIGRATIONS, VERSION, metadata, schema

BUSY_SECONDS = 30
"""Time that a writer waits for another one's transaction."""

POOL = 16
"""Connections a process keeps to the index."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # An acknowledged instance is searchable after the power failed, too.
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA foreign_keys=ON",
)


_CONFLICTS = frozenset({"40P01", "40001"})
"""SQLSTATE of a deadlock and of a serialisation failure."""


_CAUSES = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an I/O error",
    sqlite3.SQLITE_READONLY: "its file is read-only",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_BUSY: "it is locked by other writers",
}


class IndexUnavailable(HounsfieldError):
    """The index cannot be reached now; trying again may help. `data["damaged"]`: its file must be made anew."""

    def __init__(self, found: str, **more: Any) -> None:
        super().__init__(found, **{"status": 503, **more})


def open_database(url: str) -> Engine:
    """An engine for `url` (sqlite:///… or postgresql://…). Raises `UnsupportedError`, connects to nothing."""
    try:
        address = make_url(url)
        if address.drivername in {"postgres", "postgresql"}:
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() not in {"sqlite", "postgresql"}:
            raise UnsupportedError(
                say(
                    "a database of kind {get_backend_name}", get_backend_name=repr(address.get_backend_name())
                ),
                expected="sqlite or postgresql",
            )
        if address.get_backend_name() == "sqlite":
            return _open_sqlite(url)
        return create_engine(
            address, pool_size=POOL, max_overflow=POOL, pool_pre_ping=True, pool_timeout=BUSY_SECONDS,
            connect_args={"connect_timeout": 5},
        )  # fmt: skip
    except (ArgumentError, NoSuchModuleError) as error:
        raise UnsupportedError("invalid database address", expected="postgresql://host/name") from error
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "PostgreSQL needs the package psycopg", remedy='pip install "hounsfield[postgresql]"'
        ) from error


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(url, pool_size=POOL, max_overflow=2 * POOL, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Transactions are begun by hand: a reader's is deferred, a writer's immediate.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        kind = "IMMEDIATE" if connection.get_execution_options().get("writes") else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


@contextlib.contextmanager
def available() -> Iterator[None]:
    """Turn a driver's errors into `IndexUnavailable`."""
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        cause = getattr(error, "orig", error)
        # The driver's own words may name hosts and accounts: they are for who runs the server, not for its clients.
        raise IndexUnavailable(
            say("the index cannot be used: {cause}", cause=_cause(cause)),
            remedy="try again",
            damaged=_is_damage(cause),
            detail=str(cause).splitlines()[0][:200] if str(cause) else "",
        ) from error


def is_conflict(error: IndexUnavailable) -> bool:
    """Whether two writers met, and one may simply try again: a parent row went away, or each waited for the other."""
    cause = error.__cause__
    return isinstance(cause, IntegrityError) or sqlstate(cause) in _CONFLICTS


def sqlstate(error: object) -> str:
    """PostgreSQL's code of an error; "" for others."""
    return getattr(getattr(error, "orig", None), "sqlstate", "") or ""


def _cause(error: object) -> str:
    return _CAUSES.get(_sqlite_code(error), type(error).__name__)


def _sqlite_code(error: object) -> int:
    """The primary result code, without what extends it; 0 for an error that is not SQLite's."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _is_damage(error: object) -> bool:
    """Whether an SQLite file is no longer one."""
    if _sqlite_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return True
    return "no such table" in str(error)


def prepare(engine: Engine) -> None:
    """Make the tables, or bring those of an older version up to date. Raises `IndexUnavailable`."""
    with available(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Several servers may start at once; the number is this schema's own.
            connection.execute(text("SELECT pg_advisory_xact_lock(4815162342)"))
        metadata.create_all(connection)
        found = connection.execute(select(schema.c.version)).scalar()
        if found is None:
            connection.execute(insert(schema).values(version=VERSION))
        elif found > VERSION:
            raise LocationError(
                say("the index is of version {found}", found=found),
                expected=say("at most {version}", version=VERSION),
                remedy="upgrade hounsfield",
            )
        else:
            if found < VERSION:
                _add_columns(connection)
                _make_indexes(connection)
            for version in range(found, VERSION):
                for statement in MIGRATIONS[version]:
                    connection.execute(text(statement))
            connection.execute(schema.update().values(version=VERSION))


def _add_columns(connection: Connection) -> None:
    """Those that tables of an older version do not have; all of them may be NULL, so no row is rewritten."""
    for table in metadata.tables.values():
        there = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                made = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {made}"))


def _make_indexes(connection: Connection) -> None:
    """Those that tables of an older version do not have."""
    for table in metadata.tables.values():
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def file_of(engine: Engine) -> Path | None:
    """The file of an SQLite database."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name else None


def identity(path: Path) -> tuple[int, int, int] | None:
    """Return device, inode and size of the file under a name; None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size


def fits(dialect: str, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """`column` matches `pattern` of `*` and `?` and plain characters, case and all."""
    if not any(mark in pattern for mark in "*?"):
        return column == pattern
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(escaped.replace("*", "%").replace("?", "_"), escape="\\")


__all__ = [
    "DBAPIError",
    "IndexUnavailable",
    "OperationalError",
    "available",
    "file_of",
    "fits",
    "identity",
    "inspect",
    "is_conflict",
    "open_database",
    "prepare",
]
