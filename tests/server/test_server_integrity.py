"""A flipped bit, wherever stored bytes lie, is never sent as if it were what was stored."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import io
import json
import os
import sqlite3
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom
import pytest
from server_support import AS_STORED, instances, parts_of, path_of, read, running, uids

from hounsfield.cli import main
from hounsfield.cli.terminal import bytes_text
from hounsfield.client import Retries
from hounsfield.ct.instance import BytesSource
from hounsfield.errors import DamagedError
from hounsfield.server.archive.digests import LEARNT_BYTES
from hounsfield.server.archive.integrity import BLOCK, CheckedSource, Hasher, digest_of
from hounsfield.server.archive.store.folder import SEAL
from hounsfield.server.archive.store.versions import key_of
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.streams import WHOLE
from hounsfield.verbs.copy import copy

SIZES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17)


def content_of(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Turn one bit of a file over, as a disk would: neither time nor size change."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def sha_256(content: bytes) -> str:
    """As RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def with_private(content: bytes, size: int) -> bytes:
    """With so many bytes more in front of its pixels."""
    dataset = read(content)
    dataset.private_block(0x0009, "TEST", create=True).add_new(1, "OB", b"x" * size)
    return written(dataset)


def written(dataset: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def file_of(folder: Path, content: bytes) -> Path:
    return folder / "/".join(uids(content)[:2]) / f"{uids(content)[2]}.dcm"


# Digests and streams


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", (1000, BLOCK, 10**6))
def test_a_digest_is_the_same_however_the_bytes_come(size: int, step: int) -> None:
    content = content_of(size)
    hasher = Hasher()
    for start in range(0, size, step):
        hasher.update(content[start : start + step])
    digest = hasher.digest()
    assert digest.sha256 == hashlib.sha256(content).digest()
    expected = [zlib.crc32(content[start : start + BLOCK]) for start in range(0, size, BLOCK)]
    assert digest.blocks == b"".join(each.to_bytes(4, "big") for each in expected)
    assert digest_of(BytesSource("x", content)) == (digest, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_checked_stream_reads_like_any_other(size: int) -> None:
    content = content_of(size)
    digest, _ = digest_of(BytesSource("x", content))
    with CheckedSource(BytesSource("x", content), "1.2", size, digest.blocks).open() as stream:
        assert stream.read() == content and stream.read(5) == b""
        for start, count in (
            (0, 10),
            (BLOCK - 3, 7),
            (5, 2 * BLOCK),
            (BLOCK, BLOCK),
            (size - 1, 10),
            (size + 9, 4),
        ):
            stream.seek(max(start, 0))
            assert stream.read(count) == content[max(start, 0) : max(start, 0) + count]
        assert stream.seek(0, 2) == size == stream.tell()
        buffer = bytearray(size + 10)
        stream.seek(0)
        assert stream.readinto(buffer) == size and buffer[:size] == content  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", (0, BLOCK - 1, BLOCK, 2 * BLOCK + 16))
@pytest.mark.parametrize("bit", (0, 7))
def test_every_read_that_touches_a_damaged_block_fails_and_no_other(at: int, bit: int) -> None:
    content = bytearray(content_of(2 * BLOCK + 17))
    digest, size = digest_of(BytesSource("x", bytes(content)))
    content[at] ^= 1 << bit
    told: list[DamagedError] = []
    source = CheckedSource(BytesSource("x", bytes(content)), "1.2", size, digest.blocks, told.append)
    for start, count in (
        (0, size),
        (0, 10),
        (BLOCK - 1, 2),
        (BLOCK + 5, BLOCK),
        (2 * BLOCK, 5),
        (size - 1, 1),
    ):
        touched = start // BLOCK <= at // BLOCK <= (start + count - 1) // BLOCK
        with source.open() as stream:
            stream.seek(start)
            if touched:
                with pytest.raises(DamagedError, match=r"the stored instance 1\.2 is damaged"):
                    stream.read(count)
            else:
                assert stream.read(count) == content[start : start + count]
    assert told and told[-1] is source.problem


@pytest.mark.parametrize("change", (-1, 1))
def test_more_or_fewer_bytes_are_damage_before_any_is_read(change: int) -> None:
    content = content_of(BLOCK)
    digest, size = digest_of(BytesSource("x", content))
    source = CheckedSource(BytesSource("x", content_of(BLOCK + change)), "1.2", size, digest.blocks)
    with pytest.raises(DamagedError, match=f"{BLOCK + change} bytes and had {BLOCK}"):
        source.open()


# Every way out of a server


def ways(content: bytes) -> dict[str, tuple[str, str]]:
    """Every way to the bytes of an instance: path, Accept."""
    at, series, study = (path_of(content, level) for level in ("instance", "series", "study"))
    return {
        "instance": (at, "application/dicom; transfer-syntax=*"),
        "instance in parts": (at, AS_STORED),
        "series": (series, AS_STORED),
        "study": (study, AS_STORED),
        "converted": (at, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"),
        "frame": (f"{at}/frames/1", "application/octet-stream"),
        "frame in parts": (f"{at}/frames/1", 'multipart/related; type="application/octet-stream"'),
        "pixels": (f"{at}/bulkdata/7FE00010", "application/octet-stream"),
        "rendered": (f"{at}/rendered", "image/png"),
        "thumbnail": (f"{at}/thumbnail", "image/jpeg"),
        "series rendered": (f"{series}/rendered", 'multipart/related; type="image/png"'),
        "tags": (f"{at}/tags", "*/*"),
        "series info": (f"{series}/info", "*/*"),
        "slice": (f"{series}/slices/1", "*/*"),
        "volume": (f"{series}/volume?format=npy", "*/*"),
        "by query": (
            "/wado?requestType=WADO&studyUID={}&seriesUID={}&objectUID={}".format(*uids(content)),
            "*/*",
        ),
    }


@pytest.mark.parametrize("where", ("header", "pixels", "last byte"))
def test_a_flipped_bit_is_a_500_that_names_the_instance_on_every_way(tmp_path: Path, where: str) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        found = ways(contents[1])
        for path, accept in found.values():
            assert server.get(path, accept).status_code == 200
        file = file_of(tmp_path, contents[1])
        flip(
            file, {"header": 200, "pixels": len(contents[1]) - 900, "last byte": len(contents[1]) - 1}[where]
        )
        server.state.volumes._values.clear()
        server.state.volumes._scans.clear()
        for name, (path, accept) in found.items():
            answer = server.get(path, accept)
            assert answer.status_code == 500, name
            assert uids(contents[1])[2] in answer.json()["error"], name
        # Its neighbours are as they were.
        for content in (contents[0], contents[2]):
            assert server.get(path_of(content), AS_STORED).status_code == 200


def test_of_an_instance_of_many_blocks_only_what_touches_the_damaged_one_is_refused(tmp_path: Path) -> None:
    contents = instances(rows=256, columns=256)
    assert len(contents[0]) > 2 * BLOCK
    with running(tmp_path) as server:
        server.store(contents)
        at = path_of(contents[0])
        flip(file_of(tmp_path, contents[0]), len(contents[0]) - 1)
        assert server.get(f"{at}/tags").status_code == 200
        assert server.get(f"{at}/metadata").status_code == 200
        for path in (at, f"{at}/frames/1", f"{at}/rendered"):
            assert server.get(path, "*/*").status_code == 500
        part = server.get(at, "application/dicom; transfer-syntax=*", Range="bytes=0-999")
        assert part.status_code == 206 and part.content == contents[0][:1000]
        part = server.get(at, "application/dicom; transfer-syntax=*", Range="bytes=-1")
        assert part.status_code == 500


def test_a_body_that_is_found_damaged_on_its_way_is_torn_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contents = instances(slices=20, rows=256, columns=256)
    assert sum(map(len, contents)) > WHOLE
    with running(tmp_path) as server:
        server.store(contents)
        flip(file_of(tmp_path, contents[-1]), len(contents[-1]) - 1)
        parts = urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port)  # type: ignore[arg-type]
        connection.request("GET", parts.path + path_of(contents[0], "series"), headers={"Accept": AS_STORED})
        answer = connection.getresponse()
        expected = int(answer.headers["Content-Length"])
        assert answer.status == 200 and expected > WHOLE
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        connection.close()
        assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
        metrics = server.get("/metrics").text
        assert 'route="/studies/{study}/series/{series}",status="500"' in metrics
        assert "hounsfield_damaged_reads_total 1" in metrics


@pytest.mark.parametrize("side", (256, 1100))
def test_a_copy_of_a_series_with_a_damaged_instance_brings_all_the_others(tmp_path: Path, side: int) -> None:
    """And says which one it could not have: also where a single one is too large for an error before it begins."""
    contents = instances(slices=6 if side > 1000 else 20, rows=side, columns=side)
    assert (len(contents[0]) > WHOLE) == (side > 1000) and sum(map(len, contents)) > WHOLE
    with running(tmp_path / "archive") as server:
        server.store(contents)
        flip(file_of(tmp_path / "archive", contents[3]), len(contents[3]) - 1)
        summary = copy(server.url, tmp_path / "out", retries=Retries(attempts=3, sleep=lambda seconds: None))
    assert (summary.counts["moved"], summary.counts["failed"]) == (len(contents) - 1, 1)
    (failed,) = [item for item in summary.told if item.status == "failed"]
    assert failed.unit == uids(contents[3])[2] and ("cut" if side > 1000 else "damaged") in failed.reason
    assert not file_of(tmp_path / "out", contents[3]).exists()


def test_copy_verify_heals_what_is_damaged_at_its_target(tmp_path: Path) -> None:
    contents = instances(slices=5)
    source = tmp_path / "source"
    source.mkdir()
    for number, content in enumerate(contents):
        (source / f"{number}.dcm").write_bytes(content)
    with running(tmp_path / "archive") as server:
        server.store(contents)
        flip(file_of(tmp_path / "archive", contents[2]), 600)
        file_of(tmp_path / "archive", contents[3]).unlink()
        healed = copy(
            source, server.url, verify=True, retries=Retries(attempts=2, sleep=lambda seconds: None)
        )
        assert (healed.counts["moved"], healed.counts["present"], healed.counts["failed"]) == (2, 3, 0)
        for content in contents:
            assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == content
    assert verified(tmp_path / "archive")[0] == 0


def test_a_file_that_is_gone_or_cut_is_a_5xx_that_names_the_instance(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        file_of(tmp_path, contents[0]).unlink()
        with file_of(tmp_path, contents[1]).open("r+b") as stream:
            stream.truncate(len(contents[1]) - 100)
        for content in contents[:2]:
            for path, accept in ways(content).values():
                answer = server.get(path, accept)
                assert answer.status_code >= 500, path
                assert any(uids(each)[2] in answer.text for each in contents[:2]), path


def test_a_damaged_header_in_the_index_is_a_500_that_names_the_instance(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
    uid = uids(contents[0])[2]
    with sqlite3.connect(tmp_path / ".hounsfield" / "index.sqlite") as index:
        (header,) = index.execute("SELECT header FROM instances WHERE SOPInstanceUID = ?", (uid,)).fetchone()
        spoilt = bytearray(header)
        spoilt[len(spoilt) // 2] ^= 16
        index.execute("UPDATE instances SET header = ? WHERE SOPInstanceUID = ?", (bytes(spoilt), uid))
    index.close()
    with running(tmp_path) as server:
        at = path_of(contents[0])
        for path in (
            f"{at}/metadata",
            f"{path_of(contents[0], 'study')}/metadata",
            f"{path_of(contents[0], 'series')}/instances?includefield=all",
        ):
            answer = server.get(path, "application/dicom+json")
            assert answer.status_code == 500 and uid in answer.text
        assert server.get(at, AS_STORED).status_code == 200


@pytest.mark.parametrize(
    ("table", "column", "path"),
    [
        ("studies", "header", "/studies"),
        ("series", "header", "/series"),
        ("series", "header", "/instances?includefield=SeriesDescription,Modality"),
        ("instances", "brief", "/instances"),
    ],
)
def test_searches_show_no_text_that_is_damaged_in_the_index(
    tmp_path: Path, table: str, column: str, path: str
) -> None:
    (content,) = instances(slices=1)
    with running(tmp_path) as server:
        server.store([content])
        before, url = server.get(path), server.url
        assert before.status_code == 200
    with sqlite3.connect(tmp_path / ".hounsfield" / "index.sqlite") as index:
        (text,) = index.execute(f"SELECT {column} FROM {table}").fetchone()
        ways_to_spoil = (text.replace("a", "b", 1), text.replace("\x02", "\x03"), text[:-1] + "!", text[:-20])
        for spoilt in ways_to_spoil:
            index.execute(f"UPDATE {table} SET {column} = ?", (spoilt,))
            index.commit()
            with running(tmp_path) as server:
                answer = server.get(path)
                assert answer.status_code == 500 and "damaged" in answer.json()["error"]
        index.execute(f"UPDATE {table} SET {column} = ?", (text.partition("\x02")[0],))
        index.commit()
        with running(tmp_path) as server:  # as an index of before there were checks has it
            assert server.get(path).text.replace(server.url, url) == before.text
    index.close()


# Where digests are


def test_the_sha_256_lies_with_the_file_and_survives_the_index(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
    for content in contents:
        kept = os.getxattr(file_of(tmp_path, content), SEAL)
        assert kept == hashlib.sha256(content).digest() + zlib.crc32(content[:BLOCK]).to_bytes(4, "big")
    (tmp_path / ".hounsfield" / "index.sqlite").unlink()
    flip(file_of(tmp_path, contents[0]), len(contents[0]) - 5)
    with running(tmp_path) as server:
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 500
        assert parts_of(server.get(path_of(contents[1]), AS_STORED))[0][1] == contents[1]


@pytest.mark.parametrize("private", (0, 2 * BLOCK))
def test_a_header_that_is_damaged_when_the_index_is_made_anew_is_told_and_describes_nothing(
    tmp_path: Path, private: int
) -> None:
    """Also one that ends behind the first block."""
    contents = [with_private(content, private) for content in instances()]
    with running(tmp_path) as server:
        server.store(contents)
        names = {row["00100010"]["Value"][0]["Alphabetic"] for row in server.get("/studies").json()}
    for content in contents[:2]:
        place = content.rindex(next(iter(names)).encode())
        flip(file_of(tmp_path, content), place + 1)
    (tmp_path / ".hounsfield" / "index.sqlite").unlink()
    with running(tmp_path) as server:
        assert server.archive.index.totals() == (1, 1, 3)
        rows = server.get("/studies").json()
        assert {row["00100010"]["Value"][0]["Alphabetic"] for row in rows} == names
        for content in contents[:2]:
            for path in (path_of(content), path_of(content) + "/metadata"):
                answer = server.get(path)
                assert answer.status_code == 500 and uids(content)[2] in answer.json()["error"]
        assert server.get(path_of(contents[2]) + "/metadata").status_code == 200
        assert server.get(path_of(contents[2], "study") + "/metadata").status_code == 500
        assert server.store(contents[:2]).status_code == 200
        assert server.get(path_of(contents[2], "study") + "/metadata").status_code == 200
    assert verified(tmp_path)[0] == 0


def test_a_file_whose_uids_are_damaged_is_indexed_under_no_others(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
    uid = uids(contents[0])[2].encode()
    flip(file_of(tmp_path, contents[0]), contents[0].rindex(uid) + len(uid) - 1)
    (tmp_path / ".hounsfield" / "index.sqlite").unlink()
    with running(tmp_path) as server:
        assert server.archive.index.totals() == (1, 1, 2)


def test_a_damaged_instance_is_whole_again_once_it_is_stored_again(tmp_path: Path) -> None:
    """What the error tells to do is what helps, and other bytes are refused as ever."""
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        flip(file_of(tmp_path, contents[0]), 700)
        file_of(tmp_path, contents[1]).unlink()
        other = read(contents[0])
        other.PatientID = "ANOTHER"
        assert server.store([written(other)]).status_code == 409
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 500
        assert server.store(contents).status_code == 200
        for content in contents:
            assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == content
        assert server.archive.index.totals() == (1, 1, 3)
    assert verified(tmp_path)[0] == 0


def test_a_version_that_a_crash_left_behind_has_its_own_digest(tmp_path: Path) -> None:
    (content,) = instances(slices=1)
    other = read(content)
    other.PatientID = "ANOTHER"
    other = written(other)  # type: ignore[assignment]
    with running(tmp_path, replace=True) as server:
        server.store([content])
        arrival = server.archive.store.arrival()
        arrival.write([other])  # type: ignore[list-item]
        arrival.sync()
        arrival.publish(key_of(*uids(content), 2))
        del arrival
    with running(tmp_path, replace=True) as server:
        assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == other
    (tmp_path / ".hounsfield" / "index.sqlite").unlink()
    with running(tmp_path, replace=True) as server:
        assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == other
    assert verified(tmp_path)[0] == 0


def old_archive(folder: Path, contents: list[bytes]) -> None:
    """An archive as the version before digests left it."""
    with running(folder) as server:
        server.store(contents)
    for content in contents:
        os.removexattr(file_of(folder, content), SEAL)
    with sqlite3.connect(folder / ".hounsfield" / "index.sqlite") as index:
        index.execute("ALTER TABLE instances DROP COLUMN sha256")
        index.execute("ALTER TABLE instances DROP COLUMN blocks")
        index.execute("UPDATE schema SET version = 3")
    index.close()


def test_archives_without_digests_are_adopted_and_protected_from_the_first_read_on(tmp_path: Path) -> None:
    contents = instances()
    old_archive(tmp_path, contents)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.dcm")}
    with running(tmp_path) as server:
        for content in contents:
            assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == content
        flip(file_of(tmp_path, contents[0]), 500)
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 500
    with running(tmp_path) as server:
        # What was made out is in the index by then.
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 500
        answer = server.get(path_of(contents[1]), "application/dicom; transfer-syntax=*")
        assert answer.headers["Repr-Digest"] == sha_256(contents[1])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.dcm")} == before


def test_the_very_large_of_an_old_archive_wait_for_a_check(tmp_path: Path) -> None:
    from hounsfield.server.archive.index import Entry

    with running(tmp_path) as server:
        server.store(instances(slices=1))
        (entry,) = server.archive.index.after(0, 10)
        values = {name: getattr(entry, name) for name in Entry.__slots__} | {"sha256": None, "blocks": None}
        for size, learns in ((LEARNT_BYTES, True), (LEARNT_BYTES + 1, False)):
            learnt = server.archive.digests
            learnt._found.clear()
            large = Entry(**values | {"size": size})
            source = server.archive.source(large)
            source.open().close()
            assert bool(learnt._found) == learns


def test_whole_instances_say_their_digest(tmp_path: Path) -> None:
    (content,) = instances(slices=1)
    expected = sha_256(content)
    with running(tmp_path) as server:
        server.store([content])
        for more in ({}, {"Range": "bytes=10-20"}):
            answer = server.get(path_of(content), "application/dicom; transfer-syntax=*", **more)
            assert answer.headers["Repr-Digest"] == expected
        head = server.http.head(path_of(content), headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert head.headers["Repr-Digest"] == expected


def test_whatever_is_sent_whole_says_its_digest_as_it_is_sent(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        at, series = path_of(contents[0]), path_of(contents[0], "series")
        frame = (f"{at}/frames/1", "application/octet-stream")
        for path, accept in (
            frame,
            (f"{at}/rendered", "image/png"),
            (f"{at}/metadata", "application/dicom+json"),
            (f"{series}/instances", "application/dicom+json"),
            (at, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"),
        ):
            answer = server.get(path, accept)
            assert answer.headers["Repr-Digest"] == sha_256(answer.content), path
        packed = server.http.send(
            server.http.build_request(
                "GET",
                f"{series}/metadata",
                headers={"Accept": "application/dicom+json", "Accept-Encoding": "gzip"},
            ),
            stream=True,
        )
        raw = b"".join(packed.iter_raw())
        assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Repr-Digest"] == sha_256(raw)
        part = server.get(*frame, Range="bytes=0-9")
        assert part.status_code == 206 and part.headers["Repr-Digest"] == sha_256(server.get(*frame).content)
        # Slices have a checksum of their own; what is made on its way has none.
        slice_path = f"{series}/slices/0"
        assert "Repr-Digest" not in server.get(slice_path).headers
        for wanted, given in (
            ("sha-256=10", True),
            ("unixsum=3, SHA-256=1", True),
            ("sha-256=0", False),
            ("sha-512=5", False),
        ):
            answer = server.get(slice_path, "*/*", **{"Want-Repr-Digest": wanted})
            assert (answer.headers.get("Repr-Digest") == sha_256(answer.content)) == given
        assert "Repr-Digest" not in server.get(series, AS_STORED).headers


@pytest.mark.parametrize("system", ("no extended attributes in this file system", "none in this system"))
def test_without_extended_attributes_the_index_alone_protects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, system)

    for name in ("setxattr", "getxattr"):
        if "file system" in system:
            monkeypatch.setattr(os, name, refuse)
        else:
            monkeypatch.delattr(os, name)
    contents = instances()
    with running(tmp_path) as server:
        assert server.store(contents).status_code == 200
        flip(file_of(tmp_path, contents[0]), 500)
        assert server.get(path_of(contents[0]), AS_STORED).status_code == 500
    status, output = verified(tmp_path, "--json")
    assert status == 1 and len(json.loads(output)["damaged"]) == 1
    (tmp_path / ".hounsfield" / "index.sqlite").unlink()
    with running(tmp_path) as server:
        assert server.get(path_of(contents[1]), AS_STORED).status_code == 200


# hounsfield verify


def verified(*arguments: object) -> tuple[int, str]:
    from click.testing import CliRunner

    result = CliRunner().invoke(main, ["verify", *map(str, arguments)])
    return result.exit_code, result.output


def test_verify_finds_what_is_damaged_gone_or_wrong_in_the_index_and_nothing_else(tmp_path: Path) -> None:
    contents = instances(slices=6)
    with running(tmp_path) as server:
        server.store(contents)
    assert verified(tmp_path) == (
        0,
        f"6 instances, {bytes_text(sum(map(len, contents)))}: all as they were stored\n",
    )
    flip(file_of(tmp_path, contents[1]), 700)
    file_of(tmp_path, contents[2]).unlink()
    status, output = verified(tmp_path, "--json")
    told = json.loads(output)
    assert status == 1 and told["instances"] == 6 and told["ended"]
    found = {each["instance"]: each["problem"] for each in told["damaged"]}
    assert found == {uids(contents[1])[2]: "other bytes", uids(contents[2])[2]: "gone"}
    status, output = verified(tmp_path, "--lang", "zh")
    assert status == 1 and "6 个实例" in output and "内容不一致" in output and "文件缺失" in output


def test_verify_puts_right_what_is_wrong_in_the_index_alone(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
    with sqlite3.connect(tmp_path / ".hounsfield" / "index.sqlite") as index:
        for column, content in (("sha256", contents[0]), ("blocks", contents[1])):
            where = "WHERE SOPInstanceUID = ?"
            (found,) = index.execute(f"SELECT {column} FROM instances {where}", uids(content)[2:]).fetchone()
            wrong = bytes([found[0] ^ 1]) + found[1:]
            index.execute(f"UPDATE instances SET {column} = ? {where}", (wrong, uids(content)[2]))
    index.close()
    with running(tmp_path) as server:
        assert server.get(path_of(contents[1]), AS_STORED).status_code == 500
    status, output = verified(tmp_path)
    assert status == 0 and "2 had a wrong digest in the index" in output
    with running(tmp_path) as server:
        for content in contents:
            assert parts_of(server.get(path_of(content), AS_STORED))[0][1] == content


def test_verify_leaves_files_to_their_owners(tmp_path: Path) -> None:
    from hounsfield.phantom import PhantomSpec, write

    write(PhantomSpec(slices=2, rows=32, columns=32), tmp_path / "theirs")
    deployment = Deployment(str(tmp_path / "archive"))
    archive = deployment.open(first=True)
    adopted = deployment.watched(archive)
    adopted.add([tmp_path / "theirs"])
    adopted.look(settled=True)
    deployment.close(archive)
    status, output = verified(tmp_path / "archive")
    assert status == 0 and "2 lie where their owners keep them" in output and "0 instances" in output
    assert not any(os.listxattr(path) for path in (tmp_path / "theirs").iterdir())


def test_verify_works_beside_a_server_and_gives_old_archives_their_digests(tmp_path: Path) -> None:
    contents = instances()
    old_archive(tmp_path, contents)
    with running(tmp_path):
        status, output = verified(tmp_path, "--json")
    assert status == 0 and json.loads(output)["noted"] == 3
    for content in contents:
        assert os.getxattr(file_of(tmp_path, content), SEAL)[:32] == hashlib.sha256(content).digest()
    assert json.loads(verified(tmp_path, "--json")[1])["noted"] == 0


def test_a_check_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hounsfield.server.ops import verification

    contents = instances(slices=6)
    with running(tmp_path) as server:
        server.store(contents)
    monkeypatch.setattr(verification, "BATCH", 2)
    flip(file_of(tmp_path, contents[0]), 700)
    deployment = Deployment(str(tmp_path))
    archive = deployment.open(first=True)

    class Stop(Exception):
        pass

    def stop(state: Any) -> None:
        if state.instances == 4:
            raise Stop

    with pytest.raises(Stop):
        verification.verify(archive, deployment.verified, progress=stop)
    seen: list[Any] = []
    result = verification.verify(archive, deployment.verified, progress=seen.append)
    assert [state.instances for state in seen] == [6] and result.instances == 6
    assert [each.instance for each in result.damaged] == [uids(contents[0])[2]]
    again = verification.verify(archive, deployment.verified, restart=True)
    assert again.begun > result.begun and again.instances == 6
    deployment.close(archive)


def test_verify_keeps_to_its_rate_and_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hounsfield.runs import Pace

    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
    waited = []
    monkeypatch.setattr(Pace, "wait", lambda self, size: waited.append((self.bytes_per_second, size)))
    assert verified(tmp_path, "--max-mb-s", "2.5")[0] == 0
    assert {rate for rate, _ in waited} == {2.5e6}
    assert sum(size for _, size in waited) == sum(map(len, contents))
    status, output = verified(tmp_path, "--between", "nonsense")
    assert status == 2 and "window of the day" in output


def test_what_is_removed_or_replaced_during_a_check_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hounsfield.server.ops import verification

    contents = instances()
    other = read(contents[1])
    other.PatientID = "ANOTHER"
    with running(tmp_path, replace=True, deletes=True) as server:
        server.store(contents)
        check, at = verification._check, path_of(contents[0])

        def meanwhile(archive: Any, entry: Any, pace: Any) -> Any:
            if entry.instance == uids(contents[0])[2]:
                assert server.http.delete(at).status_code == 204
            if entry.instance == uids(contents[1])[2]:
                assert server.store([written(other)]).status_code == 200
                file_of(tmp_path, contents[1]).unlink()
            return check(archive, entry, pace)

        monkeypatch.setattr(verification, "_check", meanwhile)
        result = verification.verify(server.archive, Deployment(str(tmp_path)).verified)
        assert result.damaged == () and result.instances == 3


def test_one_check_at_a_time(tmp_path: Path) -> None:
    from hounsfield.server.ops.verification import _alone

    with running(tmp_path):
        pass
    with _alone(Deployment(str(tmp_path)).verified):
        status, output = verified(tmp_path)
    assert status == 1 and "another check" in output
    assert verified(tmp_path)[0] == 0


def test_what_the_last_check_found_is_in_the_metrics(tmp_path: Path) -> None:
    contents = instances()
    with running(tmp_path) as server:
        server.store(contents)
        assert "hounsfield_verify" not in server.get("/metrics").text
        flip(file_of(tmp_path, contents[0]), 600)
        verified(tmp_path)
        metrics = dict(line.split() for line in server.get("/metrics").text.splitlines() if line[0] != "#")
    assert (
        metrics["hounsfield_verify_instances"] == "3.0"
        and metrics["hounsfield_verify_damaged_instances"] == "1.0"
    )
    assert abs(float(metrics["hounsfield_verify_end_timestamp_seconds"]) - time.time()) < 60


def test_verify_wants_an_archive(tmp_path: Path) -> None:
    status, output = verified(tmp_path / "nothing")
    assert status == 1 and "no archive" in output
    assert not (tmp_path / "nothing").exists()
