"""Once a day the operator hears that all is clear, or what is not; gathered from the board and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import anyio.to_thread
import orjson
import structlog

from daemon.app import App
from daemon.board import MarketState
from daemon.health import health
from decisions.actions import Answer
from decisions.timers import PastAdvice
from exits.states import ExitState
from market.errors import DataInvalid
from market.hours import Hour, last_closed_hour
from notifications.digest import (
    Budget,
    Change,
    DigestFacts,
    GridFacts,
    MarketFacts,
    Trouble,
    Waiting,
    advised,
    answered,
    digest_notice,
    moved,
)
from notifications.durable import write_durably
from notifications.settings import DigestSettings
from store.exit_files import transitions
from store.kpi_files import KpisFile
from store.ledger import JUDGE_AFTER, Ledger

_log = structlog.get_logger("digest")
_Result = TypeVar("_Result")
DAY = timedelta(days=1)
MOST_LATE = timedelta(hours=6)
CATCH_UP = timedelta(minutes=30)


def due_digest(settings: DigestSettings, now: datetime) -> date | None:
    """Return the day whose digest is due at `now`, None where there is none.

    It is the newest day whose digest time has passed, by the wall clock of the zone. Each day has one
    instant: a time that the change to summer time leaves out is the instant that it would have been without
    the change, and of a time that comes twice the first one counts. A digest that is more than `MOST_LATE`
    late is not told any more: a start in the evening must not tell the morning's news as news.
    """
    if not settings.on:
        return None
    zone = ZoneInfo(settings.zone)
    today = now.astimezone(zone).date()
    for day in (today + DAY, today, today - DAY):  # tomorrow's, where the change crosses midnight
        due = datetime.combine(day, settings.at, tzinfo=zone).astimezone(UTC)
        if due <= now:
            return day if now - due <= MOST_LATE else None
    return None


class DigestMemory:
    """The day whose digest was told last, in one small file, so that a day is gathered once.

    A damaged or lost one is forgotten: the day is gathered again, and the outbox tells nothing twice.

    Args:
        folder: The state directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "digest.json"

    def recall(self) -> date | None:
        """Return the day told last."""
        try:
            return date.fromisoformat(orjson.loads(self._path.read_bytes())["day"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            _log.warning(
                "which digest was told last is not readable",
                file=self._path.name,
                error=f"day: {type(error).__name__}: {error}",
                remedy="the day is gathered again, and told if it was not",
            )
            return None

    def keep(self, day: date) -> None:
        """Remember the day told now; OSError where the disk refuses."""
        write_durably(self._path, orjson.dumps({"day": day.isoformat()}))


async def tell_digest(app: App) -> bool:
    """Put the digest that is due into the outbox; returns whether there was one. Ask each minute.

    After a start it waits for `CATCH_UP` at most, while markets catch up. A record that cannot be read is a
    line of the digest, never a reason for silence. On a disk that refuses it goes out all the same, and the
    outbox knows what was told until it can be remembered.
    """
    now = app.clock.now()
    day = due_digest(app.settings.notifications.digest, now)
    if day is None or not app.board.ready or _catching_up(app, now):
        return False
    memory = DigestMemory(app.settings.state_path)
    if await anyio.to_thread.run_sync(memory.recall) == day:
        return False
    notice = digest_notice(await gathered(app, now), day)
    is_new = await anyio.to_thread.run_sync(app.outbox.enqueue, notice)
    try:  # after the notice is durable: rather twice than never
        await anyio.to_thread.run_sync(memory.keep, day)
    except OSError as error:
        _log.warning("which digest was told is not remembered, tried again", error=str(error))
    if is_new:
        app.bells.notifier.ring()
    return is_new


def _catching_up(app: App, now: datetime) -> bool:
    """Say whether a market is still on its way to the newest hour after a start."""
    on_its_way = any(
        state.trouble is None
        and state.retry_at is None
        and (state.newest is None or _is_stale(app, state, now))
        for state in app.board.markets.values()
    )
    return on_its_way and now - app.board.started_at <= CATCH_UP


def _is_stale(app: App, state: MarketState, now: datetime) -> bool:
    since = app.board.started_at if state.newest is None else state.newest.closes_at
    return (now - since).total_seconds() > app.settings.health.stale_warn_s


async def gathered(app: App, now: datetime) -> DigestFacts:
    """Return what the digest tells: the board as it is now, the records of the last 24 hours."""
    page = health(app)
    checks: dict[str, dict[str, Any]] = page["checks"]
    wrong = {name: each for name, each in checks.items() if each["status"] != "pass"}
    board = app.board
    markets = tuple(_market(app, state, wrong, now) for state in board.markets.values())
    stale = {each.key for each in markets if each.trouble is Trouble.STALE}
    quotes = {each.key: each.symbol.rpartition("-")[2] for each in app.settings.markets}
    grids = tuple(
        grid
        for key, state in board.markets.items()
        for grid in _grids(state, quotes[key], as_of_told=key in stale)
    )
    newest = {key: state.newest for key, state in board.markets.items()}
    notes = [each["output"] for name, each in wrong.items() if not name.startswith("market:")]
    budget = None if board.kpis is None else _budget(board.kpis)
    since = now - DAY
    waiting: list[Waiting] = []
    changes: list[Change] = []
    expired = 0
    try:
        for key, hour in newest.items():
            until = hour or last_closed_hour(now)
            advice = await app.store.recent_advice(key, until, min(Hour.of(since), until))
            waiting += _waiting(advice, hour, now)
            changes += _advised(advice, since, now)
            changes += _answered(advice, since, now)
            expired += sum(
                deed.action is Answer.EXPIRED and since < deed.at <= now
                for each in advice
                for deed in each.actions
            )
    except (DataInvalid, OSError) as error:
        notes.append(f"advice could not be read: {error}")
    read = partial(_records, app.store.root, tuple(newest), since, now)
    records = await anyio.to_thread.run_sync(read)
    return DigestFacts(
        at=now,
        markets=markets,
        grids=grids,
        waiting=tuple(waiting),
        changes=(*changes, *records.entered),
        expired=expired,
        budget=budget,
        hours_recorded=records.hours,
        hours_due=records.due,
        notes=(*notes, *records.faults),
    )


def _market(app: App, state: MarketState, wrong: dict[str, dict[str, Any]], now: datetime) -> MarketFacts:
    check = wrong.get(f"market:{state.key}")
    facts = state.facts
    problem = "" if check is None else check["output"].replace(f"{state.key}: ", "")
    if _is_stale(app, state, now):
        trouble = Trouble.STALE
    elif facts is None or facts.verdict is None:
        unknown = "no hour has been judged yet" if state.newest is None else "its record cannot be read"
        trouble, problem = Trouble.UNJUDGED, problem or unknown
    else:
        trouble = Trouble.NONE if check is None else Trouble.OTHER
    if facts is None:
        return MarketFacts(state.key, None, None, None, None, None, trouble, problem)
    return MarketFacts(
        key=state.key,
        verdict=facts.verdict,
        hold_probability=facts.hold_probability,
        price=facts.price,
        lower=facts.lower,
        upper=facts.upper,
        trouble=trouble,
        problem=problem,
    )


def _grids(state: MarketState, quote: str, *, as_of_told: bool) -> Iterator[GridFacts]:
    if state.grids is None:
        return
    for grid_id, entry in state.grids.exits.items():
        position, risk = entry["position"], entry["risk"]
        profit = allocation = None
        if position is not None:
            profit = position["figures"]["net_profit"] + position["earlier_profit"]
            allocation = position["figures"]["allocation"]
        distance = None if risk is None else risk["stop_distance_pct"]
        yield GridFacts(
            grid_id=grid_id,
            exit_state=ExitState(entry["state"]),
            since=Hour.parse(entry["since"]).closes_at,
            quote=quote,
            profit=profit,
            profit_pct=None if profit is None or not allocation else 100 * profit / allocation,
            stop=None if risk is None else distance is not None,
            stop_distance_pct=distance,
            as_of=state.grids.hour.closes_at if as_of_told else None,
        )


def _budget(file: KpisFile) -> Budget:
    figures = file.trailing.alert_budget
    false = figures["alerts_false"]
    return Budget(
        day=file.date[5:],
        per_week=figures["alerts_per_week"].value,
        false_share=false.value if false.is_sufficient else None,
        false_n=false.n,
    )


def _waiting(advice: Iterable[PastAdvice], newest: Hour | None, now: datetime) -> Iterable[Waiting]:
    """Return what waits for an answer, the newest of each grid.

    What has no end of its own is over with the next judged hour.
    """
    found = {}
    for each in advice:
        lasts = each.expires_at is not None or (newest is not None and each.closes_at == newest.closes_at)
        if lasts and each.is_open(now):
            found[each.grid_id] = Waiting(each.id, each.grid_id, each.action, each.expires_at)
    return found.values()


def _advised(advice: Sequence[PastAdvice], since: datetime, now: datetime) -> Iterator[Change]:
    """Yield what was advised and had not been advised for the same grid before."""
    before: dict[str, PastAdvice] = {}
    for each in advice:
        earlier, before[each.grid_id] = before.get(each.grid_id), each
        is_news = earlier is None or earlier.action is not each.action
        if is_news and each.action.wants_answer and since < each.closes_at <= now:
            yield advised(each.closes_at, each.grid_id, each.action)


def _answered(advice: Iterable[PastAdvice], since: datetime, now: datetime) -> Iterator[Change]:
    for each in advice:
        deed = each.answer
        if deed is not None and since < deed.at <= now:
            yield answered(deed.at, each.grid_id, each.action, deed.action, deed.actor)


@dataclass(frozen=True, slots=True)
class _Records:
    """What the files of the last 24 hours say; `faults` are those that could not be read."""

    entered: tuple[Change, ...]
    hours: int
    due: int
    faults: tuple[str, ...]


def _records(root: Path, keys: Sequence[str], since: datetime, now: datetime) -> _Records:
    """Return exit transitions and judged hours since an instant; an hour may take its time to be judged."""
    last = last_closed_hour(now - JUDGE_AFTER)
    first, ledger = last.plus(-23), Ledger(root)
    entered: list[Change] = []
    faults: list[str] = []
    hours = due = 0
    for key in keys:
        entered += _read(faults, "exit states", partial(_entered, root, key, since, now))
        judged = _read(faults, "judged hours", partial(ledger.judged_hours, key))
        begins = min(max(first, judged[0]), last.plus(1)) if judged else first
        due += last.index + 1 - begins.index
        hours += sum(begins <= hour <= last for hour in judged)
    return _Records(tuple(entered), hours, due, tuple(faults))


def _entered(root: Path, key: str, since: datetime, now: datetime) -> list[Change]:
    days = (f"{since:%Y-%m-%d}", f"{now:%Y-%m-%d}")
    return [
        moved(each.at, each.grid_id, each.came_from, each.state, each.reasons)
        for each in transitions(root, key, *days)
        if since < each.at <= now
    ]


def _read(faults: list[str], what: str, reading: Callable[[], list[_Result]]) -> list[_Result]:
    try:
        return reading()
    except (DataInvalid, OSError) as error:
        faults.append(f"{what} could not be read: {error}")
        return []
