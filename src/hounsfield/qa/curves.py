"""A calibration curve from the inserts of a phantom: HU to relative electron density or mass density.

Piecewise linear and monotone through knots that each have a source. A curve belongs to the scanner, kV and kernel that
it was measured with, and is applied to nothing else. Not a model of tissue: no stoichiometry, and RSP only where the
phantom's description has it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import MalformedError, NotHounsfieldError, SelectionError
from hounsfield.language import say

KINDS = {
    "ed": ("red", "relative electron density"),
    "mass": ("density", "g/cm3"),
    "rsp": ("rsp", "relative stopping power"),
    "mu": ("mu", "1/cm"),
}
"""By name: the key in a material of the phantom's description, and the unit."""

PLASTICS = ("acrylic", "Delrin", "Teflon")
"""Whose electron density is that of no tissue of the same HU."""

SLOPES = (0.95, 1.05)
_LEAST_KNOTS = 3
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Curve:
    """`knots`: (HU, value, standard error of the HU, material), HU and value rising; what it was measured with."""

    kind: str
    knots: tuple[tuple[float, float, float, str], ...]
    scanner: Mapping[str, Any]
    protocol: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    left_out: tuple[tuple[float, float, str], ...] = ()

    @property
    def unit(self) -> str:
        """Return the unit of its values."""
        return KINDS[self.kind][1]

    def values(self, hu: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values at HU, those beyond the ends held at the ends; the shape of `hu`."""
        x, y = np.array([(knot[0], knot[1]) for knot in self.knots]).T
        found: NDArray[np.float32] = np.interp(hu, x, y).astype(np.float32)
        return found

    def csv(self) -> str:
        """Return the curve as CSV, its origin in lines that begin with #."""
        out = io.StringIO()
        origin = {
            "kind": self.kind,
            "unit": self.unit,
            "scanner": dict(self.scanner),
            "protocol": dict(self.protocol),
        }
        out.write(f"# hounsfield curve 1: {json.dumps(origin, ensure_ascii=False)}\n")
        for warning in self.warnings:
            out.write(f"# {warning}\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["HU", self.kind, "SE_HU", "material"])
        for hu, value, error, material in self.knots:
            writer.writerow([f"{hu:.2f}", f"{value:.4f}", f"{error:.3f}", material])
        return out.getvalue()

    def apply(self, volume: Volume) -> Volume:
        """Return the volume in the curve's unit, float32; raises unless scanner, kV and kernel are the curve's."""
        if not volume.is_hounsfield:
            raise NotHounsfieldError(say("values are in {unit}", unit=volume.unit), expected="HU")
        asked = {
            "manufacturer": volume.header.get("Manufacturer"),
            "model": volume.header.get("ManufacturerModelName"),
            "kv": volume.header.get("KVP"),
            "kernel": volume.header.get("ConvolutionKernel"),
        }
        own = {**self.scanner, **self.protocol}
        unlike = [key for key, value in asked.items() if value is None or str(value) != str(own.get(key))]
        if unlike:
            raise SelectionError(
                "; ".join(f"{key} is {asked[key]}" for key in unlike),
                expected=", ".join(f"{key} {own.get(key)}" for key in unlike),
                remedy="measure a curve with this scanner, kV and kernel",
            )
        low, high = self.knots[0][0], self.knots[-1][0]
        beyond = int(((volume.array < low) | (volume.array > high)).sum())
        said = [*volume.report.warnings, f"{self.unit} by a curve of {len(self.knots)} knots", *self.warnings]
        if beyond:
            said.append(f"{beyond} voxels beyond the curve's {low:.0f} to {high:.0f} HU hold its end values")
        return replace(
            volume,
            array=self.values(volume.array),
            unit=self.unit,
            report=replace(volume.report, warnings=tuple(said)),
        )


def from_inserts(
    inserts: Sequence[Mapping[str, Any]],
    materials: Mapping[str, Mapping[str, Any]],
    kind: str,
    *,
    slope: float | None,
    scanner: Mapping[str, Any],
    protocol: Mapping[str, Any],
    use_plastics: bool = False,
    cone_beam: bool = False,
) -> Curve:
    """Return the curve through measured inserts; raises `SelectionError`, `NotHounsfieldError`."""
    if kind not in KINDS:
        raise SelectionError(
            say("curve {kind}", kind=repr(kind)), expected=say("one of {listed}", listed=", ".join(KINDS))
        )
    if not cone_beam and slope is not None and not SLOPES[0] <= slope <= SLOPES[1]:
        raise NotHounsfieldError(
            say("measured over nominal has a slope of {slope}", slope=format(slope, ".3f")),
            expected=say("{slopes} to {slopes2}: HU", slopes=SLOPES[0], slopes2=SLOPES[1]),
            remedy="a curve of a cone beam only with --cone-beam",
        )
    key, unit = KINDS[kind]
    points, left_out = [], []
    for each in inserts:
        value = materials.get(each["material"], {}).get(key)
        if value is None or each["mean"] is None:
            continue
        if each["material"] in PLASTICS and not use_plastics:
            left_out.append((float(each["mean"]), float(value), str(each["material"])))
        else:
            points.append((float(each["mean"]), float(value), float(each["se"]), str(each["material"])))
    if not cone_beam and not any(point[3] == "water" for point in points) and kind != "mu":
        points.append((0.0, 1.0, 0.0, "water (by definition)"))
    if len(points) < _LEAST_KNOTS:
        raise SelectionError(
            say("{count} inserts with a known {unit}", count=len(points), unit=unit),
            expected=say("at least {count}", count=_LEAST_KNOTS),
            remedy="name the materials in a description of the phantom (--phantom FILE.json)",
        )
    said = []
    if left_out:
        said.append(f"shown but not used: {', '.join(each[2] for each in left_out)} (--use-plastics)")
    if kind == "rsp":
        said.append("not for treatment before validation")
    return Curve(kind, _monotone(points), scanner, protocol, tuple(said), tuple(left_out))


def _monotone(points: list[tuple[float, float, float, str]]) -> tuple[tuple[float, float, float, str], ...]:
    """Return knots whose HU and value rise; those that go the other way are drawn together, by their errors."""
    pools: list[list[tuple[float, float, float, str]]] = []
    for point in sorted(points, key=lambda each: each[1]):
        pools.append([point])
        while len(pools) > 1 and _pooled(pools[-2])[0] >= _pooled(pools[-1])[0] - 1e-6:
            last = pools.pop()
            pools[-1].extend(last)
    return tuple(_pooled(pool) for pool in pools)


def _pooled(pool: list[tuple[float, float, float, str]]) -> tuple[float, float, float, str]:
    weight = np.array([1 / max(each[2], 0.05) ** 2 for each in pool])
    hu, value = (float((weight * [each[i] for each in pool]).sum() / weight.sum()) for i in (0, 1))
    return hu, value, float(1 / np.sqrt(weight.sum())), " + ".join(dict.fromkeys(each[3] for each in pool))


def read(path: Path | str) -> Curve:
    """Return a curve from the CSV that `Curve.csv` writes; raises `MalformedError`."""
    path = Path(path)
    if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        raise SelectionError("no such file, or one above 1 MiB", expected="a curve", where=str(path))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        origin = json.loads(lines[0].split(":", 1)[1])
        rows = list(csv.reader(line for line in lines if not line.startswith("#")))[1:]
        knots = tuple((float(row[0]), float(row[1]), float(row[2]), row[3]) for row in rows)
        found = Curve(str(origin["kind"]), knots, dict(origin["scanner"]), dict(origin["protocol"]))
        steps = np.diff(np.array([knot[:2] for knot in knots]), axis=0)
        good = (
            found.kind in KINDS
            and len(knots) > 1
            and bool((steps[:, 0] > 0).all() and (steps[:, 1] >= 0).all())
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise MalformedError(
            say("not a curve: {error}", error=error),
            expected="CSV as `hounsfield qa --curve` writes it",
            where=str(path),
        ) from error
    if not good:
        raise MalformedError(
            "a curve whose HU or values do not rise", expected="a monotone curve", where=str(path)
        )
    return found
