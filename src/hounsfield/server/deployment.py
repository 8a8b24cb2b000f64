"""`Deployment`: how a server was asked to run, as one frozen value that worker processes get as JSON.

Opens what it describes; does not listen.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.server import lock
from hounsfield.server.archive import Archive
from hounsfield.server.index import Index
from hounsfield.server.limits import Limits
from hounsfield.server.service import Service
from hounsfield.server.store import Store
from hounsfield.server.store.folder import PRIVATE, FolderStore

VARIABLE = "HOUNSFIELD_SERVE"
"""The environment variable by which worker processes learn of their deployment."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """`folder`: of an embedded archive. `database` and `store`: URLs of shared ones instead of what is in it.

    `watch`: folders indexed in place. `deletes`: instances may be removed by request. `replace`: other bytes under
    a known UID replace the old ones.
    """

    folder: str
    database: str | None = None
    store: str | None = None
    watch: tuple[str, ...] = ()
    deletes: bool = False
    replace: bool = False
    prefix: str = "/dicom-web"
    limits: Limits = field(default_factory=Limits)

    @property
    def private(self) -> Path:
        return Path(self.folder).absolute() / PRIVATE

    @property
    def lock(self) -> Path:
        return self.private / "lock"

    @property
    def embedded(self) -> bool:
        """Whether the index is a file of its own, so that one server at a time may use it."""
        return self.database is None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        values: dict[str, Any] = json.loads(text)
        values["limits"] = Limits(**values["limits"])
        lists = {each.name for each in fields(cls) if str(each.type).startswith("tuple")}
        told: dict[str, Any] = {
            name: tuple(value) if name in lists else value for name, value in values.items()
        }
        return cls(**told)

    def open(self, *, first: bool) -> Archive:
        """The archive. `first`: of this server's processes; it makes, locks and repairs. Raises `LocationError`."""
        try:
            self.private.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocationError(
                f"cannot be used: {error.strerror}",
                where=self.folder,
                remedy="give a folder that can be written",
            ) from error
        if self.embedded:
            lock.hold(self.lock, first=first)
        archive = Archive(self._store(), self._index(), replace=self.replace)
        if first:
            self._prepare(archive)
        else:
            archive.index.prepare()
        return archive

    def service(self, archive: Archive) -> Service:
        return Service(archive, self.limits, self.deletes, self.prefix)

    def _store(self) -> Store:
        if self.store is None or "://" not in self.store:
            root = Path(self.store or self.folder)
            store = FolderStore(root, shared=not self.embedded)
            store.prepare()
            return store
        raise UnsupportedError(
            f"a store at {self.store.partition('://')[0]}://", expected="a folder, or s3://…"
        )

    def _index(self) -> Index:
        return Index(self.database or f"sqlite:///{self.private / 'index.sqlite'}")

    def _prepare(self, archive: Archive) -> None:
        file = archive.index.file
        if file is not None and (not file.exists() or not archive.index.is_sound()):
            # The index is made of the files; a start without one is a start after its loss, or the very first.
            archive.index.rebuild(archive.reindex)
        archive.index.prepare()
        archive.repair()


def of_environment() -> Deployment:
    """The deployment that the parent process left for its workers."""
    return Deployment.from_json(os.environ[VARIABLE])
