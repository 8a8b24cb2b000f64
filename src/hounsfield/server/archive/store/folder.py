"""A store in a folder: plain DICOM files as `study/series/instance.dcm`, later versions as `instance_v2.dcm`.

An arrival is a file in `.hounsfield/incoming`; publication is a hard link to its place, which never replaces what
is there; the file in `incoming` goes when the index knows the instance. A crash in between leaves both names of
one file, by which the next start finishes the work. Where links cannot be made, a rename takes their place.

The seal of an instance is an extended attribute of its file: made before the file has its name, it is there whatever
becomes of the index, goes where the file goes, and no crash parts the two.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hounsfield.ct.instance import FileSource, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.server.archive.integrity import Digest, Hasher, Seal, digest_of
from hounsfield.server.archive.store import Published
from hounsfield.server.archive.store.incoming import Incoming
from hounsfield.server.archive.store.indexed_files import UnlinkedFile
from hounsfield.server.archive.store.versions import parts_of
from hounsfield.server.private_folder import make_private

PRIVATE = ".hounsfield"
"""The folder, in a store, of what is not instances."""

SEAL = "user.hounsfield.digest"
"""The extended attribute of a file: its SHA-256 (32 bytes), and the CRC-32 of its first block (4, big-endian).

In bytes rather than text it fits into the inode of ext4 (256 bytes) and takes no block of the disk.
"""

_CHUNK = 1 << 20
_TRIES = 20
_VECTORS = 512  # pieces in one write; systems take 1024

log = logging.getLogger("hounsfield.server")


class FolderStore:
    """The store at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.incoming = Incoming(self.root / PRIVATE / "incoming")

    @property
    def name(self) -> str:
        return str(self.root)

    parallel = False
    forgets = False

    def source(self, key: str) -> Source:
        return FileSource(self._path(key)) if self.owns(key) else UnlinkedFile(Path(key))

    def size(self, key: str) -> int | None:
        try:
            return self._path(key).stat().st_size
        except OSError:
            return None

    def seal(self, key: str) -> Seal | None:
        try:
            kept = os.getxattr(self._path(key), SEAL)
        except (OSError, AttributeError):
            return None  # no such file, file system or system
        return Seal(kept[:32], kept[32:]) if len(kept) in {32, 36} else None

    def note_seal(self, key: str, seal: Seal) -> bool:
        return self.owns(key) and _note(self._path(key), seal)

    def owns(self, key: str) -> bool:
        """Whether the file is the store's own, rather than indexed where a user keeps it."""
        return not key.startswith("/")

    def _path(self, key: str) -> Path:
        if not self.owns(key):
            return Path(key)
        if parts_of(key) is None:
            raise LocationError("no key of this store", where=key[:200])
        return self.root / key

    def arrival(self) -> FolderArrival:
        with _converted(self.root):
            path = self.incoming.name()
        arrival = FolderArrival(self, path)
        self.incoming.keep(path, arrival)
        return arrival

    def settle(self, keys: Iterable[str]) -> None:
        folders: set[Path] = set()
        for key in keys:
            path = self._path(key)
            folders.update((path.parent, path.parent.parent))
        with _converted(self.root):
            for folder in (*folders, self.root):
                _sync_folder(folder)

    def remove(self, keys: Iterable[str]) -> None:
        emptied: set[Path] = set()
        with _converted(self.root):
            for key in keys:
                if self.owns(key):
                    path = self._path(key)
                    path.unlink(missing_ok=True)
                    emptied.add(path.parent)
            for folder in {self._pruned(folder) for folder in emptied}:
                _sync_folder(folder)

    def _pruned(self, folder: Path) -> Path:
        """Remove a series' folder and its study's where they are empty; the one that is left."""
        for each in (folder, folder.parent):
            try:
                each.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return each
        return self.root

    def walk(self) -> Iterator[str]:
        for study in _folders(self.root):
            for series in _folders(self.root / study):
                yield from self._series(study, series)

    def _series(self, study: str, series: str) -> list[str]:
        """The keys in one series' folder."""
        try:
            names = sorted(path.name for path in (self.root / study / series).iterdir())
        except FileNotFoundError:
            return []
        return [key for key in (f"{study}/{series}/{name}" for name in names) if parts_of(key)]

    def versions(self, keys: Iterable[str]) -> list[str]:
        wanted = {parts[:3] for parts in map(parts_of, keys) if parts}
        found = (
            key
            for study, series in sorted({each[:2] for each in wanted})
            for key in self._series(study, series)
        )
        return [key for key in found if (parts := parts_of(key)) and parts[:3] in wanted]

    def leftovers(self, older: float) -> Iterator[tuple[str, FolderArrival]]:
        """Arrivals that nobody works on. One that was published has a second name."""
        for path in self.incoming.left_behind(older):
            with contextlib.suppress(OSError):
                arrival = FolderArrival(self, path, found=True)
                yield ("published" if path.stat().st_nlink > 1 else "", arrival)

    def prepare(self) -> None:
        """Make the folders. Raises `LocationError`."""
        with _converted(self.root):
            make_private(self.incoming.folder.parent)
            self.incoming.make()

    def check(self) -> None:
        with _converted(self.root):
            probe = self.incoming.folder / f"probe-{secrets.token_hex(6)}"
            descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.close(descriptor)
            probe.unlink()
            self.incoming.check_room()


