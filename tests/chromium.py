"""A headless Chromium by the DevTools protocol through pipes, with the standard library alone.

It is the one that HDC_CHROMIUM names, or one on the PATH.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
START = """
import fcntl, os, sys
ours = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for place, descriptor in enumerate(ours, 3):
    os.dup2(descriptor, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium speaks the protocol through the descriptors 3 and 4."""

KEYS = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
PATIENCE = 120.0


def find() -> str | None:
    """The path of a Chromium."""
    found = [os.environ.get("HDC_CHROMIUM"), *map(shutil.which, BROWSERS)]
    return next((path for path in found if path and Path(path).exists()), None)


class Chromium:
    """A browser in a process of its own, with a profile that is gone after it."""

    def __init__(self, path: str, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._number, self._rest = 0, b""
        from_us, self._write = os.pipe()
        self._read, from_it = os.pipe()
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        profile = f"--user-data-dir={self._folder.name}"
        fixed = ["--headless=old", "--disable-gpu", "--remote-debugging-pipe", profile]
        start = [sys.executable, "-c", START, str(from_us), str(from_it)]
        self.process = subprocess.Popen(
            [*start, path, *fixed, *sandbox, *options, "about:blank"],
            pass_fds=(from_us, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(from_it)

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self.call("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._read, self._write):
            os.close(descriptor)
        self._folder.cleanup()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer to a call of the protocol."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next(PATIENCE)
            if found.get("id") == number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']['message']}")
                result: dict[str, Any] = found["result"]
                return result
            self._hear(found)

    def _hear(self, found: dict[str, Any]) -> None:
        listener = self._listeners.get(found.get("sessionId", ""))
        if listener and "method" in found:
            listener(found["method"], found["params"])

    def _next(self, seconds: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select([self._read], [], [], seconds)[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise OSError("Chromium has ended")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def page(self) -> Page:
        """A new page, in a context without the others' storage."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, attached["sessionId"])
        self._listeners[page.session] = page.hear
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.call(f"{domain}.enable")
        return page


class Page:
    """A page, with what it asked for and what went wrong on it."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser, self.session = browser, session
        self.wrong, self.asked = list[str](), list[str]()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a call of the protocol."""
        return self.browser.call(method, self.session, **parameters)

    def hear(self, event: str, found: dict[str, Any]) -> None:
        """Note an event."""
        if event == "Runtime.consoleAPICalled":
            self.wrong.append(" ".join(str(x.get("value")) for x in found["args"]))
        elif event == "Runtime.exceptionThrown":
            details = found["exceptionDetails"]
            self.wrong.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Log.entryAdded":
            self.wrong.append(f"{found['entry']['text']} {found['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            self.asked.append(found["request"]["url"])

    def open(self, address: str) -> None:
        """Go there, until all of it is loaded."""
        self.call("Page.navigate", url=address)
        time.sleep(0.1)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What an expression gives, a promise's result too; raises RuntimeError."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = PATIENCE) -> Any:
        """What an expression gives as soon as that is true; true for an element."""
        end = time.monotonic() + seconds
        while True:
            with suppress(RuntimeError):  # while a page gives way to another
                if found := self.run(f"(x => x instanceof Node || x)({condition})"):
                    return found
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}: not within {seconds} s; {self.wrong}")
            time.sleep(0.05)

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in an <input type=file>."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def press(self, key: str) -> None:
        """A key of the keyboard, by its name."""
        code = KEYS[key]
        for kind in ("rawKeyDown", "keyUp"):
            told = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type=kind, **told)

    def shape(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """The window and its colours."""
        size = {"width": width, "height": height, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """All of the page as a PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])
