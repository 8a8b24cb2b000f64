"""Hounsfield units that can be trusted, out of CT DICOM wherever it lies.

`load(location)` gives a `Volume`; `scan(location)` the series with their verdicts. Names are loaded when used, so
that `import hounsfield` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hounsfield.ct.attachments import attach

if TYPE_CHECKING:
    from hounsfield import errors as errors
    from hounsfield import phantom as phantom
    from hounsfield import qa as qa
    from hounsfield.client import Client as Client
    from hounsfield.ct.instance import Instance as Instance
    from hounsfield.ct.instance import Skipped as Skipped
    from hounsfield.ct.series import Series as Series
    from hounsfield.ct.volume import Report as Report
    from hounsfield.ct.volume import Volume as Volume
    from hounsfield.errors import HounsfieldError as HounsfieldError
    from hounsfield.formats import write_volume as write_volume
    from hounsfield.locations import open_location as open_location
    from hounsfield.transcode import register_pydicom as register_pydicom
    from hounsfield.verbs.check import check as check
    from hounsfield.verbs.copy import copy as copy
    from hounsfield.verbs.find import find as find
    from hounsfield.verbs.load import Scan as Scan
    from hounsfield.verbs.load import instances as instances
    from hounsfield.verbs.load import load as load
    from hounsfield.verbs.load import scan as scan
    from hounsfield.verbs.masks import masks as masks

_HOMES = {
    "Client": "client",
    "HounsfieldError": "errors",
    "Instance": "ct.instance",
    "Report": "ct.volume",
    "Scan": "verbs.load",
    "Series": "ct.series",
    "Skipped": "ct.instance",
    "Volume": "ct.volume",
    "check": "verbs.check",
    "copy": "verbs.copy",
    "find": "verbs.find",
    "instances": "verbs.load",
    "load": "verbs.load",
    "masks": "verbs.masks",
    "open_location": "locations",
    "register_pydicom": "transcode",
    "scan": "verbs.load",
    "write_volume": "formats",
}
_MODULES = ("errors", "phantom", "qa")

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
    "check",
    "copy",
    "errors",
    "find",
    "instances",
    "load",
    "masks",
    "open_location",
    "phantom",
    "qa",
    "register_pydicom",
    "scan",
    "write_volume",
]
__version__ = version("hounsfield")


def _bridges() -> Any:
    from hounsfield import bridges

    return bridges


def _grid() -> Any:
    from hounsfield.ct import grid

    return grid


def _report() -> Any:
    from hounsfield.runs import report

    return report


def _save() -> Any:
    from hounsfield.verbs import save

    return save


attach("bridges", _bridges)
attach("grid", _grid)
attach("report", _report)
attach("save", _save)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"hounsfield.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"hounsfield.{name}")
    raise AttributeError(f"module 'hounsfield' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
