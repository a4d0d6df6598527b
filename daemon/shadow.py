"""A second configuration on the same hour: judged beside, recorded beside, and never in the way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from decisions.evaluate import evaluate
from decisions.inputs import Before, HourInputs, Policy
from store.shadow_files import ShadowRecord, failed_shadow, shadow_file

if TYPE_CHECKING:
    from daemon.app import App

_log = structlog.get_logger("shadow")
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


async def judge_in_shadow(app: App, inputs: HourInputs) -> ShadowRecord | None:
    """Return the shadow's record of the hour, `failed` whatever went wrong with it; None without a shadow."""
    shadow = app.shadow
    if shadow is None:
        return None
    with app.progress.working("analysis"), app.metrics.stage_s.labels("shadow").time():
        try:
            before = await app.store.shadow_before(inputs.key, inputs.hour, shadow.policy.config_hash)
            record = await shadow.judged(inputs, before)
        except TimeoutError as error:
            reason = str(error) or f"took longer than {shadow.limit_s:g} s"
            record = _failed(app, shadow, inputs, reason)
        except Exception as error:  # noqa: BLE001 a shadow's surprise is a fact about the shadow
            record = _failed(app, shadow, inputs, f"{type(error).__name__}: {error}")
    _show(app, record)
    return record


def _failed(app: App, shadow: Shadow, inputs: HourInputs, reason: str) -> ShadowRecord:
    state = app.board.markets[inputs.key]
    if state.shadow is None or not state.shadow.failed:
        _log.warning("the shadow failed; the judgement in force is untouched", reason=reason, exc_info=True)
    return ShadowRecord.of(failed_shadow(inputs, shadow.policy.config_hash, reason))


def _show(app: App, record: ShadowRecord) -> None:
    file, state = record.file, app.board.markets[record.file.key]
    app.metrics.shadow_hours.labels(file.key, file.outcome).inc()
    if state.shadow is not None and state.shadow.failed and not file.failed:
        _log.info("the shadow recovered", was=state.shadow.reason)
    state.shadow_failures += file.failed
    state.shadow = file
