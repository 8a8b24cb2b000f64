"""Files to another transfer syntax: many at once (`files`), and whole series of them kept in a ledger (`series`).

Which file goes where is the caller's to say; what becomes of one file is `hounsfield.transcode`'s business.
"""

from __future__ import annotations

from hounsfield.compression.files import Job, Outcome, transcode_file, transcode_files
from hounsfield.compression.foretelling import foreseen_place, foretold_file
from hounsfield.compression.series import Files, compress_all, find_files, foretell_all

__all__ = [
    "Files",
    "Job",
    "Outcome",
    "compress_all",
    "find_files",
    "foreseen_place",
    "foretell_all",
    "foretold_file",
    "transcode_file",
    "transcode_files",
]
