"""Files that came from a server: whole, and of what was asked for; or not, and gone."""

from __future__ import annotations

from pathlib import Path

from hounsfield.ct.instance.source import FileSource, Skipped
from hounsfield.errors import HounsfieldError
from hounsfield.language import say
from hounsfield.locations.location import Delivered
from hounsfield.locations.uids import written_uids


def arrived(
    path: Path,
    size: int,
    *,
    study: str | None,
    series: str | None,
    instance: str | None,
    asked: str,
    name: str,
    head: bytes = b"",
) -> Delivered | Skipped:
    """The file at `path` as an instance of that series; `Skipped`, and no file, if it is cut or another one.

    `asked` is what it came for, `name` what it is called where its UIDs cannot be read; `head` saves reading it.
    """
    try:
        uids = written_uids(FileSource(path), head, size)
    except HounsfieldError as error:
        path.unlink(missing_ok=True)
        return Skipped(name, error.found)
    if uids[:2] != (study, series) or instance not in {None, uids[2]}:
        path.unlink(missing_ok=True)
        return Skipped(uids[2], say("came where {asked} was asked for", asked=asked))
    return Delivered(*uids, FileSource(path), size, path)
