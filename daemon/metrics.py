"""Prometheus metrics, `regimed_*`, base units. Events are counted as they happen, states read at scrape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.board import Board
from daemon.desk_metrics import DeskMetrics
from daemon.progress import Progress
from exits.states import ExitState
from market.ports import Clock
from notifications.outbox import Outbox
from notifications.pushover import PushoverChannel
from regime.analysis import ENGINE_VERSION, Verdict
from store.store import Store

_STAGE_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters and histograms that the daemon feeds, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="regimed", registry=self.registry)  # memory, descriptors, start
        self.cycle_s = Histogram(
            "regimed_cycle_seconds",
            "One hour of one market, end to end.",
            ["market"],
            buckets=_STAGE_S,
            registry=self.registry,
        )
        self.stage_s = Histogram(
            "regimed_stage_seconds", "Stages of a cycle.", ["stage"], buckets=_STAGE_S, registry=self.registry
        )
        self.cycles = Counter(
            "regimed_cycles", "Cycles by outcome.", ["market", "outcome"], registry=self.registry
        )
        self.errors = Counter(
            "regimed_cycle_errors",
            "Cycles that ended in an error.",
            ["market", "kind"],
            registry=self.registry,
        )
        self.shadow_hours = Counter(
            "regimed_shadow_hours",
            "Hours of the shadow configuration by outcome; failed is its own affair.",
            ["market", "outcome"],
            registry=self.registry,
        )
        self.requests = Counter(
            "regimed_exchange_requests",
            "Requests.",
            ["exchange", "endpoint", "status"],
            registry=self.registry,
        )
        self.request_s = Histogram(
            "regimed_exchange_request_seconds",
            "Request time.",
            ["exchange", "endpoint"],
            buckets=_STAGE_S,
            registry=self.registry,
        )
        self.notices_held = Counter(
            "regimed_notices_held",
            "Notices about an exit state held back: one like it was told just before.",
            ["market", "state"],
            registry=self.registry,
        )
        self.push_failures = Counter(
            "regimed_git_push_failures", "Pushes that failed.", registry=self.registry
        )
        self.index_failures = Counter(
            "regimed_index_failures", "Passes that the index did not answer.", registry=self.registry
        )
        self.index_rows_written = Counter(
            "regimed_index_rows_written", "Regime rows written to the index.", registry=self.registry
        )
        self.revised = Counter(
            "regimed_candles_revised_hours",
            "Hours that the exchange changed later.",
            ["market"],
            registry=self.registry,
        )
        self.scheduler_events = Counter(
            "regimed_scheduler_events", "Rings missed or doubled.", ["event"], registry=self.registry
        )
        self.api_s = Histogram(
            "regimed_api_seconds",
            "Requests of the API.",
            ["route", "status"],
            buckets=_STAGE_S,
            registry=self.registry,
        )
        self.page_s = Histogram(
            "regimed_page_seconds",
            "Requests of the dashboard.",
            ["route", "status"],
            buckets=_STAGE_S,
            registry=self.registry,
        )
        self.api_rows = Counter(
            "regimed_api_rows",
            "Regime rows answered anew: stored ones, computed ones.",
            ["source"],
            registry=self.registry,
        )
        self.loop_lag_s = Histogram(
            "regimed_loop_lag_seconds",
            "How late the event loop came back.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=self.registry,
        )
        self.worker_restarts = Counter(
            "regimed_worker_restarts", "Workers that died and came back.", ["worker"], registry=self.registry
        )
        self.desk = DeskMetrics(self.registry)
        self.build = Info("regimed_build", "Version of program and engine.", registry=self.registry)
        self.build.info({"version": version("regimed"), "engine_version": str(ENGINE_VERSION)})
        self.config = Gauge(
            "regimed_config_info",
            "Hash of the configuration in force.",
            ["config_hash"],
            registry=self.registry,
        )
        self.shadow_config = Gauge(
            "regimed_shadow_config_info",
            "Hash of the shadow configuration, where there is one.",
            ["config_hash"],
            registry=self.registry,
        )

    def watch(self, board: Board, store: Store, progress: Progress, outbox: Outbox, clock: Clock) -> None:
        """Read the states of the daemon's parts at each scrape."""
        self.registry.register(_States(board, store, progress, outbox, clock))

    def watch_quotas(self, channels: Sequence[PushoverChannel]) -> None:
        """Read at each scrape what the channels have left of the month's messages."""
        self.registry.register(_Quotas(channels))


class _Quotas(Collector):
    """What the service last told of the account's messages; nothing before its first answer."""

    def __init__(self, channels: Sequence[PushoverChannel]) -> None:
        self._channels = channels

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        remaining = GaugeMetricFamily(
            "regimed_pushover_messages_remaining", "Left of the month's quota.", labels=["channel"]
        )
        limit = GaugeMetricFamily("regimed_pushover_messages_limit", "The month's quota.", labels=["channel"])
        reset = GaugeMetricFamily(
            "regimed_pushover_reset_timestamp_seconds", "When the quota begins anew.", labels=["channel"]
        )
        for channel in self._channels:
            if channel.quota is not None:
                remaining.add_metric([channel.name], channel.quota.remaining)
                limit.add_metric([channel.name], channel.quota.limit)
                reset.add_metric([channel.name], channel.quota.reset_at.timestamp())
        yield from (remaining, limit, reset)


