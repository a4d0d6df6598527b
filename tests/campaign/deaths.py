"""Every death of one life: a copy of the folder before each call and failpoint, and the check of each copy.

Whoever is killed leaves the disk as it is and nothing else; `tests/cycle/test_kills_around_advice.py` and the
fault `kill`, which really kills, hold that to be so. Deaths that leave the same disk have the same fate, so
each disk is started again and checked once in a process, whichever life left it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.calls import Calls
from tests.campaign.faults import Case, _kill
from tests.campaign.model import UNNOTED, made_good
from tests.campaign.world import NAMES, lived
from tests.cycle.deaths import Twin, copied

_OF_THE_PLACE = {"regimed.lock", "config", "FETCH_HEAD", "config.yaml", "logs", "laptop"}
_ONCE = ("/objects/", "/data/candles/", "/data/snapshots/")


_FATES: dict[tuple[int, str, int], list[str]] = {}  # of moment, disk and notices that may come twice


@dataclass
class Deaths:
    """What the deaths of one life came to.

    Attributes:
        points: Kill points looked at.
        places: Of them by failpoint or call, without numbers and names of files.
        disks: Different disks that they left and that were started again: no earlier life left them.
        found: Replayable case and finding.
    """

    points: int = 0
    disks: int = 0
    places: dict[str, int] = field(default_factory=dict)
    found: list[tuple[str, str]] = field(default_factory=list)


def die_everywhere(case: Case, twin: Twin, work: Path, *, at_most: int | None = None) -> Deaths:
    """Live the case's moment, after the deaths that the case names, and check every death of that life."""
    number = NAMES[case.moment]
    folder = copied(twin.before[number], work / "lived")
    before = tuple(at for at in case.at if at)
    first = _kill(folder, number, Case("kill", case.moment, before)) if before else None
    result = Deaths()
    if first and not first.reached:
        return result  # the life before had fewer events: this one would be the undisturbed one again
    disks: dict[str, tuple[Path, int, int]] = {}
    stamp: dict[str, tuple[int, int, int]] = {}
    newest = ""

    def replay(count: int) -> str:
        return str(Case("kill", case.moment, (*before, count)))

    def copy(count: int, name: str) -> None:
        nonlocal stamp, newest
        if at_most is not None and len(disks) >= at_most:
            return
        result.points += 1
        place = name.partition(" ")[0] if not name.startswith("git ") else name
        result.places[place] = result.places.get(place, 0) + 1
        now = _stamps(folder)
        if now != stamp or not newest:
            stamp, newest = now, _digest(now, folder)
        repeats = (first.repeats if first else 0) + (name in UNNOTED)
        if (number, newest, repeats) in _FATES:
            result.found += [(replay(count), words) for words in _FATES[number, newest, repeats]]
        elif newest not in disks:
            disks[newest] = (copied(folder, work / f"death-{count}"), count, repeats)
        elif repeats > disks[newest][2]:
            disks[newest] = (*disks[newest][:2], repeats)

    with Calls(folder, copy).counted():
        lived(folder, number)
    shutil.rmtree(folder)
    result.disks = len(disks)
    for digest, (death, count, repeats) in disks.items():
        fate = _FATES[number, digest, repeats] = made_good(death, number, twin, repeats)
        result.found += [(replay(count), words) for words in fate]
        shutil.rmtree(death)
    return result


def _stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name in _OF_THE_PLACE:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                stat = entry.stat(follow_symlinks=False)
                found[entry.path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _digest(stamps: dict[str, tuple[int, int, int]], folder: Path) -> str:
    """Return a digest of all that a start finds; what is written once goes by name and size."""
    whole = hashlib.sha256()
    for name in sorted(stamps):
        relative = name.removeprefix(str(folder))
        whole.update(relative.encode())
        if any(part in relative for part in _ONCE) or relative.endswith(".git/index"):
            whole.update(b"%d" % stamps[name][1])
        elif os.path.isfile(name):  # noqa: PTH113, names are all there is here
            whole.update(Path(name).read_bytes())
    return whole.hexdigest()
