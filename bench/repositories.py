"""Data repositories that hold many files already, and the way most programs commit to one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import git

from market.hours import Hour
from store.paths import SnapshotName

_OLDEST = Hour.parse("2015-01-01T00")
_WHO = b"bench <bench@localhost> 1420070400 +0000"


def filled(folder: Path, files: int) -> Path:
    """Make a repository with so many files in one commit, one fast-import; the work tree stays empty.

    They lie where a market that nobody asks for would have its hours. Each is small and different: what a
    commit pays for are the names that are there, not their bytes.
    """
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    if files:
        _git(folder, "fast-import", "--quiet", "--done", stdin=b"".join(_stream(files)))
    return folder


def _stream(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter %s\ndata 6\nfilled\n" % _WHO
    for number in range(files):
        path = SnapshotName("OLD-USDT", _OLDEST.plus(number), None).path.encode()
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(path), path)
    yield b"done\n"


def with_index(folder: Path) -> git.Repo:
    """Return the repository with its index at the newest commit, as GitPython expects to find it."""
    _git(folder, "read-tree", "HEAD")
    return git.Repo(folder)


def indexed_commit(repo: git.Repo, files: Mapping[str, bytes], message: str) -> None:
    """Write files and commit them through GitPython's index: no sync, no check, no recovery."""
    root = Path(repo.working_dir)
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    repo.index.add(list(files))
    repo.index.commit(message)


def json_hour(repo: git.Repo, values: Mapping[str, Any], message: str) -> None:
    """Keep an hour the plain way: json out, commit through GitPython's index, json in."""
    files = {path: json.dumps(value).encode() for path, value in values.items()}
    indexed_commit(repo, files, message)
    for path in files:
        json.loads((Path(repo.working_dir) / path).read_bytes())


def _git(folder: Path, *arguments: str, stdin: bytes | None = None) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, check=True, capture_output=True)
