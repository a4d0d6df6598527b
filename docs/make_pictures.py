"""Make the README's pictures, docs/pictures/*.png: `make pictures`, a minute.

The real command leaves a data repository of simulated candles, the same every time; `regimed dashboard` makes
its pages, and Debian's Chromium photographs them (`.ci/run` installs it).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).with_name("pictures")
ROOT = TARGET.parent.parent
REGIMED = [sys.executable, "-m", "daemon.cli"]
HOURS = 24
DAY = Path("ETH-USDT", "2026-01-05.html")
VIEWS = {"market": {"width": 1180, "height": 1000}, "phone": {"width": 390, "height": 1000}}


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo, pages = Path(folder) / "demo", Path(folder) / "pages"
        told = ("--once", "--hours", str(HOURS), "--markets", "1", "--port", "0", "--dir", str(demo))
        subprocess.run([*REGIMED, "demo", *told], check=True, cwd=ROOT)
        subprocess.run([*REGIMED, "dashboard", "--out", pages, "--repo", demo / "data"], check=True, cwd=ROOT)
        with sync_playwright() as engine:
            browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for name, size in VIEWS.items():
                photograph(browser.new_page(viewport=size), pages / DAY, TARGET / f"{name}.png")
            browser.close()


def photograph(page: Page, file: Path, target: Path) -> None:
    """Keep what somebody sees first of a page, once its charts are drawn."""
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    page.screenshot(path=target, animations="disabled")


if __name__ == "__main__":
    main()
