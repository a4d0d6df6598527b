"""The dashboard in a real browser: from the exchange's candles to the screen, and back into Git."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import anyio
import orjson
import pytest
import yaml

from daemon.dashboard import ACTOR
from daemon.operator import answer
from dashboard.assets import shipped
from decisions.actions import Answer
from market.hours import Hour
from store.advice import Deed, decision_ids
from tests.cycle.browser import barriers, chromium, sideways, walk_by_keyboard
from tests.cycle.house import START, assert_sound, git, house
from tests.cycle.test_decisions import LOOSE, run_grid
from tests.daemon.calls import called
from tests.daemon.pages import TOKEN, shown

HOSTILE = '</script><script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}'
NOW = "section.now"
SEE_NEWS = "document.dispatchEvent(new Event('visibilitychange'))"  # as when its tab is looked at again


@pytest.fixture
async def browser():
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    """A market over two days, made by the daemon: a grid that has to be stopped, an answer, a look back."""
    folder = tmp_path_factory.mktemp("records")

    async def make() -> None:
        async with house(folder, start=START, **LOOSE) as there:
            await run_grid(there, 2000, 2200, START)
            await there.hours(START, 26)
            first, *_ = decision_ids(folder / "data")
            deed = Deed(Answer.NOTE, there.clock.now(), "me", note=HOSTILE)
            await answer(there.app, first, deed)

    anyio.run(make)
    return folder / "data"


async def test_the_whole_way_from_the_exchange_to_the_page(tmp_path):
    """Collected, written a market, analysed, decided, committed, shown: each step's file, and its words."""
    async with shown(tmp_path, hours=3, markets=2) as there:
        closes = START.plus(2).closes_at
        for key in ("ETH-USDT", "BTC-USDT"):
            snapshot = orjson.loads(
                (there.root / f"snapshots/{key}/{START.plus(2).opens_at:%Y/%m/%d/%H}.json").read_bytes()
            )
            assert (snapshot["key"], snapshot["hour"]) == (key, START.plus(2).iso())
            judged = yaml.safe_load(
                (there.root / f"metrics/{key}/{START.plus(2).opens_at:%Y-%m-%d-%H}.yaml").read_text()
            )
            (advised,) = [
                each for each in decision_ids(there.root) if each.endswith(f"dec-{key}-{closes:%H%M%S}")
            ]
            page = await there.page(f"/markets/{key}")
            verdict = judged["regime_analysis"]["verdict"]
            assert f'data-verdict="{verdict}"' in page
            assert f'id="advice-{advised}"' in page
            overview = await there.page("/")
            assert re.search(rf'data-verdict="{verdict}">\s*<th[^>]*>.*{key}', overview)
        tracked = git(there.root, "ls-tree", "-r", "--name-only", "HEAD")
        for folder in ("snapshots/ETH-USDT/", "metrics/BTC-USDT/", "decisions/2026-01-05/", "candles/"):
            assert folder in tracked
    assert_sound(tmp_path)


@pytest.mark.servers
async def test_a_fresh_hour_comes_in_by_itself_and_an_answer_goes_into_git(tmp_path, browser):
    """Live: nothing asked of anybody else, no complaint; the regime of the last hour is the record's; the
    next hour appears without reload; an advice accepted there is a commit.
    """
    if not shipped().assets:
        pytest.skip("dashboard/assets is empty: `make setup` packs the libraries from npm")
    async with shown(tmp_path, hours=3) as there, browser.page() as page:
        await page.goto(f"{there.base}/")
        await page.get_by_role("row").get_by_role("link", name="ETH-USDT").click()
        await page.locator(NOW).wait_for()
        verdict = there.verdict(START.plus(2))
        assert await page.locator(NOW).get_attribute("data-verdict") == verdict
        await page.locator("[data-chart] canvas").nth(1).wait_for()
        await page.evaluate("window.here = 'not reloaded'")
        times = page.locator(f"{NOW} h2 time")
        assert await times.get_attribute("datetime") == "2026-01-05T03:00:00Z"

        await there.there.hour(START.plus(3))
        await page.evaluate(SEE_NEWS)
        fresh = page.locator(f'{NOW} h2 time[datetime="2026-01-05T04:00:00Z"]')
        await fresh.wait_for()
        verdict = there.verdict(START.plus(3))
        assert await page.locator(NOW).get_attribute("data-verdict") == verdict
        assert await page.evaluate("window.here") == "not reloaded"

        decision_id = there.open_decision()
        form = page.locator("form.answer")
        await form.get_by_label("Token").fill(f"not the {TOKEN}")
        await form.get_by_label("Note").fill(HOSTILE)
        await form.get_by_role("button", name="Accept").click()
        await page.get_by_text("this is not the token; nothing was recorded").wait_for()
        assert there.actions(decision_id) == []
        await page.go_back()
        await page.locator("form.answer").get_by_label("Token").fill(TOKEN)
        await page.locator("form.answer").get_by_label("Note").fill(HOSTILE)
        await page.locator("form.answer").get_by_role("button", name="Accept").click()
        await page.get_by_text("Recorded: accept by dashboard").wait_for()
        assert there.actions(decision_id) == [("accept", ACTOR, HOSTILE)]
        assert f"[accept] ETH-USDT {decision_id}" in git(there.root, "log", "--format=%s")
        assert TOKEN not in page.url
        assert await page.get_by_text(HOSTILE).count() >= 1
        assert browser.asked_elsewhere(there.base) == []
        refused = [each for each in browser.complaints if "401" in each]
        assert browser.complaints == refused  # the one that the browser itself tells of a refused form


