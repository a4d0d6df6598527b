"""Receivers on loopback, real sockets: a Pushover that refuses what the real one refuses, and a webhook."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from market.ports import Clock

Fault = Literal["500", "429", "lost", "slow", "refuse connection", "firewall"] | None
"""What happens to one request.

500: not taken. 429: as when the quota is used up. lost: taken, and the connection cut instead of an answer.
slow: hangs until `release`, is taken then. refuse connection: cut, not taken.
firewall: a 403 with a page of HTML by something in between, not taken.
"""
Take = Callable[[], web.Response]
TOKEN = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
USER = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
CENTRAL = ZoneInfo("America/Chicago")


class Receiver(ABC):
    """An HTTP server whose requests can go wrong; `async with` it.

    Args:
        faults: One a request, in order; or what returns the fault of request n (from 0).

    Attributes:
        url: Its base address.
        requests: How many came, whatever became of them.
    """

    def __init__(self, faults: Iterable[Fault] | Callable[[int], Fault] = ()) -> None:
        self.requests = 0
        self.url = ""
        self._fault_of: Callable[[int], Fault] | None = faults if callable(faults) else None
        self.faults: deque[Fault] = deque(() if callable(faults) else faults)
        self._released = asyncio.Event()
        self._closing = False
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.arrived = asyncio.Event()

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return what this one answers."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await self._runner.setup()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self.release()
        await self._runner.cleanup()

    async def up(self) -> None:
        """Listen (again), at the same port."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await self._site.start()
        if not self.url:
            self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def down(self) -> None:
        """Listen no more: the next connection is refused, those that stand are cut."""
        await self._site.stop()
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def release(self) -> None:
        """Let every slow request go on, also those to come."""
        self._released.set()

    def let_go(self) -> None:
        """Let those that hang now go on; slow requests to come hang again."""
        self._released.set()
        self._released = asyncio.Event()

    def next_fault(self) -> Fault:
        """Return the fault of the request that has just come."""
        number, self.requests = self.requests, self.requests + 1
        self.arrived.set()
        if self._fault_of is not None:
            return self._fault_of(number)
        return self.faults.popleft() if self.faults else None

    async def faulted(self, request: web.Request, fault: Fault, take: Take, too_many: Take) -> web.Response:
        """Return the answer to a request that meets a fault."""
        if fault == "slow":
            await self._released.wait()
            if self._closing:
                return web.Response(status=503)
        if fault == "500":
            return web.Response(status=500, text="<html>Internal Server Error</html>")
        if fault == "firewall":
            return web.Response(status=403, text="<html>Blocked by policy</html>")
        if fault == "429":
            return too_many()
        answer = web.Response() if fault == "refuse connection" else take()
        if fault in {"lost", "refuse connection"} and request.transport is not None:
            request.transport.abort()
        return answer

    def alive(self) -> int:
        """Return how many connections stand."""
        transports = (connection.transport for connection in self._runner.server.connections)
        return sum(transport is not None and not transport.is_closing() for transport in transports)


@dataclass(frozen=True)
class Shown:
    """What a phone showed."""

    at: datetime
    title: str
    message: str
    priority: int
    timestamp: int | None
    url: str
    url_title: str
    tags: tuple[str, ...]
    receipt: str | None


@dataclass
class Emergency:
    """A priority 2 message on the server."""

    shown: Shown
    expires_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by_device: str = ""
    cancelled: bool = False
    polled_at: datetime | None = None


@dataclass
class _Past:
    """What became of requests with the same content."""

    refused: bool = False
    failed_at: datetime | None = None


