"""A backtest's result as one page that opens offline: no script, no request, the same bytes each time.

The figures are the result's own; what is computed here (falls of the baselines, an interval around the mean
trade, the costs' share) says so in `docs/reports.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from backtest.analytics import FEWEST_TRADES, max_drawdown
from backtest.cautions import cautions, sharpe_error
from backtest.charts import BarChart, column_chart, line_chart, row_chart
from backtest.report_form import Group, KpiRow, Reported, checked
from backtest.report_words import (
    GAP,
    NOTHING,
    Told,
    amount,
    count,
    gain,
    harmless,
    number,
    percent,
    shortened,
    words,
    worth,
)
from market.candles import Floats
from market.hours import instant_of_ts
from market.orders import CASH_SCALE
from market.units import from_scaled
from trading.reasons import MEANINGS
from trading.trades import TradeRecord

MOST_TRADES = 500  # on the page; the JSON beside it holds all
MOST_DAYS, MOST_WEEKS = 35, 40  # as columns of one chart; beyond them months
DWARFED = 0.2  # share of the axis
MOST_ROWS = 48  # of a table behind a line
OWN = "own"
NAMES = {
    OWN: "This strategy",
    "cash": "Cash",
    "hold": "Buy and hold",
    "always_on_grid": "Always-on grid",
}
GROUPS = (
    ("signal", "by_signal"),
    ("symbol", "by_symbol"),
    ("regime at entry", "by_regime"),
    ("liquidity tier", "by_tier"),
    ("how it ended", "by_exit"),
)
AGAINST = {"cash": "cash", "hold": "buying and holding", "always_on_grid": "the always-on grid"}
FILL_MODELS = ("pessimistic", "expected", "optimistic")


@dataclass(frozen=True, slots=True)
class Contender:
    """The strategy or a baseline, as the first table shows it."""

    name: str
    label: str
    end: Told
    net: Told
    share: Told
    fall: Told


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month by its first day, in full and in short."""

    name: str
    short: str
    net: Decimal


@dataclass(frozen=True, slots=True)
class Grouped:
    """Closed trades by one property."""

    id: str
    by: str
    chart: BarChart
    rows: tuple[tuple[str, Group], ...]


def html(result: Mapping[str, Any], where: str = "result") -> str:
    """Return the page of a result.

    Args:
        result: As `backtest.result` writes it.
        where: Names it in errors.

    Raises:
        DataInvalid: Names the first field that is missing, of another kind or at odds with the others.
    """
    reported, trades = checked(result, where)
    return _environment().get_template("report.html.jinja").render(_content(reported, trades))


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("backtest"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "gain": gain,
        "worth": worth,
        "percent": percent,
        "number": number,
        "count": count,
        "harmless": harmless,
        "words": words,
    }
    return environment


