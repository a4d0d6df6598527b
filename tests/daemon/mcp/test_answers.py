"""What agents are told equals what plain code finds in the files, whatever the index holds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from mcp import Client

from daemon.mcp import server_of
from grid.simulation import simulate
from grid.standard import StandardGrid
from market.errors import DataInvalid, IndexUnavailable
from market.hours import Timeframe
from regime.history import judge_history
from regime.series import STORED
from store.index.regime_index import RegimeIndex
from tests.daemon.histories import (
    BTC,
    COARSE_TO,
    CONDITIONS,
    ETH,
    fill,
    history_of,
    plain_bins,
    plain_changes,
    plain_periods,
    plain_rows,
    two_markets,
)
from tests.daemon.regimes import CONFIG, direct, repository
from tests.store.markets import coarse_files, hour_files


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return two_markets(tmp_path_factory.mktemp("agents"))


@asynccontextmanager
async def agent(root):
    """An agent in this process, over the SDK's own client."""
    with history_of(root) as opened:
        async with Client(server_of(opened)) as client:

            async def ask(tool: str, **arguments: Any) -> Any:
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result.content[0].text
                return result.structured_content

            yield ask


async def everything(ask, tool: str, field: str, **arguments: Any) -> list[Any]:
    """Walk all pages."""
    found, pages = [], 0
    answer = await ask(tool, **arguments)
    while True:
        found += answer[field]
        pages += 1
        if answer["next"] is None:
            break
        assert len(answer[field]) <= arguments["limit"]
        answer = await ask(tool, **arguments, cursor=answer["next"])
    assert pages > 1 or len(found) <= arguments["limit"]
    return found


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_the_questions_of_one_market_are_answered_from_any_index(root, condition):
    """Rows, periods, changes and counts page by page equal a walk over the files."""
    fill(root, condition)
    eth = direct(root, Timeframe.H1, ETH)
    rows, periods = plain_rows(eth), plain_periods(eth)
    series: dict[str, Any] = {"symbol": ETH, "timeframe": "1h"}
    async with agent(root) as ask:
        told = await everything(ask, "get_regimes", "rows", **series, limit=400)
        assert [{name: row[name] for name in rows[0]} for row in told] == rows
        sources = {row["source"] for row in told}
        expected = {"current": {"stored"}, "half": {"stored", "computed"}}.get(condition, {"computed"})
        assert sources == expected
        year = {"start": "2024-01-01", "end": "2025-01-01"}
        ups = [period for period in periods if period["simplified_regime"] == "TREND_UP"]
        told = await everything(
            ask, "regime_periods", "periods", **series, **year, simplified_regime="TREND_UP", limit=9
        )
        assert told == ups
        changes = [series | period for period in ups if period["previous_regime"] == "CHOPPY"]
        told = await everything(
            ask,
            "regime_transitions",
            "transitions",
            **series,
            from_regime="CHOPPY",
            to_regime="TREND_UP",
            limit=3,
        )
        assert told == changes
        stats = await ask("regime_stats", **series)
        assert stats["rows"] == len(rows)
        assert stats["confidence"]["all"] == plain_bins(rows)
        computed = {"current": [], "half": ["ETH-USDT 1h from 2024-02-20T00:00:00Z on"]}
        assert stats["computed"] == computed.get(condition, ["ETH-USDT 1h"])


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_the_questions_to_all_markets_are_answered_from_any_index(root, condition):
    """Every change and the distribution of confidence over all series; what was computed is said."""
    fill(root, condition)
    wanted = plain_changes(root, "CHOPPY", "TREND_UP")
    assert len(wanted) > 20
    all_rows = [
        row for key in (ETH, BTC) for timeframe in STORED for row in plain_rows(direct(root, timeframe, key))
    ]
    async with agent(root) as ask:
        asked = {"from_regime": "CHOPPY", "to_regime": "TREND_UP"}
        told = await everything(ask, "regime_transitions", "transitions", **asked, limit=7)
        assert told == wanted
        one = await everything(ask, "regime_transitions", "transitions", **asked, timeframe="4h", limit=2)
        assert one == [change for change in wanted if change["timeframe"] == "4h"]
        later = [change for change in wanted if change["start"] >= "2024-03-01T00:00:00Z"]
        found = await everything(
            ask, "regime_transitions", "transitions", **asked, start="2024-03-01", limit=5
        )
        assert found == later
        stats = await ask("regime_stats")
        assert stats["rows"] == len(all_rows)
        assert stats["confidence"]["all"] == plain_bins(all_rows)
        ups = [row for row in all_rows if row["simplified_regime"] == "TREND_UP"]
        assert stats["confidence"]["TREND_UP"] == plain_bins(ups)
        first = (await ask("regime_transitions", **asked, limit=1000))["computed"]
        for computed in (stats["computed"], first):
            match condition:
                case "current":
                    assert computed == []
                case "half":
                    assert (
                        "BTC-USDT 1h" in computed and "ETH-USDT 4h from 2024-02-20T00:00:00Z on" in computed
                    )
                    assert len(computed) == 4
                case _:
                    assert len(computed) == 6


