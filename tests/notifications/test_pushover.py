"""The phone: what is sent, what is never repeated, and that nothing sounds longer than it must."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from market.errors import NotifyFailed, NotifyRefused
from notifications.http import Unanswered
from notifications.notice import Kind, Level, Notice
from notifications.pushover import Acknowledgement, PushoverChannel, Quota
from notifications.receipts import Receipts
from notifications.settings import PushoverSettings
from tests.fakes import FakeClock
from tests.notifications.receivers import TOKEN, USER, PushoverServer

NOW = datetime(2026, 3, 10, 12, 0, 3, tzinfo=UTC)
NOTICE = Notice("d/CONTINUE", "ETH-USDT", Level.NORMAL, "grid: title", "the body", NOW.replace(second=0))
STOP = Notice(
    "a:b/STOP_GRID",
    "ETH-USDT",
    Level.EMERGENCY,
    "eth-1: STOP_GRID",
    "Stop the grid.",
    NOW.replace(second=0),
    Kind.ADVICE,
    "eth-1",
    "MANDATORY_EXIT",
    "a:b",
)
LATER = replace(STOP, dedupe="c/STOP_GRID", body="Stop the grid, again.", decision="c")


@pytest.fixture
def clock():
    return FakeClock(NOW)


@pytest.fixture
async def server(clock):
    async with PushoverServer(clock) as running:
        yield running
    assert running.violations == []


@asynccontextmanager
async def connected(server, clock, folder, *, url=None, token=TOKEN, user=USER, transport=None, **settings):
    channel = PushoverChannel(
        "pushover",
        SecretStr(token),
        SecretStr(user),
        PushoverSettings(
            token_file="t", user_file="u", base_url=url or server.url, **{"deadline_s": 5.0, **settings}
        ),
        Receipts(folder),
        clock,
        "http://there:8080",
        transport,
    )
    try:
        yield channel
    finally:
        await channel.aclose()


@pytest.fixture
async def phone(server, clock, tmp_path):
    async with connected(server, clock, tmp_path) as channel:
        yield channel


@pytest.mark.parametrize(
    ("level", "priority"),
    [(Level.QUIET, -1), (Level.NORMAL, 0), (Level.HIGH, 1), (Level.EMERGENCY, 2)],
)
async def test_how_loud_a_notice_is_is_its_priority(server, phone, level, priority):
    """A level is a priority, and the time shown is the hour that the notice is about."""
    await phone.send(replace(NOTICE, level=level))
    (shown,) = server.shown
    assert (shown.priority, shown.title, shown.message) == (priority, "grid: title", "the body")
    assert shown.timestamp == int(NOTICE.at.timestamp())
    assert (shown.url, shown.tags) == ("", ())


async def test_advice_links_to_its_explanation(server, phone):
    """One tap leads to why; an id with signs of its own stays one part of the path."""
    await phone.send(STOP)
    assert server.shown[0].url == "http://there:8080/decisions/a%3Ab"
    assert server.shown[0].url_title == "Why"


async def test_a_link_that_is_too_long_is_left_out(server, phone):
    """Advice without a link is better than advice that is refused."""
    await phone.send(replace(STOP, decision="x" * 500))
    assert server.shown[0].url == ""


async def test_what_is_too_long_is_cut_and_what_is_empty_is_filled(server, phone):
    """Pushover refuses a long or an empty message for ever; ours is cut in characters, with an ellipsis."""
    await phone.send(replace(NOTICE, title="ü" * 251, body="€ " * 700))
    await phone.send(replace(NOTICE, title="ü" * 250, body="€" * 1024))
    await phone.send(replace(NOTICE, body="  "))
    await phone.send(replace(NOTICE, title="", body=""))
    assert [(len(one.title), len(one.message)) for one in server.shown[:2]] == [(250, 1024), (250, 1024)]
    assert server.shown[0].title.endswith("ü…")
    assert server.shown[0].message.endswith("€…")
    assert server.shown[1].message.endswith("€")
    assert [one.message for one in server.shown[2:]] == ["grid: title", NOTICE.dedupe]


async def test_a_new_emergency_silences_the_former_one_first(server, phone):
    """Two alarms of one grid never sound together, and other grids are left alone."""
    await phone.send(replace(STOP, grid_id="btc-1"))
    await phone.send(STOP)
    await phone.send(LATER)
    assert [one.shown.message for one in server.sounding] == ["Stop the grid.", "Stop the grid, again."]
    assert [one.shown.tags[0].rsplit("_", 1)[0] for one in server.sounding] == ["btc_1", "eth_1"]
    assert server.emergencies["r" + "1".zfill(29)].cancelled


async def test_grids_that_differ_only_in_signs_do_not_silence_each_other(server, phone):
    """A tag has no room for every sign; the hash in it keeps `eth-1` and `eth_1` apart."""
    server.faults.extend(["lost"])
    with pytest.raises(Unanswered):
        await phone.send(STOP)
    await phone.send(replace(LATER, grid_id="eth_1"))
    assert await phone.cancel("eth-1")
    assert [one.shown.message for one in server.sounding] == ["Stop the grid, again."]


@pytest.mark.parametrize("fault", ["lost", "500"])
async def test_a_lost_answer_is_silenced_by_tag_before_it_is_sent_again(
    server, clock, tmp_path, phone, fault
):
    """At least once may show twice, but never sound twice; a restart in between remembers."""
    server.faults.append(fault)
    with pytest.raises(Unanswered) as raised:
        await phone.send(STOP)
    assert raised.value.wait_s == 5.0
    clock.advance(5)
    async with connected(server, clock, tmp_path) as restarted:
        await restarted.send(STOP)
        assert len(server.sounding) == 1
        assert len(server.shown) == (2 if fault == "lost" else 1)
        assert Receipts(tmp_path).doubtful == frozenset()
        assert [one.receipt for one in Receipts(tmp_path).open] == [server.shown[-1].receipt]


@pytest.mark.parametrize("fault", ["500", "429", "lost", "refuse connection"])
async def test_a_cancel_that_fails_does_not_hold_the_new_emergency_back(server, phone, clock, fault):
    """Two alarms at once are bad, none is worse; the old one is silenced at the next chance."""
    await phone.send(STOP)
    server.receipt_faults.append(fault)
    await phone.send(LATER)
    assert len(server.shown) == 2
    clock.advance(6)
    assert await phone.cancel("eth-1")
    assert server.sounding == []


async def test_doubt_stays_while_the_cancel_by_tag_fails(server, phone, clock):
    """What may sound unknown to us is silenced by the stop, however late."""
    server.faults.append("lost")
    with pytest.raises(Unanswered):
        await phone.send(STOP)
    clock.advance(5)
    server.receipt_faults.append("500")
    await phone.send(LATER)
    assert len(server.sounding) == 2
    server.receipt_faults.append("500")
    clock.advance(6)
    assert not await phone.cancel("eth-1")
    clock.advance(6)
    assert await phone.cancel("eth-1")
    assert server.sounding == []


async def test_the_stop_ends_the_noise(server, phone, tmp_path):
    """Once the grid is stopped nobody has to tap the phone; a second cancel has nothing to do."""
    await phone.send(STOP)
    assert await phone.cancel("eth-1")
    assert server.sounding == []
    assert await phone.cancel("eth-1")
    assert server.others == 1
    assert await phone.acknowledgements() == []
    assert Receipts(tmp_path).open == ()


async def test_what_was_acknowledged_while_nobody_asked_is_not_lost_by_the_next_alarm(
    server, clock, tmp_path, phone
):
    """The tap on the phone during an outage comes out, although the next emergency cancels the former."""
    await phone.send(STOP)
    server.acknowledge(server.shown[0].receipt)
    await phone.send(LATER)
    async with connected(server, clock, tmp_path) as restarted:
        (told,) = await restarted.acknowledgements()
    assert (told.decision, told.at) == ("a:b", NOW)
    assert len(server.sounding) == 1


async def test_a_dead_service_costs_one_deadline_not_one_a_receipt(server, clock, phone):
    """After the first receipt that cannot be read the rest waits; none waits for ever."""
    for number in range(3):
        await phone.send(replace(STOP, grid_id=f"g-{number}", body=f"{number}"))
    server.receipt_faults.extend(["500", None, "500"])
    assert await phone.acknowledgements() == []
    assert server.polls == 1
    clock.advance(6)
    await phone.acknowledgements()
    assert server.polls == 3
    assert server.emergencies["r" + "1".zfill(29)].polled_at == clock.now()


async def test_a_cancel_that_cannot_be_done_says_so(server, phone, clock):
    """The caller of a stop learns that it still sounds, and may ask again."""
    await phone.send(STOP)
    server.receipt_faults.append("500")
    assert not await phone.cancel("eth-1")
    clock.advance(5)
    assert await phone.cancel("eth-1")
    assert server.sounding == []


async def test_a_failed_cancel_is_not_repeated_within_five_seconds_whoever_asks(server, phone, clock):
    """The watch over emergencies and the next alarm both cancel; the service wants 5 s after a failure."""
    await phone.send(STOP)
    server.receipt_faults.append("500")
    assert not await phone.cancel("eth-1")
    await phone.send(LATER)
    assert (len(server.shown), server.others) == (2, 1)
    clock.advance(5)
    assert await phone.cancel("eth-1")
    assert server.sounding == []
    assert server.violations == []


async def test_a_receipt_that_the_service_does_not_know_is_not_cancelled_twice(server, phone):
    """A 4xx is never repeated, of a cancel neither."""
    await phone.send(STOP)
    del server.emergencies[server.shown[0].receipt]
    assert await phone.cancel("eth-1")
    assert await phone.cancel("eth-1")


async def test_an_acknowledgement_is_told_until_it_is_settled(server, clock, tmp_path, phone):
    """Who acknowledged, and when, comes out again after a restart, service away, until it is recorded."""
    await phone.send(STOP)
    receipt = server.shown[0].receipt
    assert await phone.acknowledgements() == []
    clock.advance(60)
    server.acknowledge(receipt, "pixel_9")
    expected = Acknowledgement(
        receipt, "eth-1", "a:b", "ETH-USDT", clock.now().replace(microsecond=0), "pushover:pixel_9"
    )
    assert await phone.acknowledgements() == [expected]
    await server.down()
    async with connected(server, clock, tmp_path) as restarted:
        assert await restarted.acknowledgements() == [expected]
        await restarted.settled(receipt)
        assert await restarted.acknowledgements() == []
    assert Receipts(tmp_path).open == ()


async def test_an_acknowledged_emergency_is_neither_cancelled_nor_lost_by_the_next(server, phone):
    """A new emergency does not take away what the operator did about the former one."""
    await phone.send(STOP)
    server.acknowledge(server.shown[0].receipt, "")
    (first,) = await phone.acknowledgements()
    await phone.send(LATER)
    assert first.by == "pushover"
    assert not server.emergencies[first.receipt].cancelled
    assert await phone.acknowledgements() == [first]


async def test_receipts_are_asked_for_every_five_seconds_and_not_faster(server, clock, phone):
    """However often the caller asks, the service is asked every 5 s."""
    await phone.send(STOP)
    for _ in range(21):
        await phone.acknowledgements()
        clock.advance(1)
    assert server.polls == 5


async def test_what_expired_is_not_asked_for_again(server, clock, phone, tmp_path):
    """Nobody acknowledged it in three hours: there is nothing left to wait for."""
    await phone.send(STOP)
    clock.advance(3 * 3600)
    assert await phone.acknowledgements() == []
    clock.advance(10)
    await phone.acknowledgements()
    assert server.polls == 1
    assert Receipts(tmp_path).open == ()


async def test_a_receipt_older_than_a_week_is_dropped_unasked(server, clock, phone):
    """The service keeps receipts for a week; later ones would only be refused."""
    await phone.send(STOP)
    clock.advance(7 * 86400 + 1)
    assert await phone.acknowledgements() == []
    assert server.polls == 0


async def test_a_receipt_that_the_service_does_not_know_is_dropped(server, clock, phone):
    """404 is never asked again."""
    await phone.send(STOP)
    server.emergencies.clear()
    for _ in range(3):
        assert await phone.acknowledgements() == []
        clock.advance(10)
    assert server.polls == 1


async def test_an_outage_of_receipts_is_logged_once_and_mended_quietly(server, clock, phone):
    """Failing polls do not fill the log, and lose no acknowledgement."""
    await phone.send(STOP)
    server.acknowledge(server.shown[0].receipt)
    server.receipt_faults.extend(["500", "429", "lost"])
    with capture_logs() as logs:
        for _ in range(3):
            assert await phone.acknowledgements() == []
            clock.advance(6)
        assert len(await phone.acknowledgements()) == 1
    assert [log["event"] for log in logs] == ["receipts cannot be read now", "receipts can be read again"]


async def test_what_is_refused_is_refused_for_good_and_says_why(server, clock, tmp_path):
    """A 4xx comes out as refused, with the service's own words."""
    async with connected(server, clock, tmp_path, user="x" * 30) as channel:
        for notice in (NOTICE, STOP):
            with pytest.raises(NotifyRefused, match=r"HTTP 400: user identifier is not a valid user"):
                await channel.send(notice)
    assert Receipts(tmp_path).doubtful == frozenset()
    assert server.shown == []


