"""What the daemon knows about itself now: filled by the cycle, read by /health, /metrics and `status`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import anyio

from daemon.desk_tally import Tally
from decisions.inputs import Before
from market.hours import Hour
from market.orders import CASH_SCALE
from market.units import from_scaled
from notifications.messages import HourFacts
from notifications.pacing import Spell
from store.desk_files import DeskFile
from store.exit_files import ToldNotice
from store.kpi_files import KpisFile
from store.restored import Restored
from store.shadow_files import ShadowFile


@dataclass
class MarketState:
    """One market, as of its last cycle.

    Attributes:
        newest: The newest judged hour.
        owed_hours: Hours without a judgement up to `counted_to`, oldest first.
        counted_to: None makes the ledger count anew.
        told: The facts that the operator was told last; what a change is measured against.
        telling: Held while it is decided what to tell: hour, reminder and louder stop take turns.
        unrecorded: What was told of exit states and could not be recorded yet.
        spells: By running grid, its stay in its exit state and what was told of it.
        caught_up: Hours judged late since the operator was told last.
        lost: Hours whose snapshot went to quarantine and is fetched again.
        known_at: When the newest judgement was made; the next one is not made earlier.
        settled_to: The newest hour when the timers were settled last; after a start the hour told last.
        looked_back_from: The newest hour when all that was due was evaluated; None before the first time.
        shadow: What the shadow configuration made of its newest hour; None without one.
        shadow_failures: Hours since the start that the shadow could not judge.
        grids: What the newest record says of running and stopped grids.
        trouble: Why the last attempt did not succeed; None after one that did.
    """

    key: str
    newest: Hour | None = None
    owed_hours: deque[Hour] = field(default_factory=deque)
    counted_to: Hour | None = None
    told: HourFacts | None = None
    telling: anyio.Lock = field(default_factory=anyio.Lock)
    spells: dict[str, Spell] = field(default_factory=dict)
    unrecorded: list[ToldNotice] = field(default_factory=list)
    facts: HourFacts | None = None
    outcome: str | None = None
    last_cycle_at: datetime | None = None
    last_cycle_s: float | None = None
    newest_candle_at: datetime | None = None
    missing: int = 0
    no_trade: int = 0
    trouble: str | None = None
    retry_at: datetime | None = None
    failures: int = 0
    lost: list[Hour] = field(default_factory=list)
    known_at: datetime | None = None
    caught_up: list[HourFacts] = field(default_factory=list)
    grids: Before | None = None
    looked_back_from: Hour | None = None
    shadow: ShadowFile | None = None
    shadow_failures: int = 0
    settled_to: Hour | None = None

    @property
    def owed(self) -> int:
        return len(self.owed_hours)


@dataclass
class ExchangeState:
    """One exchange: breaker, clock and keys."""

    name: str
    breaker: str = "closed"
    clock_ahead_s: float | None = None
    clock_measured_at: float | None = None
    keys: str = "none"


@dataclass
class IndexCondition:
    """How the index of regimes does; it is derived, and nothing waits for it.

    Attributes:
        current_at: When it was last brought up to the newest commit; None before the first time.
        failing_since: The first failure in a row, and `trouble` the newest; None while it answers.
        rows: Regime rows by market and timeframe, as last seen.
        filled_to_ts: Until when each series is filled, epoch seconds.
        size_bytes: Of file or database, as last seen.
        faults: What the newest pass left out, and why.
    """

    current_at: datetime | None = None
    failing_since: datetime | None = None
    trouble: str | None = None
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    filled_to_ts: dict[tuple[str, str], int] = field(default_factory=dict)
    size_bytes: int = 0
    faults: tuple[str, ...] = ()


@dataclass
class DeskCondition:
    """How the paper desk does, as of its newest record.

    Attributes:
        newest: The newest hour that is done; None before the first.
        nav, peak_nav: Of the account at its close, quote coin.
        open_trades: Their ids.
        stopped_by: Breakers that are tripped, in words.
        absent: Who was not in that hour, and why.
        waiting_for: Markets without a judgement of the next hour.
        trouble: Why the next hour could not be run; None after one that was.
        tally: What the last hours and trades amounted to.
    """

    newest: Hour | None = None
    nav: Decimal | None = None
    peak_nav: Decimal | None = None
    open_trades: tuple[str, ...] = ()
    stopped_by: tuple[str, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)
    waiting_for: tuple[str, ...] = ()
    trouble: str | None = None
    tally: Tally = field(default_factory=Tally)

    def show(self, file: DeskFile) -> None:
        """Show the state after an hour."""
        report = file.hour_report
        self.newest, self.absent = file.of_hour, dict(file.absent)
        self.nav = from_scaled(report["account"]["nav"], CASH_SCALE)
        self.peak_nav = from_scaled(report["account"]["peak_nav"], CASH_SCALE)
        self.open_trades, self.stopped_by = tuple(report["open_trades"]), tuple(report["stopped_by"])


@dataclass
class Board:
    """Everything that is shown. Written from the loop only.

    Attributes:
        was_ready: An hour was judged, or its absence reported; later trouble is /health's story.
        ready: State loaded and lock held.
        restart_times: When each worker was restarted last; the newest few.
        fatal: Why the program stops itself; None otherwise.
        kpis_to: The newest day that has its KPI record; None before that was looked for.
        kpis: The newest day's KPI record; None before that was looked for, and where it is damaged.
        kpis_trouble: Why the next one cannot be made, as said in the log; None otherwise.
        index: How the index of regimes does.
        desk: How the paper desk does, where there is one.
        restored: That this disk was filled from the remote, and what that held; None where it was not.
    """

    started_at: datetime
    markets: dict[str, MarketState] = field(default_factory=dict)
    exchanges: dict[str, ExchangeState] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    restart_times: dict[str, deque[datetime]] = field(default_factory=dict)
    ready: bool = False
    was_ready: bool = False
    stopping: bool = False
    fatal: str | None = None
    next_ring_at: datetime | None = None
    push_failures: int = 0
    last_push_at: datetime | None = None
    push_trouble: str | None = None
    remote_unrelated: bool = False
    commit_trouble: str | None = None
    kpis_to: datetime | None = None
    kpis: KpisFile | None = None
    kpis_trouble: str | None = None
    index: IndexCondition = field(default_factory=IndexCondition)
    desk: DeskCondition = field(default_factory=DeskCondition)
    restored: Restored | None = None

    def restarted(self, worker: str, at: datetime) -> int:
        """Note that a worker died and is started anew; returns how often that was since the start."""
        self.restarts[worker] = self.restarts.get(worker, 0) + 1
        self.restart_times.setdefault(worker, deque(maxlen=100)).append(at)
        return self.restarts[worker]
