"""Series whose outputs are files, one for each of their own: which files are to be done, and a record for each series.

A file is the unit of work, so that one large series keeps all workers busy; a series is the unit of the ledger. Its
line "started" is on disk before work on it begins, its last once all its files are settled. Of a series that was
stopped, changed or failed, only the files that need it are done again. Knows no verb: a `FileVerb` brings it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from hounsfield.ct.instance import Source
from hounsfield.outputs.results import Result, Status
from hounsfield.runs.ledger import STARTED, Record
from hounsfield.runs.marks import STALE, Mark, absent, mark_of, packed, place_of, unpacked
from hounsfield.runs.place import Place, plain, versions

LOT_FILES, LOT_SECONDS = 64, 1.0
"""Files of small series that begin and end with one line's wait for the disk, and how long the first may wait."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be: `output` below the place, `state` what the source is now, `size` its bytes if they are known."""

    source: Source
    output: str
    state: bytes = b""
    size: int = 0


@dataclass(frozen=True)
class FileSeries:
    """A series for the ledger: `key` for the next run, `name` for people, `output` the folder of its files."""

    key: str
    name: str
    uid: str
    source: str
    digest: str
    output: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A piece that is to be done. `replace`: what is at its place is ours, and no longer right."""

    piece: Piece
    replace: bool = False


class FileVerb(Protocol):
    """The verb over files, as the plan needs it. `options` decide what the outputs hold."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> Mapping[str, Any]: ...

    def standing(self, pieces: Sequence[tuple[Piece, str]], before: Record) -> Iterable[Result]:
        """Of files that an earlier run settled: made, or left out for this reason; `before` is their record."""

    def reason(self, result: Result) -> str:
        """The reason as the ledger may give it."""

    def alias(self, piece: Piece) -> str:
        """Return what the ledger calls a file by itself."""

    def describe(
        self, series: FileSeries, results: Sequence[Result], before: Record | None
    ) -> Mapping[str, Any]:
        """Fields of the series' record: counts, facts, warnings, reason."""

    def preview(self, piece: Piece) -> Mapping[str, Any]:
        """Return what the report shows of a file that was made; nothing where there is nothing to see."""


@dataclass
class _Begun:
    """A series under way; `marks` is what its record will say of each file."""

    series: FileSeries
    before: Record | None
    marks: dict[bytes, Mark]
    steps: list[Step] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    written: list[Piece] = field(default_factory=list)
    left: int = 0
    made: int = 0
    failed: int = 0
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)


