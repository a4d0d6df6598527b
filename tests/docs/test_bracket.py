"""docs/bracket.md: what the command makes of recorded minutes, ordered in every week that it shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from market.hours import instant_iso, instant_of_ts
from tests.docs.scripts import script
from tests.exchanges.simulated.test_bracket import MODELS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "bracket.md").read_text()
ROWS = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| (.*) \|$", PAGE, flags=re.MULTILINE)
WEEK_OF_MODELS_THAT_DIFFER = "2025-05-21"


@pytest.fixture(scope="module")
def maker():
    """The script that writes the page, as a module."""
    with script("make_bracket") as module:
        yield module


def test_every_week_on_the_page_is_ordered_and_its_spread_is_told():
    """Pessimistic no more than expected, expected no more than optimistic, to the cent; some differ."""
    assert len(ROWS) >= 30
    spreads = []
    for _, row in ROWS:
        cells = row.split(" | ")
        harsh, fair, kind, spread = map(float, cells[:4])
        assert harsh <= fair <= kind and cells[4] == "yes"
        assert spread == pytest.approx(kind - harsh, abs=0.011)
        spreads.append(spread)
    assert sum(spread > 0 for spread in spreads) >= 5


def week_of(maker, data: Path, start: str):
    for each in maker.weeks(data, maker.STANDARD, "ETH-USDT"):
        if instant_iso(instant_of_ts(each.start_ts)).startswith(start):
            return each
    raise AssertionError(f"no week from {start} is recorded")


def test_a_week_on_the_page_is_what_the_command_makes_of_it_now(maker, recorded_data):
    """The first week of the page, run again, cell by cell."""
    week = week_of(maker, recorded_data, WEEK_OF_MODELS_THAT_DIFFER)
    ran = maker.runs(week)
    assert (WEEK_OF_MODELS_THAT_DIFFER, " | ".join(maker.row(week, ran)[1:])) in ROWS
    assert ran["pessimistic"].net < ran["expected"].net <= ran["optimistic"].net


def test_the_columns_are_the_presets_from_the_harshest_on(maker):
    """Those that the exchange's own bracket is tested with."""
    assert tuple(maker.MODELS.values()) == MODELS


def test_a_bracket_that_is_not_ordered_would_be_called_so(maker):
    """The word comes from the numbers: equal is ordered, a harsher model that earns more is not."""
    nets = {"pessimistic": 2, "expected": 2, "optimistic": 3}
    ran = {name: maker.Run(net, 0, 0) for name, net in nets.items()}
    assert maker.is_ordered(ran)
    assert not maker.is_ordered({**ran, "pessimistic": maker.Run(3, 0, 0)})


@pytest.mark.check
@pytest.mark.parametrize("name", ["STANDARD", "NARROW", "LARGE"])
@pytest.mark.parametrize("key", ["ETH-USDT", "BTC-USDT"])
def test_every_week_is_ordered_when_it_is_run_again(maker, recorded_data, name: str, key: str):
    """All weeks of all setups, and each is the page's row."""
    found = list(maker.weeks(recorded_data, getattr(maker, name), key))
    assert found
    for week in found:
        ran = {model: asyncio.run(maker.run(week, fills)) for model, fills in maker.MODELS.items()}
        assert maker.is_ordered(ran)
        row = maker.row(week, ran)
        assert (row[0], " | ".join(row[1:])) in ROWS
