"""Frames → pictures for people: windowed, cropped, scaled, in PNG, JPEG, GIF or MP4 (PS3.18 8.3.5, 8.7.4).

Display values, not for measuring. What may be asked is in `Look`; which frames, in the endpoint.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from hounsfield.codecs import decoded_photometric
from hounsfield.codecs.codestreams import decoded_colour
from hounsfield.codecs.colour import PaletteChannel, palette_to_rgb, to_rgb
from hounsfield.ct.hu import Conversion, convert
from hounsfield.ct.instance import Instance
from hounsfield.ct.series import Slice
from hounsfield.ct.series.assembly import conversion_of
from hounsfield.ct.voi import VoiTable, apply_voi, vois_of
from hounsfield.ct.windowing import Window, window
from hounsfield.errors import DicomwebError, UnsupportedError
from hounsfield.language import say
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.server.http.deadline import check
from hounsfield.server.rendering.frames import cells, is_bits, stored_frame

STILL, MOVING = ("image/jpeg", "image/png", "image/gif"), ("video/mp4", "image/gif")
FRAMES_A_SECOND = 12
LONGEST_FILM_SIDE = 1920
_FUNCTIONS = {
    "linear": "LINEAR",
    "linear-exact": "LINEAR_EXACT",
    "linear_exact": "LINEAR_EXACT",
    "sigmoid": "SIGMOID",
}


@dataclass(frozen=True, slots=True)
class Viewport:
    """A picture of at most (`width`, `height`) pixels of the source's region (`x`, `y`, `w`, `h`), None: to its edge.

    A negative `w` or `h` flips (PS3.18 8.3.5.1.3).
    """

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    w: float | None = None
    h: float | None = None

    @classmethod
    def parse(cls, text: str, limit: int) -> Viewport:
        """From `vw,vh[,sx,sy,sw,sh]`, where inner values may be empty; at most `limit` pixels."""
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in {2, 4, 6}:
            raise DicomwebError(
                say("viewport={text}", text=repr(text[:60])),
                expected="vw,vh or vw,vh,sx,sy,sw,sh",
                status=400,
            )
        numbers = [_finite(part, "viewport") if part else None for part in parts] + [None] * (6 - len(parts))
        width, height = (int(number) if number is not None else 0 for number in numbers[:2])
        if not (width > 0 and height > 0 and width * height <= limit):
            raise DicomwebError(
                say("a viewport of {width}×{height}", width=width, height=height),
                expected=say("positive, at most {limit} pixels", limit=limit),
                status=400,
            )
        return cls(width, height, numbers[2] or 0.0, numbers[3] or 0.0, numbers[4], numbers[5])

    def applied(self, image: Image.Image) -> Image.Image:
        """The region, scaled to fit with its aspect kept."""
        w, h = (self.w or image.width - self.x), (self.h or image.height - self.y)
        box = (self.x, self.y, self.x + abs(w), self.y + abs(h))
        if box[0] < 0 or box[1] < 0 or box[2] > image.width or box[3] > image.height or not w or not h:
            raise DicomwebError(
                "a viewport outside the image",
                expected=say("within {width}×{height}", width=image.width, height=image.height),
                status=400,
            )
        scale = min(self.width / abs(w), self.height / abs(h))
        size = max(1, round(abs(w) * scale)), max(1, round(abs(h) * scale))
        out = image.resize(size, Image.Resampling.BILINEAR if scale > 1 else Image.Resampling.BOX, box=box)
        if w < 0:
            out = out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return out.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if h < 0 else out


@dataclass(frozen=True, slots=True)
class Look:
    """`shown` None: the header's own window. `quality` 1 … 100 is JPEG's."""

    shown: Window | None = None
    viewport: Viewport | None = None
    quality: int = 90


def parse_window(text: str) -> Window:
    """`centre,width[,function]` (PS3.18 8.3.5.1.4), or the name of a preset, in English or Chinese."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1:
        return window(parts[0])
    function = _FUNCTIONS.get(parts[2].lower()) if len(parts) == 3 else "LINEAR"
    if len(parts) > 3 or function is None:
        raise DicomwebError(
            say("window={text}", text=repr(text[:60])),
            expected="centre,width,linear | linear-exact | sigmoid, or a preset",
            status=400,
        )
    return Window(_finite(parts[0], "window"), _finite(parts[1], "window"), function)  # type: ignore[arg-type]


