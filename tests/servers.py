"""Real servers from Debian's packages: there in CI, optional on a developer's machine."""

from __future__ import annotations

import os
import shutil

import pytest


def required(command: str, package: str) -> str:
    """Return a server's command; skips with a reason where it is absent, fails where it must be there."""
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/usr/local/sbin")
    if found:
        return found
    if os.environ.get("REGIMED_SERVERS_REQUIRED"):
        pytest.fail(f"{command} is not installed (Debian package {package}), and here it must be")
    pytest.skip(f"{command} is not installed (Debian package {package})")
