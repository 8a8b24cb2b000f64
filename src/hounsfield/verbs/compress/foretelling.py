"""What a run would make of each file, told from headers alone and written nowhere.

What only the pixels would tell (damage, whether `auto` keeps a file because it would not become smaller) is not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hounsfield.codecs import PixelKind, refuse_unheld
from hounsfield.ct.instance import FileSource, Header, Source, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, NotDicomError
from hounsfield.locations.tree import tree_sources
from hounsfield.runs import LEDGER_NAME, Place, Record, read_ledger
from hounsfield.runs.ledger import Ledger
from hounsfield.transcode import Target, choose, decoded_format
from hounsfield.verbs.compress.files import Job, Outcome, is_done, why_spared


class _Remembered(Ledger):
    """A ledger that is read and not written."""

    def append(self, *records: Record) -> None:
        self.latest.update((record.key, record) for record in records)


def foreseen_place(
    folder: Path, *, ledger: Path | None = None, force: bool = False, content: bool = False
) -> Place:
    """The place of a run that is only told of: what its ledger says is known, nothing is kept."""
    path = ledger or folder / LEDGER_NAME
    latest = {record.key: record for record in read_ledger(path)}
    return Place(
        str(folder.absolute()), _Remembered(path, -1, latest), _forgotten, lambda _: True, force, content
    )


def _forgotten(_: str, __: Mapping[str, Any]) -> None:
    return


def foretold_file(job: Job, target: Target, *, force: bool = False) -> Outcome:
    """What `transcode_files` would say of a job; `written` has the syntaxes in its facts."""

    def told(status: Any, reason: str = "", **facts: Any) -> Outcome:
        return Outcome(job.source.name, status, job.out, reason, facts or None)

    try:
        if job.out.exists() and not (force or job.replace):
            return told("present") if is_done(job, target) else told("failed", f"{job.out} exists already")
        if why_spared(job):
            return told("failed", why_spared(job))
        before, after, reason = _way(job.source, read_instance(job.source).header, target)
        return told("copied", reason) if reason else told("written", before=before, after=after)
    except NotDicomError as error:
        return told("skipped" if job.original is None else "copied", error.found)
    except HounsfieldError as error:
        return told("failed" if job.original is None else "copied", str(error))


def foretell_tree(root: Path, target: Target) -> Iterator[Outcome]:
    """What `compress_in_place` would make of every file below `root` (or of `root` itself, a file)."""
    for path in [root] if root.is_file() else _files(root):
        try:
            before, after, reason = _way(FileSource(path), read_instance(FileSource(path)).header, target)
        except NotDicomError:
            yield Outcome(str(path), "kept", path, "no DICOM file")
        except HounsfieldError as error:
            yield Outcome(str(path), "failed", path, str(error).removeprefix(f"{path}: "))
        else:
            facts = {"before": before, "after": after}
            yield Outcome(str(path), "kept" if reason else "written", path, reason, None if reason else facts)


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
