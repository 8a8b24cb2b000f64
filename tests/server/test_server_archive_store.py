"""The archive's store, keys and checked streams piece by piece: boundaries, short reads and writes, no server."""

from __future__ import annotations

import errno
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from hounsfield.ct.instance import BytesSource
from hounsfield.errors import DamagedError, LocationError
from hounsfield.server.archive import integrity
from hounsfield.server.archive.integrity import (
    BLOCK,
    CheckedSource,
    Digest,
    Seal,
    check_all,
    checked,
    digest_of,
    with_check,
)
from hounsfield.server.archive.store.folder import SEAL, FolderStore
from hounsfield.server.archive.store.versions import earlier, following, parts_of, version_of

KEY = "1.2.3/1.2.4/1.2.5.dcm"


# Keys


def test_the_next_key_is_of_the_next_version_and_of_the_first_for_a_file_that_is_indexed_elsewhere() -> None:
    uids = ("1.2.3", "1.2.4", "1.2.5")
    assert following(KEY, *uids) == "1.2.3/1.2.4/1.2.5_v2.dcm"
    assert following("1.2.3/1.2.4/1.2.5_v9.dcm", *uids) == "1.2.3/1.2.4/1.2.5_v10.dcm"
    assert following("/somewhere/1.dcm", *uids) == KEY
    assert [version_of(key) for key in ("/a", KEY, "1.2.3/1.2.4/1.2.5_v2.dcm", "no key")] == [0, 1, 2, 1]
    assert earlier("1.2.3/1.2.4/1.2.5_v3.dcm") == [KEY, "1.2.3/1.2.4/1.2.5_v2.dcm"]
    assert earlier("no key") == []


def test_a_key_has_uids_of_64_signs_and_versions_of_nine_digits() -> None:
    long = "1." + "2" * 62
    assert parts_of(f"1.2/1.3/{long}.dcm") == ("1.2", "1.3", long, 1)
    assert parts_of(f"1.2/1.3/{long}2.dcm") is None
    assert parts_of("1.2/1.3/1.4_v999999999.dcm") == ("1.2", "1.3", "1.4", 999999999)
    assert parts_of("1.2/1.3/1.4_v1000000000.dcm") is None


# Digests


