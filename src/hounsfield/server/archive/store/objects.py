"""A store in an object store (S3 and what speaks like it): one object a version of an instance, named as in `versions`.

An arrival is spooled to a local file, so that a body of any size is judged before a byte of it is sent on; then one
conditional put makes the object whole or not at all, and never over another one. The seal of an instance is in the
metadata of its object (`x-amz-meta-sha256`, `x-amz-meta-crc32-first-64k`), in hexadecimal, from the same put.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from hounsfield.ct.instance import FileSource, Source
from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.integrity import Digest, Hasher, Seal, digest_of
from hounsfield.server.archive.store import Published
from hounsfield.server.archive.store.incoming import Incoming
from hounsfield.server.archive.store.indexed_files import UnlinkedFile
from hounsfield.server.archive.store.versions import parts_of

SHA256, FIRST = "sha256", "crc32-first-64k"
"""The names under which an object's metadata have its seal."""

READ_AHEAD = 1 << 20
"""Bytes asked for at least: a request costs more than a megabyte."""


def open_objects(url: str, spool: Path) -> ObjectStore:
    """The store at `s3://bucket/prefix`; credentials and region as the AWS variables say (`AWS_ENDPOINT_URL` too)."""
    try:
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "S3 needs the package obstore", remedy='pip install "hounsfield[s3]"'
        ) from error
    with _converted(url):
        objects = from_url(url)
    store = ObjectStore(url, objects, spool)
    store.incoming.make()
    return store