class _States(Collector):
    """Gauges that are read, not fed: what is shown is what is."""

    def __init__(self, board: Board, store: Store, progress: Progress, outbox: Outbox, clock: Clock) -> None:
        self._board, self._store, self._progress = board, store, progress
        self._outbox, self._clock = outbox, clock

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield from self._markets()
        yield from self._grids()
        yield from self._exchanges()
        yield from self._git()
        yield from self._alerts()
        yield from self._index()
        still = GaugeMetricFamily(
            "regimed_stage_still_seconds", "Without progress for so long.", labels=["stage"]
        )
        for name, seconds in self._progress.still_s().items():
            still.add_metric([name], seconds)
        yield still
        outcomes = CounterMetricFamily(
            "regimed_notifications", "Notices by channel and outcome.", labels=["channel", "outcome"]
        )
        for (channel, outcome), count in self._outbox.outcomes.items():
            outcomes.add_metric([channel, outcome], count)
        yield outcomes
        yield from self._channels()
        yield GaugeMetricFamily(
            "regimed_outbox_notices", "Notices not yet taken.", value=self._outbox.waiting
        )
        yield GaugeMetricFamily(
            "regimed_ready", "1 when state is loaded and the lock held.", value=self._board.ready
        )

    def _channels(self) -> Iterable[Metric]:
        now = self._clock.now()
        failing = GaugeMetricFamily(
            "regimed_channel_failing_seconds", "Since the first failure in a row.", labels=["channel"]
        )
        waiting = GaugeMetricFamily(
            "regimed_channel_notices", "Notices that a channel has not taken.", labels=["channel"]
        )
        for name, channel in self._outbox.channels.items():
            since = channel.failing_since
            failing.add_metric([name], 0.0 if since is None else (now - since).total_seconds())
            waiting.add_metric([name], self._outbox.waiting_for(name))
        yield from (failing, waiting)

    def _markets(self) -> Iterable[Metric]:
        now = self._clock.now()
        regime = GaugeMetricFamily(
            "regimed_regime", "1 for the verdict in force.", labels=["market", "verdict"]
        )
        holds = GaugeMetricFamily(
            "regimed_hold_probability", "p that the range holds 24 h.", labels=["market"]
        )
        distance = GaugeMetricFamily(
            "regimed_range_distance_ratio", "Price in its range: 0 lower bound, 1 upper.", labels=["market"]
        )
        newest = GaugeMetricFamily(
            "regimed_newest_hour_age_seconds", "Since the close of the newest judged hour.", labels=["market"]
        )
        candle = GaugeMetricFamily(
            "regimed_newest_candle_age_seconds", "Since the newest minute.", labels=["market"]
        )
        owed = GaugeMetricFamily("regimed_owed_hours", "Hours due and not yet judged.", labels=["market"])
        for key, market in self._board.markets.items():
            facts = market.facts
            for verdict in Verdict:
                regime.add_metric([key, verdict.value], bool(facts and facts.verdict == verdict.value))
            if facts and facts.hold_probability is not None:
                holds.add_metric([key], facts.hold_probability)
            if facts and facts.price is not None and facts.lower is not None and facts.upper is not None:
                width = facts.upper - facts.lower
                if width > 0:
                    distance.add_metric([key], (facts.price - facts.lower) / width)
            if market.newest is not None:
                newest.add_metric([key], (now - market.newest.closes_at).total_seconds())
            if market.newest_candle_at is not None:
                candle.add_metric([key], (now - market.newest_candle_at).total_seconds())
            owed.add_metric([key], market.owed)
        yield from (regime, holds, distance, newest, candle, owed)

    def _grids(self) -> Iterable[Metric]:
        of_grid = ["market", "grid"]
        state = GaugeMetricFamily(
            "regimed_exit_state", "1 for the exit state of a running grid.", labels=[*of_grid, "state"]
        )
        holds = GaugeMetricFamily(
            "regimed_grid_hold_probability", "That a grid's own bounds hold 24 h.", labels=of_grid
        )
        profit = GaugeMetricFamily("regimed_grid_net_profit", "Simulated, quote coin.", labels=of_grid)
        stop = GaugeMetricFamily("regimed_grid_stop_distance_atr", "Price above the stop.", labels=of_grid)
        risk = GaugeMetricFamily("regimed_grid_capital_at_risk", "Lost at the stop, quote.", labels=of_grid)
        gates = GaugeMetricFamily("regimed_gate_passed", "1 once passed.", labels=[*of_grid, "gate"])
        room = GaugeMetricFamily(
            "regimed_gate_distance_ratio",
            "Distance of a gate's condition from its threshold, positive where it holds.",
            labels=[*of_grid, "gate", "condition"],
        )
        running = 0
        for key, market in self._board.markets.items():
            found = market.grids
            for grid_id, entry in ({} if found is None else found.exits).items():
                running += 1
                for each in ExitState:
                    state.add_metric([key, grid_id, each.value], entry["state"] == each.value)
                for family, value in (
                    (holds, entry["hold"]),
                    (profit, (entry["position"] or {}).get("figures", {}).get("net_profit")),
                    (stop, (entry["risk"] or {}).get("stop_distance_atr")),
                    (risk, (entry["risk"] or {}).get("capital_at_risk")),
                ):
                    if value is not None:
                        family.add_metric([key, grid_id], value)
            for grid_id, entry in ({} if found is None else found.gates).items():
                for gate in entry["gates"]:
                    gates.add_metric([key, grid_id, gate["name"]], gate["status"] == "PASSED")
                    for condition in gate["details"]:
                        if condition["distance"] is not None:
                            place = [key, grid_id, gate["name"], condition["name"]]
                            room.add_metric(place, condition["distance"])
        yield GaugeMetricFamily("regimed_running_grids", "Grids that run.", value=running)
        yield from (state, holds, profit, stop, risk, gates, room)

    def _exchanges(self) -> Iterable[Metric]:
        breaker = GaugeMetricFamily(
            "regimed_breaker_open", "1 while the breaker is open.", labels=["exchange"]
        )
        ahead = GaugeMetricFamily(
            "regimed_clock_ahead_seconds", "Our clock minus theirs.", labels=["exchange"]
        )
        for name, exchange in self._board.exchanges.items():
            breaker.add_metric([name], exchange.breaker != "closed")
            if exchange.clock_ahead_s is not None:
                ahead.add_metric([name], exchange.clock_ahead_s)
        yield from (breaker, ahead)

    def _alerts(self) -> Iterable[Metric]:
        """Yield the alert budget of the newest KPI day, over its 30 days; nothing of too few cases."""
        figures = {} if self._board.kpis is None else self._board.kpis.trailing.alert_budget
        for name, words, figure, unit in (
            ("regimed_alerts_per_week", "Alerts a week, 30 days.", "alerts_per_week", 1.0),
            ("regimed_alerts_false_ratio", "Share of them that were false.", "alerts_false", 1.0),
            ("regimed_alerts_acknowledge_seconds", "Median to the first answer.", "acknowledge_median", 60.0),
        ):
            family = GaugeMetricFamily(name, words, labels=[])
            found = figures.get(figure)
            if found is not None and found.value is not None and found.is_sufficient:
                family.add_metric([], unit * found.value)
            yield family

    def _index(self) -> Iterable[Metric]:
        index, now = self._board.index, self._clock.now()
        rows = GaugeMetricFamily(
            "regimed_index_rows", "Regime rows in the index.", labels=["market", "timeframe"]
        )
        behind = GaugeMetricFamily(
            "regimed_index_filled_age_seconds",
            "Since the instant up to which a series is filled.",
            labels=["market", "timeframe"],
        )
        for (key, timeframe), count in index.rows.items():
            rows.add_metric([key, timeframe], count)
            behind.add_metric([key, timeframe], now.timestamp() - index.filled_to_ts[key, timeframe])
        failing = 0.0 if index.failing_since is None else (now - index.failing_since).total_seconds()
        yield from (rows, behind)
        yield GaugeMetricFamily("regimed_index_bytes", "Size of the index.", value=index.size_bytes)
        yield GaugeMetricFamily(
            "regimed_index_failing_seconds", "Since the index stopped to answer.", value=failing
        )

    def _git(self) -> Iterable[Metric]:
        state = self._store.state()
        yield GaugeMetricFamily(
            "regimed_git_queue_changesets", "Change-sets not yet committed.", value=state.queue_depth
        )
        yield GaugeMetricFamily(
            "regimed_git_uncommitted_changesets",
            "Durable on this disk, not in the history yet.",
            value=state.uncommitted,
        )
        yield GaugeMetricFamily(
            "regimed_git_unpushed_commits", "Committed but not pushed.", value=state.unpushed
        )
        oldest = state.oldest_unpushed
        age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        yield GaugeMetricFamily(
            "regimed_git_oldest_unpushed_seconds", "Age of the oldest such commit.", value=age
        )
        for name, words, value in (
            ("regimed_git_commits", "Commits made since the start.", state.commits),
            ("regimed_store_cache_hits", "Parts served from memory.", state.cache.hits),
            ("regimed_store_cache_misses", "Files read.", state.cache.misses),
            ("regimed_store_quarantined_files", "Files refused and kept.", len(state.quarantined)),
        ):
            yield CounterMetricFamily(name, words, value=value)
        maintained = state.maintained_at
        since = 0.0 if maintained is None else (self._clock.now() - maintained).total_seconds()
        yield GaugeMetricFamily("regimed_git_maintenance_age_seconds", "Since maintenance.", value=since)
