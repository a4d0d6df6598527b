"""What the operator hears of a grid over hours: at once, again in time, nothing once it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from daemon.operator import answer, settle_timers
from daemon.telling import announce, is_settled, recall_told, remind
from decisions.actions import Answer
from exits.states import ExitState
from market import failpoints
from market.hours import Hour
from notifications.messages import HourFacts
from notifications.notice import Level
from notifications.pacing import Spell
from store.advice import Deed
from store.exit_files import ToldNotice, told_notices
from tests.cycle.house import START, House, assert_sound, house
from tests.cycle.test_decisions import GRID, LOOSE, newest_advice, run_grid

CALM = {"notifications": {"quiet_hours": {"start": "00:00", "end": "23:59"}}}


def waiting(folder: Path) -> list[dict[str, object]]:
    """Return the notices about the grid that are on their way, oldest first."""
    paths = sorted((folder / "data.state" / "outbox").glob("0*.json"))
    return [found for path in paths if (found := orjson.loads(path.read_bytes()))["grid_id"] == GRID]


def recorded(folder: Path) -> list[ToldNotice]:
    return list(told_notices(folder / "data", "ETH-USDT"))


async def minutes(there: House, first: int, last: int, hour: Hour = START) -> int:
    """Tick from `first` to `last` minutes after the close of an hour; returns how many reminders came."""
    count = 0
    for minute in range(first, last + 1):
        there.clock.set(hour.closes_at + timedelta(minutes=minute))
        count += await remind(there.app)
        await settle_timers(there.app)
    return count


async def in_trouble(there: House) -> None:
    """A grid whose bounds the price left: MANDATORY_EXIT in its first hour."""
    await run_grid(there, 2000, 2200, START)
    await there.hour(START)


async def test_a_mandatory_exit_is_told_each_hour_until_it_is_acknowledged(tmp_path):
    """At once, then each hour; an acknowledgement ends it; the records say what was told when."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        (first,) = waiting(tmp_path)
        assert (first["level"], first["exit_state"]) == ("emergency", "MANDATORY_EXIT")
        assert await minutes(there, 1, 59) == 0
        assert await minutes(there, 60, 130) == 2
        newest = await newest_advice(there, START)
        deed = Deed(Answer.ACKNOWLEDGE, there.clock.now(), "pushover:phone")
        await answer(there.app, newest.id, deed)
        assert await minutes(there, 131, 60 * 12) == 0
        told = waiting(tmp_path)
        titles = [str(notice["title"]) for notice in told]
        assert ["still" in title for title in titles] == [False, True, True]
        facts = recorded(tmp_path)
        assert [fact.key for fact in facts] == [notice["dedupe"] for notice in told]
        assert [fact.at - START.closes_at for fact in facts] == [
            timedelta(seconds=5),
            timedelta(minutes=62),  # a newer hour has two minutes to speak first
            timedelta(minutes=122),
        ]
    assert_sound(tmp_path)


async def test_a_restart_neither_forgets_nor_repeats_what_was_told(tmp_path):
    """The hour counts from the record, not from the start of the process."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
    async with house(tmp_path, at=timedelta(minutes=30), **LOOSE) as there:
        assert len(waiting(tmp_path)) == 1
        assert await minutes(there, 31, 61) == 0
        assert await minutes(there, 62, 62) == 1


@pytest.mark.parametrize("place", ["notify.before_enqueue", "notify.after_enqueue", "cycle.before_keep"])
async def test_a_transition_is_told_once_wherever_a_crash_falls(tmp_path, place):
    """Before the notice was durable it is told after the restart; after that it is only recorded."""

    class Crash(BaseException):
        pass

    def die():
        raise Crash

    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        failpoints.arm(place, die)
        try:
            with pytest.raises(BaseExceptionGroup):
                await there.hour(START)
        finally:
            failpoints.disarm()
    async with house(tmp_path, at=timedelta(minutes=2), **LOOSE) as there:
        await remind(there.app)
        assert len(waiting(tmp_path)) == 1
        assert [(fact.state.value, fact.folded) for fact in recorded(tmp_path)] == [("MANDATORY_EXIT", False)]
        assert await minutes(there, 3, 62) == 1
    assert_sound(tmp_path)


async def test_a_stopped_grid_reminds_nobody(tmp_path):
    """Also in the minutes before the next hour is judged."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        newest = await newest_advice(there, START)
        there.clock.set(START.closes_at + timedelta(minutes=50))
        await answer(there.app, newest.id, Deed(Answer.ACCEPT, there.clock.now(), "tester"))
        assert await minutes(there, 55, 200) == 0


