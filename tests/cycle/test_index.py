"""The index beside the cycles: it follows every hour, and its absence delays none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import pytest

from daemon.health import health
from daemon.indexer import index_forever, keep_index
from daemon.indexing import Filling
from daemon.regime_forms import row_dicts
from daemon.settings import Settings
from market.hours import Timeframe
from store.index.regime_index import RegimeIndex
from tests.cycle.house import START, House, assert_sound, house
from tests.daemon.regimes import contents, keeper
from tests.postgresql import Server, postgresql

WEEK = 168


def rebuilt(there: House, folder: Path) -> dict[object, object]:
    """Return what an index holds that is made at once from the repository as it is now."""
    settings = there.app.settings
    index = RegimeIndex.open(f"sqlite:///{folder / 'rebuilt.sqlite'}")
    try:
        keeper(there.folder / "data", index, config=settings.regime, rules=settings.regime_rules()).catch_up()
        return contents(index)
    finally:
        index.close()


async def test_every_hour_is_in_the_index_when_it_was_judged(tmp_path: Path):
    """On 15m, 1h and 4h; the verdict beside the three dimensions is the one that was recorded."""
    async with house(tmp_path, markets=2) as there:
        for step in range(9):
            await there.hour(START.plus(step))
            assert await keep_index(there.app)
            hour = START.plus(step)
            for key in ("ETH-USDT", "BTC-USDT"):
                state = there.app.index.opened().state(key, Timeframe.H1)
                assert state is not None and state.filled_to_ts == hour.close_ts
                page = there.app.regimes.rows(key, Timeframe.H1, hour.open_ts, hour.close_ts, limit=5)
                (row,) = row_dicts(page)
                recorded = there.metrics(hour, key)["regime_analysis"]
                assert row["source"] == "stored"
                assert row["verdict"] == recorded["verdict"]
                assert row["full_regime"] == recorded["components"]["full_regime"]
        assert contents(there.app.index.opened()) == rebuilt(there, tmp_path)
        assert there.app.index.opened().check() == []
        page = health(there.app)["checks"]["index"]
        assert page["status"] == "pass" and page["rows"] > 1000
        scraped = there.app.metrics.registry.get_sample_value
        labels = {"market": "ETH-USDT", "timeframe": "1h"}
        assert scraped("regimed_index_filled_age_seconds", labels) == pytest.approx(5, abs=1)
        assert scraped("regimed_index_rows", labels) > 100 and scraped("regimed_index_bytes") > 0


async def test_another_process_that_fills_is_not_disturbed(tmp_path: Path):
    """While `regimed index rebuild` holds the right to fill, the daemon's pass leaves it alone."""
    async with house(tmp_path) as there:
        await there.hour(START)
        with Filling(there.app.settings.state_path).at_once() as ours:
            assert ours and await keep_index(there.app)
            assert there.app.board.index.rows == {}
            assert there.app.board.index.current_at is None
        assert await keep_index(there.app)
        assert there.app.board.index.rows["ETH-USDT", "1h"] > 0


@pytest.fixture
def server():
    """PostgreSQL in a folder that its own user may enter; pytest's are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with postgresql(Path(folder) / "pg") as found:
            yield found


@pytest.mark.servers
@pytest.mark.check
async def test_a_week_with_a_server_that_goes_away(tmp_path: Path, server: Server):
    """PostgreSQL stops twice for hours: every hour is judged in its own turn, and no row is missing after."""
    url = server.database()
    migrated = RegimeIndex.open(url, migrating=True)
    assert migrated.migrate()
    migrated.close()
    async with house(tmp_path, index={"url": url}) as there, anyio.create_task_group() as group:
        group.start_soon(index_forever, there.app)
        for step in range(WEEK):
            if step in (30, 100):
                await anyio.to_thread.run_sync(server.stop)
            await there.hour(START.plus(step))
            assert there.state().newest == START.plus(step)
            assert not there.state().trouble
            if step in (40, 110):  # in the middle of an outage
                assert not await keep_index(there.app)
                page = health(there.app)["checks"]["index"]
                assert page["status"] == "warn" and "nothing waits for it" in page["output"]
                rows = there.app.regimes.rows(
                    "ETH-USDT", Timeframe.H1, START.open_ts, START.plus(step + 1).open_ts, limit=1000
                )
                assert len(rows.rows) == step + 1 and rows.stored_before_ts <= START.open_ts
            if step in (60, 150):
                await anyio.to_thread.run_sync(server.start)
            if step % 10 == 0 and not 30 <= step < 60 and not 100 <= step < 150:
                assert await keep_index(there.app)
        assert await keep_index(there.app)
        index = there.app.index.opened()
        assert index.engine == "postgresql" and index.check() == []
        assert contents(index) == rebuilt(there, tmp_path)
        assert len(there.judged()) == WEEK
        assert_sound(there.folder)
        group.cancel_scope.cancel()


def test_the_rules_of_rows_follow_the_configuration(tmp_path: Path):
    """A changed parameter is another name; a place or a port is not."""
    base = {
        "data_repository": {"base_path": str(tmp_path / "data")},
        "exchanges": {"one": {"kind": "kucoin"}},
        "markets": [{"exchange": "one", "symbol": "ETH-USDT"}],
    }
    plain = Settings(**base).regime_rules()
    assert Settings(**base, http={"port": 1}).regime_rules() == plain
    assert Settings(**base, collection={"max_missing_minutes": 5}).regime_rules() != plain
    assert Settings(**base, regime={"components": {"momentum": 0.6}}).regime_rules() != plain
