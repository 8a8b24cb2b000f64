"""Contracts of locations, and of what a location can do beyond being read.

Not tests by themselves: pytest collects the subclasses only. Each asks for its fixtures by name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from hounsfield.ct.instance.source import BytesSource, FileSource, Skipped, Source
from hounsfield.dicomweb.queries import Query
from hounsfield.locations import (
    Delivered,
    Knowing,
    Location,
    Searchable,
    SeriesSource,
    Writable,
    open_location,
)
from hounsfield.locations.uids import written_uids
from hounsfield.outputs.results import Status
from hounsfield.phantom import PhantomSpec, write
from hounsfield.testing.sources import THREADS


class LocationContract:
    """`hounsfield.locations.Location`. Give `location` and `expected`: the bytes by the last part of each name.

    An expected value of None stands for something that is `Skipped`.
    """

    @pytest.fixture
    def location(self) -> Location:
        raise NotImplementedError

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        raise NotImplementedError

    def test_the_location_has_a_name(self, location: Location) -> None:
        assert location.name

    def test_everything_is_a_source_or_skipped_with_a_reason_in_order(
        self, location: Location, expected: Mapping[str, bytes | None]
    ) -> None:
        found: dict[str, bytes | None] = {}
        for item in location.sources():
            last = item.name.replace("\\", "/").rsplit("/", 1)[-1]
            if isinstance(item, Skipped):
                assert item.reason
                found[last] = None
            else:
                with item.open() as stream:
                    found[last] = stream.read()
        assert list(found.items()) == list(expected.items())

    def test_names_are_unique_and_the_order_is_the_same_each_time(self, location: Location) -> None:
        names = [item.name for item in location.sources()]
        assert len(set(names)) == len(names)
        assert [item.name for item in location.sources()] == names

    def test_sources_come_one_by_one(self, location: Location) -> None:
        items = location.sources()
        assert iter(items) is items
        first = next(items)
        assert [first.name, *(item.name for item in items)] == [item.name for item in location.sources()]

    def test_sources_outlive_the_iteration_and_the_location_s_other_sources(self, location: Location) -> None:
        last = [item for item in location.sources() if not isinstance(item, Skipped)][-1]
        del location
        with last.open() as stream:
            assert stream.read(1)

    def test_many_threads_may_open_sources_at_once(
        self, location: Location, expected: Mapping[str, bytes | None]
    ) -> None:
        def read(source: Source) -> bytes:
            with source.open() as stream:
                return stream.read()

        sources = [item for item in location.sources() if not isinstance(item, Skipped)]
        with ThreadPoolExecutor(THREADS) as pool:
            contents = list(pool.map(read, sources * THREADS))
        assert contents == [content for content in expected.values() if content is not None] * THREADS


@cache
def phantom_instances(*, slices: int = 3, series_number: int = 1) -> tuple[Delivered, ...]:
    """Small CT instances in memory, of one series: what the contracts below write."""
    spec = PhantomSpec(rows=16, columns=16, slices=slices, series_number=series_number, seed=series_number)
    with tempfile.TemporaryDirectory() as folder:
        write(spec, Path(folder))
        contents = [path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return tuple(_delivered(content) for content in contents)


def _delivered(content: bytes) -> Delivered:
    uids = written_uids(BytesSource("an instance", content))
    return Delivered(*uids, BytesSource(f"instance {uids[2]}", content), len(content))


def _content(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def _stored(place: Writable, each: Delivered) -> bytes | None:
    assert isinstance(place, Knowing), "give `stored` for a place that does not know what it holds"
    source = place.present(each.study, each.series).get(each.instance)
    return None if source is None else _content(source)


class WritableContract:
    """`hounsfield.locations.Writable`. Give `place`, empty, and `stored`, which reads an instance back (or None)."""

    @pytest.fixture
    def place(self) -> Writable:
        raise NotImplementedError

    def stored(self, place: Writable, each: Delivered) -> bytes | None:
        return _stored(place, each)

    @pytest.fixture
    def instances(self) -> list[Delivered]:
        return list(phantom_instances())

    def test_it_is_a_location_that_is_written_to(self, place: Writable) -> None:
        assert isinstance(place, Location)
        assert isinstance(place, Writable)
        assert place.batch_bytes >= 0

    def test_what_is_written_is_stored_byte_for_byte_and_each_has_an_outcome(
        self, place: Writable, instances: list[Delivered]
    ) -> None:
        outcomes = list(place.write(instances))
        assert sorted(each.unit for each in outcomes) == sorted(each.name for each in instances)
        assert [(each.status, each.reason) for each in outcomes] == [(Status.DONE, "")] * len(instances)
        for each in instances:
            assert self.stored(place, each) == _content(each.source)

    def test_nothing_to_write_is_nothing_written(self, place: Writable) -> None:
        assert list(place.write([])) == []

    def test_the_same_bytes_again_change_nothing(self, place: Writable, instances: list[Delivered]) -> None:
        list(place.write(instances[:1]))
        (again,) = place.write(instances[:1])
        assert again.status in ((Status.UNCHANGED,) if place.compares else (Status.DONE, Status.UNCHANGED))
        assert self.stored(place, instances[0]) == _content(instances[0].source)

    def test_a_source_that_cannot_be_read_fails_and_leaves_nothing(
        self, place: Writable, instances: list[Delivered], tmp_path: Path
    ) -> None:
        (first, *_) = instances
        lost = Delivered(first.study, first.series, first.instance, FileSource(tmp_path / "nowhere"))
        (outcome,) = place.write([lost])
        assert (outcome.unit, outcome.status) == (lost.name, Status.FAILED)
        assert outcome.reason
        assert self.stored(place, first) is None
        assert [each.status for each in place.write([first])] == [Status.DONE]

    def test_writers_of_one_instance_at_once_agree_on_what_was_stored(
        self, place: Writable, instances: list[Delivered]
    ) -> None:
        (first, *_) = instances
        content = _content(first.source)
        others = [
            Delivered(
                first.study, first.series, first.instance, BytesSource("it", content[:-1] + bytes([number]))
            )
            for number in range(THREADS)
        ]
        with ThreadPoolExecutor(THREADS) as pool:
            outcomes = [outcome for (outcome,) in pool.map(lambda each: list(place.write([each])), others)]
        found = self.stored(place, first)
        assert found in [_content(each.source) for each in others]
        if place.compares:
            assert sorted(each.status for each in outcomes) == [Status.DONE] + [Status.REFUSED] * (
                THREADS - 1
            )
            assert found == _content(others[[each.status for each in outcomes].index(Status.DONE)].source)


class ComparingContract:
    """A `Writable` with `compares`. Give `place`, empty and `Knowing`."""

    @pytest.fixture
    def place(self) -> Writable:
        raise NotImplementedError

    @pytest.mark.parametrize("end", [b"\x7f", b"", b"\x7f\x7f"])
    def test_other_bytes_under_the_same_uid_are_refused_and_change_nothing(
        self, place: Writable, end: bytes
    ) -> None:
        (first, *_) = phantom_instances()
        content = _content(first.source)
        list(place.write([first]))
        other = BytesSource("other", content[:-1] + end)
        (outcome,) = place.write([Delivered(first.study, first.series, first.instance, other)])
        assert outcome.status is Status.REFUSED
        assert outcome.reason
        assert _stored(place, first) == content


class NamedByUidContract:
    """A `Writable` whose names are made of the UIDs that are given, as a folder's are. Give `place`."""

    @pytest.fixture
    def place(self) -> Writable:
        raise NotImplementedError

    @pytest.mark.parametrize(
        "uid", ["", ".", "..", "1..2", "1.2.", "../../etc", "/etc", "1.2\0", "1.2/3", "a.b", "1." * 40 + "1"]
    )
    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_what_is_no_uid_is_refused(self, place: Writable, level: str, uid: str) -> None:
        uids = {"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5"} | {level: uid}
        each = Delivered(uids["study"], uids["series"], uids["instance"], BytesSource("it", b"bytes"))
        (outcome,) = place.write([each])
        assert outcome.status is Status.REFUSED
        assert outcome.reason