class ObjectStore:
    """Objects below a prefix; keys are their paths."""

    parallel = True
    forgets = True

    def __init__(self, url: str, objects: Any, spool: Path) -> None:
        self.url, self._objects, self.incoming = url, objects, Incoming(spool)

    @property
    def name(self) -> str:
        return self.url

    def source(self, key: str) -> Source:
        return ObjectSource(self._objects, key) if self.owns(key) else UnlinkedFile(Path(key))

    def size(self, key: str) -> int | None:
        import obstore

        if not self.owns(key):
            try:
                return Path(key).stat().st_size
            except OSError:
                return None
        try:
            with _converted(self.url, FileNotFoundError):
                return int(obstore.head(self._objects, key)["size"])
        except FileNotFoundError:
            return None

    def seal(self, key: str) -> Seal | None:
        import obstore

        if not self.owns(key):
            return None
        try:
            with _converted(self.url, FileNotFoundError):
                found = obstore.get(self._objects, key, options={"head": True}).attributes
                sha256, first = (bytes.fromhex(str(found.get(name, ""))) for name in (SHA256, FIRST))
                return Seal(sha256, first) if len(sha256) == 32 else None
        except (FileNotFoundError, ValueError):
            return None

    def note_seal(self, key: str, seal: Seal) -> bool:
        """Metadata come with an object or never."""
        return False

    def owns(self, key: str) -> bool:
        return not key.startswith("/")

    def arrival(self) -> ObjectArrival:
        with _converted(str(self.incoming.folder)):
            path = self.incoming.name()
        arrival = ObjectArrival(self, path)
        self.incoming.keep(path, arrival)
        return arrival

    def settle(self, keys: Iterable[str]) -> None:
        """A put is durable when it returns."""

    def remove(self, keys: Iterable[str]) -> None:
        import obstore

        with _converted(self.url):
            for key in keys:
                with contextlib.suppress(FileNotFoundError):
                    obstore.delete(self._objects, key)

    def walk(self) -> Iterator[str]:
        import obstore

        with _converted(self.url):
            for page in obstore.list(self._objects):
                yield from (found["path"] for found in page if found["path"].endswith(".dcm"))

    def versions(self, keys: Iterable[str]) -> list[str]:
        import obstore

        wanted = {parts[:3] for parts in map(parts_of, keys) if parts}
        found: list[str] = []
        with _converted(self.url):
            for study, series in sorted({each[:2] for each in wanted}):
                for page in obstore.list(self._objects, prefix=f"{study}/{series}/"):
                    found += [each["path"] for each in page]
        return [key for key in found if (parts := parts_of(key)) and parts[:3] in wanted]

    def leftovers(self, older: float) -> Iterator[tuple[str, ObjectArrival]]:
        """Yield the abandoned files of the spool; the index knows whether they were put."""
        for path in self.incoming.left_behind(older):
            with contextlib.suppress(OSError):
                yield "", ObjectArrival(self, path, found=True)

    def check(self) -> None:
        import obstore

        with _converted(self.url), contextlib.suppress(FileNotFoundError):
            obstore.head(self._objects, "hounsfield-readiness")

    def put(self, key: str, path: Path, seal: Seal) -> Published:
        """Make the object of a file's bytes."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with _converted(self.url, AlreadyExistsError):
                obstore.put(
                    self._objects,
                    key,
                    path,
                    attributes={SHA256: seal.sha256.hex(), FIRST: seal.first.hex()},
                    mode="create",
                    use_multipart=False,
                )
        except AlreadyExistsError:
            return "present" if self.holds(key, path) else "other"
        return "stored"

    def holds(self, key: str, path: Path) -> bool:
        """Whether the object has the bytes of a file."""
        if self.size(key) != path.stat().st_size:
            return False
        with self.source(key).open() as theirs, path.open("rb") as ours:
            while content := ours.read(READ_AHEAD):
                if theirs.read(len(content)) != content:
                    return False
        return True


class ObjectArrival:
    """A spooled file until it is put."""

    def __init__(self, store: ObjectStore, path: Path, *, found: bool = False) -> None:
        self._store, self._path = store, path
        self.size = path.stat().st_size if found else 0
        self._hasher = None if found else Hasher()
        self._stream: BinaryIO | None = None

    @property
    def source(self) -> Source:
        return FileSource(self._path)

    @property
    def digest(self) -> Digest:
        return self._hasher.digest() if self._hasher is not None else digest_of(self.source)[0]

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        assert self._hasher is not None
        with _converted(str(self._path.parent)):
            self._store.incoming.check_room(sum(map(len, pieces)))
            if self._stream is None:
                self._stream = self._path.open("xb")
            self._stream.writelines(pieces)
            # Whoever judges it opens the file by its name.
            self._stream.flush()
        for piece in pieces:
            self._hasher.update(piece)
        self.size += sum(map(len, pieces))

    def sync(self) -> None:
        """The spool is no place to keep anything: the put makes it durable."""
        self._close()

    def publish(self, key: str) -> Published:
        return self._store.put(key, self._path, self.digest.seal)

    def equals(self, key: str) -> bool:
        return self._store.holds(key, self._path)

    def confirm(self) -> None:
        self.discard()

    def discard(self) -> None:
        self._close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class ObjectSource:
    """The bytes of one object, fetched by ranges as they are read."""

    def __init__(self, objects: Any, key: str) -> None:
        self._objects, self.name = objects, key

    def open(self) -> BinaryIO:
        import obstore

        with _converted(self.name):
            size = int(obstore.head(self._objects, self.name)["size"])
        return cast(BinaryIO, _Reader(self._objects, self.name, size))


class _Reader(io.RawIOBase):
    """A seekable stream over ranged requests, each of `READ_AHEAD` bytes at least."""

    def __init__(self, objects: Any, key: str, size: int) -> None:
        super().__init__()
        self._objects, self._key, self._size = objects, key, size
        self._position = 0
        self._start, self._held = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._position, 2: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        import obstore

        if self.closed:
            raise ValueError("a closed stream")
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        at = self._position - self._start
        if not 0 <= at < len(self._held):
            length = min(max(wanted, READ_AHEAD), self._size - self._position)
            with _converted(self._key):
                found = obstore.get_range(self._objects, self._key, start=self._position, length=length)
                self._held = bytes(found)
            self._start, at = self._position, 0
        part = self._held[at : at + wanted]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


@contextlib.contextmanager
def _converted(where: str, passed: type[Exception] = LocationError) -> Iterator[None]:
    """Turn whatever the library raises into `LocationError`, except what is `passed`."""
    try:
        yield
    except (LocationError, GeneratorExit, passed):
        raise
    except OSError as error:
        status = 507 if error.errno == 28 else 503
        raise LocationError(
            say("the store cannot be used: {strerror}", strerror=error.strerror or type(error).__name__),
            where=where,
            status=status,
        ) from error
    except Exception as error:
        raise LocationError(
            say("the object store cannot be used: {name__}", name__=type(error).__name__),
            where=where,
            remedy="check its address and credentials",
            status=503,
        ) from error
