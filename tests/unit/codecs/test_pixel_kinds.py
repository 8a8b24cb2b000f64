"""The table of what each transfer syntax holds: against pydicom's copy of PS3.5 8.2, the encoders, and itself."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.encoders.base import ENCODING_PROFILES

from hounsfield.codecs import (
    FrameFormat,
    PixelKind,
    Rate,
    best_lossless,
    bits_after,
    decode_frame,
    encode_frame,
    encoded_photometric,
    holders,
    holds,
    refuse_unheld,
)
from hounsfield.codecs.table import CODECS
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax, transfer_syntax
from hounsfield.errors import UnsupportedError

HELD = [coding.keyword for each in CODECS for coding in each.codings if coding.holds is not None]
WRITABLE = [syntax for syntax in SYNTAXES.values() if syntax.writable]
PHOTOMETRICS = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "HSV": 3,
    "CMYK": 4,
}
KINDS = [
    PixelKind(allocated, stored, signed, photometric, samples)
    for allocated, stored in [(1, 1), *product((8, 16, 32), (1, 2, 7, 8, 9, 12, 13, 16, 17, 24, 25, 32))]
    for signed in (False, True)
    for photometric, samples in PHOTOMETRICS.items()
    if stored <= allocated and not (signed and allocated == 1)
]


def profiles(keyword: str) -> list[tuple[str, int, tuple[int, ...], tuple[int, ...], object]]:
    """PS3.5 8.2 as pydicom has it; the table of HTJ2K is that of JPEG 2000."""
    plain = {"htj2k": "jpeg2000", "htj2k-rpcl": "jpeg2000", "htj2k-lossy": "jpeg2000-lossy"}.get(
        keyword, keyword
    )
    return list(ENCODING_PROFILES[transfer_syntax(plain).uid])  # type: ignore[arg-type, index]


@pytest.mark.parametrize("keyword", [keyword for keyword in HELD if not keyword.startswith("jpeg-xl")])
def test_nothing_is_held_that_the_standard_forbids_but_rle_of_32_bits(keyword: str) -> None:
    syntax, allowed = transfer_syntax(keyword), profiles(keyword)
    for kind in (kind for kind in KINDS if holds(syntax, kind)):
        written = encoded_photometric(syntax, kind.photometric_interpretation)
        is_legal = any(
            written == photometric
            and kind.samples_per_pixel == samples
            and int(kind.signed) in signs
            and kind.bits_allocated in allocated
            and bits_after(syntax, kind) in stored  # type: ignore[operator]
            for photometric, samples, signs, allocated, stored in allowed
        )
        assert is_legal or (keyword == "rle" and kind.bits_allocated == 32), kind


def cells_of(kind: PixelKind) -> tuple[np.ndarray, FrameFormat]:
    """Noise with both ends of the range in it."""
    shape = (9, 14) if kind.samples_per_pixel == 1 else (9, 14, kind.samples_per_pixel)
    form = FrameFormat(
        *shape[:2],
        kind.samples_per_pixel,
        kind.bits_allocated,
        kind.bits_stored,
        kind.bits_stored - 1,
        int(kind.signed),
        kind.photometric_interpretation,
    )
    low = -(1 << kind.bits_stored - 1) if kind.signed else 0
    high = low + (1 << kind.bits_stored) - 1
    array = np.random.default_rng(5).integers(low, high, shape, endpoint=True)
    array[0, :2] = array[5, 6:8] = np.array([low, high]).reshape(2, *[1] * (array.ndim - 2))
    return array.astype(form.dtype), form


@pytest.mark.parametrize("syntax", WRITABLE, ids=lambda s: s.keyword)
def test_every_kind_is_coded_or_refused_as_the_table_says(syntax: TransferSyntax) -> None:
    for kind in KINDS:
        if syntax.keyword == "jpeg-xl-jpeg" or (not syntax.encapsulated and kind.bits_allocated == 1):
            continue  # which hold no pixels but JPEGs; and frames of single bits, which are packed together
        array, form = cells_of(kind)
        if not holds(syntax, kind):
            with pytest.raises(UnsupportedError, match=f"^{syntax.keyword} does not hold {kind} "):
                encode_frame(array, syntax, form)
            continue
        decoded = decode_frame(encode_frame(array, syntax, form, rate=Rate(quality=100)), syntax, form)
        assert (decoded.shape, decoded.dtype) == (array.shape, array.dtype)
        if syntax.lossless:
            assert np.array_equal(decoded, array), kind


def test_what_is_refused_is_told_with_what_holds_it() -> None:
    palette = PixelKind(8, 8, photometric_interpretation="PALETTE COLOR")
    with pytest.raises(UnsupportedError) as caught:
        refuse_unheld(transfer_syntax("jpeg"), palette)
    told = str(caught.value)
    assert "jpeg does not hold unsigned 8-bit PALETTE COLOR pixels" in told
    named = told.partition("; use ")[2].split(", ")
    assert "jpeg-ls" in named and all(holds(transfer_syntax(keyword), palette) for keyword in named)
    with pytest.raises(UnsupportedError, match=r"use encapsulated, deflated-frame$"):
        refuse_unheld(transfer_syntax("rle"), PixelKind(1, 1))
    refuse_unheld(transfer_syntax("jpeg-ls"), palette)


@pytest.mark.parametrize(
    ("kind", "keyword"),
    [
        (PixelKind(16, 12, True), "jpeg-ls"),
        (PixelKind(8, 8, photometric_interpretation="PALETTE COLOR"), "jpeg-ls"),
        (PixelKind(32, 32), "rle"),
        (PixelKind(8, 1), "rle"),
        (PixelKind(1, 1), None),
        (PixelKind(16, 16, photometric_interpretation="YBR_FULL", samples_per_pixel=3), None),
    ],
    ids=str,
)
def test_the_best_lossless_syntax_is_one_that_others_read(kind: PixelKind, keyword: str | None) -> None:
    found = best_lossless(kind)
    assert (found.keyword if found else None) == keyword


def test_those_that_hold_a_kind_are_told_apart_by_loss() -> None:
    kind = PixelKind(16, 12)
    lossy, lossless = holders(kind, lossless=False), holders(kind, lossless=True)
    assert {syntax.keyword for syntax in lossy} == {
        "jpeg-extended", "jpeg-ls-near", "jpeg2000-lossy", "htj2k-lossy", "jpeg-xl-lossy"
    }  # fmt: skip
    assert set(holders(kind)) == {*lossy, *lossless}
    assert {"jpeg-ls", "rle", "explicit"} <= {syntax.keyword for syntax in lossless}


def test_a_coding_that_may_overshoot_says_how_many_bits_are_stored_afterwards() -> None:
    after = {
        keyword: bits_after(transfer_syntax(keyword), PixelKind(16, 10))
        for keyword in (
            "jpeg-ls",
            "jpeg-ls-near",
            "htj2k-lossy",
            "jpeg-extended",
            "jpeg2000-lossy",
            "explicit",
        )
    }
    assert after == {
        "jpeg-ls": 10, "jpeg-ls-near": 16, "htj2k-lossy": 16, "jpeg-extended": 12, "jpeg2000-lossy": 10, "explicit": 10
    }  # fmt: skip
    assert bits_after(transfer_syntax("jpeg"), PixelKind(8, 6)) == 8


def test_the_documentation_has_a_row_for_every_syntax_of_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "compress.md").read_text("utf-8")
    section = text.partition("## What holds what")[2].partition("\n## ")[0]
    rows = {row.split("|")[1].strip(): row for row in section.splitlines() if row.startswith("| `")}
    named = "".join(rows).replace("`, `-14`", "` `jpeg-lossless-14`").replace("`, `-rpcl`", "` `htj2k-rpcl`")
    assert all(f"`{keyword}`" in named for keyword in HELD if keyword != "jpeg-xl-jpeg")
    for keyword in ("jpeg", "jpeg-ls", "rle", "jpeg2000-lossy", "htj2k", "jpeg-xl"):
        row = next(row for name, row in rows.items() if f"`{keyword}`" in name)
        has_palette = bool(row.split("|")[4].strip())
        assert has_palette == holds(transfer_syntax(keyword), PixelKind(8, 8, False, "PALETTE COLOR")), (
            keyword
        )
