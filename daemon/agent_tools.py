"""The tools that agents see: names, words, and the schemas of what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.agent_answers import AgentAnswers
from daemon.agent_arguments import (
    Arguments,
    CompareBacktests,
    ExplainDecision,
    GetRegimes,
    ListMarkets,
    RegimePeriods,
    RegimeStats,
    RegimeTransitions,
)
from decisions.calibration.by_regime import STRATEGIES
from market.hours import Timeframe
from regime.components.states import FULL_REGIMES, MOMENTA, SIMPLIFIED, TRENDS, VOLATILITIES
from regime.series import VERDICTS

INSTRUCTIONS = (
    "Regimes of crypto spot markets as regimed knows them, read-only. Begin with list_markets. All times"
    " are UTC, ISO 8601; spans are half-open [start, end) and name the opens of bars. A row tells the"
    " regime of one closed bar, as a function of that bar and earlier ones only, by the rules in force now;"
    " what was known when an hour was judged stands in the decision (explain_decision). simplified_regime"
    " is one of TREND_UP, TREND_DOWN, RANGE, CHOPPY, NEUTRAL; confidence (0 to 1) is how far the inputs"
    " stand from the thresholds of that regime; verdict (1h only) says whether a grid's range holds:"
    " RANGE_OK, RANGE_WEAK, TRANSITION, TREND. The first 100 bars of a market have no row. A period is a"
    " run of equal simplified regime over adjacent bars. Long answers come in pages: while `next` is not"
    " null, call again with it as `cursor` and everything else unchanged. Figures are shares (0 to 1),"
    " percent where the name says pct, basis points where it says bps. Nothing here trades or advises."
)
_TIME = {"type": "string", "description": "UTC, 2024-01-31T14:00:00Z"}
_TIMEFRAMES = [each.value for each in Timeframe]
_REGIMES = [regime.value for regime in SIMPLIFIED]
_VERDICTS = [verdict.value for verdict in VERDICTS]
_COMPUTED = {
    "type": "array",
    "items": {"type": "string"},
    "description": "What was computed from the files because the index does not hold it; empty: all was"
    " stored.",
}
_NEXT = {"type": ["string", "null"], "description": "Pass it as `cursor` for the next page; null: the end."}


def _object(optional: dict[str, Any] | None = None, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _by(names: list[str], schema: dict[str, Any]) -> dict[str, Any]:
    return _object(**dict.fromkeys(names, schema))


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_RECORDED = {
    **_object(start=_TIME, end=_TIME),
    "description": "What of the asked span is recorded in this timeframe, by the names of files; of bars"
    " outside it nothing is known.",
}
_NUMBER, _COUNT = {"type": "number"}, {"type": "integer", "minimum": 0}
_SHARE = _or_null({"type": "number", "minimum": 0, "maximum": 1})
_ROW = _object(
    dict.fromkeys(("open", "high", "low", "close", "volume"), _NUMBER),
    open_time=_TIME,
    trend_state={"enum": [each.value for each in TRENDS]},
    volatility_state={"enum": [each.value for each in VOLATILITIES]},
    momentum_state={"enum": [each.value for each in MOMENTA]},
    full_regime={"enum": list(FULL_REGIMES)},
    simplified_regime={"enum": _REGIMES},
    colour={"type": "string", "description": "For charts, #RRGGBB."},
    verdict={"enum": [*_VERDICTS, None], "description": "Of the hour; null on other timeframes or unjudged."},
    confidence={"type": "number", "minimum": 0, "maximum": 1},
    source={"enum": ["stored", "computed"], "description": "From the index, or from the files just now."},
)
_PERIOD = {
    "simplified_regime": {"enum": _REGIMES},
    "previous_regime": {"enum": [*_REGIMES, None], "description": "Of the bar right before; null: no row."},
    "start": {**_TIME, "description": "Open of its first bar, UTC"},
    "end": {**_TIME, "description": "Close of its last bar, UTC"},
    "bars": _COUNT,
    "open": {"type": "number", "description": "Of its first bar, quote."},
    "close": {"type": "number", "description": "Of its last bar, quote."},
    "return_pct": {"type": "number", "description": "Open to close, percent."},
    "ongoing": {"type": "boolean", "description": "It ends with the newest known bar and may go on."},
}
_COUNTS = {
    "rows": _COUNT,
    "distribution": _by(
        _REGIMES, _object(bars=_COUNT, share=_SHARE, periods=_COUNT, mean_bars=_or_null(_NUMBER))
    ),
    "transitions": {
        **_by(_REGIMES, _object(counts=_by(_REGIMES, _COUNT), shares=_by(_REGIMES, _SHARE))),
        "description": "By regime before, then after, over adjacent bars, staying included.",
    },
    "confidence": {
        **_object(bin_width=_NUMBER, **dict.fromkeys(("all", *_REGIMES), _list(_COUNT))),
        "description": "Histogram of 20 bins from 0 to 1: rows by bin, of all and of each regime.",
    },
    "verdicts": _by(_VERDICTS, _COUNT),
}
_GROUP = _object(
    hours=_COUNT,
    weeks={**_COUNT, "description": "Calendar weeks that the hours lie in."},
    strategies=_by(
        list(STRATEGIES),
        _object(
            mean_net_bps=_or_null(_NUMBER),
            low=_or_null(_NUMBER),
            high=_or_null(_NUMBER),
            share_positive=_SHARE,
        ),
    ),
)
_TEXT = {"type": "string"}


@dataclass(frozen=True, slots=True)
class AgentTool:
    """One tool.

    Attributes:
        answer: From answers and arguments to what is told.
        output: JSON schema of it.
    """

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    answer: Callable[[AgentAnswers, Any], dict[str, Any]]
    output: dict[str, Any]

    @property
    def input(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return self.arguments.model_json_schema()


TOOLS = (
    AgentTool(
        "list_markets",
        "Markets and their recorded spans",
        "List the markets with recorded data: key, first and last instant of the data, when the bars of each"
        " timeframe begin (coarse bars reach further back; null: there are none), and until when the index"
        " holds the rows of 15m, 1h and 4h (null: not stored, answers are computed and slower). Begin here.",
        ListMarkets,
        AgentAnswers.list_markets,
        _object(
            markets=_list(
                _object(
                    symbol=_TEXT,
                    start=_TIME,
                    end=_TIME,
                    recorded_from=_by(_TIMEFRAMES, _or_null(_TIME)),
                    stored_to=_by(["15m", "1h", "4h"], _or_null(_TIME)),
                )
            ),
            timeframes=_list({"enum": _TIMEFRAMES}),
            next=_NEXT,
        ),
    ),
    AgentTool(
        "get_regimes",
        "Regime of each bar",
        "Return the regime rows of a market's bars that open in [start, end), oldest first: the three"
        " dimensions (trend, volatility, momentum), their join, the simplified regime, confidence and, on"
        " 1h, the verdict. Filters choose rows. A page may hold few or no rows and still have a `next`. For"
        " runs of equal regime ask regime_periods, for counts regime_stats: both are far shorter.",
        GetRegimes,
        AgentAnswers.get_regimes,
        _object(
            symbol=_TEXT, timeframe={"enum": _TIMEFRAMES}, recorded=_RECORDED, rows=_list(_ROW), next=_NEXT
        ),
    ),
    AgentTool(
        "regime_stats",
        "Distribution, durations, transitions, confidence",
        "Count regime rows: how many bars, what share, how many periods of what mean length each regime"
        " has; the transition matrix of adjacent bars; the distribution of confidence in 20 bins; rows by"
        " verdict. Of one market's timeframe over [start, end), or, without symbol, of all markets"
        " together.",
        RegimeStats,
        AgentAnswers.regime_stats,
        _object(
            symbol={"type": ["string", "null"]},
            timeframes=_list({"enum": _TIMEFRAMES}),
            recorded=_or_null(_RECORDED),
            computed=_COMPUTED,
            **_COUNTS,
        ),
    ),
    AgentTool(
        "regime_transitions",
        "Changes from one regime to another",
        "List the changes of regime: each is the period that begins in [start, end) right after another"
        " one, with where it came from, when, how long it lasted and what the price did in it. Of one"
        " market's timeframe, by time; or, without symbol, of all markets, by symbol, timeframe and time"
        " (then both from_regime and to_regime are needed).",
        RegimeTransitions,
        AgentAnswers.regime_transitions,
        _object(
            recorded=_or_null(_RECORDED),
            transitions=_list(_object(symbol=_TEXT, timeframe={"enum": _TIMEFRAMES}, **_PERIOD)),
            computed=_COMPUTED,
            next=_NEXT,
        ),
    ),
    AgentTool(
        "regime_periods",
        "Runs of equal regime",
        "List the periods of a market: runs of equal simplified regime over adjacent bars, oldest first,"
        " with start, end, length and what the price did. All that overlap [start, end), told whole, not"
        " cut at its ends; a bar without a row ends a period.",
        RegimePeriods,
        AgentAnswers.regime_periods,
        _object(
            symbol=_TEXT,
            timeframe={"enum": _TIMEFRAMES},
            recorded=_RECORDED,
            periods=_list(_object(**_PERIOD)),
            computed=_COMPUTED,
            next=_NEXT,
        ),
    ),
    AgentTool(
        "explain_decision",
        "A recommendation in plain words",
        "Explain a recorded recommendation about a grid as it was made: what, why, how sure, what it was"
        " worth, which checks it passed, what would have changed it, and what the operator did. A market key"
        " in place of its name asks for the newest of that market.",
        ExplainDecision,
        AgentAnswers.explain_decision,
        _object(decision_id=_TEXT, paragraphs=_list(_TEXT)),
    ),
    AgentTool(
        "compare_backtests",
        "How strategies fare by regime",
        "Tell how strategies fared in the 24 hours after each recorded hour of a market, by the simplified"
        " regime and by the verdict of the hour they start in: mean net value in bps of what was put in,"
        " its 95 % interval, share positive, hours. Simulated now on recorded hours: the standard grid with"
        " fees, the same grid on the mirrored path (chance), holding. What the operator's own backtests"
        " wrote is not read here (`regimed compare --backtest RESULT` does);"
        " `simulated` and `is_not` in the answer say what the figures are and are not: quote them along.",
        CompareBacktests,
        AgentAnswers.compare_backtests,
        _object(
            symbol=_TEXT,
            start={**_or_null(_TIME), "description": "Of the hours that strategies start in."},
            end=_or_null(_TIME),
            horizon_hours=_COUNT,
            simulated=_by(list(STRATEGIES), _TEXT),
            data=_TEXT,
            is_not=_TEXT,
            maker_bps=_NUMBER,
            fee_from=_TEXT,
            hours_judged=_COUNT,
            left_out=_object(no_regime=_COUNT, no_grid_or_day_not_whole=_COUNT),
            all=_GROUP,
            by_simplified_regime=_by(_REGIMES, _GROUP),
            by_verdict=_by(_VERDICTS, _GROUP),
        ),
    ),
)
