"""What goes wrong on the server's side: a lost or damaged index, a full or read-only disk, a crash half-way."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from httpx2._models import Response
from server_support import (
    AS_STORED,
    STOW,
    Running,
    body,
    client,
    instances,
    parts_of,
    path_of,
    running,
    start,
)
from server_zygote import Zygote

from hounsfield.ct.instance import BytesSource
from hounsfield.errors import LocationError
from hounsfield.server.archive import lock
from hounsfield.server.archive.store.incoming import LEAST_FREE_BYTES
from hounsfield.server.deployment import Deployment


def get_when_ready(server: Running, path: str, seconds: float = 20.0) -> Response:
    """The first answer that is no 503; every 503 on the way says when to come back."""
    deadline = time.monotonic() + seconds
    while True:
        answer = server.get(path, AS_STORED)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        assert answer.headers["retry-after"]
        time.sleep(0.05)


def _damage(file: Path | None) -> None:
    size = file.stat().st_size
    with file.open("r+b") as stream:
        for start_ in range(0, size, 4096):
            stream.seek(start_)
            stream.write(os.urandom(1024))


@pytest.mark.parametrize("fault", ["removed", "damaged", "emptied"])
def test_a_lost_index_is_made_anew_while_the_server_runs(tmp_path: Path, fault: str) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        file = server.archive.index.file
        if fault == "removed":
            for name in file.parent.glob("index.sqlite*"):
                name.unlink()
        elif fault == "damaged":
            server.archive.index._engine.dispose()
            _damage(file)
        else:
            server.archive.index._engine.dispose()
            os.truncate(file, 0)  # type: ignore[arg-type]
        answer = get_when_ready(server, path_of(contents[0], "series"))
        assert answer.status_code == 200
        assert sorted(content for _, content in parts_of(answer)) == sorted(contents)
        more = instances(series_number=2)
        assert server.store(more).status_code == 200
        assert server.archive.index.totals() == (1, 2, 6)


@pytest.mark.parametrize("fault", ["removed", "damaged", "nonsense"])
def test_a_start_without_a_sound_index_makes_one(tmp_path: Path, fault: str) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        file = server.archive.index.file
    if fault == "removed":
        file.unlink()
    elif fault == "damaged":
        _damage(file)
    else:
        file.write_bytes(b"this is no database" * 1000)
    with running(tmp_path) as server:
        assert len(server.get(path_of(contents[0], "series") + "/instances").json()) == 3


def test_a_full_disk_is_a_507_and_loses_nothing(tmp_path: Path) -> None:
    contents = instances(rows=128, columns=128)
    with running(tmp_path) as server:
        server.store(contents[:1])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
        try:
            answer = server.store(contents)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert answer.status_code in {503, 507}
        assert "error" in answer.json()
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 200
        assert not list((tmp_path / ".hounsfield" / "incoming").iterdir())
        assert server.store(contents).status_code == 200
        assert server.archive.index.totals() == (1, 1, 3)


def test_a_disk_that_is_nearly_full_takes_nothing_in_and_serves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = instances()
    statvfs = os.statvfs
    with running(tmp_path) as server:
        server.store(contents[:1])
        full = list(statvfs(tmp_path))
        full[1], full[4] = 1, LEAST_FREE_BYTES
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(full))
        answer = server.store(contents)
        assert answer.status_code == 507 and "full" in answer.json()["error"]
        assert server.get("/ready").status_code == 200
        full[4] -= 1
        assert server.get("/ready").status_code == 503
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 200
        assert not list((tmp_path / ".hounsfield" / "incoming").iterdir())
        monkeypatch.undo()
        assert server.store(contents).status_code == 200


def test_a_database_that_is_not_there_is_named_at_the_start_without_its_password(tmp_path: Path) -> None:
    from hounsfield.server.archive.index.database import IndexUnavailable

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens
        port = held.getsockname()[1]
        deployment = Deployment(str(tmp_path), database=f"postgresql://somebody:secret@127.0.0.1:{port}/ct")
        with pytest.raises(IndexUnavailable) as told:
            deployment.open(first=True)
    assert f"127.0.0.1:{port}/ct" in str(told.value) and "refused" in str(told.value)
    assert "secret" not in str(told.value)


def test_an_index_that_cannot_grow_is_a_503_and_catches_up_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hounsfield.server.archive.index.database import IndexUnavailable

    contents = instances()
    with running(tmp_path) as server:
        add = server.archive.index.add

        def fail(records: Any, **_: Any) -> None:
            raise IndexUnavailable("the index cannot be used: disk is full")

        monkeypatch.setattr(server.archive.index, "add", fail)
        assert server.store(contents[:2]).status_code == 503
        monkeypatch.setattr(server.archive.index, "add", add)
        assert server.store(contents[2:]).status_code == 200
        assert server.archive.index.totals() == (1, 1, 3)


def test_a_read_only_folder_is_a_503_and_recovers(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere: the server becomes nobody.
        tmp_path.chmod(0o777)
        for above in tmp_path.parents:
            if str(above).startswith("/tmp/"):
                above.chmod(above.stat().st_mode | 0o055)
    contents = instances()
    zygote = Zygote()
    try:
        folder = tmp_path / "archive"
        _, url = zygote.start(folder, user=65534 if os.geteuid() == 0 else None)
        with client(url) as http:

            def store(parts: list[bytes]) -> Response:
                return http.post("/studies", content=body(parts), headers={"Content-Type": STOW})

            assert store(contents[:1]).status_code == 200
            incoming = folder / ".hounsfield" / "incoming"
            incoming.chmod(0o555)
            answer = store(contents[1:])
            assert answer.status_code == 503 and "store" in answer.json()["error"]
            assert str(folder) not in answer.text
            assert http.get("/ready").status_code == 503
            assert http.get(path_of(contents[0]), headers={"Accept": AS_STORED}).status_code == 200
            incoming.chmod(0o755)
            assert store(contents[1:]).status_code == 200
    finally:
        zygote.close()


def test_a_folder_that_vanishes_is_a_503(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        incoming = tmp_path / ".hounsfield" / "incoming"
        shutil.rmtree(incoming)
        assert server.store(contents).status_code == 503
        incoming.mkdir()
        assert server.store(contents).status_code == 200


def test_a_file_that_vanished_is_a_clear_error_and_disturbs_no_other(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        study, series, instance = (path_of(contents[0]).split("/")[n] for n in (2, 4, 6))
        (tmp_path / study / series / f"{instance}.dcm").unlink()
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 503
        assert server.get(path_of(contents[1]), AS_STORED).status_code == 200


def test_what_was_published_but_not_indexed_is_indexed_at_the_next_start(tmp_path: Path) -> None:
    contents = instances()
    deployment = Deployment(str(tmp_path))
    archive = deployment.open(first=True)
    for content in contents[:2]:
        arrival = archive.store.arrival()
        arrival.write([content])
        arrival.sync()
        record = archive.record(BytesSource("x", content), size=len(content))
        arrival.publish(record.key)
    unfinished = archive.store.arrival()
    unfinished.write([contents[2][:100]])
    unfinished._close()  # type: ignore[attr-defined]
    deployment.close(archive)
    with running(tmp_path) as server:
        assert server.archive.index.totals() == (1, 1, 2)
        assert not list((tmp_path / ".hounsfield" / "incoming").iterdir())
        assert server.get(path_of(contents[2])).status_code == 404


def test_a_removal_that_was_interrupted_is_finished_at_the_next_start(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        from hounsfield.dicomweb.resources import Resource

        server.archive.index.remove(Resource("", path_of(contents[0], "study").rpartition("/")[2]))
        assert list(tmp_path.rglob("*.dcm"))
    with running(tmp_path):
        assert not list(tmp_path.rglob("*.dcm"))


def test_a_second_server_on_the_same_archive_is_refused_in_words(tmp_path: Path) -> None:
    with running(tmp_path):
        import subprocess
        import sys

        second = subprocess.run(
            [sys.executable, "-m", "hounsfield", "serve", str(tmp_path), "--port", "0"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert "another server runs on this archive" in second.stderr and str(os.getpid()) in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1


def test_the_command_serves_says_where_and_stops_gracefully(tmp_path: Path) -> None:
    contents = instances()
    server = start(str(tmp_path), "--workers", "2")
    try:
        with client(server.url) as http:
            assert (
                http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code
                == 200
            )
            for _ in range(8):
                assert len(http.get(path_of(contents[0], "series") + "/instances").json()) == 3
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    finally:
        server.kill()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1].split("/")[0])), 1)
    with running(tmp_path) as again:
        assert again.archive.index.totals() == (1, 1, 3)


def test_a_request_in_flight_is_finished_before_a_stop(tmp_path: Path) -> None:
    contents = instances(slices=8, rows=256, columns=256)
    zygote = Zygote()
    try:
        process, url = zygote.start(tmp_path)
        with client(url) as http:
            http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
            with http.stream("GET", path_of(contents[0], "study"), headers={"Accept": AS_STORED}) as answer:
                pieces = answer.iter_raw(65536)
                got = len(next(pieces))
                os.kill(process, signal.SIGTERM)
                got += sum(len(piece) for piece in pieces)
                assert got == int(answer.headers["content-length"])
    finally:
        zygote.close()


def test_a_reindex_finds_everything_again(tmp_path: Path) -> None:
    contents = instances() + instances(series_number=2)
    with running(tmp_path) as server:
        server.store(contents)
        (tmp_path / "notes.txt").write_text("not ours")
        server.archive.index.clear()
        assert server.archive.reindex() == []
        assert server.archive.index.totals() == (1, 2, 6)


def test_an_archive_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    from hounsfield.server.archive.index.tables import schema

    with running(tmp_path) as server, server.archive.index._transaction() as connection:
        connection.execute(schema.update().values(version=99))
    deployment = Deployment(str(tmp_path))
    with pytest.raises(LocationError, match="upgrade"):
        deployment.open(first=True)
    lock.release(deployment.lock)


def test_an_archive_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    from hounsfield.server.archive.index.tables import VERSION, arrivals, schema

    contents = instances()
    with running(tmp_path) as server:
        server.store(contents[:1])
        with server.archive.index._transaction() as connection:
            arrivals.drop(connection)
            connection.execute(schema.update().values(version=1))
    with running(tmp_path) as server:
        with server.archive.index._reading() as connection:
            assert connection.execute(schema.select()).scalar() == VERSION
        assert server.archive.index.expected(0) == []
        assert server.store(contents).status_code == 200
        assert server.archive.index.totals() == (1, 1, 3)
