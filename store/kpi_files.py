"""KPI files: `kpis/{YYYY-MM-DD}.yaml`, once a UTC day, how well exits and stops did by the end of it.

A file states each figure of `decisions.kpis` twice, over the 30 days that end with the day (`trailing`) and
over the day alone (`day`): value, 95 % interval, n, target and stretch, whether it meets the target, and a
note where nothing is known. The alert budget (alerts a week, share false, minutes to the first answer) stands
apart, and so do the cases that are still open (`decisions.kpi_day`). No period begins before the first judged
hour, so that a rate is never thinned by days without a record. How it is made: `store.kpi_days`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from decisions.kpi_day import BUDGET, DAY, TRAILING
from market.errors import DataInvalid
from market.hours import parse_instant
from store import disk, yaml_text
from store.seal import validated

SCHEMA_VERSION = 1
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}\.yaml")
_FORM = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


class KpiYaml(BaseModel):
    """One figure, as `decisions.kpis.Kpi` has it."""

    model_config = _FORM

    value: float | None
    low: float | None
    high: float | None
    n: int
    target: float | None
    stretch: float | None
    meets: bool | None
    note: str

    @property
    def is_sufficient(self) -> bool:
        """Whether there is a value, of cases enough to read it."""
        return self.value is not None and not self.note.startswith("insufficient")


class PeriodYaml(BaseModel):
    """The figures of one period [from, to) and how many of its cases are still open."""

    model_config = _FORM

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    kpis: dict[str, KpiYaml]
    alert_budget: dict[str, KpiYaml]
    open: dict[str, int]


class KpisFile(BaseModel):
    """What `kpis/{YYYY-MM-DD}.yaml` holds.

    Attributes:
        known_at: When it was made.
        rules: Windows and targets that the cases were counted by.
        grids: The grid files that it was made from, by digest.
    """

    model_config = _FORM

    schema_version: Literal[1]
    date: str
    known_at: str
    config_hash: str
    engine_version: int
    rules: dict[str, Any]
    grids: dict[str, str]
    trailing: PeriodYaml
    day: PeriodYaml


def kpis_path(day: datetime) -> str:
    """Return where the record of a day lies."""
    return f"kpis/{day:%Y-%m-%d}.yaml"


def day_of(text: str) -> datetime:
    """Return the first instant of the day written as `2026-02-02`; ValueError for another form."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def encode_kpis(file: KpisFile) -> bytes:
    """Return the record as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json", by_alias=True))


def decode_kpis(data: bytes, path: str) -> KpisFile:
    """Return the record in `data`, agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(KpisFile, yaml_text.load_record(data, path, SCHEMA_VERSION), path)
    if path != f"kpis/{file.date}.yaml":
        raise DataInvalid(path, "date", f"{file.date}, but the path names another day")
    try:
        end = day_of(file.date) + DAY
    except ValueError as error:
        raise DataInvalid(path, "date", str(error)) from None
    if _instant(file.known_at, path, "known_at") < end:
        raise DataInvalid(path, "known_at", f"{file.known_at}, expected after the end of the day")
    for name, period, longest in (("trailing", file.trailing, TRAILING), ("day", file.day, DAY)):
        start, to = _instant(period.start, path, f"{name}.from"), _instant(period.end, path, f"{name}.to")
        if to != end or not end - longest <= start < end:
            told = f"{period.start} to {period.end}, expected at most {longest.days} days to {end:%Y-%m-%d}"
            raise DataInvalid(path, name, told)
        if tuple(period.alert_budget) != BUDGET:
            raise DataInvalid(path, f"{name}.alert_budget", f"expected {', '.join(BUDGET)}")
    if encode_kpis(file) != data:
        raise DataInvalid(path, "", "not the bytes that this record is written with")
    return file


def _instant(text: str, path: str, field: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise DataInvalid(path, field, str(error)) from None


def newest_day(root: Path) -> datetime | None:
    """Return the newest day that has its record, None where there is none."""
    for name in reversed(disk.names_in(root / "kpis")):
        if _NAME.fullmatch(name):
            with suppress(ValueError):  # 2026-02-30.yaml is nobody's record
                return day_of(name[:10])
    return None
