"""The pages in a real Chromium: drawn by the library, quiet, within the screen, fresh without a reload."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from dashboard.assets import shipped
from dashboard.render import Place, market_page, overview_page
from tests.backtest import test_report_in_browser as instruments
from tests.backtest.browser import chromium
from tests.dashboard import samples

pytestmark = pytest.mark.servers

PHONE, DESK = 390, 1440
FILE = Place(is_live=False, root="../")
# Words that a reader cannot reach: left of the screen or right of it, unless in a region that scrolls.
OUTSIDE = """
read = "h1, h2, h3, p, li, dt, dd, th, td, summary, .badge, text, button, input";
[...document.querySelectorAll(read)].filter(each => {
  const box = each.getBoundingClientRect();
  const elsewhere = box.width <= 1 || each.closest(".scroll, .markets thead, details:not([open])");
  return !elsewhere && (box.left < -0.5 || box.right > innerWidth + 0.5);
}).map(each => each.textContent)
"""
# A ribbon's words lie on its stretches, not on the page.
LEAST_CONTRAST = instruments.LEAST_CONTRAST.replace('"text, ', '":not(.ribbon) > text, ')
DRAWN = "[...document.querySelectorAll('[data-chart] canvas')].length"
NEEDS = pytest.mark.skipif(len(shipped().assets) < 2, reason="the libraries are not packed: make assets")


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as page:
        yield page


@pytest.fixture
def shown(browser, tmp_path):
    async def show(text, width, dark=False):
        file = tmp_path / "page.html"
        file.write_text(text)
        await browser.open(file, width=width, dark=dark)
        return browser

    return show


@NEEDS
@pytest.mark.parametrize("make", [samples.leaving, samples.stale, samples.bare, samples.hostile])
async def test_a_file_opens_on_both_screens_by_day_and_night(shown, browser, make):
    """One request, a quiet console, all on the screen, readable, charts where there is data."""
    text = market_page(make(), FILE)
    for width in (PHONE, DESK):
        for dark in (False, True):
            await shown(text, width, dark)
            assert await browser.value("document.documentElement.scrollWidth") == width
            assert await browser.value(OUTSIDE) == []
            assert await browser.value(LEAST_CONTRAST) >= 4.5
            assert await browser.value(DRAWN) == (0 if make is samples.bare else 2)
    assert [each for each in browser.requests if not each.startswith(("file://", "data:"))] == []
    assert browser.complaints == []


@pytest.mark.parametrize("markets", [0, 6, 60])
async def test_the_overview_fits_a_phone_and_finds_a_market(shown, browser, markets):
    """Nothing beside the screen; what is typed leaves the rows that have it."""
    text = overview_page(samples.overview(markets), FILE)
    for width in (PHONE, DESK):
        await shown(text, width, dark=width == PHONE)
        assert await browser.value("document.documentElement.scrollWidth") == width
        assert await browser.value(OUTSIDE) == []
        assert await browser.value(LEAST_CONTRAST) >= 4.5
    assert browser.complaints == []
    if markets == 60:
        await browser.value("document.querySelector('[data-filter] input').focus()")
        await browser.ask("Input.insertText", text="a7-")
        rows = "[...document.querySelectorAll('[data-words]')].filter(each => !each.hidden)"
        told = f"{rows}.map(each => each.cells[0].textContent)"
        assert await browser.value(told) == ["KUCOIN-A7-USDT"]


@NEEDS
async def test_the_library_draws_the_numbers_of_the_page(shown, browser):
    """Candles, verdicts in their hours, and nine figures; the plain drawing steps back; the night is dark."""
    page = samples.leaving()
    await shown(market_page(page, FILE), DESK, dark=True)
    options = "echarts.getInstanceByDom(document.querySelector('[data-chart=price-data]')).getOption()"
    assert await browser.value(f"{options}.dataset[0].source.close.length") == 24
    areas = await browser.value(f"{options}.series.find(each => each.name === 'Verdict').markArea.data")
    hours = [(area[1]["xAxis"] - area[0]["xAxis"]) / 3_600_000 for area in areas]
    assert hours == [9, 5, 6, 4]
    assert areas[0][0]["itemStyle"]["color"].startswith("#")
    assert await browser.value("getComputedStyle(document.querySelector('.drawn')).display") == "none"
    figures = "echarts.getInstanceByDom(document.querySelector('[data-chart=figures-data]')).getOption()"
    assert await browser.value(f"{figures}.series.length") == 9


async def test_without_script_the_page_is_whole(shown, browser):
    """Scripts switched off: plain drawings, tables that open by keyboard, times that say UTC."""
    await browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    await shown(market_page(samples.leaving(), FILE), PHONE)
    await browser.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert await browser.value("document.querySelector('.plot').getBoundingClientRect().height") > 200
    assert await browser.value("document.querySelector('.live').getBoundingClientRect().height") == 0
    assert "UTC" in await browser.value("document.querySelector('time').textContent")
    assert await browser.value(OUTSIDE) == []


async def test_times_are_told_in_the_readers_zone(shown, browser):
    """In Tokyo the hour that closed at midnight UTC closed at nine; UTC is on hover."""
    await browser.ask("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    await shown(market_page(samples.quiet(), FILE), DESK)
    (told, title) = await browser.value(
        "(at => [at.textContent, at.title])(document.querySelector('.now time'))"
    )
    assert "09:00" in told
    assert title == "2026-03-15 00:00 UTC"
    assert await browser.value("document.querySelector('[data-zone]').textContent") == "Asia/Tokyo"


async def until(page, expression, wanted):
    """Ask until it is so; the test's own time limit ends it."""
    while (found := await page.value(expression)) != wanted:
        await asyncio.sleep(0.05)
    return found


