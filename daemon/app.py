"""The house put together: the only place that builds real things and introduces them to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.from_thread
import structlog
import yaml

from daemon.bell import Bells
from daemon.board import Board, ExchangeState, MarketState
from daemon.gate import refuse_live
from daemon.indexing import IndexKeeper, IndexPlace
from daemon.metrics import Metrics
from daemon.paper_desk import PaperDesk, desk_policy
from daemon.progress import Progress
from daemon.regimes import RegimeHistory
from daemon.settings import MarketSettings, Settings
from daemon.shadow import Shadow
from daemon.told import ToldMemory
from daemon.trouble_metrics import TroubleMetrics
from decisions.inputs import Policy
from exchanges.breaker import BreakerState
from exchanges.opening import open_exchange
from market.hours import Hour, Timeframe
from market.ports import Clock, Exchange
from market.window import MarketWindow
from notifications.log_channel import LogChannel
from notifications.opening import open_channels, open_ping
from notifications.outbox import Outbox
from notifications.ping import Ping
from notifications.pushover import PushoverChannel
from regime.engine import RegimeEngine
from store.commits import CommittedChanges
from store.minutes import MinuteShelf
from store.paths import parse_snapshot
from store.regime_rows import RepositoryRegimes
from store.state import Observer as StoreObserver
from store.store import Store

_log = structlog.get_logger("app")


@dataclass
class App:
    """Everything a cycle needs, by name."""

    settings: Settings
    clock: Clock
    store: Store
    exchanges: dict[str, Exchange]
    policy: Policy
    shadow: Shadow | None
    paper: PaperDesk | None
    outbox: Outbox
    emergencies: tuple[PushoverChannel, ...]
    ping: Ping | None
    board: Board
    progress: Progress
    metrics: Metrics
    bells: Bells
    told: ToldMemory
    spans: Mapping[Timeframe, int]
    minutes: MinuteShelf
    changes: CommittedChanges
    index: IndexPlace
    index_keeper: IndexKeeper
    regimes: RegimeHistory
    index_limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    desk_limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    analysis_limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    fetch_limits: dict[str, anyio.CapacityLimiter] = field(default_factory=dict)

    def exchange_of(self, market: MarketSettings) -> Exchange:
        return self.exchanges[market.exchange]


@asynccontextmanager
async def building(settings: Settings, clock: Clock, *, create: bool = False) -> AsyncIterator[App]:
    """Open the store and the exchanges and hand over the house; closes them in the reverse order.

    Args:
        settings: The configuration in force.
        clock: The one source of time.
        create: Make the data repository where there is none.

    Raises:
        RepositoryUnusable: The folder cannot serve; says what was found.
        RepositoryLocked: Another process writes it.
        ConfigInvalid: A secret file cannot be read; or the mode is live.
    """
    refuse_live(settings)
    board = Board(started_at=clock.now())
    metrics = Metrics()
    config_hash = settings.config_hash()
    metrics.config.labels(config_hash).set(1)
    engine = RegimeEngine(settings.regime)
    progress = Progress(clock.monotonic, settings.health.live_limit_s)
    async with AsyncExitStack() as stack:
        store = await Store.open(
            settings.store(),
            clock,
            max_missing_minutes=settings.collection.max_missing_minutes,
            timeframes=engine.timeframes(),
            create=create,
            observer=_StoreObserver(board),
            markets=[market.key for market in settings.markets],
        )
        stack.push_async_callback(_close_store, store)
        exchanges: dict[str, Exchange] = {}
        for name, exchange_settings in settings.exchanges.items():
            observer = _Observer(board.exchanges.setdefault(name, ExchangeState(name)), metrics, progress)
            exchanges[name] = open_exchange(name, exchange_settings, clock, observer)
            stack.push_async_callback(exchanges[name].aclose)
        for market in settings.markets:
            board.markets[market.key] = MarketState(market.key)
        told = settings.notifications
        channels = open_channels(told, settings.state_path, clock)
        for channel in channels:
            stack.push_async_callback(channel.aclose)
        ping = open_ping(told)
        if ping is not None:
            stack.push_async_callback(ping.aclose)
        outbox = Outbox(settings.state_path / "outbox", [LogChannel(), *channels], clock, told.quiet_hours)
        place = IndexPlace(settings.index_url())
        stack.callback(place.close)
        changes = CommittedChanges(store.root)
        app = App(
            settings=settings,
            clock=clock,
            store=store,
            exchanges=exchanges,
            policy=settings.policy(engine),
            shadow=None
            if settings.in_shadow is None
            else Shadow(settings.in_shadow.policy(), str(settings.shadow)),
            paper=PaperDesk(desk_policy(settings), settings.trading) if settings.mode == "paper" else None,
            outbox=outbox,
            emergencies=tuple(channel for channel in channels if isinstance(channel, PushoverChannel)),
            ping=ping,
            board=board,
            progress=progress,
            metrics=metrics,
            bells=Bells([market.key for market in settings.markets], outbox.channels),
            told=ToldMemory(settings.state_path / "told"),
            spans=engine.timeframes(),
            minutes=MinuteShelf(store.root),
            changes=changes,
            index=place,
            index_keeper=_keeper(settings, place, changes, store, engine, clock),
            regimes=_history(settings, place, changes, store, clock),
            fetch_limits={
                name: anyio.CapacityLimiter(settings.collection.concurrency) for name in settings.exchanges
            },
        )
        metrics.watch(board, store, progress, app.outbox, clock)
        metrics.watch_quotas(app.emergencies)
        metrics.registry.register(TroubleMetrics(settings, board, store, outbox))
        if app.paper is not None:
            metrics.desk.watch(board.desk, settings.health)
        await store.write_config(config_hash, _config_text(settings, config_hash))
        if settings.in_shadow is not None:
            shadow_hash = settings.in_shadow.config_hash()
            metrics.shadow_config.labels(shadow_hash).set(1)
            await store.write_config(shadow_hash, _config_text(settings.in_shadow, shadow_hash))
        yield app


def _keeper(
    settings: Settings,
    place: IndexPlace,
    changes: CommittedChanges,
    store: Store,
    engine: RegimeEngine,
    clock: Clock,
) -> IndexKeeper:
    """Return who fills the index; single hours are read through the store's cache, from a worker thread."""

    def window(key: str, hour: Hour) -> MarketWindow:
        anyio.from_thread.check_cancelled()  # a pass that a stop left behind must not ask the loop again
        return anyio.from_thread.run(store.window_now, key, hour)

    months = _by_the_month(settings, store)
    return IndexKeeper(place.opened, months, engine, settings.regime_rules(), changes, clock.now, window)


