"""Searches on a server (QIDO-RS, PS3.18 10.6), each match with an address as the user spelled the server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from hounsfield.client import Client
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Collection, Resource
from hounsfield.errors import DicomwebError
from hounsfield.locations.location import Found, Level

COLLECTIONS: dict[Level, Collection] = {"study": "studies", "series": "series", "instance": "instances"}

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_NOT_SEARCHED = frozenset({400, 404, 405, 501})
"""Statuses with which servers say that they do not search across studies."""

_STUDY_KEYS = {
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyDescription",
    "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyInstanceUID", "ModalitiesInStudy",
}  # fmt: skip


def search_server(
    client: Client,
    resource: Resource,
    narrowed: Query,
    spelling: str,
    level: Level,
    query: Query,
    warn: Callable[[str], None],
) -> Iterator[Found]:
    """Matches of `query` below `resource`, which `narrowed` narrows; `spelling` is what the user called it, or ""."""
    asked = resource.plain
    chain = (asked.study, asked.series, asked.instance)
    depth = list(COLLECTIONS).index(level)
    # A place as deep as what is looked for, or deeper, pins its UID; the search runs in what is above.
    pinned = tuple((keyword, uid) for keyword, uid in ((_UIDS[depth], chain[depth]),) if uid is not None)
    query = replace(query, matches=(*narrowed.matches, *query.matches, *pinned))
    above = client.resource(*chain[:depth])
    for model in itertools.islice(_models(client, above, level, query, warn), query.limit):
        yield Found(model, _address(client, resource, spelling, model, level))


def _models(
    client: Client, above: Resource, level: Level, query: Query, warn: Callable[[str], None]
) -> Iterator[Model]:
    """Pages of matches; level by level where a server does not search across studies."""
    try:
        for page in client.pages(above.all(COLLECTIONS[level]), query):
            for warning in page.warnings:
                if warning.remaining is None:
                    warn(warning.text)
            yield from page.models
    except DicomwebError as error:
        if above.level != "service" or level == "study" or error.data.get("status") not in _NOT_SEARCHED:
            raise
        upper = tuple(each for each in query.matches if each[0] in _STUDY_KEYS)
        lower = replace(query, matches=tuple(each for each in query.matches if each[0] not in _STUDY_KEYS))
        for study in client.pages(above.all("studies"), Query(upper, fuzzy=query.fuzzy)):
            for model in study.models:
                uid = first(model, "StudyInstanceUID")
                yield from _models(client, client.resource(uid), level, lower, warn)


def _address(client: Client, resource: Resource, spelling: str, model: Model, level: Level) -> str:
    uids = [first(model, name) for name in _UIDS]
    chain = [uids[0] or resource.study, uids[1] or resource.series, uids[2] or resource.instance]
    depth = list(COLLECTIONS).index(level) + 1
    try:
        found = client.resource(*chain[:depth])
    except DicomwebError:
        return ""
    server, colon, _ = spelling.partition(":")
    return f"{server}:/{found.path}" if spelling and colon else found.url
