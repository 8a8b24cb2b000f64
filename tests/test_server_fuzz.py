"""The fuzz targets of the server over their seeds, mutations of these, random bytes, and what they once found."""

from __future__ import annotations

import io

import fuzz_search
import fuzz_store
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = {"suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


BODIES = fuzz_store.seeds()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    target = fuzz_store.Target(tmp_path_factory.mktemp("store"))
    yield target
    target.close()


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    target = fuzz_search.Target(tmp_path_factory.mktemp("search"))
    yield target
    target.close()


@pytest.mark.parametrize("seed", BODIES, ids=range(len(BODIES)))
def test_seeds_of_stores_end_well(store, seed):
    store.one_input(seed)


@settings(max_examples=60, **SETTINGS)
@given(
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 1500), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5),
    st.integers(0, 3000),
)
def test_mutated_stores_end_well(store, seed, changes, cut):
    data = bytearray(seed)
    for position, change in changes:
        data[position : position + len(change)] = change
    store.one_input(bytes(data[:cut] if cut > 2 else data))


def test_a_searched_attribute_written_as_long_binary_is_stored(store):
    """Found by the target: header text with the URI of bulk data where a value is looked for."""
    dataset = pydicom.dcmread(io.BytesIO(BODIES[0][2:]))
    for tag, vr in ((0x00100020, "OB"), (0x00080060, "OW")):
        del dataset[tag]
        dataset.add_new(tag, vr, b"\x01" * 2000)
    out = io.BytesIO()
    dataset.save_as(out)
    store.one_input(b"\x02\xff" + out.getvalue())


@pytest.mark.parametrize("seed", fuzz_search.SEEDS, ids=range(len(fuzz_search.SEEDS)))
def test_seeds_of_searches_end_well(search, seed):
    search.one_input(seed)


@settings(max_examples=100, **SETTINGS)
@given(st.binary(max_size=120))
def test_any_query_ends_well(search, data):
    search.one_input(data)
