"""Files from the field whose pixels were changed without a word, or refused though others read them; and twins of
each kind, made here, so that they are tried wherever the tests run.
"""

from __future__ import annotations

import io
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from test_transcode import image, made, phantom, saved

from hounsfield.codecs import FrameFormat, Rate, decode_frame, encode_frame
from hounsfield.codecs.codestreams import traits_of
from hounsfield.ct.hu import stored_values
from hounsfield.ct.instance import BytesSource, FileSource, Source, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.server.rendering.pictures import Look, picture
from hounsfield.transcode import Target, Transcoded, register_pydicom, target, transcode
from hounsfield.transcode.proving import compare

BY_PRECISION = ("jpeg-lossless", "jpeg-ls", "jpeg2000", "htj2k", "jpeg-xl")
NOISE = np.random.default_rng(17)


@pytest.fixture(scope="module")
def field(real_data: Path) -> Path:
    return real_data / "field" / "codecs"


def values_of(source: Source | bytes, frame: int = 0) -> np.ndarray:
    """Stored values as whoever reads the finished file has them."""
    instance = read_instance(BytesSource("", source) if isinstance(source, bytes) else source)
    return stored_values(instance.cells(frame), instance.stored_format).astype(int)


def others_values(content: bytes) -> np.ndarray:
    """What pydicom makes of it with its own plugins."""
    return pydicom.dcmread(io.BytesIO(content)).pixel_array.astype(int)


# Lossy coding keeps every cell within its bound, and padding apart.

NEAR = [target("jpeg-ls-near", max_error=error) for error in (1, 2, 5)]
WAVELET = [target(keyword, max_error=4) for keyword in ("htj2k-lossy", "jpeg2000-lossy")]


def check_bound(source: Source, goal: Target) -> Transcoded:
    before, result = values_of(source), transcode(source, goal)
    after = values_of(result.content)
    assert goal.max_error is not None and np.abs(after - before).max() <= goal.max_error
    header = read_instance(BytesSource("", result.content))
    padding, old = header.padding, read_instance(source).padding
    if old is not None and padding is not None:
        was = (before >= old.low) & (before <= old.high)
        assert ((after >= padding.low) & (after <= padding.high) == was).all()
    return result


@pytest.mark.parametrize("goal", NEAR + WAVELET, ids=lambda goal: f"{goal.syntax.keyword} {goal.max_error}")
def test_padding_at_the_least_value_stays_padding(goal: Target, field: Path) -> None:
    check_bound(FileSource(field / "near_lossless_signed_wraps" / "ct_pad_m32768_small.dcm"), goal)


def extremes(kind: str) -> bytes:
    """A CT of 16 signed or unsigned bits that fills its range, or is padded at an end of it."""
    array = phantom().astype(int) - 1024
    corner = np.s_[:30, :30]
    if kind == "saturated":
        array[40:60, 40:60] = 32767
        return saved(image(array.astype("i2"), RescaleIntercept="0"))
    if kind == "whole range":
        array[::5, ::7], array[2::5, 3::7] = -32768, 32767
        return saved(image(array.astype("i2"), RescaleIntercept="0"))
    if kind == "unsigned":
        array = (array + 1024).clip(0)
        array[corner], array[40:44] = 63536, 65535
        return saved(image(array.astype("u2"), PixelPaddingValue=63536))
    array[corner] = int(kind)
    return saved(image(array.astype("i2"), RescaleIntercept="0", PixelPaddingValue=int(kind)))


@pytest.mark.parametrize("goal", NEAR + WAVELET, ids=lambda goal: f"{goal.syntax.keyword} {goal.max_error}")
@pytest.mark.parametrize("kind", ["saturated", "whole range", "unsigned", "-32768", "-2000", "32767"])
def test_no_cell_is_off_by_more_than_was_promised(kind: str, goal: Target) -> None:
    result = check_bound(BytesSource(kind, extremes(kind)), goal)
    if goal.syntax.keyword != "htj2k-lossy":  # where OpenJPEG does not hold back what overshoots a whole cell
        assert np.abs(others_values(result.content) - values_of(extremes(kind))).max() <= goal.max_error


@pytest.mark.parametrize(
    ("keyword", "options"),
    [("jpeg-ls-near", {"ratio": 6}), ("jpeg-ls-near", {"quality": 50}), ("htj2k-lossy", {"quality": 50})],
)
@pytest.mark.parametrize("kind", ["saturated", "-32768", "-2000", "32767"])
def test_padding_stays_apart_whatever_the_goal(kind: str, keyword: str, options: dict[str, float]) -> None:
    content = extremes(kind)
    result = made(content, keyword, **options)
    before, after = values_of(content), values_of(result.content)
    assert np.abs(after - before).max() < 2000  # nothing came out at the other end
    again = read_instance(BytesSource("", result.content))
    if kind != "saturated":
        assert again.padding is not None
        was = before == int(kind)
        assert (((after >= again.padding.low) & (after <= again.padding.high)) == was).all()


