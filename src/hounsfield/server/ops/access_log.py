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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from hounsfield.server.ops.counters import Counters

log = logging.getLogger("hounsfield.requests")

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of the request histogram."""


SELDOM_SECONDS = 1.0
"""Between two warnings of one kind."""


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


class Metrics:
    """What a server counts, all its processes together."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters or Counters()

    def begin(self) -> None:
        """A request begins to be answered."""
        self._counters.add("active", 1)

    def end(self) -> None:
        self._counters.add("active", -1)

    def damage(self) -> None:
        """Stored bytes were read that are not those that were stored."""
        self._counters.add("damaged", 1)

    def count(self, line: Line) -> None:
        add = self._counters.add
        add(f"requests\t{line.method}\t{line.route}\t{line.status}")
        add(f"bucket\t{line.route}\t{sum(line.seconds > bound for bound in BUCKETS):02d}")
        add(f"seconds\t{line.route}", line.seconds)
        add("sent", line.sent)
        add("received", line.received)

    def exposed(self, totals: tuple[int, int, int] | None, gauges: Mapping[str, float] | None = None) -> str:
        """The text exposition format of Prometheus; `totals`: studies, series, instances; `gauges` by their names."""
        counted = self._counters.totals()
        requests = ["# TYPE hounsfield_requests_total counter"]
        buckets: dict[str, dict[int, float]] = {}
        seconds: dict[str, float] = {}
        for name, number in sorted(counted.items()):
            kind, *labels = name.split("\t")
            if kind == "requests":
                method, route, status = labels
                told = f'method="{method}",route="{route}",status="{status}"'
                requests.append(f"hounsfield_requests_total{{{told}}} {number:.0f}")
            elif kind == "bucket":
                buckets.setdefault(labels[0], {})[int(labels[1])] = number
            elif kind == "seconds":
                seconds[labels[0]] = number
        lines = [*requests, "# TYPE hounsfield_request_seconds histogram"]
        for route, total in seconds.items():
            lines += _histogram(route, total, buckets.get(route, {}))
        for name in ("sent", "received"):
            lines.append(f"# TYPE hounsfield_{name}_bytes_total counter")
            lines.append(f"hounsfield_{name}_bytes_total {counted.get(name, 0):.0f}")
        lines.append("# TYPE hounsfield_damaged_reads_total counter")
        lines.append(f"hounsfield_damaged_reads_total {counted.get('damaged', 0):.0f}")
        lines.append("# TYPE hounsfield_active_requests gauge")
        lines.append(f"hounsfield_active_requests {self._counters.alive('active'):.0f}")
        for name, count in zip(("studies", "series", "instances"), totals or (), strict=False):
            lines += [f"# TYPE hounsfield_{name} gauge", f"hounsfield_{name} {count}"]
        for name, value in (gauges or {}).items():
            lines += [f"# TYPE hounsfield_{name} gauge", f"hounsfield_{name} {value:.0f}"]
        return "\n".join(lines) + "\n"


def _histogram(route: str, total: float, numbers: Mapping[int, float]) -> list[str]:
    """One route's lines; `numbers` by bucket, the last one beyond all bounds."""
    lines, below = [], 0.0
    for index, bound in enumerate((*BUCKETS, "+Inf")):
        below += numbers.get(index, 0)
        lines.append(f'hounsfield_request_seconds_bucket{{route="{route}",le="{bound}"}} {below:.0f}')
    lines.append(f'hounsfield_request_seconds_sum{{route="{route}"}} {total:.6f}')
    lines.append(f'hounsfield_request_seconds_count{{route="{route}"}} {below:.0f}')
    return lines


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


class SeldomHandler(logging.StreamHandler[TextIO]):
    """Writes one warning of a kind in `SELDOM_SECONDS` where clients can cause it, and then how many were left out.

    Those are uvicorn's, and records that say `seldom`: nobody shall fill a disk by asking. Everything else is written.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._left_out: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        seldom = getattr(record, "seldom", record.name.startswith("uvicorn"))
        if not seldom or record.levelno != logging.WARNING:
            super().emit(record)
            return
        # Called with the handler's lock held.
        kind = str(record.msg)
        if kind in self._left_out:
            self._left_out[kind] += 1
            return
        self._left_out[kind] = 0
        timer = threading.Timer(SELDOM_SECONDS, self._tell, (record, record.getMessage()))
        timer.daemon = True
        timer.start()
        super().emit(record)

    def _tell(self, record: logging.LogRecord, message: str) -> None:
        """Say what was left out since `record` was written."""
        self.acquire()
        try:
            if count := self._left_out.pop(str(record.msg)):
                told = f"{message} ({count} more like it)"
                level, name = record.levelno, record.name
                super().emit(logging.LogRecord(name, level, record.pathname, record.lineno, told, None, None))
        finally:
            self.release()


class PlainLines(logging.Formatter):
    """Log records in words; of a fault its kind and place, not the values that were there."""

    def __init__(self) -> None:
        super().__init__("hounsfield: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        # Whatever a message quotes stays on its line.
        return " ".join(super().format(record).splitlines())

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        kind, _, trace = ei
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = (
            f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
            if trace is not None
            else ""
        )
        return f"{kind.__name__ if kind else 'nothing'}{at}"


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
