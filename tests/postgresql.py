"""A real PostgreSQL from Debian's package on a free port of the loopback, as long as a block lasts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

from tests.servers import required

_NUMBERS = count(1)


class Server:
    """A server that can be made to go away and come back; its data stay.

    Args:
        folder: Where its files are; a folder that the system's user `postgres` may enter.
        programs: Where `initdb` and `pg_ctl` are.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = int(found.getsockname()[1])
        self._run("initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")

    @property
    def url(self) -> str:
        """Of the database that is always there."""
        return self._url("postgres")

    def database(self) -> str:
        """Make a fresh database; return its URL."""
        name = f"regimed_{next(_NUMBERS)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop")

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        """Run a server's program as a user that it accepts: it refuses root."""
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        told = self.folder / f"{program}.txt"
        with told.open("w") as output:  # a pipe would be held open by the server it starts
            done = subprocess.run(
                [*as_postgres, str(self._programs / program), *map(str, arguments)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        assert done.returncode == 0, told.read_text()


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """Give a running server with its files in a new `folder`; skips where PostgreSQL is absent."""
    programs = Path(required("pg_ctl", "postgresql", "usr/lib/postgresql/*/bin")).parent
    folder.mkdir()
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder, programs)
    server.start()
    try:
        yield server
    finally:
        server.stop()
