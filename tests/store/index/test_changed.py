"""Who goes by a state of a series is told when the series is another one by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from market.errors import IndexChanged, IndexUnavailable
from store.index.regime_index import AnyState, RegimeIndex, SeriesState
from tests.store.index.samples import H1, KEY, NOW, OTHER_RULES, at, content, fill

QUESTIONS: dict[str, Callable[[RegimeIndex, SeriesState | None], Any]] = {
    "rows": lambda index, of: index.get_regimes(KEY, H1, at(0), at(40), of=of),
    "candles": lambda index, of: index.get_candles(KEY, H1, at(0), at(40), of=of),
    "counts": lambda index, of: index.get_regime_stats(KEY, H1, of=of),
    "counts of a range": lambda index, of: index.get_regime_stats(KEY, H1, at(3), at(9), of=of),
    "periods": lambda index, of: index.periods(KEY, H1, at(0), at(40), of=of),
    "transitions": lambda index, of: index.transitions(KEY, H1, at(0), at(40), of=of),
}


def _rewritten(index: RegimeIndex) -> None:
    fill(index, 30, 60, variant=1)


def _by_other_rules(index: RegimeIndex) -> None:
    fill(index, 0, 60, rules=OTHER_RULES)


def _cut(index: RegimeIndex) -> None:
    index.delete_regimes(KEY, H1, at(50))


def _removed(index: RegimeIndex) -> None:
    index.delete_regimes(KEY)


def _begun_anew(index: RegimeIndex) -> None:
    index.delete_regimes(KEY)
    fill(index, 0, 60, created_at=NOW + timedelta(seconds=5))


CHANGES = [_rewritten, _by_other_rules, _cut, _removed, _begun_anew]


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_by_a_state_that_is_over_is_refused(index, change):
    """Every question that takes a state names the series, what was found and what was expected."""
    state = fill(index, 0, 60)
    change(index)
    for ask in QUESTIONS.values():
        with pytest.raises(IndexChanged, match=f"{KEY} 1h: found .*expected .*revision {state.revision},"):
            ask(index, state)
        ask(index, None)


def test_an_answer_by_a_state_that_holds_is_the_same(index):
    """Appended bars and a newer commit leave the state true; so does a repeated write."""
    state = fill(index, 0, 60)
    before = {name: ask(index, None) for name, ask in QUESTIONS.items() if "counts" not in name}
    fill(index, 60, 80)
    fill(index, 0, 80, source="b2" * 20)
    index.mark(KEY, H1, "c3" * 20)
    assert QUESTIONS["rows"](index, state).same_as(before["rows"])
    for name in ("periods", "transitions"):
        assert QUESTIONS[name](index, state) == before[name]
    assert len(QUESTIONS["candles"](index, state)) == len(before["candles"])
    for ask in QUESTIONS.values():
        ask(index, state)


def test_each_part_of_a_state_counts(index):
    """Rules, revision and end are looked at one by one; an end that has grown is none."""
    state = fill(index, 0, 60)
    for change in (
        {"rules": replace(state.rules, engine_version=9)},
        {"rules": replace(state.rules, parameters="other")},
        {"revision": state.revision - 1},
        {"revision": state.revision + 1},
        {"filled_to_ts": state.filled_to_ts + 3600},
    ):
        with pytest.raises(IndexChanged):
            index.get_regimes(KEY, H1, at(0), at(9), of=replace(state, **change))
    earlier = replace(state, filled_to_ts=at(9), source="other")
    assert index.get_regimes(KEY, H1, at(0), at(9), of=earlier).same_as(content(H1, at(0), at(9))[0])


@pytest.mark.parametrize("change", [*CHANGES, lambda index: index.mark(KEY, H1, "c3" * 20)])
def test_a_write_upon_another_state_is_refused_and_leaves_it(index, change):
    """Whoever was quicker keeps what it wrote; the other one is told before a row is touched."""
    state = fill(index, 0, 60)
    change(index)
    now = index.state(KEY, H1)
    with pytest.raises(IndexChanged, match=f"{KEY} 1h: found"):
        fill(index, 60, 70, known=state)
    after = index.state(KEY, H1)
    if now is None:
        assert after is None
    else:
        assert (after.revision, after.filled_to_ts, after.source) == (
            now.revision,
            now.filled_to_ts,
            now.source,
        )
    assert index.check() == []


def test_a_write_upon_an_appended_series_is_refused(index):
    """An append leaves the revision, and is a change to who would write the same bars."""
    state = fill(index, 0, 60)
    fill(index, 60, 61)
    with pytest.raises(IndexChanged):
        fill(index, 60, 62, known=state)


def test_a_write_upon_the_state_it_knows_goes_on(index):
    """None stands for no series, ANY for whatever there is."""
    state = fill(index, 0, 20, known=None)
    with pytest.raises(IndexChanged, match="expected no series") as told:
        fill(index, 0, 30, known=None)
    assert isinstance(told.value, IndexUnavailable)
    assert index.state(KEY, H1).filled_to_ts == at(20)
    assert fill(index, 10, 30, variant=1, known=state).revision == state.revision + 1
    assert fill(index, 30, 40, known=index.state(KEY, H1)).filled_to_ts == at(40)
    assert fill(index, 40, 50, known=AnyState.ANY).filled_to_ts == at(50)
    assert index.check() == []
