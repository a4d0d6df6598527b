"""The index in step with the repository: whatever happened, it ends as if it had been made at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.indexing import IndexPlace
from market.errors import DataInvalid, IndexChanged, IndexUnavailable
from market.hours import Timeframe
from regime.config import ComponentsConfig, RegimeConfig
from regime.series import STORED, RegimeRules
from store.index.regime_index import RegimeIndex
from store.snapshots import decode_snapshot, encode_snapshot
from tests.daemon.regimes import RULES, commit, contents, direct, keeper, repository
from tests.store.markets import COARSE_END, KEY, coarse_files, hour_file, hour_files
from tests.store.samples import git


@pytest.fixture
def index(tmp_path: Path):
    found = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield found
    found.close()


def rebuilt(root: Path, folder: Path, **how) -> dict[object, object]:
    """Return what an index made at once holds."""
    index = RegimeIndex.open(f"sqlite:///{folder / 'rebuilt.sqlite'}")
    try:
        keeper(root, index, **how).catch_up()
        return contents(index)
    finally:
        index.close()


def test_hour_by_hour_equals_at_once(tmp_path: Path, index: RegimeIndex):
    """A month of history, then hours one by one, one of them late, one revised, one partly there."""
    root = repository(tmp_path / "data", coarse_files())
    live = keeper(root, index, by_hour=True)
    assert live.catch_up().series == len(STORED)
    for step in range(10):
        hour = COARSE_END.plus(step)
        if step == 5:
            continue  # comes late
        commit(root, hour_file(hour, missing=20 if step == 7 else 0))
        live.catch_up()
    commit(root, hour_file(COARSE_END.plus(5)))
    live.catch_up()
    commit(root, hour_file(COARSE_END.plus(7)))
    assert live.catch_up().rows > 0
    assert live.catch_up().rows == 0
    assert index.check() == []
    found = contents(index)
    assert found == rebuilt(root, tmp_path)
    for timeframe in STORED:
        part = direct(root, timeframe)
        assert index.get_regimes(KEY, timeframe, 0, 2**40).same_as(part.rows)
        assert index.get_candles(KEY, timeframe, 0, 2**40).close.tolist() == part.bars.close.tolist()


def test_what_happened_while_it_was_away_is_filled_at_once(tmp_path: Path, index: RegimeIndex):
    """Two days and a second market; one pass, and nothing is missing."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(1))
    live = keeper(root, index, by_hour=True)
    live.catch_up()
    commit(
        root, hour_files(50, first=COARSE_END.plus(1)) | coarse_files("SOL-USDT") | hour_files(3, "SOL-USDT")
    )
    told: list[tuple[str, int, int]] = []
    live.catch_up(lambda *each: told.append(each))
    assert contents(index) == rebuilt(root, tmp_path)
    assert told[-1][1] == told[-1][2] and {key for key, _, _ in told} == {KEY, "SOL-USDT"}


def test_other_rules_make_everything_anew(tmp_path: Path, index: RegimeIndex):
    """A changed parameter or a new engine: no row of the old ones is left."""
    root = repository(tmp_path / "data", coarse_files())
    keeper(root, index).catch_up()
    before = contents(index)
    config = RegimeConfig(components=ComponentsConfig(trending_adx=25.0))
    rules = RegimeRules(1, "sha256:" + "2" * 64)
    done = keeper(root, index, config=config, rules=rules).catch_up()
    assert done.rebuilt == len(STORED)
    after = contents(index)
    assert after != before and after == rebuilt(root, tmp_path, config=config, rules=rules)
    assert all(state.rules == rules for state in index.states().values())


def test_another_history_makes_everything_anew(tmp_path: Path, index: RegimeIndex):
    """An index whose commit this repository does not know says nothing about it."""
    keeper(repository(tmp_path / "one", coarse_files()), index).catch_up()
    root = repository(tmp_path / "two", coarse_files(end=COARSE_END.plus(-48)))
    assert keeper(root, index).catch_up().rebuilt == len(STORED)
    assert contents(index) == rebuilt(root, tmp_path)


def test_prices_that_get_finer_make_the_series_anew(tmp_path: Path, index: RegimeIndex):
    """One series has one scale; the rows stay what they are."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(1))
    live = keeper(root, index, by_hour=True)
    live.catch_up()
    before = index.states()[KEY, Timeframe.H1].price_scale
    ((path, data),) = hour_file(COARSE_END.plus(1)).items()
    snapshot = decode_snapshot(data, path)
    commit(root, {path: encode_snapshot(replace(snapshot, price_scale=10 * snapshot.price_scale))})
    live.catch_up()
    assert index.states()[KEY, Timeframe.H1].price_scale == 10 * before
    assert contents(index) == rebuilt(root, tmp_path)


def test_a_finer_price_without_a_bar_changes_nothing_yet(tmp_path: Path, index: RegimeIndex):
    """The first hour of a finer scale is there in part only: its complete file makes the series anew."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(1))
    live = keeper(root, index, by_hour=True)
    live.catch_up()
    before = index.states()[KEY, Timeframe.H1].price_scale
    for missing in (20, 0):
        ((path, data),) = hour_file(COARSE_END.plus(1), missing=missing).items()
        snapshot = decode_snapshot(data, path)
        commit(root, {path: encode_snapshot(replace(snapshot, price_scale=10 * snapshot.price_scale))})
        assert live.catch_up().faults == []
        scale = index.states()[KEY, Timeframe.H1].price_scale
        assert scale == (before if missing else 10 * before)
    assert contents(index) == rebuilt(root, tmp_path)


