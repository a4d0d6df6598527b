"""What stands on a page, as plain values: read from the records, drawn by the templates. Pure.

Texts are as they are recorded; the templates escape them. Instants are aware UTC; the page tells them in the
reader's zone. Prices are floats for the eye: nothing is computed with them any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Tone(StrEnum):
    """How a thing stands; a page shows it as colour, shape and word together."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"
    URGENT = "urgent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """One named figure, in words; `at` is an instant to be told beside it, `note` what to know of it."""

    name: str
    value: str
    tone: Tone | None = None
    note: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a part of the page from being told: what, why, and what to do."""

    what: str
    why: str
    remedy: str = ""
    tone: Tone = Tone.WATCH


@dataclass(frozen=True, slots=True)
class Live:
    """What only the running daemon knows; None on an exported page.

    Attributes:
        now: By the daemon's clock.
        status: `pass`, `warn` or `fail`, and `notes` why.
        facts: Git queue, unpushed commits, exchange breakers, loop lag, next ring, version, mode.
        stale: Keys whose advice is withheld, each with the reason.
        may_answer: Whether a token is configured, so that advice can be answered from the page.
    """

    now: datetime
    status: str
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    stale: Mapping[str, str]
    may_answer: bool


@dataclass(frozen=True, slots=True)
class MarketRow:
    """One market of the overview, as of its newest record.

    Attributes:
        hour_closes_at: Close of its newest judged hour; None where none was judged.
        verdict, simplified: The names of chapter 4; None where the hour could not be judged.
        hold_probability, confidence: In [0, 1].
        price, change_24h_pct, lower, upper: None where unknown.
        exit_state: The most urgent one of its running grids; None where none runs.
        grids: Running ones.
        unwatched: How many of them the newest record has no exit state of.
        action: Of the newest recommendation, its id beside.
        sparkline: Closes of the last 48 hours, oldest first, NaN where there is none.
        stale: Why its advice is withheld; empty where it is not.
    """

    key: str
    hour_closes_at: datetime | None
    verdict: str | None
    simplified: str | None
    hold_probability: float | None
    confidence: float | None
    price: float | None
    change_24h_pct: float | None
    lower: float | None
    upper: float | None
    exit_state: str | None
    grids: int
    action: str | None
    decision_id: str | None
    sparkline: Floats
    stale: str
    missing_24h: int
    tone: Tone
    unwatched: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """All markets, what is urgent first.

    Attributes:
        open_advice: Recommendations that wait for an answer, newest first.
        desk: The paper desk in facts; empty where there is none.
    """

    markets: Sequence[MarketRow]
    open_advice: Sequence[Advice]
    desk: tuple[Fact, ...]
    kpis: KpiPanel | None
    troubles: tuple[Trouble, ...]
    live: Live | None


@dataclass(frozen=True, slots=True)
class Candles:
    """Prices of a span; arrays of shape (bars,), oldest first, NaN where no bar is known.

    Attributes:
        opens_ts: Epoch seconds of each bar's open.
        step_s: A bar's length.
    """

    step_s: int
    opens_ts: NDArray[np.int64]
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats
    price_decimals: int


@dataclass(frozen=True, slots=True)
class Stay:
    """A run of hours [start, end) with the same name: of a verdict, or of an exit state."""

    name: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """One line over the judged hours; shape (hours,), NaN where not recorded; `low`, `high`: its axis."""

    name: str
    title: str
    values: Floats
    low: float | None = None
    high: float | None = None
    weight_pct: float | None = None


