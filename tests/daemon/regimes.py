"""A repository with a history of regimes, its index, and who keeps and asks it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from daemon.indexing import IndexKeeper
from daemon.regimes import RegimeHistory
from market.hours import Timeframe
from market.window import MarketWindow
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.series import STORED, RegimeRules
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.reader import SnapshotReader
from store.regime_rows import EVERYTHING, RepositoryRegimes, SeriesPart, recorded_span
from tests.store.markets import KEY, lay
from tests.store.samples import git

CONFIG = RegimeConfig()
RULES = RegimeRules(1, "sha256:" + "1" * 64)
NOW = datetime(2024, 7, 1, tzinfo=UTC)


@dataclass
class Standing:
    """A clock of seconds that a test moves."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def repository(root: Path, files: dict[str, bytes]) -> Path:
    """Return a new repository with these files committed."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    commit(root, files)
    return root


def commit(root: Path, files: dict[str, bytes]) -> None:
    lay(root, files)
    git(root, "add", "-A")
    git(root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "more", "--allow-empty")


def regimes(root: Path, config: RegimeConfig = CONFIG) -> RepositoryRegimes:
    return RepositoryRegimes(root, RegimeEngine(config), max_missing_minutes=3)


def keeper(
    root: Path,
    index: RegimeIndex,
    *,
    config: RegimeConfig = CONFIG,
    rules: RegimeRules = RULES,
    by_hour: bool = False,
) -> IndexKeeper:
    """Return a keeper; `by_hour` reads single hours as the daemon does."""
    engine = RegimeEngine(config)

    def window(key: str, hour) -> MarketWindow:
        reader = SnapshotReader(root, max_missing_minutes=3)
        return reader.load_window(key, hour, engine.timeframes(), EVERYTHING)

    return IndexKeeper(
        lambda: index,
        regimes(root, config),
        engine,
        rules,
        CommittedChanges(root),
        lambda: NOW,
        window if by_hour else None,
    )


def history(
    root: Path,
    index: RegimeIndex | None,
    *,
    rules: RegimeRules = RULES,
    clock: Standing | None = None,
    bounded: bool = False,
) -> RegimeHistory:
    changes = CommittedChanges(root)
    return RegimeHistory(lambda: index, regimes(root), rules, changes, clock or Standing(), bounded=bounded)


def direct(root: Path, timeframe: Timeframe, key: str = KEY) -> SeriesPart:
    """Return the whole series computed from the files alone."""
    span = recorded_span(root, key)
    assert span is not None
    return regimes(root).part(key, timeframe, *span)


def contents(index: RegimeIndex) -> dict[object, object]:
    """Return everything that an index holds, but when and how often it was written, and in which scale."""
    found: dict[object, object] = {}
    for (symbol, timeframe), state in index.states().items():
        rows = index.get_regimes(symbol, timeframe, 0, 2**40)
        bars = index.get_candles(symbol, timeframe, 0, 2**40)
        found[symbol, timeframe] = (
            rows.ts.tolist(),
            rows.full.tolist(),
            rows.verdict.tolist(),
            rows.confidence.tolist(),
            [column.tolist() for column in bars.rescaled(10**6 // state.price_scale, 1).columns()[:-1]],
            (bars.volume / state.volume_scale).tolist(),
            [
                (each.period, each.open / state.price_scale, each.close / state.price_scale)
                for each in index.periods(symbol, timeframe, 0, 2**40)
            ],
            (state.rules, state.first_ts, state.last_ts),
            (state.filled_to_ts, state.source, state.counts.to_bytes()),
        )
    assert {timeframe for _, timeframe in index.states()} <= set(STORED)
    return found
