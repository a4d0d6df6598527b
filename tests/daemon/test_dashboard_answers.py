"""Answering advice from the page: by the code of the API, from our own form alone, and nothing leaks."""

from __future__ import annotations

import re
from html import unescape

from structlog.testing import capture_logs

from daemon import dashboard
from daemon.api.actions import ANSWERS_A_MINUTE, WRONG_A_MINUTE
from tests.cycle.house import START, git
from tests.daemon.pages import TOKEN, shown
from tests.daemon.test_dashboard import HOSTILE


async def test_an_accepted_advice_is_recorded_and_said(tmp_path):
    """303 to the decision, which tells what the records have; the commit names it; the API knows at once."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        before = (await there.client.get(f"/api/decisions/{decision_id}")).json()
        assert before["actions"] == []
        got = await there.answered(decision_id, answer="accept", note="  as told\r\nat the exchange ")
        assert got.status_code == 303, got.text
        assert got.headers["location"] == f"/decisions/{decision_id}?done"
        assert there.actions(decision_id) == [("accept", "dashboard", "as told\nat the exchange")]
        page = await there.page(got.headers["location"])
        assert "Recorded: accept by dashboard" in page
        assert "[accept] ETH-USDT" in git(there.root, "log", "-1", "--format=%s")
        told = (await there.client.get(f"/api/decisions/{decision_id}")).json()
        assert [each["action"] for each in told["actions"]] == ["accept"]


async def test_a_decision_whose_hour_is_damaged_is_still_that_decision(tmp_path):
    """No other recommendation stands in its place: it is read by its name, answered, and said recorded."""
    async with shown(tmp_path, hours=3) as there:
        decision_id = there.open_decision()
        newest = max((there.root / "metrics/ETH-USDT").glob("*.yaml"))
        assert decision_id in newest.read_text()
        newest.write_text("x: [\n")
        page = await there.page(f"/decisions/{decision_id}")
        assert re.findall(r'id="(?:advice|answer)-([^"]*)"', page) == [decision_id] * 2
        got = await there.answered(decision_id, answer="decline")
        assert got.status_code == 303, got.text
        page = await there.page(got.headers["location"])
        assert re.findall(r'id="advice-([^"]*)"', page) == [decision_id]
        assert "Recorded: decline by dashboard" in page


async def test_a_decision_of_an_old_hour_says_where_now_is(tmp_path):
    """The page is as of its hour; what stands now is on the market's page."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        await there.there.hours(START.plus(2), 2)
        page = await there.page(f"/decisions/{decision_id}")
        assert "this page is as of its own hour" in page
        assert "The page of ETH-USDT says how it stands now." in page
        assert "stands under Now" not in page


async def test_an_address_alone_claims_nothing(tmp_path):
    """`?done` shows what was recorded; where nothing was, it says nothing."""
    async with shown(tmp_path) as there:
        assert "Recorded:" not in await there.page(f"/decisions/{there.open_decision()}?done")


async def test_sent_again_it_is_refused_at_the_form(tmp_path):
    """A replayed form changes nothing and says why; a note may still be added."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        assert (await there.answered(decision_id, answer="decline")).status_code == 303
        for again in ("decline", "accept"):
            refused = await there.answered(decision_id, answer=again)
            assert refused.status_code == 409
            assert "already" in refused.text
        assert (await there.answered(decision_id, answer="note", note="why")).status_code == 303
        assert [each[0] for each in there.actions(decision_id)] == ["decline", "note"]


WRONG = [
    ({"answer": "expired"}, "answer: "),
    ({}, "answer: "),
    ({"answer": ""}, "answer: "),
    ({"answer": "note", "note": "x" * 2001}, "note: "),
    ({"answer": "accept", "price": "1e9"}, "price: "),
    ({"answer": "accept", "surprise": "1"}, "surprise: "),
    ({"answer": "accept", "at": "yesterday"}, "at: "),
]


async def test_a_form_that_says_something_else_is_refused_by_the_field(tmp_path):
    """400 at the form, the field named, nothing recorded."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        for fields, words in WRONG:
            refused = await there.answered(decision_id, **fields)
            assert refused.status_code == 400, fields
            assert words in refused.text, fields
            assert refused.headers["cache-control"] == "no-store"
        assert there.actions(decision_id) == []


