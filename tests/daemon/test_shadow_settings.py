"""`shadow: FILE`: rules laid over those in force, checked with them, and never part of their hash."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from daemon.cli import app
from daemon.configuration import load_settings
from daemon.settings import SHADOW_SECTIONS, Settings
from market.errors import ConfigInvalid
from tests.daemon.test_configuration import GOOD


@pytest.fixture
def config(tmp_path):
    """Write a configuration with a shadow beside it; no shadow file where its text is None."""

    def write(shadow: str | None, more: str = "", name: str = "shadow.yaml"):
        if shadow is not None:
            (tmp_path / "shadow.yaml").write_text(shadow)
        path = tmp_path / "config.yaml"
        path.write_text(f"{GOOD}shadow: {name}\n{more}")
        return path

    return write


def problems(path, environment=None):
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(path, environment or {})
    return caught.value.problems


def test_a_shadow_states_only_what_differs(config):
    """Key by key over the configuration in force, environment included; the rest is the same."""
    path = config(
        "regime: {score_model: classic}\ngates: {bars_to_pass: 5}\n",
        "gates: {transition_bars: 4}\neconomics: {require_positive_edge: false}\n",
    )
    settings = load_settings(path, {"MARKET_MAKER_COLLECTION_MAX_MISSING_MINUTES": "7"})
    shadow = settings.in_shadow
    assert (shadow.regime.score_model, settings.regime.score_model) == ("classic", "evidence")
    assert (shadow.gates.bars_to_pass, shadow.gates.transition_bars) == (5, 4)
    assert shadow.economics.require_positive_edge is False
    assert shadow.policy().max_missing_minutes == 7
    assert shadow.in_shadow is None


def test_a_preset_of_the_configuration_does_not_stay_in_a_shadow_with_another(config):
    """What is laid over is what the files say, not what their defaults became."""
    path = config("gates: {preset: evidence}\n", "gates: {preset: aggressive}\n")
    settings = load_settings(path, {})
    assert settings.gates.energy_decay.maximum_adx == 30.0
    assert settings.in_shadow.gates.energy_decay.maximum_adx == 25.0


def test_the_hash_in_force_does_not_depend_on_a_shadow(config):
    """Adding a shadow changes no record of what is in force."""
    path = config("regime: {score_model: classic}\n")
    with_shadow = load_settings(path, {})
    path.write_text(GOOD)
    assert load_settings(path, {}).config_hash() == with_shadow.config_hash()
    assert with_shadow.in_shadow.config_hash() != with_shadow.config_hash()


@pytest.mark.parametrize("variable", [True, False])
def test_a_shadow_file_lies_beside_the_configuration(config, tmp_path, monkeypatch, variable):
    """A relative path starts at the configuration's folder, wherever the program is called from."""
    path = config("regime: {score_model: classic}\n")
    environment = {}
    if variable:
        path.write_text(GOOD)
        environment = {"MARKET_MAKER_SHADOW": "shadow.yaml"}
    monkeypatch.chdir("/")
    settings = load_settings(path, environment)
    assert settings.shadow == tmp_path / "shadow.yaml"
    assert settings.in_shadow is not None


@pytest.mark.parametrize(
    ("shadow", "words"),
    [
        (None, ["shadow.yaml: there is no such file", "`shadow`"]),
        ("- 1\n", ["shadow.yaml", "holds list, expected a mapping"]),
        ("a: [1\n", ["shadow.yaml"]),
        ("shadow: other.yaml\n", ["shadow: a shadow has no shadow of its own", "shadow.yaml"]),
        ("http: {port: 1}\n", ["http: a shadow only sets rules", "known here: regime, gates"]),
        ("markets: []\n", ["markets: a shadow only sets rules"]),
        ("regmie: {}\n", ["regmie: unknown key", "shadow.yaml", "known here: regime, gates"]),
        (
            "regime: {score_modl: classic}\n",
            ["regime.score_modl: unknown key", "shadow.yaml", "'score_model'"],
        ),
        ("regime: {score_model: vibes}\n", ["regime.score_model", "vibes", "shadow.yaml"]),
        ("gates: {bars_to_pass: 0}\n", ["gates.bars_to_pass", "found 0", "shadow.yaml"]),
        ("{}\n", ["shadow.yaml: gives the very rules in force", "nothing to compare"]),
        ("regime: {score_model: evidence}\n", ["gives the very rules in force"]),
        (
            "regime: {history: {hours_days: 300}}\n",
            ["regime.history: asks for 300 days of 1h bars", "in force are 270", "same windows"],
        ),
    ],
)
def test_a_shadow_that_cannot_be_used_ends_the_start_by_name(config, shadow, words):
    """One line says file, field, what was found and what was expected."""
    (problem,) = problems(config(shadow))
    for word in words:
        assert word in problem


def test_problems_of_both_files_are_told_at_once(config):
    """One start, every problem, each once and under the file it stands in."""
    path = config("regime: {score_model: vibes}\nhttp: {}\n", "gates: {bars_to_pass: 0}\n")
    told = problems(path)
    assert len(told) == 3
    assert any("bars_to_pass" in problem and "config.yaml" in problem for problem in told)
    assert any("score_model" in problem and "shadow.yaml" in problem for problem in told)
    assert any("http: a shadow only sets rules" in problem for problem in told)


def test_every_section_of_rules_may_differ_in_a_shadow():
    """What the hash covers and a shadow may not set follows from the market itself, not from a rule."""
    fixed = {"mode", "markets", "exchanges", "collection"}
    minimal = yaml.safe_load(GOOD)
    assert set(Settings.model_validate(minimal).rules()) - fixed == set(SHADOW_SECTIONS)


def test_config_check_covers_the_shadow(config):
    """`regimed config check` names the shadow's hash, and its trouble with exit code 2."""
    path = str(config("regime: {score_model: classic}\n"))
    done = CliRunner().invoke(app, ["config", "check", "--config", path])
    assert done.exit_code == 0
    assert f"its shadow is fine: {load_settings(config(None), {}).shadow}, hash sha256:" in done.stdout
    shown = CliRunner().invoke(app, ["config", "show", "--config", path])
    assert "shadow.yaml" in shown.stdout
    broken = CliRunner().invoke(app, ["config", "check", "--config", str(config("regime: 1\n"))])
    assert isinstance(broken.exception, ConfigInvalid)
