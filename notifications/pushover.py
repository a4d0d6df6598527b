"""Pushover: the phone, and the one channel where an emergency sounds until it is acknowledged.

The service has no dedupe key: a lost answer leaves open whether a message was taken, and it is sent again
(docs/decisions/notification-channels.md). Its rules: its own 4xx is never repeated, a 5xx not within 5 s, at
most two connections, receipts asked for at most every 5 s, nothing sent while the month's quota is used up.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Literal

import anyio
import structlog
from pydantic import BaseModel, Field, SecretStr, ValidationError

from market.errors import NotifyFailed, NotifyRefused
from market.ports import Clock
from notifications.http import Answer, HttpClient, Transport, Unanswered
from notifications.links import decision_link
from notifications.notice import MOST_BODY, MOST_TITLE, Level, Notice
from notifications.receipts import OpenEmergency, ReceiptId, Receipts
from notifications.settings import PushoverSettings
from notifications.text import cut

_log = structlog.get_logger("pushover")

PRIORITY = {Level.QUIET: -1, Level.NORMAL: 0, Level.HIGH: 1, Level.EMERGENCY: 2}
_RETRY_AFTER_S = 5.0
_POLL_EVERY_S = 5.0
_CANCEL_WITHIN_S = 5.0
_MOST_URL = 512
_MOST_SOUNDS = 50
_RECEIPT_LIVES = timedelta(days=7)
_QUOTA_WAIT_S = (60.0, 31 * 86400.0)
_QUOTA_UNKNOWN_S = 300.0


@dataclass(frozen=True, slots=True)
class Quota:
    """The account's messages a month, as the service last told."""

    limit: int
    remaining: int
    reset_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Someone has seen an emergency.

    Attributes:
        by: `pushover:` and the name of the device, `pushover` where it has none.
    """

    receipt: str
    grid_id: str
    decision: str
    market: str
    at: datetime
    by: str


class _Taken(BaseModel):
    status: int
    receipt: ReceiptId | None = None


class _Refusal(BaseModel):
    """What Pushover says when it will not; a firewall, a proxy or a login page says something else."""

    status: Literal[0] | None = None
    errors: list[str] = []

    @property
    def is_its_word(self) -> bool:
        return self.status == 0 or bool(self.errors)


class _Limits(BaseModel):
    remaining: int
    reset: int = Field(0, ge=0, le=253_402_300_799)


class _ReceiptState(BaseModel):
    status: int
    acknowledged: int = 0
    acknowledged_at: int = Field(0, ge=0, le=253_402_300_799)
    acknowledged_by_device: str | None = None
    expired: int = 0


class PushoverChannel:
    """Sends notices to one user or group, and asks who acknowledged the emergencies.

    Args:
        token: Of the application.
        user: Key of the user or group.
        receipts: Emergencies that are out, kept across restarts.
        link: Scheme, host and port where the operator's browser reaches this program.
        transport: Replaces the network in a test.

    Attributes:
        quota: The account's messages a month as last told; None until the first answer.
    """

    def __init__(
        self,
        name: str,
        token: SecretStr,
        user: SecretStr,
        settings: PushoverSettings,
        receipts: Receipts,
        clock: Clock,
        link: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self.quota: Quota | None = None
        self._token, self._user, self._settings = token, user, settings
        self._receipts, self._clock, self._link = receipts, clock, link
        self._client = HttpClient(name, settings.deadline_s, max_connections=2, transport=transport)
        self._at_once = anyio.Semaphore(2)
        self._polled: dict[str, float] = {}
        self._not_cancelled: dict[str, float] = {}
        self._poll_failing = False
        self._limits_asked = False
        self._is_guessed = False  # closed by a 429 that said nothing of the quota

    @property
    def sounding(self) -> frozenset[str]:
        """Grids with an emergency that may still sound."""
        known = {one.grid_id for one in self._receipts.open if one.acknowledged_at is None}
        return frozenset(known | self._receipts.doubtful) - {""}

    async def send(self, notice: Notice) -> None:
        """Deliver a notice; an emergency replaces its grid's former one.

        Raises:
            NotifyFailed: Not taken now, or the answer was lost; `wait_s` says when it may be tried again.
            NotifyRefused: The service will never take it.
        """
        await self._have_quota()
        if notice.level is not Level.EMERGENCY:
            await self._message(self._form(notice))
            return
        grid = notice.grid_id
        if grid:
            await self.cancel(grid)  # a failed one is tried again later; the new emergency matters more
        known = grid not in self._receipts.doubtful
        if grid:
            await self._receipts.doubt(grid)  # on the disk before it is out: a death is a lost answer too
        try:
            taken = await self._message(self._form(notice))
        except Unanswered:
            raise
        except (NotifyFailed, NotifyRefused):
            if known:
                await self._receipts.trust(grid)
            raise
        if taken.receipt is None:
            _log.warning("an emergency was taken without a receipt", channel=self.name)
            return
        now = self._clock.now()
        lasts_s = min(self._settings.expire_s, _MOST_SOUNDS * self._settings.retry_s)
        expires_at = now + timedelta(seconds=lasts_s)
        await self._receipts.keep(
            OpenEmergency(taken.receipt, grid, notice.decision, notice.market, now, expires_at)
        )
        if known:
            await self._receipts.trust(grid)

    async def cancel(self, grid_id: str) -> bool:
        """Silence the grid's emergencies; returns whether none of them sounds any longer.

        Never raises: what could not be cancelled is logged and stays open for the next call.
        """
        quiet = True
        if grid_id in self._receipts.doubtful:
            if await self._cancelled(f"cancel_by_tag/{_tag(grid_id)}"):
                await self._receipts.trust(grid_id)
            else:
                quiet = False
        for one in self._receipts.open:
            if one.grid_id != grid_id or one.silenced or one.acknowledged_at is not None:
                continue
            if await self._cancelled(f"{one.receipt}/cancel"):
                # It may have been acknowledged before, while nobody asked: one more look decides.
                await self._receipts.silence(one.receipt)
            else:
                quiet = False
        return quiet

    async def acknowledgements(self) -> list[Acknowledgement]:
        """Return the emergencies that were acknowledged and not yet settled; asks for each at most every 5 s.

        Never raises: a receipt that could not be asked for is asked for again later.
        """
        asked = [one for one in self._receipts.open if one.acknowledged_at is None]
        # Longest unasked first, none after a failure: a dead service costs one deadline, not one a receipt.
        for one in sorted(asked, key=lambda one: self._polled.get(one.receipt, -inf)):
            if self._clock.now() - one.sent_at > _RECEIPT_LIVES:
                await self._forget(one.receipt)
            elif self._clock.monotonic() - self._polled.get(one.receipt, -inf) >= _POLL_EVERY_S:
                self._polled[one.receipt] = self._clock.monotonic()
                await self._poll(one)
                if self._poll_failing:
                    break
        return [
            Acknowledgement(
                one.receipt, one.grid_id, one.decision, one.market, one.acknowledged_at, one.acknowledged_by
            )
            for one in self._receipts.open
            if one.acknowledged_at is not None
        ]

    async def settled(self, receipt: str) -> None:
        """Forget an acknowledgement that is durably recorded."""
        await self._forget(receipt)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _form(self, notice: Notice) -> dict[str, str]:
        form = {
            "token": self._token.get_secret_value(),
            "user": self._user.get_secret_value(),
            "message": cut(notice.body.strip() or notice.title.strip() or notice.dedupe, MOST_BODY),
            "title": cut(notice.title, MOST_TITLE),
            "priority": str(PRIORITY[notice.level]),
            "timestamp": str(int(notice.at.timestamp())),
        }
        if notice.level is Level.EMERGENCY:
            form |= {"retry": str(self._settings.retry_s), "expire": str(self._settings.expire_s)}
            if notice.grid_id:
                form["tags"] = _tag(notice.grid_id)
        address = decision_link(self._link, notice.decision)
        if address is not None and len(address) <= _MOST_URL:
            form |= {"url": address, "url_title": "Why"}
        return form

    async def _message(self, form: dict[str, str]) -> _Taken:
        answer = await self._post("/1/messages.json", form)
        if answer.status == 429:
            raise await self._out_of_quota(answer)
        self._judge(answer)
        try:
            taken = _Taken.model_validate_json(answer.body)
        except ValidationError:
            # Not Pushover's words: a proxy or a login page in between. Whether it was passed on is unknown.
            raise Unanswered(f"{self.name}: HTTP {answer.status} without its JSON", _RETRY_AFTER_S) from None
        if taken.status != 1:
            raise NotifyRefused(self._reason(answer))
        return taken

    async def _post(self, path: str, form: dict[str, str], deadline_s: float | None = None) -> Answer:
        return await self._asked(self._client.post_form(self._settings.base_url + path, form, deadline_s))

    async def _get(self, path: str) -> Answer:
        token = {"token": self._token.get_secret_value()}
        return await self._asked(self._client.get(self._settings.base_url + path, token))

    async def _asked(self, request: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            async with self._at_once:
                answer = await request
        except NotifyFailed as error:
            error.wait_s = _RETRY_AFTER_S
            raise
        finally:
            request.close()  # a cancelled wait for the semaphore never awaits it
        self.quota = _quota(answer) or self.quota
        return answer

    def _judge(self, answer: Answer) -> None:
        """Pass a 2xx.

        Raises:
            NotifyRefused: The service will not have it, ever, and says so in its own words.
            NotifyFailed: The service is in trouble, or it is not the service that answered.
        """
        if answer.status == 429:
            raise NotifyFailed(f"{self.name}: HTTP 429", _RETRY_AFTER_S)
        if 400 <= answer.status < 500:
            if _refusal(answer).is_its_word:
                raise NotifyRefused(self._reason(answer))
            raise NotifyFailed(
                f"{self.name}: HTTP {answer.status} without Pushover's JSON: a firewall or proxy?",
                _RETRY_AFTER_S,
            )
        if answer.status >= 300:
            # A gateway's 502 or 504 may come after the message was taken.
            raise Unanswered(f"{self.name}: HTTP {answer.status}", _RETRY_AFTER_S)

    def _reason(self, answer: Answer) -> str:
        said = "; ".join(_refusal(answer).errors) or "no reason given"
        for secret in (self._token, self._user):
            said = said.replace(secret.get_secret_value(), "***")
        shown = "".join(c if c.isprintable() else " " for c in said)[:200]
        return f"{self.name}: HTTP {answer.status}: {shown}"

    async def _have_quota(self) -> None:
        until = self._receipts.closed_until
        if until is None:
            return
        left_s = (until - self._clock.now()).total_seconds()
        if left_s > 0 and not await self._more_was_bought():
            raise self._closed(until, left_s)
        if self._is_guessed:
            self._is_guessed = False
            limits = await self._limits()
            if limits is not None and limits.remaining <= 0:
                raise await self._used_up(limits.reset)
        await self._receipts.close_until(None)

    async def _more_was_bought(self) -> bool:
        """Say whether there is quota after all; asked once a process, so that a restart reopens."""
        if self._limits_asked:
            return False
        self._limits_asked = True
        limits = await self._limits()
        return limits is not None and limits.remaining > 0

    async def _limits(self) -> _Limits | None:
        """Return what is left of the month's quota, which costs none of it; None where nobody says."""
        try:
            answer = await self._get("/1/apps/limits.json")
            self._judge(answer)
            return _Limits.model_validate_json(answer.body)
        except (NotifyFailed, NotifyRefused, ValidationError):
            return None

    async def _out_of_quota(self, answer: Answer) -> NotifyFailed:
        """Close the channel: for the month only where this very answer says that its quota is used up."""
        self._limits_asked = True
        told = _quota(answer)
        if told is not None and told.remaining <= 0:
            self._is_guessed = False
            return await self._used_up(told.reset_at.timestamp())
        self._is_guessed = True
        until = self._clock.now() + timedelta(seconds=_QUOTA_UNKNOWN_S)
        await self._receipts.close_until(until)
        return self._closed(until, _QUOTA_UNKNOWN_S)

    async def _used_up(self, reset_s: float) -> NotifyFailed:
        now = self._clock.now()
        wait_s = min(max(reset_s - now.timestamp(), _QUOTA_WAIT_S[0]), _QUOTA_WAIT_S[1])
        until = now + timedelta(seconds=wait_s)
        await self._receipts.close_until(until)
        return self._closed(until, wait_s)

    def _closed(self, until: datetime, left_s: float) -> NotifyFailed:
        why = "HTTP 429 without its quota, closed" if self._is_guessed else "the month's quota is used up"
        return NotifyFailed(f"{self.name}: {why} until {until:%Y-%m-%d %H:%M} UTC", left_s)

    async def _cancelled(self, what: str) -> bool:
        """Return False where it must be tried again; a refused cancel has nothing left to cancel."""
        # The watch over emergencies and the next emergency both cancel, maybe at the same moment.
        if self._clock.monotonic() - self._not_cancelled.get(what, -inf) < _RETRY_AFTER_S:
            return False
        form = {"token": self._token.get_secret_value()}
        try:
            self._judge(await self._post(f"/1/receipts/{what}.json", form, _CANCEL_WITHIN_S))
        except NotifyRefused as error:
            _log.info("an emergency was not there to cancel", channel=self.name, error=str(error))
        except NotifyFailed as error:
            _log.warning("an emergency could not be cancelled", channel=self.name, error=str(error))
            self._not_cancelled[what] = self._clock.monotonic()
            return False
        self._not_cancelled.pop(what, None)
        return True

    async def _poll(self, one: OpenEmergency) -> None:
        try:
            answer = await self._get(f"/1/receipts/{one.receipt}.json")
            self._judge(answer)
            state = _ReceiptState.model_validate_json(answer.body)
        except NotifyRefused as error:
            _log.warning("a receipt is not known any more", channel=self.name, error=str(error))
            await self._forget(one.receipt)
            return
        except (NotifyFailed, ValidationError) as error:
            if not self._poll_failing:
                problem = str(error) if isinstance(error, NotifyFailed) else "not a receipt's JSON"
                _log.warning("receipts cannot be read now", channel=self.name, error=problem)
            self._poll_failing = True
            return
        if self._poll_failing:
            _log.info("receipts can be read again", channel=self.name)
            self._poll_failing = False
        if state.acknowledged == 1:
            at = datetime.fromtimestamp(state.acknowledged_at, UTC)
            await self._receipts.acknowledge(one.receipt, at, _by(state.acknowledged_by_device))
        elif one.silenced or state.status != 1 or state.expired == 1:
            await self._forget(one.receipt)

    async def _forget(self, receipt: str) -> None:
        self._polled.pop(receipt, None)
        await self._receipts.drop(receipt)


def _refusal(answer: Answer) -> _Refusal:
    try:
        return _Refusal.model_validate_json(answer.body)
    except ValidationError:
        return _Refusal()


def _tag(grid_id: str) -> str:
    """Return a tag of letters, digits and `_`; the hash keeps grids apart that only differ in other signs."""
    readable = re.sub(r"[^A-Za-z0-9]", "_", grid_id)[:40]
    return f"{readable}_{hashlib.sha256(grid_id.encode()).hexdigest()[:8]}"


def _by(device: str | None) -> str:
    named = re.sub(r"[^A-Za-z0-9_-]", "", device or "")[:25]  # what the service allows as a device's name
    return f"pushover:{named}" if named else "pushover"


def _quota(answer: Answer) -> Quota | None:
    try:
        limit, remaining, reset = (
            int(answer.headers[f"x-limit-app-{what}"]) for what in ("limit", "remaining", "reset")
        )
        return Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))
    except (KeyError, ValueError, OverflowError, OSError):
        return None
