"""What the history says to those who follow it."""

from __future__ import annotations

from pathlib import Path

from store.commits import CommittedChanges
from tests.store.markets import COARSE_END, KEY, hour_file, lay
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


def test_a_commit_that_is_not_known_is_no_change_list(tmp_path: Path):
    """Another repository's, or none at all: nothing may be taken as unchanged; and no word reaches Git."""
    git(tmp_path, "init", "-q", "-b", "main")
    one = committed(tmp_path, {"README.md": b"mine\n"}, "one")
    changes = CommittedChanges(tmp_path)
    assert changes.since("0" * 39 + "1", one) is None
    for name in ("", "HEAD", "--output=x", one[:12], one + "\n"):
        assert changes.since(name, one) is None
