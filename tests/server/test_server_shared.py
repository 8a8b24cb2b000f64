"""Several servers over one PostgreSQL and one store: real PostgreSQL, real S3 protocol, no state in a process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from foreign_texts import HOSPITAL, chinese, slice_of
from httpx2._client import Client
from httpx2._models import Response
from moto.server import ThreadedMotoServer
from server_postgres import Postgres, postgres
from server_support import AS_STORED, STOW, body, client, instances, parts_of, path_of, served, uids
from test_server_integrity import ways

from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import LocationError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.ops.repair_loop import RepairLoop


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def clean(database: Postgres) -> Postgres:
    """The database, with nothing of an earlier test in it."""
    from hounsfield.server.archive.index import Index

    index = Index(database.url)
    index.prepare()
    index.clear()
    index.close()
    return database


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="pacs")
        yield "s3://pacs/ct"
    server.stop()


@contextlib.contextmanager
def server(folder: Path, **options: Any) -> Iterator[tuple[Client, Archive]]:
    deployment = Deployment(str(folder), **options)
    archive = deployment.open(first=True)
    try:
        with served(deployment.app(archive)) as url, client(url + "/dicom-web") as http:
            yield http, archive
    finally:
        deployment.close(archive)


def store(http: Client, contents: list[Any]) -> Response:
    return http.post("/studies", content=body(contents), headers={"Content-Type": STOW})


def flip(key: str, content: bytes, at: int) -> None:
    """Turn one bit of an object over, its metadata as they were."""
    objects = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    told = objects.get_object(Bucket="pacs", Key=key)["Metadata"]
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    spoilt = bytearray(content)
    spoilt[at] ^= 1
    objects.put_object(Bucket="pacs", Key=key, Body=bytes(spoilt), Metadata=told)


def test_a_flipped_bit_in_an_object_is_a_500_on_every_way_with_the_index_and_after_its_loss(
    tmp_path: Path, bucket: str
) -> None:
    contents = instances(rows=128, columns=128, slices=2)
    store_url = f"{bucket}-{tmp_path.name}"
    with server(tmp_path, store=store_url) as (http, archive):
        assert store(http, contents).status_code == 200
        for path, accept in ways(contents[0]).values():
            assert http.get(path, headers={"Accept": accept}).status_code == 200
        keys = {key.rpartition("/")[2].removesuffix(".dcm"): key for key in archive.store.walk()}
        key = f"{store_url.removeprefix('s3://pacs/')}/{keys[uids(contents[0])[2]]}"
        flip(key, contents[0], 200)
    (tmp_path / ".hounsfield" / "index.sqlite").rename(tmp_path / "index")
    with server(tmp_path, store=store_url) as (http, _):
        for path, accept in (each for each in ways(contents[0]).values()):
            answer = http.get(path, headers={"Accept": accept})
            assert answer.status_code == 500 and uids(contents[0])[2] in answer.json()["error"], path
    (tmp_path / "index").rename(tmp_path / ".hounsfield" / "index.sqlite")
    with server(tmp_path, store=store_url) as (http, _):
        for path, accept in ways(contents[0]).values():
            answer = http.get(path, headers={"Accept": accept})
            assert answer.status_code == 500 and uids(contents[0])[2] in answer.json()["error"], path
        answer = http.get(path_of(contents[1]), headers={"Accept": AS_STORED})
        assert parts_of(answer)[0][1] == contents[1]


def test_a_bit_that_flips_on_the_way_from_the_object_store_is_noticed_too(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    (content,) = instances(slices=1, rows=256, columns=256)
    with server(tmp_path, store=f"{bucket}-{tmp_path.name}") as (http, _):
        store(http, [content])
        get_range = obstore.get_range

        def flipped(*arguments: Any, **named: Any) -> bytes:
            found = bytearray(get_range(*arguments, **named))
            found[0] ^= 4
            return bytes(found)

        monkeypatch.setattr(obstore, "get_range", flipped)
        for path, accept in ways(content).values():
            answer = http.get(path, headers={"Accept": accept})
            assert answer.status_code == 500 and uids(content)[2] in answer.json()["error"], path
        monkeypatch.undo()
        assert http.get(path_of(content), headers={"Accept": AS_STORED}).status_code == 200


def test_verify_checks_an_archive_in_postgresql_and_an_object_store(
    tmp_path: Path, clean: Any, bucket: str
) -> None:
    from click.testing import CliRunner

    from hounsfield.cli import main

    contents = instances()
    shared = {"database": clean.url, "store": f"{bucket}-{tmp_path.name}"}
    with server(tmp_path, **shared) as (http, archive):
        store(http, contents)
        arguments = [
            "verify",
            str(tmp_path),
            "--json",
            "--database",
            shared["database"],
            "--store",
            shared["store"],
        ]
        whole = CliRunner().invoke(main, arguments)
        assert whole.exit_code == 0 and json.loads(whole.output)["instances"] == 3, whole.output
        (key, *_) = archive.store.walk()
        spoilt = next(
            each for each in contents if uids(each)[2] == key.rpartition("/")[2].removesuffix(".dcm")
        )
        flip(f"{shared['store'].removeprefix('s3://pacs/')}/{key}", spoilt, 1000)
        told = CliRunner().invoke(main, arguments)
        (damage,) = json.loads(told.output)["damaged"]
        assert told.exit_code == 1 and damage["instance"] == uids(spoilt)[2]
        archive.store.remove(list(archive.store.walk()))


def test_a_database_of_before_digests_is_migrated_by_several_who_start_at_once(
    tmp_path: Path, clean: Any
) -> None:
    import psycopg

    contents = instances()
    shared = {"database": clean.url, "store": str(tmp_path / "files")}
    with server(tmp_path / "one", **shared) as (http, _):
        store(http, contents)
    with psycopg.connect(clean.url) as connection:
        for column in ("sha256", "blocks"):
            connection.execute(f"ALTER TABLE instances DROP COLUMN {column}")
        connection.execute("UPDATE schema SET version = 3")
    with ThreadPoolExecutor(3) as pool:
        folders = [tmp_path / name for name in ("one", "two", "three")]
        archives = list(pool.map(lambda folder: Deployment(str(folder), **shared).open(first=True), folders))
    for archive in archives:
        archive.close()
    with server(tmp_path / "one", **shared) as (http, archive):
        assert [entry.blocks for entry in archive.index.after(0, 10)] == [None] * 3
        for content in contents:
            answer = http.get(path_of(content), headers={"Accept": AS_STORED})
            assert parts_of(answer)[0][1] == content
        archive.digests.flush()
        assert all(entry.blocks and entry.sha256 for entry in archive.index.after(0, 10))


def test_what_one_server_took_in_another_one_serves(tmp_path: Path, clean: Any) -> None:
    contents = instances()
    shared = {"database": clean.url, "store": str(tmp_path / "files")}
    with server(tmp_path / "one", **shared) as (one, _), server(tmp_path / "two", **shared) as (two, _):
        assert store(one, contents).status_code == 200
        got = parts_of(two.get(path_of(contents[0], "series"), headers={"Accept": AS_STORED}))
        assert sorted(content for _, content in got) == sorted(contents)
        assert len(two.get("/studies?PatientName=PHANTOM*").json()) == 1
        assert len(two.get(path_of(contents[0], "series") + "/metadata").json()) == 3
        assert store(two, contents).status_code == 200
        assert two.get("/studies").json()[0]["00081190"]


def test_servers_that_store_into_one_study_at_once_count_right(tmp_path: Path, clean: Any) -> None:
    parts = [instances(series_number=number, slices=4, rows=8, columns=8) for number in range(8)]
    shared = {"database": clean.url, "store": str(tmp_path / "files")}
    with server(tmp_path / "one", **shared) as (one, archive), server(tmp_path / "two", **shared) as (two, _):
        jobs = [(http, contents) for contents in parts for http in (one, two)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda job: store(*job), jobs))
        assert {answer.status_code for answer in answers} == {200}
        assert archive.index.totals() == (1, 8, 32)


def test_a_stopped_database_is_a_503_and_comes_back_without_a_restart(tmp_path: Path, clean: Any) -> None:
    contents = instances()
    with server(tmp_path, database=clean.url) as (http, _):
        assert store(http, contents[:1]).status_code == 200
        clean.stop()
        try:
            for answer in (http.get("/studies"), store(http, contents[1:])):
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
                assert "hounsfield@" not in answer.text
            assert http.get("/ready").status_code == 503
            assert http.get("/health").status_code == 200
        finally:
            clean.start()
        assert store(http, contents[1:]).status_code == 200
        assert len(http.get(path_of(contents[0], "series") + "/instances").json()) == 3


def test_a_store_that_the_database_interrupts_is_not_acknowledged_and_not_torn(
    tmp_path: Path, clean: Any
) -> None:
    contents = [
        content for number in range(6) for content in instances(seed=number, slices=4, rows=8, columns=8)
    ]
    with server(tmp_path, database=clean.url) as (http, archive):
        halted = threading.Timer(0.05, clean.stop)
        halted.start()
        acknowledged = []
        for content in contents:
            with contextlib.suppress(Exception):
                if store(http, [content]).status_code == 200:
                    acknowledged.append(content)
        halted.join()
        clean.start()
        for content in acknowledged:
            got = parts_of(http.get(path_of(content), headers={"Accept": AS_STORED}))
            assert got[0][1] == content
        for content in contents:
            assert store(http, [content]).status_code == 200
        assert archive.index.totals()[2] == len(contents)


def test_an_object_store_holds_the_files(tmp_path: Path, clean: Any, bucket: str) -> None:
    contents = instances(seed=77)
    shared = {"database": clean.url, "store": bucket}
    with (
        server(tmp_path / "one", **shared) as (one, archive),
        server(tmp_path / "two", **shared, deletes=True) as (two, _),
    ):
        assert store(one, contents).status_code == 200
        assert store(one, contents).status_code == 200
        assert sorted(archive.store.walk()) == sorted(
            f"{path.replace('/studies/', '')}" for path in map(key, contents)
        )
        got = parts_of(two.get(path_of(contents[0], "series"), headers={"Accept": AS_STORED}))
        assert sorted(content for _, content in got) == sorted(contents)
        frame = two.get(path_of(contents[0]) + "/frames/1", headers={"Accept": "application/octet-stream"})
        assert frame.status_code == 200
        assert two.get(path_of(contents[0], "series") + "/slices/1").status_code == 200
        changed = contents[0][:-2] + b"\1\1"
        assert store(one, [changed]).status_code == 409
        archive.index.clear()
        assert archive.reindex() == []
        assert archive.index.totals() == (1, 1, 3)
        assert two.delete(path_of(contents[0], "study")).status_code == 204
        assert list(archive.store.walk()) == []


def _half_stored(folder: Path, content: bytes, **shared: Any) -> None:
    """What a server leaves that dies between the put of an instance and its index."""
    deployment = Deployment(str(folder), **shared)
    archive = deployment.open(first=True)
    archive.index.add = _dies  # type: ignore[assignment, method-assign]
    arrival = archive.store.arrival()
    arrival.write([content])
    arrival.sync()
    record = archive.record(BytesSource("x", content), size=len(content))
    with pytest.raises(_Death):
        archive.take_in([(record, arrival)])
    deployment.close(archive)


class _Death(BaseException):
    pass


def _dies(*_: Any, **__: Any) -> None:
    raise _Death


def test_an_object_whose_store_was_abandoned_is_adopted_by_the_next_start(
    tmp_path: Path, clean: Any, bucket: str
) -> None:
    contents = instances(seed=78)
    # Embedded: nobody else can be at work, so that a start settles it at once.
    _half_stored(tmp_path, contents[0], store=bucket)
    assert list((tmp_path / ".hounsfield" / "incoming").iterdir())
    with server(tmp_path, store=bucket) as (http, archive):
        got = parts_of(http.get(path_of(contents[0]), headers={"Accept": AS_STORED}))
        assert got[0][1] == contents[0]
        assert archive.index.expected(0) == []
        assert not list((tmp_path / ".hounsfield" / "incoming").iterdir())
    with server(tmp_path, store=bucket, deletes=True) as (http, archive):
        assert http.delete(path_of(contents[0], "study")).status_code == 204
        assert key(contents[0]) not in set(archive.store.walk())


def test_an_abandoned_object_of_another_server_is_adopted_while_this_one_runs(
    tmp_path: Path, clean: Any, bucket: str
) -> None:
    contents = instances(seed=79)
    shared = {"database": clean.url, "store": bucket}
    with server(tmp_path / "one", **shared) as (http, archive):
        _half_stored(tmp_path / "two", contents[0], **shared)
        assert archive.repair(older=60) == 0  # it may still be at work
        assert http.get(path_of(contents[0])).status_code == 404
        repair_loop = RepairLoop(archive, seconds=0.05, older=0.0)
        repair_loop.start()
        try:
            for _ in range(200):
                if http.get(path_of(contents[0])).status_code == 200:
                    break
                time.sleep(0.05)
            assert archive.index.totals()[2] == 1
        finally:
            repair_loop.stop()
        assert store(http, contents[:1]).status_code == 200


def test_what_was_expected_and_never_came_is_forgotten(tmp_path: Path, clean: Any, bucket: str) -> None:
    with server(tmp_path, database=clean.url, store=bucket) as (_, archive):
        archive.index.expect(["1.2/3.4/5.6.dcm", "1.2/3.4/5.7.dcm"])
        assert archive.repair(older=0.0) == 2
        assert archive.index.expected(0) == [] and archive.index.totals() == (0, 0, 0)


def test_a_store_that_cannot_be_reached_leaves_what_is_expected_for_later(
    tmp_path: Path, clean: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path, database=clean.url, store=bucket) as (_, archive):
        archive.index.expect(["1.2/3.4/5.6.dcm"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        archive = Deployment(str(tmp_path), database=clean.url, store=bucket).open(first=False)
        with pytest.raises(LocationError):
            archive.repair(older=0.0)
        assert archive.index.expected(0) == ["1.2/3.4/5.6.dcm"]
        archive.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_stored_again_is_not_removed_by_an_unfinished_removal(
    tmp_path: Path, clean: Any, kind: str
) -> None:
    contents = instances()
    shared = {"database": clean.url, "store": str(tmp_path / "files")} if kind == "postgresql" else {}
    with server(tmp_path / "one", **shared) as (http, archive):
        assert store(http, contents).status_code == 200
        # A removal that stopped after the index forgot; the bytes are still there.
        archive.index.remove(Resource("", path_of(contents[0], "study").rpartition("/")[2]))
        assert store(http, contents[:2]).status_code == 200
        archive.repair()
        for content in contents[:2]:
            assert parts_of(http.get(path_of(content), headers={"Accept": AS_STORED}))[0][1] == content
        assert http.get(path_of(contents[2])).status_code == 404
        assert sorted(archive.store.walk()) == sorted(map(key, contents[:2]))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_stores_and_removals_of_the_same_instances_at_once_leave_files_and_index_agreed(
    tmp_path: Path, clean: Any, kind: str
) -> None:
    contents = instances(slices=4, rows=8, columns=8)
    shared = {"database": clean.url, "store": str(tmp_path / "files")} if kind == "postgresql" else {}
    with server(tmp_path / "one", deletes=True, **shared) as (http, archive):
        study = path_of(contents[0], "study")
        stop = threading.Event()

        def remove() -> None:
            with client(str(http.base_url)) as other:
                while not stop.is_set():
                    assert other.delete(study).status_code in {204, 404}

        remover = threading.Thread(target=remove)
        remover.start()
        try:
            for _ in range(60):
                assert store(http, contents).status_code == 200
        finally:
            stop.set()
            remover.join()
        assert store(http, contents).status_code == 200
        assert sorted(archive.store.walk()) == sorted(map(key, contents))
        for content in contents:
            assert parts_of(http.get(path_of(content), headers={"Accept": AS_STORED}))[0][1] == content


def key(content: bytes) -> str:
    _, _, study, _, series, _, instance = path_of(content).split("/")
    return f"{study}/{series}/{instance}.dcm"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_names_are_found_by_what_is_shown(tmp_path: Path, clean: Any, kind: str) -> None:
    shared = {"database": clean.url, "store": str(tmp_path / "files")} if kind == "postgresql" else {}
    written: dict[tuple[str, str | None, str], set[str]] = {
        ("张^三丰", None, "gb18030"): {"hanzi"},
        ("张　三丰", "ISO_IR 100", "gb18030"): {"hanzi"},
        ("ZHANG^SAN FENG=张^三丰", "ISO_IR 192", "gb18030"): {"hanzi", "pinyin"},
        ("ZHANG SANFENG=张三丰", "GB18030", "utf-8"): {"hanzi", "pinyin"},
        ("李^四", "GB18030", "gb18030"): {"other"},
    }
    with server(tmp_path / "one", **shared) as (http, _):
        for number, (name, charset, encoding) in enumerate(written):
            content = slice_of(chinese(name, encoding), charset=charset, series=f"1.2.3.{number}")
            assert store(http, [content]).status_code == 200
        names = [name for name, _, _ in written]
        for asked, kinds in (
            ("张三丰", {"hanzi"}), ("张*", {"hanzi"}), ("张三*", {"hanzi"}), ("zhangsanfeng", {"pinyin"}),
            ("ZHANG SANFENG", {"pinyin"}), ("zhang*", {"pinyin"}), ("李四", {"other"}), ("三丰", set()),
        ):  # fmt: skip
            wanted = [name for (name, _, _), found in written.items() if found & kinds]
            for fuzzy in ("false", "true") if "*" not in asked else ("false",):
                if asked == "三丰" and fuzzy == "true":
                    continue  # the beginning of a word of two of them
                query = {"PatientName": asked, "fuzzymatching": fuzzy}
                found = http.get("/studies", params=query).json()
                shown = ["=".join(each["00100010"]["Value"][0].values()) for each in found]
                assert sorted(shown) == sorted(wanted), (asked, fuzzy)
        assert len(http.get("/studies", params={"InstitutionName": HOSPITAL}).json()) == len(names)
