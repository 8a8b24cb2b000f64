"""Folders of existing DICOM, indexed where they lie: once (`import`) or for as long as the server runs (`--watch`).

Nothing is copied, moved or written there. A file is taken when it did not change between two looks, so that one
which is still being copied is left for the next; what vanished or changed is forgotten or read anew.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from hounsfield.ct.instance import FileSource, Skipped, Source
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.locations import FolderLocation
from hounsfield.outputs import whole_file
from hounsfield.server.archive.archive import Archive

log = logging.getLogger("hounsfield.server")

SECONDS = 5.0
"""Between two looks."""

Stamp = tuple[int, int]
"""(bytes, time of last change in ns)"""


class WatchedFolders:
    """The folders that an archive indexes in place; remembered in `record`, so that a lost index finds them again."""

    def __init__(self, archive: Archive, record: Path) -> None:
        self._archive, self._record = archive, record
        self._seen: dict[str, Stamp] = {}
        self._taken: dict[str, Stamp] = {}
        self._stale: set[str] = set()
        self._reported: set[Skipped] = set()
        self._looked = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def folders(self) -> list[Path]:
        try:
            return [Path(each) for each in json.loads(self._record.read_text("utf-8"))]
        except (OSError, ValueError):
            return []

    def add(self, folders: Iterable[Path]) -> None:
        """Remember folders. Raises `LocationError` for one that is none."""
        known = self.folders()
        for folder in folders:
            if not folder.is_dir():
                raise LocationError("not a folder", where=str(folder), remedy="check the path")
            if folder.resolve() not in known:
                known.append(folder.resolve())
        with whole_file(self._record, force=True) as temporary:
            temporary.write_text(json.dumps([str(each) for each in known]), "utf-8")

    def look(self, *, settled: bool = False) -> list[Skipped]:
        """Bring the index up to date with the folders; return what could not be indexed and was not reported before.

        `settled`: whatever is there is complete, however young it is.
        """
        found: dict[str, Stamp] = {}
        others: list[Source | Skipped] = []
        skipped: list[Skipped] = []
        for folder in self.folders():
            for source in FolderLocation(folder).sources():
                if not isinstance(source, FileSource):
                    others.append(source)
                    continue
                path = Path(os.path.realpath(source.path))
                if not path.is_relative_to(folder):
                    skipped.append(Skipped(source.name, "a link to somewhere outside of the folder"))
                elif (stamp := _stamp(path)) is not None:
                    found[str(path)] = stamp
        if not self._looked:
            self._looked = True
            self._taken = self._indexed()
        self._forget([key for key in (*self._taken, *self._stale) if key not in found])
        # What changed stays in the index until it is read again, so that nothing is missing meanwhile.
        self._stale |= {key for key, stamp in self._taken.items() if found[key] != stamp}
        self._taken = {key: stamp for key, stamp in self._taken.items() if key not in self._stale}
        ready = [
            key for key, stamp in found.items()
            if key not in self._taken and (settled or self._seen.get(key) == stamp)
        ]  # fmt: skip
        known = self._archive.index.has(ready) - self._stale
        fresh = (FileSource(Path(key)) for key in ready if key not in known)
        skipped += self._archive.adopt(chain(others, fresh), reread=self._stale)
        again = self._stale.intersection(ready)
        self._forget(sorted(again.intersection(each.name for each in skipped)))
        self._stale -= again
        self._taken |= {key: found[key] for key in ready}
        self._seen = found
        new = [each for each in dict.fromkeys(skipped) if each not in self._reported]
        self._reported = set(skipped)
        return new

    def _forget(self, keys: list[str]) -> None:
        if keys:
            self._archive.index.forget_keys(keys)
            self._taken = {key: stamp for key, stamp in self._taken.items() if key not in keys}
            self._stale.difference_update(keys)

    def _indexed(self) -> dict[str, Stamp]:
        """Return the stamps of what an earlier process indexed; (-1, -1) for what changed since."""
        taken: dict[str, Stamp] = {}
        for key, size, changed in self._archive.index.places():
            if not self._archive.store.owns(key):
                stamp = _stamp(Path(key))
                same = stamp is not None and stamp[0] == size and stamp[1] < changed
                taken[key] = stamp if same and stamp is not None else (-1, -1)
        return taken

    def watch(self, seconds: float = SECONDS) -> None:
        """Look again and again, in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(seconds,), name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self, seconds: float) -> None:
        while not self._stopped.wait(seconds):
            try:
                for skipped in self.look():
                    # Without the name: a path may tell who it is about.
                    log.info("not indexed: %s", skipped.reason)
            except HounsfieldError as error:
                log.warning("could not read the watched folders: %s", error.found)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
