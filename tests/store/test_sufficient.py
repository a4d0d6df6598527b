"""What the store keeps is enough: an hour is judged from its snapshots and candle files alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from decisions.evaluate import evaluate
from decisions.inputs import Policy
from market.hours import Hour, Timeframe
from regime.config import RegimeConfig
from regime.engine import RegimeEngine
from store.inputs import ReadOnlyStore
from store.snapshots import decode_snapshot, encode_snapshot
from tests.store.samples import KEY, hour_snapshot
from tests.store.test_reader import put_bars, put_snapshot

HOUR = Hour.parse("2026-02-20T14")
MAX_MISSING = 3
ENGINE = RegimeEngine(RegimeConfig())
POLICY = Policy("c0ffee", ENGINE, MAX_MISSING)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A repository with coarse history and no hour of its own."""
    folder = tmp_path_factory.mktemp("history")
    for timeframe, hours in ((Timeframe.H1, 1200), (Timeframe.H4, 4000)):
        put_bars(folder, timeframe, HOUR.plus(-hours - HOUR.opens_at.hour % 4), hours, timedelta(), seed=7)
    return folder


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=st.integers(0, 10**6),
    missing=st.sets(st.integers(0, 59), max_size=8) | st.just(set(range(60))),
    no_trade=st.sets(st.integers(1, 58), max_size=6),
    late=st.integers(1, 250),
)
def test_property_79_a_snapshot_that_passes_validation_is_sufficient_for_analysis(
    root: Path, seed: int, missing: set[int], no_trade: set[int], late: int
):
    """Whatever the hour was like, what was read back is judged, or it is said why not; nothing is raised."""
    made = hour_snapshot(
        HOUR,
        seed=seed,
        missing=tuple(sorted(missing)),
        no_trade=tuple(sorted(no_trade - missing)),
        late=timedelta(seconds=late),
    )
    read = decode_snapshot(encode_snapshot(made), "x")
    path = root / put_snapshot(root, read, None if made.is_complete else 1)
    try:
        store = ReadOnlyStore(root, max_missing_minutes=MAX_MISSING, timeframes=ENGINE.timeframes())
        (inputs,) = store.read_inputs(KEY, [HOUR])
    finally:
        path.unlink()
    found = evaluate(inputs, POLICY)
    lacking = len(made.missing)
    told = {"no_data", "insufficient"} if lacking > MAX_MISSING else {"insufficient", "analysed"}
    assert found.outcome in told
    assert (found.analysis is not None) == (found.outcome == "analysed") == (found.reason is None)
    assert (found.outcome == "no_data") == (lacking == 60)
    assert len(found.advice) == 1
