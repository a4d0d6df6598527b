"""What the alert rules of `deploy/` ask for: the figures behind `/health` and the anomalies, read at scrape.

The rules decide on figures, not on the daemon's own verdict of itself: who watches it must not believe it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.board import Board
from daemon.settings import Settings
from notifications.outbox import Outbox
from store.store import Store


class TroubleMetrics(Collector):
    """Failures in a row, what is refused, and the room that is left."""

    def __init__(self, settings: Settings, board: Board, store: Store, outbox: Outbox) -> None:
        self._settings, self._board, self._store, self._outbox = settings, board, store, outbox

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield from self._markets()
        yield from self._records()
        yield from self._disks()
        unverified = GaugeMetricFamily(
            "regimed_keys_unverified", "1 while a key could not be checked.", labels=["exchange"]
        )
        for name, exchange in self._board.exchanges.items():
            unverified.add_metric([name], exchange.keys == "unverified")
        yield unverified

    def _markets(self) -> Iterable[Metric]:
        failures = GaugeMetricFamily(
            "regimed_market_failures_in_a_row", "Attempts at an hour that failed.", labels=["market"]
        )
        cycle = GaugeMetricFamily(
            "regimed_last_cycle_seconds", "What the newest cycle took.", labels=["market"]
        )
        for key, market in self._board.markets.items():
            failures.add_metric([key], market.failures)
            if market.last_cycle_s is not None:
                cycle.add_metric([key], market.last_cycle_s)
        yield from (failures, cycle)

    def _records(self) -> Iterable[Metric]:
        state, board = self._store.state(), self._board
        for name, words, value in (
            (
                "regimed_git_commit_failing",
                "1 while nothing new is committed.",
                bool(board.commit_trouble or state.last_commit_error),
            ),
            (
                "regimed_git_has_remote",
                "1 where commits are to be pushed.",
                bool(self._settings.data_repository.remote),
            ),
            ("regimed_git_push_failures_in_a_row", "Pushes that failed.", board.push_failures),
            ("regimed_git_remote_unrelated", "1: the remote has another history.", board.remote_unrelated),
            (
                "regimed_git_refused_files",
                "Files from outside that are not in force.",
                len(state.refused_from_outside),
            ),
            ("regimed_git_child_processes", "Children of this process; 0 between batches.", state.children),
            ("regimed_grid_faults", "Grid files that are not in force.", len(self._store.grid_faults)),
            ("regimed_kpis_waiting", "1 while a day's KPIs cannot be made.", board.kpis_trouble is not None),
            (
                "regimed_outbox_not_durable_notices",
                "Notices that a crash would lose.",
                self._outbox.not_durable,
            ),
        ):
            yield GaugeMetricFamily(name, words, value=value)

    def _disks(self) -> Iterable[Metric]:
        free = GaugeMetricFamily("regimed_disk_free_bytes", "Left for a process.", labels=["volume"])
        size = GaugeMetricFamily("regimed_disk_size_bytes", "Of the file system.", labels=["volume"])
        for volume, folder in (
            ("data", self._settings.data_repository.base_path),
            ("state", self._settings.state_path),
        ):
            try:
                usage = shutil.disk_usage(folder)
            except OSError:
                continue  # a disk that cannot be looked at is not full: /health says what it is
            free.add_metric([volume], usage.free)
            size.add_metric([volume], usage.total)
        yield from (free, size)
