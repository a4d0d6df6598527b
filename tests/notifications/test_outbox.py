import os
import stat
import threading
from dataclasses import replace
from datetime import timedelta

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from daemon.clock import DrivenClock
from market import failpoints
from market.errors import NotifyFailed, NotifyRefused
from market.hours import Hour
from notifications import shelf
from notifications.log_channel import LogChannel
from notifications.notice import Kind, Level, Notice
from notifications.outbox import Outbox

NOTICE = Notice(
    "ETH-USDT/2026-02-02T14/verdict", "ETH-USDT", Level.HIGH, "t", "b", Hour.parse("2026-02-02T14").closes_at
)


CLOCK = DrivenClock(NOTICE.at)


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
    outbox = Outbox(tmp_path, [phone], CLOCK)
    assert outbox.enqueue(NOTICE)
    assert not outbox.enqueue(NOTICE)
    assert await outbox.deliver() == 0
    assert not outbox.enqueue(NOTICE)
    again = Outbox(tmp_path, [phone], CLOCK)
    assert not again.enqueue(NOTICE)
    await again.deliver()
    assert phone.got == [NOTICE]


async def test_a_failed_channel_keeps_its_notice_alone(tmp_path):
    """An unreachable phone does not make the log tell twice, and loses nothing."""
    phone, pager = Phone("phone"), Phone("pager")
    phone.reachable = False
    clock = DrivenClock(NOTICE.at)
    outbox = Outbox(tmp_path, [phone, pager], clock)
    outbox.enqueue(NOTICE)
    with capture_logs() as logs:
        assert await outbox.deliver() == 1
        clock.set(NOTICE.at + timedelta(seconds=5))
        assert await outbox.deliver() == 1
        phone.reachable = True
        clock.set(NOTICE.at + timedelta(seconds=14))
        assert await outbox.deliver() == 1  # patience grows with each failure
        clock.set(NOTICE.at + timedelta(seconds=15))
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
            outbox = Outbox(tmp_path, [phone], CLOCK)
            outbox.enqueue(NOTICE)
            await outbox.deliver_to("phone")
    finally:
        failpoints.disarm()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    outbox.enqueue(NOTICE)
    await outbox.deliver()
    assert phone.got == [NOTICE] * (2 if told_again else 1)
    assert outbox.waiting == 0


async def test_leftovers_of_a_crash_are_put_right(tmp_path):
    """A half-written file is not a notice, a cut line is not a memory, order survives."""
    outbox = Outbox(tmp_path, [phone := Phone()], CLOCK)
    outbox.enqueue(NOTICE)
    await outbox.deliver()
    (tmp_path / "00000009-x.json.tmp").write_bytes(b"{")
    with (tmp_path / "told.jsonl").open("ab") as file:
        file.write(b"abc")
    again = Outbox(tmp_path, [phone], CLOCK)
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


# --- channels at their own pace, grids in order ---


def about(grid: str, number: int, level: Level = Level.NORMAL) -> Notice:
    return replace(NOTICE, dedupe=f"{grid}/{number}", grid_id=grid, level=level, kind=Kind.ADVICE)


async def test_a_dead_or_slow_channel_holds_up_no_other(tmp_path):
    """The pager takes a notice while the phone still hangs on the one before."""

    class Hanging(Phone):
        async def send(self, notice):
            await released.wait()
            await super().send(notice)

    released, phone, pager = anyio.Event(), Hanging("phone"), Phone("pager")
    outbox = Outbox(tmp_path, [phone, pager], CLOCK)
    outbox.enqueue(about("a", 1))
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.deliver_to, "phone")
        await anyio.lowlevel.checkpoint()
        outbox.enqueue(about("a", 2))
        await outbox.deliver_to("pager")
        assert [notice.dedupe for notice in pager.got] == ["a/1", "a/2"]
        assert outbox.waiting_for("phone") == 2
        assert outbox.waiting_for("pager") == 0
        released.set()
    assert [notice.dedupe for notice in phone.got] == ["a/1", "a/2"]
    assert outbox.waiting == 0


async def test_a_channel_that_never_answers_is_given_up_and_tried_again(tmp_path, monkeypatch):
    """The outbox has a deadline of its own; the notice stays."""

    class Deaf(Phone):
        async def send(self, notice):
            await anyio.sleep_forever()

    monkeypatch.setattr("notifications.outbox.LONGEST_SEND_S", 0.01)
    outbox = Outbox(tmp_path, [Deaf()], CLOCK)
    outbox.enqueue(NOTICE)
    assert await outbox.deliver() == 1
    assert outbox.channels["phone"].trouble == "no answer within 0.01 s"


