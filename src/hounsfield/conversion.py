"""A location of many series → a folder of volumes, and what was made of each and what was not, with reasons.

One series that cannot be converted never stops the others; each output appears whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.errors import HounsfieldError
from hounsfield.export import Compression, write_volume
from hounsfield.geometry import Verdict
from hounsfield.reading import Scan
from hounsfield.series import LoadOptions, Series
from hounsfield.volume import Volume

MADE, LEFT_OUT, FAILED = "made", "left out", "failed"
_NAME_LIMIT = (
    80  # characters of a file name's description: file systems stop at 255 bytes, and people earlier
)


@dataclass(frozen=True)
class Converted:
    """What became of one series or phase. `status`: "made", "left out" (never a CT volume) or "failed"."""

    series: str
    uid: str
    status: str
    output: str = ""
    verdict: str = ""
    shape: tuple[int, ...] = ()
    unit: str = ""
    warnings: tuple[str, ...] = ()
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Every field as plain JSON values."""
        return {
            "series": self.series,
            "SeriesInstanceUID": self.uid,
            "status": self.status,
            "output": self.output,
            "verdict": self.verdict,
            "shape": list(self.shape),
            "unit": self.unit,
            "warnings": list(self.warnings),
            "reason": self.reason,
        }


def convert_all(
    scan: Scan,
    folder: Path,
    *,
    suffix: str = ".nii.gz",
    options: LoadOptions | None = None,
    force: bool = False,
    compression: Compression | None = None,
    done: Callable[[], None] = lambda: None,
) -> Iterator[Converted]:
    """Write one volume for each CT series (one a phase) into `folder`; yields what became of each, in order."""
    taken: set[str] = set()
    for series in scan.series:
        reason = _reason_to_leave_out(series)
        if reason:
            yield Converted(series.name, series.uid, LEFT_OUT, verdict=str(series.verdict), reason=reason)
            done()
            continue
        for phase in range(max(1, len(series.phases))):
            path = folder / _unique(_file_name(series, phase), taken, suffix)
            yield _convert(series, phase, path, options or LoadOptions(), force, compression)
        done()


def _convert(
    series: Series, phase: int, path: Path, options: LoadOptions, force: bool, compression: Compression | None
) -> Converted:
    try:
        volume = series.load(options, phase=phase if series.phases else None)
        write_volume(volume, path, force=force, compression=compression)
    except HounsfieldError as error:
        return Converted(series.name, series.uid, FAILED, verdict=str(series.verdict), reason=str(error))
    return made(series, volume, path)


def made(series: Series, volume: Volume, path: Path) -> Converted:
    """The row of a volume that was written to `path`."""
    return Converted(
        series.name,
        series.uid,
        MADE,
        str(path),
        volume.report.verdict,
        volume.shape,
        volume.unit,
        volume.report.warnings,
    )


def _reason_to_leave_out(series: Series) -> str:
    """Why a series is no CT volume by its nature; "" when it should become one."""
    modality = series.header.text("Modality")
    if modality not in ("CT", ""):
        return f"Modality is {modality}, not CT; choose it with --series to convert it all the same"
    if series.slices[0].is_localizer and series.verdict is Verdict.NOT_A_VOLUME:
        return series.reasons[0]
    return ""


def _file_name(series: Series, phase: int) -> str:
    """Series number, description and, where they say nothing, the end of the UID: safe on every file system."""
    words = [series.name if series.name != series.uid else f"series-{series.uid[-12:]}"]
    if len(series.phases) > 1:
        words.append(f"phase{phase}")
    text = re.sub(r"[^\w.+-]+", "-", "-".join(words), flags=re.UNICODE).strip("-.")
    return text[:_NAME_LIMIT] or f"series-{series.uid[-12:]}"


def _unique(name: str, taken: set[str], suffix: str) -> str:
    """`name` + suffix, numbered when another series of this run has it already (case does not tell files apart)."""
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate.lower())
    return candidate + suffix
