"""`hounsfield image`: windowed pictures of a series, or one for each series of a location."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli.batches import (
    absolute,
    at_once,
    chosen,
    engine_for,
    recorded,
    row_of_one,
    rows_of,
    show,
)
from hounsfield.cli.loading import loading as load_options
from hounsfield.cli.options import FiniteRange, as_json, examples, force, isolate, location, out, series
from hounsfield.errors import UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.series import LoadOptions, Series
    from hounsfield.ct.volume import Volume
    from hounsfield.pictures import Look
    from hounsfield.runs import Engine, Job, Result
    from hounsfield.segmentation import Masks
    from hounsfield.verbs.load import Scan

DEFAULT_FPS = 12.0


@dataclass(frozen=True)
class Request:
    """The request for a picture, as on the command line."""

    window: str | None
    invert: bool
    slice_: tuple[int | None, float | None]
    plane: str | None
    montage: tuple[int, int] | None
    planes: bool
    mip: bool
    minip: bool
    slab: float | None
    mp4: float | None
    size: int | None
    plain: bool
    quality: int
    format_: str | None
    masks: tuple[str, ...]
    mask_as: str
    opacity: float | None
    nearest: bool
    slices: bool | None = None
    bits: str | None = None

    def __post_init__(self) -> None:
        kinds = {"--montage": self.montage, "--planes": self.planes, "--mip": self.mip, "--minip": self.minip}
        kinds |= {"--slices": self.slices, "--slice": self.slices and self.slice_ != (None, None)}
        asked = [name for name, value in (*kinds.items(), ("--mp4", self.is_film)) if value]
        if len(asked) > 1:
            raise click.UsageError(
                say("{listed} are different pictures; choose one", listed=" and ".join(asked))
            )
        if self.is_film and self.format_ not in (None, "mp4"):
            raise click.UsageError(
                say("--format {format_} is of pictures, --mp4 of films; choose one", format_=self.format_)
            )
        if asked and not self.is_film and self.format_ == "mp4":
            raise click.UsageError(
                say("--format mp4 is of films, {asked} of pictures; choose one", asked=asked[0])
            )
        if self.slab is not None and not (self.mip or self.minip):
            raise click.UsageError("--slab is the thickness of a --mip or --minip")
        if self.masks and (self.mip or self.minip):
            raise click.UsageError("--mask is drawn on slices and planes, not on a --mip or --minip")
        self._check_slices()
        if self.mask_as == "outlines" and self.opacity is not None:
            raise click.UsageError("--opacity is that of fills, and --mask-as outlines has none")

    def _check_slices(self) -> None:
        """Refuse options that pictures for networks have no use for, and theirs for any other."""
        if not self.slices:
            if self.bits is not None or self.format_ == "tif":
                raise click.UsageError("--bits and --format tif are for --slices")
            return
        if self.format_ not in (None, "png", "tif"):
            raise click.UsageError(say("--slices are png or tif, not {format}", format=self.format_))
        if self.bits == "16" and (self.window is not None or self.invert):
            raise click.UsageError("--bits 16 keeps every HU; --window and --invert are for 8 bits")
        drawn = {"--plane": self.plane, "--size": self.size, "--opacity": self.opacity}
        if useless := [name for name, value in drawn.items() if value is not None]:
            raise click.UsageError(
                say("{option} is for pictures, --slices are as they are", option=useless[0])
            )

    @property
    def is_film(self) -> bool:
        """Return whether frames a second are asked for, sensible or not."""
        return self.mp4 is not None

    @property
    def suffix(self) -> str:
        """Of pictures in a folder; "" where each series is a folder of its own."""
        if self.slices:
            return ""
        return f".{self.format_ or ('mp4' if self.is_film else 'png')}"


def _slice(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int | None, float | None]:
    """(number from 0, position in mm), both None for the middle."""
    if text is None or text == "middle":
        return None, None
    place = re.fullmatch(r"([-+]?\d+(?:\.\d*)?)\s*mm", text)
    if place:
        return None, float(place[1])
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text) - 1, None
    raise click.BadParameter("a number from 1, 'middle', or a position such as -120.5mm")


def _montage(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    grid = re.fullmatch(r"(\d{1,3})\s*[x×*]\s*(\d{1,3})", text.lower())
    if not grid:
        raise click.BadParameter("rows and columns such as 4x6")
    return int(grid[1]), int(grid[2])


@click.command(
    epilog=examples(
        "hounsfield image head/ head.png --window brain",
        "hounsfield image scan.zip chest.png --series 3 --montage 4x6 --window lung",
        "hounsfield image head/ planes.png --planes --window 40/80",
        "hounsfield image head/ mip.jpg --mip --plane sagittal --window angio",
        "hounsfield image scan/ liver.png --planes --mask liver.dcm --mask-as outlines",
        "hounsfield image head/ scroll.mp4",
        "hounsfield image study/ pictures/",
        "hounsfield image study/ slices/ --slices --bits 16 --mask organs.dcm",
    )
)
@location
@out
@series
@load_options(values=False)
@click.option("--window", metavar="PRESET|C/W", help="lung, bone, brain …, or centre/width such as 40/400.")
@click.option("--invert", is_flag=True, help="Black is high.")
@click.option(
    "--slice", "slice_", metavar="N|middle|MM", callback=_slice, help="Which: 12, middle, or -120.5mm."
)
@click.option(
    "--plane",
    type=click.Choice(["axial", "coronal", "sagittal"]),
    show_default="as acquired; coronal for a MIP",
    help="Through the volume.",
)
@click.option("--montage", metavar="RxC", callback=_montage, help="Slices in rows and columns, such as 4x6.")
@click.option("--planes", is_flag=True, help="Axial, coronal and sagittal side by side.")
@click.option("--mip", is_flag=True, help="Highest values through the volume, or a slab.")
@click.option("--minip", is_flag=True, help="Lowest values through the volume, or a slab.")
@click.option(
    "--slab", type=float, metavar="MM", show_default="everything", help="Thickness of a MIP or MinIP."
)
@click.option("--mp4", type=float, metavar="FPS", help="A film through the slices; also if OUT ends in .mp4.")
@click.option("--size", type=int, metavar="PIXELS", help="Of the longest side.")
@click.option("--plain", is_flag=True, help="No letters, words or scale bar.")
@click.option("--quality", type=click.IntRange(1, 100), default=92, show_default=True, help="Of a JPEG.")
@click.option(
    "--format", "format_", type=click.Choice(["png", "jpg", "tif", "mp4"]), help="Of pictures in a folder."
)
@click.option(
    "--slices", is_flag=True, help="Every slice, as it is, for networks: a folder of PNG for each series."
)
@click.option(
    "--bits",
    type=click.Choice(["8", "16"]),
    show_default="8",
    help="Of --slices: 8 windowed, or 16 with every HU + 1024.",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="X",
    help="Segments drawn upon it: SEG, RTSTRUCT, a label map, regions of the viewer. May be given again.",
)
@click.option(
    "--mask-as",
    type=click.Choice(["fills", "outlines", "both"]),
    default="both",
    show_default=True,
    help="How segments are drawn.",
)
@click.option(
    "--opacity", type=FiniteRange(min=0, max=1), metavar="0…1", show_default="0.35", help="Of fills."
)
@click.option(
    "--nearest", is_flag=True, help="Masks of another grid: take what they have at each voxel's centre."
)
@isolate
@at_once
@recorded
@force
@as_json
def image(
    location: str,
    out: Path,
    series: str | None,
    phase: int | None,
    split_by: str | None,
    loading: LoadOptions,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    ledger: Path | None,
    content: bool,
    force: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Write windowed pictures of LOCATION: PNG, JPEG or MP4.

    OUT is a file, or a folder for a picture of each series, where hounsfield.jsonl tells what was made; run again,
    and only what is missing, changed or failed is drawn. Presets: soft-tissue, lung, mediastinum, bone,
    brain, stroke, subdural, posterior-fossa, temporal-bone, liver, angio, spine, full; also in Chinese.
    """
    from hounsfield.cli.loading import scanned
    from hounsfield.pictures.files import FILM_SUFFIXES, require_film
    from hounsfield.verbs.load import is_remote

    masks = tuple(absolute(place) for place in asked["masks"])
    request = Request(**{**asked, "masks": masks, "slices": asked["slices"] or None})
    suffix = out.suffix.lower()
    if request.is_film or suffix in FILM_SUFFIXES or request.format_ == "mp4":
        require_film()
    if not out.is_dir() and suffix and not request.slices:
        _refuse_unknown(out, request)
        from hounsfield.outputs import refuse_existing

        refuse_existing(out, force=force)
        found = scanned(location, unit=loading.unit, split_by=split_by)
        rows = [_write_one(found.choose(series), out, _Draw(request, loading, phase), force=force)]
        show(rows, found, name="pictures", as_json=as_json)
        return
    found = chosen(scanned(absolute(location), unit=loading.unit, split_by=split_by), series)
    engine = engine_for(workers, cluster, found, waits=is_remote(location))
    draw = _Draw(request, loading, phase)
    kept = {"ledger": ledger, "force": force, "content": content}
    _write_each(found, out, draw, engine, fail_fast=fail_fast, as_json=as_json, **kept)