@settings(deadline=None, max_examples=60)
@given(
    sent=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(Level))), max_size=12),
    failures=st.lists(st.booleans(), max_size=30),
)
async def test_notices_of_one_grid_arrive_in_order_whatever_fails(
    tmp_path_factory, sent: list[tuple[str, Level]], failures: list[bool]
):
    """Each exactly once where the channel says when it failed; the loudest grid first."""
    left = list(failures)

    class Flaky(Phone):
        async def send(self, notice):
            if left and left.pop():
                raise NotifyFailed("not now")
            await super().send(notice)

    clock, phone = DrivenClock(NOTICE.at), Flaky()
    outbox = Outbox(tmp_path_factory.mktemp("outbox"), [phone], clock)
    for number, (grid, level) in enumerate(sent):
        outbox.enqueue(about(grid, number, level))
    for minutes in range(6 * len(failures) + 1):
        clock.set(NOTICE.at + timedelta(minutes=minutes))
        await outbox.deliver()
    assert outbox.waiting == 0
    arrived = [notice.dedupe for notice in phone.got]
    assert sorted(arrived) == sorted(f"{grid}/{number}" for number, (grid, _) in enumerate(sent))
    for grid in "abc":
        numbers = [int(dedupe[2:]) for dedupe in arrived if dedupe[0] == grid]
        assert numbers == sorted(numbers)


async def test_the_loudest_grid_goes_first_and_old_news_of_it_makes_no_sound(tmp_path):
    """A MANDATORY_EXIT does not queue behind another grid's chatter; what it overtakes is silent."""
    phone = Phone()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    for notice in (
        about("calm", 1, Level.QUIET),
        about("bad", 2, Level.HIGH),
        about("bad", 3, Level.EMERGENCY),
    ):
        outbox.enqueue(notice)
    await outbox.deliver()
    assert [(notice.dedupe, notice.level) for notice in phone.got] == [
        ("bad/2", Level.QUIET),
        ("bad/3", Level.EMERGENCY),
        ("calm/1", Level.QUIET),
    ]


async def test_a_refused_notice_is_not_sent_again_and_is_in_the_log(tmp_path):
    """Repeating it would get the sender blocked; the log has its words, and health the reason."""

    class Strict(Phone):
        async def send(self, notice):
            if notice.dedupe == "a/1":
                raise NotifyRefused("message cannot be blank")
            await super().send(notice)

    phone = Strict()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    outbox.enqueue(about("a", 1))
    with capture_logs() as logs:
        assert await outbox.deliver() == 0
    assert logs[0]["event"] == "notice refused, not sent again"
    assert logs[0]["title"] == NOTICE.title
    assert outbox.channels["phone"].trouble == "refused: message cannot be blank"
    assert outbox.outcomes == {("phone", "refused"): 1}
    assert outbox.channels["phone"].refused_since == outbox.channels["phone"].nothing_since == NOTICE.at
    outbox.enqueue(about("a", 2))
    await outbox.deliver()
    assert outbox.channels["phone"].trouble is None
    assert outbox.channels["phone"].nothing_since is None
    assert [notice.dedupe for notice in phone.got] == ["a/2"]


async def test_nothing_gets_through_since_the_first_failure_or_refusal(tmp_path):
    """A refusal does not end an outage, nor begin it anew."""

    class Moody(Phone):
        async def send(self, notice):
            raise moods.pop(0)

    moods = [NotifyRefused("no"), NotifyFailed("no network"), NotifyRefused("no")]
    clock = DrivenClock(NOTICE.at)
    outbox = Outbox(tmp_path, [Moody()], clock)
    outbox.enqueue(about("a", 1))
    await outbox.deliver()
    outbox.enqueue(about("a", 2))
    for minutes in (1, 2):
        clock.set(NOTICE.at + timedelta(minutes=minutes))
        await outbox.deliver()
    state = outbox.channels["phone"]
    assert (state.refused_since, state.failing_since) == (NOTICE.at, NOTICE.at + timedelta(minutes=1))
    assert state.nothing_since == NOTICE.at