@pytest.mark.parametrize("failures", [["500"], ["lost"], ["500", "lost", "500"]])
async def test_failures_of_the_service_want_five_seconds(server, clock, phone, failures):
    """5xx and lost answers are for later, and not sooner than the service allows."""
    server.faults.extend(failures)
    for _ in failures:
        with pytest.raises(NotifyFailed) as raised:
            await phone.send(NOTICE)
        assert raised.value.wait_s == 5.0
        clock.advance(5)
    await phone.send(NOTICE)
    assert len(server.shown) == 1 + failures.count("lost")


async def test_a_service_that_hangs_meets_the_deadline(server, clock, tmp_path):
    """A silent service costs the deadline, no more, and the emergency may be out."""
    server.faults.append("slow")
    async with connected(server, clock, tmp_path, deadline_s=0.2) as channel:
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.2 s") as raised:
            await channel.send(STOP)
    assert raised.value.wait_s == 5.0
    assert Receipts(tmp_path).doubtful == {"eth-1"}


async def test_a_closed_port_leaves_no_doubt(server, clock, phone, tmp_path):
    """Nothing was taken where nobody listens; the channel works again when it does."""
    await server.down()
    with pytest.raises(NotifyFailed, match=r"no connection \(ConnectError\)") as raised:
        await phone.send(STOP)
    assert raised.value.wait_s == 5.0
    assert not isinstance(raised.value, Unanswered)
    assert Receipts(tmp_path).doubtful == frozenset()
    await server.up()
    await phone.send(STOP)
    assert len(server.sounding) == 1


