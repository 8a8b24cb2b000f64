"""A study, series or instance as one ZIP archive, with or without a DICOMDIR."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.fileset import FileSet
from server_support import Running, instances, path_of, running, uids

from hounsfield.server.http import zipping
from hounsfield.server.http.zipping import zipped


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [*instances(slices=3), *instances(slices=2, transfer_syntax="jpeg-ls", seed=5)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive")) as found:
        assert found.store(contents).status_code == 200
        yield found


def _read(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_zip_holds_the_files_as_they_are_stored(server: Any, contents: list[bytes], level: str) -> None:
    for first, wanted in ((contents[0], contents[:3]), (contents[3], contents[3:])):
        answer = server.get(path_of(first, level), "application/zip")
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"].endswith('.zip"')
        found = _read(answer.content)
        assert sorted(found.values()) == sorted(wanted if level != "instance" else [first])
        for name, content in found.items():
            _, series, instance = uids(content)
            assert name == f"{series}/{instance}.dcm"


def test_a_transfer_syntax_may_be_asked_for(server: Any, contents: list[bytes]) -> None:
    answer = server.get(path_of(contents[3], "study"), "application/zip; transfer-syntax=1.2.840.10008.1.2.1")
    assert all(b"1.2.840.10008.1.2.1\0" in content for content in _read(answer.content).values())
    assert (
        server.get(path_of(contents[3], "study"), "application/zip; transfer-syntax=1.2.3").status_code == 406
    )
    same = server.http.get(f"{path_of(contents[0], 'study')}?accept=application/zip")
    assert len(_read(same.content)) == 3


@pytest.mark.parametrize("number", [0, 3])
def test_a_dicomdir_names_every_file_and_others_read_it(
    server: Any, contents: list[bytes], tmp_path: Path, number: int
) -> None:
    answer = server.get(f"{path_of(contents[number], 'study')}?dicomdir=true", "application/zip")
    found = _read(answer.content)
    assert next(iter(found)) == "DICOMDIR"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    files = FileSet(tmp_path / "DICOMDIR")
    wanted = contents[:3] if number == 0 else contents[3:]
    assert sorted(Path(each.path).read_bytes() for each in files) == sorted(wanted)
    files._stage["t"].cleanup()  # it would warn of being left to the garbage collector
    if (dump := shutil.which("dcmdump")) is not None:
        listed = subprocess.run(
            [dump, tmp_path / "DICOMDIR"], capture_output=True, text=True, check=True
        ).stdout
        assert listed.count("ReferencedFileID") == len(wanted)
    assert (
        server.get(f"{path_of(contents[0], 'study')}?dicomdir=perhaps", "application/zip").status_code == 400
    )


def test_unzip_takes_it(server: Any, contents: list[bytes], tmp_path: Path) -> None:
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not here")
    (tmp_path / "a.zip").write_bytes(server.get(path_of(contents[0], "study"), "application/zip").content)
    subprocess.run([unzip, "-t", tmp_path / "a.zip"], check=True, capture_output=True)


class _Zeros(io.RawIOBase):
    """So many zeros, of which none is held."""

    name = "zeros"

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def open(self) -> _Zeros:
        return _Zeros(self._left)

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left)
        self._left -= count
        return count


def test_an_entry_beyond_four_gigabytes_has_lengths_that_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZIP64, told by the central directory; the limits are set low, as the bytes would take long."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    monkeypatch.setattr(zipping, "_LARGE", 1000)
    source = _Zeros(5000)
    content = b"".join(zipped([("zeros", 5000, lambda: (source, 0, 5000)), ("text", 2, lambda: b"ab")]))  # type: ignore[list-item, return-value]
    monkeypatch.undo()
    found = _read(content)
    assert found == {"zeros": bytes(5000), "text": b"ab"}
    assert content.count(b"\x2d\x00") >= 1  # needs version 4.5, which has ZIP64


def test_it_goes_out_as_it_is_made() -> None:
    """No more waits than a few blocks, however long the entry is."""
    source = _Zeros(64 << 20)
    longest = max(len(block) for block in zipped([("zeros", 64 << 20, lambda: (source, 0, 64 << 20))]))  # type: ignore[list-item, return-value]
    assert longest < 8 << 20
