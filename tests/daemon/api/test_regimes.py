"""The four routes of regimes: right whatever is stored, and stable under paging."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.regime_answers import PeriodPage, RegimePage
from daemon.regime_forms import counts_dict, period_dicts, row_dicts
from daemon.regimes import _priced
from market.hours import Hour, Timeframe
from regime.series import RegimeCounts
from tests.daemon.api.serving import SERIES
from tests.daemon.regimes import direct

ROUTES = ("", "/stats", "/transitions", "/periods")


@pytest.fixture(scope="module")
def truth(repo):
    return {timeframe: direct(repo, timeframe) for timeframe in (Timeframe.H1, Timeframe.H4)}


def unsourced(rows):
    return [{name: row[name] for name in row if name != "source"} for row in rows]


@pytest.mark.parametrize("timeframe", ["1h", "4h"])
async def test_every_row_is_the_one_computed_from_the_files(any_api, truth, timeframe):
    """Stored, half stored or computed: the same rows; each says where it came from."""
    part = truth[Timeframe(timeframe)]
    told = await any_api.walk(f"{SERIES}/{timeframe}", "rows", limit=997)
    page = RegimePage(part.rows, None, 1, 1, 0, None)
    assert unsourced(told) == unsourced(row_dicts(page))
    assert len(told) > 500
    sources = {row["source"] for row in told}
    index = any_api.history._index()
    state = None if index is None else index.state("ETH-USDT", Timeframe(timeframe))
    last = Hour.parse(told[-1]["open_time"]).open_ts
    if state is None:
        assert sources == {"computed"}
    else:
        assert sources == ({"stored"} if state.filled_to_ts > last else {"stored", "computed"})


async def test_candles_stand_beside_their_rows(any_api, truth):
    """Prices of the very bars, in quote units."""
    part = truth[Timeframe.H4]
    told = await any_api.walk(f"{SERIES}/4h", "rows", candles="true", limit=150)
    places = np.searchsorted(part.bars.ts, part.rows.ts)
    assert [row["close"] for row in told] == (part.bars.close[places] / part.price_scale).tolist()
    assert [row["volume"] for row in told] == (part.bars.volume[places] / part.volume_scale).tolist()


async def test_filters_keep_what_they_name(any_api, truth):
    """simplified, verdict and min_confidence, together and over pages."""
    rows = unsourced(row_dicts(RegimePage(truth[Timeframe.H1].rows, None, 1, 1, 0, None)))
    asked = {"simplified": "NEUTRAL", "min_confidence": "0.30005"}
    told = await any_api.walk(f"{SERIES}/1h", "rows", limit=50, **asked)
    wanted = [r for r in rows if r["simplified_regime"] == "NEUTRAL" and r["confidence"] > 0.3]
    assert unsourced(told) == wanted
    assert wanted
    told = await any_api.walk(f"{SERIES}/1h", "rows", limit=500, verdict="TREND")
    assert unsourced(told) == [row for row in rows if row["verdict"] == "TREND"]


async def test_stats_are_counted_from_the_rows(any_api, truth):
    """The whole span, and a part of it."""
    rows = truth[Timeframe.H1].rows
    told = await any_api.json(f"{SERIES}/1h/stats")
    expected = counts_dict(RegimeCounts.of(rows))
    assert {name: told[name] for name in expected} == expected
    start, end = Hour.parse("2024-05-15T00"), Hour.parse("2024-05-25T07")
    told = await any_api.json(f"{SERIES}/1h/stats", start=str(start), end=str(end))
    expected = counts_dict(RegimeCounts.of(rows.between(start.open_ts, end.open_ts)))
    assert {name: told[name] for name in expected} == expected
    assert (told["start"], told["end"]) == ("2024-05-15T00:00:00Z", "2024-05-25T07:00:00Z")


@pytest.mark.parametrize("limit", [7, 10_000])
async def test_periods_and_transitions_are_those_of_the_rows(any_api, truth, limit):
    """Whole periods with prices; those of one regime; changes from one to another."""
    part = truth[Timeframe.H1]
    page = PeriodPage(Timeframe.H1, _priced(part), part.price_scale, int(part.rows.ts[-1]), None)
    periods = period_dicts(page)
    span = {"start": "2024-05-10", "end": "2024-05-28"}
    start, end = "2024-05-10T00:00:00Z", "2024-05-28T00:00:00Z"
    told = await any_api.walk(f"{SERIES}/1h/periods", "periods", limit=limit, **span)
    assert told == [each for each in periods if each["start"] < end and each["end"] > start]
    told = await any_api.walk(f"{SERIES}/1h/periods", "periods", limit=limit, regime="RANGE", **span)
    within = [each for each in periods if each["start"] < end and each["end"] > start]
    assert told == [each for each in within if each["simplified_regime"] == "RANGE"]
    told = await any_api.walk(f"{SERIES}/1h/transitions", "transitions", limit=limit, **span)
    begun = [each for each in periods if start <= each["start"] < end and each["previous_regime"]]
    assert told == begun
    pair = {"from": "NEUTRAL", "to": "RANGE"}
    told = await any_api.walk(f"{SERIES}/1h/transitions", "transitions", limit=limit, **pair, **span)
    wanted = [e for e in begun if (e["previous_regime"], e["simplified_regime"]) == ("NEUTRAL", "RANGE")]
    assert told == wanted
    assert wanted


async def test_minutes_are_computed_on_request(any_api, repo):
    """5m rows come from the hours at hand, never from the index."""
    told = await any_api.json(f"{SERIES}/5m", start="2024-06-11", limit=20)
    rows = direct(repo, Timeframe.M5).rows.between(Hour.parse("2024-06-11T00").open_ts, 2**40)
    expected = row_dicts(RegimePage(rows.where(slice(0, 20)), None, 1, 1, 0, None))
    assert told["rows"] == expected
    assert told["source"] == "computed"
    assert len(told["rows"]) == 20


async def test_the_span_asked_for_is_half_open(api):
    """A row that opens at `start` is in, one that opens at `end` is not; an empty span is empty."""
    told = await api.json(f"{SERIES}/1h", start="2024-05-15T03", end="2024-05-15T05:00:00Z")
    assert [r["open_time"] for r in told["rows"]] == ["2024-05-15T03:00:00Z", "2024-05-15T04:00:00Z"]
    for route in ROUTES:
        told = await api.json(f"{SERIES}/1h{route}", start="2024-05-15T03:30", end="2024-05-15T03:30")
        assert told["start"] == told["end"]
    told = await api.json(f"{SERIES}/1h", start="2180-01-01")
    assert (told["rows"], told["next"], told["source"]) == ([], None, "stored")
