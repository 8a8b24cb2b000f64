"""Many outlines at once are filled as one by one, by the same rule: whatever they are, and wherever they lie."""

from __future__ import annotations

import numpy as np
import pytest

from hounsfield.ct.roi.filling import filled, filled_stack, windings

ROWS, COLUMNS, SLICES = 17, 23, 5


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("is_whole", [False, True], ids=["anywhere", "on centres"])
def test_a_stack_is_filled_as_its_outlines_are(seed: int, is_whole: bool) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    outlines = [rng.uniform(-6, (ROWS + 6, COLUMNS + 6), (int(rng.integers(1, 12)), 2)) for _ in range(count)]
    if is_whole:
        outlines = [np.round(points) for points in outlines]
    slices = (
        rng.permutation(SLICES)[:count]
        if seed % 3 == 0 and count <= SLICES
        else rng.integers(0, SLICES, count)
    )
    found = filled_stack(
        np.concatenate(outlines), [len(points) for points in outlines], slices.tolist(), ROWS, COLUMNS
    )
    expected = np.zeros((SLICES, ROWS, COLUMNS), bool)
    for slice_, points in zip(slices, outlines, strict=True):
        expected[slice_] ^= filled([points], ROWS, COLUMNS)
    stack = np.zeros(expected.size, bool)
    stack[found.voxels] = True
    assert np.array_equal(stack.reshape(expected.shape), expected)
    assert (np.diff(found.voxels) > 0).all()
    one_by_one = [windings(points, ROWS, COLUMNS) for points in outlines]
    assert found.crossing.tolist() == [each.crosses_itself for each in one_by_one]
    assert found.counts.tolist() == [int(each.inside.sum()) for each in one_by_one]
