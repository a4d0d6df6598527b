"""Every failure of every channel at the loudest log: no token, no address, no path, no query, no header."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from market.errors import NotifyFailed, NotifyRefused
from notifications.apprise_channel import AppriseChannel
from notifications.discreet import discreet
from notifications.notice import Level, Notice
from notifications.ping import Ping
from notifications.pushover import PushoverChannel
from notifications.receipts import Receipts
from notifications.settings import AppriseSettings, PingSettings, PushoverSettings, WebhookSettings
from notifications.webhook import WebhookChannel, signature
from tests.fakes import FakeClock
from tests.notifications.receivers import TOKEN, USER, PushoverServer, WebhookReceiver

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOTICE = Notice("d/STOP", "ETH-USDT", Level.EMERGENCY, "t", "b", NOW, grid_id="eth-1", decision="d")
KEY = "hmac-key-is-secret"
SECRETS = (
    TOKEN,
    USER,
    KEY,
    "address-is-secret",
    "also-secret",
    "user-is-secret",
    "password-is-secret",
    "TIiajk",
)
FAULTS = [None, "500", "429", "lost", "slow", "refuse connection", "down"]
PAIRS = [*((fault, None) for fault in FAULTS), *((None, fault) for fault in FAULTS[1:-1])]


@pytest.fixture
def loudest(caplog):
    """Everything that any library may log, at the lowest level, by those who set their own level too."""
    caplog.set_level(1)
    for name in (
        "httpx",
        "httpcore",
        "httpcore.http11",
        "httpcore.connection",
        "apprise",
        "urllib3",
        "requests",
    ):
        caplog.set_level(1, logger=name)
    return caplog


async def failures(*calls):
    """Return what was raised, as a traceback would print it, with what the exceptions hold."""
    shown = []
    for call in calls:
        try:
            await call()
        except (NotifyFailed, NotifyRefused) as error:
            shown += [*traceback.format_exception(error), repr(error), repr(error.__dict__), repr(error.args)]
    return "".join(shown)


def clean(*texts):
    for text in texts:
        for secret in SECRETS:
            assert secret not in text


@pytest.mark.parametrize(("fault", "receipt_fault"), PAIRS)
async def test_pushover(tmp_path, loudest, capfd, fault, receipt_fault):
    """Neither the token nor the user's key leaves, whatever fails; nor does a receipt that a token opens."""
    clock, deadline_s = FakeClock(NOW), 0.2 if "slow" in {fault, receipt_fault} else 5.0
    async with PushoverServer(clock) as server:
        channel = PushoverChannel(
            "pushover",
            SecretStr(TOKEN),
            SecretStr(USER),
            PushoverSettings(token_file="t", user_file="u", base_url=server.url, deadline_s=deadline_s),
            Receipts(tmp_path),
            clock,
        )
        with capture_logs() as logs:
            said = await failures(lambda: channel.send(NOTICE))
            server.faults.append(None if fault == "down" else fault)
            server.receipt_faults.extend([receipt_fault] * 3)
            if fault == "down":
                await server.down()
            later = replace(NOTICE, body="later")
            said += await failures(
                channel.acknowledgements, lambda: channel.cancel("eth-1"), lambda: channel.send(later)
            )
            clock.advance(10)
            said += await failures(channel.acknowledgements, lambda: channel.send(later))
        await channel.aclose()
    clean(said, loudest.text, repr(logs), repr(channel.__dict__), (tmp_path / "receipts.json").read_text())
    clean(*capfd.readouterr())
    assert "messages.json" not in loudest.text


async def test_pushover_that_repeats_our_secrets(tmp_path, loudest):
    """A server that quotes what it was sent does not make us quote it."""
    echo = httpx.MockTransport(lambda r: httpx.Response(400, json={"errors": [r.content.decode()]}))
    settings = PushoverSettings(token_file="t", user_file="u")
    channel = PushoverChannel(
        "pushover",
        SecretStr(TOKEN),
        SecretStr(USER),
        settings,
        Receipts(tmp_path),
        FakeClock(NOW),
        None,
        echo,
    )
    said = await failures(lambda: channel.send(NOTICE), lambda: channel.cancel("eth-1"))
    assert "token=***&user=***" in said
    clean(said, loudest.text)
    await channel.aclose()


@pytest.mark.parametrize("fault", FAULTS)
async def test_webhook(loudest, capfd, fault):
    """Neither the address nor the signature leaves."""
    async with WebhookReceiver(KEY, [] if fault == "down" else [fault]) as receiver:
        settings = WebhookSettings(url_file="u", secret_file="s", deadline_s=0.2 if fault == "slow" else 5.0)
        address = receiver.hook.replace("http://", "http://user-is-secret:password-is-secret@")
        channel = WebhookChannel("webhook.n8n", SecretStr(address), SecretStr(KEY), settings)
        if fault == "down":
            await receiver.down()
        said = await failures(lambda: channel.send(NOTICE))
        assert ("webhook.n8n" in said) == (fault is not None)
        await channel.aclose()
    clean(said, loudest.text, repr(channel.__dict__), *capfd.readouterr())
    assert "sha256=" not in said + loudest.text
    assert signature(SecretStr(KEY), b"").startswith("sha256=")


@pytest.mark.parametrize("fault", [None, "down"])
async def test_ping(loudest, capfd, fault):
    """The address of the dead-man switch does not leave."""
    async with WebhookReceiver(KEY) as receiver:  # a GET where a POST is due: 405
        if fault == "down":
            await receiver.down()
        ping = Ping(SecretStr(receiver.hook), PingSettings(url_file="u"))
        said = await failures(ping.send)
        assert "ping" in said
        await ping.aclose()
    clean(said, loudest.text, repr(ping.__dict__), *capfd.readouterr())


@pytest.mark.parametrize("scheme", ["json", "xml", "form", "slack", "discord", "tgram", "mailto"])
async def test_apprise(loudest, capfd, monkeypatch, scheme):
    """Whatever a plug-in's library logs about its address, none of it is kept; the network is not asked."""
    addresses = {
        "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "discord": "discord://also-secret-webhook-id/address-is-secret-token-xxxxxxxxxxxxx",
        "tgram": "tgram://123456789:AAaddress-is-secret_xxxxxxxxxxxxxxxxxx/12345",
        "mailto": "mailto://user-is-secret:password-is-secret@b.example:9?smtp=127.0.0.1",
    }
    address = addresses.get(
        scheme, f"{scheme}://user-is-secret:password-is-secret@127.0.0.1:9/address-is-secret?x=also-secret"
    )
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    channel = AppriseChannel(
        "apprise.1", 1, SecretStr(address), AppriseSettings(urls_file="u", deadline_s=20)
    )
    said = await failures(lambda: channel.send(NOTICE))
    assert "apprise.1: not taken" in said
    clean(said, loudest.text, *capfd.readouterr())
    ours = StringIO()  # pytest's own handler also stands at loggers that do not propagate
    handler = logging.StreamHandler(ours)
    logging.getLogger().addHandler(handler)
    try:
        logging.getLogger("apprise").error("address-is-secret, said outside of any call")
    finally:
        logging.getLogger().removeHandler(handler)
    clean(ours.getvalue(), *capfd.readouterr())


def test_only_what_is_said_meanwhile_is_dropped(caplog):
    """Other parts of the program keep their log, before, after and at the same time."""
    logger = logging.getLogger("httpx")
    caplog.set_level(1, logger="httpx")
    logger.info("before")
    with discreet():
        logger.critical("meanwhile")
    logger.info("after")
    assert [record.message for record in caplog.records] == ["before", "after"]
