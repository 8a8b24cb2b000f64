"""Origins of a copy, series by series: any location.

One that lists series is asked for their instances only where that is needed: what goes to an empty destination need
not be listed. Of any other every header is read, to know what belongs together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from hounsfield.ct.instance import Skipped, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations import Delivered, ListedSeries, Location, SeriesSource
from hounsfield.locations.headers import read_headers
from hounsfield.runs import Result, Status
from hounsfield.runs.digest import content_digest, folder_of, identity, size_of_source


@dataclass(frozen=True, slots=True)
class SeriesTask:
    """One series to copy; `count` is how many instances are expected, 0 when nobody said. `name` is for people.

    `sources` by SOP Instance UID, where they were listed.
    """

    study: str
    series: str
    count: int = 0
    sources: tuple[tuple[str, Source], ...] = field(default=(), repr=False)
    name: str = ""
    address: str = ""

    def listed(self) -> ListedSeries:
        return ListedSeries(self.study, self.series, self.count, self.name, self.address)


@dataclass(frozen=True, slots=True)
class Origin:
    """A location as the beginning of a copy; `transfer_syntax` is what it is asked to send, "*" as stored."""

    place: Location
    transfer_syntax: str = "*"

    def __post_init__(self) -> None:
        if self.transfer_syntax != "*" and not isinstance(self.place, SeriesSource):
            raise LocationError(
                "only a server can be asked for a transfer syntax", where=self.place.name, remedy="use --to"
            )

    def tasks(self, skipped: list[Skipped]) -> Iterator[SeriesTask]:
        """Every series; what is no instance goes to `skipped`."""
        if isinstance(self.place, SeriesSource):
            for listed in self.place.series():
                yield SeriesTask(
                    listed.study, listed.series, listed.count, name=listed.name, address=listed.address
                )
        else:
            yield from _grouped(self.place, skipped)

    def instances(self, task: SeriesTask) -> list[str]:
        """The SOP Instance UIDs of a series."""
        if isinstance(self.place, SeriesSource):
            return self.place.instances(task.listed())
        return [uid for uid, _ in task.sources]

    def digest(self, task: SeriesTask, uids: Sequence[str], *, content: bool) -> str:
        """Return what the series is now, in hexadecimal, without reading pixels unless `content`; of a server, its
        UIDs.

        Raises `LocationError` where it is gone.
        """
        if isinstance(self.place, SeriesSource):
            return _short(uids)
        facts = (
            (uid, content_digest(source) if content else identity(source))
            for uid, source in sorted(task.sources, key=lambda each: each[0])
        )
        return _short(chain.from_iterable(facts))

    def address(self, task: SeriesTask) -> str:
        """Return where the series is, for the ledger."""
        return task.address or folder_of(task.sources[0][1].name)

    def deliver(
        self, task: SeriesTask, wanted: set[str] | None, folder: Path, *, singly: bool = False
    ) -> Iterator[Delivered | Result]:
        """Those wanted (None: all), in any order, new files in `folder`; a `Result` for what came and is not fit.

        `singly`: each by itself, so that one that cannot be had is a `Result` and keeps no other back. Raises where the
        transfer breaks.
        """
        if not isinstance(self.place, SeriesSource):
            for uid, source in task.sources:
                if wanted is None or uid in wanted:
                    yield Delivered(task.study, task.series, uid, source, size_of_source(source))
        elif singly and wanted is not None:
            yield from self._singly(task, wanted, folder)
        else:
            yield from self._retrieved(task, wanted, folder)

    def _retrieved(
        self, task: SeriesTask, wanted: Collection[str] | None, folder: Path
    ) -> Iterator[Delivered | Result]:
        assert isinstance(self.place, SeriesSource)
        found = self.place.retrieve(
            task.listed(), wanted, folder=folder, transfer_syntax=self.transfer_syntax
        )
        for each in found:
            yield Result(each.name, Status.FAILED, each.reason) if isinstance(each, Skipped) else each

    def _singly(self, task: SeriesTask, wanted: set[str], folder: Path) -> Iterator[Delivered | Result]:
        cut: HounsfieldError | None = None
        for uid in sorted(wanted):
            try:
                for each in self._retrieved(task, (uid,), folder):
                    # What comes in place of the one that was asked for is not reported twice.
                    if isinstance(each, Delivered) or each.unit == uid:
                        yield each
            except HounsfieldError as error:
                if error.data.get("truncated"):
                    cut = error
                else:
                    yield Result(uid, Status.FAILED, str(error))
        if cut is not None:
            raise cut


def _grouped(place: Location, skipped: list[Skipped]) -> Iterator[SeriesTask]:
    found: dict[tuple[str, str], dict[str, Source]] = {}
    names: dict[tuple[str, str], str] = {}
    for instance in read_headers(place.sources(), skipped):
        source, header = instance.source, instance.header
        study, series, uid = (header.text(f"{each}InstanceUID") for each in ("Study", "Series", "SOP"))
        if not (is_uid(study) and is_uid(series) and is_uid(uid)):
            skipped.append(Skipped(source.name, "no study, series or SOP Instance UID"))
        elif found.setdefault((study, series), {}).setdefault(uid, source) is not source:
            skipped.append(Skipped(source.name, say("a second file of {uid}; the first was taken", uid=uid)))
        else:
            words = (header.text("SeriesNumber"), header.text("SeriesDescription"))
            names.setdefault((study, series), " ".join(filter(None, words)))
    for key, sources in found.items():
        yield SeriesTask(*key, len(sources), tuple(sources.items()), names[key])


def _short(words: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for word in words:
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()
