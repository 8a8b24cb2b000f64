"""Searches (PS3.18 10.6): page after page until the server has no more, with an end on any server.

Servers lower limits without a word, say with a Warning that there is more, or ignore `offset`. So the next page
starts after what really came, and a page that is empty or brings nothing new is the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hounsfield.client.answer import Answer
from hounsfield.client.peer import Peer
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Collection, Resource
from hounsfield.dicomweb.warnings299 import PeerWarning
from hounsfield.errors import DicomwebError
from hounsfield.language import say

_UID = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}


class Results(list[Model]):
    """The data sets found, DICOM JSON each; `warnings` is what the server wanted to tell about them."""

    def __init__(self, models: Iterable[Model] = (), warnings: Iterable[PeerWarning] = ()) -> None:
        super().__init__(models)
        self.warnings: tuple[PeerWarning, ...] = tuple(warnings)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a search: what it brought that was new, and its warnings."""

    models: tuple[Model, ...]
    warnings: tuple[PeerWarning, ...]


class Searching(Peer):
    """The search methods of a client. Filters are `{keyword or tag: value}`; all kinds of matching are the server's:
    single values, lists of UIDs, wildcards `*` `?`, ranges `20240101-20240331`, sequences `A.B`."""

    def search_for_studies(
        self,
        search_filters: Mapping[str, object] | None = None,
        *,
        fields: str | Iterable[str] = (),
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Results:
        """Studies that match, at most `limit` of them, all without."""
        query = Query.build(search_filters, include=fields, fuzzy=fuzzymatching, limit=limit, offset=offset)
        return _gathered(self.pages(self.service.all("studies"), query))

    def search_for_series(
        self,
        study_instance_uid: str | None = None,
        search_filters: Mapping[str, object] | None = None,
        *,
        fields: str | Iterable[str] = (),
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Results:
        """Series that match, of one study or of all."""
        query = Query.build(search_filters, include=fields, fuzzy=fuzzymatching, limit=limit, offset=offset)
        return _gathered(self.pages(self.resource(study_instance_uid).all("series"), query))

    def search_for_instances(
        self,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        search_filters: Mapping[str, object] | None = None,
        *,
        fields: str | Iterable[str] = (),
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Results:
        """Instances that match, of one series, one study or all."""
        query = Query.build(search_filters, include=fields, fuzzy=fuzzymatching, limit=limit, offset=offset)
        resource = self.resource(study_instance_uid, series_instance_uid)
        return _gathered(self.pages(resource.all("instances"), query))

    def pages(self, resource: Resource, query: Query) -> Iterator[Page]:
        """The answers to a search one by one; ends on any server, with an error if that takes too many pages."""
        collection = resource.collection
        if collection is None:
            raise DicomwebError("a search needs a collection", expected="studies, series or instances")
        offset, left, seen = query.offset or 0, query.limit, set[str]()
        for _ in range(self.limits.pages):
            if left == 0:
                return
            # A first request says nothing of offset: servers without paging refuse the very word.
            asked = Query(
                query.matches, query.include, query.fuzzy, left, offset or None, query.match_empty,
                query.match_multiple, query.extra,
            )  # fmt: skip
            models, answer = self._json(self._url(resource, self._prefixes.search, asked.encode()))
            new = unseen(models, collection, seen)
            if left is not None:
                new = new[:left]
                left -= len(new)
            yield Page(tuple(new), answer.warnings)
            offset += len(models)
            if self._was_last(query, collection, models, new, answer):
                return
        raise DicomwebError(
            "a search without end",
            where=resource.url,
            expected=say("at most {pages} pages", pages=self.limits.pages),
        )

    def _was_last(
        self, query: Query, collection: Collection, models: list[Model], new: list[Model], answer: Answer
    ) -> bool:
        if not models or self._ignores_offset:
            return True
        if not new:
            # It gave the same again: it does not page, and every answer is the whole.
            self._ignores_offset = True
            return True
        remaining = [each.remaining for each in answer.warnings if each.remaining is not None]
        if remaining:
            return remaining[-1] == 0
        return _names_one(query, collection)


def _names_one(query: Query, collection: Collection) -> bool:
    """Return whether a query asks for one object by its UID, so that there can be no second page."""
    keyword = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}[
        collection
    ]
    value = query.value(keyword)
    return bool(value) and "," not in (value or "") and "\\" not in (value or "")


def unseen(models: list[Model], collection: Collection, seen: set[str]) -> list[Model]:
    """Those whose UID was not seen; one without a UID is kept, since dropping it would be a loss."""
    found = []
    for model in models:
        uid = first(model, _UID[collection])
        if uid and uid in seen:
            continue
        seen.add(uid)
        found.append(model)
    return found


def _gathered(pages: Iterator[Page]) -> Results:
    found = Results()
    warnings: dict[PeerWarning, None] = {}
    for page in pages:
        found.extend(page.models)
        warnings.update(dict.fromkeys(each for each in page.warnings if each.remaining is None))
    found.warnings = tuple(warnings)
    return found
