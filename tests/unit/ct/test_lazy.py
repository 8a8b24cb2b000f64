"""Only what is needed: parts of a series, arrays given from outside, arrays that read when they are indexed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hounsfield
from hounsfield.errors import GeometryError, HounsfieldError, UnsupportedError
from hounsfield.phantom import PhantomSpec, write

SPEC = PhantomSpec(rows=24, columns=20, slices=30, pixel_spacing=(1.6, 1.2), slice_step=3.0, tilt=12.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lazy") / "scan"
    write(SPEC, made)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path) -> hounsfield.Volume:
    return hounsfield.load(folder)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose pixels are opened."""
    names: list[str] = []
    open_pixels = hounsfield.Instance.cells

    def counted(self: hounsfield.Instance, *arguments: Any, **options: Any) -> Any:
        names.append(self.name)
        return open_pixels(self, *arguments, **options)

    monkeypatch.setattr(hounsfield.Instance, "cells", counted)
    return names


def test_slices_that_are_not_asked_for_are_not_read(
    folder: Path, whole: hounsfield.Volume, opened: list[str]
) -> None:
    part = hounsfield.load(folder, slices=slice(10, 13))
    assert len(opened) == 3
    assert np.array_equal(part.array, whole.array[10:13])
    assert (part.uids, part.spacing) == (whole.uids[10:13], whole.spacing)
    assert np.allclose(part.lps(1, 3, 4), whole.lps(11, 3, 4))
    assert part.report.verdict == "sheared"


def test_a_box_is_the_part_that_cropping_gives(
    folder: Path, whole: hounsfield.Volume, opened: list[str]
) -> None:
    box = ((4, 6), (2, None), slice(5, 15))
    part = hounsfield.load(folder, box=box, orientation="RAS")
    expected = whole.cropped(box).oriented("RAS")
    assert len(opened) == 2
    assert np.array_equal(part.array, expected.array) and np.allclose(part.affine, expected.affine)
    again = hounsfield.scan(folder).choose().load(box=box, orientation="RAS")
    assert np.array_equal(again.array, expected.array)


def test_a_box_of_a_series_with_gaps_holds_padding_where_no_file_is(tmp_path: Path) -> None:
    write(replace(SPEC, tilt=0.0, missing=(12,)), tmp_path)
    filled = hounsfield.load(tmp_path, gaps="fill")
    part = hounsfield.load(tmp_path, gaps="fill", slices=(10, 14))
    assert np.array_equal(part.array, filled.array[10:14])
    assert part.report.filled == (2,)
    with pytest.raises(GeometryError, match="no file holds slices 12 to 12"):
        hounsfield.load(tmp_path, gaps="fill", slices=(12, 13))


def test_what_is_resampled_is_cut_afterwards(folder: Path) -> None:
    for how in ({"step": 1.5}, {"rectify": True}, {"voxel": 2.0}):
        part = hounsfield.load(folder, slices=(3, 9), **how)
        all_of_it = hounsfield.load(folder, **how)
        assert np.array_equal(part.array, all_of_it.array[3:9])


@pytest.mark.parametrize("slices", [(5, 5), (0, 31), (-1, 3), slice(0, 30, 2)])
def test_slices_that_are_not_there_are_refused(folder: Path, slices: Any) -> None:
    with pytest.raises(GeometryError, match="box"):
        hounsfield.load(folder, slices=slices)


def test_an_array_from_outside_is_filled_and_held(folder: Path, whole: hounsfield.Volume) -> None:
    memory = np.full(whole.shape, 7, np.int16)
    for how in ({}, {"orientation": "LPS"}):
        volume = hounsfield.load(folder, out=memory, **how)  # type: ignore[arg-type]
        assert volume.array is memory
        assert np.array_equal(memory, whole.array)
        memory[...] = 7


@pytest.mark.parametrize(
    "memory",
    [
        np.empty((30, 24, 21), np.int16),
        np.empty((30, 24, 20), np.float32),
        np.empty((30, 24, 40), np.int16)[:, :, ::2],
        np.broadcast_to(np.int16(0), (30, 24, 20)),
    ],
)
def test_an_array_that_cannot_hold_the_volume_is_refused(folder: Path, memory: Any) -> None:
    with pytest.raises(GeometryError, match=r"out= of .*30×24×20 int16, contiguous and writable"):
        hounsfield.load(folder, out=memory)


INDEXES = st.one_of(
    st.integers(-30, 29),
    st.slices(30),
    st.just(Ellipsis),
    st.lists(st.integers(0, 29), min_size=1, max_size=4),
    st.tuples(st.integers(-30, 29), st.slices(24), st.integers(0, 19)),
    st.tuples(st.slices(30), st.integers(0, 23)),
    st.tuples(st.just(Ellipsis), st.integers(0, 19)),
)


@settings(max_examples=60)
@given(st.data())
def test_a_lazy_volume_is_indexed_as_its_array(
    folder: Path, whole: hounsfield.Volume, data: st.DataObject
) -> None:
    lazy = hounsfield.scan(folder).choose().lazy()
    key = data.draw(INDEXES)
    assert np.array_equal(lazy[key], whole.array[key])
    assert np.shape(lazy[key]) == np.shape(whole.array[key])


def test_a_lazy_volume_reads_what_it_is_asked_for(
    folder: Path, whole: hounsfield.Volume, opened: list[str]
) -> None:
    lazy = hounsfield.scan(folder).choose().lazy(dtype="float32")
    assert (lazy.shape, lazy.dtype, lazy.ndim, len(lazy)) == (whole.shape, np.float32, 3, 30)
    assert np.allclose(lazy.outline.affine, whole.affine)
    assert opened == []
    assert np.array_equal(lazy[7], whole.array[7])
    assert len(opened) == 1
    assert np.array_equal(np.asarray(lazy), whole.array)


def test_dask_takes_it(folder: Path, whole: hounsfield.Volume) -> None:
    dask = pytest.importorskip("dask.array")
    lazy = hounsfield.scan(folder).choose().lazy()
    array = dask.from_array(lazy, chunks=lazy.chunks)
    assert np.array_equal(array[3:9].compute(), whole.array[3:9])
    assert int(array.max().compute()) == int(whole.array.max())


def test_what_needs_other_slices_cannot_be_lazy(folder: Path) -> None:
    series = hounsfield.scan(folder).choose()
    for how in ({"step": 1.0}, {"rectify": True}, {"voxel": 1.0}, {"slices": (0, 1)}):
        with pytest.raises(UnsupportedError, match="whole volume"):
            series.lazy(**how)
    with pytest.raises(HounsfieldError, match="one of them"):
        series.load(hounsfield.scan(folder).choose()._options(None, {}), clamp=False)


@pytest.mark.parametrize("key", [None, (0, None), (0, 0, 0, 0), 30, -31])
def test_an_index_of_another_kind_is_refused(folder: Path, key: Any) -> None:
    with pytest.raises(IndexError):
        hounsfield.scan(folder).choose().lazy()[key]
