"""Who is traded, how liquid each is, and why the others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from market.errors import ConfigInvalid
from market.orders import BestPrices
from store import yaml_text
from tests.trading.views import BEST, HOUR, hours_of, noise, terms_of, view_of
from trading.reasons import Reason
from trading.sections import read_section
from trading.universe import TIERS, Universe, UniverseConfig, exclusions_of, select
from trading.values import MarketView, Refusal

HOURS = hours_of(noise(5))
CALM = view_of(HOURS)


def config(**told: Any) -> UniverseConfig:
    return read_section(UniverseConfig, told, "trading.universe")


def market(key: str, **others: Any) -> MarketView:
    return replace(CALM, key=key, terms=terms_of(key), **others)


def chosen(view: MarketView, **told: Any) -> str | Refusal:
    """Return the tier of a market, or why it is refused."""
    found = select({view.key: view}, config(**told))
    return found.members[view.key] if view.key in found.members else found.refused[view.key]


def reason(view: MarketView, **told: Any) -> Reason:
    found = chosen(view, **told)
    assert isinstance(found, Refusal)
    return found.reason


@pytest.mark.parametrize(
    ("turnover", "tier"),
    [(5e7, "major"), (4.9999e7, "liquid"), (5e6, "liquid"), (4.9999e6, "thin"), (5e5, "thin")],
)
def test_the_turnover_of_a_day_decides_the_tier(turnover, tier):
    """A threshold that is reached counts."""
    assert chosen(replace(CALM, turnover_24h=turnover)) == tier


def test_each_filter_refuses_with_its_reason_and_numbers():
    """The refusal says what was found and what was asked for."""
    wide = BestPrices(bid=199_799, ask=200_201, ts=HOUR.close_ts, recorded=False)
    cases: list[tuple[MarketView, dict[str, Any], str]] = [
        (CALM, {"exclude": ["ETH-USDT"]}, "excluded_by_policy: ETH-USDT, limit not on an exclusion list"),
        (CALM, {"exclusions": ["ETH"]}, "excluded_by_policy: ETH, limit not on an exclusion list"),
        (market("ETH-BTC"), {}, "quote_currency: BTC, limit USDT"),
        (
            replace(CALM, tradable=False),
            {},
            "not_trading: the exchange takes no orders, limit a market that trades",
        ),
        (
            replace(CALM, turnover_24h=None),
            {},
            "turnover_unknown: turnover unknown, limit 500,000 USDT in 24 h",
        ),
        (
            replace(CALM, turnover_24h=499_999.0),
            {},
            "turnover_too_low: 499,999 USDT in 24 h, limit 500,000 USDT in 24 h",
        ),
        (replace(CALM, best=None), {}, "spread_unknown: no bid and ask, limit 20 bps"),
        (replace(CALM, best=wide), {}, "spread_too_wide: 20.10 bps, limit 20 bps"),
        (CALM, {"min_depth": 1000}, "depth_unknown: depth unknown, limit 1,000 USDT within 1 %"),
        (
            replace(CALM, depth=999.0),
            {"min_depth": 1000},
            "depth_too_low: 999 USDT, limit 1,000 USDT within 1 %",
        ),
    ]
    for view, told, expected in cases:
        assert str(chosen(view, **told)) == expected


def test_a_filter_lets_through_what_just_meets_it():
    """Spread and depth on the limit, a locked book, and a depth that nobody asked for."""
    on_it = BestPrices(bid=199_800, ask=200_200, ts=HOUR.close_ts, recorded=True)
    locked = replace(BEST, ask=BEST.bid)
    for view in (replace(CALM, best=on_it), replace(CALM, best=locked), replace(CALM, depth=0.0)):
        assert chosen(view) == "major"
    assert chosen(replace(CALM, depth=1000.0), min_depth=1000) == "major"


@pytest.mark.parametrize("bid_ask", [(200_010, 199_990), (0, 200_000), (-5, 5), (0, 0)])
def test_prices_that_cannot_be_are_an_unknown_spread(bid_ask):
    """A crossed or empty book says nothing of the spread, least of all that it is narrow."""
    bid, ask = bid_ask
    assert reason(replace(CALM, best=replace(BEST, bid=bid, ask=ask))) is Reason.SPREAD_UNKNOWN


@pytest.mark.parametrize("turnover", [float("nan"), -1.0])
def test_a_turnover_that_cannot_be_is_unknown(turnover):
    """Not a number never counts as liquid."""
    assert reason(replace(CALM, turnover_24h=turnover)) is Reason.TURNOVER_UNKNOWN


def test_the_first_reason_in_the_order_of_the_table_is_told():
    """A market that fails everywhere is told the reason that outranks the others, then the next."""
    bad = market("LUNA-BTC", tradable=False, turnover_24h=None, best=None, depth=None)
    mended: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"exclusions": ["LUNA"]}),
        ({}, {}),
        ({"terms": terms_of("LUNA-USDT")}, {}),
        ({"tradable": True}, {}),
        ({"turnover_24h": 1.0}, {}),
        ({"turnover_24h": 1e9}, {}),
        ({"best": BEST}, {}),
    ]
    told = []
    for facts, settings in mended:
        bad = replace(bad, **facts)
        told.append(reason(bad, min_depth=1, **settings))
    assert told == sorted(told, key=list(Reason).index)
    assert len(set(told)) == len(mended)


def test_an_included_market_needs_no_turnover_and_nothing_less_than_that():
    """It is thin unless turnover or operator says better; policy, quote and spread hold for it too."""
    quiet = replace(CALM, turnover_24h=10.0)
    name = ["ETH-USDT"]
    assert chosen(quiet, include=name) == "thin"
    assert chosen(replace(quiet, turnover_24h=None), include=name) == "thin"
    assert chosen(replace(quiet, turnover_24h=6e6), include=name) == "liquid"
    assert chosen(quiet, include=name, tiers={"ETH-USDT": "liquid"}) == "liquid"
    assert reason(quiet, include=name, exclusions=["ETH"]) is Reason.EXCLUDED_BY_POLICY
    assert reason(replace(quiet, tradable=False), include=name) is Reason.NOT_TRADING
    assert reason(quiet, include=name, quote="USDC") is Reason.QUOTE_CURRENCY
    assert reason(replace(quiet, best=None), include=name) is Reason.SPREAD_UNKNOWN


def test_a_tier_by_hand_is_no_ticket():
    """It says how liquid a market counts, not that it is liquid enough."""
    assert chosen(CALM, tiers={"ETH-USDT": "thin"}) == "thin"
    told = {"tiers": {"ETH-USDT": "major"}}
    assert reason(replace(CALM, turnover_24h=1.0), **told) is Reason.TURNOVER_TOO_LOW


def test_an_exclusion_file_is_data():
    """A YAML list of coins and markets, added to what the section names itself."""
    told = yaml_text.load(b"- LUNA  # why, for people\n- XMR-USDT\n", "screen.yaml")
    rules = config(exclusions=["DOGE"]).excluding(exclusions_of(told, "screen.yaml"))
    assert rules.exclusions == ("DOGE", "LUNA", "XMR-USDT")
    views = {key: market(key) for key in ("XMR-USDT", "LUNA-USDT", "DOGE-USDT", "ETH-USDT")}
    assert set(select(views, rules).members) == {"ETH-USDT"}


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"coins": []}, "screen.yaml: found dict, expected a list of market keys and coins"),
        (["ETH", "doge"], "screen.yaml: 1: 'doge' is not a market key"),
        (["ETH", 7], "screen.yaml: 1: found 7, expected text; write it in quotes"),
    ],
)
def test_a_wrong_exclusion_file_is_told_what_is_wrong(told, problem):
    """A screen that cannot be read must never become an empty one."""
    with pytest.raises(ConfigInvalid) as refused:
        exclusions_of(told, "screen.yaml")
    (found,) = refused.value.problems
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            {"tiers": {"ETH-USDT": "big"}},
            "trading.universe.tiers.ETH-USDT: Input should be 'major'",
        ),
        ({"include": ["eth"]}, "trading.universe.include: 'eth' is not a market key"),
        ({"tiers": {"eth": "thin"}}, "trading.universe.tiers: 'eth' is not a market key"),
        ({"quote": "usdt"}, "trading.universe.quote: 'usdt' is not a market key"),
        (
            {"include": ["A"], "exclude": ["A"]},
            "trading.universe: A stands under include and exclude, expected one of them",
        ),
        (
            {"min_turnover_24h": {"major": 1, "liquid": 2, "thin": 0}},
            "trading.universe.min_turnover_24h: found major 1, liquid 2, thin 0; expected major >= liquid >=",
        ),
        (
            {"min_turnover_24h": {"huge": 1}},
            "trading.universe.min_turnover_24h.huge: unknown key; known: major, liquid, thin",
        ),
        ({"max_spread_bps": float("nan")}, "trading.universe.max_spread_bps: Input should be"),
    ],
)
def test_wrong_settings_are_told_where_and_what(told, problem):
    """Path, what was found, what was expected."""
    with pytest.raises(ConfigInvalid) as refused:
        config(**told)
    assert refused.value.problems[0].startswith(problem)


def test_settings_are_frozen():
    """A universe does not change under its hour."""
    with pytest.raises(ValidationError):
        config().quote = "BTC"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config().min_turnover_24h.thin = 0.0  # type: ignore[misc]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BTC-USDT", "ETH-USDT", "ETH-BTC", "SOL-USDT", "ADA-USDT"]),
            st.none() | st.floats(allow_nan=True, allow_infinity=True),
            st.booleans(),
        ),
        unique_by=lambda row: row[0],
    )
)
def test_every_market_is_either_in_or_told_why_whatever_the_order(rows):
    """No market is lost, and the order in which they are looked at changes nothing."""
    views = {key: market(key, turnover_24h=turnover, tradable=trades) for key, turnover, trades in rows}
    found = select(views, config())
    assert sorted([*found.members, *found.refused]) == sorted(views)
    assert set(found.members.values()) <= set(TIERS)
    again = select(dict(reversed(views.items())), config())
    assert again == Universe(found.members, found.refused)
    assert [*again.members] == sorted(found.members)
