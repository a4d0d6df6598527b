"""Which cases, in which order: every fault at every moment counted through, and chains of deaths."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from tests.campaign.faults import CLOCKS, FAULTS, Case, moments

EVENTS = 600  # more than the longest life has, the one that makes the repository
EARLY = 95  # most moments have more
SHORT = ("setup-expires", "stop-told-again", "stop-accepted")  # their deaths leave few different disks
DAMAGED_BYTES = 6


class Plan:
    """A seeded order of cases for one of several workers; what was done before is not done again.

    Args:
        seed: Of the whole campaign.
        worker: Its number.
        workers: How many there are.
        done: Cases of an earlier run with whether each struck.
    """

    def __init__(self, seed: int, worker: int, workers: int, done: Mapping[str, bool]) -> None:
        self._dice = random.Random(f"{seed}/{worker}")
        self._seed, self._worker, self._workers, self._done = seed, worker, workers, done
        self._over: dict[tuple[str, str], int] = {}
        for text, reached in done.items():
            if not reached and not text.startswith(("deaths:", "daemon:")):
                self.ended(Case.parse(text))

    def ended(self, case: Case) -> None:
        """Take note that a moment was over before this case struck: higher numbers strike nothing."""
        name = (case.fault, case.moment)
        self._over[name] = min(case.at[0], self._over.get(name, case.at[0]))

    def cases(self) -> Iterator[str]:
        """Yield cases for ever: first each moment's whole life, the longest last, then all kinds in turn."""
        first, *others = moments()
        lives = [f"deaths:{moment}:0" for moment in (*others, first)]
        turns = [self._second_lives(SHORT)] * 10 + [self._daemons()] * 2 + [self._in_order("eio")] * 8
        turns += [self._second_lives([each for each in others if each not in SHORT])]
        turns += [self._counted(fault) for fault in FAULTS if fault != "eio"] + [self._chains()]
        for place, text in enumerate(lives):
            if place % self._workers == self._worker and text not in self._done:
                yield text
        while turns:
            for turn in list(turns):
                text = next(turn, None)
                if text is None:
                    turns = [each for each in turns if each is not turn]
                elif text not in self._done:
                    yield text

    def _counted(self, fault: str) -> Iterator[str]:
        """Yield N = 1, 2, ... of every moment, the moments mixed."""
        most = {"clock": len(CLOCKS), "flip": 30, "cut": 30}.get(fault, EVENTS)
        numbers = [(moment, at) for moment in moments() for at in range(1, most + 1)]
        random.Random(f"{fault}/{self._seed}").shuffle(numbers)
        mine = set(sorted(numbers)[self._worker :: self._workers])
        for moment, at in (each for each in numbers if each in mine):
            if at < self._over.get((fault, moment), most + 1):
                tail = f",{self._dice.randrange(1 << 16)}" if fault in ("flip", "cut") else ""
                yield f"{fault}:{moment}:{at}{tail}"

    def _in_order(self, fault: str) -> Iterator[str]:
        """Yield N = 1, 2, ... until none is left, one moment after the other: some become complete."""
        first, second, *others = moments()
        for moment in (second, first, *others):
            for at in range(1 + self._worker, EVENTS, self._workers):
                if at >= self._over.get((fault, moment), EVENTS):
                    break
                yield f"{fault}:{moment}:{at}"

    def _chains(self) -> Iterator[str]:
        """Yield deaths after deaths: two to four lives in a row that end early."""
        while True:
            ats = [self._dice.randrange(1, EARLY) for _ in range(self._dice.choice((2, 3, 4)))]
            yield f"kill:{self._dice.choice(moments())}:{','.join(map(str, ats))}"

    def _second_lives(self, of: Sequence[str]) -> Iterator[str]:
        """Yield every death of the life after a death: recovery itself is killed at each of its calls."""
        for moment in of:
            for at in range(1 + self._worker, EARLY, self._workers):
                yield f"deaths:{moment}:{at}"

    def _daemons(self) -> Iterator[str]:
        while True:
            yield f"daemon:first-hour:{self._dice.randrange(1, 1 << 20)}"
