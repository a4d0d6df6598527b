"""What a script does to answers: replaces them, misshapes their rows, damages their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import orjson
from aiohttp import web

from exchanges.sandbox.book import MOST_ROWS
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import Refusal

TOO_MANY = Refusal(429, "429000", "Too Many Requests")
_BLOCKED = "<!DOCTYPE html><title>Access denied</title><h1>Error 1015</h1>You are being rate limited"
_PAGE = "<!DOCTYPE html><title>Just a moment...</title><p>Maintenance</p>"


def refusal_answer(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error envelope."""
    body = orjson.dumps({"code": refusal.code, "msg": refusal.message})
    return web.Response(
        status=refusal.status, body=body, content_type="application/json", headers=dict(headers or {})
    )


async def replacement(
    request: web.Request, fault: Fault, closing: asyncio.Event
) -> web.StreamResponse | None:
    """Return the answer of a fault that replaces the real one, None if it does not.

    Args:
        closing: Set when the server stops; ends a hang early.
    """
    if fault.kind == "hang":
        return await _hung(fault.seconds, closing)
    if fault.kind == "disconnect" and request.transport is not None:
        request.transport.close()
    quota_headers = {
        "gw-ratelimit-limit": "2000",
        "gw-ratelimit-remaining": "0",
        "gw-ratelimit-reset": str(fault.reset_ms),
    }
    refusals = {
        "own_quota": (TOO_MANY, quota_headers),
        "overload": (TOO_MANY, {}),
        "disconnect": (Refusal(503, "500000", "Cut"), {}),
        "server_error": (Refusal(fault.status, "500000", "Internal Server Error"), {}),
        "refused": (Refusal(fault.status, fault.code, "Refused by the script"), {}),
    }
    if fault.kind in refusals:
        return refusal_answer(*refusals[fault.kind])
    if fault.kind in {"cloudflare", "html"}:
        status, page = (429, _BLOCKED) if fault.kind == "cloudflare" else (fault.status, _PAGE)
        return web.Response(status=status, text=page, content_type="text/html")
    return None


async def _hung(seconds: float, closing: asyncio.Event) -> web.StreamResponse | None:
    try:
        await asyncio.wait_for(closing.wait(), seconds)
    except TimeoutError:
        return None
    return refusal_answer(Refusal(503, "500000", "Closing"))


def damaged(body: bytes, faults: Sequence[Fault]) -> bytes:
    """Return the bytes of an answer as the script wants them to arrive."""
    for fault in faults:
        if fault.kind == "partial_json":
            body = body[: len(body) // 2]
        elif fault.kind == "oversized":
            body = b" " * fault.size + body
    return body


def misshapen(rows: list[bytes], faults: Sequence[Fault], start_at: int, seconds: int) -> list[bytes]:
    """Return the rows as the script wants them to arrive, at most 1500 unless it says otherwise."""
    for fault in faults:
        match fault.kind:
            case "empty":
                rows = []
            case "wrong_order":
                rows = rows[::-1]
            case "duplicates":
                rows = [row for row in rows for _ in range(2)][:MOST_ROWS]
            case "conflicting_rows" if rows:
                told = orjson.loads(rows[0])
                rows = [orjson.dumps([*told[:5], "0", told[6]]), *rows]
            case "row_outside":
                before = start_at - start_at % seconds - 10 * seconds
                rows = [*rows, orjson.dumps([str(before), "1", "1", "1", "1", "1", "1"])]
            case "malformed_row":
                first, last = fault.concerns_rows()
                rows = [
                    orjson.dumps([str(ts), "NaN", "", "-", "1", "1", "1"]) if first <= ts < last else row
                    for row in rows
                    for ts in (int(orjson.loads(row)[0]),)
                ]
            case _:
                pass
    return rows