class FilePlan:
    """The files of many series, and `others`, which belong to none. `on_series` gets each series as it is settled."""

    def __init__(
        self,
        series: Iterable[FileSeries],
        others: Iterable[Piece],
        verb: FileVerb,
        place: Place,
        on_series: Callable[[Result], None] = lambda result: None,
    ) -> None:
        self.series, self.others = series, others
        self.verb = verb
        self.place = place
        self.on_series = on_series
        self.options = plain(verb.options)
        self._under_way: dict[str, tuple[_Begun | None, Piece]] = {}
        self._begun: dict[str, _Begun] = {}
        self._standing: list[Iterable[Result]] = []
        self._ended: list[Record] = []
        self._ended_files, self._ended_since = 0, 0.0

    def jobs(self) -> Iterator[Step]:
        """Yield what is to be done, series after series; then `others`, which belong to none."""
        for lot in self._lots(self.series):
            # On disk before work on any of them begins; a lot at a time, since each append waits for the disk.
            self.place.ledger.append(*map(self._started, lot))
            for begun in lot:
                self._begun[begun.series.key] = begun
                if not begun.steps:
                    self._end(begun)
                for step in begun.steps:
                    self._under_way[step.piece.output] = begun, step.piece
                    yield step
        for piece in self.others:
            self._under_way[piece.output] = None, piece
            yield Step(piece)

    def standing(self) -> Iterator[Result]:
        """Return what earlier runs settled, as far as it is known by now; each once."""
        found, self._standing = self._standing, []
        return chain.from_iterable(found)

    def settle(self, key: str, result: Result) -> Iterator[Result]:
        """Take the result of the step whose piece has this output."""
        begun, piece = self._under_way.pop(key)
        self._settle_alone(piece, result, in_series=begun is not None)
        if begun is not None:
            begun.results.append(result)
            begun.left -= 1
            self._mark(begun, piece, result)
            if not begun.left:
                self._end(begun)
        yield result

    def close(self) -> None:
        """End what cannot go on: a series with a failure that was not gone through says so; others stay begun."""
        for begun in list(self._begun.values()):
            if begun.failed:
                self._end(begun)
        self._flush()

    def _lots(self, series: Iterable[FileSeries]) -> Iterator[list[_Begun]]:
        """The series that are not done, small ones together."""
        lot: list[_Begun] = []
        for each in series:
            begun = self._planned(each)
            if begun is not None:
                lot.append(begun)
            if sum(max(1, len(item.steps)) for item in lot) >= LOT_FILES:
                yield lot
                lot = []
        if lot:
            yield lot

    def _planned(self, series: FileSeries) -> _Begun | None:
        """Return what is to be done of a series; None where it stands as it was recorded."""
        before = self.place.ledger.latest.get(series.key)
        same = before is not None and dict(before.options) == self.options
        known = unpacked(before.files) if before is not None else {}
        begun: _Begun = _Begun(series, before, _carried(known, same))
        reasons = tuple(before.facts.get("left_out", ())) if before is not None else ()
        stood: list[tuple[Piece, str]] = []
        for piece in series.pieces:
            mark = known.get(place_of(piece.output))
            reason = self._why_it_stands(piece, mark, reasons) if same and mark else None
            if reason is None:
                self._plan(begun, piece, mark if same else mark and STALE)
            else:
                stood.append((piece, reason))
        if before is not None and _is_settled(before, series) and not begun.steps:
            self._standing.append(self.verb.standing(stood, before))
            self.on_series(before.result(kept=True))
            return None
        if before is not None and stood:
            begun.results += self.verb.standing(stood, before)
            self._standing.append(tuple(begun.results))
        begun.left = len(begun.steps)
        begun.made = sum(not reason for _, reason in stood)
        begun.bytes = sum(self._size(piece) or 0 for piece, reason in stood if not reason)
        return begun

    def _why_it_stands(self, piece: Piece, mark: Mark, reasons: Iterable[str]) -> str | None:
        """Nothing where the output is there as it was recorded, the reason where it was left out; None: neither."""
        if self.place.force:
            return None
        if mark.size and mark == mark_of(piece.state, self._size(piece) or 0):
            return ""
        return next((reason for reason in reasons if mark == absent(piece.state, reason)), None)

    def _plan(self, begun: _Begun, piece: Piece, mark: Mark | None) -> None:
        is_there = self._size(piece) is not None
        # Made from this state, but perhaps not to its end: the verb looks whether it is whole.
        in_doubt = mark is not None and mark == mark_of(piece.state)
        ours = self.place.force or (mark is not None and not in_doubt)
        begun.steps.append(Step(piece, replace=is_there and ours))
        place = place_of(piece.output)
        if is_there and ours:
            begun.marks[place] = STALE
        elif not is_there or in_doubt:
            begun.marks[place] = mark_of(piece.state)

    def _mark(self, begun: _Begun, piece: Piece, result: Result) -> None:
        place = place_of(piece.output)
        if result.is_there:
            size = self._size(piece) or 0
            begun.marks[place] = mark_of(piece.state, size)
            begun.made += 1
            begun.bytes += size
            begun.written.append(piece)
        elif result.status == Status.SKIPPED:
            begun.marks[place] = absent(piece.state, self.verb.reason(result))
        else:
            begun.failed += 1
            if begun.marks.get(place) != STALE:
                begun.marks.pop(place, None)

    def _end(self, begun: _Begun) -> None:
        del self._begun[begun.series.key]
        failed = begun.failed or begun.left
        status = Status.FAILED if failed else Status.DONE if begun.made else Status.SKIPPED
        described = dict(self.verb.describe(begun.series, begun.results, begun.before))
        if begun.left:
            described["reason"] = f"{described['reason']}; {begun.left} not begun"
        record = replace(
            self._record(begun.series, status, begun.marks),
            bytes=begun.bytes,
            versions=versions(),
            seconds=round(time.monotonic() - begun.began, 3),
            **described,
        )
        piece = _middle(begun) if status == Status.DONE else None
        if piece is not None and (shown := self.verb.preview(piece)):
            self.place.keep_preview(record.key, shown)
        self._note(record, len(begun.series.pieces))

    def _started(self, begun: _Begun) -> Record:
        facts = {} if begun.before is None else begun.before.facts
        return replace(self._record(begun.series, STARTED, begun.marks), facts=facts)

    def _record(self, series: FileSeries, status: str, marks: Mapping[bytes, Mark]) -> Record:
        return Record(
            key=series.key,
            status=status,
            verb=self.verb.name,
            series=series.name,
            uid=series.uid,
            source=series.source,
            digest=series.digest,
            options=self.options,
            output=series.output,
            files=packed(marks),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _settle_alone(self, piece: Piece, result: Result, *, in_series: bool) -> None:
        """A file that belongs to no series has a line of its own if it fails, and one more when it no longer does."""
        status = Status.DONE if result.is_there else Status.FAILED if result.has_failed else result.status
        alias = self.verb.alias(piece)
        key = f"{self.verb.name} file {alias}"
        before = self.place.ledger.latest.get(key)
        had_failed = before is not None and before.status == Status.FAILED
        if in_series if status == Status.FAILED else not had_failed:
            return
        record = Record(
            key=key,
            status=status,
            verb=self.verb.name,
            series=alias,
            options=self.options,
            output=piece.output if status == Status.DONE and in_series else "",
            reason=self.verb.reason(result) if status != Status.DONE else "",
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._note(record, 1)

    def _note(self, record: Record, files: int) -> None:
        """Keep a record for the next lot of lines; until then its series counts as begun, which is as good."""
        if not self._ended:
            self._ended_since = time.monotonic()
        self._ended.append(record)
        self._ended_files += files
        if self._ended_files >= LOT_FILES or time.monotonic() - self._ended_since > LOT_SECONDS:
            self._flush()

    def _flush(self) -> None:
        ended, self._ended, self._ended_files = self._ended, [], 0
        self.place.ledger.append(*ended)
        for record in ended:
            self.on_series(record.result())

    def _size(self, piece: Piece) -> int | None:
        """Bytes of the output, None where it is not there."""
        try:
            return Path(self.place.folder, piece.output).stat().st_size
        except OSError:
            return None


def _is_settled(before: Record, series: FileSeries) -> bool:
    return before.status in (Status.DONE, Status.SKIPPED) and before.digest == series.digest


def _middle(begun: _Begun) -> Piece | None:
    """The file that shows a series: the middle one, if this run wrote it. None where an earlier run's stands."""
    written = {piece.output for piece in begun.written}
    made = [piece for piece in begun.series.pieces if _is_made(begun.marks.get(place_of(piece.output)))]
    if made and made[len(made) // 2].output in written:
        return made[len(made) // 2]
    if begun.before is not None and begun.before.status == Status.DONE:
        return None
    mine = [piece for piece in made if piece.output in written]
    return mine[len(mine) // 2] if mine else None


def _is_made(mark: Mark | None) -> bool:
    return mark is not None and mark.size > 0


def _carried(known: Mapping[bytes, Mark], same: bool) -> dict[bytes, Mark]:
    """Of files that this run does not bring: still ours; of other options no longer right."""
    return {place: mark if same else STALE for place, mark in known.items()}
