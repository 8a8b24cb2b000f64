"""Volume files as locations: `.nii .nii.gz .nrrd .nhdr .mha .mhd .npy .zarr`, each slice an instance.

A volume file has no header of a scanner, so each slice becomes a CT Image with what the file says and nothing more:
place, scale, unit. Whether the numbers are Hounsfield units is not believed here: physics judges them like any
other (docs/trust.md).
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.instance.source import Skipped, Source
from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.locations.archives.limits import ArchiveLimits
from hounsfield.locations.archives.streams import Extent
from hounsfield.locations.volume_files import VolumeFile, open_volume

if TYPE_CHECKING:
    from pydicom import Dataset

_CELLS = {"f": {2: "f4", 4: "f4", 8: "f8"}, "i": {8: "f8"}, "u": {8: "f8"}, "b": {1: "u1"}}
"""Number types that no DICOM pixel has, by kind and size, and what holds their values."""

# Placeholders as wide as what replaces them in each slice's copy of the one header that is encoded.
_UID = "2.25." + "1" * 46
_NUMBER, _VOLUME = "111111111112", "111111111113"
_POSITION = "\\".join(("11111111111111.1", "11111111111111.2", "11111111111111.3"))

_SERIES = len(_UID) - len(".000000")
_DECIMAL = 16  # characters of a DS
_KEPT: Mapping[str, str] = MappingProxyType(
    {
        "Modality": r"[A-Z0-9_ ]{1,16}",
        "Manufacturer": r"[\w .,/+-]{1,64}",
        "ConvolutionKernel": r"[\w .,/+-]{1,16}",
        "KVP": r"\d{1,3}(\.\d{1,3})?",
        "SeriesNumber": r"\d{1,9}",
        "BodyPartExamined": r"[A-Z0-9_ ]{1,16}",
        "StudyDate": r"\d{8}",
    }
)
"""Facts of the scan that some formats carry along, and what their values look like; others are left out."""

Affine = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VolumeLocation:
    """A volume file as a location; opened, and expanded where compressed, when `sources()` is first advanced."""

    path: Path
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)

    @property
    def name(self) -> str:
        return str(self.path)

    def sources(self) -> Iterator[Source | Skipped]:
        yield from slices_of(open_volume(self.path, self.limits))


def slices_of(file: VolumeFile) -> Iterator[Source]:
    """Every slice of every volume of the file as an instance, in the order of the file."""
    layout = file.layout
    volumes, slices, rows, _ = layout.shape
    affine, is_flipped = _right_handed(layout.affine, rows)
    template = _template(file, affine)
    steps = np.zeros(3) if affine is None else affine[:3, 0]
    origin = np.zeros(3) if affine is None else affine[:3, 3]
    for volume in range(volumes):
        for index in range(slices):
            header = template.of(volume * slices + index, volume, origin + index * steps)
            yield VolumeSlice(file, volume, index, header, is_flipped)


def _right_handed(affine: Affine | None, rows: int) -> tuple[Affine | None, bool]:
    """The affine as DICOM can say it: slices stacked along row × column direction, rows flipped where they are not.

    What dcm2niix writes is left-handed in that sense: its first row is the last of the DICOM.
    """
    if affine is None or np.cross(affine[:3, 2], affine[:3, 1]) @ affine[:3, 0] > 0:
        return affine, False
    flipped = affine.copy()
    flipped[:3, 3] += (rows - 1) * affine[:3, 1]
    flipped[:3, 1] *= -1
    return flipped, True


@dataclass(frozen=True, slots=True)
class VolumeSlice:
    """One slice as a `Source`: a CT Image of what the file says, its pixels read from the file as they are wanted."""

    file: VolumeFile
    volume: int
    index: int
    header: bytes
    is_flipped: bool

    @property
    def name(self) -> str:
        volume = f"volume {self.volume + 1}, " if self.file.layout.shape[0] > 1 else ""
        return f"{self.file.name}!/{volume}slice {self.index + 1}"

    @property
    def size(self) -> int:
        """Bytes of the instance."""
        layout = self.file.layout
        return len(self.header) + _even(layout.plane_bytes(_cell(layout.dtype).itemsize))

    @property
    def checksum(self) -> str:
        """Size and time of the file, by which a run knows it again."""
        return self.file.stamp

    def open(self) -> BinaryIO:
        try:
            plane = self.file.cells[self.volume, self.index]
        except (OSError, ValueError) as error:
            raise LocationError(
                say("cannot be opened: {error}", error=error), where=self.name, remedy="is it still there?"
            ) from error
        return cast(BinaryIO, _Rows(self.header, plane[::-1] if self.is_flipped else plane, self.name))


class _Rows(Extent):
    """A header and the rows behind it, as pixels of DICOM, made as far as they are read."""

    def __init__(self, header: bytes, plane: NDArray[Any], name: str) -> None:
        self._cell = _cell(plane.dtype)
        self._row_bytes = plane.shape[1] * self._cell.itemsize
        size = len(header) + _even(plane.shape[0] * self._row_bytes)
        self._held = io.BytesIO(header)
        super().__init__(cast(BinaryIO, self._held), 0, size, name)
        self._plane, self._begin_of_rows, self._done = plane, len(header), 0

    def _ready(self, end: int) -> None:
        wanted = min(-(-(end - self._begin_of_rows) // self._row_bytes), len(self._plane))
        if wanted > self._done:
            self._held.seek(self._begin_of_rows + self._done * self._row_bytes)
            self._held.write(self._plane[self._done : wanted].astype(self._cell, order="C").tobytes())
            self._done = wanted
            if wanted == len(self._plane):
                self._held.write(b"\0")  # an odd number of bytes is made even (PS3.5 8.1.1)


def _even(length: int) -> int:
    return length + length % 2


def _cell(kind: np.dtype[Any]) -> np.dtype[Any]:
    """The little-endian type of pixels that holds every value of `kind`."""
    held = _CELLS.get(kind.kind, {}).get(kind.itemsize, f"{kind.kind}{kind.itemsize}")
    return np.dtype(f"<{held}")


@dataclass(frozen=True, slots=True)
class _Template:
    """An encoded header with placeholders for what differs between slices."""

    encoded: bytes
    series: str
    volumes: int

    def of(self, number: int, volume: int, position: NDArray[np.float64]) -> bytes:
        """The header of slice `number` of the file, counted from 0 over all its volumes."""
        places = "\\".join(_decimal(mm) for mm in position)
        encoded = self.encoded.replace(
            _UID.encode(), f"{self.series}.{number:06d}".ljust(len(_UID), "\0").encode()
        )
        encoded = encoded.replace(_POSITION.encode(), places.ljust(len(_POSITION)).encode())
        encoded = encoded.replace(_NUMBER.encode(), str(number + 1).ljust(len(_NUMBER)).encode())
        return encoded.replace(_VOLUME.encode(), str(volume + 1).ljust(len(_VOLUME)).encode())


def _template(file: VolumeFile, affine: Affine | None) -> _Template:
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    series = f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, Path(file.name).absolute().as_uri()).int}"[:_SERIES]
    dataset = _described(file, series)
    if affine is not None:
        dataset.ImagePositionPatient = _POSITION.split("\\")
        across, down = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (2, 1))
        dataset.ImageOrientationPatient = [_decimal(part) for part in (*across, *down)]
        dataset.PixelSpacing = [_decimal(float(np.linalg.norm(affine[:3, axis]))) for axis in (1, 2)]
    elif file.layout.spacing is not None:
        dataset.PixelSpacing = [_decimal(mm) for mm in file.layout.spacing[1:]]
        dataset.SpacingBetweenSlices = _decimal(file.layout.spacing[0])
    cell = _cell(file.layout.dtype)
    keyword = {"f4": "FloatPixelData", "f8": "DoubleFloatPixelData"}.get(cell.str[1:], "PixelData")
    setattr(dataset, keyword, b"")
    if keyword == "PixelData":
        dataset["PixelData"].VR = "OW"
        dataset.BitsAllocated = dataset.BitsStored = 8 * cell.itemsize
        dataset.HighBit = dataset.BitsAllocated - 1
        dataset.PixelRepresentation = int(cell.kind == "i")
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    # The pixel element comes last, and its length last of it (PS3.5 7.1.2).
    length = _even(file.layout.plane_bytes(cell.itemsize))
    return _Template(out.getvalue()[:-4] + length.to_bytes(4, "little"), series, file.layout.shape[0])


def _described(file: VolumeFile, series: str) -> Dataset:
    """The attributes that all slices share, but for place and pixels."""
    import pydicom
    from pydicom.uid import CTImageStorage

    layout = file.layout
    dataset = pydicom.Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, _UID
    dataset.Modality = "CT"
    dataset.SeriesDescription = _printable(PurePath(file.name).name, 64)
    for keyword, pattern in _KEPT.items():
        if re.fullmatch(pattern, layout.facts.get(keyword, ""), re.ASCII):
            setattr(dataset, keyword, layout.facts[keyword])
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = series
    dataset.InstanceNumber = _NUMBER
    if layout.shape[0] > 1:
        dataset.TemporalPositionIdentifier = _VOLUME
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = layout.shape[2:]
    dataset.RescaleIntercept, dataset.RescaleSlope = _decimal(layout.intercept), _decimal(layout.slope)
    if layout.unit:
        dataset.RescaleType = "US" if layout.unit == "unspecified" else _printable(layout.unit, 16)
    return dataset


def _printable(text: str, longest: int) -> str:
    """Text that a value of DICOM can be: no backslash, which separates values, and no control character."""
    return "".join(sign if sign.isprintable() and sign != "\\" else "_" for sign in text)[:longest]


def _decimal(number: float) -> str:
    """A number of at most 16 characters, as near as they allow (PS3.5 6.2, DS)."""
    from pydicom.valuerep import format_number_as_ds

    text = repr(float(number))
    return text if len(text) <= _DECIMAL else format_number_as_ds(float(number))