def test_a_pass_that_is_stopped_goes_on_later(tmp_path: Path, index: RegimeIndex):
    """What was written stays; the next pass writes the rest."""
    root = repository(tmp_path / "data", coarse_files() | coarse_files("SOL-USDT"))
    stopped = keeper(root, index).catch_up(stopping=lambda: bool(index.states()))
    assert 0 < stopped.series < 2 * len(STORED)
    keeper(root, index).catch_up()
    assert contents(index) == rebuilt(root, tmp_path)


def test_a_file_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, index: RegimeIndex):
    """The index says what is there; the fault is named."""
    root = repository(tmp_path / "data", coarse_files() | dict.fromkeys(hour_files(1), b"{}"))
    done = keeper(root, index).catch_up()
    assert len(done.faults) == 1 and "snapshots" in done.faults[0]
    assert len(index.get_candles(KEY, Timeframe.H1, COARSE_END.open_ts, COARSE_END.close_ts)) == 0


def removed(root: Path, *names: str) -> None:
    for name in names:
        git(root, "rm", "-rq", name)
    commit(root, {})


def test_hours_that_are_gone_are_gone(tmp_path: Path, index: RegimeIndex):
    """The newest ones went to quarantine, then the oldest months: their rows go too."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(6))
    live = keeper(root, index, by_hour=True)
    live.catch_up()
    removed(root, f"snapshots/{KEY}/2024/06/10/05.json", f"snapshots/{KEY}/2024/06/10/04.json")
    live.catch_up()
    assert index.states()[KEY, Timeframe.H1].filled_to_ts == COARSE_END.plus(4).open_ts
    assert contents(index) == rebuilt(root, tmp_path)
    removed(
        root, *(f"candles/{KEY}/{frame.value}/2024-0{month}.json" for frame in STORED for month in (1, 2))
    )
    keeper(root, index).catch_up()
    (tmp_path / "rebuilt.sqlite").unlink()
    assert contents(index) == rebuilt(root, tmp_path)
    assert index.check() == []


def test_an_index_that_begins_earlier_is_made_anew_whole(tmp_path: Path, index: RegimeIndex):
    """No row of another history stays before the first one of ours."""
    keeper(repository(tmp_path / "one", coarse_files()), index).catch_up()
    files = {path: data for path, data in coarse_files().items() if "/2024-01" not in path}
    root = repository(tmp_path / "two", files)
    keeper(root, index).catch_up()
    assert contents(index) == rebuilt(root, tmp_path)


def test_a_series_that_another_process_wrote_is_left_alone(tmp_path: Path, index: RegimeIndex):
    """Neither named nor cut by a pass that went by what was there before."""
    root = repository(tmp_path / "data", coarse_files() | hour_files(2))
    keeper(root, index).catch_up()
    before = index.states()[KEY, Timeframe.H1]
    commit(root, hour_file(COARSE_END.plus(2)))
    keeper(root, index).catch_up()
    with pytest.raises(IndexChanged):
        index.mark(KEY, Timeframe.H1, "0" * 40, known=before)
    with pytest.raises(IndexChanged):
        index.delete_regimes(KEY, Timeframe.H1, COARSE_END.open_ts, known=before)
    assert contents(index) == rebuilt(root, tmp_path)


def test_trouble_with_one_market_keeps_none_of_the_others(tmp_path: Path, index: RegimeIndex):
    """It is named, and tried again with the next pass."""
    root = repository(tmp_path / "data", coarse_files() | coarse_files("SOL-USDT"))
    live = keeper(root, index)
    made = live._regimes.parts

    def parts(key: str, *others):
        if key == KEY:
            raise DataInvalid("candles", "scale", "leaves 64 bits")
        return made(key, *others)

    live._regimes.parts = parts
    done = live.catch_up()
    assert len(done.faults) == 1 and done.faults[0].startswith(f"{KEY}: ")
    assert {symbol for symbol, _ in index.states()} == {"SOL-USDT"}
    live._regimes.parts = made
    assert live.catch_up().faults == []
    assert contents(index) == rebuilt(root, tmp_path)


def test_nothing_is_written_without_a_history(tmp_path: Path, index: RegimeIndex):
    """A folder that is no repository has no commit to name."""
    (tmp_path / "data").mkdir()
    assert keeper(tmp_path / "data", index).catch_up().rows == 0


def test_an_index_that_is_away_says_so_and_comes_back(tmp_path: Path):
    """It is opened when it is needed, and asked again after it failed."""
    place = IndexPlace(f"sqlite:///{tmp_path / 'file' / 'index.sqlite'}")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(IndexUnavailable):
        place.opened()
    (tmp_path / "file").unlink()
    assert place.opened() is place.opened()
    place.close()


def test_rules_are_compared_whole() -> None:
    """Version and parameters."""
    assert RegimeRules(2, RULES.parameters) != RULES
