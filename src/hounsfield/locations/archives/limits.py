"""Limits on what an archive may expand to: the guard against bombs (a few bytes that become many)."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.errors import LocationError
from hounsfield.language import say

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Caps on one archive; sizes in bytes.

    Real CT expands two- to fourfold and a blank phantom a thousandfold, so `ratio` is asked only of what expands
    to more than `unquestioned_bytes`.
    """

    member_bytes: int = 4 * GIB
    total_bytes: int = 256 * GIB
    members: int = 1_000_000
    ratio: int = 200
    unquestioned_bytes: int = 256 * MIB

    def member_excess(self, expanded: int, packed: int) -> str | None:
        """Why one member of `packed` bytes may not expand to `expanded`, or None if it may."""
        if expanded > self.member_bytes:
            return f"expands to {expanded} bytes, over the limit of {self.member_bytes}"
        return self._ratio_excess(expanded, packed)

    def check_total(self, expanded: int, packed: int, *, where: str) -> None:
        """`LocationError` if all that an archive of `packed` bytes expands to is too much."""
        excess = self._ratio_excess(expanded, packed)
        if expanded > self.total_bytes:
            excess = f"expands to {expanded} bytes or more, over the limit of {self.total_bytes}"
        if excess is not None:
            raise LocationError(
                excess,
                where=where,
                remedy="if you trust it, unpack it yourself and give the folder",
                expanded_bytes=expanded,
                packed_bytes=packed,
            )

    def check_members(self, count: int, *, where: str) -> None:
        """`LocationError` if an archive has more members than any study."""
        if count > self.members:
            raise LocationError(
                say(
                    "has {count} members or more, over the limit of {members}",
                    count=count,
                    members=self.members,
                ),
                where=where,
                remedy="if you trust it, unpack it yourself and give the folder",
                members=count,
            )

    def _ratio_excess(self, expanded: int, packed: int) -> str | None:
        if expanded <= self.unquestioned_bytes or expanded <= self.ratio * packed:
            return None
        return f"expands {expanded // max(packed, 1)}-fold to {expanded} bytes or more, as only a bomb does"
