"""Values of files from the field: each small input of `field/reading` by its note, and a twin that is always there.

Each test names the public report of another reader that taught it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from pydicom import Dataset

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.cli import main
from hounsfield.errors import HounsfieldError, NotHounsfieldError
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import Trust, inspect

SMALL = PhantomSpec(rows=30, columns=34, slices=3)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def field(real_data: Path, name: str) -> Path:
    """One input of `field/reading`."""
    return real_data / "field" / "reading" / name


def written(spec: PhantomSpec, folder: Path) -> Path:
    phantom.write(spec, folder)
    return folder


def rewritten(spec: PhantomSpec, folder: Path, change: Any) -> Path:
    """The phantom with `change` done to each data set, which writes what no spec would."""
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


def cautions(folder: Path) -> tuple[str, ...]:
    (series,) = hounsfield.scan(folder).series
    return inspect(series).cautions


# Units other than HU


def test_z_effective_keeps_its_fractions(real_data: Path) -> None:
    """dcm2niix and SimpleITK write such maps as real numbers; whole ones lose them."""
    folder = field(real_data, "z_effective_rounded")
    volume = hounsfield.load(folder)
    assert volume.array.dtype == np.float32
    assert (volume.unit, volume.is_hounsfield) == ("Z_EFF", False)
    assert 7.39 < volume.array.min() < volume.array.max() < 7.44
    assert volume.report.rounded == 0
    inspected = inspect(hounsfield.scan(folder).series[0])
    assert inspected.histogram is not None
    assert inspected.histogram.range == pytest.approx((volume.array.min(), volume.array.max()))
    whole = hounsfield.load(folder, dtype="int16")
    assert set(np.unique(whole.array)) == {7}
    assert any("rounded to whole numbers" in warning for warning in whole.report.warnings)


@pytest.mark.parametrize(
    ("tags", "unit", "slope"),
    [
        ({"RescaleType": "Z_EFF"}, "Z_EFF", 0.01),
        ({"RescaleType": "MGML"}, "MGML", 0.1),
        ({"Modality": "PT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128"}, "unspecified", 1e-4),
        ({"Modality": "MR", "SOPClassUID": MR_IMAGE}, "unspecified", 0.25),
    ],
)
def test_another_unit_is_float32_and_hu_is_int16(
    tags: dict[str, Any], unit: str, slope: float, tmp_path: Path
) -> None:
    spec = replace(
        SMALL, slope=slope, intercept=0.0, bits_stored=16, tags=tags, rescale_type=None, padding=None
    )
    volume = hounsfield.load(written(spec, tmp_path / "map"))
    assert (volume.array.dtype, volume.unit) == (np.float32, unit)
    np.testing.assert_array_equal(volume.array, phantom.truth(spec, clamp=False).astype(np.float32))
    inspected = inspect(hounsfield.scan(tmp_path / "map").series[0])
    assert inspected.histogram is not None and inspected.histogram.counts.sum() == volume.array.size
    assert inspected.histogram.range == (volume.array.min(), volume.array.max())
    assert hounsfield.load(written(SMALL, tmp_path / "hu")).array.dtype == np.int16


# Modality, SOP class and Rescale Type that disagree


def test_a_ct_image_of_another_modality_is_hounsfield_as_a_whole_or_not_at_all(real_data: Path) -> None:
    """A fuzzed file: is_hounsfield was True beside "values are not HU", and −3024 stayed."""
    volume = hounsfield.load(real_data / "field" / "hostile" / "fa_361.dcm")
    assert_units_agree(volume)


def assert_units_agree(volume: Volume) -> None:
    told = any("not HU" in warning or "not called HU" in warning for warning in volume.report.warnings)
    assert volume.is_hounsfield == (volume.unit in {"HU", "HU_MOD"}) == (not told)
    assert (volume.array.min() >= -1024) == volume.is_hounsfield


@pytest.mark.parametrize("rescale_type", ["HU", "HU_MOD", "hu", None, "US", "HU*"])
@pytest.mark.parametrize("modality", ["CT", "MR", "OT", "", "PT"])
@pytest.mark.parametrize("sop_class", [CT_IMAGE, MR_IMAGE, "1.2.3.4"])
def test_unit_name_warning_and_clamping_agree(
    rescale_type: str | None, modality: str, sop_class: str, tmp_path: Path
) -> None:
    spec = replace(
        SMALL, slices=1, rescale_type=rescale_type, tags={"Modality": modality, "SOPClassUID": sop_class}
    )
    volume = hounsfield.load(written(spec, tmp_path))
    said = (rescale_type or "").upper() in {"HU", "HU_MOD"}
    is_ct = modality in ("CT", "") and sop_class != MR_IMAGE
    if said and (modality in ("CT", "") or sop_class == CT_IMAGE):
        assert volume.is_hounsfield
    elif not (is_ct and rescale_type is None):
        assert not volume.is_hounsfield
    assert volume.is_hounsfield == (volume.unit in {"HU", "HU_MOD"})
    assert (volume.array.min() == -1024) == volume.is_hounsfield
    told = any("not HU" in warning or "not called HU" in warning for warning in volume.report.warnings)
    assert not (told and volume.is_hounsfield)


# HU on request


@pytest.mark.parametrize("rescale_type", ["US", "HU*", "Hounsfield", "HOUNSFIELD UNITS", "normalized"])
def test_a_wrong_rescale_type_is_hu_on_request(rescale_type: str, tmp_path: Path) -> None:
    """SimpleITK's recipe for writing a CT says US."""
    folder = written(replace(SMALL, rescale_type=rescale_type), tmp_path)
    assert not hounsfield.load(folder).is_hounsfield
    with pytest.raises(NotHounsfieldError, match="--unit HU"):
        hounsfield.load(folder, require_hounsfield=True)
    volume = hounsfield.load(folder, unit="HU", require_hounsfield=True)
    assert (volume.unit, volume.array.dtype) == ("HU", np.int16)
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    name = "unspecified" if rescale_type == "US" else rescale_type
    assert f"taken as HU on request: the file says {name}" in volume.report.warnings
    assert not any(
        "not called HU" in warning or "another quantity" in warning for warning in volume.report.warnings
    )


