"""`python -m bench.api_client`: asks a server on loopback over a few kept connections; a process of its own.

The job comes as JSON on stdin, what was measured goes as JSON to stdout. It ends after so many requests or so
many seconds, whichever comes first, and at the first answer of another status than expected.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter

import aiohttp
import orjson


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked.

    Attributes:
        port: Of the server on 127.0.0.1.
        paths: Asked in turn, over and over; each once where there are as many as `most`.
        status: Expected of every answer.
        connections: That ask at the same time, each one request after the other.
        seconds: The longest time.
        most: Requests at most.
        headers: Of every request; none asks for compression unless it says so.
        hold: Ask each path once before, and send what it is named as If-None-Match.
    """

    port: int
    paths: list[str]
    status: int = 200
    connections: int = 4
    seconds: float = 5.0
    most: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it: the wall time of all requests, and how long each took, seconds; bytes of one body."""

    wall: float
    each: list[float]
    bytes: int


async def asked(job: Job) -> Asked:
    """Do the job.

    Raises:
        RuntimeError: An answer of another status.
    """
    told: list[float] = []
    size = 0
    numbers = iter(range(job.most))
    wanted = {"Accept-Encoding": "identity", **job.headers}
    connector = aiohttp.TCPConnector(limit=job.connections)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{job.port}", connector=connector, timeout=timeout, auto_decompress=False
    ) as session:
        names = {path: await _name(session, path, wanted) for path in job.paths} if job.hold else {}
        until = perf_counter() + job.seconds

        async def one_connection(numbers: Iterator[int]) -> None:
            nonlocal size
            for number in numbers:
                path = job.paths[number % len(job.paths)]
                headers = wanted | ({"If-None-Match": names[path]} if job.hold else {})
                began = perf_counter()
                if began >= until:
                    return
                async with session.get(path, headers=headers) as answer:
                    body = await answer.read()
                    if answer.status != job.status:
                        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
                told.append(perf_counter() - began)
                size = len(body)

        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(job.connections):
                group.create_task(one_connection(numbers))
        return Asked(perf_counter() - began, told, size)


async def _name(session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> str:
    async with session.get(path, headers=headers) as answer:
        await answer.read()
        return answer.headers["ETag"]


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(asyncio.run(asked(Job(**orjson.loads(sys.stdin.read())))))))
