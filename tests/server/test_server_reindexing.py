"""`reindex`: the index is made anew beside the one in use, and takes its place in one step."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from open_archives import ALL, current, opened, store
from server_postgres import Postgres, postgres
from server_promises import disagreements
from server_support import AS_STORED, client, instances, parts_of, path_of, running, start, uids, version

from hounsfield.ct.instance import FileSource
from hounsfield.ct.instance.source import Source
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import LocationError
from hounsfield.server.archive import reindexing
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.archive.index.guard import one_at_a_time
from hounsfield.server.archive.index.rebuilding import beside

CONTENTS = [content for number in range(4) for content in instances(slices=3, rows=8, columns=8, seed=number)]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> dict[Any, Any]:
    """What two servers over one archive share; over SQLite there is one server only."""
    if request.param == "sqlite":
        return {}
    found = request.getfixturevalue("database")
    with opened(tmp_path, database=found.url) as archive:
        archive.index.clear()
    return {"database": found.url, "store": str(tmp_path / "files")}


def remove(archive: Archive, content: bytes) -> None:
    assert archive.remove(Resource("", *uids(content))) == 1


def expected(*contents: bytes) -> dict[str, bytes]:
    return {uids(content)[2]: content for content in contents}


class Interrupted(BaseException):
    pass


def test_an_interrupted_reindex_leaves_the_index_as_it_was(tmp_path: Path, shared: dict[Any, Any]) -> None:
    with opened(tmp_path / "one", **shared) as archive:
        store(archive, *CONTENTS)
        before = archive.entries(ALL)

        def die(_: int) -> None:
            raise Interrupted

        with pytest.raises(Interrupted):
            archive.reindex(progress=die)
        assert archive.entries(ALL) == before
        archive.index.check()
    with opened(tmp_path / "one", **shared) as archive:
        assert archive.entries(ALL) == before
        assert archive.reindex() == []
        assert current(archive) == expected(*CONTENTS)
        assert not list(tmp_path.rglob("*.new*"))


def test_what_others_store_replace_and_remove_during_a_reindex_counts(
    tmp_path: Path, shared: dict[Any, Any]
) -> None:
    more = instances(slices=3, rows=8, columns=8, seed=50)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(opened(tmp_path / "one", **shared))
        other = stack.enter_context(opened(tmp_path / "two", **shared)) if shared else one
        store(one, *CONTENTS)
        changes: list[Any] = []

        def change(_: int) -> None:
            if not changes:
                store(other, more[0], more[1])
                remove(other, more[1])
                store(other, version(CONTENTS[0], 1))
                remove(other, CONTENTS[1])
                store(other, version(CONTENTS[2], 2), version(CONTENTS[2], 3))
                remove(other, CONTENTS[3])
                store(other, CONTENTS[3])
                changes.extend(current(other).items())

        assert one.reindex(progress=change) == []
        wanted = expected(version(CONTENTS[0], 1), version(CONTENTS[2], 3), *CONTENTS[3:], more[0])
        assert dict(changes) == wanted == current(one) == current(other)
        one.repair()
        assert disagreements(one) == []
        store(other, more[2])
        assert current(one) == wanted | expected(more[2])


def test_a_change_between_the_last_look_and_the_swap_counts(
    tmp_path: Path, shared: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server's transaction that is under way when nobody may write any more is waited for, and seen."""
    more = instances(slices=2, rows=8, columns=8, seed=51)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(opened(tmp_path / "one", **shared))
        other = stack.enter_context(opened(tmp_path / "two", **shared)) if shared else one
        store(one, *CONTENTS)
        catch_up, threads, looks = reindexing._Differences.catch_up, [], []

        def late(self: Any) -> int:
            found = catch_up(self)
            looks.append(found)
            if len(looks) == 1:
                store(other, more[0])
            if len(looks) == 2:
                # Nobody may write now: this one waits until the new index is in use.
                threads.append(threading.Thread(target=store, args=(other, more[1])))
                threads[0].start()
                time.sleep(0.2)
            return found

        monkeypatch.setattr(reindexing._Differences, "catch_up", late)
        one.reindex()
        threads[0].join()
        store(one, more[1])  # over SQLite, the one that waited may have to come again
        assert current(one) == current(other) == expected(*CONTENTS, *more)


def test_readers_are_not_disturbed_by_a_reindex(tmp_path: Path, shared: dict[Any, Any]) -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(opened(tmp_path / "one", **shared))
        other = stack.enter_context(opened(tmp_path / "two", **shared)) if shared else one
        store(one, *CONTENTS)
        wanted, stop, wrong, reads = expected(*CONTENTS), threading.Event(), [], [0]

        def read() -> None:
            scope = Resource("", uids(CONTENTS[0])[0])
            mine = {uids(content)[2] for content in CONTENTS if uids(content)[0] == scope.study}
            while not stop.is_set():
                try:
                    there = {entry.instance for entry in other.entries(ALL)}
                    told = {entry.instance: text for entry, text in other.headers(scope)}
                except IndexUnavailable as error:
                    if shared or "missing" not in error.found:
                        wrong.append(error)
                    other.index.prepare()
                    continue
                reads[0] += 1
                if there != set(wanted) or not set(told) <= mine:
                    wrong.append((there, told))  # type: ignore[arg-type]

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            one.reindex()
        stop.set()
        for thread in threads:
            thread.join()
        assert wrong == [] and reads[0] > 5
        assert current(one) == wanted