def test_a_series_half_of_which_is_mislabelled_is_one_volume_on_request(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        if dataset.InstanceNumber % 2:
            dataset.RescaleType = "US"

    folder = rewritten(replace(SMALL, slices=6), tmp_path, change)
    assert len(hounsfield.scan(folder).series) == 2
    volume = hounsfield.load(folder, unit="HU")
    np.testing.assert_array_equal(volume.array, phantom.truth(replace(SMALL, slices=6)))


def test_what_is_hu_already_is_not_said_to_be_so_on_request(tmp_path: Path) -> None:
    assert hounsfield.load(written(SMALL, tmp_path), unit="HU").report.warnings == ()


def test_there_is_no_other_unit_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(HounsfieldError, match="unit='mm'"):
        hounsfield.load(written(SMALL, tmp_path), unit="mm")  # type: ignore[arg-type]


# Values that do not look like HU


@pytest.mark.parametrize(("name", "trust"), [("not_hu_8bit", Trust.RED), ("not_hu_offset_1024", Trust.AMBER)])
def test_what_does_not_look_like_hu_is_not_green(name: str, trust: Trust, real_data: Path) -> None:
    folder = field(real_data, name)
    volume = hounsfield.load(folder)
    (told,) = (warning for warning in volume.report.warnings if "does not look like HU" in warning)
    inspected = inspect(hounsfield.scan(folder).series[0])
    assert told in inspected.cautions
    assert inspected.trust is trust


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"intercept_tag": "0", "signed": False, "bits_stored": 12, "padding": None}, True),
        ({"intercept_tag": "0", "padding": None, "intercept": -1024.0}, True),
        ({"intercept_tag": None, "padding": None}, True),
        ({"intercept": 0.0, "padding": None}, False),
        ({"intercept": 0.0, "padding": -2000}, False),
        ({}, False),
    ],
)
def test_stored_values_called_hu_are_told_from_hu(
    change: dict[str, Any], expected: bool, tmp_path: Path
) -> None:
    folder = written(replace(SMALL, **change), tmp_path)
    warnings = hounsfield.load(folder).report.warnings
    assert any("does not look like HU" in warning for warning in warnings) == expected
    assert any("does not look like HU" in caution for caution in cautions(folder)) == expected


@pytest.mark.parametrize(("below", "expected"), [(0.0005, True), (0.002, False)])
def test_a_few_strays_below_minus_200_are_no_air(below: float, expected: bool) -> None:
    from hounsfield.ct.hu import Conversion, Rescale, StoredFormat, convert

    cells = np.full((700, 1000), 24, np.int16)
    cells.ravel()[: round(below * cells.size)] = -500
    out = np.empty_like(cells)
    counts = convert(cells, Conversion(StoredFormat(16, 16, 15, True), Rescale()), out)
    assert bool(counts.airless) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.26, True), (0.24, False)])
