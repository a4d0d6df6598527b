"""The policy: what trades in which regime, how large, and what a wrong policy is told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from market.errors import ConfigInvalid
from store import yaml_text
from tests.decisions.builders import ANALYSIS
from tests.trading.views import HOUR, hours_of, in_regime, noise, view_of
from trading.reasons import Reason
from trading.rules import PolicyConfig, RegimeRule, RulesEngine
from trading.signals.registry import SIGNALS
from trading.values import Trigger, TriggerKind

HOURS = hours_of(noise(5))
ENGINE = RulesEngine(PolicyConfig())


def trigger(signal: str) -> Trigger:
    return Trigger(signal, "ETH-USDT", HOUR, TriggerKind.SWING, 0.5, 0.5, "because", 200_000)


ALL = tuple(trigger(name) for name in SIGNALS)

DEFAULTS = [
    ("TREND_UP", {"momentum", "price_move", "regime"}, 1.0),
    ("RANGE", {"grid", "mean_reversion"}, 1.0),
    ("CHOPPY", {"mean_reversion"}, 0.5),
    ("NEUTRAL", {"grid", "mean_reversion"}, 0.5),
]


@pytest.mark.parametrize(("regime", "allowed", "sizing"), DEFAULTS)
def test_each_regime_lets_its_own_signals_through_with_its_size(regime, allowed, sizing):
    """The specification's table; the others are refused by name, and nothing gets lost."""
    proposals, refused = ENGINE.judge(ALL, view_of(HOURS, in_regime(regime)), "major")
    assert {p.trigger.signal for p in proposals} == allowed
    assert all((p.rule, p.multiplier, p.tier) == (regime, sizing, "major") for p in proposals)
    assert {t.signal for t, _ in refused} == set(SIGNALS) - allowed
    assert all(r.reason is Reason.SIGNAL_NOT_ALLOWED for _, r in refused)
    assert [t for t in ALL if t.signal in allowed] == [p.trigger for p in proposals]
    found = next(str(r) for t, r in refused if t.signal not in allowed)
    assert f" in {regime}" in found


def test_a_downtrend_is_cash():
    """Nothing begins in TREND_DOWN, and the refusal says when something would."""
    row = PolicyConfig().regimes.TREND_DOWN
    assert (row.signals, row.sizing) == ((), 0.0)
    proposals, refused = ENGINE.judge(ALL, view_of(HOURS, in_regime("TREND_DOWN")), "thin")
    assert proposals == ()
    assert [str(r) for _, r in refused] == [
        "regime_cash_only: TREND_DOWN, limit trades in TREND_UP, RANGE, CHOPPY, NEUTRAL"
    ] * len(ALL)


@pytest.mark.parametrize("found", [None, ANALYSIS])
def test_an_hour_without_a_regime_starts_and_ends_nothing(found):
    """Without an analysis or its components there is no row to look up; no trade is left for it either."""
    view = view_of(HOURS, found)
    proposals, refused = ENGINE.judge(ALL, view, "liquid")
    assert proposals == ()
    assert {r.reason for _, r in refused} == {Reason.REGIME_UNKNOWN}
    assert ENGINE.exit_wanted(view, "momentum") is None


def test_a_regime_without_a_row_is_unknown():
    """A state that the policy cannot name is refused like no state."""
    view = view_of(HOURS, in_regime("SIDEWAYS"))
    _, refused = ENGINE.judge(ALL, view, "liquid")
    assert {r.reason for _, r in refused} == {Reason.REGIME_UNKNOWN}
    assert ENGINE.exit_wanted(view, "grid") is None


def test_cash_regimes_end_trades_and_others_do_not():
    """A trade of a signal that may no longer begin goes on to its own stop, target or time."""
    wanted = ENGINE.exit_wanted(view_of(HOURS, in_regime("TREND_DOWN")), "momentum")
    assert wanted is not None
    assert (wanted.reason, wanted.found) == (Reason.REGIME_EXIT, "a momentum trade in TREND_DOWN")
    for regime, _, _ in DEFAULTS:
        assert ENGINE.exit_wanted(view_of(HOURS, in_regime(regime)), "momentum") is None


