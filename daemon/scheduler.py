"""The scheduler only rings. What is due follows from the store, and our own task group does the work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from daemon.app import App

_log = structlog.get_logger("scheduler")
MISFIRE_GRACE_S = 3300
HEARTBEAT_S = 5
_EVENTS = {EVENT_JOB_MISSED: "missed", EVENT_JOB_MAX_INSTANCES: "still_running", EVENT_JOB_ERROR: "error"}


@asynccontextmanager
async def ringing(app: App) -> AsyncIterator[None]:
    """Ring the bells for as long as the block runs.

    Each minute, after the settle delay: at the full hour for the new one, else for those fetched again.
    By another clock than the wall's: each of its minutes, but four a second at most unless an hour is less.
    """
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_GRACE_S},
    )
    scheduler.add_listener(lambda event: _noticed(app, event), sum(_EVENTS))
    settle = int(app.settings.collection.settle_s)
    if app.clock.rate == 1:
        scheduler.add_job(_ring, CronTrigger(minute="*", second=settle % 60, timezone=UTC), [app], id="ring")
    else:
        every = IntervalTrigger(seconds=ring_every_s(app.clock.rate), timezone=UTC)
        scheduler.add_job(_ring, every, [app], id="ring")
    scheduler.add_job(_beat, IntervalTrigger(seconds=HEARTBEAT_S, timezone=UTC), [app], id="heartbeat")
    scheduler.start()
    _note_next(app)
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def ring_every_s(rate: float) -> float:
    """Return the wall seconds between two rings where `rate` seconds of the clock pass in one."""
    if rate <= 0:
        return 60.0
    return min(max(60 / rate, min(0.25, 3600 / rate), 0.05), 60.0)


async def _ring(app: App) -> None:
    app.progress.stamp("scheduler")
    app.bells.ring_all()
    app.bells.pusher.ring()
    app.bells.housekeeper.ring()
    app.bells.timekeeper.ring()
    app.bells.historian.ring()
    app.bells.desk.ring()
    _note_next(app)


async def _beat(app: App) -> None:
    app.progress.stamp("scheduler")


def _note_next(app: App) -> None:
    """Note when the next hour is due, by the app's own clock."""
    now = app.clock.now()
    settle = timedelta(seconds=app.settings.collection.settle_s)
    this_hour = now.replace(minute=0, second=0, microsecond=0) + settle
    app.board.next_ring_at = this_hour if this_hour > now else this_hour + timedelta(hours=1)


def _noticed(app: App, event: JobEvent) -> None:
    name = _EVENTS[event.code]
    app.metrics.scheduler_events.labels(name).inc()
    _log.warning("scheduler event", event_name=name, job_id=event.job_id)
