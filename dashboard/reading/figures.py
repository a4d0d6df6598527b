"""KPIs and calibration: the newest records that were known at the page's instant."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from dashboard.pages import CalibrationPanel, Fact, Kpi, KpiPanel, ReliabilityBin, Tone
from dashboard.reading.records import RecordShelf
from dashboard.reading.telling import Troubles
from decisions.kpi_day import DAY
from market.errors import DataInvalid
from market.hours import parse_instant
from store import disk
from store.calibration_files import CalibrationFile
from store.kpi_files import KpisFile, KpiYaml, day_of

_KPIS = re.compile(r"(\d{4}-\d{2}-\d{2})\.yaml")
_MONTH = re.compile(r"\d{4}-\d{2}\.yaml")
_BINS = 10
_TITLES = {
    "SLAR": "Stop-losses avoided (share)",
    "PRR": "Profit kept at exit (ratio)",
    "TTDR": "Transitions detected (share)",
    "FER": "False exits (share)",
    "FER_random": "False exits of random alerts (share)",
    "ERT_median": "Reaction to alerts, median (min)",
    "ERT_p90": "Reaction to alerts, p90 (min)",
    "EAW_median": "Warning ahead of a break, median (h)",
    "EAW_p10": "Warning ahead of a break, p10 (h)",
    "MEC": "Mandatory exits followed (share)",
    "alerts_per_week": "Alerts a week",
    "alerts_false": "Alerts that were false (share)",
    "acknowledge_median": "First answer to an alert, median (min)",
}


def kpis_of(shelf: RecordShelf, at: datetime, troubles: Troubles) -> KpiPanel | None:
    """Return the newest KPI record of a day that was over at `at`; a damaged one is told and passed over."""
    for name in reversed(disk.names_in(shelf.root / "kpis")):
        found = _KPIS.fullmatch(name)
        if found is None or not _is_over(found[1], at):
            continue
        file = troubles.reading("the KPIs", partial(shelf.kpis, f"kpis/{name}"), None)
        if file is not None:
            return _panel(file)
    return None


def _is_over(day: str, at: datetime) -> bool:
    try:
        return day_of(day) + DAY <= at
    except (ValueError, OverflowError):  # 2026-02-30.yaml is nobody's record
        return False


def _panel(file: KpisFile) -> KpiPanel:
    period = file.trailing
    return KpiPanel(file.date, _kpis(period.kpis), _kpis(period.alert_budget), period.open)


def _kpis(told: Mapping[str, KpiYaml]) -> tuple[Kpi, ...]:
    return tuple(
        Kpi(
            name=name,
            title=_TITLES.get(name, name),
            value=each.value,
            low=each.low,
            high=each.high,
            n=each.n,
            target=each.target,
            meets=each.meets,
            note=each.note,
        )
        for name, each in told.items()
    )


def calibration_of(shelf: RecordShelf, key: str, at: datetime, troubles: Troubles) -> CalibrationPanel | None:
    """Return the calibration in force at `at`: the newest record that was known before."""
    folder = f"calibration/{key}"
    for name in reversed(disk.names_in(shelf.root / folder)):
        if not _MONTH.fullmatch(name):
            continue
        path = f"{folder}/{name}"
        file = troubles.reading("the calibration", partial(shelf.calibration, path), None)
        if file is None or parse_instant(file.known_at) >= at:
            continue
        panel: CalibrationPanel | None = troubles.reading(
            "the calibration", partial(_calibration, file, path), None
        )
        if panel is not None:
            return panel
    return None


def _calibration(file: CalibrationFile, path: str) -> CalibrationPanel:
    try:
        models: Mapping[str, Mapping[str, Any]] = file.report["models"]
        bins = tuple(_bin(each) for each in models["evidence"]["bins"])
        facts = (*_own(file.report), *_models(models), *_edges(models["evidence"]))
        return CalibrationPanel(file.month, parse_instant(file.known_at), bins, facts)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataInvalid(path, "report", f"not as written: {error!r}") from None


def _bin(told: Mapping[str, Any]) -> ReliabilityBin:
    """Return a bin by the mean of what was said in it: the bins are tenths."""
    place = min(math.floor(told["stated"] * _BINS), _BINS - 1)
    return ReliabilityBin(place / _BINS, (place + 1) / _BINS, told["n"], told["stated"], told["observed"])


def _own(report: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact(
        "Hours scored", str(report["hours"]), note=f"of {report['hours_all']}, valid range, price inside"
    )
    if report["base_rate"]["value"] is not None:
        yield Fact("Ranges that held 24 h", _figure(report["base_rate"]))


def _models(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Fact]:
    for name, model in models.items():
        for field, title in (("brier", "Brier"), ("brier_skill", "skill"), ("auc_hold24", "AUC")):
            figure = model.get(field)
            if figure is not None and figure["value"] is not None:
                tone = None
                if field == "brier_skill":
                    tone = Tone.GOOD if (figure["low"] or 0) > 0 else Tone.WATCH
                yield Fact(f"{name}: {title}", _figure(figure), tone)


def _edges(evidence: Mapping[str, Any]) -> Iterator[Fact]:
    for band in evidence.get("edge_by_band") or ():
        if band["net_bps_24h"] is None:
            continue
        said = f"{band['net_bps_24h']:+.1f} bps in 24 h [{band['low']:+.1f}, {band['high']:+.1f}]"
        tone = Tone.GOOD if band["low"] > 0 else Tone.WATCH
        title = f"Edge at p {band['p_low']:.2f} to {band['p_high']:.2f}"
        yield Fact(title, said, tone, f"n {band['n']}, {band['maker_bps']:g} bps maker")


def _figure(told: Mapping[str, Any]) -> str:
    interval = "" if told["low"] is None else f" [{told['low']:.3f}, {told['high']:.3f}]"
    return f"{told['value']:.3f}{interval}"
