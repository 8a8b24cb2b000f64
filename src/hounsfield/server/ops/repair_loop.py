"""The repair loop: while a server runs, instances that other servers or dead processes left incomplete are recovered.

A start does the same at once (`Deployment.open`); many machines are seldom all started anew.
"""

from __future__ import annotations

import logging
import threading

from hounsfield.errors import HounsfieldError
from hounsfield.server.archive.archive import STALE_SECONDS, Archive

SECONDS = 900.0
"""Between two rounds."""

log = logging.getLogger("hounsfield.server")


class RepairLoop:
    """Rounds over `archive` in a thread of their own, `seconds` apart, for what is `older` than that many."""

    def __init__(self, archive: Archive, *, seconds: float = SECONDS, older: float = STALE_SECONDS) -> None:
        self._archive, self._seconds, self._older = archive, seconds, older
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repair", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                if count := self._archive.repair(older=self._older):
                    log.warning("recovered %d incomplete instances", count)
            except HounsfieldError as error:
                log.warning("could not recover incomplete instances now: %s", error.found)
