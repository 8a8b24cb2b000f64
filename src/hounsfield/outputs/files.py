"""Outputs that appear whole or not at all: written beside their place, synced, renamed into it.

Not a writer of any format: it hands out a temporary path and decides what becomes of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hounsfield.errors import LocationError, OutputExistsError
from hounsfield.language import say
from hounsfield.outputs.locking import HAS_LOCKS, lock
from hounsfield.outputs.lots import sync

_KEPT_OF_NAME = 40
_PARTIAL = re.compile(r"\.[0-9a-f]{12}\.partial\.(.+)", re.DOTALL)
# The longer ones without an end are those of versions before.
_PARTIAL_INSTANCE = re.compile(r"\.[0-9a-f]{12}\.partial\.(instance|([0-9.]+\.)?dcm)|\.[0-9a-f]{16}\.partial")


@contextmanager
def whole_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends without error.

    The temporary name keeps the suffixes of `path`, since writers choose a format by them. Raises
    `OutputExistsError` when `path` exists and `force` is false: before any work, and again at its end, so that of
    several writers of one path exactly one succeeds. Raises `LocationError` when the folder cannot be written,
    the disk is full, or `path` is a folder.
    """
    path, temporary = place_for(path, force=force)
    try:
        with filling(path, temporary):
            yield temporary
        with writing(path):
            sync(temporary)
            put_in_place(temporary, path, force=force)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def place_for(path: Path, *, force: bool) -> tuple[Path, Path]:
    """The path, absolute, and a temporary one beside it, in a folder that is there."""
    path = refuse_existing(path, force=force)
    if path.is_dir():
        raise LocationError(
            "is a folder", expected="a file to write", where=str(path), remedy="give a file's name"
        )
    if not path.parent.is_dir():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    return path, temporary_beside(path)


def carry_status(original: Path, copy: Path) -> None:
    """Give `copy` the times, mode, extended attributes and, where this process may, the owner of `original`."""
    found = original.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root gives files away
            os.chown(copy, found.st_uid, found.st_gid)
    shutil.copystat(original, copy)


