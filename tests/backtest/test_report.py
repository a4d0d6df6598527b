"""A report says what the result holds, to whoever reads it, however hostile its words."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.analytics import analytics_of, cash_text
from backtest.report import GROUPS, MOST_TRADES, html
from backtest.report_words import NOTHING, harmless
from market.errors import DataInvalid
from market.orders import CASH_SCALE
from tests.backtest.pages import page_of, parsed
from tests.backtest.samples import HOURS, NAV, START, sample_result, sample_trades
from trading.reasons import MEANINGS, Reason

HOSTILE = (
    "</title></style><script>alert('\"&{{ 7 * 7 }}')</script><img src=http://127.0.0.1/x onerror=alert(1)>"
)


def test_the_figures_are_those_of_the_result_to_the_last_digit():
    """Behind each rounded figure stands the exact one, with its n beside."""
    value = sample_result().as_value()
    figures, page = value["analytics"], page_of(value)
    for name, figure in (
        ("Win rate", figures["win_rate"]),
        ("Mean R", figures["mean_r"]),
        ("Max drawdown", figures["max_drawdown"]),
        ("Sharpe, annualised", figures["sharpe"]),
        ("Sortino, annualised", figures["sortino"]),
        ("Maker share", figures["maker_share"]),
        ("Time in market", figures["time_in_market"]),
    ):
        main, more = page.tiles[name]
        assert float(main.exact) == figure["value"]
        assert f"n\u00a0{figure['n']}" in more.text
    assert page.tiles["Closed trades, net"][0].exact == figures["net"]["after_fees"]
    assert page.tiles["Fees"][0].exact == figures["net"]["fees"]
    assert page.tiles["Turnover"][0].exact == figures["maker_share"]["notional"]
    assert page.tiles["strong"][0].exact == figures["net"]["account"] == "0.6925"
    assert page.tiles["strong"][0].text == "+0.69 USDT"


def test_the_strategy_stands_beside_every_baseline():
    """Ends, nets, shares and deepest falls, the strategy first."""
    value = sample_result().as_value()
    _, *rows = page_of(value).tables["The strategy against its baselines"]
    assert [row[0].text for row in rows] == ["This strategy", "Cash", "Buy and hold", "Always-on grid"]
    series = [value["nav"], *(value["baselines"][name] for name in ("cash", "hold", "always_on_grid"))]
    for row, worth in zip(rows, series, strict=True):
        assert row[4].exact == worth[-1]
        assert Decimal(row[1].exact) == Decimal(worth[-1]) - Decimal(value["capital"])
    assert [row[1].text for row in rows] == ["+0.69", "0.00", "+51.00", "−23.67"]
    assert [row[2].text for row in rows] == ["+0.01\u00a0%", "0.00\u00a0%", "+0.51\u00a0%", "−0.24\u00a0%"]
    assert [row[3].text for row in rows] == ["0.11\u00a0%", "0.00\u00a0%", "0.20\u00a0%", "0.24\u00a0%"]
    assert "more than cash and the always-on grid; less than buying and holding." in html(value)


def test_every_group_has_its_table_with_n():
    """By signal, symbol, regime, tier and ending: n, won, net, fees; the best first."""
    value = sample_result().as_value()
    page = page_of(value)
    for by, name in GROUPS:
        _, *rows = page.tables[f"Closed trades by {by}"]
        told = {
            row[0].text: {
                "n": int(row[1].text),
                "won": int(row[2].text),
                "net": row[3].exact,
                "fees": row[4].exact,
            }
            for row in rows
        }
        assert told == value["analytics"][name]
        nets = [Decimal(row[3].exact) for row in rows]
        assert nets == sorted(nets, reverse=True)


def test_holding_times_the_bracket_refusals_and_trades_are_all_there():
    """Nothing of the result is left out but the hours between the rows of a table."""
    value = sample_result().as_value()
    value["refusals"] = {"regime_cash_only": 1919, "already_in_position": 7}
    page = page_of(value)
    counts = [int(row[1].text) for row in page.tables["Hours held"][1:]]
    assert counts == [each["n"] for each in value["analytics"]["hold_hours"]["counts"]]
    bracket = {
        row[0].text: {"net": row[1].exact, "trades": int(row[2].text)}
        for row in page.tables["Three fill models"][1:]
    }
    assert bracket == value["bracket"]
    refused = [[cell.text for cell in row] for row in page.tables["Refusals by reason"][1:]]
    assert refused == [
        ["regime_cash_only", MEANINGS[Reason.REGIME_CASH_ONLY], "1,919"],
        ["already_in_position", MEANINGS[Reason.ALREADY_IN_POSITION], "7"],
    ]
    trades = page.tables["Closed trades"][1:]
    assert [row[0].text for row in trades] == [each["id"] for each in value["trades"]]
    assert [row[6].exact for row in trades] == [each["net_exact"] for each in value["trades"]]
    assert page.items["note"] == value["notes"]
    assert page.tiles["configuration"][0].text == value["config_hash"]
    assert page.tiles["data"][0].text == value["data_digest"]
    assert page.tiles["seed"][0].text == str(value["seed"])


def test_the_parts_and_the_periods_add_up_to_the_account():
    """Edge, costs and open trades to the net; the days to the same."""
    value = sample_result().as_value()
    page, net = page_of(value), Decimal(value["analytics"]["net"]["account"])
    *parts, whole = [Decimal(row[1].exact) for row in page.tables["How the net adds up"][1:]]
    assert sum(parts) == whole == net
    days = page.tables["Net by day"][1:]
    assert [row[0].text for row in days] == ["2026-02-02", "2026-02-03", "2026-02-04"]
    assert sum(Decimal(row[1].exact) for row in days) == net


@pytest.mark.parametrize(
    ("days", "label", "first"),
    [(60, "week from Monday", "2026-02-02"), (400, "month", "2026-02-01")],
)
def test_long_runs_are_told_in_weeks_and_months(days, label, first):
    """As few columns as a phone can show, and still all of the net."""
    result = long_result(24 * days)
    rows = page_of(result.as_value()).tables[f"Net by {label}"][1:]
    assert rows[0][0].text == first
    assert len(rows) <= 40
    assert sum(Decimal(row[1].exact) for row in rows) == Decimal(result.analytics["net"]["account"])


def test_the_same_result_gives_the_same_bytes_and_another_one_others():
    """No clock, no chance, no order of a set."""
    value = sample_result().as_value()
    assert html(value) == html(sample_result().as_value())
    assert html(value) != html({**value, "seed": 1})


def test_the_page_can_neither_run_nor_fetch_anything():
    """No script, no address, no frame, and a policy that forbids them all."""
    page = html(sample_result().as_value())
    assert "default-src &#39;none&#39;" not in page and "default-src 'none'" in page
    assert not re.search(r"<(script|iframe|object|embed|img|form|base)\b", page)
    assert not re.search(r"://|@import|url\((?!#)|javascript:", page)
    assert re.findall(r'(?:href|src)="([^"]*)"', page) == ["data:,"]


def test_hostile_words_are_words():
    """Wherever a result holds text, markup in it is shown, and changes nothing of the page."""
    value = sample_result().as_value()
    plain = page_of(hostile(value, "harmless"))
    found = page_of(hostile(value, HOSTILE))
    assert found.tags == plain.tags
    assert found.items["note"] == [HOSTILE]
    assert found.tables["Closed trades by signal"][1][0].text == HOSTILE
    assert found.tiles["configuration"][0].text == HOSTILE
    assert HOSTILE in found.tiles["h1"][0].text


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=40))
def test_no_text_at_all_changes_the_page(text):
    """Control characters and marks that turn a line around become visible, the rest stays as it is."""
    found = page_of(hostile(sample_result().as_value(), text))
    assert found.tags == page_of(hostile(sample_result().as_value(), "harmless")).tags
    assert found.items["note"] == [harmless(text)]


def test_every_picture_has_a_name_a_description_and_a_table():
    """Who cannot see a chart reads it; ids are unique and refer to what is there."""
    page = page_of(sample_result().as_value())
    assert page.pictures == 13
    assert len(page.ids) == len(set(page.ids))
    assert set(page.refs) <= set(page.ids)
    assert sum(tag == "title" for tag, _ in page.tags) == page.pictures + 1
    assert sum(tag == "desc" for tag, _ in page.tags) == page.pictures
    tables = sum(tag == "details" for tag, _ in page.tags) - 1  # the trades are no chart's
    assert tables == page.pictures - 1  # the strategy alone stands in the table of all


def test_a_strategy_that_its_baselines_dwarf_is_drawn_once_more_alone():
    """Below a fifth of the axis, and never a line without any ups and downs."""
    result = sample_result()
    calm = tuple(cash_text(NAV + 900 * CASH_SCALE * hour // HOURS) for hour in range(HOURS))
    for baselines, pictures in (({}, 12), ({"hold": calm}, 13)):
        assert page_of(replace(result, baselines=baselines).as_value()).pictures == pictures
    page = html(replace(result, baselines={"hold": calm}).as_value())
    assert "Equity of the strategy alone over time" in page and "Ends at 10,000.69 (+0.01\u00a0%)" in page


def test_a_run_without_trades_has_a_page():
    """What is unknown is a dash, never 0, and no chart is drawn of nothing."""
    flat = [NAV] * HOURS
    value = replace(
        sample_result(bracket=False),
        trades=(),
        nav=tuple(map(cash_text, flat)),
        exposure=("0",) * HOURS,
        baselines={},
        orders={},
        refusals={},
        notes=(),
        analytics=analytics_of((), flat, [0] * HOURS, NAV),
    ).as_value()
    page = page_of(value)
    for name in (
        "Win rate",
        "Mean R",
        "Sharpe, annualised",
        "Maker share",
        "Costs of the edge",
        "Held, median",
    ):
        assert page.tiles[name][0].text == NOTHING
    assert page.tiles["orders"][0].text == "none"
    assert not [name for name in page.tables if name.startswith("Closed trades")]
    assert "there is no baseline to hold it against." in html(value)


def test_one_hour_has_a_page():
    """The shortest run there is."""
    assert page_of(long_result(1).as_value()).tiles["hours"][0].text == "1"


def test_years_of_hours_stay_one_page():
    """Lines keep their outline, tables a few dozen rows, trades the newest; the JSON holds the rest."""
    many = sample_trades(MOST_TRADES + 60)
    result = long_result(24 * 365 * 2, trades=many)
    page = page_of(result.as_value())
    assert len(html(result.as_value())) < 800_000
    worth = page.tables["Equity at evenly spaced hours, USDT"]
    assert len(worth) <= 49
    assert worth[-1][0].text == "2028-02-02 00:00"
    shown = page.tables["Closed trades"][1:]
    assert [row[0].text for row in shown] == [each.id for each in many[-MOST_TRADES:]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nav": ["1"]}, "nav: 1 values, expected one for each of 72 hours"),
        ({"capital": 10_000}, "capital: .*decimal text.*found 10000"),
        ({"capital": "1e4"}, "capital: .*decimal text"),
        ({"capital": "0"}, "capital: .*greater than 0"),
        ({"capital": "9" * 61}, "capital: .*decimal text"),
        ({"start": "yesterday"}, "start: .*'yesterday' is not an hour"),
        ({"start": 7}, "start: .*'7' is not an hour"),
        ({"end": "2026-02-03T00"}, "hours: expected all of them from 2026-02-02T00 to before 2026-02-03T00"),
        ({"hours": ["2026-02-02T00"] * 72}, "hours: expected each hour after the one before"),
        ({"baselines": {"luck": ["1"] * 72}}, "'luck' is none of cash, hold, always_on_grid"),
        ({"baselines": {"hold": ["0"] * 72}}, "amounts above 0"),
        ({"capital": "9999"}, "analytics.net.account: 0.6925, but nav ended 1.6925 higher"),
        ({"trades": {}}, "trades: expected a list, got dict"),
        ({"trades": []}, "analytics.net.n: 12, but there are 0 trades"),
        ({"trades": [{"id": "x"}]}, r"trades\[0\]: \w+: missing"),
        ({"refusals": {"stop": -1}}, "refusals.stop: .*found -1"),
        ({"keys": []}, "keys: "),
    ],
)
def test_a_result_that_cannot_be_true_is_refused_by_the_name_of_the_field(change, told):
    """A page that contradicts itself, or the log, is worse than none."""
    with pytest.raises(DataInvalid, match=told) as refused:
        html({**sample_result().as_value(), **change}, "made up")
    assert str(refused.value).startswith("made up: ")


def test_figures_that_are_no_numbers_are_refused():
    """Neither infinity nor a share beyond 1 is drawn."""
    for name, wrong in (("sharpe", math.inf), ("win_rate", 1.5), ("time_in_market", "x")):
        value = sample_result().as_value()
        value["analytics"] = {**value["analytics"], name: {"value": wrong, "n": 1}}
        with pytest.raises(DataInvalid, match=f"analytics.{name}.value"):
            html(value)


def hostile(value: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a result with a text wherever it may hold one."""
    figures = dict(value["analytics"])
    for _, name in GROUPS:
        one, *_ = figures[name].values()
        figures[name] = {text: one}
    return {
        **value,
        "strategy": text,
        "keys": [text],
        "config_hash": text,
        "data_digest": text,
        "fill_model": {text: text},
        "orders": {text: 1},
        "refusals": {text: 1},
        "notes": [text],
        "analytics": figures,
        "trades": [
            {**each, **dict.fromkeys(("id", "signal", "regime", "entry_at", "quote"), text)}
            for each in value["trades"]
        ],
    }


def long_result(hours: int, trades: Any = ()) -> Any:
    """Return a run of so many hours whose account goes up and down by the day."""
    nav = [NAV + int(50 * math.sin(hour / 24) * CASH_SCALE) for hour in range(hours)]
    flat = [0] * hours
    return replace(
        sample_result(bracket=False),
        end=START.plus(hours).iso(),
        hours=tuple(START.plus(hour).iso() for hour in range(hours)),
        nav=tuple(map(cash_text, nav)),
        exposure=("0",) * hours,
        baselines={"cash": (cash_text(NAV),) * hours},
        trades=tuple(trades),
        analytics=analytics_of(trades, nav, flat, NAV),
    )


def test_a_page_read_back_is_closed_tag_by_tag():
    """The reader that these tests stand on notices a page that is broken."""
    with pytest.raises(AssertionError):
        parsed("<p><b></p></b>")
