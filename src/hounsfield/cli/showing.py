"""The part that `view` and `demo` share: a page on this machine, opened in the browser, until
Ctrl+C. Serves nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from hounsfield.cli.terminal import echo
from hounsfield.language import say

if TYPE_CHECKING:
    from starlette.applications import Starlette


def has_browser() -> bool:
    """Return whether a browser with windows can be opened here: there is a desktop, and the page is built."""
    from hounsfield.viewer import page

    desktop = sys.platform in {"win32", "darwin"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not desktop or page() is None:
        return False
    with contextlib.suppress(webbrowser.Error):
        webbrowser.get()
        return True
    return False


def show(app: Starlette, fragment: str, *, port: int = 0, browser: bool = True) -> None:
    """Serve `app` until Ctrl+C, which is its normal end; print its address, and open it where `browser`."""
    from hounsfield.server.supervisor import Address, run
    from hounsfield.viewer import HOW_TO_BUILD, page

    if page() is None:
        echo(say("the viewer's page is not built: {how_to_build}", how_to_build=HOW_TO_BUILD), err=True)
    address = Address(port=port)
    with contextlib.closing(address.listen()) as listening:
        url = f"{address.url(listening)}/{fragment}"

        def ready() -> None:
            echo(say("{url}\nCtrl+C stops it", url=url))
            sys.stdout.flush()
            if browser and page() is not None:
                # A browser may take its time to come back; requests do not wait for it.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        with contextlib.suppress(KeyboardInterrupt):
            run(app, address, listening, ready)