async def test_an_index_that_goes_away_leaves_the_files(root, monkeypatch):
    """Each question is answered while the index fails; the answer is the same."""
    fill(root, "current")
    wanted = plain_changes(root, "RANGE", "CHOPPY")

    def away(*_args: Any, **_named: Any) -> Any:
        raise IndexUnavailable("index.sqlite", "disk I/O error")

    async with agent(root) as ask:
        asked = {"from_regime": "RANGE", "to_regime": "CHOPPY", "limit": 1000}
        with monkeypatch.context() as patched:
            patched.setattr(RegimeIndex, "find_transitions", away)
            assert (await ask("regime_transitions", **asked))["transitions"] == wanted
            patched.setattr(RegimeIndex, "states", away)
            answer = await ask("regime_transitions", **asked)
        assert answer["transitions"] == wanted


async def test_markets_are_listed_page_by_page_with_what_is_stored(root):
    """Spans as the files have them; until when each timeframe is in the index."""
    fill(root, "half")
    async with agent(root) as ask:
        first = await ask("list_markets", limit=1)
        assert first["next"] == BTC
        second = await ask("list_markets", limit=1, cursor=first["next"])
        assert second["next"] is None
        btc, eth = first["markets"][0], second["markets"][0]
        assert (btc["symbol"], eth["symbol"]) == (BTC, ETH)
        assert btc["end"] == COARSE_TO.iso() and eth["end"] == COARSE_TO.plus(10).iso()
        assert btc["stored_to"]["1h"] is None
        assert eth["stored_to"]["1h"] == "2024-02-20T00:00:00Z"


async def test_an_empty_answer_says_that_nothing_is_recorded(tmp_path):
    """Coarse bars reach further back than fine ones: a year without bars is no year without trends."""
    files = coarse_files(ETH, COARSE_TO)
    late = {path: data for path, data in files.items() if "/4h/" in path or "/2024-03" in path}
    data = repository(tmp_path / "data", late | hour_files(2, ETH, COARSE_TO))
    async with agent(data) as ask:
        market = (await ask("list_markets"))["markets"][0]
        assert market["start"] == "2024-01-01T00:00:00Z"
        minutes = COARSE_TO.iso()
        begins = {"1m": minutes, "5m": minutes, "15m": "2024-03-01T00:00:00Z", "1h": "2024-03-01T00:00:00Z"}
        assert market["recorded_from"] == {**begins, "4h": "2024-01-01T00:00:00Z"}
        series = {"symbol": ETH, "timeframe": "1h"}
        asked = {**series, "start": "2024-01-01", "end": "2024-02-01"}
        for tool, field in (
            ("regime_periods", "periods"),
            ("regime_transitions", "transitions"),
            ("get_regimes", "rows"),
        ):
            answer = await ask(tool, **asked)
            assert answer[field] == []
            assert answer["recorded"] == dict.fromkeys(("start", "end"), "2024-03-01T00:00:00Z")
            partly = await ask(tool, **series, start="2024-01-01", end="2024-03-20")
            assert partly[field]
            assert partly["recorded"] == {"start": "2024-03-01T00:00:00Z", "end": "2024-03-20T00:00:00Z"}
        assert (await ask("regime_stats", **asked))["recorded"]["start"] == "2024-03-01T00:00:00Z"
        assert (await ask("regime_stats"))["recorded"] is None


