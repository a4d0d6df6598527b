"""The demo: an embedded exchange, the real daemon, a data repository and a bare remote, all in one folder.

The same workers, cycle and store as `regimed run`; only the exchange (a sandbox) and the clock (driven) are
made up. First the hours as fast as the machine can, then live at a multiple of real time.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from daemon.app import App, building
from daemon.calibrating import calibrate_due
from daemon.clock import DrivenClock, ScaledClock, WallClock
from daemon.commands.sharing import console, progress_console
from daemon.configuration import load_settings
from daemon.evaluating import evaluate_due
from daemon.http import serving
from daemon.indexer import keep_index
from daemon.kpis import record_kpis
from daemon.operator import settle_timers
from daemon.rehearsal import ANSWERED_AFTER, answer_open_advice, overlooks, start_by_hand
from daemon.scheduler import ringing
from daemon.telling import remind
from daemon.workers import attend, load_state, working
from exchanges.sandbox.market import SandboxMarket
from exchanges.sandbox.recorded import RecordedMarket, RecordedSeries
from exchanges.sandbox.running import running_sandbox
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS, SimulatedMarket
from market.errors import ConfigInvalid, PushFailed
from market.hours import Hour
from market.orders import CASH_SCALE
from market.ports import Clock
from store.advice import decision_ids, read_advice
from store.recorded import RecordedMarket as RecordedFiles
from store.recorded import choose_markets
from store.trade_files import trades_of

PAPER_PATIENCE_S = 600.0
SIMULATED_START = Hour.parse("2026-01-05T00")


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What was asked for on the command line.

    Attributes:
        data: Folder of recorded candles; None for the simulated market.
        window, symbols, venue: Which of them; None for what fits best.
        misses: The scripted operator overlooks one advice in so many; 0 for none.
        require_edge: Propose setups only where an edge after fees is proven.
        rest: The operator starts a grid by hand so long after each stop; None for never again.
        paper: Also trade on paper (`mode: paper`).
    """

    folder: Path
    hours: int
    markets: int
    data: Path | None
    window: str | None
    port: int
    rate: float
    once: bool
    symbols: tuple[str, ...] = ()
    venue: str | None = None
    misses: int = 0
    require_edge: bool = False
    rest: timedelta | None = None
    paper: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """The exchange behind a demo.

    Attributes:
        start: The first hour that is collected.
        end: The first hour that the recording no longer has; None for a simulated market.
        words: What it is, for people.
    """

    market: SandboxMarket
    symbols: tuple[str, ...]
    start: Hour
    end: Hour | None
    words: str


def stage_of(
    data: Path | None,
    window: str | None,
    count: int,
    symbols: tuple[str, ...] = (),
    venue: str | None = None,
) -> Stage:
    """Return the exchange to embed: recorded candles of a folder, or the simulated market.

    Raises:
        ConfigInvalid: The folder holds no minutes that could be replayed together.
    """
    if data is None:
        chosen = DEFAULT_SYMBOLS[:count]
        if len(chosen) < count:
            raise ConfigInvalid(f"--markets: the simulated exchange has {len(chosen)}, asked for {count}")
        market = SimulatedMarket(symbols=chosen)
        words = "SIMULATED candles: made up from a seed, nothing of it ever happened"
        return Stage(market, tuple(rules.symbol for rules in market.symbols), SIMULATED_START, None, words)
    chosen_files = choose_markets(data, len(symbols) or count, window, symbols or None, venue)
    recorded = RecordedMarket({one.symbol: _series(one) for one in chosen_files.markets})
    end = Hour.of_ts(chosen_files.end_ts)
    names = ", ".join(f"{one.exchange} {one.symbol}" for one in chosen_files.markets)
    words = f"recorded candles of {names}, {chosen_files.start} to {end}"
    return Stage(recorded, tuple(one.symbol for one in chosen_files.markets), chosen_files.start, end, words)


def _series(files: RecordedFiles) -> list[RecordedSeries]:
    """Return every recorded timeframe of a market, as the sandbox takes them."""
    told = (files.series(timeframe) for timeframe in files.files)
    return [
        RecordedSeries(one.timeframe, one.ts, one.open, one.high, one.low, one.close, one.volume)
        for one in told
        if one is not None
    ]


async def run_demo(plan: DemoPlan) -> None:
    """Run the demo to its end: after the hours with --once, else until it is interrupted."""
    stage = await anyio.to_thread.run_sync(
        stage_of, plan.data, plan.window, plan.markets, plan.symbols, plan.venue
    )
    clock = DrivenClock(stage.start.closes_at)
    async with running_sandbox(stage.market, clock) as sandbox:
        config = _write_config(plan, stage, sandbox.url)
        settings = load_settings(config, {})
        async with building(settings, clock, create=True) as app:
            await load_state(app)
            async with working(app) as stop, serving(app, settings.http.host, plan.port) as port:
                print(f"regimed demo on {stage.words}", file=sys.stderr)
                print(f"regimed demo: http://127.0.0.1:{port}/health, folder {plan.folder}", file=sys.stderr)
                print(f"regimed demo: the dashboard is at http://127.0.0.1:{port}/", file=sys.stderr)
                began = clock.monotonic()
                with _only_warnings():
                    judged = await _run_hours(app, clock, plan, stage)
                seconds = clock.monotonic() - began
                if not plan.once:
                    _summary(plan, app, stage, judged, seconds, port)
                    await _live(app, clock, plan, stage)
                await stop()
            if plan.once:
                await app.store.refresh_index()
                await keep_index(app)
                _summary(plan, app, stage, judged, seconds, port)


