"""Telling the operator of anomalies, each minute, over deaths and full disks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import structlog
from pydantic import TypeAdapter, ValidationError

from daemon.app import App
from daemon.conditions import conditions_of
from market.failpoints import reach
from notifications.anomalies import Told, step
from notifications.durable import write_durably
from notifications.notice import Notice
from store.seal import fault_of

_log = structlog.get_logger("anomalies")


@dataclass(frozen=True, slots=True)
class Remembered:
    """The anomalies that were told, and notices of them that may not be in the outbox yet."""

    told: dict[str, Told] = field(default_factory=dict)
    waiting: tuple[Notice, ...] = ()


_FORM = TypeAdapter(Remembered)


class AnomalyMemory:
    """One small file; a damaged one is forgotten, which tells what is wrong once more.

    Args:
        folder: In the state directory; not disposable.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "anomalies.json"

    def recall(self) -> Remembered:
        """Return what was kept last; nothing at the first start."""
        try:
            return _FORM.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Remembered()
        except (ValidationError, OSError) as error:
            _log.warning(
                "what was told of anomalies is not readable and is forgotten",
                file=f"anomalies/{self._path.name}",
                error=_fault(error),
                remedy="what is wrong is told once more",
            )
            return Remembered()

    def keep(self, remembered: Remembered) -> None:
        """Remember this instead.

        Raises:
            OSError: Disk full, no rights; what was kept last stays.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._path, _FORM.dump_json(remembered))


async def watch_anomalies(app: App) -> int:
    """Look at what is wrong now and put what is to be told of it into the outbox; call it each minute.

    Returns:
        How many notices are new there.
    """
    memory = AnomalyMemory(app.settings.state_path / "anomalies")
    before = await anyio.to_thread.run_sync(memory.recall)
    told, notices = step(before.told, conditions_of(app), app.clock.now(), app.settings.notifications.pacing)
    now = Remembered(told, (*before.waiting, *notices))
    if now == before and not now.waiting:
        return 0
    new = await anyio.to_thread.run_sync(_tell, app, memory, now)
    if new:
        app.bells.notifier.ring()
    return new


def _tell(app: App, memory: AnomalyMemory, now: Remembered) -> int:
    """Keep what is to be told, tell it, and keep that it was told.

    Kept first, a death anywhere tells the very same notices again, which the outbox knows; without that the
    anomaly would begin anew at the restart and be told twice.
    """
    try:
        memory.keep(now)
    except OSError as error:
        for notice in now.waiting:
            _fall_back(notice, error)
        return 0
    left, new = [], 0
    for notice in now.waiting:
        reach("anomalies.before_enqueue")
        try:
            new += app.outbox.enqueue(notice)
        except OSError as error:
            _fall_back(notice, error)
            left.append(notice)
    if now.waiting:
        reach("anomalies.before_keep")
        try:
            memory.keep(Remembered(now.told, tuple(left)))
        except OSError as error:
            _log.warning(
                "told anomalies not noted, the outbox keeps them from being told twice", error=str(error)
            )
    return new


def _fault(error: ValidationError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    field, problem = fault_of(error)
    return f"{field}: {problem}" if field else problem


def _fall_back(notice: Notice, error: OSError) -> None:
    _log.error("notice not durable, tried again", title=notice.title, body=notice.body, error=str(error))
