"""Prometheus metrics of the paper desk, `regimed_desk_*`: events counted as they happen, its state read."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.board import DeskCondition
from daemon.desk_tally import DAY_H
from daemon.settings import HealthSettings
from store.desk_files import DeskFile
from trading.report import DeskReport

_HOUR_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class DeskMetrics:
    """What the desk feeds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.hour_s = Histogram(
            "regimed_desk_hour_seconds",
            "One hour of the paper desk, read, run and recorded.",
            buckets=_HOUR_S,
            registry=registry,
        )
        self._trades = Counter(
            "regimed_desk_trades",
            "Trades of the paper desk that ended.",
            ["signal", "outcome"],
            registry=registry,
        )
        self._refusals = Counter(
            "regimed_desk_refusals",
            "What the paper desk did not do, by reason; a market left out counts each hour.",
            ["reason"],
            registry=registry,
        )
        self._absent = Counter(
            "regimed_desk_absent_hours", "Hours of the desk without a market.", ["market"], registry=registry
        )

    def watch(self, condition: DeskCondition, limits: HealthSettings) -> None:
        """Read the desk's state at each scrape; where there is no desk, nothing is told of one."""
        self._registry.register(_DeskState(condition, limits))

    def count(self, file: DeskFile, report: DeskReport, seconds: float) -> None:
        """Count an hour that is done."""
        self.hour_s.observe(seconds)
        for key in file.absent:
            self._absent.labels(key).inc()
        refused = [
            *(note.refusal for note in report.triggers),
            *(market.refusal for market in report.markets.values()),
        ]
        for refusal in refused:
            if refusal is not None:
                self._refusals.labels(refusal.reason.value).inc()
        for trade in report.trades:
            self._trades.labels(trade.signal, "won" if trade.won else "lost").inc()


class _DeskState(Collector):
    def __init__(self, condition: DeskCondition, limits: HealthSettings) -> None:
        self._condition, self._limits = condition, limits

    def collect(self) -> Iterable[Metric]:
        desk = self._condition
        nav = GaugeMetricFamily("regimed_desk_nav", "Net asset value of the paper account, quote.", labels=[])
        peak = GaugeMetricFamily("regimed_desk_peak_nav", "The highest of any hour's close.", labels=[])
        newest = GaugeMetricFamily(
            "regimed_desk_newest_hour_timestamp_seconds", "Close of the newest hour that is done.", labels=[]
        )
        for family, value in ((nav, desk.nav), (peak, desk.peak_nav)):
            if value is not None:
                family.add_metric([], float(value))
        if desk.newest is not None:
            newest.add_metric([], desk.newest.close_ts)
        yield from (nav, peak, newest)
        yield GaugeMetricFamily("regimed_desk_open_trades", "Trades.", value=len(desk.open_trades))
        yield GaugeMetricFamily(
            "regimed_desk_breakers_tripped", "No new trade while above 0.", value=len(desk.stopped_by)
        )
        yield GaugeMetricFamily(
            "regimed_desk_in_trouble", "1 while an hour cannot be run.", value=desk.trouble is not None
        )
        yield from self._pace()

    def _pace(self) -> Iterable[Metric]:
        """Yield what its last hours amounted to; a figure of too short a time is left out."""
        tally, limits = self._condition.tally, self._limits
        signals = GaugeMetricFamily(
            "regimed_desk_recent_signals", "Signals in the last health.desk_quiet_h hours.", labels=[]
        )
        begun = GaugeMetricFamily("regimed_desk_recent_trades", "Trades begun in the same hours.", labels=[])
        won = GaugeMetricFamily(
            "regimed_desk_recent_win_ratio", "Of the last health.desk_win_rate_trades trades.", labels=[]
        )
        hours, triggers, trades = tally.since(limits.desk_quiet_h)
        if hours >= limits.desk_quiet_h:
            signals.add_metric([], triggers)
            begun.add_metric([], trades)
        rate = tally.win_rate(limits.desk_win_rate_trades)
        if rate is not None:
            won.add_metric([], rate)
        yield from (signals, begun, won)
        yield GaugeMetricFamily(
            "regimed_desk_day_trades", "Trades begun in the last 24 hours.", value=tally.since(DAY_H)[2]
        )
