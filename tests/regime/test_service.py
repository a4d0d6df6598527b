"""The analysis service: the same answers on every way of asking, and no hour lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest

from market.candles import Bars, aggregate
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, hours_between
from market.window import MarketWindow
from regime.analysis import RegimeAnalysis, Verdict
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.service import (
    BadHour,
    HourAnalysis,
    RangeSummary,
    RegimeAnalysisService,
    engine_judge,
)
from tests.regime.windows import recorded_bars, walk_bars, window_of

EVERY_SERIES = "REGIMED_EVERY_SERIES" in os.environ  # `make campaign`; minutes for each series

CONFIG, CLASSIC = RegimeConfig(), RegimeConfig(score_model="classic")
KEY = "ETH-USDT"
SERIES = walk_bars(1500, 11, sigma=0.006, pull=0.01)
LAST = Hour.of_ts(int(SERIES.ts[-1]))
RECORDED = (
    *(("KUCOIN_ETH-USDT", 100), ("KUCOIN_BTC-USDT", 100), ("KUCOIN_SOL-USDT", 1000)),
    *(("KUCOIN_ADA-USDT", 10_000), ("BINANCE_ETH-USDT", 100), ("BINANCE_BTC-USDT", 100)),
    ("BINANCE_SOL-USDT", 100),
)
DAY_S = 86_400


class BarsSource:
    """Windows of bars in memory, and which hours were asked for, and how far reading was ahead."""

    def __init__(self, hours: Bars, four_hours: Bars | None = None, price_scale: int = 100) -> None:
        self._hours, self._price_scale = hours, price_scale
        self._four_hours = aggregate(hours, Timeframe.H4) if four_hours is None else four_hours
        self.read: list[Hour] = []

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterator[MarketWindow | BadHour]:
        for hour in hours:
            self.read.append(hour)
            yield window_of(
                self._hours.between(hour.close_ts - 270 * DAY_S, hour.close_ts),
                hour,
                four_hours=self._four_hours.between(hour.close_ts - 540 * DAY_S, hour.close_ts),
                key=key,
                price_scale=self._price_scale,
            )

    def newest(self, key: str) -> Hour:
        return Hour.of_ts(int(self._hours.ts[-1]))


def service_of(source, config: RegimeConfig = CONFIG, **more) -> RegimeAnalysisService:
    return RegimeAnalysisService(source, engine_judge(RegimeEngine(config)), **more)


def one_by_one(source, start: Hour, end: Hour, config: RegimeConfig = CONFIG) -> list[HourAnalysis | BadHour]:
    """Return single analyses, oldest first, by an engine that never sees what comes after an hour."""
    alone = service_of(source, config)
    return [alone.analyze_hour(KEY, hour) for hour in hours_between(start, end)]


@cache
def of_series(first: Hour, end: Hour, config: RegimeConfig = CONFIG) -> list[HourAnalysis | BadHour]:
    """Return single analyses of SERIES."""
    return one_by_one(BarsSource(SERIES), first, end, config)


@pytest.mark.parametrize("config", [CONFIG, CLASSIC], ids=["evidence", "classic"])
@pytest.mark.parametrize("batch", [1, 7, 200])
def test_property_78_a_range_is_the_fold_of_its_single_hours(config: RegimeConfig, batch: int):
    """Whatever the batches; hours without enough history included."""
    start, end = LAST.plus(-60), LAST.plus(1)
    asked = service_of(BarsSource(SERIES), config, batch_hours=batch)
    assert list(asked.analyze_range(KEY, start, end)) == of_series(start, end, config)
    early = Hour.of_ts(int(SERIES.ts[990]))
    found = list(asked.analyze_range(KEY, early, early.plus(20)))
    assert found == of_series(early, early.plus(20), config)
    assert {each.outcome for each in found} == {"insufficient", "analysed"}


def test_property_78_what_was_asked_before_changes_no_answer():
    """No look-ahead: later hours first, then the same range from bars that end with it."""
    start, end = LAST.plus(-200), LAST.plus(-150)
    asked = service_of(BarsSource(SERIES))
    list(asked.analyze_range(KEY, LAST.plus(-30), LAST.plus(1)))
    ended = SERIES.between(0, end.open_ts)
    assert list(asked.analyze_range(KEY, start, end)) == one_by_one(BarsSource(ended), start, end)
    newest = service_of(BarsSource(ended)).analyze_current(KEY)
    assert newest == asked.analyze_hour(KEY, end.plus(-1))


def recorded_source(folder: Path, name: str, scale: int) -> BarsSource:
    return BarsSource(
        recorded_bars(folder, name, Timeframe.H1, scale),
        recorded_bars(folder, name, Timeframe.H4, scale),
        scale,
    )


@pytest.mark.parametrize(("name", "scale"), RECORDED)
def test_around_a_new_anchor_a_recorded_range_is_the_fold_of_its_hours(
    recorded_data: Path, name: str, scale: int
):
    """Two days about the turn of a month on every recorded series."""
    source = recorded_source(recorded_data, name, scale)
    start, end = Hour.parse("2025-03-31T00"), Hour.parse("2025-04-02T00")
    found = list(service_of(source).analyze_range(KEY, start, end))
    assert found == one_by_one(source, start, end)
    assert {each.outcome for each in found} == {"analysed"}


@pytest.mark.check
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "scale"), RECORDED if EVERY_SERIES else RECORDED[:1])
def test_every_recorded_range_is_the_fold_of_its_hours(recorded_data: Path, name: str, scale: int):
    """In batches and one by one: nothing looks ahead.

    Every hour of every recorded series in `make campaign`, otherwise the first five months of one: hours
    without enough history, the first ones with it and the turns of their months.
    """
    source = recorded_source(recorded_data, name, scale)
    bars = recorded_bars(recorded_data, name, Timeframe.H1, scale)
    start, end = Hour.of_ts(int(bars.ts[0])), source.newest(KEY).plus(1)
    if not EVERY_SERIES:
        end = start.plus(150 * 24)
    alone = service_of(source)
    whole = service_of(source).analyze_range(KEY, start, end)
    for hour, found in zip(hours_between(start, end), whole, strict=True):
        assert alone.analyze_hour(KEY, hour) == found
    counted = whole.summary
    assert counted.hours == end.index - start.index
    assert counted.analysed > 0.5 * counted.hours
    assert counted.hours == counted.analysed + counted.insufficient


class Faulty(BarsSource):
    """Answers some hours with what `faults` says, as many times as it says; then as it should."""

    def __init__(self, faults: dict[Hour, Callable[[], MarketWindow | BadHour | None]], times: int) -> None:
        super().__init__(SERIES)
        self._faults, self._left = faults, dict.fromkeys(faults, times)

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterator[MarketWindow | BadHour]:
        for hour, window in zip(hours, super().windows(key, hours), strict=True):
            if self._left.get(hour, 0):
                self._left[hour] -= 1
                if (answer := self._faults[hour]()) is not None:
                    yield answer
            else:
                yield window


def neighbour() -> MarketWindow:
    return window_of(SERIES, LAST.plus(-31))


def broken() -> None:
    raise DataInvalid("snapshots/x.json", "digest", "does not agree")


FAULTS = {
    "told": (lambda: BadHour(KEY, LAST.plus(-30), "torn file"), "torn file"),
    "raised": (broken, "snapshots/x.json: digest: does not agree"),
    "swapped": (neighbour, f"the source answered with {LAST.plus(-31)} instead"),
    "skipped": (lambda: None, f"the source answered with {LAST.plus(-29)} instead"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("batch", [1, 5, 24])
def test_a_bad_hour_is_read_once_more(fault: str, batch: int):
    """The second reading counts, and no other hour is touched."""
    start, end, bad = LAST.plus(-40), LAST.plus(-20), LAST.plus(-30)
    source = Faulty({bad: FAULTS[fault][0]}, times=1)
    found = list(service_of(source, batch_hours=batch).analyze_range(KEY, start, end))
    assert found == of_series(start, end)
    assert source.read.count(bad) == 2


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("batch", [1, 5, 24])
def test_an_hour_that_stays_bad_is_reported_with_its_reason(fault: str, batch: int):
    """In its own place, never as a neighbour's answer, and the others are what they were."""
    start, end, bad = LAST.plus(-40), LAST.plus(-20), LAST.plus(-30)
    answer, reason = FAULTS[fault]
    source = Faulty({bad: answer}, times=9)
    judged = service_of(source, batch_hours=batch).analyze_range(KEY, start, end)
    expected = of_series(start, end)
    if fault == "skipped" and batch == 1:
        reason = "the source has nothing for this hour"
    found = list(judged)
    assert found[10] in (
        BadHour(KEY, bad, reason),
        BadHour(KEY, bad, "the source has nothing for this hour"),  # asked for this hour alone
    )
    assert found[:10] + found[11:] == expected[:10] + expected[11:]
    assert source.read.count(bad) == 2
    assert judged.summary.bad == (found[10],)
    assert judged.summary.hours == 20


