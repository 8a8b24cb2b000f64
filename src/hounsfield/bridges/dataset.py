"""The volumes of a ledger for training: a torch `Dataset`, to be given to a `DataLoader`.

Reads what `hounsfield volume` wrote as `.npy`, `.zarr`, `.nii` or `.nii.gz`; nothing of DICOM. Needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.formats.zarr_package import zarr_package
from hounsfield.language import say
from hounsfield.runs import LEDGER_NAME, Record, Status, read_ledger

Item = dict[str, Any]
_FORMATS = (".npy", ".zarr", ".nii.gz", ".nii")


class LedgerDataset(torch.utils.data.Dataset[Item]):
    """Every volume of a folder that was made, in the order of the ledger.

    An item is a dictionary: `image`, a tensor (slices, rows, columns) of `dtype` in the unit of the ledger; `affine`,
    4×4 float64, (slice, row, column, 1) → LPS mm; `series`, its Series Instance UID; `index`. Volumes that were written
    with masks (`hounsfield volume --mask`) have `label` too, int64 (slices, rows, columns), (layers, slices, rows,
    columns) where segments overlap, and `segments`, what its numbers mean. `numbers` gives segments of a name a number
    of their own in all volumes, and 0 to all others: those in files differ from case to case. `transform` is given that
    dictionary. `wanted` chooses by the ledger's record (`lambda record: record.unit == "HU"`). Volumes differ in
    shape: a `DataLoader` needs `batch_size=None`, or a transform that makes them alike.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype = torch.float32,
        numbers: Mapping[str, int] | None = None,
        transform: Callable[[Item], Any] | None = None,
        wanted: Callable[[Record], bool] = lambda record: True,
    ) -> None:
        self.folder = Path(folder)
        if not (self.folder / LEDGER_NAME).is_file():
            raise LocationError(
                say("has no {ledger_name}", ledger_name=LEDGER_NAME),
                where=str(folder),
                remedy="give a folder that hounsfield volume wrote",
            )
        latest = {record.key: record for record in read_ledger(self.folder / LEDGER_NAME)}
        self.records = [
            record
            for record in latest.values()
            if record.status == Status.DONE and record.output.endswith(_FORMATS) and wanted(record)
        ]
        self.dtype = dtype
        self.numbers = numbers
        self.transform = transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Any:
        record = self.records[index]
        array, affine = read_output(self.folder / record.output)
        image = torch.from_numpy(np.array(array, order="C")).to(self.dtype)
        item: Item = {
            "image": image,
            "affine": torch.from_numpy(affine),
            "series": record.uid,
            "index": index,
        }
        if record.facts.get("labels"):
            item["label"], item["segments"] = self._label(record)
        return item if self.transform is None else self.transform(item)

    def _label(self, record: Record) -> tuple[torch.Tensor, dict[str, int]]:
        """Labels of a volume, and name → number of its segments."""
        folder = (self.folder / record.output).parent
        layers = [
            torch.from_numpy(np.array(read_output(folder / name)[0], np.int64, order="C"))
            for name in record.facts["labels"]
        ]
        segments: list[dict[str, Any]] = list(record.facts["segments"])
        names = {str(each["label"]): int(each["number"]) for each in segments}
        if self.numbers is not None:
            for place, labels in enumerate(layers):
                table = torch.zeros(int(labels.max()) + 1, dtype=torch.int64)
                for each in segments:
                    if each["layer"] == place and each["number"] < len(table):
                        table[each["number"]] = self.numbers.get(each["label"], 0)
                layers[place] = table[labels]
            names = {name: number for name, number in self.numbers.items() if name in names}
        return layers[0] if len(layers) == 1 else torch.stack(layers), names


def read_output(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """(slices, rows, columns) and the LPS affine of a volume that was written; a `.npy` is mapped, not read."""
    name = path.name.lower()
    if name.endswith(".npy"):
        description = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return np.load(path, mmap_mode="r", allow_pickle=False), np.array(
            description["affine"], dtype=np.float64
        )
    if name.endswith(".zarr"):
        group = zarr_package().open_group(str(path), mode="r")
        values: Any = group["0"]
        described: Any = group.attrs["hounsfield"]
        return values[...], np.array(described["affine"], dtype=np.float64)
    if name.endswith((".nii", ".nii.gz")):
        return _nifti(path)
    raise UnsupportedError("is no format that is read back", expected=", ".join(_FORMATS), where=str(path))


def _nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    import nibabel

    from hounsfield.formats.nifti import LPS_TO_RAS

    image: Any = nibabel.load(path)
    affine: NDArray[np.float64] = (LPS_TO_RAS @ image.affine)[:, [2, 1, 0, 3]]
    return np.asarray(image.dataobj).transpose(2, 1, 0), np.ascontiguousarray(affine)
