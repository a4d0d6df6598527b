"""A volume was lost and came back from the remote: what that held, and what nobody knows any more."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import structlog

from daemon.app import App
from market.failpoints import reach
from market.hours import Hour, instant_iso, last_closed_hour
from notifications.notice import MOST_BODY, Kind, Level, Notice
from notifications.text import fit
from store.restored import Restored, RestoredMarket, note_restored, recall_restored

_log = structlog.get_logger("restoring")
MOST_NAMED = 8
UNKNOWN = "What was told, advised or answered after that and not pushed is not known here"


async def tell_restored(app: App) -> None:
    """Say once that this disk was filled from the remote; call it when the state is loaded.

    The notice is durable before the note says that it was told: a death in between tells the very same one,
    which the outbox knows.

    Raises:
        RepositoryUnusable: The note of it is damaged.
    """
    found = await anyio.to_thread.run_sync(recall_restored, app.store.root)
    if found is not None and not found.is_told:
        found = await _told(app, found)
    app.board.restored = found


async def _told(app: App, found: Restored) -> Restored:
    last = last_closed_hour(app.clock.now())
    markets = {}
    for key, state in app.board.markets.items():
        owed = 0
        if state.newest is not None:
            owed = len(await anyio.to_thread.run_sync(app.store.ledger.owed_hours, key, last))
        newest = None if state.newest is None else str(state.newest)
        markets[key] = RestoredMarket(newest=newest, owed=owed)
    told = found.model_copy(update={"owed_to": str(last), "markets": markets})
    is_new = not any(market.newest for market in markets.values())
    if is_new:  # an empty or another house's history: nothing of these markets can have been lost
        await anyio.to_thread.run_sync(note_restored, app.store.root, told)
        return told
    _log.warning(
        "restored from the remote",
        commit=told.commit,
        committed_at=instant_iso(told.committed_at),
        newest_hours={key: market.newest for key, market in markets.items()},
        owed_hours={key: market.owed for key, market in markets.items()},
        owed_to=told.owed_to,
        unknown=UNKNOWN,
    )
    try:
        await anyio.to_thread.run_sync(app.outbox.enqueue, restored_notice(told))
        reach("restored.before_note")
        await anyio.to_thread.run_sync(note_restored, app.store.root, told)
    except OSError as error:  # the log has it; the next start tells it
        _log.error("the notice of the restoration is not durable", error=str(error))
    return told


def restored_notice(told: Restored) -> Notice:
    """Return what the operator is told."""
    return Notice(
        dedupe=f"restored/{told.commit}/{instant_iso(told.at)}",
        market="",
        level=Level.HIGH,
        title="the data repository was lost and is back from the remote",
        body=fit(
            [_held(told)],
            [
                f"{UNKNOWN}: look at your grids, and answer again what you answered since.",
                "Hours are caught up, oldest first; the last notice may come twice.",
            ],
            MOST_BODY,
        ),
        at=told.at,
        kind=Kind.ANOMALY,
    )


def restored_check(app: App, told: Restored) -> dict[str, Any]:
    """Return the entry of /health: a warning until everything that was owed is judged."""
    waiting = {}
    for key, market in told.markets.items():
        newest = app.board.markets[key].newest if key in app.board.markets else None
        to = Hour.parse(str(told.owed_to))
        if market.newest is not None and newest is not None and newest < to:
            waiting[key] = to.index - newest.index
    output = ""
    if waiting:
        left = sum(waiting.values())
        output = f"the volume was lost: {_held(told)} {UNKNOWN}; {left} of these hours are still owed"
    return {
        "name": "restored",
        "status": "warn" if waiting else "pass",
        "output": output,
        "at": instant_iso(told.at),
        "commit": told.commit,
        "committed_at": instant_iso(told.committed_at),
        "newest_hours": {key: market.newest for key, market in told.markets.items()},
        "owed_hours": {key: market.owed for key, market in told.markets.items()},
        "owed_to": told.owed_to,
        "still_owed": waiting,
    }


def _held(told: Restored) -> str:
    """Return what the remote held and what is owed, in words."""
    shown = [
        f"{key} to hour {market.newest} ({market.owed} owed)" if market.newest else f"{key} not at all"
        for key, market in told.markets.items()
    ]
    named = ", ".join(shown[:MOST_NAMED])
    more = f" and {len(shown) - MOST_NAMED} more markets" if len(shown) > MOST_NAMED else ""
    made = f"{told.committed_at:%Y-%m-%d %H:%M}"
    commit = told.commit[:12]
    return f"The remote held commit {commit} of {made} UTC: {named}{more}; owed up to hour {told.owed_to}."
