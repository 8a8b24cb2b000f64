"""Instances as files `study/series/instance.dcm` below a folder: written whole or not at all, never replaced."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from hounsfield.ct.instance.source import FileSource, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, LocationError, OutputExistsError
from hounsfield.language import say
from hounsfield.locations.location import Delivered
from hounsfield.locations.uids import written_uids
from hounsfield.outputs import whole_file
from hounsfield.outputs.results import Result, Status

_CHUNK = 1 << 20


def write_files(root: Path, instances: Sequence[Delivered]) -> Iterator[Result]:
    """Store each below `root`, which is made if need be. A file of the transfer's own is renamed, others are copied."""
    return (_written(root, each) for each in instances)


def present_files(root: Path, study: str, series: str, *, read: bool) -> dict[str, Source]:
    """The files of a series by SOP Instance UID; with `read` only those that are whole and say the same UIDs."""
    folder = root / study / series
    found: dict[str, Source] = {}
    for path in folder.glob("*.dcm") if folder.is_dir() else ():
        source = FileSource(path)
        with contextlib.suppress(HounsfieldError, OSError):
            # One that was cut (by a full disk, a power failure) is no instance: it is fetched again.
            if not read or written_uids(source) == (study, series, path.stem):
                found[path.stem] = source
    return found


def staging_folder(root: Path, study: str, series: str) -> Path:
    """The folder of a series, made if need be. Raises `LocationError`."""
    folder = root / study / series
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocationError(
            say("cannot be made: {strerror}", strerror=error.strerror), where=str(folder)
        ) from error
    return folder


def _written(root: Path, each: Delivered) -> Result:
    for keyword, uid in (("Study", each.study), ("Series", each.series), ("SOP", each.instance)):
        # A UID becomes a name on disk: nothing but digits and dots may.
        if not is_uid(uid):
            return Result(each.name, Status.REFUSED, f"its {keyword} Instance UID is {uid[:64]!r}")
    target = root / each.study / each.series / f"{each.instance}.dcm"
    if each.path is not None:
        return _renamed(each, each.path, target)
    try:
        return _copied(each, target)
    except HounsfieldError as error:
        return Result(each.name, Status.FAILED, str(error))
    except OSError as error:
        return Result(each.name, Status.FAILED, error.strerror or str(error))


def _renamed(each: Delivered, path: Path, target: Path) -> Result:
    try:
        path.replace(target)
    except OSError as error:
        return Result(each.name, Status.FAILED, f"{target}: {error.strerror}")
    return Result(each.name, Status.DONE, output=str(target))


def _copied(each: Delivered, target: Path) -> Result:
    if os.path.lexists(target):
        return _compared(each, target)
    try:
        with each.source.open() as stream, whole_file(target) as temporary, temporary.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                out.write(chunk)
    except OutputExistsError:
        # Another writer was quicker.
        return _compared(each, target)
    return Result(each.name, Status.DONE, output=str(target))


def _compared(each: Delivered, target: Path) -> Result:
    with each.source.open() as stream, target.open("rb") as present:
        if _same(stream, present):
            return Result(each.name, Status.UNCHANGED, output=str(target))
    reason = "other bytes are stored there under the same SOP Instance UID"
    return Result(each.name, Status.REFUSED, reason, str(target))


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    while True:
        ours = _exactly(one, _CHUNK)
        if ours != _exactly(other, _CHUNK):
            return False
        if not ours:
            return True


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, or all that are left; an unbuffered stream may give fewer at a time."""
    content = stream.read(size)
    while content and len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content
