"""Names of outputs: templates, folders a patient, and values of headers that would lead elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli import main
from hounsfield.errors import SelectionError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.runs.names import PatientFolders, Template

TINY: dict[str, Any] = {"rows": 8, "columns": 8, "slices": 2}


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, each with series 201 of the same description."""
    folder = tmp_path_factory.mktemp("patients")
    for number in range(3):
        spec = PhantomSpec(
            **TINY, seed=number, patient_id=f"P{number}", series_number=201, series_description="Thorax 1.0"
        )
        write(spec, folder / str(number))
    return folder


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["volume", *map(str, arguments)])
    return done.exit_code, done.output


def files(folder: Path, suffix: str = ".nii") -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(f"*{suffix}")}


def test_patients_lie_apart_where_there_are_several(patients: Path, tmp_path: Path) -> None:
    assert run(patients, tmp_path / "out", "--format", "nifti")[0] == 0
    expected = {f"P{number}/201-Thorax-1.0.nii.gz" for number in range(3)}
    assert files(tmp_path / "out", ".nii.gz") == expected
    assert run(patients / "0", tmp_path / "one")[0] == 0
    assert files(tmp_path / "one", ".nii.gz") == {"201-Thorax-1.0.nii.gz"}
    page = (tmp_path / "out" / "hounsfield.html").read_text("utf-8")
    assert "P1/201-Thorax-1.0.nii.gz" in page


def test_patients_whose_ids_look_alike_lie_apart(tmp_path: Path) -> None:
    for number, name in enumerate(("A/1", "A-1", "a 1", "", "..")):
        write(PhantomSpec(**TINY, seed=number, patient_id=name), tmp_path / "in" / str(number))
    series = hounsfield.scan(tmp_path / "in").series
    names = [PatientFolders(series)(each) for each in series]
    assert len({name.casefold() for name in names}) == 5
    assert all(name.count("/") == 1 and name[0] not in "./" for name in names)


def test_a_template_names_folders_and_files(patients: Path, tmp_path: Path) -> None:
    template = "{PatientID}/{StudyDate}_{SeriesNumber:05}_{SeriesDescription}_{0018,0060}"
    assert run(patients, tmp_path / "out", "--format", ".nii", "--name", template)[0] == 0
    assert files(tmp_path / "out") == {f"P{n}/20240229_00201_Thorax-1.0_120.nii" for n in range(3)}
    code, output = run(patients, tmp_path / "out", "--format", ".nii", "--name", template, "--json")
    assert code == 0 and all(row["kept"] for row in json.loads(output)["volumes"])


def test_names_that_meet_are_refused_before_anything_is_written(patients: Path, tmp_path: Path) -> None:
    code, output = run(patients, tmp_path / "out", "--name", "{StudyDate}_{SeriesNumber}")
    assert code == 1 and "gives 20240229_201.nii.gz to two volumes" in " ".join(output.split())
    assert not list((tmp_path / "out").glob("**/*.nii.gz"))
    assert not (tmp_path / "out" / "hounsfield.jsonl").exists()


@pytest.mark.parametrize(
    "text",
    ["../{PatientID}", "/abs/{PatientID}", "{PatientID}/../x", "a//b", "", "{PatientID!r}", "{Rows:>8}", "a\\b",
     "{PatientID", "x/", "{PatientIDD}", "a:b", "{}"],
)  # fmt: skip
def test_a_template_that_is_none_is_refused(patients: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(SelectionError):
        Template(text)
    assert run(patients, tmp_path / "out", "--name", text)[0] != 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("..", "unknown"),
        ("/root", "root"),
        ("C:\\temp", "C-temp"),
        ("", "unknown"),
        ("con", "_con"),
        ("nul.txt", "_nul.txt"),
        ("头颅 平扫", "头颅-平扫"),
        ("a" * 200, "a" * 80),
        ("字" * 200, "字" * 53),
        (".hidden", "hidden"),
        ("a\nb\0c", "a-b-c"),
    ],
)
def test_no_value_leads_out_of_the_folder(tmp_path: Path, value: str, expected: str) -> None:
    write(PhantomSpec(**TINY, character_set="ISO_IR 192"), tmp_path)
    [series] = hounsfield.scan(tmp_path).series
    facts = {**series.facts, "SeriesDescription": value}
    object.__setattr__(
        series, "__class__", type("Told", (type(series),), {"facts": property(lambda _: facts)})
    )
    assert Template("{SeriesDescription}").fill(series, None) == expected
    assert Template("x/{SeriesDescription}").fill(series, None) == f"x/{expected}"


