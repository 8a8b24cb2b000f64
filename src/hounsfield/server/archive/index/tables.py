"""The index's tables and the steps from one schema to the next."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from hounsfield.server.archive.attributes import SEARCHED, Level

VERSION = 5
"""Schema version; `MIGRATIONS[n]` leads from n to n + 1."""

# What is missing is made before: `arrivals` in 2, `studies_newest` in 3, `sha256` and `blocks` in 4, `superseded` in 5.
MIGRATIONS: dict[int, tuple[str, ...]] = {1: (), 2: (), 3: (), 4: ()}

NAME_GROUPS = ("1", "2", "3")
"""Alphabetic, ideographic and phonetic representation of a person's name, each in a column of its own."""

metadata = MetaData()
_Key = BigInteger().with_variant(Integer, "sqlite")
# Byte order, as SQLite compares; only then does an index serve the beginning of a text in PostgreSQL.
_Text = Text().with_variant(Text(collation="C"), "postgresql")


def _searched_columns(level: Level) -> list[Column[str] | Column[int]]:
    columns: list[Column[str] | Column[int]] = []
    for each in SEARCHED[level]:
        if each.kind == "number":
            columns.append(Column(each.keyword, BigInteger))
            continue
        columns.append(Column(each.keyword, _Text))
        if each.kind == "name":
            columns += [Column(f"{each.keyword}_{part}", _Text) for part in (*NAME_GROUPS, "words")]
    return columns


schema = Table("schema", metadata, Column("version", Integer, nullable=False))

studies = Table(
    "studies",
    metadata,
    Column("id", _Key, primary_key=True),
    *_searched_columns("study"),
    Column("modalities", _Text, nullable=False),
    Column("series", BigInteger, nullable=False),
    Column("instances", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("header", _Text, nullable=False),
    UniqueConstraint("StudyInstanceUID"),
    Index("studies_date", "StudyDate"),
    Index("studies_patient", "PatientID"),
    Index("studies_name", "PatientName"),
    Index("studies_accession", "AccessionNumber"),
    sqlite_autoincrement=True,
)

# Newest first, with what has no date behind: SQLite reads `studies_date` backwards, where NULL is less than a date.
Index("studies_newest", studies.c.StudyDate.desc().nulls_last(), studies.c.id.desc()).ddl_if(
    dialect="postgresql"
)

series = Table(
    "series",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    *_searched_columns("series"),
    Column("instances", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("header", _Text, nullable=False),
    UniqueConstraint("study_id", "SeriesInstanceUID"),
    Index("series_uid", "SeriesInstanceUID"),
    Index("series_modality", "study_id", "Modality"),
    sqlite_autoincrement=True,
)

instances = Table(
    "instances",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("series_id", ForeignKey("series.id"), nullable=False),
    *_searched_columns("instance"),
    Column("frames", BigInteger, nullable=False),
    Column("size", BigInteger),
    Column("changed", BigInteger, nullable=False),
    Column("key", _Text, nullable=False),
    Column("brief", _Text, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("sha256", LargeBinary),
    Column("blocks", LargeBinary),
    UniqueConstraint("series_id", "SOPInstanceUID"),
    Index("instances_uid", "SOPInstanceUID"),
    sqlite_autoincrement=True,
)
"""`key` is where the store has the bytes, `size` how many; `brief` what a search shows, `header` all (deflated).

`sha256` and `blocks` are the digest (`integrity.Digest`), NULL where it was not made yet.
"""

removals = Table("removals", metadata, Column("key", _Text, primary_key=True))
"""Keys that the index forgot and the store has still to remove."""

superseded = Table(
    "superseded",
    metadata,
    Column("key", _Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
)
"""Versions that a later one took the place of, since when (ns); whoever began to read one may end."""

arrivals = Table(
    "arrivals",
    metadata,
    Column("key", _Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
)
"""Keys that a store is about to hold and the index does not know yet; `since` in ns."""

TABLES = {"study": studies, "series": series, "instance": instances}
