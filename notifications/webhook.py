"""A signed JSON webhook, for example of n8n. The receiver can honour the key: then nothing shows twice."""

from __future__ import annotations

import hashlib
import hmac
import re
from email.utils import parsedate_to_datetime

import orjson
from pydantic import SecretStr

from market.errors import NotifyFailed, NotifyRefused
from market.hours import instant_iso
from notifications.http import Answer, HttpClient, Transport
from notifications.links import decision_link
from notifications.notice import Notice
from notifications.settings import WebhookSettings

SCHEMA_VERSION = 1
_LATER = {408, 425, 429}
_WAIT_S = (1.0, 3600.0)


class WebhookChannel:
    """POSTs each notice once; repeating it is the outbox's part.

    Args:
        url: Where to; as secret as the key.
        secret: Key of the signature.
        link: Scheme, host and port where the operator's browser reaches this program.
        transport: Replaces the network in a test.
    """

    def __init__(
        self,
        name: str,
        url: SecretStr,
        secret: SecretStr,
        settings: WebhookSettings,
        link: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self._url, self._secret, self._link = url, secret, link
        self._client = HttpClient(name, settings.deadline_s, transport=transport)

    async def send(self, notice: Notice) -> None:
        """Deliver a notice.

        Raises:
            NotifyFailed: No answer, 5xx, 408, 425 or 429; `wait_s` is what the receiver asked for.
            NotifyRefused: Any other answer that is not 2xx.
        """
        body = orjson.dumps(self._content(notice), option=orjson.OPT_SORT_KEYS)
        headers = {"Idempotency-Key": _key(notice.dedupe), "X-Signature": signature(self._secret, body)}
        answer = await self._client.post_json(self._url.get_secret_value(), body, headers)
        if 200 <= answer.status < 300:
            return
        if answer.status in _LATER or answer.status >= 500:
            raise NotifyFailed(f"{self.name}: HTTP {answer.status}", _wait_s(answer))
        raise NotifyRefused(f"{self.name}: HTTP {answer.status}")

    async def aclose(self) -> None:
        await self._client.aclose()

    def _content(self, notice: Notice) -> dict[str, object]:
        return {
            "schema_version": SCHEMA_VERSION,
            "id": notice.dedupe,
            "kind": notice.kind.value,
            "market": notice.market,
            "grid_id": notice.grid_id,
            "exit_state": notice.exit_state,
            "decision": notice.decision,
            "level": notice.level.value,
            "title": notice.title,
            "body": notice.body,
            "at": instant_iso(notice.at),
            "link": decision_link(self._link, notice.decision),
        }


def signature(secret: SecretStr, body: bytes) -> str:
    """Return the value of `X-Signature`: HMAC-SHA256 of exactly these bytes."""
    return f"sha256={hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()}"


def _key(dedupe: str) -> str:
    """Return `dedupe` where it can be a header's value, its hash where it cannot."""
    if re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?", dedupe):
        return dedupe
    return hashlib.sha256(dedupe.encode()).hexdigest()


def _wait_s(answer: Answer) -> float | None:
    """Return what `Retry-After` asks for, bounded; a date counts from the answer's own date."""
    told = answer.headers.get("retry-after", "").strip()
    try:
        if re.fullmatch(r"[0-9]{1,9}", told):
            wait_s = float(told)
        else:
            until, now = (parsedate_to_datetime(text) for text in (told, answer.headers.get("date", "")))
            wait_s = (until - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait_s, _WAIT_S[0]), _WAIT_S[1])