def _history(
    settings: Settings, place: IndexPlace, changes: CommittedChanges, store: Store, clock: Clock
) -> RegimeHistory:
    months = _by_the_month(settings, store)
    rules = settings.regime_rules()
    return RegimeHistory(lambda: place.index, months, rules, changes, clock.monotonic, bounded=True)


def _by_the_month(settings: Settings, store: Store) -> RepositoryRegimes:
    """Return a reader of its own: long spans must not push the cycles' windows out of the store's cache."""
    return RepositoryRegimes(
        store.root,
        RegimeEngine(settings.regime, remembered=8),
        max_missing_minutes=settings.collection.max_missing_minutes,
    )


async def _close_store(store: Store) -> None:
    with anyio.CancelScope(shield=True):
        await store.aclose(10)


def _config_text(settings: Settings, config_hash: str) -> bytes:
    text = yaml.dump(
        {"schema_version": 1, "config_hash": config_hash, **settings.rules()},
        Dumper=yaml.CSafeDumper,
        sort_keys=True,
        allow_unicode=True,
        width=110,
    )
    return str(text).encode()


class _StoreObserver(StoreObserver):
    """A corrupt file may have been a judgement: its market's ledger is counted anew."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def quarantined(self, path: str, reason: str) -> None:
        _log.warning("corrupt file quarantined", path=path, reason=reason)
        for market in self._board.markets.values():
            market.counted_to = None
        name = parse_snapshot(path)
        if name is not None and name.key in self._board.markets:
            self._board.markets[name.key].lost.append(name.hour)

    def cloning(self, remote: str, timeout_s: float) -> None:
        _log.info("no data repository here, asking the remote", remote=remote, timeout_s=timeout_s)

    def set_aside(self, path: str, reason: str) -> None:
        remedy = "set aside as .unreadable; regimed verify says whether anything is missing"
        _log.warning("an intent is damaged", path=path, reason=reason, remedy=remedy)

    def restored(self, path: str, reason: str) -> None:
        _log.warning("damaged file restored from the history", path=path, reason=reason)


class _Observer:
    """Carries what an exchange client notices to the metrics and the board."""

    def __init__(self, state: ExchangeState, metrics: Metrics, progress: Progress) -> None:
        self._state, self._metrics, self._progress = state, metrics, progress

    def request_finished(self, exchange: str, endpoint: str, status: str, seconds: float) -> None:
        self._metrics.requests.labels(exchange, endpoint, status).inc()
        self._metrics.request_s.labels(exchange, endpoint).observe(seconds)
        self._progress.moved()

    def breaker_changed(self, exchange: str, host: str, state: BreakerState) -> None:
        before, self._state.breaker = self._state.breaker, state.value
        _log.warning("circuit breaker", exchange=exchange, host=host, state=state.value, before=before)
