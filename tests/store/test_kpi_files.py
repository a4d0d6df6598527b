"""KPI records: once a UTC day, of one form, agreeing with their path, and never of a day that is not over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.kpi_day import DAY, kpi_day
from decisions.kpi_targets import KpisConfig
from market.errors import DataInvalid
from market.hours import Hour, instant_iso
from store import yaml_text
from store.change_set import ChangeSet, check_content
from store.kpi_days import first_judged, grid_files
from store.kpi_files import (
    KpisFile,
    PeriodYaml,
    day_of,
    decode_kpis,
    encode_kpis,
    kpis_path,
    newest_day,
)
from store.paths import metrics_path
from tests.decisions.test_kpis import LATE, exited
from tests.decisions.test_kpis import at as hour_at
from tests.store.samples import grid_file

TODAY = datetime(2026, 2, 2, tzinfo=UTC)
PATH = "kpis/2026-02-02.yaml"


def made(day: datetime = TODAY, first: datetime = TODAY - 90 * DAY, **others: Any) -> KpisFile:
    """Return the record of a day in which nothing ran."""
    told = kpi_day([], [], day, first, KpisConfig())
    facts: dict[str, Any] = {
        "schema_version": 1,
        "date": f"{day:%Y-%m-%d}",
        "known_at": instant_iso(day + DAY + timedelta(seconds=5)),
        "config_hash": "c0ffee",
        "engine_version": 1,
        "rules": {"kpis": KpisConfig().model_dump(mode="json"), "tolerated_missing_minutes": 3},
        "grids": {"grids/eth-1.yaml": "sha256:00"},
        "trailing": PeriodYaml.model_validate(told.trailing.as_record()),
        "day": PeriodYaml.model_validate(told.day.as_record()),
    }
    return KpisFile(**{**facts, **others})


def test_a_kpi_record_round_trips_under_its_day():
    """The same bytes for the same record; periods, figures and open cases as they were counted."""
    assert kpis_path(TODAY) == PATH
    data = encode_kpis(made())
    file = decode_kpis(data, PATH)
    assert (file, encode_kpis(file)) == (made(), data)
    assert (file.trailing.start, file.trailing.end) == ("2026-01-04T00:00:00Z", "2026-02-03T00:00:00Z")
    assert (file.day.start, file.day.end) == ("2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z")
    assert file.day.kpis["FER"].note == "insufficient: 0 of 10 cases"
    check_content(ChangeSet({PATH: data}, "[kpis]"))


@given(st.integers(0, 20_000), st.integers(1, 800))
def test_any_day_round_trips_however_young_the_record_is(number: int, age_h: int):
    """From the first judged hour on, or thirty days back."""
    day = datetime(1980, 1, 1, tzinfo=UTC) + number * DAY
    file = made(day, day + DAY - timedelta(hours=age_h))
    assert decode_kpis(encode_kpis(file), kpis_path(day)) == file


def test_figures_of_real_runs_round_trip():
    """Values, intervals and targets, not only nulls."""
    runs = [exited(10 + number, (5 + number, LATE)) for number in range(12)]
    first = hour_at(0)
    told = kpi_day(runs, [], first, first, KpisConfig())
    period = PeriodYaml.model_validate(told.day.as_record())
    file = made(first, first).model_copy(update={"day": period})
    read = decode_kpis(encode_kpis(file), kpis_path(first))
    assert read.day.kpis["FER"].n == 12
    assert read.day.kpis["FER"].meets is False
    assert read.day.alert_budget["alerts_per_week"].value == 84.0


def period(**others: Any) -> dict[str, Any]:
    return {**made().day.model_dump(mode="json", by_alias=True), **others}


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"schema_version": True}, "schema_version"),
        ({"luck": 1}, "luck"),
        ({"engine_version": "1"}, "engine_version"),
        ({"date": "2026-02-03"}, "date"),
        ({"known_at": "yesterday"}, "known_at"),
        ({"known_at": "2026-02-02T23:59:59Z"}, "known_at"),
        ({"day": period(to="2026-02-04T00:00:00Z")}, "day"),
        ({"day": period(**{"from": "2026-02-01T00:00:00Z"})}, "day"),
        ({"day": period(**{"from": "2026-02-03T00:00:00Z"})}, "day"),
        ({"day": period(**{"from": "noon"})}, "day.from"),
        ({"trailing": period(to="noon")}, "trailing.to"),
        ({"trailing": period(**{"from": "2026-01-03T00:00:00Z"})}, "trailing"),
        ({"day": period(alert_budget={})}, "day.alert_budget"),
        ({"day": period(kpis={"FER": {"value": 1.0}})}, "day.kpis.FER.low"),
        ({"day": period(open={"runs": 0.5})}, "day.open.runs"),
    ],
)
def test_a_changed_kpi_record_is_refused_by_its_field(others: dict[str, Any], field: str):
    """Unknown fields, another day, a period that is not the day's, a day that was not over."""
    data = yaml_text.dump({**made().model_dump(mode="json", by_alias=True), **others})
    with pytest.raises(DataInvalid) as caught:
        decode_kpis(data, PATH)
    assert (caught.value.where, caught.value.field) == (PATH, field)
    with pytest.raises(DataInvalid):
        check_content(ChangeSet({PATH: data}, "[kpis]"))


def test_other_bytes_of_the_same_record_are_refused():
    """One record, one form: a comment or another order is not what was written."""
    with pytest.raises(DataInvalid, match="not the bytes"):
        decode_kpis(b"# by hand\n" + encode_kpis(made()), PATH)
    impossible = encode_kpis(made()).replace(b"date: '2026-02-02'", b"date: '2026-02-30'")
    with pytest.raises(DataInvalid, match="date"):
        decode_kpis(impossible, "kpis/2026-02-30.yaml")


def test_the_newest_record_is_found_among_other_files(tmp_path: Path):
    """By its day; none where there is none."""
    assert newest_day(tmp_path) is None
    (tmp_path / "kpis").mkdir()
    for name in ("2026-01-31.yaml", "2026-02-02.yaml", "2026-02-30.yaml", "2026-02-02.yaml.bak", "notes.txt"):
        (tmp_path / "kpis" / name).write_text("x")
    assert newest_day(tmp_path) == TODAY == day_of("2026-02-02")


def test_the_first_judged_hour_is_that_of_the_oldest_market(tmp_path: Path):
    """None before any hour was judged; an empty folder says nothing."""
    assert first_judged(tmp_path) is None
    (tmp_path / "metrics/SOL-USDT").mkdir(parents=True)
    assert first_judged(tmp_path) is None
    hour = Hour.of(TODAY)
    for key, offset in (("ETH-USDT", 5), ("BTC-USDT", 2), ("BTC-USDT", 9)):
        path = tmp_path / metrics_path(key, hour.plus(offset))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert first_judged(tmp_path) == hour.plus(2)


def test_a_grid_file_that_is_not_valid_is_never_left_out_unsaid(tmp_path: Path):
    """A record that is written once waits for it; what is no grid's file does not matter."""
    assert grid_files(tmp_path) == []
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids/README").write_text("mine")
    (tmp_path / "grids/eth-1.yaml").write_bytes(grid_file())
    (found,) = grid_files(tmp_path)
    assert (found.path, found.record.grid_id) == ("grids/eth-1.yaml", "eth-1")
    (tmp_path / "grids/eth-2.yaml").write_bytes(grid_file("eth-2").replace(b"levels: 8", b"levels: 1"))
    with pytest.raises(DataInvalid, match="levels"):
        grid_files(tmp_path)