class Trickle(io.BytesIO):
    """A stream that gives at most a thousand bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1000, size) if size and size > 0 else size)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        return super().readinto(memoryview(buffer)[:1000])


class Source:
    """Bytes in a stream of some kind."""

    name = "source"

    def __init__(self, content: bytes, kind: type[io.BytesIO] = io.BytesIO) -> None:
        self.content, self.kind = content, kind

    def open(self) -> BinaryIO:
        return self.kind(self.content)


def content_of(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
def test_a_seal_holds_the_header_against_one_block_and_more_against_the_whole(kind: type[io.BytesIO]) -> None:
    content = content_of(BLOCK + 5)
    seal = digest_of(BytesSource("x", content))[0].seal
    assert seal.first == zlib.crc32(content[:BLOCK]).to_bytes(4, "big")
    for end in (1, BLOCK, BLOCK + 1):
        assert seal.check(Source(content, kind), end)
        assert not seal.check(Source(flipped(content, BLOCK - 1), kind), end)
        assert not seal.check(Source(b"", kind), end)
    beyond = flipped(content, BLOCK + 1)
    assert seal.check(Source(beyond, kind), BLOCK)
    assert not seal.check(Source(beyond, kind), BLOCK + 1)


def test_nothing_has_a_seal_too() -> None:
    seal = digest_of(BytesSource("x", b""))[0].seal
    assert seal.first == b""
    assert seal.check(Source(b""), 0)
    assert not seal.check(Source(b"x"), 0)


def test_whoever_paces_a_digest_hears_of_all_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "READ_BYTES", 700)
    paced: list[int] = []
    digest, size = digest_of(Source(content_of(2000)), paced=paced.append)
    assert (paced, size) == ([700, 700, 600], 2000)
    assert digest == digest_of(BytesSource("x", content_of(2000)))[0]


def test_a_text_of_the_index_is_given_back_only_as_it_was() -> None:
    text = '{"00100010":{"vr":"PN"},"é":"\ud800"}'
    kept = with_check(text)
    assert checked(kept, "1.2") == text
    assert checked(text, "1.2") == text  # from before there were checks
    for damaged in (kept.replace("PN", "PM"), kept[:-1], kept + "0", text[:-1], "", kept.upper()):
        with pytest.raises(DamagedError) as caught:
            checked(damaged, "1.2")
        assert caught.value.data["instance"] == "1.2"


# Checked streams


def source_of(
    content: bytes, *, was: bytes | None = None, kind: type[io.BytesIO] = io.BytesIO
) -> CheckedSource:
    digest, size = digest_of(BytesSource("x", content if was is None else was))
    return CheckedSource(Source(content, kind), "1.2", size, digest.blocks)


def test_a_checked_stream_goes_where_it_is_told() -> None:
    content = content_of(2 * BLOCK + 17)
    with source_of(content).open() as stream:
        assert stream.readable()
        assert stream.seekable()
        assert (stream.seek(5), stream.tell(), stream.read(3)) == (5, 5, content[5:8])
        assert (stream.seek(4, 1), stream.read(1)) == (12, content[12:13])
        assert (stream.seek(-13, 1), stream.tell()) == (0, 0)
        assert (stream.seek(-3, 2), stream.read()) == (len(content) - 3, content[-3:])
        assert (stream.seek(-(10**9), 2), stream.seek(10, 2)) == (0, len(content) + 10)
        assert (stream.read(), stream.read(None), stream.read(4)) == (b"", b"", b"")  # type: ignore[arg-type]
        stream.seek(BLOCK - 1)
        assert stream.read(2 * BLOCK) == content[BLOCK - 1 :]
        stream.seek(0)
        assert stream.readall() == content  # type: ignore[attr-defined]
        stream.seek(BLOCK)
        assert stream.read(None) == content[BLOCK:]  # type: ignore[arg-type]
    assert stream.closed


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
@pytest.mark.parametrize("start", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 16])
def test_any_part_of_a_checked_stream_is_what_was_stored(kind: type[io.BytesIO], start: int) -> None:
    content = content_of(2 * BLOCK + 17)
    for count in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK):
        with source_of(content, kind=kind).open() as stream:
            stream.seek(start)
            buffer = bytearray(b"\xee" * count)
            done = stream.readinto(buffer)  # type: ignore[attr-defined]
            expected = content[start : start + count]
            assert (done, bytes(buffer)) == (len(expected), expected + b"\xee" * (count - len(expected)))
            assert stream.tell() == start + done
            assert stream.read(3) == content[start + done : start + done + 3]


def test_damage_is_told_by_the_bytes_of_its_block() -> None:
    content = content_of(2 * BLOCK + 17)
    for at, words in (
        (0, "bytes 0 to 65535 "),
        (BLOCK, "bytes 65536 to 131071 "),
        (2 * BLOCK + 3, "bytes 131072 to 131088 "),
    ):
        source = source_of(flipped(content, at), was=content)
        for start in (0, at):
            with source.open() as stream, pytest.raises(DamagedError, match=words) as caught:
                stream.seek(start)
                stream.read()
            assert caught.value is source.problem
            assert (caught.value.data["instance"], caught.value.where) == ("1.2", "source")


def test_a_file_that_shrinks_while_it_is_read_is_damaged() -> None:
    class Shrinking(io.BytesIO):
        def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
            return super().readinto(memoryview(buffer)[: max(0, 100 - self.tell())])

    shrinking = source_of(content_of(BLOCK), kind=Shrinking).open()
    with shrinking as stream, pytest.raises(DamagedError, match="after 100 of 65536 bytes"):
        stream.read(10)


def test_blocks_may_be_made_out_when_a_source_is_first_opened() -> None:
    content = content_of(100)
    digest, size = digest_of(BytesSource("x", content))
    asked: list[CheckedSource] = []

    def blocks(source: CheckedSource) -> tuple[int, bytes]:
        asked.append(source)
        return size, digest.blocks

    source = CheckedSource(Source(content), "1.2", None, blocks)
    for _ in range(2):
        with source.open() as stream:
            assert stream.read() == content
    assert (asked, source.size) == ([source], size)
    unknown = CheckedSource(Source(content), "1.2", None, lambda _: None)
    with unknown.open() as stream:
        assert stream.read() == content
    assert not isinstance(stream, integrity._CheckedStream)


def test_who_cannot_open_a_source_hears_of_which_instance_it_is() -> None:
    class Gone(Source):
        def open(self) -> BinaryIO:
            raise LocationError("is gone", where="there")

    class Damaged(Source):
        def open(self) -> BinaryIO:
            raise DamagedError("is damaged", where="there")

    with pytest.raises(LocationError, match=r"the stored instance 1\.2: is gone"):
        CheckedSource(Gone(b""), "1.2", 0, b"").open()
    with pytest.raises(DamagedError) as caught:
        CheckedSource(Damaged(b""), "1.2", 0, b"").open()
    assert "1.2" not in str(caught.value)


def test_damage_that_was_passed_over_is_raised_in_the_end() -> None:
    good, bad = source_of(b"abc"), source_of(b"abd", was=b"abc")
    with bad.open() as stream, pytest.raises(DamagedError):
        stream.read()
    check_all([good, BytesSource("x", b"")])
    with pytest.raises(DamagedError) as caught:
        check_all([good, bad])
    assert caught.value is bad.problem


# The folder


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    found = FolderStore(tmp_path / "archive")
    found.prepare()
    return found


def stored(store: FolderStore, key: str = KEY, content: bytes = b"content") -> str:
    arrival = store.arrival()
    arrival.write([content])
    arrival.sync()
    outcome = arrival.publish(key)
    if outcome == "stored":
        arrival.confirm()
    else:
        arrival.discard()
    return outcome


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if ".hounsfield" not in path.parts
    )


def test_keys_that_are_none_lead_nowhere(store: FolderStore) -> None:
    for key in ("../x.dcm", "1.2/1.3.dcm", "1.2.3/1.2.4/x.dcm", "x" * 300):
        with pytest.raises(LocationError) as caught:
            store.source(key)
        assert caught.value.where == key[:200]
    assert store.name == str(store.root)
    assert store.root.is_absolute()


def test_a_seal_is_kept_with_files_of_the_store_alone(store: FolderStore, tmp_path: Path) -> None:
    stored(store)
    seal = Seal(b"s" * 32, b"1234")
    assert store.note_seal(KEY, seal)
    assert store.seal(KEY) == seal
    assert store.note_seal(KEY, Seal(b"s" * 32, b""))
    assert store.seal(KEY) == Seal(b"s" * 32, b"")
    other = tmp_path / "other"
    other.write_bytes(b"x")
    assert not store.note_seal(str(other), seal)
    assert store.seal(str(other)) is None
    assert not store.note_seal("1.2.3/1.2.4/1.2.9.dcm", seal)
    for length in (0, 31, 33, 35, 37):
        os.setxattr(store.root / KEY, SEAL, b"x" * length)
        assert store.seal(KEY) is None


def test_folders_that_a_removal_empties_go_others_stay(store: FolderStore) -> None:
    keys = ["1.2/1.3/1.4.dcm", "1.2/1.3/1.5.dcm", "1.2/1.6/1.7.dcm", "1.8/1.9/1.10.dcm"]
    for key in keys:
        stored(store, key)
    store.remove([keys[0]])
    assert files(store.root / "1.2") == ["1.3", "1.3/1.5.dcm", "1.6", "1.6/1.7.dcm"]
    store.remove([keys[1], "/not/of/the/store.dcm", "1.2/1.3/1.99.dcm"])
    assert files(store.root / "1.2") == ["1.6", "1.6/1.7.dcm"]
    store.remove(keys)
    assert files(store.root) == []
    assert store.root.is_dir()


def test_what_is_not_of_the_store_is_not_walked(store: FolderStore) -> None:
    keys = ["1.2/1.3/1.4.dcm", "1.2/1.3/1.4_v2.dcm", "1.2/1.30/1.4.dcm", "1.20/1.3/1.4.dcm"]
    for key in keys[::-1]:
        stored(store, key)
    (store.root / "1.2" / "1.3" / "notes.txt").write_bytes(b"x")
    (store.root / "1.2" / "notes").mkdir()
    (store.root / "1.2" / "notes" / "1.4.dcm").write_bytes(b"x")
    (store.root / "1.9").write_bytes(b"x")
    assert list(store.walk()) == keys
    assert store.versions(["1.2/1.3/1.4_v7.dcm", "no key", "1.20/1.3/1.4.dcm", "1.99/1.3/1.4.dcm"]) == [
        *keys[:2],
        keys[3],
    ]


def test_any_number_of_pieces_is_written_however_little_a_write_takes(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [bytes([number % 251]) * (number % 7) for number in range(1100)]
    writev, write = os.writev, os.write
    calls: list[int] = []

    def little(descriptor: int, part: Sequence[bytes]) -> int:
        calls.append(len(part))
        whole = b"".join(part)
        return write(descriptor, whole[: max(1, len(whole) - 5)])

    for patched in (writev, little):
        monkeypatch.setattr(os, "writev", patched)
        monkeypatch.setattr(os, "write", lambda descriptor, view: write(descriptor, bytes(view)[:2]))
        arrival = store.arrival()
        arrival.write(pieces)
        arrival.write([b"", memoryview(b"end")])
        assert arrival.size == sum(map(len, pieces)) + 3
        assert arrival.digest == digest_of(BytesSource("x", b"".join([*pieces, b"end"])))[0]
        arrival.sync()
        with arrival.source.open() as stream:
            assert stream.read() == b"".join([*pieces, b"end"])
        arrival.discard()
    assert max(calls) <= 1024


def test_without_links_an_arrival_is_renamed_and_never_over_another(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    assert stored(store) == "stored"
    assert stored(store) == "present"
    assert stored(store, content=b"CONTENT") == "other"
    assert (store.root / KEY).read_bytes() == b"content"
    assert list(store.leftovers(0.0)) == []


@pytest.mark.parametrize("at", [0, (1 << 20) - 1, 1 << 20, (1 << 20) + 5])
def test_an_instance_is_there_already_only_if_all_its_bytes_are(at: int, store: FolderStore) -> None:
    content = content_of((1 << 20) + 6)
    assert stored(store, content=content) == "stored"
    assert stored(store, content=content) == "present"
    assert stored(store, content=flipped(content, at)) == "other"
    assert stored(store, content=content[:-1]) == "other"
    arrival = store.arrival()
    arrival.write([content])
    assert arrival.equals(KEY)
    assert not arrival.equals("1.2.3/1.2.4/1.2.6.dcm")
    arrival.discard()


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EFBIG, 507), (errno.EIO, 503), (errno.EROFS, 503)],
)
def test_a_disk_that_is_full_is_told_from_one_that_fails(
    number: int, status: int, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    arrival = store.arrival()
    monkeypatch.setattr(os, "writev", fails)
    with pytest.raises(LocationError) as caught:
        arrival.write([b"x"])
    assert caught.value.data["status"] == status
    assert caught.value.where == str(store.root)
    arrival.discard()


def test_a_folder_that_is_taken_away_meanwhile_is_made_again(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, tries = os.link, []

    def taken_away(source: Path, target: Path) -> None:
        tries.append(target)
        if len(tries) < 5:
            target.parent.rmdir() if target.parent.exists() else None
            raise FileNotFoundError
        link(source, target)

    monkeypatch.setattr(os, "link", taken_away)
    assert stored(store) == "stored"
    assert len(tries) == 5


def test_an_arrival_that_is_gone_cannot_be_published(store: FolderStore) -> None:
    arrival = store.arrival()
    arrival.write([b"x"])
    arrival.sync()
    arrival._path.unlink()
    with pytest.raises(LocationError):
        arrival.publish(KEY)
    assert not (store.root / KEY).exists()


def test_what_is_published_and_not_confirmed_keeps_its_second_name(store: FolderStore) -> None:
    arrival = store.arrival()
    arrival.write([b"x"])
    arrival.sync()
    arrival.publish(KEY)
    path = arrival._path
    arrival.discard()
    assert path.exists()
    arrival.confirm()
    assert not path.exists()
    assert (store.root / KEY).read_bytes() == b"x"


def test_what_is_found_has_its_size_and_digest(store: FolderStore) -> None:
    arrival = store.arrival()
    arrival.write([b"half of"])
    arrival.sync()
    del arrival
    ((state, left),) = store.leftovers(0.0)
    assert (state, left.size) == ("", 7)
    assert left.digest == digest_of(BytesSource("x", b"half of"))[0]
    assert isinstance(left.digest, Digest)


def test_a_store_without_its_folders_cannot_be_used(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "none")
    with pytest.raises(LocationError) as caught:
        store.check()
    assert caught.value.data["status"] == 503
    store.prepare()
    store.check()
    assert list(store.incoming.folder.iterdir()) == []
    assert (store.incoming.folder.parent.stat().st_mode & 0o777) == 0o700


def test_folders_are_on_the_disk_when_keys_are_settled(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(store)
    synced: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    store.settle([KEY])
    folders = (store.root, store.root / "1.2.3", store.root / "1.2.3" / "1.2.4")
    assert synced == {folder.stat().st_ino for folder in folders}
    store.remove([KEY])
    store.settle([KEY])  # removed meanwhile: nothing is left to sync
