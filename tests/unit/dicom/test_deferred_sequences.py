"""Sequences of a data set are built when somebody looks at them, and are then what they were when built at once."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from hounsfield.dicom.datasets import dataset_of, read_dataset, read_file
from hounsfield.dicom.encoding import Encoding
from hounsfield.dicom.full_walk import Element, FullWalk
from hounsfield.dicom.part10 import file_parts, open_data_set


@pytest.fixture
def nested() -> bytes:
    """A file with a sequence of two items, the second with a sequence within."""
    inner, second, top = Dataset(), Dataset(), Dataset()
    inner.CodeValue = "T-11500"
    second.ViewCodeSequence = [inner]
    second.PatientComments = "Ärztin"
    second.SpecificCharacterSet = "ISO_IR 192"
    top.RequestAttributesSequence = [Dataset(), second]
    top.PatientID = "behind"
    out = io.BytesIO()
    top.SOPClassUID, top.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    top.file_meta = Dataset()  # type: ignore[assignment]
    top.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    top.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tags of the sequences whose items were walked over, as they are."""
    tags = []
    items = FullWalk.items

    def noted(
        self: FullWalk, sequence: Element, encoding: Encoding, *, depth: int = 0
    ) -> Iterator[tuple[Element, Encoding]]:
        tags.append(sequence.tag)
        return items(self, sequence, encoding, depth=depth)

    monkeypatch.setattr(FullWalk, "items", noted)
    return tags


def test_nothing_is_built_that_nobody_looks_at(nested: bytes, built: list[int]) -> None:
    dataset = read_file(nested)
    assert dataset.PatientID == "behind"
    assert "RequestAttributesSequence" in dataset
    assert built == []
    assert len(dataset.RequestAttributesSequence) == 2
    assert built == [0x00400275]
    assert dataset.RequestAttributesSequence[1].ViewCodeSequence[0].CodeValue == "T-11500"
    assert built == [0x00400275, 0x00540220]


def test_a_sequence_outlives_the_stream_that_it_came_from(nested: bytes, tmp_path: Path) -> None:
    path = tmp_path / "nested.dcm"
    path.write_bytes(nested)
    with path.open("rb") as stream:
        walk = FullWalk(stream)
        parts = file_parts(walk)
        dataset, _ = read_dataset(open_data_set(walk, parts), parts, walk)
    path.unlink()
    assert dataset.RequestAttributesSequence[1].PatientComments == "Ärztin"


def test_positions_of_items_are_those_in_the_file(nested: bytes) -> None:
    dataset = read_file(nested)
    second = dataset.RequestAttributesSequence[1]
    for item in (second, second.ViewCodeSequence[0]):
        assert nested[item.seq_item_tell : item.seq_item_tell + 4] == b"\xfe\xff\x00\xe0"
    raw = second.ViewCodeSequence[0].get_item(0x00080100)
    assert nested[raw.value_tell : raw.value_tell + raw.length].rstrip() == b"T-11500"


def test_data_sets_are_copied_pickled_compared_and_written_before_anybody_looked(nested: bytes) -> None:
    first, second = read_file(nested), read_file(nested)
    assert first == second
    assert copy.deepcopy(read_file(nested)) == first
    assert pickle.loads(pickle.dumps(read_file(nested))) == first
    out = io.BytesIO()
    read_file(nested).save_as(out, enforce_file_format=True)
    assert read_file(out.getvalue()) == first


def test_an_assigned_value_stays(nested: bytes) -> None:
    dataset = read_file(nested)
    dataset["RequestAttributesSequence"].value = []
    assert len(dataset.RequestAttributesSequence) == 0


def test_a_sequence_that_cannot_be_walked_is_unknown_bytes_when_looked_at() -> None:
    value = b"\xfe\xff\x00\xe0\x08\0\0\0" + b"\x10\x00\x20\x00LO\xff\x00" + b"no items"
    content = b"\x40\x00\x75\x02SQ\0\0" + len(value).to_bytes(4, "little") + value
    found = dataset_of(content, Encoding(implicit=False))
    assert found["RequestAttributesSequence"].VR == "UN"
    assert found["RequestAttributesSequence"].value == value
