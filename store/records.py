"""The metrics file: what was found in one hour, as YAML that people read and machines compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from decisions.evaluate import Evaluation
from decisions.inputs import HourInputs
from market.errors import DataInvalid
from market.hours import Hour, instant_iso, parse_instant
from market.snapshot import MarketSummary
from market.units import from_scaled
from regime.analysis import (
    Components,
    Confidence,
    MetricReading,
    PriceRange,
    RegimeAnalysis,
    ScoreModel,
    Verdict,
)
from store import yaml_text
from store.seal import validated

SCHEMA_VERSION = 1
VerdictName = Literal["RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND"]
Read = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


class InputsYaml(BaseModel):
    """What the hour was judged by: instant, window and files, each by digest."""

    model_config = Read

    known_at: str
    window_digest: str
    files: dict[str, str]


class SummaryYaml(BaseModel):
    """The hour in one line, prices in quote, volume in base."""

    model_config = Read

    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    best_bid: float | None
    best_ask: float | None
    last: float | None
    ticker_at: str | None


class ReadingYaml(BaseModel):
    model_config = Read

    value: float | None
    reason: str | None
    score: float | None
    weight: int
    slope: float | None
    trend: str | None


class RangeYaml(BaseModel):
    model_config = Read

    lower: float
    upper: float
    mid: float
    width_pct: float
    width_atr: float
    touches_lower: int
    touches_upper: int
    age_h: int
    containment: float
    lookback_h: int
    valid: bool


class ComponentsYaml(BaseModel):
    """The three-dimensional regime of the hour's 1h bar; its confidence is a distance, no probability."""

    model_config = Read

    trend_state: Literal["uptrend", "downtrend", "neutral"]
    volatility_state: Literal["low", "high"]
    momentum_state: Literal["bullish", "bearish", "weak"]
    full_regime: str
    simplified_regime: Literal["TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"]
    confidence: float


class AnalysisYaml(BaseModel):
    """The regime; T is trendiness on 1h, T4 on 4h, weights are twentieths."""

    model_config = Read

    verdict: VerdictName
    score_model: ScoreModel
    hold_probability: float | None
    barrier_probability: float | None
    trendiness: float | None = Field(alias="T")
    trendiness_4h: float | None = Field(alias="T4")
    verdict_4h: VerdictName | None
    p_transition: float | None
    evidence_verdict: VerdictName
    classic_verdict: VerdictName
    metrics: dict[str, ReadingYaml]
    vetoes: list[str]
    distances: dict[str, float]
    range: RangeYaml
    price: float
    atr: float | None
    hourly_sigma: float | None
    flips_168: int
    dwell_h: int
    components: ComponentsYaml | None


class NoAnalysisYaml(BaseModel):
    """An hour that could not be judged: due and done all the same."""

    model_config = Read

    verdict: None


class ConfidenceYaml(BaseModel):
    model_config = Read

    value: float
    factors: dict[str, float]


class DetailYaml(BaseModel):
    model_config = Read

    diagnostics: dict[str, float | None]
    early_warning: dict[str, dict[str, float | None]]


class QualityYaml(BaseModel):
    """Minutes missing and without trade in the hour; of the last 24 hours, missing and repaired."""

    model_config = Read

    missing: int
    no_trade: int
    missing_24h: int
    repaired_24h: int
    revised: list[str]
    bars_only: bool


class MetricsFile(BaseModel):
    """What `metrics/{key}/{YYYY-MM-DD}-{HH}.yaml` holds."""

    model_config = Read

    schema_version: Literal[1]
    key: str
    hour: str
    engine_version: int
    config_hash: str
    outcome: Literal["analysed", "insufficient", "no_data"]
    reason: str | None
    market_summary: SummaryYaml | None
    regime_analysis: AnalysisYaml | NoAnalysisYaml
    confidence: ConfidenceYaml | None
    detailed_analysis: DetailYaml | None
    gate_evaluation: dict[str, Any]
    exit_evaluation: dict[str, Any]
    decisions: list[str]
    data_quality: QualityYaml
    inputs: InputsYaml

    @property
    def verdict(self) -> Verdict | None:
        name = self.regime_analysis.verdict
        return None if name is None else Verdict(name)


def metrics_file(evaluation: Evaluation) -> MetricsFile:
    """Return the record of an evaluation; nothing in it depends on when it is written."""
    inputs, quality, analysis = evaluation.inputs, evaluation.inputs.window.quality, evaluation.analysis
    return MetricsFile(
        schema_version=SCHEMA_VERSION,
        key=inputs.key,
        hour=inputs.hour.iso(),
        engine_version=evaluation.engine_version,
        config_hash=evaluation.config_hash,
        outcome=evaluation.outcome,
        reason=evaluation.reason,
        market_summary=_summary(inputs.summary, inputs.window.price_scale, inputs.window.volume_scale),
        regime_analysis=NoAnalysisYaml(verdict=None) if analysis is None else _analysis(analysis),
        confidence=None
        if analysis is None
        else ConfidenceYaml(value=analysis.confidence.value, factors=dict(analysis.confidence.factors)),
        detailed_analysis=None
        if analysis is None
        else DetailYaml(
            diagnostics=dict(analysis.diagnostics),
            early_warning={name: dict(values) for name, values in analysis.early_warning.items()},
        ),
        gate_evaluation=evaluation.gates_value(),
        exit_evaluation=evaluation.exits_value(),
        decisions=[advice.id for advice in evaluation.advice],
        data_quality=QualityYaml(
            missing=quality.missing,
            no_trade=quality.no_trade,
            missing_24h=quality.missing_24h,
            repaired_24h=quality.repaired_24h,
            revised=list(inputs.revised),
            bars_only=quality.bars_only,
        ),
        inputs=inputs_yaml(inputs),
    )


