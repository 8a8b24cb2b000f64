"""Series written slice by slice: the values and the report of `load`, bit for bit, in a bounded piece of memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from peak_memory import PROGRAM

from hounsfield import phantom, scan, write_volume
from hounsfield.ct.series import LoadOptions, streaming
from hounsfield.ct.series.streaming import Stream
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.formats import write_series
from hounsfield.phantom import PhantomSpec

PLAIN = PhantomSpec(rows=40, columns=36, slices=21)


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLAB_BYTES", 1)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (PLAIN, LoadOptions()),
        (PLAIN, LoadOptions(dtype="float32", clamp=False)),
        (replace(PLAIN, tilt=12.0), LoadOptions()),
        (replace(PLAIN, missing=(3, 9, 10, 11, 12, 13, 14, 15, 16, 17)), LoadOptions(gaps="fill")),
        (replace(PLAIN, slope=tuple(1 + k / 50 for k in range(21)), slope_tag="as used"), LoadOptions()),
        (replace(PLAIN, rescale_type="Z_EFF", padding=None), LoadOptions()),
        (replace(PLAIN, slices=1), LoadOptions()),
        (replace(PLAIN, multiframe="enhanced"), LoadOptions()),
        (replace(PLAIN, slope_tag=None, damaged=(4,)), LoadOptions()),
    ],
)
def test_a_stream_tells_and_holds_what_load_does(
    tmp_path: Path, spec: PhantomSpec, options: LoadOptions
) -> None:
    phantom.write(spec, tmp_path / "in")
    (series,) = scan(tmp_path / "in").series
    whole = series.load(options)
    stream = Stream(series, options)
    assert (stream.outline.shape, stream.outline.array.dtype) == (whole.shape, whole.array.dtype)
    parts = [slab for _, slab in stream.slabs()]
    assert max(map(len, parts)) <= 8
    assert np.array_equal(np.concatenate(parts), whole.array)
    assert stream.volume().to_json() == whole.to_json()


def test_the_zarr_of_a_stream_is_the_zarr_of_the_volume(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, rows=150, columns=170), tmp_path / "in")
    (series,) = scan(tmp_path / "in").series
    write_volume(series.load(), tmp_path / "a" / "v.zarr")
    write_series(series, tmp_path / "b" / "v.zarr")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file()
    )
    assert len(files) > 6
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


@pytest.mark.parametrize("options", [{"step": 1.0}, {"rectify": True}, {"gaps": "interpolate"}])
def test_resampling_needs_the_whole_volume_and_says_so(tmp_path: Path, options: dict[str, Any]) -> None:
    phantom.write(PLAIN, tmp_path)
    (series,) = scan(tmp_path).series
    with pytest.raises(UnsupportedError, match="whole volume"):
        Stream(series, LoadOptions(**options))


def test_what_cannot_be_loaded_cannot_be_streamed_and_leaves_nothing(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, missing=(3,)), tmp_path / "in")
    (series,) = scan(tmp_path / "in").series
    with pytest.raises(GeometryError):
        write_series(series, tmp_path / "out.zarr")
    (tmp_path / "in" / "CT0020.dcm").write_bytes(b"")
    with pytest.raises(Exception, match="CT0020"):
        write_series(series, tmp_path / "out.zarr", LoadOptions(gaps="fill"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_stream_takes_a_slab_of_memory_and_not_the_volume(tmp_path: Path) -> None:
    """400 slices of 512² are 200 MB of int16: less than that must do for all of it."""
    phantom.write(PhantomSpec(rows=512, columns=512, slices=2, noise=0.0), tmp_path / "two")
    paths = sorted((tmp_path / "two").iterdir())
    program = (
        f"{PROGRAM}\n"
        "import sys\n"
        "from hounsfield import scan\n"
        "from hounsfield.formats import write_series\n"
        "from hounsfield.ct.series.streaming import Stream\n"
        "(series,) = scan(sys.argv[1]).series\n"
        "from hounsfield.ct.geometry import assess\n"
        "import zarr, imagecodecs, numpy as np\n"
        "before = peak_kib()\n"
        "write_series(series, sys.argv[2])\n"
        "print((peak_kib() - before) // 1024)\n"
    )
    import pydicom

    folder = tmp_path / "many"
    folder.mkdir()
    dataset = pydicom.dcmread(paths[0])
    for index in range(400):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{index + 1}"  # type: ignore[assignment]
        dataset.ImagePositionPatient[2] = float(index)
        dataset.save_as(folder / f"{index}.dcm")
    done = subprocess.run(
        [sys.executable, "-c", program, folder, tmp_path / "v.zarr"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 150
    level = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")["0"]
    assert level.shape == (400, 512, 512)
