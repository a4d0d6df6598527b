"""`regimed notify test` as a person calls it, against the strict receivers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from aiohttp import web

from daemon.clock import WallClock
from daemon.commands import notifying
from market.hours import Hour
from notifications.examples import TEST_LANE, one_of_each_level
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level
from notifications.pushover import _tag
from tests.daemon.calls import Called, called
from tests.fakes import FakeClock
from tests.notifications.receivers import TOKEN, USER, PushoverServer, Receiver, WebhookReceiver

SECRET = "verysecret-signature"
LEVELS = ["quiet", "normal", "high", "emergency"]


class Switch(Receiver):
    """A dead-man switch."""

    def routes(self):
        return [web.get("/ping/{id}", self._ping)]

    async def _ping(self, request):
        return await self.faulted(request, self.next_fault(), web.Response, lambda: web.Response(status=429))


class Tapped(PushoverServer):
    """Somebody taps as soon as an emergency sounds."""

    def _take(self, form):
        answer = super()._take(form)
        for one in self.sounding:
            self.acknowledge(one.shown.receipt, "phone")
        return answer


def config(folder, token=TOKEN, **told):
    """Return a configuration with these channels; every secret in a file of its own."""
    for name, text in {"token": token, "user": USER, "secret": SECRET}.items():
        (folder / name).write_text(text)
    path = folder / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "data_repository": {"base_path": str(folder / "data")},
                "exchanges": {"kucoin": {"kind": "kucoin"}},
                "markets": [{"exchange": "kucoin", "symbol": "ETH-USDT"}],
                "notifications": told,
            }
        )
    )
    return path


def pushover(folder, url, **more):
    return {"token_file": str(folder / "token"), "user_file": str(folder / "user"), "base_url": url, **more}


def webhook(folder, url):
    (folder / "hook").write_text(url)
    return {"n8n": {"url_file": str(folder / "hook"), "secret_file": str(folder / "secret")}}


def ping(folder, url):
    (folder / "ping").write_text(url)
    return {"url_file": str(folder / "ping")}


async def tried(path, *arguments: str) -> Called:
    """Call the command in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(called, "notify", "test", "--config", str(path), *arguments)


async def test_each_channel_gets_one_of_each_level_marked_as_a_test_and_the_ping_is_sent(tmp_path):
    """In order of loudness; who acknowledged is said; nothing is recorded, no secret leaves."""
    async with Tapped(WallClock()) as phone, WebhookReceiver(SECRET) as n8n, Switch() as switch:
        path = config(
            tmp_path,
            pushover=pushover(tmp_path, phone.url),
            webhooks=webhook(tmp_path, n8n.hook),
            ping=ping(tmp_path, f"{switch.url}/ping/verysecret"),
        )
        done = await tried(path, "--format", "json")
        assert done.code == 0, done.err
        assert [shown.priority for shown in phone.shown] == [-1, 0, 1, 2]
        assert all(shown.title.startswith("TEST: ") for shown in phone.shown)
        assert [shown["level"] for shown in n8n.shown] == LEVELS
        assert {(shown["kind"], shown["decision"], shown["exit_state"]) for shown in n8n.shown} == {
            ("test", "", None)
        }
        assert (switch.requests, phone.violations) == (1, [])
        found = json.loads(done.out)
        assert [(one["channel"], one["level"], one["outcome"]) for one in found["tried"]] == [
            *(("pushover", level, "sent") for level in LEVELS),
            *(("webhook.n8n", level, "sent") for level in LEVELS),
            ("ping", "", "sent"),
        ]
        assert "acknowledged by pushover:phone at 2" in found["emergency"][0]
        for secret in (TOKEN, USER, SECRET, "verysecret", "also-secret"):
            assert secret not in done.out + done.err
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "data.state").exists()


async def test_an_emergency_that_nobody_acknowledges_is_cancelled(tmp_path):
    """Nothing goes on sounding after the command, and it was a success all the same."""
    async with PushoverServer(WallClock()) as phone:
        done = await tried(config(tmp_path, pushover=pushover(tmp_path, phone.url)), "--wait", "0")
        assert done.code == 0, done.err
        assert "nobody acknowledged the emergency within 0 s; it is cancelled" in done.out
        assert (len(phone.shown), phone.sounding, phone.violations) == (4, [], [])


async def test_the_wait_ends_with_the_tap(tmp_path, monkeypatch):
    """It is asked every 5 s at most, and the first answer that says so ends the wait."""
    clock = FakeClock(datetime(2026, 3, 10, 14, 20, tzinfo=UTC))

    async def passing(seconds: float) -> None:
        await clock.sleep(seconds)
        if len(clock.slept) == 15:
            phone.acknowledge(phone.sounding[0].shown.receipt)

    monkeypatch.setattr(notifying.anyio, "sleep", passing)
    async with PushoverServer(clock) as phone:
        told = notifying.settings_of(config(tmp_path, pushover=pushover(tmp_path, phone.url))).notifications
        found, endings = await notifying._try_all(told, clock, 600)
    assert [one.outcome for one in found] == ["sent"] * 4
    assert endings == ["pushover: the emergency was acknowledged by pushover:phone at 2026-03-10T14:20:07Z"]
    assert (sum(clock.slept), phone.polls, phone.violations) == (10, 3, [])