async def test_doubt_outlives_a_definite_failure(server, clock, phone, tmp_path):
    """A lost answer is not forgotten because the next try was surely not taken."""
    server.faults.append("lost")
    with pytest.raises(Unanswered):
        await phone.send(STOP)
    await server.down()
    with pytest.raises(NotifyFailed):
        await phone.send(STOP)
    assert Receipts(tmp_path).doubtful == {"eth-1"}


async def test_an_exhausted_quota_closes_the_channel_until_its_reset(server, clock, tmp_path, phone):
    """After one 429 nothing is sent for the month, over a restart too; then the channel opens by itself."""
    server.exhaust()
    reset = datetime(2026, 4, 1, 5, tzinfo=UTC)  # midnight in Chicago, in summer time
    left_s = (reset - NOW).total_seconds()
    with pytest.raises(NotifyFailed, match="used up until 2026-04-01 05:00 UTC") as raised:
        await phone.send(NOTICE)
    assert raised.value.wait_s == left_s
    assert phone.quota == Quota(10_000, 0, reset)
    clock.advance(100)
    with pytest.raises(NotifyFailed) as raised:
        await phone.send(STOP)
    assert raised.value.wait_s == left_s - 100
    async with connected(server, clock, tmp_path) as restarted:
        for _ in range(2):
            with pytest.raises(NotifyFailed):
                await restarted.send(NOTICE)
    assert server.requests == 1
    clock.advance(left_s - 100)
    await phone.send(NOTICE)
    assert len(server.shown) == 1
    assert phone.quota == Quota(10_000, 9_999, datetime(2026, 5, 1, 5, tzinfo=UTC))


