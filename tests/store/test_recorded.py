"""Recorded candles: files, selection, and the way into snapshots."""

from __future__ import annotations

import builtins
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market.errors import ConfigInvalid, DataInvalid
from market.hours import Hour, Timeframe
from store.candle_files import decode_candles
from store.paths import parse_candles
from store.recorded import (
    DAY_S,
    aggregated,
    candle_files_of,
    choose_markets,
    parse_name,
    recorded_files,
    series,
    snapshots_of,
)
from store.snapshots import decode_snapshot, encode_snapshot
from tests.store.samples import NOON

START = Hour.parse("2025-06-01T00").open_ts


def columns(first_ts: int, count: int, step: int, seed: int = 1) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(seed)
    close = np.round(100 + dice.normal(0, 1, count).cumsum() * 0.01, 2)
    open_ = np.r_[close[0], close[:-1]]
    return {
        "ts": first_ts + step * np.arange(count, dtype=np.int64),
        "open": open_,
        "high": np.round(np.maximum(open_, close) + 0.05, 2),
        "low": np.round(np.minimum(open_, close) - 0.05, 2),
        "close": close,
        "volume": np.round(dice.uniform(0, 10, count), 6) + 0.1 + 0.2 - 0.3,
    }


def write(folder, name, first_ts, count, step, seed=1, **change):
    made = {**columns(first_ts, count, step, seed), **change}
    path = folder / name
    if name.endswith(".csv"):
        rows = zip(*(made[key].tolist() for key in made), strict=True)
        lines = [",".join(map(repr, row)) for row in rows]
        path.write_text("\n".join([",".join(made), *lines]) + "\n")
    else:
        pq.write_table(pa.table(made), path)
    return path


def test_parquet_and_csv_tell_the_same(tmp_path):
    """One source, two file types, the same candles in exact decimals."""
    parquet = series(write(tmp_path, "X_A-B_1m.parquet", START, 300, 60))
    text = series(write(tmp_path, "X_A-B_1m.csv", START, 300, 60))
    assert parquet.candles(START, START + 600) == text.candles(START, START + 600)
    first = parquet.candles(START, START + 60)[0]
    assert first.close == Decimal(repr(parquet.close[0].item()))
    assert -first.volume.as_tuple().exponent <= 8
    assert (parquet.first_ts, parquet.end_ts, len(parquet)) == (START, START + 300 * 60, 300)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ts": START + 61 * np.arange(5)}, "rising multiples"),
        ({"ts": np.full(5, START)}, "rising multiples"),
        ({"low": np.full(5, 500.0)}, "row 0"),
        ({"volume": np.array([1.0, -1.0, 1, 1, 1])}, "row 1"),
        ({"close": np.array([1.0, np.nan, 1, 1, 1])}, "missing or infinite"),
    ],
)
def test_wrong_candles_are_refused(tmp_path, change, problem):
    """A recorded file with holes in its figures is refused by name."""
    for name in ("X_A-B_1m.parquet", "X_A-B_1m.csv"):
        with pytest.raises(DataInvalid, match=problem):
            series(write(tmp_path, name, START, 5, 60, **change))


def test_files_that_are_none_are_refused(tmp_path):
    """Another file, an empty one, or one without a column says what it should have been."""
    for name, text in (("X_A-B_1m.parquet", "no"), ("X_A-B_1m.csv", "ts,open\n1,2\n"), ("X_A-B_1h.csv", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataInvalid, match=name):
            series(tmp_path / name)
    with pytest.raises(DataInvalid, match="does not say the timeframe"):
        series(tmp_path / "x.parquet")
    pq.write_table(pa.table({"ts": pa.array([], pa.int64())}), tmp_path / "X_C-D_1m.parquet")
    with pytest.raises(DataInvalid, match="no rows"):
        choose_markets(tmp_path, 1, symbols=["C-D"])
    assert parse_name(tmp_path / "x.parquet") is None


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    """The command says what to install."""
    path = write(tmp_path, "X_A-B_1m.parquet", START, 5, 60)
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigInvalid, match=r"regimed\[data\]"):
        series(path)


