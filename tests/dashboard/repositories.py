"""Data repositories that pages are tried on, each made by the whole application on the simulated exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daemon.calibrating import calibrate_due
from daemon.evaluating import evaluate_due
from daemon.kpis import record_kpis
from daemon.operator import settle_timers
from daemon.workers import attend
from exchanges.columns import Columns, rounded
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, new_record, with_event
from market.hours import Hour
from store.change_set import ChangeSet
from store.grids import encode_grid, grid_path
from tests.cycle.house import START, House, house

KEY = "ETH-USDT"
GRID = "eth-usdt-1"
QUIET_START = Hour.parse("2026-01-12T00")
LOOSE = {
    "economics": {"require_positive_edge": False},
    "capital": {"total_quote": 10_000, "mode": "multi_grid"},
}


class CalmMarket:
    """Candles of one market that swings within a few per cent for ever: what every grid hopes for."""

    kind: Literal["simulated"] = "simulated"
    symbols = (DEFAULT_SYMBOLS[0].rules,)

    def bars(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> Columns:
        """Return the candles of `seconds` that open in [start_ts, end_ts)."""
        minutes = np.arange(start_ts // 60, end_ts // 60, dtype=np.int64)
        closes, opens = _calm(minutes + 1), _calm(minutes)
        high, low = np.maximum(opens, closes) + 0.4, np.minimum(opens, closes) - 0.4
        volume = rounded(30 + 10 * np.sin(minutes / 97), 4)
        one = Columns(60 * minutes, opens, rounded(high, 2), rounded(low, 2), closes, volume)
        return one if seconds == 60 else one.aggregated(seconds)[0]


def _calm(minutes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the price at the open of minutes since 1970: two swings and a little unrest."""
    slow, fast = np.sin(minutes / 500), np.sin(minutes / 120 + 1)
    unrest = np.sin(minutes * 12.9898) * 1.2
    return rounded(2800 + 60 * slow + 6 * fast + unrest, 2)


async def set_up(there: House, lower: int, upper: int, hour: Hour, grid_id: str = GRID) -> None:
    """Write a grid that runs from the open of `hour`."""
    parameters = GridParameters(
        version=1,
        lower=Decimal(lower),
        upper=Decimal(upper),
        levels=6,
        spacing=Spacing.GEOMETRIC,
        amount_per_grid=Decimal(100),
        stop_loss=Decimal(lower) * Decimal("0.98"),
    )
    made = new_record(grid_id, KEY, GridKind.NORMAL, parameters, hour.opens_at)
    running = with_event(made, EventKind.ENABLED, hour.opens_at, 1, "started by hand", "test")
    await there.app.store.write(ChangeSet({grid_path(grid_id): encode_grid(running)}, "[grid] it runs"))


async def quiet_week(folder: Path, hours: int = 168) -> Path:
    """A week of one calm market with a grid that nobody has to touch; returns the data repository."""
    async with house(folder, start=QUIET_START, candles=CalmMarket(), **LOOSE) as there:
        await set_up(there, 2650, 2950, QUIET_START)
        await there.hours(QUIET_START, hours)
        await evaluate_due(there.app)
        await calibrate_due(there.app)
        await record_kpis(there.app)
    return folder / "data"


async def exit_in_progress(folder: Path, hours: int = 8) -> Path:
    """A grid that the price leaves: its exit state rises, STOP_GRID waits for an answer."""
    async with house(folder, markets=2, start=START, **LOOSE) as there:
        await set_up(there, 2860, 2999, START)
        await there.hours(START, hours)
        await settle_timers(there.app)
        await calibrate_due(there.app)
    return folder / "data"


async def stale_data(folder: Path, hours: int = 6, behind: int = 5) -> Path:
    """A running grid whose market got no hour any more, while the other one went on."""
    async with house(folder, markets=2, start=START, **LOOSE) as there:
        await set_up(there, 2500, 3400, START)
        await there.hours(START, hours)
        (other,) = (market for market in there.app.settings.markets if market.key != KEY)
        for index in range(hours, hours + behind):
            there.clock.set(START.plus(index).closes_at)
            await attend(there.app, other)
    return folder / "data"


async def empty_repository(folder: Path) -> Path:
    """A repository that was just made: nothing was collected or judged."""
    async with house(folder, start=START):
        pass
    return folder / "data"


REPOSITORIES: dict[str, Callable[[Path], Awaitable[Path]]] = {
    "quiet week": quiet_week,
    "exit in progress": exit_in_progress,
    "stale data": stale_data,
    "empty repository": empty_repository,
}
