"""Metrics and decision files at a glance: the few figures that a long span is drawn of, read off their lines.

A year of one market is 8,760 metrics files, and whole they take seven milliseconds each. What a chart needs
stands in known lines, because both files are always written by the same encoder; so a glance takes those
lines and leaves the rest. Whatever does not look exactly as it is written goes through the strict decoder,
which says the same or names what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isnan, nan
from typing import NamedTuple

from market.errors import DataInvalid
from market.hours import Hour
from market.snapshot import MINUTES
from regime.config import METRICS
from store.decision_files import DecisionFile, decode_decision
from store.paths import metrics_path, parse_metrics
from store.records import MetricsFile, NoAnalysisYaml, decode_metrics

_NAME_LENGTH = len("2026-02-02-14.yaml")
_N = r"(null|-?\d[\d.e+-]*)"
_HEAD = re.compile(
    r"schema_version: 1\nkey: '?(?P<key>[A-Z0-9._-]+)'?\nhour: '(?P<hour>[\dTZ:-]+)'\n"
    r"engine_version: \d+\nconfig_hash: [^\n]+\noutcome: (?P<outcome>\w+)\n"
)
_SUMMARY = re.compile(
    rf"\nmarket_summary:\n  open: {_N}\n  high: {_N}\n  low: {_N}\n  close: {_N}\n  volume: {_N}\n"
)
_VERDICT = re.compile(
    r"\nregime_analysis:\n  verdict: (?P<verdict>RANGE_OK|RANGE_WEAK|TRANSITION|TREND)\n  score_model: \w+\n"
    rf"  hold_probability: {_N}\n  barrier_probability: {_N}\n  T: {_N}\n"
)
_METRIC = re.compile(rf"\n    ([a-z_]+):\n      value: {_N}(?=\n)")
_RANGE = re.compile(rf"\n  range:\n    lower: {_N}\n    upper: {_N}\n")
_PRICE = re.compile(rf"\n    valid: (true|false)\n  price: {_N}\n")
_SIMPLIFIED = re.compile(r"\n    simplified_regime: ([A-Z_]+)\n")
_CONFIDENCE = re.compile(rf"\nconfidence:\n  value: {_N}\n")
_GRID_STATE = re.compile(r"\n  '?([A-Za-z0-9][A-Za-z0-9._-]*)'?:(?=\n)|\n    state: ([A-Z_]+)(?=\n)")
_GRID_LINE = re.compile(r"\n  (?! )")
_QUALITY = re.compile(
    r"\ndata_quality:\n  missing: (\d+)\n  no_trade: (\d+)\n  missing_24h: (\d+)\n"
    r"  repaired_24h: \d+\n  revised: \[\]\n"
    r"  bars_only: (?:true|false)\ninputs:\n  known_at: [^\n]+\n  window_digest: [^\n]+\n"
    r"  files:(?: \{\}\n|\n(?:    [^\n]+\n)+)\Z"
)
_ADVICE = re.compile(
    r"schema_version: 1\nid: (?P<id>[^\n]+)\nmarket: '?(?P<market>[A-Z0-9._-]+)'?\n"
    r"hour: '(?P<hour>[\dTZ:-]+)'\ngrid_id: '?(?P<grid_id>[A-Za-z0-9][A-Za-z0-9._-]*)'?\n"
    r"grid_version: [^\n]+\ntype: \w+\naction: (?P<action>\w+)\n"
)
_EXPIRES = re.compile(r"\nexpires_at: (?:null|'([\dTZ:.-]+)')\n")


class HourPrices(NamedTuple):
    """One hour's bar: prices in quote, volume in base."""

    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class HourGlance:
    """One judged hour, as far as a line over many hours needs it; NaN where a number is not recorded.

    Attributes:
        hour: Number since 1970, as `Hour.index`.
        verdict: None where the hour could not be judged.
        metrics: Values in the order of `regime.config.METRICS`.
        lower, upper: Of the range, whether it is valid or not.
        prices: None where no minute of the hour is known.
        exits: Exit state by running grid.
        decisions: Ids of the hour's recommendations.
        missing, no_trade, missing_24h: Minutes.
        revised: Hours whose revision was noticed in this one.
    """

    hour: int
    outcome: str
    verdict: str | None
    simplified: str | None
    hold_probability: float
    confidence: float
    trendiness: float
    metrics: tuple[float, ...]
    lower: float
    upper: float
    is_valid: bool
    price: float
    prices: HourPrices | None
    exits: tuple[tuple[str, str], ...]
    decisions: tuple[str, ...]
    missing: int
    no_trade: int
    missing_24h: int
    revised: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdviceGlance:
    """One recommendation, as far as a list needs it."""

    id: str
    market: str
    hour: str
    grid_id: str
    action: str
    expires_at: str | None


