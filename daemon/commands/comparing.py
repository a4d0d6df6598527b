"""`compare`: the shadow configuration beside the one in force, or paper beside its backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from daemon.commands.comparing_paper import compare_paper
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    RepoOption,
    bound_of,
    checked_format,
    console,
    fail,
    print_json,
    progress_console,
    settings_of,
)
from decisions.shadow import WEEK_H, Advised, Agreement, agreement
from market.hours import Hour
from market.keys import checked_key
from regime.analysis import Verdict
from store.shadow_hours import ShadowHours, markets_in_shadow, shadow_hours

SHOWN = 20  # rows of a table; JSON holds them all
_VERDICTS = (*(verdict.value for verdict in Verdict), None)


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    shadow: Annotated[
        bool, typer.Option("--shadow", help="The shadow beside the judgements in force.")
    ] = False,
    backtest: Annotated[
        Path | None, typer.Option("--backtest", help="A backtest's result, beside what paper did since.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="One market; all of them when left out.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First hour or day; the shadow's first one if left out.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one, or a day.")] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Show how far the newest shadow agrees with what was judged: verdicts, p, advice, exit states.

    From the files alone. Exit code 1 where the shadow failed in an hour or a record is damaged: it is not fit
    to take over. A week, 168 compared hours, is what a shadow should run before.

    With --backtest the paper desk stands beside a backtest of the same hours; exit code 1 where it earned
    less than the tolerance allows, or paid other fees.

    Example: regimed compare --shadow --key ETH-USDT
    """
    checked_format(form)
    if shadow is (backtest is not None):
        fail("compare: say what to compare: --shadow, or --backtest RESULT", 2)
    if backtest is not None:
        if key or first or last:
            fail(
                "--backtest compares the whole account over all common hours; leave --key, --from, --to out",
                2,
            )
        compare_paper(backtest, _root(repo, config), form)
        return
    start = None if first is None else bound_of(first, "--from")
    end = None if last is None else bound_of(last, "--to")
    if start is not None and end is not None and start >= end:
        fail(f"--from {start} --to {end}: the first hour must lie before the last", 2)
    root = _root(repo, config)
    found = {name: hours for name in _keys(root, key) if (hours := _read(root, name, start, end)) is not None}
    if not found:
        fail(f"{root}: no hour with a record of a shadow in that span", 1)
    if form == "json":
        print_json([_as_value(name, hours) for name, hours in found.items()])
    else:
        for name, hours in found.items():
            _show(name, hours, console())
    if any(hours.failed or hours.damaged for hours in found.values()):
        raise Finding(1)


def _root(repo: Path | None, config: Path | None) -> Path:
    root = repo or settings_of(config).data_repository.base_path
    if not root.is_dir():
        fail(f"{root}: no such folder; name a data repository", 2)
    return root


def _keys(root: Path, key: str | None) -> list[str]:
    known = list(markets_in_shadow(root))
    if key is None:
        if not known:
            fail(
                f"{root}: no hour was judged in shadow yet; name a file under `shadow` in the configuration",
                1,
            )
        return known
    try:
        checked_key(key)
    except ValueError as error:
        fail(f"--key: {error}", 2)
    if key not in known:
        told = f"known: {', '.join(known)}" if known else "no market has one yet"
        fail(f"{root}: {key} has no record of a shadow; {told}", 1)
    return [key]


def _read(root: Path, key: str, start: Hour | None, end: Hour | None) -> ShadowHours | None:
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task(f"compare {key}", total=None)
        return shadow_hours(
            root, key, start, end, lambda done, total: bar.update(task, completed=done, total=total)
        )


def _as_value(key: str, hours: ShadowHours) -> dict[str, Any]:
    found = agreement(hours.pairs)
    share = found.share
    return {
        "market": key,
        "shadow": hours.config_hash,
        "in_force": dict(hours.in_force),
        "from": str(hours.start),
        "to": str(hours.end),
        "hours": {
            "judged": hours.judged,
            "compared": found.compared,
            "week_complete": found.hours_to_a_week == 0,
            "to_a_week": found.hours_to_a_week,
            "without_shadow": [str(hour) for hour in hours.missing],
            "failed": {str(hour): reason for hour, reason in sorted(hours.failed.items())},
            "damaged": {str(hour): reason for hour, reason in sorted(hours.damaged.items())},
            "opened_fresh": [str(hour) for hour in hours.fresh],
            "of_other_shadows": dict(hours.others),
        },
        "verdicts": {
            "n": found.judged,
            "equal": found.equal,
            "share": None if share is None else share[0],
            "interval": None if share is None else list(share[1:]),
            "confusion": [
                {"in_force": ours, "shadow": theirs, "hours": count}
                for (ours, theirs), count in sorted(found.verdicts.items(), key=lambda item: -item[1])
            ],
        },
        "hold_probability": {
            "n": found.p_pairs,
            "mean_difference": found.p_difference,
            "mean_distance": found.p_distance,
        },
        "advice": {
            "n": found.grid_hours,
            "differs": [
                {
                    "hour": str(each.hour),
                    "grid_id": each.grid_id,
                    "in_force": _advised(each.in_force),
                    "shadow": _advised(each.shadow),
                }
                for each in found.other_actions
            ],
        },
        "exit_states": {
            "n": found.exit_hours,
            "differs": [
                {
                    "hour": str(each.hour),
                    "grid_id": each.grid_id,
                    "in_force": each.in_force,
                    "shadow": each.shadow,
                }
                for each in found.other_exits
            ],
        },
    }


