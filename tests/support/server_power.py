"""A disk that forgets what was not synced: a trace of what an archive did, and what a power failure may leave of it.

Below a base that is there already, a file has the bytes of its last sync, and a name is there once its folder was
synced. Whatever was not may be there or not, each step for itself, in any order; a rename is one step. A commit of
SQLite is there if it asks its file system to sync (`PRAGMA synchronous`), which it does for its own files. Object
stores and PostgreSQL are taken at their word.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

import hounsfield

Content = tuple[bytes, tuple[tuple[str, bytes], ...]]
"""Bytes and extended attributes of a file."""

State = dict[str, tuple[int, Content] | None]
"""What is there: files by path with their numbers, which tell names of one file; None for a folder."""

Node = tuple[str, int] | None
"""("folder" or "file", number), or None for no name."""

PASSED = frozenset({("lots.py", "sync"), ("folder.py", "_sync_folder")})
"""Functions that only sync: who calls them is told apart."""

PACKAGE = Path(hounsfield.__file__).parent

SQLITE, UNSYNCED = "PRAGMA synchronous", "not synced"

FULL = 2
"""The value of `PRAGMA synchronous` at which a commit survives."""


@dataclass(frozen=True)
class Event:
    """One step: `kind`, the names that it changed, the file and its content, and where in the code a sync is."""

    kind: str
    names: tuple[tuple[str, str, Node], ...] = ()
    number: int = 0
    content: Content | None = None
    site: str = ""
    line: Any = None


@dataclass
class Recorder:
    """What happens below `base` while installed. `events` in their order; `say` notes an answer among them."""

    base: Path
    events: list[Event] = field(default_factory=list)
    _logs: dict[Path, int] = field(default_factory=dict)
    """Numbers of the logs of SQLite that are not empty."""

    def say(self, line: Any) -> None:
        self._note(Event("say", line=line))

    def _note(self, event: Event) -> None:
        """Add an event, after what SQLite did by itself: a log that is empty or gone is in its file."""
        for log, number in list(self._logs.items()):
            is_there = log.exists() and log.stat().st_ino == number
            if is_there and log.stat().st_size:
                continue
            del self._logs[log]
            file = log.with_name(log.name.removesuffix("-wal"))
            if file.exists():
                self.events.append(Event("sync", number=file.stat().st_ino, content=_content(file)))
            if not is_there:
                self.events.append(Event("names", (self._named(log, None),)))
        self.events.append(event)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        logs = (self.base / "archive" / ".hounsfield").glob("*-wal")
        self._logs = {log: log.stat().st_ino for log in logs if log.stat().st_size}
        with contextlib.ExitStack() as stack:
            for name in ("open", "fsync", "link", "rename", "replace", "unlink", "mkdir", "rmdir"):
                _put(stack, os, name, functools.partial(getattr(self, f"_{name}"), getattr(os, name)))
            _put(stack, io, "open", functools.partial(self._stream, io.open))
            _put(stack, DefaultDialect, "do_commit", self._committing(DefaultDialect.do_commit))
            yield

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(self.base / "archive")

    def _named(self, path: Any, node: Node) -> tuple[str, str, Node]:
        return str(Path(path).parent), Path(path).name, node

    def _made(self, path: Any) -> None:
        number = Path(path).stat().st_ino
        self._note(Event("names", (self._named(path, ("file", number)),), number))

    def _open(self, real: Callable[..., int], path: Any, flags: int, *rest: Any, **named: Any) -> int:
        is_new = bool(flags & os.O_CREAT) and self._is_ours(path) and not Path(path).exists()
        descriptor = real(path, flags, *rest, **named)
        if is_new:
            self._made(path)
        return descriptor

    def _stream(self, real: Callable[..., Any], file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        is_new = bool(set(mode) & set("wxa")) and self._is_ours(file) and not Path(file).exists()
        stream = real(file, mode, *rest, **named)
        if is_new:
            self._made(file)
        return stream

    def _fsync(self, real: Callable[[int], None], descriptor: int) -> None:
        real(descriptor)
        path, found = Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor)
        if not self._is_ours(path) and path != self.base:
            return
        if stat.S_ISDIR(found.st_mode):
            self._note(Event("sync folder", ((str(path), "", None),), site=_site(self._role(path))))
        else:
            self._note(Event("sync", number=found.st_ino, content=_content(path), site=_site("file")))

    def _role(self, path: Path) -> str:
        """What kind of folder of an archive it is."""
        parts = path.parts[len(self.base.parts) :]
        if not parts:
            return "above"
        if len(parts) > 1 and parts[1] == ".hounsfield":
            return "private"
        return ("root", "study", "series")[len(parts) - 1]

    def _link(self, real: Callable[..., None], source: Any, target: Any) -> None:
        real(source, target)
        self._moved(target)

    def _moved(self, target: Any, source: Any = None) -> None:
        number = Path(target).stat().st_ino
        names = (self._named(target, ("file", number)),)
        if source is not None:
            names = (self._named(source, None), *names)  # type: ignore[assignment]
        self._note(Event("names", names, number, _content(Path(target))))

    def _rename(self, real: Callable[..., None], source: Any, target: Any) -> None:
        real(source, target)
        self._moved(target, source)

    _replace = _rename

    def _unlink(self, real: Callable[..., None], path: Any, **named: Any) -> None:
        real(path, **named)
        if self._is_ours(path):
            self._note(Event("names", (self._named(path, None),)))

    _rmdir = _unlink

    def _mkdir(self, real: Callable[..., None], path: Any, *rest: Any, **named: Any) -> None:
        real(path, *rest, **named)
        if self._is_ours(path):
            self._note(Event("names", (self._named(path, ("folder", 0)),)))

    def _committing(self, real: Callable[..., None]) -> Callable[..., None]:
        def commit(dialect: Any, connection: Any) -> None:
            real(dialect, connection)
            file = connection.execute("PRAGMA database_list").fetchall()[0][2]
            synced = connection.execute("PRAGMA synchronous").fetchall()[0][0] >= FULL
            if self._is_ours(file):
                self._committed(Path(file), synced)

        return commit

    def _committed(self, file: Path, synced: bool) -> None:
        site = SQLITE if synced else UNSYNCED
        for path in (file, file.with_name(file.name + "-wal")):
            if not path.exists():
                continue
            number = path.stat().st_ino
            names = (self._named(path, ("file", number)),)
            if path != file and path.stat().st_size and self._logs.get(path) != number:
                # SQLite syncs the folder of a log with its first bytes.
                self._note(Event("names", names, number))
                self._note(Event("sync folder", ((str(path.parent), "", None),), site=site))
                self._logs[path] = number
            self._note(Event("commit", names, number, _content(path), site))


def _site(role: str) -> str:
    """Where in the package's code a sync is, and of what."""
    frame: Any = sys._getframe(1)
    while True:
        file, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if file.is_relative_to(PACKAGE) and (file.name, name) not in PASSED:
            return f"{file.relative_to(PACKAGE)}:{frame.f_lineno} {role}"
        frame = frame.f_back


