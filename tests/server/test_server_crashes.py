"""Faults at every step of what changes an archive, and power failures; afterwards what was promised holds.

What is tried is in `server_crash_points`; what holds, in `server_promises`; what a disk forgets, in `server_power`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from server_crash_points import FAULTS, POWER, SCENARIOS, broken, objections

import hounsfield

PACKAGE = Path(hounsfield.__file__).parent

HEALED = "server/archive/index/rebuilding.py"
"""Where two syncs keep an old log from coming back beside a new index. Without them a start would find the damage and
make the index once more: nothing is lost, which is why no state of the model says so."""


@pytest.mark.timeout(1200)
def test_death_at_any_step_breaks_no_promise() -> None:
    assert broken("store", "replace", "delete", "reindex", "start", "import", "watch", fault="death") == {}


@pytest.mark.timeout(1200)
def test_death_at_any_step_over_an_object_store_breaks_no_promise() -> None:
    assert broken("store", "replace", "start", fault="death", store="objects") == {}


@pytest.mark.timeout(1200)
def test_an_error_of_the_disk_at_any_step_breaks_no_promise() -> None:
    assert broken("replace", "reindex", "import", fault="EIO") == {}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fault", ["ENOSPC", "short", "short, then ENOSPC"])
def test_a_disk_that_is_full_at_any_step_breaks_no_promise(fault: str) -> None:
    assert broken("store", fault=fault) == {}


@pytest.mark.timeout(1200)
def test_a_power_failure_at_any_moment_breaks_no_promise() -> None:
    assert broken(*POWER, fault="power", limit=25) == {}


@pytest.mark.timeout(1200)
def test_without_any_one_of_its_syncs_a_power_failure_breaks_a_promise() -> None:
    found = objections("first store", "first import", "store and import", "delete", "store and reindex")
    silent = [site for site, objection in found.items() if objection is None]
    assert [site for site in silent if not site.startswith(HEALED)] == []
    assert len(found) > 10
    assert syncs() <= {site.partition(" ")[0] for site in found}, "a sync that no scenario comes to"


def syncs() -> set[str]:
    """Where the server's code syncs: file and line of each call."""
    found = set()
    for path in (PACKAGE / "server").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef) or function.name == "_sync_folder":
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in {
                    "os.fsync",
                    "sync",
                    "_sync_folder",
                }:
                    found.add(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    return found


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("store", ["folder", "objects"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_fault_at_any_step_breaks_no_promise(scenario: str, fault: Any, store: str) -> None:
    assert broken(scenario, fault=fault, store=store) == {}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", POWER)
def test_a_power_failure_in_very_many_ways_breaks_no_promise(scenario: str) -> None:
    assert broken(scenario, fault="power", limit=5000) == {}