async def test_a_channels_surprise_loses_no_notice_and_shows_no_secret(tmp_path):
    """An unforeseen exception is a failure like another; its text is not repeated."""

    class Broken(Phone):
        async def send(self, notice):
            raise RuntimeError("https://hooks.example/secret")

    outbox = Outbox(tmp_path, [Broken()], CLOCK)
    outbox.enqueue(NOTICE)
    with capture_logs() as logs:
        assert await outbox.deliver() == 1
    assert outbox.channels["phone"].trouble == "unexpected RuntimeError"
    assert "secret" not in str(logs)


async def test_a_channel_says_when_it_may_be_tried_again(tmp_path):
    """A quota that is used up is not asked every few seconds; a clock set back forgets the old deadline."""

    class Full(Phone):
        async def send(self, notice):
            raise NotifyFailed("monthly quota", wait_s=7200)

    clock = DrivenClock(NOTICE.at)
    outbox = Outbox(tmp_path, [Full()], clock)
    outbox.enqueue(NOTICE)
    assert await outbox.deliver_to("phone") == 7200
    clock.set(NOTICE.at + timedelta(hours=1))
    assert await outbox.deliver_to("phone") == 3600
    assert outbox.outcomes == {("phone", "failed"): 1}
    clock.set(NOTICE.at - timedelta(hours=1))
    await outbox.deliver_to("phone")
    assert outbox.outcomes == {("phone", "failed"): 2}


async def test_nothing_waiting_means_no_hurry(tmp_path):
    """Infinity until something is put there."""
    assert await Outbox(tmp_path, [Phone()], CLOCK).deliver_to("phone") == float("inf")


async def test_a_channel_that_left_the_configuration_holds_nothing_up(tmp_path):
    """After a restart without it, its notices are done when the others have them."""
    phone, pager = Phone("phone"), Phone("pager")
    phone.reachable = False
    outbox = Outbox(tmp_path, [phone, pager], CLOCK)
    outbox.enqueue(NOTICE)
    assert await outbox.deliver() == 1
    with capture_logs() as logs:
        without = Outbox(tmp_path, [pager], CLOCK)
    assert without.waiting == 0
    assert without.knows(NOTICE.dedupe)
    assert [(entry["event"], entry["channel"], entry["title"]) for entry in logs] == [
        ("not told by a channel that was taken away", "phone", "t")
    ]


async def test_a_damaged_notice_is_set_aside(tmp_path):
    """It must not silence those behind it."""
    (tmp_path / "00000001-x.json").write_bytes(b"{")
    with capture_logs() as logs:
        outbox = Outbox(tmp_path, [phone := Phone()], CLOCK)
    assert logs[0]["event"] == "a notice is damaged and was set aside"
    assert (tmp_path / "00000001-x.damaged").exists()
    assert outbox.damaged == ["00000001-x.damaged"]
    outbox.enqueue(NOTICE)
    await outbox.deliver()
    assert phone.got == [NOTICE]
    assert Outbox(tmp_path, [phone], CLOCK).damaged == ["00000001-x.damaged"]  # told until it is taken away
    (tmp_path / "00000001-x.damaged").unlink()
    assert outbox.damaged == []


# --- a disk that takes nothing ---


class Disk:
    """The disk under the outbox: takes writes, or refuses them."""

    def __init__(self, monkeypatch):
        self.full = False
        self._write = os.write
        monkeypatch.setattr(os, "write", self._written)

    def _written(self, descriptor, content):
        if self.full and self._is_file(descriptor):
            if len(content) == 65:  # a line of told.jsonl: the last block takes a part of it
                return self._write(descriptor, content[:10])
            raise OSError(28, "No space left on device")
        return self._write(descriptor, content)

    def _is_file(self, descriptor):
        return stat.S_ISREG(os.fstat(descriptor).st_mode)


async def test_a_full_disk_silences_nobody(tmp_path, monkeypatch):
    """The notice goes out from memory, the log has its words once, and it is durable when it can be."""
    disk, phone, pager = Disk(monkeypatch), Phone("phone"), Phone("pager")
    pager.reachable = False
    clock = DrivenClock(NOTICE.at)
    outbox = Outbox(tmp_path, [phone, pager], clock)
    disk.full = True
    with capture_logs() as logs:
        assert outbox.enqueue(NOTICE)
        assert not outbox.enqueue(NOTICE)
        assert await outbox.deliver() == 1
    assert phone.got == [NOTICE]
    assert outbox.not_durable == 1
    said = [entry for entry in logs if entry["log_level"] == "error"]
    assert [(entry["title"], entry["body"]) for entry in said] == [("t", "b")]
    assert said[0]["error"] == "No space left on device"
    disk.full = False
    with capture_logs() as logs:
        await outbox.deliver()
    assert [entry["event"] for entry in logs] == ["the outbox is durable again"]
    assert outbox.not_durable == 0
    again = Outbox(tmp_path, [phone, pager], clock)
    pager.reachable = True
    assert await again.deliver() == 0
    assert (phone.got, pager.got) == ([NOTICE], [NOTICE])


