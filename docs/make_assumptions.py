"""Write docs/assumptions.md: each assumption of the design with what is for and against: `make assumptions`.

Measured anew from recorded candles (`regimed calibrate`, and minutes where the question needs them); what the
replayed months say comes from docs/evidence/replays.json, which `make replays` keeps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
from make_calibration import MARKETS, measured
from tables import figure, table

from decisions.calibration.cadence import StopsReached, stops_reached
from decisions.calibration.measures import Weeks
from market.hours import Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from regime.history import JudgedHours, judge_history
from store.recorded import choose_markets
from store.recorded_windows import RecordedWindows

TARGET = Path(__file__).with_name("assumptions.md")
REPLAYS = Path(__file__).with_name("evidence") / "replays.json"
MINUTES = (
    ("ETH-USDT", None), ("ETH-USDT", "2023OUTAGE"), ("ETH-USDT", "2024AUG"), ("ETH-USDT", "2024Q4"),
    ("ETH-USDT", "2025JAN"), ("ETH-USDT", "2025MAR"), ("BTC-USDT", None), ("BTC-USDT", "2023OUTAGE"),
    ("BTC-USDT", "2024AUG"), ("BTC-USDT", "2024Q4"), ("BTC-USDT", "2025JAN"), ("BTC-USDT", "2025MAR"),
    ("SOL-USDT", None), ("SOL-USDT", "2023OUTAGE"), ("SOL-USDT", "2024Q4"), ("SOL-USDT", "2025JAN"),
    ("SOL-USDT", "2025MAR"),
)  # fmt: skip

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure, and from when on it speaks for the assumption.

    Attributes:
        found: value, low, high, n; an interval decides, a value without one only leans.
        least, most: The bounds that the assumption claims; None where it claims none.
    """

    label: str
    found: Found
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        """Return `for` or `against` where the whole interval says so, `leans ...` where the value does."""
        value, low, high = (self.found.get(name) for name in ("value", "low", "high"))
        if value is None or (self.least is None and self.most is None):
            return "-"
        inside = self._claims(value)
        if low is None or high is None:
            return f"leans {'for' if inside else 'against'}"
        if self._claims(low) and self._claims(high):
            return "for"
        return (
            "against"
            if not inside and not self._claims(low) and not self._claims(high)
            else (f"leans {'for' if inside else 'against'}")
        )

    def _claims(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def claim(self) -> str:
        bounds = [f">= {self.least:g}"] if self.least is not None else []
        return ", ".join(bounds + ([f"<= {self.most:g}"] if self.most is not None else [])) or "-"


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the design takes for granted, where, and what it is measured by."""

    words: str
    measured_as: str
    rows: list[Row]
    therefore: str

    @property
    def outcome(self) -> str:
        said = [row.verdict for row in self.rows if row.verdict != "-"]
        against = sum("against" in each for each in said)
        if not said:
            return "not measured"
        if not against:
            return "supported" if "for" in said else "leans for"
        if against == len(said):
            return "contradicted" if "against" in said else "leans against"
        return "mixed"


def by_market(documents: dict[str, Found], of: Callable[[Found], Found], **claim: float) -> list[Row]:
    """Return one row a market."""
    return [Row(key, of(document), **claim) for key, document in documents.items()]


def beside(
    documents: dict[str, Found],
    of: Callable[[Found], Found],
    label: str,
    other: Callable[[Found], Found],
    **claim: float,
) -> list[Row]:
    """Return two rows a market: what is claimed, and beside it what claims nothing."""
    pairs = zip(by_market(documents, of, **claim), by_market(documents, other), strict=True)
    return [row for found, rest in pairs for row in (found, replace(rest, label=f"{rest.label}, {label}"))]


def at(*names: str) -> Callable[[Found], Found]:
    """Return the figure that stands in a document under these names."""

    def of(document: Found) -> Found:
        return reduce(getitem, names, document)

    return of


def model(*names: str) -> Callable[[Found], Found]:
    return at("models", "evidence", *names)


def exits(trigger: str, name: str) -> Callable[[Found], Found]:
    return at("exits", trigger, name)


def gates(*names: str) -> Callable[[Found], Found]:
    return at("gates", "evidence", *names)


def hourly(data: Path) -> StopsReached:
    """Return the stops that minutes reach, over every recorded window with history."""
    config = RegimeConfig()
    judged: dict[str, JudgedHours] = {}
    parts = []
    for key, window in MINUTES:
        (market,) = choose_markets(data, 1, window, [key], "BINANCE").markets
        windows = RecordedWindows(market, RegimeEngine(config).timeframes())
        scale = windows.price_scale
        if key not in judged:  # the coarse bars are the same for every window of a market
            hours, four_hours = windows.bars(Timeframe.H1), windows.bars(Timeframe.H4)
            judged[key] = judge_history(hours, four_hours, scale, config)
        parts.append(stops_reached(judged[key], windows.bars(Timeframe.M1), scale, config))
    return StopsReached(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in StopsReached.__slots__)
    )


def replayed(name: str, policy: str = "defaults") -> Found:
    """Return one KPI of the replayed months, pooled over the windows with history."""
    found: Found = json.loads(REPLAYS.read_text())["pooled"][policy][name]
    return found


def assumptions(documents: dict[str, Found], stops: StopsReached) -> list[Assumption]:
    """Return every assumption with its rows, from documents of `regimed calibrate` and from minutes."""
    weeks = Weeks(stops.ts)
    announced = weeks.mean(stops.announced.astype(np.float64), np.ones(stops.ts.size, dtype=np.bool_))
    known = np.isfinite(stops.lead_h)
    lead = Weeks(stops.ts[known]).quantile(stops.lead_h[known], 0.5)
    outside = weeks.quantile(stops.outside_h, 0.5)

    return [
        Assumption(
            "A calm, mean-reverting past tells a range that will hold (classic's T, chapter 4).",
            "AUC of classic for `the range holds 24 h`; .5 is a coin.",
            by_market(documents, at("models", "classic", "auc_hold24"), least=0.53),
            "`evidence` is the default model, T decides nothing in it but TREND; classic stays a preset.",
        ),
        Assumption(
            "The chance that a range holds can be told from its geometry and the volatility of the hour.",
            "AUC of evidence for `the range holds 24 h`.",
            by_market(documents, model("auc_hold24"), least=0.68),
            "The barrier probability carries verdicts, confidence and exits.",
        ),
        Assumption(
            "A stated probability can be believed.",
            "Brier skill against the base rate; above 0 it beats stating the mean.",
            by_market(documents, model("brier_skill"), least=0.0),
            "Confidence is the calibrated probability; every message states it.",
        ),
        Assumption(
            "RANGE_OK marks ranges that hold.",
            "Share of RANGE_OK hours whose range held 24 h.",
            by_market(documents, model("hold_rate", "RANGE_OK"), least=0.78),
            "A setup needs a range verdict.",
        ),
        Assumption(
            "A grid in RANGE_OK earns money after fees.",
            "Net bps in 24 h against holding the coin, standard grid, 10 bps maker; then the mirrored path.",
            beside(
                documents,
                model("grid_pnl_bps_24h", "ok"),
                "by chance",
                model("grid_pnl_bps_24h", "null"),
                least=0.0,
            ),
            "`require_positive_edge` is on by default: without a proven edge no grid is proposed.",
        ),
        Assumption(
            "A warning comes 12 to 24 hours before a transition.",
            "Share of breaks whose first WARNING stood at least 12 h before, however long before.",
            by_market(documents, exits("warning", "lead_12h"), least=0.5),
            "WARNING is early and often false (row `warning` in docs/calibration.md): told once.",
        ),
        Assumption(
            "Where it counts, half a day is left: the alert to stop comes 12 hours before the break.",
            "Share of breaks whose first LATEST_ACCEPTABLE_EXIT stood 12 h before, however long before.",
            by_market(documents, exits("evidence", "lead_12h"), least=0.5),
            "The operator has hours, not a day: unanswered stops grow louder after 15 to 60 minutes.",
        ),
        Assumption(
            "Exits warn of three breaks in four.",
            "TTDR of the default rule on frozen grids; then the replayed months.",
            [
                *by_market(documents, exits("evidence", "ttdr"), least=0.75),
                Row("replayed months", replayed("TTDR"), least=0.75),
            ],
            "The threshold stays .30 (docs/decisions/exit-rule.md).",
        ),
        Assumption(
            "At most a third of the alerts is false.",
            "FER of the default rule on frozen grids, a random alert's beside it; then the replayed months.",
            [
                *beside(
                    documents,
                    exits("evidence", "fer"),
                    "random alert",
                    exits("evidence", "random_fer"),
                    most=0.33,
                ),
                Row("replayed months", replayed("FER"), most=0.33),
            ],
            "FER stands beside a random alert's in every report, so that nobody reads it alone.",
        ),
        Assumption(
            "Two plain signs together keep false exits under 30 %.",
            "FER of two or more of the five plain signs of WARNING, without the probability.",
            by_market(documents, exits("two_signs", "fer"), most=0.30),
            "Plain signs only warn; they stop nothing under `evidence`.",
        ),
        Assumption(
            "TRANSITION over 4 hours is a reason to leave (classic).",
            "FER of four hours of TRANSITION.",
            by_market(documents, exits("transition_4h", "fer"), most=0.33),
            "Acts in `classic` only; recorded in every preset.",
        ),
        Assumption(
            "A doubled half-life announces a break (classic).",
            "TTDR of half-life >= 2 x baseline.",
            by_market(documents, exits("half_life_doubled", "ttdr"), least=0.5),
            "Acts in `classic` only; recorded in every preset.",
        ),
        Assumption(
            "An hourly look is enough.",
            "Stop-losses of frozen grids that minutes reached: share with an alert at an earlier close.",
            [
                Row("17 windows of ETH, BTC and SOL", announced.as_json(), least=0.9),
                Row("median hours from alert to stop", lead.as_json()),
                Row("median hours from leaving the bounds to stop", outside.as_json()),
            ],
            "The stop-loss at the exchange stays in place: it is the answer to what falls within an hour.",
        ),
        Assumption(
            "Restart gates pick better moments than chance.",
            "Share of ranges that held 24 h after a gated restart, less the same at random allowed hours.",
            by_market(documents, gates("held_24h", "skill"), least=0.0),
            "They are a cooling-off rule, and say so.",
        ),
        Assumption(
            "Gates let a market restart within two or three days (43 to 66 h in chapter 5).",
            "Median wait of the default preset, hours.",
            by_market(documents, gates("wait_h", "median"), most=66.0),
            "Frequent TRANSITION hours of the evidence model reset the gates; the wait is what it is.",
        ),
        Assumption(
            "An operator who answers in 20 minutes and overlooks one advice in ten is quick enough.",
            "Minutes from the first alert to the stop, 90th percentile, in the replayed months.",
            [Row("replayed months", replayed("ERT_p90"), most=120.0)],
            "An overlooked stop is advised again the next hour and told louder meanwhile.",
        ),
        Assumption(
            "Following the advice avoids the stop-loss.",
            "Share of breaks whose grid would have hit its stop-loss and was stopped before.",
            [Row("replayed months", replayed("SLAR"), least=0.95)],
            "SLAR stands in the daily KPIs.",
        ),
    ]


def page(found: list[Assumption]) -> Iterator[str]:
    """Yield the lines of docs/assumptions.md."""
    yield from (
        "# What the design assumes, and what recorded markets say to it",
        "",
        "Made by `make assumptions` from `regimed calibrate KEY --data FOLDER` (KuCoin 1h and 4h candles of",
        "four markets), from recorded minutes (Binance) and from the replayed months of `make replays`",
        "([replays.md](replays.md)). Intervals are 95 %: bootstrap over weeks, Wilson for replayed months.",
        "A row is `for` or `against` where its whole interval is; where only the value is, it `leans`.",
        "",
    )
    yield from table("assumption | outcome", [[each.words, each.outcome] for each in found])
    for each in found:
        yield f"## {each.words}"
        yield ""
        yield f"{each.measured_as}"
        yield ""
        yield from table(
            "where | found | n | claimed | says",
            [
                [row.label, figure(row.found), str(row.found.get("n", "-")), row.claim, row.verdict]
                for row in each.rows
            ],
        )
        yield f"**{each.outcome.capitalize()}.** {each.therefore}"
        yield ""


def main(data: str) -> None:
    """Measure everything and write the page."""
    documents = {key: measured(key, data, ()) for key in MARKETS}
    TARGET.write_text("\n".join(page(assumptions(documents, hourly(Path(data))))))


if __name__ == "__main__":
    main(sys.argv[1])
