"""`hounsfield.load` of the phantom, fault by fault, against the phantom's own truth: the two share no code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hounsfield import load, phantom, scan
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import inspect

PLAIN = PhantomSpec(rows=48, columns=64, slices=5)
UNSIGNED = replace(PLAIN, signed=False, padding=0, bits_stored=12)

POSITIONS = ("HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")
SYNTAXES = (
    "implicit",
    "explicit-big-endian",
    "deflated",
    "rle",
    "jpeg-ls",
    "jpeg-lossless",
    "jpeg2000",
    "htj2k",
)

SPECS: dict[str, PhantomSpec] = {
    "plain": PLAIN,
    "tilted": replace(PLAIN, tilt=-18.5),
    "oblique": replace(PLAIN, orientation=(0.9, 0.1, 0.2, -0.1, 1.0, 0.3)),
    "shuffled": replace(PLAIN, order="shuffled", lying_slice_location=True, slice_thickness=9.0),
    "descending": replace(PLAIN, order="descending"),
    **{position: replace(PLAIN, patient_position=position) for position in POSITIONS},
    "oblong voxels": replace(PLAIN, pixel_spacing=(3.0, 5.0)),
    "duplicates": replace(PLAIN, duplicated=(1, 3)),
    "frames of reference": replace(PLAIN, frame_of_reference_per_slice=True),
    "not sign-extended": replace(PLAIN, bits_stored=13, sign_extended=False),
    "garbage": replace(UNSIGNED, garbage=True),
    "overlay": replace(UNSIGNED, overlay_bit=14),
    "left-justified": replace(UNSIGNED, high_bit=15),
    "32 bits": replace(PLAIN, bits_allocated=32),
    "metal": replace(PLAIN, signed=False, padding=0, metal=40000.0),
    "MONOCHROME1": replace(PLAIN, photometric="MONOCHROME1"),
    "no slope": replace(PLAIN, slope=2.0, slope_tag=None),
    "no intercept": replace(PLAIN, intercept_tag=None),
    "empty slope": replace(PLAIN, slope_tag=""),
    "zero slope": replace(PLAIN, slope_tag="0"),
    "a slope a slice": replace(PLAIN, slope=(0.5, 0.75, 1.25), intercept=(-1024.0, -1000.0, -1100.0)),
    "modality LUT": replace(PLAIN, modality_lut=True, padding=None),
    "no rescale type": replace(PLAIN, rescale_type=None),
    "HU_MOD": replace(PLAIN, rescale_type="HU_MOD"),
    "Z_EFF": replace(PLAIN, rescale_type="Z_EFF"),
    "padding as US": replace(PLAIN, padding_vr="US"),
    "padding undeclared": replace(PLAIN, padding_tag=None),
    "padding misdeclared": replace(PLAIN, padding_tag=-32768),
    "padding over HU": replace(PLAIN, intercept=0.0, padding=-3024),
    "padding range": replace(PLAIN, padding_limit=-1500),
    "padding range reversed": replace(PLAIN, padding=-1500, padding_limit=-2000),
    "padding of water": replace(PLAIN, intercept=0.0, padding_tag=0),
    "much noise": replace(PLAIN, noise=30.0),
    **{syntax: replace(UNSIGNED, transfer_syntax=syntax) for syntax in SYNTAXES},
    "jpeg-ls, signed": replace(PLAIN, transfer_syntax="jpeg-ls"),
    "jpeg2000, signed": replace(PLAIN, transfer_syntax="jpeg2000"),
    "native under jpeg-ls": replace(UNSIGNED, transfer_syntax="jpeg-ls", native_pixels=True),
    "Philips pixels": replace(UNSIGNED, philips_rle="alone"),
    "Philips pixels beside": replace(UNSIGNED, philips_rle="beside"),
    "extra bytes": replace(PLAIN, extra_frames=1, extra_pixel_bytes=6),
    "no preamble": replace(PLAIN, preamble=False),
    "no meta": replace(PLAIN, file_meta=False),
    "no meta, implicit": replace(PLAIN, file_meta=False, transfer_syntax="implicit"),
    "no meta, big endian": replace(PLAIN, file_meta=False, transfer_syntax="explicit-big-endian"),
    "company": replace(PLAIN, localizers=2, dose_pages=1, strays=True),
    "good DICOMDIR": replace(PLAIN, dicomdir="good"),
    "lowercase DICOMDIR": replace(PLAIN, dicomdir="lowercase"),
    "dead DICOMDIR": replace(PLAIN, dicomdir="dead"),
    "Chinese": replace(PLAIN, character_set="GB18030", patient_name="王^小东"),
    "unknown alphabet": replace(PLAIN, character_set="ISO_IR 999", patient_name="Müller"),
    "private tags": replace(PLAIN, private_tags=True),
    "odd SOP class": replace(PLAIN, sop_class="1.2.3.4"),
    "mono-energetic": replace(PLAIN, mono_energetic_kev=70),
    "enhanced": replace(PLAIN, multiframe="enhanced", frame_order="shuffled"),
    "enhanced, per frame": replace(PLAIN, multiframe="enhanced", slope=(1.0, 0.5), tilt=12.0),
    "enhanced, at the root": replace(PLAIN, multiframe="enhanced", rescale_place="root"),
    "enhanced, in fragments": replace(
        PLAIN, multiframe="enhanced", transfer_syntax="jpeg-ls", fragments=2, offset_table="empty"
    ),
    "enhanced, extended offsets": replace(
        PLAIN, multiframe="enhanced", transfer_syntax="jpeg-ls", offset_table="extended"
    ),
    "legacy converted": replace(PLAIN, multiframe="legacy", frame_order="shuffled", tilt=-18.5),
}


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("name", SPECS)
def test_load_finds_the_truth_and_the_place_of_every_voxel(name: str, clamp: bool, tmp_path: Path) -> None:
    spec = SPECS[name]
    phantom.write(spec, tmp_path)
    exact: Any = load(tmp_path, dtype="float32", clamp=clamp)
    truth = phantom.truth(spec, clamp=clamp)
    np.testing.assert_allclose(exact.array, truth, atol=1e-3, rtol=0)
    np.testing.assert_allclose(exact.affine, phantom.affine(spec), atol=1e-6)
    rounded = load(tmp_path, clamp=clamp)
    np.testing.assert_array_equal(rounded.array, np.clip(np.rint(truth), -32768, 32767))


def test_eight_bits_with_a_fractional_slope_are_exact_in_float(tmp_path: Path) -> None:
    spec = replace(
        PLAIN, bits_allocated=8, bits_stored=8, signed=False, padding=0, slope=32.1216, intercept=-2048.0
    )
    phantom.write(spec, tmp_path)
    volume = load(tmp_path, dtype="float32")
    np.testing.assert_allclose(volume.array, phantom.truth(spec), atol=1e-3)


@pytest.mark.parametrize(
    "attribute", ["AcquisitionNumber", "TemporalPositionIdentifier", "ContentTime", "TriggerTime"]
)
@pytest.mark.parametrize("phase", [0, 1])
def test_each_phase_is_a_volume_of_its_own(attribute: Any, phase: int, tmp_path: Path) -> None:
    spec = replace(PLAIN, phases=2, phase_attribute=attribute, order="shuffled")
    phantom.write(spec, tmp_path)
    np.testing.assert_array_equal(load(tmp_path, phase=phase).array, phantom.truth(spec, phase=phase))


@pytest.mark.parametrize("name", SPECS)
def test_every_warning_of_load_is_among_the_cautions_of_info(name: str, tmp_path: Path) -> None:
    phantom.write(SPECS[name], tmp_path)
    (series,) = (each for each in scan(tmp_path).series if each.phases)
    cautions = set(inspect(series).cautions)
    for phase in range(len(series.phases)):
        assert set(series.load(phase=phase).report.warnings) <= cautions
