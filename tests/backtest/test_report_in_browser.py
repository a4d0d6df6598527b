"""The page in a real browser, on a phone and on a desk, by day and by night, without a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backtest.report import html
from tests.backtest.browser import chromium
from tests.backtest.samples import sample_result
from tests.backtest.test_report import HOSTILE, hostile

pytestmark = pytest.mark.servers

PHONE, DESK = 390, 1280
COLOURS = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].join(' ')"
# Words that a reader cannot reach: text of a chart or of the page itself that begins left of the screen or
# ends right of it, unless it lies in a region of its own that scrolls.
OUTSIDE = """
[...document.querySelectorAll("text, h1, h2, p, li, dt, dd, summary, figcaption")].filter(each => {
  const box = each.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > innerWidth + 0.5);
}).map(each => each.textContent)
"""
# Pairs of labels of one chart that lie on each other.
OVERLAPS = """
[...document.querySelectorAll("svg[role=img]")].flatMap(chart => {
  const named = chart.querySelectorAll("text");
  const boxes = [...named].map(each => [each.textContent, each.getBoundingClientRect()]);
  const beside = (a, b) => a.right - 1 <= b.left || b.right - 1 <= a.left;
  const above = (a, b) => a.bottom - 3 <= b.top || b.bottom - 3 <= a.top;
  return boxes.flatMap(([one, a], n) => boxes.slice(n + 1)
    .filter(([, b]) => !beside(a, b) && !above(a, b))
    .map(([other]) => chart.querySelector("title").textContent + ": " + one + " / " + other));
})
"""
# The least contrast (WCAG) of any visible text with what lies behind it.
LEAST_CONTRAST = """
(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = each => {
    for (let at = each; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
  };
  const read = "text, h1, h2, p, li, dt, dd, th, td, summary, data, figcaption";
  return Math.min(...[...document.querySelectorAll(read)].map(each => {
    const style = getComputedStyle(each);
    const [a, b] = [light(parts(each.tagName === "text" ? style.fill : style.color)), light(behind(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
})()
"""


@pytest.fixture
async def browser(tmp_path):
    async with chromium(tmp_path / "profile") as page:
        yield page


@pytest.fixture
def report(tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html(sample_result().as_value()))
    return file


async def test_the_page_opens_from_the_disk_and_asks_for_nothing(browser, report, tmp_path):
    """On both screens, light and dark: one request, a quiet console, all words on the screen, readable."""
    seen = set()
    for width in (PHONE, DESK):
        for dark in (False, True):
            await browser.open(report, width=width, dark=dark)
            assert await browser.value("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
            assert await browser.value(OUTSIDE) == []
            assert await browser.value(OVERLAPS) == []
            assert await browser.value(LEAST_CONTRAST) >= 4.5
            seen.add(await browser.value(COLOURS))
            picture = await browser.picture()
            assert picture.startswith(b"\x89PNG")
            (tmp_path / f"report-{width}-{'dark' if dark else 'light'}.png").write_bytes(picture)
    assert len(seen) == 2
    assert browser.requests == [report.as_uri()] * 4
    assert browser.complaints == []


async def test_a_screen_reader_is_told_every_chart_in_words(browser, report):
    """Images with names; tables with headings; what is drawn again in words is not read twice."""
    await browser.open(report, width=DESK, dark=False)
    roles = await browser.roles()
    pictures = [name for role, name in roles if role == "image"]
    assert len(pictures) == 13 and all(pictures)
    assert "Buy and hold ends at 10,051.00 (+0.51\u00a0%)" in pictures[0]
    assert "momentum +0.70 in 4\u00a0trades" in next(each for each in pictures if "by signal" in each)
    regions = [name for role, name in roles if role == "region"]
    assert "The strategy against its baselines" in regions and all(regions)
    assert [name for role, name in roles if role == "heading"][:2] == [
        "Backtest: policy on BTC-USDT, ETH-USDT",
        "Equity of the account, USDT",
    ]


async def test_the_keyboard_reaches_every_table(browser, report):
    """Tab goes to the summary, Enter opens it, the next Tab goes into what scrolls."""
    await browser.open(report, width=PHONE, dark=False)
    assert await browser.value("document.querySelectorAll('details[open]').length") == 0
    at = "(at => at.tagName + ' ' + (at.ariaLabel ?? at.textContent))(document.activeElement)"
    await browser.press("Tab", 9)
    assert await browser.value(at) == "DIV The strategy against its baselines"
    await browser.press("Tab", 9)
    assert await browser.value(at) == "SUMMARY Equity as a table"
    await browser.press("Enter", 13, "\r")
    assert await browser.value("document.querySelector('details').open")
    await browser.press("Tab", 9)
    assert await browser.value(at) == "DIV Equity at evenly spaced hours, USDT"


async def test_hostile_words_run_nowhere(browser, report, tmp_path):
    """A result full of markup: the same page in its bounds, no request, no word of a script."""
    report.write_text(html(hostile(sample_result().as_value(), HOSTILE * 20)))
    for width in (PHONE, DESK):
        await browser.open(report, width=width, dark=True)
        assert await browser.value("document.documentElement.scrollWidth") == width
        assert await browser.value(OUTSIDE) == []
    assert browser.requests == [report.as_uri()] * 2
    assert browser.complaints == []


async def test_long_names_and_large_amounts_stay_apart(browser, report):
    """Labels of a chart never lie on each other, whatever they say."""
    value = sample_result().as_value()
    figures = value["analytics"]
    one, *_ = figures["by_signal"].values()
    wide = {
        f"a_signal_with_a_very_long_name_{n}": {**one, "net": "-123456789.12", "n": 99999} for n in range(3)
    }
    report.write_text(html({**value, "analytics": {**figures, "by_signal": wide}}))
    for width in (PHONE, DESK):
        await browser.open(report, width=width, dark=False)
        assert await browser.value(OVERLAPS) == []
        assert await browser.value(OUTSIDE) == []


async def test_the_browser_would_notice(browser, report):
    """The instruments see a page that fetches, complains, leaves the screen and cannot be read."""
    report.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'><body style='background:#fff'>"
        "<img src='http://127.0.0.1/x.png'><p style='color:#ccc;width:3000px'>far</p>"
        "<svg role=img><title>t</title><text y=20>one</text><text y=20>two</text></svg>"
        "<script>console.error('heard')</script>"
    )
    await browser.open(report, width=PHONE, dark=False)
    assert "http://127.0.0.1/x.png" in browser.requests
    assert any("heard" in each for each in browser.complaints)
    assert await browser.value(OUTSIDE) == ["far"]
    assert await browser.value(OVERLAPS) == ["t: one / two"]
    assert await browser.value(LEAST_CONTRAST) < 2


async def test_a_run_without_trades_or_baselines_is_a_page_as_well(browser, report):
    """The barest result there is."""
    bare = replace(sample_result(bracket=False), baselines={}, refusals={}, notes=())
    report.write_text(html(bare.as_value()))
    await browser.open(report, width=PHONE, dark=True)
    assert await browser.value(OUTSIDE) == []
    assert browser.complaints == []
