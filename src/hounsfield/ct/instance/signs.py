"""The sign of stored values, where the header does not give it or the codestream says something else.

Pixel Representation (0028,0103) is a claim: it may be missing, a JPEG 2000 codestream states the sign of its own
samples, and one that was made for fewer bits than Bits Stored may mean them either way. What a codestream states is
believed; what nobody states is decided by which reading gives CT numbers. Either is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hounsfield.codecs.table import CODECS
from hounsfield.ct.hu import Rescale, StoredFormat, stored_values
from hounsfield.ct.units import unit_of
from hounsfield.errors import HounsfieldError
from hounsfield.language.reasons import reason

if TYPE_CHECKING:
    from hounsfield.ct.instance.header import Header
    from hounsfield.ct.instance.planes import Plane
    from hounsfield.dicom.syntaxes import TransferSyntax

HIGHEST_OF_BONE = 3071.0  # HU; the end of the usual 12-bit scale, above which there is little but metal
HIGHEST_OF_METAL = 30720.0  # HU; the end of the widest scale that scanners offer
LOWEST_OF_AIR = -900.0  # HU; a scale that begins above it has no air
SHARE_OF_METAL = 0.05  # of a slice; more of it is no metal

STATING_A_SIGN = frozenset(each.family for each in CODECS if each.states_sign)
"""Families of codecs whose codestreams say whether their samples are signed."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Sign:
    """The sign that is taken, and what a reader must know of it, "" where the header alone decided."""

    signed: bool
    note: str = ""


class Signed(Protocol):
    """The evidence for the sign of an instance's stored values."""

    @property
    def header(self) -> Header: ...

    @property
    def syntax(self) -> TransferSyntax: ...

    @property
    def declared_format(self) -> StoredFormat: ...

    @property
    def planes(self) -> Sequence[Plane]: ...

    def unsigned_cells(self) -> Array:
        """Return the cells, (rows, columns), of the first frame, read without a sign."""


def sign_of(instance: Signed, codestream: bytes | None) -> Sign:
    """The sign of an instance's stored values; `codestream`: that of one of its frames, if they are encapsulated."""
    from hounsfield.codecs import codestream_header

    declared = instance.declared_format
    stream = None if codestream is None else codestream_header(codestream, instance.syntax)
    bits, stated = (declared.bits_stored, None) if stream is None else (stream.precision, stream.signed)
    if instance.header.integer("PixelRepresentation") not in (0, 1):
        signed = bool(stated) or _looks_signed_in(instance, bits, default=False)
        return Sign(signed, reason("sign-missing-signed" if signed else "sign-missing"))
    if stream is None or stated == declared.signed or (stated is None and not declared.signed):
        return Sign(declared.signed)
    if stated:
        return Sign(True, reason("stream-signed"))
    if stated is None and bits >= declared.bits_stored:
        return Sign(True)
    # Samples without a sign may have lost it on their way into the coder, or never had one.
    signed = _looks_signed_in(instance, bits, default=True)
    if stated is None:
        key = "bits-signed" if signed else "bits-unsigned"
        return Sign(signed, reason(key, precision=bits, stored=declared.bits_stored))
    return Sign(signed, reason("stream-not-signed" if signed else "stream-unsigned"))


def _looks_signed_in(instance: Signed, bits: int, *, default: bool) -> bool:
    """Return whether its first frame, of values of so many bits without a sign, is in HU only with one; `default`
    where it is in another unit.
    """
    declared = replace(instance.declared_format, signed=False)
    sop_class, modality = (instance.header.text(keyword) for keyword in ("SOPClassUID", "Modality"))
    try:
        plane = instance.planes[0]
        if not unit_of(plane.rescale_type, modality, sop_class).hounsfield:
            return default
        cells = instance.unsigned_cells()
    except HounsfieldError:
        return default  # reading the pixels will say why
    if bits < declared.bits_stored:
        declared = StoredFormat(declared.bits_allocated, bits, bits - 1, signed=False)
    return looks_signed(cells, declared, plane.rescale)


def looks_signed(cells: Array, format_: StoredFormat, rescale: Rescale) -> bool:
    """Return whether cells, (rows, columns), of an image in HU are CT numbers only as signed values of its bits.

    Both readings agree where the highest bit is nowhere set. Where it is, signs repeated above the value tell; so does
    a scale that would have no air without a sign, or more metal than a patient.
    """
    bits, width = format_.bits_stored, cells.dtype.itemsize * 8
    unsigned = cells.view(f"u{cells.dtype.itemsize}")
    values = stored_values(unsigned, StoredFormat(width, bits, format_.high_bit, signed=False))
    half = 1 << bits - 1
    high = values >= half
    count = int(np.count_nonzero(high))
    if not count:
        return False
    if bits < width and format_.is_plain:
        above = unsigned[high] >> np.array(bits, unsigned.dtype)
        if bool((above == (1 << width - bits) - 1).all()):
            return True
    if rescale.value(0) > LOWEST_OF_AIR:
        return True
    middle = rescale.value(float(np.median(values[high])))
    is_metal = count <= SHARE_OF_METAL * values.size and middle <= HIGHEST_OF_METAL
    return rescale.value(half) > HIGHEST_OF_BONE and not is_metal
