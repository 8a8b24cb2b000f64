"""The fuzz target of the DICOMweb readers over seeds, their mutations and random bytes."""

from __future__ import annotations

from typing import Any

import fuzz_dicomweb as target
import pytest
from hypothesis import given
from hypothesis import strategies as st

SEEDS = [
    b"",
    b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b\r\n\r\n\r\n--b--\r\n",
    b"--b\r\nContent-Length: 9\r\n\r\n\r\n--b\r\nab\r\n--b\r\nContent-Length: 2\r\n\r\nabc\r\n--b--\r\n",
    b"?--x y\r\nA: 1\r\n\r\n\r\n--x y--",
    b"https://h/dicom-web/studies/1.2/series/3/instances/4/frames/1,2/rendered",
    b"PatientName=a*&StudyDate=20240101-&limit=3&includefield=all&fuzzymatching=true",
    b"multipart/related; type=\"application/dicom; transfer-syntax=1.2\"; boundary='a'; q=0.5, */*",
    b'299 h: "There are 3 additional results"',
    b'[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},"00101002":{"vr":"SQ","Value":[{"00100020":{"vr":"IS","Value":["x"]}}]}}]',
    b'{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]}}',
    b"<NativeDicomModel><DicomAttribute tag='00100010' vr='PN'><PersonName number='1'><Alphabetic>"
    b"<FamilyName>A</FamilyName></Alphabetic></PersonName></DicomAttribute></NativeDicomModel>",
]


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_seeds_make_values_or_our_errors(seed: Any) -> None:
    target.one_input(seed)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=3)), min_size=1, max_size=5),
)
def test_mutated_seeds_make_values_or_our_errors(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for position, change in changes:
        data[position : position + len(change)] = change
    target.one_input(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_make_values_or_our_errors(data: bytes) -> None:
    target.one_input(data)
