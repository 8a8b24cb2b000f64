"""The files the phantom is written in: syntaxes, damage, companions, DICOMDIR, character sets, private pixels."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest

from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=31, columns=45, slices=3)
EXPLICIT = "1.2.840.10008.1.2.1"


def by_hand(dataset: pydicom.Dataset) -> np.ndarray[Any, Any]:
    return dataset.pixel_array.astype(np.float64) * float(dataset.RescaleSlope) + float(
        dataset.RescaleIntercept
    )


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
)
def test_trap_16_every_native_syntax_holds_the_same_values(syntax: str, tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax=syntax, private_tags=True, modality_lut=False)
    read = [pydicom.dcmread(path) for path in phantom.write(spec, tmp_path)]
    assert {one.file_meta.TransferSyntaxUID for one in read} == {syntax}
    np.testing.assert_array_equal(
        [by_hand(one) for one in read], phantom.truth(spec, masked=False, clamp=False)
    )


def test_a_syntax_may_be_named_by_its_keyword() -> None:
    spec = replace(SMALL, transfer_syntax="implicit")
    assert next(phantom.datasets(spec)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"


# PS3.5 A.4 forbids fragments beside an Extended Offset Table.
@pytest.mark.parametrize(
    ("fragments", "offset_table"), [(1, "basic"), (3, "basic"), (1, "empty"), (3, "empty"), (1, "extended")]
)
def test_trap_15_compressed_frames_in_fragments_with_any_offset_table(
    fragments: int, offset_table: Any, tmp_path: Path
) -> None:
    spec = replace(
        SMALL,
        transfer_syntax="1.2.840.10008.1.2.4.90",
        multiframe="enhanced",
        fragments=fragments,
        offset_table=offset_table,
    )
    dataset = pydicom.dcmread(phantom.write(spec, tmp_path)[0])
    assert ("ExtendedOffsetTable" in dataset) == (offset_table == "extended")
    pieces = list(
        pydicom.encaps.generate_fragments(dataset.PixelData[8 + 4 * 3 * (offset_table == "basic") :])
    )
    assert len(pieces) == 3 * fragments
    values = np.array([frame.astype(float) - 1024 for frame in dataset.pixel_array])
    np.testing.assert_array_equal(values, phantom.truth(spec, masked=False, clamp=False))


@pytest.mark.parametrize(
    ("keyword", "decode"),
    [("jpeg-ls", imagecodecs.jpegls_decode), ("jpeg-lossless", imagecodecs.ljpeg_decode)],
)
def test_compressed_pixels_decode_elsewhere_to_the_truth(keyword: str, decode: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax=keyword, signed=False, padding=0, bits_stored=12)
    for number, path in enumerate(phantom.write(spec, tmp_path)):
        dataset = pydicom.dcmread(path)
        values = decode(next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)))
        np.testing.assert_array_equal(values - 1024.0, phantom.truth(spec, masked=False, clamp=False)[number])


def test_trap_12_native_pixels_under_a_compressed_syntax(tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax="1.2.840.10008.1.2.4.80", native_pixels=True)
    dataset = pydicom.dcmread(phantom.write(spec, tmp_path)[0])
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
    assert not dataset["PixelData"].is_undefined_length
    assert len(dataset.PixelData) == 31 * 45 * 2


def philips_decode(data: bytes, count: int) -> list[int]:
    """The two passes, written from their description: runs after 0xA5, whole cells after 0x5A."""
    unrun, at = bytearray(), 0
    while at < len(data):
        if data[at] == 0xA5:
            unrun += bytes([data[at + 2]]) * (data[at + 1] + 1)
            at += 3
        else:
            unrun.append(data[at])
            at += 1
    values: list[int] = []
    at = 0
    while len(values) < count:
        if unrun[at] == 0x5A:
            values.append(unrun[at + 1] | unrun[at + 2] << 8)
            at += 3
        else:
            values.append((values[-1] if values else 0) + (unrun[at] ^ 0x80) - 0x80)
            at += 1
    return values


@pytest.mark.parametrize("where", ["alone", "beside"])
def test_trap_13_philips_private_pixels_are_the_same_pixels(where: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, signed=False, padding=0, bits_stored=12, noise=60.0, philips_rle=where)
    dataset = pydicom.dcmread(phantom.write(spec, tmp_path)[0])
    assert dataset[0x07A1, 0x1011].value == "PMSCT_RLE1"
    values = np.array(philips_decode(dataset[0x07A1, 0x100A].value, 31 * 45)).reshape(31, 45)
    np.testing.assert_array_equal(values - 1024.0, phantom.truth(spec, masked=False, clamp=False)[0])
    assert ("PixelData" in dataset) == (where == "beside")


def test_trap_10_missing_pixel_bytes_leave_a_sound_but_short_element(tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, missing_pixel_bytes=100, damaged=(1,)), tmp_path)
    lengths = [len(pydicom.dcmread(path).PixelData) for path in paths]
    assert lengths == [2790, 2690, 2790]


def test_trap_10_cut_bytes_end_the_file_before_its_element(tmp_path: Path) -> None:
    whole = phantom.write(SMALL, tmp_path / "whole")
    cut = phantom.write(replace(SMALL, cut_bytes=500, damaged=(0, 2)), tmp_path / "cut")
    assert [a.stat().st_size - b.stat().st_size for a, b in zip(whole, cut, strict=True)] == [500, 0, 500]


def test_trap_11_extra_bytes_and_frames_follow_the_right_ones(tmp_path: Path) -> None:
    plain = pydicom.dcmread(phantom.write(SMALL, tmp_path / "plain")[0]).PixelData
    spec = replace(SMALL, extra_frames=1, extra_pixel_bytes=6)
    longer = pydicom.dcmread(phantom.write(spec, tmp_path / "longer")[0]).PixelData
    assert longer == plain + plain + bytes(6)


def test_trap_11_an_odd_number_of_bytes_is_padded_to_even() -> None:
    spec = replace(SMALL, bits_allocated=8, bits_stored=8, signed=False, padding=0, slope=16.0)
    assert len(next(phantom.datasets(spec)).PixelData) == 31 * 45 + 1


def test_trap_51_a_file_without_its_preamble_or_without_any_meta(tmp_path: Path) -> None:
    (bare, *_) = phantom.write(replace(SMALL, preamble=False), tmp_path / "bare")
    assert bare.read_bytes()[:4] == b"\x02\x00\x00\x00"
    (naked, *_) = phantom.write(replace(SMALL, file_meta=False), tmp_path / "naked")
    assert naked.read_bytes()[:6] == b"\x08\x00\x05\x00CS"
    read = pydicom.dcmread(naked, force=True)
    read.file_meta.TransferSyntaxUID = EXPLICIT  # type: ignore[assignment]
    np.testing.assert_array_equal(by_hand(read), phantom.truth(SMALL, masked=False, clamp=False)[0])


def test_trap_41_localizers_share_the_series_but_neither_plane_nor_matrix() -> None:
    found = list(phantom.datasets(replace(SMALL, localizers=2)))
    slices, scouts = found[:3], found[3:]
    assert {one.SeriesInstanceUID for one in found} == {slices[0].SeriesInstanceUID}
    assert [one.ImageType[2] for one in scouts] == ["LOCALIZER", "LOCALIZER"]
    assert scouts[0].ImageOrientationPatient != scouts[1].ImageOrientationPatient
    assert all((one.Rows, one.Columns) == (96, 112) for one in scouts)


def test_trap_9_a_dose_page_is_a_colour_secondary_capture_in_the_same_series() -> None:
    *slices, page = phantom.datasets(replace(SMALL, dose_pages=1))
    assert page.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert page.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert page.pixel_array.shape == (64, 96, 3)


def test_trap_53_strays_lie_among_the_slices(tmp_path: Path) -> None:
    phantom.write(replace(SMALL, strays=True), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        *("CT0001.dcm", "CT0002.dcm", "CT0003.dcm", "DIRFILE", "PR001.dcm"),
        *("RTSTRUCT001.dcm", "SR001.dcm", "notes.txt"),
    ]
    assert pydicom.dcmread(tmp_path / "RTSTRUCT001.dcm").Modality == "RTSTRUCT"


def test_trap_52_a_good_dicomdir_leads_to_every_file(tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, dicomdir="good"), tmp_path)
    directory = pydicom.dcmread(tmp_path / "DICOMDIR")
    named = [one.ReferencedFileID for one in directory.DirectoryRecordSequence if "ReferencedFileID" in one]
    assert sorted(tmp_path.joinpath(*parts) for parts in named) == sorted(paths)
    assert all(path.is_file() for path in paths)


@pytest.mark.parametrize("kind", ["dead", "lowercase"])
def test_trap_52_a_bad_dicomdir_names_no_file_that_is_there(kind: Any, tmp_path: Path) -> None:
    paths = phantom.write(replace(SMALL, dicomdir=kind), tmp_path)
    directory = pydicom.dcmread(tmp_path / "DICOMDIR")
    named = [
        "/".join(one.ReferencedFileID)
        for one in directory.DirectoryRecordSequence
        if "ReferencedFileID" in one
    ]
    assert len(named) == len(paths) == 3
    assert not any((tmp_path / name).exists() for name in named)
    found = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert (sorted(name.lower() for name in named) == sorted(found)) == (kind == "lowercase")
    assert all(pydicom.dcmread(path).Rows == 31 for path in paths)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("GB18030", "王^小东"),
        ("ISO_IR 192", "Müller^Jörg=王^小东"),
        (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_trap_55_names_in_other_alphabets_survive(character_set: Any, name: str, tmp_path: Path) -> None:
    spec = replace(SMALL, character_set=character_set, patient_name=name)
    dataset = pydicom.dcmread(phantom.write(spec, tmp_path)[0])
    assert str(dataset.PatientName) == name


def test_trap_55_an_unknown_character_set_is_written_as_it_is(tmp_path: Path) -> None:
    spec = replace(SMALL, character_set="ISO_IR 999", patient_name="Müller^Jörg")
    content = phantom.write(spec, tmp_path)[0].read_bytes()
    assert b"ISO_IR 999" in content
    assert "Müller".encode("latin-1") in content


def test_trap_54_a_private_block_holds_a_sequence_of_undefined_length(tmp_path: Path) -> None:
    path = phantom.write(replace(SMALL, private_tags=True), tmp_path)[0]
    dataset = pydicom.dcmread(path)
    assert dataset.private_block(0x0043, "HOUNSFIELD PHANTOM")[0x03].value == "private text"
    assert b"\x43\x00\x01\x10SQ\x00\x00\xff\xff\xff\xff" in path.read_bytes()


def test_trap_47_an_odd_sop_class_is_written_as_asked() -> None:
    assert next(phantom.datasets(replace(SMALL, sop_class="1.2.3.4"))).SOPClassUID == "1.2.3.4"


def test_tags_have_the_last_word() -> None:
    spec = replace(SMALL, tags={"KVP": None, "SliceThickness": "thick", "Rows": 32, "PatientComments": "new"})
    dataset = next(phantom.datasets(spec))
    assert "KVP" not in dataset
    assert dataset["SliceThickness"].value == "thick"
    assert (dataset.Rows, dataset.PatientComments) == (32, "new")
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    assert b"DS\x06\x00thick " in buffer.getvalue()


def test_a_dicomdir_may_name_strays_too(tmp_path: Path) -> None:
    # Found by review: a structure set without its label was no directory record.
    spec = replace(SMALL, strays=True, localizers=1, dose_pages=1, dicomdir="good")
    phantom.write(spec, tmp_path)
    assert {
        item.DirectoryRecordType for item in pydicom.dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    } >= {
        "IMAGE",
        "RT STRUCTURE SET",
        "SR DOCUMENT",
        "PRESENTATION",
    }