@dataclass(frozen=True, slots=True)
class RangeBand:
    """The range of each judged hour; shapes (hours,), NaN where it was not valid."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class GateState:
    """One restart gate of one grid, as of the page's hour.

    Attributes:
        status: PASSED, FAILED, NOT_EVALUATED.
        checks: Each with value, threshold and distance to it.
        streak: Hours in a row that it held, of `needed`.
    """

    grid_id: str
    number: int
    title: str
    status: str
    streak: int
    needed: int
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `passed` None where it was not reached; distance 0 is at the threshold, less is beyond."""

    name: str
    passed: bool | None
    value: str
    threshold: str
    distance: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class GridPanel:
    """One grid: its levels for the chart, its exit state over time, what was told of it.

    Attributes:
        levels: Prices, lowest first.
        events: What happened to it, newest first.
        states: Its exit states over the page's span, oldest first.
        facts: Kind, version, capital, spacing, distance to bounds, since when it runs.
    """

    grid_id: str
    is_running: bool
    lower: float
    upper: float
    levels: tuple[float, ...]
    stop_loss: float | None
    take_profit: float | None
    exit_state: str | None
    triggers: tuple[str, ...]
    states: Sequence[Stay]
    events: Sequence[tuple[datetime, str]]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recommendation after 24h, 72h or 7d; `value` in words, None while open."""

    horizon: str
    value: str | None
    due_at: datetime | None
    tone: Tone | None


@dataclass(frozen=True, slots=True)
class Answered:
    """What somebody did about a recommendation."""

    at: datetime
    actor: str
    action: str
    note: str


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation.

    Attributes:
        factors: What made the confidence, by name.
        paragraphs: The words of `regimed explain`.
        proposed: The grid that it proposes, in facts; empty where it proposes none.
        is_open: Whether it waits for an answer: neither answered, expired nor overtaken.
        alternatives: Other actions that were considered, each with why it was not taken.
        lapsed: Why it does not wait although nobody answered: `expired`, `overtaken`, `settled` by another
            answer, `withheld`; empty where it was answered, wants none or waits.
        withheld: Why its market's advice is withheld by now; it is then as old as its hour.
    """

    id: str
    market: str
    hour_closes_at: datetime
    created_at: datetime
    expires_at: datetime | None
    grid_id: str
    action: str
    reason: str
    verdict: str | None
    confidence: float | None
    factors: Mapping[str, float]
    checks: tuple[Check, ...]
    paragraphs: tuple[str, ...]
    proposed: tuple[Fact, ...]
    answers: tuple[Answered, ...]
    outcomes: tuple[Outcome, ...]
    is_open: bool
    tone: Tone
    alternatives: tuple[Fact, ...] = ()
    lapsed: str = ""
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One figure with its interval; `meets` None where there is no target or too few cases."""

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    target: float | None
    meets: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class KpiPanel:
    """The newest KPI record at the page's instant."""

    day: str
    kpis: tuple[Kpi, ...]
    alert_budget: tuple[Kpi, ...]
    open_cases: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Hours whose probability lay in [low, high): how many, what was said on average, what came."""

    low: float
    high: float
    n: int
    said: float
    came: float


@dataclass(frozen=True, slots=True)
class CalibrationPanel:
    """The calibration in force; `facts` are the scores (Brier, skill) of the models beside plain rivals."""

    month: str
    known_at: datetime
    bins: tuple[ReliabilityBin, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class QualityHour:
    """One hour's 60 minutes: `.` traded, `o` no trade, `x` missing; empty when not collected or damaged."""

    hour_opens_at: datetime
    minutes: str
    missing: int
    no_trade: int
    revised: tuple[str, ...]
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class VersusBacktest:
    """The paper desk beside a backtest of the same hours; what diverges by name."""

    facts: tuple[Fact, ...]
    divergences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarketPage:
    """One market over a span [start, end): a day, or any range; its newest hour is the page's hour.

    Attributes:
        hours_ts: Opens of the judged hours of the span, epoch seconds, shape (hours,).
        now: The row of the overview, as of the page's hour.
        metrics: Confidence, hold probability, T, then the six metrics; values over `hours_ts`.
        verdicts, regimes: Stays of the verdict and of the simplified regime.
        advice: Recommendations of the span, newest first.
        current: The newest one of the page's hour that is not a mere HOLD, else the newest; None without any.
        before, after: The neighbouring days that have a page, `YYYY-MM-DD`; None at an end.
        is_newest: Whether the page's hour is the market's newest one.
        every_hour: Whether `quality` has all hours of the span, one after the other, or only those with
            something to tell.
    """

    key: str
    start: datetime
    end: datetime
    now: MarketRow
    candles: Candles
    hours_ts: NDArray[np.int64]
    verdicts: Sequence[Stay]
    regimes: Sequence[Stay]
    band: RangeBand
    metrics: Sequence[Series]
    components: tuple[Fact, ...]
    vetoes: tuple[str, ...]
    grids: Sequence[GridPanel]
    gates: Sequence[GateState]
    current: Advice | None
    advice: Sequence[Advice]
    kpis: KpiPanel | None
    calibration: CalibrationPanel | None
    quality: Sequence[QualityHour]
    versus: VersusBacktest | None
    troubles: tuple[Trouble, ...]
    before: str | None
    after: str | None
    live: Live | None
    is_newest: bool = True
    every_hour: bool = True
