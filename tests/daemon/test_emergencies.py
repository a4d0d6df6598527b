"""An acknowledged emergency is in the records before it is forgotten; one that nobody needs is silenced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from daemon.emergencies import watch_emergencies
from daemon.operator import answer
from decisions.actions import Answer
from market import failpoints
from notifications.notice import Level
from notifications.pushover import Acknowledgement
from store.advice import Deed, read_advice
from tests.cycle.house import START, House, house
from tests.cycle.test_decisions import GRID, LOOSE, newest_advice, run_grid


class Siren:
    """A channel that sounds for a grid until it is told to stop."""

    def __init__(self, *grids: str) -> None:
        self.sounding = frozenset(grids)
        self.seen: list[Acknowledgement] = []

    async def acknowledgements(self) -> list[Acknowledgement]:
        return list(self.seen)

    async def settled(self, receipt: str) -> None:
        self.seen = [each for each in self.seen if each.receipt != receipt]

    async def cancel(self, grid_id: str) -> bool:
        self.sounding -= {grid_id}
        return True


def seen(decision: str, at: datetime) -> Acknowledgement:
    return Acknowledgement("r" * 30, GRID, decision, "ETH-USDT", at, "pushover:phone")


def deeds(there: House, decision: str) -> list[tuple[str, str]]:
    return [(d.action.value, d.actor) for d in read_advice(there.app.store.root, decision).actions]


async def in_trouble(there: House) -> str:
    await run_grid(there, 2000, 2200, START)
    await there.hour(START)
    there.clock.set(START.closes_at + timedelta(minutes=3))
    return (await newest_advice(there, START)).id


async def test_an_acknowledgement_becomes_an_action_once_and_ends_the_siren(tmp_path):
    """Asked again after a crash before it was forgotten, it changes nothing."""
    async with house(tmp_path, **LOOSE) as there:
        decision = await in_trouble(there)
        siren = Siren(GRID)
        assert await watch_emergencies(there.app, siren) == 0
        assert siren.sounding == {GRID}
        siren.seen = [seen(decision, there.clock.now())]
        assert await watch_emergencies(there.app, siren) == 1
        assert deeds(there, decision) == [("acknowledge", "pushover:phone")]
        assert siren.seen == []
        assert siren.sounding == frozenset()
        siren.seen = [seen(decision, there.clock.now())]
        await watch_emergencies(there.app, siren)
        assert deeds(there, decision) == [("acknowledge", "pushover:phone")]


async def test_what_cannot_be_recorded_yet_is_not_forgotten(tmp_path):
    """A full disk keeps the acknowledgement where it is."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    async with house(tmp_path, **LOOSE) as there:
        decision = await in_trouble(there)
        siren = Siren()
        siren.seen = [seen(decision, there.clock.now())]
        failpoints.arm("writer.before_intent", full)
        try:
            assert await watch_emergencies(there.app, siren) == 0
        finally:
            failpoints.disarm()
        assert len(siren.seen) == 1
        assert await watch_emergencies(there.app, siren) == 1


async def test_an_acknowledgement_of_nothing_known_is_let_go(tmp_path):
    """A test message, and advice that is not there: asking for ever would help nobody."""
    async with house(tmp_path, **LOOSE) as there:
        siren = Siren()
        for decision in ("", "2026-01-05/dec-ETH-USDT-990000"):
            siren.seen = [seen(decision, there.clock.now())]
            assert await watch_emergencies(there.app, siren) == 1
            assert siren.seen == []


async def test_a_siren_ends_with_the_stop_and_with_the_danger(tmp_path):
    """A grid that was stopped, one that nobody knows, and one whose state is no emergency any more."""
    async with house(tmp_path, **LOOSE) as there:
        decision = await in_trouble(there)
        siren = Siren(GRID, "unknown-1")
        await watch_emergencies(there.app, siren)
        assert siren.sounding == {GRID}
        state = there.state()
        facts = state.facts
        (advice,) = facts.advice
        calm = replace(
            advice, exit_state="NORMAL", action="CONTINUE", told_higher=None, since="2026-01-05T01"
        )
        state.facts = replace(facts, advice=(calm,))
        await watch_emergencies(there.app, siren)
        assert siren.sounding == frozenset()
        state.facts = facts
        siren = Siren(GRID)
        await answer(there.app, decision, Deed(Answer.ACCEPT, there.clock.now(), "tester"))
        await watch_emergencies(there.app, siren)
        assert siren.sounding == frozenset()


async def test_a_siren_goes_on_where_nothing_is_known_of_what_was_told(tmp_path):
    """After a restart without records: a running grid in MANDATORY_EXIT, or one that nothing is known of."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state, siren = there.state(), Siren(GRID)
        state.spells.clear()
        await watch_emergencies(there.app, siren)
        assert siren.sounding == {GRID}
        state.facts = None
        await watch_emergencies(there.app, siren)
        assert siren.sounding == {GRID}


async def test_an_emergency_told_while_another_was_looked_up_is_not_cancelled(tmp_path, monkeypatch):
    """The verdict was about the former one."""
    async with house(tmp_path, **LOOSE) as there:
        await in_trouble(there)
        state, siren = there.state(), Siren(GRID)

        async def meanwhile(app, grid_id):
            told = state.spells[GRID]
            state.spells[GRID] = told.told(app.clock.now(), Level.EMERGENCY)
            return False

        monkeypatch.setattr("daemon.emergencies._still_needed", meanwhile)
        await watch_emergencies(there.app, siren)
        assert siren.sounding == {GRID}


async def test_an_acknowledgement_of_what_is_not_recorded_yet_waits(tmp_path):
    """Its advice is in no file while commits fail; afterwards it is let go only if it is still not there."""
    async with house(tmp_path, **LOOSE) as there:
        siren = Siren()
        siren.seen = [seen("2026-01-05/dec-ETH-USDT-990000", there.clock.now())]
        there.app.board.commit_trouble = "No space left on device"
        assert await watch_emergencies(there.app, siren) == 0
        assert len(siren.seen) == 1
