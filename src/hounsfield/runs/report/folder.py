"""A folder of outputs with its ledger, the previews beside it, and the summaries made from both."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hounsfield.errors import LocationError
from hounsfield.formats import sidecars_of
from hounsfield.formats.buckets import is_address, size_of
from hounsfield.outputs import remove_partials
from hounsfield.runs import LEDGER_NAME, STARTED, Place, Record, Status, open_ledger, read_ledger
from hounsfield.runs.ledger import append_lines, appending
from hounsfield.runs.place import is_still_there
from hounsfield.runs.report.page import PAGE_NAME, write_pages
from hounsfield.runs.report.table import TABLE_NAME, write_table

PREVIEWS_NAME = "hounsfield-previews.jsonl"
SUMMARY_NAMES = (TABLE_NAME, PAGE_NAME, PREVIEWS_NAME)
"""Names of files beside a ledger, so that no output is called so."""


@contextmanager
def open_place(
    folder: str | Path, *, ledger: Path | None = None, force: bool = False, content: bool = False
) -> Iterator[Place]:
    """A folder to put outputs in, for as long as the block runs; summaries are written when it ends, however.

    `ledger`: where the ledger and the summaries go when that is not `folder` itself; for a bucket (`s3://…`) it must
    be given. What an earlier run left half-written under hidden names is removed. Raises `LocationError` where
    another run holds the ledger.
    """
    address = str(folder).rstrip("/") if is_address(folder) else None
    if address is not None and ledger is None:
        raise LocationError(
            "a bucket cannot hold the ledger, which is appended to",
            where=address,
            remedy="give --ledger a path",
        )
    here = Path(folder).absolute()
    if address is None and here.exists() and not here.is_dir():
        raise LocationError("is no folder", where=str(folder), remedy="give another name")
    path = here / LEDGER_NAME if ledger is None else ledger.absolute()
    beside = path.parent
    made = [place for place in (beside, path, beside / PREVIEWS_NAME) if not place.exists()]
    with open_ledger(path) as opened, appending(beside / PREVIEWS_NAME) as previews:
        place = Place(
            address or str(here),
            opened,
            functools.partial(_keep, previews, beside / PREVIEWS_NAME),
            functools.partial(is_still_there, here)
            if address is None
            else functools.partial(_is_in, address),
            force,
            content,
            beside / PAGE_NAME,
        )
        try:
            _clean(place)
            yield place
        finally:
            _clean(place)
            if opened.latest:
                write_summaries(beside, ledger=path)
                made = [beside / PREVIEWS_NAME] if not os.fstat(previews).st_size else []
            _remove_empty(made)


def _remove_empty(made: list[Path]) -> None:
    """Remove what was made and not needed: nothing to do, nothing to show."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def write_summaries(folder: Path, *, ledger: Path | None = None) -> None:
    """Write the table and the pages of the ledger in `folder`, as it stands."""
    latest: dict[str, Record] = {}
    for record in read_ledger(ledger or folder / LEDGER_NAME):
        before = latest.get(record.key)
        # A line "started" is short; what was known of the series before stays readable.
        latest[record.key] = record if record.status != STARTED or before is None else before
    records = list(latest.values())
    write_table(records, folder / TABLE_NAME)
    write_pages(records, _Previews(folder / PREVIEWS_NAME), folder)


def _keep(descriptor: int, path: Path, key: str, shown: Mapping[str, Any]) -> None:
    # Not synced: what a crash takes of it is a picture, not the truth.
    append_lines(descriptor, path, [{"key": key, **shown}], sync=False)


class _Previews:
    """Previews by key, found by their place in the file: thumbnails of a hundred thousand series stay on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, int] = {}
        if not path.exists():
            return
        with path.open("rb") as stream:
            place = 0
            for line in stream:
                key = _line(line).get("key")
                if key is not None:
                    self.places[str(key)] = place
                place += len(line)

    def __call__(self, key: str) -> Mapping[str, Any]:
        if key not in self.places:
            return {}
        with self.path.open("rb") as stream:
            stream.seek(self.places[key])
            return _line(stream.readline())


def _line(line: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _is_in(address: str, record: Record) -> bool:
    return size_of(f"{address}/{record.output}") == record.bytes


def _clean(place: Place) -> None:
    """Remove what killed writers left of outputs that are not made, and of the summaries."""
    if is_address(place.folder):
        return
    begun = {
        record.output for record in place.ledger.latest.values() if record.status in (STARTED, Status.FAILED)
    }
    outputs = [Path(place.folder, name) for name in begun if name]
    outputs += [each for path in outputs for each in sidecars_of(path)]
    outputs += [Path(place.folder, name) for name in (TABLE_NAME, PAGE_NAME)]
    for folder in {path.parent for path in outputs}:
        remove_partials(folder, {path.name for path in outputs if path.parent == folder})
