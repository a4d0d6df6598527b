import inspect

import pytest

from market import costs, errors, failpoints, keys


def test_every_error_says_when_it_is_raised_and_stands_in_the_tree():
    """The tree at the head of the module is the tree that the code has."""
    drawn = errors.__doc__
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, errors.RegimedError)
        assert kind.__doc__.startswith("Raised when"), name
        assert name in drawn, name


def test_errors_build_their_message_from_what_they_carry():
    """An operator reads what, where and what to do."""
    assert str(errors.DataInvalid("a.json", "minutes.open", "59 values, expected 60")) == (
        "a.json: minutes.open: 59 values, expected 60"
    )
    assert str(errors.DataInvalid("a.json", "", "empty")) == "a.json: empty"
    assert "our quota" in str(errors.RateLimited("kucoin", "GET /x", 1.5, own_quota=True, code="429000"))
    assert "overloaded" in str(errors.RateLimited("kucoin", "GET /x", 1.5, own_quota=False))
    assert "next probe in 90 s): HTTP 503" in str(errors.CircuitOpen("kucoin", "GET /x", 90, "HTTP 503"))
    assert "process 7" in str(errors.RepositoryLocked("data", 7))
    assert "another process" in str(errors.RepositoryLocked("data", None))
    assert str(errors.ConfigInvalid("a", "b")) == "a\nb"
    assert "grids/a.yaml" in str(errors.HistoryRefused("grids/a.yaml", "goes back"))
    assert str(errors.MetricUndefined("adx", "needs 28 bars")) == "adx: needs 28 bars"


@pytest.mark.parametrize("key", ["", "eth", "../X", "A/B", "A..B", "-A", ".A", "A B", "ETH-USDT\n"])
def test_no_path_is_ever_built_from_a_strange_key(key):
    """Nothing from the network reaches a path unvalidated."""
    with pytest.raises(ValueError, match="market key"):
        keys.checked_key(key)
    assert keys.checked_key("ETH-USDT") == "ETH-USDT"


def test_a_failpoint_is_free_when_off_and_runs_its_action_when_armed():
    """Only known places can be armed, so that a campaign cannot silently test nothing."""
    seen = []
    failpoints.reach("push.before")
    failpoints.arm("push.before", lambda: seen.append(1))
    failpoints.reach("push.before")
    failpoints.disarm()
    failpoints.reach("push.before")
    assert seen == [1]
    with pytest.raises(KeyError, match="known"):
        failpoints.arm("no.such.place", print)


def test_a_round_trip_costs_two_maker_fees_two_half_spreads_and_slippage():
    """Chapter 4: cost = 2 x maker fee + 2 x half-spread + slippage."""
    assert costs.round_trip_bps(costs.Fees(), 1.0, 0.5) == 22.5
    assert costs.FEES_BY_KIND["simulated"].taker_bps == 60
