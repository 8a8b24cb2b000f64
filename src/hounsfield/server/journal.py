"""What is told of requests: metrics for Prometheus, one log line each, and who touched which study.

No line holds a patient's name, a query's values or a header's content: routes are told by their pattern, studies
by their UIDs and only in the audit log.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("hounsfield.requests")

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of the request histogram."""


@dataclass(frozen=True, slots=True)
class Line:
    """One answered request."""

    method: str
    route: str
    status: int
    seconds: float
    sent: int = 0
    received: int = 0
    client: str = ""
    principal: str = ""


@dataclass
class Metrics:
    """Counters of one process."""

    _requests: dict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    _seconds: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _totals: dict[str, tuple[int, float]] = field(default_factory=dict)
    _bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    active: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, line: Line) -> None:
        with self._lock:
            self._requests[line.method, line.route, line.status] += 1
            self._seconds[line.route, sum(line.seconds > bound for bound in BUCKETS)] += 1
            number, total = self._totals.get(line.route, (0, 0.0))
            self._totals[line.route] = number + 1, total + line.seconds
            self._bytes["sent"] += line.sent
            self._bytes["received"] += line.received

    def exposed(self, totals: tuple[int, int, int] | None) -> str:
        """The text exposition format of Prometheus; `totals`: studies, series, instances."""
        pid = os.getpid()
        lines = ["# TYPE hounsfield_requests_total counter"]
        with self._lock:
            for (method, route, status), number in sorted(self._requests.items()):
                labels = f'method="{method}",route="{route}",status="{status}",process="{pid}"'
                lines.append(f"hounsfield_requests_total{{{labels}}} {number}")
            lines.append("# TYPE hounsfield_request_seconds histogram")
            for route, (number, total) in sorted(self._totals.items()):
                below = 0
                for index, bound in enumerate(BUCKETS):
                    below += self._seconds.get((route, index), 0)
                    labels = f'route="{route}",process="{pid}",le="{bound}"'
                    lines.append(f"hounsfield_request_seconds_bucket{{{labels}}} {below}")
                labels = f'route="{route}",process="{pid}"'
                lines.append(f'hounsfield_request_seconds_bucket{{{labels},le="+Inf"}} {number}')
                lines.append(f"hounsfield_request_seconds_sum{{{labels}}} {total:.6f}")
                lines.append(f"hounsfield_request_seconds_count{{{labels}}} {number}")
            for name, count in sorted(self._bytes.items()):
                lines.append(f"# TYPE hounsfield_{name}_bytes_total counter")
                lines.append(f'hounsfield_{name}_bytes_total{{process="{pid}"}} {count}')
        lines.append("# TYPE hounsfield_active_requests gauge")
        lines.append(f'hounsfield_active_requests{{process="{pid}"}} {self.active}')
        for name, count in zip(("studies", "series", "instances"), totals or (), strict=False):
            lines += [f"# TYPE hounsfield_{name} gauge", f"hounsfield_{name} {count}"]
        return "\n".join(lines) + "\n"


@dataclass
class Journal:
    """`audit`: the file to which it is written who read or wrote which study; None for nowhere."""

    audit: Path | None = None
    metrics: Metrics = field(default_factory=Metrics)
    _descriptor: int | None = None

    def request(self, line: Line) -> None:
        """Count it, and log it where anybody listens."""
        self.metrics.count(line)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "%s %s %d", line.method, line.route, line.status,
                extra={"request": {"method": line.method, "route": line.route, "status": line.status,
                                   "ms": round(line.seconds * 1000, 2), "sent": line.sent,
                                   "received": line.received, "client": line.client}},
            )  # fmt: skip

    def touched(self, line: Line, action: str, resources: list[str]) -> None:
        """Write to the audit log; each line is whole, since it is appended in one write."""
        if self.audit is None:
            return
        if self._descriptor is None:
            self._descriptor = os.open(self.audit, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        told = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "who": line.principal,
            "from": line.client,
            "did": action,
            "to": resources,
            "status": line.status,
        }
        os.write(self._descriptor, (json.dumps(told, ensure_ascii=False) + "\n").encode())


class JsonLines(logging.Formatter):
    """Log records as JSON, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # The place of a fault, without the values that were there.
            told["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                told["at"] = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        return json.dumps(told, ensure_ascii=False)
