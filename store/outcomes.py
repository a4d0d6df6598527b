"""What an outcome is measured by, put together from the records: the case, its minutes, its deeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from decisions.inputs import MarketCosts
from decisions.outcomes import Horizon, outcome_at
from decisions.paths import DecidedCase, RunningGrid
from decisions.realised import OutcomesConfig
from decisions.recommendation import Kind
from grid.economics import PlanTerms, TradingRules
from grid.parameters import GridParameters
from grid.plan import GridPlan
from grid.position import of_record as position_of_record
from grid.position import opening_ts
from grid.record import GridRecord
from grid.state import state_at
from market.candles import Bars
from market.errors import DataInvalid
from market.hours import Hour, instant_iso
from market.keys import checked_key
from store import disk, yaml_text
from store.advice import Recorded, proposed_of
from store.columns import HourColumns
from store.decision_files import decision_of, evaluation_path, recommendation_of
from store.minutes import MinuteShelf
from store.paths import metrics_path
from store.records import MetricsFile, NoAnalysisYaml, decode_metrics
from store.seal import validated

SCHEMA_VERSION = 1
_TIME = re.compile(r"\d{6}(?:-.+)?")


class EvaluationFile(BaseModel):
    """What `.eval-{horizon}.yaml` holds: what became of a recommendation, written once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    schema_version: Literal[1]
    decision: str
    market: str
    evaluated_at: str
    outcome: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records that a recommendation's outcome is measured by.

    Attributes:
        recorded: The recommendation with its actions.
        record: The hour's metrics file.
        snapshot: The hour's snapshot; None where there is none.
        grid: The grid's file now; None where there is none.
        costs: Of the market, by the configuration that the recommendation names.
    """

    recorded: Recorded
    record: MetricsFile
    snapshot: HourColumns | None
    grid: GridRecord | None
    costs: MarketCosts
    symbol: str


def due_evaluations(
    root: Path, key: str, newest: Hour, look_back_h: int, at_most: int
) -> list[tuple[str, Horizon]]:
    """Return recommendations whose horizon is over and that have no evaluation of it, oldest first.

    Args:
        root: The repository.
        key: Market.
        newest: The newest judged hour.
        look_back_h: How many hours before the newest due one are looked at.
        at_most: So many are returned.
    """
    found: list[tuple[str, Horizon]] = []
    days: dict[str, list[str]] = {}
    for horizon in Horizon:
        last = newest.plus(-horizon.hours)
        for index in range(last.index - look_back_h, last.index + 1):
            closes = Hour(index).closes_at
            day = f"{closes:%Y-%m-%d}"
            if day not in days:
                days[day] = _names_of_day(root, key, day)
            start = f"{day}/dec-{key}-{closes:%H%M%S}"
            found += [
                (name, horizon)
                for name in days[day]
                if (name == start or name.startswith(f"{start}-"))
                and not (root / evaluation_path(name, horizon.value)).exists()
            ]
            if len(found) >= at_most:
                return found[:at_most]
    return found


def _names_of_day(root: Path, key: str, day: str) -> list[str]:
    """Return the names of a day's recommendations in one market."""
    start = f"dec-{checked_key(key)}-"
    entries = [name for name in disk.names_in(root / "decisions" / day) if name.startswith(start)]
    named = (decision_of(f"decisions/{day}/{name}") for name in entries)
    return [each[0] for each in named if each is not None and each[1] is None]


@dataclass(frozen=True, slots=True)
class OpenHorizon:
    """A recommendation that has no evaluation of a horizon yet; `ends_at` is when its data can be there."""

    decision_id: str
    horizon: Horizon
    ends_at: datetime


def open_horizons(root: Path, key: str, first_day: str | None = None) -> Iterator[OpenHorizon]:
    """Yield every horizon without an evaluation of a market's recommendations, oldest day first.

    Args:
        root: The repository.
        key: Market.
        first_day: Day of the closes, `2026-02-02`; None for the whole record.
    """
    for day in disk.names_in(root / "decisions"):
        if first_day is not None and day < first_day:
            continue
        for name in _names_of_day(root, key, day):
            closes_at = close_named(name, key)
            if closes_at is None:
                continue
            for horizon in Horizon:
                if not (root / evaluation_path(name, horizon.value)).exists():
                    yield OpenHorizon(name, horizon, closes_at + timedelta(hours=horizon.hours))


