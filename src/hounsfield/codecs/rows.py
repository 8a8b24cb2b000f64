"""The parts of a row in the table of codecs (`codecs.table`). Data only: nothing is decoded, encoded or imported here.

A function is named, `module:function`, and imported when it is needed. Another package brings a `Codec` of its own,
with its transfer syntaxes, by an entry point in the group `hounsfield.codecs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hounsfield.codecs.frame_format import FrameFormat
from hounsfield.dicom.syntaxes import TransferSyntax

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = ("PALETTE COLOR",)


@dataclass(frozen=True, slots=True)
class PixelKind:
    """The traits of an image that decide whether a syntax holds it; the colour space is that of the decoded samples."""

    bits_allocated: int
    bits_stored: int
    signed: bool = False
    photometric_interpretation: str = "MONOCHROME2"
    samples_per_pixel: int = 1

    @classmethod
    def of(cls, frame_format: FrameFormat) -> PixelKind:
        """The kind of pixels of this format."""
        stored = frame_format.bits_stored
        return cls(
            frame_format.bits_allocated,
            stored if 0 < stored <= frame_format.bits_allocated else frame_format.bits_allocated,
            frame_format.signed,
            frame_format.photometric_interpretation,
            frame_format.samples_per_pixel,
        )

    def __str__(self) -> str:
        cell = "" if self.bits_allocated in (1, _cell_of(self.bits_stored)) else f" in {self.bits_allocated}"
        sign = "signed" if self.signed else "unsigned"
        return f"{sign} {self.bits_stored}-bit{cell} {self.photometric_interpretation}"


def _cell_of(bits: int) -> int:
    return next(cell for cell in (8, 16, 32, bits) if bits <= cell)


@dataclass(frozen=True, slots=True)
class Row:
    """Kinds that a syntax holds: any of `photometrics` with any of `allocated` and of `stored` bits.

    `bits_after` is Bits Stored of what is written: as it was where it is None, else this; 0 for the whole cell,
    where the coding may return a value a little above the highest.
    """

    photometrics: tuple[str, ...]
    allocated: tuple[int, ...]
    stored: range
    signed: bool = False
    bits_after: int | None = None

    def holds(self, kind: PixelKind) -> bool:
        return (
            kind.photometric_interpretation in self.photometrics
            and kind.bits_allocated in self.allocated
            and kind.bits_stored in self.stored
            and (self.signed or not kind.signed)
            and kind.samples_per_pixel == (1 if kind.photometric_interpretation in GREY + PALETTE else 3)
        )

    def __str__(self) -> str:
        bits = (
            f"{self.stored.start} to {self.stored.stop - 1}"
            if len(self.stored) > 1
            else f"{self.stored.start}"
        )
        sign = "" if self.signed else "unsigned "
        return (
            f"{sign}{'/'.join(self.photometrics)} of {bits} bits in {' or '.join(map(str, self.allocated))}"
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """The trials that a family's decoder went through.

    `library` does the work; `mutants`: how many damaged codestreams it was given, by version of imagecodecs,
    without a death of the process that asked; `share`: throughput of frames of 512 × 512 in children, of that in
    process (0: never in children, it is Python's own or numpy's).
    """

    library: str
    mutants: Mapping[str, int] = field(default_factory=dict)
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Coding:
    """A transfer syntax that frames are written in.

    - `encode` takes (array, `FrameFormat`, `Rate`) and returns a codestream; "" where frames are not encoded one by one
    - `holds`: kinds of pixels that it holds (PS3.5 8.2); None for whatever there is
    - `photometrics`: Photometric Interpretation of the pixels → that of the codestream, where it is another
    """

    keyword: str
    encode: str
    holds: tuple[Row, ...] | None = None
    photometrics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Codec:
    """A family of transfer syntaxes whose frames one function decodes.

    - `decode` takes (bytes, `FrameFormat`, memory to decode into or None) and returns stored values; it holds the
      codestream against the format before anything is allocated, and raises errors of `hounsfield.errors` only
    - `header` takes bytes, returns a `CodestreamHeader`; `traits` takes bytes, returns `codestreams.Traits`
    - `signatures`: how its codestreams begin, or `begins`, which takes (bytes, `FrameFormat`), says whether they do
    - `trial`: which library works, and what it was tried with; one that was not tried decodes in a child process
    - `preload`: functions of imagecodecs that a child must load before it has limits
    - `lossy_method`: the term of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1), "" where nothing is lost
    - `whole_cells`: it holds cells, not values: what is above Bits Stored is kept. `states_sign`: so does a codestream
    - `syntaxes`: transfer syntaxes that only this codec knows; those of PS3.6 are in `dicom.syntaxes`
    """

    family: str
    decode: str
    trial: Trial
    codings: tuple[Coding, ...] = ()
    header: str = ""
    traits: str = ""
    signatures: tuple[bytes, ...] = ()
    begins: str = ""
    preload: tuple[str, ...] = ()
    lossy_method: str = ""
    whole_cells: bool = False
    states_sign: bool = False
    syntaxes: tuple[TransferSyntax, ...] = ()
