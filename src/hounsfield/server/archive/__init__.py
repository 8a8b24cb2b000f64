"""Stored instances: files in `store`, what is known of them in `index`, digests in `integrity`."""

from __future__ import annotations
