"""The pages on data sets and on DICOM out: every command of theirs runs, in their order, and does what they say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec, write
from hounsfield.segmentation import Masks, Segment
from hounsfield.verbs.masks_writing import rewrite_masks

DOCS = Path(__file__).parents[2] / "docs"
TINY: dict[str, Any] = {"rows": 16, "columns": 16, "slices": 4}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_commands(page: str) -> dict[str, str]:
    """Every command of a page, run here; what it printed."""
    printed = {}
    for line in "\n".join(blocks(page, "console")).splitlines():
        done = CliRunner().invoke(main, shlex.split(line.removeprefix("$ hounsfield ")))
        assert done.exit_code == 0, f"{line}\n{done.output}"
        printed[line] = done.output
    return printed


def test_a_data_set_from_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        folder = tmp_path / "export" / str(number)
        tilt = -12.0 if number == 2 else 0.0
        write(PhantomSpec(**TINY, seed=number, patient_id=f"P{number}", localizers=1, tilt=tilt), folder)
    [series] = [each for each in hounsfield.scan("export/0").series if each.phases]
    labels = np.zeros((4, 16, 16), np.uint8)
    labels[1:3, 4:9, 4:9] = 1
    masks = Masks((labels,), (Segment(1, "liver"),), series.load().affine, "test")
    rewrite_masks(masks, tmp_path / "export" / "seg.dcm", series, "seg")
    run_commands("nnunet-data-set.md")
    described = json.loads((tmp_path / "Dataset007_Organs" / "dataset.json").read_text("utf-8"))
    assert described["labels"] == {"background": 0, "liver": 1} and described["numTraining"] == 1
    assert len(list((tmp_path / "Dataset007_Organs" / "imagesTs").iterdir())) == 2
    assert len(list((tmp_path / "organs-bids").glob("sub-*/ct/*.nii.gz"))) == 3
    assert json.loads((tmp_path / "organs-monai" / "dataset.json").read_text("utf-8"))["numTest"] == 2
    assert len(list((tmp_path / "volumes").glob("P?/20240229_*.nii.gz"))) == 3
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 3 * 4


def test_hu_back_into_the_pacs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(PhantomSpec(**TINY), tmp_path / "scan")
    run_commands("hu-back-into-the-pacs.md")
    for block in blocks("hu-back-into-the-pacs.md", "python"):
        exec(compile(block, "hu-back-into-the-pacs.md", "exec"), {"__name__": "page"})
    source = hounsfield.load("scan")
    assert np.array_equal(hounsfield.load("sent").array, source.array)
    assert hounsfield.load("back").spacing == pytest.approx((2.0, 2.0, 2.0))
    for place in ("back", "sent", "isotropic"):
        facts = hounsfield.load(place).header
        assert facts["StudyInstanceUID"] == source.header["StudyInstanceUID"]
        assert facts["PatientID"] == source.header["PatientID"]
