"""What brings history in: `backfill` from the exchange, `import` from files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from daemon.clock import WallClock
from daemon.commands.clocks import ClockOption, clock_of
from daemon.commands.sharing import ConfigOption, bound_of, fail, in_loop, progress_console, settings_of
from daemon.settings import MarketSettings, Settings
from exchanges.collection import LEAD_S, TAIL_S, collect_bars
from exchanges.opening import open_exchange
from market.candles import Candle
from market.hours import Hour, Timeframe, hours_between, last_closed_hour
from market.ports import Clock, Exchange, SymbolRules
from market.snapshot import MINUTES, MarketSnapshot, build_snapshot
from market.units import price_scale_for
from regime.engine import RegimeEngine
from store.candle_files import candle_files, month_start_ts
from store.change_set import ChangeSet
from store.control import hand_change_set
from store.ledger import Ledger
from store.lock import holder
from store.paths import SnapshotName
from store.recorded import RecordedSeries, aggregated, candle_files_of, series, snapshots_of
from store.snapshots import encode_snapshot
from store.store import Store

BATCH_H = 168
COARSE = (Timeframe.M15, Timeframe.H1, Timeframe.H4)
Write = Callable[[ChangeSet], Awaitable[str]]


def register(app: typer.Typer) -> None:
    app.command()(backfill)
    app.command(name="import")(import_file)


@asynccontextmanager
async def writing(settings: Settings, clock: Clock) -> AsyncIterator[Write]:
    """Yield what commits a change-set: the running daemon where there is one, else a store of our own."""
    base = settings.data_repository.base_path
    held = holder(base)
    if held is not None:
        yield lambda change_set: hand_change_set(Path(held.socket), change_set)
        return
    store = await Store.open(
        settings.store(),
        clock,
        max_missing_minutes=settings.collection.max_missing_minutes,
        timeframes=RegimeEngine(settings.regime).timeframes(),
        create=True,
    )

    async def write(change_set: ChangeSet) -> str:
        return (await store.write(change_set)).commit

    try:
        yield write
    finally:
        await store.aclose()


def backfill(
    key: Annotated[str, typer.Argument(help="Market key, for example ETH-USDT.")],
    first: Annotated[str, typer.Option("--from", help="First hour or day, for example 2026-01-01T00.")],
    last: Annotated[str, typer.Option("--to", help="Hour after the last one, or a day.")],
    timeframe: Annotated[str, typer.Option(help="1m for snapshots, or 15m, 1h, 4h for coarse bars.")] = "1m",
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Fetch history from the exchange: resumable, repeatable, one commit a batch.

    Example: regimed backfill ETH-USDT --from 2026-01-01T00 --to 2026-01-08T00
    """
    settings = settings_of(config)
    market = _market(settings, key)
    start, end = bound_of(first, "--from"), bound_of(last, "--to")
    frame = _timeframe(timeframe)
    time = WallClock() if clock is None else clock_of(clock)
    if end > last_closed_hour(time.now()).plus(1) or start >= end:
        fail(f"--from {start} --to {end}: expected closed hours, the first before the last", 2)
    in_loop(lambda: _backfill(settings, market, start, end, frame, time))


def _market(settings: Settings, key: str) -> MarketSettings:
    for market in settings.markets:
        if market.key == key:
            return market
    return fail(f"no market {key!r}; configured: {', '.join(market.key for market in settings.markets)}", 2)


def _timeframe(text: str) -> Timeframe:
    wanted = (Timeframe.M1, *COARSE)
    for timeframe in wanted:
        if timeframe.value == text:
            return timeframe
    return fail(f"--timeframe: {text!r} is none of {', '.join(each.value for each in wanted)}", 2)


async def _backfill(
    settings: Settings, market: MarketSettings, start: Hour, end: Hour, timeframe: Timeframe, clock: Clock
) -> None:
    exchange = open_exchange(market.exchange, settings.exchanges[market.exchange], clock)
    try:
        rules = await exchange.rules(market.symbol)
        async with writing(settings, clock) as write:
            if timeframe is Timeframe.M1:
                hours = hours_between(start, end)
                await _backfill_minutes(settings, market, exchange, rules, hours, clock, write)
            else:
                await _backfill_bars(market, exchange, rules, (start, end), timeframe, clock, write)
    finally:
        await exchange.aclose()


async def _backfill_minutes(
    settings: Settings,
    market: MarketSettings,
    exchange: Exchange,
    rules: SymbolRules,
    hours: list[Hour],
    clock: Clock,
    write: Write,
) -> None:
    ledger = Ledger(settings.data_repository.base_path)
    wanted = [hour for hour in hours if not ledger.collected(market.key, hour).complete]
    incomplete: list[Hour] = []
    with _progress() as bar:
        task = bar.add_task(f"{market.key} 1m", total=len(hours), completed=len(hours) - len(wanted))
        for i in range(0, len(wanted), BATCH_H):
            files: dict[str, bytes] = {}
            for day in _runs(wanted[i : i + BATCH_H]):
                candles = await collect_bars(
                    exchange, market.symbol, Timeframe.M1, day[0].open_ts - LEAD_S, day[-1].close_ts + TAIL_S
                )
                for hour in day:
                    snapshot = _snapshot_of(market, exchange.name, rules, hour, candles, clock)
                    partials = ledger.collected(market.key, hour).partials
                    if not snapshot.is_complete:
                        incomplete.append(hour)
                    if len(snapshot.missing) < MINUTES and (snapshot.is_complete or not partials):
                        name = SnapshotName(market.key, hour, None if snapshot.is_complete else partials + 1)
                        files[name.path] = encode_snapshot(snapshot)
                    bar.update(task, advance=1)
            if files:
                newest = wanted[i : i + BATCH_H][-1]
                await write(ChangeSet(files, f"[backfill] {market.key} {len(files)} hours to {newest}"))
    print(f"{market.key}: {len(hours) - len(wanted)} hours were there, {len(wanted)} fetched")
    if incomplete:
        print(f"{market.key}: {len(incomplete)} hours stay incomplete, the first {incomplete[0]}")


