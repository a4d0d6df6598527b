"""The history of regimes as commands open it: index and files of one repository, without any lock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.clock import WallClock
from daemon.regimes import RegimeHistory
from daemon.settings import CollectionSettings, Settings, policy_of_repository, regime_rules
from decisions.inputs import Policy
from market.errors import IndexUnavailable, RepositoryUnusable
from market.hours import Hour
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.commits import CommittedChanges
from store.index.regime_index import RegimeIndex
from store.ledger import Ledger
from store.paths import metrics_path
from store.records import decode_metrics
from store.regime_rows import RepositoryRegimes, market_keys


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """A repository's history of regimes, and what it is judged by.

    Attributes:
        history: Answers questions.
        index: What it reads first; None where there is none.
        no_index: Why there is none, in words; None where there is one.
        root: The repository's work tree.
        regime: The rules' numbers.
        policy: The rules in force, costs among them.
    """

    history: RegimeHistory
    index: RegimeIndex | None
    no_index: str | None
    root: Path
    regime: RegimeConfig
    policy: Policy

    def close(self) -> None:
        if self.index is not None:
            self.index.close()


def open_history(repo: Path | None, settings: Settings | None) -> OpenHistory:
    """Return the history of a repository; an index that is away or unusable leaves everything to the files.

    Args:
        repo: A repository; None takes the configured one.
        settings: The configuration: its rules count; None takes those of the repository's newest record.

    Raises:
        RepositoryUnusable: No such folder.
        DataInvalid: The record that names the rules, or the rules themselves, cannot be read.
        ValueError: Neither a repository nor a configuration.
    """
    if repo is not None:
        root = repo
    elif settings is not None:
        root = settings.data_repository.base_path
    else:
        raise ValueError("neither a repository nor a configuration to find one by")
    if not root.is_dir():
        raise RepositoryUnusable(f"{root}: no such folder; name a data repository")
    root = root.absolute()
    policy = _policy_of_newest(root) if settings is None else settings.policy()
    regime = policy.engine.config
    index, no_index = _index(_index_url(root, None if repo is not None else settings))
    regimes = RepositoryRegimes(root, RegimeEngine(regime), max_missing_minutes=policy.max_missing_minutes)
    history = RegimeHistory(
        lambda: index,
        regimes,
        regime_rules(regime, policy.max_missing_minutes),
        CommittedChanges(root),
        WallClock().monotonic,
    )
    return OpenHistory(history, index, no_index, root, regime, policy)


def _index_url(root: Path, settings: Settings | None) -> str | None:
    """Return where the index is; None while there is none."""
    if settings is not None and settings.index.url is not None:
        return settings.index_url()
    state = root.with_name(root.name + ".state") if settings is None else settings.state_path
    file = state.absolute() / "index.sqlite"
    return f"sqlite:///{file}" if file.is_file() else None


def _index(url: str | None) -> tuple[RegimeIndex | None, str | None]:
    if url is None:
        return None, "there is no index"
    try:
        return RegimeIndex.open(url, create=False), None
    except IndexUnavailable as error:
        return None, str(error)


def _policy_of_newest(root: Path) -> Policy:
    """Return the rules that the newest record of any market names; the usual ones where nothing is judged."""
    ledger, newest = Ledger(root), list[tuple[Hour, str]]()
    for key in market_keys(root):
        hour = ledger.newest_judged(key)
        if hour is not None:
            newest.append((hour, key))
    if not newest:
        usual = CollectionSettings().max_missing_minutes
        return Policy("default", RegimeEngine(RegimeConfig()), usual)
    hour, key = max(newest)
    path = metrics_path(key, hour)
    return policy_of_repository(
        root, decode_metrics((root / path).read_bytes(), path, (key, hour)).config_hash
    )
