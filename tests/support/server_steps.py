"""The steps by which a process changes what lasts, numbered; at one of them it dies, or the step fails.

A step is a call that changes the file system, a statement or commit of the index, or a request to an object store.
SQLite's own writes are below that: a commit of its is one step, which happens or does not.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import obstore
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

CHANGING = ("write", "writev", "fsync", "link", "rename", "replace", "unlink", "mkdir", "rmdir", "truncate")
REQUESTS = ("put", "delete", "copy", "rename")
STATEMENTS = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "LOCK")
_SQLITE = {errno.EIO: sqlite3.SQLITE_IOERR, errno.ENOSPC: sqlite3.SQLITE_FULL}


@dataclass
class Fault:
    """What happens at step `number` (from 0): death, an `error`, or a write that is `short`.

    `lasting`: at every later step, too, until `Steps.heal`.
    """

    number: int
    error: int = 0
    short: bool = False
    lasting: bool = False


@dataclass
class Steps:
    """Counts steps while installed, and does what `fault` says. `names`: what each step was."""

    fault: Fault | None = None
    names: list[str] = field(default_factory=list)
    healed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def heal(self) -> None:
        """No step fails any more."""
        self.healed = True

    def step(self, name: str, path: Any = None) -> bool:
        """Count one; whether it is to be done by half. Raises `OSError`, about `path`, or never returns."""
        with self._lock:
            number = len(self.names)
            self.names.append(name)
        fault = self.fault
        if (
            fault is None
            or self.healed
            or not (number == fault.number or (fault.lasting and number > fault.number))
        ):
            return False
        if fault.short and number == fault.number:
            return name in {"write", "writev"}
        if fault.error:
            raise OSError(fault.error, os.strerror(fault.error), None if path is None else os.fspath(path))
        os._exit(9)

    @contextlib.contextmanager
    def installed(self) -> Iterator[Steps]:
        """Stand between this process and what lasts."""
        with contextlib.ExitStack() as stack:
            for name in CHANGING:
                _put(stack, os, name, functools.partial(self._call, name, getattr(os, name)))
            _put(stack, os, "open", functools.partial(self._open, os.open))
            for module in (io, builtins):
                _put(stack, module, "open", functools.partial(self._open_stream, io.open))
            for name in REQUESTS:
                _put(stack, obstore, name, functools.partial(self._call, name, getattr(obstore, name)))
            for kind, heard in (("before_cursor_execute", self._statement), ("commit", self._commit)):
                event.listen(Engine, kind, heard)
                stack.callback(event.remove, Engine, kind, heard)
            yield self

    def _call(self, name: str, real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        half = self.step(name, arguments[0] if isinstance(arguments[0], (str, os.PathLike)) else None)
        if half and name == "writev":
            first = b"".join(arguments[1])
            return os_write(arguments[0], first[: max(len(first) // 2, 1)])
        if half:
            return real(arguments[0], arguments[1][: max(len(arguments[1]) // 2, 1)])
        return real(*arguments, **named)

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            self.step("create", path)
        return real(path, flags, *rest, **named)

    def _open_stream(
        self, real: Callable[..., Any], file: Any, mode: str = "r", *rest: Any, **named: Any
    ) -> Any:
        if set(mode) & set("wxa+"):
            self.step("create", file)
        return real(file, mode, *rest, **named)

    def _statement(self, _: Any, __: Any, statement: str, *rest: Any) -> None:
        word = statement.split(None, 1)[0].upper()
        if word in STATEMENTS:
            with _as_the_database_says(statement):
                self.step(word)

    def _commit(self, _: Any) -> None:
        with _as_the_database_says("COMMIT"):
            self.step("COMMIT")


os_write = os.write


def _put(stack: contextlib.ExitStack, module: Any, name: str, value: Any) -> None:
    stack.callback(setattr, module, name, getattr(module, name))
    setattr(module, name, value)


@contextlib.contextmanager
def _as_the_database_says(statement: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = sqlite3.OperationalError(error.strerror)
        cause.sqlite_errorcode = _SQLITE.get(error.errno or 0, sqlite3.SQLITE_IOERR)
        raise OperationalError(statement, None, cause) from error