async def test_a_restart_finds_out_that_more_messages_were_bought(server, clock, tmp_path, phone):
    """An operator who buys messages restarts, and is told again; asking for the limits costs none."""
    server.exhaust()
    with pytest.raises(NotifyFailed):
        await phone.send(NOTICE)
    server.quota = 20_000
    async with connected(server, clock, tmp_path) as restarted:
        await restarted.send(NOTICE)
        await restarted.send(NOTICE)
    assert len(server.shown) == 2


@pytest.mark.parametrize("fault", ["500", "lost"])
async def test_limits_that_cannot_be_read_leave_the_channel_closed(server, clock, tmp_path, phone, fault):
    """Without a word about more messages the old word stands."""
    server.exhaust()
    with pytest.raises(NotifyFailed):
        await phone.send(NOTICE)
    server.receipt_faults.append(fault)
    async with connected(server, clock, tmp_path) as restarted:
        for _ in range(2):
            with pytest.raises(NotifyFailed, match="used up"):
                await restarted.send(NOTICE)


def answering(status, *, headers=None, json=None, text=None):
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, json=json, text=text))


@pytest.mark.parametrize(
    ("reset", "wait_s"),
    [
        (NOW - timedelta(days=1), 60.0),
        (NOW + timedelta(seconds=90), 87.0 + 3.0),
        (NOW + timedelta(days=400), 31 * 86400.0),
        (None, 300.0),
        ("soon", 300.0),
        ("9" * 30, 300.0),
    ],
)
async def test_a_senseless_reset_is_bounded(clock, tmp_path, reset, wait_s):
    """A wrong clock at the service neither hammers it nor silences us for a year."""
    told = int(reset.timestamp()) if isinstance(reset, datetime) else reset
    limits = {"X-Limit-App-Limit": "10000", "X-Limit-App-Remaining": "0"}
    headers = limits if told is None else {**limits, "X-Limit-App-Reset": str(told)}
    transport = answering(429, headers=headers, json={"status": 0})
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        with pytest.raises(NotifyFailed) as raised:
            await channel.send(NOTICE)
    assert raised.value.wait_s == wait_s


