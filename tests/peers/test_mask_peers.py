"""Masks of others: counts by the NRRD beside dcmqi's SEG, and by highdicom."""

from __future__ import annotations

import os
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

import hounsfield

DATA = Path(os.environ.get("HOUNSFIELD_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
MASKS = DATA / "masks/dcmqi"
PAIRS = {
    "liver.dcm": ("ge_ct_3slice", "liver_seg.nrrd"),
    "24x38x3_label.seg": ("legacy_converted_pair", "24x38x3_label.nrrd"),
    "sparse-labelmap-noppv.dcm": ("legacy_converted_pair", "sparse_labelmap_noppv_seg.nrrd"),
}

pytestmark = pytest.mark.skipif(not MASKS.is_dir(), reason="no real masks here")


@pytest.mark.parametrize("name", PAIRS)
def test_seg_is_the_nrrd_beside_it_and_what_highdicom_reads(name: str) -> None:
    ct, labels = PAIRS[name]
    series = hounsfield.scan(DATA / "odd" / ct).series
    for each in series:
        volume = each.load()
        found = hounsfield.masks(MASKS / name, volume)
        assert np.array_equal(found.labels, hounsfield.masks(MASKS / labels, volume).labels)
    peer = hd.seg.segread(MASKS / name).get_volume(combine_segments=True, allow_missing_positions=True)
    assert found.counts() == {1: int(np.count_nonzero(peer.array == 1))}