@pytest.mark.parametrize("value", [200, 24, -199])
def test_only_what_is_near_0_may_be_air(share: float, value: int, expected: bool) -> None:
    from hounsfield.ct.hu import Conversion, Rescale, StoredFormat, convert

    cells = np.full((700, 1000), 1500, np.int16)
    cells.ravel()[: round(share * cells.size)] = value
    out = np.empty_like(cells)
    counts = convert(cells, Conversion(StoredFormat(16, 16, 15, True), Rescale()), out)
    assert bool(counts.airless) == expected


# Real-valued pixels, and pixels of the other byte order


def as_real(dataset: Any, kind: str) -> None:
    """Integer pixels as Float or Double Float Pixel Data, and without what only integers have."""
    cells = np.frombuffer(dataset.PixelData, "<i2")
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        dataset.pop(keyword, None)  # data sets of one phantom share what does not differ
    dataset.BitsAllocated = 32 if kind == "FloatPixelData" else 64
    setattr(dataset, kind, (cells + 0.25).astype("<f4" if kind == "FloatPixelData" else "<f8").tobytes())


def test_float_pixel_data_is_read_and_rescaled(real_data: Path) -> None:
    """highdicom and pydicom were asked for it: integer pixels are not all there is."""
    folder = field(real_data, "float_pixel_data")
    dataset = pydicom.dcmread(folder / "000.dcm")
    volume = hounsfield.load(folder, dtype="float32", clamp=False)
    expected = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    np.testing.assert_array_equal(volume.array[0], expected)
    assert volume.unit == "HU"


@pytest.mark.parametrize("kind", ["FloatPixelData", "DoubleFloatPixelData"])
@pytest.mark.parametrize("multiframe", [None, "enhanced"])
def test_real_pixels_are_read_exactly(kind: str, multiframe: Any, tmp_path: Path) -> None:
    spec = replace(SMALL, padding=None, multiframe=multiframe)
    folder = rewritten(spec, tmp_path, lambda dataset: as_real(dataset, kind))
    truth = phantom.truth(replace(spec, multiframe=None), clamp=False) + 0.25
    volume = hounsfield.load(folder, dtype="float32")
    np.testing.assert_array_equal(volume.array, np.maximum(truth, -1024).astype(np.float32))
    whole = hounsfield.load(folder)
    assert whole.array.dtype == np.int16
    np.testing.assert_array_equal(whole.array, np.rint(np.maximum(truth, -1024)))
    assert any("rounded to whole numbers" in warning for warning in whole.report.warnings)
    assert not any("missing" in warning for warning in whole.report.warnings)


@pytest.mark.parametrize("kind", ["FloatPixelData", "DoubleFloatPixelData"])
def test_real_padding_and_nan_are_padding(kind: str, tmp_path: Path) -> None:
    name = kind.removesuffix("Data")

    def change(dataset: Any) -> None:
        as_real(dataset, kind)
        cells = np.frombuffer(getattr(dataset, kind), "<f4" if kind == "FloatPixelData" else "<f8").copy()
        cells[:5], cells[5:9] = np.nan, -3000.5
        setattr(dataset, kind, cells.tobytes())
        setattr(dataset, f"{name}PaddingValue", -3000.0)
        setattr(dataset, f"{name}PaddingRangeLimit", -3001.0)

    volume = hounsfield.load(rewritten(replace(SMALL, padding=None), tmp_path, change), dtype="float32")
    assert volume.report.padded == 9 * 3
    assert (volume.array[:, 0, :9] == -1024).all()


