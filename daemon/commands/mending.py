"""`regimed fsck`: what is wrong with the files and what is done about it; `maintain`: Git kept small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import git
import typer

from daemon.commands.sharing import (
    ConfigOption,
    Finding,
    FormatOption,
    RepoOption,
    checked_format,
    fail,
    print_json,
    settings_of,
)
from market.errors import RepositoryUnusable
from notifications.notice_file import decode_notice
from store.control import socket_path
from store.fsck import Found
from store.fsck import fsck as look
from store.git import GitCommands, GitFailed, git_environment
from store.lock import RepositoryLock, holder
from store.remote import Counts, Remote

READERS = {"outbox/[0-9]*.json": decode_notice}  # what the store does not know


def register(app: typer.Typer) -> None:
    app.command()(fsck)
    app.command()(maintain)


def fsck(
    repo: RepoOption = None,
    config: ConfigOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; the daemon must be stopped.")
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Explain what is damaged; with --repair give back what the history holds and set aside the rest.

    Exit code 1 where something is wrong (with --repair: where something still is).

    Example: regimed fsck --repo data --repair
    """
    checked_format(form)
    root, state, branch = _place(repo, config)
    found = _repaired(root, state, branch) if repair else look(root, state, branch=branch, readers=READERS)
    if form == "json":
        print_json({"ok": found.ok, "findings": [asdict(each) for each in found.findings]})
    else:
        for each in found.findings:
            print(each)
        left = sum(not each.done for each in found.findings)
        print(f"{root}: {len(found.findings)} findings, {len(found.findings) - left} mended, {left} left")
    if not found.ok:
        raise Finding(1)


def maintain(repo: RepoOption = None, config: ConfigOption = None, form: FormatOption = "table") -> None:
    """Pack the Git repository now; a running daemon does it by itself, once a day.

    For a repository that no daemon writes any more, or after a long import.

    Example: regimed maintain --repo data
    """
    checked_format(form)
    root, state, branch = _place(repo, config)
    if not (root / ".git").is_dir():
        raise RepositoryUnusable(f"{root}: not a data repository; there is no .git folder in it")
    with _alone(root, state, "it packs by itself once a day; to pack now, stop it first"):
        remote = Remote(GitCommands(git.Git(root), git_environment()), branch)
        try:
            before = remote.counts()
            remote.maintain()
            after = remote.counts()
        except GitFailed as error:
            raise RepositoryUnusable(f"{root}: {error}; `regimed fsck` says what is damaged") from None
    if form == "json":
        print_json({"before": asdict(before), "after": asdict(after)})
    else:
        print(f"{root}: {_said(before)} before, {_said(after)} now")


def _said(counts: Counts) -> str:
    loose, packs = counts.loose_objects, counts.packs
    return f"{counts.nbytes / 1e6:.1f} MB in {loose} loose objects and {packs} pack{'s' * (packs != 1)}"


def _place(repo: Path | None, config: Path | None) -> tuple[Path, Path, str]:
    """Return the repository, its state folder and its branch."""
    if repo is not None:
        return repo, Path(f"{repo}.state"), "main"
    settings = settings_of(config)
    return settings.data_repository.base_path, settings.state_path, settings.data_repository.branch


def _repaired(root: Path, state: Path, branch: str) -> Found:
    if not (root / ".git").is_dir():
        return look(root, state, branch=branch, readers=READERS)  # says what is missing
    with _alone(root, state, "stop it, then repair"):
        return look(root, state, branch=branch, repair=True, readers=READERS)


@contextmanager
def _alone(root: Path, state: Path, instead: str) -> Iterator[None]:
    """Hold the repository's own lock, so that no daemon writes meanwhile."""
    held = holder(root)
    if held is not None:
        fail(f"{root}: process {held.pid} writes this repository; {instead}", 2)
    lock = RepositoryLock(root, socket_path(state))
    try:
        yield
    finally:
        lock.release()
