"""Rendering of stored pixels: frames in another coding, pictures, volumes in HU."""

from __future__ import annotations