def glance_at_metrics(data: bytes, where: str) -> HourGlance:
    """Return the metrics file of the path `where` at a glance.

    Raises:
        DataInvalid: As `decode_metrics`, where it is damaged in what is read of it.
    """
    try:
        found = _metrics(data.decode(), where)
    except ValueError:  # a number that is none, a part that is not there
        found = hour_glance(decode_metrics(data, where, parse_metrics(where)))
    return _checked(found, where)


def hour_glance(file: MetricsFile) -> HourGlance:
    """Return a decoded metrics file at a glance."""
    found, summary, quality = file.regime_analysis, file.market_summary, file.data_quality
    judged = None if isinstance(found, NoAnalysisYaml) else found
    part = None if judged is None else judged.components
    metrics: Mapping[str, float | None] = (
        {} if judged is None else {name: reading.value for name, reading in judged.metrics.items()}
    )
    return HourGlance(
        hour=Hour.parse(file.hour).index,
        outcome=file.outcome,
        verdict=None if judged is None else judged.verdict,
        simplified=None if part is None else part.simplified_regime,
        hold_probability=nan if judged is None else _or_nan(judged.hold_probability),
        confidence=nan if file.confidence is None else file.confidence.value,
        trendiness=nan if judged is None else _or_nan(judged.trendiness),
        metrics=tuple(_or_nan(metrics.get(name)) for name in METRICS),
        lower=nan if judged is None else judged.range.lower,
        upper=nan if judged is None else judged.range.upper,
        is_valid=judged is not None and judged.range.valid,
        price=nan if judged is None else judged.price,
        prices=None
        if summary is None
        else HourPrices(summary.open, summary.high, summary.low, summary.close, summary.volume),
        exits=tuple((grid_id, _state(file, grid_id)) for grid_id in file.exit_evaluation),
        decisions=tuple(file.decisions),
        missing=quality.missing,
        no_trade=quality.no_trade,
        missing_24h=quality.missing_24h,
        revised=tuple(quality.revised),
    )


def glance_at_advice(data: bytes, where: str) -> AdviceGlance:
    """Return a recommendation's file at a glance.

    Raises:
        DataInvalid: As `decode_decision`, where it is damaged in what is read of it.
    """
    try:
        text = data.decode()
        head, expires = _ADVICE.match(text), _EXPIRES.search(text)
    except ValueError:
        head = expires = None
    if head is None or expires is None or f"decisions/{head['id']}.yaml" != where:
        return advice_glance(decode_decision(data, where))
    return AdviceGlance(head["id"], head["market"], head["hour"], head["grid_id"], head["action"], expires[1])


def advice_glance(file: DecisionFile) -> AdviceGlance:
    """Return a decoded recommendation at a glance."""
    return AdviceGlance(file.id, file.market, file.hour, file.grid_id, file.action.value, file.expires_at)


def _state(file: MetricsFile, grid_id: str) -> str:
    entry = file.exit_evaluation[grid_id]
    state = entry.get("state") if isinstance(entry, Mapping) else None
    if not isinstance(state, str):
        where, field = metrics_path(file.key, Hour.parse(file.hour)), f"exit_evaluation.{grid_id}.state"
        raise DataInvalid(where, field, f"{state!r:.80} is no exit state")
    return state


def _checked(glance: HourGlance, where: str) -> HourGlance:
    """Return the glance; DataInvalid where a figure cannot be: a page would draw it all the same."""
    shares = {
        "confidence.value": glance.confidence,
        "regime_analysis.hold_probability": glance.hold_probability,
        "regime_analysis.T": glance.trendiness,
    }
    for field, value in shares.items():
        if not isnan(value) and not 0 <= value <= 1:
            raise DataInvalid(where, field, f"found {value:g}, expected 0 to 1")
    if glance.is_valid and not 0 < glance.lower < glance.upper < inf:
        found = f"found {glance.lower:g} to {glance.upper:g}"
        raise DataInvalid(where, "regime_analysis.range", f"{found}, expected two prices, the lower first")
    prices = (glance.price, *(() if glance.prices is None else glance.prices[:4]))
    if any(not isnan(value) and not 0 < value < inf for value in prices):
        raise DataInvalid(where, "market_summary", f"found {prices}, expected prices above 0")
    if not 0 <= glance.missing <= MINUTES or not 0 <= glance.no_trade <= MINUTES:
        found = f"found {glance.missing} missing, {glance.no_trade} without trade"
        raise DataInvalid(where, "data_quality", f"{found}, expected at most {MINUTES} minutes")
    return glance


