"""Signals are switched on by name; what is wrong is told with path, found, expected and the known names."""

from __future__ import annotations

import pytest

from market.errors import ConfigInvalid
from trading.signals.momentum import MomentumConfig, MomentumSignal
from trading.signals.registry import SIGNALS, build

NAMES = "price_move, momentum, mean_reversion, grid, regime"


def test_every_signal_of_the_registry_can_be_built_from_nothing():
    """The defaults are whole, and a signal goes by the name it is registered under."""
    built = build({name: {} for name in SIGNALS})
    assert [signal.name for signal in built] == list(SIGNALS) == NAMES.split(", ")


def test_who_is_not_named_is_off_and_the_order_of_the_file_changes_nothing():
    """The registry's order decides, so that a file may be sorted."""
    assert build({}) == ()
    one, other = build({"grid": {}, "momentum": {}}), build({"momentum": {}, "grid": {}})
    assert one == other and [signal.name for signal in one] == ["momentum", "grid"]


def test_settings_reach_their_signal():
    """What is told stands over the defaults."""
    assert build({"momentum": {"bars": 96}}) == (MomentumSignal(MomentumConfig(bars=96)),)


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (
            {"momentun": {}},
            [f"trading.signals.momentun: unknown signal; did you mean 'momentum'? known: {NAMES}"],
        ),
        ({"astrology": {}}, [f"trading.signals.astrology: unknown signal; known: {NAMES}"]),
        (
            {"grid": {"minimum_confidenc": 0.5}},
            [
                (
                    "trading.signals.grid.minimum_confidenc: unknown key;"
                    " did you mean 'minimum_confidence'? known: minimum_confidence"
                )
            ],
        ),
        (
            {"momentum": {"bars": "many"}},
            [
                (
                    "trading.signals.momentum.bars: Input should be a valid integer,"
                    " unable to parse string as an integer, found 'many'"
                )
            ],
        ),
        (
            {"grid": None},
            ["trading.signals.grid: found None, expected a mapping of settings, {} for the defaults"],
        ),
        (
            {"regime": {"stop_atr": float("inf")}},
            ["trading.signals.regime.stop_atr: Input should be a finite number, found inf"],
        ),
    ],
)
def test_a_wrong_setting_is_told_where_what_and_what_is_known(settings, problems):
    """One line a problem."""
    with pytest.raises(ConfigInvalid) as refused:
        build(settings)
    assert list(refused.value.problems) == problems


def test_all_problems_are_told_at_once():
    """Unknown names and wrong settings of several signals in one go."""
    with pytest.raises(ConfigInvalid) as refused:
        build({"x": {}, "momentum": {"bars": 1, "stop_atr": 0}, "price_move": {"bars": 0}})
    assert [line.split(": ")[0] for line in refused.value.problems] == [
        "trading.signals.x",
        "trading.signals.price_move.bars",
        "trading.signals.momentum.stop_atr",
        "trading.signals.momentum.bars",
    ]