def test_digests_and_files_in_place_are_still_known_after_a_reindex(
    tmp_path: Path, shared: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tmp_path / "owner"
    owner.mkdir()
    (owner / "a.dcm").write_bytes(CONTENTS[-1])
    with opened(tmp_path / "one", **shared) as archive:
        # A file system that keeps no attributes.
        monkeypatch.setattr(archive.store, "seal", lambda key: None)
        store(archive, *CONTENTS[:3])
        archive.adopt([FileSource(owner / "a.dcm")])
        known = {entry.instance: (entry.sha256, entry.blocks) for entry in archive.entries(ALL)}
        assert archive.reindex() == []
        assert {entry.instance: (entry.sha256, entry.blocks) for entry in archive.entries(ALL)} == known
        assert sum(1 for sha256, _ in known.values() if sha256) == 3
        # It may be a folder of another machine's.
        (owner / "a.dcm").rename(tmp_path / "moved")
        archive.reindex()
        assert len(archive.entries(ALL)) == 4


def test_what_cannot_be_read_now_stays_in_the_index(
    tmp_path: Path, shared: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "one", **shared) as archive:
        store(archive, *CONTENTS[:3])
        path = Path(archive.store.name, archive.entries(ALL)[1].key)
        path.chmod(0)
        real = archive.store.source

        def source(key: Any) -> Source:
            if key.endswith(path.name):
                raise LocationError("the disk does not answer", where=key)
            return real(key)

        with monkeypatch.context() as patch:
            patch.setattr(archive.store, "source", source)
            patch.setattr(reindexing, "_sources", lambda archive, keys: _failing(real, path.name, keys))
            (skipped,) = archive.reindex()
        path.chmod(0o640)
        assert path.name in skipped.name
        assert current(archive) == expected(*CONTENTS[:3])


def _failing(real: Any, name: str, keys: Any) -> Iterator[tuple[Any, Any]]:
    class Unreadable:
        def __init__(self, key: Any) -> None:
            self.name = key

        def open(self) -> None:
            raise LocationError("the disk does not answer", where=self.name)

    for key in keys:
        yield key, Unreadable(key) if key.endswith(name) else real(key)


def test_one_reindex_at_a_time_over_a_shared_database(tmp_path: Path, database: Postgres) -> None:
    with (
        opened(tmp_path / "one", database=database.url) as archive,
        opened(tmp_path / "two", database=database.url) as other,
        beside(archive.index),
        pytest.raises(LocationError, match="another server"),
    ):
        other.reindex()


def test_a_damaged_index_that_is_made_anew_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.store(CONTENTS[:2])
        assert server.get("/ready").status_code == 200
        with one_at_a_time(server.archive.index.file):  # type: ignore[arg-type]
            assert server.get("/ready").status_code == 200  # beside a sound one
        with one_at_a_time(server.archive.index.file, damaged=True):  # type: ignore[arg-type]
            answer = server.get("/ready")
            assert answer.status_code == 503 and "rebuilt" in answer.json()["index"]
        assert server.get("/ready").status_code == 200


def test_what_was_stored_into_a_damaged_index_meanwhile_is_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that has not met the damage stores on until the new file is there."""
    with opened(tmp_path) as archive:
        store(archive, *CONTENTS[:3])
        from hounsfield.server.archive import archive as module

        real = module.fill

        def slow(archive: Any, index: Any) -> None:
            real(archive, index)
            store(archive, *CONTENTS[3:6])

        monkeypatch.setattr(module, "fill", slow)
        monkeypatch.setattr("hounsfield.server.archive.index.rebuilding.is_sound", lambda index: False)
        archive.rebuild()
        assert current(archive) == expected(*CONTENTS[:6])


def test_a_server_that_is_killed_while_it_reindexes_loses_nothing(tmp_path: Path) -> None:
    contents = [
        content for number in range(4) for content in instances(slices=50, rows=8, columns=8, seed=number)
    ]
    with opened(tmp_path) as archive:
        store(archive, *contents)
    command = [sys.executable, "-m", "hounsfield", "serve", str(tmp_path), "--port", "0", "--reindex"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / ".hounsfield").glob(".index*.new")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    server = start(str(tmp_path), "--workers", "1")
    try:
        with client(server.url) as http:
            assert http.get("/ready").status_code == 200
            assert len(http.get("/instances?limit=5000").json()) == len(contents)
            got = parts_of(http.get(path_of(contents[-1]), headers={"Accept": AS_STORED}))
            assert got[0][1] == contents[-1]
    finally:
        server.kill()
