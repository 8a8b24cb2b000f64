"""Results of units of work, in one vocabulary, and the words that each edge of the house has for it.

Inside the house only `Status` is used. A word that a user, a server or an older ledger knows is translated where it is
read (`status_of`) or written (`word_of`), by the one table `WORDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Status(StrEnum):
    """The outcome of a unit: an output was made, stands already, is not for this verb, is not accepted, is not made."""

    DONE = "done"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one unit: a file, an instance, a series or one phase of it.

    - `unit`: its name, for people
    - `status`: `DONE`; `UNCHANGED`: an earlier run did it, or nothing has to be done; `SKIPPED`: by its nature not for
      this verb; `REFUSED`: the destination does not accept it, and a retry will not help; `FAILED`: a retry may
    - `reason`: why not, or what to know of it
    - `output`: where it is now, a path, an address or a name below the folder of outputs; `bytes` of it
    - `facts`: what else a verb says; `how` is the edge's own word where a status has several (`WORDS`)
    """

    unit: str
    status: Status
    reason: str = ""
    output: str = ""
    bytes: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Return whether the output is where it belongs, from this run or an earlier one."""
        return self.status in (Status.DONE, Status.UNCHANGED)

    @property
    def has_failed(self) -> bool:
        """Return whether something is not there that should be."""
        return self.status in (Status.REFUSED, Status.FAILED)


_DONE, _UNCHANGED, _SKIPPED, _REFUSED, _FAILED = Status

WORDS: Mapping[str, Mapping[str, Status]] = MappingProxyType(
    {
        "series": {"made": _DONE, "left out": _SKIPPED, "failed": _FAILED},
        "compress": {
            "written": _DONE,
            "copied": _DONE,
            "swapped": _DONE,
            "discarded": _DONE,
            "present": _UNCHANGED,
            "kept": _UNCHANGED,
            "skipped": _SKIPPED,
            "failed": _FAILED,
        },
        "copy": {"moved": _DONE, "present": _UNCHANGED, "refused": _REFUSED, "failed": _FAILED},
        "deidentify": {"made": _DONE, "present": _UNCHANGED, "left out": _SKIPPED, "failed": _FAILED},
        "verify": {
            "same": _UNCHANGED,
            "lossy": _UNCHANGED,
            "failed": _FAILED,
            "different": _FAILED,
            "missing": _FAILED,
            "left out": _SKIPPED,
            "extra": _SKIPPED,
        },
        "STOW": {"stored": _DONE, "warned": _DONE, "refused": _REFUSED, "unconfirmed": _FAILED},
    }
)
"""Edge → its words → status; the first word of a status is the usual one, another is named by the fact `how`.

`series`: JSON and tables of `volume` and `image`, and the ledgers up to 0.1. `compress`: also the lines of
`hounsfield-files.jsonl`. `copy`, `deidentify`, `verify`: their JSON. `STOW`: PS3.18 10.5.3.
"""


def status_of(edge: str, word: str) -> Status:
    """The status that a word of an edge means; a status by its own name is understood at each. Raises `ValueError`."""
    return WORDS[edge].get(word) or Status(word)


def word_of(edge: str, status: str, facts: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The word of an edge for a status; for one that the edge does not have, the status itself."""
    words, how = WORDS[edge], facts.get("how", "")
    if words.get(how) == status:
        return str(how)
    return next((word for word, meant in words.items() if meant == status), str(status))
