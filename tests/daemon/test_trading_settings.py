"""`mode: paper` and `trading:`: defaults that work alone, files by name, every mistake with its path."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
import yaml

from daemon.configuration import load_settings
from daemon.settings import Rules, policy_of_rules
from exchanges.simulated.fills import EXPECTED, PESSIMISTIC
from market.errors import ConfigInvalid
from tests.daemon.calls import called
from tests.daemon.test_configuration import GOOD, problems

PAPER = GOOD + "mode: paper\n"


@pytest.fixture
def config(tmp_path):
    """Write a configuration, and files beside it by name."""

    def write(text: str, **files: str):
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def test_paper_alone_has_defaults_for_everything(config):
    """One word turns the desk on."""
    trading = load_settings(config(PAPER), {}).trading
    assert (trading.capital, trading.cash, trading.patience_s) == (Decimal(10_000), 10**12, 2400)
    assert trading.fills == EXPECTED
    assert [signal.name for signal in trading.policy.build()] == list(trading.policy.switched_on())
    assert set(trading.policy.switched_on()) == {
        "price_move", "momentum", "mean_reversion", "grid", "regime",
    }  # fmt: skip


def test_the_hash_of_advice_knows_nothing_of_trading(config):
    """Whatever stands under `trading`, an adviser's records quote the hash that they always did."""
    plain = load_settings(config(GOOD), {})
    told = load_settings(config(GOOD + "trading: {capital: 5, fills: pessimistic}\n"), {})
    assert "trading" not in plain.rules()
    assert told.config_hash() == plain.config_hash()


def test_the_rules_of_a_desk_are_in_its_hash_and_read_back(config):
    """What the files hold counts, not where they lie; the record of a configuration is enough to go by."""
    policy = "regimes: {RANGE: {signals: [mean_reversion], sizing: 0.25}}\n"
    here = load_settings(config(PAPER + "trading: {policy: policy.yaml}\n", policy=policy), {})
    elsewhere = load_settings(config(PAPER + "trading: {policy: other.yaml}\n", other=policy), {})
    inline = load_settings(config(PAPER + "trading:\n  policy:\n    " + policy), {})
    assert here.config_hash() == elsewhere.config_hash() == inline.config_hash()
    assert here.config_hash() != load_settings(config(PAPER), {}).config_hash()
    recorded = yaml.safe_load(yaml.safe_dump(orjson.loads(orjson.dumps(here.rules()))))
    read = Rules.model_validate(recorded).trading
    assert read is not None
    assert read.rules() == here.trading.rules()
    assert policy_of_rules(recorded, here.config_hash()).config_hash == here.config_hash()


def test_a_policy_file_sets_rows_and_signals(config):
    """A row that is left out is the default one, a signal that no row allows is off."""
    policy = "regimes: {RANGE: {signals: [mean_reversion], sizing: 1}, NEUTRAL: {signals: [], sizing: 0}}\n"
    text = PAPER + "trading: {policy: policy.yaml}\n"
    found = load_settings(config(text, policy=policy), {}).trading.policy
    assert found.regimes.RANGE.signals == ("mean_reversion",)
    assert found.regimes.TREND_UP.sizing == 1.0
    assert "grid" not in found.switched_on()


def test_an_exclusion_file_is_added_to_what_stands_in_the_configuration(config):
    """Compliance lists are data, and their content is a rule."""
    text = PAPER + "trading: {universe: {exclusions: [DOGE], exclusion_file: listed.yaml}}\n"
    settings = load_settings(config(text, listed="- ETH\n- DOGE\n"), {})
    assert settings.trading.universe.exclusions == ("DOGE", "ETH")
    assert "exclusion_file" not in settings.trading.rules()["universe"]


def test_fills_are_a_preset_or_numbers(config):
    """Each by its own name."""
    assert load_settings(config(PAPER + "trading: {fills: pessimistic}\n"), {}).trading.fills == PESSIMISTIC
    assert load_settings(config(PAPER + "trading: {fills: {seed: 7}}\n"), {}).trading.fills.seed == 7
    set_ = {"MARKET_MAKER_TRADING_FILLS": "pessimistic"}
    assert load_settings(config(PAPER), set_).trading.fills == PESSIMISTIC


