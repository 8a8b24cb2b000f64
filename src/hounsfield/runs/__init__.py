"""Work over many series: on threads, processes or a cluster, recorded in a ledger, taken up again where it stopped.

`run` does what a plan hands out and records it: `SeriesPlan` an output for each series (`run_series`), `FilePlan` the
files of each. `run_each` maps a function over anything on any engine. The work itself belongs to the verbs above
(`hounsfield.verbs.convert`, `hounsfield.verbs.inspect`, …).
"""

from __future__ import annotations

from hounsfield.outputs.results import Result, Status
from hounsfield.runs.clusters import cluster
from hounsfield.runs.digest import digest
from hounsfield.runs.engines import Engine, available_cores, existing, processes, threads
from hounsfield.runs.file_plan import FilePlan, FileSeries, FileVerb, Piece, Step
from hounsfield.runs.gathering import Gathered, Member, gather
from hounsfield.runs.ledger import LEDGER_NAME, STARTED, Ledger, Record, open_ledger, read_ledger
from hounsfield.runs.pace import Pace, Window, window
from hounsfield.runs.place import Place
from hounsfield.runs.runner import Doing, Plan, on_engine, run
from hounsfield.runs.running import Finished, run_each
from hounsfield.runs.series_plan import Job, SeriesPlan, Task, run_series

__all__ = [
    "LEDGER_NAME",
    "STARTED",
    "Doing",
    "Engine",
    "FilePlan",
    "FileSeries",
    "FileVerb",
    "Finished",
    "Gathered",
    "Job",
    "Ledger",
    "Member",
    "Pace",
    "Piece",
    "Place",
    "Plan",
    "Record",
    "Result",
    "SeriesPlan",
    "Status",
    "Step",
    "Task",
    "Window",
    "available_cores",
    "cluster",
    "digest",
    "existing",
    "gather",
    "on_engine",
    "open_ledger",
    "processes",
    "read_ledger",
    "run",
    "run_each",
    "run_series",
    "threads",
    "window",
]