class KnowingContract:
    """`hounsfield.locations.Knowing`, of one that is written to as well. Give `place`, empty."""

    @pytest.fixture
    def place(self) -> Writable:
        raise NotImplementedError

    @pytest.mark.parametrize("read", [True, False])
    def test_what_is_there_is_known_by_its_uid_and_can_be_read(self, place: Writable, read: bool) -> None:
        assert isinstance(place, Knowing)
        instances, others = phantom_instances(), phantom_instances(series_number=2)
        (first, *_) = instances
        assert dict(place.present(first.study, first.series, read=read)) == {}
        list(place.write([*instances, *others]))
        found = place.present(first.study, first.series, read=read)
        assert {uid: _content(source) for uid, source in found.items()} == {
            each.instance: _content(each.source) for each in instances
        }


class SeriesSourceContract:
    """`hounsfield.locations.SeriesSource`. Give `place` and `expected`: bytes by (study, series, instance)."""

    @pytest.fixture
    def place(self) -> SeriesSource:
        raise NotImplementedError

    @pytest.fixture
    def expected(self) -> Mapping[tuple[str, str, str], bytes]:
        raise NotImplementedError

    def test_every_series_is_listed_once_with_its_instances(
        self, place: SeriesSource, expected: Mapping[tuple[str, str, str], bytes]
    ) -> None:
        assert isinstance(place, SeriesSource)
        listed = list(place.series())
        found = {(each.study, each.series, uid) for each in listed for uid in place.instances(each)}
        assert found == set(expected)
        assert len({(each.study, each.series) for each in listed}) == len(listed)
        for each in listed:
            assert each.count in (0, len(place.instances(each)))

    @pytest.mark.parametrize("in_memory", [True, False])
    def test_a_series_comes_whole(
        self,
        place: SeriesSource,
        expected: Mapping[tuple[str, str, str], bytes],
        tmp_path: Path,
        in_memory: bool,
    ) -> None:
        folder = None if in_memory else tmp_path
        found: dict[tuple[str, str, str], bytes] = {}
        for listed in place.series():
            for each in place.retrieve(listed, folder=folder):
                assert isinstance(each, Delivered)
                assert (each.path is None) == in_memory
                assert each.path is None or each.path.parent == tmp_path
                found[each.study, each.series, each.instance] = _content(each.source)
        assert found == dict(expected)

    def test_only_what_is_wanted_comes(
        self, place: SeriesSource, expected: Mapping[tuple[str, str, str], bytes], tmp_path: Path
    ) -> None:
        listed = next(iter(place.series()))
        uids = place.instances(listed)
        for wanted in (uids[:1], uids[1:]):
            came = list(place.retrieve(listed, wanted, folder=tmp_path))
            assert sorted(each.instance for each in came if isinstance(each, Delivered)) == sorted(wanted)
            assert len(list(tmp_path.iterdir())) == len(wanted)
            for path in tmp_path.iterdir():
                path.unlink()


