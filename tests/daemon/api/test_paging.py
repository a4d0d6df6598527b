"""Pages: a walk gives what one answer would, whatever the span, the filter and the size."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.api.cursors import cursor_at, place_of
from daemon.api.problems import Problem
from daemon.regime_forms import time_of
from market.hours import Timeframe
from regime.components.states import SIMPLIFIED
from tests.daemon.api.serving import SERIES, served
from tests.store.markets import COARSE_END

END = COARSE_END.open_ts + 30 * 3600
FILTERS = "regimes ETH-USDT 1h [('simplified', None), ('verdict', None), ('min_confidence', None)]"
LABELS = [each.value for each in SIMPLIFIED]


def spans():
    """Spans of up to forty days about where rows are, bounds at any minute."""
    minute = st.integers(END // 60 - 40 * 1440, END // 60 + 2000)
    return st.tuples(minute, minute).map(sorted).map(lambda two: tuple(60 * each for each in two))


@pytest.fixture
async def half_api(repo, half_index):
    async with served(repo, half_index) as there:
        yield there


async def walked(api, path, name, limit, **asked):
    """Return what a walk gives, page sizes checked."""
    found = []
    while True:
        page = await api.json(path, limit=limit, **asked)
        assert len(page[name]) <= limit
        found += page[name]
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEW = settings(QUICK, max_examples=6)  # periods of what is not stored are computed anew for each page


@QUICK
@given(span=spans(), limit=st.integers(20, 400), label=st.none() | st.sampled_from(LABELS))
async def test_a_walk_over_rows_is_one_answer(half_api, span, limit, label):
    """Stored rows, then computed ones: none twice, none missing, in order."""
    asked = {"start": time_of(span[0]), "end": time_of(span[1])} | ({"simplified": label} if label else {})
    whole = await half_api.json(f"{SERIES}/1h", limit=10_000, **asked)
    assert whole["next"] is None
    told = await walked(half_api, f"{SERIES}/1h", "rows", limit, **asked)
    assert told == whole["rows"]
    opens = [row["open_time"] for row in told]
    assert opens == sorted(set(opens))
    assert all(asked["start"] <= each < asked["end"] for each in opens)


@FEW
@given(span=spans(), limit=st.integers(8, 60), label=st.none() | st.sampled_from(LABELS))
async def test_a_walk_over_periods_is_one_answer(half_api, span, limit, label):
    """Also where a period began before the span or goes on after it."""
    asked = {"start": time_of(span[0]), "end": time_of(span[1])}
    for path, name, filters in (
        ("periods", "periods", {"regime": label} if label else {}),
        ("transitions", "transitions", {"to": label} if label else {}),
    ):
        address = f"{SERIES}/{Timeframe.H1.value}/{path}"
        whole = await half_api.json(address, limit=10_000, **asked, **filters)
        assert await walked(half_api, address, name, limit, **asked, **filters) == whole[name]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_cursor_belongs_to_its_question(question, other, place):
    """It gives its place back, and to no other question."""
    cursor = cursor_at(question, place)
    assert place_of(question, cursor) == place
    if other != question:
        with pytest.raises(Problem):
            place_of(other, cursor)


@given(st.data())
def test_a_cursor_with_a_letter_changed_is_refused(data):
    """Changed, cut, or made longer."""
    cursor = cursor_at("regimes ETH-USDT 1h", "1717200000")
    at = data.draw(st.integers(0, len(cursor) - 1))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    letter = data.draw(st.sampled_from(letters.replace(cursor[at], "")))
    for forged in (cursor[:at] + letter + cursor[at + 1 :], cursor[:at], f"{cursor}{letter}", f"{cursor}="):
        with pytest.raises(Problem):
            place_of("regimes ETH-USDT 1h", forged)


async def test_a_cursor_of_other_filters_is_refused(half_api):
    """Another route, market, timeframe or filter: 400, and it names the cursor; the size may change."""
    page = await half_api.json(f"{SERIES}/1h", limit=10)
    assert place_of(FILTERS, page["next"]).isdecimal()
    cursor = page["next"]
    for path in ("/4h", "/1h/periods", "/1h/transitions", "/1h?simplified=RANGE", "/1h?min_confidence=0.5"):
        address = f"{SERIES}{path}{'&' if '?' in path else '?'}cursor={cursor}"
        answer = await half_api.get(address)
        assert answer.status_code == 400
        assert answer.json()["parameter"]["name"] == "cursor"
    assert len((await half_api.json(f"{SERIES}/1h", limit=50, cursor=cursor))["rows"]) == 50
    forged = cursor_at(FILTERS, "-5")
    assert (await half_api.get(f"{SERIES}/1h?cursor={forged}")).status_code == 400
