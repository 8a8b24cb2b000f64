"""Outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hounsfield.errors import LocationError, OutputExistsError
from hounsfield.outputs import WholeFiles, whole_file, whole_folder, writing_below

Whole = Callable[..., AbstractContextManager[Path]]
KINDS = pytest.mark.parametrize("whole", [whole_file, whole_folder])


def fill(temporary: Path, content: bytes = b"new") -> None:
    if temporary.is_dir():
        (temporary / "deep").mkdir()
        temporary = temporary / "deep" / "file"
    temporary.write_bytes(content)


def content(path: Path) -> bytes:
    return (path / "deep" / "file").read_bytes() if path.is_dir() else path.read_bytes()


@KINDS
def test_an_output_appears_at_the_end_and_not_before(tmp_path: Path, whole: Whole) -> None:
    path = tmp_path / "a" / "b" / "out.nii.gz"
    with whole(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        fill(temporary)
        assert not path.exists()
    assert content(path) == b"new"
    assert list(path.parent.iterdir()) == [path]


@KINDS
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, whole: Whole, error: type[BaseException]) -> None:
    with pytest.raises(error), whole(tmp_path / "out") as temporary:
        fill(temporary)
        raise error
    assert list(tmp_path.iterdir()) == []


@KINDS
def test_an_error_leaves_the_old_output_as_it_was(tmp_path: Path, whole: Whole) -> None:
    with whole(tmp_path / "out") as temporary:
        fill(temporary, b"old")
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "out", force=True) as temporary:
        fill(temporary)
        raise ZeroDivisionError
    assert content(tmp_path / "out") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@KINDS
def test_an_output_that_exists_is_refused_before_any_work(tmp_path: Path, whole: Whole) -> None:
    with whole(tmp_path / "out") as temporary:
        fill(temporary, b"old")
    with pytest.raises(OutputExistsError, match=r"exists already.*--force"), whole(tmp_path / "out"):
        pytest.fail("the block was entered")
    assert content(tmp_path / "out") == b"old"


@KINDS
def test_force_replaces_and_leaves_nothing_else(tmp_path: Path, whole: Whole) -> None:
    for new in (b"old", b"new"):
        with whole(tmp_path / "out", force=True) as temporary:
            fill(temporary, new)
    assert content(tmp_path / "out") == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@KINDS
def test_a_dangling_link_counts_as_an_output(tmp_path: Path, whole: Whole) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError), whole(tmp_path / "out"):
        pytest.fail("the block was entered")


def test_an_output_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError), whole_file(tmp_path / "out") as temporary:
        fill(temporary)
        (tmp_path / "out").write_bytes(b"another's")
    assert (tmp_path / "out").read_bytes() == b"another's"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_of_many_writers_of_one_file_exactly_one_succeeds(tmp_path: Path) -> None:
    def write(number: int) -> bool:
        try:
            with whole_file(tmp_path / "out") as temporary:
                temporary.write_bytes(bytes([number]) * 50_000)
        except OutputExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(32)))
    assert sum(won) == 1
    assert (tmp_path / "out").read_bytes() == bytes([won.index(True)]) * 50_000


def test_a_file_system_without_links_still_gets_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with whole_file(tmp_path / "out") as temporary:
        fill(temporary)
    assert content(tmp_path / "out") == b"new"
    with pytest.raises(OutputExistsError), whole_file(tmp_path / "other") as temporary:
        fill(temporary)
        (tmp_path / "other").write_bytes(b"another's")


def test_an_empty_folder_is_no_output_yet(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as temporary:
        fill(temporary)
    assert content(tmp_path / "out") == b"new"


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(LocationError, match="is a folder"), whole_file(tmp_path / "out", force=True):
        pytest.fail("the block was entered")


@KINDS
def test_a_place_that_cannot_be_written_is_a_location_error(tmp_path: Path, whole: Whole) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocationError, match="cannot be written"), whole(tmp_path / "file" / "out"):
        pytest.fail("the block was entered")


@KINDS
def test_a_full_disk_is_a_location_error_and_leaves_nothing(tmp_path: Path, whole: Whole) -> None:
    with (
        pytest.raises(LocationError, match=r"No space left.*free space"),
        whole(tmp_path / "out") as temporary,
    ):
        fill(temporary)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@KINDS
def test_an_output_that_is_refused_is_told_by_its_own_name(tmp_path: Path, whole: Whole) -> None:
    # Found by review: in a read-only folder the error named the temporary file.
    with (
        pytest.raises(LocationError, match=r"folder/out: cannot be written: No such file"),
        whole(tmp_path / "folder" / "out") as temporary,
    ):
        shutil.rmtree(tmp_path / "folder")
        fill(temporary)


@KINDS
def test_an_error_about_another_file_is_not_taken_for_the_output_s(tmp_path: Path, whole: Whole) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "out"):
        (tmp_path / "input").read_bytes()


@KINDS
def test_the_longest_names_there_are_can_be_written(tmp_path: Path, whole: Whole) -> None:
    for name in ("x" * 248 + ".nii.gz", "像" * 82 + ".nrrd"):
        with whole(tmp_path / name) as temporary:
            fill(temporary)
        assert content(tmp_path / name) == b"new"


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_killed_writer_leaves_the_old_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom hounsfield.outputs import whole_file\n"
        "with whole_file(Path(sys.argv[1]), force=True) as temporary:\n"
        "    temporary.write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "out"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "out").read_bytes() == b"old"


def killed_while_writing(path: Path) -> None:
    """What `kill -9` leaves of a writer."""
    script = f"""
