"""Pages from values made by hand: a quiet day, an exit, stale data, nothing yet, hostile words, a year."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from dashboard.pages import (
    Advice,
    Answered,
    CalibrationPanel,
    Candles,
    Check,
    Fact,
    GateState,
    GridPanel,
    Kpi,
    KpiPanel,
    Live,
    MarketPage,
    MarketRow,
    Outcome,
    Overview,
    QualityHour,
    RangeBand,
    ReliabilityBin,
    Series,
    Stay,
    Tone,
    Trouble,
    VersusBacktest,
)

START = datetime(2026, 3, 14, tzinfo=UTC)
KEY = "BINANCE-ETH-USDT"
HOSTILE = "</script><script>alert(1)</script>\"><img src=x onerror=alert(2)>{{7*7}}\u2028'&"
METRICS = (
    ("confidence", "Confidence", 0.0, 1.0, None),
    ("hold_probability", "Range holds 24 h", 0.0, 1.0, None),
    ("trendiness", "Trendiness T", 0.0, 1.0, None),
    ("adx", "ADX(14)", 0.0, None, 20.0),
    ("efficiency_ratio", "Efficiency ratio (24)", 0.0, 1.0, 20.0),
    ("autocorrelation", "Autocorrelation, lag 1", -0.4, 0.4, 10.0),
    ("half_life", "OU half-life, hours", 0.0, None, 25.0),
    ("slope", "Slope over ATR", None, None, 15.0),
    ("expansion", "Bandwidth expansion", 0.0, None, 10.0),
)


def candles(hours: int, start: datetime = START, seed: int = 7) -> Candles:
    rng = np.random.default_rng(seed)
    walk = 2000 + 22 * np.sin(np.arange(hours) / 7.0) + rng.normal(0, 3.0, hours).cumsum() * 0.35
    opens = np.concatenate(([walk[0]], walk[:-1]))
    wide = np.abs(rng.normal(0, 4.0, hours))
    volumes = np.abs(rng.normal(120, 40, hours))
    highs, lows = np.maximum(opens, walk) + wide, np.minimum(opens, walk) - wide
    first = int(start.timestamp())
    return Candles(3600, first + 3600 * np.arange(hours), opens, highs, lows, walk, volumes, 2)


def series(hours: int, seed: int = 3) -> tuple[Series, ...]:
    rng = np.random.default_rng(seed)
    made = []
    for place, (name, title, low, high, weight) in enumerate(METRICS):
        top = high if high is not None else 40.0 if name == "adx" else 30.0 if name == "half_life" else 2.0
        base = low if low is not None else -1.0
        wave = 0.5 + 0.3 * np.sin(np.arange(hours) / (9.0 + place)) + rng.normal(0, 0.03, hours)
        values = base + (top - base) * np.clip(wave, 0, 1)
        if name == "half_life":
            values[hours // 3 : hours // 3 + 2] = np.nan
        made.append(Series(name, title, values, low, high, weight))
    return tuple(made)


def stays(names: list[tuple[str, int]], start: datetime) -> tuple[Stay, ...]:
    made, at = [], start
    for name, hours in names:
        made.append(Stay(name, at, at + timedelta(hours=hours)))
        at += timedelta(hours=hours)
    return tuple(made)


def row(key: str = KEY, **changes: object) -> MarketRow:
    made = MarketRow(
        key=key,
        hour_closes_at=START + timedelta(hours=24),
        verdict="RANGE_OK",
        simplified="RANGE",
        hold_probability=0.83,
        confidence=0.81,
        price=2004.37,
        change_24h_pct=0.42,
        lower=1968.2,
        upper=2041.9,
        exit_state="NORMAL",
        grids=1,
        action="CONTINUE",
        decision_id="20260315T0000Z-eth-1",
        sparkline=candles(48).closes,
        stale="",
        missing_24h=0,
        tone=Tone.GOOD,
    )
    return replace(made, **changes)


def checks() -> tuple[Check, ...]:
    return (
        Check("data", True, "60 of 60 minutes", "60 minutes", None, ""),
        Check("verdict", True, "RANGE_OK", "RANGE_OK or RANGE_WEAK", None, ""),
        Check("exit_state", True, "p0 0.61", ">= 0.50", 0.11, "holds on its own bounds"),
        Check("confidence", False, "0.58", ">= 0.65", -0.07, "below the band"),
        Check("edge_after_fees", None, "", "> 0", None, "not reached"),
    )


def advice(action: str = "CONTINUE", **changes: object) -> Advice:
    at = START + timedelta(hours=24)
    made = Advice(
        id="20260315T0000Z-eth-1",
        market=KEY,
        hour_closes_at=at,
        created_at=at + timedelta(seconds=14),
        expires_at=None,
        grid_id="eth-1",
        action=action,
        reason="The range holds: survival for 24 h 0.83 on the grid's own bounds.",
        verdict="RANGE_OK",
        confidence=0.83,
        factors={"p0": 0.79, "calibrated": 0.83, "metrics": 1.0},
        checks=checks(),
        paragraphs=(
            "ETH-USDT has ranged for 41 hours between 1,968.20 and 2,041.90.",
            "Nothing has to be done. The next hour is judged at 01:00 UTC.",
        ),
        proposed=(),
        answers=(),
        outcomes=(
            Outcome("24h", None, at + timedelta(hours=24), None),
            Outcome("72h", None, at + timedelta(hours=72), None),
            Outcome("7d", None, at + timedelta(days=7), None),
        ),
        is_open=False,
        tone=Tone.GOOD,
        alternatives=(Fact("ADJUST", "the centre moved 0.3 of a spacing, one is needed"),),
    )
    return replace(made, **changes)


def stop_advice(**changes: object) -> Advice:
    at = START + timedelta(hours=24)
    return advice(
        "STOP_GRID",
        **{
            "reason": "Two closes above the grid's upper bound; 2,061.40 is 1.3 ATR outside.",
            "verdict": "TREND",
            "confidence": 0.91,
            "expires_at": at + timedelta(hours=1),
            "is_open": True,
            "tone": Tone.URGENT,
            "paragraphs": (
                "MANDATORY_EXIT: two closes lie outside the bounds.",
                "Stop the grid on the exchange by hand, then accept here.",
            ),
            **changes,
        },
    )


def create_advice(**changes: object) -> Advice:
    at = START + timedelta(hours=23)
    return advice(
        "CREATE_GRID",
        **{
            "id": "20260314T2300Z-btc-1",
            "market": "BINANCE-BTC-USDT",
            "grid_id": "btc-1",
            "hour_closes_at": at,
            "created_at": at + timedelta(seconds=11),
            "expires_at": at + timedelta(hours=1),
            "reason": "A range of 6.1 ATR that holds 24 h with 0.86; all gates passed.",
            "is_open": True,
            "tone": Tone.WATCH,
            "proposed": (
                Fact("Lowest price", "61,240.0"),
                Fact("Highest price", "64,110.0"),
                Fact("Number of grids", "12"),
                Fact("Investment", "800.00 USDT"),
                Fact("Stop-loss", "60,480.0"),
            ),
            **changes,
        },
    )


def answered_advice(number: int) -> Advice:
    at = START + timedelta(hours=3 * number)
    return advice(
        ("STOP_GRID", "CREATE_GRID", "ADJUST", "NO_SETUP")[number % 4],
        id=f"{at:%Y%m%dT%H%MZ}-eth-1",
        hour_closes_at=at,
        created_at=at + timedelta(seconds=12),
        answers=(Answered(at + timedelta(minutes=9), "operator", "accepted", "as told"),),
        outcomes=(
            Outcome("24h", "+4.20 USDT, right", at + timedelta(hours=24), Tone.GOOD),
            Outcome("72h", "-1.10 USDT, wrong", at + timedelta(hours=72), Tone.BAD),
            Outcome("7d", None, at + timedelta(days=7), None),
        ),
        tone=Tone.WATCH,
    )


def kpis() -> KpiPanel:
    return KpiPanel(
        "2026-03-14",
        (
            Kpi("slar", "Stop-loss avoidance", 0.97, 0.89, 0.99, 61, 0.95, True, "share of episodes"),
            Kpi("prr", "Profit retention", 0.41, 0.22, 0.60, 34, 0.30, None, ""),
            Kpi("ttdr", "True transition detection", 0.66, 0.51, 0.78, 44, 0.75, False, ""),
            Kpi("fer", "False exits (below is better)", 0.33, 0.20, 0.49, 36, 0.30, False, "random 0.58"),
            Kpi("ert", "Exit reaction, minutes p90", 24.0, None, None, 12, 30.0, True, "median 9"),
            Kpi("mec", "Mandatory exit compliance", None, None, None, 3, 1.0, None, "insufficient: n 3"),
        ),
        (Kpi("alerts_week", "Alerts a week", 3.2, 2.1, 4.6, 27, None, None, ""),),
        {"24h": 1, "72h": 4, "7d": 9},
    )


def calibration() -> CalibrationPanel:
    said = np.linspace(0.08, 0.94, 9)
    came = said - np.array([0.03, 0.01, -0.02, 0.02, 0.01, -0.03, 0.0, 0.01, -0.02])
    bins = tuple(
        ReliabilityBin(n / 9, (n + 1) / 9, 40 + 60 * n, float(a), float(b))
        for n, (a, b) in enumerate(zip(said, came, strict=True))
    )
    facts = (
        Fact("Brier, evidence", "0.171", Tone.GOOD, "classic 0.204, base rate 0.212"),
        Fact("Brier skill, evidence", "0.19", None, "0.14 to 0.24"),
    )
    return CalibrationPanel("2026-02", START - timedelta(days=13), bins, facts)


def quality(hours: int = 24) -> tuple[QualityHour, ...]:
    made = []
    for hour in range(hours):
        minutes = ["."] * 60
        if hour % 5 == 1:
            minutes[7] = minutes[8] = "o"
        if hour == 13:
            minutes[20:31] = ["x"] * 11
        text = "".join(minutes) if hour != 17 else ""
        missing = 60 if not text else text.count("x")
        revised = ("minute 40: close 2001.10 became 2001.12",) if hour == 14 else ()
        made.append(QualityHour(START + timedelta(hours=hour), text, missing, text.count("o"), revised))
    return tuple(made)


def live(**changes: object) -> Live:
    made = Live(
        now=START + timedelta(hours=24, minutes=12),
        status="pass",
        notes=(),
        facts=(
            Fact("Git queue", "0", Tone.GOOD),
            Fact("Unpushed commits", "2", Tone.GOOD, "oldest 4 min"),
            Fact("Exchange KuCoin", "closed breaker", Tone.GOOD),
            Fact("Loop lag p99", "6 ms", Tone.GOOD),
            Fact("Next hour", "", None, "", START + timedelta(hours=25)),
            Fact("Mode", "advise"),
            Fact("Version", "0.1.0"),
        ),
        stale={},
        may_answer=True,
    )
    return replace(made, **changes)


def grid(state: str = "NORMAL", hours: int = 24, start: datetime = START, **changes: object) -> GridPanel:
    third = hours // 3
    named = {
        "NORMAL": [("NORMAL", hours)],
        "MANDATORY_EXIT": [
            ("NORMAL", third),
            ("WARNING", third),
            ("LATEST_ACCEPTABLE_EXIT", hours - 2 * third - 2),
            ("MANDATORY_EXIT", 2),
        ],
    }[state]
    made = GridPanel(
        grid_id="eth-1",
        is_running=True,
        lower=1970.0,
        upper=2040.0,
        levels=tuple(float(each) for each in np.geomspace(1970.0, 2040.0, 8)),
        stop_loss=1948.5,
        take_profit=None,
        exit_state=state,
        triggers=() if state == "NORMAL" else ("two closes outside: 2,061.40 > 2,040.00",),
        states=stays(named, start),
        events=((start - timedelta(hours=17), "enabled, version 1, by operator"),),
        facts=(
            Fact("Kind", "normal"),
            Fact("Version", "1"),
            Fact("Capital", "800.00 USDT"),
            Fact("Spacing", "0.50 %", None, "7.5 x cost"),
            Fact("To the lower bound", "2.1 ATR"),
            Fact("To the upper bound", "1.9 ATR"),
            Fact("Profit, simulated", "+3.12 USDT"),
            Fact("Runs since", "", None, "", start - timedelta(hours=17)),
        ),
    )
    return replace(made, **changes)


def gates() -> tuple[GateState, ...]:
    return (
        GateState(
            "eth-1",
            1,
            "Directional energy decay",
            "PASSED",
            3,
            3,
            (
                Check("adx", True, "18.2", "< 25", 6.8, ""),
                Check("adx_falling", True, "18.2", "<= 19.9", 1.7, ""),
                Check("efficiency_ratio", True, "0.12", "< 0.30", 0.18, ""),
            ),
        ),
        GateState(
            "eth-1",
            2,
            "Mean reversion return",
            "FAILED",
            1,
            3,
            (
                Check("half_life", True, "14.1 h", "<= 24 h", 9.9, ""),
                Check("autocorrelation", False, "0.11", "<= 0.05", -0.06, "returns still follow each other"),
                Check("excursion", None, "", "one in 48 h", None, "not evaluated"),
            ),
        ),
        GateState("eth-1", 3, "Tradable volatility", "NOT_EVALUATED", 0, 3, ()),
    )


def quiet(hours: int = 24, start: datetime = START) -> MarketPage:
    """A quiet day with a running grid, live."""
    bars = candles(hours, start)
    verdicts = stays([("RANGE_WEAK", 5), ("RANGE_OK", hours - 5)], start)
    return MarketPage(
        key=KEY,
        start=start,
        end=start + timedelta(hours=hours),
        now=row(hour_closes_at=start + timedelta(hours=hours)),
        candles=bars,
        hours_ts=bars.opens_ts,
        verdicts=verdicts,
        regimes=stays([("NEUTRAL", 4), ("RANGE", hours - 4)], start),
        band=RangeBand(np.full(hours, 1968.2), np.full(hours, 2041.9)),
        metrics=series(hours),
        components=(
            Fact("Trend", "neutral", Tone.GOOD, "score -0.12"),
            Fact("Volatility", "normal", Tone.GOOD, "percentile 48"),
            Fact("Momentum", "neutral", Tone.GOOD, "score 0.05"),
        ),
        vetoes=(),
        grids=(grid(hours=hours, start=start),),
        gates=(),
        current=advice(),
        advice=tuple(answered_advice(number) for number in range(6, 0, -1)),
        kpis=kpis(),
        calibration=calibration(),
        quality=quality(min(hours, 24)),
        versus=VersusBacktest(
            (Fact("Paper", "+3.12 USDT"), Fact("Backtest", "+3.05 USDT"), Fact("Fills", "14 of 14")), ()
        ),
        troubles=(),
        before=f"{start - timedelta(days=1):%Y-%m-%d}",
        after=None,
        live=live(),
    )


def leaving() -> MarketPage:
    """An exit in progress: the price ran away above, advice to stop is open, another grid waits at a gate."""
    page = quiet()
    bars = page.candles
    lift = np.concatenate((np.zeros(14), np.linspace(0, 58, 10)))
    moved = replace(
        bars,
        opens=bars.opens + np.concatenate(([0.0], lift[:-1])),
        highs=bars.highs + lift,
        lows=bars.lows + np.concatenate(([0.0], lift[:-1])),
        closes=bars.closes + lift,
    )
    named = [("RANGE_OK", 9), ("RANGE_WEAK", 5), ("TRANSITION", 6), ("TREND", 4)]
    return replace(
        page,
        now=row(
            verdict="TREND",
            simplified="TREND_UP",
            hold_probability=0.05,
            confidence=0.91,
            price=2061.4,
            change_24h_pct=3.1,
            exit_state="MANDATORY_EXIT",
            action="STOP_GRID",
            tone=Tone.URGENT,
        ),
        candles=moved,
        verdicts=stays(named, START),
        grids=(
            grid("MANDATORY_EXIT"),
            grid(grid_id="eth-0", is_running=False, exit_state=None, states=(), levels=()),
        ),
        gates=gates(),
        current=stop_advice(),
        advice=(stop_advice(), *page.advice),
        vetoes=("a close more than 0.5 ATR outside the range",),
    )


def stale() -> MarketPage:
    """The exchange has been silent for three hours: advice is withheld."""
    why = "newest candle is 3 h 12 min old, at most 90 min are allowed"
    page = quiet()
    return replace(
        page,
        now=row(stale=why, tone=Tone.BAD, missing_24h=192, action="WITHHELD", verdict=None, simplified=None),
        troubles=(
            Trouble("the KPIs", "kpis/2026-03-13.yaml: damaged", "run `regimed verify`", Tone.BAD),
            Trouble("markets/ETH-USDT/2026-03-14.yaml", "hours.13.adx: expected a number, found 'NaN'", ""),
        ),
        current=advice("WITHHELD", tone=Tone.BAD, reason=why, confidence=None, paragraphs=(), checks=()),
        live=live(status="warn", notes=("KuCoin: breaker open since 21:02 UTC",), stale={KEY: why}),
    )


def bare() -> MarketPage:
    """A market that was configured and has nothing yet."""
    none = np.array([], dtype=np.float64)
    when = np.array([], dtype=np.int64)
    return MarketPage(
        key=KEY,
        start=START,
        end=START + timedelta(days=1),
        now=bare_row(),
        candles=Candles(3600, when, none, none, none, none, none, 2),
        hours_ts=when,
        verdicts=(),
        regimes=(),
        band=RangeBand(none, none),
        metrics=tuple(Series(name, title, none, low, high, w) for name, title, low, high, w in METRICS),
        components=(),
        vetoes=(),
        grids=(),
        gates=(),
        current=None,
        advice=(),
        kpis=None,
        calibration=None,
        quality=(),
        versus=None,
        troubles=(),
        before=None,
        after=None,
        live=None,
    )


def bare_row(key: str = KEY) -> MarketRow:
    return row(
        key,
        hour_closes_at=None,
        verdict=None,
        simplified=None,
        hold_probability=None,
        confidence=None,
        price=None,
        change_24h_pct=None,
        lower=None,
        upper=None,
        exit_state=None,
        grids=0,
        action=None,
        decision_id=None,
        sparkline=np.array([], dtype=np.float64),
        tone=Tone.UNKNOWN,
    )


def hostile(text: str = HOSTILE) -> MarketPage:
    """Every foreign text of the page is markup."""
    page = leaving()
    fact = Fact(text, text, Tone.WATCH, text)
    check = Check(text, False, text, text, -0.5, text)
    told = replace(
        stop_advice(),
        id=text,
        market=text,
        grid_id=text,
        reason=text,
        verdict=text,
        action=text,
        factors={text: 0.5},
        checks=(check,),
        paragraphs=(text,),
        proposed=(fact,),
        answers=(Answered(START, text, text, text),),
        outcomes=(Outcome(text, text, None, Tone.BAD),),
        alternatives=(fact,),
    )
    return replace(
        page,
        key=text,
        now=replace(page.now, key=text, verdict=text, simplified=text, exit_state=text, action=text),
        verdicts=(Stay(text, START, START + timedelta(hours=24)),),
        regimes=(Stay(text, START, START + timedelta(hours=24)),),
        metrics=tuple(replace(each, name=text, title=text) for each in page.metrics),
        components=(fact,),
        vetoes=(text,),
        grids=(
            grid(
                grid_id=text,
                exit_state=text,
                triggers=(text,),
                states=(Stay(text, START, START + timedelta(hours=24)),),
                events=((START, text),),
                facts=(fact,),
            ),
        ),
        gates=(GateState(text, 1, text, text, 1, 3, (check,)),),
        current=told,
        advice=(told,),
        kpis=KpiPanel(text, (Kpi(text, text, 0.5, 0.4, 0.6, 20, 0.5, False, text),), (), {text: 1}),
        calibration=replace(calibration(), month=text, facts=(fact,)),
        quality=(QualityHour(START, text[:60], 1, 0, (text,)),),
        versus=VersusBacktest((fact,), (text,)),
        troubles=(Trouble(text, text, text, Tone.BAD),),
        live=live(status=text, notes=(text,), facts=(fact,), stale={text: text}),
    )


def year() -> MarketPage:
    """8,760 hours of one market, judged each hour, the verdict changing every five hours or so."""
    hours, rng = 8_760, np.random.default_rng(11)
    start = datetime(2025, 3, 14, tzinfo=UTC)
    names = ("RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND")
    runs, at = [], 0
    while at < hours:
        length = min(int(rng.integers(2, 9)), hours - at)
        runs.append((names[int(rng.integers(0, 4))], length))
        at += length
    page = quiet(hours, start)
    closes = page.candles.closes
    return replace(
        page,
        verdicts=stays(runs, start),
        band=RangeBand(closes - 30.0, closes + 35.0),
        advice=tuple(answered_advice(number) for number in range(400)),
        quality=tuple(QualityHour(start + timedelta(hours=n), "." * 60, 0, 0, ()) for n in range(hours)),
        after=None,
    )


def overview(markets: int = 6) -> Overview:
    """What is urgent first; the last ones have nothing yet."""
    kinds = (
        row(
            KEY,
            verdict="TREND",
            simplified="TREND_UP",
            exit_state="MANDATORY_EXIT",
            action="STOP_GRID",
            tone=Tone.URGENT,
            hold_probability=0.05,
            price=2061.4,
            change_24h_pct=3.1,
        ),
        row(
            "BINANCE-BTC-USDT",
            exit_state=None,
            grids=0,
            action="CREATE_GRID",
            tone=Tone.WATCH,
            price=62410.5,
            lower=61240.0,
            upper=64110.0,
            change_24h_pct=-0.8,
        ),
        row(
            "KUCOIN-SOL-USDT",
            stale="newest candle is 3 h old",
            tone=Tone.BAD,
            action="WITHHELD",
            verdict=None,
            simplified=None,
            hold_probability=None,
            confidence=None,
            missing_24h=192,
        ),
        row(
            "KUCOIN-ADA-USDT",
            verdict="TRANSITION",
            simplified="CHOPPY",
            exit_state="WARNING",
            grids=2,
            price=0.4137,
            lower=0.4011,
            upper=0.4222,
            hold_probability=0.48,
            tone=Tone.WATCH,
        ),
        row(
            "KUCOIN-XRP-USDT",
            verdict="RANGE_WEAK",
            hold_probability=0.66,
            price=0.5521,
            lower=0.54,
            upper=0.566,
        ),
        bare_row("KUCOIN-DOT-USDT"),
    )
    rows = kinds[:markets] + tuple(
        replace(kinds[n % 6], key=f"KUCOIN-A{n}-USDT", sparkline=candles(48, seed=n).closes)
        for n in range(6, markets)
    )
    return Overview(
        markets=rows,
        open_advice=(stop_advice(), create_advice()) if markets else (),
        desk=(Fact("Equity", "1,004.20 USDT", Tone.GOOD), Fact("Open orders", "12")) if markets else (),
        kpis=kpis() if markets else None,
        troubles=(),
        live=live(),
    )
