"""The control socket's daemon side: change-sets of other commands go through the one writer."""

from __future__ import annotations

from typing import Any

from daemon.app import App
from daemon.health import health
from store import control
from store.change_set import ChangeSet


async def controlling(app: App) -> None:
    """Serve the socket in the state directory until cancelled."""

    async def write(change_set: ChangeSet) -> str:
        recorded = await app.store.write(change_set)
        app.bells.pusher.ring()
        return recorded.commit

    def status() -> dict[str, Any]:
        app.bells.ring_all()  # who asks wants what is due to be done
        return health(app)

    await control.serve(app.store.socket, write, status)
