"""`regimed sweep`: thousands of grids over the same recorded minutes, and how little the best one means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backtest.data import QUOTE_MINIMUM
from backtest.executors import DaskExecutor, Executor, LocalExecutor
from backtest.parameters import parameter_sets
from backtest.sweep import SweepPlan, tasks_of
from backtest.sweep_files import SETS_A_PART, manifest_of, opened
from backtest.sweep_source import Account, increments_told, market_named, plan_of
from backtest.sweep_summary import summary_of
from daemon.commands.sharing import (
    FormatOption,
    bound_of,
    checked_format,
    console,
    fail,
    key_of,
    print_json,
    progress_console,
)
from market.costs import FEES_BY_KIND, LIQUIDITY_BY_TIER, Fees, OrderCosts

_FEES = FEES_BY_KIND["kucoin"]
_TIER = LIQUIDITY_BY_TIER["major"]


def register(app: typer.Typer) -> None:
    app.command()(sweep)


def sweep(
    key: Annotated[str, typer.Option(help="Market, for example ETH-USDT.")],
    grid: Annotated[str, typer.Option(help="levels=5..60:5,width=4/8/12,spacing=geometric,stop=none/5")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep; an interrupted one goes on there.")],
    data: Annotated[Path, typer.Option(help="Recorded minutes: a folder, or one 1m file.")],
    first: Annotated[str | None, typer.Option("--from", help="First hour or day; all if left out.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one, or a day.")] = None,
    venue: Annotated[str | None, typer.Option(help="Only files of this venue: BINANCE.")] = None,
    window: Annotated[str | None, typer.Option(help="Another recorded window of minutes: 2025MAR.")] = None,
    engine: Annotated[str, typer.Option(help="local (processes of this machine) or dask.")] = "local",
    address: Annotated[str | None, typer.Option(help="Dask scheduler: tcp://HOST:8786.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Local processes; one a core if left out.")
    ] = None,
    every: Annotated[
        int, typer.Option(min=0, help="Days after which grids are placed anew; 0 for once.")
    ] = 7,
    train: Annotated[int, typer.Option(min=1, help="Days that each walk-forward step chooses on.")] = 28,
    capital: Annotated[str, typer.Option(help="Of each grid, quote coin.")] = "10000",
    maker_bps: Annotated[float, typer.Option(help="Fee of a resting order.")] = _FEES.maker_bps,
    taker_bps: Annotated[float, typer.Option(help="Fee of a market order.")] = _FEES.taker_bps,
    slippage_bps: Annotated[
        float, typer.Option(help="What a market order pays beside its fee.")
    ] = _TIER.half_spread_bps + _TIER.slippage_bps,
    price_increment: Annotated[str | None, typer.Option(help="From the recording if left out.")] = None,
    base_increment: Annotated[str | None, typer.Option(help="From the recording if left out.")] = None,
    min_size: Annotated[
        str | None, typer.Option(help="Least order, coin; the increment if left out.")
    ] = None,
    min_funds: Annotated[str, typer.Option(help="Least order, quote coin; KuCoin's if left out.")] = str(
        QUOTE_MINIMUM
    ),
    optimistic: Annotated[
        bool, typer.Option("--optimistic", help="Believe the better way through each minute, not the worse.")
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Run every combination of grid parameters over the same minutes; keep all results as Parquet in --out.

    The best of thousands is good by luck alone: beside it stand what choosing in advance would have earned,
    the deflated Sharpe ratio and the odds that the choice is overfitted. Killed or interrupted, the same
    command goes on.

    Example: regimed sweep --key ETH-USDT --data ../shared/data --grid levels=5..60:5,width=4..40:2 --out eth
    """
    checked_format(form)
    key_of(key)
    executor = _executor(engine, address, workers)
    sets = parameter_sets(grid)
    start = None if first is None else bound_of(first, "--from")
    end = None if last is None else bound_of(last, "--to")
    if start is not None and end is not None and start >= end:
        fail(f"--from {start} --to {end}: the first hour must lie before the last", 2)
    if not data.exists():
        fail(f"--data: {data}: no such file or folder", 2)
    try:
        costs = OrderCosts.of(Fees(maker_bps=maker_bps, taker_bps=taker_bps), slippage_bps)
    except ValueError as error:
        fail(f"--maker-bps, --taker-bps, --slippage-bps: {error}", 2)
    account = Account(
        _amount(capital, "--capital"),
        costs,
        None if price_increment is None else _amount(price_increment, "--price-increment"),
        None if base_increment is None else _amount(base_increment, "--base-increment"),
        None if min_size is None else _amount(min_size, "--min-size"),
        _amount(min_funds, "--min-funds"),
    )
    market = market_named(data, key, venue, window)
    plan = plan_of(market, account, start, end, every, pessimistic=not optimistic)
    tasks = list(tasks_of(sets, SETS_A_PART))
    with opened(out, plan, sets) as folder:
        done = folder.done(tasks)
        left = [task for task in tasks if task.number not in done]
        with _progress() as bar:
            shown = bar.add_task(f"sweep {key}", total=len(tasks), completed=len(done))
            for part in executor.run(plan, left):
                folder.write(tasks[part.number], part)
                bar.advance(shown)
        whole = folder.whole(tasks)
        manifest = manifest_of(plan, sets, SETS_A_PART)
        summary = summary_of(plan, sets, whole, manifest, train) | {"venue": market.exchange}
        folder.write_whole(whole, summary)
    if form == "json":
        print_json(summary)
    else:
        _show(plan, summary, console())


