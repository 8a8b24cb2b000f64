"""`hounsfield.qa.analyse` over scans whose truth is known, and over what is no phantom."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hounsfield
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, HounsfieldError, NotHounsfieldError, SelectionError
from hounsfield.phantom import ideal
from hounsfield.phantom.qa import Scan, make, truth
from hounsfield.qa.curves import Curve
from hounsfield.qa.result import Result

MODELS = ("catphan503", "catphan504", "catphan600", "catphan604", "catphan700", "acr464")
SMALL = Scan(shape=(56, 240, 240), spacing=(4.0, 0.95, 0.95), thickness=4.0, noise=4.0)


@cache
def scanned(scan: Scan) -> Volume:
    return make(scan)


def found(scan: Scan, **how: Any) -> Result:
    return hounsfield.qa.analyse(scanned(scan), **how)


def errors(result: Result, scan: Scan) -> dict[Any, Any]:
    """Measured less true HU of each insert that has a value."""
    right = {each["name"]: each["hu"] for each in truth(scan)["inserts"]}
    return {
        name: each.mean - right[name]
        for name, each in result.inserts.items()
        if name in right and each.mean is not None
    }


@pytest.mark.parametrize("model", MODELS)
def test_each_model_is_named_placed_and_measured(model: str) -> None:
    scan = replace(SMALL, model=model, roll=3.0, noise=1.0, offset=(7.3, -12.1, 0.0))
    result = found(scan)
    assert result.phantom == model
    assert result.details["phantom"]["mirror"] is False and result.details["phantom"]["end"] == "normal"
    assert result.roll == pytest.approx(3.0, abs=0.05)
    assert result.tilt == pytest.approx(0.0, abs=0.1)
    assert result.placement.centre[:2] == pytest.approx((7.3, -12.1), abs=0.05)
    assert result.placement.centre[2] == pytest.approx(0.0, abs=0.4)
    assert max(map(abs, errors(result, scan).values())) < 0.8
    assert result.missing == ()
    if model != "acr464":
        assert result.details["geometry"]["distances"] == pytest.approx([50.0] * 4, abs=0.05)


@pytest.mark.parametrize("roll", [40, 90, 225])
def test_any_roll_is_found_with_every_name_right(roll: int) -> None:
    scan = replace(SMALL, roll=float(roll), tilt=(1.2, -1.6), offset=(-20.0, 11.0, 0.0))
    result = found(scan)
    assert result.phantom == "catphan604"
    assert (result.roll - roll + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
    assert result.tilt == pytest.approx(truth(scan)["placement"]["tilt"], abs=0.1)
    assert max(map(abs, errors(result, scan).values())) < 1.5


@pytest.mark.parametrize("model", ["catphan504", "catphan604"])
@pytest.mark.parametrize(("mirror", "reverse"), [(True, False), (False, True)])
def test_mirrored_data_and_a_phantom_end_for_end_are_told_apart(
    model: str, mirror: bool, reverse: bool
) -> None:
    scan = replace(SMALL, model=model, roll=12.0, mirror=mirror, reverse=reverse)
    result = found(scan)
    assert result.phantom == model
    assert result.details["phantom"]["mirror"] is mirror
    assert result.details["phantom"]["end"] == ("reversed" if reverse else "normal")
    assert any("mirrored" in each for each in result.warnings) is mirror
    assert max(map(abs, errors(result, scan).values())) < 1.5


@pytest.mark.parametrize(
    "odd",
    [
        {"rim_gap": 40.0, "table": True, "beads": 2},
        {"cut": 30.0},
        {"cup": 40.0, "ring": 30.0, "noise": 12.0},
    ],
    ids=["faint rim, table, beads", "cut field", "cupping and ring"],
)
def test_a_rim_with_gaps_and_a_field_cut_short_are_no_hindrance(odd: dict[str, float]) -> None:
    if "cut" in odd:
        odd = {**odd, "roll": 0.0, "cut": 75.0}
    scan = replace(SMALL, roll=7.0, **{k: v for k, v in odd.items() if k != "roll"})  # type: ignore[arg-type]
    result = found(scan)
    assert result.phantom == "catphan604"
    assert result.roll == pytest.approx(7.0, abs=0.1)
    if "cup" not in odd:
        assert max(map(abs, errors(result, scan).values())) < 1.5


@pytest.mark.parametrize("gain", [0.47, 0.73])
def test_a_cone_beam_is_found_called_not_hu_and_never_judged_by_limits_of_ct(gain: float) -> None:
    scan = replace(SMALL, model="catphan503", gain=gain, shift=-55.0, cup=20.0)
    result = found(scan)
    assert result.details["linearity"]["slope"] == pytest.approx(gain, abs=0.02)
    assert any(each.startswith("not HU") for each in result.warnings)
    with pytest.raises(NotHounsfieldError, match="slope"):
        found(scan, limits="tg66")
    with pytest.raises(NotHounsfieldError, match="cone beam"):
        result.curve("ed")


@pytest.mark.parametrize("sd", [20.0])
def test_air_that_is_cut_off_is_estimated_and_not_averaged(sd: float) -> None:
    scan = replace(SMALL, noise=sd, floor=-1000.0)
    result = found(scan)
    air = result.inserts["air top"]
    values = next(each for each in result.details["inserts"] if each["name"] == "air top")
    assert values["floor"] > 0.3 and values["estimate"] == "censored"
    assert air.mean == pytest.approx(-1000.0, abs=1.5 + 2 * air.se)  # type: ignore[operator]


def test_an_insert_mostly_at_the_floor_has_no_value() -> None:
    result = found(replace(SMALL, noise=10.0, floor=-980.0))
    assert result.inserts["air top"].mean is None
    assert any("no value" in each for each in result.warnings)


@pytest.mark.parametrize("cup", [0.0, 60.0])
def test_cupping_is_what_lies_between_edge_and_centre(cup: float) -> None:
    scan = replace(SMALL, cup=cup, noise=1.0)
    uniform = found(scan).details["uniformity"]
    inside = (53.0**2 + 10.0**2 / 2 - 10.0**2 / 2) / 100.5**2
    assert uniform["acr"] == pytest.approx(cup * inside, abs=0.5)
    assert uniform["cup"] == pytest.approx(cup, abs=1.0)


@pytest.mark.parametrize("psf", [0.6, 0.9])
def test_transfer_of_an_edge_is_that_of_the_point_spread(psf: float) -> None:
    scan = replace(SMALL, psf=psf, noise=2.0, shape=(56, 320, 320), spacing=(4.0, 0.7, 0.7))
    right = truth(scan)["ttf"]
    for insert in found(scan).details["inserts"]:
        edge = insert["ttf"]
        if edge is not None and abs(edge["contrast"]) > 200:
            assert edge["f50"] == pytest.approx(right["f50"], rel=0.04), insert["name"]
            if abs(edge["contrast"]) > 500:
                assert edge["f10"] == pytest.approx(right["f10"], rel=0.08), insert["name"]


@pytest.mark.parametrize("thickness", [2.0, 3.0])
def test_thickness_is_that_of_the_slice_profile(thickness: float) -> None:
    scan = Scan(
        shape=(40, 360, 360),
        spacing=(thickness, 0.62, 0.62),
        thickness=thickness,
        noise=3.0,
        start=(-111.0, -111.0, -40.0),
    )
    result = found(scan)
    measured = result.details["thickness"]
    assert measured["fwhm"] == pytest.approx(truth(scan)["thickness"], abs=max(0.05 * thickness, 0.1))
    assert measured["interval"][0] <= measured["fwhm"] <= measured["interval"][1]


def test_noise_has_the_spectrum_it_was_made_with() -> None:
    scan = replace(SMALL, noise=15.0, peak=0.22, spacing=(4.0, 0.9, 0.9))
    result = found(scan)
    assert result.details["noise"]["sd"] == pytest.approx(15.0, rel=0.03)
    assert result.details["nps"]["peak"] == pytest.approx(0.22, abs=0.02)
    assert result.details["nps"]["integral_to_variance"] == pytest.approx(1.0, abs=0.02)


def test_standard_errors_are_those_of_repeated_scans() -> None:
    scans = [
        replace(
            SMALL, noise=25.0, z_correlation=0.3, seed=seed, shape=(56, 216, 216), spacing=(4.0, 1.0, 1.0)
        )
        for seed in range(3)
    ]
    results = [make_and_measure(scan) for scan in scans]
    pulls = [
        error / results[i].inserts[name].se
        for i, scan in enumerate(scans)
        for name, error in errors(results[i], scan).items()
    ]
    assert max(map(abs, pulls)) < 4
    assert 0.6 < float(np.std(pulls)) < 1.6


def make_and_measure(scan: Scan) -> Result:
    return hounsfield.qa.analyse(make(scan))


def test_a_missing_module_is_named_and_the_rest_is_measured() -> None:
    whole = scanned(SMALL)
    z = whole.affine[2, 3] + 4.0 * np.arange(len(whole.array))
    kept = np.nonzero((z > -55) & (z < 60))[0]
    part = Volume(whole.array[kept], _moved(whole, kept[0]), whole.spacing)
    result = hounsfield.qa.analyse(part)
    assert result.phantom == "catphan604"
    assert result.missing == ("CTP729",)
    assert result.inserts["Teflon"].mean == pytest.approx(1000, abs=1.5)


def test_one_module_alone_names_every_model_that_has_it() -> None:
    whole = scanned(replace(SMALL, model="catphan504"))
    z = whole.affine[2, 3] + 4.0 * np.arange(len(whole.array))
    kept = np.nonzero(np.abs(z) < 12)[0]
    result = hounsfield.qa.analyse(Volume(whole.array[kept], _moved(whole, kept[0]), whole.spacing))
    assert {"catphan504"} <= set(result.details["phantom"]["alike"])
    assert result.inserts["Teflon"].mean == pytest.approx(1000, abs=3)


def _moved(volume: Volume, first: Any) -> Any:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * first
    return affine


def test_water_is_measured_without_inserts() -> None:
    result = found(replace(SMALL, model="water", shape=(20, 240, 240), noise=5.0))
    assert result.phantom == "water"
    assert result.inserts["water"].mean == pytest.approx(0, abs=0.5)
    assert result.details["uniformity"]["acr"] < 1
    assert result.details["geometry"]["diameter"] == pytest.approx(200, abs=0.3)


def test_one_model_given_as_another_is_refused() -> None:
    with pytest.raises(SelectionError, match="CatPhan 604"):
        found(SMALL, phantom="catphan504")


def test_what_is_no_phantom_is_refused() -> None:
    grid = np.array([[0, 0, 2.5, -160.0], [0, 2.5, 0, -160.0], [5.0, 0, 0, -60.0], [0, 0, 0, 1.0]])
    body = Volume.from_array(ideal((24, 128, 128), grid).astype(np.int16), grid)
    with pytest.raises(SelectionError, match="no phantom"):
        hounsfield.qa.analyse(body)
    noise = np.random.default_rng(1).normal(0, 50, (20, 128, 128)).astype(np.int16)
    with pytest.raises(SelectionError, match="no phantom"):
        hounsfield.qa.analyse(Volume.from_array(noise, np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]]))


def test_three_slices_another_unit_and_two_phantoms_are_refused() -> None:
    whole = scanned(SMALL)
    with pytest.raises(GeometryError, match="3 slices"):
        hounsfield.qa.analyse(Volume(whole.array[20:23], whole.affine, whole.spacing))
    with pytest.raises(NotHounsfieldError):
        hounsfield.qa.analyse(Volume(whole.array, whole.affine, whole.spacing, unit="Z_EFF"))
    twice = Volume(np.concatenate([whole.array, whole.array]), whole.affine, whole.spacing)
    with pytest.raises(SelectionError, match="two"):
        hounsfield.qa.analyse(twice)
    beside = Volume(np.concatenate([whole.array, whole.array], axis=2), whole.affine, whole.spacing)
    with pytest.raises(SelectionError, match="two phantoms"):
        hounsfield.qa.analyse(beside)


def test_a_phantom_that_leans_is_refused() -> None:
    with pytest.raises(GeometryError, match="leans"):
        found(replace(SMALL, tilt=(6.5, 0.0)))


def test_gaps_inside_the_module_are_refused() -> None:
    whole = scanned(SMALL)
    middle = int(np.argmin(np.abs(whole.affine[2, 3] + 4.0 * np.arange(len(whole.array)))))
    report = replace(whole.report, filled=(middle,))
    with pytest.raises(GeometryError, match="missing inside"):
        hounsfield.qa.analyse(replace(whole, report=report))


def test_limits_judge_only_by_name_and_only_with_a_source(tmp_path: Path) -> None:
    assert found(replace(SMALL, noise=1.0)).verdicts == ()
    with pytest.raises(SelectionError, match="not checked against its text"):
        found(replace(SMALL, noise=1.0), limits="ws519-status")
    result = found(replace(SMALL, noise=1.0), limits="ws519-status", unconfirmed_limits=True)
    assert {each["quantity"] for each in result.verdicts if each["within"]} >= {"uniformity", "linearity"}
    bare = tmp_path / "bare.json"
    bare.write_text('{"name": "mine", "limits": [{"quantity": "insert:Teflon", "low": 1100, "high": 1200}]}')
    with pytest.raises(HounsfieldError, match="no source"):
        found(replace(SMALL, noise=1.0), limits=bare)
    bare.write_text(
        '{"name": "mine", "source": "ward 3", "limits": [{"quantity": "insert:Teflon", "low": 1100, "high": 1200}]}'
    )
    assert found(replace(SMALL, noise=1.0), limits=bare).is_broken


def test_a_curve_rises_and_is_applied_to_its_own_protocol_only(tmp_path: Path) -> None:
    from hounsfield.qa.curves import read

    scan = replace(SMALL, noise=1.0)
    curve = found(scan).curve("ed", use_plastics=True)
    assert all(np.diff([knot[0] for knot in curve.knots]) > 0) and all(
        np.diff([knot[1] for knot in curve.knots]) > 0
    )
    path = tmp_path / "curve.csv"
    path.write_text(curve.csv(), encoding="utf-8")
    density = read(path).apply(scanned(scan))
    assert density.unit == "relative electron density"
    assert curve.values(np.array([-1000.0, 0.0])) == pytest.approx([0.001, 1.0], abs=0.01)
    other = replace(scanned(scan), header={**scanned(scan).header, "KVP": "100"})
    with pytest.raises(SelectionError, match="kv is 100"):
        curve.apply(other)
    assert "not for treatment" in "".join(_rsp(scan).warnings)


def _rsp(scan: Scan) -> Curve:
    from hounsfield.qa.curves import from_inserts

    rows = [
        {"material": name, "mean": hu, "se": 0.1} for name, hu in (("a", -900.0), ("b", 0.0), ("c", 900.0))
    ]
    materials = {"a": {"rsp": 0.1}, "b": {"rsp": 1.0}, "c": {"rsp": 1.6}}
    return from_inserts(rows, materials, "rsp", slope=1.0, scanner={}, protocol={})


def test_a_phantom_whose_inserts_cannot_be_seen_is_never_called_water() -> None:
    with pytest.raises(SelectionError, match="no phantom"):
        found(replace(SMALL, field=190.0, offset=(5.0, 4.0, 0.0)))
    with pytest.raises(SelectionError, match="no phantom"):
        found(replace(SMALL, missing=("CTP732",)))
