"""The place of the built page: package data, made from `viewer/` of the checkout by `make viewer`; no code of the page.

A wheel carries it. A checkout where Node never ran has none: everything but the page works, and says so.
"""

from __future__ import annotations

from pathlib import Path

HOW_TO_BUILD = "install Node 20.19 or later and run: make viewer"
"""Advice for a checkout without the page."""


def page() -> Path | None:
    """The folder of the built page, `index.html` in it; None where it was not built."""
    folder = Path(__file__).resolve().parent / "page"
    return folder if (folder / "index.html").is_file() else None
