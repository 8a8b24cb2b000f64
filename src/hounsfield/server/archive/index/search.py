"""A query → SQL → a page of answers as DICOM JSON (PS3.18 8.3.4, 10.6).

The meaning of matching is `hounsfield.dicomweb.matching`'s; a property test holds both to the same results.
Attributes without a column are matched on the header texts, over a bounded number of candidates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    false,
    func,
    or_,
    select,
    true,
)

from hounsfield.attributes.header_text import INSTANCE_URL
from hounsfield.dicomweb.attributes import tag_path
from hounsfield.dicomweb.matching import (
    EMPTY,
    NAME_MARKS,
    bounds,
    folded,
    is_universal,
    matches_all,
    several_asked,
    unmarked,
    values_asked,
    words,
)
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.archive.attributes import (
    COUNTED,
    LEVELS,
    REQUIRED,
    SHOWN,
    UIDS,
    Level,
    belongs,
    searched,
)
from hounsfield.server.archive.index.admission import check_level, check_terms
from hounsfield.server.archive.index.database import fits
from hounsfield.server.archive.index.ordering import ordered_by
from hounsfield.server.archive.index.records import inflated
from hounsfield.server.archive.index.tables import NAME_GROUPS, TABLES, instances, series, studies
from hounsfield.server.archive.integrity import checked

MAX_PAGE = 5000
"""Results in one answer."""

COUNTED_UP_TO = 10_000
"""Further results are counted up to here; beyond, an answer says "at least"."""

ROWS = 500
"""Rows that are read at once where keys were sorted before."""

MAX_CANDIDATES = 50_000
"""Rows read for attributes that have no column."""

Condition = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """`models`: JSON objects as text, in which `INSTANCE_URL` + path stands for a URL; `remaining` after them."""

    models: tuple[str, ...]
    remaining: int = 0
    at_least: bool = False


def search(connection: Connection, level: Level, scope: Resource, query: Query, *, limit: int) -> Page:
    """The instances, series or studies below `scope` that match, in the order asked for or that in which they came."""
    plan = _Plan(connection.dialect.name, level, scope, query)
    offset = query.offset or 0
    if plan.others:
        return _filtered(connection, plan, limit, offset)
    rows = list(_rows(connection, plan, limit + 1, offset))
    remaining = 0
    if len(rows) > limit:
        counted = select(func.count()).select_from(
            plan.keys().offset(offset + limit).limit(COUNTED_UP_TO).subquery()
        )
        remaining = int(connection.execute(counted).scalar_one())
    models = tuple(plan.answer(row) for row in rows[:limit])
    return Page(models, remaining, remaining >= COUNTED_UP_TO)


def _filtered(connection: Connection, plan: _Plan, limit: int, offset: int) -> Page:
    found: list[str] = []
    matched = 0
    for read, row in enumerate(_rows(connection, plan, MAX_CANDIDATES + 1, 0)):
        if read == MAX_CANDIDATES:
            raise DicomwebError(
                say("too many candidates for {listed}", listed=", ".join(name for name, _ in plan.others)),
                expected=say("at most {max_candidates}", max_candidates=MAX_CANDIDATES),
                remedy="narrow the search by patient, date or study",
                status=400,
            )
        if plan.matches_others(row):
            matched += 1
            if offset < matched <= offset + limit:
                found.append(plan.answer(row))
    return Page(tuple(found), max(matched - offset - limit, 0))


def _rows(connection: Connection, plan: _Plan, limit: int, offset: int) -> Iterator[RowMapping]:
    """Some of what matches, in order."""
    if not plan.query.order:
        flowing = connection.execution_options(stream_results=bool(plan.others))
        yield from flowing.execute(plan.rows().limit(limit).offset(offset)).mappings()
        return
    # Keys alone are sorted: rows are a hundred times as large, and a far page has many before it.
    keys = connection.scalars(plan.keys().limit(limit).offset(offset)).all()
    for start in range(0, len(keys), ROWS):
        part = keys[start : start + ROWS]
        these = plan.rows().where(TABLES[plan.level].c.id.in_(part))
        found = {row["id"]: row for row in connection.execute(these).mappings()}
        yield from (found[key] for key in part if key in found)


class _Plan:
    """The query of one search over the tables, and the conversion of its rows to results."""

    def __init__(self, dialect: str, level: Level, scope: Resource, query: Query) -> None:
        self.dialect, self.level, self.query = dialect, level, query
        self.above = LEVELS[: LEVELS.index(level) + 1]
        # A search below a named study tells less of what is above it (PS3.18 10.6.3.3).
        named = {"service": 0, "study": 1, "series": 2}.get(scope.level, 3)
        self.shown = LEVELS[named : LEVELS.index(level) + 1] or (level,)
        self.others: list[Condition] = []
        self.conditions: dict[Level, list[ColumnElement[bool]]] = {each: [] for each in LEVELS}
        if scope.study is not None:
            self.conditions["study"].append(studies.c.StudyInstanceUID == scope.study)
        if scope.series is not None:
            self.conditions["series"].append(series.c.SeriesInstanceUID == scope.series)
        check_terms(query)
        for name, value in query.matches:
            self._add(name, value)
        self.wanted = self._wanted()
        self._needed, self._order = ordered_by(level, query.order)

    def _add(self, name: str, value: str) -> None:
        if is_universal(value):
            check_level(name, self.level)
            return
        empty = bool(self.query.match_empty) and value.strip() == EMPTY
        if name == "ModalitiesInStudy":
            condition = studies.c.modalities == "" if empty else self._modalities(value)
            self.conditions["study"].append(condition)
            return
        if name in COUNTED:
            raise DicomwebError(
                say("{name} is not searchable", name=name), expected="an attribute of the files", status=400
            )
        check_level(name, self.level)
        found = searched(name)
        if found is None:
            self.others.append((name, value))
            return
        level, each = found
        column = TABLES[level].c[each.keyword]
        if empty:
            self.conditions[level].append(column.is_(None))
            if each.kind in {"date", "time", "number"}:
                # What is no date or number has no cell either, and yet is not empty.
                self.others.append((name, value))
            return
        self.conditions[level].append(self._condition(column, each.kind, level, name, value))

    def _modalities(self, value: str) -> ColumnElement[bool]:
        """Series of any of these modalities; of each of them by multiple value matching (C.2.2.2.8)."""
        wanted = [part.strip() for part in value.replace("\\", ",").split(",") if part.strip()]
        every = len(several_asked(self.query, "ModalitiesInStudy", value, "CS")) > 1
        groups = [[each] for each in wanted] if every else [wanted]
        of_study = series.alias() if self.level != "study" else series
        return and_(
            *(
                select(of_study.c.id)
                .where(
                    of_study.c.study_id == studies.c.id,
                    or_(false(), *(fits(self.dialect, of_study.c.Modality, each) for each in group)),
                )
                .correlate(studies)
                .exists()
                for group in groups
            )
        )

    def _condition(
        self, column: Column[Any], kind: str, level: Level, name: str, value: str
    ) -> ColumnElement[bool]:
        if kind == "uid":
            return column.in_([part.strip() for part in value.replace("\\", ",").split(",")])
        if kind == "number":
            return column.in_(_numbers(value))
        if kind in {"date", "time"}:
            low, high = bounds(value, "DA" if kind == "date" else "TM")
            return and_(
                column.is_not(None), column >= low if low else true(), column <= high if high else true()
            )
        if kind == "name":
            return self._name(TABLES[level], name, value)
        return or_(*(fits(self.dialect, column, each) for each in values_asked(name, value)))

    def _name(self, table: Table, name: str, value: str) -> ColumnElement[bool]:
        groups = [table.c[f"{name}_{part}"] for part in NAME_GROUPS]
        loose = unmarked(value)
        if self.query.fuzzy:
            column = table.c[f"{name}_words"]
            by_words = and_(
                column.is_not(None), *(fits(self.dialect, column, f"* {word}*") for word in words(value))
            )
            return or_(by_words, *self._loosely(groups, loose and loose.rstrip("*") + "*"))
        pattern = folded(value).rstrip("^= ")
        strictly = (fits(self.dialect, column, pattern) for column in (table.c[name], *groups))
        return or_(*strictly, *self._loosely(groups, loose))

    def _loosely(self, groups: Sequence[Column[Any]], pattern: str) -> Iterator[ColumnElement[bool]]:
        """Conditions on a name without the marks between its parts; none where they count."""
        for column in groups if pattern.strip("*") else ():
            bare: ColumnElement[Any] = column
            for mark in NAME_MARKS:
                bare = func.replace(bare, mark, "")
            yield fits(self.dialect, bare, pattern)

    def _where(self, statement: Select[Any]) -> Select[Any]:
        for level in self.above:
            statement = statement.where(*self.conditions[level])
        return statement

    def _joined(self, statement: Select[Any]) -> Select[Any]:
        table: Any = studies
        if self.level != "study":
            table = table.join(series, series.c.study_id == studies.c.id)
        if self.level == "instance":
            table = table.join(instances, instances.c.series_id == series.c.id)
        return statement.select_from(table)

    def keys(self) -> Select[Any]:
        """The ids of what matches, in order."""
        table = TABLES[self.level]
        if all(not self.conditions[level] and level not in self._needed for level in self.above[:-1]):
            statement = select(table.c.id).where(*self.conditions[self.level])
        else:
            statement = self._where(self._joined(select(table.c.id)))
        return statement.order_by(*self._order)

    def rows(self) -> Select[Any]:
        """Return the rows of the results, in their order."""
        table = TABLES[self.level]
        columns: list[Any] = [table.c.id, studies.c.StudyInstanceUID]
        if self.level == "study":
            columns += [studies.c.header.label("study_header"), studies.c.modalities]
            columns += [studies.c.series.label("study_series"), studies.c.instances.label("study_instances")]
        else:
            columns.append(series.c.SeriesInstanceUID)
            if "study" in self.wanted:
                columns += [studies.c.header.label("study_header"), studies.c.modalities]
                columns += [
                    studies.c.series.label("study_series"),
                    studies.c.instances.label("study_instances"),
                ]
            if self.level == "series" or "series" in self.wanted:
                columns += [
                    series.c.header.label("series_header"),
                    series.c.instances.label("series_instances"),
                ]
        if self.level == "instance":
            columns += [instances.c.SOPInstanceUID, instances.c.brief]
            if self._needs_all:
                columns.append(instances.c.header)
        return self._where(self._joined(select(*columns))).order_by(table.c.id)

    def _wanted(self) -> dict[Level, Callable[[int], bool]]:
        """For each level of which something is shown: which tags."""
        include = self.query.include
        names = [*include, *(name for name, _ in self.query.matches)]
        tags = {int(tag_path(name)[0], 16) for name in names if name != "all"}
        wanted: dict[Level, Callable[[int], bool]] = {}
        for level in self.above:
            if level in self.shown and include == ("all",):
                wanted[level] = lambda tag: True
            elif level in self.shown:
                wanted[level] = lambda tag, shown=SHOWN[level]: tag in shown or tag in tags  # type: ignore[misc]
            elif any(belongs(tag, level) for tag in tags) or any(
                name in COUNTED and COUNTED[name][0] == level for name in names
            ):
                wanted[level] = lambda tag: tag in tags
        return wanted

    @property
    def _needs_all(self) -> bool:
        """Whether an instance's whole header must be looked at."""
        names = [*self.query.include, *(name for name, _ in self.others)]
        shown = SHOWN["instance"]
        return any(
            name == "all" or (belongs(tag := int(tag_path(name)[0], 16), "instance") and tag not in shown)
            for name in names
        )

    def matches_others(self, row: RowMapping) -> bool:
        model: dict[str, Any] = {}
        for level in self.above:
            if level == "instance" or row.get(f"{level}_header"):
                model |= _parsed(row, level)
        return matches_all(self.query, self.others, model)

    def answer(self, row: RowMapping) -> str:
        """One result as JSON text."""
        study = row["StudyInstanceUID"]
        path = f"{INSTANCE_URL}/studies/{study}"
        if self.level == "instance":
            path += f"/series/{row['SeriesInstanceUID']}/instances/{row['SOPInstanceUID']}"
            if self.wanted.keys() <= {"instance"} and not self._needs_all:
                return _with_uids(
                    checked(row["brief"], row["SOPInstanceUID"]).replace(INSTANCE_URL, path), row
                )
        elif self.level == "series":
            path += f"/series/{row['SeriesInstanceUID']}"
        model = self._model(row)
        model["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
        model["00081190"] = {"vr": "UR", "Value": [path]}
        text = json.dumps(dict(sorted(model.items())), ensure_ascii=False, separators=(",", ":"))
        return text.replace('"\\u0001/studies/', f'"{INSTANCE_URL}/studies/')

    def _model(self, row: RowMapping) -> dict[str, Any]:
        model: dict[str, Any] = {"0020000D": {"vr": "UI", "Value": [row["StudyInstanceUID"]]}}
        if self.level != "study":
            model["0020000E"] = {"vr": "UI", "Value": [row["SeriesInstanceUID"]]}
        for level, wanted in self.wanted.items():
            for tag, element in _parsed(row, level).items():
                number = int(tag, 16)
                if wanted(number) and belongs(number, level):
                    model[tag] = element
            for number, vr in REQUIRED[level].items() if level in self.shown else ():
                model.setdefault(f"{number:08X}", {"vr": vr})
            if level == "study" and "study_header" in row:
                kinds = [kind for kind in row["modalities"].split("\\") if kind]
                model["00080061"] = {"vr": "CS", "Value": kinds} if kinds else {"vr": "CS"}
                model["00201206"] = {"vr": "IS", "Value": [row["study_series"]]}
                model["00201208"] = {"vr": "IS", "Value": [row["study_instances"]]}
            if level == "series" and "series_instances" in row:
                model["00201209"] = {"vr": "IS", "Value": [row["series_instances"]]}
        return model


def _with_uids(brief: str, row: RowMapping) -> str:
    """The brief with the UIDs of study and series where their tags belong."""
    uids = (
        f'"0020000D":{{"vr":"UI","Value":["{row["StudyInstanceUID"]}"]}},'
        f'"0020000E":{{"vr":"UI","Value":["{row["SeriesInstanceUID"]}"]}}'
    )
    at = brief.find(',"0020001') if ',"0020001' in brief else brief.find(',"0028')
    return f"{brief[:at]},{uids}{brief[at:]}" if at > 0 else f"{brief[:-1]},{uids}}}"


def _parsed(row: RowMapping, level: Level) -> dict[str, Any]:
    if level != "instance":
        uid = row["StudyInstanceUID" if level == "study" else "SeriesInstanceUID"]
        header = row.get(f"{level}_header")
        return dict(json.loads(checked(header, uid))) if header else {}
    if row.get("header") is None:
        return dict(json.loads(checked(row["brief"], row["SOPInstanceUID"]).replace(INSTANCE_URL, "")))
    path = f"/studies/{row['StudyInstanceUID']}/series/{row['SeriesInstanceUID']}/instances/{row['SOPInstanceUID']}"
    # The mark is a control character, which JSON wants written as an escape.
    content = inflated(row["header"], row["SOPInstanceUID"]).decode("utf-8", "surrogatepass")
    return dict(json.loads(content.replace(INSTANCE_URL, "\\u0001" + path)))


def _numbers(value: str) -> list[int]:
    found = []
    for part in value.replace("\\", ",").split(","):
        try:
            number = float(part)
        except ValueError:
            continue
        if number.is_integer() and abs(number) < 2**62:
            found.append(int(number))
    return found


def pages(models: Sequence[str]) -> Iterator[bytes]:
    """The models as one JSON array, in pieces."""
    yield b"["
    for number, model in enumerate(models):
        yield (("," if number else "") + model).encode("utf-8", "surrogatepass")
    yield b"]"


__all__ = ["MAX_PAGE", "UIDS", "Page", "pages", "search"]
