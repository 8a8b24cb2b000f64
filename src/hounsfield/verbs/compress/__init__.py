"""Files to another transfer syntax: many at once (`files`), and whole series of them kept in a ledger (`series`).

Which file goes where is the caller's to say; how one file is transcoded is `hounsfield.transcode`'s business.
"""

from __future__ import annotations

from hounsfield.verbs.compress.discarding import discard_backup
from hounsfield.verbs.compress.file_ledger import open_backup
from hounsfield.verbs.compress.files import Job, transcode_file, transcode_files
from hounsfield.verbs.compress.foretelling import foreseen_place, foretell_tree, foretold_file
from hounsfield.verbs.compress.in_place import compress_in_place
from hounsfield.verbs.compress.planning import Plan, Stratum, make_plan
from hounsfield.verbs.compress.series import Files, compress_all, find_files, foretell_all

__all__ = [
    "Files",
    "Job",
    "Plan",
    "Stratum",
    "compress_all",
    "compress_in_place",
    "discard_backup",
    "find_files",
    "foreseen_place",
    "foretell_all",
    "foretell_tree",
    "foretold_file",
    "make_plan",
    "open_backup",
    "transcode_file",
    "transcode_files",
]