@pytest.mark.parametrize(
    ("trading", "words"),
    [
        ("{capitol: 1}", ["trading.capitol: unknown key", "did you mean 'capital'?"]),
        ("{capital: 0}", ["trading.capital", "greater than 0"]),
        ("{fills: kind}", ["trading.fills: no such preset; expected pessimistic, expected, optimistic"]),
        ("{policy: nowhere.yaml}", ["trading.policy: ", "nowhere.yaml: there is no such file"]),
        ("{policy: list.yaml}", ["list.yaml: holds list, expected a mapping"]),
        ("{policy: row.yaml}", ["trading.policy.regimes.RANGE", "unknown signal 'momentun'", "row.yaml)"]),
        ("{policy: regime.yaml}", ["trading.policy.regimes: unknown regime 'TREND_OP'", "regime.yaml)"]),
        ("{policy: signal.yaml}", ["trading.policy.signals", "momentun: unknown signal", "signal.yaml)"]),
        ("{policy: setting.yaml}", ["trading.policy.signals: momentum.speed: unknown key", "setting.yaml)"]),
        ("{universe: {exclusion_file: row.yaml}}", ["trading.universe.exclusion_file", "expected a list"]),
        ("{universe: {exclusion_file: no.yaml}}", ["trading.universe.exclusion_file", "no such file"]),
        ("{policy: .}", ["trading.policy: ", "cannot be read: Is a directory"]),
        ("{policy: broken.yaml}", ["trading.policy: ", "broken.yaml: line"]),
        ("{universe: {exclusions: 7, exclusion_file: names.yaml}}", ["trading.universe.exclusions"]),
        ("{pacing: {cooldown_loss_s: 9000}}", ["trading.pacing", "cooldown_loss_most_s"]),
        ("{risk: {risk_per_trade_pct: 99}}", ["trading.risk.risk_per_trade_pct"]),
        ("7", ["trading: "]),
        ("{policy: 7}", ["trading.policy: "]),
        ("{universe: 7}", ["trading.universe: "]),
    ],
)
def test_each_mistake_is_told_with_its_path_and_file(config, trading, words):
    """Fail fast, in words that say what to change."""
    path = config(
        f"{PAPER}trading: {trading}\n",
        list="- 1\n",
        broken="regimes: {\n",
        names="- ETH\n",
        row="regimes: {RANGE: {signals: [momentun], sizing: 1}}\n",
        regime="regimes: {TREND_OP: {signals: [], sizing: 1}}\n",
        signal="signals: {momentun: {}}\n",
        setting="signals: {momentum: {speed: 9}}\n",
    )
    told = " | ".join(problems(path))
    for word in words:
        assert word in told


def test_all_mistakes_come_at_once(config):
    """Of the configuration, of the files that it names, and of the environment."""
    path = config(
        PAPER + "trading: {capital: 0, policy: p.yaml, universe: {exclusion_file: no.yaml}}\n",
        p="regimes: {RANGE: {signals: [momentun], sizing: 1}}\n",
    )
    told = problems(path, {"MARKET_MAKER_TRADING_POLICY_REGIMES_RANGE_SIZING": "1"})
    assert len(told) == 4
    assert "MARKET_MAKER_TRADING_POLICY_REGIMES_RANGE_SIZING: trading.policy is 'p.yaml'" in " | ".join(told)


def test_tiers_and_signals_in_place_are_no_trouble_to_the_environment(config):
    """Mappings of the operator's own names have no variables, and none are looked for in them."""
    text = PAPER + "trading: {universe: {tiers: {ETH-USDT: thin}}, policy: {signals: {momentum: {}}}}\n"
    settings = load_settings(config(text), {"MARKET_MAKER_TRADING_CAPITAL": "12.5"})
    assert settings.trading.capital == Decimal("12.5")
    assert settings.trading.universe.tiers == {"ETH-USDT": "thin"}


def test_only_markets_of_the_accounts_coin_are_the_desks(config):
    """One account, one coin; in the order of their keys."""
    text = PAPER + "".join(
        f"  - {{exchange: kucoin, symbol: {symbol}}}\n" for symbol in ("SOL-BTC", "BTC-USDT")
    ).replace("mode", "")
    text = text.replace("mode: paper\n", "") + "mode: paper\n"
    settings = load_settings(config(text), {})
    assert [market.key for market in settings.desk_markets()] == ["BTC-USDT", "ETH-USDT"]


def test_a_shadow_of_a_desk_has_the_desks_rules_too(config):
    """It differs in what its file says and in nothing else."""
    text = PAPER + "trading: {policy: p.yaml}\nshadow: shadow.yaml\n"
    policy = "regimes: {RANGE: {signals: [], sizing: 0}}\n"
    settings = load_settings(config(text, p=policy, shadow="gates: {bars_to_pass: 5}\n"), {})
    assert settings.in_shadow is not None
    assert settings.in_shadow.rules()["trading"] == settings.rules()["trading"]
    with pytest.raises(ConfigInvalid, match="trading: a shadow only sets rules"):
        load_settings(config(text, p=policy, shadow="trading: {capital: 5}\n"), {})


def test_the_effective_settings_are_shown(config):
    """Files are in their places, and what the defaults are can be read."""
    path = config(PAPER + "trading: {policy: p.yaml}\n", p="regimes: {RANGE: {signals: [], sizing: 0}}\n")
    shown = yaml.safe_load(called("config", "show", "--config", str(path)).out)["trading"]
    assert shown["policy"]["regimes"]["RANGE"] == {"signals": [], "sizing": 0.0}
    assert shown["capital"] == "10000"
    assert "MARKET_MAKER_TRADING_CAPITAL" in called("config", "schema").out