def test_padding_beside_which_there_is_image_is_kept_by_losing_less() -> None:
    array = phantom().astype("u2") % 300  # not a CT: 0 is padding, and 1 is not
    array[:9] = 0
    content = saved(image(array, Modality="MR", PixelPaddingValue=0))
    result = made(content, "jpeg-ls-near", max_error=3)
    before, after = values_of(content), values_of(result.content)
    assert (after[before == 0] == 0).all() and np.abs(after - before).max() <= 3
    with pytest.raises(UnsupportedError, match="padding"):
        made(content, "htj2k-lossy", ratio=12)


def test_lossy_values_past_bits_stored_stay_at_the_highest() -> None:
    """JPEG-LS of whole cells, with an error, under a header that says 12 bits: 4097 is not 1."""
    array = NOISE.integers(4080, 4096, (32, 32)).astype("u2")
    form = FrameFormat(32, 32, bits_stored=12, high_bit=11)
    syntax = transfer_syntax("jpeg-ls-near")
    stream = encode_frame(array, syntax, form, rate=Rate(near=5))
    whole = decode_frame(stream, syntax, FrameFormat(32, 32))
    assert whole.max() > 4095
    assert np.array_equal(decode_frame(stream, syntax, form), whole.clip(0, 4095))
    lossless = encode_frame(
        array | 0x1000, transfer_syntax("jpeg-ls"), form
    )  # there it is no loss, and is kept
    assert decode_frame(lossless, transfer_syntax("jpeg-ls"), form).min() > 4095


# What is above Bits Stored.


def overlaid(frames: int = 1, **attributes: Any) -> tuple[bytes, np.ndarray, np.ndarray]:
    """12-bit frames with an overlay in bit 13: the file, its values, its overlay."""
    values = NOISE.integers(0, 4096, (frames, 24, 17)).astype("u2")
    overlay = NOISE.integers(0, 2, values.shape).astype("u2")
    cells = values | overlay << 13
    dataset = image(cells if frames > 1 else cells[0], BitsStored=12, HighBit=11, **attributes)
    dataset.add_new(0x60020010, "US", 24)
    dataset.add_new(0x60020011, "US", 17)
    dataset.add_new(0x60020040, "CS", "R")
    dataset.add_new(0x60020050, "SS", [1, 1])
    dataset.add_new(0x60020100, "US", 16)
    dataset.add_new(0x60020102, "US", 13)
    return saved(dataset), values, overlay


@pytest.mark.parametrize("keyword", BY_PRECISION)
@pytest.mark.parametrize("frames", [1, 3])
def test_overlays_in_the_cells_move_to_overlay_data(keyword: str, frames: int) -> None:
    content, values, overlay = overlaid(frames)
    result = made(content, keyword)
    assert "(6002,3000)" in result.why
    dataset = pydicom.dcmread(io.BytesIO(result.content))
    assert (dataset[0x60020100].value, dataset[0x60020102].value) == (1, 0)
    assert dataset[0x60020040].value == "R"
    assert np.array_equal(dataset.overlay_array(0x6002).reshape(overlay.shape), overlay)
    assert (frames == 1) or (dataset[0x60020015].value, dataset[0x60020051].value) == (frames, 1)
    if keyword != "jpeg-xl":
        assert np.array_equal(others_values(result.content).reshape(values.shape), values)
    assert all(np.array_equal(values_of(result.content, index), values[index]) for index in range(frames))


@pytest.mark.parametrize("keyword", ["rle", "explicit-big-endian", "deflated-frame"])
def test_codings_of_whole_cells_keep_whole_cells(keyword: str) -> None:
    content, *_ = overlaid()
    back = made(made(content, keyword).content, "explicit")
    assert (
        pydicom.dcmread(io.BytesIO(back.content)).PixelData == pydicom.dcmread(io.BytesIO(content)).PixelData
    )


@pytest.mark.parametrize("keyword", BY_PRECISION)
def test_embedded_overlays_of_the_field(keyword: str, field: Path) -> None:
    path = field / "embedded_overlay_bits" / "overlay_bits.dcm"
    before = pydicom.dcmread(path)
    result = transcode(FileSource(path), target(keyword))
    dataset = pydicom.dcmread(io.BytesIO(result.content))
    cells = np.frombuffer(before.PixelData, "<u2")[: before.Rows * before.Columns]
    expected = (cells >> before[0x60000102].value & 1).reshape(before.Rows, before.Columns)
    assert np.array_equal(dataset.overlay_array(0x6000), expected)
    assert np.array_equal(values_of(result.content), (cells & 0xFFF).reshape(expected.shape))
    if keyword != "jpeg-xl":
        assert others_values(result.content).max() <= 4095


