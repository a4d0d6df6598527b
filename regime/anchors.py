"""Where recursions start: absolute instants, so that live, replay and batch fold the same bars."""

from __future__ import annotations

import numpy as np

from market.candles import Ints
from market.hours import Hour, Timeframe
from regime.config import HistoryConfig

_DAY_S = 86_400


def anchor_ts(timeframe: Timeframe, hour: Hour, ts: Ints, first_ts: int, config: HistoryConfig) -> int:
    """Return the instant from which the recursions of `hour` are folded.

    1h and 4h: the first of the month three months before the hour's own month; 15m: one month before; 1m and
    5m: seven days before the hour's day. With fewer than `anchor_minimum_bars` bars after it, the anchor
    before it (a month, or a day, earlier) is used, as long as it lies within the timeframe's span and bars
    are known before it.

    Args:
        timeframe: Which bars are folded.
        hour: The analysed hour.
        ts: Opens of the known bars up to the hour, rising, shape (n,).
        first_ts: Open of the first bar recorded for the market, even if before `ts[0]`.
        config: Distances and the minimum.

    Returns:
        Epoch seconds, 00:00 UTC of a day, or `first_ts` where that is later.
    """
    oldest = hour.close_ts - config.days(timeframe) * _DAY_S
    back = 0
    anchor = _anchor(timeframe, hour, back, config)
    while anchor > first_ts and _bars_since(anchor, ts) < config.anchor_minimum_bars:
        back += 1
        earlier = _anchor(timeframe, hour, back, config)
        if earlier < oldest:
            break
        anchor = earlier
    return max(anchor, first_ts)


def same_anchor_since(timeframe: Timeframe, hour: Hour) -> int:
    """Return the open of the month (for 1m and 5m the day) whose hours fold from the anchor of `hour`.

    Epoch seconds. Hours in it that have fewer than `anchor_minimum_bars` after that anchor may use an earlier
    one.
    """
    if timeframe in (Timeframe.M1, Timeframe.M5):
        return hour.open_ts - hour.open_ts % _DAY_S
    return Hour.of(hour.opens_at.replace(day=1, hour=0)).open_ts


def _bars_since(anchor: int, ts: Ints) -> int:
    return int(ts.shape[0] - np.searchsorted(ts, anchor))


def _anchor(timeframe: Timeframe, hour: Hour, back: int, config: HistoryConfig) -> int:
    if timeframe in (Timeframe.M1, Timeframe.M5):
        return hour.open_ts - hour.open_ts % _DAY_S - (config.minute_anchor_days + back) * _DAY_S
    quarter = timeframe is Timeframe.M15
    months = (config.quarter_hour_anchor_months if quarter else config.anchor_months) + back
    opens = hour.opens_at
    year, month = divmod(opens.year * 12 + opens.month - 1 - months, 12)
    start = opens.replace(year=year, month=month + 1, day=1, hour=0)
    return Hour.of(start).open_ts
