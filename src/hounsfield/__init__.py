"""Hounsfield units that can be trusted, out of CT DICOM wherever it lies.

`load(location)` gives a `Volume`; `scan(location)` the series with their verdicts. Names are loaded when used, so
that `import hounsfield` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hounsfield import errors as errors
    from hounsfield import phantom as phantom
    from hounsfield.client import Client as Client
    from hounsfield.errors import HounsfieldError as HounsfieldError
    from hounsfield.export import write_volume as write_volume
    from hounsfield.instance import Instance as Instance
    from hounsfield.instance import Skipped as Skipped
    from hounsfield.locations import open_location as open_location
    from hounsfield.reading import Scan as Scan
    from hounsfield.reading import instances as instances
    from hounsfield.reading import load as load
    from hounsfield.reading import scan as scan
    from hounsfield.search import find as find
    from hounsfield.series import Series as Series
    from hounsfield.transcode import register_pydicom as register_pydicom
    from hounsfield.transfer import copy as copy
    from hounsfield.volume import Report as Report
    from hounsfield.volume import Volume as Volume

_HOMES = {
    "Client": "client",
    "HounsfieldError": "errors",
    "Instance": "instance",
    "Report": "volume",
    "Scan": "reading",
    "Series": "series",
    "Skipped": "instance",
    "Volume": "volume",
    "copy": "transfer",
    "find": "search",
    "instances": "reading",
    "load": "reading",
    "open_location": "locations",
    "register_pydicom": "transcode",
    "scan": "reading",
    "write_volume": "export",
}
_MODULES = ("errors", "phantom")

__all__ = [
    "Client",
    "HounsfieldError",
    "Instance",
    "Report",
    "Scan",
    "Series",
    "Skipped",
    "Volume",
    "__version__",
    "copy",
    "errors",
    "find",
    "instances",
    "load",
    "open_location",
    "phantom",
    "register_pydicom",
    "scan",
    "write_volume",
]
__version__ = version("hounsfield")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"hounsfield.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"hounsfield.{name}")
    raise AttributeError(f"module 'hounsfield' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
