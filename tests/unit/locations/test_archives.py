"""Zip and tar members as sources: bytes, caps, damage."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.errors import HounsfieldError, LocationError, MalformedError, TruncatedError, UnsupportedError
from hounsfield.locations.archives import ArchiveLimits, archive_members, is_archive
from hounsfield.locations.archives.names import natural
from hounsfield.testing import SourceContract

CONTENT = random.Random(7).randbytes(90_000) + bytes(60_000)
MEMBERS = {"I1": b"one", "dir/I2": b"two" * 500, "dir/I10": CONTENT}


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def members(path: Path, limits: ArchiveLimits | None = None) -> dict[str, Source | Skipped]:
    found = archive_members(path, limits or ArchiveLimits())
    return {item.name.partition("!/")[2] or "!": item for item in found}


def read(item: Source | Skipped) -> bytes:
    assert not isinstance(item, Skipped), item
    with item.open() as stream:
        return stream.read()


def reason(item: Source | Skipped) -> str:
    assert isinstance(item, Skipped)
    return item.reason


WRITERS: dict[str, Callable[[Path], Path]] = {
    "stored.zip": lambda path: write_zip(path, MEMBERS, zipfile.ZIP_STORED),
    "deflated.zip": lambda path: write_zip(path, MEMBERS),
    "pax.tar": lambda path: write_tar(path, MEMBERS),
    "gnu.tar": lambda path: write_tar(path, MEMBERS, form=tarfile.GNU_FORMAT),
    "ustar.tar": lambda path: write_tar(path, MEMBERS, form=tarfile.USTAR_FORMAT),
    "a.tar.gz": lambda path: write_tar(path, MEMBERS, "w:gz"),
    "a.tar.bz2": lambda path: write_tar(path, MEMBERS, "w:bz2"),
    "a.tar.xz": lambda path: write_tar(path, MEMBERS, "w:xz"),
}


@pytest.fixture(params=WRITERS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / request.param)


class TestMemberIsASource(SourceContract):
    @pytest.fixture
    def source(self, archive: Path) -> Source:
        found = members(archive)["dir/I10"]
        assert not isinstance(found, Skipped)
        return found

    @pytest.fixture
    def content(self) -> bytes:
        return CONTENT


def test_members_come_in_natural_order_with_names_that_say_where(archive: Path) -> None:
    found = list(archive_members(archive, ArchiveLimits()))
    assert [item.name for item in found] == [f"{archive}!/{name}" for name in ("dir/I2", "dir/I10", "I1")]
    assert [read(item) for item in found] == [MEMBERS["dir/I2"], CONTENT, b"one"]


def test_content_decides_what_an_archive_is(archive: Path) -> None:
    assert is_archive(archive.read_bytes()[:1024])
    renamed = archive.rename(archive.with_name("no suffix"))
    assert len(members(renamed)) == 3


def test_dicom_whose_preamble_is_an_archive_s_is_dicom() -> None:
    for magic in (b"PK\x03\x04", b"\x1f\x8b", b"BZh9"):
        assert is_archive(magic.ljust(1024, b"\0"))
        assert not is_archive(magic.ljust(128, b"\0") + b"DICM" + bytes(800))


def test_a_member_can_be_handed_to_another_process(archive: Path) -> None:
    found = members(archive)  # held: a compressed tar is expanded for as long as its members are
    copy = pickle.loads(pickle.dumps(found["dir/I10"]))
    assert read(copy) == CONTENT


def test_an_open_stream_tells_of_a_header_without_inflating_the_pixels(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"I1": CONTENT + random.Random(1).randbytes(1 << 20)})
    damaged = bytearray(path.read_bytes())
    damaged[900_000] ^= 0xFF
    path.write_bytes(damaged)
    source = members(path)["I1"]
    assert not isinstance(source, Skipped)
    with source.open() as stream:
        assert stream.read(132) == CONTENT[:132]
        stream.seek(0)
        with pytest.raises(MalformedError):
            stream.read()


def test_a_member_too_large_for_memory_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hounsfield.locations.archives.streams.KEPT_IN_MEMORY", 1000)
    assert read(members(write_zip(tmp_path / "a.zip", MEMBERS))["dir/I10"]) == CONTENT


def test_an_expanded_tar_is_gone_with_its_last_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spools))
    found = members(write_tar(tmp_path / "a.tgz", MEMBERS, "w:gz"))
    last = found["dir/I2"]
    del found
    gc.collect()
    assert len(list(spools.iterdir())) == 1
    assert read(last) == MEMBERS["dir/I2"]
    del last
    gc.collect()
    assert list(spools.iterdir()) == []


def test_an_expanded_tar_is_gone_when_python_ends(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tgz", MEMBERS, "w:gz")
    spools = tmp_path / "spools"
    spools.mkdir()
    program = (
        "import sys, tempfile\nfrom pathlib import Path\n"
        "from hounsfield.locations.archives import *\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "kept = list(archive_members(Path(sys.argv[1]), ArchiveLimits()))\n"
        "assert list(Path(sys.argv[2]).iterdir())\n"
    )
    subprocess.run([sys.executable, "-c", program, path, spools], check=True)
    assert list(spools.iterdir()) == []


def test_an_empty_archive_has_no_members(tmp_path: Path) -> None:
    assert members(write_zip(tmp_path / "a.zip", {})) == {}
    assert members(write_tar(tmp_path / "a.tgz", {}, "w:gz")) == {}


def test_folders_in_an_archive_are_not_members(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("dir")
        archive.writestr("dir/I1", b"one")
    assert list(members(path)) == ["dir/I1"]
    path = tmp_path / "a.tar"
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "I1").write_bytes(b"one")
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "dir", "dir")
    assert list(members(path)) == ["dir/I1"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_chinese_names_in_a_tar_are_whole(tmp_path: Path, form: int) -> None:
    names = ["胸部/" + "很长的名字" * 30 + "/I1", "x" * 300, "plain"]
    path = write_tar(tmp_path / "a.tar", {name: name.encode() for name in names}, form=form)
    assert {name: read(item) for name, item in members(path).items()} == {
        name: name.encode() for name in names
    }


def test_a_ustar_prefix_belongs_to_the_name(tmp_path: Path) -> None:
    name = "/".join(["folder" * 5] * 5) + "/I1"
    path = write_tar(tmp_path / "a.tar", {name: b"1"}, form=tarfile.USTAR_FORMAT)
    assert list(members(path)) == [name]


def test_links_devices_and_sparse_files_in_a_tar_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("soft", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("pipe", tarfile.FIFOTYPE),
            ("device", tarfile.CHRTYPE),
            ("sparse", tarfile.GNUTYPE_SPARSE),
        ):
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "/etc/passwd"
            archive.addfile(info)
    found = members(path)
    assert len(found) == 5
    assert all("not a file with bytes of its own" in reason(item) for item in found.values())


def test_trap_56_names_that_occur_twice_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("I1", b"one")
        archive.writestr("I1", b"two")
    assert {name: read(item) for name, item in members(path).items()} == {"I1": b"one", "I1 (2)": b"two"}


def test_a_member_without_a_name_ends_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"nameless")
        archive.writestr("I1", b"one")
    raw = path.read_bytes()
    # The directory's entry with a name of no bytes, its one byte counted as extra field instead.
    at = raw.index(b"PK\x01\x02")
    entry = raw[at : at + 28] + b"\0\0\1\0" + raw[at + 32 : at + 46] + raw[at + 46 :]
    path.write_bytes(raw[:at] + entry)
    found = members(path)
    assert len(found) == 2 and read(found["I1"]) == b"one"


def test_trap_56_macosx_and_system_files_are_left_out_with_a_reason(archive: Path, tmp_path: Path) -> None:
    odd = ["__MACOSX/dir/._I1", "dir/._I1", "dir/.DS_Store", "Thumbs.db", "__MACOSX/I1"]
    for path in (
        write_zip(tmp_path / "odd.zip", dict.fromkeys(odd, b"x") | MEMBERS),
        write_tar(tmp_path / "odd.tar", dict.fromkeys(odd, b"x") | MEMBERS),
    ):
        found = members(path)
        assert {name for name, item in found.items() if isinstance(item, Skipped)} == set(odd)
        assert all("operating system" in reason(found[name]) for name in odd)


def test_trap_56_a_directory_and_an_archive_within_an_archive_are_left_out(tmp_path: Path) -> None:
    found = members(write_zip(tmp_path / "a.zip", {"DICOMDIR": b"", "b/inner.ZIP": b"", "inner.tar.gz": b""}))
    assert "directory" in reason(found["DICOMDIR"])
    assert "archive inside an archive" in reason(found["b/inner.ZIP"])
    assert "archive inside an archive" in reason(found["inner.tar.gz"])


def encrypted(path: Path, count: int) -> Path:
    """`path` with the first `count` entries of its directory marked encrypted, as a reader would see them."""
    raw = bytearray(path.read_bytes())
    at = -1
    for _ in range(count):
        at = raw.index(b"PK\x01\x02", at + 1)
        raw[at + 8] |= 1
    path.write_bytes(raw)
    return path


def test_trap_56_an_encrypted_zip_is_a_clear_error(tmp_path: Path) -> None:
    path = encrypted(write_zip(tmp_path / "a.zip", MEMBERS), 3)
    with pytest.raises(LocationError, match=r"is encrypted.*unpack it with its password") as caught:
        members(path)
    assert caught.value.where == str(path)


def test_trap_56_an_encrypted_member_among_others_is_left_out(tmp_path: Path) -> None:
    found = members(encrypted(write_zip(tmp_path / "a.zip", MEMBERS), 1))
    assert "encrypted" in reason(found["I1"])
    assert read(found["dir/I10"]) == CONTENT


def test_other_ways_of_compression_are_named(tmp_path: Path) -> None:
    found = members(write_zip(tmp_path / "a.zip", {"I1": b"one"}, zipfile.ZIP_LZMA))
    assert "compressed by LZMA" in reason(found["I1"])


@pytest.mark.parametrize(
    ("magic", "name"),
    [(b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07\x01", "RAR"), (b"\x28\xb5\x2f\xfd", "Zst")],
)
def test_other_kinds_of_archive_are_named(tmp_path: Path, magic: bytes, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(magic + bytes(100))
    assert is_archive(path.read_bytes())
    with pytest.raises(UnsupportedError, match=f"{name}.*unpack it first"):
        members(path)


def test_zip64_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("I1", "w", force_zip64=True) as member:
            member.write(CONTENT)
        for number in range(66_000):
            archive.writestr(f"empty/{number}", b"")
    found = members(path)
    assert len(found) == 66_001
    assert read(found["I1"]) == CONTENT


def zeros_zip(path: Path, gigabytes: int) -> Path:
    """A zip of one member of that many zeros, deflated 1000-fold without ever being whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A full flush ends on a byte and forgets what came before, so that a piece may stand any number of times.
    piece = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = piece * (gigabytes << 6) + b"\x03\x00"
    checksum = 0
    size = gigabytes << 30
    extra = struct.pack("<HHQQ", 1, 16, size, len(content))
    common = struct.pack("<HHHHHLLLHH", 45, 0, 8, 0, 0, checksum, 0xFFFFFFFF, 0xFFFFFFFF, 4, len(extra))
    local = b"PK\x03\x04" + common + b"zero" + extra
    entry = (
        b"PK\x01\x02"
        + struct.pack("<H", 45)
        + common
        + struct.pack("<HHHLL", 0, 0, 0, 0, 0)
        + b"zero"
        + extra
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local) + len(content), 0)
    path.write_bytes(local + content + entry + end)
    return path


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zeros_zip(tmp_path_factory.mktemp("bomb") / "bomb.zip", 10)


