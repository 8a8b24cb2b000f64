"""A scan of a phantom made from its description: volume, truth, and DICOM files with `truth.json` beside them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from hounsfield.ct.volume import Volume
from hounsfield.phantom.qa.description import Model, model
from hounsfield.phantom.qa.scan import Scan, affine, rotation
from hounsfield.phantom.qa.solids import Slice, paint, profile_integral

AIR = -1000.0
_STORED_OFFSET = 8192
"""HU of a stored 0, negated: noise in air is kept."""


def make(scan: Scan) -> Volume:
    """Return the scan as a volume of HU, int16."""
    phantom = model(scan.model)
    turn, grid = rotation(scan), affine(scan, _middle(phantom, scan))
    noise, spread = _Noise(scan), _point_spread(scan)
    array = np.empty(scan.shape, np.int16)
    plane: Slice | None = None
    for number in range(scan.shape[0]):
        places = _places(scan, grid, number)
        plane = _plane(scan, turn, places, plane)
        image = np.full(scan.shape[1:], AIR)
        paint(image, plane, phantom, scan)
        _surroundings(image, plane, phantom, scan, places)
        image = np.fft.irfft2(np.fft.rfft2(image) * spread, image.shape)
        image = _artefacts(image, plane, phantom, scan) + noise.slice()
        array[number] = np.rint(_cut_off(image, scan, places))
    return Volume(array, grid, scan.spacing, header=_header(scan))


def _places(scan: Scan, grid: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return (3, rows, columns), LPS mm from the phantom's centre."""
    rows, columns = np.mgrid[: scan.shape[1], : scan.shape[2]]
    found = np.stack(
        [grid[axis, 0] * number + grid[axis, 1] * rows + grid[axis, 2] * columns for axis in range(3)]
    )
    return found + (grid[:3, 3] - scan.offset)[:, None, None]


def _plane(scan: Scan, turn: NDArray[np.float64], places: NDArray[np.float64], last: Slice | None) -> Slice:
    """Return the slice in the phantom's coordinates; without tilt only its height differs from the last."""
    if last is not None and not any(scan.tilt):
        return replace(last, w=turn[2, 2] * places[2, :1, :1])
    u, v, w = np.tensordot(turn.T, places, 1)
    return Slice(u, v, w if any(scan.tilt) else w[:1, :1], scan.spacing[1])


def truth(scan: Scan) -> dict[str, Any]:
    """Return what an analysis ought to find in the scan, as plain JSON values."""
    phantom = model(scan.model)
    module = phantom.module("inserts")
    inserts = [] if module is None or module.name in scan.missing else [
        {"name": rod.name, "material": rod.material, "hu": _scaled(phantom.nominal(rod.material), scan)}
        for rod in module.rods
    ]  # fmt: skip
    f50 = math.sqrt(math.log(2) / 2) / (math.pi * scan.psf)
    return {
        "phantom": scan.model,
        "placement": {"roll": scan.roll, "tilt": _tilt(scan), "centre": list(scan.offset),
                      "mirror": scan.mirror, "end": "reversed" if scan.reverse else "normal"},
        "inserts": inserts,
        "ttf": {"f50": f50, "f10": f50 * math.sqrt(math.log(10) / math.log(2))},
        "thickness": _fwhm(scan),
        "scan": scan.to_json(),
    }  # fmt: skip


def write(scan: Scan, folder: Path | str) -> list[Path]:
    """Write the scan as CT Image files and `truth.json` into `folder`, which is made; the paths of the images."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    volume = make(scan)
    paths = []
    for number, pixels in enumerate(volume.array):
        path = folder / f"CT{number + 1:04d}.dcm"
        pydicom.dcmwrite(path, _dataset(scan, volume, number, pixels), enforce_file_format=True)
        paths.append(path)
    (folder / "truth.json").write_text(json.dumps(truth(scan), indent=1), encoding="utf-8")
    return paths


def _middle(phantom: Model, scan: Scan) -> float:
    ends = [each.z + side * each.length / 2 for each in phantom.modules for side in (-1, 1)]
    middle = (min(ends) + max(ends)) / 2
    return -middle if scan.reverse else middle


def _scaled(hu: float | None, scan: Scan) -> float | None:
    return None if hu is None else scan.gain * hu + scan.shift


def _tilt(scan: Scan) -> float:
    return math.degrees(math.acos(min(1.0, abs(float(rotation(scan)[2, 2])))))


def _fwhm(scan: Scan) -> float:
    """Return the full width at half maximum of the slice profile, in mm."""
    heights = np.linspace(-3 * scan.thickness - 3, 3 * scan.thickness + 3, 20001)
    profile = np.gradient(profile_integral(heights, scan), heights)
    above = heights[profile > profile.max() / 2]
    return float(above[-1] - above[0])


def _point_spread(scan: Scan) -> NDArray[np.float64]:
    """Return the Gaussian TTF over that of the pixel's own area, so that the image has the Gaussian alone."""
    fy = np.fft.fftfreq(scan.shape[1], scan.spacing[1])[:, None]
    fx = np.fft.rfftfreq(scan.shape[2], scan.spacing[2])[None]
    gauss = np.exp(-2 * (math.pi * scan.psf) ** 2 * (fx**2 + fy**2))
    found: NDArray[np.float64] = gauss / np.sinc(fx * scan.spacing[2]) / np.sinc(fy * scan.spacing[1])
    return found


