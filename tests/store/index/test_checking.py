"""`check` finds what does not fit together, whoever did it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from store.index.schema import BAR_BITS
from tests.store.index.samples import KEY, START, fill

PLACE = (1 << BAR_BITS) + START // 3600
DAMAGE = {
    "kept periods differ": ["UPDATE period_rows SET bars = bars + 1 WHERE place = {first}"],
    "kept counts of bars differ": ["UPDATE regime_rows SET state = {trend_up} WHERE place >= {place}"],
    "kept counts of confidence differ": ["UPDATE regime_rows SET state = state - 9000 WHERE place = {sure}"],
    "kept counts of verdicts differ": ["UPDATE regime_rows SET state = state + 16384 WHERE place = {place}"],
    "kept counts of transitions differ": ["DELETE FROM regime_rows WHERE place = {place}"],
    "kept counts of periods differ": ["UPDATE series SET counts = {zeros}"],
    "1 rows have no candle": ["{no_keys}", "DELETE FROM candle_rows WHERE place = {place}", "{keys}"],
    "rows at or beyond filled_to_ts": ["UPDATE series SET filled_to_ts = filled_to_ts - 36000"],
    "candles at or beyond filled_to_ts": ["UPDATE series SET filled_to_ts = filled_to_ts - 36000"],
    "first and last row": ["UPDATE series SET first_ts = first_ts - 3600"],
    "rows have a code that stands for nothing": [
        "UPDATE regime_rows SET state = 2000000 WHERE place = {place}"
    ],
    "1 rows come from no filling": ["UPDATE regime_rows SET filling = 99 WHERE place = {place}"],
    "rows come from no filling by the series' rules": [
        "INSERT INTO rules (id, engine_version, parameters) VALUES (77, 77, 'x')",
        "UPDATE series SET rules = 77",
    ],
    "candle_rows: 2 rows belong to no series": [
        "INSERT INTO candle_rows SELECT place + 800000000, 1, 1, 1, 1, 1 FROM candle_rows LIMIT 2"
    ],
    "period_rows: 3 rows belong to no series": [
        "INSERT INTO period_rows SELECT place + 800000000, 1, 1, 1 FROM period_rows LIMIT 3"
    ],
    "regime_codes: its names are not those": ["UPDATE regime_codes SET verdict = 'X' WHERE code = 3"],
}


@pytest.mark.parametrize("line", DAMAGE)
def test_each_kind_of_damage_is_named(index, line):
    """A change made behind the index's back is told in a line that says what does not fit."""
    fill(index, 0, 100, gaps=False)
    assert index.check() == []
    sqlite = index.engine == "sqlite"
    names = {
        "place": PLACE + 50,
        "first": PLACE,
        "trend_up": 5 * 6 << 14,
        "sure": "(SELECT max(place) FROM regime_rows WHERE state % 16384 > 9500)",
        "zeros": "zeroblob(1112)" if sqlite else f"decode('{'00' * 1112}', 'hex')",
        "no_keys": "PRAGMA foreign_keys = OFF" if sqlite else "SET session_replication_role = replica",
        "keys": "PRAGMA foreign_keys = ON" if sqlite else "SET session_replication_role = origin",
    }
    with index._database.engine.connect() as connection:
        if sqlite:
            handle = connection.connection.driver_connection
            for statement in DAMAGE[line]:
                handle.execute(statement.format(**names))
        else:
            for statement in DAMAGE[line]:
                connection.execute(text(statement.format(**names)))
            connection.commit()
    found = index.check()
    assert any(line in one for one in found), found
    assert all(one.startswith(("candle_rows", "period_rows", "regime_codes", KEY)) for one in found)
