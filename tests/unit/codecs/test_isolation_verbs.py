"""Verbs over folders with files that hurt: they run to their end and name those files, whatever a decoder does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import get_args

import click
import isolation_faults as faults
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid

import hounsfield
from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.codecs import isolation
from hounsfield.codecs.isolation.pool import Pool
from hounsfield.errors import MalformedError
from hounsfield.phantom import PhantomSpec

SPEC = PhantomSpec(rows=32, columns=32, slices=3, transfer_syntax="rle")
HOSTILE = ("1811_htj2k-lossy.dcm", "24802_htj2k.dcm", "2644_htj2k-rpcl.dcm")
VERBS = {
    "info": [],
    "volume": ["out"],
    "image": ["out"],
    "compress": ["out", "--to", "jpeg-ls"],
    "deidentify": ["out"],
}


def hurt(path: Path, how: bytes, *, frame: int = 0) -> None:
    """Let frame `frame` of a file do `how` to its decoder, in a series of its own."""
    dataset = pydicom.dcmread(path)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))
    frames[frame] += how + bytes(len(how) % 2)
    dataset.PixelData = encapsulate(frames)
    dataset.SeriesInstanceUID = generate_uid()
    dataset.save_as(path)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("how", [faults.KILL, faults.SPIN], ids=["kill", "spin"])
def test_a_batch_ends_and_names_the_file_that_hurt(
    verb: str, how: bytes, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    phantom.write(SPEC, tmp_path / "in" / "sound")
    (bad, *_) = phantom.write(PhantomSpec(rows=32, columns=32, slices=1, transfer_syntax="rle", seed=3),
                              tmp_path / "in" / "bad")  # fmt: skip
    hurt(bad, how)
    monkeypatch.chdir(tmp_path)
    result = run(verb, "in", *VERBS[verb], "--isolate", "always", *_here(verb))
    text = " ".join(result.output.split())
    assert "bug of hounsfield" not in text
    if verb != "deidentify":  # which copies pixels, and decodes for its pages alone
        assert bad.name in text and "the codestream" in text
        assert result.exit_code == (0 if verb == "info" else 1)
    if verb != "info":
        made = [path for path in Path("out").rglob("*") if path.suffix in (".gz", ".png", ".dcm")]
        assert len(made) >= {"volume": 1, "image": 1, "compress": 3, "deidentify": 4}[verb]
    assert isolation.VARIABLE not in os.environ, "the option ends with its command"


def _here(verb: str) -> list[str]:
    """In this process, whose pool the test knows."""
    return ["--workers", "1"] if verb != "deidentify" else []


def test_the_option_has_the_modes_of_the_library() -> None:
    for verb in (*VERBS, "verify"):
        command = main.get_command(click.Context(main), verb)
        assert command is not None
        (option,) = (each for each in command.params if each.name == "isolate")
        assert tuple(option.type.choices) == get_args(isolation.IsolationMode)  # type: ignore[attr-defined]


def test_a_frame_is_named(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isolation.VARIABLE, "always")
    spec = PhantomSpec(rows=16, columns=16, slices=4, multiframe="enhanced", transfer_syntax="rle")
    (path,) = phantom.write(spec, tmp_path)
    hurt(path, faults.KILL, frame=2)
    with pytest.raises(MalformedError, match=rf"{path.name}: frame 3: the codestream kills"):
        hounsfield.load(path)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("mode", ["auto", "always"])
def test_hostile_files_are_errors_of_every_verb(
    verb: str, mode: str, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that killed these verbs, or kept them for ever, in the process of the tests."""
    (tmp_path / "in").mkdir()
    phantom.write(SPEC, tmp_path / "in" / "sound")
    for name in HOSTILE:
        shutil.copy(real_data / "field" / "hostile" / name, tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    result = run(verb, "in", *VERBS[verb], "--isolate", mode, *_here(verb))
    assert "bug of hounsfield" not in result.output
    if verb in ("volume", "image", "compress"):
        assert all(name in result.output for name in HOSTILE) and result.exit_code == 1
        sound = [path for path in Path("out").rglob("*") if path.suffix in (".gz", ".png", ".dcm")]
        assert len(sound) >= {"volume": 1, "image": 1, "compress": 3}[verb], "the sound series beside them"


def test_hostile_files_in_worker_processes(real_data: Path, tmp_path: Path) -> None:
    for name in HOSTILE:
        shutil.copy(real_data / "field" / "hostile" / name, tmp_path)
    phantom.write(SPEC, tmp_path / "sound")
    result = run("volume", tmp_path, tmp_path / "out", "--workers", 2, "--isolate", "always")  # type: ignore[arg-type]
    assert all(name in result.output for name in HOSTILE) and result.exit_code == 1
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1


def test_the_same_volume_whatever_is_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = []
    for keyword in ("htj2k", "jpeg-ls"):
        phantom.write(PhantomSpec(rows=48, columns=40, slices=4, transfer_syntax=keyword), tmp_path / keyword)
        for mode in ("never", "auto", "always"):
            monkeypatch.setenv(isolation.VARIABLE, mode)
            arrays.append(hounsfield.load(tmp_path / keyword).array)
    assert all(np.array_equal(arrays[0], other) for other in arrays)


def test_pydicom_decodes_by_the_same_way(tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    hounsfield.register_pydicom()
    monkeypatch.setenv(isolation.VARIABLE, "always")
    sound, bad, *_ = phantom.write(SPEC, tmp_path)
    hurt(bad, faults.KILL)
    dataset = pydicom.dcmread(bad)
    dataset.pixel_array_options(decoding_plugin="hounsfield")
    with pytest.raises(Exception, match="the codestream kills its decoder"):
        _ = dataset.pixel_array
    dataset = pydicom.dcmread(sound)
    dataset.pixel_array_options(decoding_plugin="hounsfield")
    assert dataset.pixel_array.shape == (32, 32)
