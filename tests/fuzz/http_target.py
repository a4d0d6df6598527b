"""Spoilt requests to the daemon's own server, over real connections, beside clients that never finish."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.http import serving
from tests.cycle.house import START, house

HTTP = (
    "The daemon's server on loopback: /health, /metrics, the pages, the API, answering advice; each"
    " request on a connection of its own, which one client in five leaves at once."
)
TOKEN = "0123456789abcdef" * 3
_HEADERS = (b"Host: 127.0.0.1", b"Connection: close")
PATIENCE_S = 0.3  # most that are whole are answered by then; of a half one nothing ever comes
ANSWER_WITHIN_S = 30.0


def _request(first: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([first + b" HTTP/1.1", *_HEADERS, *headers]) + b"\r\n\r\n" + body


def _posted(body: bytes) -> bytes:
    return _request(
        b"POST /api/decisions/2026-01-05/dec-ETH-USDT-010000/actions",
        b"Authorization: Bearer " + TOKEN.encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        body=body,
    )


METRICS = _request(b"GET /metrics")
REQUESTS = (
    _request(b"GET /health"),
    _request(b"GET /health/ready"),
    _request(b"GET /api/regime/ETH-USDT?limit=3"),
    _request(
        b"GET /api/data/regime/ETH-USDT/1h?start=2026-01-05T00:00:00Z&limit=10", b"Accept: application/json"
    ),
    _posted(b'{"answer":"accept","at":"2026-01-05T01:10:00Z","price":"2000.5"}'),
    _posted(b'{"answer":"note","note":"seen"}'),
    _request(b"GET /api/snapshots/ETH-USDT/2026-01-05T00", b'If-None-Match: "a"'),
    _request(b"GET /api/kpis/2026-01-05"),
    _request(b"GET /decisions/2026-01-05/dec-ETH-USDT-010000", b"Accept: text/html"),
    _request(b"GET /", b"Accept: text/html", b"Accept-Encoding: gzip"),
    METRICS,
)


def asked(
    port: int, data: bytes, *, leaves: bool = False, patience_s: float = PATIENCE_S
) -> tuple[bytes, float]:
    """Send bytes and return all that came back until the server hung up, and the seconds it took.

    Half a request is ended after a moment, as a client does that leaves: it may go without an answer. With
    `leaves` each one is: what was begun for it is given up by the server.

    Raises:
        TimeoutError: The server neither answered nor hung up.
    """
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN_S) as wire:
        answer = bytearray()
        with suppress(ConnectionError):
            wire.sendall(data)
            if not leaves:
                wire.settimeout(patience_s)
                with suppress(TimeoutError):
                    answer += wire.recv(65536)
                wire.settimeout(ANSWER_WITHIN_S)
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(65536):
                answer += part
    return bytes(answer), time.monotonic() - began


class Talk:
    """Asks a server, from many threads, and keeps what is wrong with its answers.

    Attributes:
        found: The first input of each finding, by words.
        outcomes: How often each status came.
    """

    def __init__(self, port: int) -> None:
        self._port, self._lock = port, threading.Lock()
        self.found: dict[str, bytes] = {}
        self.outcomes: Counter[str] = Counter()

    def ask(self, data: bytes, leaves: bool = False) -> None:
        """Send bytes; a 500, what is no HTTP, or no end is a finding."""
        try:
            answer, _ = asked(self._port, data, leaves=leaves)
        except OSError as error:
            self.found.setdefault(f"{type(error).__name__}: {error}", data)
            return
        words = answer.split(b" ", 2)
        if answer == b"":
            self._count("hung up")
        elif len(words) < 3 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            self.found.setdefault(f"no HTTP: {answer[:60]!r}", data)
        else:
            status = words[1].decode()
            self._count(status)
            if status.startswith("5") and b" /health" not in data[:60]:
                self.found.setdefault(f"status {status}", data)

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1

    def is_alive(self) -> bool:
        """Ask as a scraper does; anything but the whole figures is a finding, with what came and how late."""
        try:
            answer, seconds = asked(self._port, METRICS, patience_s=ANSWER_WITHIN_S)
        except OSError as error:
            self.found[f"it does not answer any more: {type(error).__name__}: {error}"] = METRICS
            return False
        if not answer.startswith(b"HTTP/1.1 200 "):
            self.found[f"it does not answer any more: {answer[:60]!r} after {seconds:.1f} s"] = METRICS
            return False
        return True


def with_server(work: Callable[[int], Any]) -> Any:
    """Run blocking work against the real server of a house that has judged an hour."""

    async def run() -> Any:
        with TemporaryDirectory() as name:
            folder = Path(name)
            token = folder / "token"
            token.write_text(TOKEN)
            async with house(folder, http={"port": 0, "token_file": str(token)}) as there:
                await there.hours(START, 2)
                async with serving(there.app, "127.0.0.1", 0) as port:
                    return await asyncio.to_thread(work, port)

    return asyncio.run(run())
