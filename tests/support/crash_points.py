"""A run that dies at each of its steps on the file system in turn, and what is found then: a program for tests.

`python crash_points.py FOLDER ACTION [copy]` prints, for each step, what was wrong after it as one JSON line, then the
number of steps. In FOLDER are `tree` and its twin `original`. `copy`: links do not work, as between file systems.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import FileSource
from hounsfield.runs import threads
from hounsfield.runs.ledger import FILE_LEDGER_NAME
from hounsfield.transcode import target
from hounsfield.transcode.proving import compare
from hounsfield.verbs.compress import compress_in_place, discard_backup, open_backup

CRASHED = 9
STEPS = (
    "link", "rename", "replace", "unlink", "mkdir", "rmdir",
    "fsync", "write", "ftruncate", "utime", "chmod", "chown",
)  # fmt: skip
TARGET = target("jpeg-ls")


class Steps:
    """Counts the steps of this process that change the file system, and ends it before the one that is to fail."""

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0
        for name in STEPS:
            setattr(os, name, self._counted(getattr(os, name)))
        Path.write_bytes = self._written()  # type: ignore[assignment]

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self._step()
            return function(*arguments, **options)

        return counted

    def _written(self) -> Callable[[Path, bytes], int]:
        """Writing in two steps, between which half of it is there."""

        def write_bytes(path: Path, content: bytes) -> int:
            self._step()
            with path.open("wb") as stream:
                stream.write(content[: len(content) // 2])
                stream.flush()
                self._step()
                return stream.write(content[len(content) // 2 :])

        return write_bytes

    def _step(self) -> None:
        self.count += 1
        if self.count > self.last:
            os._exit(CRASHED)


def _no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


def compress(folder: Path) -> None:
    with open_backup(folder / "backup", folder / "tree", TARGET.to_json()) as ledger:
        for outcome in compress_in_place(folder / "tree", ledger, TARGET, engine=threads(1)):
            assert outcome.status != "failed", outcome


def discard(folder: Path) -> None:
    """A backup that nothing is left in was discarded to its end."""
    with open_backup(folder / "backup", folder / "tree", None) as ledger:
        for outcome in discard_backup(folder / "tree", ledger):
            assert outcome.status == "done", outcome


def lost(folder: Path) -> list[str]:
    """What is not at its place, whole, with its original kept where it is not itself the original."""
    found = []
    for original in sorted(path for path in (folder / "original").rglob("*") if path.is_file()):
        name = original.relative_to(folder / "original")
        here, kept = folder / "tree" / name, folder / "backup" / name
        if not here.is_file():
            found.append(f"{name} is gone")
        elif here.read_bytes() != original.read_bytes():
            if not is_made_from(original, here):
                found.append(f"{name} is neither the original nor made from it")
            if folder.name == "compress" and not (
                kept.is_file() and kept.read_bytes() == original.read_bytes()
            ):
                found.append(f"the original of {name} is gone")
    return found


def is_made_from(original: Path, here: Path) -> bool:
    if here.name == "DICOMDIR":
        return here.read_bytes()[128:132] == b"DICM"
    return compare(FileSource(original), FileSource(here)).status == "same"


def left(folder: Path) -> list[str]:
    """What is not as it is after a run that nothing stopped."""
    found = lost(folder)
    partials = [str(path) for path in folder.rglob(".*.partial.*")]
    swapped = {
        line["file"]
        for line in map(json.loads, (folder / "backup" / FILE_LEDGER_NAME).read_text("utf-8").splitlines())
        if line.get("status") == "swapped"
    }
    files = {
        path.relative_to(folder / "tree").as_posix()
        for path in (folder / "tree").rglob("*")
        if path.is_file()
    }
    unknown = {name for name in files - swapped if not name.endswith(".txt")}
    kept = [path.name for path in (folder / "backup").rglob("*") if path.is_file()]
    more = [name for name in kept if name != FILE_LEDGER_NAME] if folder.name == "discard" else []
    return [*found, *partials, *sorted(unknown), *more]


def in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:  # noqa: BLE001
            print(json.dumps({"raised": repr(error)}), flush=True)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(base: Path, action: str, copies: bool) -> None:
    if copies:
        os.link = _no_links
    work = {"compress": compress, "discard": discard}[action]
    folder, step, status = base / action, 0, CRASHED
    while status == CRASHED:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base / "start", folder)
        if action == "discard":
            in_child(lambda: compress(folder))

        def crashing(last: int = step) -> None:
            Steps(last)
            work(folder)

        status = in_child(crashing)
        problems = lost(folder)
        if in_child(lambda: work(folder)) != 0:
            problems.append("the next run does not end well")
        problems += left(folder)
        if problems:
            print(json.dumps({"step": step, "problems": problems}), flush=True)
        step += 1
    print(json.dumps({"steps": step, "status": status}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:] == ["copy"])