@contextmanager
def at_most(allowed: int) -> Iterator[None]:
    """Fails if more than `allowed` bytes are held at once within the block."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < allowed
    finally:
        tracemalloc.stop()


def test_trap_56_a_zip_bomb_is_refused_before_it_expands(bomb: Path) -> None:
    assert bomb.stat().st_size < 16 << 20
    with at_most(1 << 20), pytest.raises(LocationError, match="as only a bomb does") as caught:
        members(bomb)
    assert caught.value.data["expanded_bytes"] == 10 << 30


def test_trap_56_a_bomb_beside_honest_members_is_left_out_alone(bomb: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bomb) as archive:
        size = archive.getinfo("zero").file_size
    found = members(bomb, ArchiveLimits(ratio=2000))
    assert f"expands to {size} bytes, over the limit" in reason(found["zero"])


def test_trap_56_a_bomb_that_lies_about_its_size_yields_no_byte_more(bomb: Path, tmp_path: Path) -> None:
    raw = bomb.read_bytes()
    declared = struct.pack("<Q", 10 << 30)
    path = tmp_path / "liar.zip"
    path.write_bytes(raw.replace(declared, struct.pack("<Q", 1000)))
    source = members(path)["zero"]
    with at_most(1 << 20), pytest.raises(MalformedError, match="expands to more than the archive declares"):
        read(source)


def test_trap_56_a_bomb_within_a_zip_is_left_out(bomb: Path, tmp_path: Path) -> None:
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bomb, "inner.zip")
    assert "archive inside an archive" in reason(members(path)["inner.zip"])


@pytest.mark.parametrize("opener", [gzip.open, bz2.open, lzma.open], ids=["gzip", "bzip2", "xz"])
def test_trap_56_a_compressed_tar_that_is_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[..., io.BufferedIOBase]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    header = tarfile.TarInfo("zeros")
    header.size = 10 << 30
    path = tmp_path / "a.tar.packed"
    with opener(path, "wb") as out:
        out.write(header.tobuf())
        for _ in range(40):
            out.write(bytes(1 << 20))
    limits = ArchiveLimits(unquestioned_bytes=8 << 20)
    with pytest.raises(LocationError, match="as only a bomb does"):
        members(path, limits)
    gc.collect()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_trap_56_caps_are_arguments(tmp_path: Path) -> None:
    zipped, tarred = write_zip(tmp_path / "a.zip", MEMBERS), write_tar(tmp_path / "a.tgz", MEMBERS, "w:gz")
    for path in (zipped, tarred):
        with pytest.raises(LocationError, match="over the limit of 1000"):
            members(path, ArchiveLimits(total_bytes=1000))
        with pytest.raises(LocationError, match="has 3 members or more, over the limit of 2"):
            members(path, ArchiveLimits(members=2))
        found = members(path, ArchiveLimits(member_bytes=2000))
        assert "over the limit of 2000" in reason(found["dir/I10"])
        assert read(found["dir/I2"]) == MEMBERS["dir/I2"]


def test_a_directory_of_too_many_entries_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {str(number): b"" for number in range(100)})
    with pytest.raises(LocationError, match="members or more"):
        members(path, ArchiveLimits(members=50))


def test_an_xz_that_asks_for_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", MEMBERS).read_bytes()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path = tmp_path / "a.tar.xz"
    packer = lzma.LZMACompressor(filters=filters)
    try:
        path.write_bytes(packer.compress(tar) + packer.flush())
    except MemoryError:
        pytest.skip("no memory to write such a file")
    with pytest.raises(MalformedError, match="is broken where it is expanded"):
        members(path)


def test_a_compressed_file_that_is_no_tar_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "brain.nii.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 100))
    with pytest.raises(MalformedError, match="compressed by gzip, but is no tar"):
        members(path)


def test_several_streams_of_xz_with_padding_between_are_one_tar(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", MEMBERS).read_bytes()
    path = tmp_path / "a.txz"
    path.write_bytes(lzma.compress(tar[:5000]) + bytes(8) + lzma.compress(tar[5000:]) + bytes(4))
    assert read(members(path)["dir/I10"]) == CONTENT


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_cut_short_gives_what_is_whole_and_says_so(tmp_path: Path, mode: str) -> None:
    tar = write_tar(tmp_path / "a.tar", MEMBERS).read_bytes()[:50_000]
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress(tar) if mode == "w:gz" else tar)
    found = members(path)
    assert read(found["I1"]) == b"one"
    assert "was it copied whole" in reason(found["!"])
    assert "dir/I10" not in found


def test_a_zip_cut_short_is_malformed(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(MalformedError, match=r"not a sound zip.*copied or downloaded whole"):
        members(path)


@pytest.mark.parametrize("offset", [0x7FFFFFFF, 0xFFFFFFFE])
def test_a_member_outside_of_its_zip_is_left_out(tmp_path: Path, offset: int) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02")
    raw[at + 42 : at + 46] = struct.pack("<L", offset)
    path.write_bytes(raw)
    assert "outside of the archive" in reason(members(path)["I1"])


def test_a_zip_whose_directory_claims_to_begin_later_than_it_does_is_read_or_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x05\x06")
    (start,) = struct.unpack_from("<L", raw, at + 16)
    raw[at + 16 : at + 20] = struct.pack("<L", start + 256)
    path.write_bytes(raw)
    try:
        found = members(path)
    except MalformedError:
        return
    # `zipfile` moves every member by the difference, the first to before the beginning.
    assert "outside of the archive" in reason(found["I1"])


def test_a_stored_member_cut_short_is_truncated(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"I1": CONTENT}, zipfile.ZIP_STORED)
    source = members(path)["I1"]
    with path.open("r+b") as out:
        out.truncate(1000)
    with pytest.raises(TruncatedError) as caught:
        read(source)
    assert caught.value.data["expected_bytes"] == len(CONTENT)


def test_an_archive_that_went_away_is_a_location_error(archive: Path) -> None:
    sources = members(archive)
    if "tar." in archive.name:
        archive = sources["I1"].path
    archive.unlink()
    with pytest.raises(LocationError, match="is the archive still there"):
        read(sources["I1"])


@given(st.lists(st.text("aB1290/._", max_size=12), max_size=20), st.randoms())
def test_natural_order_does_not_depend_on_where_it_started(names: list[str], chance: random.Random) -> None:
    shuffled = names.copy()
    chance.shuffle(shuffled)
    assert sorted(shuffled, key=natural) == sorted(names, key=natural)


def test_natural_order_counts() -> None:
    names = ["I10", "I9", "i2", "I1", "I" + "9" * 5000, "a", "I2b", "I02"]
    assert sorted(names, key=natural)[:-1] == ["a", "I1", "I02", "i2", "I2b", "I9", "I10"]


def _mutated(raw: bytes, edits: list[tuple[int, int]], cut: int | None) -> bytes:
    mutable = bytearray(raw)
    for at, value in edits:
        mutable[at % len(mutable)] = value
    return bytes(mutable[: cut % (len(mutable) + 1)] if cut is not None else mutable)


EDITS = st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), min_size=1, max_size=8)
SMALL = {"a/I1": b"one" * 50, "DICOMDIR": b"x", "很" * 60: bytes(2000)}


@pytest.fixture(scope="module")
def small_archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small archive of each kind, named by it."""
    folder = tmp_path_factory.mktemp("small")
    write_zip(folder / "zip", SMALL)
    write_zip(folder / "stored", SMALL, zipfile.ZIP_STORED)
    write_tar(folder / "tar", SMALL)
    write_tar(folder / "gnu", SMALL, form=tarfile.GNU_FORMAT)
    write_tar(folder / "tgz", SMALL, "w:gz")
    write_tar(folder / "txz", SMALL, "w:xz")
    write_tar(folder / "tbz", SMALL, "w:bz2")
    return folder


@pytest.mark.parametrize("kind", ["zip", "stored", "tar", "gnu", "tgz", "txz", "tbz"])
@given(edits=EDITS, cut=st.none() | st.integers(0, 1 << 30), near_end=st.booleans())
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_bytes_of_an_archive_give_values_or_our_errors(
    small_archives: Path,
    tmp_path: Path,
    kind: str,
    edits: list[tuple[int, int]],
    cut: int | None,
    near_end: bool,
) -> None:
    raw = (small_archives / kind).read_bytes()
    if near_end and raw.startswith(b"PK"):
        start = raw.index(b"PK\x01\x02")
        edits = [(start + at % (len(raw) - start), value) for at, value in edits]
    path = tmp_path / "mutated"
    path.write_bytes(_mutated(raw, edits, cut))
    limits = ArchiveLimits(total_bytes=64 << 20, member_bytes=16 << 20)
    try:
        for item in archive_members(path, limits):
            if not isinstance(item, Skipped):
                try:
                    read(item)
                except HounsfieldError as error:
                    assert str(error)
    except HounsfieldError as error:
        assert str(error)
