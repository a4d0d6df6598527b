"""The dashboard as the daemon serves it: pages, their names, their bounds, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from datetime import timedelta
from html import unescape

import anyio
import httpx
import pytest
from markupsafe import escape
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from daemon import dashboard
from daemon.dashboard import THREADS
from daemon.http import serving
from daemon.operator import answer
from dashboard.assets import shipped
from dashboard.reading import PageReader
from decisions.actions import Answer
from store.advice import Deed, decision_ids
from tests.backtest.samples import sample_result
from tests.backtest.test_comparison import desk_of, expected
from tests.cycle.house import START, house
from tests.daemon.pages import BROWSER, TOKEN, shown

HOSTILE = '</script><script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}'
FORMS = re.compile(r"""<form\b[^>]*\bmethod=["']?post|type=["']?password""", re.IGNORECASE)
PATHS = ("/", "/markets/ETH-USDT", "/markets/ETH-USDT/2026-01-05", "/markets/ETH-USDT/range?from=2026-01-05")


async def test_every_page_says_what_was_judged_and_lets_nothing_else_in(tmp_path):
    """The newest verdict stands on it; the policy forbids what is not ours; HEAD is GET without the body."""
    async with shown(tmp_path, hours=3, markets=2) as there:
        verdict = there.verdict(START.plus(2))
        (decision_id,) = [each for each in decision_ids(there.root) if "ETH-USDT-030000" in each]
        for path in (*PATHS, f"/decisions/{decision_id}"):
            got = await there.client.get(path)
            assert got.status_code == 200, got.text
            assert f'data-verdict="{verdict}"' in got.text
            policy = got.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-eval" not in policy
            assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
            assert got.headers["x-content-type-options"] == "nosniff"
            assert got.headers["referrer-policy"] == "same-origin"
            assert got.headers["cache-control"] == "private, no-cache"
            head = await there.client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["etag"] == got.headers["etag"]


async def test_looking_again_costs_nothing_until_something_happened(tmp_path):
    """304 while the records stand still, a new page after the next hour, compressed for who takes it."""
    async with shown(tmp_path) as there:
        for path in ("/", "/markets/ETH-USDT"):
            first = await there.client.get(path)
            assert first.headers["content-encoding"] == "gzip"
            again = await there.client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
        old = first.headers["etag"]
        await there.there.hour(START.plus(2))
        news = await there.client.get("/markets/ETH-USDT", headers={"If-None-Match": old})
        assert news.status_code == 200
        assert news.headers["etag"] != old
        plain = await there.client.get("/markets/ETH-USDT", headers={"Accept-Encoding": "identity"})
        assert plain.text == news.text


async def test_a_page_is_drawn_once_for_all_who_look_at_once(tmp_path, monkeypatch):
    """Ten browsers, one drawing."""
    drawn = []
    real = dashboard.overview_page

    def counted(*arguments):
        drawn.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(dashboard, "overview_page", counted)
    async with shown(tmp_path) as there:
        pages = await asyncio.gather(*(there.page("/") for _ in range(10)))
        assert len(set(pages)) == 1
        assert len(drawn) == 1


async def test_the_overview_is_read_ahead_while_no_cycle_is_under_way(tmp_path, monkeypatch):
    """After the start, a few markets at a time, in a thread; nothing of it while work is going on."""
    loop, read, done = asyncio.get_running_loop(), [], asyncio.Event()
    real = PageReader.overview

    def spied(self, live=None, *, only=()):
        found = real(self, live, only=only)
        read.append(
            (threading.current_thread() is threading.main_thread(), *(row.key for row in found.markets))
        )
        if len(read) == 2:
            loop.call_soon_threadsafe(done.set)
        return found

    monkeypatch.setattr(PageReader, "overview", spied)
    monkeypatch.setattr(dashboard, "WARM_AT_ONCE", 1)
    async with house(tmp_path, markets=2) as there:
        await there.hour(START)
        with there.app.progress.working("collector"):
            async with serving(there.app, "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
                for _ in range(3):  # it would have begun by now
                    assert (await client.get(f"http://127.0.0.1:{port}/health/live")).status_code == 200
                assert read == []
        async with serving(there.app, "127.0.0.1", 0):
            with anyio.fail_after(30):
                await done.wait()
        assert sorted(read) == [(False, "BTC-USDT"), (False, "ETH-USDT")]


async def test_two_hundred_at_once_are_answered_or_told_to_come_again(tmp_path):
    """None hangs; those past the bound get a 503 that says when to ask again; a cycle goes on meanwhile."""
    async with shown(tmp_path) as there:
        first = START.opens_at
        paths = [
            f"/markets/ETH-USDT/range?from={first - timedelta(hours=n):%Y-%m-%dT%H}&to=2026-01-05T02"
            for n in range(200)
        ]
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=there.base, headers=BROWSER, timeout=60, limits=limits
        ) as crowd:
            with anyio.fail_after(60):
                cycle = asyncio.ensure_future(there.there.hour(START.plus(2)))
                got = await asyncio.gather(*(crowd.get(path) for path in paths))
                await cycle
        refused = [each for each in got if each.status_code == 503]
        assert {each.status_code for each in got} == {200, 503}
        assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
        assert len(got) - len(refused) >= THREADS
        assert there.verdict(START.plus(2)) in await there.page("/markets/ETH-USDT")


async def test_stale_data_is_said_although_no_record_changed(tmp_path):
    """What only the clock knows is part of a page's name: the page says that advice is withheld."""
    async with shown(tmp_path) as there:
        before = await there.client.get("/")
        assert "withheld" not in before.text
        there.there.clock.set(START.plus(6).closes_at)
        after = await there.client.get("/", headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        assert "withheld" in after.text
        assert "withheld" in await there.page("/markets/ETH-USDT")


async def test_an_empty_repository_has_pages_too(tmp_path):
    """Nothing judged yet: the overview says so, the market is not there yet."""
    async with shown(tmp_path, hours=0) as there:
        assert "ETH-USDT" in await there.page("/")
        assert "no hour of ETH-USDT is judged yet" in await there.page("/markets/ETH-USDT", 404)


WRONG = [
    ("/markets/XRP-USDT", 404, "there is no market XRP-USDT; configured: ETH-USDT"),
    ("/markets/", 404, "is no page"),
    ("/markets/ETH-USDT/", 404, "is no page"),
    ("/markets/ETH-USDT/2026-01-05/more", 404, "is no page"),
    ("/markets/ETH-USDT/2026-13-01", 404, "2026-13-01 is not a day"),
    ("/markets/ETH-USDT/yesterday", 404, "yesterday is not a day"),
    ("/markets/ETH-USDT/9999-12-31", 404, "9999-12-31 is not a day"),
    ("/markets/ETH-USDT/0001-01-01", 404, "0001-01-01 is not a day"),
    ("/markets/ETH-USDT/1970-01-01", 404, "1970-01-01"),
    ("/markets/ETH-USDT/range?to=1970-01-01", 404, "judged are"),
    ("/markets/ETH-USDT/range?from=2199-12-31", 400, "has to lie before"),
    ("/markets/ETH-USDT/range?from=2199-12-31&to=2199-12-31", 404, "judged are"),
    ("/markets/ETH-USDT/2019-01-05", 404, "2019-01-05"),
    ("/markets/..%2f..%2fsecret", 404, "there is no market ../../secret"),
    ("/markets/%3Cscript%3E", 404, "there is no market &lt;script&gt;"),
    ("/markets/a%00b", 404, "there is no market a\\x00b"),
    ("/markets/ETH-USDT/range?from=soon", 400, "from is 'soon'; expected a UTC time"),
    ("/markets/ETH-USDT/range?to=2026-01-32", 400, "to is '2026-01-32'"),
    ("/markets/ETH-USDT/range?from=2026-01-06&to=2026-01-05", 400, "has to lie before"),
    ("/markets/ETH-USDT/range?from=1990-01-01&to=2026-01-05", 400, "400 days at most"),
    (f"/markets/ETH-USDT/range?from={'9' * 7000}", 400, "expected a UTC time"),
    ("/assets/../token", 404, ""),
    ("/assets/..%2ftoken", 404, "there is no such file"),
    ("/assets/echarts.min.js", 404, "there is no such file"),
    ("/decisions/2026-01-05/dec-ETH-USDT-230000", 404, "there is no decision"),
    ("/decisions/2026-01-05/nonsense", 400, "not a decision's name"),
]


async def test_what_is_not_there_is_said_on_a_page(tmp_path):
    """Unknown, malformed and too much: what was found, what was expected, no insides, nothing that runs."""
    async with shown(tmp_path, hours=1) as there:
        for path, status, words in WRONG:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(there.base.rpartition(":")[2]))
            asked = f"GET {path} HTTP/1.1\r\nHost: [::1]\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            writer.write(asked.encode())  # by hand: a client would tidy the path
            got = (await reader.read()).decode()
            writer.close()
            await writer.wait_closed()
            assert got.startswith(f"HTTP/1.1 {status} "), path
            assert words in unescape(got) or words in got, path
            assert str(tmp_path) not in got, path
            assert TOKEN not in got, path


async def test_a_span_may_be_left_open_on_either_side(tmp_path):
    """Empty fields of a form say nothing; the newest judged hour ends a span that names no end."""
    async with shown(tmp_path, hours=3) as there:
        for query in (
            "",
            "?from=&to=",
            "?from=2026-01-05T01",
            "?to=2026-01-05T02:00",
            "?from=2026-01-05&x=1",
        ):
            assert "ETH-USDT" in await there.page(f"/markets/ETH-USDT/range{query}")
        days = await there.page("/markets/ETH-USDT/range?from=2026-01-05&last=2026-01-05")
        assert 'datetime="2026-01-05T03:00:00Z"' in days  # the day is included, as far as it is judged


async def test_the_form_of_a_page_asks_for_what_the_page_shows(tmp_path):
    """Another span, sent as it stands there: of each day's page that day, of the market's page its days."""
    async with shown(tmp_path, hours=26) as there:
        for path, first, last in (
            ("/markets/ETH-USDT/2026-01-05", "2026-01-05", "2026-01-05"),
            ("/markets/ETH-USDT/2026-01-06", "2026-01-06", "2026-01-06"),
            ("/markets/ETH-USDT", "2026-01-04", "2026-01-06"),
        ):
            form = (await there.page(path)).partition('<form class="range"')[2].partition("</form>")[0]
            fields = dict(re.findall(r'type="date" name="([a-z]+)" value="([^"]*)"', form))
            assert list(fields.values()) == [first, last], path
            for query in (fields, {"from": first, "to": last}):
                got = await there.client.get("/markets/ETH-USDT/range", params=query)
                assert got.status_code == 200, (path, query)
                closes = "2026-01-06T00:00:00Z" if last == "2026-01-05" else "2026-01-06T02:00:00Z"
                assert f'datetime="{closes}"' in got.text.partition('id="now"')[2][:400], (path, query)
        hour = await there.client.get("/markets/ETH-USDT/range?from=2026-01-05&to=2026-01-05T02")
        assert 'datetime="2026-01-05T02:00:00Z"' in hour.text.partition('id="now"')[2][:400]


async def test_a_messages_link_is_a_page_for_browsers_and_words_for_programs(tmp_path):
    """Whoever taps it sees that recommendation first, also when the market has moved on since."""
    async with shown(tmp_path, hours=2) as there:
        decision_id = there.open_decision()
        address = f"/decisions/{decision_id}"
        async with httpx.AsyncClient(base_url=there.base) as program:
            plain = await program.get(address)
        assert plain.headers["content-type"] == "text/plain; charset=utf-8"
        page = await there.page(address)
        assert decision_id in page
        assert "Accept" in plain.headers["vary"]
        await there.there.hours(START.plus(2), 2)
        assert decision_id in await there.page(address)


async def test_a_damaged_decision_is_said_without_its_insides(tmp_path):
    """What is wrong with the file is for the log and `regimed verify`; the other pages go on."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        (there.root / f"decisions/{decision_id}.yaml").write_text("token: hunter2\n")
        with capture_logs() as logs:
            page = await there.page(f"/decisions/{decision_id}", 500)
        assert "regimed verify says why" in page
        assert "hunter2" not in page
        assert [line["event"] for line in logs] == ["a decision could not be read"]
        for path in ("/", "/markets/ETH-USDT"):
            assert "hunter2" not in await there.page(path)


async def test_an_error_nobody_thought_of_is_a_page_and_a_line_in_the_log(tmp_path, monkeypatch):
    """500 with what to do; the traceback is for the log alone."""

    def breaks(*_):
        raise RuntimeError("insides")

    monkeypatch.setattr(dashboard, "overview_page", breaks)
    async with shown(tmp_path, hours=0) as there:
        with capture_logs() as logs:
            page = await there.page("/", 500)
        assert "the log says what it was" in page
        assert "insides" not in page
        assert [line["event"] for line in logs] == ["a page failed"]


async def test_a_disk_that_hangs_takes_only_the_pages_with_it(tmp_path, monkeypatch):
    """Readers are few and bounded in time: the page says that it took too long, /health goes on."""
    released = threading.Event()

    def hangs(*_):
        released.wait(30)
        return ""

    monkeypatch.setattr(dashboard, "overview_page", hangs)
    monkeypatch.setattr(dashboard, "market_page", hangs)
    monkeypatch.setattr(dashboard, "PAGE_LIMIT_S", 1.0)
    async with shown(tmp_path) as there:
        try:
            paths = ["/", *(f"/markets/ETH-USDT/range?from=2026-01-0{day}" for day in (1, 2, 3))]
            assert len(paths) > THREADS
            pages = await asyncio.gather(*(there.page(path, 503) for path in paths))
            assert all("it took too long" in page for page in pages)
            assert (await there.client.get("/health")).status_code == 200
        finally:
            released.set()


async def test_libraries_are_served_under_names_that_change_with_their_bytes(tmp_path):
    """For ever and compressed; what is not one of them is not served."""
    if not shipped().assets:
        pytest.skip("dashboard/assets is empty: `make setup` packs the libraries from npm")
    async with shown(tmp_path, hours=0) as there:
        for asset in shipped().assets.values():
            got = await there.client.get(f"/assets/{asset.address}")
            assert got.text == asset.text
            assert got.headers["content-type"] == "text/javascript; charset=utf-8"
            assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert got.headers["content-encoding"] == "gzip"
            assert got.headers["x-content-type-options"] == "nosniff"


async def test_a_backtest_stands_beside_the_paper_desk(tmp_path, monkeypatch):
    """http.dashboard_backtest: absent or damaged it is a trouble on the page, there it is told, and anew."""
    monkeypatch.setattr(dashboard, "FRESH_S", 0.0)
    named = tmp_path / "backtest"
    async with shown(tmp_path, http={"dashboard_backtest": str(named)}) as there:
        desk_of(there.root, expected())
        assert "result" not in await there.page("/")
        page = await there.page("/markets/ETH-USDT")
        assert "cannot be read: No such file or directory" in unescape(page)
        assert "Live and backtest" not in page
        named.mkdir()
        result = sample_result().as_bytes()
        trades = json.loads(result) | {"hours": [5]}
        for data, words in (
            (b"{", "result.json: not JSON"),
            (json.dumps(trades).encode(), "result.json: hours, nav, trades: not as written"),
            (result, "Live and backtest"),
        ):
            (named / "result.json").write_bytes(data)
            assert words in await there.page("/markets/ETH-USDT"), words
        assert (await there.client.get("/health/live")).status_code == 200


async def test_strangers_words_stay_words(tmp_path):
    """A note and an exchange's answer full of markup: on the page, and nothing of it is markup."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        await answer(
            there.there.app, decision_id, Deed(Answer.NOTE, there.there.clock.now(), HOSTILE, note=HOSTILE)
        )
        there.there.state().trouble = HOSTILE
        told = (f"/decisions/{decision_id}", f"/decisions/{decision_id}?done", "/markets/ETH-USDT")
        for path in (*PATHS, *told):
            page = await there.page(path)
            assert "<script>alert" not in page
            assert "<img" not in page
            if path in told:  # where the note is shown it stands letter by letter
                assert str(escape(HOSTILE)) in page, path


