"""The fuzz target of the DIMSE upper layer over seeds, their mutations and random bytes."""

from __future__ import annotations

import random
from typing import Any

import fuzz_dimse as target
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("seed", target.SEEDS, ids=range(len(target.SEEDS)))
def test_seeds_make_events_or_an_abort(seed: Any) -> None:
    target.one_input(seed)


@given(
    st.sampled_from(target.SEEDS),
    st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=3)), min_size=1, max_size=5),
)
def test_mutated_seeds_make_events_or_an_abort(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for position, change in changes:
        data[position : position + len(change)] = change
    target.one_input(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_make_events_or_an_abort(data: bytes) -> None:
    target.one_input(data)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_million_mutated_pdus_make_events_or_an_abort() -> None:
    dice = random.Random(20)
    for _ in range(1_000_000):
        data = bytearray(dice.choice(target.SEEDS))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            kind = dice.randrange(4)
            if kind == 0:
                data[at] = dice.randrange(256)
            elif kind == 1:
                del data[at : at + dice.randrange(1, 20)]
            elif kind == 2:
                data[at:at] = dice.randbytes(dice.randrange(1, 20))
            else:
                data[at : at + 4] = dice.choice(
                    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0"]
                )
            if not data:
                break
        target.one_input(bytes(data))