def inputs_yaml(inputs: HourInputs) -> InputsYaml:
    """Return what an hour was judged by, each by digest."""
    return InputsYaml(
        known_at=instant_iso(inputs.known_at),
        window_digest=inputs.window.digest(),
        files=dict(sorted(inputs.files.items())),
    )


def encode_metrics(file: MetricsFile) -> bytes:
    """Return the record as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json", by_alias=True))


def decode_metrics(data: bytes, where: str, named: tuple[str, Hour] | None = None) -> MetricsFile:
    """Return the record in `data`, exactly as it was written and agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(MetricsFile, yaml_text.load_record(data, where, SCHEMA_VERSION), where)
    try:
        hour, _ = Hour.parse(file.hour), parse_instant(file.inputs.known_at)
    except ValueError as error:
        raise DataInvalid(where, "hour, inputs.known_at", str(error)) from None
    if named is not None and (file.key, hour) != named:
        raise DataInvalid(where, "key, hour", f"{file.key} {hour}, but the path names another")
    if encode_metrics(file) != data:
        raise DataInvalid(where, "", "not the bytes that this record is written with")
    return file


def analysis_of(file: MetricsFile) -> RegimeAnalysis | None:
    """Return the recorded analysis as the engine gave it, None for an hour without a verdict."""
    found, sure, detail = file.regime_analysis, file.confidence, file.detailed_analysis
    if isinstance(found, NoAnalysisYaml) or sure is None or detail is None:
        return None
    return RegimeAnalysis(
        verdict=Verdict(found.verdict),
        score_model=found.score_model,
        hold_probability=found.hold_probability,
        barrier_probability=found.barrier_probability,
        trendiness=found.trendiness,
        trendiness_4h=found.trendiness_4h,
        verdict_4h=None if found.verdict_4h is None else Verdict(found.verdict_4h),
        p_transition=found.p_transition,
        evidence_verdict=Verdict(found.evidence_verdict),
        classic_verdict=Verdict(found.classic_verdict),
        metrics={name: MetricReading(**reading.model_dump()) for name, reading in found.metrics.items()},
        vetoes=tuple(found.vetoes),
        distances=found.distances,
        range=PriceRange(**found.range.model_dump()),
        price=found.price,
        atr=found.atr,
        hourly_sigma=found.hourly_sigma,
        flips_168=found.flips_168,
        dwell_h=found.dwell_h,
        confidence=Confidence(sure.value, sure.factors),
        diagnostics=detail.diagnostics,
        early_warning=detail.early_warning,
        components=None if found.components is None else Components(**found.components.model_dump()),
    )


def _analysis(a: RegimeAnalysis) -> AnalysisYaml:
    return AnalysisYaml(
        verdict=a.verdict.value,
        score_model=a.score_model,
        hold_probability=a.hold_probability,
        barrier_probability=a.barrier_probability,
        T=a.trendiness,
        T4=a.trendiness_4h,
        verdict_4h=None if a.verdict_4h is None else a.verdict_4h.value,
        p_transition=a.p_transition,
        evidence_verdict=a.evidence_verdict.value,
        classic_verdict=a.classic_verdict.value,
        metrics={name: ReadingYaml(**_fields(reading)) for name, reading in a.metrics.items()},
        vetoes=list(a.vetoes),
        distances=dict(a.distances),
        range=RangeYaml(**_fields(a.range)),
        price=a.price,
        atr=a.atr,
        hourly_sigma=a.hourly_sigma,
        flips_168=a.flips_168,
        dwell_h=a.dwell_h,
        components=None if a.components is None else ComponentsYaml(**_fields(a.components)),
    )


def _fields(value: Any) -> Mapping[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _summary(summary: MarketSummary | None, price_scale: int, volume_scale: int) -> SummaryYaml | None:
    if summary is None:
        return None

    def price(scaled: int | None) -> float | None:
        return None if scaled is None else float(from_scaled(scaled, price_scale))

    return SummaryYaml(
        open=float(from_scaled(summary.open, price_scale)),
        high=float(from_scaled(summary.high, price_scale)),
        low=float(from_scaled(summary.low, price_scale)),
        close=float(from_scaled(summary.close, price_scale)),
        volume=float(from_scaled(summary.volume, volume_scale)),
        vwap=price(summary.vwap),
        best_bid=price(summary.best_bid),
        best_ask=price(summary.best_ask),
        last=price(summary.last),
        ticker_at=None if summary.ticker_at is None else instant_iso(summary.ticker_at),
    )
