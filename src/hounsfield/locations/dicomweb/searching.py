"""Searches on a server (QIDO-RS, PS3.18 10.6), each match with an address as the user spelled the server.

What a server says it matched is a claim: some match the beginnings of values, some leave out keys that they do not know
and give everything. Every result is held against the query by the matcher that folders use (`dicomweb.matching`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from hounsfield.client import Client
from hounsfield.dicomweb.attributes import first, tag_path
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.matching import is_universal, matches_all
from hounsfield.dicomweb.misread import reread
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Collection, Resource
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.locations.location import Found, Level

COLLECTIONS: dict[Level, Collection] = {"study": "studies", "series": "series", "instance": "instances"}

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_NOT_SEARCHED = frozenset({400, 404, 405, 501})
"""Statuses with which servers say that they do not search across studies."""

_STUDY_KEYS = {
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyDescription",
    "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyInstanceUID", "ModalitiesInStudy",
}  # fmt: skip
_COUNTS = {
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances",
    "InstanceAvailability", "RetrieveURL",
}  # fmt: skip
"""Attributes that servers know and no instance has."""

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """The place that is searched, below `resource` at a server; `spelling` is what the user called it, or "".

    `charset`: the set that the user named for texts that this server gives in another than they declare.
    """

    client: Client = field(repr=False)
    resource: Resource
    spelling: str = ""
    charset: str = ""

    @property
    def name(self) -> str:
        return self.spelling.partition(":")[0] or self.client.url


def search_server(place: Place, narrowed: Query, level: Level, query: Query, warn: Warn) -> Iterator[Found]:
    """Matches of `query` at `place`, which `narrowed` narrows; `warn` gets what the server did not do of it."""
    asked = place.resource.plain
    chain = (asked.study, asked.series, asked.instance)
    depth = list(COLLECTIONS).index(level)
    # A place as deep as what is looked for, or deeper, pins its UID; the search runs in what is above.
    pinned = tuple((keyword, uid) for keyword, uid in ((_UIDS[depth], chain[depth]),) if uid is not None)
    query = replace(query, matches=(*narrowed.matches, *query.matches, *pinned))
    above = place.client.resource(*chain[:depth])
    claims = _Claims(place, level, query)
    try:
        for model in itertools.islice(_held(place, above, level, query, claims, warn), query.limit):
            yield Found(model, _address(place, model, level))
    finally:
        for sentence in claims.sentences():
            warn(sentence)


def _held(
    place: Place, above: Resource, level: Level, query: Query, claims: _Claims, warn: Warn
) -> Iterator[Model]:
    """Results that match; of a search for so many all are asked for where some of those do not match."""
    names = tuple(name.partition(".")[0] for name, value in query.matches if not is_universal(value))
    include = query.include if query.include == ("all",) else tuple(dict.fromkeys((*query.include, *names)))
    query, seen = replace(query, include=include), set[str]()
    for limit in dict.fromkeys((query.limit, None)):
        for model in _models(place, above, level, replace(query, limit=limit), warn):
            uid = first(model, _UIDS[list(COLLECTIONS).index(level)])
            if uid and uid in seen:
                continue
            seen.add(uid)
            if claims.hold(model):
                yield model
        if not claims.unapplied and not claims.unstated:
            return


class _Claims:
    """The results of one search, held against what was asked for.

    `unapplied` counts those that do not match, by attribute; `unstated` names attributes that could not be had.
    """

    def __init__(self, place: Place, level: Level, query: Query) -> None:
        self._place, self._level, self._query = place, level, query
        self._asked = [each for each in query.matches if not is_universal(each[1])]
        self._of_studies: dict[tuple[str, str], Model | None] = {}
        self.unapplied: dict[str, int] = {}
        self.unstated: set[str] = set()

    def hold(self, model: Model) -> bool:
        """Return whether a result is what was asked for, whatever the server says."""
        present = {name: self._has(model, name) for name, _ in self._asked}
        for name, value in sorted(self._asked, key=lambda each: not present[each[0]]):
            stated = model if present[name] else self._looked_up(model, name)
            if stated is None:
                self.unstated.add(name)
                if name not in _COUNTS:
                    return False
            elif not matches_all(self._query, [(name, value)], stated):
                self.unapplied[name] = self.unapplied.get(name, 0) + 1
                return False
        return not self._is_split(model)

    def _is_split(self, model: Model) -> bool:
        """Return whether conditions on one sequence are met by several of its items alone (PS3.4 C.2.2.2.6)."""
        nested = [each for each in self._asked if "." in each[0]]
        return len(nested) > 1 and not matches_all(self._query, nested, model)

    def _has(self, model: Model, name: str) -> bool:
        return tag_path(name)[0] in model or tag_path(name)[0].lower() in model

    def _looked_up(self, model: Model, name: str) -> Model | None:
        """Return what one instance of a result says of an attribute that the result lacks; None if it cannot be had.

        An attribute that the instance lacks as well is an empty one.
        """
        uids = [first(model, key) for key in _UIDS]
        asked = self._place.resource.plain
        study, series = uids[0] or asked.study, uids[1] or asked.series
        if study is None or name in _COUNTS:
            return None
        try:
            if name not in _STUDY_KEYS or self._level == "study":
                return self._of_instance(study, series, uids[2], name)
            key = (study, name)
            if key not in self._of_studies:
                found = self._place.client.search_for_studies({"StudyInstanceUID": study}, fields=[name])
                known = bool(found) and self._has(found[0], name)
                stated = found[0] if known else self._of_instance(study, series, uids[2], name)
                self._of_studies[key] = stated
            return self._of_studies[key]
        except DicomwebError:
            return None

    def _of_instance(self, study: str, series: str | None, instance: str, name: str) -> Model | None:
        client, tag = self._place.client, tag_path(name)[0]
        if name == "ModalitiesInStudy":
            found = {first(each, "Modality") for each in client.search_for_series(study)}
            return {tag: {"vr": "CS", "Value": sorted(found - {""})}}
        if not series or not instance:
            listed = client.search_for_instances(study, series, limit=1)
            if not listed:
                return None
            series = series or first(listed[0], "SeriesInstanceUID")
            instance = first(listed[0], "SOPInstanceUID")
        whole = client.retrieve_metadata(client.resource(study, series, instance))
        if not whole:
            return None
        stated, _ = reread(whole[0], self._place.charset or None)
        return {tag: stated[tag]} if tag in stated else {}

    def sentences(self) -> Iterator[str]:
        """Sentences that say what the server did not do."""
        for name, count in sorted(self.unapplied.items()):
            yield say(
                "{server} does not match {name} as asked: {count} of its results are left out",
                server=self._place.name,
                name=name,
                count=count,
            )
        if self.unstated:
            names = ", ".join(sorted(self.unstated))
            yield say(
                "{server} does not tell {names}: what it may match is left out",
                server=self._place.name,
                names=names,
            )


def _models(place: Place, above: Resource, level: Level, query: Query, warn: Warn) -> Iterator[Model]:
    """Pages of results; level by level where a server does not search across studies."""
    client = place.client
    try:
        for page in client.pages(above.all(COLLECTIONS[level]), query):
            for warning in page.warnings:
                if warning.remaining is None:
                    warn(warning.text)
            yield from (reread(model, place.charset or None)[0] for model in page.models)
    except DicomwebError as error:
        if above.level != "service" or level == "study" or error.data.get("status") not in _NOT_SEARCHED:
            raise
        upper = tuple(each for each in query.matches if each[0] in _STUDY_KEYS)
        lower = replace(query, matches=tuple(each for each in query.matches if each[0] not in _STUDY_KEYS))
        include = tuple(name for name, _ in upper)
        for study in client.pages(above.all("studies"), Query(upper, include, fuzzy=query.fuzzy)):
            for model in study.models:
                uid = first(model, "StudyInstanceUID")
                known, _ = reread(model, place.charset or None)
                for found in _models(place, client.resource(uid), level, lower, warn):
                    # What only the study above says is taken from there.
                    yield {tag: each for tag, each in known.items() if tag in _OF_STUDY} | found


_OF_STUDY = frozenset(tag_path(name)[0] for name in _STUDY_KEYS)


def _address(place: Place, model: Model, level: Level) -> str:
    client, resource = place.client, place.resource
    uids = [first(model, name) for name in _UIDS]
    chain = [uids[0] or resource.study, uids[1] or resource.series, uids[2] or resource.instance]
    depth = list(COLLECTIONS).index(level) + 1
    try:
        found = client.resource(*chain[:depth])
    except DicomwebError:
        return ""
    server, colon, _ = place.spelling.partition(":")
    return f"{server}:/{found.path}" if place.spelling and colon else found.url
