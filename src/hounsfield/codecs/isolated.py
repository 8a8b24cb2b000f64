"""Operations of an isolated child, by name. Imported in children only, with every codec at once."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np

from hounsfield.codecs.decoding import decode_here
from hounsfield.codecs.frame_format import FrameFormat
from hounsfield.codecs.isolation.choice import imagecodecs_version
from hounsfield.codecs.jpeg2000 import prepare_openjph
from hounsfield.codecs.jpeg_xl import rebuild_jpeg_here, recompress_jpeg_here
from hounsfield.codecs.table import all_codecs, decoder_of
from hounsfield.dicom.syntaxes import SYNTAXES

for _codec in all_codecs():
    decoder_of(_codec.family)
    for _name in _codec.preload:
        getattr(imagecodecs, _name)  # imported when first asked for, which must be before there are limits
prepare_openjph()
imagecodecs_version()  # read from a file


def _decode(request: dict[str, Any], data: bytes, memory: memoryview) -> None:
    """The stored values of a frame, into `memory`."""
    form = FrameFormat(**request["format"])
    out = np.frombuffer(memory, np.uint8, form.decoded_bytes).view(form.dtype).reshape(form.shape)
    cells = decode_here(data, SYNTAXES[request["syntax"]], form, out)
    if cells.ctypes.data != out.ctypes.data:
        out[...] = cells


OPERATIONS = {
    "decode": _decode,
    "rebuild_jpeg": lambda request, data, memory: rebuild_jpeg_here(data),
    "recompress_jpeg": lambda request, data, memory: recompress_jpeg_here(data),
}
