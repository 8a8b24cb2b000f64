"""Verbs ask a location what it can do; none names a class of location. Locations made in memory go through all."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hounsfield
from hounsfield.ct.instance import BytesSource, Skipped, Source
from hounsfield.errors import LocationError
from hounsfield.locations import Delivered, FolderLocation, open_location
from hounsfield.outputs.results import Result, Status
from hounsfield.phantom import PhantomSpec, write
from hounsfield.runs import processes

ROOT = Path(hounsfield.__file__).parent
PROTOCOLS = {
    "Location",
    "Searchable",
    "SeriesSource",
    "Writable",
    "Knowing",
    "OnDisk",
    "Rewritable",
    "Staging",
}


def location_classes() -> set[str]:
    """The names of all classes that are locations, wherever in the room they are written."""
    trees = (ast.parse(path.read_text("utf-8")) for path in (ROOT / "locations").rglob("*.py"))
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    found = {
        each.name
        for each in classes
        if any(isinstance(item, ast.FunctionDef) and item.name == "sources" for item in each.body)
        or any(isinstance(base, ast.Name) and base.id.endswith("Location") for base in each.bases)
    }
    return found - PROTOCOLS


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return imported | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_no_verb_names_a_class_of_location() -> None:
    classes = location_classes()
    assert {
        "FolderLocation",
        "FileLocation",
        "DicomwebLocation",
        "DicomwebArchive",
        "BucketLocation",
    } <= classes
    typed = {"compress", "copy", "find", "info", "tags", "view", "volume"}
    cli = ROOT / "cli"
    modules = [
        path for path in cli.rglob("*.py") if path.relative_to(cli).parts[0].removesuffix(".py") in typed
    ]
    assert {path.relative_to(cli).parts[0].removesuffix(".py") for path in modules} == typed
    asking = [*(ROOT / "verbs").rglob("*.py"), *modules]
    assert {str(path): names_in(path) & classes for path in asking if names_in(path) & classes} == {}


class Memory:
    """A location in memory that takes instances, knows what it has, and has a name that nothing opens."""

    name = "what I keep in mind"
    batch_bytes = 10_000
    compares = False

    def __init__(self) -> None:
        self.contents: dict[tuple[str, str, str], bytes] = {}

    def sources(self) -> Iterator[Source | Skipped]:
        for uids, content in sorted(self.contents.items()):
            yield BytesSource("/".join(uids), content)

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        for each in instances:
            with each.source.open() as stream:
                self.contents[each.study, each.series, each.instance] = stream.read()
            yield Result(each.name, Status.DONE)

    def address(self, study: str, series: str) -> str:
        return f"{study}/{series}"


class KnowingMemory(Memory):
    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        return {
            uids[2]: BytesSource(uids[2], content)
            for uids, content in self.contents.items()
            if uids[:2] == (study, series)
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(PhantomSpec(rows=24, columns=24, slices=5), tmp_path / "in")
    return tmp_path / "in"


def contents(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_copy_takes_location_objects_at_both_ends(folder: Path, tmp_path: Path) -> None:
    memory = KnowingMemory()
    assert hounsfield.copy(open_location(folder), memory).counts["moved"] == 5
    assert sorted(memory.contents.values()) == contents(folder)
    again = hounsfield.copy(folder, memory, verify=True)
    assert (again.counts["moved"], again.counts["present"]) == (0, 5)
    summary = hounsfield.copy(memory, FolderLocation(tmp_path / "out"))
    assert (summary.source, summary.target) == (memory.name, str(tmp_path / "out"))
    assert contents(tmp_path / "out") == contents(folder)


def test_location_objects_travel_to_worker_processes(folder: Path, tmp_path: Path) -> None:
    summary = hounsfield.copy(
        open_location(folder), FolderLocation(tmp_path / "out"), engine=processes(1), verify=True
    )
    assert summary.counts["moved"] == 5
    assert contents(tmp_path / "out") == contents(folder)


def test_a_place_that_does_not_know_what_it_has_is_written_to_and_not_verified(folder: Path) -> None:
    memory = Memory()
    assert hounsfield.copy(folder, memory).counts["moved"] == 5
    assert hounsfield.copy(folder, memory).counts["moved"] == 5
    with pytest.raises(LocationError, match="cannot be read back"):
        hounsfield.copy(folder, memory, verify=True)


def test_what_takes_no_instances_is_no_target(folder: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.dcm"
    one.write_bytes(next(folder.iterdir()).read_bytes())
    for target in (one, open_location(one), str(one)):
        with pytest.raises(LocationError, match="takes no instances"):
            hounsfield.copy(folder, target)
    for wrong in (7, None, [one]):
        with pytest.raises(LocationError, match="is no location"):
            hounsfield.copy(folder, wrong)  # type: ignore[arg-type]
        with pytest.raises(LocationError, match="is no location"):
            list(hounsfield.find(wrong))  # type: ignore[arg-type]


def test_what_is_found_in_a_location_object_has_an_address_that_opens_or_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = KnowingMemory()
    hounsfield.copy(folder, memory)
    assert [found.address for found in hounsfield.find(memory, level="series")] == [""]
    monkeypatch.chdir(tmp_path)
    for place in (FolderLocation(Path("in")), open_location("in"), open_location(folder)):
        for level in ("study", "series", "instance"):
            addresses = [found.address for found in hounsfield.find(place, level=level)]
            assert len(addresses) == (5 if level == "instance" else 1)
            for address in addresses:
                held = [each for each in open_location(address).sources() if not isinstance(each, Skipped)]
                assert len(held) == (1 if level == "instance" else 5)


def test_a_location_in_memory_is_loaded_and_searched_as_a_folder_is(folder: Path) -> None:
    memory = KnowingMemory()
    hounsfield.copy(folder, memory)
    assert np.array_equal(hounsfield.load(memory).array, hounsfield.load(folder).array)
    names = ("StudyInstanceUID", "PatientID", "NumberOfStudyRelatedInstances")
    (ours,), (theirs,) = hounsfield.find(memory), hounsfield.find(folder)
    assert [ours.value(name) for name in names] == [theirs.value(name) for name in names]


def test_a_location_in_memory_is_viewed(folder: Path) -> None:
    from hounsfield.server.local_viewer import local_viewer

    memory = KnowingMemory()
    hounsfield.copy(folder, memory)
    with local_viewer(memory) as shown:
        assert (shown.series, shown.skipped) == (1, ())


def test_a_series_that_comes_in_one_piece_is_asked_for_once(folder: Path) -> None:
    """`load` asks a series source for the whole series, and reads no source of it one by one."""
    from hounsfield.locations import ListedSeries

    class OnlySeries(KnowingMemory):
        asked = 0

        def sources(self) -> Iterator[Source | Skipped]:
            raise AssertionError("sources were listed")

        def series(self) -> Iterator[ListedSeries]:
            yield from {ListedSeries(*uids[:2]) for uids in self.contents}

        def instances(self, series: ListedSeries) -> list[str]:
            return list(self.present(series.study, series.series))

        def retrieve(
            self, series: Any, instances: None = None, *, folder: None = None, transfer_syntax: str = "*"
        ) -> Iterator[Delivered]:
            self.asked += 1
            for uid, source in self.present(series.study, series.series).items():
                yield Delivered(series.study, series.series, uid, source)

    place = OnlySeries()
    with contextlib.suppress(StopIteration):
        hounsfield.copy(folder, place)
    assert np.array_equal(hounsfield.load(place).array, hounsfield.load(folder).array)
    assert place.asked == 1
