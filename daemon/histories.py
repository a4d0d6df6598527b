"""The history of regimes as commands open it: index and files of one repository, without any lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

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

LOOK_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """A repository's history of regimes, and what it is judged by.

    Attributes:
        history: Answers questions.
        index: What it reads first.
        root: The repository's work tree.
        regime: The rules' numbers.
        policy: The rules in force, costs among them.
    """

    history: RegimeHistory
    index: OfferedIndex
    root: Path
    regime: RegimeConfig
    policy: Policy

    def close(self) -> None:
        self.index.close()


class OfferedIndex:
    """The index that the daemon keeps, read only; one that is away is looked for again after a while.

    Args:
        url: Where it is.
        monotonic: Real seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float]) -> None:
        self._url, self._monotonic, self._lock = url, monotonic, Lock()
        self._opened: RegimeIndex | None = None
        self._again_at = monotonic()
        self.problem: str | None = None
        self()

    def __call__(self) -> RegimeIndex | None:
        """Return the index; None where there is none now, and `problem` says why."""
        with self._lock:
            if self._opened is None and self._monotonic() >= self._again_at:
                self._again_at = self._monotonic() + LOOK_AGAIN_S
                try:
                    self._opened, self.problem = RegimeIndex.open(self._url, create=False), None
                except IndexUnavailable as error:
                    self.problem = str(error)
            return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()


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
    clock = WallClock()
    index = OfferedIndex(_index_url(root, None if repo is not None else settings), clock.monotonic)
    regimes = RepositoryRegimes(root, RegimeEngine(regime), max_missing_minutes=policy.max_missing_minutes)
    rules = regime_rules(regime, policy.max_missing_minutes)
    history = RegimeHistory(index, regimes, rules, CommittedChanges(root), clock.monotonic)
    return OpenHistory(history, index, root, regime, policy)


def _index_url(root: Path, settings: Settings | None) -> str:
    """Return where the index is; that of a repository named alone is where the daemon keeps it by itself."""
    if settings is not None:
        return settings.index_url()
    return f"sqlite:///{root.with_name(root.name + '.state') / 'index.sqlite'}"


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
