"""Answering advice over HTTP: the one thing that is written, by whoever holds the token."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from daemon.api.parameters import INSTANT
from daemon.api.problems import Problem
from decisions.actions import Answer
from decisions.answering import Set
from market.errors import CommitFailed, ConfigInvalid, DataInvalid, HistoryRefused
from market.hours import parse_instant
from store.advice import Deed

ACTOR = "api"
WRONG_A_MINUTE, ANSWERS_A_MINUTE = 10, 30
_MINUTE_S = 60.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")
_AMOUNT = r"^(?:[1-9][0-9]{0,15}(?:\.[0-9]{1,15})?|0\.0{0,14}[1-9][0-9]{0,15})$"  # never 0
Amount = Annotated[str, Field(pattern=_AMOUNT, examples=["2500.5"])]


class ActionBody(BaseModel):
    """What was done, as `regimed decide` takes it; amounts are decimal text, more than 0."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    answer: Literal["accept", "decline", "acknowledge", "note"]
    at: Annotated[str, Field(pattern=INSTANT)] | None = Field(
        None, description="When it was done, 2026-02-02T15:20:00Z; now if left out."
    )
    price: Amount | None = Field(None, description="Quote price at which it was done.")
    lower: Amount | None = Field(None, description="Lowest price as really set.")
    upper: Amount | None = Field(None, description="Highest price as really set.")
    amount: Amount | None = Field(None, description="Quote amount a level as really set.")
    stop_loss: Amount | None = Field(None, description="Stop-loss as really set.")
    note: str | None = Field(None, max_length=2000, description="In your own words.")
    late: bool = Field(False, description="Accept advice that has expired.")


def body_schema() -> dict[str, Any]:
    """Return the schema of the body, made from what checks it."""
    return ActionBody.model_json_schema()


def read_token(path: Path) -> SecretStr:
    """Return the token that a mounted file holds.

    Raises:
        ConfigInvalid: It cannot be read, or is too short to be one; its content is never quoted.
    """
    try:
        with path.open("rb") as file:
            text = file.read(1024).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not ASCII text"
        raise ConfigInvalid(f"http.token_file: {path}: {reason}") from None
    if _TOKEN.fullmatch(text) is None:
        raise ConfigInvalid(
            f"http.token_file: {path}: expected 32 to 512 letters and digits; openssl rand -hex 32 makes one"
        )
    return SecretStr(text)


class Budget:
    """So many a minute, no more.

    Args:
        most: In any 60 seconds.
        monotonic: Real seconds.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most, self._monotonic = most, monotonic
        self._spent: deque[float] = deque()

    def spend(self) -> None:
        """Take one; raises Problem where none is left."""
        now = self._monotonic()
        while self._spent and self._spent[0] <= now - _MINUTE_S:
            self._spent.popleft()
        if len(self._spent) >= self._most:
            wait = int(self._spent[0] + _MINUTE_S - now) + 1
            raise Problem(429, f"at most {self._most} a minute are taken", headers={"Retry-After": str(wait)})
        self._spent.append(now)


class Answering:
    """Takes answers of those who hold the token.

    Wrong tokens have a budget of their own, so that a stranger who guesses cannot lock the operator out. API
    and dashboard share one, so that neither is a second door to guess at.

    Attributes:
        deeds: How often something was, or may have been, recorded; what was read before may be old.

    Args:
        token: Compared in constant time.
        answer: Records a deed on a decision and returns the commit.
        now: The time of a deed that names none.
        monotonic: Real seconds.
    """

    def __init__(
        self,
        token: SecretStr,
        answer: Callable[[str, Deed], Awaitable[str]],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._token, self._answer, self._now = token.get_secret_value().encode(), answer, now
        self._wrong, self._right = Budget(WRONG_A_MINUTE, monotonic), Budget(ANSWERS_A_MINUTE, monotonic)
        self._one = asyncio.Lock()
        self.deeds = 0
        self._under_way: set[asyncio.Task[str]] = set()

    def admit(self, request: web.Request) -> None:
        """Refuse a request that does not hold the token, and who asks too often."""
        scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
        given = offered.strip() if scheme.lower() == "bearer" else ""
        self.check(given, "expected Authorization: Bearer and the token")

    def check(self, offered: str, words: str) -> None:
        """Refuse what is not the token with these words, and who asks too often."""
        if not hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self._token):
            self._wrong.spend()
            raise Problem(401, words, headers={"WWW-Authenticate": "Bearer"})
        self._right.spend()

    async def record(self, decision_id: str, body: ActionBody, actor: str = ACTOR) -> str:
        """Record what the body tells and return the commit; once begun it ends, whoever leaves."""
        task = asyncio.ensure_future(self._recorded(decision_id, self._deed(body, actor)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        finally:
            self.deeds += 1

    async def _recorded(self, decision_id: str, deed: Deed) -> str:
        try:
            async with self._one:  # the second of two at once sees what the first one did
                return await self._answer(decision_id, deed)
        except DataInvalid as error:
            names = {"action": "answer", "at": "at"}
            name = names.get(error.field)
            raise Problem(409, error.problem, parameter=name, found=None, expected=None) from None
        except (CommitFailed, HistoryRefused):
            raise Problem(
                503, "it could not be recorded; /health says why", headers={"Retry-After": "10"}
            ) from None

    def _deed(self, body: ActionBody, actor: str) -> Deed:
        at = self._now() if body.at is None else parse_instant(body.at)
        price, *set_ = (
            None if text is None else Decimal(text)
            for text in (body.price, body.lower, body.upper, body.amount, body.stop_loss)
        )
        return Deed(Answer(body.answer), at, actor, price, body.note, Set(*set_), body.late)


async def json_body(request: web.Request) -> ActionBody:
    """Return what a request to the API tells."""
    if request.content_type != "application/json":
        raise Problem(415, "expected Content-Type: application/json")
    try:
        return checked_body(orjson.loads(await request.read()))
    except orjson.JSONDecodeError:
        raise Problem(400, "the body is not JSON") from None


def checked_body(value: Any) -> ActionBody:
    """Return a value as a body; what is wrong with it is a Problem that names the first field."""
    try:
        return ActionBody.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem(400, f"{name}: {first['msg']}", parameter=name, expected=first["msg"]) from None
