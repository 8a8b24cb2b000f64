"""A bucket as a location, against a real S3 server (moto): the same contracts as a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from test_export_buckets import bucket, endpoint

from hounsfield.ct.instance import Skipped, Source
from hounsfield.locations import Delivered, Knowing, Location, Staging, Writable, open_location
from hounsfield.testing import (
    KnowingContract,
    LocationContract,
    NamedByUidContract,
    SourceContract,
    WritableContract,
    phantom_instances,
)
from hounsfield.verbs.find import find

__all__ = ["bucket", "endpoint"]  # fixtures


@pytest.fixture
def address(bucket: str, request: pytest.FixtureRequest) -> str:
    return f"{bucket}/{abs(hash(request.node.nodeid))}"


@pytest.fixture
def place(address: str) -> Writable:
    place = open_location(address)
    assert isinstance(place, Writable)
    assert isinstance(place, Knowing) and not isinstance(place, Staging)
    return place


def filled(place: Writable) -> tuple[Delivered, ...]:
    instances = phantom_instances()
    assert {each.status for each in place.write(instances)} == {"done"}
    return instances


class TestWritten(WritableContract, NamedByUidContract, KnowingContract):
    @pytest.fixture
    def place(self, address: str) -> Writable:
        place = open_location(address)
        assert isinstance(place, Writable)
        return place


class TestRead(LocationContract):
    @pytest.fixture
    def location(self, place: Writable) -> Location:
        filled(place)
        return place

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        found = {f"{each.instance}.dcm": each.source.open().read() for each in phantom_instances()}
        return dict(sorted(found.items()))  # as S3 lists them


class TestObject(SourceContract):
    @pytest.fixture
    def source(self, place: Writable) -> Source:
        filled(place)
        source = next(place.sources())
        assert not isinstance(source, Skipped)
        return source

    @pytest.fixture
    def content(self) -> bytes:
        return min(phantom_instances(), key=lambda each: each.instance).source.open().read()


def test_the_address_of_one_object_is_a_location_of_one(place: Writable) -> None:
    (first, *_) = filled(place)
    name = f"{place.address(first.study, first.series)}/{first.instance}.dcm"
    (source,) = open_location(name).sources()
    assert not isinstance(source, Skipped)
    assert source.name == name
    assert source.open().read() == first.source.open().read()
    assert list(open_location(f"{place.name}/nothing/there.dcm").sources()) == []


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_what_is_found_in_a_bucket_has_an_address_that_holds_it_alone(place: Writable, level: str) -> None:
    instances = filled(place)
    list(place.write(phantom_instances(series_number=2)))
    for found in find(place, level=level, filters={"SeriesNumber": 1}):  # type: ignore[arg-type]
        held = [source.name for source in open_location(found.address).sources()]
        assert len(held) == (1 if level == "instance" else len(instances))
        assert all(Path(name).suffix == ".dcm" for name in held)
