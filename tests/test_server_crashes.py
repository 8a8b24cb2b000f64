"""Death at every step of what changes an archive; afterwards what was promised holds."""

from __future__ import annotations

import pytest

from server_crash_points import SCENARIOS, broken


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_death_at_any_step_breaks_no_promise(scenario):
    assert broken(scenario) == {}
