"""Figures of the literature from the values in a segment: rows of a table, each with its published source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import NotHounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.segmentation.connected import connected
from hounsfield.segmentation.statistics import Distribution


class Inside(Protocol):
    """A segment: its distribution of values, and its slices."""

    @property
    def volume(self) -> Volume: ...

    @property
    def values(self) -> Distribution: ...

    def slices(self) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]: ...


@dataclass(frozen=True)
class Recipe:
    """A way to figures: `work` takes a segment in HU; `source` is where it was published."""

    name: str
    title: str
    source: str
    work: Callable[[Inside], dict[str, float]]

    def figures(self, inside: Inside) -> dict[str, float]:
        """Its figures. Raises `NotHounsfieldError` for values in another unit."""
        if not inside.volume.is_hounsfield:
            raise NotHounsfieldError(
                say("values are in {unit}", unit=inside.volume.unit),
                expected=say("HU, for the recipe {name}", name=repr(self.name)),
            )
        return self.work(inside)


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises `SelectionError` that lists them."""
    for known in RECIPES:
        if known.name == name:
            return known
    names = tuple(known.name for known in RECIPES)
    raise SelectionError(say("no recipe {name}", name=repr(name)), expected=", ".join(names), choices=names)


def _ml(inside: Inside, low: float, high: float) -> float:
    voxel = abs(float(np.linalg.det(inside.volume.affine[:3, :3]))) / 1000
    return inside.values.share(low, high) * inside.values.total * voxel if inside.values.total else 0.0


def _within(name: str, low: float, high: float) -> Callable[[Inside], dict[str, float]]:
    """Share, volume and mean of the voxels from `low` to `high` HU, both included."""

    def work(inside: Inside) -> dict[str, float]:
        values, counts = inside.values.values, inside.values.counts
        kept = (values >= low) & (values <= high)
        part = Distribution(values[kept], counts[kept])
        share = inside.values.share(low, float(np.nextafter(high, np.inf)))
        return {
            f"{name}_percent": 100 * share,
            f"{name}_ml": _ml(inside, low, float(np.nextafter(high, np.inf))),
            f"{name}_mean": part.mean,
        }

    return work


def _low_attenuation(inside: Inside) -> dict[str, float]:
    return {
        "laa_950_percent": 100 * inside.values.share(high=-950),
        "laa_910_percent": 100 * inside.values.share(high=-910),
        "laa_856_percent": 100 * inside.values.share(high=-856),
    }


def _perc15(inside: Inside) -> dict[str, float]:
    value = inside.values.percentile(15) if inside.values.total else float("nan")
    return {"perc15_hu": value, "perc15_g_per_l": value + 1000}


def _bone(inside: Inside) -> dict[str, float]:
    shares = {f"below_{hu}_hu_percent": 100 * inside.values.share(high=hu) for hu in (110, 135, 160)}
    return {"mean_hu": inside.values.mean, **shares}


CALCIUM_HU = 130
SMALLEST_LESION_MM2 = 1.0
AGATSTON_STEP_MM = 3.0
"""Slices of the original score; a score of others is scaled by their step."""
_GRADES = (130, 200, 300, 400)


def _calcium(inside: Inside) -> dict[str, float]:
    """Areas of at least 1 mm² and 130 HU on each slice × 1 … 4 by their highest value."""
    step, row, column = inside.volume.spacing
    area, score, voxels, lesions = row * column, 0.0, 0, 0
    for plane, mask in inside.slices():
        dense = mask & (plane >= CALCIUM_HU)
        if not dense.any():
            continue
        parts = connected(dense)
        flat = plane.ravel()
        peaks = np.full(len(parts.sizes), -np.inf)
        for start, end, part in zip(parts.starts, parts.ends, parts.part, strict=True):
            peaks[part] = max(peaks[part], float(flat[start : end + 1].max()))
        large = parts.sizes * area >= SMALLEST_LESION_MM2
        grades = np.searchsorted(_GRADES, peaks, side="right")
        score += float((parts.sizes * grades * area)[large].sum())
        voxels += int(parts.sizes[large].sum())
        lesions += int(large.sum())
    return {
        "agatston": score * step / AGATSTON_STEP_MM,
        "calcium_mm3": voxels * area * step,
        "areas": float(lesions),
    }


RECIPES = (
    Recipe(
        "laa",
        "Low attenuation areas of the lung, % below −950, −910 and −856 HU",
        "Gevenois et al., Am J Respir Crit Care Med 1996;154:187; Müller et al., Chest 1988;94:782",
        _low_attenuation,
    ),
    Recipe(
        "perc15",
        "15th percentile of lung density, HU and g/l",
        "Parr et al., Respir Med 2004;98:114; Shaker et al., COPD 2008",
        _perc15,
    ),
    Recipe(
        "calcium",
        "Agatston score (130 HU, 1 mm², scaled to slices of 3 mm) and volume",
        "Agatston et al., J Am Coll Cardiol 1990;15:827; Callister et al., Radiology 1998;208:807",
        _calcium,
    ),
    Recipe(
        "muscle",
        "Skeletal muscle, −29 … 150 HU",
        "Mitsiopoulos et al., J Appl Physiol 1998;85:115",
        _within("muscle", -29, 150),
    ),
    Recipe(
        "fat",
        "Adipose tissue, −190 … −30 HU",
        "Mitsiopoulos et al., J Appl Physiol 1998;85:115; Heymsfield et al., Annu Rev Nutr 1997;17:527",
        _within("fat", -190, -30),
    ),
    Recipe(
        "bone",
        "Trabecular attenuation: mean, and % below 110, 135 and 160 HU",
        "Pickhardt et al., Ann Intern Med 2013;158:588",
        _bone,
    ),
)
"""Every recipe that `measure` knows."""
