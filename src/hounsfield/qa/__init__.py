"""Quality assurance with the phantoms of the field: a scan in, numbers with their errors out.

`analyse(volume)` finds a CatPhan, an ACR 464, a water phantom or one described in JSON, says how it lies (turned,
mirrored, end for end, leaning) and measures it. Nothing is judged without limits that were named. Not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hounsfield.qa.analysis import analyse as analyse
    from hounsfield.qa.result import Result as Result

__all__ = ["Result", "analyse"]

_HOMES = {"Result": "result", "analyse": "analysis"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"hounsfield.qa.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hounsfield.qa' has no attribute {name!r}")
