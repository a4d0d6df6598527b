"""A real sshd with a bare repository behind it, and a folder of secrets as Kubernetes mounts it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drills.wire import free_port
from tests.servers import required

MODE = 0o440  # defaultMode of the Secret in deploy/components/secrets; test_push_over_ssh.py compares


@dataclass(frozen=True, slots=True)
class GitHost:
    """What an operator's Git host gives: an address, a host key, and a place for the daemon's key.

    Attributes:
        folder: Of host key, permitted keys and repositories.
        log: What sshd says.
    """

    folder: Path
    port: int
    log: Path

    @property
    def repository(self) -> Path:
        return self.folder / "market-data.git"

    @property
    def remote(self) -> str:
        """Return the address for `data_repository.remote`."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        return f"ssh://{user}@127.0.0.1:{self.port}{self.repository}"

    def secrets(self, folder: Path, group: int) -> Path:
        """Make a folder as a Secret's volume is: root's, read through fsGroup, links into `..data`."""
        data = folder / "..data"
        data.mkdir(parents=True)
        keygen(data / "ssh-key")
        public = (data / "ssh-key.pub").read_text()
        (data / "ssh-key.pub").unlink()
        with (self.folder / "permitted").open("a") as permitted:
            permitted.write(public)
        host = (self.folder / "host-key.pub").read_text().split()[:2]
        (data / "known-hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(host)}\n")
        for name in ("ssh-key", "known-hosts"):
            (data / name).chmod(MODE)
            os.chown(data / name, 0, group)
            (folder / name).symlink_to(Path("..data") / name)
        return folder


def keygen(path: Path) -> None:
    command = required("ssh-keygen", "openssh-client")
    subprocess.run([command, "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)


@contextmanager
def git_host(folder: Path) -> Iterator[GitHost]:
    """Serve a bare repository to those whose key is permitted, on a port of this machine.

    Args:
        folder: For everything; it and those above must let another user through.
    """
    sshd = required("sshd", "openssh-server")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    host = GitHost(folder, free_port(), folder / "sshd.log")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(host.repository)], check=True)
    keygen(folder / "host-key")
    (folder / "permitted").touch(mode=0o600)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd leaves its rights behind
    (folder / "sshd.conf").write_text(
        f"ListenAddress 127.0.0.1:{host.port}\n"
        f"HostKey {folder}/host-key\nAuthorizedKeysFile {folder}/permitted\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nAllowTcpForwarding no\n"
    )
    command = [sshd, "-D", "-f", str(folder / "sshd.conf"), "-E", str(host.log)]
    server = subprocess.Popen(command)
    try:
        _wait_for(server, host)
        yield host
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(server: subprocess.Popen[bytes], host: GitHost) -> None:
    """Wait until it takes connections; fails with its log when it ends."""
    while server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", host.port), timeout=10):
                return
        except ConnectionRefusedError:
            os.sched_yield()
    raise AssertionError(host.log.read_text())


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Make a folder that every user may pass: pytest's are closed to others."""
    folder = Path("/run") / f"regimed-{name}-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
