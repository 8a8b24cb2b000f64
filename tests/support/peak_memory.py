"""The memory of a process and its peak, as Linux counts them.

Not `ru_maxrss`: a child process begins with its parent's, so a test in a large test run could never fail.
"""

from __future__ import annotations

import inspect
from pathlib import Path


def peak_kib(process: int | str = "self") -> int:
    """Highest resident size so far, or since `forget_peak`, in KiB."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


PROGRAM = f"from pathlib import Path\n\n{inspect.getsource(peak_kib)}"
"""The same function as source, for programs that tests run in a process of their own."""


def forget_peak() -> None:
    """Begin to count anew, from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def proportional_bytes(process: int) -> int:
    """Its memory, what is shared divided among those who share it; files that are merely cached not counted."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
