"""Example notices by the real templates: what `regimed notify test` sends, one of each level. Pure.

The facts are made up after a grid on ETH-USDT. No example carries a grid, an exit state or a decision of its
own: whoever reacts to those must not react to a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from decisions.recommendation import Action
from exits.states import ExitState
from market.hours import Hour, last_closed_hour
from notifications.advice import AdviceFacts
from notifications.anomalies import Condition, step
from notifications.digest import Budget, DigestFacts, GridFacts, MarketFacts, digest_notice
from notifications.messages import HourFacts, hour_notices
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice
from notifications.settings import PacingSettings
from notifications.text import cut

KEY = "ETH-USDT"
GRID = "eth-usdt-1"
TEST_LANE = "regimed-notify-test"
_NOTHING = "This is a test: nothing happened, no answer is needed."
_ACKNOWLEDGE = (
    "This is a test: nothing happened. Acknowledge it on the phone; it ends by itself if you do not."
)


def one_of_each_level(now: datetime) -> list[Notice]:
    """Return one test of each level, the quietest first, each of another kind.

    The emergency stands for a grid of a name that no grid has, so that it can be cancelled by it and
    silences no real one.

    Args:
        now: Part of their names, so that each run is told.
    """
    hour = last_closed_hour(now)
    digest = digest_notice(example_digest(now), now.date())
    (market,) = hour_notices(_calm(hour.plus(-1)), _turned(hour))
    (anomaly,) = example_anomaly(now)
    (advice,) = hour_notices(None, replace(_turned(hour), advice=(_stop(hour),)))
    return [
        _as_test(notice, level, now)
        for notice, level in zip((digest, market, anomaly, advice), Level, strict=True)
    ]


def _as_test(notice: Notice, level: Level, now: datetime) -> Notice:
    emergency = level is Level.EMERGENCY
    said = _ACKNOWLEDGE if emergency else _NOTHING
    return Notice(
        dedupe=f"test/{level.value}/{now.isoformat()}",
        market="",
        level=level,
        title=cut(f"TEST: {notice.title}", MOST_TITLE),
        body=f"{said}\n\n{cut(notice.body, MOST_BODY - len(said) - 2)}",
        at=now,
        kind=Kind.TEST,
        grid_id=TEST_LANE if emergency else "",
    )


def _calm(hour: Hour) -> HourFacts:
    return HourFacts(KEY, hour, "RECOMMENDED", None, "RANGE_OK", 0.71, 2832.14, 2766.87, 2884.99)


def _turned(hour: Hour) -> HourFacts:
    return HourFacts(KEY, hour, "RECOMMENDED", None, "TRANSITION", 0.38, 2771.02, 2766.87, 2884.99)


def _stop(hour: Hour) -> AdviceFacts:
    return AdviceFacts(
        id=f"{hour.closes_at:%Y-%m-%d}/dec-{KEY}-{hour.closes_at:%H}0000",
        grid_id=GRID,
        action=Action.STOP_GRID.value,
        reason="the close 2748.31 is below the grid's lowest price 2766.87 for 2 hours",
        confidence=0.82,
        exit_state=ExitState.MANDATORY_EXIT.value,
        told_higher=None,
        expected=None,
        form="",
        until=None,
        since=str(hour),
    )


def example_digest(now: datetime) -> DigestFacts:
    """Return the facts of a calm day with one grid."""
    hour = last_closed_hour(now)
    return DigestFacts(
        at=now,
        markets=(
            MarketFacts(KEY, "RANGE_OK", 0.71, 2832.14, 2766.87, 2884.99),
            MarketFacts("BTC-USDT", "TRANSITION", 0.48, 61927.7, 59735.9, 63100.8),
        ),
        grids=(
            GridFacts(
                GRID, ExitState.NORMAL, hour.plus(-52).closes_at, "USDT", 14.37, 0.72, stop=True,
                stop_distance_pct=4.1,
            ),
        ),
        budget=Budget(f"{now - timedelta(days=1):%Y-%m-%d}", 1.4, 0.25, 12),
        hours_recorded=48,
        hours_due=48,
    )  # fmt: skip


def example_anomaly(now: datetime) -> Sequence[Notice]:
    """Return the notice of a market without a fresh hour."""
    hour = last_closed_hour(now)
    condition = Condition(
        name=f"stale/{KEY}",
        market=KEY,
        level=Level.HIGH,
        title=f"{KEY}: no fresh hour",
        detail=f"Newest judged hour {hour.plus(-2)}, 2.1 h old (limit 95 min): kucoin: no answer.",
        body="Advice is withheld: look at your grids yourself, and at the exchange.",
    )
    return step({}, [condition], now, PacingSettings())[1]
