"""`volume --layout`: data sets as nnU-Net, MONAI and BIDS read them, labels that mean the same, splits by patient."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec, write

TINY: dict[str, Any] = {"rows": 16, "columns": 16, "slices": 4}
NAMES = (("liver", "spleen"), ("spleen", "kidney"), ("liver",), ("kidney", "liver"))


def run(*arguments: object) -> tuple[int, Any]:
    done = CliRunner().invoke(main, ["volume", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.exit_code == 0 else done.output


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PACS export: three patients, four labelled CT, one without labels, one tilted, one twice, a text file."""
    root = tmp_path_factory.mktemp("export")
    for number, names in enumerate(NAMES):
        spec = PhantomSpec(**TINY, seed=number, patient_id=f"P{number % 3}", series_number=2 + number)
        folder = root / f"ct{number}"
        write(spec, folder)
        segment(folder, names, root / f"seg{number}.dcm")
    write(PhantomSpec(**TINY, seed=20, patient_id="P9"), root / "unlabelled")
    write(PhantomSpec(**TINY, seed=21, patient_id="P8", tilt=-15.0), root / "tilted")
    write(PhantomSpec(**TINY, seed=20, patient_id="P7", series_number=77), root / "again")
    (root / "readme.txt").write_text("an export")
    return root


def segment(folder: Path, names: tuple[str, ...], out: Path) -> None:
    """A DICOM SEG on the CT of `folder`: a slab of rows for each name."""
    from hounsfield.segmentation import Masks, Segment
    from hounsfield.verbs.masks_writing import rewrite_masks

    [series] = hounsfield.scan(folder).series
    volume = series.load()
    labels = np.zeros(volume.shape, np.uint8)
    for place, name in enumerate(names):
        labels[1:3, 3 * place + 2 : 3 * place + 4, 4 : 8 + len(name)] = place + 1
    segments = tuple(Segment(place, name) for place, name in enumerate(names, 1))
    rewrite_masks(Masks((labels,), segments, volume.affine, "test"), out, series, "seg")


