"""The history of regimes: whatever is stored, half stored, stale or away, the answer is that of the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.regime_answers import RegimesBusy, RowFilter, TooMuchToCompute, UnknownMarket
from daemon.regime_forms import counts_dict, period_dicts, row_dicts
from daemon.regimes import RegimeHistory
from market.errors import IndexChanged, IndexUnavailable
from market.hours import Hour, Timeframe
from regime.components.states import SIMPLIFIED, SimplifiedRegime
from regime.series import RegimeCounts, RegimeRules, periods_of
from store.index.regime_index import RegimeIndex
from tests.daemon.regimes import RULES, Standing, commit, direct, history, keeper, repository
from tests.store.markets import COARSE_END, FIRST, KEY, coarse_files, hour_file, hour_files, lay

H1 = Timeframe.H1
END = COARSE_END.plus(30)
MAY = Hour.parse("2024-05-01T00")
RANGE = SIMPLIFIED.index(SimplifiedRegime.RANGE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("history") / "data", coarse_files() | hour_files(30))


@pytest.fixture(scope="module")
def stored(root: Path, tmp_path_factory: pytest.TempPathFactory):
    """An index that holds everything."""
    index = RegimeIndex.open(f"sqlite:///{tmp_path_factory.mktemp('stored') / 'index.sqlite'}")
    keeper(root, index).catch_up()
    yield index
    index.close()


@pytest.fixture(scope="module")
def half(root: Path, tmp_path_factory: pytest.TempPathFactory):
    """An index that holds what opened before the middle of May."""
    index = RegimeIndex.open(f"sqlite:///{tmp_path_factory.mktemp('half') / 'index.sqlite'}")
    keeper(root, index).catch_up()
    for timeframe in (Timeframe.M15, H1, Timeframe.H4):
        index.delete_regimes(KEY, timeframe, MAY.plus(15 * 24).open_ts)
    yield index
    index.close()


class Away:
    """An index that does not answer."""

    def __getattr__(self, name: str):
        raise IndexUnavailable("index", "the server is away")


@pytest.fixture(params=["stored", "half", "none", "away", "stale"])
def asked(request: pytest.FixtureRequest, root: Path) -> RegimeHistory:
    match request.param:
        case "none":
            return history(root, None)
        case "away":
            return history(root, Away())  # type: ignore[arg-type]
        case "stale":
            return history(root, request.getfixturevalue("stored"), rules=RegimeRules(2, RULES.parameters))
        case name:
            return history(root, request.getfixturevalue(name))


def test_a_range_answers_whole(asked: RegimeHistory, root: Path):
    """Rows, counts, periods and transitions equal those computed from the files, wherever they came from."""
    whole = direct(root, H1)
    start, end = MAY.plus(200).open_ts, MAY.plus(900).open_ts
    page = asked.rows(KEY, H1, start, end, limit=10_000, candles=True)
    assert page.rows.same_as(whole.rows.between(start, end)) and page.next_ts is None
    assert page.bars is not None
    assert (page.bars.close / page.price_scale).tolist() == (
        whole.bars.between(start, end).close / whole.price_scale
    ).tolist()
    assert asked.counts(KEY, H1, start, end).to_bytes() == RegimeCounts.of(page.rows).to_bytes()
    runs = periods_of(whole.rows)
    told = asked.periods(KEY, H1, start, end, limit=10_000)
    assert [each.period for each in told.periods] == [
        run for run in runs if run.first_ts < end and run.last_ts >= start
    ]
    ranges = asked.periods(KEY, H1, start, end, regime=RANGE, limit=10_000)
    assert [each.period for each in ranges.periods] == [
        each.period for each in told.periods if each.period.regime == RANGE
    ]
    turns = asked.transitions(KEY, H1, start, end, after=RANGE, limit=10_000)
    assert [each.period for each in turns.periods] == [
        run
        for run in runs
        if start <= run.first_ts < end and run.previous is not None and run.regime == RANGE
    ]
    assert turns.periods and len(turns.periods) < len(told.periods)


def test_a_period_is_told_whole_where_only_its_beginning_is_stored(asked: RegimeHistory, root: Path):
    """The range ends where the half-filled index does, and its last period goes on."""
    runs, end = periods_of(direct(root, H1).rows), MAY.plus(15 * 24).open_ts
    told = asked.periods(KEY, H1, MAY.open_ts, end, limit=10_000)
    assert [each.period for each in told.periods] == [
        run for run in runs if run.first_ts < end and run.last_ts >= MAY.open_ts
    ]
    assert told.periods[-1].period.last_ts >= end


def test_the_whole_series_counts_up_to_itself(asked: RegimeHistory, root: Path):
    """Left-out ends mean everything that is recorded."""
    span = asked.span(KEY, Timeframe.H4)
    found = asked.counts(KEY, Timeframe.H4, *span)
    assert found.to_bytes() == RegimeCounts.of(direct(root, Timeframe.H4).rows).to_bytes()
    assert counts_dict(found)["rows"] == found.rows > 700


def test_what_is_stored_is_said(root: Path, half: RegimeIndex, stored: RegimeIndex):
    """Each row names its source; nothing of a stale index counts as stored."""
    page = history(root, half).rows(KEY, H1, MAY.open_ts, END.open_ts, limit=10_000)
    sources = [row["source"] for row in row_dicts(page)]
    assert sources == ["stored"] * (15 * 24) + ["computed"] * (len(sources) - 15 * 24)
    other = history(root, stored, rules=RegimeRules(1, "sha256:" + "9" * 64))
    page = other.rows(KEY, H1, MAY.open_ts, MAY.plus(5).open_ts, limit=100)
    assert {row["source"] for row in row_dicts(page)} == {"computed"}
    assert other.markets()[0].stored_to == {}


@given(
    limit=st.integers(1, 400),
    start=st.integers(0, 3000),
    hours=st.integers(1, 700),
    simplified=st.none() | st.integers(0, 4),
    least=st.none() | st.integers(0, 9000),
)
@settings(max_examples=25, deadline=None)
def test_pages_join_to_the_whole(root: Path, half: RegimeIndex, limit, start, hours, simplified, least):
    """Whatever the filter and the size of a page: each row once, in order."""
    asked = history(root, half)
    first, end = FIRST.plus(start), FIRST.plus(start + hours)
    where = RowFilter(simplified=simplified, min_confidence=least)
    found, ts = [], first.open_ts
    while ts is not None:
        page = asked.rows(KEY, H1, ts, end.open_ts, limit=limit, where=where)
        assert len(page.rows) <= limit
        found += page.rows.ts.tolist()
        assert page.next_ts is None or page.next_ts > ts or len(page.rows)
        ts = page.next_ts
    whole = direct_h1(root).between(first.open_ts, end.open_ts)
    assert found == whole.ts[where.keep(whole)].tolist()


_DIRECT: dict[Path, object] = {}


def direct_h1(root: Path):
    if root not in _DIRECT:
        _DIRECT[root] = direct(root, H1).rows
    return _DIRECT[root]


def test_changed_hours_are_never_served_as_they_were(tmp_path: Path):
    """From the commit on that revised an hour, and until the index is filled again, the files answer."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(6))
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    try:
        keeper(root, index).catch_up()
        asked, hour = history(root, index), COARSE_END.plus(3)
        before = asked.rows(KEY, H1, COARSE_END.open_ts, COARSE_END.plus(6).open_ts, limit=100, candles=True)
        version = asked.version(KEY, H1, hour.close_ts)
        commit(root, hour_file(hour, seed=77))
        after = asked.rows(KEY, H1, COARSE_END.open_ts, COARSE_END.plus(6).open_ts, limit=100, candles=True)
        assert after.rows.same_as(
            direct(root, H1).rows.between(COARSE_END.open_ts, COARSE_END.plus(6).open_ts)
        )
        assert before.bars is not None and after.bars is not None
        assert (before.bars.close != after.bars.close).tolist() == [False] * 3 + [True] + [False] * 2
        assert after.stored_before_ts == hour.open_ts
        assert asked.version(KEY, H1, hour.close_ts) != version
        keeper(root, index).catch_up()
        asked.forget()
        again = asked.rows(KEY, H1, COARSE_END.open_ts, COARSE_END.plus(6).open_ts, limit=100)
        assert again.rows.same_as(after.rows) and again.stored_before_ts == COARSE_END.plus(6).open_ts
    finally:
        index.close()


