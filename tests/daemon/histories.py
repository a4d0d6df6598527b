"""Two markets' history for commands and agents, its index in every condition, and plain answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.histories import OpenHistory, open_history
from daemon.regime_forms import time_of
from daemon.settings import regime_rules
from market.hours import Hour, Timeframe
from regime.components.states import SIMPLIFIED
from regime.series import STORED, VERDICTS, RegimeRules
from store.index.regime_index import RegimeIndex
from store.regime_rows import SeriesPart
from tests.daemon.regimes import CONFIG, direct, keeper, repository
from tests.store.markets import coarse_files, hour_files

ETH, BTC = "ETH-USDT", "BTC-USDT"
COARSE_TO = Hour.parse("2024-03-24T00")
MIDDLE = Hour.parse("2024-02-20T00")
RULES = regime_rules(CONFIG, 3)
OTHER_RULES = RegimeRules(RULES.engine_version, "sha256:" + "9" * 64)
CONDITIONS = ("absent", "current", "half", "stale")


def two_markets(folder: Path) -> Path:
    """Return a repository with twelve weeks of two markets, the last ten hours of one in minutes."""
    files = coarse_files(ETH, COARSE_TO) | coarse_files(BTC, COARSE_TO)
    return repository(folder / "data", files | hour_files(10, ETH, COARSE_TO))


def index_file(root: Path) -> Path:
    return root.with_name(root.name + ".state") / "index.sqlite"


def fill(root: Path, condition: str) -> None:
    """Bring the repository's index into a condition, from whatever it was."""
    shutil.rmtree(index_file(root).parent, ignore_errors=True)
    if condition == "absent":
        return
    index = RegimeIndex.open(f"sqlite:///{index_file(root)}")
    try:
        keeper(root, index, rules=OTHER_RULES if condition == "stale" else RULES).catch_up()
        if condition == "half":
            index.delete_regimes(ETH, None, MIDDLE.open_ts)
            index.delete_regimes(BTC, Timeframe.H1)
    finally:
        index.close()


@contextmanager
def history_of(root: Path) -> Iterator[OpenHistory]:
    opened = open_history(root, None)
    try:
        yield opened
    finally:
        opened.close()


def plain_rows(part: SeriesPart) -> list[dict[str, Any]]:
    """Return time, regime, verdict and confidence of each row."""
    rows = part.rows
    return [
        {
            "open_time": time_of(ts),
            "simplified_regime": SIMPLIFIED[regime].value,
            "verdict": None if verdict < 0 else VERDICTS[verdict].value,
            "confidence": confidence / 10_000,
        }
        for ts, regime, verdict, confidence in zip(
            rows.ts.tolist(), rows.simplified.tolist(), rows.verdict.tolist(), rows.confidence.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def plain_periods(part: SeriesPart) -> list[dict[str, Any]]:
    """Return the runs of equal regime, found by walking from row to row."""
    step, ts = part.rows.timeframe.seconds, part.rows.ts.tolist()
    names = [row["simplified_regime"] for row in plain_rows(part)]
    opens = dict(zip(part.bars.ts.tolist(), part.bars.open.tolist(), strict=True))
    closes = dict(zip(part.bars.ts.tolist(), part.bars.close.tolist(), strict=True))
    found: list[dict[str, Any]] = []
    first = 0
    for place in range(1, len(ts) + 1):
        if place < len(ts) and names[place] == names[first] and ts[place] == ts[place - 1] + step:
            continue
        begins, ends = ts[first], ts[place - 1]
        touches = first > 0 and ts[first - 1] == begins - step
        found.append(
            {
                "simplified_regime": names[first],
                "previous_regime": names[first - 1] if touches else None,
                "start": time_of(begins),
                "end": time_of(ends + step),
                "bars": place - first,
                "open": opens[begins] / part.price_scale,
                "close": closes[ends] / part.price_scale,
                "return_pct": round(100 * (closes[ends] / opens[begins] - 1), 4),
                "ongoing": place == len(ts),
            }
        )
        first = place
    return found


def plain_changes(root: Path, before: str, after: str) -> list[dict[str, Any]]:
    """Return every change from one regime to another in all stored series, by symbol, timeframe and time."""
    return [
        {"symbol": key, "timeframe": timeframe.value} | period
        for key in (BTC, ETH)
        for timeframe in sorted(STORED, key=lambda each: each.value)
        for period in plain_periods(direct(root, timeframe, key))
        if (period["previous_regime"], period["simplified_regime"]) == (before, after)
    ]


def plain_bins(rows: list[dict[str, Any]]) -> list[int]:
    """Return how many rows have a confidence in each twentieth."""
    bins = [0] * 20
    for row in rows:
        bins[min(19, round(row["confidence"] * 10_000) * 20 // 10_000)] += 1
    return bins
