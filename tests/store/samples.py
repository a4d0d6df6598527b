"""Hours, clocks and stores that the store's tests share."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from decisions.evaluate import Evaluation
from decisions.inputs import HourInputs
from grid.geometry import Spacing
from grid.parameters import GridParameters
from grid.record import GridRecord, GridVersion
from market.candles import Candle
from market.hours import Hour, Timeframe
from market.snapshot import MarketSnapshot, build_snapshot
from regime.analysis import Components, Confidence, MetricReading, PriceRange, RegimeAnalysis, Verdict
from store.decision_files import decision_file, decision_path, encode
from store.grids import encode_grid
from store.settings import StoreSettings
from store.store import Store

KEY = "ETH-USDT"
FIRST = Hour.parse("2026-02-02T00")
TIMEFRAMES = {Timeframe.M5: 2, Timeframe.M15: 5, Timeframe.H1: 20, Timeframe.H4: 40}
CONFIG = "sha256:" + "ab" * 32


@dataclass
class HandClock:
    """A clock that stands until it is set; `monotonic` moves a little each time it is asked."""

    instant: datetime = FIRST.closes_at
    ticks: float = 0.0
    rate: float = 0.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        self.ticks += 0.001
        return self.ticks


def minutes_of(hour: Hour, seed: int = 0, first: int = -2, last: int = 62) -> list[Candle]:
    """Return plausible minute candles around an hour; each depends on the seed and its time."""
    candles = []
    for minute in range(first, last):
        ts = hour.open_ts + 60 * minute
        dice = random.Random(ts * 1000 + seed)
        open_, close = dice.randrange(190_000, 210_000), dice.randrange(190_000, 210_000)
        high, low = max(open_, close) + dice.randrange(500), min(open_, close) - dice.randrange(500)
        volume = Decimal(dice.randrange(1, 10**6)).scaleb(-4)
        candles.append(Candle(ts, *(Decimal(p).scaleb(-2) for p in (open_, high, low, close)), volume))
    return candles


def hour_snapshot(
    hour: Hour,
    *,
    key: str = KEY,
    seed: int = 0,
    missing: tuple[int, ...] = (),
    no_trade: tuple[int, ...] = (),
    late: timedelta = timedelta(seconds=5),
    source: str = "live",
) -> MarketSnapshot:
    """Return one hour's snapshot, collected `late` after its close."""
    left_out = {hour.open_ts + 60 * minute for minute in (*missing, *no_trade)}
    candles = [candle for candle in minutes_of(hour, seed) if candle.ts not in left_out]
    return build_snapshot(
        key=key,
        exchange="sandbox",
        symbol=key,
        hour=hour,
        collected_at=hour.closes_at + late,
        source=source,
        candles=candles,
        unfetched=missing,
    )


def coarse_of(hour: Hour, hours: int, timeframe: Timeframe, seed: int = 0) -> list[Candle]:
    """Return coarse candles over `hours` from `hour`, each made of the same minutes as `minutes_of`."""
    made = []
    step = timeframe.seconds // 60
    for start in range(0, 60 * hours, step):
        parts = minutes_of(hour, seed, start, start + step)
        made.append(
            Candle(
                parts[0].ts,
                parts[0].open,
                max(p.high for p in parts),
                min(p.low for p in parts),
                parts[-1].close,
                sum((p.volume for p in parts), Decimal(0)),
            )
        )
    return made