class Interrupted:
    """An index that another process empties and fills just before each of the next `times` answers."""

    def __init__(self, index: RegimeIndex, root: Path, times: int) -> None:
        self._index, self._root, self.times = index, root, times

    def __getattr__(self, name: str):
        if name.startswith(("get_", "periods", "transitions")) and self.times > 0:
            self.times -= 1
            self._index.delete_regimes(KEY)
            if self.times % 2 == 0:
                keeper(self._root, self._index).catch_up()
        return getattr(self._index, name)


def test_an_hour_that_came_meanwhile_is_not_counted_into_the_one_before(tmp_path: Path):
    """An answer about a range holds that range's rows, whatever was appended since."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(5))
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    try:
        keeper(root, index).catch_up()
        asked, end = history(root, index), COARSE_END.plus(5).open_ts
        before = asked.counts(KEY, H1, 0, end).rows
        commit(root, hour_file(COARSE_END.plus(5)))
        keeper(root, index).catch_up()
        assert asked.counts(KEY, H1, 0, end).rows == before
        asked.forget()
        assert asked.counts(KEY, H1, 0, end + 3600).rows == before + 1
    finally:
        index.close()


def written_again(*_, **__):
    raise IndexChanged(KEY, "written again")


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_index_that_is_written_meanwhile_answers_whole(tmp_path: Path, root: Path, times: int):
    """Between the look at a series and the reading of its rows it may go, come back, or be half there."""
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    try:
        keeper(root, index).catch_up()
        whole, span = direct_h1(root), (FIRST.open_ts, END.open_ts)
        for ask in (
            lambda asked: asked.rows(KEY, H1, *span, limit=10_000, candles=True).rows.ts.tolist(),
            lambda asked: asked.counts(KEY, H1, *span).rows,
            lambda asked: len(asked.periods(KEY, H1, *span, limit=10_000).periods),
        ):
            asked = history(root, Interrupted(index, root, times))  # type: ignore[arg-type]
            plain = history(root, None)
            assert ask(asked) == ask(plain)
            keeper(root, index).catch_up()
        assert len(whole) > 3000
        index.get_regimes = written_again  # type: ignore[method-assign]
        with pytest.raises(RegimesBusy, match="being written"):
            history(root, index).rows(KEY, H1, *span, limit=10)
    finally:
        index.close()


def test_a_version_names_an_answer(root: Path, stored: RegimeIndex, tmp_path: Path):
    """The same until it may differ: hours that follow change nothing about those before."""
    asked = history(root, stored)
    one = asked.version(KEY, H1, COARSE_END.open_ts)
    assert one is not None and one == asked.version(KEY, H1, COARSE_END.plus(3).open_ts)
    assert asked.version(KEY, H1, END.plus(10).open_ts) != one
    other = history(root, stored, rules=RegimeRules(3, RULES.parameters))
    assert other.version(KEY, H1, COARSE_END.open_ts) != one
    lay(tmp_path / "plain", hour_file(COARSE_END))
    assert history(tmp_path / "plain", None).version(KEY, H1, 0) is None


def test_the_index_is_asked_anew_after_a_second(tmp_path: Path):
    """Another process may write it; ours says so at once."""
    root = repository(tmp_path / "data", coarse_files())
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    try:
        clock = Standing()
        asked = history(root, index, clock=clock)
        assert asked.markets()[0].stored_to == {}
        keeper(root, index).catch_up()
        assert asked.markets()[0].stored_to == {}
        clock.seconds = 1.5
        assert asked.markets()[0].stored_to[H1] == COARSE_END.open_ts
    finally:
        index.close()


def test_a_market_that_is_not_there_is_named(asked: RegimeHistory):
    """With those that are."""
    with pytest.raises(UnknownMarket, match=f"no data of a market 'DOGE-USDT'; known: {KEY}"):
        asked.rows("DOGE-USDT", H1, 0, 10**9, limit=10)


def test_only_one_computes_at_a_time(root: Path, monkeypatch: pytest.MonkeyPatch):
    """The others are told to come back, not kept waiting for ever."""
    monkeypatch.setattr("daemon.regimes._PATIENCE_S", 0.01)
    asked = history(root, None)
    with asked._computing, pytest.raises(RegimesBusy):
        asked.rows(KEY, H1, MAY.open_ts, END.open_ts, limit=10)


def test_what_would_take_minutes_is_refused_where_somebody_waits(
    root: Path, stored: RegimeIndex, monkeypatch: pytest.MonkeyPatch
):
    """Counts and periods of a long span that is not stored; pages of rows stay short."""
    for place in ("regimes", "regime_answers"):
        monkeypatch.setattr(f"daemon.{place}.computed_at_once", lambda _: 20 * 86_400)
    waited, patient = history(root, None, bounded=True), history(root, None)
    span = (FIRST.open_ts, END.open_ts)
    with pytest.raises(TooMuchToCompute, match="at most 20 days of 1h are computed for one answer"):
        waited.counts(KEY, H1, *span)
    with pytest.raises(TooMuchToCompute):
        waited.periods(KEY, H1, *span, limit=10)
    page = waited.rows(KEY, H1, *span, limit=10_000)
    assert page.next_ts == FIRST.plus(20 * 24).open_ts
    assert patient.counts(KEY, H1, *span).rows > 3000
    assert history(root, stored, bounded=True).counts(KEY, H1, *span).rows > 3000


def test_minutes_are_computed_on_request(root: Path, stored: RegimeIndex):
    """They are not stored; their range is that of the minutes there are."""
    page = history(root, stored).rows(KEY, Timeframe.M5, COARSE_END.open_ts, END.open_ts, limit=1000)
    assert history(root, stored).span(KEY, Timeframe.M5) == (COARSE_END.open_ts, END.open_ts)
    rows = row_dicts(page)
    assert len(rows) == 30 * 12 - 99 and {row["source"] for row in rows} == {"computed"}
    assert {row["verdict"] for row in rows} == {None}
    periods = history(root, stored).periods(KEY, Timeframe.M5, END.plus(-5).open_ts, END.open_ts, limit=100)
    assert periods.periods[0].period.first_ts <= END.plus(-5).open_ts


def test_periods_say_what_the_price_did(root: Path, stored: RegimeIndex):
    """Start, end, length and return; the newest one is going on."""
    page = history(root, stored).periods(KEY, H1, MAY.open_ts, END.open_ts, limit=3)
    assert page.next_ts is not None and len(page.periods) == 3
    told, whole = period_dicts(page), direct(root, H1)
    for each, period in zip(told, (priced.period for priced in page.periods), strict=True):
        bars = whole.bars.between(period.first_ts, period.last_ts + 1)
        assert each["bars"] == len(bars)
        assert each["return_pct"] == round(100 * (bars.close[-1] / bars.open[0] - 1), 4)
        assert not each["ongoing"]
    newest = history(root, stored).periods(KEY, H1, END.plus(-1).open_ts, END.open_ts, limit=3)
    assert [each["ongoing"] for each in period_dicts(newest)] == [True]
    assert np.isfinite(counts_dict(RegimeCounts.none())["rows"])
