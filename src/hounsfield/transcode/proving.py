"""Two files held against each other: are the pixels of one those of the other, and what else differs?

Knows nothing of how the second was made: both are read and decoded as any file is. Frames are compared by their
stored values (Bits Stored of each cell, with their sign), so that native and compressed forms of one image are equal,
and identified by the SHA-256 of those values in little endian; colour by the samples of each pixel.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs import FrameFormat, Pixels
from hounsfield.codecs.colour import to_rgb
from hounsfield.ct.instance import BytesSource, Instance, Source, read_instance
from hounsfield.dicom.datasets import read_file
from hounsfield.dicom.encoding import EXPLICIT_LITTLE
from hounsfield.dicom.full_walk import FullWalk
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.dicom.vr import TEXT
from hounsfield.errors import HounsfieldError, NotDicomError, UnsupportedError
from hounsfield.transcode.edits import sign_edits
from hounsfield.transcode.loss import frame_scales
from hounsfield.transcode.nested import with_native_icons
from hounsfield.transcode.part10 import PIXEL_ELEMENTS, Part10, inflated, read_part10, recoded
from hounsfield.transcode.pixels import PixelSource, open_pixels, with_true_sign
from hounsfield.transcode.target import is_lossy
from hounsfield.transcode.values import FrameValues

Status = Literal["same", "lossy", "different"]

_COLOUR = frozenset({0x00280004, 0x00280006})
"""Photometric Interpretation and Planar Configuration: how the same colours are written."""

_DERIVED = frozenset(
    {0x00080008, 0x00080018, 0x00082111, 0x00082112, 0x00089215}
    | {0x00280101, 0x00280102, 0x00280120, 0x00280121, 0x00282110, 0x00282112, 0x00282114}
)
"""Attributes that describe a lossy derivation (PS3.3 C.7.6.1.1.5), the depth of its codestream, and its padding now."""

_TEXT = frozenset(name.encode() for name in TEXT)
_NAMED = 5
_SOURCE_IMAGES, _LOST = 0x00082112, frozenset({0x00282110, 0x00282112, 0x00282114})


@dataclass(frozen=True, slots=True)
class FrameProof:
    """One frame: SHA-256 of its values in the old and the new file, and the largest difference in rescaled units."""

    old: str
    new: str
    max_error: float


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a comparison.

    `same`: every value of every frame, and every attribute but those that say how pixels are stored. `lossy`: the
    new file says that it was derived from the old with loss, and nothing else differs; `max_error` is over all cells,
    padding too. `different`: `reason`. `attributes` are the tags that differ, `uid` the old SOP Instance UID.
    """

    status: Status
    uid: str = ""
    new_uid: str = ""
    frames: tuple[FrameProof, ...] = ()
    attributes: tuple[str, ...] = ()
    unit: str = ""
    reason: str = ""

    @property
    def max_error(self) -> float:
        return max((frame.max_error for frame in self.frames), default=0.0)


def values_of(cells: Pixels, form: FrameFormat) -> NDArray[Any]:
    """The stored values in cells, (rows, columns[, samples]): Bits Stored below High Bit, with their sign."""
    bits, width = form.bits_stored, cells.dtype.itemsize * 8
    shift = form.high_bit + 1 - bits
    if not 0 < bits < width or not 0 <= shift <= width - bits:
        return cells
    unsigned = cells.view(f"u{cells.dtype.itemsize}")
    if not form.signed:
        return (unsigned >> shift) & ((1 << bits) - 1)
    left = width - bits - shift
    # Shifted to the top and back down, so that the sign fills what was above it.
    return (unsigned << left).view(f"i{cells.dtype.itemsize}") >> (width - bits)


def frame_hash(values: NDArray[Any]) -> str:
    """SHA-256 of one frame's values, in hexadecimal."""
    ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return hashlib.sha256(ordered.data).hexdigest()


def frame_hashes(source: Source) -> tuple[str, ...]:
    """`frame_hash` of each frame; none where there are no pixels. Raises `HounsfieldError`."""
    return tuple(frame_hash(values) for values in _values(_opened(source.name, _bytes_of(source))))


