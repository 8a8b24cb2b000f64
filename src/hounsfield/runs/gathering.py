"""Sources → the series that they belong to, by their headers alone: for verbs to which a file is a file.

Not `hounsfield.ct.series`: nothing is judged here and nothing left out; what a series' files hold, in this run and when
it was recorded, is known by a state of each, without their pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hounsfield.ct.instance import Source
from hounsfield.errors import HounsfieldError
from hounsfield.locations.headers import read_headers
from hounsfield.runs.digest import STATE_BYTES, size_of_source, state


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a series: its place among the sources, its SOP Instance UID, `state` (`runs.digest.state`), bytes
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
    number = -1

    def numbered() -> Iterator[Source]:
        nonlocal number
        for number, source in enumerate(sources):  # noqa: B007 (the number of the source that is being read)
            yield source

    def leave(source: Source, _: HounsfieldError) -> None:
        others.append((number, source))  # the verb itself says what is wrong with it

    for instance in read_headers(numbered(), [], on_error=leave):
        header, source = instance.header, instance.source
        study, series = header.text("StudyInstanceUID"), header.text("SeriesInstanceUID")
        try:
            status, size = state(header, source, content=content), size_of_source(source)
        except HounsfieldError as error:
            leave(source, error)
            continue
        if seen is not None:
            seen()
        if not series:
            others.append((number, source))
            continue
        member = Member(number, source, header.text("SOPInstanceUID"), status, size)
        if (study, series) not in found:
            words = (header.text("SeriesNumber"), header.text("SeriesDescription"))
            found[study, series] = Gathered(study, series, " ".join(filter(None, words)) or series)
        found[study, series].members.append(member)
    return list(found.values()), others