def test_a_sign_that_is_not_extended_and_values_in_the_high_bits_are_values() -> None:
    values = NOISE.integers(-2048, 2048, (16, 16)).astype("i2")
    bare = saved(image(values & 0xFFF, BitsStored=12, HighBit=11, PixelRepresentation=1))
    shifted = saved(image((values << 4).astype("i2"), BitsStored=12, HighBit=15))
    for content in (bare, shifted):
        result = made(content, "jpeg2000")
        assert np.array_equal(others_values(result.content), values)
        assert pydicom.dcmread(io.BytesIO(result.content)).HighBit == 11 and not result.why


def test_a_padding_value_that_bits_stored_does_not_hold_is_held_afterwards() -> None:
    array = phantom(2000)
    array[:20] = 63536  # −2000 over 12 unsigned bits
    content = saved(image(array, BitsStored=12, HighBit=11, PixelPaddingValue=63536))
    for keyword in ("jpeg-ls", "jpeg2000", "htj2k"):
        result = made(content, keyword)
        dataset = pydicom.dcmread(io.BytesIO(result.content))
        assert np.array_equal(others_values(result.content), array)
        assert (dataset.BitsStored, dataset.HighBit) == (16, 15)


def test_lossless_jpeg_is_reduced_to_its_precision(field: Path) -> None:
    path = field / "jpeg_lossless_modulo_precision" / "ljpeg_wrap12.dcm"
    right = read_instance(FileSource(path)).cells()
    assert right.max() <= 4095
    for keyword in ("explicit", "jpeg-ls", "jpeg2000", "htj2k"):
        result = transcode(FileSource(path), target(keyword))
        assert np.array_equal(others_values(result.content), right)


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_samples_of_lossless_jpeg_are_those_of_its_precision(bits: int) -> None:
    """Differences that are right modulo the precision alone: a decoder of 16 bits has something above."""
    array = NOISE.integers(0, 1 << bits, (12, 20)).astype("u2")
    lifted = array + (NOISE.integers(0, 3, array.shape).astype("u2") << bits)
    stream = bytearray(imagecodecs.jpeg8_encode(lifted, lossless=True, predictor=1, bitspersample=16))
    stream[stream.index(b"\xff\xc3") + 4] = bits
    form = FrameFormat(12, 20, bits_stored=bits, high_bit=bits - 1)
    got = decode_frame(bytes(stream), transfer_syntax("jpeg-lossless"), form).astype(int)
    # What the first sample is predicted by depends on the precision (10918-1 H.1.2.1), and shifts all alike.
    assert np.array_equal((got - got[0, 0]) % (1 << bits), (array.astype(int) - array[0, 0]) % (1 << bits))
    assert got.min() >= 0 and got.max() < 1 << bits


# The losses of the past.


@pytest.mark.parametrize("name", ["noflag_50", "noflag_81_near5", "us_50"])
@pytest.mark.parametrize("keyword", ["explicit", "implicit", "explicit-big-endian", "jpeg-ls", "rle"])
def test_a_loss_that_the_header_forgot_is_told(name: str, keyword: str, field: Path) -> None:
    check_told(FileSource(field / "lossy_origin_forgotten" / f"{name}.dcm"), keyword)


def check_told(source: Source, keyword: str) -> None:
    result = transcode(source, target(keyword))
    dataset = pydicom.dcmread(io.BytesIO(result.content))
    before = read_instance(source)
    assert dataset.LossyImageCompression == "01" and "did not say so" in result.why
    method = {
        "jpeg": "ISO_10918_1",
        "jpeg-ls": "ISO_14495_1",
        "jpeg2000": "ISO_15444_1",
        "htj2k": "ISO_15444_15",
    }
    assert dataset.LossyImageCompressionMethod == method.get(before.syntax.family, "ISO_18181_1")
    assert float(dataset.LossyImageCompressionRatio) > 1
    assert dataset.SOPInstanceUID == before.header.text("SOPInstanceUID")
    again = transcode(BytesSource("", result.content), target("auto"))
    assert again.max_error == 0 and again.after not in ("jpeg", "jpeg-ls-near")


