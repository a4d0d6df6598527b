"""Restart gates of stopped grids, as the hour's record has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from dashboard.pages import Check, GateState
from dashboard.reading.records import RecordShelf
from dashboard.reading.telling import Troubles, number
from market.errors import DataInvalid
from market.hours import Hour
from regime.gates.conditions import Condition
from regime.gates.config import GatesConfig
from regime.gates.fold import GateEvaluation
from regime.gates.record import of_record
from store.paths import metrics_path
from store.records import MetricsFile

_TITLES = {
    "directional_energy_decay": "Directional Energy Decay",
    "mean_reversion_return": "Mean Reversion Return",
    "tradable_volatility": "Tradable Volatility",
}
_WHY = {"data": "not enough data", "condition": "a condition does not hold", "streak": "not long enough yet"}


def gates_of(shelf: RecordShelf, record: MetricsFile, troubles: Troubles) -> list[GateState]:
    """Return the gates of every stopped grid of the hour, in the order in which they must pass."""
    if not record.gate_evaluation:
        return []
    where = metrics_path(record.key, Hour.parse(record.hour))
    needed = troubles.reading("the gates' rules", partial(_needed, shelf, record), GatesConfig().bars_to_pass)
    found: list[GateState] = []
    for grid_id, told in record.gate_evaluation.items():
        read = partial(of_record, told, f"{where}: gate_evaluation.{grid_id}")
        evaluation: GateEvaluation | None = troubles.reading(f"gates of {grid_id}", read, None)
        if evaluation is not None:
            found += _gates(grid_id, evaluation, needed)
    return found


def _needed(shelf: RecordShelf, record: MetricsFile) -> int:
    """Return how many hours in a row pass a gate, by the configuration that the record names."""
    config = shelf.config(record.config_hash)
    if config is None:
        return GatesConfig().bars_to_pass
    try:
        return int(config["gates"]["bars_to_pass"])  # type: ignore[index]
    except (LookupError, TypeError, ValueError):
        raise DataInvalid(
            f"configs/{record.config_hash[7:]}.yaml", "gates.bars_to_pass", "no number"
        ) from None


def _gates(grid_id: str, evaluation: GateEvaluation, needed: int) -> list[GateState]:
    return [
        GateState(
            grid_id=grid_id,
            number=place,
            title=_TITLES[gate.name],
            status=gate.status,
            streak=min(gate.streak, needed),
            needed=needed,
            checks=tuple(_check(each) for each in gate.details) or _reset(evaluation),
        )
        for place, gate in enumerate(evaluation.gates, start=1)
    ]


def _reset(evaluation: GateEvaluation) -> tuple[Check, ...]:
    """Return what began all gates anew in this hour, so that a page says why none is judged."""
    return tuple(_check(each) for each in evaluation.resets if not each.held)


def _check(condition: Condition) -> Check:
    why: Mapping[str, str] = _WHY
    return Check(
        name=condition.name,
        passed=condition.held,
        value=number(condition.value),
        threshold=number(condition.threshold),
        distance=condition.distance,
        reason="" if condition.reason is None else why.get(condition.reason, condition.reason),
    )
