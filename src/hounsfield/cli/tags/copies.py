"""Changed copies of everything at a location: a file for a file, a folder of the same shape for anything else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hounsfield.attributes import Edit, parse_edits, write_edited
from hounsfield.cli.terminal import progress
from hounsfield.ct.instance import Skipped, Source
from hounsfield.errors import (
    HounsfieldError,
    LocationError,
    MalformedError,
    NotDicomError,
    SelectionError,
    UnsupportedError,
)
from hounsfield.language import say
from hounsfield.language.reasons import unreadable
from hounsfield.locations import Location, OnDisk, Rewritable, open_location
from hounsfield.locations.archives.names import sounds_like_archive
from hounsfield.outputs import whole_file, whole_folder

_LAST_BEFORE_PIXELS = (
    "7FDF0010"  # of no file; whoever removes it has walked over all that precedes the pixels
)
_INSTANCE_UID = 0x00080018


def write_copies(
    location: str, edits: Sequence[Edit], out: Path, *, force: bool = False
) -> tuple[int, tuple[Skipped, ...]]:
    """Write copies with `edits` made; how many, and what was left out with its reason.

    The originals are only read. A damaged file is left out; nothing is left at `out` when a sound instance cannot be
    changed as asked. Raises
    `LocationError` where `out` and the originals overlap, `UnsupportedError` where it is an archive for several,
    `OutputExistsError`, and what `write_edited` raises.
    """
    place = open_location(location)
    root = _root(place)
    if root is not None:
        _refuse_overlap(root, out)
    if isinstance(place, Rewritable) and place.is_one_file:
        source = next(source for source in place.sources() if not isinstance(source, Skipped))
        if out.is_dir():
            raise LocationError("is a folder", where=str(out), remedy="name the file to write")
        with whole_file(out, force=force) as temporary, temporary.open("wb") as file:
            write_edited(source, edits, file)
        return 1, ()
    if sounds_like_archive(out.name):
        raise UnsupportedError(
            "copies go into a folder, not an archive",
            where=str(out),
            remedy="give a folder, and pack it afterwards",
        )
    with whole_folder(out, force=force) as folder:
        count, skipped = _write_all(place, root, edits, folder)
        if not count:
            why = f": {skipped[0].name}: {skipped[0].reason}" if skipped else ""
            raise SelectionError(
                say("no DICOM instance in it{why}", why=why), where=location, remedy="check the location"
            )
    return count, tuple(skipped)


def _write_all(
    place: Location, root: Path | None, edits: Sequence[Edit], folder: Path
) -> tuple[int, list[Skipped]]:
    count, skipped = 0, []
    one_uid = any(edit.path[0].tag == _INSTANCE_UID for edit in edits)
    with progress("Writing") as done:
        for source in place.sources():
            if isinstance(source, Skipped):
                skipped.append(source)
                continue
            reason = _write_one(source, folder / _relative(source.name, root), edits)
            if reason is not None:
                skipped.append(Skipped(source.name, reason))
                continue
            count += 1
            if one_uid and count > 1:
                raise SelectionError(
                    "one SOP Instance UID for several instances",
                    where=place.name,
                    remedy="set it on one file",
                )
            done()
    return count, skipped


def _write_one(source: Source, target: Path, edits: Sequence[Edit]) -> str | None:
    """Write one copy; the reason why this object takes no part, if it is not an instance."""
    if target.exists():
        raise LocationError("two objects have this name", where=source.name, remedy="change one at a time")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("wb") as file:
            write_edited(source, edits, file)
    except HounsfieldError as error:
        target.unlink()
        if isinstance(error, NotDicomError) or error.data.get("directory"):
            return error.found
        if isinstance(error, MalformedError) and _is_damaged(source):
            return unreadable(error)
        raise
    return None


def _is_damaged(source: Source) -> bool:
    """Return whether a change that any file can have is impossible too: then it is not the edits that are wrong."""
    try:
        write_edited(source, parse_edits((), (_LAST_BEFORE_PIXELS,)), io.BytesIO())
    except HounsfieldError:
        return True
    return False


def _root(place: Location) -> Path | None:
    """The path below which the originals lie, if they lie on this machine's disks."""
    return place.root.absolute() if isinstance(place, OnDisk) else None


def _refuse_overlap(root: Path, out: Path) -> None:
    original, target = root.resolve(), out.absolute().resolve()
    if target == original or original in target.parents or target in original.parents:
        raise LocationError(
            "lies in, on or around the originals", where=str(out), remedy="write the copies somewhere else"
        )


def _relative(name: str, root: Path | None) -> Path:
    """Return where the copy of `name` goes: its place below `root`; an archive's members as if it were a folder."""
    text = name
    if root is not None:
        for start in (f"{root}!/", f"{root}/"):
            absolute = str(Path(name).absolute())
            if absolute.startswith(start):
                text = absolute[len(start) :]
                break
    parts = PurePosixPath(text.replace("!/", "/").replace("\\", "/")).parts
    # Names from archives and servers are data: they must not lead out of the folder.
    safe = [part for part in parts if part not in {"/", "..", "."} and "\0" not in part]
    return Path(*safe) if safe else Path("instance.dcm")