async def test_after_an_outage_one_notice_tells_what_happened_meanwhile(tmp_path):
    """The hours in between are folded into it, by name, in the records."""
    async with house(tmp_path, **LOOSE) as there:
        await there.hour(START)
        await run_grid(there, 2000, 2200, START.plus(3))
        there.clock.set(START.plus(6).closes_at + timedelta(seconds=5))
        await there.attend()
        (one,) = waiting(tmp_path)
        assert "Since the last message" not in one["body"]  # one state was entered
        assert "Caught up" in one["body"]
        entered = START.plus(2)  # the close of 02 is the open of 03
        (fact,) = recorded(tmp_path)
        assert (fact.since, fact.folded) == (entered.iso(), False)
    assert_sound(tmp_path)


async def test_reminders_go_on_while_the_exchange_is_away(tmp_path):
    """The grid is in danger all the same: the newest record is what is repeated."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        there.state().trouble = "no answer"
        assert await minutes(there, 60, 200) == 3


async def test_what_eased_is_not_told_louder_a_minute_later(tmp_path):
    """Told at NORMAL as good news; its reminder comes after its least time, not for being louder."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state, now = there.state(), there.clock.now()
        eased = ExitState.LATEST_ACCEPTABLE_EXIT
        (advice,) = state.told.advice
        state.told = replace(state.told, advice=(replace(advice, action="CONTINUE", exit_state=eased.value),))
        state.spells[GRID] = Spell(GRID, eased, advice.since).told(now, Level.NORMAL)
        for minute in (1, 60, 119):
            there.clock.set(START.closes_at + timedelta(minutes=minute))
            assert await remind(there.app) == 0
        there.clock.set(START.closes_at + timedelta(minutes=122))
        assert await remind(there.app) == 1
        assert (waiting(tmp_path)[-1]["level"], recorded(tmp_path)[-1].state) == ("high", eased)


async def test_quiet_hours_let_a_mandatory_exit_through(tmp_path):
    """It sounds at any time of day."""
    async with house(tmp_path, **LOOSE, **CALM) as there:
        await in_trouble(there)
        (fact,) = recorded(tmp_path)
        assert fact.level == Level.EMERGENCY.value


async def test_what_cannot_be_recorded_is_told_all_the_same(tmp_path):
    """A full disk in the repository silences nobody."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
        state = there.state()
        before = state.spells[GRID].times

        def refuse():
            raise OSError("no space left on device")

        failpoints.arm("writer.before_intent", refuse)
        try:
            assert await minutes(there, 62, 62) == 1
        finally:
            failpoints.disarm()
        assert state.spells[GRID].times == before + 1
        assert len(waiting(tmp_path)) == 2


async def test_a_state_that_eased_is_told_softly_and_not_again_the_minute_after(tmp_path):
    """From MANDATORY_EXIT to LATEST_ACCEPTABLE_EXIT wakes nobody, although the state's own level would."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state = there.state()
        told = state.told
        (advice,) = told.advice
        eased = replace(
            told,
            hour=START.plus(1),
            advice=(replace(advice, exit_state="LATEST_ACCEPTABLE_EXIT", since=START.plus(1).iso()),),
        )
        there.clock.set(START.plus(1).closes_at)
        await announce(there.app, eased, ())
        assert [notice["level"] for notice in waiting(tmp_path)] == ["emergency", "normal"]
        assert await minutes(there, 0, 10, START.plus(1)) == 0
        assert len(waiting(tmp_path)) == 2


async def test_states_passed_through_in_an_outage_are_folded_into_the_one_notice(tmp_path):
    """WARNING came and went while nothing was judged: one quiet notice says so, and the records name it."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 4000, START)
        await there.hour(START)
        told = there.state().told
        (advice,) = told.advice
        calm = replace(advice, exit_state="NORMAL", since=START.iso())

        def then(hours: int, state: str, since: int) -> HourFacts:
            facts = replace(calm, exit_state=state, since=START.plus(since).iso())
            return replace(told, hour=START.plus(hours), advice=(facts,))

        before = replace(told, advice=(calm,))
        meanwhile = [then(1, "WARNING", 1), then(2, "WARNING", 1), then(3, "NORMAL", 3)]
        there.clock.set(START.plus(4).closes_at)
        put = len(waiting(tmp_path))
        there.state().told = before
        await announce(there.app, then(4, "NORMAL", 3), meanwhile)
        (one,) = waiting(tmp_path)[put:]
        assert one["level"] == "quiet"
        assert "Since the last message: WARNING at 02:00, NORMAL at 04:00." in one["body"]
        folded, spoke = recorded(tmp_path)[-2:]
        assert (folded.state, folded.folded, folded.key) == ("WARNING", True, spoke.key)
        assert (spoke.state, spoke.folded, spoke.key) == ("NORMAL", False, one["dedupe"])


async def test_what_was_told_and_is_not_readable_is_told_anew(tmp_path):
    """A damaged file of exit states costs a second notice, never the first; the log names the market."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        (path,) = (tmp_path / "data" / "exit_states" / "ETH-USDT").iterdir()
        path.write_text(path.read_text() + "---\nschema_version: 7\n")
        with capture_logs() as logs:
            await recall_told(there.app, "ETH-USDT")
        assert "what was told is not readable; it is told anew" in [line["event"] for line in logs]


