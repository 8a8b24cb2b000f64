"""Locks between processes, and a house that imports where the system has none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hounsfield.outputs.locking import HAS_LOCKS, lock

HOLDER = """
import sys
from hounsfield.outputs.locking import lock
stream = open(sys.argv[1], "a")
lock(stream, shared=sys.argv[2] == "shared")
print("held", flush=True)
sys.stdin.read()
"""

WITHOUT = """
import builtins, importlib, pkgutil, sys

POSIX = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
real = builtins.__import__

def without(name, globals=None, *rest, **more):
    if name in POSIX and (globals or {}).get("__name__", "").startswith("hounsfield"):
        raise ImportError(f"no module named {name!r} on this system")
    return real(name, globals, *rest, **more)

builtins.__import__ = without
import hounsfield
for module in pkgutil.walk_packages(hounsfield.__path__, "hounsfield."):
    if not module.name.startswith(("hounsfield.testing", "hounsfield.__main__")):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError:  # of an extra that is not installed; those above raise ImportError itself
            pass

from hounsfield.outputs import whole_file
from hounsfield.outputs.locking import HAS_LOCKS
assert not HAS_LOCKS
from pathlib import Path
from hounsfield.outputs.scratch import ScratchFolder
scratch = ScratchFolder()
assert scratch.path.is_dir()
from hounsfield.runs.ledger import open_ledger
with open_ledger(Path(sys.argv[1], "ledger.jsonl")), open_ledger(Path(sys.argv[1], "ledger.jsonl")):
    pass
"""


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [("shared", True, True), ("shared", False, False), ("alone", True, False), ("alone", False, False)],
)
def test_a_lock_keeps_out_whom_it_should_until_its_process_dies(
    held: str, wanted: bool, free: bool, tmp_path: Path
) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with path.open("a") as stream:
            if free:
                lock(stream, shared=wanted)
            else:
                with pytest.raises(BlockingIOError):
                    lock(stream, shared=wanted)
    finally:
        holder.kill()
        holder.communicate()
    with path.open("a") as stream:
        lock(stream)


def test_a_lock_of_ones_own_is_changed_not_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as stream, (tmp_path / "lock").open("a") as other:
        lock(stream)
        with pytest.raises(BlockingIOError):
            lock(other, shared=True)
        lock(stream, shared=True)
        lock(other, shared=True)


def test_every_module_imports_and_works_without_modules_of_posix(tmp_path: Path) -> None:
    assert HAS_LOCKS
    subprocess.run([sys.executable, "-c", WITHOUT, tmp_path], check=True, timeout=300)
