"""The peak of resident memory of this process, as Linux counts it.

Not `ru_maxrss`: a child process begins with its parent's, so a test in a large test run could never fail.
"""

from __future__ import annotations

from pathlib import Path

PROGRAM = """
def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""
"""The same function as source, for programs that tests run in a process of their own."""


def peak_kib() -> int:
    """Highest resident size so far, or since `forget_peak`, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Begin to count anew, from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
