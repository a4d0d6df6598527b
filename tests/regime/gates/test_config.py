"""The `gates:` section: a preset sets the defaults, single values count instead."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from regime.gates.config import (
    EnergyDecayConfig,
    GatesConfig,
    MeanReversionConfig,
    TradableVolatilityConfig,
)
from tests.sections import takes


def test_the_default_is_the_chapter():
    """The relaxed numbers: what the default preset asks for."""
    config = GatesConfig()
    assert config.model_dump() == {
        "preset": "evidence",
        "bars_to_pass": 3,
        "transition_bars": 2,
        "breakout_atr": 1.0,
        "energy_decay": {
            "maximum_adx": 25.0,
            "maximum_adx_rise": 0.0,
            "maximum_efficiency_ratio": 0.30,
            "maximum_slope": 0.15,
        },
        "mean_reversion": {
            "maximum_half_life": 24.0,
            "maximum_autocorrelation": 0.05,
            "maximum_dickey_fuller_t": None,
            "minimum_excursions": 1,
        },
        "tradable_volatility": {
            "minimum_atr_ratio": 0.60,
            "maximum_atr_ratio": 1.25,
            "maximum_expansion": 1.5,
            "minimum_turnover": 200.0,
        },
    }


def test_presets_set_defaults():
    """classic asks for the same, conservative for the strict second gate, aggressive for less everywhere."""
    evidence = GatesConfig()
    classic = GatesConfig(preset="classic")
    assert classic.model_copy(update={"preset": "evidence"}) == evidence
    strict = GatesConfig(preset="conservative")
    assert strict.energy_decay == evidence.energy_decay
    assert strict.tradable_volatility == evidence.tradable_volatility
    assert strict.mean_reversion == MeanReversionConfig(
        maximum_half_life=12, maximum_autocorrelation=None, maximum_dickey_fuller_t=-2.57
    )
    bold = GatesConfig(preset="aggressive")
    assert bold.energy_decay == EnergyDecayConfig(
        maximum_adx=30, maximum_efficiency_ratio=0.4, maximum_slope=0.2
    )
    assert bold.mean_reversion == MeanReversionConfig(maximum_half_life=36, maximum_autocorrelation=0.1)
    assert bold.tradable_volatility.model_dump() == {
        "minimum_atr_ratio": 0.5,
        "maximum_atr_ratio": 1.5,
        "maximum_expansion": 1.75,
        "minimum_turnover": 200.0,
    }
    assert {each.bars_to_pass for each in (evidence, classic, strict, bold)} == {3}


def test_a_single_value_counts_instead_of_the_preset():
    """And leaves the others of the preset alone; a whole section is taken as it is."""
    config = GatesConfig.model_validate(
        {"preset": "conservative", "mean_reversion": {"maximum_half_life": 15}, "bars_to_pass": 4}
    )
    assert config.mean_reversion.maximum_half_life == 15
    assert config.mean_reversion.maximum_dickey_fuller_t == -2.57
    assert config.bars_to_pass == 4
    own = MeanReversionConfig(maximum_half_life=7)
    assert GatesConfig(preset="conservative", mean_reversion=own).mean_reversion == own


@pytest.mark.parametrize("preset", ["evidence", "classic", "conservative", "aggressive"])
def test_it_survives_its_own_dump(preset: str):
    """What `config show` prints can be loaded again."""
    config = GatesConfig.model_validate({"preset": preset})
    assert GatesConfig.model_validate(config.model_dump(mode="json")) == config
    assert GatesConfig.model_validate(config) == config


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"preset": "bold"}, "'evidence', 'classic', 'conservative' or 'aggressive'"),
        ({"preset": ["evidence"]}, "'evidence', 'classic', 'conservative' or 'aggressive'"),
        ({"prezet": "classic"}, "Extra inputs are not permitted"),
        ({"energy_decay": {"maximum_adxx": 2}}, "Extra inputs are not permitted"),
        ({"preset": "conservative", "mean_reversion": {"half_life": 2}}, "Extra inputs are not permitted"),
        ({"preset": "aggressive", "energy_decay": 3}, "valid dictionary"),
        ({"tradable_volatility": {"minimum_atr_ratio": 1.25}}, "must be below maximum_atr_ratio"),
        ({"bars_to_pass": 0}, "greater than or equal to 1"),
        ({"breakout_atr": 0}, "greater than 0"),
        (7, "valid dictionary"),
    ],
)
def test_an_unusable_section_is_refused_with_the_reason(section: object, complaint: str):
    """At load, not in the middle of a night."""
    with pytest.raises(ValidationError, match=complaint):
        GatesConfig.model_validate(section)


@pytest.mark.parametrize(
    ("section", "field", "taken", "refused"),
    [
        (GatesConfig, "bars_to_pass", (1, 48), (0, 49)),
        (GatesConfig, "transition_bars", (1, 48), (0, 49)),
        (GatesConfig, "breakout_atr", (1e-9, 10), (0, 10.5)),
        (EnergyDecayConfig, "maximum_adx", (1e-9, 100), (0, 100.5)),
        (EnergyDecayConfig, "maximum_adx_rise", (-50, 50), (-50.5, 50.5)),
        (EnergyDecayConfig, "maximum_efficiency_ratio", (1e-9, 1), (0, 1.5)),
        (EnergyDecayConfig, "maximum_slope", (1e-9, 10), (0, 10.5)),
        (MeanReversionConfig, "maximum_half_life", (1e-9, 1000), (0, 1000.5)),
        (MeanReversionConfig, "maximum_autocorrelation", (-1, 1), (-1.5, 1.5)),
        (MeanReversionConfig, "maximum_dickey_fuller_t", (-100, 0), (-100.5, 0.5)),
        (MeanReversionConfig, "minimum_excursions", (1, 24), (0, 25)),
        (TradableVolatilityConfig, "minimum_atr_ratio", (0, 10), (-0.5, 10.5)),
        (TradableVolatilityConfig, "maximum_atr_ratio", (1e-9, 10), (0, 10.5)),
        (TradableVolatilityConfig, "maximum_expansion", (1e-9, 10), (0, 10.5)),
        (TradableVolatilityConfig, "minimum_turnover", (0, 1e6), (-0.5, 1e6 + 0.5)),
    ],
)
def test_each_number_may_reach_its_limits_and_no_further(
    section: type[BaseModel], field: str, taken: tuple[float, float], refused: tuple[float, float]
):
    """On both ends."""
    assert [takes(section, field, value) for value in (*taken, *refused)] == [True, True, False, False]


def test_every_number_says_what_it_is():
    """Descriptions with units, everywhere but on sections."""

    def silent(model: type[BaseModel]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += silent(field.annotation)
            elif not field.description:
                found.append(name)
        return found

    assert silent(GatesConfig) == []
