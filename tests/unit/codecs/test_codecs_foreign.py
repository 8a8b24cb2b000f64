"""Errors that imagecodecs swallows become ours, and the hooks of the program that we run in stay its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from test_codecs_decoding import form

from hounsfield.codecs import decode_frame
from hounsfield.codecs.foreign import call_decoder, raising_swallowed
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import MalformedError
from hounsfield.phantom import PhantomSpec, write

IMAGE = ((np.arange(64 * 64) * 37) % 4096).astype(np.uint16).reshape(64, 64)
SOUND: bytes = imagecodecs.htj2k_encode(IMAGE, reversible=True)  # type: ignore[assignment]


class Hooks:
    """Hooks of a program that uses the library, and what they were called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.swallowed: list[Any] = []
        self.uncaught: list[Any] = []
        self.own = (lambda *error: self.uncaught.append(error), self.swallowed.append)
        monkeypatch.setattr(sys, "excepthook", self.own[0])
        monkeypatch.setattr(sys, "unraisablehook", self.own[1])

    @property
    def are_in_place(self) -> bool:
        return (sys.excepthook, sys.unraisablehook) == self.own


def swallowed_by_library() -> bytes:
    """Return the sound codestream with a byte changed, so that OpenJPH fails where imagecodecs lets it go by."""
    heard: list[Any] = []
    earlier = sys.excepthook, sys.unraisablehook
    sys.excepthook, sys.unraisablehook = lambda *_: None, heard.append
    try:
        for position in range(200, len(SOUND)):
            damaged = SOUND[:position] + b"\xff" + SOUND[position + 1 :]
            try:
                imagecodecs.htj2k_decode(damaged)
            except RuntimeError:
                continue
            if heard:
                return damaged
    finally:
        sys.excepthook, sys.unraisablehook = earlier
    raise AssertionError("imagecodecs swallows nothing any more: raising_swallowed can go")


DAMAGED = swallowed_by_library()


def test_a_swallowed_error_is_malformed_and_no_uncaught_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = Hooks(monkeypatch)
    with pytest.raises(MalformedError, match="HTJ2K codestream does not decode"):
        decode_frame(DAMAGED, transfer_syntax("htj2k"), form(IMAGE))
    assert hooks.are_in_place and not hooks.uncaught
    assert np.array_equal(decode_frame(SOUND, transfer_syntax("htj2k"), form(IMAGE)), IMAGE)


def test_hooks_are_those_of_the_program_while_a_decoder_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, seen = Hooks(monkeypatch), []

    def decoder(data: bytes) -> np.ndarray:
        seen.append(hooks.are_in_place)
        return IMAGE

    call_decoder("HTJ2K", raising_swallowed(decoder), b"")
    assert seen == [True] and hooks.are_in_place


def test_hooks_still_hear_what_is_not_the_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = Hooks(monkeypatch)
    call_decoder("HTJ2K", raising_swallowed(imagecodecs.htj2k_decode), SOUND)

    class Failing:
        def __del__(self) -> None:
            raise ValueError("the program's own")

    Failing()
    assert [str(each.exc_value) for each in hooks.swallowed] == ["the program's own"]


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    write(PhantomSpec(), tmp_path / "in")
    path = min(each for each in (tmp_path / "in").rglob("*") if each.is_file())
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([DAMAGED])
    dataset["PixelData"].VR = "OB"
    dataset.Rows, dataset.Columns = IMAGE.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.file_meta.TransferSyntaxUID = transfer_syntax("htj2k").uid  # type: ignore[assignment]
    dataset.save_as(tmp_path / "damaged.dcm", enforce_file_format=True)
    out = tmp_path / "slice.png"
    command = [sys.executable, "-m", "hounsfield", "image", tmp_path / "damaged.dcm", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # type: ignore[arg-type]
    assert done.returncode and not out.exists()
    assert "HTJ2K codestream does not decode" in done.stderr
    assert "Exception ignored" not in done.stderr and "Traceback" not in done.stderr
