"""Contracts as classes, for whoever adds a location: a test class that gives its fixtures is held to them.

Shipped, so that other packages prove theirs in the same way as the ones here are proved. pytest, which they need, is
not among the dependencies of `hounsfield`; nothing else imports this room.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("hounsfield.testing.locations")

from hounsfield.testing.locations import (  # noqa: E402 (its assertions are rewritten from here on)
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
    "KnowingContract",
    "LocationContract",
    "NamedByUidContract",
    "SearchableContract",
    "SeriesSourceContract",
    "SourceContract",
    "WritableContract",
    "phantom_instances",
]