def _refuse_unknown(out: Path, request: Request) -> None:
    """An error for a suffix that is no picture, before anything is read."""
    from hounsfield.pictures import FILM_SUFFIXES, PICTURE_SUFFIXES

    known = FILM_SUFFIXES if request.is_film else (*PICTURE_SUFFIXES, *FILM_SUFFIXES)
    if out.suffix.lower() not in known:
        raise UnsupportedError(
            say(
                "no {which} by the suffix {suffix}",
                which="film" if request.is_film else "picture",
                suffix=repr(out.suffix),
            ),
            expected=", ".join(known),
            where=str(out),
            remedy="give OUT one of these suffixes, or none for a folder",
        )


def _write(volume: Volume, path: Path, request: Request, found: list[Masks], force: bool) -> None:
    """The picture that is asked for, of one volume and its masks."""
    from hounsfield import pictures

    look = _look(volume, request, found)
    number, position = request.slice_
    plane = request.plane or pictures.acquired_plane(volume)
    if path.suffix.lower() in pictures.FILM_SUFFIXES:
        fps = DEFAULT_FPS if request.mp4 is None else request.mp4
        pictures.write_film(volume, path, plane=plane, fps=fps, look=look, force=force)
        return
    if request.montage:
        picture = pictures.montage_picture(volume, *request.montage, plane=plane, look=look)
    elif request.planes:
        picture = pictures.planes_picture(volume, look=look)
    elif request.mip or request.minip:
        kind: Any = "mip" if request.mip else "minip"
        plane = request.plane or "coronal"
        picture = pictures.projection_picture(
            volume, kind, plane=plane, slab=request.slab, number=number, position=position, look=look
        )
    else:
        picture = pictures.slice_picture(volume, plane=plane, number=number, position=position, look=look)
    pictures.write_picture(picture, path, quality=request.quality, force=force)


