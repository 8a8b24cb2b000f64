"""Metrics for Prometheus, over all worker processes of a server: `prometheus_client`, in its multiprocess mode.

That mode is chosen by `PROMETHEUS_MULTIPROC_DIR` when `prometheus_client` is imported: the supervisor sets it before
it starts its workers. What a worker counted stays when it dies. Labels are patterns of routes, never what is in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from hounsfield.server.ops.access_log import Entry

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder in which worker processes count together."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds of the request histogram."""

disable_created_metrics()  # type: ignore[no-untyped-call]


def count_together(folder: str) -> None:
    """Count in `folder` from now on, in this process and in the workers that it starts."""
    os.environ[FOLDER_VARIABLE] = folder
    # It is looked for only when `prometheus_client` is imported, which has happened already.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts of one application; those of all workers where they share a folder."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = self._counter("requests", "Requests answered", labels)
        self._sent = self._counter("sent_bytes", "Bytes of response bodies")
        self._received = self._counter("received_bytes", "Bytes of request bodies")
        self._damaged = self._counter("damaged_reads", "Reads of stored bytes that failed their checksum")
        self._seconds = Histogram(
            "hounsfield_request_seconds",
            "Seconds per request",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._active = Gauge(
            "hounsfield_active_requests",
            "Requests in progress",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def _counter(self, name: str, description: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"hounsfield_{name}", description, labels, registry=self._registry)

    def begin(self) -> None:
        """Count a request that begins to be answered."""
        self._active.inc()

    def end(self) -> None:
        """Count a request as no longer in progress."""
        self._active.dec()

    def damage(self) -> None:
        """Count a read of stored bytes that are not those that were stored."""
        self._damaged.inc()

    def count(self, entry: Entry) -> None:
        """Count a request that was answered."""
        self._requests.labels(entry.method, entry.route, str(entry.status)).inc()
        self._seconds.labels(entry.route).observe(entry.seconds)
        self._sent.inc(entry.sent)
        self._received.inc(entry.received)

    def exposition(self, gauges: Mapping[str, float]) -> bytes:
        """Return the text exposition format of Prometheus, with `gauges` by their names without the prefix."""
        registry, folder = self._registry, os.environ.get(FOLDER_VARIABLE)
        if folder is not None:
            _forget_dead_processes(Path(folder))
            registry = CollectorRegistry()
            registry.register(_AllProcesses(Path(folder)))
        now = CollectorRegistry()
        now.register(_Gauges(gauges))
        return generate_latest(registry) + generate_latest(now)


class _AllProcesses(Collector):
    """The counts of all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # A process that starts makes its files empty; prometheus_client fails on those.
        files = [str(path) for path in sorted(self._folder.glob("*.db")) if path.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class _Gauges(Collector):
    """Values as they are now."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, value in self._values.items():
            yield GaugeMetricFamily(f"hounsfield_{name}", name.replace("_", " "), value)


def _forget_dead_processes(folder: Path) -> None:
    """Remove the gauges of workers that were killed: nothing of theirs is in progress any more."""
    for path in folder.glob("gauge_live*_*.db"):
        process = path.stem.rpartition("_")[2]
        if not _is_alive(process):
            mark_process_dead(int(process), str(folder))  # type: ignore[no-untyped-call]


def _is_alive(process: str) -> bool:
    with contextlib.suppress(ProcessLookupError, ValueError):
        os.kill(int(process), 0)
        return True
    return False