def test_nan_of_another_unit_stays_nan(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        as_real(dataset, "FloatPixelData")
        cells = np.frombuffer(dataset.FloatPixelData, "<f4").copy()
        cells[:5] = np.nan
        dataset.FloatPixelData = cells.tobytes()

    folder = rewritten(replace(SMALL, padding=None, rescale_type="Z_EFF"), tmp_path, change)
    volume = hounsfield.load(folder)
    assert np.isnan(volume.array).sum() == 5 * 3
    inspected = inspect(hounsfield.scan(folder).series[0])
    assert inspected.histogram is not None
    assert inspected.histogram.counts.sum() == volume.array.size - 15


def test_real_pixels_are_copied_and_named_but_not_compressed(tmp_path: Path) -> None:
    folder = rewritten(SMALL, tmp_path / "real", lambda dataset: as_real(dataset, "FloatPixelData"))
    told = CliRunner().invoke(main, ["compress", str(folder), str(tmp_path / "out"), "--to", "jpeg-ls"])
    assert "FloatPixelData in place of Pixel Data" in told.output
    assert "Traceback" not in told.output


def as_ge_private(folder: Path) -> None:
    """The files of an implicit phantom in the syntax of old scanners of GE, whose pixels alone are big endian."""
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = "1.2.840.113619.5.2"  # type: ignore[assignment]
        pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)


def test_the_private_syntax_of_ge_is_read(real_data: Path) -> None:
    """dicomParser met it; GDCM reads it right."""
    volume = hounsfield.load(field(real_data, "ge_private_syntax"))
    assert (volume.array.min(), volume.array.max()) == (-1012, 705)


@pytest.mark.parametrize(
    "change", [{}, {"signed": False, "bits_stored": 12, "padding": 0}, {"private_tags": True}]
)
def test_big_endian_pixels_in_a_little_endian_file(change: dict[str, Any], tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax="implicit", **change)
    folder = written(spec, tmp_path / "ct")
    as_ge_private(folder)
    np.testing.assert_array_equal(hounsfield.load(folder).array, phantom.truth(spec))
    for verb in ("compress", "deidentify", "copy"):
        options = ["--to", "jpeg-ls"] if verb == "compress" else []
        done = CliRunner().invoke(main, [verb, str(folder), str(tmp_path / verb), *options])
        assert done.exit_code == 0, done.output
        np.testing.assert_array_equal(hounsfield.load(tmp_path / verb).array, phantom.truth(spec))


# Signs: Pixel Representation, and what a codestream says of itself


def represented(value: int | None) -> Any:
    """A change of the header alone: what Pixel Representation says."""

    def change(dataset: Any) -> None:
        dataset.pop("PixelRepresentation", None)
        if value is not None:
            dataset.PixelRepresentation = value

    return change


def test_signed_pixels_without_pixel_representation_are_hu(real_data: Path) -> None:
    volume = hounsfield.load(field(real_data, "no_pixel_representation"))
    assert -1024 <= volume.array.min() < -1000
    assert volume.report.saturated == 0
    assert volume.report.warnings == (
        "Pixel Representation (0028,0103) is missing or senseless: taken as signed",
    )


SIGNED: dict[str, Any] = {
    "GE": {},
    "already HU": {"intercept": 0.0, "padding": -2000},
    "already HU, 12 bits": {"intercept": 0.0, "bits_stored": 12, "padding": None},
    "already HU, 12 bits, not extended": {
        "intercept": 0.0,
        "bits_stored": 12,
        "padding": -1500,
        "sign_extended": False,
    },
    "13 bits": {"bits_stored": 13, "intercept": 0.0},
}
UNSIGNED_ONES: dict[str, Any] = {
    "12 bits": {"signed": False, "bits_stored": 12, "padding": 0},
    "16 bits": {"signed": False, "bits_stored": 16, "padding": 0},
    "12 bits with metal": {"signed": False, "bits_stored": 12, "padding": 0, "metal": 3000.0},
    "16 bits with metal": {"signed": False, "bits_stored": 16, "padding": 0, "metal": 20000.0},
}


@pytest.mark.parametrize(
    "syntax", ["explicit", "implicit", "rle", "jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k"]
)
@pytest.mark.parametrize("name", [*SIGNED, *UNSIGNED_ONES])
def test_without_pixel_representation_the_sign_is_that_of_ct_numbers(
    name: str, syntax: str, tmp_path: Path
) -> None:
    spec = replace(SMALL, transfer_syntax=syntax, **(SIGNED | UNSIGNED_ONES)[name])
    volume = hounsfield.load(rewritten(spec, tmp_path, represented(None)))
    np.testing.assert_array_equal(volume.array, np.minimum(phantom.truth(spec), 32767))
    word = "signed" if name in SIGNED else "unsigned"
    assert (
        f"Pixel Representation (0028,0103) is missing or senseless: taken as {word}" in volume.report.warnings
    )


