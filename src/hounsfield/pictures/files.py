"""Pictures and films → files: PNG, JPEG, MP4, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hounsfield.ct.volume import Volume
from hounsfield.errors import SelectionError, UnsupportedError
from hounsfield.language import say
from hounsfield.outputs import whole_file
from hounsfield.pictures.compose import Picture, plane_picture
from hounsfield.pictures.drawing import Look
from hounsfield.pictures.planes import stack

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
FILM_SUFFIXES = (".mp4",)

FILM_ENCODERS = ("libx264", "libopenh264", "mpeg4")
"""Tried in this order: H.264 plays everywhere; MPEG-4 Part 2 is in every build of FFmpeg."""

LONGEST_FILM_SIDE = 1920
"""Longest side of a film without a size: what decoders in hardware take."""

KEY_FRAME_EVERY = 10
"""Frames between key frames: who scrolls jumps to and fro."""

FILM_FACTS = ("Window", "Unit", "Plane", "Segments", "SeriesInstanceUID")
"""Those of a picture's facts that hold for all of the film."""


def write_picture(picture: Picture, path: str | Path, *, quality: int = 92, force: bool = False) -> Path:
    """Write a PNG or JPEG by its suffix; its facts become text in the file, its scale the pixels per metre.

    `quality` 1 … 100 is JPEG's. Raises `UnsupportedError` for another suffix, `OutputExistsError` for an existing
    file without `force`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise UnsupportedError(
            say("no picture by the suffix {suffix}", suffix=repr(suffix)),
            expected=", ".join(PICTURE_SUFFIXES),
            where=str(path),
        )
    if not 1 <= quality <= 100:
        raise SelectionError(say("a quality of {quality}", quality=quality), expected="1 … 100")
    dots = 25.4 / picture.scale
    with whole_file(path, force=force) as temporary:
        if suffix == ".png":
            words = PngInfo()
            for name, text in picture.facts.items():
                words.add_itxt(name, text)
            picture.image.save(temporary, "PNG", pnginfo=words, dpi=(dots, dots), optimize=False)
        else:
            comment = "\n".join(f"{name}: {text}" for name, text in picture.facts.items())
            # JFIF's density has 16 bits.
            density = (round(dots), round(dots)) if dots < 65535 else (0, 0)
            picture.image.save(temporary, "JPEG", quality=quality, dpi=density, comment=comment.encode())
    return path


def write_film(
    volume: Volume,
    path: str | Path,
    *,
    plane: str = "axial",
    fps: float = 12,
    look: Look | None = None,
    force: bool = False,
) -> Path:
    """Scroll through every plane of a kind, first to last, into an MP4 (H.264 where this FFmpeg has it).

    Raises `UnsupportedError` for another suffix, and where the extra `film` is not installed; `OutputExistsError`
    for an existing file without `force`.
    """
    path = Path(path)
    if path.suffix.lower() not in FILM_SUFFIXES:
        raise UnsupportedError("a film that is not MP4", expected=", ".join(FILM_SUFFIXES), where=str(path))
    if not 0.1 <= fps <= 240:
        raise SelectionError(say("{fps} pictures a second", fps=format(fps, "g")), expected="0.1 … 240")
    require_film()
    with whole_file(path, force=force) as temporary:
        try:
            _encode(_frames(volume, plane, look or Look()), temporary, Fraction(fps).limit_denominator(1000))
        except OSError as error:  # FFmpeg's do not say of which file
            raise OSError(error.errno, error.strerror, str(temporary)) from error
    return path


def require_film() -> None:
    """Raise `UnsupportedError` unless what makes MP4 is installed: its encoders are GPL, and not everybody's."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            "a film (MP4) needs the package av", remedy='pip install "hounsfield[film]"'
        ) from error


def _frames(volume: Volume, plane: str, look: Look) -> Iterator[Picture]:
    planes = stack(volume, plane)
    for number in range(len(planes.positions)):
        picture = plane_picture(volume, planes.cut(number), look)
        if look.size is None and max(picture.image.size) > LONGEST_FILM_SIDE:
            look = replace(look, size=LONGEST_FILM_SIDE)
            picture = plane_picture(volume, planes.cut(number), look)
        yield picture


def _encode(pictures: Iterator[Picture], path: Path, rate: Fraction) -> None:
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = None
        for picture in pictures:
            pixels = _even(picture.image)
            if stream is None:
                facts = (f"{name}: {picture.facts[name]}" for name in FILM_FACTS if name in picture.facts)
                container.metadata["comment"] = "; ".join(facts)
                stream = _stream(container, pixels, rate)
            frame = av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def _stream(container: Any, pixels: NDArray[np.uint8], rate: Fraction) -> Any:
    import av

    encoder = next(name for name in FILM_ENCODERS if name in av.codecs_available)
    stream = container.add_stream(encoder, rate=rate)
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.gop_size = KEY_FRAME_EVERY
    if encoder == "libx264":
        stream.options = {"crf": "17", "preset": "medium", "tune": "stillimage"}
    else:
        stream.bit_rate = 8_000_000
    return stream


def _even(image: Image.Image) -> NDArray[np.uint8]:
    """(rows, columns[, 3]), both even as yuv420p wants them; the last row or column is repeated if need be."""
    pixels = np.asarray(image)
    beyond = [(0, length % 2) for length in pixels.shape[:2]] + [(0, 0)] * (pixels.ndim - 2)
    return np.pad(pixels, beyond, mode="edge")
