"""Instances → `Series` with verdicts: the judgement that `scan` shows and `load` stands on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hounsfield.ct.geometry import Verdict, is_orthonormal
from hounsfield.ct.instance import Instance, Skipped
from hounsfield.ct.instance.texts import character_set_reason, miscounted_reasons
from hounsfield.ct.series.grouping import Part, group
from hounsfield.ct.series.identity import labels, notes
from hounsfield.ct.series.phases import Phase, separate
from hounsfield.ct.series.series import Series
from hounsfield.ct.series.slices import Slice, as_people_count
from hounsfield.ct.series.traits import asked_keywords
from hounsfield.language.reasons import reason


def find_series(
    instances: Iterable[Instance],
    *,
    unit: str | None = None,
    split_by: str | Iterable[str] | None = None,
    captures: list[Series] | None = None,
) -> tuple[tuple[Series, ...], tuple[Skipped, ...]]:
    """The series among `instances`, in the order in which they come, and what belongs to none, with reasons.

    `unit`: "HU" calls the values so, whatever the files say of them. `split_by`: keywords or tags by whose values
    slices are parted into volumes, or "gaps" for the slabs between gaps; by default what parts them is found.
    `captures` gets the series of Secondary Captures that are CT but for their class, for whoever asks for one by name;
    they are among what is skipped too. Raises `SelectionError` for a word that names no attribute.
    """
    asked = asked_keywords(split_by)
    found = group(instances, unit=unit)
    if captures is not None:
        captures += (
            replace(series, notes=(reason("capture-taken"), *series.notes))
            for series in _all_series(found.captures, asked)
        )
    return tuple(_all_series(found.parts, asked)), tuple(found.skipped)


def _all_series(parts: list[Part], split_by: tuple[str, ...]) -> Iterator[Series]:
    by_uid: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_uid[part.uid].append(part)
    return (_series(part, by_uid[part.uid], split_by) for part in parts)


def _label(part: Part, siblings: list[Part]) -> str:
    """Return what tells a part from others under its Series Instance UID, "" where there are none; each its own."""
    if len(siblings) == 1:
        return ""
    whose = labels(other.identity for other in siblings)
    words = [
        f"{other.unit.name}{whose[other.identity]}{f' stack {other.stack}' if other.stack else ''}"
        for other in siblings
    ]
    place = next(place for place, other in enumerate(siblings) if other is part)
    before = words[:place].count(words[place])
    return words[place] if before == 0 else f"{words[place]} ({before + 1})"


def _series(part: Part, siblings: list[Part], split_by: tuple[str, ...]) -> Series:
    label = _label(part, siblings)
    told_apart = notes(part.identity, (other.identity for other in siblings))
    problem = _problem(part)
    if problem is not None:
        return Series(
            uid=part.uid,
            part=label,
            unit=part.unit,
            slices=tuple(sorted(part.slices, key=_instance_order)),
            phases=(),
            verdict=Verdict.NOT_A_VOLUME,
            reasons=(problem,),
            left_out=tuple(part.left_out),
            notes=(*told_apart, *_notes(part), *_order_notes(part)),
        )
    found = separate(part.slices, split_by)
    worst = found.worst
    return Series(
        uid=part.uid,
        part=label,
        unit=part.unit,
        slices=tuple(item for phase in found.phases for item in phase.slices),
        phases=found.phases,
        verdict=worst.verdict,
        reasons=worst.reasons,
        left_out=(*part.left_out, *found.dropped),
        notes=(*told_apart, *found.notes, *_notes(part), *_mixed(found.phases)),
    )


def _problem(part: Part) -> str | None:
    """Why these slices have no place in space together, or None."""
    plane = part.slices[0].plane
    if part.localizer:
        return reason("localizer")
    if plane.position is None:
        return reason("no-position" if plane.origin is None else "no-frame-position")
    if plane.orientation is None:
        return reason("no-orientation")
    if plane.spacing is None:
        return reason("no-spacing")
    if not is_orthonormal(plane.orientation):
        return reason("orientation", orientation=plane.orientation)
    return None


def _notes(part: Part) -> tuple[str, ...]:
    frames = {item.instance.header.text("FrameOfReferenceUID") for item in part.slices}
    notes: list[str] = []
    if len(frames) > 1:
        notes.append(reason("frames-of-reference", count=len(frames)))
    if part.unit.warning:
        notes.append(part.unit.warning)
    decided = part.slices[0].instance.header.character_set
    if (note := character_set_reason(decided)) is not None:
        notes.append(note)
    notes += miscounted_reasons(decided)
    return tuple(notes)


def _mixed(phases: Iterable[Phase]) -> tuple[str, ...]:
    """Image Types may differ within a sound volume, and may be what interleaves two (trap 23): noted, not judged."""
    kinds = max((len({item.plane.frame_type for item in phase.slices}) for phase in phases), default=1)
    return (reason("image-types", count=kinds),) if kinds > 1 else ()


def _order_notes(part: Part) -> tuple[str, ...]:
    """By what slices without a position are in order: frames by the file (PS3.3 C.7.6.6), files by their numbers."""
    if part.localizer or len(part.slices) == 1:
        return ()
    instances = {id(item.instance) for item in part.slices}
    kinds = (("frame-order", len(instances) < len(part.slices)), ("instance-order", len(instances) > 1))
    notes = [reason(key) for key, applies in kinds if applies]
    unread = sum(_has_unreadable_number(item.instance) for item in part.slices)
    return (*notes, reason("unread-order", count=unread)) if unread else tuple(notes)


def _has_unreadable_number(instance: Instance) -> bool:
    header = instance.header
    return bool(header.raw("InstanceNumber")) and header.integer("InstanceNumber") is None


def _instance_order(item: Slice) -> tuple[int, list[tuple[int, str]], int]:
    """Instance Number, then name as a person counts (2 before 10), then the frame's number."""
    number = item.instance.header.integer("InstanceNumber", 0) or 0
    return number, as_people_count(item.instance.name), item.plane.frame