import os, signal
from pathlib import Path
from hounsfield.outputs import whole_file
with whole_file(Path({str(path)!r})) as temporary:
    temporary.write_bytes(b"half of")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell of other writers")
def test_the_next_writer_below_a_folder_removes_what_a_killed_one_left_of_the_same_files(
    tmp_path: Path,
) -> None:
    root = tmp_path / "out"
    mine, other = root / "a" / "1.dcm", root / "a" / "other.dcm"
    killed_while_writing(mine)
    killed_while_writing(other)
    assert len(list((root / "a").iterdir())) == 2
    with writing_below(root, [mine]):
        (left,) = (root / "a").iterdir()
        assert left.name.endswith("other.dcm")


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell of other writers")
def test_nothing_is_removed_while_another_writes_there(tmp_path: Path) -> None:
    path = tmp_path / "out" / "1.dcm"
    with writing_below(tmp_path / "out", [path]), whole_file(path) as temporary:
        temporary.write_bytes(b"half of")
        with writing_below(tmp_path / "out", [path]):
            assert temporary.exists()
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"


def test_a_folder_that_nothing_was_written_to_goes_again(tmp_path: Path) -> None:
    with writing_below(tmp_path / "new" / "out", []):
        pass
    assert not (tmp_path / "new" / "out").exists()
    with writing_below(tmp_path, []):
        pass
    assert tmp_path.exists()


def test_files_confirmed_in_lots_are_all_there_and_nothing_else(tmp_path: Path) -> None:
    paths = [tmp_path / str(number % 3) / f"{number}.dcm" for number in range(150)]
    with WholeFiles() as files, ThreadPoolExecutor(4) as pool:
        placed = list(pool.map(lambda path: files.write(path, path.name.encode()), paths))
        placed[0].result(timeout=30)
        assert paths[0].exists()
    assert all(future.done() and future.exception() is None for future in placed)
    assert [path.read_bytes() for path in paths] == [path.name.encode() for path in paths]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(paths)


def test_of_a_lot_only_the_file_that_fails_fails(tmp_path: Path) -> None:
    twice = tmp_path / "twice.dcm"
    gone = tmp_path / "gone" / "a.dcm"
    with WholeFiles() as files:
        first, second = files.write(twice, b"first"), files.write(twice, b"second")
        lost = files.write(gone, b"lost")
        shutil.rmtree(gone.parent)
        other = files.write(tmp_path / "other.dcm", b"other")
        files.confirm()
        assert isinstance(second.exception(timeout=30), OutputExistsError)
        assert isinstance(lost.exception(timeout=30), LocationError)
        assert first.result(timeout=30) is None
        assert other.result(timeout=30) is None
        with pytest.raises(OutputExistsError):
            files.write(twice, b"third")
    assert twice.read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.dcm", "twice.dcm"]


def test_files_in_lots_replace_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"old")
    with WholeFiles() as files:
        files.write(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
