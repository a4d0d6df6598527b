"""`regimed evaluate`: what became of each recommendation, written now where it is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from daemon.commands.clocks import ClockOption, clock_beside
from daemon.commands.history import Write, writing
from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    checked_format,
    console,
    day_named,
    in_loop,
    print_json,
    settings_of,
)
from daemon.evaluating import LookBack, Looked
from daemon.settings import Settings
from decisions.outcomes import Horizon
from market.errors import HistoryRefused, RepositoryUnusable
from market.hours import instant_iso
from market.ports import Clock
from store.advice import decision_ids
from store.change_set import ChangeSet
from store.decision_files import evaluation_path
from store.grids import GridShelf
from store.ledger import Ledger
from store.minutes import MinuteShelf
from store.outcomes import OpenHorizon, close_named, encode_evaluation, open_horizons

BATCH = 500
_LISTED = 20


def register(app: typer.Typer) -> None:
    app.command()(evaluate)


@dataclass
class _Found:
    """What the command did and what it could not do."""

    evaluated: list[Looked] = field(default_factory=list)
    waiting: list[OpenHorizon] = field(default_factory=list)
    not_evaluated: list[Looked] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)


def evaluate(
    since: Annotated[
        str | None, typer.Option(help="First day of recommendations, 2026-02-02; all if left out.")
    ] = None,
    config: ConfigOption = None,
    clock: ClockOption = None,
    form: FormatOption = "table",
) -> None:
    """Evaluate now what is due 24 hours, 72 hours and 7 days after its recommendation, each once.

    Says what waits and until when, and what cannot be evaluated and why. Exit code 1 where a record that it
    needs is damaged or gone.

    Example: regimed evaluate --since 2026-02-02
    """
    checked_format(form)
    if since is not None:
        day_named(since, "--since")
    settings = settings_of(config)
    time = clock_beside(clock, settings)
    root = settings.data_repository.base_path
    if not (root / ".git").is_dir():
        raise RepositoryUnusable(f"{root}: not a data repository; there is no .git folder in it")

    async def work() -> _Found:
        async with writing(settings, time) as write:
            return await _evaluated(settings, since, time, write)

    found = in_loop(work)
    if form == "json":
        print_json(_as_json(found))
    else:
        _show(found)
    if any(each.is_damaged for each in found.not_evaluated):
        raise Finding(1)


async def _evaluated(settings: Settings, since: str | None, clock: Clock, write: Write) -> _Found:
    root, found = settings.data_repository.base_path, _Found()
    grids = GridShelf(root)
    look_back = LookBack(
        root, MinuteShelf(root), settings.policy(), settings.outcomes, grids.records(), grids.faults
    )
    for market in settings.markets:
        newest = Ledger(root).newest_judged(market.key)
        made: list[Looked] = []
        for each in open_horizons(root, market.key, since):
            if newest is None or each.ends_at > newest.closes_at:
                found.waiting.append(each)
                continue
            looked = look_back.at(market, each.decision_id, each.horizon, clock.now())
            (found.not_evaluated if looked.file is None else made).append(looked)
            if len(made) >= BATCH:
                await _recorded(root, market.key, made, found, write)
                made = []
        await _recorded(root, market.key, made, found, write)
    found.not_evaluated += _of_other_markets(root, [market.key for market in settings.markets], since)
    return found


async def _recorded(root: Path, key: str, made: list[Looked], found: _Found, write: Write) -> None:
    """Commit evaluations; those that the running daemon wrote meanwhile stay as they are."""
    files = {each.path: encode_evaluation(each.file) for each in made if each.file is not None}
    while files:
        try:
            what = f"[eval] {key} {len(files)} evaluations by hand"
            found.commits.append(await write(ChangeSet(files, what)))
            break
        except HistoryRefused:
            absent = {path: data for path, data in files.items() if not (root / path).exists()}
            if len(absent) == len(files):
                raise
            files = absent
    found.evaluated += [each for each in made if each.path in files]


def _of_other_markets(root: Path, keys: list[str], since: str | None) -> Iterator[Looked]:
    for decision_id in decision_ids(root, since):
        if any(close_named(decision_id, key) is not None for key in keys):
            continue
        for horizon in Horizon:
            if not (root / evaluation_path(decision_id, horizon.value)).exists():
                yield Looked(decision_id, horizon, None, "its market is not configured")


def _as_json(found: _Found) -> dict[str, Any]:
    return {
        "evaluated": [
            {"decision": each.decision_id, **each.file.outcome}
            for each in found.evaluated
            if each.file is not None
        ],
        "waiting": [
            {
                "decision": each.decision_id,
                "horizon": each.horizon.value,
                "until": instant_iso(each.ends_at),
            }
            for each in found.waiting
        ],
        "not_evaluated": [
            {
                "decision": each.decision_id,
                "horizon": each.horizon.value,
                "reason": each.reason,
                "damaged": each.is_damaged,
            }
            for each in found.not_evaluated
        ],
        "commits": found.commits,
    }


def _show(found: _Found) -> None:
    out = console()
    if found.evaluated:
        table = Table("decision", "after", "worth", "right", "realised", "followed", box=None, pad_edge=False)
        for each in found.evaluated:
            assert each.file is not None
            outcome = each.file.outcome
            quality = outcome["recommendation_quality"]
            impact = quality["quote_impact"]
            table.add_row(
                each.decision_id,
                each.horizon.value,
                "-" if impact is None else f"{impact:+.2f} {quality['quote']}",
                _yes_or_no(quality["correct"]),
                outcome["realised_verdict"] or "-",
                _yes_or_no(outcome["action_quality"]["followed"]),
            )
        out.print(table)
    commits = "".join(f", commit {commit}" for commit in found.commits)
    out.print(f"{len(found.evaluated)} evaluated{commits}")
    for horizon in Horizon:
        ends = sorted(each.ends_at for each in found.waiting if each.horizon is horizon)
        if ends:
            out.print(
                f"{len(ends)} wait for {horizon.value}: the next until {_words(ends[0])},"
                f" the last until {_words(ends[-1])}"
            )
    why = Counter(each.reason for each in found.not_evaluated)
    for reason, count in why.most_common(_LISTED):
        first = next(each for each in found.not_evaluated if each.reason == reason)
        more = "" if count == 1 else f" and {count - 1} more"
        out.print(f"cannot be evaluated: {first.decision_id} {first.horizon.value}{more}: {reason}")
    if len(why) > _LISTED:
        out.print(f"and {len(why) - _LISTED} more reasons; see --format json")


def _yes_or_no(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"


def _words(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
