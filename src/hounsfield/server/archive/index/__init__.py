"""The index: studies, series and instances in SQL, so that a search reads no file.

It holds nothing that the stored files do not: `Archive.reindex` makes it again from them. SQLite for one machine,
PostgreSQL for several; the differences are in `database`.
"""

from __future__ import annotations

from hounsfield.server.archive.index.entries import Entry
from hounsfield.server.archive.index.index import Index
from hounsfield.server.archive.index.records import Record, record_of
from hounsfield.server.archive.index.search import Page

__all__ = ["Entry", "Index", "Page", "Record", "record_of"]
