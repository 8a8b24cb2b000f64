"""The parts of a phantom of the field, read from JSON: modules along its axis, inserts, materials.

The phantom's own coordinates are (u, v, w) in mm: seen on the image of a patient who lies head first and supine, u runs
to the right, v down and w away from the reader (LPS). Angles go clockwise on that image, from 3 o'clock.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hounsfield.errors import MalformedError, SelectionError
from hounsfield.language import say

Kind = str
"""Of a module: "inserts", "uniform", "bars" or "low contrast"."""

KINDS = ("inserts", "uniform", "bars", "low contrast")
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Rod:
    """A cylinder along the axis: an insert, or a disc of low contrast; lengths in mm, degrees."""

    name: str
    material: str
    angle: float
    r: float
    radius: float
    hu: float | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """(u, v) in mm."""
        angle = math.radians(self.angle)
        return self.r * math.cos(angle), self.r * math.sin(angle)


@dataclass(frozen=True)
class Module:
    """A slab of the phantom, `z` its centre on the axis from the module of inserts, in mm."""

    name: str
    kind: Kind
    z: float
    length: float
    radius: float
    hu: float
    rods: tuple[Rod, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A phantom; `materials` by name, each with `nominal` HU at `kv`, `red` relative electron density, `source`."""

    name: str
    title: str
    radius: float
    hu: float
    kv: float | None
    modules: tuple[Module, ...]
    materials: Mapping[str, Mapping[str, Any]]
    source: str
    shell: Mapping[str, float] = field(default_factory=dict)

    def module(self, kind: Kind) -> Module | None:
        """Return the first module of a kind."""
        return next((each for each in self.modules if each.kind == kind), None)

    def nominal(self, material: str) -> float | None:
        """Return the HU of a material at `kv`, where the description has it."""
        value = self.materials.get(material, {}).get("nominal")
        return None if value is None else float(value)


def names() -> tuple[str, ...]:
    """Return the built-in phantoms."""
    found = (Path(each.name) for each in (files(__package__) / "models").iterdir())
    return tuple(sorted(each.stem for each in found if each.suffix == ".json"))


def model(name: str | Path) -> Model:
    """Return a phantom by its name, or from a JSON file; raises `SelectionError`, `MalformedError`."""
    text = str(name)
    if text in names():
        return _builtin(text)
    path = Path(text)
    if path.suffix != ".json":
        raise SelectionError(
            say("phantom {text}", text=repr(text)),
            expected=say("one of auto, {listed} or a .json file", listed=", ".join(names())),
        )
    if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
        raise SelectionError(
            "no such file, or one above 1 MiB", expected="a phantom's description", where=text
        )
    return _parsed(path.read_bytes(), text)


@cache
def _builtin(name: str) -> Model:
    return _parsed((files(__package__) / "models" / f"{name}.json").read_bytes(), name)


def _parsed(content: bytes, where: str) -> Model:
    try:
        found = _model(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(
            say("not a phantom's description: {error}", error=error),
            expected="JSON as docs/qa.md describes it",
            where=where,
        ) from error
    for module in found.modules:
        numbers = [
            module.z,
            module.length,
            module.radius,
            *(x for r in module.rods for x in (r.angle, r.r, r.radius)),
        ]
        if not all(math.isfinite(number) and abs(number) < 1e4 for number in numbers):
            raise MalformedError(
                say("module {name} has lengths out of bounds", name=module.name), expected="mm", where=where
            )
        if module.kind not in KINDS or module.length <= 0:
            raise MalformedError(
                say("module {name}", name=module.name),
                expected=say("a kind of {listed}", listed=", ".join(KINDS)),
                where=where,
            )
    return found


def _model(data: Mapping[str, Any]) -> Model:
    return Model(
        name=str(data["name"]),
        title=str(data.get("title", data["name"])),
        radius=float(data["radius"]),
        hu=float(data["body"]["hu"]),
        kv=None if data.get("kv") is None else float(data["kv"]),
        modules=tuple(_module(each) for each in data["modules"]),
        materials={str(name): dict(each) for name, each in data["materials"].items()},
        source=str(data["source"]),
        shell=dict(data.get("shell", {})),
    )


def _module(data: Mapping[str, Any]) -> Module:
    rods = (*data.get("inserts", ()), *data.get("discs", ()))
    known = ("name", "kind", "z", "length", "radius", "hu", "inserts", "discs")
    return Module(
        name=str(data["name"]),
        kind=str(data["kind"]),
        z=float(data["z"]),
        length=float(data["length"]),
        radius=float(data["radius"]),
        hu=float(data["hu"]),
        rods=tuple(_rod(each) for each in rods),
        more={key: value for key, value in data.items() if key not in known},
    )


def _rod(data: Mapping[str, Any]) -> Rod:
    return Rod(
        name=str(data["name"]),
        material=str(data.get("material", data["name"])),
        angle=float(data["angle"]),
        r=float(data["r"]),
        radius=float(data["radius"]),
        hu=None if data.get("hu") is None else float(data["hu"]),
    )