def _content(reported: Reported, trades: Sequence[TradeRecord]) -> dict[str, Any]:
    curves = {OWN: reported.nav, **{name: reported.baselines[name] for name in _baselines(reported)}}
    wealth = {name: _wealth(reported.capital, each) for name, each in curves.items()}
    falls = {name: -100 * (1 - each / np.maximum.accumulate(each)) for name, each in wealth.items()}
    at_ts = [reported.hours[0].open_ts, *(hour.close_ts for hour in reported.hours)]
    contenders = [_contender(name, reported.capital, each[-1], wealth[name]) for name, each in curves.items()]
    net = reported.analytics.net
    parts = _parts(reported)
    period, periods = _periods(reported)
    exposed = [float(each / nav) * 100 for each, nav in zip(reported.exposure, reported.nav, strict=True)]
    return {
        "told": reported,
        "figures": reported.analytics,
        "quote": harmless(_quote(reported, trades)),
        "title": f"{words(reported.strategy)} on {', '.join(map(harmless, reported.keys))}",
        "days": (reported.end.open_ts - reported.start.open_ts) / 86_400,
        "verdict": _verdict(contenders),
        "contenders": contenders,
        "cautions": cautions(reported, trades),
        "sharpe_error": sharpe_error(reported.analytics.sharpe),
        "costs_of_edge": float((net.fees + net.slippage) / net.edge) if net.edge > 0 else None,
        "fees_of_turnover": _ratio(net.fees, reported.analytics.maker_share.notional),
        "equity": line_chart(at_ts, {name: each.tolist() for name, each in wealth.items()}, _tick),
        "alone": line_chart(at_ts, {OWN: wealth[OWN].tolist()}, _tick) if _is_dwarfed(wealth) else None,
        "equity_rows": _rows(at_ts, [(reported.capital, *each) for each in curves.values()]),
        "falls": line_chart(
            at_ts, {n: each.tolist() for n, each in falls.items() if n != "cash"}, _percent_tick
        ),
        "falls_rows": _rows(at_ts, [each.tolist() for name, each in falls.items() if name != "cash"]),
        "exposure": line_chart(at_ts[1:], {OWN: exposed}, _percent_tick) if len(exposed) > 1 else None,
        "exposure_rows": _rows(at_ts[1:], [exposed]),
        "names": NAMES,
        "parts": parts,
        "parts_chart": row_chart([(label, float(each), amount(each, signed=True)) for label, each in parts]),
        "period": period,
        "periods": periods,
        "periods_chart": column_chart([(each.short, float(each.net), "") for each in periods]),
        "groups": [_grouped(by, getattr(reported.analytics, name)) for by, name in GROUPS],
        "holds": _holds(reported),
        "kpis": [(title, _kpi_rows(each)) for title, each in _kpis(reported)],
        "bracket": None if reported.bracket is None else _bracket(reported),
        "refusals": sorted(reported.refusals.items(), key=lambda each: (-each[1], each[0])),
        "meanings": {reason.value: text for reason, text in MEANINGS.items()},
        "trades": trades[-MOST_TRADES:],
        "cash": lambda units: from_scaled(units, CASH_SCALE),
        "fewest": FEWEST_TRADES,
    }


def _baselines(reported: Reported) -> list[str]:
    return [name for name in NAMES if name in reported.baselines]


def _wealth(capital: Decimal, worth_of: Sequence[Decimal]) -> Floats:
    return np.array([float(capital), *map(float, worth_of)], dtype=np.float64)


def _is_dwarfed(wealth: Mapping[str, Floats]) -> bool:
    """Return whether the baselines stretch the axis so far that the strategy's own ups and downs get lost."""
    own = float(np.ptp(wealth[OWN]))
    together = np.concatenate(list(wealth.values()))
    return 0.0 < own < DWARFED * float(np.ptp(together))


def _contender(name: str, capital: Decimal, end: Decimal, wealth: Floats) -> Contender:
    return Contender(
        name=name,
        label=NAMES[name],
        end=worth(end),
        net=gain(end - capital),
        share=percent(float((end - capital) / capital), 2, signed=True),
        fall=percent(max_drawdown(wealth)["value"], 2),
    )


def _verdict(contenders: Sequence[Contender]) -> str:
    own, *others = contenders
    mine = Decimal(own.net.exact)
    better = [AGAINST[each.name] for each in others if mine > Decimal(each.net.exact)]
    same = [AGAINST[each.name] for each in others if mine == Decimal(each.net.exact)]
    worse = [AGAINST[each.name] for each in others if mine < Decimal(each.net.exact)]
    said = [
        f"{how} {' and '.join(names)}"
        for how, names in (("more than", better), ("the same as", same), ("less than", worse))
        if names
    ]
    return f"{'; '.join(said)}." if said else "there is no baseline to hold it against."


def _quote(reported: Reported, trades: Sequence[TradeRecord]) -> str:
    return trades[0].quote if trades else reported.keys[0].rpartition("-")[2]


def _ratio(part: Decimal, whole: Decimal) -> float | None:
    return float(part / whole) if whole > 0 else None


