"""Contracts as classes, for whoever adds a location or a format: a test class that gives its fixtures is held to them.

Shipped, so that other packages prove theirs in the same way as the ones here are proved. pytest, which they need, is
not among the dependencies of `hounsfield`; nothing else imports this room.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("hounsfield.testing.formats", "hounsfield.testing.locations")

from hounsfield.testing.formats import FormatContract  # noqa: E402 (assertions are rewritten from here on)
from hounsfield.testing.locations import (  # noqa: E402
    ComparingContract,
    KnowingContract,
    LocationContract,
    NamedByUidContract,
    SearchableContract,
    SeriesSourceContract,
    SourceContract,
    WritableContract,
    phantom_instances,
)

__all__ = [
    "ComparingContract",
    "FormatContract",
    "KnowingContract",
    "LocationContract",
    "NamedByUidContract",
    "SearchableContract",
    "SeriesSourceContract",
    "SourceContract",
    "WritableContract",
    "phantom_instances",
]
