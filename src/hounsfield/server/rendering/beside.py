"""Volume files that lie among the DICOM of a location: label maps, the same scan as a NIfTI; found, not yet read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from hounsfield.ct.instance import Skipped, Source
from hounsfield.locations.volume_files import is_volume
from hounsfield.server.rendering.layers import VolumeBeside

MOST = 32
LARGEST = 1 << 31
"""Bytes that are copied out of an archive, for all files together."""

_HEAD = 1024
_BLOCK = 1 << 20
_COPIED = (".nii", ".nii.gz", ".nrrd", ".mha", ".npy")
"""Suffixes of what is one file; of the others the voxels lie elsewhere."""


def volumes_beside(
    skipped: Iterable[Skipped], others: Mapping[str, Source], folder: Path
) -> tuple[VolumeBeside, ...]:
    """The volume files among what is no DICOM; those within an archive are copied into `folder`."""
    found: list[tuple[str, Path]] = []
    room = LARGEST
    for each in skipped:
        path = Path(each.name)
        name = PurePath(each.name).name
        if len(found) == MOST:
            break
        if path.is_file():
            if is_volume(path, _head(path)):
                found.append((name, path))
        elif name.lower().endswith(_COPIED) and each.name in others:
            copy = _copied(others[each.name], folder / f"{len(found)}-{name[-80:]}", room)
            if copy is not None:
                room -= copy.stat().st_size
                found.append((name, copy))
    return tuple(VolumeBeside(f"beside-{number}", name, path) for number, (name, path) in enumerate(found))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD)
    except OSError:
        return b""


def _copied(source: Source, target: Path, room: int) -> Path | None:
    """A copy of a source in `target`; None where it has more than `room` bytes."""
    with source.open() as stream, target.open("wb") as out:
        while block := stream.read(_BLOCK):
            room -= out.write(block)
            if room < 0:
                break
        else:
            return target
    target.unlink()
    return None
