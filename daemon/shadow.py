"""A second configuration on the same hour: judged beside, recorded beside, and never in the way."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import anyio

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
            self.under_way.set()
            answer: Future[ShadowRecord] = Future()
            answer.set_running_or_notify_cancel()  # giving up on it is no news to the thread
            # a daemon thread: the process does not wait for a shadow that never returns
            threading.Thread(
                target=self._judge, args=(replace(inputs, before=before), answer), name="shadow", daemon=True
            ).start()
            with anyio.fail_after(self.limit_s):
                return await asyncio.wrap_future(answer)

    def _judge(self, inputs: HourInputs, answer: Future[ShadowRecord]) -> None:
        try:
            record = ShadowRecord.of(shadow_file(evaluate(inputs, self.policy)))
        except Exception as error:  # noqa: BLE001 it is raised where the answer is awaited
            self.under_way.clear()
            answer.set_exception(error)
        else:
            self.under_way.clear()
            answer.set_result(record)
