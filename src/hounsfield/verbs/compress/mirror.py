"""A whole tree in a new place: what is beside the files in it comes along.

Files come by `compress_all`; `finish_mirror` brings what is none: folders (empty ones too), links, the DICOMDIRs as
they have to be now, and the folders' times and modes in the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hounsfield.errors import HounsfieldError
from hounsfield.locations.dicomdir_writing import rebuilt
from hounsfield.locations.tree import is_directory_file, tree_entries
from hounsfield.outputs import carry_status, whole_file
from hounsfield.runs import Result, Status
from hounsfield.verbs.compress.files import COPIED


def finish_mirror(root: Path, out: Path) -> Iterator[Result]:
    """Finish a mirror, once all files are there, with what is no file; one result for each link and DICOMDIR, and for
    what failed.
    """
    folders = [root]
    for entry in tree_entries(root):
        path = Path(entry.path)
        there = out / path.relative_to(root)
        try:
            if entry.is_symlink():
                yield _linked(path, there, root, out)
            elif entry.is_dir(follow_symlinks=False):
                there.mkdir(parents=True, exist_ok=True)
                folders.append(path)
            elif is_directory_file(path):
                yield _directory(path, there)
        except OSError as error:
            yield Result(entry.path, Status.FAILED, error.strerror or str(error), str(there))
        except HounsfieldError as error:
            reason = str(error).removeprefix(f"{entry.path}: ")
            yield Result(entry.path, Status.FAILED, reason, str(there))
    for folder in reversed(folders):  # what is in a folder is made before its times are set
        try:
            carry_status(folder, out / folder.relative_to(root))
        except OSError as error:
            reason = f"its times: {error.strerror or error}"
            yield Result(str(folder), Status.FAILED, reason, str(out))


def _linked(path: Path, there: Path, root: Path, out: Path) -> Result:
    """The link, to the same place: within the tree to the new one, else to where it led."""
    target = _target_of(path, root, out, there)
    if os.path.lexists(there):
        if there.is_symlink() and str(there.readlink()) == target:
            return Result(str(path), Status.UNCHANGED, output=str(there))
        return Result(str(path), Status.FAILED, f"{there} exists already; remove it", str(there))
    there.parent.mkdir(parents=True, exist_ok=True)
    there.symlink_to(target)
    return Result(str(path), Status.DONE, "is a link", str(there), facts=COPIED)


def _target_of(path: Path, root: Path, out: Path, there: Path) -> str:
    text = str(path.readlink())
    leads_to = Path(os.path.normpath(path.parent.absolute() / text))
    base = root.absolute()
    if leads_to == base or base in leads_to.parents:
        if not Path(text).is_absolute():
            return text
        return os.path.relpath(out.absolute() / leads_to.relative_to(base), there.parent.absolute())
    return str(leads_to)


def _directory(path: Path, there: Path) -> Result:
    """A DICOMDIR that tells of the files beside it there."""
    try:
        content, reason = rebuilt(path, there.parent), ""
    except HounsfieldError as error:
        content, reason = path.read_bytes(), f"could not be rebuilt: {error.found}"
    if there.is_file():
        if there.read_bytes() == content:
            return Result(str(path), Status.UNCHANGED, output=str(there))
        if not is_directory_file(there):
            reason = f"{there} exists already and is no DICOMDIR"
            return Result(str(path), Status.FAILED, reason, str(there))
    with whole_file(there, force=True) as temporary:
        temporary.write_bytes(content)
        carry_status(path, temporary)
    unchanged = content == path.read_bytes()
    return Result(str(path), Status.DONE, reason, str(there), facts=COPIED if unchanged else {})
