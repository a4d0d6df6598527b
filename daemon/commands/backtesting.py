"""`backtest`: recorded hours through the desk, and whether what was recorded is what comes out again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backtest.data import HourSource, MissingMinutes, RecordedSource, RepositorySource, recorded_markets
from backtest.engine import BRACKET, BacktestEngine
from backtest.kpis import AdviceRules, advice_kpis
from backtest.result_files import PAGE, RESULT, checked_folder, write_result
from daemon.backtest_rules import BacktestRules, default_rules, rules_of_settings, rules_recorded
from daemon.commands.backtest_checks import check_live as compare_with_records
from daemon.commands.backtest_checks import check_lookahead as run_without_the_future
from daemon.commands.kpis import kpi_table
from daemon.commands.sharing import (
    ConfigOption,
    FormatOption,
    RepoOption,
    bound_of,
    checked_format,
    console,
    fail,
    key_of,
    progress_console,
    settings_of,
)
from market.hours import Hour
from store import disk
from store.inputs import ReadOnlyStore
from store.paths import metrics_path


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    strategy: Annotated[str, typer.Argument(help="grid or another signal, or policy for all of them.")],
    key: Annotated[list[str] | None, typer.Option(help="A market; may be given several times.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First hour or day; the first recorded one if left out.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one, or a day.")] = None,
    repo: RepoOption = None,
    data: Annotated[Path | None, typer.Option(help="Recorded candles: a file, or a folder.")] = None,
    window: Annotated[str | None, typer.Option(help="Another recorded window, for example 2024AUG.")] = None,
    venue: Annotated[str | None, typer.Option(help="Only files of this venue, for example KUCOIN.")] = None,
    missing: Annotated[
        MissingMinutes, typer.Option(help="What an hour is that lacks minutes.")
    ] = MissingMinutes.HOLD,
    fills: Annotated[
        str | None, typer.Option(help="pessimistic, expected or optimistic; the configured ones if left out.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draws at a touched price.")] = None,
    bracket: Annotated[bool, typer.Option("--bracket", help="Also run all three ways of filling.")] = False,
    out: Annotated[Path | None, typer.Option(help=f"Folder that gets {RESULT} and its page, {PAGE}.")] = None,
    check_live: Annotated[
        bool, typer.Option("--check-live", help="Recompute what a repository recorded, and trade nothing.")
    ] = False,
    newest: Annotated[
        int | None, typer.Option(min=1, help="Of --check-live: only so many newest hours of each market.")
    ] = None,
    check_lookahead: Annotated[
        bool, typer.Option("--check-lookahead", help="Run again without the future: the past must stay.")
    ] = False,
    cuts: Annotated[int, typer.Option(min=1, help="Hours at which --check-lookahead cuts the data.")] = 8,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Trade recorded hours as the paper desk would have, and say what came of it.

    The same data, configuration and seed give the same bytes. Recorded candles are traded by the rules of
    --config, else by the default ones; a repository by its newest record's. With --check-live every judged
    hour, its advice and every hour of the paper desk is recomputed and compared with its record; with
    --check-lookahead the same candles are run again, cut off or with another future; exit code 1 where
    something differs.

    Example: regimed backtest grid --key ETH-USDT --data ../shared/data --bracket --out result
    """
    checked_format(form)
    keys = [key_of(each) for each in key or []]
    if data is not None and repo is not None:
        fail("--data or --repo, not both", 2)
    if check_live:
        if check_lookahead:
            fail("--check-live or --check-lookahead, not both", 2)
        if data is not None:
            fail("--check-live compares with what a repository recorded: --repo, not --data", 2)
        compare_with_records(_root(repo, config), keys, (first, last), newest, form)
        return
    if check_lookahead and data is None:
        fail(
            "--check-lookahead cuts recorded candles: --data; the hours of a repository were judged before"
            " their future was there, and --check-live compares with that",
            2,
        )
    if newest is not None:
        fail("--newest is for --check-live; name the hours of a run with --from and --to", 2)
    folder = None if out is None else checked_folder(out)
    if data is not None:
        rules, source = _recorded(keys, data, window, venue, missing, config)
    else:
        rules, source = _repository(keys, repo, config)
    start, end = _span(source, first, last)
    model = rules.trading.fills if fills is None else BRACKET.get(fills) or _no_such(fills)
    if seed is not None:
        model = model.model_copy(update={"seed": seed})
    if isinstance(source, RecordedSource) and data is not None and check_lookahead:
        candles = {each.symbol: each for each in recorded_markets(keys, data, window, venue)}
        run_without_the_future(
            strategy, source, candles, lambda: _recorded_rules(config), model, (start, end), cuts, form
        )
        return
    engine = BacktestEngine(rules.policy, rules.trading.cash, model)
    runs = engine.runs(bracket=bracket)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task(f"backtest {strategy}", total=runs * (end.index - start.index))
        result = engine.run(
            strategy,
            source,
            start,
            end,
            bracket=bracket,
            notes=rules.notes,
            advice=None
            if data is not None
            else _advice(_root(repo, config), source, start, end, repo, config),
            told=lambda: bar.update(task, advance=1),
        )
    written = () if folder is None else write_result(folder, result.as_bytes())
    if form == "json":
        sys.stdout.buffer.write(result.as_bytes())
        sys.stdout.flush()
        return
    _show(result.as_value())
    for file in written:
        print(f"written: {file}")