async def test_an_answer_to_what_was_before_is_no_answer_to_what_is_told_now(tmp_path):
    """Acknowledged while the hour was not judged yet: the new state is told, and told again."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state, old = there.state(), (await newest_advice(there, START)).id
        (advice,) = state.told.advice
        latest = replace(advice, exit_state="LATEST_ACCEPTABLE_EXIT")
        state.told = replace(state.told, advice=(latest,))
        state.spells[GRID] = latest.spell.told(there.clock.now(), Level.HIGH)
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=5))
        await answer(there.app, old, Deed(Answer.ACKNOWLEDGE, there.clock.now(), "pushover:phone"))
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=30))
        worse = replace(advice, id=f"{advice.id}-x", since=START.plus(1).iso())
        await announce(there.app, replace(state.told, hour=START.plus(1), advice=(worse,)), ())
        state.newest, spell = START.plus(1), state.spells[GRID]
        assert (spell.state, spell.level) == ("MANDATORY_EXIT", Level.EMERGENCY)
        assert not await is_settled(there.app, state, spell)
        state.newest = START.plus(2)
        assert await minutes(there, 31, 89, START.plus(1)) == 0
        assert await minutes(there, 90, 91, START.plus(1)) == 1


async def test_what_was_told_and_not_recorded_is_recorded_after_a_restart(tmp_path):
    """Commits fail and the program is restarted: nothing twice, and the least time counts from the start."""

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    async with house(tmp_path, **LOOSE) as there:
        await there.hour(START)
        await run_grid(there, 2000, 2200, START.plus(1))
        await there.app.outbox.deliver()
        failpoints.arm("writer.before_commit", refuse)
        try:
            await there.hour(START.plus(1))
        finally:
            failpoints.disarm()
        assert len(waiting(tmp_path)) == 1
        assert recorded(tmp_path) == []
        await there.app.outbox.deliver()
    began = START.plus(1).closes_at
    async with house(tmp_path, start=START.plus(1), at=timedelta(minutes=50), **LOOSE) as there:
        await there.attend()
        assert waiting(tmp_path) == []
        await minutes(there, 51, 59, START.plus(1))
        assert [(fact.at - began, fact.folded) for fact in recorded(tmp_path)] == [
            (timedelta(minutes=51), False)  # recorded when it was found
        ]
        assert await minutes(there, 60, 110, START.plus(1)) == 0
        assert await minutes(there, 111, 112, START.plus(1)) == 1
        assert len(waiting(tmp_path)) == 1


async def test_a_market_that_waits_for_minutes_is_told_what_catching_up_found(tmp_path):
    """The newest hour is incomplete: what the hours before it found does not wait for it."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state = there.state()
        state.told = None
        state.spells.clear()
        there.clock.set(START.closes_at + timedelta(minutes=62))
        assert await remind(there.app) == 0
        state.retry_at = there.clock.now() + timedelta(minutes=3)
        there.clock.set(START.closes_at + timedelta(minutes=64))
        assert await remind(there.app) == 1


async def test_one_markets_trouble_does_not_silence_the_reminders_of_the_others(tmp_path, monkeypatch):
    """It is logged, and the round goes on."""
    async with house(tmp_path, markets=2, **LOOSE) as there:
        await in_trouble(there)
        tried = []

        async def _remind(app, state):
            tried.append(state.key)
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("daemon.telling._remind", _remind)
        assert await remind(there.app) == 0
        assert tried == ["ETH-USDT", "BTC-USDT"]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("verdict", "CALM"), ("exit_state", "ALARM"), ("action", "RUN"), ("since", "noon"), ("hour", "never")],
)
async def test_a_memory_with_a_word_that_is_none_of_ours_is_forgotten(tmp_path, field, wrong):
    """Valid JSON, wrong content: the market is told anew, and its worker lives."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        path = tmp_path / "data.state" / "told" / "ETH-USDT.json"
        data = orjson.loads(path.read_bytes())
        (data if field in data else data["advice"][0])[field] = wrong
        path.write_bytes(orjson.dumps(data))
        assert there.app.told.recall("ETH-USDT") is None
