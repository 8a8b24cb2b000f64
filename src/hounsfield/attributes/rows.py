"""A data set as rows to show: grouped, named, explained, nested with depth, marked where a series varies.

Rows are of no language and no format: names and explanations are in both languages, and the renderers choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hounsfield.attributes.explain import NOTHING, Context, explain
from hounsfield.attributes.values import Value, raw_bytes, read_value
from hounsfield.dicom.dictionary import ITEM, Attribute, Group, Phrase, attribute, group_of, vr_name, written

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_DEPTH = 32
"""Sequences within sequences; what lies deeper is counted, not shown."""

_ORDER = {group.value: number for number, group in enumerate(Group)}


@dataclass(frozen=True, slots=True)
class Row:
    """One element, or one item of a sequence (`tag` is then `ITEM`), at `depth` sequences below the top.

    `path` is what `--set` takes: `PatientName`, `RequestAttributesSequence[0].ScheduledProcedureStepID`.
    `distinct` counts the values that the instances of a series have for a top-level attribute: 1 where they agree
    or where there is one instance only. `value` is whole text; binary values are summarised with their `length`.
    """

    path: str
    group: Group
    depth: int
    tag: int
    keyword: str
    vr: str
    name: Phrase
    value: str = ""
    explanation: Phrase = NOTHING
    creator: str | None = None
    length: int | None = None
    distinct: int = 1
    broken: bool = False

    @property
    def number(self) -> str:
        """(gggg,eeee), or nothing for an item."""
        return "" if self.tag == ITEM else written(self.tag)

    @property
    def vr_name(self) -> Phrase:
        return vr_name(self.vr)

    def mentions(self, text: str) -> bool:
        """Return whether `text` occurs in its number, keyword, names, value or explanation; case does not matter."""
        number = self.number
        fields = (number, number.strip("()").replace(",", ""), self.keyword, *self.name, self.value)
        wanted = text.casefold()
        return any(wanted in field.casefold() for field in (*fields, *self.explanation, self.creator or ""))


def attribute_rows(dataset: Dataset, others: Iterable[Dataset] = ()) -> tuple[Row, ...]:
    """Rows of `dataset` (its file meta group too) in the order of `Group`, within a group by tag.

    `others` are further instances of the same series; attributes in which any differs are marked by `distinct`.
    Data sets are compared as they were read: hand them in fresh, before their elements were looked at.
    """
    counts = _distinct(dataset, others)
    meta = getattr(dataset, "file_meta", None)
    rows = [*(_rows(meta) if meta is not None else ()), *_rows(dataset)]
    marked = [replace(row, distinct=counts[row.path]) if row.path in counts else row for row in rows]
    return in_order(marked)


def in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows by the order of `Group`, within a group as they come."""
    return tuple(sorted(rows, key=lambda row: _ORDER[row.group.value]))


def select_rows(
    rows: Iterable[Row], *, groups: Sequence[Group] = (), search: str | None = None
) -> tuple[Row, ...]:
    """The rows of `groups` (all, if none is named) that mention `search`, with the sequences they stand in."""
    chosen = [row for row in rows if not groups or row.group in groups]
    if not search:
        return tuple(chosen)
    keep: set[int] = set()
    above: list[int] = []
    for index, row in enumerate(chosen):
        above = [*above[: row.depth * 2 + (row.tag == ITEM)], index]
        if row.tag != ITEM and row.mentions(search):
            keep.update(above)
    return tuple(row for index, row in enumerate(chosen) if index in keep)


def _rows(dataset: Dataset, *, group: Group | None = None, depth: int = 0, prefix: str = "") -> Iterator[Row]:
    context = _context(dataset)
    for tag in sorted(int(key) for key in dataset.keys()):  # noqa: SIM118 (iterating converts every element)
        value, creator = read_value(dataset, tag), _creator(dataset, tag)
        yield from element_rows(tag, value, creator, context, group=group, depth=depth, prefix=prefix)


def element_rows(
    tag: int,
    value: Value,
    creator: str | None,
    context: Context,
    *,
    group: Group | None = None,
    depth: int = 0,
    prefix: str = "",
) -> Iterator[Row]:
    """The row of one element, and those of its items; `context`: what else the data set says, for explanations."""
    known = attribute(tag, creator)
    group = group or group_of(tag)
    path = prefix + (known.keyword if known.keyword and tag >> 16 not in _REPEATING else written(tag))
    yield Row(
        path,
        group,
        depth,
        tag,
        known.keyword,
        value.vr if value.vr != "UN" or known.vr in {"UN", ""} else known.vr.split(" or ")[0],
        known.name,
        value.text,
        _explanation(known, value, context),
        creator,
        value.length,
        broken=value.broken,
    )
    for index, item in enumerate(value.items or ()):
        label = Phrase(f"Item {index}", f"条目 {index}")
        yield Row(f"{path}[{index}]", group, depth, ITEM, "", "", label)
        if depth < MAX_DEPTH:
            yield from _rows(item, group=group, depth=depth + 1, prefix=f"{path}[{index}].")


_REPEATING = frozenset((*range(0x5000, 0x5100, 2), *range(0x6000, 0x6100, 2)))


def _explanation(known: Attribute, value: Value, context: Context) -> Phrase:
    if value.items is not None:
        count = len(value.items)
        return Phrase(f"{count} item{'s' * (count != 1)}", f"{count} 个条目")
    return NOTHING if known.private else explain(known.keyword, value.vr, value.text, context)


def _creator(dataset: Dataset, tag: int) -> str | None:
    """The private creator that reserved the block of `tag` (PS3.5 7.8.1)."""
    block = tag >> 8 & 0xFF
    if not tag >> 16 & 1 or block < 0x10:
        return None
    creator = tag & 0xFFFF0000 | block
    return read_value(dataset, creator).text or None if creator in dataset else None


def _context(dataset: Dataset) -> Context:
    from pydicom.datadict import tag_for_keyword

    def text(keyword: str) -> str:
        tag = tag_for_keyword(keyword)
        return read_value(dataset, tag).text if tag is not None and tag in dataset else ""

    return text


def _distinct(dataset: Dataset, others: Iterable[Dataset]) -> dict[str, int]:
    """Return how many values each top-level attribute has over a series, absence counting as one; only those with
    more.
    """
    seen: dict[int, set[object]] = {int(tag): {_identity(dataset, tag)} for tag in dataset.keys()}  # noqa: SIM118
    for number, other in enumerate(others, 1):
        for tag in {*seen, *(int(key) for key in other.keys())}:  # noqa: SIM118
            # A tag first met now was absent from all instances before.
            found = seen.setdefault(tag, {None} if number else set())
            found.add(_identity(other, tag))
    return {
        (attribute(tag).keyword if tag >> 16 not in _REPEATING else "") or written(tag): len(values)
        for tag, values in seen.items()
        if len(values) > 1
    }


def _identity(dataset: Dataset, tag: int, depth: int = 0) -> object:
    """Something equal for equal values: the bytes in the file, where pydicom has not converted them yet."""
    if tag not in dataset:
        return None
    raw = raw_bytes(dataset, tag)
    if raw is not None:
        return raw[1].rstrip(b"\0 ")
    value = read_value(dataset, tag)
    if value.items is None or depth > MAX_DEPTH:
        return value.text
    return tuple(
        tuple((int(key), _identity(item, int(key), depth + 1)) for key in sorted(item.keys()))
        for item in value.items
    )
