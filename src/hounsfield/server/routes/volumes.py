"""Extensions of DICOMweb: a series as a volume in Hounsfield units. The wire format is in `docs/wire.md`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hounsfield.ct.hu import Counts
from hounsfield.ct.instance import FileSource, Skipped
from hounsfield.ct.series import LoadOptions, Series, Slice
from hounsfield.ct.series.phases import REPEATS
from hounsfield.ct.series.physics import histogram_of, plausibility_of
from hounsfield.ct.series.warnings import is_little, left_out_warnings
from hounsfield.ct.volume import Volume
from hounsfield.errors import DicomwebError, HounsfieldError, SelectionError
from hounsfield.formats import VolumeFormat, volume_formats, write_volume
from hounsfield.language import say
from hounsfield.language.reasons import Reason, reason
from hounsfield.outputs.scratch import ScratchFolder
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response, as_json, etag, not_modified
from hounsfield.server.http.streams import Blocks, blocks
from hounsfield.server.rendering.volumes import Scanned, Stack
from hounsfield.server.routes.slice_records import Made, gzipped, outwards, records
from hounsfield.server.state import AppState

_VERDICT_BYTES = 4096
"""Memory that a verdict with its histogram takes, about."""

_VALUES = "application/octet-stream"


def info(state: AppState, request: Request) -> Response:
    """Geometry, unit, verdict, warnings and each slice's conversion, from headers alone."""
    request.known("part", "phase")
    scanned = state.volumes.scan(request.scope)
    tag = etag(scanned.version, request.query_text)
    if (same := not_modified(request, tag)) is not None:
        return same
    study, series = request.scope.study, request.scope.series
    described: dict[str, Any] = {"study": study, "series": series}
    try:
        stack = scanned.chosen(number_of(request, "part"), number_of(request, "phase"))
    except SelectionError as error:
        if scanned.parts:
            raise
        described |= {"shape": None, "affine": None, "spacing": None, "unit": "unspecified", "slices": []}
        described |= {
            "verdict": "not a volume",
            "reason": error.found,
            "window": None,
            "inverted": False,
            "header": {},
        }
        described |= {"report": {"verdict": "not a volume", "warnings": []}, "parts": []}
    else:
        described |= _described(stack, scanned)
    described["left_out"] = _left_out(scanned)
    described["reasons"] = _keyed(described)
    return as_json(described).with_etag(scanned.version, request.query_text)


def plausibility(state: AppState, request: Request) -> Response:
    """The verdict of physics on the numbers, with its evidence and a histogram, from at most twelve slices."""
    request.known("part", "phase")
    scanned = state.volumes.scan(request.scope)
    tag = etag(scanned.version, "plausibility", request.query_text)
    if (same := not_modified(request, tag)) is not None:
        return same
    stack = scanned.chosen(number_of(request, "part"), number_of(request, "phase"))
    stack.check(0, state.limits.frame)
    slices, unit = stack.slices, stack.series.unit
    key = (
        "plausibility",
        request.scope.study,
        request.scope.series,
        scanned.version,
        stack.part,
        stack.phase,
    )

    def judged() -> dict[str, Any]:
        found = plausibility_of(slices, unit)
        if found is None:
            return {"plausibility": None, "histogram": None}
        return {"plausibility": found.to_json(), "histogram": histogram_of(slices, unit)}

    return as_json(state.volumes.value(key, judged, lambda _: _VERDICT_BYTES)).with_etag(
        scanned.version, "plausibility", request.query_text
    )


