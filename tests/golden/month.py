"""A month through the spine, hour by hour, with a scripted operator: what golden records are made from.

`python -m tests.golden.month` writes the digests anew, and only where `ENGINE_VERSION` was raised: a record
of this version must not change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from daemon.windows import RecordedHours
from decisions.actions import ActionTaken, Answer
from decisions.answering import Set, grid_after
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import Before, Policy
from decisions.recommendation import Action
from decisions.timers import PastAdvice
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS, SimulatedMarket
from grid.capital import CapitalConfig
from grid.economics import EconomicsConfig, TradingRules
from grid.record import GridRecord
from grid.state import GridState, state_at
from market.hours import Hour, Timeframe, hours_between
from regime.analysis import ENGINE_VERSION
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.gates.config import GatesConfig
from store import yaml_text
from store.advice import proposed_of
from store.decision_files import decision_file, encode, past_advice
from store.recorded import RecordedMarket, RecordedSeries, choose_markets
from store.recorded_windows import RecordedWindows
from store.records import decode_metrics, encode_metrics, metrics_file

FOLDER = Path(__file__).parent
Hours: TypeAlias = Iterable[tuple[Evaluation, bytes]]
ANSWERED_AFTER, REST = timedelta(minutes=20), timedelta(hours=60)
RULES = TradingRules(Decimal("0.01"), Decimal("0.0000001"), Decimal("0.000001"), Decimal("0.1"))
POLICY = {
    "gates": GatesConfig(preset="aggressive"),
    "capital": CapitalConfig(total_quote=Decimal(10_000)),
    "economics": EconomicsConfig(require_positive_edge=False),
}


@dataclass(frozen=True)
class Month:
    """A month of one market, and where its digests are kept."""

    name: str
    key: str
    start: Hour
    end: Hour

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.yaml"


SIMULATED = Month("simulated", "ETH-USDT", Hour.parse("2026-01-01T00"), Hour.parse("2026-02-01T00"))
RECORDED = Month("recorded", "ETH-USDT", Hour.parse("2025-06-01T00"), Hour.parse("2025-07-01T00"))


class _Simulated:
    """The simulated market in the shape of recorded files."""

    symbol = "ETH-USDT"

    def __init__(self, month: Month, timeframes: dict[Timeframe, int]) -> None:
        self._market = SimulatedMarket(symbols=DEFAULT_SYMBOLS[:1])
        self._starts = {each: month.start.open_ts - 86_400 * (days + 1) for each, days in timeframes.items()}
        self._starts[Timeframe.M1] = month.start.open_ts - 2 * 86_400
        self._end_ts = month.end.open_ts

    def series(self, timeframe: Timeframe) -> RecordedSeries | None:
        if timeframe not in self._starts:
            return None
        columns = self._market.bars(self.symbol, timeframe.seconds, self._starts[timeframe], self._end_ts)
        return RecordedSeries(timeframe, *columns.all())


def windows_of(month: Month, data: Path | None) -> RecordedWindows:
    """Return the candles of a month; of the recorded one from the folder that holds them."""
    timeframes = RegimeEngine(RegimeConfig()).timeframes()
    market: Any = _Simulated(month, dict(timeframes))
    if data is not None:
        market = choose_markets(data, 1, symbols=[month.key], venue="BINANCE").markets[0]
        assert isinstance(market, RecordedMarket)
    return RecordedWindows(market, timeframes)


def records(month: Month, windows: RecordedWindows) -> Iterator[tuple[Evaluation, bytes]]:
    """Yield each hour with the bytes of its records: the judgement, then each recommendation.

    The operator accepts what asks for an answer after 20 minutes, and days after a stop sets up by hand what
    was only drawn. What one hour knows of the one before goes through the bytes of its record, as in the
    daemon.
    """
    source = RecordedHours({month.key: windows})
    policy = Policy("golden", RegimeEngine(RegimeConfig()), 3, **POLICY)
    before: Before | None = None
    grids: dict[str, GridRecord] = {}
    past: list[PastAdvice] = []
    minutes = windows.bars(Timeframe.M1)
    for plain in source.windows(month.key, hours_between(month.start, month.end)):
        hour = plain.hour
        states = (state_at(each, hour.closes_at) for each in grids.values())
        inputs = replace(
            plain,
            minutes=minutes.between(hour.open_ts, hour.close_ts),
            grids=tuple(state for state in states if state is not None),
            rules=RULES,
            before=before,
            past=tuple(each for each in past if hour.closes_at - each.closes_at <= timedelta(hours=6)),
        )
        found = evaluate(inputs, policy)
        judged = encode_metrics(metrics_file(found))
        read = decode_metrics(judged, str(hour), (month.key, hour))
        before = Before(hour, read.gate_evaluation, read.exit_evaluation)
        files = [decision_file(found, advice) for advice in found.advice]
        for file in files:
            advice = past_advice(file, [])
            at = hour.closes_at + ANSWERED_AFTER
            if advice.is_open(at):
                advice = replace(advice, actions=(ActionTaken(at, "golden", Answer.ACCEPT),))
                grid = grids.get(file.grid_id)
                after = grid_after(advice, proposed_of(file), Set(), at, grid, month.key, "golden")
                if after is not None:
                    grids[file.grid_id] = after
            elif _would_start(advice, grids, at) and proposed_of(file) is not None:
                advice = replace(advice, action=Action.CREATE_GRID)
                grid = grids.get(file.grid_id)
                after = grid_after(advice, proposed_of(file), Set(), at, grid, month.key, "golden")
                assert after is not None
                grids[file.grid_id] = after
                advice = past_advice(file, [])
            past.append(advice)
        yield found, b"".join([judged, *map(encode, files)])


def _would_start(advice: PastAdvice, grids: dict[str, GridRecord], at: datetime) -> bool:
    """Say whether the operator has rested long enough since the last stop."""
    states = [state for each in grids.values() if (state := state_at(each, at)) is not None]
    rested = bool(states) and all(not state.running and _rested(state, at) for state in states)
    return advice.action is Action.NO_SETUP and rested


def _rested(state: GridState, at: datetime) -> bool:
    return state.stopped_at is None or state.stopped_at + REST <= at


def digests(hours: Hours) -> dict[str, str]:
    """Return the first 16 digits of each hour's digest."""
    return {str(found.inputs.hour): sha256(data).hexdigest()[:16] for found, data in hours}


def kept(month: Month) -> tuple[int, dict[str, str]]:
    """Return the engine version that the digests are of, and the digests."""
    value = yaml_text.load(month.path.read_bytes(), month.path.name)
    return int(value["engine_version"]), dict(value["hours"])


def write(month: Month, data: Path | None) -> None:
    """Keep a month's digests as of this engine version."""
    made = digests(records(month, windows_of(month, data)))
    if month.path.exists() and kept(month)[0] == ENGINE_VERSION and kept(month)[1] != made:
        sys.exit(f"{month.name}: records of engine {ENGINE_VERSION} have changed; raise ENGINE_VERSION first")
    month.path.write_bytes(yaml_text.dump({"engine_version": ENGINE_VERSION, "hours": made}))


if __name__ == "__main__":
    write(SIMULATED, None)
    if len(sys.argv) > 1:
        write(RECORDED, Path(sys.argv[1]))
