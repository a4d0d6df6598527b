"""Clients that never finish: each is given up in time, and however many there are, others are answered."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from daemon import http
from daemon.api import runner
from daemon.http import serving
from tests.cycle.house import START, house

HALF_A_HEADER = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /api/decisions/2026-01-05/dec-ETH-USDT-010000/actions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Authorization: Bearer " + b"0123456789abcdef" * 3 + b"\r\nContent-Type: application/json\r\n"
    b'Content-Length: 100000\r\n\r\n{"answer":'
)
TOO_LONG_A_BODY = HALF_A_BODY.replace(b"100000", b"60000")
FIRST_OF_TWO = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea"


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("0123456789abcdef" * 3)
    return {"port": 0, "token_file": str(path)}


async def live_within_s(port):
    began = time.monotonic()
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/health/live", timeout=20)
    assert answer.status_code == 200
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"GET", HALF_A_HEADER, HALF_A_BODY, TOO_LONG_A_BODY, FIRST_OF_TWO])
async def test_a_client_that_stops_is_given_up(tmp_path, monkeypatch, token, said):
    """No word, half a line, half a header, half a body, half a second request: the connection is closed."""
    for module, name in ((runner, "KEEPALIVE_S"), (runner, "LINGERING_S"), (http, "REQUEST_LIMIT_S")):
        monkeypatch.setattr(module, name, 0.2)
    async with house(tmp_path, http=token) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        async with asyncio.timeout(10):
            while await reader.read(65536):
                pass
        writer.close()


@pytest.mark.parametrize("said", [b"", HALF_A_HEADER, HALF_A_BODY, FIRST_OF_TWO])
async def test_many_slow_clients_block_nobody(tmp_path, monkeypatch, token, said):
    """Slowloris: the oldest that asks nothing makes room for the next; files and memory are bounded."""
    monkeypatch.setattr(runner, "MOST_CONNECTIONS", 20)
    async with house(tmp_path, http=token) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 2)
        slow = []
        for _ in range(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            await writer.drain()
            slow.append((reader, writer))
        assert await live_within_s(port) < 5
        closed = 0
        async with asyncio.timeout(10):
            for reader, _ in slow[:40]:  # all but the newest 20
                while await reader.read(65536):
                    pass
                closed += 1
        assert closed == 40
        for _, writer in slow:
            writer.close()


async def test_who_is_being_answered_is_not_put_out_for_who_only_waits(tmp_path, monkeypatch):
    """A request under way is finished while idle connections make room."""
    monkeypatch.setattr(runner, "MOST_CONNECTIONS", 3)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        began.set()
        await go_on.wait()
        return http._json({}, 200)

    monkeypatch.setattr(http, "_ready", slowly)
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        async with httpx.AsyncClient() as client:
            asking = asyncio.ensure_future(client.get(f"http://127.0.0.1:{port}/health/ready", timeout=20))
            await began.wait()
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            assert await live_within_s(port) < 5
            go_on.set()
            assert (await asking).status_code == 200
        for _, writer in idle:
            writer.close()
