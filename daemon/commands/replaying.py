"""`replay`: a recommendation recomputed from the inputs that it names, and compared byte for byte."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from daemon.commands.reading import Policies
from daemon.commands.sharing import ConfigOption, Finding, RepoOption, fail, progress_console, settings_of
from decisions.evaluate import evaluate
from market.errors import DataInvalid
from market.hours import Hour
from regime.analysis import ENGINE_VERSION
from store.advice import decision_ids, read_advice
from store.decision_files import DecisionFile, decision_file, decision_path, encode
from store.differences import differing_fields
from store.inputs import ReadOnlyStore


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    decision_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="2026-02-02/dec-ETH-USDT-150000")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every recommendation on record.")] = False,
    digests_only: Annotated[
        bool, typer.Option("--digests-only", help="Check only that the inputs are what they were.")
    ] = False,
    repo: RepoOption = None,
    config: ConfigOption = None,
) -> None:
    """Recompute a recommendation from the inputs that it names and compare it byte for byte.

    Exit code 1 where it differs, or where an input is no longer what it was.

    Example: regimed replay 2026-02-02/dec-ETH-USDT-150000
    """
    if every is (decision_id is not None):
        fail("name one recommendation, or --all", 2)
    root = repo or settings_of(config).data_repository.base_path
    asked = list(decision_ids(root)) if decision_id is None else [decision_id]
    if not asked:
        fail(f"{root}: no recommendation is on record there", 1)
    by_market: dict[str, list[str]] = defaultdict(list)
    for each in asked:
        by_market[_market_of(root, each)].append(each)
    replayer = Replayer(root)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    compared, differing = 0, 0
    with Progress(*columns, console=progress_console()) as bar:
        task = bar.add_task("replay", total=len(asked))
        for market, ids in by_market.items():
            for found in replayer.replayed(market, ids, digests_only=digests_only):
                compared += 1
                differing += bool(found.lines)
                bar.update(task, advance=1)
                for line in found.lines:
                    print(line if decision_id is not None else f"{found.decision_id}: {line}")
    if digests_only:
        print(f"{replayer.inputs} inputs, {replayer.changed} not what they were")
    elif decision_id is None:
        print(f"{compared} recommendations replayed: {compared - differing} identical, byte for byte")
    elif not differing:
        print(f"{decision_id}: identical, byte for byte")
    if differing:
        raise Finding(1)


def _market_of(root: Path, decision_id: str) -> str:
    """Return the market of a recommendation, from its name where its file cannot be read."""
    try:
        return read_advice(root, decision_id).file.market
    except DataInvalid:
        return decision_id.partition("/dec-")[2].rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recommendation, and in words what is not as it was recorded; no lines where nothing differs."""

    decision_id: str
    lines: tuple[str, ...]


@dataclass
class Replayer:
    """Replays recommendations of one repository, by the policies that they name.

    Attributes:
        inputs: Input files looked at so far, each once.
        changed: How many of them are not what they were.
    """

    root: Path
    _checked: dict[tuple[str, str], str | None] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        return len(self._checked)

    @property
    def changed(self) -> int:
        return sum(wrong is not None for wrong in self._checked.values())

    def replayed(self, market: str, ids: Sequence[str], *, digests_only: bool = False) -> Iterator[Replayed]:
        """Yield each recommendation of one market, compared with what it is recomputed to."""
        policies = Policies(self.root, None)
        store = ReadOnlyStore(
            self.root,
            max_missing_minutes=policies.default.max_missing_minutes,
            timeframes=policies.timeframes,
        )
        for decision_id in ids:
            try:
                file = read_advice(self.root, decision_id).file
                wrong = tuple(self._wrong_inputs(store, file.inputs.files))
                if digests_only or wrong:
                    yield Replayed(decision_id, wrong)
                    continue
                (inputs,) = store.read_inputs(market, [Hour.parse(file.hour)])
                found = evaluate(inputs, policies.named(file.config_hash))
            except DataInvalid as error:
                yield Replayed(decision_id, (f"cannot be recomputed: {error}",))
                continue
            again = {advice.id: decision_file(found, advice) for advice in found.advice}
            yield Replayed(decision_id, tuple(self._compared(file, again.get(decision_id))))

    def _wrong_inputs(self, store: ReadOnlyStore, files: Mapping[str, str]) -> Iterator[str]:
        """Yield what is wrong with the named inputs; a file that many name is read once."""
        new = {path: digest for path, digest in files.items() if (path, digest) not in self._checked}
        found = dict.fromkeys(new.items())
        for line in store.inputs.changed_inputs(new):
            path = line.split(": ", 1)[0]
            found[path, new[path]] = line
        self._checked.update(found)
        told = (self._checked[each] for each in sorted(files.items()))
        return (line for line in told if line is not None)

    def _compared(self, recorded: DecisionFile, now: DecisionFile | None) -> Iterator[str]:
        if recorded.engine_version != ENGINE_VERSION:
            yield f"recorded by engine {recorded.engine_version}, this is engine {ENGINE_VERSION}"
        path = self.root / decision_path(recorded.id)
        if now is None or encode(now) != path.read_bytes():
            both = recorded.model_dump(mode="json"), None if now is None else now.model_dump(mode="json")
            yield from (f"{place}: {words}" for place, words in differing_fields(*both))
