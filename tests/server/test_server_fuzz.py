"""The fuzz targets of the server over their seeds, mutations of these, random bytes, and what they once found."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import fuzz_search
import fuzz_separate
import fuzz_store
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.resources import Resource

SETTINGS: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
}


BODIES = fuzz_store.seeds()
APART = fuzz_separate.seeds()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fuzz_store.Target]:
    target = fuzz_store.Target(tmp_path_factory.mktemp("store"))
    yield target
    target.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fuzz_separate.SeparateTarget]:
    target = fuzz_separate.SeparateTarget(tmp_path_factory.mktemp("apart"))
    yield target
    target.close()


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fuzz_search.Target]:
    target = fuzz_search.Target(tmp_path_factory.mktemp("search"))
    yield target
    target.close()


@pytest.mark.parametrize("seed", BODIES, ids=range(len(BODIES)))
def test_seeds_of_stores_end_well(store: fuzz_store.Target, seed: Any) -> None:
    store.one_input(seed)


_CHANGES = st.lists(
    st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5
)


def mutated(seed: bytes, changes: list[tuple[int, bytes]], cut: int) -> bytes:
    data = bytearray(seed)
    for position, change in changes:
        start = position % len(data)
        data[start : start + len(change)] = change
    return bytes(data[:cut] if cut > 2 else data)


@settings(max_examples=60, **SETTINGS)
@given(st.sampled_from(BODIES), _CHANGES, st.integers(0, 3000))
def test_mutated_stores_end_well(
    store: fuzz_store.Target, seed: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    store.one_input(mutated(seed, changes, cut))


@pytest.mark.parametrize("seed", APART, ids=range(len(APART)))
def test_seeds_of_metadata_and_bulk_data_are_stored(apart: fuzz_separate.SeparateTarget, seed: Any) -> None:
    kind = MediaType.parse(apart.kinds[seed[0]])
    result = apart.stored(kind, seed[2:], 100)
    assert [each.outcome for each in result.instances] == ["stored"], result
    apart.archive.remove(Resource(""))
    apart.one_input(seed)


@settings(max_examples=100, **SETTINGS)
@given(st.sampled_from(APART), _CHANGES, st.integers(0, 9000))
def test_mutated_metadata_and_bulk_data_end_well(
    apart: fuzz_separate.SeparateTarget, seed: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    apart.one_input(mutated(seed, changes, cut if cut < 3000 else 0))


def test_a_searched_attribute_written_as_long_binary_is_stored(store: fuzz_store.Target) -> None:
    """Found by the target: header text with the URI of bulk data where a value is looked for."""
    dataset = pydicom.dcmread(io.BytesIO(BODIES[0][2:]))
    for tag, vr in ((0x00100020, "OB"), (0x00080060, "OW")):
        del dataset[tag]
        dataset.add_new(tag, vr, b"\x01" * 2000)
    out = io.BytesIO()
    dataset.save_as(out)
    store.one_input(b"\x02\xff" + out.getvalue())


@pytest.mark.parametrize("seed", fuzz_search.SEEDS, ids=range(len(fuzz_search.SEEDS)))
def test_seeds_of_searches_end_well(search: fuzz_search.Target, seed: bytes) -> None:
    search.one_input(seed)


@settings(max_examples=100, **SETTINGS)
@given(st.binary(max_size=120))
def test_any_query_ends_well(search: fuzz_search.Target, data: bytes) -> None:
    search.one_input(data)