@contextmanager
def whole_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it becomes `path` when the block ends without error.

    An empty folder at `path` counts as none. With `force` whatever is there is moved aside first and removed only
    once the new one is in place. Errors as of `whole_file`.
    """
    path = refuse_existing(path, force=force or _is_empty_folder(path))
    temporary = temporary_beside(path)
    try:
        with writing(path):
            temporary.mkdir(parents=True)
        with filling(path, temporary):
            yield temporary
        with writing(path):
            for folder, _, files in os.walk(temporary):
                for name in files:
                    sync(Path(folder, name))
                sync(Path(folder))
            _swap(temporary, path, force=force)
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path, *, force: bool) -> Path:
    """`path`, made absolute; `OutputExistsError` if something is there and `force` is false."""
    path = path.absolute()
    if not force and os.path.lexists(path):
        raise _exists(path)
    return path


def refuse_inside(folder: str | Path, path: str | Path, *, what: str) -> None:
    """Raise `LocationError` where `path` lies within `folder`, by whatever link: it would hold everything twice, and
    the next time thrice. `what` says what the folder is to the caller.
    """
    root = Path(folder).resolve()
    if root.is_dir() and Path(path).resolve().is_relative_to(root):
        raise LocationError(say("lies within {what}", what=what), where=str(path), remedy="write beside it")


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(
        "exists already", where=str(path), remedy="give another name, or --force to replace it"
    )


def remove_partials(folder: Path, names: Collection[str]) -> None:
    """Remove what writers of `names` that were killed left in `folder` under temporary names, and nothing else."""
    ends = {name[-_KEPT_OF_NAME:] for name in names}
    if not ends or not folder.is_dir():
        return
    for entry in list(folder.iterdir()):
        temporary = _PARTIAL.fullmatch(entry.name)
        if temporary and temporary[1] in ends:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


@contextmanager
def writing_below(root: Path, outputs: Iterable[Path]) -> Iterator[None]:
    """Be one of those who write files below `root`, made if need be, while the block runs.

    If nobody else does now, what killed writers of `outputs` left there is removed first. A `root` that was made and
    stays empty goes again.
    """
    with writing(root):
        is_made = not root.exists()
        root.mkdir(parents=True, exist_ok=True)
    try:
        with _shared(root, lambda: _remove_leftovers(outputs)):
            yield
    finally:
        if is_made:
            with contextlib.suppress(OSError):
                root.rmdir()


@contextmanager
def storing_below(root: Path) -> Iterator[None]:
    """Be one of those who write `study/series/instance.dcm` below `root`, made if need be, while the block runs.

    If nobody else does now, what killed ones left there under temporary names is removed first.
    """
    with writing(root):
        is_made = not root.exists()
        root.mkdir(parents=True, exist_ok=True)
    try:
        with _shared(root, lambda: _remove_instances(root)):
            yield
    finally:
        if is_made:
            with contextlib.suppress(OSError):
                root.rmdir()


def partial_instance(folder: Path) -> Path:
    """A temporary path in `folder` for an instance whose UID is not known yet."""
    return temporary_beside(folder / "instance")


def _remove_instances(root: Path) -> None:
    for study in _folders(root):
        for series in _folders(study):
            with contextlib.suppress(OSError), os.scandir(series) as entries:
                for entry in entries:
                    if _PARTIAL_INSTANCE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        Path(entry.path).unlink(missing_ok=True)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _remove_leftovers(outputs: Iterable[Path]) -> None:
    names: dict[Path, list[str]] = {}
    for path in outputs:
        names.setdefault(path.parent, []).append(path.name)
    for folder, expected in names.items():
        remove_partials(folder, expected)


@contextmanager
def _shared(folder: Path, alone: Callable[[], None]) -> Iterator[None]:
    """Hold a shared lock on `folder`; before it is shared, do `alone` if no other process holds one.

    Where nothing tells who else is there (Windows, a file system without locks), `alone` is left out.
    """
    if not HAS_LOCKS:
        yield
        return
    with writing(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            lock(descriptor)
            alone()
        with contextlib.suppress(OSError):
            lock(descriptor, shared=True, waits=True)
        yield
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder (rename does not cross file systems), with the same suffixes."""
    # Names end at 255 bytes; the end of this one is kept, 40 characters of which take 160 at most.
    return path.with_name(f".{secrets.token_hex(6)}.partial.{path.name[-_KEPT_OF_NAME:]}")


def put_in_place(temporary: Path, path: Path, *, force: bool) -> None:
    """Rename one file, over what is there only with `force`."""
    if force:
        temporary.replace(path)
        return
    try:
        # A link, unlike a rename, fails when another writer was quicker.
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        # No links on this file system; then what is left between look and rename is a blink.
        if os.path.lexists(path):
            raise _exists(path) from None
        temporary.rename(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and next(path.iterdir(), None) is None


def _swap(temporary: Path, path: Path, *, force: bool) -> None:
    if os.path.lexists(path) and _is_empty_folder(path):
        path.rmdir()
    if not os.path.lexists(path):
        temporary.rename(path)
        return
    if not force:
        raise _exists(path)
    aside = temporary_beside(path)
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _not_written(path, error) from error


@contextmanager
def filling(path: Path, temporary: Path) -> Iterator[None]:
    """Tell a full disk, or a refused output, while the content is written; other errors may be about another file."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} and not _is_at(error, temporary):
            raise
        raise _not_written(path, error) from error


def _is_at(error: OSError, temporary: Path) -> bool:
    """Return whether the error names the temporary output, or something in it."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else None
    return named is not None and (named == temporary or temporary in named.parents)


def _not_written(path: Path, error: OSError) -> LocationError:
    return LocationError(
        say("cannot be written: {strerror}", strerror=error.strerror or error),
        where=str(path),
        remedy="check the folder, its permissions and the free space",
    )