@pytest.mark.servers
async def test_a_file_opens_with_the_network_off(records, tmp_path, browser):
    """Exported pages from the disk ask for nothing but each other; charts drawn; the record's regime."""
    done = called("dashboard", "--out", str(tmp_path / "pages"), "--repo", str(records))
    assert done.code == 0, done.err
    async with browser.page(offline=True) as page:
        index = (tmp_path / "pages" / "index.html").as_uri()
        await page.goto(index)
        await page.get_by_role("row").get_by_role("link", name="ETH-USDT").click()
        await page.locator(NOW).wait_for()
        newest = Hour.parse("2026-01-06T01")
        record = yaml.safe_load(
            (records / f"metrics/ETH-USDT/{newest.opens_at:%Y-%m-%d-%H}.yaml").read_text()
        )
        assert await page.locator(NOW).get_attribute("data-verdict") == record["regime_analysis"]["verdict"]
        if shipped().assets:
            await page.locator("[data-chart] canvas").nth(1).wait_for()
        await page.get_by_role("link", name="2026-01-05").click()
        await page.get_by_role("heading", name="ETH-USDT 05 Jan 2026").wait_for()
        assert await page.locator("form").count() == 0
        assert {each.partition("?")[0].rpartition("/")[2] for each in browser.requests} == {
            "index.html",
            "2026-01-05.html",
            "2026-01-06.html",
        }
        assert all(each.startswith("file:") for each in browser.requests)
        assert browser.complaints == []


@pytest.mark.servers
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
async def test_nobody_is_kept_out(tmp_path, browser, dark, phone):
    """axe finds nothing serious on any page, everything is reached by keyboard, no sideways scroll."""
    async with shown(tmp_path, hours=3, markets=2) as there, browser.page(dark=dark, phone=phone) as page:
        decision_id = there.open_decision()
        for path in ("/", "/markets/ETH-USDT", f"/decisions/{decision_id}", "/markets/nothing"):
            await page.goto(f"{there.base}{path}")
            assert await barriers(page) == [], path
            assert await sideways(page) <= 0, path
            if not dark:
                assert await walk_by_keyboard(page) == [], path


@pytest.mark.servers
async def test_everything_is_opened_answered_and_left_by_keyboard(tmp_path, browser):
    """Tab to the first link skips to the content; Enter opens a table; the form is sent from its fields."""
    async with shown(tmp_path, hours=2) as there, browser.page() as page:
        decision_id = there.open_decision()
        await page.goto(f"{there.base}/decisions/{decision_id}")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await _tab_to(page, "document.activeElement.name === 'token'")
        await page.keyboard.type(TOKEN)
        await _tab_to(page, "document.activeElement.name === 'note'")
        await page.keyboard.type("by keyboard")
        await _tab_to(page, "document.activeElement.value === 'decline'")
        await page.keyboard.press("Enter")
        await page.get_by_text("Recorded: decline by dashboard").wait_for()
        assert there.actions(decision_id) == [("decline", ACTOR, "by keyboard")]
        await _tab_to(page, "document.activeElement.tagName === 'SUMMARY'")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.parentElement.open") is True