FORGOTTEN = [
    ("jpeg", {"quality": 60}, "u1"),
    ("jpeg-extended", {"quality": 80}, "u2"),
    ("jpeg-ls-near", {"max_error": 4}, "u2"),
    ("jpeg2000-lossy", {"quality": 60}, "u2"),
    ("htj2k-lossy", {"quality": 60}, "u2"),
    ("jpeg-xl-lossy", {"quality": 60}, "u2"),
]


def forgetful(keyword: str, options: dict[str, float], dtype: str, modality: str = "US") -> bytes:
    """A lossy file whose header says nothing of it."""
    array = phantom(200 if dtype == "u1" else 2000, dtype)
    bits = {"BitsStored": 12, "HighBit": 11} if dtype == "u2" else {}
    register_pydicom()  # which does not know JPEG XL
    content = made(saved(image(array, Modality=modality, **bits)), keyword, **options).content
    dataset = pydicom.dcmread(io.BytesIO(content))
    for name in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        delattr(dataset, name)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("keyword", "options", "dtype"), FORGOTTEN, ids=[row[0] for row in FORGOTTEN])
def test_every_lossy_coding_is_known_by_its_markers(
    keyword: str, options: dict[str, float], dtype: str
) -> None:
    source = BytesSource("", forgetful(keyword, options, dtype))
    for other in ("explicit", "rle"):
        check_told(source, other)
    first = transcode(source, target("auto"))
    assert first.max_error == 0


def test_what_loses_nothing_is_not_called_lossy() -> None:
    content = saved(image(phantom(), BitsStored=12, HighBit=11))
    for keyword in ("jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "jpeg-xl", "rle"):
        packed = made(content, keyword)
        back = made(packed.content, "explicit")
        assert "LossyImageCompression" not in pydicom.dcmread(io.BytesIO(back.content)) and not back.why
    near = pydicom.dcmread(io.BytesIO(made(content, "jpeg-ls-near", max_error=0).content))
    assert "LossyImageCompression" not in near


def test_losses_before_and_now_are_told_in_their_order() -> None:
    content = forgetful("jpeg", {"quality": 60}, "u1")
    twice = pydicom.dcmread(io.BytesIO(made(content, "jpeg-ls-near", max_error=3).content))
    assert list(twice.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_14495_1"]
    assert len(twice.LossyImageCompressionRatio) == 2


# Labels and markers.

RGB = np.stack([phantom(255, "u1"), phantom(180, "u1")[::-1], phantom(90, "u1").T], axis=-1)


def labelled(stream: bytes, keyword: str, photometric: str) -> bytes:
    dataset = image(RGB[..., 0], Modality="OT", SamplesPerPixel=3, PlanarConfiguration=0)
    dataset.PhotometricInterpretation = photometric
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset, transfer_syntax(keyword).uid)


def jfif() -> bytes:
    return imagecodecs.jpeg8_encode(RGB, level=95, subsampling="444")  # type: ignore[return-value]


def adobe_rgb() -> bytes:
    return imagecodecs.jpeg8_encode(RGB, level=95, colorspace="RGB", outcolorspace="RGB")  # type: ignore[return-value]


def shown(content: bytes) -> np.ndarray:
    """RGB as a viewer has it, by our own words: the finished file's label and its samples."""
    from hounsfield.codecs.colour import to_rgb
    from hounsfield.transcode.pixels import open_pixels

    pixels = open_pixels(content, read_instance(BytesSource("", content)).header)
    return to_rgb(pixels.cells(0), pixels.colour).astype(int)


@pytest.mark.parametrize(
    "keyword", ["explicit", "rle", "jpeg-ls", "jpeg2000", "htj2k", "jpeg-lossless", "jpeg-xl-jpeg"]
)
@pytest.mark.parametrize(
    ("stream", "photometric", "mended"),
    [(jfif(), "RGB", "YBR"), (adobe_rgb(), "YBR_FULL_422", "RGB"), (adobe_rgb(), "YBR_FULL", "RGB")],
    ids=["JFIF called RGB", "RGB called 422", "RGB called YBR"],
)
def test_markers_decide_on_colour_and_the_label_is_mended(
    stream: bytes, photometric: str, mended: str, keyword: str
) -> None:
    result = made(labelled(stream, "jpeg", photometric), keyword)
    dataset = pydicom.dcmread(io.BytesIO(result.content))
    written = (
        {"jpeg2000": "YBR_RCT", "htj2k": "YBR_RCT"}.get(keyword, "RGB") if mended == "RGB" else "YBR_FULL"
    )
    assert dataset.PhotometricInterpretation.removesuffix("_422") == written
    assert "its markers say" in result.why
    assert np.abs(shown(result.content) - RGB).mean() < 3
    if keyword in ("explicit", "rle"):
        from pydicom.pixels import pixel_array

        assert np.abs(pixel_array(dataset).astype(int) - RGB).mean() < 3


@pytest.mark.parametrize(
    ("stream", "photometric"), [(jfif(), "YBR_FULL_422"), (jfif(), "YBR_FULL"), (adobe_rgb(), "RGB")]
)
def test_a_label_that_is_right_stays(stream: bytes, photometric: str) -> None:
    result = made(labelled(stream, "jpeg", photometric), "rle")
    assert "markers" not in result.why
    assert np.abs(shown(result.content) - RGB).mean() < 3


def test_a_label_of_the_field_is_mended(field: Path) -> None:
    path = field / "jpeg_colour_label" / "jpeg_ycbcr_PI_RGB.dcm"
    from pydicom.pixels import pixel_array

    with pytest.warns(UserWarning, match="JFIF"):
        right = pixel_array(pydicom.dcmread(path)).astype(int)
    for keyword in ("explicit", "rle", "jpeg-ls", "jpeg2000", "htj2k", "jpeg-lossless"):
        result = transcode(FileSource(path), target(keyword))
        assert np.abs(shown(result.content) - right).mean() < 1


def test_jpeg2000_with_a_component_transform_is_rgb_whatever_its_label() -> None:
    stream = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", reversible=True, mct=True)
    assert traits_of(stream, transfer_syntax("jpeg2000")).colour == "RGB"  # type: ignore[arg-type]
    result = made(labelled(stream, "jpeg2000", "YBR_FULL"), "explicit")  # type: ignore[arg-type]
    assert pydicom.dcmread(io.BytesIO(result.content)).PhotometricInterpretation == "RGB"
    assert np.array_equal(shown(result.content), RGB)
    plain = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", reversible=True, mct=False)
    kept = made(labelled(plain, "jpeg2000", "YBR_FULL"), "explicit")  # type: ignore[arg-type]
    assert pydicom.dcmread(io.BytesIO(kept.content)).PhotometricInterpretation == "YBR_FULL" and not kept.why


def test_frames_of_different_colour_spaces_are_refused() -> None:
    dataset = pydicom.dcmread(io.BytesIO(labelled(jfif(), "jpeg", "YBR_FULL_422")))
    dataset.NumberOfFrames = 2
    dataset.PixelData = encapsulate([jfif(), adobe_rgb()])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnsupportedError, match=r"frame 2: a codestream of RGB \(expected YBR_FULL"):
        made(saved(dataset, transfer_syntax("jpeg").uid), "rle")


