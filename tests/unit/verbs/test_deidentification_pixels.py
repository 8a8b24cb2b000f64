"""Bytes of pixel data that belong to no sample go; the samples stay, proved by decoding before and after."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from test_deidentification import KEY, PLAIN, read

from hounsfield import phantom
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.encapsulation import encapsulate
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import MalformedError, TruncatedError
from hounsfield.verbs.deidentify import Deidentified, Profile, Pseudonyms, deidentify_object
from hounsfield.verbs.deidentify.codestreams import bare, bare_jpeg, bare_jpeg2000, bare_jpeg_xl
from hounsfield.verbs.deidentify.objects import write_object

SECRET = b"Zyxwvut 7788123"
SYNTAXES = (
    "rle", "jpeg-lossless", "jpeg-lossless-14", "jpeg-ls", "jpeg-ls-near", "jpeg2000", "jpeg2000-lossy", "htj2k",
    "htj2k-rpcl", "htj2k-lossy", "jpeg-xl", "deflated-frame", "encapsulated",
)  # fmt: skip


SYNTAX = {keyword: transfer_syntax(keyword) for keyword in SYNTAXES}


def written(dataset: Dataset) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        if "PixelData" in dataset:
            dataset["PixelData"].is_undefined_length = dataset.PixelData.startswith(b"\xfe\xff\x00\xe0")
        return write_object(dataset)


def of_syntax(keyword: str, **changes: Any) -> Dataset:
    spec = replace(PLAIN, transfer_syntax=keyword, **changes)
    return next(iter(phantom.datasets(spec)))


def frames_of(dataset: Dataset) -> list[bytes]:
    return list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))


def cells_of(content: bytes) -> list[np.ndarray]:
    instance = read_instance(BytesSource("x", content))
    return [np.array(instance.cells(frame)) for frame in range(instance.header.number_of_frames)]


def treated(content: bytes) -> Deidentified:
    return deidentify_object(BytesSource("x", content), Profile(), Pseudonyms(KEY))


def with_frames(dataset: Dataset, frames: list[bytes]) -> bytes:
    dataset.PixelData = encapsulate(frames).value[:-8]
    dataset["PixelData"].is_undefined_length = True
    return written(dataset)


@pytest.mark.parametrize("keyword", SYNTAXES)
@pytest.mark.parametrize("multiframe", ["", "enhanced"])
def test_bytes_behind_each_image_go_and_samples_stay(keyword: str, multiframe: str) -> None:
    dataset = of_syntax(keyword, **({"multiframe": multiframe} if multiframe else {}))
    frames = frames_of(dataset)
    content = with_frames(dataset, [frame.rstrip(b"\0") + SECRET * 3 for frame in frames])
    made = treated(content)
    assert made.reason == "" and made.counts["pixels trimmed"] == 1
    assert SECRET not in made.content
    before, after = cells_of(with_frames(dataset, frames)), cells_of(made.content)
    assert len(before) == len(after) and all(map(np.array_equal, before, after))


@pytest.mark.parametrize("keyword", SYNTAXES)
def test_frames_without_anything_behind_them_stay_to_the_last_bit(keyword: str) -> None:
    dataset = of_syntax(keyword, multiframe="enhanced")
    frames = [bare(frame, SYNTAX[keyword].family, 24 * 24 * 2) for frame in frames_of(dataset)]
    made = treated(with_frames(dataset, frames))
    assert [frame.rstrip(b"\0") for frame in frames_of(read(made))] == [
        frame.rstrip(b"\0") for frame in frames
    ]
    assert "pixels trimmed" not in made.counts


def test_frames_beyond_their_number_and_stray_fragments_go() -> None:
    dataset = of_syntax("jpeg-ls", multiframe="enhanced")
    frames = frames_of(dataset)
    content = with_frames(dataset, [*frames, SECRET + b"!", frames[0]])
    made = treated(content)
    assert SECRET not in made.content
    assert frames_of(read(made)) == frames
    offsets = struct.unpack("<3I", read(made).PixelData[8:20])
    assert offsets[0] == 0 and offsets[1] == 8 + len(frames[0])


def test_a_frame_in_several_fragments_becomes_one_with_the_same_bytes() -> None:
    dataset = of_syntax("jpeg2000")
    frame = bare_jpeg2000(frames_of(dataset)[0])
    frame += b"\0" * (len(frame) % 2)
    half = len(frame) // 4 * 2
    pieces = [frame[:half], frame[half:], SECRET + b"!"]
    value = encapsulate(pieces, extended=True).value[:-8]
    dataset.PixelData = value
    dataset["PixelData"].is_undefined_length = True
    made = treated(written(dataset))
    assert frames_of(read(made)) == [frame] and SECRET not in made.content


def test_extended_offsets_are_right_afterwards() -> None:
    dataset = of_syntax("htj2k", multiframe="enhanced")
    frames = frames_of(dataset)
    made_of = encapsulate([frame + SECRET for frame in frames], extended=True)
    dataset.PixelData = made_of.value[:-8]
    dataset["PixelData"].is_undefined_length = True
    dataset.ExtendedOffsetTable = np.asarray(made_of.extended_offsets, "<u8").tobytes()
    dataset.ExtendedOffsetTableLengths = np.asarray(made_of.extended_lengths, "<u8").tobytes()
    made = treated(written(dataset))
    after = read(made)
    offsets = np.frombuffer(after.ExtendedOffsetTable, "<u8").tolist()
    lengths = np.frombuffer(after.ExtendedOffsetTableLengths, "<u8").tolist()
    start = 8
    for frame, offset, length in zip(map(bare_jpeg2000, frames), offsets, lengths, strict=True):
        found = after.PixelData[start + offset + 8 : start + offset + 8 + length]
        assert found.rstrip(b"\0") == frame.rstrip(b"\0")
    assert SECRET not in made.content and len(cells_of(made.content)) == 3


@pytest.mark.parametrize(
    ("syntax", "bits"), [("explicit", 16), ("implicit", 16), ("explicit-big-endian", 16), ("deflated", 16)]
)
@pytest.mark.parametrize("frames", ["", "enhanced"])
def test_native_pixels_end_with_their_last_frame(syntax: str, bits: int, frames: str) -> None:
    dataset = of_syntax(syntax, **({"multiframe": frames} if frames else {}))
    pixels = bytes(dataset.PixelData)
    before = cells_of(written(dataset))
    dataset.PixelData = pixels + SECRET * 2
    made = treated(written(dataset))
    after = read(made)
    assert bytes(after.PixelData) == pixels and made.counts["pixels trimmed"] == 1
    assert SECRET not in made.content and all(map(np.array_equal, before, cells_of(made.content)))


@pytest.mark.parametrize(("extra", "left"), [(b"", 0), (b"\0", 0), (b"Z", 0), (SECRET, 0)])
def test_an_odd_length_ends_with_an_empty_byte(extra: bytes, left: int) -> None:
    dataset = (
        of_syntax("explicit", rows=5, columns=5, slices=1, insert_values=())
        if False
        else of_syntax("explicit")
    )
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 5, 5, 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset["PixelData"].VR = "OB"
    dataset.PixelData = bytes(range(1, 26)) + extra
    after = read(treated(written(dataset)))
    assert bytes(after.PixelData) == bytes(range(1, 26)) + b"\0"


def insert(data: bytes, at: int, *segments: bytes) -> bytes:
    return data[:at] + b"".join(segments) + data[at:]


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def grey(colour: bool = False) -> np.ndarray:
    shape = (32, 24, 3) if colour else (32, 24)
    return np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)


JPEG_NOISE = [segment(0xFE, SECRET), *(segment(marker, SECRET) for marker in range(0xE0, 0xF0))]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
def test_comments_and_application_segments_of_jpeg_go(colour: bool, lossless: bool, restarts: bool) -> None:
    data = imagecodecs.jpeg8_encode(grey(colour), lossless=lossless)
    noisy = insert(data, 2, *JPEG_NOISE)  # type: ignore[arg-type]
    scan = noisy.index(b"\xff\xda")
    noisy = insert(noisy, scan, segment(0xFE, SECRET * 4)) + SECRET
    made = bare_jpeg(noisy)
    assert SECRET not in made and made.endswith(b"\xff\xd9")
    assert np.array_equal(imagecodecs.jpeg8_decode(made), imagecodecs.jpeg8_decode(data))
    assert bare_jpeg(made) == made


def test_colour_transforms_of_jpeg_stay_without_what_rides_on_them() -> None:
    thumbnail = b"JFIF\0\x01\x02\0\0\x01\0\x01\x05\x01" + SECRET
    adobe = b"Adobe\0\x64\0\0\0\0\x00" + SECRET
    data = imagecodecs.jpeg8_encode(grey(True), colorspace="RGB", outcolorspace="RGB")
    body = bare_jpeg(data)  # type: ignore[arg-type]
    noisy = body[:2] + segment(0xE0, thumbnail) + segment(0xEE, adobe) + body[2:]
    made = bare_jpeg(noisy)
    assert SECRET not in made
    assert segment(0xE0, thumbnail[:12] + b"\0\0") in made and segment(0xEE, adobe[:12]) in made
    assert np.array_equal(imagecodecs.jpeg8_decode(made), imagecodecs.jpeg8_decode(noisy))


@pytest.mark.parametrize("near", [0, 3])
@pytest.mark.parametrize("deep", [False, True])
def test_comments_of_jpeg_ls_go(near: int, deep: bool) -> None:
    cells = grey().astype(np.uint16) * 257 if deep else grey()
    data = imagecodecs.jpegls_encode(cells, level=near)
    noisy = insert(data, 2, *JPEG_NOISE) + b"\0" + SECRET  # type: ignore[arg-type]
    made = bare_jpeg(noisy)
    assert SECRET not in made
    assert np.array_equal(imagecodecs.jpegls_decode(made), imagecodecs.jpegls_decode(data))


@pytest.mark.parametrize("coder", ["jpeg2k", "htj2k"])
def test_comments_of_jpeg_2000_go_from_every_header(coder: str) -> None:
    cells = grey().astype(np.uint16)
    if coder == "jpeg2k":
        data = imagecodecs.jpeg2k_encode(cells, level=0, codecformat="J2K")
        decode: Callable[[bytes], np.ndarray] = imagecodecs.jpeg2k_decode
    else:
        data, decode = imagecodecs.htj2k_encode(cells, reversible=True), imagecodecs.htj2k_decode
    comment = segment(0x64, b"\0\x01" + SECRET)
    tile = data.index(b"\xff\x90")
    noisy = bytearray(insert(data, tile, comment))  # type: ignore[arg-type]
    tile += len(comment)
    length = int.from_bytes(noisy[tile + 6 : tile + 10], "big")
    noisy[tile + 6 : tile + 10] = (length + len(comment) if length else 0).to_bytes(4, "big")
    made = bare_jpeg2000(insert(bytes(noisy), tile + 12, comment) + SECRET)
    assert SECRET not in made and made.endswith(b"\xff\xd9")
    assert np.array_equal(decode(made), decode(data))  # type: ignore[arg-type]
    assert bare_jpeg2000(made) == made


def test_boxes_of_a_jp2_file_go() -> None:
    cells = grey().astype(np.uint16)
    data = imagecodecs.jpeg2k_encode(cells, level=0, codecformat="JP2")
    xml = struct.pack(">I4s", 8 + len(SECRET), b"xml ") + SECRET
    at = data.index(b"jp2c") - 4
    made = bare_jpeg2000(insert(data, at, xml))  # type: ignore[arg-type]
    assert SECRET not in made and made.startswith(b"\xff\x4f")
    assert np.array_equal(imagecodecs.jpeg2k_decode(made), cells)


def test_boxes_of_metadata_in_jpeg_xl_go() -> None:
    cells = grey()
    data = imagecodecs.jpegxl_encode(cells, lossless=True, usecontainer=True)
    if not data.startswith(b"\0\0\0\x0cJXL "):
        start = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
        data = start + struct.pack(">I4s", 8 + len(data), b"jxlc") + data
    kinds = (b"Exif", b"xml ", b"jumb", b"brob")
    boxes = b"".join(struct.pack(">I4s", 8 + len(SECRET), kind) + SECRET for kind in kinds)
    noisy = insert(data, 32, boxes) + boxes  # type: ignore[arg-type]
    made = bare_jpeg_xl(noisy)
    assert SECRET not in made and np.array_equal(imagecodecs.jpegxl_decode(made), cells)


def test_a_jpeg_within_jpeg_xl_loses_its_comments_and_keeps_its_samples() -> None:
    jpeg = bare_jpeg(imagecodecs.jpeg8_encode(grey(True)))  # type: ignore[arg-type]
    noisy = imagecodecs.jpegxl_encode_jpeg(insert(jpeg, 2, segment(0xFE, SECRET)), numthreads=1)
    assert SECRET in imagecodecs.jpegxl_decode_jpeg(noisy)  # type: ignore[call-arg]
    made = bare_jpeg_xl(noisy)  # type: ignore[arg-type]
    assert imagecodecs.jpegxl_decode_jpeg(made) == jpeg  # type: ignore[call-arg]


@pytest.mark.parametrize("family", ["jpeg", "jpeg-ls", "jpeg2000", "rle", "deflated-frame"])
def test_what_cannot_be_taken_apart_is_refused(family: str) -> None:
    encoders: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: imagecodecs.jpeg8_encode(grey()),  # type: ignore[dict-item, return-value]
        "jpeg-ls": lambda: imagecodecs.jpegls_encode(grey()),  # type: ignore[dict-item, return-value]
        "jpeg2000": lambda: imagecodecs.jpeg2k_encode(grey(), level=0, codecformat="J2K"),  # type: ignore[dict-item, return-value]
        "rle": lambda: struct.pack("<16I", 1, 64, *[0] * 14) + imagecodecs.packbits_encode(grey().tobytes()),
        "deflated-frame": lambda: zlib.compress(grey().tobytes(), wbits=-15),
    }
    data = encoders[family]()
    assert bare(data, family, 32 * 24)
    for damaged in (data[: len(data) // 2], b"\0\0" + data, SECRET):
        with pytest.raises((MalformedError, TruncatedError)):
            bare(damaged, family, 32 * 24)


def test_a_picture_within_an_item_goes() -> None:
    dataset, item = of_syntax("explicit"), Dataset()
    item.Rows = item.Columns = 2
    item.add_new(0x7FE00010, "OW", SECRET + b"!")
    dataset.ReferencedImageSequence = [item]
    assert SECRET not in treated(written(dataset)).content


def test_the_pixels_of_files_that_pydicom_brings_decode_to_the_same() -> None:
    """Every file with pixels that may pass, or that is named: all families of transfer syntaxes are among them."""
    from pathlib import Path

    from hounsfield.errors import HounsfieldError

    checked = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
            content = path.read_bytes()
            if len(content) > 1_000_000:
                continue
            try:
                before = cells_of(content)
                dataset = pydicom.dcmread(io.BytesIO(content), force=True)
                wanted = (str(dataset.get("SOPClassUID", "")), str(dataset.get("Modality", "")))
                profile = Profile(
                    include=(*wanted, *map(str, dataset.get("ImageType", ())), "WSD", "DI", "SYN", "RGB")
                )
                made = deidentify_object(BytesSource("x", content), profile, Pseudonyms(KEY))
            except HounsfieldError:
                continue
            if not made.reason:
                assert all(map(np.array_equal, before, cells_of(made.content))), path.name
                checked.add(str(dataset.file_meta.TransferSyntaxUID))
    assert len(checked) > 6


def test_fragments_in_a_syntax_without_any_are_refused_and_lengths_go() -> None:
    dataset = of_syntax("jpeg-ls")
    dataset.add_new(0x7FE00003, "UV", 4711)
    made = treated(written(dataset))
    assert (0x7FE0, 0x0003) not in read(made)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    content = written(of_syntax("jpeg-ls")).replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.9.80")
    with pytest.raises(MalformedError, match="not known"):
        treated(content)
