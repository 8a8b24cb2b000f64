"""What `hounsfield tags` lists: instances of a location by series, as rows or as DICOM JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hounsfield.attributes import Listing, attribute_rows, select_rows
from hounsfield.dicomweb.dicom_json import from_dataset
from hounsfield.instance import Instance, Skipped
from hounsfield.reading import instances
from hounsfield.tags import Group, Language, group_of

if TYPE_CHECKING:
    from pydicom import Dataset

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
) -> Iterator[Listing]:
    """The rows of the first instance of each series, or of every instance; what has none to show is left out."""
    for members in series.values():
        shown = members if all_instances else members[:1]
        others = [] if all_instances else members[1:]
        for instance in shown:
            dataset = instance.dataset()
            rows = attribute_rows(dataset, (other.dataset() for other in others))
            rows = select_rows(rows, groups=groups, search=search)
            if rows:
                yield Listing(instance.name, _title(dataset, language), rows, 1 + len(others))


def models(
    series: dict[str, list[Instance]],
    *,
    groups: Sequence[Group] = (),
    search: str | None = None,
    all_instances: bool = False,
) -> Iterator[dict[str, Any]]:
    """The same as DICOM JSON objects (PS3.18 F.2): whole values, top-level attributes chosen by group and text."""
    for members in series.values():
        for instance in members if all_instances else members[:1]:
            dataset = instance.dataset()
            model = from_dataset(dataset)
            if groups:
                model = {tag: value for tag, value in model.items() if group_of(int(tag, 16)) in groups}
            if search:
                rows = select_rows(attribute_rows(dataset), search=search)
                kept = {f"{row.tag:08X}" for row in rows if row.depth == 0}
                model = {tag: value for tag, value in model.items() if tag in kept}
            yield model


def _title(dataset: Dataset, language: Language) -> str:
    """Series number, description and modality, as far as they are there."""
    from hounsfield.attributes.values import read_value

    def text(tag: int) -> str:
        return read_value(dataset, tag).text.strip() if tag in dataset else ""

    number, description, modality = text(0x00200011), text(0x0008103E), text(0x00080060)
    series = Group.SERIES.title.say(language)
    return "  ".join(part for part in (f"{series} {number}".strip(), modality, description) if part)
