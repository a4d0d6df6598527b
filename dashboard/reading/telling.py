"""How records are put for a page: what is damaged, how things stand, numbers as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from dashboard.pages import Tone, Trouble
from decisions.recommendation import Action
from exits.states import ExitState
from market.errors import DataInvalid

Told = TypeVar("Told")

_FILES = (".yaml", ".json", ".jsonl")
ORDER = (Tone.URGENT, Tone.BAD, Tone.WATCH, Tone.UNKNOWN, Tone.GOOD)
VERDICT_TONE: Mapping[str | None, Tone] = {
    "RANGE_OK": Tone.GOOD,
    "RANGE_WEAK": Tone.WATCH,
    "TRANSITION": Tone.WATCH,
    "TREND": Tone.BAD,
    None: Tone.UNKNOWN,
}
EXIT_TONE: Mapping[str | None, Tone] = {
    ExitState.NORMAL: Tone.GOOD,
    ExitState.WARNING: Tone.WATCH,
    ExitState.LATEST_ACCEPTABLE_EXIT: Tone.BAD,
    ExitState.MANDATORY_EXIT: Tone.URGENT,
}
ACTION_TONE: Mapping[str, Tone] = {
    Action.STOP_GRID: Tone.BAD,
    Action.CREATE_GRID: Tone.WATCH,
    Action.CREATE_PROBATIONARY_GRID: Tone.WATCH,
    Action.ADJUST: Tone.WATCH,
    Action.WITHHELD: Tone.UNKNOWN,
    Action.CONTINUE: Tone.GOOD,
    Action.NO_SETUP: Tone.GOOD,
}


class Troubles:
    """What could not be told, gathered while a page is made; the same file is told once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Trouble] = {}

    def add(self, trouble: Trouble) -> None:
        self._found.setdefault((trouble.what, trouble.why), trouble)

    def damaged(self, what: str, error: DataInvalid) -> None:
        """Note a damaged file: its name and the field stand in the error."""
        self.add(Trouble(what, str(error), remedy_of(error.where), Tone.BAD))

    def reading(self, what: str, read: Callable[[], Told], instead: Told) -> Told:
        """Return what `read` returns; where a file of it is damaged, note that and return `instead`."""
        try:
            return read()
        except DataInvalid as error:
            self.damaged(what, error)
            return instead

    def all(self) -> tuple[Trouble, ...]:
        return tuple(self._found.values())


def remedy_of(path: str) -> str:
    """Return what an operator does about a damaged file."""
    path = path.partition(": ")[0]
    if not path.endswith(_FILES):
        return "`regimed verify` says which file was changed."
    if path.startswith("grids/"):
        return f"Mend {path}; `git checkout -- {path}` brings its last committed form back."
    return f"`regimed verify` says what was changed; `git checkout -- {path}` brings the committed file back."


def most_urgent(states: list[str]) -> str | None:
    """Return the exit state that comes last, None of none; a name that is no state counts as the calmest."""
    ranks = {state.value: state.rank for state in ExitState}
    return max(states, key=lambda state: ranks.get(state, -1), default=None)


def number(value: float | None, digits: int = 6) -> str:
    """Return a figure as text, a dash where it is not known."""
    return "-" if value is None else f"{value:.{digits}g}"


def signed(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:+.{digits}g}"


def quoted(value: object) -> str:
    """Return a recorded value, number or text, as text; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
