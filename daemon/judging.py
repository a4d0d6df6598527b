"""One hour judged: by the policy in force, and by the shadow beside it; off the loop, both from one input."""

from __future__ import annotations

import anyio.to_thread
import structlog

from daemon.app import App
from daemon.shadow import Shadow
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import HourInputs
from store.shadow_files import ShadowRecord, failed_shadow

_log = structlog.get_logger("shadow")


async def judge(app: App, inputs: HourInputs) -> Evaluation:
    """Evaluate off the loop."""
    with app.progress.working("analysis"), app.metrics.stage_s.labels("evaluate").time():
        return await anyio.to_thread.run_sync(evaluate, inputs, app.policy, limiter=app.analysis_limit)


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
