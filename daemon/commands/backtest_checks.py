"""`backtest --check-live` and `--check-lookahead`: nothing is traded, hours are run again and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backtest.check_live import Difference, LiveCheck
from backtest.data import RecordedSource
from backtest.engine import BacktestEngine, desk_hours
from backtest.lookahead import Future, KeptCandles, look_ahead, spread_cuts
from daemon.backtest_rules import BacktestRules, rules_recorded
from daemon.commands.reading import Policies
from daemon.commands.sharing import Finding, fail, hour_of, print_json, progress_console
from exchanges.simulated.fills import FillModel
from market.hours import Hour
from store import disk
from store.recorded_windows import Candles


def check_live(
    root: Path, keys: list[str], span: tuple[str | None, str | None], newest: int | None, form: str
) -> None:
    """Print every difference as it is found, the counts last; any of them ends with code 1.

    Args:
        root: The data repository.
        keys: Markets; all, and the desk, when empty.
        span: First hour, and the hour after the last one.
        newest: Of these only so many of each market and of the desk, the newest; None for all.
        form: table or json.
    """
    start, end = (None if text is None else hour_of(text, "--from, --to") for text in span)
    check = LiveCheck(root, Policies(root, None), lambda name: rules_recorded(root, name))
    hours = {
        key: _newest([each for each in check.judged_hours(key) if _within(each, start, end)], newest)
        for key in keys or disk.names_in(root / "metrics")
    }
    desk = [] if keys else _newest([each for each in check.desk_hours() if _within(each, start, end)], newest)
    if not any(hours.values()):
        fail(f"{root}: no judged hour in that span", 1)
    found: list[Difference] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("check", total=sum(map(len, hours.values())) + len(desk))
        parts = [check.market(key, each) for key, each in hours.items()] + [check.desk(desk)]
        for _, differences in chain.from_iterable(parts):
            bar.update(task, advance=1)
            found += differences
            if form == "table":
                for difference in differences:
                    print(difference)
    if form == "json":
        told = [{**asdict(each), "hour": str(each.hour)} for each in found]
        print_json({"checked": dict(check.counts), "differences": told})
    else:
        counts = ", ".join(f"{count} {name}" for name, count in check.counts.items() if count)
        print(f"{counts}: {f'{len(found)} differences' if found else 'all as recorded, byte for byte'}")
    if found:
        raise Finding(1)


def _newest(hours: list[Hour], count: int | None) -> list[Hour]:
    return hours if count is None else hours[-count:]


def _within(hour: Hour, start: Hour | None, end: Hour | None) -> bool:
    return (start is None or start <= hour) and (end is None or hour < end)


def check_lookahead(
    strategy: str,
    source: RecordedSource,
    candles: Mapping[str, Candles],
    rules: Callable[[], BacktestRules],
    model: FillModel,
    span: tuple[Hour, Hour],
    cuts: int,
    form: str,
) -> None:
    """Print every hour that knew what came after it; any ends with code 1.

    Args:
        strategy: As of `backtest`.
        source: With the whole future; its order rules count in every run.
        candles: What it was made of, by market.
        rules: Makes the rules anew, so that nothing that was learnt from the whole is kept.
        model: How orders are filled.
        span: Hours, half-open.
        cuts: At how many hours, evenly spread, the future is taken away.
        form: table or json.
    """
    start, end = span
    if cuts >= end.index - start.index:
        fail(f"--cuts {cuts}: expected fewer than the {end.index - start.index} hours of the span", 2)
    kept = {key: KeptCandles(each) for key, each in candles.items()}
    at = spread_cuts(start, end, cuts)
    hours = end.index - start.index + len(Future) * sum(each.index - start.index for each in at)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("check", total=hours)
        advance = partial(bar.update, task, advance=1)

        def make(
            altered: Mapping[str, Candles],
        ) -> Callable[[Hour, Hour], Iterator[tuple[Hour, Mapping[str, Any]]]]:
            anew = rules()
            policy = BacktestEngine(anew.policy, anew.trading.cash, model).policy_for(strategy)
            seen = source.over(altered, anew.timeframes)

            def run(first: Hour, last: Hour) -> Iterator[tuple[Hour, Mapping[str, Any]]]:
                for report in desk_hours(policy, model, anew.trading.cash, seen.hours(first, last)):
                    advance()
                    yield report.hour, report.as_value()

            return run

        leaks = look_ahead(kept, make, start, end, at, model.seed)
    if form == "json":
        told = [{**asdict(each), "hour": str(each.hour), "cut": str(each.cut)} for each in leaks]
        checked = {"hours": end.index - start.index, "cuts": [str(each) for each in at]}
        print_json({"checked": {**checked, "futures": [each.value for each in Future]}, "leaks": told})
    else:
        for leak in leaks:
            print(leak)
        found = f"{len(leaks)} leaks" if leaks else "the past stays, whatever follows"
        futures = " and ".join(each.value for each in Future)
        print(f"{end.index - start.index} hours, {len(at)} cuts, {futures} in place of the future: {found}")
    if leaks:
        raise Finding(1)
