"""What `inspect` finds in a series, and how `hounsfield info` says it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

from hounsfield import load, phantom, scan
from hounsfield.cli import main
from hounsfield.cli.info.inspections import histogram_lines
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.inspect import Histogram, Inspection, Trust, inspect

PLAIN = PhantomSpec(rows=40, columns=48, slices=6)


def inspected(spec: PhantomSpec, folder: Path, *, pixels: bool = True) -> Inspection:
    phantom.write(spec, folder)
    return inspect(scan(folder).choose(), pixels=pixels)


def told(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_histogram_is_that_of_the_volume_value_by_value(tmp_path: Path) -> None:
    found = inspected(PLAIN, tmp_path)
    array = load(tmp_path).array
    values, counts = np.unique(array, return_counts=True)
    assert found.histogram is not None
    assert found.histogram.range == (values[0], values[-1])
    assert {found.histogram.first + i: n for i, n in enumerate(found.histogram.counts) if n} == dict(
        zip(values.tolist(), counts.tolist(), strict=True)
    )
    assert found.histogram.percentile(0.5) == np.median(array)


def test_a_plain_series_is_green_and_needs_no_caution(tmp_path: Path) -> None:
    found = inspected(PLAIN, tmp_path)
    assert (found.trust, found.cautions) == (Trust.GREEN, ())


@pytest.mark.parametrize(
    ("changes", "trust", "word"),
    [
        ({"tilt": -18.5}, Trust.AMBER, "tilted by 18.50°"),
        ({"intercept_tag": None}, Trust.RED, "Rescale Intercept (0028,1052) is missing"),
        ({"slope": (0.5, 0.75), "intercept": (-1024.0, -1000.0)}, Trust.AMBER, "differs between slices"),
        ({"rescale_type": "Z_EFF"}, Trust.RED, "Rescale Type is Z_EFF"),
        ({"missing": (2,)}, Trust.RED, "1 slice is missing"),
    ],
)
def test_the_badge_follows_what_was_found(
    tmp_path: Path, changes: dict[str, object], trust: Trust, word: str
) -> None:
    found = inspected(replace(PLAIN, **changes), tmp_path)  # type: ignore[arg-type]
    assert found.trust is trust
    assert any(word in caution for caution in found.cautions), found.cautions


def test_without_pixels_nothing_but_headers_is_read(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path)
    series = scan(tmp_path).choose()
    for path in paths:
        path.unlink()
    found = inspect(series, pixels=False)
    assert found.histogram is None
    assert found.counts is None
    assert found.pixel_bytes == 40 * 48 * 2 * 6


def test_pixels_that_cannot_be_read_are_a_problem_and_no_exception(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-500])
    found = inspect(scan(tmp_path).choose())
    assert paths[3].name in found.problem
    assert found.trust is Trust.RED


def test_a_note_is_told_once_with_all_slices_on_which_it_holds(tmp_path: Path) -> None:
    paths = phantom.write(replace(PLAIN, rows=16, columns=16, slices=70), tmp_path)
    for path in (paths[2], paths[3], paths[66]):
        dataset = dcmread(path)
        del dataset.RescaleIntercept
        dataset.HighBit = 13
        dataset.save_as(path)
    series = scan(tmp_path).choose()
    missing = "Rescale Intercept (0028,1052) is missing: taken as 0 (3 of 70 slices)"
    high = "High Bit 13 cannot be, with Bits Stored 16: taken as 15 (3 of 70 slices)"
    assert inspect(series).notes[:2] == (missing, high)
    assert inspect(series, pixels=False).notes[:1] == (missing,)


def test_info_tells_rescale_by_tag_and_whether_values_were_stored_or_hu(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "stored")
    phantom.write(replace(PLAIN, intercept=0.0, padding=-3024), tmp_path / "hu")
    stored, already = told("info", tmp_path / "stored"), told("info", tmp_path / "hu")
    assert "Rescale Slope (0028,1053) 1, Intercept (0028,1052) -1024" in stored
    assert "stored values → HU: stored × 1 − 1024" in stored
    assert "already HU (slope 1, intercept 0)" in already
    assert "voxels held it and are now −1024" in already


def test_info_draws_a_histogram_with_its_ends(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path)
    text = told("info", tmp_path)
    assert "█" in text
    assert re.search(r"^ *-1024 +water +1016 HU$", text, re.MULTILINE)
    assert "water" in text


def test_a_histogram_keeps_the_order_of_its_bins() -> None:
    counts = np.zeros(2000, np.int64)
    counts[0], counts[1500] = 900, 100
    lines = histogram_lines(Histogram(-1000, counts), 80, "HU")
    bottom = lines[-3]
    assert bottom[0] == "█"
    assert [i for i, cell in enumerate(bottom) if cell != " "] == [0, 60]


def test_info_as_json_holds_everything_and_what_was_skipped(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, tilt=10.0), tmp_path)
    (tmp_path / "notes.txt").write_text("not DICOM")
    answer = json.loads(told("info", tmp_path, "--json"))
    (series,) = answer["series"]
    assert series["verdict"] == "sheared"
    assert series["tilt_degrees"] == pytest.approx(10.0, abs=0.01)
    assert series["RescaleIntercept"] == -1024
    assert sum(series["histogram"]["counts"]) == 6 * 40 * 48
    assert [Path(item["name"]).name for item in answer["skipped"]] == ["notes.txt"]


def test_a_name_with_markup_or_escapes_is_text(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, tags={"SeriesDescription": "[bold]x[/bold]\x1b[31mred"}), tmp_path)
    text = told("info", tmp_path)
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text


def test_the_short_form_is_one_line_a_series_on_real_data(real_data: Path) -> None:
    lines = told("info", real_data / "philips_phantom", "--short").splitlines()
    assert sum("STD BRAIN" in line and "regular" in line for line in lines) == 2
    assert any("STEREOTAXIS" in line and "sheared" in line and "amber" in line for line in lines)
    assert any("Secondary Capture" in line for line in lines)


def on_terminal(width: int, *arguments: object) -> list[str]:
    """What the command draws on a terminal of `width` columns, without colours."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, width))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(width)}
    command = [sys.executable, "-m", "hounsfield", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    drawn = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while part := _part(screen):
            drawn += part
    assert process.wait() == 0
    return click.unstyle(drawn.decode()).replace("\r\n", "\n").splitlines()


def _part(screen: io.FileIO) -> bytes:
    try:
        return screen.read(1 << 16) or b""
    except OSError:  # Linux: the other end is closed
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_short_form_keeps_every_column_on_a_narrow_terminal(tmp_path: Path) -> None:
    # Found by review: series with several syntaxes pushed name, verdict and slices off the screen.
    for number, syntax in enumerate(("explicit", "jpeg-ls", "jpeg-lossless", "rle"), start=1):
        spec = replace(PLAIN, slices=1, slice_positions=(2.5 * number,), seed=0, transfer_syntax=syntax)
        phantom.write(spec, tmp_path / syntax)
    lines = on_terminal(80, "info", "--short", tmp_path)
    assert lines[0].split() == ["series", "verdict", "slices", "matrix", "spacing", "mm", "unit", "trust"]
    assert lines[1].split() == [
        "1",
        "Phantom",
        "regular",
        "4",
        "40×48",
        "2.5",
        "×",
        "8.8",
        "×",
        "7.33",
        "HU",
        "green",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_long_lines_hang_below_their_label_on_a_narrow_terminal(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, tilt=-18.5), tmp_path)
    lines = on_terminal(60, "info", "--no-pixels", tmp_path)
    place = next(number for number, line in enumerate(lines) if line.startswith("  volume   "))
    assert lines[place + 1].startswith(" " * 11 + "pixels")
    assert max(map(len, lines)) <= 60


def test_a_single_slice_has_no_neighbour_to_be_apart_from(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, slices=1), tmp_path)
    output = told("info", "--no-pixels", tmp_path)
    assert "regular: 1 slice of 40 × 48, pixels" in output
    assert "apart" not in output


def test_info_tells_what_lossless_compression_would_make_of_it(real_data: Path) -> None:
    text = told("info", real_data / "philips_phantom" / "S21570" / "S2010")
    assert "2.8 MB as jpeg-ls (5.2×)" in text
    assert "as htj2k" in text
