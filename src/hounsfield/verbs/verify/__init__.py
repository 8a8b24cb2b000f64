"""Proof, later, that nothing was lost: two places held against each other (`places`), or one against the hashes that
a ledger has of what was there (`recorded`).
"""

from __future__ import annotations

from hounsfield.verbs.verify.places import (
    COLUMNS,
    Pair,
    compare_all,
    compare_pair,
    rows_of,
    write_audit,
)
from hounsfield.verbs.verify.recorded import compare_recorded

__all__ = [
    "COLUMNS",
    "Pair",
    "compare_all",
    "compare_pair",
    "compare_recorded",
    "rows_of",
    "write_audit",
]
