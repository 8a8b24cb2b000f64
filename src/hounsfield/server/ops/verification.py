"""A check of every instance of an archive against its digest: resumed where it was stopped, at a rate that one sets.

Runs beside a server or without one. It reads and never changes an instance; what came before there were digests gets
one, and a digest of the index that the file's own contradicts is put right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hounsfield.errors import DamagedError, HounsfieldError, LocationError
from hounsfield.outputs import whole_file
from hounsfield.outputs.locking import lock
from hounsfield.runs import Pace
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index import Entry
from hounsfield.server.archive.integrity import DAMAGED, digest_of

SIDE_BY_SIDE = 4
"""Instances that are read at once."""

BATCH = 64
"""Instances between two notes of how far it came."""

Problem = Literal["other bytes", "gone", "header", "unreadable"]
"""Kinds of damage: another SHA-256, no bytes at all, the header in the index, or a place that cannot be read."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One instance that is not as it was stored, where its bytes are, and what was found."""

    study: str
    series: str
    instance: str
    where: str
    problem: Problem
    found: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification, and its checkpoint.

    `begun` and `ended` in s since 1970, `last` the number of the instance it came to; `instances` and `bytes` read,
    `noted` that got a digest now, `mended` whose digest in the index was wrong, `owned` that are others' and have none.
    """

    begun: float
    last: int = 0
    instances: int = 0
    bytes: int = 0
    noted: int = 0
    mended: int = 0
    owned: int = 0
    damaged: tuple[Damage, ...] = ()
    ended: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def stopped(cls, path: Path) -> Verified | None:
        """The check that was stopped before its end, if there was one."""
        found = cls.from_file(path)
        return found if found is not None and found.ended is None else None

    @classmethod
    def from_file(cls, path: Path) -> Verified | None:
        """Return the checkpoint of a file; None where there is nothing that can be read."""
        try:
            content = json.loads(path.read_text("utf-8"))
            damaged = tuple(Damage(**each) for each in content.pop("damaged"))
            return cls(**content, damaged=damaged)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def verify(
    archive: Archive,
    record: Path,
    *,
    pace: Pace | None = None,
    restart: bool = False,
    progress: Callable[[Verified], object] = lambda _: None,
) -> Verified:
    """Check every instance; `record` is where it is written how far it came, and in the end what came of it.

    An interrupted verification is resumed, unless `restart`. `progress` is called after each batch.
    Raises `IndexUnavailable`, and `LocationError` for a record that cannot be written.
    """
    with _alone(record):
        begun = (None if restart else Verified.stopped(record)) or Verified(time.time())
        state = begun
        for state in _states(archive, begun, pace or Pace()):
            _write(record, state)
            progress(state)
        state = replace(state, ended=time.time())
        _write(record, state)
    return state


def _states(archive: Archive, state: Verified, pace: Pace) -> Iterator[Verified]:
    """Yield the state after each batch."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    try:
        while batch := archive.index.after(state.last, BATCH):
            seen = pool.map(lambda entry: _check(archive, entry, pace), batch)
            for entry, each in zip(batch, seen, strict=True):
                state = _added(state, entry, each)
            archive.digests.flush()
            yield state
    finally:
        pace.stop()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _alone(record: Path) -> Iterator[None]:
    """Be the one check of an archive. Raises `LocationError` where another one is at work."""
    with record.with_suffix(".lock").open("a") as stream:
        try:
            lock(stream)
        except BlockingIOError as error:
            raise LocationError(
                "another check of this archive is running",
                where=str(record.parent.parent),
                remedy="wait for its end",
            ) from error
        yield


@dataclass(frozen=True, slots=True)
class _Seen:
    size: int = 0
    noted: bool = False
    mended: bool = False
    owned: bool = False
    damage: Damage | None = None


def _check(archive: Archive, entry: Entry, pace: Pace) -> _Seen:
    if not archive.store.owns(entry.key):
        return _Seen(owned=True)

    def damage(problem: Problem, found: str, size: int = 0) -> _Seen:
        now = archive.index.after(entry.number - 1, 1)
        if not now or (now[0].number, now[0].key) != (entry.number, entry.key):
            return _Seen(size)  # removed or replaced since the batch was read
        where = archive.store.source(entry.key).name
        return _Seen(size, damage=Damage(entry.study, entry.series, entry.instance, where, problem, found))

    try:
        archive.index.check_header(entry)
        digest, size = digest_of(archive.store.source(entry.key), paced=pace.wait)
        seal = archive.store.seal(entry.key)
    except DamagedError as error:
        return damage("header", error.found)
    except HounsfieldError as error:
        gone = archive.store.size(entry.key) is None
        return damage("gone" if gone else "unreadable", error.found)
    known = {each for each in (entry.sha256, seal.sha256 if seal else None) if each is not None}
    if known and digest.sha256 not in known:
        return damage("other bytes", f"SHA-256 {digest.sha256.hex()}, {size} bytes", size)
    if entry.blocks == DAMAGED:
        return damage("header", "it was indexed while it was damaged; serve --reindex reads it again", size)
    wrong = (entry.sha256, entry.blocks) != (digest.sha256, digest.blocks)
    if wrong:
        archive.digests.add(entry, digest, size)
    if seal != digest.seal:
        archive.store.note_seal(entry.key, digest.seal)
    return _Seen(size, noted=wrong and entry.blocks is None, mended=wrong and entry.blocks is not None)


def _added(state: Verified, entry: Entry, seen: _Seen) -> Verified:
    return replace(
        state,
        last=entry.number,
        instances=state.instances + (not seen.owned),
        bytes=state.bytes + seen.size,
        noted=state.noted + seen.noted,
        mended=state.mended + seen.mended,
        owned=state.owned + seen.owned,
        damaged=(*state.damaged, *([seen.damage] if seen.damage is not None else [])),
    )


def _write(path: Path, state: Verified) -> None:
    with whole_file(path, force=True) as temporary:
        temporary.write_text(json.dumps(state.to_json()), "utf-8")