def _write_config(plan: DemoPlan, stage: Stage, url: str) -> Path:
    """Write the configuration that `regimed run --config` would take, and make the bare remote."""
    remote = plan.folder / "remote.git"
    if not remote.exists():
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(remote)], check=True)
    config = {
        "mode": "paper" if plan.paper else "advise",
        "data_repository": {"base_path": str(plan.folder / "data"), "remote": str(remote)},
        "exchanges": {
            "sandbox": {
                "kind": "kucoin",
                "base_url": url,
                "fees": {"maker_bps": 10.0, "taker_bps": 10.0},
                "resilience": {"budget_weight": 1_000_000},
            }
        },
        "markets": [{"exchange": "sandbox", "symbol": symbol} for symbol in stage.symbols],
        "http": {"port": plan.port, "token_file": str(_token(plan.folder))},
        "capital": {"total_quote": 10_000, "mode": "multi_grid"},
        "economics": {"require_positive_edge": plan.require_edge},
    }
    path = plan.folder / "config.yaml"
    path.write_text(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path


def _token(folder: Path) -> Path:
    """Return the file of the token by which the page takes answers, drawn once a folder."""
    path = folder / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_hex(32)}\n")
    return path


async def _run_hours(app: App, clock: DrivenClock, plan: DemoPlan, stage: Stage) -> int:
    """Step the clock from hour to hour, each to its end; a folder used before goes on where it stopped."""
    newest = [state.newest for state in app.board.markets.values() if state.newest is not None]
    first = max([stage.start, *(hour.plus(1) for hour in newest)])
    last = first.plus(plan.hours)
    if stage.end is not None and last > stage.end:
        last = stage.end
        print(f"regimed demo: the recording ends at {last}", file=sys.stderr)
    settle = timedelta(seconds=app.settings.collection.settle_s)
    judged = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("hours", total=max(0, last.index - first.index))
        for index in range(first.index, last.index):
            hour = Hour(index)
            clock.set(hour.closes_at + settle)
            app.progress.stamp("scheduler")
            if index == first.index or plan.rest is not None:
                await start_by_hand(app, hour, plan.rest)
            await settle_timers(app)
            await _attend_all(app)
            await remind(app)
            if hour.closes_at.day == 1 or index == first.index:
                await calibrate_due(app)
            while (retry := _next_retry(app)) is not None and retry < hour.plus(1).closes_at:
                clock.set(retry + settle)
                await _attend_all(app)
            judged += sum(state.newest == hour for state in app.board.markets.values())
            clock.set(max(clock.now(), hour.closes_at + ANSWERED_AFTER))
            await answer_open_advice(app, hour, partial(overlooks, one_in=plan.misses))
            if hour.closes_at.hour == 0 or index == last.index - 1:
                await evaluate_due(app)
                await record_kpis(app)
            bar.update(task, advance=1)
    await _paper_done(app, last.plus(-1))
    return judged


async def _paper_done(app: App, last: Hour) -> None:
    """Wait for the paper desk, which nobody waits for while hours are judged; not where it is in trouble."""
    desk = app.board.desk
    with anyio.move_on_after(PAPER_PATIENCE_S):
        while app.paper is not None and desk.trouble is None and (desk.newest is None or desk.newest < last):
            app.bells.desk.ring()
            await anyio.sleep(0.05)


