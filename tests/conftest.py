"""Fixtures every test may use, and the loud word at the end about what was skipped and what would run it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT; a test that needs it is skipped, loudly, where it is not."""
    folder = Path(os.environ.get("HOUNSFIELD_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real CT is not at {folder}; set HOUNSFIELD_TEST_DATA to the folder that holds it")
    return folder
