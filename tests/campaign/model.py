"""The model check: what the exchange served, what the repository holds, what the operator was told."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from unittest import mock

from decisions.evaluate import Evaluation, Policy, evaluate
from decisions.inputs import HourInputs
from market.errors import DataInvalid, RegimedError
from store.fsck import fsck
from store.paths import parse_snapshot
from store.snapshots import decode_snapshot
from store.verify import verify
from tests.campaign.world import lived, struggle
from tests.cycle.deaths import (
    MOMENTS,
    Looks,
    Twin,
    assert_as_recorded,
    assert_one_deed,
    delivered,
    live,
    looks,
    started_before,
)
from tests.cycle.house import git, simulated

# A death right here leaves a notice that was delivered and is not noted yet: it comes again, with its own id,
# by which a receiver shows it once.
UNNOTED = ("notify.after_send", "open outbox/told.jsonl", "write outbox/told.jsonl")


def made_good(folder: Path, number: int, twin: Twin, repeats: int = 0) -> list[str]:
    """Start again, live the moment again and one more, and say in what that differs from the unharmed run.

    Args:
        folder: What the faults left.
        number: The moment.
        twin: The run that nothing befell.
        repeats: How many notices may have come twice.
    """

    async def again() -> list[str]:
        found: list[str] = []
        async with started_before(folder, number) as there:
            try:
                await assert_one_deed(there)
                if number or there.state().newest is not None:  # before the first hour nothing is recorded
                    with mock.patch("tests.cycle.deaths.evaluate", evaluated_once):
                        assert_as_recorded(there)
            except AssertionError as error:
                found.append(f"board: a start shows other things than the files say {error}")
            for each in (number, number + 1):
                await live(there, MOMENTS[each])
                found += different(await looks(there), twin.looks[each], each)
                found += told(delivered(folder), twin.phone[each], repeats)
        return found

    try:
        return asyncio.run(again()) + unsound(folder) + unlike_served(folder) + adopted(folder)
    except AssertionError as error:
        return [f"start: trouble after the fault was over {error}".strip()]
    except (RegimedError, OSError) as error:
        return [f"start: {type(error).__name__}: {error}"]


_EVALUATED: dict[bytes, Evaluation] = {}


def evaluated_once(inputs: HourInputs, policy: Policy) -> Evaluation:
    """Return what `evaluate` gives; it is pure, so the same inputs from another disk are not judged anew."""
    key = hashlib.sha256(pickle.dumps(inputs)).digest() + policy.config_hash.encode()
    if key not in _EVALUATED:
        _EVALUATED[key] = evaluate(inputs, policy)
    return _EVALUATED[key]


def endured(folder: Path, number: int, twin: Twin) -> list[str]:
    """Start on damaged bytes and live the moment and one more.

    The bytes are what they were, or lie in quarantine with the reason, or `verify` names the file; each hour
    is judged once, every notice is told, and what is stored is what the exchange served. A start that ends
    with clear words is mended by `regimed fsck --repair` first.
    """
    found: list[str] = []
    for each in (number, number + 1):
        try:
            lived(folder, each, struggle)
        except (RegimedError, OSError) as error:
            mended = fsck(folder / "data", folder / "data.state", repair=True)
            try:
                lived(folder, each, struggle)
            except (RegimedError, OSError) as again:
                return [f"start: {error}; after {[str(line) for line in mended.findings]}: {again}"]
    named = {each.path for each in verify(folder / "data").findings if each.is_error}
    mended = fsck(folder / "data", folder / "data.state", repair=True)
    left = [each for each in mended.findings if not each.done and not each.mend]
    found += [f"fsck can do nothing: {each}" for each in left]
    found += [each for each in unsound(folder) if not each.startswith(("the remote", "left behind"))]
    found += [each for each in unlike_served(folder) if not any(name in each for name in named)]
    once = set(delivered(folder))
    found += [f"notice lost: {name}" for name in twin.phone[number + 1] if name not in once]
    judged = {path.name for path in (folder / "data" / "metrics").rglob("*.yaml")}
    if len(judged) < MOMENTS[number].hour + 1:
        found.append(f"{len(judged)} hours judged, expected {MOMENTS[number].hour + 1}")
    return found


def different(mine: Looks, expected: Looks, number: int) -> list[str]:
    """Say which of what is seen differs."""
    # a line of the memory may stand there twice where its fsync failed: it is read as a set
    mine = replace(mine, told=list(dict.fromkeys(mine.told)))
    names = [each.name for each in fields(Looks)]
    odd = [name for name in names if getattr(mine, name) != getattr(expected, name)]
    return [
        f"{name} after {MOMENTS[number].name}: {getattr(mine, name)!r:.300},"
        f" expected {getattr(expected, name)!r:.300}"
        for name in odd
    ]


def told(phone: Sequence[str], expected: Sequence[str], repeats: int) -> list[str]:
    """Say which notices were lost, came without cause, came twice or in another order."""
    once = list(dict.fromkeys(phone))
    found = [f"notice lost: {name}" for name in expected if name not in once]
    found += [f"notice without cause: {name}" for name in once if name not in expected]
    if not found and once != list(expected):
        found.append(f"notices in another order: {once}, expected {list(expected)}")
    if len(phone) - len(once) > repeats:
        found.append(f"{len(phone) - len(once)} notices came twice, at most {repeats} may: {list(phone)}")
    return found


def unsound(folder: Path) -> list[str]:
    """Say what is half done or wrong in a repository: verify (with git fsck), work tree, remote, leavings."""
    data = folder / "data"
    try:
        found = [f"verify: {each.path}: {each.problem}" for each in verify(data).findings if each.is_error]
    except RegimedError as error:
        return [f"verify: {error}"]
    log = git(data, "log", "--first-parent", "--format=%s").splitlines()
    found += [f"judged twice: {each}" for each in _twice(log)]
    if status := git(data, "status", "--porcelain"):
        found.append(f"git status: {status}")
    if git(data, "rev-parse", "main") != git(folder / "remote.git", "rev-parse", "main"):
        found.append("the remote has another newest commit")
    leavings = [*(data / ".git" / "regimed").iterdir(), *(folder / "data.state" / "intents").glob("*.json")]
    leavings += [*folder.rglob("*.tmp")]
    return found + [f"left behind: {path.relative_to(folder)}" for path in leavings]


def _twice(subjects: Sequence[str]) -> list[str]:
    """Return the hours that more than one commit says to judge."""
    hours = [" ".join(each.split()[1:3]) for each in subjects if each.startswith("[hour] ")]
    return sorted({hour for hour in hours if hours.count(hour) > 1})


def adopted(folder: Path) -> list[str]:
    """Say where files lay without an intent; only a lost state folder may leave such."""
    subjects = git(folder / "data", "log", "--first-parent", "--format=%s").splitlines()
    return [f"without an intent: {each}" for each in subjects if each.startswith("[adopt] ")]


def unlike_served(folder: Path) -> list[str]:
    """Say in which stored hours the minutes are not those that the exchange served."""
    found = []
    for path in sorted((folder / "data" / "snapshots").rglob("*.json")):
        name = path.relative_to(folder / "data").as_posix()
        parsed = parse_snapshot(name)
        assert parsed is not None, name
        try:
            snapshot = decode_snapshot(path.read_bytes(), name, parsed)
        except DataInvalid as error:
            found.append(f"stored hour unreadable: {error}")
            continue
        served = _served(snapshot.symbol, snapshot.hour.open_ts)
        stored = {
            minute: close / snapshot.price_scale
            for minute, close in enumerate(snapshot.minutes.close)
            if close is not None and minute not in snapshot.no_trade
        }
        if stored.keys() != served.keys() - set(snapshot.missing) or any(
            abs(served[minute] - close) > 1e-9 * close for minute, close in stored.items()
        ):
            found.append(f"{name}: other closes than the exchange served")
    return found


@cache
def _served(symbol: str, open_ts: int) -> Mapping[int, float]:
    """Return the closes of an hour by its minutes, as the exchange's market drew them."""
    bars = simulated(1).bars(symbol, 60, open_ts, open_ts + 3600)
    return {(int(ts) - open_ts) // 60: float(close) for ts, close in zip(bars.ts, bars.close, strict=True)}
