"""A second configuration on the same hour: judged beside, recorded beside, and never in the way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread

from decisions.evaluate import evaluate
from decisions.inputs import Before, HourInputs, Policy
from store.shadow_files import ShadowRecord, shadow_file

LIMIT_S = 10.0  # longer, and the hour is committed without the shadow's judgement


@dataclass
class Shadow:
    """The second policy; its engine is its own, so that nothing it does reaches the one in force."""

    policy: Policy
    file: str
    limit_s: float = LIMIT_S
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    under_way: threading.Event = field(default_factory=threading.Event)

    async def judged(self, inputs: HourInputs, before: Before | None) -> ShadowRecord:
        """Return the shadow's record of the hour, from the inputs in force and its own hour before.

        Raises:
            TimeoutError: It took too long, or still does with an hour before.
        """
        async with self.turn:
            if self.under_way.is_set():
                raise TimeoutError("still busy with an earlier hour")
            with anyio.fail_after(self.limit_s):
                return await anyio.to_thread.run_sync(
                    self._judged, replace(inputs, before=before), abandon_on_cancel=True
                )

    def _judged(self, inputs: HourInputs) -> ShadowRecord:
        self.under_way.set()
        try:
            return ShadowRecord.of(shadow_file(evaluate(inputs, self.policy)))
        finally:
            self.under_way.clear()
