"""The faults: what each does to a folder before a moment; `FAULT:MOMENT:AT[,AT...]` replays one."""

from __future__ import annotations

import errno
import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from market.errors import NotifyFailed, RegimedError
from tests.campaign.calls import ERRORS, Calls, failing
from tests.campaign.forking import Ended, in_fork
from tests.campaign.model import UNNOTED, endured, made_good
from tests.campaign.world import NAMES, STRUCK, lived, struggle
from tests.cycle.deaths import FilePhone, Twin, copied

CLOCKS = (-1440, -181, -61, -1, 1, 61, 181, 1440)  # minutes that a machine's clock is ahead


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to try; `str(case)` replays it.

    Attributes:
        fault: A name of `FAULTS`.
        moment: Name of a moment, without blanks.
        at: The events at which it strikes, one life after the other; for damage, file and byte; for
            clocks, which.
    """

    fault: str
    moment: str
    at: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Case:
        """Return the case that a text names.

        Raises:
            ValueError: Another form, or a fault or moment that there is not.
        """
        fault, moment, at = text.split(":")
        if fault not in FAULTS or moment not in NAMES:
            raise ValueError(f"{text!r}; faults: {', '.join(FAULTS)}; moments: {', '.join(NAMES)}")
        return cls(fault, moment, tuple(int(each) for each in at.split(",")))

    def __str__(self) -> str:
        return f"{self.fault}:{self.moment}:{','.join(map(str, self.at))}"


@dataclass(slots=True)
class Struck:
    """What a fault did.

    Attributes:
        reached: False where the moment was over before it struck: there is nothing more to enumerate.
        events: What it struck, by name.
        deaths: How many processes died of SIGKILL.
        found: What is wrong already.
        repeats: How many notices may have come twice.
    """

    reached: bool = True
    events: list[str] = field(default_factory=list)
    deaths: int = 0
    found: list[str] = field(default_factory=list)
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: how it strikes, and what it is in words."""

    strike: Callable[[Path, int, Case], Struck]
    says: str


def tried(case: Case, twin: Twin, work: Path) -> Struck:
    """Strike a copy of the folder before the case's moment, then let the model check look at it."""
    number = NAMES[case.moment]
    folder = copied(twin.before[number], work / "struck")
    struck = FAULTS[case.fault].strike(folder, number, case)
    if struck.reached and not struck.found:
        if case.fault in ("flip", "cut", "clock"):
            struck.found += after_damage(folder, number, twin)
        else:
            struck.found += checked(folder, number, twin, struck.repeats)
    return struck


def after_damage(folder: Path, number: int, twin: Twin) -> list[str]:
    """Start on damaged bytes or wrong stamps: what is wrong is mended or named, nothing is lost."""
    ended = in_fork(endured, folder, number, twin)
    return list(ended.answer) if isinstance(ended.answer, list) else [f"on damaged bytes: {ended.words()}"]


def checked(folder: Path, number: int, twin: Twin, repeats: int) -> list[str]:
    """Run the model check in a process of its own."""
    ended = in_fork(made_good, folder, number, twin, repeats)
    return list(ended.answer) if isinstance(ended.answer, list) else [f"model check: {ended.words()}"]


def _died(folder: Path, number: int, at: int, *, power: bool) -> tuple[Ended, str]:
    """Live the moment in a child that is killed at an event; also returns the event's name."""
    note = folder.parent / "event"
    note.unlink(missing_ok=True)

    def living() -> None:
        def die(count: int, name: str) -> None:
            if count == at:
                note.write_text(name)
                if power:
                    calls.lose_power()
                os.kill(os.getpid(), signal.SIGKILL)

        calls = Calls(folder, die)
        with calls.counted():
            lived(folder, number)

    ended = in_fork(living)
    return ended, note.read_text() if note.exists() else ""


def _kill(folder: Path, number: int, case: Case, *, power: bool = False) -> Struck:
    struck = Struck()
    for at in case.at:
        ended, name = _died(folder, number, at, power=power)
        if ended.signal == signal.SIGKILL and name:
            struck.events.append(name)
            struck.deaths += 1
            struck.repeats += name in UNNOTED or (power and name == "fsync outbox/told.jsonl")
        elif ended.is_fine:
            break  # it lived to the end
        else:
            struck.found.append(f"start after {struck.events}: {ended.words()}")
            break
    struck.reached = bool(struck.events) or bool(struck.found)
    return struck


def _power(folder: Path, number: int, case: Case) -> Struck:
    return _kill(folder, number, case, power=True)


def _refused(folder: Path, number: int, case: Case, error: int, *, lasting: bool) -> Struck:
    """Let the Nth call fail, or all from it on; half of the runs go on in the process, half start anew."""
    struck = Struck(repeats=1)
    (at,) = case.at

    def living() -> list[str]:
        hit: list[str] = []

        def refuse(count: int, name: str) -> None:
            takes_no_room = lasting and name.startswith(("git ", "unlink ", "rename "))
            if not takes_no_room and (count == at or (lasting and count > at)):
                hit.append(name)
                failing(name, error)

        with Calls(folder, refuse, failpoints_too=False).counted(), suppress(RegimedError, OSError):
            lived(folder, number, struggle)
        if at % 2 == 0:
            with suppress(RegimedError, OSError):
                lived(folder, number, struggle)
        return hit

    return _lived_on(struck, in_fork(living), at)


