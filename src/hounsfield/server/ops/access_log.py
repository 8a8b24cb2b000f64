"""The access log: one line a request, and the audit log of which principal read or wrote which study.

No line holds a patient's name, the values of a query or the content of a header: routes are named by their pattern,
studies by their UIDs and only in the audit log.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("hounsfield.requests")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was answered."""

    method: str
    route: str
    status: int
    seconds: float
    sent: int = 0
    received: int = 0
    client: str = ""
    principal: str = ""


@dataclass
class AccessLog:
    """Writer of both logs. `audit`: the file of the audit log; None for none."""

    audit: Path | None = None
    _descriptor: int | None = None

    def write(self, entry: Entry) -> None:
        """Log a request, where the log is on."""
        if log.isEnabledFor(logging.INFO):
            log.info(
                "%s %s %d", entry.method, entry.route, entry.status,
                extra={"request": {"method": entry.method, "route": entry.route, "status": entry.status,
                                   "ms": round(entry.seconds * 1000, 2), "sent": entry.sent,
                                   "received": entry.received, "client": entry.client}},
            )  # fmt: skip

    def write_audit(self, entry: Entry, action: str, resources: list[str]) -> None:
        """Append to the audit log: who did what to which studies. Each line is whole, since it is one write."""
        if self.audit is None:
            return
        if self._descriptor is None:
            self._descriptor = os.open(self.audit, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "who": entry.principal,
            "from": entry.client,
            "did": action,
            "to": resources,
            "status": entry.status,
        }
        os.write(self._descriptor, (json.dumps(line, ensure_ascii=False) + "\n").encode())