async def test_candles_come_with_rows_and_minutes_on_request(root):
    """Prices of each bar as recorded; 5m rows are computed, and have no verdict."""
    fill(root, "current")
    eth = direct(root, Timeframe.H1, ETH)
    async with agent(root) as ask:
        rows = (await ask("get_regimes", symbol=ETH, timeframe="1h", candles=True, limit=50))["rows"]
        bars = eth.bars.at(np.searchsorted(eth.bars.ts, eth.rows.ts[:50]))
        assert [row["close"] for row in rows] == (bars.close / eth.price_scale).tolist()
        assert [row["volume"] for row in rows] == (bars.volume / eth.volume_scale).tolist()
        five = (await ask("get_regimes", symbol=ETH, timeframe="5m", limit=5))["rows"]
        assert len(five) == 5 and {(row["source"], row["verdict"]) for row in five} == {("computed", None)}


@pytest.mark.parametrize("condition", ["absent", "current"])
async def test_how_strategies_fare_is_what_single_simulations_say(root, condition):
    """Each group's mean and share equal one simulation an hour, grouped by a plain loop."""
    fill(root, condition)
    hours, fours = direct(root, Timeframe.H1, ETH), direct(root, Timeframe.H4, ETH)
    rows = {row["open_time"]: row for row in plain_rows(hours)}
    judged = judge_history(hours.bars, fours.bars, hours.price_scale, CONFIG, volume_scale=hours.volume_scale)
    gains: list[tuple[str, str, float, float]] = []
    for place, ts in enumerate(judged.ts.tolist()):
        start = int(np.searchsorted(hours.bars.ts, ts))
        ahead = hours.bars.rows(start + 1, min(start + 25, len(hours.bars)))
        row = rows[np.datetime_as_string(np.datetime64(ts, "s")) + "Z"]
        if len(ahead) < 24 or row["verdict"] is None or not (judged.valid[place] and judged.inside[place]):
            continue
        bounds = [round(float(bound[place]) * hours.price_scale) for bound in (judged.lower, judged.upper)]
        try:
            plan = StandardGrid().plan(*bounds, int(hours.bars.close[start]))
        except DataInvalid:
            continue
        outcome = simulate(plan, ahead)
        value = outcome.start_value
        gains.append(
            (
                row["simplified_regime"],
                row["verdict"],
                1e4 * outcome.total / value,
                1e4 * (outcome.held_value - value) / value,
            )
        )
    assert len(gains) > 200
    async with agent(root) as ask:
        told = await ask("compare_backtests", symbol=ETH)
        half = await ask("compare_backtests", symbol=ETH, start="2024-03-01", end="2024-03-10T12")
    assert told["all"]["hours"] == len(gains) and told["maker_bps"] == 10
    left_out = told["left_out"]
    assert told["hours_judged"] == len(judged) == len(gains) + sum(left_out.values())
    for field, column in (("by_simplified_regime", 0), ("by_verdict", 1)):
        for name, group in told[field].items():
            of_group = [gain for gain in gains if gain[column] == name]
            assert group["hours"] == len(of_group)
            for strategy, place in (("grid", 2), ("holding", 3)):
                values = [gain[place] for gain in of_group]
                figures = group["strategies"][strategy]
                mean = sum(values) / len(values) if values else None
                assert figures["mean_net_bps"] == (None if mean is None else pytest.approx(mean, abs=1e-4))
                share = sum(each > 0 for each in values) / len(values) if values else None
                assert figures["share_positive"] == (
                    None if share is None else pytest.approx(share, abs=1e-6)
                )
    assert "No backtest of a named strategy" in told["is_not"]
    assert 0 < half["all"]["hours"] < told["all"]["hours"]
    assert (half["start"], half["end"]) == ("2024-03-01T00:00:00Z", "2024-03-10T12:00:00Z")
