"""KPIs over a backtest: of the desk's trades, and of the advice that a repository holds for the same hours.

Both are `decisions.kpis` figures: a value, its 95 % interval, n, and a note where the cases are too few. The
advice is counted as known by the end of the span, so that what is recorded later changes no result.

| figure | of | what |
| --- | --- | --- |
| win_rate | closed trades | share that left more cash than they began with |
| stopped_rate | closed trades with a stop | share that ended at it |
| mean_net | closed trades | net of one, quote |
| mean_r | closed trades with a stop | net over what the stop would have lost |
| gain_to_loss | closed trades, where one lost | all gains over all losses; no interval |
| held_median | closed trades that were filled | hours from entry to exit |
| trades_per_week | the span | closed trades; no interval |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backtest.analytics import FEWEST_TRADES
from decisions.episodes import Episode
from decisions.intervals import unbounded_mean
from decisions.kpi_cases import Cases
from decisions.kpi_targets import KpisConfig
from decisions.kpis import Kpi, kpis, measured, quantile_kpi, share_kpi
from decisions.realised import OutcomesConfig
from decisions.timers import PastAdvice
from market.hours import Hour, Timeframe, parse_instant
from market.orders import CASH_SCALE
from regime.config import RegimeConfig
from regime.precision import score
from store.episodes import answered_between, episodes_of
from store.inputs import ReadOnlyStore
from store.kpi_days import grid_files, known_by
from store.minutes import MinuteShelf
from trading.reasons import Reason
from trading.trades import TradeRecord

WEEK_H = 168
_SPANS = {Timeframe.H1: RegimeConfig().history.days(Timeframe.H1)}
_TRADES = KpisConfig(fewest=FEWEST_TRADES)


def trade_kpis(trades: Sequence[TradeRecord], hours: int) -> dict[str, dict[str, Any]]:
    """Return the KPIs of closed trades by name, as a result holds them.

    Args:
        trades: Closed ones.
        hours: Length of the span.
    """
    risked = [each for each in trades if each.r is not None]
    filled = [each.held_hours for each in trades if each.entry_at is not None]
    stops = Cases([float(each.exit_reason is Reason.STOP) for each in risked])
    found = (
        share_kpi("win_rate", Cases([float(each.won) for each in trades]), _TRADES),
        share_kpi("stopped_rate", stops, _TRADES),
        measured("mean_net", Cases([each.net / CASH_SCALE for each in trades]), unbounded_mean, _TRADES),
        measured("mean_r", Cases([each.r for each in risked if each.r is not None]), unbounded_mean, _TRADES),
        measured("gain_to_loss", _gains_and_losses(trades), _gain_to_loss, _TRADES),
        quantile_kpi("held_median", Cases(filled, len(trades) - len(filled), "never filled"), 0.5, _TRADES),
        Kpi(
            "trades_per_week",
            score(len(trades) * WEEK_H / hours),
            None,
            None,
            len(trades),
            None,
            None,
            None,
            "",
        ),
    )
    return {kpi.name: kpi.as_record() for kpi in found}


def _gains_and_losses(trades: Sequence[TradeRecord]) -> Cases:
    """Return every net where one of them is a loss: without a loss there is nothing to divide by."""
    nets = [float(each.net) for each in trades]
    return Cases(nets) if any(net < 0 for net in nets) else Cases([], len(nets), "without a loss among them")


def _gain_to_loss(nets: Sequence[float]) -> tuple[float, None, None]:
    gained = math.fsum(net for net in nets if net > 0)
    return gained / -math.fsum(net for net in nets if net < 0), None, None


@dataclass(frozen=True, slots=True)
class AdviceRules:
    """By what recorded advice is counted."""

    kpis: KpisConfig = field(default_factory=KpisConfig)
    outcomes: OutcomesConfig = field(default_factory=OutcomesConfig)


def advice_kpis(
    root: Path, keys: Sequence[str], start: Hour, end: Hour, rules: AdviceRules
) -> dict[str, Any] | None:
    """Return the KPIs of a repository's advice over the hours [start, end), None where no grid ran in them.

    Args:
        root: The repository.
        keys: Markets whose grids count.
        start, end: Hours that were judged.
        rules: Windows, targets, and what minutes may be missing.

    Raises:
        DataInvalid: A record that they are made from is damaged.
    """
    store = ReadOnlyStore(
        root, max_missing_minutes=rules.outcomes.tolerated_missing_minutes, timeframes=_SPANS
    )
    known = {key: found for key in keys if (found := _last_known(store, key, end)) is not None}
    episodes = list(_episodes(root, store, known, start, end, rules))
    if not any(each.stopped_at is None or each.stopped_at > start.opens_at for each in episodes):
        return None
    latest = max(known_at for _, known_at in known.values())
    grids = {each.grid_id for each in episodes}
    advice: list[PastAdvice] = [
        known_by(found, end.opens_at, latest)
        for found in answered_between(root, start.opens_at, end.opens_at)
        if found.advice.grid_id in grids
    ]
    report = kpis(episodes, advice, start.opens_at, end.opens_at, rules.kpis)
    return {**report.as_record(), "runs": len(episodes), "answered": len(advice)}


def _last_known(store: ReadOnlyStore, key: str, end: Hour) -> tuple[Hour, datetime] | None:
    """Return the last judged hour before `end`, and when it was judged."""
    judged = [hour for hour in store.inputs.judged_hours(key) if hour < end]
    record = store.inputs.record(key, judged[-1]) if judged else None
    return None if record is None else (judged[-1], parse_instant(record.inputs.known_at))


def _episodes(
    root: Path,
    store: ReadOnlyStore,
    known: dict[str, tuple[Hour, datetime]],
    start: Hour,
    end: Hour,
    rules: AdviceRules,
) -> Iterator[Episode]:
    """Yield every run that touches the span, with nothing in it from after the span."""
    shelf, tolerated = MinuteShelf(root), rules.outcomes.tolerated_missing_minutes
    for grid in grid_files(root):
        record = grid.until(end.opens_at)
        if record.market not in known or not record.history:
            continue
        hour, known_at = known[record.market]
        window = store.reader.load_window(record.market, hour, _SPANS, known_at)
        yield from episodes_of(root, record, window, shelf, rules.kpis, tolerated, start.opens_at)
