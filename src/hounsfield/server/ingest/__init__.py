"""Ingest: bytes on their way into the archive, validated and stored, whichever protocol brought them."""

from __future__ import annotations