def _executor(engine: str, address: str | None, workers: int | None) -> Executor:
    if engine == "local":
        if address is not None:
            fail("--address names a Dask scheduler and needs --engine dask", 2)
        return LocalExecutor(workers or os.cpu_count() or 1)
    if engine != "dask":
        fail(f"--engine: {engine!r} is neither local nor dask", 2)
    if address is None:
        fail("--engine dask needs --address, for example tcp://127.0.0.1:8786", 2)
    if workers is not None:
        fail("--workers counts local processes; a Dask cluster has its own", 2)
    return DaskExecutor(address)


def _amount(text: str, option: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        fail(f"{option}: {text!r}, expected a number", 2)
    if not value.is_finite() or not 0 < value < Decimal(10) ** 12:
        fail(f"{option}: {text}, expected more than 0 and less than 10^12", 2)
    return value


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=progress_console())


def _show(plan: SweepPlan, summary: Mapping[str, Any], out: Console) -> None:
    for line in _heading(plan, summary):
        out.print(line, markup=False)
    if not summary["best"]:
        return
    table = Table(
        "set", "net", "%", "fees", "cycles", "stops", "drawdown %", "Sharpe/y", box=None, pad_edge=False
    )
    for each in summary["best"]:
        ratio = each["sharpe_a_year"]
        table.add_row(
            each["name"],
            each["net"],
            f"{each['return_pct']:.2f}",
            each["fees"],
            str(each["cycles"]),
            str(each["stops"]),
            f"{each['max_drawdown_pct']:.2f}",
            "-" if ratio is None else f"{ratio:.2f}",
        )
    out.print(table)
    for line in _judged(summary):
        out.print(line, markup=False)


def _heading(plan: SweepPlan, summary: Mapping[str, Any]) -> list[str]:
    manifest, sets = summary["manifest"], summary["sets"]
    span = f"{manifest['start']} to {manifest['end']}: {manifest['minutes']} minutes"
    earned = f"holding earned {summary['baselines']['hold']}, cash 0"
    return [
        f"{plan.key} ({summary['venue']}) {span}, {summary['days']} days in {summary['periods']} periods",
        increments_told(plan),
        f"{sets['run']} sets run, {sum(sets['refused'].values())} refused; {earned}",
        *(f"refused: {count} x {why}" for why, count in sets["refused"].items()),
    ]


def _judged(summary: Mapping[str, Any]) -> list[str]:
    net, deflated, walked = summary["net"], summary["deflated_sharpe"], summary["walk_forward"]
    beaten = f"{net['above_cash']:.0%} earned more than cash, {net['above_hold']:.0%} more than holding"
    lines = [f"of all sets {beaten}; the median earned {net['median']}"]
    if "undefined" in deflated:
        lines.append(f"deflated Sharpe ratio of the best: none, {deflated['undefined']}")
    else:
        milder = f"{deflated['probability_independent']:.0%} if worth"
        sure = f"{deflated['probability']:.0%} sure that it is not luck"
        lines.append(
            f"deflated Sharpe ratio of the best: {sure} among {deflated['trials']}"
            f" ({milder} {deflated['independent_trials']:.1f}; n {deflated['days']} days)"
        )
    overfitted = summary["overfitting_probability"]
    if "undefined" in overfitted:
        lines.append(f"odds of overfitting: none, {overfitted['undefined']}")
    else:
        odds = f"{overfitted['probability']:.0%}"
        lines.append(f"odds that the best of one half of the time is below the median in the other: {odds}")
    if "undefined" in walked:
        lines.append(f"walk forward: none, {walked['undefined']}")
    else:
        then = f"{walked['trained_pct_a_period']:+.2f} % a period there"
        after = f"{walked['tested_pct_a_period']:+.2f} % in the next one"
        median = f"{walked['median_of_all_pct_a_period']:+.2f} % (n {walked['n']})"
        lines.append(
            f"walk forward: the best of {walked['train_periods']} periods earned {then}, {after};"
            f" the median of all sets {median}"
        )
    return [*lines, *(f"note: {note}" for note in summary["notes"])]