class PushoverServer(Receiver):
    """Speaks like api.pushover.net, and notes what would get a client blocked there.

    Args:
        clock: Its time; only `now` is used.
        quota: Messages a calendar month, US Central.
        faults: Of messages.
        receipt_faults: Of receipts, cancels and limits.

    Attributes:
        shown: What the phone showed, in order.
        violations: What the rules of the service forbid; empty for a good client.
        polls: How often a receipt was asked for.
        others: How many requests were about receipts, cancels and limits.
        answered: Receipts whose message's answer was not lost.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        quota: int = 10_000,
        faults: Iterable[Fault] | Callable[[int], Fault] = (),
        receipt_faults: Iterable[Fault] = (),
    ) -> None:
        super().__init__(faults)
        self.clock, self.quota = clock, quota
        self.receipt_faults: deque[Fault] = deque(receipt_faults)
        self.shown: list[Shown] = []
        self.violations: list[str] = []
        self.emergencies: dict[str, Emergency] = {}
        self.used: dict[tuple[int, int], int] = {}
        self.polls = 0
        self.others = 0
        self.answered: set[str] = set()
        self._past: dict[str, _Past] = {}
        self._under_way: list[web.Request] = []
        self._told_exhausted: set[tuple[int, int]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/1/messages.json", self._messages),
            web.get("/1/receipts/{receipt}.json", self._receipt),
            web.post("/1/receipts/{receipt}/cancel.json", self._cancel),
            web.post("/1/receipts/cancel_by_tag/{tag}.json", self._cancel_by_tag),
            web.get("/1/apps/limits.json", self._limits),
        ]

    @property
    def sounding(self) -> list[Emergency]:
        """Return the emergencies that make a noise now, oldest first."""
        return [one for one in self.emergencies.values() if self._sounds(one)]

    def acknowledge(self, receipt: str, device: str = "phone") -> None:
        """Tap on the phone."""
        emergency = self.emergencies[receipt]
        assert self._sounds(emergency), "nobody can acknowledge what does not sound"
        emergency.acknowledged_at, emergency.acknowledged_by_device = self.clock.now(), device

    def _sounds(self, one: Emergency) -> bool:
        return one.acknowledged_at is None and not one.cancelled and self.clock.now() < one.expires_at

    def exhaust(self) -> None:
        """Use up the month's quota."""
        self.used[self._month()] = self.quota

    async def _messages(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = self.next_fault()

        def too_many() -> web.Response:
            self.exhaust()
            return self._take(form)

        return await self._watched(request, form, fault, lambda: self._take(form), too_many)

    async def _receipt(self, request: web.Request) -> web.Response:
        self.polls += 1
        form = dict(request.query)

        def told() -> web.Response:
            one = self.emergencies.get(request.match_info["receipt"])
            if wrong := self._not_ours(form):
                return _refusal(wrong)
            now = self.clock.now()
            if one is None or now - one.shown.at > timedelta(days=7):
                return _refusal(["receipt not found; may be invalid or expired"], 404)
            if one.polled_at is not None and now - one.polled_at < timedelta(seconds=5):
                self.violations.append("a receipt was polled faster than every 5 s")
            one.polled_at = now
            return web.json_response(
                {
                    "status": 1,
                    "acknowledged": int(one.acknowledged_at is not None),
                    "acknowledged_at": _unix(one.acknowledged_at),
                    "acknowledged_by": USER if one.acknowledged_at else "",
                    "acknowledged_by_device": one.acknowledged_by_device,
                    "last_delivered_at": _unix(one.shown.at),
                    "expired": int(one.cancelled or now >= one.expires_at),
                    "expires_at": _unix(one.expires_at),
                    "called_back": 0,
                    "called_back_at": 0,
                    "request": "r",
                }
            )

        return await self._beside(request, form, told)

    async def _cancel(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}

        def cancelled() -> web.Response:
            one = self.emergencies.get(request.match_info["receipt"])
            if wrong := self._not_ours(form):
                return _refusal(wrong)
            if one is None:
                return _refusal(["receipt not found; may be invalid or expired"], 404)
            one.cancelled = True
            return web.json_response({"status": 1, "request": "r"})

        return await self._beside(request, form, cancelled)

    async def _cancel_by_tag(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}

        def cancelled() -> web.Response:
            if wrong := self._not_ours(form):
                return _refusal(wrong)
            found = [one for one in self.sounding if request.match_info["tag"] in one.shown.tags]
            for one in found:
                one.cancelled = True
            return web.json_response({"status": 1, "canceled": len(found), "request": "r"})

        return await self._beside(request, form, cancelled)

    async def _limits(self, request: web.Request) -> web.Response:
        form = dict(request.query)

        def told() -> web.Response:
            if wrong := self._not_ours(form):
                return _refusal(wrong)
            limits = {"limit": self.quota, "remaining": self._left(), "reset": self._reset()}
            return web.json_response({**limits, "status": 1, "request": "r"})

        return await self._beside(request, form, told)

    async def _beside(self, request: web.Request, form: dict[str, str], take: Take) -> web.Response:
        self.others += 1
        fault = self.receipt_faults.popleft() if self.receipt_faults else None
        return await self._watched(
            request, form, fault, take, lambda: _refusal(["too many requests"], status=429)
        )

    async def _watched(
        self, request: web.Request, form: dict[str, str], fault: Fault, take: Take, too_many: Take
    ) -> web.Response:
        """Answer, and note what the service forbids: haste, stubbornness, a crowd."""
        content = hashlib.sha256(repr((request.path, sorted(form.items()))).encode()).hexdigest()
        past = self._past.setdefault(content, _Past())
        if past.refused:
            self.violations.append(f"{request.path}: repeated after a 4xx")
        if past.failed_at is not None and self.clock.now() - past.failed_at < timedelta(seconds=5):
            self.violations.append(f"{request.path}: repeated sooner than 5 s after a failure")
        self._under_way.append(request)
        standing = [one for one in self._under_way if one.transport and not one.transport.is_closing()]
        if len(standing) > 2 or self.alive() > 2:
            self.violations.append("more than two connections at once")
        try:
            answer = await self.faulted(request, fault, take, too_many)
        finally:
            self._under_way.remove(request)
        if 400 <= answer.status < 500 and answer.status != 429 and fault != "firewall":
            past.refused = True
        cut = request.transport is None or request.transport.is_closing()
        past.failed_at = self.clock.now() if cut or answer.status >= 500 else None
        taken = request.path == "/1/messages.json" and answer.status == 200 and not cut
        if taken and self.shown and self.shown[-1].receipt is not None:  # a 200 may have shown nothing
            self.answered.add(self.shown[-1].receipt)
        return answer

    def _take(self, form: dict[str, str]) -> web.Response:
        if wrong := self._wrong(form):
            return _refusal(wrong)
        if self._left() <= 0:
            if self._month() in self._told_exhausted:
                self.violations.append("a message while the quota is exhausted")
            self._told_exhausted.add(self._month())
            return _refusal(["message limit reached for this month"], 429, self._headers())
        self.used[self._month()] = self.used.get(self._month(), 0) + 1
        answer: dict[str, Any] = {"status": 1, "request": "r"}
        receipt = None
        if form.get("priority") == "2":
            receipt = answer["receipt"] = f"r{len(self.emergencies):029d}"
        shown = Shown(
            self.clock.now(),
            form.get("title", ""),
            form["message"],
            int(form.get("priority", "0")),
            int(form["timestamp"]) if "timestamp" in form else None,
            form.get("url", ""),
            form.get("url_title", ""),
            tuple(tag for tag in form.get("tags", "").split(",") if tag),
            receipt,
        )
        self.shown.append(shown)
        if receipt is not None:  # at most 50 sounds, whatever expire says
            lasts_s = min(int(form["expire"]), 50 * int(form["retry"]))
            self.emergencies[receipt] = Emergency(shown, shown.at + timedelta(seconds=lasts_s))
        return web.json_response(answer, headers=self._headers())

    def _not_ours(self, form: dict[str, str]) -> list[str]:
        return [] if form.get("token") == TOKEN else ["application token is invalid"]

    def _wrong(self, form: dict[str, str]) -> list[str]:
        """Return what the service would refuse, in its order."""
        wrong = self._not_ours(form)
        if form.get("user") != USER:
            wrong.append("user identifier is not a valid user, group, or subscribed user key")
        for name, most in (("message", 1024), ("title", 250), ("url", 512), ("url_title", 100)):
            if len(form.get(name, "")) > most:
                wrong.append(f"{name} is too long")
        if not form.get("message", "").strip():
            wrong.append("message cannot be blank")
        if form.get("priority", "0") not in {"-2", "-1", "0", "1", "2"}:
            wrong.append("priority is invalid")
        if form.get("priority") == "2":
            if not form.get("retry", "").isdigit() or int(form["retry"]) < 30:
                wrong.append("retry must be at least 30 seconds")
            if not form.get("expire", "").isdigit() or not 0 < int(form["expire"]) <= 10800:
                wrong.append("expire must be at most 10800 seconds")
        return wrong

    def _month(self) -> tuple[int, int]:
        local = self.clock.now().astimezone(CENTRAL)
        return local.year, local.month

    def _left(self) -> int:
        return max(self.quota - self.used.get(self._month(), 0), 0)

    def _reset(self) -> int:
        year, month = self._month()
        first = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=CENTRAL)
        return int(first.timestamp())

    def _headers(self) -> dict[str, str]:
        told = {"Limit": self.quota, "Remaining": self._left(), "Reset": self._reset()}
        return {f"X-Limit-App-{name}": str(value) for name, value in told.items()}


