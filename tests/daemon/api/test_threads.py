"""Few threads, a short queue: the loop goes on, and whoever leaves frees a place."""

from __future__ import annotations

import asyncio
import threading

import pytest

from daemon.api.problems import Problem
from daemon.api.site import THREADS
from daemon.api.threads import Workshop
from tests.daemon.api.serving import SERIES, served, told_problem
from tests.daemon.regimes import history

ROWS = f"{SERIES}/1h"


@pytest.fixture
def held(repo, whole_index, monkeypatch):
    """Questions that wait until they are let go, and how many began."""
    gate, began = threading.Event(), []
    yield gate, began
    gate.set()


def hold(api, gate, began):
    answer = api.history.rows

    def rows(*arguments, **others):
        began.append(others["limit"])
        assert gate.wait(30)
        return answer(*arguments, **others)

    api.history.rows = rows


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_past_the_bound_it_is_503_while_the_loop_answers(repo, whole_index, held):
    """Retry-After says when; what is in memory is told meanwhile; then all that waited is answered."""
    gate, began = held
    async with served(repo, whole_index, waiting=3) as api:
        kept = await api.get(f"{ROWS}?limit=7")
        hold(api, gate, began)
        asking = [asyncio.ensure_future(api.get(f"{ROWS}?limit={n}")) for n in range(10, 15)]
        await until(lambda: len(began) == THREADS)
        for n in range(20, 30):
            answer = await api.get(f"{ROWS}?limit={n}")
            if answer.status_code == 503:
                break
        told_problem(answer, 503)
        assert answer.headers["retry-after"] == "2"
        assert (await api.get(f"{ROWS}?limit=7")).content == kept.content
        gate.set()
        assert [(await each).status_code for each in asking] == [200] * 5
        assert (await api.get(f"{ROWS}?limit=99")).status_code == 200


async def test_a_client_that_goes_away_frees_its_place(repo, whole_index, held, monkeypatch):
    """What waited for a thread is never begun."""
    gate, began = held
    shops = []

    class Seen(Workshop):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            shops.append(self)

    monkeypatch.setattr("daemon.api.site.Workshop", Seen)
    async with served(repo, whole_index, waiting=2, monotonic=lambda: 0.0) as api:
        await api.get(f"{ROWS}?limit=7")
        hold(api, gate, began)
        first = [asyncio.ensure_future(api.get(f"{ROWS}?limit={n}")) for n in (10, 11)]
        await until(lambda: len(began) == THREADS)
        leaving = []
        for n in (12, 13):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(f"GET {ROWS}?limit={n} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            leaving.append(writer)
        await until(lambda: shops[0].held == 4)
        told_problem(await api.get(f"{ROWS}?limit=14"), 503)
        for writer in leaving:
            writer.close()
            await writer.wait_closed()
        await until(lambda: shops[0].held == 2)
        later = asyncio.ensure_future(api.get(f"{ROWS}?limit=15"))
        await until(lambda: shops[0].held == 3)
        gate.set()
        assert [(await each).status_code for each in (*first, later)] == [200] * 3
        assert sorted(began) == [10, 11, 15]


async def test_many_who_ask_the_same_are_one_question(repo, whole_index, held):
    """Asked once, told to all; they take one place."""
    gate, began = held
    async with served(repo, whole_index, waiting=1) as api:
        await api.get(f"{ROWS}?limit=7")
        hold(api, gate, began)
        asking = [asyncio.ensure_future(api.get(f"{ROWS}?limit=40")) for _ in range(20)]
        await until(lambda: began)
        gate.set()
        answers = [await each for each in asking]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len(began) == 1


async def test_a_request_that_takes_too_long_is_told_so(repo, whole_index, held, monkeypatch):
    """The deadline of all requests holds here too."""
    gate, began = held
    monkeypatch.setattr("daemon.http.REQUEST_LIMIT_S", 0.3)
    async with served(repo, whole_index) as api:
        hold(api, gate, began)
        answer = await api.get(f"{ROWS}?limit=41")
        told_problem(answer, 503)
        assert "too long" in answer.json()["detail"]
        gate.set()


async def test_a_workshop_counts_its_places():
    """A place is held from the asking to the end, and free after an error or a cancel."""
    shop = Workshop(1, 1)
    gate, began = threading.Event(), threading.Event()

    def work():
        began.set()
        gate.wait(30)

    try:
        one = asyncio.ensure_future(shop.run(work))
        await until(began.is_set)
        two = asyncio.ensure_future(shop.run(work))
        await until(lambda: shop.held == 2)
        with pytest.raises(Problem):
            await shop.run(work)
        two.cancel()
        await until(lambda: shop.held == 1)
        one.cancel()
        assert shop.held == 1
        gate.set()
        await until(lambda: shop.held == 0)
        with pytest.raises(ZeroDivisionError):
            await shop.run(lambda: 1 // 0)
        assert shop.held == 0
    finally:
        gate.set()
        shop.close()


async def test_a_shared_question_ends_with_its_last_asker():
    """One of two leaves, it goes on; both leave, it is cancelled and the next one asks anew."""
    shop = Workshop(1, 1)
    cancelled, gate = [], asyncio.Event()

    async def work():
        try:
            await gate.wait()
        except asyncio.CancelledError:
            cancelled.append(None)
            raise
        return 7

    one, two = (asyncio.ensure_future(shop.shared("x", work)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    assert not cancelled
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
    await until(lambda: cancelled)
    gate.set()
    assert await shop.shared("x", work) == 7
    shop.close()


@pytest.mark.parametrize(("timeframe", "status"), [("1h", 503), ("5m", 400)])
async def test_what_would_take_minutes_is_a_problem(repo, monkeypatch, timeframe, status):
    """503 where the index will hold it, else the end is too far from the start."""
    for place in ("regimes", "regime_answers"):
        monkeypatch.setattr(f"daemon.{place}.computed_at_once", lambda _: 3600)
    async with served(repo, None, history=history(repo, None, bounded=True)) as api:
        answer = await api.get(f"{SERIES}/{timeframe}/stats")
        problem = told_problem(answer, status)
        if status == 400:
            assert problem["parameter"]["name"] == "end"
            assert "at most 0 days after the start" in problem["detail"]
        else:
            assert answer.headers["retry-after"] == "60"