def close_named(decision_id: str, key: str) -> datetime | None:
    """Return the close that a recommendation's name tells, None where it is of another market."""
    day, _, name = decision_id.partition("/")
    time = name.removeprefix(f"dec-{key}-")
    if time == name or not _TIME.fullmatch(time):  # a key may begin like another one
        return None
    try:
        return datetime.strptime(f"{day} {time[:6]}", "%Y-%m-%d %H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def read_record(root: Path, key: str, hour: Hour) -> MetricsFile | None:
    """Return an hour's record, None where there is none; raises DataInvalid where it is corrupt."""
    path = metrics_path(key, hour)
    try:
        return decode_metrics((root / path).read_bytes(), path, (key, hour))
    except FileNotFoundError:
        return None


def encode_evaluation(file: EvaluationFile) -> bytes:
    """Return the record as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json"))


def decode_evaluation(data: bytes, path: str) -> EvaluationFile:
    """Return the record in `data`, agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(EvaluationFile, yaml_text.load_record(data, path, SCHEMA_VERSION), path)
    named = decision_of(path)
    if named is not None and named != (file.decision, f"eval-{file.outcome.get('horizon')}"):
        found = f"{file.decision}, {file.outcome.get('horizon')}"
        raise DataInvalid(path, "decision, outcome.horizon", f"{found}, but the path names another")
    if encode_evaluation(file) != data:
        raise DataInvalid(path, "", "not the bytes that this record is written with")
    return file


def evaluated(
    evidence: Evidence, horizon: Horizon, shelf: MinuteShelf, config: OutcomesConfig, at: datetime
) -> EvaluationFile | None:
    """Return the evaluation; None where not even the price of the hour is known.

    Raises:
        DataInvalid: A record is not what was written.
    """
    file = evidence.recorded.file
    start = Hour.parse(file.hour).plus(1)
    minutes, scale = shelf.between(file.market, start, start.plus(horizon.hours), _scale_of(evidence))
    case = _case(evidence, minutes, scale)
    if case is None:
        return None
    found = outcome_at(horizon, case, minutes, None, evidence.recorded.advice.actions, config)
    return EvaluationFile(
        schema_version=1,
        decision=file.id,
        market=file.market,
        evaluated_at=instant_iso(at),
        outcome=found.as_record(),
    )


def _scale_of(evidence: Evidence) -> int:
    entry = evidence.record.exit_evaluation.get(evidence.recorded.file.grid_id)
    position = None if entry is None else entry["position"]
    own = 1 if evidence.snapshot is None else evidence.snapshot.price_scale
    return max(own, 1 if position is None else int(position["terms"]["price_scale"]))


def _case(evidence: Evidence, minutes: Bars, scale: int) -> DecidedCase | None:
    """Return the case of a recommendation; None where not even the price of its hour is known."""
    file, summary = evidence.recorded.file, evidence.record.market_summary
    if summary is None:
        return None
    price = int(Decimal(repr(summary.close)) * scale)
    analysis = evidence.record.regime_analysis
    judged = None if isinstance(analysis, NoAnalysisYaml) else analysis
    is_managed = file.type is Kind.MANAGE
    seen = _running(evidence, scale) if is_managed else _offered(evidence, price, scale)
    if seen is None:
        bounds = None if judged is None else (judged.range.lower, judged.range.upper)
        seen = _Seen(None, bounds, _base_scale(evidence.snapshot))
    return DecidedCase(
        recommendation=recommendation_of(file),
        quote=evidence.symbol.rpartition("-")[2],
        price=price,
        price_scale=scale,
        base_scale=seen.base_scale,
        bounds=seen.bounds,
        atr=None if judged is None else judged.atr,
        grid=seen.grid,
        entered=None if is_managed else _entered(evidence, minutes, scale),
    )


class _Seen(NamedTuple):
    """The grid that a recommendation was about, its bounds in quote, and the scale of its base coin."""

    grid: RunningGrid | None
    bounds: tuple[float, float] | None
    base_scale: int


def _running(evidence: Evidence, scale: int) -> _Seen | None:
    """Return the running grid as it stood at the close, its bounds and its own units of coin.

    All from the hour's own record: its snapshot may be gone.
    """
    file = evidence.recorded.file
    entry: Mapping[str, Any] | None = evidence.record.exit_evaluation.get(file.grid_id)
    if entry is None or entry["position"] is None or evidence.grid is None:
        return None
    terms = PlanTerms.of_record(entry["position"]["terms"], file.id)
    position = position_of_record(entry["position"]["state"], file.id)
    factor = scale // terms.price_scale
    terms, position = terms.rescaled(factor), position.rescaled(factor)
    version = int(entry["grid_version"])
    if version > len(evidence.grid.versions):
        raise DataInvalid(file.id, "grid_version", f"{version}, but the grid's file has fewer")
    parameters = evidence.grid.versions[version - 1].parameters
    return _Seen(RunningGrid(terms.plan(parameters), position), _bounds(parameters), terms.base_scale)


def _offered(evidence: Evidence, price: int, scale: int) -> _Seen | None:
    """Return the grid that was proposed, as it would start; None without one, or without increments."""
    rules, proposed = _rules(evidence.snapshot), proposed_of(evidence.recorded.file)
    if rules is None or proposed is None:
        return None
    terms = PlanTerms.of(price, scale, rules, evidence.costs.order)
    try:
        grid = RunningGrid.starting(terms.plan(proposed.parameters))
    except DataInvalid:  # a proposal that was refused because it makes no grid
        grid = None
    return _Seen(grid, _bounds(proposed.parameters), rules.base_scale)


def _bounds(parameters: GridParameters) -> tuple[float, float]:
    return float(parameters.lower), float(parameters.upper)


def _entered(evidence: Evidence, minutes: Bars, scale: int) -> GridPlan | None:
    """Return the grid as the operator really set it up on accepting, at the price seen then.

    None where it was not set up, where no price from before is known, and where it makes no plan.
    """
    answer = evidence.recorded.advice.answer
    if answer is None or evidence.grid is None or answer.action.value != "accept":
        return None
    state = state_at(evidence.grid, answer.at + timedelta(microseconds=1))
    if state is None or not state.running or state.started_at != answer.at:
        return None
    before = minutes.between(0, opening_ts(answer.at))
    rules = _rules(evidence.snapshot)
    if not len(before) or rules is None:
        return None
    try:
        return PlanTerms.of(int(before.close[-1]), scale, rules, evidence.costs.order).plan(state.parameters)
    except DataInvalid:  # off the market's increments, or it loses: the advice is still worth what it was
        return None


def _rules(snapshot: HourColumns | None) -> TradingRules | None:
    if snapshot is None or snapshot.rules is None:
        return None
    return TradingRules(**{name: Decimal(text) for name, text in snapshot.rules.items()})


def _base_scale(snapshot: HourColumns | None) -> int:
    rules = _rules(snapshot)
    return 1 if rules is None else rules.base_scale
