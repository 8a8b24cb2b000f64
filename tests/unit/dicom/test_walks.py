"""The fast and the full walk read the same header, and the full walk what pydicom does, on every file in reach."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import pydicom.data
import pytest

from hounsfield import HounsfieldError, phantom
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.ct.instance.header import ATTRIBUTES, WANTED, Header
from hounsfield.ct.instance.reading import _read_in_full
from hounsfield.dicom.datasets import read_dataset
from hounsfield.dicom.fast_walk import Elements, PixelElement, scan_elements
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.part10 import file_parts, open_data_set
from hounsfield.errors import MalformedError, NotDicomError, TruncatedError
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=16, columns=18, slices=2)
PYDICOM_FILES = sorted(
    path for path in Path(pydicom.data.__file__).parent.rglob("*") if path.is_file() and path.suffix != ".py"
)


def both(content: bytes) -> tuple[Header, Header] | None:
    """The header by the fast and by the full walk; None where the fast walk leaves the file to the full one."""
    found = scan_elements(io.BytesIO(content), WANTED)
    if found is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset, syntax, pixels = _read_in_full(io.BytesIO(content), "a file")
        other = Header.from_dataset(dataset, syntax, pixels)
    return Header(found.values, found.transfer_syntax, found.pixels), other


def disagreements(fast: Header, slow: Header) -> list[str]:
    """Whatever a caller could see the two headers differ in."""
    found = []
    if (fast.transfer_syntax, fast.pixels) != (slow.transfer_syntax, slow.pixels):
        found.append(f"pixels: {fast.transfer_syntax} {fast.pixels} | {slow.transfer_syntax} {slow.pixels}")
    for keyword, (_, vr) in ATTRIBUTES.items():
        if keyword == "SpecificCharacterSet":  # what pydicom decoded is kept as UTF-8, and said so
            continue
        if (keyword in fast) != (keyword in slow):
            found.append(f"{keyword}: present {keyword in fast} | {keyword in slow}")
        if view(fast, keyword, vr) != view(slow, keyword, vr):
            found.append(f"{keyword}: {view(fast, keyword, vr)} | {view(slow, keyword, vr)}")
    return found


def view(header: Header, keyword: str, vr: str) -> object:
    if vr == "SQ":
        return keyword in header
    if vr == "OV":
        return header.offsets(keyword)
    if vr in ("US", "DS", "IS"):
        try:
            numbers = header.numbers(keyword)
        except MalformedError as error:
            return str(error)
        return numbers, header.number(keyword), header.integer(keyword)
    if vr == "PN":  # pydicom drops an empty last representation
        return header.text(keyword).rstrip("=")
    return header.text(keyword), header.texts(keyword)


def check_all(paths: list[Path]) -> int:
    """How many of the files the fast walk read; each of them as the full walk does."""
    read = 0
    for path in paths:
        headers = both(path.read_bytes())
        if headers is not None:
            assert not disagreements(*headers), path
            read += 1
    return read


def test_both_walks_agree_on_all_of_pydicoms_own_files() -> None:
    assert check_all(PYDICOM_FILES) > 80


def test_both_walks_agree_on_all_real_ct(real_data: Path, real_files: list[Path]) -> None:
    odd = [path for path in (real_data / "field").rglob("*.dcm") if path.is_file()]
    # All but DIRFILEs, DICOMDIRs, Big Endian, Deflated and what is not DICOM at all are of the plain kind.
    assert check_all(real_files) > len(real_files) - 20
    assert not odd or check_all(odd) > len(odd) / 2


@pytest.mark.parametrize(
    "spec",
    [
        replace(SMALL, transfer_syntax="implicit"),
        replace(SMALL, transfer_syntax="explicit", private_tags=True),
        replace(SMALL, transfer_syntax="implicit", private_tags=True, padding_vr="US"),
        replace(SMALL, transfer_syntax="jpeg-ls", fragments=2, offset_table="empty"),
        replace(SMALL, transfer_syntax="rle", multiframe="enhanced", offset_table="extended"),
        replace(SMALL, multiframe="legacy", slices=7),
        replace(SMALL, modality_lut=True, overlay_bit=12, bits_stored=12, padding=-2000),
        replace(SMALL, character_set="GB18030", patient_name="Wang^XiaoDong=王^小东"),
        replace(SMALL, padding=-2000, padding_limit=-1900),
        replace(SMALL, slope_tag="", intercept_tag="abc", rescale_type=None),
    ],
    ids=lambda spec: f"{spec.transfer_syntax} {spec.multiframe or ''}".strip(),
)
def test_both_walks_agree_on_phantoms(spec: PhantomSpec, tmp_path: Path) -> None:
    paths = phantom.write(spec, tmp_path)
    assert check_all(paths) == len(paths)


@pytest.mark.parametrize("syntax", ["explicit-big-endian", "deflated"])
def test_the_fast_walk_leaves_other_encodings_to_the_full_one(syntax: str, tmp_path: Path) -> None:
    path = phantom.write(replace(SMALL, transfer_syntax=syntax), tmp_path)[0]
    assert scan_elements(io.BytesIO(path.read_bytes()), WANTED) is None


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def part10(*elements: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    return bytes(128) + b"DICM" + element(0x00020010, b"UI", syntax) + b"".join(elements)


PIXELS = element(0x7FE00010, b"OW", b"\1\2")


def walked(content: bytes) -> Elements | None:
    return scan_elements(io.BytesIO(content), WANTED)


def test_offset_and_length_of_pixels_are_those_in_the_file() -> None:
    content = part10(element(0x00280010, b"US", b"\3\0"), PIXELS)
    found = walked(content)
    assert found is not None
    assert found.values == {0x00280010: b"\3\0"}
    assert found.pixels == PixelElement("PixelData", len(content) - 2, 2)


def test_text_attributes_may_be_written_with_another_text_vr() -> None:
    found = walked(part10(element(0x00281052, b"LO", b"-1024 "), PIXELS))
    assert found is not None
    assert Header(found.values, "", None).number("RescaleIntercept") == -1024


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(128) + b"DICM",
        part10(element(0x00280010, b"US", b"\3\0")),  # no pixels: a whole object of another kind
        part10(element(0x00280011, b"US", b"\3\0"), element(0x00280010, b"US", b"\3\0"), PIXELS),  # order
        part10(element(0x00280010, b"UL", b"\3\0\0\0"), PIXELS),  # a VR that means another value
        part10(element(0x00280010, b"ZZ", b"\3\0"), PIXELS),  # a VR that does not exist
        part10(PIXELS, syntax=b"1.2.840.10008.1.2.2\0"),
        part10(struct.pack("<HH2sH", 0x0028, 0x0010, b"US", 9000), PIXELS),  # a length beyond the file
    ],
)
def test_walk_gives_up_on_what_is_not_plain(content: bytes) -> None:
    assert walked(content) is None


@pytest.mark.parametrize("length", [10, 16 * 1024 - 400, 40_000])
def test_walk_reads_on_where_a_header_is_longer_than_one_read(length: int) -> None:
    blob = element(0x00091001, b"OB", bytes(length + length % 2))
    content = part10(element(0x00080060, b"CS", b"CT"), blob, element(0x00280010, b"US", b"\3\0"), PIXELS)
    found = walked(content)
    assert found is not None
    assert found.pixels == PixelElement("PixelData", len(content) - 2, 2)
    assert found.values == {0x00080060: b"CT", 0x00280010: b"\3\0"}


def test_walk_steps_over_nested_sequences_of_undefined_length() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    item_end, sequence_end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    undefined = struct.pack("<HH2sHI", 0x0028, 0x3000, b"SQ", 0, 0xFFFFFFFF)
    inner = element(0x00280010, b"US", b"\7\0")  # belongs to the item, not to the image
    nested = undefined + item + undefined + item + inner + item_end + sequence_end + item_end + sequence_end
    found = walked(part10(element(0x00280010, b"US", b"\3\0"), nested, PIXELS))
    assert found is not None
    assert found.values == {0x00280010: b"\3\0", 0x00283000: b""}


@pytest.mark.parametrize(
    "empty",
    [
        struct.pack("<HH2sHI", 0x0028, 0x3000, b"SQ", 0, 0),
        struct.pack("<HH2sHIHHI", 0x0028, 0x3000, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE0DD, 0),
    ],
)
def test_sequences_without_items_count_as_absent(empty: bytes) -> None:
    headers = both(part10(element(0x00080060, b"CS", b"CT"), empty, PIXELS))
    assert headers is not None
    assert not disagreements(*headers)
    assert "ModalityLUTSequence" not in headers[0]


def test_sequences_nested_too_deep_are_an_error_not_a_crash() -> None:
    level = struct.pack("<HH2sHIHHI", 0x0028, 0x3000, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    content = part10(level * 20_000)
    assert walked(content) is None
    with pytest.raises(HounsfieldError):
        _read_in_full(io.BytesIO(content), "deep.dcm")


NOT_READ_ALIKE = {
    "sequence_depth_70_def.dcm": "refused",
    "deflated.dcm": "pydicom does not read it",
    "vr_two_spaces.dcm": "pydicom reads a part of it",
}


def flat(dataset: pydicom.Dataset) -> list[tuple[int, str, object]]:
    """Tag, VR and value of every element, items of sequences within; delimiters out of place are none."""
    found: list[tuple[int, str, object]] = []
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag.group == 0xFFFE:
            continue
        try:
            element = dataset[tag]
            value = [flat(item) for item in element.value] if element.VR == "SQ" else element.value
        except Exception as error:  # noqa: BLE001 (whatever pydicom raises on a broken value)
            found.append((int(tag), "broken", type(error).__name__))
            continue
        found.append((int(tag), str(element.VR), value if isinstance(value, (bytes, list)) else str(value)))
    return found


def check_against_pydicom(paths: list[Path]) -> int:
    """How many files are DICOM; each of those with the elements and values that pydicom finds."""
    read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            content = path.read_bytes()
            walk = FullWalk(content)
            if path.name in NOT_READ_ALIKE:
                continue
            try:
                parts = file_parts(walk)
            except NotDicomError:
                continue
            try:
                found = read_dataset(open_data_set(walk, parts), parts, walk, pixels=True)[0]
            except TruncatedError:
                continue  # pydicom gives what there is
            expected = pydicom.dcmread(io.BytesIO(content), force=True)
            assert flat(found) == flat(expected), path
            assert flat(found.file_meta) == flat(expected.file_meta), path
            read += 1
    return read


def test_the_full_walk_finds_what_pydicom_finds_in_its_own_files() -> None:
    assert check_against_pydicom(PYDICOM_FILES) > 90


def test_the_full_walk_finds_what_pydicom_finds_in_odd_files(real_data: Path) -> None:
    odd = [path for path in (real_data / "field").rglob("*.dcm") if path.is_file()]
    assert not odd or check_against_pydicom(odd) > len(odd) / 2


def test_an_error_that_is_given_its_place_keeps_its_cause(tmp_path: Path) -> None:
    content = part10(PIXELS, syntax=b"1.2.840.10008.1.2.1.99")
    with pytest.raises(MalformedError) as raised:
        read_instance(BytesSource("damaged.dcm", content + b"no deflated data"))
    assert str(raised.value).startswith("damaged.dcm: ")
    assert isinstance(raised.value.__cause__, zlib.error)
