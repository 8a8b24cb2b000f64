"""Work over many series: on threads, processes or a cluster, recorded in a ledger, taken up again where it stopped.

`run_each` maps a function over anything on any engine; `run_recorded` does it for series that become an output each,
`Piecework` keeps the record of series that become many files. What the work is belongs to the verbs above
(`hounsfield.verbs.convert`, `hounsfield.verbs.inspect`, …).
"""

from __future__ import annotations

from hounsfield.outputs.results import Result, Status
from hounsfield.runs.clusters import cluster
from hounsfield.runs.digest import digest
from hounsfield.runs.engines import Engine, available_cores, existing, processes, threads
from hounsfield.runs.gathering import Gathered, Member, gather
from hounsfield.runs.ledger import LEDGER_NAME, STARTED, Ledger, Record, open_ledger, read_ledger
from hounsfield.runs.pace import Pace, Window, window
from hounsfield.runs.piecework import FileSeries, FileVerb, Piece, Piecework, Step
from hounsfield.runs.recorded import Job, Place, Task, run_recorded
from hounsfield.runs.running import Finished, run_each

__all__ = [
    "LEDGER_NAME",
    "STARTED",
    "Engine",
    "FileSeries",
    "FileVerb",
    "Finished",
    "Gathered",
    "Job",
    "Ledger",
    "Member",
    "Pace",
    "Piece",
    "Piecework",
    "Place",
    "Record",
    "Result",
    "Status",
    "Step",
    "Task",
    "Window",
    "available_cores",
    "cluster",
    "digest",
    "existing",
    "gather",
    "open_ledger",
    "processes",
    "read_ledger",
    "run_each",
    "run_recorded",
    "threads",
    "window",
]
