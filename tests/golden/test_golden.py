"""The records of two months, kept as digests: what this engine version says must not change."""

from __future__ import annotations

from collections import Counter

import pytest

from decisions.recommendation import Action
from exits.states import ExitState
from regime.analysis import ENGINE_VERSION, Verdict
from tests.golden.month import RECORDED, SIMULATED, Hours, Month, digests, kept, records, windows_of


@pytest.fixture(scope="module")
def simulated() -> Hours:
    """The simulated month, judged once."""
    return list(records(SIMULATED, windows_of(SIMULATED, None)))


def assert_unchanged(month: Month, made: dict[str, str]) -> None:
    """Check a month hour by hour; the message names the hours whose records are others than were kept."""
    version, expected = kept(month)
    assert version == ENGINE_VERSION
    assert list(made) == list(expected)
    changed = [hour for hour, digest in made.items() if digest != expected[hour]]
    assert not changed, f"{len(changed)} records changed, first {changed[0]}: that needs a new ENGINE_VERSION"


def test_a_simulated_month_is_what_it_was(simulated):
    """Every judgement and recommendation of 744 hours, to the byte; else the engine has a new version."""
    assert_unchanged(SIMULATED, digests(simulated))


@pytest.mark.check
def test_a_recorded_month_is_what_it_was(recorded_data):
    """The same for June 2025 of ETH-USDT at Binance."""
    assert_unchanged(RECORDED, digests(records(RECORDED, windows_of(RECORDED, recorded_data))))


def test_the_golden_month_holds_what_matters(simulated):
    """Grids are set up, moved and stopped in it, gates run, and it sees every verdict."""
    actions = Counter(advice.action for found, _ in simulated for advice in found.advice)
    verdicts = {found.analysis.verdict for found, _ in simulated if found.analysis}
    states = {hour.exits.state for found, _ in simulated for hour in found.running}
    assert set(actions) >= {
        Action.CONTINUE, Action.ADJUST, Action.STOP_GRID, Action.NO_SETUP, Action.CREATE_GRID
    }  # fmt: skip
    assert verdicts == set(Verdict)
    assert states >= {ExitState.NORMAL, ExitState.WARNING, ExitState.LATEST_ACCEPTABLE_EXIT}
    assert sum(bool(found.gates) for found, _ in simulated) > 24
