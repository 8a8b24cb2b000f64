"""The result that a run would have for each file, from headers alone; nothing is written.

What only the pixels would show (damage, whether `auto` keeps a file because it would not become smaller) is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hounsfield.codecs import PixelKind, refuse_unheld
from hounsfield.ct.instance import FileSource, Header, Source, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, NotDicomError
from hounsfield.locations.tree import tree_sources
from hounsfield.runs import LEDGER_NAME, Place, Record, Result, Status, read_ledger
from hounsfield.runs.ledger import Ledger
from hounsfield.transcode import Target, choose, decoded_format
from hounsfield.verbs.compress.files import COPIED, Job, is_done, why_spared


class _Remembered(Ledger):
    """A ledger that is read and not written."""

    def append(self, *records: Record) -> None:
        self.latest.update((record.key, record) for record in records)


def foreseen_place(
    folder: Path, *, ledger: Path | None = None, force: bool = False, content: bool = False
) -> Place:
    """The place of a dry run: what its ledger says is known, nothing is kept."""
    path = ledger or folder / LEDGER_NAME
    latest = {record.key: record for record in read_ledger(path)}
    return Place(
        str(folder.absolute()), _Remembered(path, -1, latest), _forgotten, lambda _: True, force, content
    )


def _forgotten(_: str, __: Mapping[str, Any]) -> None:
    return


def foretold_file(job: Job, target: Target, *, force: bool = False) -> Result:
    """The result that `transcode_files` would have for a job; what is compressed has the syntaxes in its facts."""

    def result(status: Status, reason: str = "", facts: Mapping[str, Any] = MappingProxyType({})) -> Result:
        return Result(job.source.name, status, reason, str(job.out), facts=facts)

    try:
        if job.out.exists() and not (force or job.replace):
            if is_done(job, target):
                return result(Status.UNCHANGED)
            return result(Status.FAILED, f"{job.out} exists already")
        if why_spared(job):
            return result(Status.FAILED, why_spared(job))
        before, after, reason = _way(job.source, read_instance(job.source).header, target)
    except NotDicomError as error:
        is_left_out = job.original is None
        return (
            result(Status.SKIPPED, error.found) if is_left_out else result(Status.DONE, error.found, COPIED)
        )
    except HounsfieldError as error:
        is_failure = job.original is None
        return result(Status.FAILED, str(error)) if is_failure else result(Status.DONE, str(error), COPIED)
    facts = COPIED if reason else {"before": before, "after": after}
    return result(Status.DONE, reason, facts)


def foretell_tree(root: Path, target: Target) -> Iterator[Result]:
    """The result that `compress_in_place` would have for every file below `root` (or of `root` itself, a file)."""
    for path in [root] if root.is_file() else _files(root):
        try:
            before, after, reason = _way(FileSource(path), read_instance(FileSource(path)).header, target)
        except NotDicomError:
            yield Result(str(path), Status.UNCHANGED, "no DICOM file", str(path), facts={"how": "kept"})
        except HounsfieldError as error:
            yield Result(str(path), Status.FAILED, str(error).removeprefix(f"{path}: "), str(path))
        else:
            facts = {"how": "kept"} if reason else {"before": before, "after": after}
            status = Status.UNCHANGED if reason else Status.DONE
            yield Result(str(path), status, reason, str(path), facts=facts)


def _files(root: Path) -> Iterator[Path]:
    return (found.path for found in tree_sources(root) if isinstance(found, FileSource))


def _way(source: Source, header: Header, target: Target) -> tuple[str, str, str]:
    """The syntax now and then, or why the file stays as it is."""
    before = transfer_syntax(header.transfer_syntax)
    if header.pixels is None:
        return before.keyword, "", "has no pixels"
    choice = choose(source, header, target)
    if choice.target is None or choice.target.syntax is None:
        return before.keyword, "", choice.why
    syntax = choice.target.syntax
    if before is syntax and not choice.target.lossy:
        return before.keyword, "", f"is {before.keyword} already"
    refuse_unheld(syntax, PixelKind.of(decoded_format(header)))
    return before.keyword, syntax.keyword, ""