def _write_slices(
    volume: Volume, folder: Path, request: Request, found: list[Masks], workers: int | None
) -> None:
    """A folder of every slice, with the labels of the masks, which may not overlap."""
    from hounsfield.ct.windowing import window
    from hounsfield.pictures import default_window
    from hounsfield.pictures.slices import write_slices
    from hounsfield.segmentation import joined

    shown = default_window(volume) if request.window is None else window(request.window)
    labels = joined(found) if found else None
    write_slices(
        volume,
        folder,
        shown=shown,
        bits=int(request.bits or 8),
        invert=request.invert,
        suffix=f".{request.format_ or 'png'}",
        labels=None if labels is None else labels.labels,
        segments=() if labels is None else [each.to_json() for each in labels.segments],
        workers=workers,
        force=True,
    )


def _look(volume: Volume, request: Request, found: list[Masks]) -> Look:
    from hounsfield.ct.windowing import window
    from hounsfield.pictures import Look, default_window
    from hounsfield.verbs.masks import overlays

    shown = default_window(volume) if request.window is None else window(request.window)
    fills = request.opacity if request.mask_as != "outlines" else 0.0
    upon = overlays(found, opacity=fills, outlined=request.mask_as != "fills")
    return Look(shown, request.invert, request.size, request.plain, upon)


@dataclass(frozen=True)
class _Draw:
    """The work on a series; plain values, so that it pickles."""

    request: Request
    options: LoadOptions
    phase: int | None

    def __call__(self, job: Job) -> Result:
        from hounsfield.verbs.convert import result_of

        return result_of(job.series, self.drawn(job.series, Path(job.target), force=True))

    def drawn(self, series: Series, path: Path, *, force: bool) -> Volume:
        """The volume of a series, its picture written; what should be known of the masks is in its report."""
        from hounsfield.verbs.masks import masks_of_series

        options, request = self.options, self.request
        if not series.phases and len(series.slices) == 1 and options.spacing is None:
            # One picture needs no place in the patient; what is not known of it is not drawn either.
            plane = series.slices[0].plane
            row, column = plane.spacing or (1.0, 1.0)
            options = replace(options, spacing=(1.0, row, column))
            request = replace(request, plain=request.plain or None in (plane.spacing, plane.orientation))
        volume = series.load(options, phase=self.phase)
        found = [
            masks
            for place in request.masks
            for masks in masks_of_series(place, series, volume, nearest=True if request.nearest else None)
        ]
        if request.slices:
            _write_slices(volume, path, request, found, options.workers)
        else:
            _write(volume, path, request, found, force)
        of_masks = [
            say("{source}: {text}", source=masks.source, text=text)
            for masks in found
            for text in masks.warnings
        ]
        return replace(volume, report=replace(volume.report, warnings=(*volume.report.warnings, *of_masks)))


def _write_one(series: Series, out: Path, draw: _Draw, *, force: bool) -> dict[str, Any]:
    from hounsfield.verbs.convert import result_of

    made = result_of(series, draw.drawn(series, out, force=force))
    return row_of_one(series, made, out, draw.phase)


def _localizer(series: Series) -> str:
    return series.reasons[0] if series.slices[0].is_localizer and not series.phases else ""


def _write_each(
    found: Scan, folder: Path, draw: _Draw, engine: Engine, *, fail_fast: bool, as_json: bool, **kept: Any
) -> None:
    """One picture for each series (one a phase) into `folder`, and a ledger of what was made and what was not."""
    from hounsfield.runs import Task, run_series
    from hounsfield.runs.report import open_place

    options = {**asdict(draw.request), **draw.options.to_json(), "phase": draw.phase}
    draw = replace(draw, options=replace(draw.options, workers=engine.cores))
    task = Task("image", draw, draw.request.suffix, options, _localizer, by_phase=draw.phase is None)
    with open_place(folder, **kept) as place:
        results = run_series(found.series, task, place, engine, fail_fast=fail_fast)
        rows = rows_of(results, found, "Pictures", folder)
    show(rows, found, name="pictures", as_json=as_json, pages=place.pages)
