"""Git commands through GitPython's `repo.git`, each with a deadline; nothing from outside is an option."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO, cast

import git

LOCAL_TIMEOUT_S = 30.0
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_FRAME = re.compile(r"std(?:err|out): '(.*)'", re.DOTALL)
_REMOTE_FORM = re.compile(r"(?:(?:file|ssh|git|https?)://|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:|/|\.{1,2}/)[^\s]+")


class GitFailed(Exception):
    """Raised when a Git command failed or was killed at its deadline; credentials are blotted out."""

    def __init__(self, command: str, problem: str) -> None:
        self.problem = _CREDENTIALS.sub("://***@", problem).strip()
        super().__init__(f"git {command}: {self.problem}")


class GitCommands:
    """Runs Git in one repository; one thread at a time.

    Args:
        commands: GitPython's command object of the repository's folder.
        environment: Added to each command's environment.
    """

    def __init__(self, commands: git.Git, environment: Mapping[str, str]) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self.limit_s = float("inf")  # a stop that is under way leaves no command more than this

    def run(self, *args: str, stdin: bytes | None = None, timeout_s: float = LOCAL_TIMEOUT_S) -> bytes:
        """Return what the command printed.

        Raises:
            GitFailed: It failed, could not start, or was killed after `timeout_s`.
        """
        try:
            if stdin is None:
                return self._execute(args, None, timeout_s)
            with tempfile.TemporaryFile() as handle:
                handle.write(stdin)
                handle.seek(0)
                return self._execute(args, handle, timeout_s)
        except git.GitCommandError as error:
            printed = "\n".join(_plain(text) for text in (error.stdout, error.stderr) if text)
            raise GitFailed(args[0], printed or f"exit status {error.status}") from None
        except (git.GitCommandNotFound, OSError) as error:
            raise GitFailed(args[0], str(error)) from None

    def text(self, *args: str, stdin: bytes | None = None, timeout_s: float = LOCAL_TIMEOUT_S) -> str:
        return self.run(*args, stdin=stdin, timeout_s=timeout_s).decode(errors="surrogateescape").strip()

    def _execute(self, args: tuple[str, ...], stdin: IO[bytes] | None, timeout_s: float) -> bytes:
        printed: bytes = self._commands.execute(
            ["git", *args],
            istream=cast(BinaryIO, stdin),
            kill_after_timeout=min(timeout_s, self.limit_s),
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            env=self._environment,
        )
        return printed


def _plain(printed: str) -> str:
    """Return what Git printed, without the frame that GitPython puts round it."""
    found = _FRAME.fullmatch(printed.strip())
    return found.group(1).strip() if found else printed.strip()


def git_environment(ssh_key_file: Path | None = None, known_hosts_file: Path | None = None) -> dict[str, str]:
    """Return the environment: never a prompt, only known transports, messages in English."""
    ssh = ["ssh", "-o BatchMode=yes", "-o ConnectTimeout=10", "-o StrictHostKeyChecking=yes"]
    if ssh_key_file is not None:
        ssh += ["-o IdentitiesOnly=yes", f"-i {_quoted(ssh_key_file)}"]
    if known_hosts_file is not None:
        ssh.append(f"-o UserKnownHostsFile={_quoted(known_hosts_file)}")
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:ssh:http:https",
        "GIT_SSH_COMMAND": " ".join(ssh),
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def _quoted(path: Path) -> str:
    text = str(path)
    if not re.fullmatch(r"[A-Za-z0-9_./@+-]+", text):
        raise ValueError(f"{text!r}: key and known_hosts paths may hold letters, digits and _./@+- only")
    return text


def checked_remote(url: str) -> str:
    """Return `url` if Git may be given it.

    Raises:
        ValueError: An option, a transport helper or an unknown form.
    """
    if not _REMOTE_FORM.fullmatch(url) or "::" in url.split("/", maxsplit=1)[0]:
        shown = _CREDENTIALS.sub("://***@", url)
        raise ValueError(
            f"{shown!r} is not a remote; expected ssh://, https://, git://, file://, user@host: or a path"
        )
    return url


def shown_remote(url: str) -> str:
    """Return `url` without credentials, for messages."""
    return _CREDENTIALS.sub("://***@", url)


def blob_id(data: bytes) -> str:
    """Return the name that Git gives to these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def child_processes() -> int:
    """Return how many child processes this process has; 0 where the system does not tell."""
    try:
        tasks = list(Path("/proc/self/task").iterdir())
        return sum(len((task / "children").read_text().split()) for task in tasks)
    except OSError:
        return 0


def live_git_processes(folder: Path) -> list[int] | None:
    """Return the Git processes that work in `folder`; None where the system does not tell."""
    try:
        candidates = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return None
    inside = []
    for process in candidates:
        try:
            name = (process / "comm").read_text().strip()
            cwd = (process / "cwd").readlink()
        except OSError:
            continue  # it ended, or is not ours to look at
        if name.startswith("git") and (cwd == folder or folder in cwd.parents):
            inside.append(int(process.name))
    return inside
