"""What a receiver answers is bounded: no page, packed or endless, fills the memory."""

from __future__ import annotations

import tracemalloc

import pytest

from notifications.http import HttpClient, Unanswered
from tests.exchanges.test_http import BOMB, CHUNK, PLAIN, raw_server


@pytest.mark.parametrize(
    ("header", "block", "words"),
    [
        (
            b"Content-Length: 9000000000",
            PLAIN,
            "answer is larger than 100000 bytes: it says 9000000000 bytes",
        ),
        (b"Content-Encoding: gzip", BOMB, r"answer is packed \(gzip\), expected at most 100000 plain bytes"),
        (b"Transfer-Encoding: chunked", CHUNK, r"larger than 100000 bytes: 1\d{5} came and it goes on"),
        (b"Connection: close", PLAIN, r"larger than 100000 bytes: 1\d{5} came and it goes on"),
    ],
    ids=["says so", "gzip bomb", "chunked", "endless"],
)
async def test_an_answer_of_gigabytes_never_fills_the_memory(header, block, words):
    """A webhook's answer is refused with what was found and the limit; the notice may have been taken."""

    async def flood(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n")
        while True:
            writer.write(block)
            await writer.drain()

    client = HttpClient("hook", 10.0)
    tracemalloc.start()
    try:
        async with raw_server(flood) as url:
            with pytest.raises(Unanswered, match=f"^hook: .*{words}"):
                await client.post_json(url, b"{}", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await client.aclose()
    assert peak < 20_000_000