def _advised(advised: Advised | None) -> dict[str, str] | None:
    return None if advised is None else {"action": advised.action, "reason": advised.reason}


def _show(key: str, hours: ShadowHours, out: Console) -> None:
    found = agreement(hours.pairs)
    for line in _heading(key, hours, found):
        out.print(line, markup=False)
    if found.compared:
        out.print(_confusion(found))
    out.print(f"advice differs in {len(found.other_actions)} of {found.grid_hours} pieces", markup=False)
    if found.other_actions:
        table = Table("hour", "grid", "in force", "why", "shadow", "why", box=None, pad_edge=False)
        for action in found.other_actions[:SHOWN]:
            table.add_row(str(action.hour), action.grid_id, *_cells(action.in_force), *_cells(action.shadow))
        out.print(table)
        _and_more(out, len(found.other_actions))
    out.print(f"exit states differ in {len(found.other_exits)} of {found.exit_hours}", markup=False)
    if found.other_exits:
        table = Table("hour", "grid", "in force", "shadow", box=None, pad_edge=False)
        for state in found.other_exits[:SHOWN]:
            table.add_row(str(state.hour), state.grid_id, state.in_force or "-", state.shadow or "-")
        out.print(table)
        _and_more(out, len(found.other_exits))
    for words, named in (("failed", hours.failed), ("damaged", hours.damaged)):
        for hour in sorted(named)[:SHOWN]:
            out.print(f"{words}: {hour}: {named[hour]}", markup=False)
        _and_more(out, len(named))


def _heading(key: str, hours: ShadowHours, found: Agreement) -> list[str]:
    beside = ", ".join(_short(name) for name in hours.in_force) or "nothing"
    counts = (
        f"{hours.judged} hours judged, {found.compared} compared, {len(hours.missing)} without a shadow,"
        f" {len(hours.failed)} failed, {len(hours.damaged)} damaged;"
        f" gates and exit states opened fresh in {len(hours.fresh)}"
    )
    lines = [
        f"{key} {hours.start} to {hours.end}: shadow {_short(hours.config_hash)} beside {beside}",
        counts,
    ]
    if hours.others:
        left_out = ", ".join(f"{count} of {_short(name)}" for name, count in hours.others.items())
        lines.append(f"hours of other shadows are left out: {left_out}")
    if found.hours_to_a_week:
        lines.append(f"a week is not complete yet: {found.compared} of {WEEK_H} hours compared")
    if (share := found.share) is not None:
        lines.append(
            f"verdicts equal in {share[0]:.0%} ({found.equal} of {found.judged};"
            f" 95 % {share[1]:.0%} to {share[2]:.0%})"
        )
    if found.p_difference is not None:
        lines.append(
            f"p of the shadow less p in force: {found.p_difference:+.3f} on average,"
            f" {found.p_distance:.3f} apart (n {found.p_pairs})"
        )
    return lines


def _short(config_hash: str) -> str:
    return f"{config_hash[:19]}..." if config_hash else "unknown"


def _confusion(found: Agreement) -> Table:
    table = Table(
        "in force \\ shadow", *(name or "no verdict" for name in _VERDICTS), box=None, pad_edge=False
    )
    for ours in _VERDICTS:
        counts = [found.verdicts.get((ours, theirs), 0) for theirs in _VERDICTS]
        if any(counts):
            table.add_row(ours or "no verdict", *(str(count) for count in counts))
    return table


def _cells(advised: Advised | None) -> tuple[str, str]:
    return ("-", "") if advised is None else (advised.action, advised.reason)


def _and_more(out: Console, count: int) -> None:
    if count > SHOWN:
        out.print(f"and {count - SHOWN} more; --format json holds all", markup=False)
