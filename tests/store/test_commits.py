"""What the history says to those who follow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import RepositoryUnusable
from market.hours import Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.commits import CommittedChanges
from store.regime_rows import RepositoryRegimes
from tests.daemon.regimes import history
from tests.store.markets import COARSE_END, KEY, coarse_files, hour_file, lay
from tests.store.samples import git


def committed(root: Path, files: dict[str, bytes], message: str) -> str:
    lay(root, files)
    git(root, "add", "-A")
    git(root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD").strip()


def test_changes_of_market_data_between_commits(tmp_path: Path):
    """Snapshots and candles only; the newest commit is found loose, packed and detached."""
    assert CommittedChanges(tmp_path).head() is None
    git(tmp_path, "init", "-q", "-b", "main")
    changes = CommittedChanges(tmp_path)
    assert changes.head() is None
    one = committed(tmp_path, {"README.md": b"mine\n"}, "one")
    assert changes.head() == one
    hour = hour_file(COARSE_END)
    two = committed(tmp_path, {**hour, f"metrics/{KEY}/2024-06-10-00.yaml": b"a: 1\n"}, "two")
    assert changes.since(one, two) == tuple(hour)
    assert changes.since(two, one) == tuple(hour) and changes.since(two, two) == ()
    assert changes.head() == two
    git(tmp_path, "pack-refs", "--all")
    assert changes.head() == two
    git(tmp_path, "checkout", "-q", "--detach", one)
    assert CommittedChanges(tmp_path).head() == one


def test_a_branch_that_is_switched_is_followed(tmp_path: Path):
    """The head is that of the files that lie there."""
    git(tmp_path, "init", "-q", "-b", "main")
    one = committed(tmp_path, {"README.md": b"mine\n"}, "one")
    changes = CommittedChanges(tmp_path)
    assert changes.head() == one
    git(tmp_path, "switch", "-q", "-c", "other")
    two = committed(tmp_path, {"README.md": b"other\n"}, "two")
    assert changes.head() == two
    git(tmp_path, "switch", "-q", "main")
    assert changes.head() == one


def test_git_that_does_not_answer_is_no_unchanged_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is an error, and asked again; a commit that comes later is known then."""
    git(tmp_path, "init", "-q", "-b", "main")
    one = committed(tmp_path, {"README.md": b"mine\n"}, "one")
    two = committed(tmp_path, hour_file(COARSE_END), "two")
    changes = CommittedChanges(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(RepositoryUnusable, match="git"):
            changes.since(one, two)
    assert changes.since(one, two) == tuple(hour_file(COARSE_END))


def test_a_head_that_git_has_to_be_asked_for_may_stay_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Packed, and Git does not answer: an error, not a repository without a commit."""
    git(tmp_path, "init", "-q", "-b", "main")
    committed(tmp_path, {"README.md": b"mine\n"}, "one")
    git(tmp_path, "pack-refs", "--all")
    changes = CommittedChanges(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RepositoryUnusable, match="git"):
        changes.head()
    assert history(tmp_path, None).version  # who only asks goes on without it


def test_a_reader_that_cannot_tell_what_changed_reads_everything_anew(tmp_path: Path):
    """Rows of an hour that was revised are those of the new file, whether it was named or not."""
    lay(tmp_path, coarse_files() | hour_file(COARSE_END))
    source = RepositoryRegimes(tmp_path, RegimeEngine(RegimeConfig()), max_missing_minutes=3)
    span = (KEY, Timeframe.H1, COARSE_END.open_ts, COARSE_END.close_ts)
    before = source.part(*span).bars.close.tolist()
    lay(tmp_path, hour_file(COARSE_END, seed=9))
    assert source.part(*span).bars.close.tolist() == before
    source.notice(None)
    assert source.part(*span).bars.close.tolist() != before


def test_a_commit_that_is_not_known_is_no_change_list(tmp_path: Path):
    """Another repository's, or none at all: nothing may be taken as unchanged; and no word reaches Git."""
    git(tmp_path, "init", "-q", "-b", "main")
    one = committed(tmp_path, {"README.md": b"mine\n"}, "one")
    changes = CommittedChanges(tmp_path)
    assert changes.since("0" * 39 + "1", one) is None
    for name in ("", "HEAD", "--output=x", one[:12], one + "\n"):
        assert changes.since(name, one) is None