def test_lossless_jpeg_of_ybr_does_not_call_its_components_red_green_and_blue() -> None:
    form = FrameFormat(*RGB.shape, 8, 8, 7, photometric_interpretation="YBR_FULL")  # type: ignore[call-arg, misc]
    for keyword in ("jpeg-lossless", "jpeg-lossless-14"):
        stream = encode_frame(RGB, transfer_syntax(keyword), form)
        assert traits_of(stream, transfer_syntax(keyword)).colour == ""
        assert np.array_equal(decode_frame(stream, transfer_syntax(keyword), form), RGB)
        assert np.array_equal(imagecodecs.jpegsof3_decode(stream), RGB)


# Big endian words.


def test_big_endian_words_of_the_field(field: Path) -> None:
    little, big = (field / "big_endian_32bit_ow" / f"rtdose_u32{name}.dcm" for name in ("", "_be"))
    expected = read_instance(FileSource(little)).cells()
    assert np.array_equal(read_instance(FileSource(big)).cells(), expected)
    assert np.array_equal(values_of(transcode(FileSource(big), target("rle")).content), expected)
    written = transcode(FileSource(little), target("explicit-big-endian")).content
    assert written.endswith(big.read_bytes()[-expected.nbytes :])
    colour = field / "big_endian_colour_ow" / "SC_rgb_small_odd_big_endian.dcm"
    assert np.array_equal(read_instance(FileSource(colour)).cells(), pydicom.dcmread(colour).pixel_array)