async def test_a_firewalls_403_drops_no_emergency(server, clock, phone, tmp_path):
    """It is not Pushover that refuses: the alarm is kept, the receipt asked again, the cancel tried again."""
    server.faults.append("firewall")
    with pytest.raises(NotifyFailed, match="HTTP 403 without Pushover's JSON") as raised:
        await phone.send(STOP)
    assert raised.value.wait_s == 5.0
    assert Receipts(tmp_path).doubtful == frozenset()
    await phone.send(STOP)
    assert phone.sounding == {"eth-1"}
    server.receipt_faults.extend(["firewall", "firewall"])
    assert await phone.acknowledgements() == []
    assert not await phone.cancel("eth-1")
    assert phone.sounding == {"eth-1"}
    clock.advance(6)
    server.acknowledge(server.shown[0].receipt)
    (told,) = await phone.acknowledgements()
    assert told.grid_id == "eth-1"


class Hasty:
    """A service that answers one message with a 429 and limits as told, and takes what comes after."""

    def __init__(self, headers, limits):
        self.headers, self.limits, self.paths = headers, limits, []

    def __call__(self, request):
        self.paths.append(request.url.path)
        if request.method == "GET":
            return self.limits
        if len(self.paths) == 1:
            return httpx.Response(429, headers=self.headers, json={"status": 0})
        return httpx.Response(200, json={"status": 1}, headers=app_limits(9_000))


def app_limits(remaining):
    reset = int((NOW + timedelta(days=20)).timestamp())
    return {
        "X-Limit-App-Limit": "10000",
        "X-Limit-App-Remaining": str(remaining),
        "X-Limit-App-Reset": str(reset),
    }


