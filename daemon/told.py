"""What the operator was told last of each market: kept, so that a restart does not have to guess."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import structlog

from decisions.recommendation import Action
from market.hours import Hour
from notifications.advice import AdviceFacts
from notifications.durable import write_durably
from notifications.messages import HourFacts
from regime.analysis import Verdict

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
            advice = tuple(_advice(told) for told in data["advice"])
            verdict = None if data["verdict"] is None else Verdict(data["verdict"]).value
            hour = Hour.parse(data["hour"])
            return HourFacts(**{**data, "hour": hour, "verdict": verdict, "advice": advice})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning(
                "what was told last is not readable",
                market=key,
                file=f"told/{key}.json",
                error=f"{type(error).__name__}: {error}",
                remedy="the market's state is told once more",
            )
            return None

    def keep(self, facts: HourFacts) -> None:
        """Remember what was told now."""
        content = orjson.dumps({**asdict(facts), "hour": str(facts.hour)})
        write_durably(self._folder / f"{facts.key}.json", content)


def _advice(told: dict[str, Any]) -> AdviceFacts:
    """Return what was told of a grid; raises ValueError where a word in it is none of ours."""
    facts = AdviceFacts(**told)
    Action(facts.action)
    if facts.spell is not None:
        _ = facts.spell.began
    return facts
