"""Contracts as classes, for whoever adds a location, a format or a codec: subclass one and give its fixtures.

Shipped, so that other packages prove theirs in the same way as the ones here are proved. pytest, which they need, is
not among the dependencies of `hounsfield`; nothing else imports this room.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"hounsfield.testing.{name}" for name in ("codecs", "formats", "locations", "sources"))
)

from hounsfield.testing.codecs import CodecContract  # noqa: E402 (assertions are rewritten from here on)
from hounsfield.testing.formats import FormatContract  # noqa: E402
from hounsfield.testing.locations import (  # noqa: E402
    ComparingContract,
    KnowingContract,
    LocationContract,
    NamedByUidContract,
    SearchableContract,
    SeriesSourceContract,
    WritableContract,
    phantom_instances,
)
from hounsfield.testing.sources import SourceContract  # noqa: E402

__all__ = [
    "CodecContract",
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
