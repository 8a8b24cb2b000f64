"""Outputs that appear whole or not at all: written beside their place, synced, renamed into it.

Not a writer of any format: it hands out a temporary path and decides what becomes of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hounsfield.errors import LocationError, OutputExistsError


@contextmanager
def whole_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block ends without error.

    The temporary name keeps the suffixes of `path`, since writers choose a format by them. Raises
    `OutputExistsError` before any work when `path` exists and `force` is false, `LocationError` when the
    folder cannot be written.
    """
    path = refuse_existing(path, force=force)
    temporary = _beside(path)
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with _writing(path):
            _sync(temporary)
            if not force and path.exists():
                raise _exists(path)
            temporary.replace(path)
            _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it becomes `path` when the block ends without error.

    With `force` an existing `path` is moved aside first and removed only once the new one is in place.
    """
    path = refuse_existing(path, force=force)
    temporary = _beside(path)
    try:
        with _writing(path):
            temporary.mkdir(parents=True)
        yield temporary
        with _writing(path):
            for folder, _, files in os.walk(temporary):
                for name in files:
                    _sync(Path(folder, name))
                _sync(Path(folder))
            _swap(temporary, path, force=force)
            _sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path, *, force: bool) -> Path:
    """`path`, made absolute; `OutputExistsError` if something is there and `force` is false."""
    path = path.absolute()
    if not force and os.path.lexists(path):
        raise _exists(path)
    return path


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError("exists already", where=str(path), remedy="give another name, or --force to replace it")


def _beside(path: Path) -> Path:
    """A hidden name in the same folder (rename does not cross file systems), with the same suffixes."""
    return path.with_name(f".{secrets.token_hex(6)}.partial.{path.name}")


def _swap(temporary: Path, path: Path, *, force: bool) -> None:
    if not os.path.lexists(path):
        temporary.rename(path)
        return
    if not force:
        raise _exists(path)
    aside = _beside(path)
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
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocationError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="check the folder, its permissions and the free space",
        ) from error


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that a rename never outlives its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
