"""Outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from hounsfield.errors import LocationError, OutputExistsError
from hounsfield.outputs import WholeFiles, whole_file, whole_folder, writing_below
from hounsfield.outputs.files import (
    carry_status,
    partial_instance,
    place_for,
    refuse_inside,
    remove_partials,
    storing_below,
    temporary_beside,
)
from hounsfield.outputs.lots import Lots, Waiting, on_disk, passed, sync, synced

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


def test_a_relative_path_is_given_whole_and_its_folders_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, temporary = place_for(Path("a/b/out.nii.gz"), force=False)
    assert path == tmp_path / "a" / "b" / "out.nii.gz"
    assert temporary.parent == path.parent
    assert path.parent.is_dir()
    assert place_for(Path("a/b/out.nii.gz"), force=True)[0] == path
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError) as caught:
        place_for(Path("a/b/out.nii.gz"), force=False)
    assert caught.value.where == str(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(LocationError) as refused:
        place_for(Path("a/b/out.nii.gz"), force=True)
    assert refused.value.where == str(path)


def test_temporary_names_differ_are_hidden_and_end_like_the_file(tmp_path: Path) -> None:
    name = "x" * 300 + ".nii.gz"
    names = {temporary_beside(tmp_path / name).name for _ in range(9)}
    assert len(names) == 9
    for each in names:
        assert re.fullmatch(r"\.[0-9a-f]{12}\.partial\.x{33}\.nii\.gz", each)


def test_a_copy_has_the_times_and_the_mode_of_its_original(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(b"a")
    original.chmod(0o640)
    os.utime(original, ns=(1_000_000_000, 2_000_000_000))
    copy.write_bytes(b"a")
    if os.name != "nt" and os.geteuid() == 0:
        os.chown(original, 12, 34)
    carry_status(original, copy)
    found, expected = copy.stat(), original.stat()
    assert (found.st_mtime_ns, found.st_mode) == (2_000_000_000, expected.st_mode)
    assert (found.st_uid, found.st_gid) == (expected.st_uid, expected.st_gid)


def test_outputs_within_their_input_are_refused_by_whatever_link(tmp_path: Path) -> None:
    folder, beside = tmp_path / "in", tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    for inside in (folder, folder / "a" / "b", tmp_path / "link" / "a", folder / "x" / ".." / "y"):
        with pytest.raises(LocationError) as caught:
            refuse_inside(folder, inside, what="the folder")
        assert caught.value.where == str(inside)
    with pytest.raises(LocationError):
        refuse_inside(tmp_path / "link", folder / "a", what="the folder")
    refuse_inside(folder, beside, what="the folder")
    refuse_inside(folder, tmp_path, what="the folder")
    refuse_inside(tmp_path / "no folder", tmp_path / "no folder" / "a", what="the folder")


def test_what_killed_writers_left_goes_whatever_it_is_and_nothing_else(tmp_path: Path) -> None:
    long = "x" * 50 + ".dcm"
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").write_bytes(b"kept")
    folder = tmp_path / "folder"
    folder.mkdir()
    left = [temporary_beside(folder / name) for name in ("a.dcm", long, "volumes", "link")]
    for file in left[:2]:
        file.write_bytes(b"half")
    (left[2] / "deep").mkdir(parents=True)
    (left[2] / "deep" / "file").write_bytes(b"half")
    left[3].symlink_to(target)
    kept = [folder / name for name in ("a.dcm", ".0123456789ab.partial.b.dcm", ".0123456789ab.partiala.dcm")]
    kept.append(folder / "x.0123456789ab.partial.a.dcm")
    for file in kept:
        file.write_bytes(b"kept")
    remove_partials(folder, [])
    assert len(list(folder.iterdir())) == 8
    remove_partials(folder, ["a.dcm", long, "volumes", "link"])
    assert sorted(folder.iterdir()) == sorted(kept)
    assert (target / "kept").exists()
    remove_partials(tmp_path / "nowhere", ["a.dcm"])


def test_what_killed_stores_left_goes_from_the_folders_of_series_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    series = root / "1.2" / "1.3"
    deeper = series / "1.4"
    deeper.mkdir(parents=True)
    left = [partial_instance(series), series / ".0123456789ab.partial.1.2.3.dcm"]
    left += [series / ".0123456789ab.partial.dcm", series / ".0123456789abcdef.partial"]
    names = (
        "1.5.dcm",
        ".0123456789ab.partial.x.nii",
        ".0123456789abcde.partial",
        "x.0123456789abcdef.partial",
    )
    kept = [series / name for name in names]
    kept += [partial_instance(root), partial_instance(root / "1.2"), partial_instance(deeper)]
    for file in left + kept:
        file.write_bytes(b"x")
    folder, link = partial_instance(series), partial_instance(series)
    folder.mkdir()
    link.symlink_to(tmp_path)
    elsewhere = tmp_path / "elsewhere" / "1.3"
    elsewhere.mkdir(parents=True)
    others = partial_instance(elsewhere)
    others.write_bytes(b"x")
    (root / "linked").symlink_to(elsewhere.parent)
    with storing_below(root):
        found = {path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    assert found == set(kept)
    assert folder.is_dir()
    assert link.is_symlink()
    assert others.exists()


def test_a_root_that_is_made_and_stays_empty_goes_again(tmp_path: Path) -> None:
    for below in (storing_below, lambda root: writing_below(root, [])):
        with below(tmp_path / "new" / "root"):
            assert (tmp_path / "new" / "root").is_dir()
        assert not (tmp_path / "new" / "root").exists()
        with below(tmp_path):
            pass
        assert tmp_path.is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell of other writers")
def test_leftovers_stay_while_another_process_writes_and_go_after_it(tmp_path: Path) -> None:
    left = temporary_beside(tmp_path / "1.dcm")
    left.write_bytes(b"half")
    script = (
        "import sys\nfrom pathlib import Path\nfrom hounsfield.outputs import writing_below\n"
        "with writing_below(Path(sys.argv[1]), []):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"in\n"
        with writing_below(tmp_path, [tmp_path / "1.dcm"]):
            assert left.exists()
        other.stdin.close()
    with writing_below(tmp_path, [tmp_path / "1.dcm"]):
        assert not left.exists()


@pytest.mark.parametrize("what", ["file", "link", "dangling", "empty", "full"])
def test_by_force_a_folder_takes_the_place_of_whatever_is_there(what: str, tmp_path: Path) -> None:
    path, target = tmp_path / "out", tmp_path / "target"
    target.mkdir()
    (target / "kept").write_bytes(b"kept")
    if what == "file":
        path.write_bytes(b"old")
    elif what in {"link", "dangling"}:
        path.symlink_to(target if what == "link" else tmp_path / "nowhere")
    else:
        path.mkdir()
        if what == "full":
            fill(path, b"old")
    with whole_folder(path, force=True) as temporary:
        fill(temporary)
    assert content(path) == b"new"
    assert not path.is_symlink()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "target"]
    assert (target / "kept").exists()


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_that_appeared_meanwhile_is_replaced_only_if_it_is_empty(
    empty: bool, tmp_path: Path
) -> None:
    path = tmp_path / "out"

    def write() -> None:
        with whole_folder(path) as temporary:
            fill(temporary)
            path.mkdir()
            if not empty:
                fill(path, b"another's")

    if empty:
        write()
    else:
        with pytest.raises(OutputExistsError) as caught:
            write()
        assert caught.value.where == str(path)
    assert content(path) == (b"new" if empty else b"another's")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    with whole_folder(path) as temporary:
        fill(temporary, b"old")
    rename = Path.rename

    def fails_once_in_place(self: Path, target: Path) -> Path:
        if target == path and (self / "deep" / "file").read_bytes() == b"new":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_once_in_place)
    with pytest.raises(LocationError) as caught, whole_folder(path, force=True) as temporary:
        fill(temporary)
    assert caught.value.where == str(path)
    assert isinstance(caught.value.__cause__, OSError)
    assert content(path) == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("as_bytes", [True, False])
def test_an_error_is_about_the_output_where_it_names_it_or_what_is_in_it(
    as_bytes: bool, tmp_path: Path
) -> None:
    def write(below: str, number: int = errno.EACCES) -> None:
        with whole_folder(tmp_path / "out") as temporary:
            named = temporary / below if below else temporary
            if below.startswith("/"):
                named = temporary.with_name(temporary.name + "x")
            raise OSError(number, os.strerror(number), os.fsencode(named) if as_bytes else str(named))

    for below in ("", "a", "a/b"):
        with pytest.raises(LocationError):
            write(below)
    with pytest.raises(PermissionError):
        write("/beside")
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(LocationError):
            write("/beside", number)
    with pytest.raises(PermissionError), whole_folder(tmp_path / "out"):
        raise OSError(errno.EACCES, "no file is named")


class Settled:
    """What a thread of lots was given, lot by lot."""

    def __init__(self) -> None:
        self.lots: list[list[str]] = []

    def __call__(self, lot: list[Waiting]) -> None:
        self.lots.append([item.path.name for item in lot])
        for item in lot:
            item.done.set_result(None)


def waiting(folder: Path, name: str) -> Waiting:
    return Waiting(path=folder / name, temporary=folder / f"{name}.partial")


def test_what_comes_within_a_moment_is_one_lot_of_64_at_most(tmp_path: Path) -> None:
    settled = Settled()
    lots: Lots[Waiting] = Lots(settled)
    placed = [lots.put(waiting(tmp_path, str(number)), lambda: None) for number in range(130)]
    assert settled.lots == []
    with lots:
        pass
    assert all(future.done() for future in placed)
    assert [len(lot) for lot in settled.lots] == [64, 64, 2]
    assert [name for lot in settled.lots for name in lot] == [str(number) for number in range(130)]


def test_a_lot_is_settled_without_a_word_after_a_moment_and_at_a_word_at_once(tmp_path: Path) -> None:
    settled = Settled()
    with Lots[Waiting](settled) as lots:
        lots.put(waiting(tmp_path, "alone"), lambda: None).result(timeout=30)
        first = lots.put(waiting(tmp_path, "first"), lambda: None)
        lots.confirm()
        first.result(timeout=30)
        lots.confirm()
        lots.put(waiting(tmp_path, "last"), lambda: None)
    assert [name for lot in settled.lots for name in lot] == ["alone", "first", "last"]
    assert [] not in settled.lots


def test_a_file_that_cannot_be_filled_leaves_nothing_and_waits_for_nothing(tmp_path: Path) -> None:
    settled, item = Settled(), waiting(tmp_path, "a")

    def fill_half() -> None:
        item.temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    with Lots[Waiting](settled) as lots, pytest.raises(KeyboardInterrupt):
        lots.put(item, fill_half)
    assert list(tmp_path.iterdir()) == []
    assert settled.lots == []
    assert not item.done.done()


def test_of_a_lot_those_that_fail_a_step_leave_nothing_and_the_others_go_on(tmp_path: Path) -> None:
    lot = [waiting(tmp_path, name) for name in "abc"]
    for item in lot:
        item.temporary.write_bytes(b"x")
    lot[2].temporary.unlink()

    def step(item: Waiting) -> None:
        if item is not lot[0]:
            raise OSError(errno.EIO, "no")

    explained: list[Path] = []

    @contextmanager
    def explaining(path: Path) -> Iterator[None]:
        explained.append(path)
        yield

    assert passed(lot, step, explaining) == [lot[0]]
    assert explained == [item.path for item in lot]
    assert not lot[0].done.done()
    assert all(isinstance(item.done.exception(), OSError) for item in lot[1:])
    assert list(tmp_path.iterdir()) == [lot[0].temporary]


def test_of_a_lot_those_whose_file_is_gone_are_not_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lot = [waiting(tmp_path, str(number)) for number in range(20)]
    for item in lot:
        item.temporary.write_bytes(b"x")
    lot[7].temporary.unlink()
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_ino))
    there = lot[:7] + lot[8:]
    assert on_disk(lot, lambda _: nullcontext()) == there
    assert sorted(flushed) == sorted(item.temporary.stat().st_ino for item in there)
    assert isinstance(lot[7].done.exception(), FileNotFoundError)
    assert not any(item.done.done() for item in there)


def test_a_file_that_came_to_nothing_fails_with_its_own_error_alone(tmp_path: Path) -> None:
    item = waiting(tmp_path, "a")

    def fill_nothing() -> None:
        raise ValueError("nothing")

    with Lots[Waiting](Settled()) as lots, pytest.raises(ValueError, match="nothing"):
        lots.put(item, fill_nothing)
    item.fail(ValueError("nothing"))
    assert isinstance(item.done.exception(), ValueError)


def test_who_forgets_a_thread_of_lots_is_not_kept_from_ending() -> None:
    lots = Lots[Waiting](Settled())
    assert lots._thread.daemon


def test_a_folder_that_cannot_be_synced_fails_its_files_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    items = [waiting(tmp_path / folder, name) for folder in ("there", "gone") for name in "ab"]
    explained: list[Path] = []

    @contextmanager
    def explaining(path: Path) -> Iterator[None]:
        explained.append(path)
        yield

    assert synced(items, lambda item: item.path.parent, explaining) == items[:2]
    assert explained == [tmp_path / "there", tmp_path / "gone"]
    assert not any(item.done.done() for item in items[:2])
    assert all(isinstance(item.done.exception(), FileNotFoundError) for item in items[2:])


def test_files_and_folders_are_synced_through_a_descriptor_that_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced_to: list[int] = []

    def fsync(descriptor: int) -> None:
        synced_to.append(os.fstat(descriptor).st_ino)
        descriptors.append(descriptor)
        if len(descriptors) == 2:
            raise OSError(errno.EIO, "no")

    descriptors: list[int] = []
    monkeypatch.setattr(os, "fsync", fsync)
    (tmp_path / "a").write_bytes(b"a")
    sync(tmp_path / "a")
    with pytest.raises(OSError, match="no"):
        sync(tmp_path)
    assert synced_to == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