def in_big_endian_words(dataset: pydicom.Dataset) -> bytes:
    """A native image with VR OW, as every writer that swaps by words has it."""
    content = dataset.PixelData + b"\0" * (len(dataset.PixelData) % 2)
    dataset.PixelData = np.frombuffer(content, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax("explicit-big-endian").uid  # type: ignore[assignment]
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
@pytest.mark.parametrize("shape", [(8, 6), (5, 7), (3, 5, 7)], ids=str)
def test_reading_and_transcoding_agree_on_big_endian_words(dtype: str, shape: tuple[int, ...]) -> None:
    limits = np.iinfo(dtype)
    array = NOISE.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    content = in_big_endian_words(image(array))
    frames = array if array.ndim == 3 else array[None]
    result = made(content, "explicit")
    for index, frame in enumerate(frames):
        assert np.array_equal(read_instance(BytesSource("", content)).cells(index), frame)
        assert np.array_equal(read_instance(BytesSource("", result.content)).cells(index), frame)
    back = made(result.content, "explicit-big-endian")
    assert all(np.array_equal(values_of(back.content, index), frame) for index, frame in enumerate(frames))


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("shape", [(4, 6), (3, 5)])
def test_colour_in_big_endian_words_comes_out_by_pixel(planar: int, shape: tuple[int, int]) -> None:
    colour = NOISE.integers(0, 256, (*shape, 3)).astype("u1")
    dataset = image(colour[..., 0], SamplesPerPixel=3, PhotometricInterpretation="RGB")
    dataset.PlanarConfiguration = planar
    dataset.PixelData = np.ascontiguousarray(np.moveaxis(colour, -1, 0) if planar else colour).tobytes()
    content = in_big_endian_words(dataset)
    assert np.array_equal(read_instance(BytesSource("", content)).cells(), colour)
    assert np.array_equal(values_of(made(content, "rle").content), colour)


def test_single_bits_in_big_endian_words_are_transcoded() -> None:
    bits = NOISE.integers(0, 2, (3, 5, 7)).astype("u1")
    dataset = image(bits, BitsAllocated=1, BitsStored=1, HighBit=0, Modality="SEG")
    dataset.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    content = in_big_endian_words(dataset)
    result = made(content, "explicit")
    assert np.array_equal(pydicom.dcmread(io.BytesIO(result.content)).pixel_array, bits)


@pytest.mark.parametrize("keyword", ["explicit", "jpeg-ls", "rle", "explicit-big-endian"])
def test_a_sign_that_only_the_codestream_states_is_in_the_header_afterwards(keyword: str) -> None:
    values = phantom().astype("i2") - 1024
    packed = pydicom.dcmread(io.BytesIO(made(saved(image(values)), "jpeg2000").content))
    packed.PixelRepresentation = 0
    result = made(saved(packed, transfer_syntax("jpeg2000").uid), keyword)
    assert pydicom.dcmread(io.BytesIO(result.content)).PixelRepresentation == 1
    assert "Pixel Representation is 1 now" in result.why
    assert np.array_equal(values_of(result.content), values)


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg2000", "rle"])
def test_what_was_mended_is_no_difference_to_a_proof(keyword: str) -> None:
    padded = phantom(2000)
    padded[:20] = 63536
    kinds = [
        overlaid(2)[0],
        saved(image(padded, BitsStored=12, HighBit=11, PixelPaddingValue=63536)),
        forgetful("jpeg", {"quality": 60}, "u1"),
    ]
    for content in kinds:
        proof = compare(BytesSource("old", content), BytesSource("new", made(content, keyword).content))
        assert proof.status == "same", proof
    lossy = made(extremes("-32768"), "jpeg-ls-near", max_error=4).content
    proof = compare(BytesSource("old", extremes("-32768")), BytesSource("new", lossy))
    assert (proof.status, proof.max_error <= 4) == ("lossy", True)
    overlay = overlaid()[0]
    moved = pydicom.dcmread(io.BytesIO(made(overlay, "jpeg-ls").content))
    moved[0x60023000].value = bytes(len(moved[0x60023000].value))
    tampered = compare(
        BytesSource("old", overlay), BytesSource("new", saved(moved, transfer_syntax("jpeg-ls").uid))
    )
    assert tampered.status == "different" and "(6002,3000)" in tampered.reason


# Refused though others read it.


def test_what_others_read_is_read(field: Path) -> None:
    frames = pydicom.dcmread(field / "frag0_middle" / "mf_frag0_middle.dcm").pixel_array
    source = FileSource(field / "frag0_middle" / "mf_frag0_middle.dcm")
    assert all(np.array_equal(values_of(source, index), frame) for index, frame in enumerate(frames))
    longer = field / "rle_decodes_too_long" / "rle_decoded_1_too_long.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(longer).pixel_array
    assert np.array_equal(values_of(FileSource(longer)), expected)
    subsampled = field / "j2k_subsampled_422" / "j2k_422.dcm"
    assert read_instance(FileSource(subsampled)).cells().shape == (64, 64, 3)
    assert "RGB" in transcode(FileSource(subsampled), target("rle")).why
    icon = transcode(FileSource(field / "compressed_icon" / "icon_compressed_50.dcm"), target("jpeg-ls"))
    (item,) = pydicom.dcmread(io.BytesIO(icon.content)).IconImageSequence
    assert len(item.PixelData) == item.Rows * item.Columns


@pytest.mark.parametrize("where", [0, 1, 2, 3])
@pytest.mark.parametrize("keyword", ["jpeg-ls", "rle"])
def test_an_empty_fragment_between_frames_is_no_frame(keyword: str, where: int) -> None:
    frames = NOISE.integers(0, 4096, (3, 16, 16)).astype("u2")
    form = FrameFormat(16, 16, bits_stored=12, high_bit=11)
    streams = [encode_frame(frame, transfer_syntax(keyword), form) for frame in frames]
    dataset = image(frames, BitsStored=12, HighBit=11)
    streams = [stream + b"\0" * (len(stream) % 2) for stream in (*streams[:where], b"", *streams[where:])]
    items = [b"\xfe\xff\x00\xe0" + len(stream).to_bytes(4, "little") + stream for stream in (b"", *streams)]
    dataset.PixelData = b"".join(items)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    content = saved(dataset, transfer_syntax(keyword).uid)
    assert all(np.array_equal(values_of(content, index), frame) for index, frame in enumerate(frames))


def with_slack(stream: bytes, slack: int) -> bytes:
    """RLE whose every segment unpacks to `slack` bytes more."""
    count, *offsets = np.frombuffer(stream[:64], "<u4")
    ends = [*offsets[1:count], len(stream)]
    segments = [
        stream[begin:end] + bytes([slack - 1]) + bytes(slack)
        for begin, end in zip(offsets, ends, strict=False)
    ]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    starts = [64 + sum(map(len, segments[:index])) for index in range(count)]
    return np.array([count, *starts, *[0] * (15 - count)], "<u4").tobytes() + b"".join(segments)


@pytest.mark.parametrize("slack", [1, 2, 7, 100])  # of rows of 9
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4"])
@pytest.mark.parametrize("samples", [1, 3])
def test_rle_that_unpacks_to_more_than_the_frame_is_cut(slack: int, dtype: str, samples: int) -> None:
    if samples == 3 and dtype != "u1":
        return
    limits = np.iinfo(dtype)
    array = NOISE.integers(limits.min, limits.max, (7, 9, 3)[: 2 + (samples == 3)], dtype, endpoint=True)
    bits = array.dtype.itemsize * 8
    colour = "RGB" if samples == 3 else "MONOCHROME2"
    form = FrameFormat(7, 9, samples, bits, bits, bits - 1, int(dtype[0] == "i"), colour)
    stream = encode_frame(array, transfer_syntax("rle"), form)
    assert np.array_equal(decode_frame(with_slack(stream, slack), transfer_syntax("rle"), form), array)


def test_rle_that_unpacks_to_less_or_to_anything_is_still_refused() -> None:
    array = NOISE.integers(0, 256, (40, 40)).astype("u1")
    form = FrameFormat(40, 40, 1, 8, 8, 7)
    stream = encode_frame(array, transfer_syntax("rle"), form)
    for wrong in (stream[:-60], stream + bytes([0x81, 7]) * 60_000):
        with pytest.raises(MalformedError):
            decode_frame(wrong, transfer_syntax("rle"), form)


def with_icon(keyword: str, colour: bool, depth: int) -> tuple[bytes, np.ndarray]:
    """A compressed image with a compressed icon, `depth` sequences down, and the icon."""
    icon = RGB[::8, ::8] if colour else RGB[::8, ::8, 0].copy()
    photometric = "RGB" if colour else "MONOCHROME2"
    form = FrameFormat(12, 12, 3 if colour else 1, 8, 8, 7, photometric_interpretation=photometric)
    item = image(np.zeros((12, 12), "u1"), SamplesPerPixel=form.samples_per_pixel)
    item.PhotometricInterpretation = photometric
    if colour:
        item.PlanarConfiguration = 0
    item.PixelData = encapsulate([encode_frame(icon, transfer_syntax(keyword), form)])
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    for _ in range(depth - 1):
        outer = pydicom.Dataset()
        outer.ReferencedImageSequence = pydicom.Sequence([item])
        item = outer
    dataset = pydicom.dcmread(io.BytesIO(made(saved(image(phantom())), keyword).content))
    dataset.IconImageSequence = pydicom.Sequence([item])
    return saved(dataset, transfer_syntax(keyword).uid), icon


@pytest.mark.parametrize("other", ["explicit", "implicit", "explicit-big-endian", "jpeg-ls", "deflated"])
@pytest.mark.parametrize(("colour", "depth"), [(False, 1), (True, 1), (False, 3)])
def test_compressed_icons_are_native_afterwards(colour: bool, depth: int, other: str) -> None:
    content, icon = with_icon("jpeg-lossless", colour, depth)
    dataset = pydicom.dcmread(io.BytesIO(made(content, other).content))
    (item,) = dataset.IconImageSequence
    for _ in range(depth - 1):
        (item,) = item.ReferencedImageSequence
    assert not item["PixelData"].is_undefined_length
    assert item.PixelData.rstrip(b"\0") == icon.tobytes().rstrip(b"\0")
    assert np.array_equal(dataset.pixel_array, phantom())


@pytest.mark.parametrize(
    "behind",
    [
        bytes(512),
        b"\0",
        b"garbage of some writer, longer than an element",
        b"\xff" * 64,
        b"\xfe\xff\xdd\xe0" + bytes(4),
    ],
    ids=["512 zeros", "one", "text", "ones", "delimiter"],
)
@pytest.mark.parametrize("keyword", ["explicit", "jpeg-ls"])
def test_whatever_follows_the_pixels_is_left_out(keyword: str, behind: bytes) -> None:
    plain = made(saved(image(phantom())), keyword).content
    for other in ("rle", "htj2k", "implicit", "deflated"):
        result = made(plain + behind, other)
        assert result.content == made(plain, other).content
        assert np.array_equal(values_of(result.content), phantom())


def test_elements_behind_the_pixels_are_kept() -> None:
    dataset = image(phantom())
    dataset.add_new(0xFFFCFFFC, "OB", b"\1" * 10)
    content = made(saved(dataset), "jpeg-ls").content + bytes(300)
    again = pydicom.dcmread(io.BytesIO(made(content, "rle").content))
    assert again[0xFFFCFFFC].value == b"\1" * 10


def test_components_subsampled_in_an_unusual_way_are_refused() -> None:
    stream = bytearray(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k", reversible=True, mct=False))
    stream[43:45] = b"\2\2"  # the first of three
    with pytest.raises(UnsupportedError, match="subsampled in an unusual way"):
        decode_frame(bytes(stream), transfer_syntax("jpeg2000"), FrameFormat(*RGB.shape, 8, 8, 7))  # type: ignore[call-arg]


def subsampled(pixel_format: str) -> tuple[bytes, np.ndarray]:
    """A reversible JPEG 2000 codestream of 4:2:2 or 4:2:0, and what it holds as YCbCr by pixel."""
    context = av.CodecContext.create("jpeg2000", "w")
    context.width = context.height = 64
    context.pix_fmt, context.time_base, context.options = (
        pixel_format,
        Fraction(1, 25),
        {"format": "j2k", "pred": "1"},
    )
    frame, down = av.VideoFrame(64, 64, pixel_format), 64 if pixel_format == "yuv422p" else 32
    slope = np.add.outer(np.arange(64), np.arange(64))
    planes = [slope + 60, slope[:down, :32] + 90, slope[:down, :32][::-1] + 80]
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.zeros((len(values), plane.line_size), "u1")
        lines[:, : values.shape[1]] = values
        plane.update(lines.tobytes())
    (packet,) = context.encode(frame) + context.encode(None)
    whole = [
        np.asarray(values).repeat(64 // values.shape[1], 1).repeat(64 // len(values), 0) for values in planes
    ]
    return bytes(packet), np.stack(whole, axis=-1).astype("u1")


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv420p"])
def test_jpeg2000_of_halved_chrominance_is_rgb(pixel_format: str) -> None:
    """CP-2650, which whole slide images have."""
    from hounsfield.codecs.colour import to_rgb

    stream, ybr = subsampled(pixel_format)
    right = to_rgb(ybr, "YBR_FULL").astype(int)
    dataset = image(ybr[..., 0], Modality="SM", SamplesPerPixel=3, PlanarConfiguration=0)
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    content = saved(dataset, transfer_syntax("jpeg2000").uid)
    assert np.abs(values_of(content) - right).max() <= 1
    for keyword in ("explicit", "rle", "jpeg-ls", "jpeg2000"):
        result = made(content, keyword)
        if result.changed:
            written = pydicom.dcmread(io.BytesIO(result.content))
            assert written.PhotometricInterpretation == "RGB"
            assert np.abs(written.pixel_array.astype(int) - right).max() <= 1


def test_a_picture_of_a_mislabelled_jpeg_has_its_true_colours() -> None:
    instance = read_instance(BytesSource("", labelled(jfif(), "jpeg", "RGB")))
    shown_by_server = np.asarray(picture(instance, 0, Look())).astype(int)
    assert np.abs(shown_by_server - RGB).mean() < 3
