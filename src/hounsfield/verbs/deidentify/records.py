"""The ledger beside de-identified data: new UIDs, counts, keyed hashes. Nothing in it says whose they are.

It lies in the folder that is shared, so neither a source's name nor a UID, a description or an error's own words
(which may quote a value) get into it; a source is known again by a hash that only the key can make.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import Source
from hounsfield.outputs.results import word_of
from hounsfield.runs import FileSeries, Gathered, Piece, Record, Result, Status, gather
from hounsfield.runs.report import preview_of_file
from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.profile import Profile, is_standard_uid
from hounsfield.verbs.deidentify.review import Review

_SAID = {
    "MalformedError": "malformed, or not to be rewritten",
    "TruncatedError": "cut short",
    "LocationError": "could not be read or written",
    "refused": "other bytes are there under its new UID",
    "failed": "could not be written",
    "lost": "its worker was lost",
}
"""Kind of failure → what the ledger says of it; the error's own words are for the terminal."""


def unnamed_series(
    sources: Iterable[Source], profile: Profile, pseudonyms: Pseudonyms, *, content: bool = False
) -> tuple[list[FileSeries], list[Piece]]:
    """The series as the ledger is to know them, and what belongs to none, is not readable or is there twice."""
    found, others = gather(sources, content=content)
    alone = [Piece(source, pseudonyms.token(source.name).hex()) for _, source in others]
    series = [_unnamed(each, profile, pseudonyms, alone) for each in found]
    return series, alone


def _unnamed(found: Gathered, profile: Profile, pseudonyms: Pseudonyms, alone: list[Piece]) -> FileSeries:
    study, series = (new_uid(uid, profile, pseudonyms) for uid in (found.study, found.uid))
    pieces: dict[str, Piece] = {}
    for member in found.members:
        output = f"{study}/{series}/{new_uid(member.uid, profile, pseudonyms)}.dcm"
        if output in pieces:
            alone.append(Piece(member.source, pseudonyms.token(member.source.name).hex()))
        else:
            pieces[output] = Piece(member.source, output, pseudonyms.token(member.state))
    return FileSeries(
        key=f"deidentify {study}/{series}",
        name=series,
        uid=series,
        source="",
        digest=pseudonyms.token(found.digest).hex()[:32],
        output=f"{study}/{series}",
        pieces=tuple(pieces.values()),
    )


def new_uid(original: str, profile: Profile, pseudonyms: Pseudonyms) -> str:
    """Return what the UID of a study, series or instance becomes."""
    return original if profile.uids or is_standard_uid(original) else pseudonyms.uid(original)


@dataclass(frozen=True)
class Unnamed:
    """The verb as the ledger needs it (`hounsfield.runs.FileVerb`)."""

    profile: Profile
    pseudonyms: Pseudonyms
    out: Path
    name: str = "deidentify"

    @property
    def options(self) -> Mapping[str, Any]:
        return dataclasses.asdict(self.profile)

    def standing(self, pieces: Sequence[tuple[Piece, str]], before: Record) -> Iterator[Result]:
        # What was done to all of them stands with the first.
        counts, review = before.facts.get("attributes", {}), Review.from_json(before.facts.get("review", {}))
        for piece, left_out in pieces:
            output = "" if left_out else str(self.out / piece.output)
            status = Status.SKIPPED if left_out else Status.UNCHANGED
            yield Result(
                piece.source.name, status, left_out, output, facts={"counts": counts, "review": review}
            )
            counts, review = {}, Review()

    def reason(self, result: Result) -> str:
        if result.has_failed:
            return _SAID.get(result.facts.get("kind", ""), "could not be treated")
        return result.reason if result.status == Status.SKIPPED else ""

    def alias(self, piece: Piece) -> str:
        return self.pseudonyms.token(piece.source.name).hex()[:16]

    def describe(
        self, series: FileSeries, results: Sequence[Result], before: Record | None
    ) -> Mapping[str, Any]:
        left_out = Counter(each.reason for each in results if each.status == Status.SKIPPED)
        failed = Counter(self.reason(each) for each in results if each.has_failed)
        done: Counter[str] = Counter()
        review = Review()
        for each in results:
            done.update(each.facts.get("counts", {}))
            review.add(each.facts.get("review", Review()))
        facts = {"files": len(series.pieces), "attributes": dict(done), "left_out": dict(left_out)}
        facts["review"] = review.to_json() if review else {}
        some = any(each.is_there for each in results)
        reasons = [f"{count} {said}" for said, count in failed.items()] or list(left_out)
        of_all = f"{failed.total()} of {len(series.pieces)} objects: " if failed else ""
        return {
            "counts": dict(Counter(word_of("deidentify", each.status) for each in results)),
            "facts": {name: value for name, value in facts.items() if value},
            # Where nothing else came of the series, the reason says it already.
            "warnings": tuple(
                f"{count} left out: {reason}" for reason, count in left_out.items() if some or failed
            ),
            "reason": of_all + "; ".join(reasons) if failed or not some else "",
        }

    def preview(self, piece: Piece) -> Mapping[str, Any]:
        return preview_of_file(self.out / piece.output)