async def _tab_to(page, condition: str) -> None:
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await page.evaluate(condition):
            return
    pytest.fail(f"no Tab led to {condition}")


@pytest.mark.servers
async def test_without_script_a_page_is_whole(tmp_path, browser):
    """Drawings, tables, times in UTC, and the form."""
    async with shown(tmp_path, hours=3) as there, browser.page(script=False) as page:
        decision_id = there.open_decision()
        await page.goto(f"{there.base}/decisions/{decision_id}")
        assert await page.locator("svg.plot").first.is_visible()
        assert "UTC" in await page.locator(f"{NOW} h2 time").inner_text()
        await page.locator("form.answer").get_by_label("Token").fill(TOKEN)
        await page.locator("form.answer").get_by_role("button", name="Decline").click()
        await page.get_by_text("Recorded: decline by dashboard").wait_for()
        assert [each[0] for each in there.actions(decision_id)] == ["decline"]


@pytest.mark.servers
async def test_times_are_the_readers_with_utc_beside(tmp_path, browser):
    """In Tokyo it is nine hours later; the title says UTC."""
    async with shown(tmp_path, hours=3) as there, browser.page(zone="Asia/Tokyo") as page:
        await page.goto(f"{there.base}/markets/ETH-USDT")
        at = page.locator(f"{NOW} h2 time")
        assert "12:00" in await at.inner_text()
        assert await at.get_attribute("title") == "2026-01-05 03:00 UTC"


@pytest.mark.servers
async def test_hostile_words_run_nowhere(tmp_path, browser):
    """A note, an exchange's answer and a grid's reason full of markup: text on the screen, nothing is run."""
    async with shown(tmp_path, hours=2) as there, browser.page() as page:
        dialogs = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        decision_id = there.open_decision()
        deed = Deed(Answer.NOTE, there.there.clock.now(), HOSTILE, note=HOSTILE)
        await answer(there.there.app, decision_id, deed)
        there.there.state().trouble = f"the exchange answered {HOSTILE}"
        for path in ("/", "/markets/ETH-USDT", f"/decisions/{decision_id}", f"/markets/{HOSTILE}"):
            await page.goto(f"{there.base}{path}")
            assert await page.get_by_text("alert(1)").count() >= 1, path
            assert await page.locator("img").count() == 0
        assert dialogs == []
        assert browser.asked_elsewhere(there.base) == []
        assert [each for each in browser.complaints if "404" not in each] == []


@pytest.mark.servers
async def test_a_daemon_that_went_is_said(tmp_path, browser):
    """The page stays, says since when nobody answers, and takes that back when somebody does."""
    if not shipped().assets:
        pytest.skip("dashboard/assets is empty: `make setup` packs the libraries from npm")
    async with shown(tmp_path, hours=2) as there, browser.page() as page:
        await page.goto(f"{there.base}/markets/ETH-USDT")
        lost = page.locator("#lost")
        assert not await lost.is_visible()
        await page.context.set_offline(True)
        await page.evaluate(SEE_NEWS)
        await lost.wait_for(state="visible")
        await page.context.set_offline(False)
        there.there.clock.set(there.there.clock.now() + timedelta(minutes=6))
        await page.evaluate(SEE_NEWS)
        await lost.wait_for(state="hidden")


@pytest.mark.servers
async def test_the_browser_would_notice(tmp_path, browser):
    """The instruments see a page that fetches, complains, scrolls sideways and keeps people out."""
    file = tmp_path / "bad.html"
    file.write_text(
        "<!doctype html><title>t</title><meta name=viewport content='width=device-width'><main>"
        "<style>:focus{outline:none}</style><img src='http://127.0.0.1:9/x.png'><input>"
        "<p style='width:3000px;color:#ccc;background:#fff'>far</p><a href=x>link</a>"
        "<script>console.error('heard')</script></main>"
    )
    async with browser.page(phone=True) as page:
        await page.goto(file.as_uri())
        found = await barriers(page)
        assert any("image-alt" in each for each in found)
        assert any("color-contrast" in each for each in found)
        assert await sideways(page) > 0
        assert any("no focus" in each for each in await walk_by_keyboard(page))
        assert browser.asked_elsewhere("file:") == ["http://127.0.0.1:9/x.png"]
        assert any("heard" in each for each in browser.complaints)
