"""The webhook: signed, keyed, and sorted into later and never."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from pydantic import SecretStr

from market.errors import NotifyFailed, NotifyRefused
from notifications.http import Unanswered
from notifications.notice import Kind, Level, Notice
from notifications.settings import WebhookSettings
from notifications.webhook import WebhookChannel
from tests.notifications.receivers import WebhookReceiver

SECRET = "the-key-of-the-signature"
NOTICE = Notice(
    "d/STOP_GRID",
    "ETH-USDT",
    Level.EMERGENCY,
    "eth-1: STOP_GRID €",
    "the body",
    datetime(2026, 3, 10, 12, tzinfo=UTC),
    Kind.ADVICE,
    "eth-1",
    "MANDATORY_EXIT",
    "d",
)


@pytest.fixture
async def receiver():
    async with WebhookReceiver(SECRET) as running:
        yield running


def channel(receiver, *, url=None, secret=SECRET, deadline_s=5.0, transport=None):
    settings = WebhookSettings(url_file="u", secret_file="s", deadline_s=deadline_s)
    return WebhookChannel(
        "webhook.n8n",
        SecretStr(url or receiver.hook),
        SecretStr(secret),
        settings,
        "https://there",
        transport,
    )


@pytest.fixture
async def hook(receiver):
    opened = channel(receiver)
    yield opened
    await opened.aclose()


async def test_a_notice_arrives_whole(receiver, hook):
    """Everything that a workflow may branch on is a field of its own."""
    await hook.send(NOTICE)
    assert receiver.shown == [
        {
            "schema_version": 1,
            "id": "d/STOP_GRID",
            "kind": "advice",
            "market": "ETH-USDT",
            "grid_id": "eth-1",
            "exit_state": "MANDATORY_EXIT",
            "decision": "d",
            "level": "emergency",
            "title": "eth-1: STOP_GRID €",
            "body": "the body",
            "at": "2026-03-10T12:00:00Z",
            "link": "https://there/decisions/d",
        }
    ]
    assert receiver.keys == ["d/STOP_GRID"]


async def test_the_signature_covers_the_bytes_as_they_are():
    """A receiver checks what it received, before it parses anything."""
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(204)

    opened = channel(None, url="https://n8n/x", transport=httpx.MockTransport(answer))
    await opened.send(NOTICE)
    await opened.aclose()
    (request,) = seen
    digest = hmac.new(SECRET.encode(), request.content, hashlib.sha256).hexdigest()
    assert request.headers["X-Signature"] == f"sha256={digest}"
    assert request.headers["Content-Type"] == "application/json"
    assert list(orjson.loads(request.content)) == sorted(orjson.loads(request.content))


async def test_a_wrong_key_of_the_signature_is_refused(receiver):
    """The receiver of the tests verifies; what it finds forged is not shown."""
    opened = channel(receiver, secret="another")
    with pytest.raises(NotifyRefused, match=r"^webhook\.n8n: HTTP 401$"):
        await opened.send(NOTICE)
    await opened.aclose()
    assert receiver.shown == []
    assert len(receiver.forged) == 1


async def test_a_lost_answer_shows_once(receiver, hook):
    """A receiver that honours the key shows a repeated notice once."""
    receiver.faults.append("lost")
    with pytest.raises(Unanswered):
        await hook.send(NOTICE)
    await hook.send(NOTICE)
    assert receiver.requests == 2
    assert len(receiver.shown) == 1


@pytest.mark.parametrize(
    "dedupe", ["grün/1", "a\r\nX-Evil: 1", " blank in front", "blank behind ", "", "x" * 300, "a\x7f"]
)
async def test_a_key_that_no_header_can_hold_is_hashed(receiver, hook, dedupe):
    """The key is always legal, and the same for the same notice."""
    await hook.send(replace(NOTICE, dedupe=dedupe))
    await hook.send(replace(NOTICE, dedupe=dedupe))
    assert receiver.keys == [hashlib.sha256(dedupe.encode()).hexdigest()]
    assert [one["id"] for one in receiver.shown] == [dedupe]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_taken(receiver, hook, status):
    """A workflow may answer as it likes."""
    receiver.answers.append((status, {}))
    await hook.send(NOTICE)


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (429, {"Retry-After": "0"}, 1.0),
        (429, {"Retry-After": "86400"}, 3600.0),
        (429, {"Retry-After": "9" * 400}, None),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "-5"}, None),
        (429, {}, None),
        (
            503,
            {"Date": "Tue, 10 Mar 2026 12:00:00 GMT", "Retry-After": "Tue, 10 Mar 2026 12:02:00 GMT"},
            120.0,
        ),
        (
            503,
            {"Date": "Tue, 10 Mar 2026 12:00:00 GMT", "Retry-After": "Tue, 10 Mar 2026 11:00:00 GMT"},
            1.0,
        ),
        (503, {"Date": "today", "Retry-After": "Tue, 10 Mar 2026 11:00:00 GMT"}, None),
        (
            503,
            {"Date": "Tue, 10 Mar 2026 12:00:00 -0000", "Retry-After": "Tue, 10 Mar 2026 12:02:00 GMT"},
            None,
        ),
        (500, {}, None),
        (502, {}, None),
        (408, {}, None),
        (425, {}, None),
    ],
)
async def test_trouble_is_for_later_and_when_is_what_the_receiver_says(
    receiver, hook, status, headers, wait_s
):
    """5xx, 408, 425 and 429 wait; a senseless Retry-After neither hammers nor silences."""
    receiver.answers.append((status, headers))
    with pytest.raises(NotifyFailed, match=rf"^webhook\.n8n: HTTP {status}$") as raised:
        await hook.send(NOTICE)
    assert raised.value.wait_s == wait_s


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 413])
async def test_a_refusal_is_final(receiver, hook, status):
    """Other 4xx do not get better, and a redirect does not lead our words elsewhere."""
    receiver.answers.append((status, {"Location": f"{receiver.url}/webhook/elsewhere"}))
    with pytest.raises(NotifyRefused, match=rf"^webhook\.n8n: HTTP {status}$"):
        await hook.send(NOTICE)
    assert receiver.requests == 1


async def test_scripted_trouble_of_the_receiver(receiver, hook):
    """The faults that the other tests script do what they say."""
    receiver.faults.extend(["429", "refuse connection", "500", None])
    with pytest.raises(NotifyFailed) as raised:
        await hook.send(NOTICE)
    assert raised.value.wait_s == 7.0
    for _ in range(2):
        with pytest.raises(NotifyFailed):
            await hook.send(NOTICE)
    assert receiver.shown == []
    await hook.send(NOTICE)
    assert len(receiver.shown) == 1


async def test_faults_by_request_number():
    """A seeded function decides as well as a queue."""
    async with WebhookReceiver(SECRET, lambda number: "500" if number == 0 else None) as receiver:
        opened = channel(receiver)
        with pytest.raises(NotifyFailed):
            await opened.send(NOTICE)
        await opened.send(NOTICE)
        await opened.aclose()
        assert len(receiver.shown) == 1


async def test_a_silent_receiver_meets_the_deadline(receiver):
    """A hanging workflow costs the deadline, no more."""
    receiver.faults.append("slow")
    opened = channel(receiver, deadline_s=0.2)
    with pytest.raises(Unanswered, match=r"^webhook\.n8n: no whole answer within 0\.2 s$"):
        await opened.send(NOTICE)
    await opened.aclose()
    assert receiver.shown == []
