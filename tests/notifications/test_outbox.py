from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from market import failpoints
from market.errors import NotifyFailed
from market.hours import Hour
from notifications.log_channel import LogChannel
from notifications.notice import Level, Notice
from notifications.outbox import Outbox

NOTICE = Notice(
    "ETH-USDT/2026-02-02T14/verdict", "ETH-USDT", Level.HIGH, "t", "b", Hour.parse("2026-02-02T14").closes_at
)


class Phone:
    """A channel that can be out of reach."""

    def __init__(self, name="phone"):
        self.name, self.reachable, self.got = name, True, []

    async def send(self, notice):
        if not self.reachable:
            raise NotifyFailed("no network")
        self.got.append(notice)

    async def aclose(self):
        pass


class Crash(BaseException):
    pass


async def test_a_notice_is_told_once_whatever_is_repeated(tmp_path):
    """A repeated cycle and a restart tell nothing twice."""
    phone = Phone()
    outbox = Outbox(tmp_path, [phone])
    assert outbox.enqueue(NOTICE)
    assert not outbox.enqueue(NOTICE)
    assert await outbox.deliver() == 0
    assert not outbox.enqueue(NOTICE)
    again = Outbox(tmp_path, [phone])
    assert not again.enqueue(NOTICE)
    await again.deliver()
    assert phone.got == [NOTICE]


async def test_a_failed_channel_keeps_its_notice_alone(tmp_path):
    """An unreachable phone does not make the log tell twice, and loses nothing."""
    phone, pager = Phone("phone"), Phone("pager")
    phone.reachable = False
    outbox = Outbox(tmp_path, [phone, pager])
    outbox.enqueue(NOTICE)
    with capture_logs() as logs:
        assert await outbox.deliver() == 1
        assert await outbox.deliver() == 1
        phone.reachable = True
        assert await outbox.deliver() == 0
    assert [entry["event"] for entry in logs] == ["notice not taken, kept for later", "channel recovered"]
    assert phone.got == pager.got == [NOTICE]
    assert outbox.outcomes == {("phone", "failed"): 2, ("phone", "sent"): 1, ("pager", "sent"): 1}


@pytest.mark.parametrize(
    ("place", "told_again"),
    [
        ("notify.before_enqueue", False),
        ("notify.before_rename", False),
        ("notify.after_enqueue", False),
        ("notify.before_send", False),
        ("notify.after_send", True),
        ("notify.after_told", False),
    ],
)
async def test_a_crash_anywhere_loses_nothing(tmp_path, place, told_again):
    """At least once: only a crash between the sending and its note may tell twice."""
    phone = Phone()

    def die():
        raise Crash

    failpoints.arm(place, die)
    try:
        with pytest.raises(Crash):
            outbox = Outbox(tmp_path, [phone])
            outbox.enqueue(NOTICE)
            await outbox.deliver()
    finally:
        failpoints.disarm()
    outbox = Outbox(tmp_path, [phone])
    outbox.enqueue(NOTICE)
    await outbox.deliver()
    assert phone.got == [NOTICE] * (2 if told_again else 1)
    assert outbox.waiting == 0


async def test_leftovers_of_a_crash_are_put_right(tmp_path):
    """A half-written file is not a notice, a cut line is not a memory, order survives."""
    outbox = Outbox(tmp_path, [phone := Phone()])
    outbox.enqueue(NOTICE)
    await outbox.deliver()
    (tmp_path / "00000009-x.json.tmp").write_bytes(b"{")
    with (tmp_path / "told.jsonl").open("ab") as file:
        file.write(b"abc")
    again = Outbox(tmp_path, [phone])
    assert not again.enqueue(NOTICE)
    others = [replace(NOTICE, dedupe=f"{i}") for i in range(3)]
    for other in others:
        assert again.enqueue(other)
    await again.deliver()
    assert phone.got[1:] == others
    assert not list(tmp_path.glob("*.tmp"))


async def test_the_log_channel_warns_of_what_wants_a_human():
    """HIGH and EMERGENCY stand out in the log."""
    with capture_logs() as logs:
        await LogChannel().send(NOTICE)
        await LogChannel().send(replace(NOTICE, level=Level.QUIET))
    assert [entry["log_level"] for entry in logs] == ["warning", "info"]