@contextmanager
def _only_warnings() -> Iterator[None]:
    """Keep hundreds of lines a second off the screen."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        root.setLevel(before)


async def _attend_all(app: App) -> None:
    async with anyio.create_task_group() as group:
        for market in app.settings.markets:
            group.start_soon(attend, app, market)


def _next_retry(app: App) -> datetime | None:
    waiting = [state.retry_at for state in app.board.markets.values() if state.retry_at is not None]
    return min(waiting, default=None)


async def _live(app: App, clock: DrivenClock, plan: DemoPlan, stage: Stage) -> None:
    """Go on at the chosen rate until interrupted, or until the recording ends."""
    await _pushed(app)
    clock.run(plan.rate)
    print(f"regimed demo: live at {plan.rate:g} times real time, Ctrl-C ends it", file=sys.stderr)
    async with ringing(app):
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_end, clock, stage, group.cancel_scope)
                async for _ in signals:
                    group.cancel_scope.cancel()


async def _pushed(app: App) -> None:
    """Bring out what a week in a minute left behind, so that nobody is warned of commits three hours old."""
    with suppress(PushFailed):
        await app.store.push()


async def _until_end(clock: Clock, stage: Stage, scope: anyio.CancelScope) -> None:
    if stage.end is None:
        return
    left = (stage.end.closes_at - clock.now()).total_seconds() / clock.rate
    await anyio.sleep(max(0.0, left))
    print(f"regimed demo: recorded data end at {stage.end}; the live part stops", file=sys.stderr)
    scope.cancel()


def _summary(plan: DemoPlan, app: App, stage: Stage, judged: int, seconds: float, port: int) -> None:
    out = console()
    speed = judged / seconds if seconds else 0.0
    out.print(f"{judged} market hours judged in {seconds:.1f} s ({speed:.0f} a second) on {stage.words}.")
    for state in app.board.markets.values():
        facts = state.facts
        if facts is None:
            out.print(f"  {state.key}: nothing judged; {state.trouble or 'no hour was due'}")
        elif facts.verdict is None:
            out.print(f"  {state.key} {facts.hour}: {facts.outcome}: {facts.reason}")
        else:
            p = facts.hold_probability
            holds = "" if p is None else f", holds 24 h with p {p:.2f}"
            bounds = "" if facts.lower is None else f", {facts.price:g} in [{facts.lower:g}, {facts.upper:g}]"
            out.print(f"  {state.key} {facts.hour}: {facts.verdict}{holds}{bounds}")
    told = Counter(
        read_advice(app.store.root, each).file.action.value for each in decision_ids(app.store.root)
    )
    out.print(f"Advice: {', '.join(f'{count} {action}' for action, count in told.most_common())}.")
    if not app.settings.economics.require_positive_edge:
        out.print(
            "Setups are proposed here although no edge after fees is proven: require_positive_edge is off."
        )
    if plan.paper:
        _paper_summary(plan, app)
    git = app.store.state()
    out.print(f"Data repository  {plan.folder / 'data'}  ({git.unpushed} commits not pushed)")
    out.print(f"Remote           {plan.folder / 'remote.git'}")
    out.print(f"Configuration    {plan.folder / 'config.yaml'}")
    newest = [
        advice.id for state in app.board.markets.values() if state.facts for advice in state.facts.advice
    ]
    regimed, config, data = called(), plan.folder / "config.yaml", plan.folder / "data"
    if newest:
        out.print(f"One in words     {regimed} explain {newest[0]} --repo {data}")
    out.print(f"Its history      {regimed} regimes {stage.symbols[0]} 1h --periods --config {config}")
    if plan.once:
        out.print(f"As pages         {regimed} dashboard --out {plan.folder / 'pages'} --repo {data}")
        out.print(f"Look further     {regimed} verify --repo {data}")
    else:
        out.print(f"Dashboard        http://127.0.0.1:{port}/")
        out.print(f"Token for it     {plan.folder / 'token'}, to answer advice on the page")
        out.print(f"Look further     http://127.0.0.1:{port}/health and /metrics")


def called() -> str:
    """Return what to type for this program here: `make demo` starts one that is on nobody's path."""
    program, found = Path(sys.argv[0]), shutil.which("regimed")
    if program.name != "regimed" or (found and Path(found).resolve() == program.resolve()):
        return "regimed"
    return os.path.relpath(program)


def _paper_summary(plan: DemoPlan, app: App) -> None:
    desk, out = app.board.desk, console()
    trades = list(trades_of(app.store.root))
    won = sum(trade.won for trade in trades)
    net = sum(trade.net for trade in trades) / CASH_SCALE
    out.print(
        f"Paper: {len(trades)} trades closed, {won} won, net {net:.2f} after fees; account {desk.nav},"
        f" {len(desk.open_trades)} trades open, as of {desk.newest}."
    )
    if trades:
        out.print(f"Why it traded    regimed why {trades[0].id} --repo {plan.folder / 'data'}")


async def serve_sandbox(
    data: Path | None, window: str | None, markets: int, port: int, clock: Clock | None
) -> None:
    """Serve the sandbox alone until it is interrupted.

    Without a clock the simulated market has the time of day, so that `regimed run` can be pointed at it; a
    recorded one starts 400 hours into its data, and says which `--clock` gives the others its time.
    """
    stage = await anyio.to_thread.run_sync(stage_of, data, window, markets)
    shared = None
    if clock is None and stage.end is not None:
        shared = clock = ScaledClock(stage.start.plus(400).opens_at, 1.0, WallClock().now())
    time = clock or WallClock()
    async with running_sandbox(stage.market, time, port=port) as sandbox:
        now = f"{time.now():%Y-%m-%d %H:%M}"
        print(f"regimed sandbox: {sandbox.url} over {stage.words}; its time is {now}", flush=True)
        print(
            f"In config.yaml: exchanges: {{kucoin: {{kind: kucoin, base_url: '{sandbox.url}'}}}}", flush=True
        )
        print(f"Symbols: {', '.join(stage.symbols)}", flush=True)
        if shared is not None:
            print(f"Its time, for others: regimed run --clock {shared}", flush=True)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return