def _or_nan(value: float | None) -> float:
    return nan if value is None else value


def _number(text: str) -> float:
    return nan if text == "null" else float(text)


@lru_cache(maxsize=1024)
def _first_hour(day: str) -> int:
    """Return the number of a day's first hour; ValueError for no day."""
    return Hour.parse(f"{day}T00").index


class _Elsewise(ValueError):
    """Raised when a part does not look as it is written: the strict decoder is asked."""


def _needed(found: re.Match[str] | None) -> re.Match[str]:
    if found is None:
        raise _Elsewise
    return found


def _metrics(text: str, where: str) -> HourGlance:
    """Return what stands in the known lines; ValueError where they are not as they are mostly written.

    An hour that was not judged and one that noticed a revision are rare: they are read whole.
    """
    folder, name = where[:-_NAME_LENGTH], where[-_NAME_LENGTH:]
    head = _needed(_HEAD.match(text))
    gates_at = text.index("\ngate_evaluation:", head.end())
    exits_at = text.index("\nexit_evaluation:", gates_at)
    decisions_at = text.index("\ndecisions:", exits_at)
    verdict = _needed(_VERDICT.search(text, head.end(), gates_at))
    vetoes_at = text.index("\n  vetoes:", verdict.end(), gates_at)
    range_ = _needed(_RANGE.search(text, vetoes_at, gates_at))
    price = _needed(_PRICE.search(text, range_.end(), gates_at))
    sure = _needed(_CONFIDENCE.search(text, price.end(), gates_at))
    part = _SIMPLIFIED.search(text, price.end(), sure.start())
    quality = _needed(_QUALITY.search(text, decisions_at))
    summary = _SUMMARY.search(text, head.end() - 1, verdict.start() + 1)
    readings = dict(_METRIC.findall(text, verdict.end(), vetoes_at))
    told = text[decisions_at : quality.start()].split("\n")
    decisions = tuple(line[2:] for line in told[2:])
    if (
        len(readings) != text.count("\n      reason: ", verdict.end(), vetoes_at)
        or head["hour"] != f"{name[:10]}T{name[11:13]}:00:00Z"
        or folder != f"metrics/{head['key']}/"
        or (part is None and text.find("\n  components: null\n", price.end(), sure.end()) < 0)
        or (summary is None and text.find("\nmarket_summary: null\n", head.end() - 1, verdict.end()) < 0)
        or told[1] != ("decisions:" if decisions else "decisions: []")
        or not all(line.startswith("- ") and line[2] not in "'\"" for line in told[2:])
    ):
        raise _Elsewise
    return HourGlance(
        hour=_first_hour(name[:10]) + int(name[11:13]),
        outcome=head["outcome"],
        verdict=verdict["verdict"],
        simplified=None if part is None else part[1],
        hold_probability=_number(verdict[2]),
        confidence=_number(sure[1]),
        trendiness=_number(verdict[4]),
        metrics=tuple(_number(readings.get(name, "null")) for name in METRICS),
        lower=_number(range_[1]),
        upper=_number(range_[2]),
        is_valid=price[1] == "true",
        price=_number(price[2]),
        prices=None if summary is None else HourPrices(*map(_number, summary.groups())),
        exits=_exits(text[exits_at:decisions_at]),
        decisions=decisions,
        missing=int(quality[1]),
        no_trade=int(quality[2]),
        missing_24h=int(quality[3]),
        revised=(),
    )


def _exits(part: str) -> tuple[tuple[str, str], ...]:
    """Return grids and states of the part of a record that tells them; ValueError where they do not pair."""
    found = _GRID_STATE.findall(part)
    names = [name for name, _ in found if name]
    states = [state for _, state in found if state]
    if len(names) != len(_GRID_LINE.findall(part)):
        raise _Elsewise
    return tuple(zip(names, states, strict=True))
