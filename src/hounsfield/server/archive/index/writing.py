"""Rows into the index and out of it, within a transaction that the caller holds.

Of several versions of an instance the row is that of the highest, whoever comes first: replacing is one change of one
row, with its key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.index.entries import scoped
from hounsfield.server.archive.index.records import Record
from hounsfield.server.archive.index.tables import arrivals, instances, removals, series, studies, superseded
from hounsfield.server.archive.integrity import DAMAGED
from hounsfield.server.archive.store.versions import parts_of, version_of

MANY = 200
"""Values in one IN list or INSERT."""


def add_records(connection: Connection, records: Sequence[Record], *, changed: int) -> dict[str, str]:
    """Add instances; studies and series as needed. Always in the order of UIDs, so that writers never cross.

    A higher version takes the place of a lower one, and a file in place that was read again that of what it was
    before; whatever else is there stays as it is. For the key of each record that is not, the key that is.
    """
    # The first of a study and series describes them, of those whose header is what was stored.
    last_first = sorted(records, key=lambda record: record.blocks == DAMAGED)
    last_first.reverse()
    by_study = {record.study: record for record in last_first}
    study_ids = _ensured_studies(connection, by_study, changed)
    by_series = {(study_ids[record.study], record.series): record for record in last_first}
    series_ids = _ensured_series(connection, by_series, changed)
    rows = [_instance_row(record, series_ids, study_ids, changed) for record in records]
    added = _inserted_instances(connection, rows)
    _count(connection, [number for number, _ in added], changed)
    if len(added) == len(rows):
        return {}
    left = Counter((row["series_id"], row["SOPInstanceUID"], row["key"]) for row in rows)
    left.subtract(place for _, place in added)
    again = [
        (record, row)
        for record, row in zip(records, rows, strict=True)
        if left[row["series_id"], row["SOPInstanceUID"], row["key"]] > 0
    ]
    return _change(connection, again, study_ids, changed)


def _change(
    connection: Connection,
    again: Sequence[tuple[Record, dict[str, Any]]],
    study_ids: Mapping[str, int],
    changed: int,
) -> dict[str, str]:
    """Bring rows up to date with records whose instances are there already."""
    there = _places(connection, [(row["series_id"], row["SOPInstanceUID"]) for _, row in again])
    changes: dict[int, tuple[Record, dict[str, Any]]] = {}
    beaten: dict[str, str] = {}
    for record, row in sorted(again, key=lambda each: version_of(each[0].key)):
        place = row["series_id"], row["SOPInstanceUID"]
        if place not in there:
            # It stood in the way of ours, and was removed before we looked: a conflict, after which all is tried again.
            raise IntegrityError("SELECT", None, LookupError("an instance went away"))
        number, key = there[place]
        if version_of(record.key) > version_of(key):
            beaten[key] = record.key
        elif record.key != key:
            beaten[record.key] = key
            continue
        elif version_of(key):
            continue  # what is stored never changes
        there[place] = number, record.key
        changes[number] = record, row
    _write_changes(connection, changes, study_ids, changed)
    note_superseded(connection, [key for key in beaten if parts_of(key)], since=changed)
    return {key: _standing(key, beaten) for key in beaten}


def _standing(key: str, beaten: Mapping[str, str]) -> str:
    """Return the version that is current after `key` was superseded, perhaps several times."""
    while key in beaten:
        key = beaten[key]
    return key


def forget_former(connection: Connection, records: Iterable[Record]) -> None:
    """Forget what files in place held before they were read again, where they hold another instance now."""
    now = {record.key: (record.study, record.series, record.instance) for record in records}
    columns = (studies.c.StudyInstanceUID, series.c.SeriesInstanceUID, instances.c.SOPInstanceUID)
    former: list[tuple[int, str]] = []
    for part in _parts(sorted(now)):
        statement = scoped(select(instances.c.id, instances.c.key, *columns), Resource(""))
        for number, key, *uids in connection.execute(statement.where(instances.c.key.in_(part))):
            if now[key] != tuple(uids):
                former.append((number, key))
    if former:
        forget(connection, former, noted=False)


def _write_changes(
    connection: Connection,
    changes: Mapping[int, tuple[Record, dict[str, Any]]],
    study_ids: Mapping[str, int],
    changed: int,
) -> None:
    """Write rows of instances anew; study and series say what the newest of their instances says of them."""
    sound = [(record, row) for record, row in changes.values() if record.blocks != DAMAGED]
    of_study = {study_ids[record.study]: record for record, _ in sound}
    for number, record in sorted(of_study.items(), key=lambda each: each[0]):
        described = {**record.values["study"], "header": record.headers["study"], "changed": changed}
        connection.execute(update(studies).where(studies.c.id == number).values(**described))
    of_series = {row["series_id"]: record for record, row in sound}
    for number, record in sorted(of_series.items(), key=lambda each: each[0]):
        described = {**record.values["series"], "header": record.headers["series"], "changed": changed}
        connection.execute(update(series).where(series.c.id == number).values(**described))
    for number, (_, row) in sorted(changes.items(), key=lambda each: each[0]):
        connection.execute(update(instances).where(instances.c.id == number).values(**row))
    _describe(connection, sorted(of_study))


def _places(
    connection: Connection, wanted: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], tuple[int, str]]:
    """(id, key) of instances by series and UID; nobody else may change them until this transaction ends."""
    found: dict[tuple[int, str], tuple[int, str]] = {}
    columns = (instances.c.series_id, instances.c.SOPInstanceUID, instances.c.id, instances.c.key)
    for part in _parts(sorted(set(wanted), key=lambda place: (place[1], place[0]))):
        uids = [uid for _, uid in part]
        statement = select(*columns).where(instances.c.SOPInstanceUID.in_(uids)).order_by(instances.c.id)
        for number, uid, *place in connection.execute(statement.with_for_update()):
            found[number, uid] = place[0], place[1]
    return found


def _instance_row(
    record: Record, series_ids: dict[tuple[int, str], int], study_ids: dict[str, int], changed: int
) -> dict[str, Any]:
    return {
        "series_id": series_ids[study_ids[record.study], record.series],
        **record.values["instance"],
        # The UIDs are those that were checked.
        "SOPInstanceUID": record.instance,
        "frames": record.frames,
        "size": record.size,
        "changed": changed,
        "key": record.key,
        "brief": record.brief,
        "header": record.header,
        "sha256": record.sha256,
        "blocks": record.blocks,
    }


def _ensured_studies(connection: Connection, by_uid: dict[str, Record], changed: int) -> dict[str, int]:
    uids = sorted(by_uid)
    found = _ids(connection, uids)
    rows = [
        {**record.values["study"], "StudyInstanceUID": record.study, "modalities": "", "series": 0,
         "instances": 0, "changed": changed, "header": record.headers["study"]}
        for record in (by_uid[uid] for uid in uids if uid not in found)
    ]  # fmt: skip
    if rows:
        _inserted(connection, studies, rows, ("StudyInstanceUID",))
        found = _ids(connection, uids)
    return found


def _ids(connection: Connection, uids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in _parts(uids):
        statement = select(studies.c.StudyInstanceUID, studies.c.id).where(
            studies.c.StudyInstanceUID.in_(part)
        )
        found.update((uid, number) for uid, number in connection.execute(statement))
    return found


def _ensured_series(
    connection: Connection, by_uid: dict[tuple[int, str], Record], changed: int
) -> dict[tuple[int, str], int]:
    keys = sorted(by_uid, key=lambda key: (key[1], key[0]))
    found = _series_ids(connection, keys)
    rows = [
        {**record.values["series"], "SeriesInstanceUID": record.series, "study_id": key[0], "instances": 0,
         "changed": changed, "header": record.headers["series"]}
        for key, record in ((key, by_uid[key]) for key in keys if key not in found)
    ]  # fmt: skip
    if rows:
        _inserted(connection, series, rows, ("study_id", "SeriesInstanceUID"))
        found = _series_ids(connection, keys)
    return found


def _series_ids(connection: Connection, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], int]:
    found: dict[tuple[int, str], int] = {}
    for part in _parts(keys):
        uids = [uid for _, uid in part]
        statement = select(series.c.study_id, series.c.SeriesInstanceUID, series.c.id)
        for study, uid, number in connection.execute(statement.where(series.c.SeriesInstanceUID.in_(uids))):
            found[study, uid] = number
    return found


def _inserted(
    connection: Connection, table: Any, rows: list[dict[str, Any]], unique: tuple[str, ...]
) -> None:
    """Insert rows but those that are there already."""
    for part in _parts(rows):
        connection.execute(
            _dialect(connection).insert(table).on_conflict_do_nothing(index_elements=list(unique)), part
        )


def _inserted_instances(
    connection: Connection, rows: list[dict[str, Any]]
) -> list[tuple[int, tuple[int, str, str]]]:
    """Insert instances but those that are there already; of each that was added its id, series, UID and key."""
    statement = _dialect(connection).insert(instances)
    statement = statement.on_conflict_do_nothing(index_elements=["series_id", "SOPInstanceUID"])
    returned = (instances.c.id, instances.c.series_id, instances.c.SOPInstanceUID, instances.c.key)
    added: list[tuple[int, tuple[int, str, str]]] = []
    for part in _parts(rows):
        for number, *place in connection.execute(statement.returning(*returned), part):
            added.append((number, (place[0], place[1], place[2])))
    return added


def _dialect(connection: Connection) -> Any:
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def _count(connection: Connection, added: Sequence[int], changed: int) -> None:
    """Bring the counts of studies and series up to date after instances were added."""
    grown: dict[int, int] = {}
    for part in _parts(added):
        statement = select(instances.c.series_id, func.count()).where(instances.c.id.in_(part))
        for number, count in connection.execute(statement.group_by(instances.c.series_id)):
            grown[number] = grown.get(number, 0) + count
    if not grown:
        return
    of_study: dict[int, int] = {}
    for number, study in connection.execute(
        select(series.c.id, series.c.study_id).where(series.c.id.in_(sorted(grown)))
    ):
        of_study[study] = of_study.get(study, 0) + grown[number]
    for study in sorted(of_study):
        # The study's row first: whoever holds it may change its series.
        connection.execute(
            update(studies).where(studies.c.id == study)
            .values(instances=studies.c.instances + of_study[study], changed=changed)
        )  # fmt: skip
    for number in sorted(grown):
        connection.execute(
            update(series).where(series.c.id == number)
            .values(instances=series.c.instances + grown[number], changed=changed)
        )  # fmt: skip
    _describe(connection, sorted(of_study))


def _describe(connection: Connection, of: Iterable[int]) -> None:
    """Write the counts of a study: the number of its series and their modalities."""
    for study in of:
        kinds = connection.scalars(select(series.c.Modality).where(series.c.study_id == study)).all()
        joined = "\\".join(sorted({kind for kind in kinds if kind}))
        connection.execute(
            update(studies).where(studies.c.id == study).values(series=len(kinds), modalities=joined)
        )


def forget(connection: Connection, rows: Sequence[tuple[int, str]], *, noted: bool = True) -> list[str]:
    """Remove instances by id, and with them the series and studies that are empty then; their keys."""
    emptied: set[int] = set()
    for part in _parts(rows):
        ids = [number for number, _ in part]
        emptied.update(connection.scalars(select(instances.c.series_id).where(instances.c.id.in_(ids))))
        connection.execute(delete(instances).where(instances.c.id.in_(ids)))
    keys = [key for _, key in rows]
    if noted and keys:
        note_removals(connection, keys)
    _recount(connection, sorted(emptied))
    return keys


def note_removals(connection: Connection, keys: Sequence[str]) -> None:
    """Note keys whose bytes the store has still to remove."""
    statement = _dialect(connection).insert(removals).on_conflict_do_nothing()
    for part in _parts(list(dict.fromkeys(keys))):
        connection.execute(statement, [{"key": key} for key in part])
        connection.execute(delete(superseded).where(superseded.c.key.in_(part)))


def note_superseded(connection: Connection, keys: Sequence[str], *, since: int) -> None:
    """Note versions that a later one took the place of."""
    statement = _dialect(connection).insert(superseded).on_conflict_do_nothing()
    for part in _parts(sorted(set(keys))):
        connection.execute(statement, [{"key": key, "since": since} for key in part])


def note_arrivals(connection: Connection, keys: Sequence[str], *, since: int) -> None:
    """Note keys that are about to be published; those that are noted already are noted anew."""
    for part in _parts(sorted(set(keys))):
        statement = _dialect(connection).insert(arrivals)
        later = {"since": statement.excluded.since}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["key"], set_=later),
            [{"key": key, "since": since} for key in part],
        )


def _recount(connection: Connection, touched: Sequence[int]) -> None:
    above: set[int] = set()
    for part in _parts(touched):
        above.update(connection.scalars(select(series.c.study_id).where(series.c.id.in_(part))))
        held = select(func.count()).where(instances.c.series_id == series.c.id).scalar_subquery()
        connection.execute(update(series).where(series.c.id.in_(part)).values(instances=held))
        connection.execute(delete(series).where(series.c.id.in_(part), series.c.instances == 0))
    for study in sorted(above):
        total = select(func.coalesce(func.sum(series.c.instances), 0)).where(series.c.study_id == study)
        count = connection.execute(total).scalar_one()
        if count:
            connection.execute(update(studies).where(studies.c.id == study).values(instances=count))
        else:
            connection.execute(delete(studies).where(studies.c.id == study))
    _describe(connection, sorted(above))


def _parts(values: Sequence[Any]) -> Iterable[Any]:
    return (values[start : start + MANY] for start in range(0, len(values), MANY))
