"""The protocol of what a server serves: instances that can be searched and opened.

`Archive` also takes instances in; `ReadOnlyLibrary` reads where they lie. Endpoints know this protocol only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hounsfield.ct.instance import Source
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.attributes import Level
from hounsfield.server.archive.index import Entry, Page


class Library(Protocol):
    """Instances by study and series. Any method may be called from any thread."""

    @property
    def name(self) -> str:
        """Name for people: a folder, a URL."""

    def search(self, level: Level, scope: Resource, query: Query, *, limit: int) -> Page:
        """Studies, series or instances below `scope` that match, in a stable order."""

    def entries(self, scope: Resource) -> list[Entry]:
        """Every instance at or below `scope`, in a stable order."""

    def headers(self, scope: Resource) -> Iterator[tuple[Entry, bytes]]:
        """Yield the same with header texts in UTF-8, a few at a time; `header_text.INSTANCE_URL` stands for the URL."""

    def version(self, scope: Resource) -> tuple[int, int, int]:
        """Something that changes when what is below `scope` does; the first is the number of instances."""

    def source(self, entry: Entry) -> Source:
        """The bytes of an instance."""
