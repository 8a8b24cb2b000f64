"""`Entry`: what the index tells of an instance, and the statements by which it is selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.index.tables import instances, series, studies


@dataclass(frozen=True, slots=True)
class Entry:
    """One indexed instance: where it is, how large (None: not known before it is read), when it came (ns).

    `number` is its own in the index; `sha256` and `blocks` its digest, None where it was not made yet.
    """

    study: str
    series: str
    instance: str
    sop_class: str
    syntax: str
    frames: int
    size: int | None
    changed: int
    key: str
    number: int = 0
    sha256: bytes | None = None
    blocks: bytes | None = None

    @property
    def path(self) -> str:
        return f"studies/{self.study}/series/{self.series}/instances/{self.instance}"


ENTRY = (
    studies.c.StudyInstanceUID,
    series.c.SeriesInstanceUID,
    instances.c.SOPInstanceUID,
    instances.c.SOPClassUID,
    instances.c.AvailableTransferSyntaxUID,
    instances.c.frames,
    instances.c.size,
    instances.c.changed,
    instances.c.key,
    instances.c.id,
    instances.c.sha256,
    instances.c.blocks,
)


def entry_of(row: Any) -> Entry:
    study, series_uid, instance, sop_class, syntax, *others = tuple(row)[: len(ENTRY)]
    return Entry(study, series_uid, instance, sop_class or "", syntax or "", *others)


def scoped(statement: Any, scope: Resource) -> Any:
    joined = studies.join(series, series.c.study_id == studies.c.id)
    statement = statement.select_from(joined.join(instances, instances.c.series_id == series.c.id))
    if scope.study is not None:
        statement = statement.where(studies.c.StudyInstanceUID == scope.study)
    if scope.series is not None:
        statement = statement.where(series.c.SeriesInstanceUID == scope.series)
    if scope.instance is not None:
        statement = statement.where(instances.c.SOPInstanceUID == scope.instance)
    return statement


def selected(scope: Resource, *columns: Any) -> Any:
    return scoped(select(*columns), scope).order_by(instances.c.id)
