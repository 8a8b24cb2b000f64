"""The fuzz target of the DIMSE upper layer over seeds, their mutations and random bytes."""

from __future__ import annotations

import fuzz_dimse as target
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("seed", target.SEEDS, ids=range(len(target.SEEDS)))
def test_seeds_make_events_or_an_abort(seed):
    target.one_input(seed)


@given(
    st.sampled_from(target.SEEDS),
    st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=3)), min_size=1, max_size=5),
)
def test_mutated_seeds_make_events_or_an_abort(seed, changes):
    data = bytearray(seed)
    for position, change in changes:
        data[position : position + len(change)] = change
    target.one_input(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_make_events_or_an_abort(data):
    target.one_input(data)
