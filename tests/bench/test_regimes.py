from contextlib import contextmanager

import numpy as np
import pytest
from aiohttp import web

from bench import regime_store
from bench.api_client import Job, asked
from bench.regime_rows import FIRST, computed_rows, made_bars, naive_row
from bench.regime_store import QUICK, store_figures
from bench.regime_table import PlainTable
from market.hours import HOUR_S
from regime.components.states import FULL_REGIMES, SIMPLIFIED, SimplifiedRegime
from regime.series import periods_of


def test_without_a_server_the_file_alone_is_measured_and_it_is_said_why(tmp_path, monkeypatch, capsys):
    """A machine without PostgreSQL still has a bench, and its figures claim nothing of the server."""

    @contextmanager
    def absent(folder):
        pytest.skip("pg_ctl is not installed")
        yield

    monkeypatch.setattr(regime_store, "postgresql", absent)
    figures = store_figures(QUICK, tmp_path)
    assert {figure.what.split(",")[0] for figure in figures} == {"SQLite"}
    assert "PostgreSQL is left out: pg_ctl is not installed" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.sqlite*"))  # hundreds of MB at whole sizes


def test_a_full_disk_is_told_before_anything_is_filled(tmp_path, monkeypatch):
    """Ten million rows are not begun where they cannot end."""
    usage = regime_store.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(regime_store.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RuntimeError, match="MB are needed"):
        store_figures(QUICK, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_naive_way_tells_the_same_regimes():
    """The peer of computing does the same work, so a ratio means something."""
    bars = made_bars(1_200, seed=3)
    rows = computed_rows(bars)
    picked = range(len(rows) - 60, len(rows))
    told = [naive_row(bars, int(np.searchsorted(bars.ts, rows.ts[row])))["full_regime"] for row in picked]
    assert told == [FULL_REGIMES[rows.full[row]] for row in picked]


def test_the_plain_table_answers_as_the_rows_do(tmp_path):
    """The peer of the store is right, not only fast or slow."""
    rows = computed_rows(made_bars(2_000, seed=5))
    table = PlainTable(tmp_path / "plain.sqlite")
    table.insert("A-USDT", rows)
    table.insert("B-USDT", rows.where(slice(0, 500)))
    end = FIRST.open_ts + 2_000 * HOUR_S
    runs = periods_of(rows)
    up, choppy = SIMPLIFIED.index(SimplifiedRegime.TREND_UP), SIMPLIFIED.index(SimplifiedRegime.CHOPPY)
    assert table.periods("A-USDT", 0, end) == sum(run.regime == up for run in runs) > 5
    assert table.changes("A-USDT", 0, end) == sum((run.previous, run.regime) == (choppy, up) for run in runs)
    assert table.stats("A-USDT", 0, end) == len(rows)
    assert table.rows("A-USDT", end - 100 * HOUR_S, end) == table.latest("A-USDT", 100) == 100
    assert table.all_changes() == len(rows) - 1 + 499
    assert table.all_confidences() == len(rows) + 500
    table.close()


async def test_the_client_measures_no_failures():
    """An answer of another status than expected ends it: a quick error is no quick answer."""

    async def refused(_):
        return web.Response(status=503)

    site = web.Application()
    site.router.add_get("/", refused)
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        job = Job(runner.addresses[0][1], ["/"], most=3)
        with pytest.raises(ExceptionGroup, match="TaskGroup") as failed:
            await asked(job)
        assert "/: 503" in str(failed.value.exceptions[0])
        told = await asked(Job(job.port, ["/"], status=503, most=7, connections=2))
        assert len(told.each) == 7
    finally:
        await runner.cleanup()
