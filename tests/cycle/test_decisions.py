"""The decision loop on the whole application: advice, answers, gates, timers, outcomes, restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.calibrating import calibrate_due
from daemon.evaluating import evaluate_due
from daemon.health import health
from daemon.operator import answer, settle_timers
from daemon.rehearsal import answer_open_advice, overlooks, start_by_hand
from daemon.telling import remind
from daemon.workers import load_state
from decisions.actions import Answer
from decisions.answering import Set
from decisions.recommendation import Action
from decisions.timers import PastAdvice
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.record import EventKind, GridRecord, new_record, with_event
from market.errors import DataInvalid
from market.hours import Hour
from notifications.notice import Level
from store import yaml_text
from store.advice import Deed, read_advice
from store.change_set import ChangeSet
from store.exit_files import transitions
from store.grids import encode_grid, grid_path
from store.inputs import PAST_HOURS
from tests.cycle.house import START, assert_sound, git, house, recomputed

GRID = "eth-usdt-1"
LOOSE = {
    "economics": {"require_positive_edge": False},
    "capital": {"total_quote": 10_000, "mode": "multi_grid"},
}


def grid_from(lower: int, upper: int, hour: Hour) -> GridRecord:
    """Return a grid that runs from the open of `hour`."""
    parameters = GridParameters(
        version=1,
        lower=Decimal(lower),
        upper=Decimal(upper),
        levels=6,
        spacing=Spacing.GEOMETRIC,
        amount_per_grid=Decimal(100),
        stop_loss=Decimal(lower) * Decimal("0.9"),
    )
    made = new_record(GRID, "ETH-USDT", GridKind.NORMAL, parameters, hour.opens_at)
    return with_event(made, EventKind.ENABLED, hour.opens_at, 1, by="test")


async def run_grid(there, lower: int, upper: int, hour: Hour) -> None:
    """Write a grid that runs from the open of `hour`."""
    running = grid_from(lower, upper, hour)
    await there.app.store.write(ChangeSet({grid_path(GRID): encode_grid(running)}, "[grid] it runs"))


async def newest_advice(there, hour: Hour) -> PastAdvice:
    (found,) = [
        advice
        for advice in await there.app.store.recent_advice("ETH-USDT", hour)
        if advice.closes_at == hour.closes_at
    ]
    return found


async def test_a_running_grid_is_followed_warned_of_and_stopped_by_the_operator(tmp_path):
    """One grid whose bounds break at once: STOP_GRID, told as an emergency, accepted, and its gates close."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)  # the price is far above
        await there.hours(START, 2)
        advice = await newest_advice(there, START.plus(1))
        assert advice.action is Action.STOP_GRID
        record = there.metrics(START.plus(1))
        entry = record["exit_evaluation"][GRID]
        assert entry["state"] == "MANDATORY_EXIT"
        assert entry["position"]["figures"]["allocation"] > 0
        assert record["gate_evaluation"] == {}
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert any("STOP_GRID" in text and "emergency" in text for text in told)
        page = health(there.app)
        assert page["checks"]["grids"]["running"] == [GRID]
        assert page["checks"]["market:ETH-USDT"]["grids"]["running"][GRID]["exit_state"] == "MANDATORY_EXIT"
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=20))
        assert await answer_open_advice(there.app, START.plus(1)) == 1
        await there.hours(START.plus(2), 2)
        record = there.metrics(START.plus(3))
        assert record["exit_evaluation"] == {}
        assert record["gate_evaluation"][GRID]["stopped_at"] == "2026-01-05T02:20:00Z"
        assert (await newest_advice(there, START.plus(3))).action is Action.NO_SETUP
        (entered,) = transitions(tmp_path / "data", "ETH-USDT")
        assert (entered.grid_id, entered.state.value) == (GRID, "MANDATORY_EXIT")
        again = recomputed(tmp_path, there.app, "ETH-USDT", [START.plus(i) for i in range(4)])
        assert again == [there.record_bytes(START.plus(i)) for i in range(4)]
    assert_sound(tmp_path)


