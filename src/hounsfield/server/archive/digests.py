"""Digests of instances that came before there were any, or whose index was lost: made when their bytes are first asked
for, held against the SHA-256 that lies with the bytes, and given to the index a few at a time.
"""

from __future__ import annotations

import logging
import threading
import time

from hounsfield.errors import HounsfieldError
from hounsfield.server.archive.index import Entry, Index
from hounsfield.server.archive.integrity import CheckedSource, Digest, digest_of

TOGETHER = 200
"""Digests in one transaction."""

FLUSH_SECONDS = 5.0
"""Time that they wait for more, where more come at all."""

LEARNT_BYTES = 64 * 1024 * 1024
"""Size up to which a request waits for the digest of an instance of which nothing is known; the larger wait for
`hounsfield verify`."""

log = logging.getLogger("hounsfield.server")


class Digests:
    """A buffer of digests that were computed and `index` does not have yet; for any thread."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._since = 0.0
        self._found: dict[tuple[int, str], tuple[Digest, int]] = {}

    def learn(self, entry: Entry, source: CheckedSource) -> tuple[int, bytes] | None:
        """Size and CRC-32 of an instance that has none in the index; None where that must wait.

        Raises `DamagedError` where its bytes are not those of its SHA-256.
        """
        with self._lock:
            if (known := self._found.get((entry.number, entry.key))) is not None:
                return known[1], known[0].blocks
        if entry.sha256 is None and (entry.size is None or entry.size > LEARNT_BYTES):
            return None
        digest, size = digest_of(source.stored)
        if entry.sha256 not in {None, digest.sha256}:
            raise source.fail("its SHA-256 does not match")
        self.add(entry, digest, size)
        return size, digest.blocks

    def add(self, entry: Entry, digest: Digest, size: int) -> None:
        """Note what was made out."""
        with self._lock:
            now = time.monotonic()
            self._since = self._since if self._found else now
            self._found[entry.number, entry.key] = digest, size
            due = len(self._found) >= TOGETHER or now - self._since > FLUSH_SECONDS
        if due:
            self.flush()

    def flush(self) -> None:
        """Give all to the index; when it takes nothing now, they are made again another time."""
        with self._lock:
            found, self._found = self._found, {}
        if found:
            try:
                self._index.learn({place: digest for place, (digest, _) in found.items()})
            except HounsfieldError as error:
                log.warning("could not save digests: %s", error.found)
