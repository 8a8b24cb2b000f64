"""Encoders as the rows of `codecs.table` name them: (array, format, rate) → codestream, a syntax each.

The settings of a library for a syntax are here; the calls, in the module of its family.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hounsfield.codecs.deflated_frame import encode_deflated_frame
from hounsfield.codecs.frame_format import FrameFormat, Pixels
from hounsfield.codecs.jpeg import encode_jpeg, encode_jpeg_lossless, encode_jpeg_ls
from hounsfield.codecs.jpeg2000 import encode_htj2k, encode_jpeg2000
from hounsfield.codecs.jpeg_xl import encode_jpeg_xl
from hounsfield.codecs.native import encode_native
from hounsfield.codecs.rate import Rate
from hounsfield.codecs.rle import encode_rle

_BEST_PREDICTOR = 4  # of the seven, the smallest on CT; readers of .57 have them all


def uncompressed(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_native(array, form)


def deflated_frame(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_deflated_frame(array, form)


def rle(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_rle(array, form)


jpeg_baseline = partial(encode_jpeg, most_bits=8)  # PS3.5 8.2.1: process 1 and no other
jpeg_extended = encode_jpeg


def jpeg_lossless_14(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_jpeg_lossless(array, form, predictor=_BEST_PREDICTOR)


def jpeg_lossless(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_jpeg_lossless(array, form, predictor=1)


def jpeg_ls(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_jpeg_ls(array, form, replace(rate, near=0))


jpeg_ls_near = encode_jpeg_ls


def jpeg2000(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_jpeg2000(array, form, None)


jpeg2000_lossy = encode_jpeg2000


def htj2k(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_htj2k(array, form, None)


def htj2k_rpcl(array: Pixels, form: FrameFormat, rate: Rate) -> bytes:
    return encode_htj2k(array, form, None, by_resolution=True)


htj2k_lossy = encode_htj2k
jpeg_xl = partial(encode_jpeg_xl, lossless=True)
jpeg_xl_lossy = partial(encode_jpeg_xl, lossless=False)