def _finite(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e9:
        raise DicomwebError(
            say("{name} with {text}", name=name, text=repr(text[:20])), expected="a number", status=400
        )
    return number


def picture(instance: Instance, frame: int, look: Look) -> Image.Image:
    """Frame `frame` (from 0) as a grey or RGB image; `DicomwebError` 503 when the time for an answer is over."""
    check()
    samples = instance.header.integer("SamplesPerPixel", 1) or 1
    photometric = instance.header.text("PhotometricInterpretation")
    if samples == 3:
        image = _coloured(instance, frame, photometric)
    elif photometric == "PALETTE COLOR":
        image = Image.fromarray(_eight_bits(palette_to_rgb(cells(instance, frame), _palette(instance))))
    elif samples == 1 and is_bits(instance):
        image = Image.fromarray(
            cells(instance, frame) * np.uint8(255) ^ np.uint8(255 * (photometric == "MONOCHROME1"))
        )
    elif samples == 1:
        image = Image.fromarray(np.ascontiguousarray(_grey(instance, frame, look, photometric)))
    else:
        raise UnsupportedError(say("{samples} samples a pixel", samples=samples), expected="1 or 3")
    return look.viewport.applied(image) if look.viewport else image


def _coloured(instance: Instance, frame: int, photometric: str) -> Image.Image:
    decoded = photometric
    if not instance.is_native:  # its markers know better than a label
        labelled = decoded_photometric(photometric)
        decoded = decoded_colour(stored_frame(instance, frame), instance.syntax, labelled)
    return Image.fromarray(_eight_bits(to_rgb(cells(instance, frame), decoded)))


def _grey(
    instance: Instance, frame: int, look: Look, photometric: str
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    item = Slice(instance, instance.planes[frame])
    stored = cells(instance, frame)
    values = np.empty(stored.shape, np.float32)
    conversion: Conversion = conversion_of(item, item.unit, clamp=False)
    convert(stored, conversion, values)
    shown = look.shown or _own(instance, frame) or _range_of(values)
    return apply_voi(values, shown, invert=photometric == "MONOCHROME1")


def _own(instance: Instance, frame: int) -> Window | VoiTable | None:
    """The way in which the file asks for this frame to be shown."""
    found = vois_of(instance.dataset(), frame)
    return found[0].shown if found else None


def _range_of(values: np.ndarray[Any, np.dtype[np.float32]]) -> Window:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Window(0, 1)
    return Window((low + high + 1) / 2, max(high - low + 1, 1))


def _eight_bits(array: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    shift = (array.dtype.itemsize - 1) * 8
    return np.ascontiguousarray((array >> shift if shift else array).astype(np.uint8))


def _palette(instance: Instance) -> list[PaletteChannel]:
    """The three tables of a palette image (PS3.3 C.7.6.3.1.5)."""
    dataset = instance.dataset()
    channels = []
    for colour in ("Red", "Green", "Blue"):
        try:
            _, first, bits = (
                int(number) for number in dataset[f"{colour}PaletteColorLookupTableDescriptor"].value
            )
            data = bytes(dataset[f"{colour}PaletteColorLookupTableData"].value)
        except (KeyError, TypeError, ValueError) as error:
            raise UnsupportedError("a palette image without its tables", where=instance.name) from error
        channels.append(PaletteChannel(first, bits, np.frombuffer(data, "<u2" if bits > 8 else "u1")))
    return channels


def encoded(image: Image.Image, media_type: str, look: Look) -> bytes:
    """One picture as a file."""
    out = io.BytesIO()
    if media_type == "image/png":
        image.save(out, "PNG", compress_level=1)
    elif media_type == "image/gif":
        image.save(out, "GIF")
    else:
        image.save(out, "JPEG", quality=look.quality)
    return out.getvalue()


def moving(pictures: Iterable[Callable[[], Image.Image]], media_type: str) -> bytes:
    """Pictures one after another as an animated GIF or an MP4; made one at a time."""
    images: Iterator[Image.Image] = (make() for make in pictures)
    if media_type == "image/gif":
        first = next(images)
        out = io.BytesIO()
        first.save(out, "GIF", save_all=True, append_images=images, duration=1000 // FRAMES_A_SECOND, loop=0)
        return out.getvalue()
    return _film(images)


def _film(images: Iterator[Image.Image]) -> bytes:
    import av

    first = next(images)
    longest = max(first.size)
    scale = min(1.0, LONGEST_FILM_SIDE / longest)
    width, height = (max(2, int(side * scale) // 2 * 2) for side in first.size)
    with ScratchFolder() as folder:
        path = folder / "film.mp4"
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            encoder = next(
                name for name in ("libx264", "libopenh264", "mpeg4") if name in av.codecs_available
            )
            stream: Any = container.add_stream(encoder, rate=Fraction(FRAMES_A_SECOND))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for image in chain([first], images):
                fitted = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
                frame = av.VideoFrame.from_ndarray(np.asarray(fitted), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path.read_bytes()