def _described(stack: Stack, scanned: Scanned) -> dict[str, Any]:
    series, slices = stack.series, stack.slices
    first = slices[0]
    grid = series.phases[stack.phase].stack if series.phases else None
    verdict = str(grid.verdict if grid is not None else series.verdict)
    notes = [*([series.unit.warning] if series.unit.warning else []), *series.notes]
    if not series.unit.hounsfield and any(map(_has_fractions, slices)):
        notes.append(reason("whole-here"))
    # A few that were left out are among `left_out` alone.
    left_out = [each for each in left_out_warnings(series.left_out, len(slices)) if not is_little(each)]
    header = first.instance.header
    return {
        "shape": [len(slices), *first.shape],
        "dtype": "int16",
        "byte_order": "little",
        "axes": ["slice", "row", "column"],
        "affine": grid.affine.tolist() if grid is not None and grid.affine is not None else None,
        "affine_frame": "LPS, mm: affine @ (slice, row, column, 1)",
        "spacing": _spacing(stack),
        "pixel_spacing": list(map(float, first.plane.spacing)) if first.plane.spacing else None,
        "orientation": list(first.plane.orientation) if first.plane.orientation else None,
        "unit": series.unit.name,
        "verdict": verdict,
        "reason": "" if series.phases else "; ".join(series.reasons),
        "slices": [_slice(stack, number, item) for number, item in enumerate(slices)],
        "missing": list(grid.missing) if grid is not None else [],
        "tilt_degrees": grid.tilt_degrees if grid is not None else 0.0,
        "window": _window(first),
        "inverted": header.text("PhotometricInterpretation") == "MONOCHROME1",
        "report": {
            "verdict": verdict,
            "warnings": list(dict.fromkeys([*notes, *left_out])),
            "spacing_notes": list(grid.reasons if grid is not None else series.reasons),
            "filled": [],
        },
        "header": series.facts,
        "part": stack.part,
        "phase": stack.phase,
        "parts": [_part(number, each) for number, each in enumerate(scanned.parts)],
    }


def _has_fractions(item: Slice) -> bool:
    """Whether values lie between whole numbers, which is what slices are sent as."""
    rescale = item.plane.rescale
    numbers = (rescale.slope, rescale.intercept) if rescale.lut is None else rescale.lut.values
    return item.instance.is_real or not all(float(number).is_integer() for number in numbers)


def _slice(stack: Stack, number: int, item: Slice) -> dict[str, Any]:
    rescale = item.plane.rescale
    try:
        # By the header alone: a codestream is not fetched to be described.
        stored = item.instance.declared_format
        padding = item.instance.padding_in(stored)
        cells: dict[str, Any] | None = {
            "bits_allocated": stored.bits_allocated,
            "bits_stored": stored.bits_stored,
            "high_bit": stored.high_bit,
            "signed": stored.signed,
        }
    except HounsfieldError:
        cells = padding = None
    return {
        "uid": item.uid,
        "frame": item.plane.frame + 1,
        "position": list(item.plane.position) if item.plane.position else None,
        "slope": None if rescale.lut else rescale.slope,
        "intercept": None if rescale.lut else rescale.intercept,
        "lut": rescale.lut is not None,
        "padding": [padding.low, padding.high] if padding is not None else None,
        "stored": cells,
        "syntax": item.instance.header.transfer_syntax,
        "notes": list(item.plane.notes),
    }


def _spacing(stack: Stack) -> list[float] | None:
    """(slice, row, column) mm; None where the slices have no distance to one another."""
    pixel = stack.slices[0].plane.spacing
    if pixel is None or not stack.series.phases:
        return None
    return [float(stack.series.phases[stack.phase].stack.step), *map(float, pixel)]


