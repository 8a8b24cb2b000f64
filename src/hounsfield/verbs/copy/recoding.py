"""Instances in another transfer syntax on their way from one place to another.

What becomes of one is `hounsfield.transcode`'s business. A lossy one has a SOP Instance UID of its own (PS3.3
C.7.6.1.1.5), which follows from the original's: so it is known at the destination again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hounsfield.ct.instance import FileSource
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError
from hounsfield.locations import Delivered
from hounsfield.locations.uids import written_uids
from hounsfield.outputs import partial_instance
from hounsfield.runs import Result, Status
from hounsfield.transcode import AUTO, CommonRate, Target, Transcoder, common_rate, derived_uid, goal_of
from hounsfield.transcode.target import AUTO_QUALITY

_NOT_WORTH_A_WORD = ("is ", "has no pixels")
"""Beginnings of the reasons for which most instances stay as they are: in the syntax already, no smaller, no image."""


@dataclass(frozen=True, slots=True)
class Recoded(Delivered):
    """An instance after recoding: `original` is its SOP Instance UID at the origin, `note` what is to be said of it."""

    original: str = ""
    note: str = ""


class Recoder:
    """Recodes one instance after another; for one thread at a time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._transcoder = Transcoder()

    def series(self, delivered: Iterable[Delivered | Result], spool: Path) -> Iterator[Delivered | Result]:
        """The instances of a series, or what is left of it, each `recoded`.

        Where a ratio is asked of it in total all of them are delivered first, and one rate is found for them.
        """
        if not self.target.is_over_series:
            for one in delivered:
                yield one if isinstance(one, Result) else self.recoded(one, spool)
            return
        whole = list(delivered)
        found = [one for one in whole if isinstance(one, Delivered)]
        yield from (one for one in whole if isinstance(one, Result))
        try:
            rate = common_rate([one.source for one in found], self.target)
        except HounsfieldError as error:
            yield from (self._failed(one, error) for one in found)
            return
        yield from (self.recoded(one, spool, rate) for one in found)

    def recoded(
        self, delivered: Delivered, spool: Path, rate: CommonRate | None = None
    ) -> Delivered | Result:
        """The instance as it goes on, in a file of its own in `spool`; a `Result` where it cannot be recoded."""
        try:
            result = self._transcoder.transcode(delivered.source, self.target, common=rate)
            if not result.changed:
                note = "" if result.why.startswith(_NOT_WORTH_A_WORD) else result.why
                uids = (delivered.study, delivered.series, delivered.instance)
                return Recoded(
                    *uids, delivered.source, delivered.size, delivered.path, delivered.instance, note
                )
            path = partial_instance(spool)
            path.write_bytes(result.content)
            uids = written_uids(FileSource(path))
        except HounsfieldError as error:
            return self._failed(delivered, error)
        if delivered.path is not None:
            delivered.path.unlink(missing_ok=True)
        return Recoded(*uids, FileSource(path), len(result.content), path, delivered.instance, result.why)

    @staticmethod
    def _failed(delivered: Delivered, error: HounsfieldError) -> Result:
        if delivered.path is not None:
            delivered.path.unlink(missing_ok=True)
        reason = str(error).removeprefix(f"{delivered.source.name}: ")
        return Result(delivered.instance, Status.FAILED, f"not recoded: {reason}")


def uids_after(uid: str, target: Target) -> Iterator[str]:
    """The SOP Instance UIDs that an instance may have once it is recoded: its own, and those of lossy results."""
    yield uid
    for lossy in _lossy_targets([target]):
        assert lossy.syntax is not None
        yield derived_uid(uid.encode("ascii", "replace"), lossy.syntax, goal_of(lossy)).decode("ascii")


def _lossy_targets(targets: Iterable[Target]) -> Iterator[Target]:
    """Every lossy syntax, with its goal, that one of the targets may choose."""
    for target in targets:
        if target.policy is not None:
            rules = (rule.target for rule in target.policy.rules if rule.target is not None)
            yield from _lossy_targets(replace(each, each=target.each) for each in rules)
        elif target.syntax is not None:
            if target.lossy:
                yield target
        else:
            for keyword in sorted(set((target.auto or AUTO).values())):
                syntax = transfer_syntax(keyword)
                if not syntax.lossless and syntax.keyword != "jpeg-xl-jpeg":
                    has_goal = any(
                        goal is not None for goal in (target.ratio, target.max_error, target.quality)
                    )
                    if has_goal:
                        yield Target(syntax, target.ratio, target.max_error, target.quality, each=target.each)
                    if keyword in AUTO.values():
                        yield Target(syntax, quality=AUTO_QUALITY)
