"""Our codecs inside pydicom: after `register_pydicom()` its `pixel_array`, `decompress` and `compress` use them.

Adapters only, in the form that pydicom's coders ask for of a plugin module (`is_available`, the dependency tables,
functions of a frame and a runner). Syntaxes that pydicom has no coder for, or does not know, are added to its tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hounsfield.codecs import FrameFormat, Rate, decode_frame, decoded_photometric, encode_frame
from hounsfield.codecs.native import decode_native
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax, transfer_syntax
from hounsfield.errors import UnsupportedError

LABEL = "hounsfield"
"""The name of the plugin, for `decoding_plugin=` and `encoding_plugin=`."""

_DECODED = [s for s in SYNTAXES.values() if s.encapsulated and s.readable]
_ENCODED = [s for s in _DECODED if s.writable and s.keyword != "jpeg-xl-jpeg"]
DECODER_DEPENDENCIES = {syntax.uid: ("imagecodecs",) for syntax in _DECODED}
ENCODER_DEPENDENCIES = {syntax.uid: ("imagecodecs",) for syntax in _ENCODED}
_JPEG_LS = ("jpeg-ls", "jpeg-ls-near")


def is_available(uid: str) -> bool:
    """pydicom asks whether this plugin can do `uid`."""
    return uid in DECODER_DEPENDENCIES


def register_pydicom() -> None:
    """Give pydicom 3 every decoder and encoder of `hounsfield.codecs`; calling it again does nothing.

    ::

        import hounsfield
        hounsfield.register_pydicom()
        dataset.compress("1.2.840.10008.1.2.4.201", encoding_plugin="hounsfield")

    Options of the lossy encoders: `jls_error` (JPEG-LS), `quality` (others, see `hounsfield.codecs.Rate`).
    """
    from pydicom.pixels.decoders import base as decoders
    from pydicom.pixels.encoders import base as encoders
    from pydicom.uid import UID

    for syntax in _DECODED:
        _name(syntax)
        table = decoders._PIXEL_DATA_DECODERS
        if syntax.uid not in table:
            table[UID(syntax.uid)] = (decoders.Decoder(UID(syntax.uid)), "hounsfield")
        _add(table[UID(syntax.uid)][0], "decode_for_pydicom")
    for syntax in _ENCODED:
        given = encoders._PIXEL_DATA_ENCODERS
        if syntax.uid not in given:
            given[UID(syntax.uid)] = (encoders.Encoder(UID(syntax.uid)), "hounsfield")
        _add(given[UID(syntax.uid)][0], "encode_for_pydicom")


def _name(syntax: TransferSyntax) -> None:
    """pydicom takes a UID for a transfer syntax only if its dictionary has it."""
    from pydicom._uid_dict import UID_dictionary

    keyword = "".join(part for part in syntax.name.title() if part.isalnum())
    UID_dictionary.setdefault(syntax.uid, (syntax.name, "Transfer Syntax", "", "", keyword))


def _add(coder: Any, function: str) -> None:
    if LABEL not in coder.available_plugins:
        coder.add_plugin(LABEL, (__name__, function))


def _format(runner: Any, bits_allocated: int) -> FrameFormat:
    return FrameFormat(
        rows=runner.rows,
        columns=runner.columns,
        samples_per_pixel=runner.samples_per_pixel,
        bits_allocated=bits_allocated,
        bits_stored=min(runner.bits_stored, bits_allocated),
        high_bit=min(runner.bits_stored, bits_allocated) - 1,
        pixel_representation=runner.pixel_representation,
        photometric_interpretation=str(runner.photometric_interpretation),
    )


def decode_for_pydicom(src: bytes, runner: Any) -> bytearray:
    """One frame for pydicom's `DecodeRunner`: little endian cells of Bits Allocated, colour by pixel."""
    form = _format(runner, runner.bits_allocated)
    cells = decode_frame(bytes(src), transfer_syntax(str(runner.transfer_syntax)), form)
    if form.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
        if decoded_photometric(form.photometric_interpretation) == "RGB":
            runner.set_option("photometric_interpretation", "RGB")
    return bytearray(cells.astype(cells.dtype.newbyteorder("<"), copy=False).tobytes())


def encode_for_pydicom(src: bytes, runner: Any) -> bytes:
    """One frame of pydicom's `EncodeRunner`, whose cells are as wide as Bits Stored asks for."""
    syntax = transfer_syntax(str(runner.transfer_syntax))
    pixels = runner.rows * runner.columns * runner.samples_per_pixel
    form = _format(runner, len(src) // pixels * 8)
    if form.samples_per_pixel > 1 and syntax.family == "jpeg":
        raise UnsupportedError("JPEG of colour by way of pydicom", remedy="use hounsfield compress")
    if form.photometric_interpretation == "RGB" and syntax.family in ("jpeg2000", "htj2k"):
        # pydicom's convention: RGB is coded as it is; YBR_RCT and YBR_ICT ask for the transform.
        form = _with_photometric(form, "YBR_FULL")
    by_plane = form.samples_per_pixel > 1 and runner.planar_configuration == 1
    if by_plane and runner.is_array and syntax.keyword not in _JPEG_LS:
        by_plane = False  # arrays come by pixel, but for JPEG-LS
    layout = _with_photometric(form, "RGB", planar=int(by_plane)) if form.samples_per_pixel > 1 else form
    cells = decode_native(src, layout)
    rate = Rate(
        near=int(runner.get_option("jls_error", 0) or 0), quality=float(runner.get_option("quality", 90.0))
    )
    return encode_frame(np.ascontiguousarray(cells), syntax, form, rate=rate)


def _with_photometric(form: FrameFormat, photometric: str, *, planar: int = 0) -> FrameFormat:
    from dataclasses import replace

    return replace(form, photometric_interpretation=photometric, planar_configuration=planar)