def test_an_hour_that_the_judge_refuses_is_bad_too():
    """A record that names an unusable configuration stops no other hour; a fault of the program does."""

    def judge(window: MarketWindow) -> HourAnalysis:
        if window.hour == LAST:
            raise DataInvalid("configs/ab.yaml", "regime", "unknown key")
        return HourAnalysis(KEY, window.hour, "no_data", "nothing", None)

    judged = RegimeAnalysisService(BarsSource(SERIES), judge)
    assert judged.analyze_current(KEY) == BadHour(KEY, LAST, "configs/ab.yaml: regime: unknown key")
    assert judged.analyze_hour(KEY, LAST.plus(-1)) == judge(window_of(SERIES, LAST.plus(-1)))

    def fails(window: MarketWindow) -> HourAnalysis:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        RegimeAnalysisService(BarsSource(SERIES), fails).analyze_current(KEY)


def test_windows_are_read_a_batch_at_a_time_and_progress_is_told():
    """Reading is never further ahead of the judgements than one batch."""
    source, told = BarsSource(SERIES), []
    judged = service_of(source, batch_hours=6).analyze_range(
        KEY, LAST.plus(-19), LAST.plus(1), lambda *each: told.append(each)
    )
    assert source.read == []
    for done, _ in enumerate(judged, 1):
        assert len(source.read) - done < 6
        assert judged.summary.hours == done
    assert told == [(done, 20) for done in range(1, 21)]
    assert source.read == hours_between(LAST.plus(-19), LAST.plus(1))
    assert [each.hour for each in judged] == source.read[:20]
    assert judged.summary.hours == 20


