"""What the operator was told last of each market: kept, so that a restart does not have to guess."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import orjson
import structlog

from market.hours import Hour
from notifications.advice import AdviceFacts
from notifications.durable import write_durably
from notifications.messages import HourFacts

_log = structlog.get_logger("told")


class ToldMemory:
    """One small file a market; a damaged one is forgotten, which tells the market's state once more.

    Args:
        folder: In the state directory; not disposable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def recall(self, key: str) -> HourFacts | None:
        """Return the facts that were told last."""
        try:
            data = orjson.loads((self._folder / f"{key}.json").read_bytes())
            advice = tuple(AdviceFacts(**told) for told in data["advice"])
            return HourFacts(**{**data, "hour": Hour.parse(data["hour"]), "advice": advice})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("what was told last is not readable", market=key, error=str(error))
            return None

    def keep(self, facts: HourFacts) -> None:
        """Remember what was told now."""
        content = orjson.dumps({**asdict(facts), "hour": str(facts.hour)})
        write_durably(self._folder / f"{facts.key}.json", content)