def _content(path: Path) -> Content:
    names = sorted(name for name in os.listxattr(path) if name.startswith("user."))
    return path.read_bytes(), tuple((name, os.getxattr(path, name)) for name in names)


def _put(stack: contextlib.ExitStack, module: Any, name: str, value: Any) -> None:
    stack.callback(setattr, module, name, getattr(module, name))
    setattr(module, name, value)


@dataclass
class Disk:
    """What lasts of a trace, `without` the syncs at some sites."""

    base: Path
    without: frozenset[str] = frozenset()
    names: dict[tuple[str, str], Node] = field(default_factory=dict)
    contents: dict[int, Content] = field(default_factory=dict)
    pending: list[tuple[tuple[str, str, Node], ...]] = field(default_factory=list)
    latest: dict[int, Content] = field(default_factory=dict)

    def remember(self) -> None:
        """All of the archive that is there now has been there for long."""
        if (self.base / "archive").exists():
            self.names[str(self.base), "archive"] = ("folder", 0)
        for folder, folders, files in os.walk(self.base / "archive"):
            for name in folders:
                self.names[folder, name] = ("folder", 0)
            for name in files:
                path = Path(folder, name)
                number = path.stat().st_ino
                self.names[folder, name] = ("file", number)
                self.contents[number] = self.latest[number] = _content(path)

    def take(self, event: Event) -> None:
        is_kept = event.site not in self.without | {UNSYNCED}
        if event.content is not None:
            self.latest[event.number] = event.content
        elif event.number:
            self.latest[event.number] = self.contents[event.number] = (b"", ())
        if event.kind == "names":
            self.pending.append(event.names)
        elif event.kind == "sync folder" and is_kept:
            folder = event.names[0][0]
            synced = [names for names in self.pending if any(each[0] == folder for each in names)]
            self.pending = [names for names in self.pending if names not in synced]
            self._apply(self.names, synced)
        elif event.kind == "sync" and is_kept and event.content is not None:
            self.contents[event.number] = event.content
        elif event.kind == "commit":
            # The name of a file that it made, SQLite syncs itself.
            for folder, name, node in event.names:
                self.names.setdefault((folder, name), node)
            self.contents.setdefault(event.number, (b"", ()))
            if is_kept and event.content is not None:
                self.contents[event.number] = event.content

    @staticmethod
    def _apply(names: dict[tuple[str, str], Node], changes: list[tuple[tuple[str, str, Node], ...]]) -> None:
        for change in changes:
            for folder, name, node in change:
                names[folder, name] = node

    def states(self, dice: random.Random) -> Iterator[State]:
        """What may be there now; each state once."""
        seen: set[int] = set()
        count = len(self.pending)
        choices = [[], list(range(count))]
        choices += [[number for number in range(count) if number != left] for left in range(count)]
        choices += [[number] for number in range(count)]
        choices += [
            sorted(dice.sample(range(count), dice.randrange(count + 1))) for _ in range(4 if count else 0)
        ]
        for choice in choices:
            names = dict(self.names)
            self._apply(names, [self.pending[number] for number in choice])
            for contents in (self.contents, self.latest):
                tree = self._tree(names, contents)
                mark = hash(tuple(sorted(tree.items())))
                if mark not in seen:
                    seen.add(mark)
                    yield tree

    def _tree(self, names: dict[tuple[str, str], Node], contents: dict[int, Content]) -> State:
        tree: State = {}
        folders = [str(self.base)]
        for folder in folders:
            for (above, name), node in names.items():
                if above != folder or node is None:
                    continue
                path = f"{folder}/{name}"
                if node[0] == "folder":
                    folders.append(path)
                    tree[path] = None
                elif not name.endswith("-shm"):
                    tree[path] = node[1], contents[node[1]]
        return tree


def write(tree: State) -> None:
    """Make a state of names and contents so."""
    made: dict[int, str] = {}
    for path, file in tree.items():
        if file is None:
            Path(path).mkdir(parents=True, exist_ok=True)
        elif file[0] in made:
            os.link(made[file[0]], path)
        else:
            number, (content, attributes) = file
            made[number] = path
            Path(path).write_bytes(content)
            for name, value in attributes:
                os.setxattr(path, name, value)
