"""A real Chromium driven by Playwright: every request and every complaint of a page is kept."""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers import required

NOWHERE = "http://127.0.0.1:9"  # the discard port: what a page asks of a network fails, and is seen
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def library(name: str) -> Any:
    """Return a module of the development requirements; skips where it is absent, fails where it must be."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("REGIMED_SERVERS_REQUIRED"):
            pytest.fail(f"{name} is not installed (requirements/dev.txt), and here it must be")
        pytest.skip(f"{name} is not installed (requirements/dev.txt)")


@dataclass
class Browser:
    """A browser that keeps what its pages did.

    Attributes:
        requests: Addresses that pages asked for.
        complaints: What went to the console, and errors that nobody caught.
    """

    engine: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(
        self,
        *,
        dark: bool = False,
        phone: bool = False,
        offline: bool = False,
        script: bool = True,
        zone: str = "UTC",
    ) -> AsyncIterator[Any]:
        """Yield a tab of a reader of its own."""
        context = await self.engine.new_context(
            viewport=PHONE if phone else DESK,
            is_mobile=phone,
            has_touch=phone,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=script,
            timezone_id=zone,
            offline=offline,
            locale="en-GB",
        )
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        try:
            yield page
        finally:
            await context.close()

    def asked_elsewhere(self, base: str) -> list[str]:
        """Return what was asked of anybody but `base`."""
        return [each for each in self.requests if not each.startswith(base)]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Debian's Chromium, which knows no way to the network but the loopback."""
    command = required("chromium", "chromium", folders="usr/bin")
    api = library("playwright.async_api")
    async with api.async_playwright() as playwright:
        engine = await playwright.chromium.launch(
            executable_path=command, args=list(FLAGS), proxy={"server": NOWHERE, "bypass": "127.0.0.1"}
        )
        try:
            yield Browser(engine)
        finally:
            await engine.close()


async def barriers(page: Any) -> list[str]:
    """Return what axe finds serious or critical for people who cannot see, point or tell colours apart."""
    script = Path(library("axe_playwright_python").__file__).with_name("axe.min.js").read_text()
    await page.evaluate(script)
    found = await page.evaluate(
        "options => axe.run(document, options)",
        {"runOnly": {"type": "tag", "values": list(STANDARDS)}, "resultTypes": ["violations"]},
    )
    assert found["passes"], "axe looked at nothing"
    return [
        f"{each['impact']} {each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


async def sideways(page: Any) -> int:
    """Return by how many pixels the page is wider than the screen."""
    wide: int = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return wide


UNREACHED = """
() => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
  .filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled && each.tabIndex >= 0)
  .filter(each => !each.dataset.reached)
  .map(each => each.outerHTML.slice(0, 120))
"""


async def walk_by_keyboard(page: Any, most: int = 600) -> list[str]:
    """Press Tab to the end of the page; returns what can be used by pointing and was not reached.

    Everything that is reached has to show where the focus is; a date's later stops are the browser's own.
    """
    hidden = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        told = await page.evaluate(
            """() => {
              const at = document.activeElement;
              if (!at || at === document.body) return null;
              const before = at.dataset.reached === "yes", again = before && at !== window.reachedLast;
              at.dataset.reached = "yes";
              window.reachedLast = at;
              const style = getComputedStyle(at);
              const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
              const shown = before || seen || style.boxShadow !== "none";
              return {again, shown, what: at.outerHTML.slice(0, 120)};
            }"""
        )
        if told is None or told["again"]:
            break
        if not told["shown"]:
            hidden.append(f"no focus to be seen: {told['what']}")
    unreached: list[str] = await page.evaluate(UNREACHED)
    return hidden + unreached
