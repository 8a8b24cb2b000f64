"""The table of volume formats: one row says all that the command, the server, locations and documents know of one.

Another package adds one by an entry point in the group `hounsfield.formats`: its name is a suffix (`.toy`), its object
a `VolumeFormat`. A suffix of this table cannot be taken from it. Functions are named, `module:function`, and imported
when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.extensions import extensions, load_extension, named
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

    from hounsfield.ct.volume import Volume
    from hounsfield.formats.description import Compression

GROUP = "hounsfield.formats"

Writer = Callable[["Volume", Path, bool, "Compression"], tuple[Path, ...]]
"""Writes (volume, absolute path, whether to replace, compression) whole or not at all; returns the paths written."""


@dataclass(frozen=True, slots=True)
class VolumeFormat:
    """A file format for volumes.

    - `keyword`: what a request calls it; `suffixes` of its outputs, the usual one first; `media_type` of that one
    - `writer`: a `Writer`
    - `reader`: takes a `formats.reading.Beginning`, returns a `VolumeLayout`; "" for a format that is only written.
      Read are files with `suffixes` or `also_read`, or that begin with one of `magic`
    - `folder`: an output is a folder; `sidecars`: suffixes of the files that belong to an output and lie beside it
    - `storer`: writes (volume, address, whether to replace, compression) of a folder into a bucket
    - `streamer`: writes a series with a slab of slices in memory at a time; `joiner`: all phases of one in one file
    - `cautions`: what readers may not take of a volume, as sentences
    - `sourced`: it names patient and study: `write` takes the headers of the scan that the volume belongs to, too
    - `quantised`: real numbers are kept in 16 bits, within half a step, which `cautions` says
    """

    name: str
    keyword: str
    suffixes: tuple[str, ...]
    writer: str
    media_type: str = "application/octet-stream"
    reader: str = ""
    also_read: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    folder: bool = False
    sidecars: tuple[str, ...] = ()
    storer: str = ""
    streamer: str = ""
    joiner: str = ""
    cautions: str = ""
    sourced: bool = False
    quantised: bool = False

    def cautions_of(self, volume: Volume) -> tuple[str, ...]:
        """Return what readers of this format may not take of the volume, as sentences."""
        return tuple(named(self.cautions)(volume)) if self.cautions else ()

    def write(
        self,
        volume: Volume,
        path: Path,
        force: bool,
        compression: Compression,
        like: Sequence[Dataset] = (),
    ) -> tuple[Path, ...]:
        """Write one file or folder. Raises `OutputExistsError` for an existing one without `force`, before any work.

        `like`: headers of the scan it belongs to, first and last slice; `UnsupportedError` where no row takes them.
        """
        if like and not self.sourced:
            raise UnsupportedError(
                say("{name} names no patient and study", name=self.name),
                where=str(path),
                remedy="leave like= out",
            )
        if self.sourced:
            paths: tuple[Path, ...] = named(self.writer)(volume, path, force, compression, like)
            return paths
        writer: Writer = named(self.writer)
        return writer(volume, path, force, compression)

    def beside(self, path: Path) -> tuple[Path, ...]:
        """The sidecars of an output."""
        return tuple(path.with_suffix(suffix) for suffix in self.sidecars)


FORMATS: tuple[VolumeFormat, ...] = (
    VolumeFormat(
        "NIfTI",
        "nifti",
        (".nii.gz", ".nii"),
        "hounsfield.formats.nifti:write_nifti",
        media_type="application/gzip",
        reader="hounsfield.formats.reading.nifti:nifti_layout",
        joiner="hounsfield.formats.nifti_series:write_phases",
        cautions="hounsfield.formats.nifti:nifti_cautions",
    ),
    VolumeFormat(
        "NRRD",
        "nrrd",
        (".nrrd",),
        "hounsfield.formats.nrrd:write_nrrd",
        reader="hounsfield.formats.reading.nrrd:nrrd_layout",
        also_read=(".nhdr",),
        magic=(b"NRRD00",),
    ),
    VolumeFormat(
        "MetaImage",
        "mha",
        (".mha",),
        "hounsfield.formats.metaimage:write_metaimage",
        reader="hounsfield.formats.reading.metaimage:metaimage_layout",
        also_read=(".mhd",),
    ),
    VolumeFormat(
        "NumPy",
        "npy",
        (".npy",),
        "hounsfield.formats.npy:write_npy",
        reader="hounsfield.formats.reading.npy:npy_layout",
        magic=(b"\x93NUMPY",),
        sidecars=(".json",),
    ),
    VolumeFormat(
        "OME-Zarr",
        "zarr",
        (".zarr", ".ome.zarr"),
        "hounsfield.formats.omezarr:write_omezarr",
        folder=True,
        storer="hounsfield.formats.omezarr:store_omezarr",
        streamer="hounsfield.formats.omezarr:stream_omezarr",
    ),
    VolumeFormat(
        "DICOM",
        "dicom",
        (".dicom",),
        "hounsfield.formats.dicom:write_classic",
        media_type="application/dicom",
        folder=True,
        cautions="hounsfield.formats.dicom:dicom_cautions",
        sourced=True,
        quantised=True,
    ),
    VolumeFormat(
        "Enhanced CT",
        "enhanced",
        (".dcm",),
        "hounsfield.formats.dicom:write_enhanced",
        media_type="application/dicom",
        cautions="hounsfield.formats.dicom:dicom_cautions",
        sourced=True,
        quantised=True,
    ),
)
"""The formats of this package. A Zarr is read as a folder (`hounsfield.locations.volume_files`), DICOM as ever."""


def volume_formats() -> tuple[VolumeFormat, ...]:
    """Every format, those of other packages last. Raises `UnsupportedError` where one of these cannot be imported."""
    added = (_added(suffix) for suffix in extensions(GROUP) if suffix not in _own_suffixes())
    return (*FORMATS, *dict.fromkeys(added))


def volume_suffixes() -> tuple[str, ...]:
    """The suffixes of every format, the one that is usual first; other packages are not imported for theirs."""
    own = _own_suffixes()
    return (*own, *(suffix for suffix in extensions(GROUP) if suffix not in own))


def format_of(name: str) -> VolumeFormat | None:
    """The format that the suffix of a name tells, in any case, the longest that fits; None where none does."""
    name = name.lower()
    fitting = [suffix for suffix in volume_suffixes() if name.endswith(suffix)]
    if not fitting:
        return None
    suffix = max(fitting, key=len)
    return next((each for each in FORMATS if suffix in each.suffixes), None) or _added(suffix)


def volume_format(path: str | Path) -> VolumeFormat:
    """The format that a path's suffix asks for, in any case; `UnsupportedError` for an unknown one."""
    found = format_of(Path(path).name)
    if found is None:
        raise UnsupportedError(
            "no format for a volume by that suffix",
            expected=", ".join(volume_suffixes()),
            where=str(path),
            remedy="give the output one of these suffixes",
        )
    return found


def format_by_keyword(name: str) -> VolumeFormat:
    """The format of that keyword or suffix, such as "dicom" or ".nii.gz". Raises `UnsupportedError`."""
    for each in volume_formats():
        if name.lower() in (each.keyword, *each.suffixes):
            return each
    raise UnsupportedError(
        say("no format {name} for a volume", name=repr(name)),
        expected=", ".join(each.keyword for each in volume_formats()),
    )


def sidecars_of(path: str | Path) -> tuple[Path, ...]:
    """Return what belongs to an output and lies beside it; nothing for an output of another kind."""
    found = format_of(Path(path).name)
    return () if found is None else found.beside(Path(path))


def _own_suffixes() -> tuple[str, ...]:
    return tuple(suffix for each in FORMATS for suffix in each.suffixes)


def _added(suffix: str) -> VolumeFormat:
    row: Any = load_extension(GROUP, suffix)
    if not isinstance(row, VolumeFormat) or suffix not in row.suffixes:
        raise UnsupportedError(
            say("the extension {suffix} is a {name__}", suffix=repr(suffix), name__=type(row).__name__),
            expected=say("a VolumeFormat with the suffix {suffix}", suffix=suffix),
            remedy="ask its authors",
        )
    return row
