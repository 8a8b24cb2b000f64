"""Instances → series → the parts that are one volume each.

A Series Instance UID is not yet a volume: it may hold a localizer, a dose page, two matrices, two units, several
phases, even two patients. Parts differ in patient, study or number, in unit or in Stack ID and stay; within a part
the largest group of one matrix, orientation and SOP class is the volume, and the others are left out, listed
(ct_traps 9, 23, 41, 48, 60).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hounsfield.ct.geometry import ORIENTATION_GROUP_TOLERANCE
from hounsfield.ct.instance import Instance, Skipped
from hounsfield.ct.series.identity import Identities, Identity, completed
from hounsfield.ct.series.slices import (
    LOCALIZER,
    Slice,
    is_ct_capture,
    left_out,
    reason_to_leave_out,
    slices_of,
)
from hounsfield.ct.units import UNSPECIFIED, Unit, hounsfield_on_request
from hounsfield.errors import HounsfieldError
from hounsfield.language.reasons import reason, unreadable

_LOCALIZER_REASON = reason("among-slices")
SPACING_GROUP_TOLERANCE = 1e-3  # share by which Pixel Spacing may differ between slices of one grid
_PROJECTED = Unit(UNSPECIFIED, False, reason("projected"))


@dataclass
class Part:
    """Slices of one series, unit and stack that share a grid in-plane."""

    identity: Identity
    unit: Unit
    stack: str
    slices: list[Slice]
    left_out: list[Skipped] = field(default_factory=list)
    localizer: bool = False

    @property
    def uid(self) -> str:
        """Series Instance UID."""
        return self.identity.uid


_Key = tuple[Identity, str, str]


@dataclass(frozen=True)
class Groups:
    """Parts in the order in which their series came, what belongs to none, and parts of Secondary Captures that are CT
    but for their class; these are among the skipped too.
    """

    parts: list[Part]
    skipped: list[Skipped]
    captures: list[Part]


def group(instances: Iterable[Instance], *, unit: str | None = None) -> Groups:
    """The groups of `instances`, all of them in `unit` if it is given."""
    parts: dict[_Key, Part] = {}
    captures: dict[_Key, Part] = {}
    skipped: list[Skipped] = []
    damaged: list[tuple[str, Skipped]] = []  # with the Series Instance UID that each has
    identities = Identities()
    for instance in instances:
        is_capture = is_ct_capture(instance, unit=unit)
        why = reason_to_leave_out(instance)
        if is_capture:
            skipped.append(Skipped(instance.name, reason("capture-ct")))
        elif why is not None:
            skipped.append(Skipped(instance.name, why))
            continue
        try:
            identity = identities.of(instance.header)
            for item in list(slices_of(instance)):
                _add(item, identity, captures if is_capture else parts, unit)
        except HounsfieldError as error:
            why = unreadable(error, str(error).removeprefix(f"{instance.name}: "))
            damaged.append((instance.header.text("SeriesInstanceUID"), Skipped(instance.name, why)))
    found = _without_localizers([_largest_group(part) for part in _completed(parts)])
    taken = _without_localizers([_largest_group(part) for part in _completed(captures)])
    # What belongs to a series and cannot be read is missing from it: its volume must say so.
    owners = {part.uid: part.left_out for part in reversed(found) if part.uid and not part.localizer}
    for uid, unread in damaged:
        owners.get(uid, skipped).append(unread)
    return Groups(found, skipped, taken)


def _add(item: Slice, identity: Identity, parts: dict[_Key, Part], asked: str | None) -> None:
    localizer = item.is_localizer
    unit = _PROJECTED if localizer else item.unit
    if asked is not None and not localizer:
        unit = hounsfield_on_request(unit)
    key = identity, LOCALIZER if localizer else unit.name, item.plane.stack
    if key not in parts:
        parts[key] = Part(identity, unit, item.plane.stack, [], localizer=localizer)
    parts[key].slices.append(item)


def _completed(parts: dict[_Key, Part]) -> list[Part]:
    """Parts whose identities are one but for blanks, as one."""
    identities = completed(identity for identity, _, _ in parts)
    found: dict[_Key, Part] = {}
    for (identity, unit, stack), part in parts.items():
        whole = identities[identity]
        known = found.setdefault((whole, unit, stack), part)
        if known is not part:
            known.slices += part.slices
        known.identity = whole
    return list(found.values())


def _without_localizers(parts: list[Part]) -> list[Part]:
    """A localizer among the slices of a series is left out of it; a series of nothing else is a part of its own."""
    owners = {part.identity: part for part in reversed(parts) if not part.localizer}
    for part in parts:
        if part.localizer and part.identity in owners:
            others = [Skipped(item.name, _LOCALIZER_REASON) for item in part.left_out]
            owners[part.identity].left_out += left_out(part.slices, _LOCALIZER_REASON) + others
    return [part for part in parts if not part.localizer or part.identity not in owners]


def _largest_group(part: Part) -> Part:
    groups: list[tuple[Slice, list[Slice]]] = []
    for item in part.slices:
        for first, members in groups:
            if _one_grid(first, item):
                members.append(item)
                break
        else:
            groups.append((item, [item]))
    if len(groups) > 1:
        # Of equally large ones that with the least Instance Number, in whatever order the files came.
        groups.sort(key=lambda entry: (-len(entry[1]), min(map(_number_and_uid, entry[1]))))
    main, members = groups[0]
    part.slices = members
    for first, others in groups[1:]:
        part.left_out += left_out(others, _difference(main, first))
    return part


def _number_and_uid(item: Slice) -> tuple[int, str]:
    return item.instance.header.integer("InstanceNumber", 0) or 0, item.uid


def _one_grid(first: Slice, other: Slice) -> bool:
    """Same matrix, SOP class, orientation and pixel spacing, within tolerances."""
    return (
        first.shape == other.shape
        and first.instance.header.raw("SOPClassUID") == other.instance.header.raw("SOPClassUID")
        and _near(
            first.plane.orientation, other.plane.orientation, ORIENTATION_GROUP_TOLERANCE, relative=False
        )
        and _near(first.plane.spacing, other.plane.spacing, SPACING_GROUP_TOLERANCE, relative=True)
        and (first.plane.position is None) == (other.plane.position is None)
    )


def _near(
    first: tuple[float, ...] | None, other: tuple[float, ...] | None, tolerance: float, *, relative: bool
) -> bool:
    if first == other:
        return True
    if first is None or other is None:
        return False
    a, b = np.asarray(first), np.asarray(other)
    return bool(np.all(np.abs(a - b) <= (tolerance * np.abs(a) if relative else tolerance)))


def _difference(main: Slice, other: Slice) -> str:
    """Why `other` does not lie on the grid of `main`."""
    if main.shape != other.shape:
        return reason("other-matrix", matrix=_times(other.shape), volume=_times(main.shape))
    if (main.plane.position is None) != (other.plane.position is None):
        return reason("no-position" if other.plane.position is None else "has-position")
    if not _near(
        main.plane.orientation, other.plane.orientation, ORIENTATION_GROUP_TOLERANCE, relative=False
    ):
        return reason("other-orientation")
    if not _near(main.plane.spacing, other.plane.spacing, SPACING_GROUP_TOLERANCE, relative=True):
        return reason("other-spacing")
    return reason("other-class")


def _times(shape: tuple[int, int]) -> str:
    return "×".join(str(length) for length in shape)
