"""Real servers from Debian's packages: there in CI, optional on a developer's machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def required(command: str, package: str, folders: str = "usr/sbin") -> str:
    """Return a server's command; skips with a reason where it is absent, fails where it must be there.

    Args:
        command: Its name.
        package: Debian's name of what holds it.
        folders: A pattern under the root of folders that are not on the PATH; the last one is tried first.
    """
    beside = [*map(str, sorted(Path("/").glob(folders), reverse=True)), "/usr/sbin", "/usr/local/sbin"]
    found = shutil.which(command) or shutil.which(command, path=os.pathsep.join(beside))
    if found:
        return found
    if os.environ.get("REGIMED_SERVERS_REQUIRED"):
        pytest.fail(f"{command} is not installed (Debian package {package}), and here it must be")
    pytest.skip(f"{command} is not installed (Debian package {package})")
