"""The channel that always works: the program's own log."""

from __future__ import annotations

import structlog

from notifications.notice import Level, Notice

_log = structlog.get_logger("notice")


class LogChannel:
    """Writes each notice as one log line; warnings for what wants a human soon."""

    name = "log"

    async def send(self, notice: Notice) -> None:
        write = _log.warning if notice.level in (Level.HIGH, Level.EMERGENCY) else _log.info
        write(
            "notice",
            market=notice.market,
            level_told=notice.level.value,
            title=notice.title,
            body=notice.body,
        )

    async def aclose(self) -> None:
        """Nothing to give back."""