def _rows(at_ts: Sequence[int], series: Sequence[Sequence[Any]]) -> list[tuple[str, ...]]:
    """Return evenly spaced points of series, the last one always among them: instant, then a text each."""
    every = -(-len(at_ts) // MOST_ROWS)
    places = range((len(at_ts) - 1) % every, len(at_ts), every)
    return [
        (f"{instant_of_ts(at_ts[n]):%Y-%m-%d %H:%M}", *(_cell(each[n]) for each in series)) for n in places
    ]


def _cell(value: Decimal | float) -> str:
    return amount(value) if isinstance(value, Decimal) else percent(value / 100, 2).text


def _tick(value: float, decimals: int) -> str:
    return number(value, decimals).text


def _percent_tick(value: float, decimals: int) -> str:
    return f"{number(value, decimals).text}{GAP}%"


def _parts(reported: Reported) -> list[tuple[str, Decimal]]:
    """Return how the account's net came about; all but the last add up to the last."""
    net = reported.analytics.net
    return [
        ("Edge: price alone", net.edge),
        ("Slippage and spread", -net.slippage),
        ("Fees", -net.fees),
        ("Trades still open", net.open),
        ("Net of the account", net.account),
    ]


def _periods(reported: Reported) -> tuple[str, list[Period]]:
    """Return what each day, week or month brought, open trades at their last price."""
    hours = reported.end.index - reported.start.index
    kind, first, form = _KINDS[0 if hours <= MOST_DAYS * 24 else 1 if hours <= MOST_WEEKS * 168 else 2]
    found: dict[datetime, Decimal] = {}
    before = reported.capital
    for hour, nav in zip(reported.hours, reported.nav, strict=True):
        day = first(hour.opens_at.replace(hour=0))
        found[day] = found.get(day, Decimal(0)) + nav - before
        before = nav
    return kind, [Period(f"{day:%Y-%m-%d}", f"{day:{form}}", net) for day, net in found.items()]


_KINDS: tuple[tuple[str, Callable[[datetime], datetime], str], ...] = (
    ("day", lambda day: day, "%d %b"),
    ("week from Monday", lambda day: day - timedelta(days=day.weekday()), "%d %b"),
    ("month", lambda day: day.replace(day=1), "%b %y"),
)


def _grouped(by: str, groups: Mapping[str, Group]) -> Grouped | None:
    if not groups:
        return None
    rows = sorted(groups.items(), key=lambda each: (-each[1].net, each[0]))
    chart = row_chart(
        [
            (f"{shortened(name)}{GAP}· n{GAP}{each.n:,}", float(each.net), amount(each.net, signed=True))
            for name, each in rows
        ]
    )
    return Grouped(f"by-{by.replace(' ', '-')}", by, chart, tuple(rows))


def _kpis(reported: Reported) -> list[tuple[str, Mapping[str, KpiRow]]]:
    """Return the tables of KPIs by their titles: trades, and advice where a repository holds some."""
    found: list[tuple[str, Mapping[str, KpiRow]]] = [("KPIs of the closed trades", reported.kpis.trades)]
    if (advice := reported.kpis.advice) is not None:
        told = f"{count(advice.runs, 'run')} of grids, {count(advice.answered, 'answered recommendation')}"
        found.append((f"KPIs of the recorded advice: {told}", advice.kpis))
    return found


def _kpi_rows(kpis: Mapping[str, KpiRow]) -> list[tuple[str, Told, str, KpiRow]]:
    """Return a row a KPI in order of name: name, value, interval, all of it."""
    return [
        (
            name,
            number(each.value, 3),
            NOTHING
            if each.low is None or each.high is None
            else f"{number(each.low, 3).text} to {number(each.high, 3).text}",
            each,
        )
        for name, each in sorted(kpis.items())
    ]


def _holds(reported: Reported) -> dict[str, Any]:
    counts = [
        (f"{each.low:g}–{each.high:g}" if each.high is not None else f"{each.low:g}+", each.n)
        for each in reported.analytics.hold_hours.counts
    ]
    return {"rows": counts, "chart": column_chart([(label, float(n), f"{n:,}") for label, n in counts])}


def _bracket(reported: Reported) -> dict[str, Any]:
    rows = [(name, getattr(reported.bracket, name)) for name in FILL_MODELS]
    chart = row_chart(
        [
            (f"{name}{GAP}· n{GAP}{each.trades:,}", float(each.net), amount(each.net, signed=True))
            for name, each in rows
        ]
    )
    return {"rows": rows, "chart": chart}
