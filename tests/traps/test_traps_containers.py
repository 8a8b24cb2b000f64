"""Traps 51 to 56: what the slices come in. Each test is named for its row; the last one says that none is left."""

from __future__ import annotations

import ast
import io
import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

import hounsfield
from hounsfield import HounsfieldError, Volume, phantom
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.errors import NotDicomError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=4)


def assert_is_truth(volume: Volume, spec: PhantomSpec = SMALL) -> None:
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    np.testing.assert_allclose(volume.affine, phantom.affine(spec), atol=1e-6)


def names(skipped: Any) -> dict[str, str]:
    return {Path(one.name).name: one.reason for one in skipped}


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "explicit-big-endian"])
@pytest.mark.parametrize("lacking", [{"preamble": False}, {"file_meta": False}])
def test_trap_51_without_preamble_or_file_meta(syntax: str, lacking: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax=syntax, **lacking)
    phantom.write(spec, tmp_path)
    assert_is_truth(hounsfield.load(tmp_path), spec)


def test_trap_51_acr_nema_begins_with_a_group_length(tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax="implicit", file_meta=False)
    for path in phantom.write(spec, tmp_path):
        content = path.read_bytes()
        old = struct.pack("<HHII", 0x0008, 0x0000, 4, 300) + struct.pack("<HHI", 0x0008, 0x0001, 4) + bytes(4)
        path.write_bytes(old + content)
    assert_is_truth(hounsfield.load(tmp_path), spec)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 500, b"hello", b"%PDF-1.4 \n" * 40, b"\x89PNG\r\n\x1a\n" + bytes(99)]
)
def test_trap_51_other_files_are_not_taken_for_dicom(content: bytes) -> None:
    with pytest.raises(NotDicomError):
        read_instance(BytesSource("file", content))


@pytest.mark.parametrize("kind", ["good", "lowercase", "dead"])
def test_trap_52_dicomdir_with_good_differing_or_dead_references(kind: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, dicomdir=kind)
    phantom.write(spec, tmp_path)
    assert_is_truth(hounsfield.load(tmp_path / "DICOMDIR"), spec)
    assert_is_truth(hounsfield.load(tmp_path), spec)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR.dead"])
def test_trap_52_real_dicomdirs_whose_references_do_not_resolve(real_data: Path, name: str) -> None:
    scan = hounsfield.scan(real_data / "philips_phantom" / name)
    assert sorted(len(series.slices) for series in scan.series) == [1, 28, 54, 140]
    if name == "DICOMDIR.dead":
        assert "of its 433 references are dead" in scan.skipped[0].reason


def test_trap_53_strays_are_left_out_with_a_reason(tmp_path: Path) -> None:
    spec = replace(SMALL, strays=True)
    phantom.write(spec, tmp_path)
    assert_is_truth(hounsfield.load(tmp_path), spec)
    assert names(hounsfield.scan(tmp_path).skipped) == {
        "DIRFILE": "not DICOM: neither a DICM preamble nor a data set at its start",
        "notes.txt": "not DICOM: neither a DICM preamble nor a data set at its start",
        "PR001.dcm": "no image: Grayscale Softcopy Presentation State Storage",
        "SR001.dcm": "no image: Basic Text SR Storage",
    }
    assert [each.kind for each in hounsfield.scan(tmp_path).masks] == ["RTSTRUCT"]


def test_trap_53_real_dirfiles(real_data: Path) -> None:
    scan = hounsfield.scan(real_data / "philips_phantom" / "S21610")
    assert names(scan.skipped) == {"DIRFILE": "no image: Media Storage Directory Storage"}
    assert len(scan.skipped) == 2


def changed(folder: Path, change: Any, spec: PhantomSpec = SMALL) -> Path:
    folder.mkdir()
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("tag", "vr", "convert"),
    [
        (0x00281052, "FD", float),
        (0x00281053, "FL", float),
        (0x00280030, "LO", str),
        (0x00280010, "UL", int),
        (0x00280011, "SS", int),
        (0x00280103, "IS", str),
        (0x0020000E, "LO", str),
    ],
)
def test_trap_54_elements_with_a_wrong_vr(tag: int, vr: str, convert: Any, tmp_path: Path) -> None:
    def with_wrong_vr(dataset: Dataset) -> None:
        value = dataset[tag].value
        several = isinstance(value, pydicom.multival.MultiValue)
        dataset[tag] = DataElement(tag, vr, [convert(one) for one in value] if several else convert(value))

    assert_is_truth(hounsfield.load(changed(tmp_path / "ct", with_wrong_vr)))


def test_trap_54_private_sequences_of_undefined_length(tmp_path: Path) -> None:
    for syntax in ("implicit", "explicit"):
        spec = replace(SMALL, private_tags=True, transfer_syntax=syntax)
        phantom.write(spec, tmp_path / syntax)
        assert_is_truth(hounsfield.load(tmp_path / syntax), spec)


def as_un(dataset: Dataset, keyword: str) -> None:
    """The sequence as an Implicit VR value of VR UN (PS3.5 6.2.2), as a node that did not know it passes it on."""
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    pydicom.filewriter.write_sequence(stream, dataset[keyword], "utf-8")  # type: ignore[arg-type]
    tag, value = pydicom.tag.Tag(keyword), stream.getvalue()
    dataset._dict[tag] = RawDataElement(tag, "UN", len(value), value, 0, False, True)