def test_phases_have_names_of_their_own(tmp_path: Path) -> None:
    write(PhantomSpec(**TINY, phases=2), tmp_path / "in")
    assert run(tmp_path / "in", tmp_path / "a", "--format", ".nii", "--name", "{SeriesNumber}")[0] == 0
    number = PhantomSpec().series_number
    assert files(tmp_path / "a") == {f"{number}-phase0.nii", f"{number}-phase1.nii"}
    assert run(tmp_path / "in", tmp_path / "b", "--format", ".nii", "--name", "{phase}/{Modality}")[0] == 0
    assert files(tmp_path / "b") == {"0/CT.nii", "1/CT.nii"}


def test_one_output_takes_no_template(patients: Path, tmp_path: Path) -> None:
    code, output = run(patients / "0", tmp_path / "v.nii", "--name", "{PatientID}")
    assert code == 2 and "--name is for a folder" in output


def test_a_sidecar_tells_of_scanner_and_values_and_names_nobody(patients: Path, tmp_path: Path) -> None:
    assert run(patients / "1", tmp_path / "v.nii.gz", "--sidecar", "--voxel", "4")[0] == 0
    text = (tmp_path / "v.json").read_text("utf-8")
    made = json.loads(text)
    assert made["Modality"] == "CT" and made["KVP"] == 120.0 and made["ConvolutionKernel"] == "STANDARD"
    assert made["ExposureTime"] == 0.5 and made["XRayTubeCurrent"] == 200.0
    assert made["Manufacturer"] == "Hounsfield" and made["ManufacturersModelName"] == "Phantom"
    assert (
        made["Units"] == "HU"
        and made["RescaleInterceptOfFiles"] == -1024
        and made["VoxelSpacing"] == [4, 4, 4]
    )
    assert made["Conversion"]["resampled"] is True
    assert "P1" not in text and "20240229" not in text and "PatientID" not in text
    code, output = run(patients / "1", tmp_path / "w.nrrd", "--sidecar", "--identity")
    assert code == 0, output
    assert json.loads((tmp_path / "w.json").read_text("utf-8"))["PatientID"] == "P1"


def test_a_sidecar_appears_with_its_volume_or_not_at_all(patients: Path, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("mine")
    code, output = run(patients / "1", tmp_path / "v.nii", "--sidecar")
    assert code == 1 and "exists already" in output and not (tmp_path / "v.nii").exists()
    out = tmp_path / "out"
    out.mkdir()
    (out / "201-Thorax-1.0.json").write_text("mine")
    assert run(patients / "1", out, "--format", ".zarr", "--sidecar")[0] == 1
    assert (out / "201-Thorax-1.0.json").read_text() == "mine" and not files(out, ".zarr")
    assert run(patients / "1", out, "--format", ".zarr", "--sidecar", "--force")[0] == 0
    assert json.loads((out / "201-Thorax-1.0.json").read_text("utf-8"))["Units"] == "HU"
    assert run(patients / "1", tmp_path / "v.npy", "--sidecar")[0] == 1
    assert run(patients / "1", tmp_path / "x.nii", "--identity")[0] == 2


def test_a_nifti_says_what_it_holds(patients: Path, tmp_path: Path) -> None:
    hounsfield.load(patients / "0", voxel=5).save(tmp_path / "v.nii")
    header = nibabel.load(tmp_path / "v.nii").header
    assert header.get_xyzt_units()[0] == "mm"
    assert header.get_intent() == ("dimensionless", (), "HU")
    said = header["descrip"].item().decode()
    assert said.startswith("hounsfield ") and "unit HU" in said and "resampled" in said


def test_what_others_cannot_take_is_said_when_it_is_written(tmp_path: Path) -> None:
    write(PhantomSpec(**TINY, phases=2), tmp_path / "phases")
    code, output = run(tmp_path / "phases", tmp_path / "a.nii", "--4d", "--json")
    [row] = json.loads(output)["volumes"]
    assert code == 0 and any("2 volumes in one file, 4-D" in text for text in row["warnings"])
    write(PhantomSpec(**TINY, rescale_type="Z_EFF"), tmp_path / "map")
    for kind, is_said in (("int16", True), ("float32", False)):
        code, output = run(tmp_path / "map", tmp_path / f"{kind}.nii", "--dtype", kind, "--json")
        [row] = json.loads(output)["volumes"]
        assert code == 0 and is_said == any("of another unit, Z_EFF" in text for text in row["warnings"])
