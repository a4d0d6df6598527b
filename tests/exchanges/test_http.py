"""The wire: deadlines, bounds, and nothing of httpx or of a header in what comes out."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from exchanges.http import HttpClient, HttpSettings
from market.errors import AnswerMalformed, ExchangeError, ExchangeUnavailable
from tests.fakes import FakeClock

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[str]:
    """A server that says bytes instead of HTTP; stopped with everything it still holds."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask(url: str, clock: FakeClock, headers: dict[str, str] | None = None, **settings: float) -> str:
    client = HttpClient("x", url, HttpSettings(**settings), clock)
    try:
        return (await client.get("/path", "a=1", headers)).opening
    finally:
        await client.aclose()


async def test_a_server_that_drips_bytes_meets_the_deadline(clock):
    """The deadline is for the whole answer: one byte now and then does not keep a request alive."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with raw_server(drip) as url:
        with pytest.raises(ExchangeUnavailable, match=r"no whole answer within 0\.1 s"):
            await ask(url, clock, deadline_s=0.1)


async def test_a_silent_server_meets_the_deadline(clock):
    """A connection that is accepted and never answered ends as unavailable."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_server(hang) as url:
        with pytest.raises(ExchangeUnavailable, match="no whole answer"):
            await ask(url, clock, deadline_s=0.1)


async def test_an_endless_body_is_cut_at_the_bound(clock):
    """An answer as large as memory is refused after the bound, not after memory."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            sent += 10_000
            await writer.drain()

    async with raw_server(flood) as url:
        with pytest.raises(AnswerMalformed, match="larger than 50000 bytes"):
            await ask(url, clock, max_body_bytes=50_000)
    assert sent < 50_000_000


BOMB = gzip.compress(bytes(50_000_000))  # a thousand to one
CHUNK = b"10000\r\n" + b"7" * 0x10000 + b"\r\n"
PLAIN = b"7" * 0x10000


@pytest.mark.parametrize(
    ("header", "block", "words"),
    [
        (
            b"Content-Length: 9000000000",
            PLAIN,
            "answer is larger than 4000000 bytes: it says 9000000000 bytes",
        ),
        (
            b"Content-Encoding: gzip",
            BOMB,
            r"answer is packed \(gzip\), expected plain JSON of at most 4000000 bytes",
        ),
        (b"Content-Encoding: br, gzip", BOMB, r"answer is packed \(br, gzip\)"),
        (b"Transfer-Encoding: chunked", CHUNK, r"larger than 4000000 bytes: 40\d{5} came and it goes on"),
        (b"Connection: close", PLAIN, r"larger than 4000000 bytes: 40\d{5} came and it goes on"),
    ],
    ids=["says so", "gzip bomb", "packed twice", "chunked", "endless"],
)
async def test_an_answer_of_gigabytes_never_fills_the_memory(clock, header, block, words):
    """Said, packed or simply endless: refused with what was found and the limit, long before."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + header + b"\r\n\r\n")
        while True:
            writer.write(block)
            sent += len(block)
            await writer.drain()

    tracemalloc.start()
    try:
        async with raw_server(flood) as url:
            with pytest.raises(AnswerMalformed, match=f"x: GET /path: .*{words}"):
                await ask(url, clock)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000
    assert sent < 40_000_000


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]
)
async def test_malformed_http_is_unavailable(clock, said):
    """Whatever is at the other end, httpx's own exceptions stay inside."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with raw_server(say) as url:
        with pytest.raises(ExchangeUnavailable) as raised:
            await ask(url, clock)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_a_closed_port_is_unavailable(clock):
    """Nobody listening is the plainest outage."""
    async with raw_server(lambda *_: asyncio.sleep(0)) as url:
        pass
    with pytest.raises(ExchangeUnavailable, match="ConnectError"):
        await ask(url, clock)


async def test_a_header_that_cannot_be_sent_is_never_quoted(clock):
    """h11 quotes a bad header value in its message; a key must not reach the log that way."""
    with pytest.raises(ExchangeError) as raised:
        await ask("http://127.0.0.1:9", clock, {"KC-API-KEY": "top-secret\nvalue"})
    assert "top-secret" not in str(raised.value)


async def test_the_query_is_sent_as_given(clock):
    """What was signed is what is sent."""
    seen: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, text="fine")

    client = HttpClient("x", "http://h", HttpSettings(), clock, httpx.MockTransport(note))
    answer = await client.get("/p", "symbol=ETH-USDT&startAt=5")
    await client.aclose()
    assert seen == ["http://h/p?symbol=ETH-USDT&startAt=5"]
    assert (answer.status, answer.body) == (200, b"fine")
