"""The package zarr, which the extra `zarr` brings: OME-Zarr alone needs it."""

from __future__ import annotations

import importlib
from typing import Any

from hounsfield.errors import UnsupportedError


def zarr_package(name: str = "zarr") -> Any:
    """Return the package zarr, or a module of it. Raises `UnsupportedError` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnsupportedError(
            "OME-Zarr needs the package zarr", remedy='pip install "hounsfield[zarr]"'
        ) from error
