"""The trees that nnU-Net, MONAI and BIDS expect, written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from hounsfield.ct.series import LoadOptions, Series
from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.formats import bids, write_volume
from hounsfield.language import say
from hounsfield.outputs import refuse_existing, whole_folder
from hounsfield.runs.names import safe
from hounsfield.verbs.layouts import cases as of_cases
from hounsfield.verbs.layouts.card import card, card_text
from hounsfield.verbs.layouts.cases import Case, Drawn, Labels
from hounsfield.verbs.load import Scan

Layout = Literal["nnunet", "monai", "bids"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SUFFIX = ".nii.gz"
_NNUNET = re.compile(r"Dataset\d{3}_\w+")


@dataclass(frozen=True)
class Written:
    """The data set at `folder`: its cases, the numbers of labels by name, and (name, reason) of what was left out."""

    folder: Path
    cases: tuple[Case, ...]
    labels: dict[str, int]
    left_out: tuple[tuple[str, str], ...]


def write_layout(
    scan: Scan,
    out: str | Path,
    layout: Layout,
    *,
    masks: Sequence[str] = (),
    nearest: bool | None = None,
    options: LoadOptions | None = None,
    force: bool = False,
    done: Callable[[], object] = lambda: None,
) -> Written:
    """Write every CT volume of a scan as a data set; what cannot be is in its card with the reason.

    - `out`: the data set's folder; for nnU-Net, `Dataset001_NAME` is made in it unless it is called so
    - `masks`: locations of segmentations; by default those that lie beside the scan and refer to its series
    - `done` is called after each volume

    Raises `SelectionError` where no volume is left, `OutputExistsError` without `force`.
    """
    root = _root(Path(out).absolute(), layout)
    refuse_existing(root, force=force or _is_empty(root))
    drawn = Drawn(scan, masks, nearest=nearest)
    left_out = [(each.name, each.reason) for each in scan.skipped]
    with whole_folder(root, force=force) as folder:
        tree = _Tree(folder, layout)
        for series, phase in of_cases.parts(scan):
            try:
                tree.add(series, phase, drawn, options or LoadOptions())
            except HounsfieldError as error:
                left_out.append((series.name, of_cases.reason_of(error, series)))
            done()
        if not tree.cases:
            why = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
            raise SelectionError(say("no volume for a data set{why}", why=why), where=scan.location)
        tree.finish(root.name, left_out)
    return Written(root, tuple(tree.cases), dict(tree.labels.numbers), tuple(left_out))


class _Tree:
    """A data set that is being written into `folder`, case by case."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.cases: list[Case] = []
        self.labels = Labels()
        self.taken: set[str] = set()

    def add(self, series: Series, phase: int | None, drawn: Drawn, options: LoadOptions) -> None:
        """Write one volume and its labels. Raises what loading, reading masks and writing do."""
        volume = of_cases.loaded(series, phase, options)
        found = drawn.of(series, volume)
        labels = None if found is None else self.labels.renumbered(found)
        case = of_cases.case_of(series, phase, volume, self.taken)
        image, label = self._paths(case, labelled=labels is not None)
        write_volume(volume, self.folder / image)
        if self.layout == "bids":
            described = bids.sidecar(volume, series.slices[0].instance.dataset())
            self._json(bids.sidecar_path(image), described)
        if labels is not None:
            facts = {**volume.header, "Segment0_Name": "labels"}
            write_volume(replace(volume, array=labels, unit="unspecified", header=facts), self.folder / label)
        self.cases.append(of_cases.placed(case, image, label))

    def _paths(self, case: Case, *, labelled: bool) -> tuple[str, str]:
        """The paths of image and label in the data set, "" for no label."""
        if self.layout == "bids":
            label = of_cases.unique_subjects([*self.cases, case])[case.patient]
            run = 1 + sum(each.patient == case.patient for each in self.cases)
            stem = f"sub-{label}/ct/sub-{label}_run-{run:02d}"
            return f"{stem}_ct{SUFFIX}", f"derivatives/labels/{stem}_dseg{SUFFIX}" if labelled else ""
        channel = "_0000" if self.layout == "nnunet" else ""
        kind = "imagesTr" if labelled else "imagesTs"
        return f"{kind}/{case.id}{channel}{SUFFIX}", f"labelsTr/{case.id}{SUFFIX}" if labelled else ""

    def finish(self, name: str, left_out: Sequence[tuple[str, str]]) -> None:
        """Write what describes the data set."""
        labelled = [case for case in self.cases if case.label]
        folds = of_cases.folds(labelled or self.cases)
        if self.layout == "bids":
            self._bids(name)
        else:
            for kind in ("imagesTr", "labelsTr", "imagesTs"):
                (self.folder / kind).mkdir(exist_ok=True)
            described = self._nnunet(name) if self.layout == "nnunet" else self._monai(name, folds)
            self._json("dataset.json", described)
        if folds:
            every = [case.id for case in (labelled or self.cases)]
            splits = [{"train": [id for id in every if id not in fold], "val": fold} for fold in folds]
            self._json("splits_final.json" if self.layout == "nnunet" else "splits.json", splits)
        made = card(self.cases, self.labels.numbers, folds, left_out)
        self._json("data_card.json", made)
        (self.folder / "data_card.md").write_text(card_text(made, name), "utf-8")

    def _nnunet(self, name: str) -> dict[str, Any]:
        return {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **self.labels.numbers},
            "numTraining": sum(bool(case.label) for case in self.cases),
            "file_ending": SUFFIX,
            "name": name,
            "overwrite_image_reader_writer": "SimpleITKIO",
            "converted_by": f"hounsfield {version('hounsfield')}",
        }

    def _monai(self, name: str, folds: Sequence[Sequence[str]]) -> dict[str, Any]:
        """The list of the Medical Segmentation Decathlon, as MONAI's `load_decathlon_datalist` reads it."""
        place = {case: number for number, fold in enumerate(folds) for case in fold}
        labelled = [case for case in self.cases if case.label]
        rows = {
            case.id: {"image": f"./{case.image}", "label": f"./{case.label}", "fold": place.get(case.id, 0)}
            for case in labelled
        }
        validation = [row for row in rows.values() if folds and row["fold"] == 0]
        training = [row for row in rows.values() if row not in validation]
        test = [f"./{case.image}" for case in self.cases if not case.label]
        return {
            "name": name,
            "description": "CT in Hounsfield units",
            "tensorImageSize": "3D",
            "modality": {"0": "CT"},
            "labels": {"0": "background", **{str(v): k for k, v in self.labels.numbers.items()}},
            "numTraining": len(training),
            "numValidation": len(validation),
            "numTest": len(test),
            "training": training,
            "validation": validation,
            "test": test,
        }

    def _bids(self, name: str) -> None:
        described = {
            "Name": name,
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "hounsfield", "Version": version("hounsfield")}],
        }
        self._json("dataset_description.json", described)
        # CT is no modality of BIDS yet (BEP 24): its validator shall pass over it.
        (self.folder / ".bidsignore").write_text("*/ct/\ndata_card.*\nsplits.json\n", "utf-8")
        subjects = of_cases.unique_subjects(self.cases)
        rows = [f"sub-{label}" for label in subjects.values()]
        (self.folder / "participants.tsv").write_text("\n".join(["participant_id", *rows]) + "\n", "utf-8")
        (self.folder / "README").write_text("CT volumes in Hounsfield units; see data_card.md.\n", "utf-8")
        if self.labels.numbers:
            described |= {"Name": f"{name} labels", "DatasetType": "derivative"}
            self._json("derivatives/labels/dataset_description.json", described)
            table = [f"{number}\t{label}" for label, number in self.labels.numbers.items()]
            text = "\n".join(["index\tname", "0\tbackground", *table]) + "\n"
            (self.folder / "derivatives/labels/dseg.tsv").write_text(text, "utf-8")

    def _json(self, name: str, described: Any) -> None:
        text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
        (self.folder / name).write_text(text, "utf-8")


def _root(out: Path, layout: Layout) -> Path:
    if layout != "nnunet" or _NNUNET.fullmatch(out.name):
        return out
    return out / f"Dataset001_{re.sub(r'[^A-Za-z0-9]', '', safe(out.name)) or 'CT'}"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and next(folder.iterdir(), None) is None
