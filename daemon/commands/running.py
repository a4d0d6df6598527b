"""What runs: `demo`, `run`, `cycle`, `sandbox`."""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import typer

from daemon.app import App, building
from daemon.commands.clocks import ClockOption, clock_of
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    fail,
    hour_of,
    in_loop,
    settings_of,
)
from daemon.cycle import run_due_hours
from daemon.demo import DemoPlan, run_demo, serve_sandbox
from daemon.desk import run_desk_hours
from daemon.failures import arm_failpoints
from daemon.indexer import keep_index
from daemon.settings import MarketSettings
from daemon.workers import ask_on_signal, load_state, run_daemon, verify_keys
from market.errors import ExchangeError, StoreError
from market.hours import Hour, last_closed_hour
from store.control import ask_status
from store.lock import holder
from store.remote import end_remote_calls

CUT_EVERY_S = 0.2


def register(app: typer.Typer) -> None:
    for command in (demo, run, cycle, sandbox):
        app.command()(command)


def demo(
    hours: Annotated[int, typer.Option(min=1, max=20000, help="Hours to run through at full speed.")] = 168,
    once: Annotated[bool, typer.Option("--once", help="Stop after the hours and print a summary.")] = False,
    markets: Annotated[int, typer.Option(min=1, max=10, help="How many markets.")] = 3,
    data: Annotated[
        Path | None, typer.Option(help="Replay recorded candles of this folder (parquet).")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Another recorded window, for example 2024AUG.")] = None,
    symbol: Annotated[
        list[str] | None, typer.Option(help="Only this recorded market; may be repeated.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option(help="Only recordings of this one, for example KUCOIN.")
    ] = None,
    misses: Annotated[
        int, typer.Option(min=0, help="The scripted operator overlooks one advice in so many; 0 for none.")
    ] = 0,
    require_edge: Annotated[
        bool, typer.Option("--require-edge", help="Propose only what has a proven edge after fees.")
    ] = False,
    restart_after: Annotated[
        int | None,
        typer.Option(min=1, help="The operator starts a grid by hand so many hours after each stop."),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also trade on paper, with simulated fills.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to keep everything; temporary if left out.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 8080,
    rate: Annotated[
        float, typer.Option(min=1, max=3600, help="Speed of the live part; 60 is an hour a minute.")
    ] = 60,
) -> None:
    """Show the whole system: an embedded exchange, the real daemon, a data repository and a remote.

    Example: regimed demo --once --hours 168
    """
    for option, value in (("--window", window), ("--symbol", symbol), ("--venue", venue)):
        if value and data is None:
            fail(f"{option} names recorded candles and needs --data", 2)
    if data is not None and not data.is_dir():
        fail(f"--data: {data} is not a folder; expected one with parquet files", 2)
    where = folder or Path(tempfile.mkdtemp(prefix="regimed-demo-"))
    where.mkdir(parents=True, exist_ok=True)
    plan = DemoPlan(
        where.resolve(),
        hours,
        markets,
        data,
        window,
        port,
        rate,
        once,
        tuple(symbol or ()),
        venue,
        misses,
        require_edge,
        None if restart_after is None else timedelta(hours=restart_after),
        paper,
    )
    arm_failpoints()
    in_loop(lambda: run_demo(plan))


def run(
    config: ConfigOption = None,
    create: Annotated[bool, typer.Option(help="Make the data repository.")] = True,
    clock: ClockOption = None,
) -> None:
    """Run the daemon until it is told to stop (SIGTERM, Ctrl-C).

    Example: regimed run --config config.yaml
    """
    settings = settings_of(config)
    root = settings.data_repository.base_path.resolve()
    arm_failpoints()

    async def work() -> None:
        stop_asked = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(ask_on_signal, stop_asked)
            opening = anyio.CancelScope()
            group.start_soon(_cut_short, opening, stop_asked, root)
            try:
                async with building(settings, clock_of(clock), create=create) as app:
                    opening.cancel()
                    await run_daemon(app, stop_asked, lambda bound: _say_port(settings.http.host, bound))
            except StoreError as error:
                if opening.cancel_called or not stop_asked.is_set():
                    raise
                print(f"regimed: stopped before there was a history: {error}", file=sys.stderr)
            group.cancel_scope.cancel()

    in_loop(work)


async def _cut_short(opening: anyio.CancelScope, stop_asked: anyio.Event, root: Path) -> None:
    """End a clone that is under way at a stop, or begins just then: the next start begins it anew."""
    with opening:
        await stop_asked.wait()
        while True:
            await anyio.to_thread.run_sync(end_remote_calls, root)
            await anyio.sleep(CUT_EVERY_S)


def _say_port(host: str, port: int) -> None:
    print(f"regimed: http://{host}:{port}/health, the dashboard at /", file=sys.stderr, flush=True)


def cycle(
    key: Annotated[str | None, typer.Argument(help="Market key; all markets when left out.")] = None,
    hour: Annotated[str | None, typer.Option(help="Only up to this hour, for example 2026-02-02T14.")] = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Run what is due once, then exit; asks the running daemon where there is one.

    Example: regimed cycle ETH-USDT
    """
    settings = settings_of(config)
    chosen = [market for market in settings.markets if key in (None, market.key)]
    if not chosen:
        known = ", ".join(market.key for market in settings.markets)
        fail(f"no market {key!r}; configured: {known}", 2)
    last = None if hour is None else hour_of(hour, "--hour")

    async def work() -> int:
        held = holder(settings.data_repository.base_path)
        if held is not None:
            page = await ask_status(Path(held.socket))
            if key is not None or last is not None:
                fail("a daemon is running: it runs every due hour itself; leave KEY and --hour out", 2)
            print(f"the running daemon (process {held.pid}) was rung; its health is {page['status']}")
            return 0
        async with building(settings, clock_of(clock), create=True) as app:
            await load_state(app)
            await verify_keys(app)
            until = last or last_closed_hour(app.clock.now())  # what closes meanwhile is for the next call
            failed = 0
            for market in chosen:
                failed += not await _one_cycle(app, market, until)
            await app.store.flush()
            await app.outbox.deliver()
            if app.paper is not None and not await run_desk_hours(app, app.paper):
                print(f"paper desk: {app.board.desk.trouble}; its hours stay owed", file=sys.stderr)
                failed += 1
            await keep_index(app)
            await app.store.refresh_index()
            return failed

    if in_loop(work):
        raise Finding(3)


async def _one_cycle(app: App, market: MarketSettings, last: Hour) -> bool:
    """Run what one market owes and say how it went; trouble with one market keeps none of the others."""
    state = app.board.markets[market.key]
    try:
        judged = await run_due_hours(app, market, last)
    except ExchangeError as error:
        print(f"{market.key}: {error}; {state.owed} hours stay owed", file=sys.stderr)
        return False
    waiting = f", hour incomplete, fetched again after {state.retry_at:%H:%M}" if state.retry_at else ""
    print(f"{market.key}: {judged} hours judged, {state.owed} owed{waiting}")
    return True


def sandbox(
    data: Annotated[
        Path | None, typer.Option(help="Recorded candles (parquet); simulated when left out.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Another recorded window, for example 2024AUG.")] = None,
    markets: Annotated[int, typer.Option(min=1, max=10, help="How many markets.")] = 3,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port and prints it.")] = 8089,
    clock: ClockOption = None,
) -> None:
    """Serve a KuCoin-compatible REST exchange over recorded or simulated candles, until Ctrl-C.

    Example: regimed sandbox --port 8089
    """
    time = None if clock is None else clock_of(clock)
    in_loop(lambda: serve_sandbox(data, window, markets, port, time))