def _window(item: Slice) -> dict[str, float] | None:
    """The first window of the header (PS3.3 C.11.2.1.2)."""
    header = item.instance.header
    center, width = (header.number(keyword, strict=False) for keyword in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width < 1:
        return None
    return {"center": center, "width": width}


def _part(number: int, series: Series) -> dict[str, Any]:
    return {
        "part": number,
        "label": series.part,
        "unit": series.unit.name,
        "verdict": str(series.verdict),
        "slices": len(series.slices),
        "phases": [phase.label for phase in series.phases],
        "phase_names": [list(phase.names) for phase in series.phases],
    }


def _left_out(scanned: Scanned) -> list[dict[str, str]]:
    """Count instances that are no slice, by reason; names are those of files on this machine and stay here."""
    skipped: list[Skipped] = [*scanned.skipped]
    for each in scanned.parts:
        # Those that repeat another are counted among the warnings; their reason names a file.
        skipped += [item for item in each.left_out if getattr(item.reason, "key", "") != REPEATS]
    return [{"reason": reason} for reason in dict.fromkeys(item.reason for item in skipped)]


def _keyed(described: dict[str, Any]) -> dict[str, Any]:
    """Sentence → its key and values in `hounsfield.language.reasons`, of every sentence in the document."""
    report = described["report"]
    sentences = [*report["warnings"], *report.get("spacing_notes", ()), described["reason"]]
    sentences += [note for item in described["slices"] for note in item["notes"]]
    sentences += [item["reason"] for item in described["left_out"]]
    sentences += [name for part in described["parts"] for names in part["phase_names"] for name in names]
    return {each: {"key": each.key, "values": each.values} for each in sentences if isinstance(each, Reason)}


def slice_values(state: AppState, request: Request) -> Response:
    """One slice's HU as little-endian int16, row by row."""
    request.known("part", "phase", "filter", "encoding")
    text = request.names["number"]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise DicomwebError(
            say("{text} is not a slice number", text=repr(text[:20])),
            expected="a number from 0 on",
            status=400,
        )
    number = int(text)
    scanned = state.volumes.scan(request.scope)
    coding = coding_of(request)
    tag = etag(scanned.version, number, request.query_text, coding)
    if (same := not_modified(request, tag)) is not None:
        return same
    stack = scanned.chosen(number_of(request, "part"), number_of(request, "phase"))
    stack.check(number, state.limits.frame)
    values, counts = stack.hounsfield(number)
    raw = values.astype("<i2", copy=False)
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "X-CRC32": f"{zlib.crc32(raw.data):08x}",
        "X-Shape": f"{values.shape[0]},{values.shape[1]}",
        "X-Counts": _counts(counts),
    }
    if request.parameter("filter") == "delta":
        raw = deltas(raw)
        headers["X-Filter"] = "delta"
    elif request.parameter("filter") not in {None, "none"}:
        raise DicomwebError("no such filter", expected="delta or none", status=400)
    body = raw.tobytes()
    if coding is not None:
        body = _coded(body, coding)
        headers["Content-Encoding"] = coding
    return Response(body, _VALUES, headers=headers)