async def test_an_accepted_setup_runs_with_what_was_really_set(tmp_path):
    """The grid's file gets a version and a start at the operator's time; the same answer twice is refused."""
    async with house(tmp_path, **LOOSE, probation=ANY_CONFIDENCE, **ANY_VERDICT) as there:
        hour, advice = START, None
        for index in range(48):
            hour = START.plus(index)
            await there.hour(hour)
            advice = await newest_advice(there, hour)
            if advice.action.creates:
                break
        assert advice is not None
        if not advice.action.creates:
            pytest.fail("no setup in 48 hours")
        at = hour.closes_at + timedelta(minutes=7)
        there.clock.set(at + timedelta(minutes=1))
        recorded = read_advice(there.app.store.root, advice.id)
        lower = Decimal(repr(recorded.file.proposed["lower"])) - 1
        await answer(there.app, advice.id, Deed(Answer.ACCEPT, at, "me", set_=Set(lower=lower)))
        grid = (await there.app.store.grids())[advice.grid_id]
        assert (grid.history[-1].event, grid.history[-1].at) == (EventKind.ENABLED, at)
        assert grid.versions[-1].lower == lower
        assert grid.history[-1].reason == advice.id
        with pytest.raises(DataInvalid, match="already answered"):
            await answer(there.app, advice.id, Deed(Answer.DECLINE, at, "me"))
        await there.hour(hour.plus(1))
        assert (await newest_advice(there, hour.plus(1))).kind.value == "GRID_MANAGE"
    assert_sound(tmp_path)


async def test_timers_survive_a_restart_and_settle_once(tmp_path):
    """An unanswered setup expires with a file at its due instant; a restart neither repeats nor moves it."""
    config = LOOSE | {"probation": ANY_CONFIDENCE} | ANY_VERDICT
    async with house(tmp_path, **config) as there:
        hour = START
        for index in range(48):
            hour = START.plus(index)
            await there.hour(hour)
            advice = await newest_advice(there, hour)
            if advice.action.creates:
                break
        there.clock.set(hour.closes_at + timedelta(minutes=59, seconds=59))
        assert await settle_timers(there.app) == 0
    async with house(tmp_path, start=hour.plus(1), **config) as there:
        await load_state(there.app)
        there.clock.set(hour.closes_at + timedelta(minutes=60))
        assert await settle_timers(there.app) == 1
        assert await settle_timers(there.app) == 0
        recorded = read_advice(there.app.store.root, advice.id)
        (action,) = recorded.actions
        assert (action.actor, action.action, action.at) == (
            "system",
            Answer.EXPIRED,
            recorded.file.expires_at,
        )
        with pytest.raises(DataInvalid, match="--late"):
            await answer(there.app, advice.id, Deed(Answer.ACCEPT, there.clock.now(), "me"))
    assert_sound(tmp_path)


async def test_what_ran_out_during_a_long_outage_is_recorded_once(tmp_path):
    """Twelve hours off: each setup ends with its file at its due instant, the old one and the late ones."""
    config = LOOSE | {"probation": ANY_CONFIDENCE} | ANY_VERDICT
    async with house(tmp_path, **config) as there:
        await there.hour(START)
        assert (await newest_advice(there, START)).action.creates
    async with house(tmp_path, start=START.plus(12), **config) as there:
        assert await settle_timers(there.app) == 1  # before the hours between are caught up
        await there.attend()
        await settle_timers(there.app)
        assert await settle_timers(there.app) == 0
        past = await there.app.store.recent_advice("ETH-USDT", START.plus(12), START)
        over = [advice for advice in past if advice.expires_at and advice.expires_at <= there.clock.now()]
        assert len(over) > PAST_HOURS
        assert [[(a.action, a.at) for a in advice.actions] for advice in over] == [
            [(Answer.EXPIRED, advice.expires_at)] for advice in over
        ]
    assert_sound(tmp_path)


