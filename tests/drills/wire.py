"""A line to a server that can be slow or go dead: bytes pass at a rate, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CHUNK = 64 * 1024


@dataclass
class Wire:
    """Listens on `port` and passes on to the server.

    Attributes:
        bytes_per_s: What the server's answers come at; None for as fast as they can.
        taken: Connections so far.
    """

    server: tuple[str, int]
    listener: socket.socket
    bytes_per_s: float | None = None
    taken: int = 0
    _alive: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def freeze(self) -> None:
        """Take connections and bytes, and answer nothing any more."""
        self._alive.clear()

    def thaw(self) -> None:
        self._alive.set()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not self._flows():
                return
            with socket.create_connection(self.server, timeout=30) as server:
                server.settimeout(None)
                back = threading.Thread(target=self._pass, args=(client, server, None), daemon=True)
                back.start()
                self._pass(server, client, self.bytes_per_s)
                back.join(5)

    def _pass(self, source: socket.socket, target: socket.socket, bytes_per_s: float | None) -> None:
        with suppress(OSError):
            while self._flows() and (data := source.recv(CHUNK)):
                if not self._flows():
                    return
                target.sendall(data)
                if bytes_per_s is not None:
                    self._over.wait(len(data) / bytes_per_s)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _flows(self) -> bool:
        """Wait while the line is dead; says whether it is alive again."""
        while not self._over.is_set():
            if self._alive.wait(0.05):
                return True
        return False


@contextmanager
def wired(port: int, bytes_per_s: float | None = None) -> Iterator[Wire]:
    """Put a line in front of a server of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        wire = Wire(("127.0.0.1", port), listener, bytes_per_s)
        wire.thaw()
        thread = threading.Thread(target=wire._accept, daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            wire._over.set()
            thread.join(5)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