@pytest.mark.parametrize("syntax", ["jpeg2000", "htj2k", "jpeg2000-lossy"])
@pytest.mark.parametrize("name", [*SIGNED])
def test_a_signed_codestream_is_believed_against_the_header(name: str, syntax: str, tmp_path: Path) -> None:
    """A public test file came out as 0 … 65 535 HU where −2048 … 1717 is right."""
    spec = replace(SMALL, transfer_syntax=syntax, **SIGNED[name])
    folder = rewritten(spec, tmp_path / "said", represented(0))
    volume = hounsfield.load(folder)
    right = hounsfield.load(written(spec, tmp_path / "right"))
    np.testing.assert_array_equal(volume.array, right.array)
    told = "Pixel Representation (0028,0103) says unsigned, the codestream signed: taken as signed"
    assert told in volume.report.warnings
    assert told in cautions(folder)


@pytest.mark.parametrize("syntax", ["jpeg2000", "htj2k"])
@pytest.mark.parametrize("name", [*UNSIGNED_ONES])
def test_an_unsigned_codestream_of_ct_numbers_is_unsigned(name: str, syntax: str, tmp_path: Path) -> None:
    spec = replace(SMALL, transfer_syntax=syntax, **UNSIGNED_ONES[name])
    volume = hounsfield.load(rewritten(spec, tmp_path, represented(1)))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))
    assert any("the codestream unsigned: taken as unsigned" in told for told in volume.report.warnings)


@pytest.mark.parametrize("syntax", ["jpeg-ls", "jpeg-lossless"])
def test_a_codestream_of_fewer_bits_than_stored_is_signed_by_its_values(syntax: str, tmp_path: Path) -> None:
    """12 unsigned bits under a header of 16 signed ones: sign extension would turn bone to air."""
    spec = replace(SMALL, transfer_syntax=syntax, signed=False, bits_stored=12, padding=0)

    def change(dataset: Any) -> None:
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15

    volume = hounsfield.load(rewritten(spec, tmp_path, change))
    np.testing.assert_array_equal(volume.array, phantom.truth(spec))


def test_maps_of_another_unit_keep_the_sign_of_their_header(tmp_path: Path) -> None:
    spec = replace(
        SMALL, transfer_syntax="jpeg2000", signed=False, bits_stored=12, padding=0, rescale_type="Z_EFF"
    )
    volume = hounsfield.load(rewritten(spec, tmp_path, represented(1)))
    expected = phantom.truth(spec) + 1024
    np.testing.assert_array_equal(volume.array + 1024, np.where(expected >= 2048, expected - 4096, expected))


@pytest.mark.parametrize(
    ("share", "value", "expected"),
    [(0.049, 9000, False), (0.051, 9000, True), (0.02, 31744, False), (0.02, 31745, True)],
)
def test_high_values_are_metal_up_to_a_share_and_a_height(share: float, value: int, expected: bool) -> None:
    from hounsfield.ct.hu import Rescale, StoredFormat
    from hounsfield.ct.instance.signs import looks_signed

    bits = 13 if value < 1 << 13 else 14 if value < 1 << 14 else 15
    cells = np.full((100, 100), 24, np.uint16)
    cells.ravel()[: round(share * cells.size)] = value
    format_ = StoredFormat(16, bits, bits - 1, signed=False)
    assert looks_signed(cells, format_, Rescale(1.0, -1024.0)) == expected


# Numbers as files write them


def test_a_decimal_comma_is_the_point_it_stands_for(real_data: Path) -> None:
    """dcmjs#287: the intercept was taken as missing, and everything came out 1024 HU too high."""
    volume = hounsfield.load(field(real_data, "decimal_comma"))
    assert (volume.array.min(), volume.array.max()) == (-1012, 708)
    assert (volume.report.slope, volume.report.intercept) == (1, -1024)
    told = "Rescale Intercept (0028,1052) is -1024,0, with a decimal comma: taken as -1024"
    assert told in volume.report.warnings


@pytest.mark.parametrize("multiframe", [None, "enhanced", "no geometry"])
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian", "deflated"])
def test_decimal_commas_in_rescale_and_geometry(multiframe: Any, syntax: str, tmp_path: Path) -> None:
    spec = replace(
        SMALL, slope_tag="1,0", intercept_tag="-1024,00", transfer_syntax=syntax, multiframe=multiframe
    )
    folder = written(spec, tmp_path)
    options: dict[str, Any] = {"spacing": (2.5, 1.0, 1.0)} if multiframe == "no geometry" else {}
    volume = hounsfield.load(folder, **options)
    np.testing.assert_array_equal(volume.array, phantom.truth(replace(SMALL, multiframe=None)))
    assert sum("with a decimal comma" in warning for warning in volume.report.warnings) == 2