def test_one_venue_a_market_and_one_span_for_all(tmp_path):
    """The venue with history wins, markets without a common day stay out, 15m come from 5m."""
    days = 3
    for symbol in ("A-B", "C-D"):
        write(tmp_path, f"NEAR_{symbol}_1m.parquet", START + 3600, days * 1440, 60)
        write(tmp_path, f"NEAR_{symbol}_1h.parquet", START - 40 * 3600, 100, 3600)
        write(tmp_path, f"NEAR_{symbol}_5m.parquet", START - DAY_S, 900, 300)
        write(tmp_path, f"FAR_{symbol}_1m.parquet", START, days * 1440, 60)
    write(tmp_path, "NEAR_A-B_1m_2024AUG.parquet", START - 99 * DAY_S, 2 * 1440, 60)
    write(tmp_path, "NEAR_E-F_1m.csv", START - 50 * DAY_S, 2 * 1440, 60)
    (tmp_path / "README.md").write_text("x")
    assert len(recorded_files(tmp_path)) == 10
    chosen = choose_markets(tmp_path, 3)
    assert [(m.exchange, m.symbol) for m in chosen.markets] == [("NEAR", "A-B"), ("NEAR", "C-D")]
    assert chosen.start == Hour.of_ts(START + DAY_S)
    assert chosen.end_ts == START + 3600 + days * DAY_S
    market = chosen.markets[0]
    assert market.series(Timeframe.H4) is None
    fifteen = market.series(Timeframe.M15)
    five = market.series(Timeframe.M5)
    assert len(fifteen) == len(five) // 3
    assert fifteen.high[0] == five.high[:3].max()
    assert fifteen.close[1] == five.close[5]
    assert market.series(Timeframe.M1).first_ts == START + 3600
    only = choose_markets(tmp_path, 1, window="2024AUG")
    assert [m.symbol for m in only.markets] == ["A-B"]
    assert [m.symbol for m in choose_markets(tmp_path, 2, symbols=["C-D", "A-B"]).markets] == ["C-D", "A-B"]
    assert [m.exchange for m in choose_markets(tmp_path, 2, venue="FAR").markets] == ["FAR", "FAR"]
    with pytest.raises(DataInvalid, match="no minutes of A-B"):
        choose_markets(tmp_path, 1, symbols=["A-B"], venue="NOWHERE")
    with pytest.raises(DataInvalid, match="no minutes of X-Y"):
        choose_markets(tmp_path, 2, symbols=["A-B", "X-Y"])
    with pytest.raises(DataInvalid, match="share a whole UTC day"):
        choose_markets(tmp_path, 2, symbols=["A-B", "E-F"])
    with pytest.raises(DataInvalid, match="share a whole UTC day"):
        choose_markets(tmp_path, 2, window="NEVER")


def test_aggregated_bars_need_all_their_parts(tmp_path):
    """A coarse bar with a hole under it is left out."""
    made = columns(START, 12, 300)
    keep = np.arange(12) != 4
    path = write(tmp_path, "X_A-B_5m.parquet", START, 12, 300, **{k: v[keep] for k, v in made.items()})
    bars = aggregated(series(path), Timeframe.M15)
    assert bars.ts.tolist() == [START, START + 1800, START + 2700]


def test_recorded_minutes_become_snapshots_and_candle_files(tmp_path):
    """Whole hours only; a left-out minute between candles is no-trade; every file is valid."""
    made = columns(START + 600, 60 * 5, 60)
    keep = made["ts"] != START + 3600 + 300
    path = write(tmp_path, "X_A-B_1m.parquet", 0, 300, 60, **{k: v[keep] for k, v in made.items()})
    about = {"key": "A-B", "exchange": "x", "symbol": "A-B", "collected_at": NOON}
    snapshots = list(snapshots_of(series(path), **about))
    assert [s.hour for s in snapshots] == [Hour.of_ts(START + 3600 * h) for h in (1, 2, 3, 4)]
    assert snapshots[0].no_trade == (5,)
    assert all(decode_snapshot(encode_snapshot(s), "x") == s for s in snapshots)
    hourly = series(write(tmp_path, "X_A-B_1h.parquet", START - 3600 * 24 * 3, 100, 3600))
    files = candle_files_of(hourly, **about)
    assert list(files) == ["candles/A-B/1h/2025-05.json", "candles/A-B/1h/2025-06.to-02T04.json"]
    assert sum(len(decode_candles(d, p, parse_candles(p)).bars) for p, d in files.items()) == 100


def test_real_minutes_choose_eth_and_btc(recorded_data):
    """The recorded folder gives Binance's ETH and BTC, with the same venue's history before them."""
    chosen = choose_markets(recorded_data, 3)
    assert {(m.exchange, m.symbol) for m in chosen.markets} == {
        ("BINANCE", "ETH-USDT"),
        ("BINANCE", "BTC-USDT"),
    }
    assert str(chosen.start) == "2025-05-20T00"
    market = chosen.markets[0]
    assert market.series(Timeframe.M15).first_ts < chosen.start_ts - 120 * DAY_S
    hour = market.series(Timeframe.H1).candles(chosen.start_ts, chosen.start_ts + 3600)[0]
    minutes = market.series(Timeframe.M1).between(chosen.start_ts, chosen.start_ts + 7200)
    snapshot = next(
        iter(snapshots_of(minutes, key=market.symbol, exchange="x", symbol=market.symbol, collected_at=NOON))
    )
    summary = snapshot.summary
    told = (summary.open, summary.high, summary.low, summary.close)
    assert told == tuple(int(p * snapshot.price_scale) for p in (hour.open, hour.high, hour.low, hour.close))
    assert abs(Decimal(summary.volume) / snapshot.volume_scale - hour.volume) < Decimal("0.00001")
