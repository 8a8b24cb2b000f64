"""Instances as one ZIP archive, by folders of series, or as a file-set with its DICOMDIR (PS3.10 8)."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.ct.instance import read_instance
from hounsfield.dicom.uids import DEFLATED
from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.server.archive.index import Entry
from hounsfield.server.http.collection import Member, made, warning
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response
from hounsfield.server.http.streams import Piece
from hounsfield.server.http.zipping import ZIP, zipped
from hounsfield.server.state import AppState

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.fileset import FileSet

_Named = tuple[str, int | None, Callable[[], Piece]]

_INVENTED = {
    "PatientID": "UNKNOWN",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "StudyID": "0",
    "Modality": "OT",
    "SeriesNumber": "0",
    "InstanceNumber": "0",
}
"""Values that records must have (PS3.3 F.5), where files do not: in the directory alone, as dcmmkdir invents them."""

MOST_IN_DICOMDIR = 20_000
"""Instances of one file-set."""


def zip_file(
    state: AppState, request: Request, entries: Sequence[Entry], members: Sequence[Member], tag: str
) -> Response:
    """The archive of `members`, one for each of `entries`; with `?dicomdir=true` as a file-set."""
    name = request.names.get("instance") or request.names.get("series") or request.names["study"]
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    if request.method == "HEAD":
        return Response(b"", ZIP, headers={**headers, "ETag": tag})
    parts, failed = made(members)
    if failed and not parts:
        raise failed[0][1]
    left_out = {uid for uid, _ in failed}
    kept = [entry for entry in entries if entry.instance not in left_out]
    names = [f"{entry.path.split('/')[3]}/{entry.instance}.dcm" for entry in kept]
    contents = [(length, content) for _, length, content in parts]
    first: list[_Named] = []
    if _wants_dicomdir(request):
        directory, names = _file_set(
            state, kept, [member for member in members if member.name not in left_out]
        )
        first = [("DICOMDIR", len(directory), partial(bytes, directory))]
    named = [(name, *content) for name, content in zip(names, contents, strict=True)]
    response = Response(zipped([*first, *named]), ZIP, headers=headers)
    if failed:
        response.status, response.warnings = 206, (warning(failed, len(members)),)
    else:
        headers["ETag"] = tag
    return response


def _wants_dicomdir(request: Request) -> bool:
    asked = (request.parameter("dicomdir") or "false").strip().lower()
    if asked not in {"true", "false"}:
        raise UnsupportedError(
            say("dicomdir={asked}", asked=repr(asked[:20])), expected="true or false", status=400
        )
    return asked == "true"


def _file_set(
    state: AppState, entries: Sequence[Entry], members: Sequence[Member]
) -> tuple[bytes, list[str]]:
    """The DICOMDIR, and the name of each instance's file by it."""
    from pydicom.fileset import FileSet
    from pydicom.uid import UID

    if len(entries) > MOST_IN_DICOMDIR:
        raise UnsupportedError(
            say("a DICOMDIR of {count} instances", count=len(entries)),
            expected=say("at most {most}", most=MOST_IN_DICOMDIR),
            status=413,
        )
    files = FileSet()
    files.ID = "HOUNSFIELD"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _staged(files):
        warnings.simplefilter("ignore")  # of odd values, which records are not made of
        for entry, member in zip(entries, members, strict=True):
            try:
                files.add(_header(state, entry, member))
            except Exception as error:  # pydicom raises whatever the attributes lead it to
                raise UnsupportedError(
                    say(
                        "no record in a DICOMDIR can be made of {instance}: {error}",
                        instance=entry.instance,
                        error=str(error)[:200],
                    ),
                    remedy="request it without dicomdir",
                ) from error
        files.write(folder)
        root = Path(folder).resolve()
        placed = {
            each.SOPInstanceUID: Path(each.path).resolve().relative_to(root).as_posix() for each in files
        }
        names = [placed[UID(entry.instance)] for entry in entries]
        content = (Path(folder) / "DICOMDIR").read_bytes()
    return content, names


@contextmanager
def _staged(files: FileSet) -> Iterator[None]:
    """Remove the folder in which a file-set holds what is added; left alone, it warns of that."""
    try:
        yield
    finally:
        files._stage["t"].cleanup()


def _header(state: AppState, entry: Entry, member: Member) -> Dataset:
    """The data set of an instance without its pixels, labelled with the syntax that it is sent in."""
    from pydicom import dcmread
    from pydicom.uid import UID

    source = state.library.source(entry)
    header = read_instance(source).header
    length = header.pixels.offset if header.pixels is not None and header.transfer_syntax != DEFLATED else -1
    with source.open() as stream:
        dataset = dcmread(io.BytesIO(stream.read(length)), stop_before_pixels=True, force=True)
    for keyword, value in _INVENTED.items():
        if dataset.get(keyword) in (None, ""):
            setattr(dataset, keyword, value)
    sent = next(value for key, value in member.headers if key == "Content-Type")
    dataset.file_meta.TransferSyntaxUID = UID(sent.rpartition("=")[2])
    return dataset
