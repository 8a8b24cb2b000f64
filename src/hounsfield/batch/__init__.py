"""Work over many series: on threads, processes or a cluster, recorded in a ledger, taken up again where it stopped.

`run_each` maps a function over anything on any engine; `run_recorded` does it for series whose outputs lie in one
folder. What the work is belongs to the verbs above (`hounsfield.conversion`, `hounsfield.inspection`, …).
"""

from __future__ import annotations

from hounsfield.batch.digest import digest
from hounsfield.batch.engines import Engine, available_cores, cluster, existing, processes, threads
from hounsfield.batch.ledger import (
    FAILED,
    LEDGER_NAME,
    LEFT_OUT,
    MADE,
    STARTED,
    Ledger,
    Record,
    open_ledger,
    read_ledger,
)
from hounsfield.batch.recorded import Answer, Job, Made, Place, Task, run_recorded
from hounsfield.batch.running import Finished, run_each

__all__ = [
    "FAILED",
    "LEDGER_NAME",
    "LEFT_OUT",
    "MADE",
    "STARTED",
    "Answer",
    "Engine",
    "Finished",
    "Job",
    "Ledger",
    "Made",
    "Place",
    "Record",
    "Task",
    "available_cores",
    "cluster",
    "digest",
    "existing",
    "open_ledger",
    "processes",
    "read_ledger",
    "run_each",
    "run_recorded",
    "threads",
]