class FolderArrival:
    """A file in `incoming`, written, synced, linked to its place, unlinked."""

    def __init__(self, store: FolderStore, path: Path, *, found: bool = False) -> None:
        self._store, self._path = store, path
        self.size = path.stat().st_size if found else 0
        self._hasher = None if found else Hasher()
        self._descriptor = -1
        self._published = False

    @property
    def source(self) -> Source:
        return FileSource(self._path)

    @property
    def digest(self) -> Digest:
        return self._hasher.digest() if self._hasher is not None else digest_of(self.source)[0]

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        assert self._hasher is not None
        with _converted(self._store.root):
            self._store.incoming.check_room(sum(map(len, pieces)))
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
            for start in range(0, len(pieces), _VECTORS):
                part = pieces[start : start + _VECTORS]
                left = sum(map(len, part)) - os.writev(self._descriptor, part)
                self._write_rest(part, left)
        for piece in pieces:
            self._hasher.update(piece)
        self.size += sum(map(len, pieces))

    def _write_rest(self, part: Sequence[bytes | memoryview], left: int) -> None:
        """Write the rest of a short write, as on a file system that is nearly full."""
        if left:
            view = memoryview(b"".join(part))[-left:]
            while view:
                view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        with _converted(self._store.root):
            _note(self._descriptor, self.digest.seal)
            os.fsync(self._descriptor)
            self._close()

    def publish(self, key: str) -> Published:
        target = self._store._path(key)
        with _converted(self._store.root):
            for _ in range(_TRIES):
                # A removal may take file and folder away at any step.
                with contextlib.suppress(FileNotFoundError):
                    return self._place(target)
                self._path.stat()
                with contextlib.suppress(FileNotFoundError):
                    target.parent.mkdir(parents=True, exist_ok=True)
            return self._place(target)

    def _place(self, target: Path) -> Published:
        try:
            os.link(self._path, target)
        except FileExistsError:
            return "present" if _same(self._path, target) else "other"
        except FileNotFoundError:
            raise
        except OSError:
            if target.exists():
                return "present" if _same(self._path, target) else "other"
            self._path.rename(target)
        self._published = True
        return "stored"

    def equals(self, key: str) -> bool:
        try:
            return _same(self._path, self._store._path(key))
        except FileNotFoundError:
            return False

    def confirm(self) -> None:
        self._published = False
        self.discard()

    def discard(self) -> None:
        self._close()
        # What was published and never confirmed keeps its second name, by which `leftovers` finds it.
        if not self._published:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _note(file: Path | int, seal: Seal) -> bool:
    """Give a file its seal; whether its file system keeps such attributes."""
    if not hasattr(os, "setxattr"):
        return False
    try:
        os.setxattr(file, SEAL, seal.sha256 + seal.first)
    except OSError as error:
        log.debug("a digest is in the index alone: %s", error.strerror)
        return False
    return True


@contextlib.contextmanager
def _converted(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocationError(
            say("the store cannot be written: {strerror}", strerror=error.strerror or error),
            where=str(root),
            remedy="check the folder, its permissions and the free space",
            status=507 if error.errno in {28, 122, 27} else 503,
        ) from error


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if is_uid(entry.name) and entry.is_dir())


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes."""
    if one.samefile(other):
        return True
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as ours, other.open("rb") as theirs:
        while True:
            content = ours.read(_CHUNK)
            if content != theirs.read(_CHUNK):
                return False
            if not content:
                return True


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # removed meanwhile by a delete
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