@dataclass
class Script:
    """Judgements written down beforehand, one letter an hour; windows are the hours themselves."""

    letters: str
    first: Hour = LAST
    found: RegimeAnalysis = field(
        default_factory=lambda: service_of(BarsSource(SERIES)).analyze_current(KEY).analysis
    )

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterator[MarketWindow | BadHour]:
        for hour in hours:
            if self.letters[hour.index - self.first.index] == "!":
                yield BadHour(key, hour, "torn")
            else:
                yield window_of(SERIES, hour)

    def newest(self, key: str) -> Hour:
        return self.first.plus(len(self.letters) - 1)

    def judge(self, window: MarketWindow) -> HourAnalysis:
        letter = self.letters[window.hour.index - self.first.index]
        if letter in "-?":
            outcome = "no_data" if letter == "-" else "insufficient"
            return HourAnalysis(window.key, window.hour, outcome, "why", None)
        verdict = {
            "O": Verdict.RANGE_OK,
            "W": Verdict.RANGE_WEAK,
            "N": Verdict.TRANSITION,
            "T": Verdict.TREND,
        }[letter]
        told = replace(self.found, verdict=verdict, hold_probability=0.8 if letter == "O" else 0.3)
        return HourAnalysis(window.key, window.hour, "analysed", None, told)

    def summary(self) -> RangeSummary:
        judged = RegimeAnalysisService(self, self.judge, batch_hours=3).analyze_range(
            KEY, self.first, self.first.plus(len(self.letters))
        )
        assert [each.hour for each in judged] == hours_between(self.first, self.first.plus(len(self.letters)))
        return judged.summary


def test_the_summary_counts_what_was_found():
    """By hand: the first and the last verdict have no dwell, an hour without one interrupts nothing."""
    found = Script("OOWW?WNTT-!T").summary()
    assert (found.hours, found.analysed, found.insufficient, found.no_data) == (12, 9, 1, 1)
    assert found.bad == (BadHour(KEY, LAST.plus(10), "torn"),)
    assert found.by_verdict == {
        Verdict.RANGE_OK: 2,
        Verdict.RANGE_WEAK: 3,
        Verdict.TRANSITION: 1,
        Verdict.TREND: 3,
    }
    assert found.flips == 3
    assert found.dwell_median_h == 2.5  # W for 4 hours, N for 1
    assert found.mean_hold_probability == pytest.approx((2 * 0.8 + 7 * 0.3) / 9, abs=1e-6)


def test_a_summary_of_nothing_says_so():
    """No hour, no verdict, one verdict: no dwell and no mean is made up."""
    nothing = Script("").summary()
    assert (nothing.hours, nothing.dwell_median_h, nothing.mean_hold_probability) == (0, None, None)
    assert Script("--").summary().mean_hold_probability is None
    steady = Script("OOO").summary()
    assert (steady.flips, steady.dwell_median_h, steady.mean_hold_probability) == (0, None, 0.8)


def test_several_markets_at_a_time_give_what_each_gives_alone():
    """Through the threads that the roof hands in, hours of each market in order."""
    start, end = LAST.plus(-29), LAST.plus(1)
    keys = ["A-USDT", "B-USDT", "C-USDT", "D-USDT"]
    taken: dict[str, list[HourAnalysis | BadHour]] = {key: [] for key in keys}
    with ThreadPoolExecutor(2) as pool:
        many = service_of(BarsSource(SERIES), run=pool.map)
        summaries = many.analyze_markets(keys, start, end, lambda key, found: taken[key].append(found))
    for key in keys:
        alone = service_of(BarsSource(SERIES)).analyze_range(key, start, end)
        assert taken[key] == list(alone)
        assert summaries[key] == alone.summary
    assert service_of(BarsSource(SERIES)).analyze_markets(keys, start, end, lambda *_: None) == summaries
