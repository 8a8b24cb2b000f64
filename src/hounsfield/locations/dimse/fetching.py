"""The bytes of instances on a peer, fetched when a source is opened: a series whole, into files that live as long as

its sources do. DIMSE has no headers without pixels, so the first look at a series brings all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hounsfield.ct.instance.source import FileSource, Skipped
from hounsfield.errors import DimseError, HounsfieldError
from hounsfield.language import say
from hounsfield.locations.location import Delivered
from hounsfield.outputs.scratch import ScratchFolder

Fetch = Callable[[Path], Iterator[Delivered | Skipped]]


class SeriesFiles:
    """The files of a series, fetched once, by whoever asks first; `fetch` puts them into a folder."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._folder: ScratchFolder | None = None
        self._paths: dict[str, Path] = {}
        self._failure: HounsfieldError | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return SeriesFiles, (self._fetch,)

    def path(self, uid: str) -> Path:
        """The file of an instance; `DimseError` if it did not come."""
        with self._lock:
            if self._folder is None:
                self._folder = ScratchFolder()
                self._fill(self._folder.path)
            if uid not in self._paths:
                raise self._failure or DimseError(say("instance {uid} did not come", uid=uid))
            return self._paths[uid]

    def _fill(self, folder: Path) -> None:
        try:
            for each in self._fetch(folder):
                if isinstance(each, Delivered) and each.path is not None:
                    self._paths[each.instance] = each.path
        except HounsfieldError as error:
            self._failure = error


@dataclass(frozen=True, slots=True)
class DimseSource:
    """One instance on a peer; `open()` brings its series, once. `charset`: the set that the user named for the peer."""

    name: str
    instance: str
    files: SeriesFiles = field(repr=False)
    charset: str = ""

    def open(self) -> BinaryIO:
        return FileSource(self.files.path(self.instance)).open()
