"""Locations: anything that holds DICOM, and what one can do beyond being read.

`Location` is a must; the other protocols are capabilities that a class declares by having their members. Verbs ask
`isinstance(place, Writable)` and never for a class. The contract classes of `hounsfield.testing` hold an
implementation to these sentences:

- `name` is what a person reads: a path, a URL, a server's name. Stable; a text that `open_location` takes, where
  there is one.
- `sources()` yields every object that may be a DICOM instance, and a `Skipped` with its reason for everything
  else: nothing is left out silently. Whether bytes are DICOM is decided by whoever reads them, not here.
- The order is the natural order of names (`I2` before `I10`) and the same each time; names are unique. A DICOMDIR
  keeps the order of its records, a bucket that of its listing.
- It is lazy: making a location and asking for `sources()` reads nothing; sources come as they are found, and none
  is opened. Any method may be called any number of times, from any threads.
- What cannot be read at all raises `LocationError`, `MalformedError` or `UnsupportedError` while iterating; a part
  that cannot be read is `Skipped`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.queries import Query
from hounsfield.outputs.results import Result

Level = Literal["study", "series", "instance"]


@dataclass(frozen=True, slots=True)
class Found:
    """A match of a search: its attributes as DICOM JSON, and the address of a location that holds it and nothing else.

    The address is the narrowest that `open_location` takes; "" where there is none.
    """

    model: Model = field(repr=False)
    address: str

    def value(self, name: str) -> str:
        return first(self.model, name)


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series in a list: `count` instances as far as the list says, 0 where it does not; `name` is for people."""

    study: str
    series: str
    count: int = 0
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One instance on its way from one location to another, its UIDs known from its bytes.

    `path` is its file where one was made for this transfer, which whoever stores it may move away. `size` in bytes, 0
    where only reading would tell.
    """

    study: str
    series: str
    instance: str
    source: Source
    size: int = 0
    path: Path | None = None

    @property
    def name(self) -> str:
        return self.instance if self.path is not None else self.source.name


@runtime_checkable
class Location(Protocol):
    """Anything that holds DICOM."""

    @property
    def name(self) -> str: ...

    def sources(self) -> Iterator[Source | Skipped]: ...


@runtime_checkable
class Searchable(Location, Protocol):
    """A location that searches by itself, quicker than reading every header would."""

    def search(self, level: Level, query: Query, *, warn: Callable[[str], None]) -> Iterator[Found]:
        """Matches as DICOM JSON, `query.limit` of them at most; `warn` is called with what should be known of them."""


@runtime_checkable
class SeriesSource(Location, Protocol):
    """A location that lists series without their instances, and brings the instances of one together."""

    def series(self) -> Iterator[ListedSeries]:
        """Every series, in the natural order of study and series UIDs."""

    def instances(self, series: ListedSeries) -> list[str]:
        """The SOP Instance UIDs of a series."""

    def retrieve(
        self,
        series: ListedSeries,
        instances: Collection[str] | None = None,
        *,
        folder: Path | None = None,
        transfer_syntax: str = "*",
    ) -> Iterator[Delivered | Skipped]:
        """The `instances` of a series (None: all), in any order: as new files in `folder`, or in memory without one.

        `Skipped` is what came and is not what was asked for. `transfer_syntax` is a UID or keyword, "*" as stored.
        Raises where the transfer breaks; what came whole before counts.
        """


@runtime_checkable
class Writable(Location, Protocol):
    """A location that instances are written to. One is stored whole or not at all.

    `batch_bytes` is how many bytes `write` takes best at once, 0 one by one. `compares`: what is there under a UID is
    held against what comes, and never replaced: equal bytes are `present`, others `refused`.
    """

    @property
    def batch_bytes(self) -> int: ...

    @property
    def compares(self) -> bool: ...

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        """Store these; a `Result` for each, whatever happens to one: it raises for none.

        `unit` is the name as delivered, `output` where it is now; `UNCHANGED`: the same bytes were there.
        """

    def address(self, study: str, series: str) -> str:
        """Return where a series is once it is written."""


@runtime_checkable
class Knowing(Location, Protocol):
    """A location that knows what it holds of a series by UIDs, without everything being read."""

    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        """Instances of a series that are there whole, by SOP Instance UID; without `read` as they are listed."""


@runtime_checkable
class OnDisk(Location, Protocol):
    """A location on this machine's disks. `root`: the file or folder that all of its files are, or lie below."""

    @property
    def root(self) -> Path: ...


@runtime_checkable
class Rewritable(OnDisk, Protocol):
    """A file, or a folder of files, that can be rewritten where it lies."""

    @property
    def is_one_file(self) -> bool: ...


@runtime_checkable
class Staging(Writable, Protocol):
    """A writable location on a disk, where files on their way lie already and are then renamed."""

    def staging(self, study: str, series: str) -> Path:
        """A folder that exists, for files that `write` is to rename."""

    def writing(self) -> AbstractContextManager[None]:
        """Be one of those who write there while the block runs; what killed ones left is removed first."""