async def test_what_the_disk_did_not_take_is_written_before_the_next_notice(tmp_path, monkeypatch):
    """The next one that is put tries again for the ones before; their order survives a restart."""
    disk, phone = Disk(monkeypatch), Phone()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    disk.full = True
    outbox.enqueue(about("a", 1))
    disk.full = False
    outbox.enqueue(about("a", 2))
    assert outbox.not_durable == 0
    await Outbox(tmp_path, [phone], CLOCK).deliver()
    assert [notice.dedupe for notice in phone.got] == ["a/1", "a/2"]


async def test_a_notice_that_was_told_on_a_full_disk_is_told_once(tmp_path, monkeypatch):
    """The channel's worker lives on, the notice is not sent again, and a restart knows of it too."""
    disk, phone = Disk(monkeypatch), Phone()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    outbox.enqueue(NOTICE)
    disk.full = True
    assert await outbox.deliver() == 0
    assert outbox.knows(NOTICE.dedupe)
    assert not outbox.enqueue(NOTICE)
    assert outbox.not_durable == 1
    disk.full = False
    assert await outbox.deliver() == 0
    assert outbox.not_durable == 0
    again = Outbox(tmp_path, [phone], CLOCK)
    assert (again.waiting, again.knows(NOTICE.dedupe)) == (0, True)
    assert phone.got == [NOTICE]
    told = (tmp_path / "told.jsonl").read_bytes().split(b"\n")
    assert [len(line) for line in told] == [10, 64, 0]  # the part of a line swallowed nothing


async def test_a_notice_that_never_saw_the_disk_is_remembered_when_it_can_be(tmp_path, monkeypatch):
    """Put and taken while the disk is full: nothing is left to send, and it is told once for ever."""
    disk, phone = Disk(monkeypatch), Phone()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    disk.full = True
    outbox.enqueue(NOTICE)
    assert await outbox.deliver() == 0
    assert await outbox.deliver_to("phone") == float("inf")  # a round in which the disk is still full
    assert outbox.not_durable == 1
    disk.full = False
    await outbox.deliver_to("phone")
    assert Outbox(tmp_path, [phone], CLOCK).knows(NOTICE.dedupe)
    assert phone.got == [NOTICE]


async def test_a_told_notice_whose_file_cannot_go_is_noted_once(tmp_path, monkeypatch):
    """The note stands, the file goes later."""
    phone = Phone()
    outbox = Outbox(tmp_path, [phone], CLOCK)
    outbox.enqueue(NOTICE)

    def refuse():
        raise OSError(30, "Read-only file system")

    failpoints.arm("notify.after_told", refuse)
    try:
        await outbox.deliver()
        assert outbox.not_durable == 1
    finally:
        failpoints.disarm()
    await outbox.deliver()
    assert outbox.not_durable == 0
    assert [path.name for path in tmp_path.iterdir()] == ["told.jsonl"]
    assert (tmp_path / "told.jsonl").stat().st_size == 65


async def test_a_slow_disk_does_not_hold_the_loop(tmp_path, monkeypatch):
    """While a write hangs, whoever asks what is known and what waits is answered, and the others are sent."""
    phone, pager = Phone("phone"), Phone("pager")
    outbox = Outbox(tmp_path, [phone, pager], CLOCK)
    outbox.enqueue(about("a", 1))
    hangs, go_on, write = threading.Event(), threading.Event(), shelf.write_durably

    def slowly(path, content):
        hangs.set()
        assert go_on.wait(20)
        write(path, content)

    monkeypatch.setattr(shelf, "write_durably", slowly)
    held_for = []
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, outbox.enqueue, about("a", 2))
        await anyio.to_thread.run_sync(hangs.wait, 20)
        rescue = threading.Timer(5, go_on.set)  # a loop that is held must fail the test, not hang it
        rescue.start()
        assert outbox.knows("a/1")
        assert not outbox.knows("a/2")
        assert (outbox.waiting_for("phone"), outbox.waiting) == (1, 1)
        group.start_soon(outbox.deliver_to, "phone")
        with anyio.fail_after(4):
            while not phone.got:
                await anyio.lowlevel.checkpoint()
        held_for.append(go_on.is_set())
        rescue.cancel()
        go_on.set()
    assert held_for == [False]
    await outbox.deliver()
    assert [notice.dedupe for notice in phone.got] == ["a/1", "a/2"]
    assert [notice.dedupe for notice in pager.got] == ["a/1", "a/2"]


