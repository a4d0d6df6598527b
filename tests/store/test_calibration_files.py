"""Calibration files: once a month what the probabilities were worth, and the newest known one in force."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.inputs import EdgeBand
from market.errors import DataInvalid
from store import yaml_text
from store.calibration_files import (
    CalibrationFile,
    CalibrationShelf,
    calibration_file,
    calibration_path,
    decode_calibration,
    encode_calibration,
)
from store.seal import digest_of_bytes

KNOWN = datetime(2026, 2, 3, 0, 0, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BAND: dict[str, Any] = {
    "p_low": 0.75,
    "p_high": 0.85,
    "n": 412,
    "net_bps_24h": -6.5,
    "low": -25.0,
    "high": 14.0,
    "maker_bps": 10.0,
    "break_even_bps": 8.5,
}


def report(*bands: dict[str, Any]) -> dict[str, Any]:
    return {"models": {"evidence": {"edge_by_band": list(bands)}}}


def made(known_at: datetime = KNOWN, key: str = "ETH-USDT", **others: Any) -> tuple[str, CalibrationFile]:
    told = {"bars_only": False, "report": report(BAND), **others}
    return calibration_file(key, known_at, "c0ffee", 1, **told)


def lay(root: Path, known_at: datetime = KNOWN, **others: Any) -> str:
    """Lay a record where a repository has it."""
    path, file = made(known_at, **others)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(encode_calibration(file))
    return path


def test_a_calibration_round_trips_under_its_month():
    """Key and month name the file; the table of edges is read from the report."""
    path, file = made()
    assert path == calibration_path("ETH-USDT", "2026-02") == "calibration/ETH-USDT/2026-02.yaml"
    data = encode_calibration(file)
    assert decode_calibration(data, path) == file
    assert encode_calibration(decode_calibration(data, path)) == data
    assert file.edge_by_band() == (EdgeBand(**BAND),)
    assert (file.known_at, file.month, file.bars_only) == ("2026-02-03T00:00:05Z", "2026-02", False)


def test_a_band_too_rare_to_say_is_left_out():
    """None is not 0; a band without its break-even has none."""
    rare = {**BAND, "net_bps_24h": None, "low": None, "high": None}
    bare = {name: value for name, value in BAND.items() if name != "break_even_bps"}
    _, file = made(report=report(rare, bare))
    (only,) = file.edge_by_band()
    assert only.break_even_bps is None


@pytest.mark.parametrize(("p", "found"), [(0.749999, None), (0.75, 0), (0.849999, 0), (0.85, 1), (1.0, None)])
def test_a_probability_lies_in_one_band_at_most(tmp_path: Path, p: float, found: int | None):
    """Half-open: the lower end is in, the upper end is not."""
    second = {**BAND, "p_low": 0.85, "p_high": 1.0, "net_bps_24h": 3.0}
    lay(tmp_path, report=report(BAND, second))
    in_force = CalibrationShelf(tmp_path).in_force("ETH-USDT", KNOWN + SECOND)
    assert in_force is not None
    bands = in_force.calibration.edge_by_band
    assert in_force.calibration.band_of(p) == (None if found is None else bands[found])


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"more": 1}, "more"),
        ({"engine_version": "1"}, "engine_version"),
        ({"bars_only": None}, "bars_only"),
        ({"key": "SOL-USDT"}, "key, month"),
        ({"month": "2026-01"}, "key, month"),
        ({"known_at": "yesterday"}, "report"),
        ({"report": {}}, "report"),
        ({"report": {"models": {"evidence": {"edge_by_band": None}}}}, "report"),
        ({"report": report({**BAND, "luck": 1})}, "report"),
        ({"report": report({"net_bps_24h": 1.0})}, "report"),
        ({"report": report({"n": 1})}, "report"),
    ],
)
def test_a_changed_calibration_is_refused_by_its_field(others: dict[str, Any], field: str):
    """A record that cannot be read must not count as an edge."""
    path, file = made()
    data = yaml_text.dump({**file.model_dump(mode="json"), **others})
    with pytest.raises(DataInvalid) as caught:
        decode_calibration(data, path)
    assert (caught.value.where, caught.value.field) == (path, field)


def test_what_is_no_record_at_all_is_refused():
    """A list, or nothing."""
    for data in (b"- 1\n", b"", b"null\n"):
        with pytest.raises(DataInvalid, match=r"calibration/ETH-USDT/2026-02\.yaml"):
            decode_calibration(data, "calibration/ETH-USDT/2026-02.yaml")


@pytest.mark.parametrize(
    ("offset", "found"), [(-SECOND, False), (timedelta(0), False), (timedelta(microseconds=1), True)]
)
def test_a_calibration_is_in_force_after_it_was_known(tmp_path: Path, offset: timedelta, found: bool):
    """Never at the instant of its own making or before: no look-ahead."""
    path = lay(tmp_path)
    in_force = CalibrationShelf(tmp_path).in_force("ETH-USDT", KNOWN + offset)
    assert (in_force is not None) is found
    if in_force is not None:
        assert in_force.calibration.path == path
        assert in_force.known_at == KNOWN
        assert in_force.digest == digest_of_bytes((tmp_path / path).read_bytes())


def test_the_newest_known_one_counts(tmp_path: Path):
    """Month by month; of another market never."""
    months = [datetime(2025, 12, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), KNOWN]
    paths = [lay(tmp_path, known_at) for known_at in months]
    lay(tmp_path, datetime(2026, 2, 1, tzinfo=UTC), key="SOL-USDT")
    (tmp_path / "calibration/ETH-USDT/notes.txt").write_text("mine")
    (tmp_path / "calibration/ETH-USDT/2026-02.yaml.bak").write_text("mine")
    shelf = CalibrationShelf(tmp_path)
    for at, place in zip(
        (months[1], KNOWN, KNOWN + SECOND, KNOWN + timedelta(days=99)), (0, 1, 2, 2), strict=True
    ):
        in_force = shelf.in_force("ETH-USDT", at)
        assert in_force is not None
        assert in_force.calibration.path == paths[place]
    assert shelf.in_force("ETH-USDT", months[0]) is None
    assert shelf.in_force("BTC-USDT", KNOWN) is None
    assert shelf.faults == {}


def test_a_corrupt_one_is_passed_over_and_named(tmp_path: Path):
    """The one before it stays in force."""
    older = lay(tmp_path, KNOWN - timedelta(days=31))
    broken = lay(tmp_path)
    (tmp_path / broken).write_bytes(b"schema_version: 1\n")
    shelf = CalibrationShelf(tmp_path)
    for _ in range(2):
        in_force = shelf.in_force("ETH-USDT", KNOWN + SECOND)
        assert in_force is not None
        assert in_force.calibration.path == older
    assert list(shelf.faults) == [broken]
    assert broken in shelf.faults[broken]


def test_a_record_is_read_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By its time of change."""
    path = lay(tmp_path)
    shelf = CalibrationShelf(tmp_path)
    first = shelf.in_force("ETH-USDT", KNOWN + SECOND)
    read: list[Path] = []
    plain = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or plain(path))
    assert shelf.in_force("ETH-USDT", KNOWN + SECOND) is first
    assert read == []
    lay(tmp_path, report=report({**BAND, "n": 413}))
    os.utime(tmp_path / path, ns=(1, 1))
    again = shelf.in_force("ETH-USDT", KNOWN + SECOND)
    assert again is not None
    assert again.calibration.edge_by_band[0].n == 413


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.lists(st.floats(-500, 500), max_size=5),
)
def test_any_calibration_round_trips(known_at: datetime, means: list[float]):
    """Whatever the bands earned."""
    path, file = made(known_at, report=report(*({**BAND, "net_bps_24h": mean} for mean in means)))
    assert decode_calibration(encode_calibration(file), path) == file
    assert [band.net_bps_24h for band in file.edge_by_band()] == means