@pytest.mark.parametrize("headers", [None, app_limits(9_000)])
@pytest.mark.parametrize("limits", [httpx.Response(200, json={"remaining": 9_000}), httpx.Response(500)])
async def test_a_429_that_does_not_say_used_up_shuts_five_minutes_and_no_month(
    clock, tmp_path, headers, limits
):
    """What an earlier answer told of the reset is no word about this one: there is quota left."""
    service = Hasty(headers, limits)
    transport = httpx.MockTransport(service)
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        channel.quota = Quota(10_000, 9_000, NOW + timedelta(days=20))
        with pytest.raises(NotifyFailed, match="HTTP 429 without its quota, closed until 2026-03-10 12:05"):
            await channel.send(NOTICE)
        clock.advance(299)
        with pytest.raises(NotifyFailed, match="HTTP 429 without its quota") as raised:
            await channel.send(NOTICE)
        assert raised.value.wait_s == 1.0
        clock.advance(1)
        await channel.send(NOTICE)
        await channel.send(NOTICE)
    messages = "/1/messages.json"
    assert service.paths == [messages, "/1/apps/limits.json", messages, messages]


async def test_the_limits_say_whether_a_429_meant_the_month(clock, tmp_path):
    """Asked when the five minutes are over: used up is used up until the service's own reset."""
    reset = NOW + timedelta(days=20)
    told = {"limit": 10_000, "remaining": 0, "reset": int(reset.timestamp()), "status": 1}
    service = Hasty(None, httpx.Response(200, json=told))
    transport = httpx.MockTransport(service)
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        with pytest.raises(NotifyFailed):
            await channel.send(NOTICE)
        clock.advance(300)
        for _ in range(2):
            with pytest.raises(NotifyFailed, match="the month's quota is used up until 2026-03-30") as raised:
                await channel.send(NOTICE)
        assert raised.value.wait_s == 20 * 86400 - 300
    assert service.paths == ["/1/messages.json", "/1/apps/limits.json"]


@pytest.mark.parametrize(
    ("transport", "error", "said"),
    [
        (
            answering(200, json={"status": 0, "errors": ["no such thing"]}),
            NotifyRefused,
            "200: no such thing",
        ),
        (answering(200, json={"status": 0}), NotifyRefused, "HTTP 200: no reason given"),
        (answering(413, text="<html>"), NotifyFailed, "HTTP 413 without Pushover's JSON"),
        (answering(403, json={"status": 403, "error": "blocked"}), NotifyFailed, "HTTP 403 without"),
        (answering(403, json={}), NotifyFailed, "HTTP 403 without"),
        (answering(400, json={"status": 0}), NotifyRefused, "HTTP 400: no reason given"),
        (
            answering(404, json={"errors": [f"\n{TOKEN} {USER} " * 50]}),
            NotifyRefused,
            r"404:  \*\*\* \*\*\* ",
        ),
        (answering(200, text="<html>Log in to the Wi-Fi</html>"), Unanswered, "HTTP 200 without its JSON"),
        (answering(302, headers={"Location": "/login"}), Unanswered, "HTTP 302"),
        (answering(504, text="gateway"), Unanswered, "HTTP 504"),
        (answering(200, text="x" * 100_001), Unanswered, "larger than 100000 bytes"),
    ],
)
async def test_strange_answers_are_sorted_by_what_to_do_next(clock, tmp_path, transport, error, said):
    """Only Pushover's own refusal is final: a login page in between is not."""
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        with pytest.raises(error, match=said) as raised:
            await channel.send(NOTICE)
    assert len(str(raised.value)) < 250
    assert TOKEN not in str(raised.value)
    assert USER not in str(raised.value)


async def test_an_emergency_without_a_receipt_stays_in_doubt(clock, tmp_path):
    """It was taken, so it is not sent again; by its tag the stop can still silence it."""
    transport = answering(200, json={"status": 1})
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        with capture_logs() as logs:
            await channel.send(STOP)
    assert [log["event"] for log in logs] == ["an emergency was taken without a receipt"]
    assert Receipts(tmp_path).doubtful == {"eth-1"}


@pytest.mark.parametrize("body", [{"status": 0}, {"status": 1, "expired": 1}])
async def test_a_receipt_with_nothing_to_wait_for_is_dropped(clock, tmp_path, body):
    """Expired, or not known in the service's own words."""

    def answer(request):
        if request.method == "GET":
            return httpx.Response(200, json=body)
        return httpx.Response(200, json={"status": 1, "receipt": "r1"})

    transport = httpx.MockTransport(answer)
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        await channel.send(STOP)
        assert await channel.acknowledgements() == []
    assert Receipts(tmp_path).open == ()


