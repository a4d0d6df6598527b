"""A stop ends the calls under way, whatever they wait for; the index serves later ones."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from market.errors import IndexUnavailable
from store.index import postgres
from store.index.regime_index import RegimeIndex
from tests.store.index.conftest import migrated
from tests.store.index.samples import H1, KEY, at, fill

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


def cut_short(index: RegimeIndex, call: Callable[[], object]) -> float:
    """Return the seconds that a call takes to fail which is cut as soon as it waits."""
    with ThreadPoolExecutor(1) as threads:
        done: Future[object] = threads.submit(call)
        over = threading.Event()
        done.add_done_callback(lambda _done: over.set())
        began = time.perf_counter()
        while not over.wait(0.01) and time.perf_counter() - began < 20:
            index.cut()
        took = time.perf_counter() - began
        with pytest.raises(IndexUnavailable):
            done.result(0)
    return took


def test_a_statement_under_way_ends_at_once(index):
    """A question that would never end does, in either kind of transaction; the next ones are answered."""
    fill(index, 0, 20)

    def asks() -> None:
        with index._database.reading() as connection:
            connection.exec_driver_sql(ENDLESS[index.engine])

    def writes() -> None:
        with index._database.writing() as connection:
            connection.exec_driver_sql(ENDLESS[index.engine])

    for call in (asks, writes):
        assert cut_short(index, call) < 5
        assert index.check() == []
    assert fill(index, 20, 30).filled_to_ts == at(30)


def test_nothing_under_way_is_nothing_to_cut(index):
    """A connection whose use is over serves the next call."""
    fill(index, 0, 20)
    index.cut()
    assert index.state(KEY, H1).filled_to_ts == at(20)


@pytest.mark.servers
@pytest.mark.parametrize("asked", [False, True])
def test_a_frozen_server_is_not_waited_for(server, monkeypatch, asked):
    """Neither in a question nor in asking whether it is there, which comes before each one."""
    monkeypatch.setattr(postgres, "PING_S", 60.0)
    with migrated(server.database()) as index:
        fill(index, 0, 20)
        index._database.read_s = 60.0
        with index._database.reading() as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()

        def asks_within() -> None:
            with index._database.reading() as connection:
                os.kill(process, signal.SIGSTOP)
                frozen.set()
                connection.exec_driver_sql("SELECT 1")

        frozen = threading.Event()
        if not asked:
            os.kill(process, signal.SIGSTOP)
        try:
            assert cut_short(index, asks_within if asked else index.states) < 5
            assert frozen.is_set() is asked
        finally:
            os.kill(process, signal.SIGCONT)
        assert index.state(KEY, H1).filled_to_ts == at(20)
