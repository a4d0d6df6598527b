"""Repositories that have grown: a year of one market, a thousand markets; real records with other figures."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

from decisions.evaluate import evaluate
from market.hours import Hour, hours_between
from market.snapshot import MarketSummary
from store.decision_files import decision_file, decision_path, encode
from store.paths import metrics_path
from store.records import encode_metrics, metrics_file
from store.snapshots import encode_snapshot
from tests.decisions.builders import HOUR, KEY, SCALE, analysis, inputs, metric, policy, stopped
from tests.store.samples import CONFIG, hour_snapshot

FIRST = Hour.parse("2025-01-01T00")
YEAR_H = 8760
_VERDICTS = ("RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND")
_OPEN, _HIGH, _LOW, _CLOSE = 2001.11, 2009.99, 1991.11, 2003.33  # figures that stand nowhere else


class Records:
    """Records of one hour, made by the program, as a mould for many.

    Args:
        key: Market.
    """

    def __init__(self, key: str) -> None:
        summary = MarketSummary(*(round(SCALE * price) for price in (_OPEN, _HIGH, _LOW, _CLOSE)), 1000, None)
        found = analysis(price=_CLOSE, hold_probability=0.861234, metrics=metric("adx", 18.123456))
        made = evaluate(inputs(HOUR, summary=summary, grids=(stopped(),)), policy(found, config_hash=CONFIG))
        (advice,) = made.advice
        self._key, self._decision = key, advice.id
        self._metrics = encode_metrics(metrics_file(made)).decode().replace(KEY, key)
        self._advice = encode(decision_file(made, advice)).decode().replace(KEY, key)

    def of(self, hour: Hour, price: float, dice: random.Random) -> dict[str, bytes]:
        """Return an hour's metrics and decision files, path to bytes."""
        decision = f"{hour.closes_at:%Y-%m-%d}/dec-{self._key}-{hour.closes_at:%H%M%S}"
        told = (
            (self._decision.replace(KEY, self._key), decision),
            (HOUR.iso(), hour.iso()),
            (str(_OPEN), f"{price:.2f}9"),
            (str(_HIGH), f"{price + 9:.2f}9"),
            (str(_LOW), f"{price - 9:.2f}9"),
            (str(_CLOSE), f"{price + 3:.2f}9"),
            ("0.861234", f"0.{dice.randrange(100_000, 999_999)}"),
            ("18.123456", f"{dice.randrange(10, 60)}.{dice.randrange(100_000, 999_999)}1"),
            ("  verdict: RANGE_OK\n", f"  verdict: {_VERDICTS[hour.index // 30 % 4]}\n"),
        )
        metrics, advice = self._metrics, self._advice
        for ours, new in told:
            metrics, advice = metrics.replace(ours, new), advice.replace(ours, new)
        return {metrics_path(self._key, hour): metrics.encode(), decision_path(decision): advice.encode()}


def grown(root: Path, keys: Sequence[str], first: Hour, hours: int, *, snapshots: bool = False) -> Path:
    """Write so many hours of markets; with snapshots they can be drawn minute by minute too."""
    for number, key in enumerate(keys):
        dice, mould = random.Random(number), Records(key)
        for hour in hours_between(first, first.plus(hours)):
            price = 2000 + 90 * math.sin(hour.index / 40 + number)
            files = mould.of(hour, price, dice)
            if snapshots:
                files[f"snapshots/{key}/{hour.opens_at:%Y/%m/%d/%H}.json"] = encode_snapshot(
                    hour_snapshot(hour, key=key)
                )
            for path, data in files.items():
                target = root / path
                if not target.parent.exists():
                    target.parent.mkdir(parents=True)
                target.write_bytes(data)
    return root


def year_of_one_market(root: Path, *, snapshots: bool = False) -> Path:
    """8,760 judged hours of ETH-USDT."""
    return grown(root, (KEY,), FIRST, YEAR_H, snapshots=snapshots)


def thousand_markets(root: Path, hours: int = 48) -> Path:
    """Two days of a thousand markets."""
    return grown(root, [f"C{number:03d}-USDT" for number in range(1000)], FIRST, hours)