FOREIGN = [
    {},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "file://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "{base}"},
    {"Sec-Fetch-Site": "same-site", "Origin": "{base}"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": "{base}/"},
]


async def test_a_form_from_elsewhere_is_refused_even_with_the_token(tmp_path):
    """403 before the token is looked at; neither an answer nor a guess is had through somebody's browser."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        for headers in FOREIGN:
            sent = {name: value.format(base=there.base) for name, value in headers.items()}
            for token in (TOKEN, *["guess"] * 2):
                refused = await there.answered(decision_id, token, sent, answer="accept")
                assert refused.status_code == 403, headers
                assert "was not sent from this page" in refused.text
        assert there.actions(decision_id) == []
        assert (await there.answered(decision_id, "guess", answer="accept")).status_code == 401


async def test_a_page_behind_an_ingress_is_our_own(tmp_path):
    """TLS ends before us: the origin is https, the host the one that was asked."""
    async with shown(tmp_path, http={"hosts": ["regimed.lan"]}) as there:
        decision_id = there.open_decision()
        headers = {"Host": "regimed.lan", "Origin": "https://regimed.lan"}
        assert (await there.answered(decision_id, headers=headers, answer="note")).status_code == 303
        told = {"Sec-Fetch-Site": "same-origin", "Origin": there.base}
        assert (await there.answered(decision_id, headers=told, answer="note")).status_code == 303


async def test_who_guesses_is_told_off_after_ten_and_the_operator_is_not(tmp_path):
    """401, after ten wrong ones 429; the right one still passes; the API shares the budget."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        wrong = ["", "x", TOKEN[:-1], f"{TOKEN}0", TOKEN.upper(), "ünsicher", HOSTILE]
        for token in wrong:
            refused = await there.answered(decision_id, token, answer="accept")
            assert refused.status_code == 401
            assert "this is not the token; nothing was recorded" in refused.text
            assert len(token) < 2 or token not in unescape(refused.text)
        for _ in range(WRONG_A_MINUTE - len(wrong)):
            bearer = {"Authorization": "Bearer x"}
            asked = await there.client.post(f"/api/decisions/{decision_id}/actions", json={}, headers=bearer)
            assert asked.status_code == 401
        late = await there.answered(decision_id, "x", answer="accept")
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 61
        assert "a minute are taken" in late.text
        assert there.actions(decision_id) == []
        for _ in range(ANSWERS_A_MINUTE):
            taken = await there.answered(decision_id, answer="note", note="mine")
            assert taken.status_code == 303
        assert (await there.answered(decision_id, answer="note")).status_code == 429


async def test_a_wrong_token_costs_no_market_page(tmp_path, monkeypatch):
    """401 and 429 are a small page that no record is read for; it is the same for all who guess."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()

        def drawn(*_):
            raise AssertionError("a page was drawn for a stranger")

        monkeypatch.setattr(dashboard, "advice_page", drawn)
        refused = [await there.answered(decision_id, f"guess {n}", answer="accept") for n in range(15)]
        assert [each.status_code for each in refused] == [401] * 10 + [429] * 5
        assert len({each.text for each in refused}) == 2
        assert max(len(each.content) for each in refused) < 40_000


async def test_bytes_that_are_no_form_are_refused_before_the_token(tmp_path):
    """A character set that nobody knows, bytes that are not UTF-8: 400 on a page, no line in the log."""
    async with shown(tmp_path) as there:
        address = f"/decisions/{there.open_decision()}"
        form = "application/x-www-form-urlencoded"
        for kind, body in (
            (f"{form}; charset=nonsense", b"token=x&answer=note"),
            (form, b"token=\xff\xfe&answer=note"),
            (f"{form}; charset=utf-16", b"token=x"),
        ):
            headers = {"Origin": there.base, "Content-Type": kind}
            with capture_logs() as logs:
                refused = await there.client.post(address, content=body, headers=headers)
            assert refused.status_code == 400, kind
            assert "the form is not UTF-8 text" in refused.text
            assert logs == []


async def test_only_a_small_plain_form_is_read(tmp_path):
    """JSON, files, repeated fields and a flood are refused; nothing is recorded."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        address, ours = f"/decisions/{decision_id}", {"Origin": there.base}
        fields = {"token": TOKEN, "answer": "note"}
        assert (await there.client.post(address, json=fields, headers=ours)).status_code == 415
        files = {"note": ("note.txt", b"x")}
        assert (await there.client.post(address, data=fields, files=files, headers=ours)).status_code == 415
        plain = {**ours, "Content-Type": "application/x-www-form-urlencoded"}
        twice = f"token={TOKEN}&answer=note&answer=accept"
        assert (await there.client.post(address, content=twice, headers=plain)).status_code == 400
        flood = await there.client.post(address, data={**fields, "note": "x" * 70_000}, headers=ours)
        assert flood.status_code == 413
        assert "too large" in flood.text
        assert there.actions(decision_id) == []


async def test_an_answer_to_no_decision_is_a_page_that_says_so(tmp_path):
    """404 to who holds the token, 401 to who does not; a name that is none is a 400."""
    async with shown(tmp_path) as there:
        gone = await there.answered("2026-01-05/dec-ETH-USDT-235959", answer="accept")
        assert (gone.status_code, "there is no decision" in gone.text) == (404, True)
        gone = await there.answered("2026-01-05/dec-ETH-USDT-235959", "x", answer="accept")
        assert (gone.status_code, "there is no decision" in gone.text) == (401, False)
        assert (await there.answered("2026-01-05/nonsense", answer="accept")).status_code == 400


async def test_the_token_is_in_no_address_page_or_log(tmp_path):
    """Right or wrong: what was typed into the field is nowhere afterwards."""
    guess = "f00dfeedf00dfeedf00dfeedf00dfeed"
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        with capture_logs() as logs:
            answers = [
                await there.answered(decision_id, guess, answer="accept"),
                await there.answered(decision_id, answer="accept", price="x"),
                await there.answered(decision_id, answer="accept"),
                await there.answered(decision_id, answer="accept"),
                await there.client.get(f"/decisions/{decision_id}?done"),
                await there.client.get("/"),
            ]
        assert [each.status_code for each in answers] == [401, 400, 303, 409, 200, 200]
        said = [f"{each.headers} {each.text} {each.url}" for each in answers]
        records = "".join(path.read_text() for path in (there.root / "decisions").rglob("*.yaml"))
        for text in (*said, str(logs), git(there.root, "log", "-3", "--format=%B"), records):
            assert TOKEN not in text
            assert guess not in text


async def test_what_cannot_be_recorded_is_said_at_the_form(tmp_path, monkeypatch):
    """503 with what to do; the daemon goes on."""
    from market.errors import CommitFailed

    async def fails(*_):
        raise CommitFailed("the disk is full")

    async with shown(tmp_path) as there:
        monkeypatch.setattr(there.there.app.store, "write", fails)
        refused = await there.answered(there.open_decision(), answer="accept")
        assert refused.status_code == 503
        assert "could not be recorded" in refused.text
        assert (await there.client.get("/health/live")).status_code == 200
        assert START.plus(1).closes_at == there.there.state().newest.closes_at
