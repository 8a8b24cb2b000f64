"""Any bytes give a value or one of our errors: mutated, cut and spliced files through `scan` and `load`.

The inputs and the checks are those of the fuzz target `fuzz/fuzz_read.py`.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import fuzz_read
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peak_memory import PROGRAM

import hounsfield
from hounsfield import HounsfieldError, phantom
from hounsfield.phantom import PhantomSpec

SEEDS: list[bytes] = fuzz_read.seeds()
LYING = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\1\0", b"9999", b"1e99", b"\\\\\\\\"]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A phantom's file with bytes changed, cut out, doubled or taken from another, most of them in the header."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        end = min(len(data), 1500) if draw(st.integers(0, 4)) else len(data)
        at = draw(st.integers(0, max(end - 1, 0)))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == 1:
            data[at : at + 4] = draw(st.sampled_from(LYING))
        elif kind == 2:
            del data[at : at + draw(st.sampled_from([1, 2, 4, 8, 100]))]
        elif kind == 3:
            other = draw(st.sampled_from(SEEDS))
            begin = draw(st.integers(0, 1400))
            data[at:at] = other[begin : begin + draw(st.sampled_from([2, 8, 64, 600]))]
        elif kind == 4:
            data[at : at + 1] = bytes([(data[at] if at < len(data) else 0) ^ 1 << draw(st.integers(0, 7))])
        else:
            del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@given(mutants())
@settings(max_examples=700)
def test_mutated_files_give_a_value_or_one_of_our_errors(data: bytes) -> None:
    fuzz_read.read_everything(data)


@given(st.binary(max_size=400))
@settings(max_examples=150)
def test_random_bytes_give_one_of_our_errors(data: bytes) -> None:
    fuzz_read.read_everything(data)
    fuzz_read.read_everything(bytes(128) + b"DICM" + data)


@given(mutants())
@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_mutated_files_on_disk_and_in_a_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(data)
    fuzz_read.scan_file(path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/file.dcm", data)
        archive.writestr("b/file.dcm", SEEDS[0])
    path = tmp_path / "exam.zip"
    path.write_bytes(stream.getvalue())
    fuzz_read.scan_file(path)


@given(st.data())
@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damaged_zips(tmp_path: Path, data: st.DataObject) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/file.dcm", SEEDS[0])
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    path = tmp_path / "exam.zip"
    path.write_bytes(content)
    fuzz_read.scan_file(path)


@pytest.mark.parametrize("seed", range(len(fuzz_read.SPECS)))
def test_every_seed_is_whole_and_every_cut_of_it_is_an_error_or_a_value(seed: int) -> None:
    content = SEEDS[seed]
    fuzz_read.read_everything(content)
    for length in range(0, len(content), max(1, len(content) // 60)):
        fuzz_read.read_everything(content[:length])


# A limit on memory, and a file that says it needs far more: every way of lying about the size.
_SCRIPT = (
    PROGRAM
    + """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
import hounsfield
for options in ({}, {"truncated": "fill", "gaps": "fill", "spacing": (1, 1, 1), "workers": 1}):
    try:
        print(hounsfield.load(sys.argv[1], **options).shape)
    except hounsfield.HounsfieldError as error:
        print(type(error).__name__, error)
print(peak_kib() // 1024)
"""
)
HUGE = {"Rows": 65535, "Columns": 65535}


@pytest.mark.parametrize(
    ("spec", "tags"),
    [
        (PhantomSpec(rows=16, columns=16, slices=1), HUGE),
        (PhantomSpec(rows=16, columns=16, slices=1, transfer_syntax="jpeg-ls"), HUGE),
        (PhantomSpec(rows=16, columns=16, slices=1, transfer_syntax="jpeg2000"), HUGE),
        (PhantomSpec(rows=16, columns=16, slices=1, transfer_syntax="rle"), HUGE),
        (PhantomSpec(rows=16, columns=16, slices=1, transfer_syntax="deflated"), HUGE),
        (PhantomSpec(rows=16, columns=16, slices=1, philips_rle="alone"), HUGE),
        (
            PhantomSpec(rows=16, columns=16, slices=3, multiframe="no geometry"),
            {"NumberOfFrames": 2147483647},
        ),
        (PhantomSpec(rows=16, columns=16, slices=3, multiframe="no geometry"), {"NumberOfFrames": 200000}),
        (PhantomSpec(rows=16, columns=16, slices=3, multiframe="enhanced"), {"NumberOfFrames": 2147483647}),
        (
            PhantomSpec(rows=16, columns=16, slices=3, multiframe="no geometry", transfer_syntax="jpeg-ls"),
            {"NumberOfFrames": 200000},
        ),
    ],
    ids=lambda value: value.transfer_syntax if isinstance(value, PhantomSpec) else str(value),
)
def test_sizes_that_lie_never_cost_memory(spec: PhantomSpec, tags: dict[str, int], tmp_path: Path) -> None:
    path = phantom.write(spec, tmp_path)[0]
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    told = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    *results, peak = told.stdout.splitlines()
    assert len(results) == 2
    assert "Error" in results[0]
    assert int(peak) < 500


@pytest.mark.parametrize("syntax", ["htj2k", "jpeg-ls", "jpeg2000", "rle", "jpeg-lossless", "jpeg-xl"])
def test_codestreams_cut_short_are_never_taken_for_whole(syntax: str, tmp_path: Path) -> None:
    spec = PhantomSpec(rows=64, columns=64, slices=1, transfer_syntax=syntax)
    (path,) = phantom.write(spec, tmp_path)
    truth = hounsfield.load(path).array
    content, dataset = path.read_bytes(), pydicom.dcmread(path)
    (stream,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    for share in (0.2, 0.5, 0.8, 0.95):
        dataset.PixelData = pydicom.encaps.encapsulate([stream[: int(len(stream) * share)]])
        path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00OB")] + encapsulated(dataset.PixelData))
        try:
            array = hounsfield.load(path).array
        except HounsfieldError:
            continue
        # What is left of a progressive stream may decode to less detail, but not to a blank.
        raise AssertionError(f"{syntax} at {share}: {abs(array.astype(int) - truth).max()} HU off")


def encapsulated(items: bytes) -> bytes:
    """The Pixel Data element around items."""
    return b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_errors_that_mutants_found_stay_errors() -> None:
    content = phantom_bytes(PhantomSpec(rows=16, columns=16, slices=1))
    for old, new in (
        (
            b"UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0",
            b"4U\x1a\x001.2.840.10008.5.1.4.1.1.2\0",
        ),  # in the meta group
        (b"\x08\x00\x16\x00UI\x1a\x00", b"\x08\x00\x16\x00UI\xff\xff"),
    ):
        assert old in content
        fuzz_read.read_everything(content.replace(old, new, 1))


def phantom_bytes(spec: PhantomSpec) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return phantom.write(replace(spec, seed=7), folder)[0].read_bytes()