def compare(old: Source, new: Source) -> Proof:
    """Hold `new` against `old`. Raises `HounsfieldError` where one of them cannot be read or decoded."""
    contents = [_bytes_of(source) for source in (old, new)]
    if contents[0] == contents[1]:
        return _of_equal_files(old.name, contents[0])
    before, after = (_opened(each.name, content) for each, content in zip((old, new), contents, strict=True))
    if before.instance is None or after.instance is None:
        return Proof("different", reason="other bytes, in a file that is no DICOM instance")
    uids = before.uid, after.uid
    reason = _why_incomparable(before.pixels, after.pixels)
    if reason:
        return Proof("different", *uids, reason=reason)
    return _judged(before, after, tuple(_frames(before, after)))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file, read once: `instance` None where it is no DICOM, `pixels` where it has none."""

    content: bytes
    instance: Instance | None = None
    pixels: PixelSource | None = None
    part: Part10 | None = None

    @property
    def uid(self) -> str:
        return "" if self.instance is None else self.instance.header.text("SOPInstanceUID")


def _bytes_of(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


def _opened(name: str, content: bytes) -> _Opened:
    held = BytesSource(name, content)
    try:
        instance = read_instance(held)
    except NotDicomError:
        return _Opened(content)
    except HounsfieldError as error:
        error.at(name)
        raise
    try:
        dataset = inflated(held, instance.header)
        syntax = transfer_syntax(instance.header.transfer_syntax)
        part = read_part10(content, dataset)
        with contextlib.suppress(UnsupportedError):  # then it must be the same as it is
            part = with_native_icons(part, syntax)
        found = instance.header.pixels
        pixels = None
        if found is not None and found.keyword == "PixelData":  # bytes of float ones are compared as they are
            pixels = with_true_sign(
                open_pixels(content if dataset is None else dataset, instance.header), instance
            )
        return _Opened(content, instance, pixels, part)
    except HounsfieldError as error:
        error.at(name)
        raise


def _of_equal_files(name: str, content: bytes) -> Proof:
    """The same bytes: frames are hashed for the record, where they can be decoded."""
    try:
        file = _opened(name, content)
        if file.instance is None:
            return Proof("same", reason="the same bytes, in a file that is no DICOM instance")
        hashes = [frame_hash(values) for values in _values(file)]
    except HounsfieldError as error:
        return Proof("same", reason=f"the same bytes, which cannot be decoded: {error.found}")
    return Proof("same", file.uid, file.uid, tuple(FrameProof(each, each, 0.0) for each in hashes))


def _values(file: _Opened) -> Iterator[NDArray[Any]]:
    pixels = file.pixels
    if pixels is not None:
        for number in range(pixels.count):
            yield values_of(pixels.cells(number), pixels.decoded_format)


def _why_incomparable(old: PixelSource | None, new: PixelSource | None) -> str:
    """Why there is no frame of one for each frame of the other, "" where there is."""
    if old is None or new is None:
        return "" if old is new else f"pixels are missing from the {'old' if old is None else 'new'} file"
    if old.count != new.count:
        return f"{new.count} frames, where the old file has {old.count}"
    sizes = [
        f"{form.rows} × {form.columns} × {form.samples_per_pixel}"
        for form in (old.decoded_format, new.decoded_format)
    ]
    return "" if sizes[0] == sizes[1] else f"frames of {sizes[1]}, where the old file has {sizes[0]}"


def _frames(before: _Opened, after: _Opened) -> Iterator[FrameProof]:
    if before.pixels is None or after.pixels is None or before.instance is None:
        return
    scales = frame_scales(before.instance, before.pixels.count)
    spaces = [each.decoded_format.photometric_interpretation for each in (before.pixels, after.pixels)]
    frames = zip(scales, _values(before), _values(after), strict=True)
    for number, (scale, one, other) in enumerate(frames):
        pair = (one, other)
        if spaces[0] != spaces[1]:
            pair = (_in_rgb(one, spaces[0]), _in_rgb(other, spaces[1]))
        largest = 0.0
        if not np.array_equal(*pair):
            pair = (_kept_values(before, after, number, pair[0]), pair[1])
            largest = float(np.abs(pair[1].astype(np.int64) - pair[0]).max()) * abs(scale.slope)
        yield FrameProof(frame_hash(pair[0]), frame_hash(pair[1]), largest)


def _kept_values(before: _Opened, after: _Opened, frame: int, values: NDArray[Any]) -> NDArray[Any]:
    """A frame's values with the padding that Bits Stored did not hold, and holds now (`FrameValues`)."""
    kept = _frame_values(before, after)
    return values if kept is None or kept.padding is None else kept.frame(frame)