async def test_a_wrong_token_is_refused_once_and_keeps_no_other_channel(tmp_path):
    """Four refusals in a row would get a sender blocked."""
    async with PushoverServer(WallClock()) as phone, WebhookReceiver(SECRET) as n8n:
        wrong = "x" * 30
        path = config(
            tmp_path, wrong, pushover=pushover(tmp_path, phone.url), webhooks=webhook(tmp_path, n8n.hook)
        )
        done = await tried(path)
        assert done.code == 3
        assert "refused: HTTP 400: application token is invalid" in done.out
        assert done.out.count("not sent: the one before was not taken") == 3
        assert [line.split()[-1] for line in done.out.splitlines()].count("sent") == 4
        assert (phone.requests, len(n8n.shown)) == (1, 4)
        assert wrong not in done.out + done.err


async def test_an_emergency_whose_answer_was_lost_is_cancelled_too(tmp_path):
    """It may be out: it is cancelled by its tag, and the message counts as failed."""
    async with PushoverServer(WallClock(), faults=[None, None, None, "lost"]) as phone:
        done = await tried(config(tmp_path, pushover=pushover(tmp_path, phone.url)))
        assert done.code == 3
        assert "emergency  failed: " in done.out
        assert [one.shown.tags for one in phone.emergencies.values()] == [(_tag(TEST_LANE),)]
        assert (phone.sounding, phone.violations) == ([], [])


async def test_an_emergency_that_cannot_be_cancelled_is_said(tmp_path):
    """It would sound for hours without a word on why."""
    async with PushoverServer(WallClock(), receipt_faults=[None, "500"]) as phone:
        done = await tried(config(tmp_path, pushover=pushover(tmp_path, phone.url)), "--wait", "0")
        assert "could not be cancelled; acknowledge it on the phone" in done.out
        assert len(phone.sounding) == 1


async def test_a_dead_webhook_and_a_dead_ping_are_outside_trouble(tmp_path):
    """What is not taken is named with its reason, and not tried four times."""
    async with WebhookReceiver(SECRET, ["500"]) as n8n, Switch(["500"]) as switch:
        path = config(
            tmp_path, webhooks=webhook(tmp_path, n8n.hook), ping=ping(tmp_path, f"{switch.url}/ping/1")
        )
        done = await tried(path)
        assert done.code == 3
        assert "failed: HTTP 500" in done.out
        assert (n8n.requests, switch.requests) == (1, 1)


async def test_a_test_silences_no_real_emergency(tmp_path):
    """A running daemon's receipts are its own; its emergencies go on sounding."""
    async with PushoverServer(WallClock()) as phone:
        real = {"token": TOKEN, "user": USER, "message": "m", "priority": "2", "retry": "30", "expire": "900"}
        phone._take(real | {"tags": _tag("eth-usdt-1")})
        state = tmp_path / "data.state"
        state.mkdir()
        (state / "receipts.json").write_text("a running daemon's")
        await tried(config(tmp_path, pushover=pushover(tmp_path, phone.url)), "--wait", "0")
        assert [one.shown.message for one in phone.sounding] == ["m"]
        assert (state / "receipts.json").read_text() == "a running daemon's"


def test_without_a_channel_it_says_how_to_configure_one(tmp_path):
    """The log alone wakes nobody."""
    done = called("notify", "test", "--config", str(config(tmp_path)))
    assert (done.code, done.out) == (2, "")
    assert "no channel is configured" in done.err
    assert "notifications.pushover" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--wait", "-1"), "--wait"),
        (("--wait", "soon"), "--wait"),
        (("--wait", "601"), "--wait"),
        (("--format", "xml"), "neither table nor json"),
        (("--config", "gone.yaml"), "gone.yaml"),
    ],
)
def test_bad_input_is_named_and_nothing_is_sent(tmp_path, arguments, said):
    """Usage and configuration end with 2."""
    good = config(tmp_path, pushover=pushover(tmp_path, "http://127.0.0.1:9"))
    done = called("notify", "test", "--config", str(good), *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_secret_file_that_cannot_be_used_is_named_without_what_it_holds(tmp_path):
    """Before anything is sent, with the setting and the file."""
    path = config(tmp_path, "verysecret", pushover=pushover(tmp_path, "http://127.0.0.1:9"))
    done = called("notify", "test", "--config", str(path))
    assert done.code == 2
    assert "notifications.pushover.token_file" in done.err
    assert "verysecret" not in done.err


@pytest.mark.parametrize("minutes", [0, 1, 59, 60 * 24 * 59])
def test_the_examples_are_one_of_each_level_within_the_limits(minutes):
    """By the real templates, none with a grid or decision that somebody's automation would act on."""
    now = Hour.parse("2026-01-01T00").opens_at + timedelta(minutes=minutes)
    notices = one_of_each_level(now)
    assert [notice.level for notice in notices] == list(Level)
    assert {notice.kind for notice in notices} == {Kind.TEST}
    assert all(notice.title[:6] == "TEST: " and "nothing happened" in notice.body for notice in notices)
    assert all(len(notice.title) <= MOST_TITLE and len(notice.body) <= MOST_BODY for notice in notices)
    assert [notice.grid_id for notice in notices] == ["", "", "", TEST_LANE]
    assert {(notice.decision, notice.exit_state) for notice in notices} == {("", None)}
    later = one_of_each_level(now + timedelta(microseconds=1))
    assert not {notice.dedupe for notice in notices} & {notice.dedupe for notice in later}
