"""The contract of volume formats: whoever reads what was written finds the same values at the same places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import hounsfield
from hounsfield.ct.volume import Volume
from hounsfield.errors import OutputExistsError
from hounsfield.formats import Compression, VolumeFormat, volume_format, write_volume
from hounsfield.locations.archives import ArchiveLimits
from hounsfield.locations.volume_files import open_volume

POSITION_MM = 1e-4
"""Largest distance of two places of one voxel: a hundredth of the finest step that DICOM's decimal strings hold."""

QUANTISED_SHARE = 1 / 65534
"""Share of the range of its values by which a quantised format may miss one: half a step, of a step up to twice the
finest that 16 bits have."""

_SHEAR = np.tan(np.radians(18.5))
_AFFINES = {
    "head first": [[0, 0, 0.5, -120.25], [0, 0.75, 0, -98.5], [2.5, 0, 0, 41.75], [0, 0, 0, 1]],
    "feet first": [[0, 0, -0.5, 120.25], [0, 0.75, 0, -98.5], [-2.5, 0, 0, 41.75], [0, 0, 0, 1]],
    "sheared": [[0, 0, 0.5, -120.25], [2.5 * _SHEAR, 0.75, 0, -98.5], [2.5, 0, 0, 41.75], [0, 0, 0, 1]],
}
_SPACING = (2.5, 0.75, 0.5)


class FormatContract:
    """`hounsfield.formats.VolumeFormat`. Give `form`, and `read` where it has no reader, or another shall judge."""

    @pytest.fixture
    def form(self) -> VolumeFormat:
        raise NotImplementedError

    def read(self, path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The values (slices, rows, columns) of an output, and its affine (slice, row, column, 1) → LPS mm."""
        if volume_format(path).sourced:
            kind: Any = "int16" if hounsfield.load(path).report.slope == 1 else "float32"
            made = hounsfield.load(path, dtype=kind)
            return made.array, made.affine
        file = open_volume(path, ArchiveLimits())
        assert file.layout.affine is not None
        return file.values(), file.layout.affine

    def test_every_suffix_leads_to_it_in_any_case(self, form: VolumeFormat) -> None:
        for suffix in form.suffixes:
            assert suffix.startswith(".") and suffix == suffix.lower()
            assert volume_format(f"a.b{suffix}") == volume_format(f"A.B{suffix.upper()}") == form

    @pytest.mark.parametrize("level", [0, 1])
    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    @pytest.mark.parametrize("grid", _AFFINES)
    def test_the_same_values_are_read_at_the_same_places(
        self, form: VolumeFormat, tmp_path: Path, grid: str, dtype: str, level: int
    ) -> None:
        volume = _volume(grid, dtype)
        for suffix in form.suffixes:
            path = tmp_path / f"volume{suffix}"
            written = write_volume(volume, path, compression=Compression(level=level))
            assert sorted(written) == sorted((path, *form.beside(path)))
            assert all(each.is_dir() if form.folder else each.is_file() for each in written)
            array, affine = self.read(path)
            assert array.dtype == volume.array.dtype
            if form.quantised and dtype == "float32":
                assert np.abs(array - volume.array).max() <= QUANTISED_SHARE * np.ptp(volume.array)
                assert "each is kept within" in form.cautions_of(volume)[0]
            else:
                assert np.array_equal(array, volume.array) and not form.cautions_of(_upright(volume))
            corners = np.array([(*corner, 1) for corner in np.ndindex(2, 2, 2)]) * (*volume.shape, 1)
            assert np.abs((affine - volume.affine) @ corners.T).max() <= POSITION_MM

    def test_what_is_there_is_replaced_by_force_only(self, form: VolumeFormat, tmp_path: Path) -> None:
        path = tmp_path / f"volume{form.suffixes[0]}"
        first, second = _volume("head first", "int16"), _volume("feet first", "int16", seed=2)
        write_volume(first, path)
        with pytest.raises(OutputExistsError):
            write_volume(second, path)
        assert np.array_equal(self.read(path)[0], first.array)
        write_volume(second, path, force=True)
        assert np.array_equal(self.read(path)[0], second.array)

    def test_a_write_that_fails_leaves_nothing(self, form: VolumeFormat, tmp_path: Path) -> None:
        volume = _volume("head first", "int16")
        object.__setattr__(volume, "array", _Failing())
        with pytest.raises(_Failed):
            write_volume(volume, tmp_path / f"volume{form.suffixes[0]}")
        assert list(tmp_path.iterdir()) == []

    def test_no_output_names_the_patient_but_one_that_has_to(
        self, form: VolumeFormat, tmp_path: Path
    ) -> None:
        header = {"PatientName": "Roentgen^Anna", "PatientID": "RHAND1895", "SeriesInstanceUID": "1.2.3"}
        volume = _volume("head first", "int16", header=header)
        write_volume(volume, tmp_path / f"volume{form.suffixes[0]}", compression=Compression(level=0))
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert (b"Roentgen" in path.read_bytes()) == form.sourced
                assert (b"RHAND1895" in path.read_bytes()) == form.sourced


class _Failed(Exception):
    """Raised by whatever touches the values."""


class _Failing:
    """Values that cannot be had, as of a memory map whose file is gone."""

    dtype, shape, ndim, nbytes = np.dtype(np.int16), (4, 6, 5), 3, 240

    def __getattr__(self, name: str) -> Any:
        raise _Failed(name)

    def __getitem__(self, index: object) -> Any:
        raise _Failed

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *_: object, **__: object) -> Any:
        raise _Failed


def _upright(volume: Volume) -> Volume:
    """The same values on the first grid: of a tilt a format may have something to say."""
    return replace(volume, affine=np.array(_AFFINES["head first"]))


def _volume(grid: str, dtype: str, *, seed: int = 1, header: dict[str, Any] | None = None) -> Volume:
    """Four slices of 6 × 5 voxels, no two axes of one length."""
    generator = np.random.default_rng(seed)
    array = generator.integers(-1024, 3072, (4, 6, 5)).astype(dtype)
    if dtype == "float32":
        array += generator.random(array.shape, np.float32)
    uids = tuple(f"1.2.3.{index}" for index in range(4))
    return Volume(array, np.array(_AFFINES[grid]), _SPACING, "HU", uids, header=header or {})
