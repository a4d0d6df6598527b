"""Builders of snapshots for tests."""

from datetime import timedelta
from decimal import Decimal

from market.candles import Candle
from market.hours import Hour
from market.snapshot import build_snapshot

HOUR = Hour.parse("2026-02-02T14")


def minute_candles(hour: Hour = HOUR, *, before: int = 3, after: int = 1, price: str = "2500.10", skip=()):
    """Return one candle a minute around `hour` but for the minutes in `skip`, with prices that move."""
    base = Decimal(price)
    step = base / 10000
    candles = []
    for i in range(-before, 60 + after):
        if i in skip:
            continue
        o = (base + step * ((i * 7) % 11 - 5)).quantize(Decimal("0.01"))
        c = (base + step * ((i * 5) % 13 - 6)).quantize(Decimal("0.01"))
        volume = Decimal(1 + i % 7) / 8
        candles.append(
            Candle(
                hour.open_ts + 60 * i,
                o,
                max(o, c) + Decimal("0.05"),
                min(o, c) - Decimal("0.05"),
                c,
                volume,
                c * volume,
            )
        )
    return candles


def snapshot(
    hour: Hour = HOUR,
    *,
    key: str = "ETH-USDT",
    candles=None,
    late: timedelta = timedelta(seconds=5),
    **changes,
):
    """Return a valid snapshot of `hour`; keyword arguments go to `build_snapshot`."""
    arguments = {
        "key": key,
        "exchange": "kucoin",
        "symbol": key,
        "hour": hour,
        "collected_at": hour.closes_at + late,
        "source": "live",
        "candles": minute_candles(hour) if candles is None else candles,
    }
    return build_snapshot(**{**arguments, **changes})
