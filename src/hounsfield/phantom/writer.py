"""The phantom as DICOM: data sets one after another, and files in a folder."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from hounsfield.phantom.companions import companions, write_other_files
from hounsfield.phantom.directory import write_with_dicomdir
from hounsfield.phantom.enhanced import in_order, multiframe
from hounsfield.phantom.headers import file_meta, of_one_slice, shared_by_slices
from hounsfield.phantom.pixels import add_pixels, syntax_uid
from hounsfield.phantom.placement import placements
from hounsfield.phantom.spec import PhantomSpec
from hounsfield.phantom.values import cells, stored


def datasets(spec: PhantomSpec) -> Iterator[Dataset]:
    """Every data set of the series with its `file_meta`, slices by Instance Number, then localizers and the like."""
    for _, dataset, _ in _named(spec):
        yield dataset


def write(spec: PhantomSpec, folder: Path | str) -> list[Path]:
    """Write the series into `folder`, which is made; the paths of the DICOM files, in the order of `datasets`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if spec.strays:
        write_other_files(folder)
    if spec.dicomdir is not None:
        return write_with_dicomdir(spec, list(datasets(spec)), folder)
    paths = []
    for name, dataset, damaged in _named(spec):
        path = folder / name
        path.write_bytes(serialise(spec, dataset, damaged=damaged))
        paths.append(path)
    return paths


def serialise(spec: PhantomSpec, dataset: Dataset, *, damaged: bool = False) -> bytes:
    """The bytes of one file, with or without preamble and file meta, cut short where the spec damages it."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # What a spec asks for is not what pydicom would advise; a conform spec warns of nothing, which a test shows.
        warnings.simplefilter("ignore")
        _dcmwrite(spec, dataset, stream)
    content = stream.getvalue()
    if spec.file_meta and not spec.preamble:
        content = content[128 + 4 :]
    return content[: len(content) - spec.cut_bytes] if damaged else content


def _dcmwrite(spec: PhantomSpec, dataset: Dataset, stream: io.BytesIO) -> None:
    meta = dataset.file_meta
    syntax = meta.TransferSyntaxUID
    if spec.file_meta and not spec.native_pixels and syntax.is_transfer_syntax:
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
        return
    # Group 0002 and data set apart: pydicom would not join them so, or does not know the syntax.
    if spec.file_meta:
        stream.write(bytes(128) + b"DICM")
        write_file_meta_info(DicomFileLike(stream), meta)
    del dataset.file_meta
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(stream, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    dataset.file_meta = meta


def _named(spec: PhantomSpec) -> Iterator[tuple[str, Dataset, bool]]:
    """File name, data set, and whether the file is one that the spec damages."""
    if spec.multiframe is not None:
        dataset = multiframe(spec)
        dataset.file_meta = file_meta(dataset, syntax_uid(spec))
        yield "MF0001.dcm", dataset, spec.damaged is None
    else:
        yield from _slices(spec)
    for name, dataset in companions(spec):
        yield name, dataset, False


def _slices(spec: PhantomSpec) -> Iterator[tuple[str, Dataset, bool]]:
    common = shared_by_slices(spec)
    syntax = syntax_uid(spec)
    for number, placement in enumerate(in_order(placements(spec), spec.order, spec.seed), start=1):
        dataset = Dataset()
        dataset.update(common)
        of_one_slice(dataset, spec, placement, number)
        damaged = spec.damaged is None or placement.index in spec.damaged
        add_pixels(dataset, spec, [cells(spec, placement, stored(spec, placement))], damaged=damaged)
        dataset.file_meta = file_meta(dataset, syntax)
        yield f"CT{number:04d}.dcm", dataset, damaged
