"""The door of the archive: bytes on their way in, validated and stored, whichever protocol brought them."""

from __future__ import annotations