async def test_the_stops_of_a_long_outage_are_one_reminder(tmp_path):
    """An alarm for each hour that was caught up helps nobody: the state that stands is told again, once."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
    async with house(tmp_path, start=START.plus(12), at=timedelta(minutes=2), **LOOSE) as there:
        before = len(list((tmp_path / "data.state" / "outbox").glob("0*.json")))
        await there.attend()
        assert len(there.judged()) == 13
        await settle_timers(there.app)
        assert await remind(there.app) == 1
        told = sorted((tmp_path / "data.state" / "outbox").glob("0*.json"))[before:]
        about = [text for path in told if GRID in (text := path.read_text())]
        assert ["still STOP_GRID" in text for text in about] == [True]


async def test_advice_that_was_born_expired_is_not_told_after_a_restart_either(tmp_path):
    """A setup that was over before it was made is no news, also for a daemon that reads its record."""
    config = LOOSE | {"probation": ANY_CONFIDENCE, "advice": {"setup_expires_min": 30}} | ANY_VERDICT
    async with house(tmp_path, at=timedelta(minutes=31), **config) as there:
        await there.attend()
        assert (await newest_advice(there, START)).action.creates
        facts = there.state().facts
        assert facts.advice == ()
        waiting = sorted((tmp_path / "data.state" / "outbox").iterdir())
        assert waiting
    async with house(tmp_path, at=timedelta(minutes=32), **config) as there:
        assert there.state().facts == facts
        assert sorted((tmp_path / "data.state" / "outbox").iterdir()) == waiting


async def test_an_unanswered_stop_grows_louder_once(tmp_path):
    """A STOP_GRID told as high is an emergency after half an hour, once; an emergency grows no louder."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
        state, newest = there.state(), await newest_advice(there, START.plus(1))
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=61))
        assert await settle_timers(there.app) == 0  # MANDATORY_EXIT sounded from the first
        (advice,) = state.told.advice
        since = START.plus(1).iso()
        high = replace(advice, exit_state="LATEST_ACCEPTABLE_EXIT", since=since)
        state.told = replace(state.told, advice=(high,))
        state.spells[GRID] = high.spell.told(START.plus(1).closes_at, Level.HIGH)
        assert await settle_timers(there.app) == 1
        assert await settle_timers(there.app) == 0
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert [f"{newest.id}/louder" in text for text in told].count(True) == 1
        assert state.spells[GRID].level is Level.EMERGENCY


