"""What a notice needs to know of an hour: from a judgement just made, or from its record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from daemon.app import App
from decisions.evaluate import Evaluation
from decisions.inputs import Before
from decisions.stopped import warned_in_words
from market.errors import DataInvalid
from market.hours import Hour, hours_between, parse_instant
from notifications.advice import AdviceFacts, facts_of
from notifications.messages import HourFacts, missing_in_words
from regime.analysis import RegimeAnalysis
from store.decision_files import decision_path, decode_decision, recommendation_of
from store.paths import metrics_path
from store.records import analysis_of, decode_metrics

LOOKED_BACK_H = 72
_TWENTIETHS = 20  # all six metrics weigh so much together


def facts_between(app: App, key: str, first: Hour, last: Hour) -> list[HourFacts]:
    """Return the recorded facts of the hours [first, last), the newest `LOOKED_BACK_H` at most."""
    hours = hours_between(max(first, last.plus(-LOOKED_BACK_H)), last)
    found = (recorded_facts(app, key, hour) for hour in hours)
    return [each[0] for each in found if each is not None]


def recorded_facts(app: App, key: str, hour: Hour) -> tuple[HourFacts, Before, datetime] | None:
    """Return a recorded hour: for notices, for the page, and when it was judged; None without a record."""
    path = metrics_path(key, hour)
    try:
        record = decode_metrics((app.store.root / path).read_bytes(), path, (key, hour))
    except (FileNotFoundError, DataInvalid):
        return None
    known_at = parse_instant(record.inputs.known_at)
    grids = Before(hour, record.gate_evaluation, record.exit_evaluation)
    told = (_recorded_advice(app, each, known_at, grids.exits) for each in record.decisions)
    advice = tuple(each for each in told if each is not None)
    return _facts(key, hour, record.outcome, record.reason, analysis_of(record), advice), grids, known_at


def hour_facts(evaluation: Evaluation) -> HourFacts:
    """Return what a notice needs to know of an hour just judged."""
    inputs, exits = evaluation.inputs, evaluation.exits_value()
    advice = tuple(
        facts_of(each, warned_in_words(each.expected), _since(exits, each.grid_id))
        for each in evaluation.advice
        if not each.is_expired(inputs.known_at)  # born expired: recorded, not told as advice
    )
    return _facts(inputs.key, inputs.hour, evaluation.outcome, evaluation.reason, evaluation.analysis, advice)


def _recorded_advice(
    app: App, decision_id: str, known_at: datetime, exits: Mapping[str, Mapping[str, object]]
) -> AdviceFacts | None:
    """Return a recorded recommendation's facts, None where it was born expired and is not told as advice.

    None also where it cannot be read: a start must not end there.
    """
    path = decision_path(decision_id)
    try:
        file = decode_decision((app.store.root / path).read_bytes(), path)
    except (DataInvalid, OSError):
        return None
    advice = recommendation_of(file)
    if advice.is_expired(known_at):
        return None
    return facts_of(advice, warned_in_words(file.expected), _since(exits, advice.grid_id))


def _since(exits: Mapping[str, Mapping[str, object]], grid_id: str) -> str | None:
    return str(exits[grid_id]["since"]) if grid_id in exits else None


def _facts(
    key: str,
    hour: Hour,
    outcome: str,
    reason: str | None,
    found: RegimeAnalysis | None,
    advice: tuple[AdviceFacts, ...],
) -> HourFacts:
    return HourFacts(
        key=key,
        hour=hour,
        outcome=outcome,
        reason=reason,
        verdict=None if found is None else found.verdict.value,
        hold_probability=None if found is None else found.hold_probability,
        price=None if found is None else found.price,
        lower=None if found is None else found.range.lower,
        upper=None if found is None else found.range.upper,
        advice=advice,
        missing="" if found is None else _missing(found),
    )


def _missing(found: RegimeAnalysis) -> str:
    names = [name for name, reading in found.metrics.items() if reading.value is None]
    weighed = sum(reading.weight for reading in found.metrics.values())
    return missing_in_words(names, 1 - weighed / _TWENTIETHS)