def _frame_values(before: _Opened, after: _Opened) -> FrameValues | None:
    """Return what a codestream in the syntax of `after` is made of."""
    if before.pixels is None or after.pixels is None or before.instance is None or before.part is None:
        return None
    return FrameValues(before.pixels, before.part, before.instance.header, after.pixels.syntax)


def _moved(before: _Opened, after: _Opened) -> dict[int, tuple[bytes, bytes]]:
    """VR and value of the elements that say where what stood above Bits Stored is now, and of the true sign."""
    values = _frame_values(before, after)
    if values is None or before.pixels is None:
        return {}
    for number in range(before.pixels.count):
        values.frame(number)
    edits = values.edits | sign_edits(before.pixels.frame_format, transfer_syntax("explicit"))
    elements = (
        (edit, next(FullWalk(edit).elements(0, len(edit), EXPLICIT_LITTLE))) for edit in edits.values()
    )
    return {element.tag: (element.vr, edit[element.value : element.end]) for edit, element in elements}


def _in_rgb(values: NDArray[Any], space: str) -> NDArray[Any]:
    return to_rgb(values, space) if space.startswith("YBR") else values


def _judged(before: _Opened, after: _Opened, frames: tuple[FrameProof, ...]) -> Proof:
    assert before.instance is not None and after.instance is not None
    assert before.part is not None and after.part is not None
    lost = sum(frame.max_error > 0 for frame in frames)
    says_lossy = after.instance.header.text("LossyImageCompression") == "01"
    sources = after.part.find(_SOURCE_IMAGES) or b""
    derived = says_lossy and before.uid != after.uid and before.uid.encode() in sources
    allowed = _COLOUR | (_DERIVED if derived else frozenset())
    if says_lossy or is_lossy(before.instance.header):
        allowed |= _LOST  # a loss of the past that only the codestream shows
    differing = tuple(_differing(before, after, allowed))
    if differing and (moved := _moved(before, after)):
        found = _elements(after.part)
        right = {
            f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in moved if _are_equal(moved[tag], found.get(tag))
        }
        differing = tuple(tag for tag in differing if tag not in right)
    differences = []
    if lost and not derived:
        differences.append(f"{lost} of {len(frames)} frames hold other values")
    if differing:
        differences.append(f"{len(differing)} attributes differ: {', '.join(differing[:_NAMED])}")
    status: Status = "different" if differences else "lossy" if lost else "same"
    unit = "HU" if before.instance.header.text("Modality") == "CT" else ""
    return Proof(status, before.uid, after.uid, frames, differing, unit, "; ".join(differences))


def _differing(before: _Opened, after: _Opened, allowed: frozenset[int]) -> Iterator[str]:
    """The tags whose elements are not the same, `allowed` ones, pixels and group lengths left out."""
    one, other = (_elements(each.part) if each.part is not None else {} for each in (before, after))
    for tag in sorted(one.keys() | other.keys()):
        if tag in allowed or tag in PIXEL_ELEMENTS or not tag & 0xFFFF:
            continue
        pair = one.get(tag), other.get(tag)
        if not _are_equal(*pair) and (
            None in pair or not _are_equal_as_read(tag, before.content, after.content)
        ):
            yield f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _elements(part: Part10) -> dict[int, tuple[bytes, bytes]]:
    """VR and value of each element in Explicit VR Little Endian, sequences in one piece."""
    plain = recoded(part, transfer_syntax("explicit"))
    return {
        element.tag: (element.vr, plain.dataset[element.value : element.end]) for element in plain.elements
    }


def _are_equal(one: tuple[bytes, bytes] | None, other: tuple[bytes, bytes] | None) -> bool:
    """The same value; of text without what fills it up to an even length."""
    if one is None or other is None:
        return one is other
    is_text = (
        one[0] in _TEXT or other[0] in _TEXT
    )  # what was private and implicit has no VR of its own any more
    return one[1] == other[1] or (is_text and one[1].rstrip(b"\0 ") == other[1].rstrip(b"\0 "))


def _are_equal_as_read(tag: int, old: bytes, new: bytes) -> bool:
    """Return whether a whole reader finds the same in what is written in two ways: lengths and delimiters of sequences
    (PS3.5 7.5), VRs within them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            one, other = (_element(content, tag) for content in (old, new))
            return one.VR == other.VR == "SQ" and bool(one.value == other.value)
        except Exception:  # noqa: BLE001 (pydicom raises whatever the bytes lead it to: then they are not the same)
            return False


def _element(content: bytes, tag: int) -> Any:
    return read_file(content, pixels=False)[tag]
