"""The findings of an analysis, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hounsfield.phantom.qa import Model
from hounsfield.qa.curves import Curve, from_inserts
from hounsfield.qa.placement import Placement


@dataclass(frozen=True)
class Insert:
    """One insert: HU, with `se` the standard error of `mean`; None where too much of it is cut off."""

    name: str
    material: str
    mean: float | None
    median: float | None
    sd: float | None
    se: float | None
    nominal: float | None


@dataclass(frozen=True)
class Result:
    """The analysis of one series; `details` has every other number as the JSON names it."""

    phantom: str
    model: Model
    placement: Placement
    details: Mapping[str, Any]
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    verdicts: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def roll(self) -> float:
        """Degrees clockwise on the image."""
        return self.placement.roll

    @property
    def tilt(self) -> float:
        """Degrees between the phantom's axis and z."""
        return self.placement.tilt

    @property
    def inserts(self) -> dict[str, Insert]:
        """Inserts by name, and by material where only one is of it (two of air: the first)."""
        found: dict[str, Insert] = {}
        for each in self.details["inserts"]:
            insert = Insert(
                *(each[key] for key in ("name", "material", "mean", "median", "sd", "se", "nominal"))
            )
            found[insert.name] = insert
            found.setdefault(insert.material, insert)
        return found

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules that were measured."""
        return tuple(each["name"] for each in self.details["modules"])

    @property
    def is_broken(self) -> bool:
        """Whether a named limit is broken."""
        return any(each["within"] is False for each in self.verdicts)

    def json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "format": 1,
            **self.details,
            "placement": self.placement.to_json(),
            "missing": list(self.missing),
            "warnings": list(self.warnings),
            "verdicts": [dict(each) for each in self.verdicts],
        }

    def curve(self, kind: str = "ed", *, use_plastics: bool = False, cone_beam: bool = False) -> Curve:
        """Return the calibration curve from these inserts: "ed", "mass", "rsp" or "mu"."""
        line = self.details.get("linearity")
        return from_inserts(
            self.details["inserts"],
            self.model.materials,
            kind,
            slope=None if line is None else line["slope"],
            scanner=self.details["scanner"],
            protocol=self.details["protocol"],
            use_plastics=use_plastics,
            cone_beam=cone_beam,
        )
