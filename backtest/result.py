"""What a backtest found, and its form as JSON: the same bytes for the same data, configuration and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from exchanges.simulated.fills import FillModel
from market.errors import DataInvalid
from trading.trades import TradeRecord

SCHEMA_VERSION = 2
_AGAIN = "run the backtest again"
_FORM = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_NAMES = frozenset(
    {
        "schema_version",
        "strategy",
        "keys",
        "start",
        "end",
        "config_hash",
        "data_digest",
        "seed",
        "fill_model",
        "capital",
        "hours",
        "nav",
        "exposure",
        "baselines",
        "trades",
        "orders",
        "refusals",
        "analytics",
        "kpis",
        "bracket",
        "notes",
    }
)


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """One run; amounts are exact quote as decimal text.

    Attributes:
        strategy: A signal's name, or `policy` for all of them under the policy.
        start, end: Hours, half-open.
        hours: Each hour's name.
        nav, exposure: At each hour's close: the account's worth, and coin plus open buys.
        baselines: `cash`, `hold` and `always_on_grid`, each at the same hours.
        trades: Closed ones, in order of exit.
        orders: Orders by what happened to them.
        refusals: Triggers that were refused, by reason.
        analytics: By `backtest.analytics.analytics_of`.
        kpis: `trades` by `backtest.kpis.trade_kpis`, `advice` by `advice_kpis` or None.
        bracket: The same run under the three fill models; None where it was not asked for.
        notes: What a reader must know of data and assumptions.
    """

    strategy: str
    keys: tuple[str, ...]
    start: str
    end: str
    config_hash: str
    data_digest: str
    fill_model: FillModel
    capital: str
    hours: tuple[str, ...]
    nav: tuple[str, ...]
    exposure: tuple[str, ...]
    baselines: Mapping[str, tuple[str, ...]]
    trades: tuple[TradeRecord, ...]
    orders: Mapping[str, int]
    refusals: Mapping[str, int]
    analytics: Mapping[str, Any]
    kpis: Mapping[str, Any]
    bracket: Mapping[str, Mapping[str, Any]] | None
    notes: tuple[str, ...]

    def as_value(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "strategy": self.strategy,
            "keys": list(self.keys),
            "start": self.start,
            "end": self.end,
            "config_hash": self.config_hash,
            "data_digest": self.data_digest,
            "seed": self.fill_model.seed,
            "fill_model": self.fill_model.model_dump(mode="json"),
            "capital": self.capital,
            "hours": list(self.hours),
            "nav": list(self.nav),
            "exposure": list(self.exposure),
            "baselines": {name: list(worth) for name, worth in self.baselines.items()},
            "trades": [orjson.loads(trade.as_line()) for trade in self.trades],
            "orders": dict(self.orders),
            "refusals": dict(self.refusals),
            "analytics": dict(self.analytics),
            "kpis": dict(self.kpis),
            "bracket": None if self.bracket is None else dict(self.bracket),
            "notes": list(self.notes),
        }

    def as_bytes(self) -> bytes:
        """Return the result as its file holds it."""
        return orjson.dumps(self.as_value(), option=_FORM)


def read_result(data: bytes, where: str) -> dict[str, Any]:
    """Return the JSON of a result that `as_bytes` wrote.

    Raises:
        DataInvalid: Names what is missing, unknown or of another version.
    """
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DataInvalid(where, "", f"not JSON: {error}; {_AGAIN}") from None
    if not isinstance(found, dict):
        raise DataInvalid(where, "", f"{type(found).__name__}, expected a backtest's result; {_AGAIN}")
    if found.get("schema_version") != SCHEMA_VERSION:
        told = found.get("schema_version")
        raise DataInvalid(where, "schema_version", f"{told!r}, expected {SCHEMA_VERSION}; {_AGAIN}")
    if wrong := sorted(_NAMES ^ set(found)):
        problem = "missing" if wrong[0] in _NAMES else "unknown"
        raise DataInvalid(where, wrong[0], f"{problem}; {_AGAIN}")
    result: dict[str, Any] = found
    return result
