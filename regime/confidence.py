"""How sure a verdict may sound: conservative, at most .95, with every factor that made it."""

from __future__ import annotations

from collections.abc import Mapping

from market.hours import HOUR_S
from market.window import WindowQuality
from regime.analysis import Confidence, PriceRange, Verdict
from regime.config import METRICS, ClassicConfig, ConfidenceConfig, RegimeConfig
from regime.precision import score

_MINUTES_24H = 24 * HOUR_S // 60


def evidence_confidence(
    verdict: Verdict,
    hold_probability: float,
    available: int,
    quality: WindowQuality,
    dwell_h: int,
    found: PriceRange,
    config: ConfidenceConfig,
) -> Confidence:
    """Return p for a range verdict, 1 - p for the others, capped, times what is missing.

    Args:
        verdict: After hysteresis and vetoes.
        hold_probability: p.
        available: Weight of the metrics that could be computed, twentieths.
        quality: Of the last 24 hours' data.
        dwell_h: Hours since the verdict changed.
        found: The range in force.
        config: Factors; time and maturity count only where it says so, else they end in `_unapplied`.
    """
    stated = hold_probability if verdict.is_range else 1 - hold_probability
    base = score(min(stated, config.maximum))
    applied = {
        "missing_metrics": score(available / 20),
        "data_quality": data_quality_factor(quality, config),
    }
    shown = dict(applied)
    for name, value, counts in (
        ("time", time_factor(dwell_h, config), config.apply_time_penalty),
        ("maturity", maturity_factor(found, config), config.apply_maturity_penalty),
    ):
        shown[name if counts else f"{name}_unapplied"] = value
        if counts:
            applied[name] = value
    return Confidence(_product(base, applied, config), {"base": base} | shown)


def classic_confidence(
    trendiness: float,
    verdict: Verdict,
    verdict_4h: Verdict | None,
    scores: Mapping[str, float],
    available: int,
    quality: WindowQuality,
    dwell_h: int,
    price: float,
    found: PriceRange,
    config: RegimeConfig,
) -> Confidence:
    """Return C0, made of margin, agreement and timeframe, times five penalties.

    Args:
        trendiness: T.
        verdict: After hysteresis and vetoes.
        verdict_4h: Class of T4, None where unknown (no agreement then).
        scores: Of the metrics that could be computed.
        available: Their weight, twentieths.
        quality: Of the last 24 hours' data.
        dwell_h: Hours since the verdict changed.
        price: Newest close.
        found: The range in force.
        config: Boundaries, weights, shares and factors.
    """
    rules = config.confidence
    parts = {
        "margin": margin(trendiness, config.classic),
        "agreement": _agreement(trendiness, scores, config),
        "timeframe": _timeframe(verdict, verdict_4h),
    }
    spread = (
        rules.margin_share * parts["margin"]
        + rules.agreement_share * parts["agreement"]
        + rules.timeframe_share * parts["timeframe"]
    )
    base = score(rules.classic_base + rules.classic_span * spread)
    applied = {
        "time": time_factor(dwell_h, rules),
        "position": position_factor(price, found, rules),
        "maturity": maturity_factor(found, rules),
        "missing_metrics": score(available / 20),
        "data_quality": data_quality_factor(quality, rules),
    }
    return Confidence(_product(base, applied, rules), parts | {"base": base} | applied)


def margin(trendiness: float, config: ClassicConfig) -> float:
    """Return the distance of T to the nearest boundary over its class's half-width, clipped to [0, 1]."""
    edges = (config.range_ok, config.range_weak, config.trend)
    walls = (0.0, *edges, 1.0)
    at = sum(trendiness >= edge for edge in edges)
    half_width = (walls[at + 1] - walls[at]) / 2
    nearest = min(abs(trendiness - edge) for edge in edges)
    return score(min(nearest / half_width, 1.0))


def time_factor(dwell_h: int, config: ConfidenceConfig) -> float:
    """Return .75 when the verdict has just changed, rising to 1 after 36 hours."""
    return score(config.time_floor + (1 - config.time_floor) * min(1.0, dwell_h / config.time_full_bars))


def maturity_factor(found: PriceRange, config: ConfidenceConfig) -> float:
    """Return 1 for a range touched on both sides and old enough, less with one of them, least with none."""
    touched = found.touches_lower > 0 and found.touches_upper > 0
    facts = touched + (found.age_h >= config.maturity_age)
    return (config.maturity_none, config.maturity_one, 1.0)[facts]


def position_factor(price: float, found: PriceRange, config: ConfidenceConfig) -> float:
    """Return 1 in the middle of the range, falling towards a bound, least outside."""
    width = found.upper - found.lower
    if width <= 0 or not found.lower <= price <= found.upper:
        return config.position_outside
    distance = 2 * abs((price - found.lower) / width - 0.5)
    beyond = max(distance - config.position_free, 0.0) / (1 - config.position_free)
    return score(1 - (1 - config.position_edge) * min(beyond, 1.0))


def data_quality_factor(quality: WindowQuality, config: ConfidenceConfig) -> float:
    """Return less than 1 when too much of the last 24 hours was missing or repaired."""
    share = (quality.missing_24h + quality.repaired_24h) / _MINUTES_24H
    return config.quality_factor if share > config.quality_threshold else 1.0


def _agreement(trendiness: float, scores: Mapping[str, float], config: RegimeConfig) -> float:
    middle = config.classic.range_weak
    weights = {name: config.metrics.anchors(name).weight for name in METRICS if name in scores}
    agreeing = sum(w for name, w in weights.items() if (scores[name] < middle) == (trendiness < middle))
    return score(agreeing / sum(weights.values()))


def _timeframe(verdict: Verdict, verdict_4h: Verdict | None) -> float:
    if verdict_4h is None:
        return 0.0
    return {0: 1.0, 1: 0.5}.get(abs(verdict.rank - verdict_4h.rank), 0.0)


def _product(base: float, factors: Mapping[str, float], config: ConfidenceConfig) -> float:
    value = base
    for factor in factors.values():
        value *= factor
    return score(min(value, config.maximum))
