"""A real Chromium without a head, over its own DevTools protocol: what a page asks for and looks like."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import required

NOWHERE = "http://127.0.0.1:9"  # the discard port: what a page asks of a network fails, and is seen
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    f"--proxy-server={NOWHERE}",
    "--remote-debugging-port=0",
)
_TELLING = "DevTools listening on "


@dataclass
class Page:
    """One tab.

    Attributes:
        requests: Addresses asked for since it was opened, the page's own among them.
        complaints: What went to the console, and errors nobody caught.
    """

    socket: aiohttp.ClientWebSocketResponse
    session_id: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _asked: int = 0
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Take in what the browser tells, until it goes."""
        async for message in self.socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
                continue
            match told["method"]:
                case "Network.requestWillBeSent":
                    self.requests.append(told["params"]["request"]["url"])
                case "Log.entryAdded":
                    self.complaints.append(told["params"]["entry"]["text"])
                case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                    self.complaints.append(str(told["params"]))
                case "Page.loadEventFired":
                    self._loaded.set()

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer to one command."""
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        command = {"id": self._asked, "method": method, "params": params}
        await self.socket.send_json({**command, "sessionId": self.session_id} if self.session_id else command)
        told = await asyncio.wait_for(answer, 60)
        assert "error" not in told, f"{method}: {told['error']}"
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, file: Path, *, width: int, dark: bool) -> None:
        """Load a file from the disk as a screen of that width shows it, and wait until all is there."""
        phone = width < 600
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded.clear()
        await self.ask("Page.navigate", url=file.as_uri())
        await asyncio.wait_for(self._loaded.wait(), 60)

    async def value(self, expression: str) -> Any:
        """Return what an expression of the page's language comes to."""
        told = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def picture(self) -> bytes:
        """Return the whole page as PNG, however long it is."""
        told = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go.

        Args:
            text: What it types.
        """
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **named)

    async def roles(self) -> list[tuple[str, str]]:
        """Return role and name of everything that a screen reader is told."""
        told = await self.ask("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in told["nodes"]
            if not node.get("ignored")
        ]


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    """Yield an empty tab of a browser that knows no network and keeps nothing outside `folder`."""
    command = required("chromium", "chromium", folders="usr/bin")
    process = await asyncio.create_subprocess_exec(
        command,
        *_FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await asyncio.wait_for(_address(process), 60)
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            page = Page(socket, "")
            listening = asyncio.create_task(page.listen())
            target = await page.ask("Target.createTarget", url="about:blank")
            attached = await page.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            page.session_id = attached["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
                await page.ask(f"{domain}.enable")
            yield page
            listening.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Return where the browser listens, on loopback at a port that was free."""
    assert process.stderr is not None
    async for line in process.stderr:
        if (text := line.decode().strip()).startswith(_TELLING):
            return text.removeprefix(_TELLING)
    raise AssertionError("Chromium ended before it listened")
