"""Debian's Firefox by WebDriver BiDi, which it speaks itself: no driver in between. Just what a smoke test needs."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

SECONDS = 60.0


class Firefox:
    """One tab."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._number = socket, 0
        self.call("session.new", capabilities={})
        tree = self.call("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        self.call(
            "browsingContext.setViewport", context=self._context, viewport={"width": 1280, "height": 720}
        )

    def call(self, method: str, **parameters: Any) -> Any:
        """The result of one command; what is told between is passed over."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=SECONDS))
            if answer.get("id") == self._number:
                if answer["type"] == "error":
                    raise RuntimeError(answer["message"])
                return answer["result"]

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """A value that JSON can hold, of an expression that may be awaited."""
        found = self.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if found["type"] == "exception":
            raise RuntimeError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"]) if "value" in found["result"] else None

    def wait_for(self, expression: str) -> None:
        until = time.monotonic() + SECONDS
        while not self.evaluate(f"!!({expression})"):
            if time.monotonic() > until:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def press(self, key: str) -> None:
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.call(
            "input.performActions",
            context=self._context,
            actions=[{"type": "key", "id": "keys", "actions": actions}],
        )

    def screenshot(self) -> bytes:
        return base64.b64decode(self.call("browsingContext.captureScreenshot", context=self._context)["data"])


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    """A browser with a profile of its own, or a skip that names what is missing."""
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed (PyPI)")
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        pytest.skip("Firefox is not installed (Debian: firefox-esr)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = subprocess.Popen([*command, "about:blank"], stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            address = next(found[1] for line in process.stderr if (found := re.search(r"(ws://\S+)", line)))
            with client.connect(f"{address}/session", max_size=None) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            process.communicate(timeout=30)