def _lived_on(struck: Struck, ended: Ended, at: int) -> Struck:
    if not ended.is_fine:
        struck.found.append(f"a fault at {at} was not taken for one: {ended.words()}")
    else:
        struck.events = list(ended.answer or [])
        struck.reached = bool(struck.events)
    return struck


def _lost(folder: Path, number: int, case: Case) -> Struck:
    """Do what was asked and lose the answer: of a Git command, or of the phone."""
    (at,) = case.at
    struck = Struck(repeats=1)

    def living() -> list[str]:
        hit: list[str] = []

        def lose(count: int, name: str) -> None:
            if count == at:
                hit.append(f"{name} answered")
                failing(name, errno.ETIMEDOUT)

        send = FilePhone.send
        calls = Calls(folder, lambda _count, _name: None, lose, failpoints_too=False)

        async def sent(phone: FilePhone, notice: object) -> None:
            await send(phone, notice)  # type: ignore[arg-type]
            calls.number += 1
            if calls.number == at:
                hit.append("notice taken")
                raise NotifyFailed("the answer was lost")

        FilePhone.send = sent  # type: ignore[method-assign]
        with calls.counted(), suppress(RegimedError, OSError):
            lived(folder, number, struggle)
        return hit if hit or calls.number < at else ["nothing to lose here"]

    return _lived_on(struck, in_fork(living), at)


def _clock(folder: Path, number: int, case: Case) -> Struck:
    """Live the moment while the machine's clock is off; then it is right again."""
    struck = Struck(repeats=1)
    (at,) = case.at
    if at > len(CLOCKS) or number == 0:  # where nothing is owed yet, its clock says which hour is the first
        return Struck(reached=False)
    ahead = timedelta(minutes=CLOCKS[at - 1])

    def living() -> list[str]:
        with suppress(RegimedError, OSError):
            lived(folder, number, struggle, ahead)
        return [f"clock {CLOCKS[at - 1]:+d} min"]

    return _lived_on(struck, in_fork(living), at)


def damaged(data: bytes, at: int, *, cut: bool) -> bytes:
    """Return the bytes with one bit flipped, or cut; never what they were."""
    dice = random.Random(at)
    place = dice.randrange(len(data))
    if cut:
        return data[:place]
    return data[:place] + bytes([data[place] ^ (1 << dice.randrange(8))]) + data[place + 1 :]


def kinds(folder: Path) -> dict[str, list[Path]]:
    """Return the files of a house by their kind: the folder that they lie in, or what Git calls them."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / "data").rglob("*")) + sorted((folder / "data.state").rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or path.stat().st_size == 0 or parts[-1] in ("README.md", "regimed.lock"):
            continue
        if parts[1] == ".git":
            kind = "git index" if parts[2] == "index" else ""
        else:
            kind = f"{parts[0]}/{parts[1]}"
        if kind:
            found.setdefault(kind, []).append(path)
    return found


def _damage(folder: Path, number: int, case: Case, *, cut: bool) -> Struck:
    """Change the bytes of one file of each kind before the start; `at` is kind, file and byte."""
    which, byte = case.at if len(case.at) == 2 else (case.at[0], 0)
    chance, found = random.Random(byte), kinds(folder)
    names = sorted(found)
    if which > len(names):
        return Struck(reached=False)
    path = chance.choice(found[names[which - 1]])
    data = path.read_bytes()
    path.unlink()  # it may be a link to the prepared copy's own
    path.write_bytes(damaged(data, byte, cut=cut))
    return Struck(events=[f"{names[which - 1]}: {path.name}"])


def _flip(folder: Path, number: int, case: Case) -> Struck:
    return _damage(folder, number, case, cut=False)


def _cut(folder: Path, number: int, case: Case) -> Struck:
    return _damage(folder, number, case, cut=True)


def _error(name: str, *, lasting: bool = False) -> Callable[[Path, int, Case], Struck]:
    def strike(folder: Path, number: int, case: Case) -> Struck:
        return _refused(folder, number, case, ERRORS[name], lasting=lasting)

    return strike


FAULTS = {
    "kill": Fault(_kill, "kill -9 before the Nth call or failpoint, and again in the lives after it"),
    "power": Fault(_power, "the same, and what no fsync brought to the disk is lost"),
    "eio": Fault(_error("eio"), "the Nth call fails: open, write, fsync, rename, unlink, mkdir, git"),
    "enospc": Fault(_error("enospc"), "the Nth call finds the disk full"),
    "full": Fault(
        _error("enospc", lasting=True), "the disk is full from the Nth call on, until the moment is over"
    ),
    "lost": Fault(_lost, "the Nth Git command or notice succeeds and its answer is lost"),
    "clock": Fault(_clock, "the machine's clock is off by minutes or a day, either way"),
    "flip": Fault(_flip, "one bit of a file is flipped, every kind of file"),
    "cut": Fault(_cut, "a file is cut short, every kind of file"),
}


def moments() -> Sequence[str]:
    """Return the names of the moments that faults strike."""
    return [name for name, number in NAMES.items() if number in STRUCK]
