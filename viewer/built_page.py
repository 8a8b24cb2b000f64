"""Build hook: no wheel or source distribution leaves without the viewer's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuiltPage(BuildHookInterface[Any]):
    """Refuse to build what would lack the page; an editable installation may build it later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        page = Path(self.root) / "src/hounsfield/viewer/page/index.html"
        if version != "editable" and not page.is_file():
            raise RuntimeError(
                f"the viewer's page is not built: {page} is missing; run `make viewer` (it needs Node 20.19 or later), "
                "or build from the source distribution, which holds it"
            )
