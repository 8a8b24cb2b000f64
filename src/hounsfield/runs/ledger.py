"""The ledger of a folder of outputs: the result of every series, one JSON object a line, appended and never rewritten.

Not a log and not a lock on the work: it is what a second run reads to know what is left to do, and what a person or a
program reads to know what was done. The last line of a key is the truth about it. A line reaches the disk before the
next begins; a last line torn by a crash is passed over and counts for nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs.locking import lock
from hounsfield.outputs.results import WORDS, Result, Status

LEDGER_NAME = "hounsfield.jsonl"
FILE_LEDGER_NAME = "hounsfield-files.jsonl"
"""Of a backup of files that were compressed in place: a line for each (`hounsfield.verbs.compress.file_ledger`)."""

STARTED = "started"
"""The status of a line that is written before the work; every other is a `Status`."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line: the result of one series, or of one phase of it.

    - `status`: `STARTED`, or a `Status`: done, skipped or failed
    - `key`: verb, Series Instance UID, part and phase: what a second run knows the series by
    - `phase_name`: what a person calls the phase, where there are several
    - `source`: where it was read from; `digest`: what it was then (`hounsfield.runs.digest`)
    - `output`: below the ledger's folder where it is there, else a path or address; `bytes` of it
    - `counts`: voxels padded, clamped, saturated, rounded; of a verb over files, files; `seconds` the work took
    - `facts`: what else a verb tells; `files`: of a series that becomes many files, each file's state (`batch.marks`)
    - `reason`: why not, where it was not made; `time`: when this was written, UTC
    """

    key: str
    status: str
    verb: str = ""
    series: str = ""
    uid: str = ""
    part: str = ""
    phase: int = 0
    phase_name: str = ""
    source: str = ""
    digest: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    output: str = ""
    bytes: int = 0
    verdict: str = ""
    shape: tuple[int, ...] = ()
    unit: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: str = ""
    seconds: float = 0.0
    time: str = ""

    @property
    def uid_and_part(self) -> str:
        """Return what tells series apart, whatever was done with them."""
        return f"{self.uid}#{self.part}"

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Record:
        """Of a line's object; what this version does not know is passed over. Raises `KeyError` without a key."""
        known = {name: line[name] for name in _NAMES if name in line}
        for name in ("shape", "warnings"):
            known[name] = tuple(known.get(name, ()))
        status = line["status"]
        return cls(**{**known, "key": line["key"], "status": str(WORDS["series"].get(status, status))})

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value or name in ("key", "status")}

    def result(self, *, kept: bool = False) -> Result:
        """As a result, whose facts are this record's; `kept` (a fact too) where it stands from an earlier run."""
        status = Status.UNCHANGED if kept and self.status == Status.DONE else Status(self.status)
        known = {name: getattr(self, name) for name in _NAMES - _OF_A_RESULT}
        facts = {**known, **self.facts, "kept": kept}
        return Result(self.series, status, self.reason, self.output, self.bytes, facts)


_NAMES = frozenset(item.name for item in fields(Record))
_OF_A_RESULT = frozenset({"status", "reason", "output", "bytes", "facts"})


def fields_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as fields of a `Record`; those that are none of its own are its `facts`."""
    known = {name: value for name, value in facts.items() if name in _NAMES}
    others = {name: value for name, value in facts.items() if name not in _NAMES}
    return {**known, **({"facts": others} if others else {})}


class Ledger:
    """An open ledger, this process the only writer. `latest` is the last line of each key."""

    def __init__(self, path: Path, descriptor: int, latest: dict[str, Record]) -> None:
        self.path = path
        self.latest = latest
        self._descriptor = descriptor

    def append(self, *records: Record) -> None:
        """Write and sync whole lines; `LocationError` where they cannot all be kept, and then none is."""
        if not records:
            return
        append_lines(self._descriptor, self.path, [record.to_json() for record in records])
        for record in records:
            self.latest[record.key] = record


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """The ledger at `path`, made if need be, held while the block runs.

    Raises `LocationError` where it cannot be written or another run holds it.
    """
    with appending(path) as descriptor:
        latest = {record.key: record for record in read_ledger(path)}
        yield Ledger(path, descriptor, latest)


@contextmanager
def appending(path: Path) -> Iterator[int]:
    """A descriptor to append to `path`, locked against other writers, a torn last line closed off."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        hold(descriptor, path, "wait for it, or give another OUT")
        size = os.fstat(descriptor).st_size
        os.lseek(descriptor, max(size - 1, 0), os.SEEK_SET)
        if size and os.read(descriptor, 1) != b"\n":
            os.write(descriptor, b"\n")
        yield descriptor
    finally:
        os.close(descriptor)


def append_lines(descriptor: int, path: Path, lines: list[Mapping[str, Any]], *, sync: bool = True) -> None:
    """Append one JSON object a line and sync; all of them or, where the disk is full, none."""
    text = "".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines)
    content = text.encode("utf-8", "backslashreplace")
    before = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, content[written:])
        if sync:
            os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise _not_written(path, error) from error


def read_ledger(path: Path) -> Iterator[Record]:
    """Every line of a ledger in the order of writing; a line that is no record (torn by a crash) is passed over."""
    for line in read_lines(path):
        with contextlib.suppress(KeyError, TypeError):
            yield Record.from_json(line)


def read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Every whole JSON object of a file of lines; nothing where there is no file."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocationError(
            say("cannot be read: {strerror}", strerror=error.strerror), where=str(path)
        ) from error
    with stream:
        for line in stream:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record


def hold(descriptor: int, path: Path, remedy: str) -> None:
    """Lock an open file or folder against other runs; `LocationError` where one holds it.

    On Windows two runs into one folder are the user's to avoid.
    """
    try:
        lock(descriptor)
    except BlockingIOError as error:
        raise LocationError("another run is writing it", where=str(path), remedy=remedy) from error
    except OSError:
        # A file system without locks (some NFS): as on Windows.
        return


def _not_written(path: Path, error: OSError) -> LocationError:
    return LocationError(
        say("cannot be written: {strerror}", strerror=error.strerror),
        where=str(path),
        remedy="check the folder, its permissions and the free space; then run again",
    )
