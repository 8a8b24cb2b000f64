"""`Deployment`: the configuration of a server, as one frozen value that worker processes get as JSON.

Opens what it describes; does not listen.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette

from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.app import make_app
from hounsfield.server.archive import lock
from hounsfield.server.archive.archive import STALE_SECONDS, Archive
from hounsfield.server.archive.deidentified_library import DeidentifiedLibrary
from hounsfield.server.archive.index import Index
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.archive.index.rebuilding import is_sound
from hounsfield.server.archive.store import Store
from hounsfield.server.archive.store.folder import PRIVATE, FolderStore
from hounsfield.server.auth.access import Access, is_loopback
from hounsfield.server.auth.credentials import CredentialFile, Passwords, Tokens
from hounsfield.server.auth.openid import OpenId, require_openid
from hounsfield.server.auth.principals import Authenticator
from hounsfield.server.http.limits import Limits
from hounsfield.server.http.proxy_headers import TrustedProxies
from hounsfield.server.ingest.watched_folders import WatchedFolders
from hounsfield.server.ops.access_log import AccessLog
from hounsfield.server.private_folder import make_private
from hounsfield.server.state import AppState
from hounsfield.verbs.deidentify import Profile, Pseudonyms
from hounsfield.verbs.deidentify.profile import Dates
from hounsfield.viewer import page

VARIABLE = "HOUNSFIELD_SERVE"
"""The environment variable by which worker processes learn of their deployment."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The configuration of a server of an archive.

    `folder` holds an embedded archive; `database` and `store` are URLs of shared ones instead of what is in it.
    `deletes`: instances may be removed by request. `replace`: other bytes under a known UID replace the old ones.
    `host`: the address that is listened at. `insecure`: anybody who reaches it may do everything.
    `credentials`: the file of tokens and passwords; `openid_…`: an OpenID provider. `origins`: pages of other
    origins that may use it. `proxies`: addresses and networks whose Forwarded headers
    are believed. `audit`: the audit log. `deidentified`: the file of a key; the archive is then shown through
    `deidentify` alone, read-only, with its options `dates`, `keep` and `include`.
    """

    folder: str
    database: str | None = None
    store: str | None = None
    deletes: bool = False
    replace: bool = False
    prefix: str = "/dicom-web"
    host: str = "127.0.0.1"
    insecure: bool = False
    credentials: str | None = None
    openid_issuer: str | None = None
    openid_audience: str = "hounsfield"
    openid_claim: str = "scope"
    openid_readers: bool = False
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    audit: str | None = None
    deidentified: str | None = None
    dates: str = "remove"
    keep: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def private(self) -> Path:
        return Path(self.folder).absolute() / PRIVATE

    @property
    def lock(self) -> Path:
        return self.private / "lock"

    @property
    def verified(self) -> Path:
        """The checkpoint file of `verification`."""
        return self.private / "verified.json"

    @property
    def credential_file(self) -> CredentialFile:
        return CredentialFile(
            Path(self.credentials) if self.credentials else self.private / "credentials.json"
        )

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
        arguments: dict[str, Any] = {
            name: tuple(value) if name in lists else value for name, value in values.items()
        }
        return cls(**arguments)

    def open(self, *, first: bool) -> Archive:
        """The archive. `first`: of this server's processes; it makes, locks and repairs. Raises `LocationError`."""
        try:
            make_private(self.private)
        except OSError as error:
            raise LocationError(
                say("cannot be used: {strerror}", strerror=error.strerror),
                where=self.folder,
                remedy="give a folder that can be written",
            ) from error
        if self.embedded:
            lock.hold(self.lock, first=first)
        archive = Archive(self._store(), self._index(), replace=self.replace)
        archive.rebuilt = lambda: self.watched(archive).look(settled=True)
        try:
            if first:
                self._prepare(archive)
            else:
                archive.index.prepare()
        except IndexUnavailable as error:
            error.at(archive.index.name)
            error.found += f" ({error.data['detail']})" if error.data.get("detail") else ""
            error.remedy = "check that it is there, its address and account, and the free space"
            raise
        return archive

    def open_beside(self) -> Archive:
        """The archive, whether or not a server runs on it; without one it is made whole first, as by a start."""
        try:
            return self.open(first=True)
        except LocationError as error:
            if not error.data.get("locked"):
                raise
        archive = Archive(self._store(), self._index(), replace=self.replace)
        archive.index.prepare()
        return archive

    def close(self, archive: Archive) -> None:
        """Let go of the archive and of its lock."""
        archive.close()
        lock.release(self.lock)

    def watched(self, archive: Archive) -> WatchedFolders:
        """The folders that are indexed where they lie."""
        return WatchedFolders(archive, self.private / "folders.json")

    def state(self, archive: Archive) -> AppState:
        """Return the state of the application over an open archive. Raises `LocationError` as `access` does."""
        audit = Path(self.audit) if self.audit else self.private / "audit.log"
        return AppState(
            archive if self.deidentified is None else self._deidentified(archive),
            self.limits,
            self.deletes,
            self.prefix,
            self.verified,
            access=self.access(),
            access_log=AccessLog(audit),
        )

    def _deidentified(self, archive: Archive) -> DeidentifiedLibrary:
        kept: dict[str, Any] = dict.fromkeys(self.keep, True)
        profile = Profile(dates=cast(Dates, self.dates), include=self.include, **kept)
        key = Path(self.deidentified or "").read_bytes().strip()
        return DeidentifiedLibrary(archive, profile, Pseudonyms(key))

    def app(self, archive: Archive) -> Starlette:
        """The application over an open archive."""
        return make_app(self.state(archive), pages=page())

    def access(self) -> Access:
        """Return the access rules. Raises `LocationError` where an address would be open without authentication."""
        authenticators: list[Authenticator] = []
        file = self.credential_file
        kinds = {each.kind for each in file.credentials()}
        # A file that was named counts even while it is empty: nobody may in yet.
        if "token" in kinds or self.credentials:
            authenticators.append(Tokens(file))
        if "password" in kinds:
            authenticators.append(Passwords(file))
        if self.openid_issuer:
            require_openid()
            authenticators.append(
                OpenId(
                    self.openid_issuer,
                    self.openid_audience,
                    claim=self.openid_claim,
                    readers=self.openid_readers,
                )
            )
        if not authenticators and not is_loopback(self.host) and not self.insecure:
            raise LocationError(
                "an address that other machines can reach, without authentication",
                where=self.host,
                remedy="make a token with `hounsfield tokens add`, or pass --insecure if that is intended",
            )
        own = frozenset({"localhost", "127.0.0.1", "::1", self.host})
        hosts = own if not authenticators and is_loopback(self.host) else None
        return Access(tuple(authenticators), hosts, frozenset(self.origins), TrustedProxies(self.proxies))

    def _store(self) -> Store:
        if self.store is None or "://" not in self.store:
            root = Path(self.store or self.folder)
            store = FolderStore(root)
            store.prepare()
            return store
        if self.store.startswith("s3://"):
            from hounsfield.server.archive.store.objects import open_objects

            return open_objects(self.store, self.private / "incoming")
        raise UnsupportedError(
            say("a store at {partition}://", partition=self.store.partition("://")[0]),
            expected="a folder, or s3://bucket/prefix",
        )

    def _index(self) -> Index:
        return Index(self.database or f"sqlite:///{self.private / 'index.sqlite'}")

    def _prepare(self, archive: Archive) -> None:
        file = archive.index.file
        if file is not None and (not file.exists() or not is_sound(archive.index)):
            # The index is made of the files; a start without one is a start after its loss, or the very first.
            archive.rebuild()
        archive.index.prepare()
        # Nobody else works on an embedded archive; on a shared one, others may be in the midst of something.
        archive.repair(older=0.0 if self.embedded else STALE_SECONDS)


def of_environment() -> Deployment:
    """The deployment that the parent process left for its workers."""
    return Deployment.from_json(os.environ[VARIABLE])
