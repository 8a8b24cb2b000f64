"""What the project stands on: pins that every Python it promises can install, from whatever index."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[2]


def test_every_pinned_dependency_runs_on_the_oldest_python() -> None:
    """What we develop with is newer; a pin that only the newer takes fails a user's first command."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    refused = {
        distribution.name: wanted
        for distribution in importlib.metadata.distributions()
        if (wanted := distribution.metadata.get("Requires-Python"))  # type: ignore[attr-defined]
        and oldest not in SpecifierSet(wanted, prereleases=True)
    }
    assert refused == {}


def test_all_holds_every_extra_and_gpl_encoders_come_by_one_alone() -> None:
    """Who installs the package gets none; av's wheels bring x264 and x265."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras.pop("all")) == {each for members in extras.values() for each in members}
    names = {re.split(r"[^A-Za-z0-9._-]", each)[0] for each in project["dependencies"]}
    assert "av" not in names and [each for each in extras["film"] if each.startswith("av>")]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_each_python_has_one_pin_of_the_codecs_and_it_is_one_that_is_wanted(python: str) -> None:
    """OpenJPH before 0.32 dies of damaged codestreams; no wheel for Python 3.11 has a later one."""
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    wanted = [
        requirement
        for each in tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
        if (requirement := Requirement(each)).name == "imagecodecs"
        and requirement.marker is not None
        and requirement.marker.evaluate(here)
    ]
    pins = [
        pin
        for line in (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
        if (pin := Requirement(line)).name == "imagecodecs" and pin.marker and pin.marker.evaluate(here)
    ]
    assert len(wanted) == len(pins) == 1
    (version,) = {each.version for each in pins[0].specifier}
    assert version in wanted[0].specifier


def test_the_pins_name_no_index() -> None:
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+(; python_version [<>=]+ \"3\.\d+\")?")
    lines = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not pin.fullmatch(line)] == []
