"""The originals that a backup keeps, given up: each only where the file in its place is what was swapped for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hounsfield.locations.tree import tree_entries
from hounsfield.runs import Pace, Result, Status
from hounsfield.runs.ledger import FILE_LEDGER_NAME, read_lines
from hounsfield.verbs.compress.file_ledger import FileLedger
from hounsfield.verbs.compress.swapping import sha256_of


def discard_backup(root: Path, ledger: FileLedger, *, pace: Pace | None = None) -> Iterator[Result]:
    """Remove every original whose file in the tree is byte for byte what the ledger says was swapped for it.

    `DONE` is yielded for each; `FAILED` for each that stays in the backup, with the reason. The ledger stays, as
    the record of what was done; once no original is left it says so, and the folder may serve for another run.
    """
    tree = root if root.is_dir() else root.parent
    pace = pace or Pace()
    doubtful: dict[str, str] = {}
    for line in read_lines(ledger.folder / FILE_LEDGER_NAME):
        name, expected = line.get("file"), line.get("sha256")
        if line.get("status") != "swapped" or not isinstance(name, str):
            continue
        kept, path = ledger.folder / name, tree / name
        if not kept.is_file():
            continue
        reason = _why_not(path, str(expected), pace)
        if reason:
            doubtful[name] = reason  # a later line of the same file may be the one that holds
            continue
        kept.unlink()
        doubtful.pop(name, None)
        yield Result(str(path), Status.DONE, output=str(kept), facts={"how": "discarded"})
    for name, reason in doubtful.items():
        why = f"{reason}; its original stays in the backup"
        yield Result(str(tree / name), Status.FAILED, why, str(ledger.folder / name))
    unknown = list(_left(ledger.folder, doubtful))
    for path in unknown:
        reason = "is kept, but the ledger does not say that it was swapped; run --in-place again first"
        yield Result(str(path), Status.FAILED, reason, str(path))
    if not doubtful and not unknown:
        ledger.append([{"status": "all discarded"}])


def _why_not(path: Path, expected: str, pace: Pace) -> str:
    """Why the file in the tree cannot stand for its original."""
    try:
        pace.wait(path.stat().st_size)
        return "" if sha256_of(path) == expected else "is not what was swapped for it any more"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _left(folder: Path, known: dict[str, str]) -> Iterator[Path]:
    """Files in the backup that the ledger does not know; folders that are empty go."""
    folders = []
    for entry in tree_entries(folder):
        path = Path(entry.path)
        is_record = path.parent == folder and path.name == FILE_LEDGER_NAME
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif not is_record and path.relative_to(folder).as_posix() not in known:
            yield path
    for path in reversed(folders):
        with contextlib.suppress(OSError):
            path.rmdir()