def test_trap_54_functional_groups_written_as_un(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", frame_order="shuffled")

    def unknown(dataset: Dataset) -> None:
        as_un(dataset, "PerFrameFunctionalGroupsSequence")
        as_un(dataset, "SharedFunctionalGroupsSequence")

    assert_is_truth(hounsfield.load(changed(tmp_path / "ct", unknown, spec)), spec)


@pytest.mark.parametrize(
    ("charset", "name", "decoded"),
    [
        ("ISO_IR 100", "Müller^Jürgen", "Müller^Jürgen"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东"),
        ("GB18030", "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东"),
        (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎", "Yamada^Tarou=山田^太郎"),
        (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞", "Hong^Gildong=洪^吉洞"),
    ],
)
@pytest.mark.parametrize("syntax", ["explicit", "explicit-big-endian"])
def test_trap_55_character_sets(charset: Any, name: str, decoded: str, syntax: str, tmp_path: Path) -> None:
    spec = replace(SMALL, character_set=charset, patient_name=name, transfer_syntax=syntax)
    phantom.write(spec, tmp_path)
    volume = hounsfield.load(tmp_path)
    assert_is_truth(volume, spec)
    assert volume.header["PatientName"] == decoded


def test_trap_55_unknown_character_sets_and_bytes_never_abort(tmp_path: Path) -> None:
    spec = replace(SMALL, character_set="ISO_IR 999", patient_name="Any^One")
    for path in phantom.write(spec, tmp_path):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"Any^One", b"A\xff\x1b$^\xe9Z"))
    volume = hounsfield.load(tmp_path)
    assert_is_truth(volume, spec)
    assert volume.header["PatientName"].startswith("A")


def test_trap_55_undecodable_bytes_in_a_declared_character_set(tmp_path: Path) -> None:
    spec = replace(SMALL, character_set="ISO_IR 192", series_description="Thorax")
    for path in phantom.write(spec, tmp_path):
        path.write_bytes(path.read_bytes().replace(b"Thorax", b"Thor\xff\xfe"))
    volume = hounsfield.load(tmp_path)
    assert volume.header["SeriesDescription"].startswith("Thor")


def zipped(spec: PhantomSpec, folder: Path) -> Path:
    """The phantom deep in a zip, among what a Mac leaves there."""
    archive = folder / "exam.zip"
    paths = phantom.write(spec, folder / "ct")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in paths:
            out.write(path, f"exam/DICOM/series 1/{path.name}")
            out.writestr(f"__MACOSX/exam/DICOM/._{path.name}", b"\0\5\x16\7" + bytes(100))
        out.writestr("exam/.DS_Store", b"\0\0\0\1Bud1")
    return archive


def test_trap_56_zip_with_nested_folders_and_what_a_mac_leaves(tmp_path: Path) -> None:
    archive = zipped(SMALL, tmp_path)
    assert_is_truth(hounsfield.load(archive))
    assert all(
        "__MACOSX" not in one.name or "not DICOM" not in one.reason
        for one in hounsfield.scan(archive).skipped
    )


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_trap_56_tar(mode: Any, tmp_path: Path) -> None:
    paths = phantom.write(SMALL, tmp_path / "ct")
    archive = tmp_path / "exam.tar"
    with tarfile.open(archive, mode) as out:
        for path in paths:
            out.add(path, f"exam/{path.name}")
    assert_is_truth(hounsfield.load(archive))


def test_trap_56_encrypted_members_are_a_clear_reason(tmp_path: Path) -> None:
    archive = zipped(SMALL, tmp_path)
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = -1
        while (position := content.find(signature, position + 1)) >= 0:
            content[position + flags] |= 1
    archive.write_bytes(content)
    with pytest.raises(HounsfieldError, match="encrypted"):
        hounsfield.load(archive)


def test_trap_56_a_bomb_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        start = phantom.write(SMALL, tmp_path / "ct")[0].read_bytes()
        with out.open("bomb.dcm", "w", force_zip64=True) as member:
            member.write(start)
            for _ in range(17):
                member.write(bytes(1 << 24))
    with pytest.raises(HounsfieldError, match="as only a bomb does"):
        hounsfield.load(archive)


def test_trap_56_a_deflated_data_set_that_grows_a_thousandfold_is_refused(tmp_path: Path) -> None:
    import zlib

    spec = replace(SMALL, transfer_syntax="deflated", slices=1)
    (path,) = phantom.write(spec, tmp_path)
    content = path.read_bytes()
    begin = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = zlib.decompress(content[begin:], -15)
    stream = io.BytesIO()
    stream.write(content[:begin] + packer.compress(raw))
    for _ in range(16):
        stream.write(packer.compress(bytes(1 << 24)))
    stream.write(packer.flush())
    path.write_bytes(stream.getvalue())
    with pytest.raises(HounsfieldError, match=r"grows past 64 MiB.*refused as a bomb"):
        hounsfield.load(path)


def test_every_trap_has_a_test() -> None:
    found: dict[int, list[str]] = {}
    for path in Path(__file__).parent.glob("test_traps_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_trap_"):
                found.setdefault(int(node.name.split("_")[2]), []).append(node.name)
    assert set(found) >= set(range(1, 57))  # what was found in the field since has tests by its reports
