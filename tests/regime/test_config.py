"""The `regime:` section refuses what could not work, and says what it expected."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from market.hours import Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"score_modle": "classic"}, "Extra inputs are not permitted"),
        ({"score_model": "both"}, "'evidence' or 'classic'"),
        ({"evidence": {"range_ok": 0.5}}, "range_weak must be below range_ok"),
        ({"classic": {"trend": 0.4}}, "range_ok < range_weak < trend"),
        ({"range": {"lookbacks": [72, 168]}}, "must fall"),
        ({"range": {"fallback_lookback": 121}}, "must be one of"),
        ({"range": {"minimum_width": 20}}, "must be below maximum_width"),
        ({"metrics": {"adx": {"range_end": 35, "trend_end": 15, "weight": 4}}}, "must be below trend_end"),
        ({"metrics": {"adx": {"range_end": 15, "trend_end": 35, "weight": 5}}}, "must sum to 20"),
        ({"metrics": {"half_life": {"range_end": 0, "trend_end": 48, "weight": 5}}}, "must be above 0"),
        ({"metrics": {"variance_ratio_horizon": 100}}, "at most half"),
        ({"history": {"hours_days": 90}}, "must reach the anchor, 124 days"),
        ({"history": {"minute_anchor_days": 21}}, "must exceed"),
        ({"confidence": {"position_free": 1.0}}, "less than 1"),
    ],
)
def test_an_unusable_section_is_refused_with_the_reason(section: dict[str, object], complaint: str):
    """At load, not in the middle of a night."""
    with pytest.raises(ValidationError, match=complaint):
        RegimeConfig.model_validate(section)


def test_it_survives_its_own_dump():
    """What `config show` prints can be loaded again."""
    config = RegimeConfig()
    assert RegimeConfig.model_validate(config.model_dump(mode="json")) == config


def test_every_number_says_what_it_is():
    """Descriptions with units, everywhere but on sections and on the anchors, whose class explains them."""

    def silent(model: type[BaseModel]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += silent(field.annotation)
            elif not field.description and name not in ("range_end", "trend_end"):
                found.append(f"{model.__name__}.{name}")
        return found

    assert silent(RegimeConfig) == []


def test_the_engine_asks_for_the_documented_spans():
    """120 days of 15m, 270 of 1h, 540 of 4h; 5m bars as far as minutes are wanted."""
    assert RegimeEngine(RegimeConfig()).timeframes() == {
        Timeframe.M5: 21,
        Timeframe.M15: 120,
        Timeframe.H1: 270,
        Timeframe.H4: 540,
    }
