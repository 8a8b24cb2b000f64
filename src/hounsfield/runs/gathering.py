"""Sources → the series that they belong to, by their headers alone: for verbs to which a file is a file.

Not `hounsfield.ct.series`: nothing is judged here and nothing left out; what a series' files hold, in this run and when
it was recorded, is told by a state of each, without their pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hounsfield.ct.instance import HeaderReader, Source
from hounsfield.errors import HounsfieldError
from hounsfield.runs.digest import STATE_BYTES, size_of_source, state


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a series: the how manieth source it was, its SOP Instance UID, `state` (`batch.digest.state`), bytes
    (0 where nobody says).
    """

    number: int
    source: Source
    uid: str
    state: bytes
    size: int


@dataclass(slots=True)
class Gathered:
    """The files of one Series Instance UID, in the order in which they came. `name` is for people."""

    study: str
    uid: str
    name: str
    members: list[Member] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Of all files, in hexadecimal; their order does not matter."""
        whole = hashlib.blake2b(digest_size=STATE_BYTES)
        for each in sorted(member.state for member in self.members):
            whole.update(each)
        return whole.hexdigest()


def gather(
    sources: Iterable[Source], *, content: bool = False, seen: Callable[[], None] | None = None
) -> tuple[list[Gathered], list[tuple[int, Source]]]:
    """The series in the order in which they come, and the sources (numbered) that belong to none or cannot be read.

    `content`: states are of all bytes, not of size and time. `seen` is called after each header.
    """
    found: dict[tuple[str, str], Gathered] = {}
    others: list[tuple[int, Source]] = []
    reader = HeaderReader()
    for number, source in enumerate(sources):
        try:
            header = reader.read(source)
            study, series = header.text("StudyInstanceUID"), header.text("SeriesInstanceUID")
            member = Member(
                number,
                source,
                header.text("SOPInstanceUID"),
                state(header, source, content=content),
                size_of_source(source),
            )
        except HounsfieldError:
            others.append((number, source))  # the verb itself says what is wrong with it
            continue
        if seen is not None:
            seen()
        if not series:
            others.append((number, source))
            continue
        if (study, series) not in found:
            words = (header.text("SeriesNumber"), header.text("SeriesDescription"))
            found[study, series] = Gathered(study, series, " ".join(filter(None, words)) or series)
        found[study, series].members.append(member)
    return list(found.values()), others
