"""`Service`: what endpoints share: the library, the limits, what is kept between requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.errors import DicomwebError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.library import Library
from hounsfield.server.http.limits import Limits
from hounsfield.server.http.memory_budget import Room

if TYPE_CHECKING:
    from hounsfield.server.rendering.volumes import VolumeCache


@dataclass(frozen=True)
class Service:
    """One served library. `deletes`: whether instances may be removed by request at all."""

    library: Library
    limits: Limits = field(default_factory=Limits)
    deletes: bool = False
    prefix: str = "/dicom-web"
    verified: Path | None = None
    """Where `hounsfield verify` writes what it found."""

    def last_check(self) -> dict[str, float]:
        """What the last check of all instances came to, as metrics; nothing before there was one."""
        from hounsfield.server.ops.verification import Verified

        found = Verified.from_file(self.verified) if self.verified is not None else None
        if found is None:
            return {}
        ended = {"verify_end_timestamp_seconds": found.ended} if found.ended is not None else {}
        return {"verify_instances": found.instances, "verify_damaged_instances": len(found.damaged), **ended}

    @property
    def archive(self) -> Archive:
        """The library as one that takes in; `DicomwebError` 405 for one that only reads."""
        if not isinstance(self.library, Archive):
            raise DicomwebError("this server only reads", status=405)
        return self.library

    @property
    def writable(self) -> bool:
        return isinstance(self.library, Archive)

    @property
    def decoding(self) -> Room:
        """The memory for what is decoded now."""
        room: Room | None = self.__dict__.get("_room")
        return room or self.__dict__.setdefault("_room", Room(self.limits.decoded))

    @property
    def volumes(self) -> VolumeCache:
        """Scanned series and volumes, kept for the next request."""
        from hounsfield.server.rendering.volumes import VolumeCache

        cache: VolumeCache | None = self.__dict__.get("_volumes")
        if cache is None:
            cache = self.__dict__.setdefault("_volumes", VolumeCache(self.library, self.limits.cache))
        return cache