def analysis() -> RegimeAnalysis:
    """Return an analysis with something in each field."""
    return RegimeAnalysis(
        verdict=Verdict.RANGE_OK,
        score_model="evidence",
        hold_probability=0.81,
        barrier_probability=0.79,
        trendiness=0.2,
        trendiness_4h=None,
        verdict_4h=Verdict.TRANSITION,
        p_transition=0.1,
        evidence_verdict=Verdict.RANGE_OK,
        classic_verdict=Verdict.TREND,
        metrics={
            "adx": MetricReading(17.5, None, 0.1, 5, -0.01, "FALLING"),
            "half_life": MetricReading(None, "no mean reversion: 1e5", None, 0, None, None),
        },
        vetoes=("yes", "dwell: 3"),
        distances={"RANGE_WEAK": 0.06, "TINY": 1e-08},
        range=PriceRange(1900.25, 2100.5, 2000.375, 10.0, 7.6, 3, 4, 12, 0.93, 120, valid=True),
        price=2001.11,
        atr=25.123456,
        hourly_sigma=0.0045,
        flips_168=3,
        dwell_h=7,
        confidence=Confidence(0.81, {"p": 0.81, "data": 1.0}),
        diagnostics={"atr_pct": 1.2, "z48": None},
        early_warning={"5m": {"er": 0.3}, "15m": {"er": None}},
        components=Components("neutral", "low", "weak", "NEUTRAL_LOWVOL_WEAK", "RANGE", 0.412345),
    )


def judged(inputs: HourInputs) -> Evaluation:
    """Return a judgement that depends on its inputs alone."""
    quality = inputs.window.quality
    if not inputs.has_bar or quality.missing > 3:
        return Evaluation(
            inputs, CONFIG, 1, "insufficient", f"{quality.missing} of 60 minutes: missing", None
        )
    return Evaluation(inputs, CONFIG, 1, "analysed", None, analysis())


def settings(base: Path, remote: Path | str | None = None, **more) -> StoreSettings:
    return StoreSettings(base_path=base / "data", remote=None if remote is None else str(remote), **more)


async def opened(base: Path, clock: HandClock, remote: Path | str | None = None, **more) -> Store:
    """Open (or create) the store under `base`."""
    return await Store.open(
        settings(base, remote, **more), clock, max_missing_minutes=3, timeframes=TIMEFRAMES, create=True
    )


async def run_hour(store: Store, clock: HandClock, hour: Hour, key: str = KEY, **sample) -> Evaluation:
    """Take one hour through the store as the cycle does."""
    snapshot = hour_snapshot(hour, key=key, **sample)
    await store.write_snapshot(snapshot)
    clock.instant = max(clock.instant, snapshot.collected_at + timedelta(seconds=1))
    evaluation = judged(await store.hour_inputs(key, hour, clock.now()))
    await store.commit(evaluation)
    return evaluation


def git(folder: Path, *args: str) -> str:
    """Run Git as an operator would."""
    identity = ["-c", "user.name=operator", "-c", "user.email=o@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Told:
    """An observer that remembers."""

    commits: list[int] = field(default_factory=list)
    quarantine: list[str] = field(default_factory=list)
    pushes: list[int] = field(default_factory=list)

    def committed(self, commits: int, seconds: float) -> None:
        self.commits.append(commits)

    def quarantined(self, path: str, reason: str) -> None:
        self.quarantine.append(path)

    def pushed(self, commits: int, seconds: float) -> None:
        self.pushes.append(commits)


NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)


def grid_file(grid_id: str = "eth-1", lower: tuple[int, ...] = (1800,), market: str = KEY) -> bytes:
    """Return a grid's file with a version for each lower bound given, an hour apart."""
    versions = tuple(
        GridVersion.of(
            GridParameters(
                version=number,
                lower=Decimal(bound),
                upper=Decimal(2200),
                levels=8,
                spacing=Spacing.GEOMETRIC,
                amount_per_grid=Decimal(50),
            ),
            FIRST.plus(number).opens_at,
        )
        for number, bound in enumerate(lower, start=1)
    )
    return encode_grid(GridRecord(grid_id=grid_id, market=market, versions=versions))


def decision_files(evaluation: Evaluation) -> dict[str, bytes]:
    """Return the records of an hour's recommendations, path to bytes."""
    return {
        decision_path(advice.id): encode(decision_file(evaluation, advice)) for advice in evaluation.advice
    }