class _Noise:
    """Slices of noise, one after the other, each correlated with its neighbour."""

    def __init__(self, scan: Scan) -> None:
        self.scan, self.random = scan, np.random.default_rng(scan.seed)
        fy = np.fft.fftfreq(scan.shape[1], scan.spacing[1])[:, None]
        fx = np.fft.rfftfreq(scan.shape[2], scan.spacing[2])[None]
        f: NDArray[np.float64] = np.hypot(fx, fy)
        shape: NDArray[np.float64] = np.sqrt(f * np.exp(-0.5 * (f / scan.peak) ** 2))
        full = np.hypot(np.fft.fftfreq(scan.shape[2], scan.spacing[2])[None], fy)
        self.filter = shape / math.sqrt(float((full * np.exp(-0.5 * (full / scan.peak) ** 2)).mean()))
        wanted = min(max(scan.z_correlation, 0.0), 0.5)
        share = (1 - math.sqrt(1 - 4 * wanted**2)) / (2 * wanted) if wanted else 0.0
        self.weights: NDArray[np.float64] = np.array([1.0, share]) / math.hypot(1, share)
        self.last = self._white()

    def slice(self) -> NDArray[np.float64]:
        """Return the noise of the next slice, (rows, columns)."""
        if not self.scan.noise:
            return np.zeros(self.scan.shape[1:])
        new = self._white()
        mixed = self.weights[0] * new + self.weights[1] * self.last
        self.last = new
        found: NDArray[np.float64] = self.scan.noise * mixed
        return found

    def _white(self) -> NDArray[np.float64]:
        if not self.scan.noise:
            return np.zeros(self.scan.shape[1:])
        white = np.fft.rfft2(self.random.standard_normal(self.scan.shape[1:]))
        found: NDArray[np.float64] = np.fft.irfft2(white * self.filter, self.scan.shape[1:])
        return found


def _surroundings(
    image: NDArray[np.float64], plane: Slice, phantom: Model, scan: Scan, places: NDArray[np.float64]
) -> None:
    """Fade the rim, put beads on it and a table below the phantom."""
    if scan.rim_gap:
        degrees = np.degrees(np.arctan2(plane.v, plane.u))
        radius = np.hypot(plane.u, plane.v)
        faint = (np.abs(degrees - 108) < scan.rim_gap / 2) & (radius > phantom.radius - 15)
        image[faint] = AIR + (image[faint] - AIR) * np.clip((phantom.radius - radius[faint]) / 15, 0, 1)
    x, y = places[:2]
    for number in range(scan.beads):
        angle = 2 * math.pi * number / scan.beads + 0.3
        u, v = (phantom.radius + 1) * math.cos(angle), (phantom.radius + 1) * math.sin(angle)
        image[(plane.u - u) ** 2 + (plane.v - v) ** 2 < 1.5**2] = 2500
    if scan.table:
        top = phantom.radius + 8
        image[(np.abs(y - top - 2) < 2) & (np.abs(x) < 240)] = 150
        image[(y > top + 4) & (y < top + 24) & (np.abs(x) < 240)] = -880
        image[(np.abs(y - top - 26) < 2) & (np.abs(x) < 240)] = 150


def _artefacts(image: NDArray[np.float64], plane: Slice, phantom: Model, scan: Scan) -> NDArray[np.float64]:
    radius = np.hypot(plane.u, plane.v)
    image = scan.gain * image + scan.shift
    inside = radius < phantom.radius
    image[inside] -= scan.cup * (1 - (radius[inside] / phantom.radius) ** 2)
    image[np.abs(radius - 30) < 0.5] += scan.ring
    return image


def _cut_off(image: NDArray[np.float64], scan: Scan, places: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = (places[axis] + scan.offset[axis] for axis in (0, 1))
    outside = scan.gain * AIR + scan.shift
    if scan.field is not None:
        image[x**2 + y**2 > (scan.field / 2) ** 2] = outside
    if scan.cut is not None:
        image[x > scan.cut] = outside
    found: NDArray[np.float64] = np.clip(
        image,
        -8000 if scan.floor is None else scan.floor,
        20000 if scan.ceiling is None else scan.ceiling,
    )
    return found


def _header(scan: Scan) -> dict[str, str]:
    return {
        "Modality": "CT",
        "Manufacturer": "hounsfield",
        "ManufacturerModelName": "phantom",
        "KVP": f"{scan.kv:g}",
        "ConvolutionKernel": f"GAUSS {scan.psf:g}",
        "SeriesDescription": scan.model,
        "SeriesInstanceUID": _uid(scan, "series"),
        "StudyInstanceUID": _uid(scan, "study"),
    }


def _uid(scan: Scan, *parts: object) -> str:
    text = json.dumps([scan.to_json(), *map(str, parts)], sort_keys=True)
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}"


def _dataset(scan: Scan, volume: Volume, number: int, pixels: NDArray[np.int16]) -> Dataset:
    dataset = Dataset()
    for keyword, value in _header(scan).items():
        setattr(dataset, keyword, value)
    uid = UID(_uid(scan, "instance", number))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.PatientName, dataset.PatientID = "Phantom^QA", "QA"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20240229"
    dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "101500", "1", ""
    dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = ""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, number + 1, 1
    dataset.FrameOfReferenceUID, dataset.PatientPosition = _uid(scan, "frame"), "HFS"
    dataset.PositionReferenceIndicator, dataset.SliceThickness = "", f"{scan.thickness:g}"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [f"{value:.6f}"[:16] for value in volume.lps(number, 0, 0)]
    dataset.PixelSpacing = [f"{scan.spacing[1]:g}", f"{scan.spacing[2]:g}"]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *pixels.shape, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -_STORED_OFFSET, 1, "HU"
    dataset.PixelData = (pixels.astype(np.int32) + _STORED_OFFSET).astype("<u2").tobytes()
    return dataset
