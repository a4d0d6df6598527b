"""A market's judgements in force and its shadow's, side by side, from the files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from decisions.shadow import Advised, PolicyHour
from market.errors import DataInvalid
from market.hours import Hour
from market.keys import checked_key
from store import disk
from store.decision_files import decision_path, decode_decision
from store.ledger import Ledger
from store.paths import metrics_path
from store.records import MetricsFile, decode_metrics
from store.shadow_files import ShadowFile, newest_first, read_shadow

Told = Callable[[int, int], None]


@dataclass(slots=True)
class ShadowHours:
    """What lies there of one market and its newest shadow within a span.

    Attributes:
        config_hash: The newest shadow of the span; empty where no record of one could be read.
        start, end: The span, half-open: from its first record, or as asked for.
        in_force: Hours by the configuration that they were judged by.
        pairs: Hours with both judgements, oldest first.
        judged: Hours of the span with a judgement in force.
        missing: Judged hours without a record of a shadow.
        failed: Hours that the shadow could not judge, and why.
        fresh: Hours in which its gates and exit states were opened fresh.
        others: Hours recorded by another shadow, by its configuration.
        damaged: Why an hour could not be read, by hour.
    """

    config_hash: str
    start: Hour
    end: Hour
    in_force: Counter[str] = field(default_factory=Counter)
    pairs: list[tuple[Hour, PolicyHour, PolicyHour]] = field(default_factory=list)
    judged: int = 0
    missing: list[Hour] = field(default_factory=list)
    failed: dict[Hour, str] = field(default_factory=dict)
    fresh: list[Hour] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    damaged: dict[Hour, str] = field(default_factory=dict)


def markets_in_shadow(root: Path) -> Sequence[str]:
    """Return the keys of the markets that a shadow ever judged."""
    return [
        name for name in disk.names_in(root / "shadow") if _is_key(name) and any(newest_first(root, name))
    ]


def _is_key(name: str) -> bool:
    try:
        return bool(checked_key(name))
    except ValueError:
        return False


def shadow_hours(
    root: Path, key: str, start: Hour | None, end: Hour | None, told: Told | None = None
) -> ShadowHours | None:
    """Return the hours of a market beside its newest shadow; None where the span has no record of one.

    Args:
        root: The repository; a daemon may write it at the same time.
        key: Market.
        start, end: Half-open; from the newest shadow's first record to the newest judged hour when left out.
        told: Told (done, total) now and then.
    """
    span = [h for h in newest_first(root, key) if (start is None or h >= start) and (end is None or h < end)]
    shadows: dict[Hour, ShadowFile] = {}
    damaged: dict[Hour, str] = {}
    judged = Ledger(root).judged_hours(key)
    total = len(span) + len(judged)
    for done, hour in enumerate(reversed(span)):
        _tell(told, done, total)
        try:
            file = read_shadow(root, key, hour)
        except DataInvalid as error:
            damaged[hour] = str(error)
            continue
        if file is not None:
            shadows[hour] = file
    if not shadows:
        if not damaged:
            return None
        first = min(damaged)
        return ShadowHours("", start or first, end or max(damaged).plus(1), damaged=damaged)
    newest = shadows[max(shadows)].config_hash
    first = min(hour for hour, file in shadows.items() if file.config_hash == newest)
    found = ShadowHours(newest, start or first, end or max([*judged, *shadows]).plus(1), damaged=damaged)
    for done, hour in enumerate(judged):
        _tell(told, len(span) + done, total)
        if found.start <= hour < found.end:
            found.judged += 1
            _take(found, root, key, hour, shadows.get(hour))
    found.others = Counter(file.config_hash for file in shadows.values() if file.config_hash != newest)
    return found


def _take(found: ShadowHours, root: Path, key: str, hour: Hour, shadow: ShadowFile | None) -> None:
    if hour in found.damaged or (shadow is not None and shadow.config_hash != found.config_hash):
        return
    if shadow is None:
        found.missing.append(hour)
        return
    if shadow.failed:
        found.failed[hour] = shadow.reason or ""
        return
    path = metrics_path(key, hour)
    try:
        record = decode_metrics((root / path).read_bytes(), path, (key, hour))
        ours = _in_force(root, record)
    except (DataInvalid, OSError) as error:
        found.damaged[hour] = str(error)
        return
    found.in_force[record.config_hash] += 1
    if shadow.folds is not None and shadow.folds.after is None:
        found.fresh.append(hour)
    theirs = PolicyHour(
        verdict=shadow.verdict,
        hold_probability=shadow.hold_probability,
        advice={each.grid_id: Advised(each.action.value, each.reason) for each in shadow.advice},
        exits=_exits(shadow.exit_evaluation),
    )
    found.pairs.append((hour, ours, theirs))


def _in_force(root: Path, record: MetricsFile) -> PolicyHour:
    advice: dict[str, Advised] = {}
    for decision_id in record.decisions:
        path = decision_path(decision_id)
        file = decode_decision((root / path).read_bytes(), path)
        advice[file.grid_id] = Advised(file.action.value, file.reason)
    analysis = record.regime_analysis
    return PolicyHour(
        verdict=analysis.verdict,
        hold_probability=getattr(analysis, "hold_probability", None),
        advice=advice,
        exits=_exits(record.exit_evaluation),
    )


def _exits(evaluation: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    return {grid_id: str(entry["state"]) for grid_id, entry in evaluation.items()}


def _tell(told: Told | None, done: int, total: int) -> None:
    if told is not None and done % 20 == 0:
        told(done, total)