def _recorded(
    keys: list[str],
    data: Path,
    window: str | None,
    venue: str | None,
    missing: MissingMinutes,
    config: Path | None,
) -> tuple[BacktestRules, HourSource]:
    if not data.exists():
        fail(f"--data: {data}: no such file or folder", 2)
    if not keys:
        fail("--key: recorded candles need the market's name, for example --key ETH-USDT", 2)
    rules = _recorded_rules(config)
    source = RecordedSource.of(data, keys, rules.timeframes, window=window, venue=venue, missing=missing)
    return rules, source


def _recorded_rules(config: Path | None) -> BacktestRules:
    return default_rules() if config is None else rules_of_settings(settings_of(config))


def _advice(
    root: Path, source: HourSource, start: Hour, end: Hour, repo: Path | None, config: Path | None
) -> dict[str, Any] | None:
    """Return the KPIs of the recorded advice; by the configuration's windows and targets where one counts."""
    settings = None if repo is not None and config is None else settings_of(config)
    rules = AdviceRules() if settings is None else AdviceRules(settings.kpis, settings.outcomes)
    return advice_kpis(root, source.keys, start, end, rules)


def _repository(keys: list[str], repo: Path | None, config: Path | None) -> tuple[BacktestRules, HourSource]:
    settings = None if repo is not None and config is None else settings_of(config)
    root = _root(repo, config)
    judged = keys or disk.names_in(root / "metrics")
    if not judged:
        fail(f"{root}: no hour of any market was judged yet", 1)
    rules = _newest_rules(root, judged[0]) if settings is None else rules_of_settings(settings)
    source = RepositorySource(
        root,
        judged,
        max_missing_minutes=rules.policy.judging.max_missing_minutes,
        timeframes=rules.timeframes,
    )
    return rules, source


def _root(repo: Path | None, config: Path | None) -> Path:
    root = repo or settings_of(config).data_repository.base_path
    if not root.is_dir():
        fail(f"{root}: no such folder; name a data repository", 2)
    return root


def _newest_rules(root: Path, key: str) -> BacktestRules:
    """Return the rules that the newest record of a market names."""
    defaults = default_rules()
    store = ReadOnlyStore(
        root,
        max_missing_minutes=defaults.policy.judging.max_missing_minutes,
        timeframes=defaults.timeframes,
    )
    hours = store.inputs.judged_hours(key)
    record = store.inputs.record(key, hours[-1]) if hours else None
    if record is None:
        fail(f"{metrics_path(key, hours[-1]) if hours else f'metrics/{key}'}: no judged hour", 1)
    return rules_recorded(root, record.config_hash)


