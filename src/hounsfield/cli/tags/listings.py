"""The listing of `hounsfield tags`: instances of a location by series, as rows or as DICOM JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

from hounsfield.attributes import Listing, Row, attribute_rows, header_rows, select_rows
from hounsfield.attributes.header_text import element_of, header_members
from hounsfield.ct.instance import Instance, Skipped
from hounsfield.ct.instance.texts import character_set_reason, miscounted_reasons
from hounsfield.dicom.dictionary import Group, Language, group_of
from hounsfield.errors import HounsfieldError
from hounsfield.verbs.load import instances

if TYPE_CHECKING:
    from pydicom import Dataset

Tell = Callable[[str], None]
"""Gets a line for what is not shown, or not as a whole."""

_OF_TITLE = (0x00200011, 0x00080060, 0x0008103E)  # Series Number, Modality, Series Description

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def instances_by_series(location: str, skipped: list[Skipped]) -> dict[str, list[Instance]]:
    """Series Instance UID → its instances, in the order the location gives them. Raises `LocationError`.

    An instance without that UID stands by itself, under its name, after the others. A media directory among images
    is left out: it repeats what they say.
    """
    found: dict[str, list[Instance]] = {}
    alone: dict[str, list[Instance]] = {}
    directories: dict[str, list[Instance]] = {}
    for instance in instances(location, skipped=skipped):
        if uid := instance.header.text("SeriesInstanceUID"):
            found.setdefault(uid, []).append(instance)
        elif instance.header.text("SOPClassUID") == MEDIA_DIRECTORY:
            directories[instance.name] = [instance]
        else:
            alone[instance.name] = [instance]
    return {**found, **alone} or directories


def listings(
    series: dict[str, list[Instance]],
    *,
    language: Language,
    groups: Sequence[Group] = (),
    search: str | None = None,
    all_instances: bool = False,
    tell: Tell,
) -> Iterator[Listing]:
    """The rows of the first instance of each series, or of every instance; what has none to show is left out.

    `tell` is called with the reason why an instance has no part in it, or only a part.
    """
    for members in series.values():
        shown = members if all_instances else members[:1]
        others = [] if all_instances else members[1:]
        for instance in shown:
            try:
                alike = _readable(others, tell)
                rows = attribute_rows(instance.dataset(), alike) if others else header_rows(instance)
            except HounsfieldError as error:
                tell(str(error))
                continue
            chosen = select_rows(rows, groups=groups, search=search)
            if chosen:
                _tell_of_characters(instance, tell)
                yield Listing(instance.name, _title(rows, language), chosen, 1 + len(others))


def _tell_of_characters(instance: Instance, tell: Tell) -> None:
    decided = instance.header.character_set
    for note in filter(None, (character_set_reason(decided), *miscounted_reasons(decided))):
        tell(f"{instance.name}: {note}")


def _readable(others: Iterable[Instance], tell: Tell) -> Iterator[Dataset]:
    for other in others:
        try:
            yield other.dataset()
        except HounsfieldError as error:
            tell(str(error))


def models(
    series: dict[str, list[Instance]],
    *,
    groups: Sequence[Group] = (),
    search: str | None = None,
    all_instances: bool = False,
    tell: Tell,
) -> Iterator[Mapping[int, str]]:
    """The same as members of DICOM JSON objects (PS3.18 F.2): whole values, top-level attributes chosen by group and
    text.
    """
    for members in series.values():
        for instance in members if all_instances else members[:1]:
            problems: list[str] = []
            try:
                model = header_members(instance, bulk=False, problems=problems)
                shown = _shown(instance, search) if search else model.keys()
            except HounsfieldError as error:
                tell(str(error))
                continue
            _tell_of_characters(instance, tell)
            for problem in problems:
                tell(f"{instance.name}: {problem}")
            yield {
                tag: member
                for tag, member in model.items()
                if tag in shown and (not groups or group_of(tag) in groups)
            }


def _shown(instance: Instance, search: str) -> set[int]:
    """The tags at the top that mention `search`, or hold what does."""
    rows = select_rows(attribute_rows(instance.dataset()), search=search)
    return {row.tag for row in rows if row.depth == 0}


def write_models(models: Iterable[Mapping[int, str]], file: TextIO) -> None:
    """A list of DICOM JSON objects, indented."""
    file.write("[")
    for number, members in enumerate(models):
        file.write(",\n  {" if number else "\n  {")
        file.write(",".join(map(_indented, members.values())))
        file.write("\n  }" if members else "}")
    file.write("\n]\n")


@lru_cache(maxsize=16384)
def _indented(member: str) -> str:
    text = json.dumps({member[1:9]: element_of(member)}, ensure_ascii=False, indent=2, allow_nan=False)
    return "".join(f"\n  {line}" for line in text.split("\n")[1:-1])


def _title(rows: Iterable[Row], language: Language) -> str:
    """Series number, description and modality, as far as they are there."""
    values = {row.tag: row.value.strip() for row in rows if row.depth == 0 and row.tag in _OF_TITLE}
    number, modality, description = (values.get(tag, "") for tag in _OF_TITLE)
    series = Group.SERIES.title.say(language)
    return "  ".join(part for part in (f"{series} {number}".strip(), modality, description) if part)