async def test_a_grid_that_was_stopped_by_hand_wakes_nobody(tmp_path):
    """`grids disable` without an answer to the advice: the stop's timer runs out in silence."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=10))
        running = (await there.app.store.grids())[GRID]
        stopped = with_event(running, EventKind.DISABLED, there.clock.now(), 1, by="hand")
        await there.app.store.write(ChangeSet({grid_path(GRID): encode_grid(stopped)}, "[grid] by hand"))
        there.clock.set(START.plus(1).closes_at + timedelta(minutes=59))
        await settle_timers(there.app)
        newest = await newest_advice(there, START.plus(1))
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert not any(f"{newest.id}/louder" in text for text in told)


@pytest.mark.parametrize("what", ["decision", "record"])
async def test_a_damaged_record_of_the_hour_before_stops_no_market(tmp_path, what):
    """It gets the bytes back that the history holds, the next hour is judged from them, and replays."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
    name = "decisions" if what == "decision" else "metrics"
    path = max((tmp_path / "data" / name).rglob("*.yaml"))
    held = path.read_bytes()
    path.write_bytes(held.replace(b"schema_version: 1", b"schema_version: 7", 1))
    async with house(tmp_path, start=START.plus(2), **LOOSE) as there:
        await there.hour(START.plus(2))
        assert path.read_bytes() == held
        assert there.state().trouble is None
        assert there.metrics(START.plus(2))["exit_evaluation"][GRID]["state"] == "MANDATORY_EXIT"
        again = recomputed(tmp_path, there.app, "ETH-USDT", [START.plus(2)])
        assert again == [there.record_bytes(START.plus(2))]
    assert_sound(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lower": 2300}, "upper"),
        ({"levels": 1}, "levels"),
        ({"amount_per_grid": -5}, "amount_per_grid"),
        ({"market": "XRP-USDT"}, "market"),
        ({"twice": True}, "history.1.event"),
        ({"version": 3}, "versions.0.version"),
    ],
)
async def test_a_bad_grid_pushed_from_outside_changes_nothing(tmp_path, change, words):
    """Each is refused by name, ours stays in force, health says so, the next hours come."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
        await there.app.store.push()
        clone = tmp_path / "laptop"
        git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), str(clone))
        path = clone / "grids" / f"{GRID}.yaml"
        value = yaml_text.load(path.read_bytes(), "x")
        if "market" in change:
            value["market"] = change["market"]
        elif "twice" in change:
            value["history"].append({**value["history"][0], "at": "2026-01-05T00:30:00Z"})
        else:
            value["versions"][0] |= change
        path.write_bytes(yaml_text.dump(value))
        git(clone, "-c", "user.name=o", "-c", "user.email=o@o", "commit", "-qam", "edited")
        git(clone, "push", "-q")
        before = (tmp_path / "data" / "grids" / f"{GRID}.yaml").read_bytes()
        await there.app.store.fetch_and_merge()
        assert (tmp_path / "data" / "grids" / f"{GRID}.yaml").read_bytes() == before
        output = health(there.app)["checks"]["git"]["output"]
        assert f"grids/{GRID}.yaml" in output
        assert words in output or "differs from ours" in output or "may not change" in output
        await there.hour(START.plus(1))
        assert there.metrics(START.plus(1))["exit_evaluation"][GRID]["state"] == "MANDATORY_EXIT"
    assert_sound(tmp_path)


async def test_the_scripted_operator_starts_again_after_a_rest_and_never_beside_a_running_grid(tmp_path):
    """A second version and a second start, so many hours after the stop; without a rest never again."""
    async with house(tmp_path, **LOOSE) as there:
        await start_by_hand(there.app, START)
        await there.hours(START, 2)
        await start_by_hand(there.app, START.plus(2), timedelta(hours=1))
        assert [event.event for event in (await _grid_of(there.app)).history] == ["enabled"]
        stopped = with_event(
            await _grid_of(there.app), EventKind.DISABLED, START.plus(2).opens_at, 1, by="me"
        )
        path = grid_path(stopped.grid_id)
        await there.app.store.write(ChangeSet({path: encode_grid(stopped)}, "[grid] stopped"))
        for hour, rest in ((START.plus(4), None), (START.plus(4), timedelta(hours=3))):
            await start_by_hand(there.app, hour, rest)
            assert len((await _grid_of(there.app)).history) == 2
        await start_by_hand(there.app, START.plus(5), timedelta(hours=3))
        assert [event.version for event in (await _grid_of(there.app)).history] == [1, 1, 2]


async def _grid_of(app):
    return (await app.store.grids())["eth-usdt-1"]


@pytest.mark.parametrize(("one_in", "expected"), [(0, 0), (1, 1000), (10, 100)])
def test_the_scripted_operator_overlooks_always_the_same_advice(one_in: int, expected: int):
    """About one in so many by name, none for 0."""
    names = [f"2026-01-05/dec-ETH-USDT-{number:06}" for number in range(1000)]
    found = sum(overlooks(name, one_in) for name in names)
    assert abs(found - expected) <= (30 if one_in > 1 else 0)


async def test_a_recommendation_is_looked_back_at_a_day_later_once(tmp_path):
    """Each advice has its 24 h evaluation once the data are there; asking again writes nothing."""
    async with house(tmp_path, **LOOSE) as there:
        await start_by_hand(there.app, START)
        await there.hours(START, 26)
        written = await evaluate_due(there.app)
        assert written == 2  # the hours 0 and 1 are a day ago
        assert await evaluate_due(there.app) == 0
        there.state().looked_back_from = None  # as after a restart: the files say what is done
        assert await evaluate_due(there.app) == 0
        await there.hour(START.plus(26))
        assert await evaluate_due(there.app) == 1
        found = sorted((tmp_path / "data" / "decisions").rglob("*.eval-24h.yaml"))
        outcome = yaml_text.load(found[0].read_bytes(), "x")["outcome"]
        assert outcome["price_start"] > 0
        assert outcome["missing_minutes"] == 0
        assert set(outcome["values"]) == {"hold", "stop"}
    assert_sound(tmp_path)


async def test_the_edge_after_fees_is_read_from_the_month_s_record(tmp_path):
    """The first hour's calibration is an input of the next one by digest; it is written once a month."""
    async with house(tmp_path) as there:
        await there.hour(START)
        assert await calibrate_due(there.app) == 1
        assert await calibrate_due(there.app) == 0
        await there.hour(START.plus(1))
        path = "calibration/ETH-USDT/2026-01.yaml"
        assert (tmp_path / "data" / path).is_file()
        assert path in there.metrics(START.plus(1))["inputs"]["files"]
        advice = read_advice(there.app.store.root, (await newest_advice(there, START.plus(1))).id)
        assert advice.file.calibration == path
        edge = next(check for check in advice.file.checks if check.name == "edge")
        assert edge.passed is False
        assert advice.file.action is Action.NO_SETUP
        again = recomputed(tmp_path, there.app, "ETH-USDT", [START.plus(i) for i in range(2)])
        assert again == [there.record_bytes(START.plus(i)) for i in range(2)]
    assert_sound(tmp_path)


# Lets a setup through where calm hours are rare: what is tested is the loop, not the rule.
ANY_CONFIDENCE = {"band_lower_evidence": 0.02, "band_lower_classic": 0.02, "band_upper": 0.05}
ANY_VERDICT = {
    "regime": {"evidence": {"range_ok": 0.10, "range_weak": 0.05}},
    "exits": {"hold_doubtful": 0.02, "hold_unlikely": 0.01},
}