def _runs(hours: Sequence[Hour]) -> list[list[Hour]]:
    """Return the hours in contiguous runs of at most a day: one request of candles each."""
    runs: list[list[Hour]] = []
    for hour in hours:
        if runs and hour == runs[-1][-1].plus(1) and len(runs[-1]) < 20:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    return runs


def _snapshot_of(
    market: MarketSettings,
    exchange: str,
    rules: SymbolRules,
    hour: Hour,
    candles: Sequence[Candle],
    clock: Clock,
) -> MarketSnapshot:
    around = [c for c in candles if hour.open_ts - LEAD_S <= c.ts < hour.close_ts + TAIL_S]
    return build_snapshot(
        key=market.key,
        exchange=exchange,
        symbol=market.symbol,
        hour=hour,
        collected_at=clock.now(),
        source="backfill",
        candles=around,
        price_scale=price_scale_for(rules.price_increment),
    )


async def _backfill_bars(
    market: MarketSettings,
    exchange: Exchange,
    rules: SymbolRules,
    span: tuple[Hour, Hour],
    timeframe: Timeframe,
    clock: Clock,
    write: Write,
) -> None:
    start_ts, end_ts = month_start_ts(span[0].open_ts), span[1].open_ts
    candles = await collect_bars(exchange, market.symbol, timeframe, start_ts, end_ts)
    files = candle_files(
        key=market.key,
        exchange=exchange.name,
        symbol=market.symbol,
        timeframe=timeframe,
        candles=candles,
        start_ts=start_ts,
        end_ts=end_ts,
        collected_at=clock.now(),
        price_scale=price_scale_for(rules.price_increment),
    )
    if files:
        await write(ChangeSet(files, f"[backfill] {market.key} {timeframe.value} {len(candles)} bars"))
    print(f"{market.key}: {len(candles)} bars of {timeframe.value} in {len(files)} files")


def import_file(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV with ts, open, high, low, close, volume.")],
    key: Annotated[str, typer.Option(help="Market key that the candles belong to.")],
    timeframe: Annotated[
        str | None, typer.Option(help="1m, 15m, 1h or 4h; from the name if left out.")
    ] = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
) -> None:
    """Bring recorded candles into the data repository: minutes as snapshots, coarser ones as bars.

    Hours that are there already stay as they are. A 5m file is summed up to 15m bars.

    Example: regimed import KUCOIN_ETH-USDT_1h.parquet --key ETH-USDT
    """
    settings = settings_of(config)
    market = _market(settings, key)
    if not file.is_file():
        fail(f"{file}: no such file", 2)
    read = series(file, None if timeframe is None else _timeframe(timeframe))
    time = WallClock() if clock is None else clock_of(clock)
    in_loop(lambda: _import(settings, market, read, time))


async def _import(settings: Settings, market: MarketSettings, read: RecordedSeries, clock: Clock) -> None:
    exchange = market.exchange
    async with writing(settings, clock) as write:
        if read.timeframe is Timeframe.M1:
            await _import_minutes(settings, market, read, clock, write)
            return
        coarse = aggregated(read, Timeframe.M15) if read.timeframe is Timeframe.M5 else read
        files = candle_files_of(
            coarse, key=market.key, exchange=exchange, symbol=market.symbol, collected_at=clock.now()
        )
        new = {
            path: data
            for path, data in files.items()
            if not (settings.data_repository.base_path / path).exists()
        }
        if new:
            await write(ChangeSet(new, f"[import] {market.key} {coarse.timeframe.value} {len(coarse)} bars"))
        kept = len(files) - len(new)
        print(f"{market.key}: {len(new)} months of {coarse.timeframe.value} bars imported, {kept} were there")


async def _import_minutes(
    settings: Settings, market: MarketSettings, read: RecordedSeries, clock: Clock, write: Write
) -> None:
    ledger = Ledger(settings.data_repository.base_path)
    first, last = -(-read.first_ts // 3600), read.end_ts // 3600
    batch: dict[str, bytes] = {}
    done = there = incomplete = 0
    with _progress() as bar:
        task = bar.add_task(f"{market.key} import", total=last - first)
        made = snapshots_of(
            read, key=market.key, exchange=market.exchange, symbol=market.symbol, collected_at=clock.now()
        )
        for snapshot in made:
            bar.update(task, advance=1)
            held = ledger.collected(market.key, snapshot.hour)
            if held.complete or (not snapshot.is_complete and held.partials):
                there += 1
                continue
            if len(snapshot.missing) == MINUTES:
                continue
            incomplete += not snapshot.is_complete
            name = SnapshotName(market.key, snapshot.hour, None if snapshot.is_complete else 1)
            batch[name.path] = encode_snapshot(snapshot)
            done += 1
            if len(batch) >= BATCH_H:
                await write(ChangeSet(batch, f"[import] {market.key} {len(batch)} hours to {snapshot.hour}"))
                batch = {}
        if batch:
            await write(ChangeSet(batch, f"[import] {market.key} {len(batch)} hours"))
    print(f"{market.key}: {done} hours imported ({incomplete} incomplete), {there} were there")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=progress_console())