# --- what a bad disk leaves for the next start ---


async def test_a_damaged_memory_of_what_was_told_ends_no_start(tmp_path):
    """Whatever stands on a line, only tags count, and the ones around it stay known."""
    outbox = Outbox(tmp_path, [Phone()], CLOCK)
    outbox.enqueue(about("a", 1))
    await outbox.deliver()
    with (tmp_path / "told.jsonl").open("ab") as file:
        file.write(b"\xff" * 64 + b"\n" + b"z" * 64 + b"\n")
    outbox.enqueue(about("a", 2))
    await outbox.deliver()
    with capture_logs() as logs:
        again = Outbox(tmp_path, [Phone()], CLOCK)
    assert [(entry["file"], entry["error"]) for entry in logs] == [
        ("told.jsonl", "2 of 5 lines are no digests of 64 digits")
    ]
    assert again.knows("a/1")
    assert again.knows("a/2")


async def test_a_start_on_a_disk_that_reads_or_writes_badly_goes_on(tmp_path, monkeypatch):
    """What cannot be read, removed or tidied is said in the log, and the notices behind it go out."""
    phone, outbox = Phone(), Outbox(tmp_path, [Phone()], CLOCK)
    for number in range(3):
        outbox.enqueue(about("a", number))
    first, second, _ = sorted(tmp_path.glob("0*.json"))
    first.unlink()
    first.mkdir()  # reads as EISDIR
    told = second.stem.partition("-")[2]
    (tmp_path / "told.jsonl").write_text(f"{told}\nabc")
    (tmp_path / "told.jsonl.tmp").mkdir()  # neither removed as a leftover nor written over
    second.unlink()
    second.mkdir()  # told, and cannot be unlinked
    with capture_logs() as logs:
        again = Outbox(tmp_path, [phone], CLOCK)
    assert [entry["event"] for entry in logs] == [
        "what was told is damaged",
        "what was told cannot be tidied",
        "a notice's file cannot be read or removed",
        "a notice's file cannot be read or removed",
    ]
    assert again.damaged == [first.name]  # the other one was told
    assert await again.deliver() == 0
    assert [notice.dedupe for notice in phone.got] == ["a/2"]
    last = (tmp_path / "told.jsonl").read_bytes().split(b"\n")
    assert [len(line) for line in last] == [64, 3, 64, 0]


def test_a_memory_that_cannot_be_read_ends_no_start(tmp_path):
    """Nothing is remembered then, which may tell twice but tells."""
    (tmp_path / "told.jsonl").mkdir()
    with capture_logs() as logs:
        assert Outbox(tmp_path, [Phone()], CLOCK).enqueue(NOTICE)
    assert [entry["event"] for entry in logs] == ["what was told cannot be read"]


def test_a_damaged_notice_that_cannot_be_set_aside_ends_no_start(tmp_path):
    """It is looked at again at the next start."""
    (tmp_path / "00000001-x.json").write_bytes(b"{")
    (tmp_path / "00000001-x.damaged").mkdir()
    with capture_logs() as logs:
        outbox = Outbox(tmp_path, [Phone()], CLOCK)
    assert outbox.waiting == 0
    assert [entry["event"] for entry in logs] == ["a notice is damaged and was set aside"]
    assert outbox.damaged == ["00000001-x.damaged", "00000001-x.json"]


async def test_only_so_much_of_what_was_told_is_remembered(tmp_path, monkeypatch):
    """Memory does not grow with the years; the newest stays."""
    monkeypatch.setattr("notifications.shelf.REMEMBERED", 2)
    outbox = Outbox(tmp_path, [Phone()], CLOCK)
    for number in range(3):
        outbox.enqueue(about("a", number))
    await outbox.deliver()
    assert [outbox.knows(f"a/{number}") for number in range(3)] == [False, True, True]
