"""Apprise with its real plug-ins against real receivers: once an address, bounded, quiet about it."""

from __future__ import annotations

import builtins
import logging
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest
from aiohttp import web
from pydantic import SecretStr

from market.errors import ConfigInvalid, NotifyFailed
from notifications.apprise_channel import AppriseChannel
from notifications.notice import Level, Notice
from notifications.opening import open_channels
from notifications.outbox import Outbox
from notifications.settings import AppriseSettings, NotificationSettings
from tests.fakes import FakeClock
from tests.notifications.receivers import Receiver

NOTICE = Notice(
    "d/STOP_GRID", "ETH-USDT", Level.HIGH, "a < b", "1 < 2 & 3", datetime(2026, 3, 10, 12, tzinfo=UTC)
)


class Json(Receiver):
    """What Apprise's json:// speaks to."""

    def __init__(self, faults=()):
        super().__init__(faults)
        self.shown = []

    @property
    def address(self):
        return f"{self.url.replace('http://', 'json://')}/post/very-secret-path"

    def routes(self):
        return [web.post("/post/{id}", self._post)]

    async def _post(self, request):
        said = await request.json()
        fault = self.next_fault()

        def take():
            self.shown.append((said["type"], said["title"], said["message"]))
            return web.Response()

        return await self.faulted(request, fault, take, lambda: web.Response(status=429))


def channel(url, place=1, deadline_s=20.0):
    settings = AppriseSettings(urls_file="u", deadline_s=deadline_s)
    return AppriseChannel(f"apprise.{place}", place, SecretStr(url), settings)


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        (Level.QUIET, "info"),
        (Level.NORMAL, "info"),
        (Level.HIGH, "warning"),
        (Level.EMERGENCY, "failure"),
    ],
)
async def test_a_level_is_a_type(level, kind):
    """How loud it is reaches a service that can show it; the words arrive as they are."""
    async with Json() as receiver:
        opened = channel(receiver.address)
        await opened.send(replace(NOTICE, level=level))
        await opened.aclose()
        assert receiver.shown == [(kind, "a < b", "1 < 2 & 3")]


async def test_an_empty_body_is_filled():
    """Apprise sends nothing without a body."""
    async with Json() as receiver:
        await channel(receiver.address).send(replace(NOTICE, body=""))
        assert [said[2] for said in receiver.shown] == ["a < b"]


async def test_a_failure_names_a_place_and_not_an_address(caplog):
    """A repeated notice goes out once it can, and who has it is not told again."""
    caplog.set_level(1)
    async with Json(["500", "429"]) as ill:
        opened = channel(ill.address, place=2)
        for _ in range(2):
            with pytest.raises(NotifyFailed, match=r"^apprise\.2: not taken$"):
                await opened.send(NOTICE)
        await opened.send(NOTICE)
        await opened.send(NOTICE)
        await opened.send(replace(NOTICE, dedupe="another"))
        assert len(ill.shown) == 2
    assert "secret" not in caplog.text


async def test_a_dead_address_mutes_no_other(tmp_path):
    """Each address of the file goes at its own pace: a dead one costs the others nothing."""
    async with Json() as dead, Json() as well:
        (tmp_path / "urls").write_text(f"{dead.address}\n{well.address}\n")
        await dead.down()
        settings = NotificationSettings.model_validate({"apprise": {"urls_file": tmp_path / "urls"}})
        clock = FakeClock(NOTICE.at)
        outbox = Outbox(tmp_path / "outbox", open_channels(settings, tmp_path, clock), clock)
        for number in range(3):
            outbox.enqueue(replace(NOTICE, dedupe=f"{number}", title=f"{number}"))
        assert await outbox.deliver() == 3
        assert [said[1] for said in well.shown] == ["0", "1", "2"]
        assert (outbox.waiting_for("apprise.1"), outbox.waiting_for("apprise.2")) == (3, 0)


async def test_what_outlives_the_deadline_is_not_sent_a_second_time():
    """A slow service is not told twice: what it takes late counts."""
    async with Json(["slow"]) as receiver:
        opened = channel(receiver.address, deadline_s=0.2)
        for _ in range(2):
            with pytest.raises(NotifyFailed, match="not taken"):
                await opened.send(NOTICE)
        receiver.release()
        with anyio.fail_after(20):
            while opened._under_way:
                await anyio.sleep(0.005)
        await opened.send(NOTICE)
        assert len(receiver.shown) == receiver.requests == 1


async def test_a_plug_in_that_raises_is_a_failure_without_its_words(monkeypatch, caplog):
    """Whatever a plug-in raises, the daemon sees a failed channel and no address."""
    caplog.set_level(1)
    opened = channel("json://127.0.0.1:9/very-secret-path")

    def fail(**_):
        logging.getLogger("made.by.a.plug-in").error("very-secret-path")
        raise RuntimeError("very-secret-path")

    logging.getLogger("made.by.a.plug-in")
    monkeypatch.setattr(opened._receiver, "notify", fail)
    with pytest.raises(NotifyFailed) as raised:
        await opened.send(NOTICE)
    assert "secret" not in f"{raised.value} {raised.value.__cause__} {raised.value.__context__}"
    assert "secret" not in caplog.text


async def test_only_so_many_notices_are_remembered(monkeypatch):
    """Memory does not grow with the years."""
    monkeypatch.setattr("notifications.apprise_channel._REMEMBERED", 2)
    async with Json() as receiver:
        opened = channel(receiver.address)
        for number in range(4):
            await opened.send(replace(NOTICE, dedupe=f"{number}"))
        assert list(opened._taken) == ["2", "3"]


@pytest.mark.parametrize("url", ["very-secret-path", "nosuch://very-secret-path", "json://"])
def test_an_unknown_address_is_named_by_its_place(url, caplog, capfd):
    """An operator learns which line to mend; nobody learns what stands in it."""
    caplog.set_level(1)
    with pytest.raises(ConfigInvalid, match=r"notifications\.apprise\.urls_file: address 2 ") as raised:
        channel(url, place=2)
    assert "secret" not in f"{raised.value}{caplog.text}{''.join(capfd.readouterr())}"


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    """Apprise is an extra: who configures it without it is told which."""
    real = builtins.__import__

    def without(name, *rest):
        if name == "apprise":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigInvalid, match=r"notifications\.apprise: .*pip install 'regimed\[notify\]'"):
        channel("json://127.0.0.1:9/")
