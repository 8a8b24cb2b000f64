"""Searches on a peer (C-FIND, PS3.4 C.4.1), level by level; every answer is held against the query.

What a peer says it matched is a claim: some match prefixes, some do not know a key and give everything. The matcher is
that of folders, so a search means the same everywhere. What only a level above knows is taken from its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from hounsfield.dicom.vr import NUMERIC_TEXT, TEMPORAL, TEXT
from hounsfield.dicomweb.attributes import first, tag_path, vr_of
from hounsfield.dicomweb.dicom_json import Model, from_dataset
from hounsfield.dicomweb.matching import is_universal, matches_all
from hounsfield.dicomweb.queries import Query
from hounsfield.dimse.client import find_over
from hounsfield.dimse.identifiers import encode_identifier, identifier
from hounsfield.dimse.negotiation import UNCOMPRESSED
from hounsfield.dimse.requestor import Requestor, associate
from hounsfield.dimse.services import MODELS, PATIENT_ROOT, STUDY_ROOT, UNIQUE_KEYS
from hounsfield.dimse.services import Level as QueryLevel
from hounsfield.locations.dimse.charsets import decoded
from hounsfield.locations.dimse.settings import Called
from hounsfield.locations.location import Level

LEVELS: tuple[QueryLevel, ...] = ("STUDY", "SERIES", "IMAGE")
DEPTHS: dict[Level, int] = {"study": 1, "series": 2, "instance": 3}

_STUDY = frozenset(
    {
        "AccessionNumber", "InstitutionName", "IssuerOfPatientID", "ModalitiesInStudy", "NameOfPhysiciansReadingStudy",
        "NumberOfPatientRelatedStudies", "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries",
        "OtherPatientIDs", "PatientAge", "PatientBirthDate", "PatientBirthTime", "PatientComments", "PatientID",
        "PatientName", "PatientSex", "PatientSize", "PatientWeight", "ReferringPhysicianName", "StudyDate",
        "StudyDescription", "StudyID", "StudyInstanceUID", "StudyTime",
    }
)  # fmt: skip
_SERIES = frozenset(
    {
        "BodyPartExamined", "FrameOfReferenceUID", "Laterality", "Manufacturer", "ManufacturerModelName", "Modality",
        "NumberOfSeriesRelatedInstances", "OperatorsName", "PatientPosition", "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime", "PerformingPhysicianName", "ProtocolName", "SeriesDate",
        "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SeriesTime", "StationName",
    }
)  # fmt: skip
_ALWAYS: dict[QueryLevel, tuple[str, ...]] = {
    "STUDY": ("StudyInstanceUID",),
    "SERIES": ("SeriesInstanceUID",),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID"),
}
_WILD = TEXT - NUMERIC_TEXT - TEMPORAL - {"UI"}

Warn = Callable[[str], None]


def found_models(called: Called, depth: int, query: Query, warn: Warn = lambda _: None) -> Iterator[Model]:
    """Studies (1), series (2) or instances (3) that match, each with what the levels above say of it.

    All searches go over one association, which is broken off where nobody reads on.
    """
    pinned = called.address
    uids = {
        "StudyInstanceUID": pinned.study,
        "SeriesInstanceUID": pinned.series,
        "SOPInstanceUID": pinned.instance,
    }
    # A condition may contradict the address: both hold.
    exact = tuple((name, uid) for name, uid in uids.items() if uid is not None)
    query = replace(query, matches=(*query.matches, *exact))
    with associate(called.peer, [(model.find, UNCOMPRESSED) for model in MODELS]) as requestor:
        search = _Search(called, requestor, depth, query)
        yield from search.below({}, 0)
    if search.untold:
        names = ", ".join(sorted(search.untold))
        warn(f"{pinned.peer} does not tell {names}: what it may match is left out")


class _Search:
    """One search on its way down the levels. `untold`: attributes that were to match and are in no answer."""

    def __init__(self, called: Called, requestor: Requestor, depth: int, query: Query) -> None:
        self._called, self._requestor, self._depth, self._query = called, requestor, depth, query
        self.untold: set[str] = set()
        for model in MODELS:
            if requestor.context(model.find) is not None:
                self._model = model
                return
        requestor.need(STUDY_ROOT.find, "searches (C-FIND)")

    def below(self, above: Model, level: int) -> Iterator[Model]:
        """Yield what matches at a level, and below it down to the one that is searched."""
        conditions = [each for each in self._query.matches if _level_of(each[0], self._depth) == level]
        found = (above | each for each in self._answers(level, self._keys(above, level, conditions)))
        matching = (each for each in found if self._fits(each, level, conditions))
        if level + 1 == self._depth:
            yield from matching
            return
        for each in list(matching):  # the association is for one search at a time
            yield from self.below(each, level + 1)

    def _fits(self, model: Model, level: int, conditions: Sequence[tuple[str, str]]) -> bool:
        """Return whether an answer is what was asked for, whatever the peer says."""
        if not first(model, UNIQUE_KEYS[LEVELS[level]]):
            return False
        told = {name for name, _ in conditions if tag_path(name)[0] in model}
        self.untold.update(name for name, value in conditions if name not in told and not is_universal(value))
        return matches_all(self._query, conditions, model)

    def _keys(self, above: Model, level: int, conditions: Sequence[tuple[str, str]]) -> dict[str, str]:
        keys: dict[str, str] = {}
        for name in (*self._query.include, *_ALWAYS[LEVELS[level]], *(name for name, _ in conditions)):
            if _level_of(name, self._depth) == level and _has_keyword(name):
                keys.setdefault(name.partition(".")[0], "")
        for name, value in conditions:
            if _has_keyword(name) and (sent := _sent(name, value, self._query)):
                keys[name] = sent
        for each in LEVELS[:level]:
            keys[UNIQUE_KEYS[each]] = first(above, UNIQUE_KEYS[each])
        if self._model is PATIENT_ROOT and level:
            keys["PatientID"] = first(above, "PatientID")
        return keys

    def _answers(self, level: int, keys: dict[str, str]) -> Iterator[Model]:
        plain = all(value.isascii() for value in keys.values())
        charset = self._called.charset or ("" if plain else "ISO_IR 192")
        dataset = identifier(LEVELS[level], dict(keys), charset)

        def encode(syntax: str) -> bytes:
            return encode_identifier(dataset, syntax)

        for match in find_over(self._requestor, self._model.find, encode):
            yield from_dataset(decoded(match, self._called.charset))


def _has_keyword(name: str) -> bool:
    """Return whether the dictionary knows an attribute; others are not asked for."""
    return not name.partition(".")[0].isalnum() or vr_of(name.partition(".")[0]) != "UN"


def _level_of(name: str, depth: int) -> int:
    """At which level an attribute is asked for, from 0; at the lowest that is searched where it is of none above."""
    name = name.partition(".")[0]
    level = 0 if name in _STUDY else 1 if name in _SERIES else 2
    return min(level, depth - 1)


def _sent(name: str, value: str, query: Query) -> str:
    """Return what a peer is asked to match: what it can be trusted to know. The rest is left to who
    reads the answers.
    """
    vr = vr_of(name)
    if "." in name or vr == "SQ" or is_universal(value):
        return ""
    if vr == "UI":
        return value.replace(",", "\\")
    if "\\" in value or (vr == "CS" and "," in value) or value.strip() == '""':
        return ""
    if vr == "PN" and query.fuzzy:
        return ""  # no peer need know what begins a word, or heed no case
    return value if vr in _WILD or not set(value) & set("*?") else ""