async def test_a_receipt_that_is_no_receipt_is_asked_for_again(clock, tmp_path):
    """A login page in between says nothing of an acknowledgement."""

    def answer(request):
        if request.method == "GET":
            return httpx.Response(200, text="<html>")
        return httpx.Response(200, json={"status": 1, "receipt": "r1"})

    transport = httpx.MockTransport(answer)
    async with connected(None, clock, tmp_path, url="http://127.0.0.1:9", transport=transport) as channel:
        await channel.send(STOP)
        with capture_logs() as logs:
            assert await channel.acknowledgements() == []
    assert logs[0]["error"] == "not a receipt's JSON"
    assert [one.receipt for one in Receipts(tmp_path).open] == ["r1"]


async def test_never_more_than_two_requests_at_once(server, clock, tmp_path):
    """Eight notices at once go two by two."""
    server.faults.extend(["slow"] * 8)
    async with connected(server, clock, tmp_path) as channel, asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(channel.send(replace(NOTICE, body=f"{number}")))
        await server.arrived.wait()
        server.release()
    assert len(server.shown) == 8


async def test_a_send_given_up_while_it_waits_leaves_nothing_behind(server, clock, tmp_path):
    """A shutdown in the middle of a queue neither warns nor sends."""
    server.faults.extend(["slow"] * 2)
    async with connected(server, clock, tmp_path) as channel:
        sends = [asyncio.create_task(channel.send(replace(NOTICE, body=f"{n}"))) for n in range(3)]
        await server.arrived.wait()
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
    assert server.shown == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"token": "x"}, "application token is invalid"),
        ({"user": ""}, "user identifier is not a valid user"),
        ({"message": " "}, "message cannot be blank"),
        ({"message": "x" * 1025}, "message is too long"),
        ({"title": "x" * 251}, "title is too long"),
        ({"url": "x" * 513}, "url is too long"),
        ({"url_title": "x" * 101}, "url_title is too long"),
        ({"priority": "3"}, "priority is invalid"),
        ({"priority": "2", "expire": "60"}, "retry must be at least"),
        ({"priority": "2", "retry": "29", "expire": "60"}, "retry must be at least"),
        ({"priority": "2", "retry": "30"}, "expire must be at most"),
        ({"priority": "2", "retry": "30", "expire": "10801"}, "expire must be at most"),
    ],
)
async def test_the_test_server_refuses_what_the_real_one_refuses(clock, changed, said):
    """A server that takes everything would prove nothing; one that forgives neither."""
    form = {"token": TOKEN, "user": USER, "message": "m", **changed}
    async with PushoverServer(clock) as server, httpx.AsyncClient(base_url=server.url) as client:
        for _ in range(2):
            answer = await client.post("/1/messages.json", data=form)
            assert answer.status_code == 400
            assert answer.json()["status"] == 0
            assert said in " ".join(answer.json()["errors"])
    assert server.violations == ["/1/messages.json: repeated after a 4xx"]


async def test_the_test_server_notices_haste_and_crowds(clock):
    """Each rule of the service is broken once, and each is noted."""
    form = {"token": TOKEN, "user": USER, "message": "m"}
    alarm = {**form, "priority": "2", "retry": "30", "expire": "10800"}
    async with (
        PushoverServer(clock, quota=2, faults=["500"]) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        await client.post("/1/messages.json", data=form)
        await client.post("/1/messages.json", data=form)
        receipt = (await client.post("/1/messages.json", data=alarm)).json()["receipt"]
        for _ in range(2):
            await client.get(f"/1/receipts/{receipt}.json", params={"token": TOKEN})
        for _ in range(2):
            assert (await client.post("/1/messages.json", data=form)).status_code == 429
        server.receipt_faults.extend(["slow"] * 3)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(client.get("/1/apps/limits.json", params={"token": TOKEN}))
            while server.alive() < 3:
                await asyncio.sleep(0)
            server.release()
    assert server.sounding[0].expires_at == NOW + timedelta(seconds=1500)
    assert set(server.violations) == {
        "/1/messages.json: repeated sooner than 5 s after a failure",
        "a receipt was polled faster than every 5 s",
        "a message while the quota is exhausted",
        "more than two connections at once",
    }