class WebhookReceiver(Receiver):
    """Verifies the signature over the raw body, and shows each `Idempotency-Key` once.

    Attributes:
        shown: The payloads, in order.
        forged: Bodies whose signature was wrong.
        answers: Statuses with which requests are answered instead, in order; with headers.
    """

    def __init__(self, secret: str, faults: Iterable[Fault] | Callable[[int], Fault] = ()) -> None:
        super().__init__(faults)
        self.shown: list[dict[str, Any]] = []
        self.forged: list[bytes] = []
        self.keys: list[str] = []
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self._secret = secret.encode()

    @property
    def hook(self) -> str:
        """Return the address to POST to."""
        return f"{self.url}/webhook/4fzx-address-is-secret?key=also-secret"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/webhook/{id}", self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        fault = self.next_fault()
        if self.answers:
            status, headers = self.answers.popleft()
            return web.Response(status=status, headers=headers)
        return await self.faulted(
            request,
            fault,
            lambda: self._take(request, body),
            lambda: web.Response(status=429, headers={"Retry-After": "7"}),
        )

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        expected = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers.get("X-Signature", ""), f"sha256={expected}"):
            self.forged.append(body)
            return web.Response(status=401)
        key = request.headers["Idempotency-Key"]
        if key not in self.keys:
            self.keys.append(key)
            self.shown.append(orjson.loads(body))
        return web.Response()


def _refusal(errors: list[str], status: int = 400, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"status": 0, "errors": errors, "request": "r"}, status=status, headers=headers)


def _unix(instant: datetime | None) -> int:
    return 0 if instant is None else int(instant.astimezone(UTC).timestamp())