def _span(source: HourSource, first: str | None, last: str | None) -> tuple[Hour, Hour]:
    start, end = source.span
    asked = start if first is None else bound_of(first, "--from")
    until = end if last is None else bound_of(last, "--to")
    if asked >= until:
        fail(f"--from {asked} --to {until}: the first hour must lie before the last", 2)
    if asked < start or until > end:
        fail(f"--from {asked} --to {until}: recorded are {start} to {end}", 2)
    return asked, until


def _no_such(fills: str) -> NoReturn:
    fail(f"--fills: {fills!r}; expected {', '.join(BRACKET)}", 2)


def _show(value: dict[str, Any]) -> None:
    """Print what the account came to against doing nothing, holding and a grid that never pauses."""
    found, out = value["analytics"], console()
    keys, fills = ", ".join(value["keys"]), value["fill_model"]
    heading = (
        f"{value['strategy']} in {keys}, {value['start']} to {value['end']}, {len(value['hours'])} h",
        (
            f"data {value['data_digest'][:19]}..., configuration {value['config_hash'][:19]}...,"
            f" fills {fills['path']}, queue {fills['queue_position']:g}, seed {value['seed']}"
        ),
    )
    for line in heading:
        out.print(line, markup=False)
    table = Table("account", "at the end", "net", box=None, pad_edge=False)
    capital = float(value["capital"])
    rows = {"strategy": value["nav"], **value["baselines"]}
    for name, worth in rows.items():
        last = float(worth[-1])
        table.add_row(name, f"{last:.2f}", f"{last - capital:+.2f}")
    out.print(table)
    for line in _lines(found):
        out.print(line, markup=False)
    for label in ("signal", "symbol", "regime", "exit"):
        table = Table(f"by {label}", "trades", "won", "net", "fees", box=None, pad_edge=False)
        for name, each in found[f"by_{label}"].items():
            table.add_row(
                name,
                str(each["n"]),
                str(each["won"]),
                f"{float(each['net']):+.2f}",
                f"{float(each['fees']):.2f}",
            )
        if found[f"by_{label}"]:
            out.print(table)
    for title, kpis in _kpis(value["kpis"]):
        out.print(title)
        out.print(kpi_table(kpis))
    if value["bracket"] is not None:
        table = Table("fills", "net", "trades", box=None, pad_edge=False)
        for name, each in value["bracket"].items():
            table.add_row(name, f"{float(each['net']):+.2f}", str(each["trades"]))
        out.print(table)
    told = ", ".join(f"{count} {name}" for name, count in value["refusals"].items())
    out.print(f"refused: {told or 'nothing'}", markup=False)
    for note in value["notes"]:
        out.print(f"note: {note}", markup=False)


def _kpis(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    advice = found["advice"]
    titled = [("KPIs of the closed trades", found["trades"])]
    return titled if advice is None else [*titled, ("KPIs of the recorded advice", advice["kpis"])]


def _lines(found: dict[str, Any]) -> list[str]:
    net, drawdown = found["net"], found["max_drawdown"]
    parts = {name: float(text) for name, text in net.items() if name != "n"}
    return [
        (
            f"{net['n']} closed trades: net {parts['after_fees']:+.2f} = edge {parts['edge']:+.2f}"
            f" - slippage {parts['slippage']:.2f} - fees {parts['fees']:.2f}; open {parts['open']:+.2f}"
        ),
        (
            f"won {_told(found['win_rate'], '{:.0%}')}, mean R {_told(found['mean_r'], '{:+.2f}')},"
            f" Sharpe {_told(found['sharpe'], '{:.2f}')}, Sortino {_told(found['sortino'], '{:.2f}')},"
            f" deepest fall {drawdown['value']:.2%}, in the market {_told(found['time_in_market'], '{:.0%}')}"
        ),
        *([f"{net['n']} trades are too few to tell"] if found["too_few_trades"] else []),
    ]


def _told(figure: dict[str, Any], form: str) -> str:
    value = figure["value"]
    return f"{'-' if value is None else form.format(value)} (n {figure['n']})"