def with_commas(folder: Path, keyword: str, old: bytes, new: bytes) -> Path:
    """The phantom's files with other bytes of the same length in place of one value."""
    for path in folder.iterdir():
        content = path.read_bytes()
        assert old in content, keyword
        path.write_bytes(content.replace(old, new))
    return folder


def test_decimal_commas_in_position_and_spacing(tmp_path: Path) -> None:
    spec = replace(SMALL, pixel_spacing=(1.25, 1.5), centre=(0.5, 0.25, 0.0))
    right = hounsfield.load(written(spec, tmp_path / "right"))
    folder = written(spec, tmp_path / "commas")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        texts = {
            keyword: "\\".join(str(number) for number in dataset[keyword].value).encode()
            for keyword in ("ImagePositionPatient", "PixelSpacing")
        }
        content = path.read_bytes()
        for text in texts.values():
            content = content.replace(text, text.replace(b".", b","))
        path.write_bytes(content)
    volume = hounsfield.load(folder)
    np.testing.assert_allclose(volume.affine, right.affine)
    np.testing.assert_array_equal(volume.array, right.array)
    assert (
        "Pixel Spacing (0028,0030) is written with decimal commas: taken as points" in volume.report.warnings
    )


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("ImagePositionPatient", "0\\0\\abc"),
        ("ImageOrientationPatient", "1\\0\\0\\0\\one\\0"),
        ("PixelSpacing", "0.5;0.5"),
        ("RescaleSlope", "1.000.0"),
        ("RescaleIntercept", "minus 1024"),
    ],
)
def test_what_is_no_number_is_refused_and_named(keyword: str, text: str, tmp_path: Path) -> None:
    folder = written(replace(SMALL, tags={keyword: text}), tmp_path)
    with pytest.raises(HounsfieldError) as caught:
        hounsfield.load(folder)
    assert repr(text) in str(caught.value)
    assert f"tags --set {keyword}" in str(caught.value)