async def test_seconds_are_counted_by_route(tmp_path):
    """regimed_page_seconds: by the route's form, never by what somebody typed."""
    async with shown(tmp_path) as there:
        for path in ("/", "/markets/ETH-USDT", "/markets/nonsense", "/markets/a/b/c"):
            await there.client.get(path)
        text = (await there.client.get("/metrics")).text
        family = next(
            each for each in text_string_to_metric_families(text) if each.name == "regimed_page_seconds"
        )
        counts = {
            (s.labels["route"], s.labels["status"]): s.value
            for s in family.samples
            if s.name.endswith("_count")
        }
        assert counts == {
            ("/", "2xx"): 1,
            ("/markets/{key}", "2xx"): 1,
            ("/markets/{key}", "4xx"): 1,
            ("/markets/{rest:.*}", "4xx"): 1,
        }


async def test_other_methods_are_refused(tmp_path):
    """Pages are read; without a configured token there is nothing to send a form to."""
    async with shown(tmp_path, token=False) as there:
        decision_id = there.open_decision()
        for path in ("/", "/markets/ETH-USDT", f"/decisions/{decision_id}"):
            assert (await there.client.post(path, data={"answer": "accept"})).status_code == 405
        page = await there.page(f"/decisions/{decision_id}")
        assert not FORMS.search(page)
    (tmp_path / "asked").mkdir()
    async with shown(tmp_path / "asked") as there:  # the same page where a token is configured
        assert FORMS.search(await there.page(f"/decisions/{there.open_decision()}"))


async def test_advice_that_runs_out_is_not_shown_open_any_longer(tmp_path):
    """Its end is part of the page's name, whatever minute it is; not only every five minutes."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        file = there.root / f"decisions/{decision_id}.yaml"
        closes_at = START.plus(1).closes_at
        ends = f"{closes_at + timedelta(minutes=17):%Y-%m-%dT%H:%M:%SZ}"
        text, found = re.subn(r"(?m)^expires_at: .*$", f"expires_at: '{ends}'", file.read_text())
        assert found == 1
        file.write_text(text)
        for path in ("/", "/markets/ETH-USDT", f"/decisions/{decision_id}"):
            there.there.clock.set(closes_at + timedelta(minutes=16))
            before = await there.client.get(path)
            assert decision_id in before.text
            there.there.clock.set(closes_at + timedelta(minutes=16, seconds=50))
            known = {"If-None-Match": before.headers["etag"]}
            assert (await there.client.get(path, headers=known)).status_code == 304
            there.there.clock.set(closes_at + timedelta(minutes=17))
            after = await there.client.get(path, headers=known)
            assert after.status_code == 200, path
            assert FORMS.search(before.text) or path == "/"
            assert not FORMS.search(after.text)
            assert decision_id not in after.text or path != "/"
