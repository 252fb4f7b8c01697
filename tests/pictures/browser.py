"""A real browser without a screen, driven through the debugging protocol of Chromium, for `flux-tui web`."""

import asyncio
import base64
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WAIT_SECONDS = 30.0


def installed() -> str | None:
    """Return a browser of this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Run `flux-tui web` with these arguments. Yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux_tui", "web", "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.received = b""
        """The data that came to the page through its web socket."""
        self.sockets: list[str] = []
        """The addresses of its web sockets."""
        self.answers: list[tuple[str, int, str]] = []
        """The address, status and `Content-Range` of each answer."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command. Return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found

    async def until_received(self, text: str) -> None:
        """Wait until a text came through the web socket of the page."""
        while text.encode() not in self.received:
            await self._next()

    async def key(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, text=key if kind == "keyDown" else "", key=key
            )

    async def click(self, x: int, y: int) -> None:
        """Click, which also focuses the terminal."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not await self.evaluate(expression):
            assert time.monotonic() < deadline, expression
            await asyncio.sleep(0.02)

    async def picture(self) -> bytes:
        """Return a screenshot as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = await asyncio.wait_for(self._socket.receive_json(), WAIT_SECONDS)
        if message.get("method") == "Network.webSocketCreated":
            self.sockets.append(message["params"]["url"])
        if message.get("method") == "Network.responseReceived":
            answer = message["params"]["response"]
            part = answer["headers"].get("Content-Range", "")
            self.answers.append((answer["url"], answer["status"], part))
        if message.get("method") == "Network.webSocketFrameReceived":
            frame = message["params"]["response"]
            data = frame["payloadData"]
            self.received += base64.b64decode(data) if frame["opcode"] == 2 else data.encode()
        return message


@asynccontextmanager
async def opened(browser: str, width: int = 1280, height: int = 760) -> AsyncIterator[Page]:
    """An empty page in a new browser."""
    folder = Path(tempfile.mkdtemp(prefix="flux-tui-browser-"))
    process = subprocess.Popen(  # noqa: ASYNC220 - as good as at once
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
         f"--window-size={width},{height}", f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await asyncio.to_thread(_port, folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                address = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                await page.call("Page.enable")
                await page.call("Network.enable")
                await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
                yield page
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _port(file: Path) -> int:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.02)
    raise TimeoutError("the browser did not start")