def slices(state: AppState, request: Request) -> Response:
    """Every slice in one response, from one outwards: records of head and values."""
    request.known("part", "phase", "from", "most", "encoding")
    scanned = state.volumes.scan(request.scope)
    stack = scanned.chosen(number_of(request, "part"), number_of(request, "phase"))
    count = len(stack.slices)
    stack.check(0, state.limits.frame)
    start = number_of(request, "from")
    order = islice(outwards(count, count // 2 if start is None else start), number_of(request, "most"))

    def make(number: int) -> Made:
        stack.check(number, state.limits.frame)
        values, counts = stack.hounsfield(number)
        return values, (counts.padded, counts.clamped, counts.saturated, counts.rounded)

    return record_response(records(order, make), coding_of(request))


def record_response(content: Iterator[bytes], coding: str | None) -> Response:
    """Records as a body that nobody keeps a copy of, gzipped for clients elsewhere."""
    headers = {"Cache-Control": "private, no-store"}
    if coding is None:
        return Response(content, _VALUES, headers=headers)
    # The only coding that is made as it goes.
    return Response(gzipped(content), _VALUES, headers=headers | {"Content-Encoding": "gzip"})


def deltas(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """(rows, columns) int16 → each value less the one to its left, the first of a row less the one above it.

    Modulo 2¹⁶; a running sum along rows, after one down the first column, gives the values back.
    """
    out = np.empty_like(values)
    out[:, 1:] = values[:, 1:] - values[:, :-1]
    out[1:, 0] = values[1:, 0] - values[:-1, 0]
    out[0, 0] = values[0, 0]
    return out


def coding_of(request: Request) -> str | None:
    """Return the content coding: none for a client on this machine, unless it names a coding itself."""
    asked = request.parameter("encoding")
    if asked is not None:
        if asked not in {"identity", "gzip", "zstd"}:
            raise DicomwebError("no such encoding", expected="identity, gzip or zstd", status=400)
        return None if asked == "identity" else asked
    if request.is_local:
        return None
    return next((name for name in ("zstd", "gzip") if name in request.encodings()), None)


def _coded(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        from isal import igzip

        return bytes(igzip.compress(body, 1))
    from imagecodecs import zstd_encode

    return bytes(zstd_encode(body, level=1))


def _counts(counts: Counts) -> str:
    names = ("padded", "clamped", "saturated", "rounded")
    return ",".join(f"{name}={int(getattr(counts, name))}" for name in names)


def volume(state: AppState, request: Request) -> Response:
    """The series as one file in any format that is no folder, under the rules of `hounsfield.load`."""
    request.known("format", "part", "phase", "gaps", "dtype")
    name = request.parameter("format") or "nifti"
    known = {each.keyword: each for each in volume_formats() if not (each.folder or each.sourced)}
    if name not in known:
        raise DicomwebError(
            say("no format {name}", name=repr(name[:32])), expected=", ".join(known), status=400
        )
    scanned = state.volumes.scan(request.scope)
    options = _options(request)
    tag = etag(scanned.version, name, request.query_text)
    if (same := not_modified(request, tag)) is not None:
        return same
    stack = scanned.chosen(number_of(request, "part"), None)
    series = stack.series
    needed = (
        len(series.slices)
        * int(np.prod(stack.slices[0].shape))
        * np.dtype(options.dtype_of(series.unit)).itemsize
    )
    if needed > state.limits.decoded:
        raise DicomwebError(
            say("a volume of {needed} bytes", needed=needed),
            expected=say("at most {decoded}", decoded=state.limits.decoded),
            status=413,
        )
    phase = number_of(request, "phase")
    with state.decoding.taken(needed):
        made: Volume = state.volumes.value(
            (request.scope.series, scanned.version, stack.part, phase, options),
            lambda: series.load(options, phase=phase),
            lambda made: int(made.array.nbytes),
        )
    return _file(made, known[name], tag, str(request.scope.series))


def _options(request: Request) -> LoadOptions:
    gaps, dtype = request.parameter("gaps") or "error", request.parameter("dtype")
    if gaps not in {"error", "fill", "interpolate"} or dtype not in {"int16", "float32", None}:
        raise DicomwebError(
            "no such option", expected="gaps=error, fill or interpolate; dtype=int16 or float32", status=400
        )
    return LoadOptions(dtype=dtype, gaps=gaps)  # type: ignore[arg-type]


def _file(made: Volume, form: VolumeFormat, tag: str, series: str) -> Response:
    suffix = form.suffixes[0]
    folder = ScratchFolder()
    try:
        path = Path(write_volume(made, folder.path / f"volume{suffix}")[0])
    except BaseException:
        folder.cleanup()
        raise
    size = path.stat().st_size
    headers = {
        "ETag": tag,
        "Content-Disposition": f'attachment; filename="{series}{suffix}"',
        "X-Unit": made.unit,
    }
    return Response(_then_removed(path, size, folder), form.media_type, headers=headers, length=size)


def _then_removed(path: Path, size: int, folder: ScratchFolder) -> Blocks:
    try:
        yield from blocks([(FileSource(path), 0, size)])
    finally:
        folder.cleanup()


def number_of(request: Request, name: str) -> int | None:
    """The parameter `name`, a whole number from 0 on; None where it is not there."""
    text = request.parameter(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise DicomwebError(f"{name}={text[:20]!r}", expected="a number from 0 on", status=400)
    return int(text)
