"""kill -9 at any failpoint around a stop, a gate pass or a timeout: nothing is lost, doubled or restarted."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import anyio.to_thread
import pytest

from daemon.clock import DrivenClock
from daemon.failures import VARIABLE
from decisions.recommendation import Action
from exchanges.sandbox.running import running_sandbox
from market import failpoints
from tests.cycle.deaths import (
    GRID,
    KEY,
    MOMENTS,
    RULES,
    Death,
    Twin,
    assert_whole,
    be_killed,
    copied,
    die,
    left_behind,
    live_through,
    start_again,
)
from tests.cycle.forks import forked, forked_regimed
from tests.cycle.house import START, git, simulated, write_config
from tests.cycle.processes import Process, clock_standing_at

SEED = int(os.environ.get("REGIMED_SEED", "1"))
NUMBERS = {moment.name: number for number, moment in enumerate(MOMENTS)}
WATCHED = [moment.name for moment in MOMENTS if moment.watched]


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Twin:
    folder = tmp_path_factory.mktemp("twin")
    (folder / "house").mkdir()
    return asyncio.run(live_through(folder / "house", folder))


@pytest.fixture(scope="module")
def deaths_of(twin, tmp_path_factory) -> Callable[[int], list[Death]]:
    """Return the deaths of a start just before a moment, each moment lived once."""

    @cache
    def deaths(number: int) -> list[Death]:
        copies = tmp_path_factory.mktemp("deaths")
        return asyncio.run(die(copied(twin.before[number], copies / "lived"), number, copies))

    return deaths


def die_and_start_again(twin: Twin, death: Death, tmp_path: Path) -> None:
    folder = copied(death.folder, tmp_path / "again")
    try:
        asyncio.run(start_again(folder, death, twin))
    except AssertionError as error:
        error.add_note(f"killed at {MOMENTS[death.moment].name}: {', '.join(death.places)}")
        raise
    shutil.rmtree(folder)


def test_the_hours_hold_a_timeout_of_each_kind_a_stop_a_gate_pass_and_a_reset(twin):
    """What the deaths below are around really happens, where the names of the moments say."""
    after = {moment.name: looks for moment, looks in zip(MOMENTS, twin.looks, strict=True)}
    phone = {moment.name: told for moment, told in zip(MOMENTS, twin.phone, strict=True)}

    def gate(name: str) -> tuple[str, int]:
        first = after[name].grids.gates[GRID]["gates"][0]
        return first["status"], first["streak"]

    assert [what for _, _, what in after["first hour"].timers] == ["expired"]
    assert after["setup expires"].timers == []
    assert after["setup expires"].rest is not None
    assert after["own grid pushed"].running
    assert after["stop advised"].facts.advice[0].action == Action.STOP_GRID.value
    assert [what for _, _, what in after["stop advised"].timers] == ["louder"]
    assert phone["stop told again"][-1].startswith(f"{GRID}/MANDATORY_EXIT@")
    assert phone["stop told again"][-1].endswith("/1")
    assert phone["stop told again"][:-1] == phone["stop advised"]
    assert not after["stop accepted"].running
    assert after["stop accepted"].timers == []
    assert gate("gates opened") == ("NOT_EVALUATED", 0)
    assert [gate("hour 7"), gate("gate passed"), gate("gates reset")] == [
        ("FAILED", 2),
        ("PASSED", 3),
        ("NOT_EVALUATED", 0),
    ]


def sample(deaths: list[Death]) -> list[Death]:
    """Return few deaths with every failpoint and every moment; REGIMED_SEED makes it others."""
    shuffled, chosen, seen = random.Random(SEED).sample(deaths, len(deaths)), [], set()
    while True:
        death = max(shuffled, key=lambda each: len({*each.names, each.moment} - seen))
        if not {*death.names, death.moment} - seen:
            return chosen
        chosen.append(death)
        seen |= {*death.names, death.moment}


@pytest.mark.timeout(600)
def test_a_death_at_any_failpoint_is_made_good(twin, tmp_path):
    """Each failpoint at one of the moments that reach it; one that none of them reaches is named."""
    reached = {name for death in twin.deaths for name in death.names}
    others = (
        "anomalies.",
        "desk.",
        "index.before_upsert",
        "index.after_upsert",
        "restored.",
    )  # have tests of their own
    of_advice = {name for name in failpoints.NAMES if not name.startswith(others)}
    assert of_advice - reached == set(), f"reached at none of: {', '.join(WATCHED)}"
    for death in sample(twin.deaths):
        die_and_start_again(twin, death, tmp_path)


@pytest.mark.check
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WATCHED)
def test_every_death_of_a_moment_is_made_good(twin, name, tmp_path):
    """Each time that each failpoint is reached, one death for all that leave the same disk."""
    deaths = [death for death in twin.deaths if death.moment == NUMBERS[name]]
    assert deaths
    for death in deaths:
        die_and_start_again(twin, death, tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "share"),
    [
        # no line that the sample above does not reach; the check tier is not measured anyhow
        pytest.param("stop accepted", 0.5, marks=pytest.mark.no_cover),
        *(
            pytest.param(name, share, marks=pytest.mark.check)
            for name in WATCHED
            if name != "own grid pushed"  # a commit of the operator's, at the time of day
            for share in (0.2, 0.4, 0.8)
        ),
    ],
)
def test_sigkill_leaves_what_the_copies_hold(twin, deaths_of, name, share, tmp_path):
    """A process that is really killed leaves the same files and bytes, and is started again as well.

    Where in the moment: so far on the way through its deaths.
    """
    number = NUMBERS[name]
    deaths = deaths_of(number)
    death = deaths[int(share * len(deaths))]
    folder = copied(twin.before[number], tmp_path / "killed")
    place, _, nth = death.place.partition("@")
    with forked(be_killed, folder, number, **{VARIABLE: f"{place}=kill@{nth}"}) as killed:
        assert killed.process.wait(300) == -signal.SIGKILL, killed.lines
    assert left_behind(folder) == death.digest
    asyncio.run(start_again(folder, death, twin))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "place",
    [
        "writer.between_renames",
        pytest.param("writer.after_intent", marks=pytest.mark.check),
        pytest.param("writer.before_rename", marks=pytest.mark.check),
        pytest.param("writer.before_commit", marks=pytest.mark.check),
        pytest.param("writer.after_commit", marks=pytest.mark.check),
        pytest.param("push.before", marks=pytest.mark.check),
    ],
)
async def test_a_daemon_killed_under_an_accept_has_taken_all_of_it_or_nothing(twin, place, tmp_path):
    """`regimed decide` to the running daemon, which dies; a second daemon, and the operator asks again."""
    number = NUMBERS["stop accepted"]
    moment = MOMENTS[number]
    folder = copied(twin.before[number], tmp_path / "killed")
    now = START.plus(moment.hour).closes_at + moment.after
    clock = clock_standing_at(now)
    stop = f"{START.plus(moment.hour).closes_at:%Y-%m-%d/dec-ETH-USDT-%H%M%S}"
    async with running_sandbox(simulated(1), DrivenClock(now)) as sandbox:
        config = str(write_config(folder, sandbox.url, [KEY], **RULES))

        def killed_and_started_again() -> None:
            run = ("run", "--config", config, "--clock", clock)
            decide = ("decide", stop, "accept", "--config", config, "--clock", clock)
            with forked_regimed(*run, **{VARIABLE: f"{place}=kill"}) as daemon:
                daemon.line(r"/health", 120)
                with forked_regimed(*decide) as first:
                    answered = first.process.wait(120) == 0
                assert daemon.process.wait(60) == -signal.SIGKILL
            with forked_regimed(*run) as daemon:
                daemon.line(r"/health", 120)
                with forked_regimed(*decide) as second:
                    answered_again = second.process.wait(120) == 0
                assert daemon.end(signal.SIGTERM) == 0, daemon.lines
            assert not answered or said(first, "recorded in commit")
            assert answered_again or said(second, "already answered"), second.lines

        await anyio.to_thread.run_sync(killed_and_started_again)
    assert git(folder / "data", "rev-parse", "main^{tree}") == twin.looks[number].tree
    told = (folder / "data.state" / "outbox" / "told.jsonl").read_text().splitlines()
    assert told == twin.looks[number].told
    assert_whole(folder)


def said(process: Process, words: str) -> bool:
    return any(words in line for line in process.lines)
