"""The report of a run over many series: a table, and pages with a picture and a histogram of each.

Made from the ledger, which alone is the truth; both can be made again from it at any time. Writes no volumes.
"""

from __future__ import annotations

from hounsfield.runs.report.folder import SUMMARY_NAMES, open_place, write_summaries
from hounsfield.runs.report.preview import Sample, preview, preview_html, preview_of_file
from hounsfield.runs.report.table import TABLE_NAME, write_table

__all__ = [
    "SUMMARY_NAMES",
    "TABLE_NAME",
    "Sample",
    "open_place",
    "preview",
    "preview_html",
    "preview_of_file",
    "write_summaries",
    "write_table",
]
