"""The specification of a phantom series: one frozen dataclass, whose groups are the rooms that read them.

Not a reader or writer of anything. The defaults describe a plain, standard-conform helical CT as General
Electric writes it: 16 bits signed, intercept -1024, a circle of -2000 around the field of view. Every other value
is a fact met in real files, and most of them are faults; `ct_traps` numbers stand in the comments as `trap n`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hounsfield.errors import UnsupportedError
from hounsfield.language import say

FIELD_OF_VIEW = 352.0
"""mm; the width and height that the default pixel spacing covers."""

Order = Literal["ascending", "descending", "shuffled"]
PhaseAttribute = Literal["AcquisitionNumber", "TemporalPositionIdentifier", "ContentTime", "TriggerTime"]
Place = Literal["shared", "per-frame", "root"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The grid of voxels. Lengths in mm, directions in the patient's LPS frame."""

    rows: int = 128
    columns: int = 128
    slices: int = 20
    pixel_spacing: tuple[float, float] | None = None
    """(between rows, between columns), as DICOM orders it (trap 45); None covers `FIELD_OF_VIEW` with either."""
    slice_step: float = 2.5
    slice_positions: tuple[float, ...] | None = None
    """Along the stack from `centre`; instead of `slices` times `slice_step` (traps 36, 40)."""
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """LPS of the middle of the stack; the body stays where it is, around the origin."""
    patient_position: str = "HFS"
    """Head or feet first, supine, prone or decubitus (trap 43): gives the orientation unless that is given."""
    orientation: tuple[float, float, float, float, float, float] | None = None
    """Direction cosines of the untilted plane: along a row, then down a column. Normalised when used."""
    tilt: float = 0.0
    """Degrees by which the plane leans about its row direction, while the stack keeps its way (trap 34)."""
    position_jitter: float = 0.0
    """Each slice is moved along the stack by up to this, and sampled there (trap 42)."""
    orientation_jitter: float = 0.0
    """Radians by which the written direction cosines wander, the true ones staying (trap 42)."""
    missing: tuple[int, ...] = ()
    """Slices left out, counted along the stack (trap 37)."""
    duplicated: tuple[int, ...] = ()
    """Slices written twice (trap 38) …"""
    duplicates_differ: bool = False
    """… the second time with other noise, so that they are not the same pixels."""
    phases: int = 1
    """The number of times that the stack is imaged; the vessel brightens from one to the next (trap 50)."""
    phase_attribute: PhaseAttribute = "AcquisitionNumber"
    """The only attribute that tells the phases apart."""

    @property
    def spacing(self) -> tuple[float, float]:
        """(between rows, between columns) in mm."""
        return self.pixel_spacing or (FIELD_OF_VIEW / self.rows, FIELD_OF_VIEW / self.columns)