class SearchableContract:
    """`hounsfield.locations.Searchable`. Give `place` and `expected`: every (study, series, instance)."""

    @pytest.fixture
    def place(self) -> Searchable:
        raise NotImplementedError

    @pytest.fixture
    def expected(self) -> set[tuple[str, str, str]]:
        raise NotImplementedError

    def test_series_are_found_and_their_addresses_hold_them_alone(
        self, place: Searchable, expected: set[tuple[str, str, str]]
    ) -> None:
        assert isinstance(place, Searchable)
        query = Query.build({}, include=["StudyInstanceUID", "SeriesInstanceUID"])
        found = {
            (each.value("StudyInstanceUID"), each.value("SeriesInstanceUID")): each
            for each in place.search("series", query, warn=_unheard)
        }
        assert set(found) == {uids[:2] for uids in expected}
        for key, each in found.items():
            held = [item for item in open_location(each.address).sources() if not isinstance(item, Skipped)]
            assert len(held) == len([uids for uids in expected if uids[:2] == key])

    def test_a_filter_and_a_limit_hold(self, place: Searchable, expected: set[tuple[str, str, str]]) -> None:
        study, series, _ = min(expected)
        one = Query.build(
            {"StudyInstanceUID": study, "SeriesInstanceUID": series}, include=["SOPInstanceUID"]
        )
        uids = {each.value("SOPInstanceUID") for each in place.search("instance", one, warn=_unheard)}
        assert uids == {uids[2] for uids in expected if uids[:2] == (study, series)}
        limited = Query.build({}, include=["StudyInstanceUID"], limit=1)
        assert len(list(place.search("instance", limited, warn=_unheard))) == 1


def _unheard(warning: str) -> None:
    return