@pytest.mark.parametrize("row", [{"signals": [], "sizing": 1.0}, {"signals": ["grid"], "sizing": 0}])
def test_no_signal_and_no_size_both_mean_cash(row):
    """Either way of writing it refuses what begins and ends what runs."""
    engine = RulesEngine(PolicyConfig.read({"regimes": {"RANGE": row}}, "policy.yaml"))
    view = view_of(HOURS, in_regime("RANGE"))
    proposals, refused = engine.judge(ALL, view, "major")
    assert proposals == () and {r.reason for _, r in refused} == {Reason.REGIME_CASH_ONLY}
    assert engine.exit_wanted(view, "grid") is not None


def test_a_policy_of_cash_alone_says_so():
    """Where every row holds cash the limit names no regime."""
    cash = {"signals": [], "sizing": 0}
    told = {"regimes": dict.fromkeys(("TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"), cash)}
    _, refused = RulesEngine(PolicyConfig.read(told, "p")).judge(
        ALL, view_of(HOURS, in_regime("RANGE")), "major"
    )
    assert refused[0][1].limit == "trades in no regime"


def test_a_policy_file_changes_one_row_and_leaves_the_others():
    """As YAML gives it: a row is told whole, a row that is not told is the default."""
    told = yaml_text.load(b"regimes:\n  TREND_UP:\n    signals: [momentum]\n    sizing: 1.5\n", "policy.yaml")
    policy = PolicyConfig.read(told, "policy.yaml")
    assert RegimeRule(signals=("momentum",), sizing=1.5) == policy.regimes.TREND_UP
    assert policy.regimes.CHOPPY == PolicyConfig().regimes.CHOPPY


KNOWN_REGIMES = "known: TREND_UP, TREND_DOWN, RANGE, CHOPPY, NEUTRAL"
KNOWN_SIGNALS = "known: price_move, momentum, mean_reversion, grid, regime"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], ["policy.yaml: found [], expected a mapping of settings, {} for the defaults"]),
        ({"regimes": {"BULL": {}}}, [f"policy.yaml.regimes: unknown regime 'BULL'; {KNOWN_REGIMES}"]),
        (
            {"regimes": {"RANGES": {}}},
            [f"policy.yaml.regimes: unknown regime 'RANGES'; did you mean 'RANGE'? {KNOWN_REGIMES}"],
        ),
        (
            {"regimes": {"CHOPPY": {"signals": ["grids"], "sizing": 1}}},
            [
                (
                    "policy.yaml.regimes.CHOPPY.signals: unknown signal 'grids';"
                    f" did you mean 'grid'? {KNOWN_SIGNALS}, found ['grids']"
                )
            ],
        ),
        (
            {"regimes": {"CHOPPY": {"signals": ["grid", "grid"], "sizing": 1}}},
            [
                (
                    "policy.yaml.regimes.CHOPPY.signals: grid stands twice, expected each signal once,"
                    " found ['grid', 'grid']"
                )
            ],
        ),
        (
            {"regimes": {"CHOPPY": {"signals": [], "sizing": 2, "size": 1}, "RANGE": {"signals": []}}},
            [
                "policy.yaml.regimes.RANGE.sizing: Field required",
                "policy.yaml.regimes.CHOPPY.sizing: Input should be less than or equal to 1.5, found 2",
                "policy.yaml.regimes.CHOPPY.size: unknown key; did you mean 'sizing'? known: signals, sizing",
            ],
        ),
        (
            {"regimes": {"CHOPPY": {"signals": [], "sizing": float("nan")}}},
            ["policy.yaml.regimes.CHOPPY.sizing: Input should be a finite number, found nan"],
        ),
        ({"regime": {}}, ["policy.yaml.regime: unknown key; did you mean 'regimes'? known: regimes"]),
    ],
)
def test_a_wrong_policy_is_told_where_what_and_what_is_known(told, expected):
    """Path, found, expected and the known names, every problem at once."""
    with pytest.raises(ConfigInvalid) as refused:
        PolicyConfig.read(told, "policy.yaml")
    assert list(refused.value.problems) == expected


def test_a_wrong_policy_in_the_configuration_names_the_known_ones_too():
    """Where the section is read as part of the settings the model itself says it."""
    with pytest.raises(ValidationError, match=KNOWN_REGIMES):
        PolicyConfig.model_validate({"regimes": {"BULL": {}}})
    with pytest.raises(ValidationError, match=KNOWN_SIGNALS):
        RegimeRule(signals=("bear",), sizing=1)
    with pytest.raises(ValidationError, match="valid dictionary or instance"):
        PolicyConfig.model_validate({"regimes": ["RANGE"]})