def values(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(nibabel.load(path).dataobj)


@pytest.fixture(scope="module")
def nnunet(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "Dataset007_Organs"
    code, made = run(export, out, "--layout", "nnunet")
    assert code == 0, made
    assert made["folder"] == str(out) and len(made["cases"]) == 6
    return out


def test_nnunet_has_what_its_verifier_asks(nnunet: Path) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not here: pip install SimpleITK")
    described = json.loads((nnunet / "dataset.json").read_text("utf-8"))
    assert described["channel_names"] == {"0": "CT"} and described["file_ending"] == ".nii.gz"
    assert sorted(described["labels"].values()) == [0, 1, 2, 3]
    cases = sorted(path.name.removesuffix("_0000.nii.gz") for path in (nnunet / "imagesTr").iterdir())
    assert described["numTraining"] == len(cases) == 4
    assert cases == sorted(path.name.removesuffix(".nii.gz") for path in (nnunet / "labelsTr").iterdir())
    for case in cases:
        image = sitk.ReadImage(str(nnunet / "imagesTr" / f"{case}_0000.nii.gz"))
        labels = sitk.ReadImage(str(nnunet / "labelsTr" / f"{case}.nii.gz"))
        for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert np.allclose(getattr(image, get)(), getattr(labels, get)())
        assert set(np.unique(sitk.GetArrayFromImage(labels))) <= set(described["labels"].values())
    assert len(list((nnunet / "imagesTs").iterdir())) == 2


@pytest.mark.soak  # nnunetv2 brings a gigabyte; the rules that it checks are tested here, too
def test_nnunets_own_verifier_passes(nnunet: Path) -> None:
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not here: pip install nnunetv2")
    code = (
        "import sys; from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity as v;"
        "v(sys.argv[1], 1)"
    )
    subprocess.run([sys.executable, "-c", code, str(nnunet)], check=True, timeout=300)


def test_a_name_has_one_number_in_every_case_and_values_are_hu(nnunet: Path, export: Path) -> None:
    numbers = json.loads((nnunet / "dataset.json").read_text("utf-8"))["labels"]
    seen: dict[str, int] = {}
    for place, names in enumerate(NAMES):
        case = f"P{place % 3}_{2 + place}"
        labels = values(nnunet / "labelsTr" / f"{case}.nii.gz").transpose(2, 1, 0)
        assert labels.dtype == np.uint8
        for row, name in enumerate(names):
            assert labels[1, 3 * row + 2, 4] == numbers[name]
            seen[name] = numbers[name]
        image = values(nnunet / "imagesTr" / f"{case}_0000.nii.gz").transpose(2, 1, 0)
        assert np.array_equal(image, hounsfield.load(export / f"ct{place}").array)
    assert seen == {name: number for name, number in numbers.items() if number}


def test_no_patient_is_in_two_folds(nnunet: Path) -> None:
    splits = json.loads((nnunet / "splits_final.json").read_text("utf-8"))
    assert len(splits) == 3
    for split in splits:
        train, val = ({case.partition("_")[0] for case in split[part]} for part in ("train", "val"))
        assert val and not train & val
    assert sorted(case for split in splits for case in split["val"]) == ["P0_2", "P0_5", "P1_3", "P2_4"]


def test_the_card_counts_and_says_what_was_left_out_and_why(nnunet: Path) -> None:
    card = json.loads((nnunet / "data_card.json").read_text("utf-8"))
    assert (card["cases"], card["labelled"], card["patients"]) == (6, 4, 5)
    assert card["Manufacturer"] == {"Hounsfield": 6} and card["KVP"] == {"120": 6}
    assert card["verdict"] == {"regular": 6} and card["spacing"]["slice"]["median"] == 2.5
    reasons = {each["name"].rpartition("/")[2]: each["reason"] for each in card["left_out"]}
    assert "not DICOM" in reasons["readme.txt"]
    assert any("--rectify" in reason and "tilted by 15.0°" in reason for reason in reasons.values())
    [same] = card["duplicates"]
    assert {name.partition("_")[0] for name in same} == {"P7", "P9"}
    text = (nnunet / "data_card.md").read_text("utf-8")
    assert "6 cases of 5 patients, 4 with labels" in text and "--rectify" in text


def test_monai_reads_its_list(export: Path, tmp_path: Path) -> None:
    code, made = run(export, tmp_path / "set", "--layout", "monai", "--rectify")
    assert code == 0, made
    assert len(made["cases"]) == 7  # the tilted one, too
    listed = json.loads((tmp_path / "set" / "dataset.json").read_text("utf-8"))
    assert listed["modality"] == {"0": "CT"} and listed["labels"]["0"] == "background"
    rows = [*listed["training"], *listed["validation"]]
    assert len(rows) == 4 and len(listed["test"]) == listed["numTest"] == 3
    patients = [{Path(row["image"]).name[:2] for row in listed[part]} for part in ("training", "validation")]
    assert not patients[0] & patients[1]
    for row in rows:
        image, label = (values(tmp_path / "set" / row[part]) for part in ("image", "label"))
        assert image.shape == label.shape and label.max() > 0


def test_bids_has_subjects_sidecars_and_a_derivative(export: Path, tmp_path: Path) -> None:
    assert run(export, tmp_path / "bids", "--layout", "bids")[0] == 0
    root = tmp_path / "bids"
    assert json.loads((root / "dataset_description.json").read_text("utf-8"))["DatasetType"] == "raw"
    subjects = (root / "participants.tsv").read_text("utf-8").split()[1:]
    assert sorted(subjects) == ["sub-P0", "sub-P1", "sub-P2", "sub-P7", "sub-P9"]
    images = sorted(root.glob("sub-*/ct/*_ct.nii.gz"))
    assert [path.name for path in images][:2] == ["sub-P0_run-01_ct.nii.gz", "sub-P0_run-02_ct.nii.gz"]
    for path in images:
        assert json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text("utf-8"))["Modality"] == "CT"
    derived = root / "derivatives" / "labels"
    assert len(list(derived.glob("sub-*/ct/*_dseg.nii.gz"))) == 4
    assert (
        json.loads((derived / "dataset_description.json").read_text("utf-8"))["DatasetType"] == "derivative"
    )
    assert (derived / "dseg.tsv").read_text("utf-8").splitlines()[1] == "0\tbackground"


def test_masks_of_another_place_and_a_folder_made_for_nnunet(export: Path, tmp_path: Path) -> None:
    out = tmp_path / "liver set"
    code, made = run(export / "ct0", out, "--layout", "nnunet", "--mask", export / "seg0.dcm")
    assert code == 0, made
    assert Path(made["folder"]) == out / "Dataset001_liverset"
    assert made["labels"] == {"liver": 1, "spleen": 2}
    assert not (out / "Dataset001_liverset" / "splits_final.json").exists()  # one patient


def test_segments_that_overlap_leave_a_case_out(export: Path, tmp_path: Path) -> None:
    twice = ("--mask", export / "seg0.dcm") * 2
    code, output = run(export / "ct0", tmp_path / "o", "--layout", "monai", *twice)
    assert code == 1 and "segments that overlap" in " ".join(str(output).split())
    assert not (tmp_path / "o").exists()


def test_what_is_there_is_kept_and_options_that_do_nothing_are_refused(export: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert run(export / "unlabelled", out, "--layout", "monai")[0] == 0
    code, output = run(export / "unlabelled", out, "--layout", "monai")
    assert code == 1 and "exists already" in str(output)
    assert run(export / "unlabelled", out, "--layout", "monai", "--force")[0] == 0
    for option in (("--format", "nifti"), ("--sidecar",), ("--name", "{PatientID}"), ("--workers", "2")):
        code, output = run(export / "unlabelled", tmp_path / "x", "--layout", "bids", *option)
        assert code == 2 and f"{option[0]} is not for --layout" in " ".join(str(output).split())
