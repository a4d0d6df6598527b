"""kill -9 of the real daemon at random moments and at failpoints, under load, on one repository.

The model check stands at the end. Half of the chains have a desk on paper; the remote is away in some lives.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from daemon.clock import ScaledClock
from daemon.failures import VARIABLE
from market.failpoints import NAMES
from market.hours import Hour, hours_between, last_closed_hour
from store.change_set import ChangeSet
from store.desk_files import desk_hours
from store.exit_files import told_notices, transitions
from store.grids import encode_grid, grid_path
from store.verify import verify
from tests.campaign.faults import Struck
from tests.campaign.forking import Child, Ended, fork
from tests.campaign.model import unlike_served
from tests.cycle.deaths import FilePhone, delivered
from tests.cycle.house import START, git, house, write_config
from tests.cycle.processes import clock_from, clock_standing_at, hours_of
from tests.cycle.test_decisions import LOOSE
from tests.cycle.test_desk import PAPER
from tests.cycle.test_notified_kills import grids

KILLS = 15
KEY = "ETH-USDT"
LIFE_S = (0.2, 3.0)
PATIENCE_S, LONG_S = 3.0, 7.0  # for a failpoint; who does not come there is killed where it is
SELDOM = tuple(name for name in NAMES if name.startswith(("desk.", "anomalies.", "index.")))


def _command(work: Path, failpoint: str, *arguments: str) -> None:
    from daemon.cli import main

    sys.argv = ["regimed", *arguments]
    said = os.open(work / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 2)
    if failpoint:
        os.environ[VARIABLE] = f"{failpoint}=kill"
    with mock.patch("daemon.app.LogChannel", lambda: FilePhone(work)):
        main()


def kill_daemons(number: int, work: Path) -> Struck:
    """Run `regimed run` and kill it, fifteen times; then let one catch up, stop it in order and check.

    Where it is killed: at a random moment, or when it comes to a failpoint with everything at full speed.

    Args:
        number: The seed of this chain.
        work: An empty folder.
    """
    dice, struck = random.Random(number), Struck()
    shutil.copytree(_with_grids(work.parent), work, dirs_exist_ok=True)
    is_paper = number % 2 == 0
    rules = {**LOOSE, **PAPER} if is_paper else LOOSE
    text = clock_from(START.plus(1), 1200 if is_paper else 3600)  # the desk lets cycles go first
    market, run = _market(work, text, rules, 0)
    try:
        for life in range(KILLS):
            name = dice.choice((*NAMES, *SELDOM * 2)) if dice.random() < 0.5 else ""
            if life == 0 and number % 3 == 0:  # the volume is lost, and all of it was pushed
                shutil.rmtree(work / "data")
                name = "restored.before_note"
            life_s = (LONG_S if name in SELDOM else PATIENCE_S) if name else dice.uniform(*LIFE_S)
            with _remote_away(work) if name.startswith("anomalies.") else nullcontext():
                ended, is_there = _killed(work, name, run, life_s)
            struck.deaths += ended.signal == signal.SIGKILL
            struck.events.append(name if name and is_there else "daemon")
            if ended.signal != signal.SIGKILL:
                struck.found.append(f"daemon: {ended.words()} {(work / 'said.txt').read_text()[-300:]}")
    finally:
        _gone(market)
    newest = last_closed_hour(ScaledClock.parse(text).now())
    try:
        struck.found += _settled(work, newest, rules)
    except AssertionError as error:
        struck.found.append(f"after the last death: {error} {(work / 'said.txt').read_text()[-300:]}")
    struck.found += sound(work, newest) + _untold(work, struck.deaths)
    return struck


def _killed(work: Path, failpoint: str, run: tuple[str, ...], life_s: float) -> tuple[Ended, bool]:
    """Let a daemon live and kill it; also says whether it died at the failpoint before."""
    daemon = fork(_command, work, failpoint, *run, patience_s=600)
    is_over = bool(select.select([daemon.pipe], [], [], life_s)[0])
    if not is_over:
        os.kill(daemon.pid, signal.SIGKILL)
    return daemon.ended(), is_over


@contextmanager
def _remote_away(work: Path) -> Iterator[None]:
    (work / "remote.git").rename(work / "away.git")
    try:
        yield
    finally:
        (work / "away.git").rename(work / "remote.git")


@cache
def _with_grids(folder: Path) -> Path:
    """Make a repository with one judged hour and grids of which one is broken and more soon will be, once."""
    made = Path(tempfile.mkdtemp(prefix="grids-", dir=folder))
    asyncio.run(_prepare(made))
    return made


async def _prepare(work: Path) -> None:
    async with house(work, **LOOSE) as there:
        await there.hour(START)
        for grid in grids(there.state().facts.price):
            changes = ChangeSet({grid_path(grid.grid_id): encode_grid(grid)}, "[grid] it runs")
            await there.app.store.write(changes)
        await there.app.store.push()


def _market(work: Path, clock: str, rules: dict[str, Any], pages: int) -> tuple[Child, tuple[str, ...]]:
    """Start the exchange; also returns the arguments of a daemon on it that shows its pages at a port."""
    port = _free_port(20_000)
    market = fork(_command, work, "", "sandbox", "--port", str(port), "--clock", clock, patience_s=900)
    try:
        _until(lambda: _answers(port))
    except BaseException:
        _gone(market)
        raise
    config = write_config(work, f"http://127.0.0.1:{port}", [KEY], http={"port": pages}, **rules)
    return market, ("--log-level", "ERROR", "run", "--config", str(config), "--clock", clock)


def _settled(work: Path, newest: Hour, rules: dict[str, Any]) -> list[str]:
    """Let a daemon judge and tell what is owed while time stands still, so that it has an end."""
    pages = _free_port(25_000)
    market, run = _market(work, clock_standing_at(newest.closes_at + timedelta(minutes=1)), rules, pages)
    try:
        last = fork(_command, work, "", *run, patience_s=600)
        try:
            _until(lambda: _answers(pages))  # before that a SIGTERM just ends it
            _until(lambda: newest in hours_of(work, KEY) and not _waiting(work))
            if rules is not LOOSE:
                _until(lambda: newest in desk_hours(work / "data"))
        finally:
            os.kill(last.pid, signal.SIGTERM)
            ended = last.ended()
    finally:
        _gone(market)
    return [] if ended.trouble.startswith("SystemExit: 0 ") else [f"stop: {ended.words()}"]


def sound(work: Path, newest: Hour) -> list[str]:
    """Say what is wrong: hours lost or doubled, verify, git fsck, work tree, remote, served minutes."""
    data = work / "data"
    found = [f"verify: {each.path}: {each.problem}" for each in verify(data).findings if each.is_error]
    hours = hours_of(work, KEY)
    if hours != list(hours_between(START, newest.plus(1))):
        found.append(f"hours lost: {len(hours)} judged from {START} to {newest}")
    desk = sorted(desk_hours(data))
    if desk and desk != list(hours_between(desk[0], newest.plus(1))):
        found.append(f"hours of the desk lost: {len(desk)} from {desk[0]} to {newest}")
    subjects = [line for line in git(data, "log", "--format=%s").splitlines() if line.startswith("[hour] ")]
    names = [" ".join(line.split()[1:3]) for line in subjects]
    found += [f"{name} judged twice" for name in set(names) if names.count(name) > 1]
    if status := git(data, "status", "--porcelain"):
        found.append(f"git status: {status}")
    if git(data, "rev-parse", "main") != git(work / "remote.git", "rev-parse", "main"):
        found.append("the remote has another newest commit")
    return found + unlike_served(work)


def _untold(work: Path, deaths: int) -> list[str]:
    """Say which changes of a grid's state were not told, told twice, or recorded as told and were not."""
    data, phone = work / "data", delivered(work)
    told = list(told_notices(data, KEY))
    found = [f"recorded as told and not told: {each.key}" for each in told if each.key not in phone]
    spoken_for = {(each.grid_id, each.state, Hour.parse(each.since).closes_at) for each in told}
    entered = list(transitions(data, KEY))
    found += [
        f"notice lost: {each.grid_id} {each.state} at {each.at}"
        for each in entered
        if (each.grid_id, each.state, each.at) not in spoken_for
    ]
    recorded = [each.key for each in told if not each.folded]
    found += [f"recorded twice: {key}" for key in set(recorded) if recorded.count(key) > 1]
    if len(phone) - len(set(phone)) > deaths:
        found.append(f"{len(phone) - len(set(phone))} notices came twice in {deaths} deaths")
    if not entered:
        found.append("no grid changed its state: nothing was tried")
    return found


def _waiting(work: Path) -> list[Path]:
    return list((work / "data.state" / "outbox").glob("0*.json"))


def _gone(child: Child) -> None:
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)
    child.ended()


def _free_port(first: int) -> int:
    """Return a port that nobody listens at and that no outgoing connection is given."""
    for port in range(first + os.getpid() % 4000, first + 5000):
        if not _answers(port):
            return port
    raise AssertionError("no free port")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)
