"""The one table of routes: requests are checked by it and the description is made from it."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.api import parameters as forms
from daemon.api.parameters import Parameter

_SYMBOL = Parameter("symbol", forms.SYMBOL, "The market's key.", "path")
_TIMEFRAME = Parameter(
    "timeframe", forms.TIMEFRAME, "Length of a bar; 15m, 1h and 4h are stored, 1m and 5m computed.", "path"
)
_START = Parameter("start", forms.TIME, "First open wanted, UTC; left out, where the record begins.")
_END = Parameter("end", forms.TIME, "First open no longer wanted, UTC; left out, where the record ends.")
_LIMIT = Parameter("limit", forms.PAGE, "At most so many entries a page.", default=forms.LIMIT)
_CURSOR = Parameter("cursor", forms.CURSOR, "`next` of the page before, with the same filters.")
_SERIES = (_SYMBOL, _TIMEFRAME)
_SPAN = (_START, _END)
_PAGED = (*_SPAN, _LIMIT, _CURSOR)
_DATE = Parameter("date", forms.DATE, "UTC date.", "path")
_NAME = Parameter("name", forms.DECISION_NAME, "The rest of a decision's id.", "path")


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One address.

    Attributes:
        name: Of the operation.
        path: With its parameters in braces.
        summary: One line.
        parameters: All that it takes.
        answer: Name of the answer's schema.
        errors: Statuses that it may answer with besides.
        method: GET answers HEAD too.
    """

    name: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: str
    errors: tuple[int, ...] = (400, 404, 503)
    method: str = "GET"


REGIME_ROWS = Route(
    "regimes",
    "/api/data/regime/{symbol}/{timeframe}",
    "Regime of each bar, oldest first, as known now.",
    (
        *_SERIES,
        *_PAGED,
        Parameter("simplified", forms.REGIME, "Only rows of this simplified regime."),
        Parameter("verdict", forms.VERDICT, "Only rows of this verdict; only 1h rows have one."),
        Parameter("min_confidence", forms.CONFIDENCE, "Only rows at least so confident."),
        Parameter("candles", forms.YES_OR_NO, "Prices and volume beside each row.", default=False),
    ),
    "Rows",
)
REGIME_STATS = Route(
    "regime_stats",
    "/api/data/regime/{symbol}/{timeframe}/stats",
    "Distribution, mean duration, transition matrix and confidence histogram.",
    (*_SERIES, *_SPAN),
    "Stats",
)
REGIME_TRANSITIONS = Route(
    "regime_transitions",
    "/api/data/regime/{symbol}/{timeframe}/transitions",
    "Periods that begin in the span right after another one, oldest first.",
    (
        *_SERIES,
        Parameter("from", forms.REGIME, "Only changes from this simplified regime."),
        Parameter("to", forms.REGIME, "Only changes to this simplified regime."),
        *_PAGED,
    ),
    "Transitions",
)
REGIME_PERIODS = Route(
    "regime_periods",
    "/api/data/regime/{symbol}/{timeframe}/periods",
    "Runs of equal regime that overlap the span, whole, oldest first.",
    (*_SERIES, Parameter("regime", forms.REGIME, "Only periods of this simplified regime."), *_PAGED),
    "Periods",
)
MARKETS = Route("markets", "/api/markets", "What is recorded of each market.", (), "Markets", (400, 503))
SNAPSHOT = Route(
    "snapshot",
    "/api/snapshots/{key}/{hour}",
    "One collected hour, the file as it lies there: the complete one, else the newest partial one.",
    (
        Parameter("key", forms.SYMBOL, "The market's key.", "path"),
        Parameter("hour", forms.HOUR, "The hour, UTC, by its open.", "path"),
    ),
    "SnapshotFile",
)
DECISIONS = Route(
    "decisions",
    "/api/decisions",
    "Recommendations, newest first.",
    (
        Parameter("market", forms.SYMBOL, "Only those of this market."),
        Parameter("since", forms.TIME, "Only those of hours that closed then or later, UTC."),
        _LIMIT,
        _CURSOR,
    ),
    "Decisions",
)
DECISION = Route(
    "decision",
    "/api/decisions/{date}/{name}",
    "One recommendation as recorded, and what was done about it.",
    (_DATE, _NAME),
    "Decision",
    (400, 404, 500, 503),
)
GRIDS = Route("grids", "/api/grids", "The grids in force, as recorded.", (), "Grids", (400, 503))
KPIS = Route("kpis", "/api/kpis/{date}", "The KPI record of a day.", (_DATE,), "KpisFile")
ACTION = Route(
    "answer_decision",
    "/api/decisions/{date}/{name}/actions",
    "Record what was done about a recommendation, as `regimed decide` does.",
    (_DATE, _NAME),
    "Recorded",
    (400, 401, 404, 409, 413, 415, 429, 503),
    "POST",
)
READING = (
    REGIME_ROWS,
    REGIME_STATS,
    REGIME_TRANSITIONS,
    REGIME_PERIODS,
    MARKETS,
    SNAPSHOT,
    DECISIONS,
    DECISION,
    GRIDS,
    KPIS,
)
