"""`AppState`: what all requests of an application share: library, limits, access, what is kept between requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from anyio import CapacityLimiter

from hounsfield.errors import DicomwebError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.library import Library
from hounsfield.server.auth.access import Access
from hounsfield.server.http.fair_share import FairShare
from hounsfield.server.http.limits import Limits
from hounsfield.server.http.memory_budget import MemoryBudget
from hounsfield.server.ops.access_log import AccessLog
from hounsfield.server.ops.metrics import Metrics
from hounsfield.server.ops.verification import Verified
from hounsfield.server.rendering.layers import VolumeBeside
from hounsfield.server.rendering.volumes import VolumeCache

THREADS = 24
"""Threads that answer requests at once; the rest wait their turn."""


@dataclass
class AppState:
    """One served library. `deletes`: whether instances may be removed by request at all."""

    library: Library
    limits: Limits = field(default_factory=Limits)
    deletes: bool = False
    prefix: str = "/dicom-web"
    verified: Path | None = None
    """The file of findings of `hounsfield verify`."""
    access: Access = field(default_factory=Access)
    access_log: AccessLog = field(default_factory=AccessLog)
    beside: tuple[VolumeBeside, ...] = ()
    """Volume files beside what is served, which may be laid over a series."""

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.requests = FairShare(self.limits.requests, "requests")
        self.uploads = FairShare(self.limits.stores, "stores")
        self.threads = CapacityLimiter(THREADS)
        self.heavy = CapacityLimiter(self.limits.heavy)
        self.decoding = MemoryBudget(self.limits.decoded)
        self.volumes = VolumeCache(self.library, self.limits.cache)
        if isinstance(self.library, Archive):
            self.library.on_damage = self.metrics.damage

    @property
    def archive(self) -> Archive:
        """The library as an archive; raises `DicomwebError` 405 for a read-only one."""
        if not isinstance(self.library, Archive):
            raise DicomwebError("this server is read-only", status=405)
        return self.library

    @property
    def writable(self) -> bool:
        return isinstance(self.library, Archive)

    def gauges(self) -> dict[str, float]:
        """Return what is stored and what the last verification found, by the names of their metrics."""
        found: dict[str, float] = {}
        if isinstance(self.library, Archive):
            found |= zip(("studies", "series", "instances"), self.library.index.totals(), strict=True)
        last = Verified.from_file(self.verified) if self.verified is not None else None
        if last is not None:
            found |= {"verify_instances": last.instances, "verify_damaged_instances": len(last.damaged)}
            found |= {"verify_end_timestamp_seconds": last.ended} if last.ended is not None else {}
        return found