def test_slices_in_the_order_of_numbers_that_are_none_say_so(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        dataset.pop("ImagePositionPatient", None)

    folder = rewritten(SMALL, tmp_path, change)
    for path in folder.iterdir():
        content = path.read_bytes()
        at = content.index(b"\x20\x00\x13\x00IS")
        path.write_bytes(content[: at + 8] + b"x " + content[at + 10 :])
    warnings = hounsfield.load(folder, spacing=(1.0, 1.0, 1.0)).report.warnings
    assert any("the Instance Number (0020,0013) of 3 slices is no whole number" in told for told in warnings)


def test_a_number_of_frames_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = written(replace(SMALL, multiframe="enhanced"), tmp_path)
    for path in folder.iterdir():
        content = path.read_bytes()
        at = content.index(b"\x28\x00\x08\x00IS")
        path.write_bytes(content[: at + 8] + b"x " + content[at + 10 :])
    with pytest.raises(HounsfieldError, match=r"Number of Frames \(0028,0008\) is 'x'"):
        hounsfield.load(folder)


def test_a_slice_that_cannot_be_read_is_told_of_its_series(tmp_path: Path) -> None:
    """Left out at the end of a stack, it would leave a sound volume that is too short."""
    folder = written(replace(SMALL, slices=6), tmp_path)
    path = sorted(folder.iterdir())[-1]
    dataset = pydicom.dcmread(path)
    del dataset.RescaleIntercept
    dataset.add(pydicom.dataelem.DataElement(0x00281052, "LO", "lost"))
    dataset.save_as(path)
    path.write_bytes(path.read_bytes().replace(b"\x28\x00\x52\x10LO", b"\x28\x00\x52\x10DS"))
    volume = hounsfield.load(folder)
    assert len(volume.array) == 5
    assert any("left out" in warning and "'lost'" in warning for warning in volume.report.warnings)
    (series,) = hounsfield.scan(folder).series
    assert [item.name for item in series.left_out] == [str(path)]


# Other scales: real world mappings, dose, activity


def test_a_real_world_mapping_is_the_scale_where_there_is_no_other(real_data: Path) -> None:
    """STIR#1123: such values were called HU, 1024 too high."""
    volume = hounsfield.load(field(real_data, "real_world_value_only"))
    assert volume.unit == "HU"
    assert (volume.report.slope, volume.report.intercept) == (1, -1024)
    assert -1024 <= volume.array.min() < -900
    assert "no rescale: values by the Real World Value Mapping, in [hnsf'U]" in volume.report.warnings


def mapping(unit: str, **values: Any) -> Dataset:
    """One item of a Real World Value Mapping Sequence."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item = Dataset()
    item.MeasurementUnitsCodeSequence = [code] if unit else []
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 4095
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


@pytest.mark.parametrize("multiframe", [None, "enhanced"])
@pytest.mark.parametrize(
    ("unit", "name", "slope", "intercept"),
    [("[hnsf'U]", "HU", 1.0, -1024.0), ("mg/cm3", "mg/cm3", 0.125, 0.0), ("", "unspecified", 0.5, 1.0)],
)
def test_a_mapping_gives_values_and_unit(
    unit: str, name: str, slope: float, intercept: float, multiframe: Any, tmp_path: Path
) -> None:
    spec = replace(
        SMALL, slope_tag=None, intercept_tag=None, rescale_type=None, multiframe=multiframe, padding=None
    )
    item = mapping(unit, RealWorldValueSlope=slope, RealWorldValueIntercept=intercept)

    def change(dataset: Any) -> None:
        dataset.RealWorldValueMappingSequence = [item]

    volume = hounsfield.load(rewritten(spec, tmp_path, change), clamp=False)
    assert volume.unit == name
    stored = phantom.truth(replace(SMALL, padding=None), clamp=False) + 1024
    np.testing.assert_array_equal(volume.array, (stored * slope + intercept).astype(volume.array.dtype))


def test_a_mapping_by_table_and_one_in_hu_before_another(tmp_path: Path) -> None:
    spec = replace(
        SMALL, slope_tag=None, intercept_tag=None, rescale_type=None, signed=False, bits_stored=12, padding=0
    )
    table = [float(number) - 1024 for number in range(4096)]

    def change(dataset: Any) -> None:
        other = mapping("1", RealWorldValueSlope=2.0, RealWorldValueIntercept=0.0)
        dataset.RealWorldValueMappingSequence = [other, mapping("[hnsf'U]", RealWorldValueLUTData=table)]

    volume = hounsfield.load(rewritten(spec, tmp_path, change))
    assert volume.unit == "HU"
    np.testing.assert_array_equal(
        volume.array, phantom.truth(replace(spec, slope_tag="1", intercept_tag="-1024"))
    )


def test_a_mapping_never_overrules_a_rescale(tmp_path: Path) -> None:
    def change(dataset: Any) -> None:
        item = mapping("mg/cm3", RealWorldValueSlope=2.0, RealWorldValueIntercept=7.0)
        dataset.RealWorldValueMappingSequence = [item]

    volume = hounsfield.load(rewritten(SMALL, tmp_path, change))
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    assert volume.unit == "HU"


@pytest.mark.parametrize(
    ("scaling", "unit", "factor"), [("2.5e-5", "GY", 2.5e-5), ("0,5", "GY", 0.5), (None, "unspecified", 1.0)]
)
def test_a_dose_is_scaled_by_its_own_attribute(
    scaling: str | None, unit: str, factor: float, tmp_path: Path
) -> None:
    tags = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2",
        "Modality": "RTDOSE",
        "DoseUnits": "GY",
        "DoseGridScaling": scaling,
    }
    spec = replace(
        SMALL, signed=False, padding=None, slope_tag=None, intercept_tag=None, rescale_type=None, tags=tags
    )
    volume = hounsfield.load(written(spec, tmp_path))
    assert (volume.unit, volume.array.dtype) == (unit, np.float32)
    stored = phantom.truth(replace(spec, rescale_type="US"), clamp=False)
    np.testing.assert_allclose(volume.array, stored * factor, rtol=1e-6)
    missing = any("Dose Grid Scaling (3004,000E) is missing" in warning for warning in volume.report.warnings)
    assert missing == (scaling is None)


def test_activity_has_the_unit_of_its_own_attribute(tmp_path: Path) -> None:
    tags = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Modality": "PT", "Units": "BQML"}
    spec = replace(SMALL, slope=1e-4, intercept=0.0, rescale_type=None, padding=None, tags=tags)
    volume = hounsfield.load(written(spec, tmp_path))
    assert (volume.unit, volume.array.dtype) == ("BQML", np.float32)
    assert np.abs(volume.array).max() > 0


# Secondary Captures that are CT, and pictures without a place

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def test_a_secondary_capture_that_is_a_ct_is_read_on_request(real_data: Path) -> None:
    """vtk-dicom#236, Slicer#2831: dicomwrite of MATLAB and many exporters write CT so."""
    folder = field(real_data, "secondary_capture_ct")
    found = hounsfield.scan(folder)
    assert found.series == ()
    assert any("taken if its series is named" in item.reason for item in found.skipped)
    with pytest.raises(HounsfieldError, match="--series"):
        hounsfield.load(folder)
    volume = hounsfield.load(folder, series=1)
    assert volume.unit == "HU"
    assert volume.array.min() >= -1024
    assert (
        "Secondary Captures with the place and unit of a CT: taken as one on request"
        in volume.report.warnings
    )


@pytest.mark.parametrize(
    ("tags", "options", "is_taken"),
    [
        ({}, {}, True),
        ({"PixelSpacing": None}, {}, False),
        ({"ImagePositionPatient": None}, {}, False),
        ({"ImageOrientationPatient": None}, {}, False),
        ({"Modality": "OT"}, {}, False),
        ({"Modality": "OT"}, {"unit": "HU"}, True),
        ({"ImageType": "DERIVED\\SECONDARY\\SCREEN SAVE"}, {}, False),
        ({"RescaleType": "US"}, {}, False),
        ({"RescaleType": "US"}, {"unit": "HU"}, True),
        ({"RescaleType": None}, {"unit": "HU"}, True),
    ],
)
def test_what_a_secondary_capture_needs_to_be_taken_as_ct(
    tags: dict[str, Any], options: dict[str, Any], is_taken: bool, tmp_path: Path
) -> None:
    spec = replace(SMALL, sop_class=SECONDARY_CAPTURE, tags={"SOPClassUID": SECONDARY_CAPTURE, **tags})
    folder = written(spec, tmp_path)
    uid = phantom.series_uid(spec)
    if not is_taken:
        with pytest.raises(HounsfieldError, match="Secondary Capture"):
            hounsfield.load(folder, series=uid, **options)
        return
    np.testing.assert_array_equal(hounsfield.load(folder, series=uid, **options).array, phantom.truth(SMALL))
    with pytest.raises(HounsfieldError):
        hounsfield.load(folder, **options)


def test_secondary_captures_beside_a_ct_change_nothing(tmp_path: Path) -> None:
    written(SMALL, tmp_path / "ct")
    written(replace(SMALL, sop_class=SECONDARY_CAPTURE, series_number=9), tmp_path / "copy")
    np.testing.assert_array_equal(hounsfield.load(tmp_path).array, phantom.truth(SMALL))
    assert len(hounsfield.scan(tmp_path).series) == 1
    assert hounsfield.load(tmp_path, series=9).report.warnings != ()
    out = tmp_path / "out.nii"
    done = CliRunner().invoke(main, ["volume", str(tmp_path), str(out), "--series", "9"])
    assert done.exit_code == 0, done.output
    assert out.is_file()


@pytest.mark.parametrize(
    "missing",
    [["ImagePositionPatient"], ["ImageOrientationPatient"], ["PixelSpacing"]],
    ids=["position", "orientation", "spacing"],
)
def test_a_single_picture_needs_no_place(missing: list[str], tmp_path: Path) -> None:
    spec = replace(SMALL, slices=1, tags=dict.fromkeys(missing))
    path = next(written(spec, tmp_path / "ct").iterdir())
    for out in (tmp_path / "one.png", tmp_path / "folder"):
        done = CliRunner().invoke(main, ["image", str(path), str(out)])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "one.png").stat().st_size > 0
    assert list((tmp_path / "folder").glob("*.png"))
    with pytest.raises(HounsfieldError):
        hounsfield.load(path)


def test_several_pictures_without_a_place_are_still_refused(tmp_path: Path) -> None:
    folder = written(replace(SMALL, tags={"ImagePositionPatient": None}), tmp_path / "ct")
    done = CliRunner().invoke(main, ["image", str(folder), str(tmp_path / "one.png")])
    assert done.exit_code == 1
    assert "--spacing" in done.output
