"""Evidence that headers hold and hardly anybody reads, and slices that take turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.ct.plausibility import (
    Evidence,
    Physics,
    Plausibility,
    header_evidence,
    level_of,
    looks_interleaved,
)
from hounsfield.ct.plausibility.evidence import SENTENCES
from hounsfield.ct.plausibility.headers import USUAL_KVP
from hounsfield.ct.plausibility.stacks import (
    ALTERNATES,
    FEWEST_SLICES,
    RELATIVE,
    TISSUE_ALTERNATES,
    TISSUE_HU,
    SliceLevel,
)
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import Trust, inspect

SAID = {
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": "SOMATOM Force",
    "KVP": "120",
    "RescaleType": "HU",
}


def keys(**said: str) -> list[str]:
    return [each.key for each in header_evidence({**SAID, **said})]


@pytest.mark.parametrize(
    ("maker", "model"),
    [
        ("Varian Medical Systems", "On-Board Imager"),
        ("ELEKTA", "XVI"),
        ("Imaging Sciences International", "i-CAT"),
        ("NewTom", "NewTom VGi"),
        ("Planmeca", "ProMax 3D"),
        ("J.Morita.Mfg.Corp.", "3D Accuitomo"),
        ("Carestream Dental", "CS 9300"),
        ("SIEMENS", "AXIOM-Artis"),
        ("Medtronic", "O-arm"),
    ],
)
def test_a_cone_beam_is_known_by_maker_and_model(maker: str, model: str) -> None:
    assert keys(Manufacturer=maker, ManufacturerModelName=model) == ["cone-beam"]


@pytest.mark.parametrize(
    ("maker", "model"),
    [
        ("SIEMENS", "Sensation 64"),
        ("GE MEDICAL SYSTEMS", "LightSpeed VCT"),
        ("Philips", "Brilliance Big Bore"),
        ("TOSHIBA", "Aquilion ONE"),
        ("Canon Medical Systems", "Aquilion Precision"),
        ("Hitachi", "SCENARIA"),
        ("NeuroLogica", "CereTom"),
        ("UIH", "uCT 760"),
        ("ELSCINT", "CT Twin"),
    ],
)
def test_a_fan_beam_is_not_taken_for_one(maker: str, model: str) -> None:
    assert keys(Manufacturer=maker, ManufacturerModelName=model) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"ConvolutionKernel": "Sd36f"}, ["density-kernel"]),
        ({"ConvolutionKernel": "Sd40f\\2"}, ["density-kernel"]),
        ({"ConvolutionKernel": "Br40d"}, []),
        ({"ConvolutionKernel": "STANDARD"}, []),
        ({"ConvolutionKernel": "SOFT"}, []),
        ({"SeriesDescription": "CBCT pelvis"}, ["cone-beam"]),
        ({"ImageType": "DERIVED\\PRIMARY\\AXIAL\\VNC"}, ["virtual-image"]),
        ({"SeriesDescription": "MonoE 40keV"}, ["virtual-image"]),
        ({"ImageType": "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI"}, []),
        ({"SeriesDescription": "Hip iMAR"}, ["metal-reduction"]),
        ({"SeriesDescription": "STD, O-MAR"}, ["metal-reduction"]),
        ({"SeriesDescription": "MARCH control"}, []),
        ({"KVP": str(USUAL_KVP[0] - 1)}, ["unusual-kvp"]),
        ({"KVP": str(USUAL_KVP[0])}, []),
        ({"KVP": str(USUAL_KVP[1])}, []),
        ({"KVP": str(USUAL_KVP[1] + 1)}, ["unusual-kvp"]),
        ({"KVP": ""}, []),
        ({"KVP": "0"}, []),
        ({"KVP": "high"}, []),
        ({"RescaleType": ""}, ["no-rescale-type"]),
    ],
)
def test_what_a_header_says(said: dict[str, str], expected: list[str]) -> None:
    assert keys(**said) == expected


def test_evidence_of_headers_speaks_both_languages_with_its_word() -> None:
    (found,) = header_evidence({**SAID, "ConvolutionKernel": "Sd36f"})
    assert (
        "Sd36f" in found.sentence() and "Sd36f" in found.sentence("zh") and found.to_json()["text"] == "Sd36f"
    )
    for english, chinese in SENTENCES.values():
        assert ("{text}" in english) == ("{text}" in chinese)


def test_uncalibrated_numbers_are_never_plausible_and_others_keep_their_verdict() -> None:
    good = Plausibility(Physics.PLAUSIBLE, ())
    assert good.with_evidence(Evidence("cone-beam"), uncalibrated=True).verdict is Physics.UNKNOWN
    assert good.with_evidence(Evidence("unusual-kvp", 80.0)).verdict is Physics.PLAUSIBLE
    bad = Plausibility(Physics.IMPLAUSIBLE, (), "windowed")
    assert bad.with_evidence(Evidence("cone-beam"), uncalibrated=True) == Plausibility(
        Physics.IMPLAUSIBLE, (Evidence("cone-beam"),), "windowed"
    )


SPEC = PhantomSpec(rows=256, columns=256, slices=3)


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        ({"Manufacturer": "ELEKTA", "ManufacturerModelName": "XVI"}, "cone-beam"),
        ({"ConvolutionKernel": "Sd36f"}, "density-kernel"),
    ],
)
def test_a_series_that_is_not_calibrated_is_amber_and_says_why(
    tags: dict[str, str], key: str, tmp_path: Path
) -> None:
    phantom.write(SPEC, tmp_path / "plain")
    phantom.write(replace(SPEC, tags=tags), tmp_path / "odd")
    plain, odd = (inspect(hounsfield.scan(tmp_path / name).series[0]) for name in ("plain", "odd"))
    assert plain.plausibility is not None and odd.plausibility is not None
    assert key not in [each.key for each in plain.plausibility.evidence]
    sentence = next(each.sentence() for each in odd.plausibility.evidence if each.key == key)
    assert sentence in odd.cautions and odd.trust is Trust.AMBER
    assert odd.plausibility.verdict is Physics.UNKNOWN


def levels(noise: NDArray[Any], tissue: NDArray[Any] | None = None) -> list[SliceLevel]:
    tissue = np.full(len(noise), 40.0) if tissue is None else tissue
    return [SliceLevel(float(n), float(t)) for n, t in zip(noise, tissue, strict=True)]


def turns(count: int) -> NDArray[np.float64]:
    """−1 and +1 by turns."""
    return np.where(np.arange(count) % 2, 1.0, -1.0)


@pytest.mark.parametrize(("count", "expected"), [(FEWEST_SLICES - 1, False), (FEWEST_SLICES, True)])
def test_so_few_slices_are_no_evidence(count: int, expected: bool) -> None:
    assert looks_interleaved(levels(10 + 3 * turns(count))) is expected


@pytest.mark.parametrize(("factor", "expected"), [(0.9, False), (1.1, True)])
def test_a_small_alternation_of_noise_is_none(factor: float, expected: bool) -> None:
    # Slices ± d around their neighbours differ from the mean of these by 2 d.
    assert looks_interleaved(levels(10 + 10 * RELATIVE * factor / 2 * turns(40))) is expected


@pytest.mark.parametrize(("factor", "expected"), [(0.9, False), (1.1, True)])
def test_a_small_alternation_of_tissue_is_none(factor: float, expected: bool) -> None:
    noise = np.full(40, 10.0)
    assert looks_interleaved(levels(noise, 40 + TISSUE_HU * factor / 2 * turns(40))) is expected


def test_noise_that_changes_along_the_body_is_no_alternation() -> None:
    chance = np.random.default_rng(5)
    for _ in range(20):
        noise = 10 + 5 * np.sin(np.arange(60) / 9) + chance.normal(0, 0.6, 60)
        assert not looks_interleaved(levels(noise, 40 + chance.normal(0, 6, 60)))
    assert 0 < ALTERNATES < TISSUE_ALTERNATES < 1


def test_two_noises_in_turn_are_seen_in_a_series(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    smooth = [chance.normal(40, 5, (128, 128)) for _ in range(20)]
    sharp = [chance.normal(40, 20, (128, 128)) for _ in range(20)]
    assert not looks_interleaved([level_of(each) for each in smooth])
    mixed = [each for pair in zip(smooth, sharp, strict=True) for each in pair]
    assert looks_interleaved([level_of(each) for each in mixed])
    assert np.isnan(level_of(np.full((64, 64), -1024.0)).noise)
    assert np.isnan(level_of(np.zeros((4, 4))).noise)