@NEEDS
async def test_a_live_page_stays_fresh_and_keeps_what_the_reader_does(browser):
    """New values come in without a reload; what is open, typed and drawn stays; silence is told."""
    pages = [market_page(samples.leaving(), Place(is_live=True))]

    thaw = asyncio.Event()

    async def answer(_):
        if pages[-1] == "frozen":
            await thaw.wait()
        return web.Response(text=pages[-1], status=200 if pages[-1] else 503, content_type="text/html")

    async def asset(request):
        found = shipped().at(request.match_info["name"])
        return web.Response(text=found.text, content_type="text/javascript")

    site = web.Application()
    site.router.add_get("/", answer)
    site.router.add_get("/assets/{name}", asset)
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        await browser.ask("Page.navigate", url=f"http://{host}:{port}/")
        await until(browser, DRAWN, 2)
        await browser.value("document.querySelector('.answer [name=note]').value = 'mine'")
        await browser.value("document.querySelector('.advice details').open = true")
        await browser.value("window.kept = document.querySelector('[data-chart] canvas')")
        now = replace(samples.leaving().now, price=2099.0)
        failing = replace(samples.leaving(), now=now, live=samples.live(status="fail"), after="2026-03-15")
        pages.append(market_page(failing, Place(is_live=True)))
        ring = "document.dispatchEvent(new Event('visibilitychange'))"
        await browser.value(ring)
        await until(browser, "document.querySelector('.now .wide strong').textContent", "2,099.00")
        head = "document.querySelector('header.top').textContent"
        assert "Failing" in await browser.value(head)
        assert "2026-03-15" in await browser.value(head)
        assert await browser.value("document.querySelector('.answer [name=note]').value") == "mine"
        assert await browser.value("document.querySelector('.advice details').open")
        assert await browser.value("window.kept.isConnected")
        assert browser.complaints == []
        pages.append("")
        await browser.value(ring)
        await until(browser, "document.getElementById('lost').hidden", wanted=False)
        assert "No answer from the daemon" in await browser.value(
            "document.getElementById('lost').textContent"
        )
        pages.pop()
        await browser.value(ring)
        await until(browser, "document.getElementById('lost').hidden", wanted=True)
        pages.append("frozen")
        await browser.value("window.real = AbortSignal.timeout.bind(AbortSignal)")
        await browser.value("AbortSignal.timeout = ms => window.real((window.asked = ms) / 300)")
        await browser.value(ring)
        await until(browser, "document.getElementById('lost').hidden", wanted=False)
        assert 0 < await browser.value("window.asked") < 20_000
    finally:
        thaw.set()
        await runner.cleanup()
