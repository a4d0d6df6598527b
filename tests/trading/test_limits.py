"""The sections of risk and pacing: what stands in them when nothing is said, and what they take."""

from __future__ import annotations

import pytest

from tests.sections import takes
from trading.pacing import PacingConfig
from trading.risk import RiskConfig

DAY_S = 86_400
# field: default, least, most; a number that is itself not allowed stands in brackets
PACING = {
    "min_seconds_between_trades": (0, 0, DAY_S),
    "max_trades_per_hour": (3, 1, 1000),
    "max_trades_per_day": (12, 1, 10_000),
    "cooldown_win_s": (600, 0, 7 * DAY_S),
    "cooldown_loss_s": (1800, 0, 7 * DAY_S),
    "cooldown_loss_most_s": (3600, 0, 7 * DAY_S),
}
BREAKERS = {
    "max_stale_minutes": (5, 0, 1440),
    "max_drawdown_pct": (15.0, [0], 100),
    "rearm_drawdown_pct": (10.0, 0, 100),
    "drawdown_reset": (0, 0, 10**9),
    "max_exchange_errors": (3, 1, 1000),
}
RISK = {
    "risk_per_trade_pct": (1.0, [0], 20),
    "grid_budget_pct": (30.0, [0], 100),
    "symbol_cap_pct": (30.0, [0], 100),
    "total_exposure_cap_pct": (80.0, [0], 100),
    "min_notional": (10.0, 0, 10**9),
    "min_edge_multiple": (2.0, 0, 100),
}
SECTIONS = [(PacingConfig, PACING), (RiskConfig, BREAKERS | RISK)]
FIELDS = [(section, name) for section, fields in SECTIONS for name in fields]


@pytest.mark.parametrize(("section", "fields"), SECTIONS)
def test_defaults(section, fields):
    """Every number, so that none changes unseen."""
    assert section().model_dump() == {name: default for name, (default, _, _) in fields.items()}


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_limits(section, name):
    """At its limits a field is taken, beyond them it is not."""
    _, least, most = dict(SECTIONS)[section][name]
    if isinstance(least, list):
        assert not takes(section, name, least[0])
        assert takes(section, name, least[0] + 1e-9)
    else:
        assert takes(section, name, least)
        assert not takes(section, name, least - 1)
    assert takes(section, name, most)
    assert not takes(section, name, most + 1)