@dataclass(frozen=True, kw_only=True)
class Content:
    """The content of the field of view."""

    seed: int = 0
    """Of noise, garbage, jitter, shuffling and every UID: same spec, same bytes."""
    noise: float = 10.0
    """Standard deviation in HU. Some of the air is then below -1024 (trap 30)."""
    table: bool = True
    metal: float | None = None
    """HU of a metal rod, or None for no rod; over 32767 no int16 holds it (trap 6)."""


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """The rule by which Hounsfield units become bits."""

    bits_allocated: Literal[8, 16, 32] = 16
    bits_stored: int = 16
    high_bit: int | None = None
    """None for the only conform one, `bits_stored - 1` (trap 3)."""
    signed: bool = True
    sign_extended: bool = True
    """Whether the bits above a signed value repeat its sign, as PS3.5 8.1.1 does not promise (trap 1)."""
    garbage: bool = False
    """Random bits wherever no bit of the value lies (trap 2)."""
    overlay_bit: int | None = None
    """An embedded overlay, a ring, in this bit, with the group 6000 that declares it (trap 2)."""
    slope: float | tuple[float, ...] = 1.0
    intercept: float | tuple[float, ...] = -1024.0
    """Used to quantise, and written; a tuple is run through slice by slice (traps 7, 19, 20)."""
    slope_tag: str | None = "as used"
    intercept_tag: str | None = "as used"
    """The text written instead ("" empties the element, "abc" breaks it), or None for no element (trap 17)."""
    rescale_type: str | None = "HU"
    """None for no element (trap 22)."""
    modality_lut: bool = False
    """A table from stored values to the HU from 0 to 2047, which wins over rescale (trap 21)."""
    padding: int | None = -2000
    """The stored value outside the circle of reconstruction; None images the whole square (traps 25, 27)."""
    padding_tag: int | Literal["as present"] | None = "as present"
    """The declared value: the truth, another value, or None for nothing (traps 26, 27, 29)."""
    padding_limit: int | None = None
    """Pixel Padding Range Limit; the values outside then lie anywhere between it and `padding` (trap 28)."""
    padding_vr: Literal["US", "SS"] | None = None
    """None for the right one; US over signed pixels writes -2000 as 63536 (trap 26)."""
    photometric: str = "MONOCHROME2"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of the header beside the numbers."""

    series_number: int = 1
    """Specs of one seed and different numbers are series of one study."""
    series_description: str = "Phantom"
    patient_name: str = "Phantom^Hounsfield"
    patient_id: str = "HU-PHANTOM"
    character_set: str | tuple[str, ...] | None = "ISO_IR 100"
    """One that pydicom does not know is written as it is (trap 55)."""
    sop_class: str = "1.2.840.10008.5.1.4.1.1.2"
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    order: Order = "ascending"
    """The order of instance numbers and file names, compared with the positions (trap 32)."""
    lying_slice_location: bool = False
    """Slice Location runs backwards (trap 32)."""
    slice_thickness: float | None = None
    """None for the step between slices (trap 33)."""
    frame_of_reference_per_slice: bool = False
    """Another Frame of Reference UID on each slice (trap 46)."""
    mono_energetic_kev: int | None = None
    """A virtual mono-energetic image of this energy (trap 23)."""
    private_tags: bool = False
    """A private block with a sequence of undefined length in it (trap 54)."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Keyword → value of the element, or None to leave it out; the last word on every slice."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """The container: how it all lies in files."""

    transfer_syntax: str = "1.2.840.10008.1.2.1"
    """A UID, or a keyword that `hounsfield.dicom.syntaxes` knows."""
    native_pixels: bool = False
    """Pixels uncompressed, whatever the transfer syntax says (trap 12)."""
    fragments: int = 1
    """Into how many pieces each compressed frame is cut (trap 15)."""
    offset_table: Literal["basic", "empty", "extended"] = "basic"
    philips_rle: Literal["alone", "beside"] | None = None
    """Pixels in the private (07A1,100A), without or with Pixel Data (trap 13)."""
    preamble: bool = True
    file_meta: bool = True
    """False for a bare data set: no preamble, no group 0002 (trap 51)."""
    damaged: tuple[int, ...] | None = None
    """Which slices the next four strike, counted along the stack; None for all."""
    missing_pixel_bytes: int = 0
    """Pixel Data shorter than the matrix wants, its length true (trap 10)."""
    cut_bytes: int = 0
    """The file ends so many bytes too early (trap 10)."""
    extra_pixel_bytes: int = 0
    extra_frames: int = 0
    """More Pixel Data than the matrix wants (trap 11)."""
    localizers: int = 0
    """Scout views of another plane and matrix in the same series (trap 41)."""
    dose_pages: int = 0
    """Colour Secondary Captures in the same series (trap 9)."""
    strays: bool = False
    """A text file, a DIRFILE, a structure set, a report and a presentation state among the slices (trap 53)."""
    dicomdir: Literal["good", "lowercase", "dead"] | None = None
    """A DICOMDIR whose references hold, differ in case from the files, or lead nowhere (trap 52)."""
    multiframe: Literal["enhanced", "legacy", "no geometry", "root geometry"] | None = None
    """One file for all: Enhanced CT, Legacy Converted Enhanced CT, or without functional groups: neither plane nor
    position, or plane, first position and step at the root (traps 48, 49, 58)."""
    frame_order: Order = "ascending"
    rescale_place: Place = "shared"
    """In which functional groups, if any, the Pixel Value Transformation lies."""
    stacks: int = 1
    """Into how many Stack IDs the frames are split, side by side along the stack."""


@dataclass(frozen=True, kw_only=True)
class PhantomSpec(Grid, Content, StoredValues, Labels, Container):
    """One series of the phantom, wholly determined: grid, content, stored values, labels and container."""

    def __post_init__(self) -> None:
        _require(1 <= self.bits_stored <= self.bits_allocated, "bits_stored", "1 to bits_allocated")
        _require(
            self.bits_stored <= self.top_bit + 1 <= self.bits_allocated,
            "high_bit",
            "one that holds the value",
        )
        _require(
            min(self.rows, self.columns, self.slices, self.phases, self.stacks) >= 1,
            "rows",
            "at least 1 of each",
        )
        _require(
            self.padding is None or self.holds(self.padding), "padding", "a value the stored bits can hold"
        )
        _require(self.patient_position in PATIENT_POSITIONS, "patient_position", ", ".join(PATIENT_POSITIONS))

    @property
    def top_bit(self) -> int:
        """The High Bit that is written."""
        return self.bits_stored - 1 if self.high_bit is None else self.high_bit

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest value that the stored bits hold."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1

    def holds(self, value: int) -> bool:
        """Return whether the stored bits can hold `value`."""
        low, high = self.stored_range
        return low <= value <= high


PATIENT_POSITIONS = ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")


def _require(holds: bool, name: str, expected: str) -> None:
    if not holds:
        raise UnsupportedError(
            "a phantom that cannot be", expected=expected, where=say("PhantomSpec.{name}", name=name)
        )
