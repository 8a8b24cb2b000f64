"""`replace`: versions side by side, one of which counts, the same by the index and by the files."""

from __future__ import annotations

import contextlib
import threading
from itertools import permutations
from pathlib import Path
from typing import Any

import open_archives
import pytest
from open_archives import ALL, opened, store
from server_postgres import postgres
from server_promises import disagreements
from server_support import AS_STORED, instances, parts_of, path_of, running, uids, version

from hounsfield.ct.instance import BytesSource, FileSource
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index import Index
from hounsfield.server.archive.store.versions import key_of
from hounsfield.server.deployment import Deployment

(CONTENT, OTHER) = instances(slices=2, rows=8, columns=8)


def current(archive: Archive) -> list[bytes]:
    """The bytes of every instance that is indexed."""
    return list(open_archives.current(archive).values())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_servers_that_replace_one_instance_at_once_agree_with_the_files(tmp_path: Path, kind: str) -> None:
    with contextlib.ExitStack() as stack:
        options = {}
        if kind == "postgresql":
            url = stack.enter_context(postgres()).url
            options = {"database": url, "store": str(tmp_path / "files")}
        one = stack.enter_context(opened(tmp_path / "one", **options))
        two = stack.enter_context(opened(tmp_path / "two", **options)) if options else one
        store(one, CONTENT, OTHER)

        def replace(archive: Archive, first: int) -> None:
            for number in range(first, first + 10):
                store(archive, version(CONTENT, number), version(OTHER, number))

        threads = [
            threading.Thread(target=replace, args=(archive, first))
            for archive, first in ((one, 100), (two, 200), (one, 300), (two, 400))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = {version(content, first + 9) for content in (CONTENT, OTHER) for first in (100, 200, 300, 400)}
        assert set(current(one)) <= last
        one.repair()
        assert disagreements(one) == []


def test_an_answer_that_began_before_a_replacement_ends_as_it_began(tmp_path: Path) -> None:
    with running(tmp_path, replace=True) as server:
        server.store([CONTENT, OTHER])
        before = server.archive.entries(ALL)
        for number in range(3):
            assert server.store([version(CONTENT, number), version(OTHER, number)]).status_code == 200
        found = []
        for entry in before:
            with server.archive.source(entry).open() as stream:
                found.append(stream.read())
        assert found == [CONTENT, OTHER]
        got = parts_of(server.get(path_of(CONTENT, "series"), AS_STORED))
        assert [content for _, content in got] == [version(CONTENT, 2), version(OTHER, 2)]


def test_a_removal_takes_all_versions_with_it(tmp_path: Path) -> None:
    with running(tmp_path, replace=True, deletes=True) as server:
        server.store([CONTENT, OTHER])
        for number in range(3):
            server.store([version(CONTENT, number)])
        assert len(list(tmp_path.rglob("*.dcm"))) == 5
        assert server.http.delete(path_of(CONTENT)).status_code == 204
        assert [path.read_bytes() for path in tmp_path.rglob("*.dcm")] == [OTHER]
        # What is stored under the first key again is not one of those that are to go.
        assert server.store([CONTENT]).status_code == 200
        server.archive.repair()
        assert current(server.archive) == [OTHER, CONTENT]
        assert server.http.delete(path_of(CONTENT, "study")).status_code == 204
        assert not list(tmp_path.rglob("*.dcm"))


def test_a_version_that_was_replaced_goes_after_a_while_and_at_the_next_start(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        store(archive, CONTENT)
        store(archive, version(CONTENT, 1))
        assert len(list(tmp_path.rglob("*.dcm"))) == 2
        archive.repair(older=3600)
        assert len(list(tmp_path.rglob("*.dcm"))) == 2
    with opened(tmp_path) as archive:
        assert [path.read_bytes() for path in tmp_path.rglob("*.dcm")] == [version(CONTENT, 1)]
        assert current(archive) == [version(CONTENT, 1)]


def test_study_and_series_say_what_the_newest_version_says(tmp_path: Path) -> None:
    with running(tmp_path, replace=True) as server:
        server.store([CONTENT, OTHER])
        server.store([version(CONTENT, 5), version(OTHER, 5)])
        (study,) = server.get("/studies?PatientName=VERSION*").json()
        assert study["00100010"]["Value"] == [{"Alphabetic": "VERSION^5"}]
        assert server.get("/studies?PatientName=PHANTOM*").json() == []
        assert server.archive.index.totals() == (1, 1, 2)


def test_versions_of_one_instance_in_one_request_follow_each_other(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        store(archive, CONTENT, version(CONTENT, 1), version(CONTENT, 2), OTHER)
        assert current(archive) == [version(CONTENT, 2), OTHER]
        assert archive.index.totals() == (1, 1, 2)


def test_a_content_that_comes_back_is_a_version_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        for content in (CONTENT, version(CONTENT, 1), CONTENT):
            store(archive, content)
        assert current(archive) == [CONTENT]
        archive.repair()
        assert disagreements(archive) == []


def test_without_the_policy_other_bytes_are_refused_whatever_version_counts(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        store(archive, CONTENT)
        store(archive, version(CONTENT, 1))
    with running(tmp_path) as server:
        assert server.store([CONTENT]).status_code == 409
        assert server.store([version(CONTENT, 1)]).status_code == 200
        assert current(server.archive) == [version(CONTENT, 1)]
        assert disagreements(server.archive) == []


def test_an_index_made_anew_knows_which_version_counts(tmp_path: Path) -> None:
    with opened(tmp_path) as archive:
        store(archive, CONTENT, OTHER)
        for number in range(11):
            store(archive, version(CONTENT, number))
        file = archive.index.file
    for name in file.parent.glob("index.sqlite*"):
        name.unlink()
    with opened(tmp_path) as archive:
        assert sorted(current(archive)) == sorted([OTHER, version(CONTENT, 10)])
        assert disagreements(archive) == []


def test_a_file_that_vanished_can_be_stored_again(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.store([CONTENT])
        (path,) = tmp_path.rglob("*.dcm")
        path.unlink()
        assert server.get(path_of(CONTENT), AS_STORED).status_code == 503
        assert server.store([CONTENT]).status_code == 200
        assert current(server.archive) == [CONTENT]
        assert disagreements(server.archive) == []


def test_a_damaged_instance_is_good_again_when_it_is_stored_again(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.store([CONTENT, OTHER])
        path = next(path for path in tmp_path.rglob("*.dcm") if path.read_bytes() == CONTENT)
        path.write_bytes(CONTENT[:-3] + bytes([CONTENT[-3] ^ 1]) + CONTENT[-2:])
        assert server.get(path_of(CONTENT), AS_STORED).status_code == 500
        assert server.store([version(CONTENT, 1)]).status_code == 409
        assert server.store([CONTENT]).status_code == 200
        assert parts_of(server.get(path_of(CONTENT), AS_STORED))[0][1] == CONTENT
        server.archive.repair()
        assert disagreements(server.archive) == []


@pytest.mark.parametrize("replaces", [False, True])
def test_what_is_stored_goes_before_a_file_that_is_only_indexed(tmp_path: Path, replaces: bool) -> None:
    owner = tmp_path / "owner"
    owner.mkdir()
    (owner / "a.dcm").write_bytes(CONTENT)
    with running(tmp_path / "archive", replace=replaces) as server:
        archive = server.archive
        archive.adopt([*_files(owner)])  # type: ignore[list-item]
        answer = server.store([version(CONTENT, 1)])
        assert answer.status_code == (200 if replaces else 409)
        assert current(archive) == [version(CONTENT, 1) if replaces else CONTENT]
        server.store([CONTENT])
        # What was acknowledged is kept, whatever its owner does with the file.
        (owner / "a.dcm").unlink()
        assert current(archive) == [CONTENT]
        assert archive.index.totals() == (1, 1, 1)


def test_a_file_in_place_that_changed_is_never_missing_and_never_mixed(tmp_path: Path) -> None:
    path = tmp_path / "owner" / "a.dcm"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    deployment = Deployment(str(tmp_path / "archive"))
    with running(tmp_path / "archive") as server:
        adopted = deployment.watched(server.archive)
        adopted.add([path.parent])
        adopted.look(settled=True)
        path.write_bytes(version(CONTENT, 1))
        for _ in range(2):
            # Found, and not served until it is read again.
            assert len(server.get(f"/instances?SOPInstanceUID={uids(CONTENT)[2]}").json()) == 1
            assert server.get(path_of(CONTENT), AS_STORED).status_code == 503
            adopted.look()
        assert current(server.archive) == [version(CONTENT, 1)]
        assert b"VERSION^1" in next(text for _, text in server.archive.headers(ALL))
        # Another instance in the same file, and then none.
        path.write_bytes(OTHER)
        for _ in range(2):
            adopted.look()
        assert current(server.archive) == [OTHER]
        path.write_bytes(b"no DICOM any more")
        for _ in range(2):
            adopted.look()
        assert server.archive.index.totals() == (0, 0, 0)


def _files(folder: Path) -> list[object]:
    return [FileSource(path) for path in sorted(folder.glob("*.dcm"))]


def test_versions_in_any_order_leave_the_highest_in_the_index(tmp_path: Path) -> None:
    """The order of transactions is that of numbers, whichever comes first."""
    with opened(tmp_path) as archive:
        records = [
            archive.record(
                BytesSource("x", version(CONTENT, number)), size=number, key=key_of(*uids(CONTENT), number)
            )
            for number in (1, 2, 3)
        ]
    for number, order in enumerate(permutations(records)):
        for together in (False, True):
            index = Index(f"sqlite:///{tmp_path}/{number}{together}.sqlite")
            index.prepare()
            for lot in [order] if together else [[record] for record in order]:
                index.add(lot)
            (entry,) = index.entries(ALL)
            assert entry.key == records[2].key and index.totals() == (1, 1, 1)
            assert set(index.superseded(-1)) == {record.key for record in records[:2]}
            index.close()


def test_an_instance_that_is_removed_while_it_is_stored_again_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row stands in the way of ours, and is gone when we look: seen with PostgreSQL, where nobody waits."""
    from hounsfield.server.archive.index import writing

    places, looked = writing._places, []

    def gone_at_first(
        connection: Any, wanted: Any
    ) -> dict[Any, Any] | dict[tuple[int, str], tuple[int, str]]:
        looked.append(wanted)
        return {} if len(looked) == 1 else places(connection, wanted)

    monkeypatch.setattr(writing, "_places", gone_at_first)
    with opened(tmp_path) as archive:
        record = archive.record(BytesSource("x", CONTENT), size=len(CONTENT))
        archive.index.add([record])
        archive.index.add([record])
        assert len(looked) == 2 and archive.index.totals() == (1, 1, 1)
