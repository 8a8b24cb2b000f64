"""One object in, its de-identified bytes out; or the reason why it is left out."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from hounsfield.ct.instance import Source, read_instance
from hounsfield.dicom.datasets import read_dataset
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.part10 import file_parts, open_data_set
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.language import say
from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.profile import Profile
from hounsfield.verbs.deidentify.review import Review
from hounsfield.verbs.deidentify.rewriting import Rewriter
from hounsfield.verbs.deidentify.screening import reason_to_leave_out

_UID = re.compile(r"[\d.]+")


@dataclass(frozen=True)
class Deidentified:
    """`content` under its new UIDs, with how often each thing was done; or `reason` why there is none.

    `names` says whether a text names somebody of the object; `review` is what is left for a person to read.
    """

    content: bytes = b""
    study: str = ""
    series: str = ""
    instance: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    review: Review = field(default_factory=Review)
    reason: str = ""
    names: Callable[[str], bool] = field(default=lambda text: False, repr=False, compare=False)


def deidentify_object(source: Source, profile: Profile, pseudonyms: Pseudonyms) -> Deidentified:
    """The object in `source` by `profile`, in the transfer syntax that it has.

    Raises `NotDicomError`, `MalformedError`, `LocationError`; nothing of an object that raises is written.
    """
    read_instance(source)  # what is no DICOM says so, in our words
    with warnings.catch_warnings():
        # A damaged value is pydicom's to warn of, and ours to remove or refuse.
        warnings.simplefilter("ignore")
        try:
            return _deidentified(_read(source), profile, pseudonyms)
        except HounsfieldError:
            raise
        except Exception as error:
            raise MalformedError(
                say("cannot be rewritten ({name__}: {error})", name__=type(error).__name__, error=error),
                where=source.name,
                remedy="left out; repair it",
            ) from error


def _read(source: Source) -> Dataset:
    with source.open() as stream:
        walk = FullWalk(stream.read())
    parts = file_parts(walk)
    data = open_data_set(walk, parts)
    dataset, _ = read_dataset(data, parts, walk, pixels=True)
    if data.syntax != parts.syntax:  # what is named cannot be read by
        dataset.file_meta.TransferSyntaxUID = UID(data.syntax)
    return dataset


def _deidentified(dataset: Dataset, profile: Profile, pseudonyms: Pseudonyms) -> Deidentified:
    if "SOPClassUID" not in dataset and dataset.file_meta.get("MediaStorageSOPClassUID"):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    rewriter = Rewriter.of(dataset, profile, pseudonyms)
    reason = reason_to_leave_out(dataset, frozenset(profile.include), rewriter.matcher)
    if reason:
        return Deidentified(reason=reason)
    rewriter.rewrite(dataset)
    dataset.file_meta = _new_meta(dataset)
    dataset.preamble = bytes(128)
    content = write_object(dataset)
    uids = (
        str(dataset.get(name, "")) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    study, series, instance = uids
    counts = {name: count for name, count in rewriter.counts.items() if count}
    return Deidentified(
        content, study, series, instance, counts, rewriter.review, names=rewriter.matcher.finds
    )


def write_object(dataset: Dataset) -> bytes:
    """The object as a file (PS3.10 7), in the encoding that it was read in where pydicom does not know its syntax."""
    if dataset.file_meta.TransferSyntaxUID.is_transfer_syntax:
        stream = io.BytesIO()
        dcmwrite(stream, dataset, enforce_file_format=True)
        return stream.getvalue()
    content = DicomBytesIO()
    implicit, little = dataset.original_encoding
    content.is_implicit_VR, content.is_little_endian = implicit is True, little is not False
    content.write(bytes(128) + b"DICM")
    write_file_meta_info(content, dataset.file_meta, enforce_standard=True)
    write_dataset(content, dataset)
    return content.getvalue()


def _new_meta(dataset: Dataset) -> FileMetaDataset:
    """File meta made anew: the old one may name who sent it, and where."""
    old, new = dataset.file_meta, FileMetaDataset()
    implicit, little = dataset.original_encoding
    guessed = "1.2.840.10008.1.2.2" if little is False else f"1.2.840.10008.1.2{'' if implicit else '.1'}"
    # Behind its end there may be anything.
    named = _UID.match(str(old.get("TransferSyntaxUID") or ""))
    new.TransferSyntaxUID = UID(named[0] if named else guessed)
    new.MediaStorageSOPClassUID = dataset.SOPClassUID
    new.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return new
