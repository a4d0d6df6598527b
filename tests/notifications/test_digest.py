"""The digest reads like a colleague's note: what is not well first, in whole lines, fit for a phone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.actions import Answer
from decisions.recommendation import Action
from exits.states import ExitState
from notifications.digest import (
    Budget,
    Change,
    DigestFacts,
    GridFacts,
    MarketFacts,
    Trouble,
    Waiting,
    advised,
    answered,
    digest_notice,
    moved,
)
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level

NOW = datetime(2026, 2, 3, 7, 0, 10, tzinfo=UTC)
DAY = date(2026, 2, 3)
ETH = MarketFacts("ETH-USDT", "RANGE_OK", 0.812, 2500.0, 2400.0, 2600.0)
BTC = MarketFacts("BTC-USDT", "TREND", 0.2, 65123.5, 66000.0, 68000.0)
SHIB = MarketFacts("SHIB-USDT", "RANGE_WEAK", None, 0.0000123456, 0.000012, 0.000013)
GRID = GridFacts(
    grid_id="eth-usdt-1",
    exit_state=ExitState.NORMAL,
    since=NOW.replace(hour=14, minute=0, second=0) - timedelta(days=1),
    quote="USDT",
    profit=12.304,
    profit_pct=1.23,
    stop=True,
    stop_distance_pct=8.14,
)
CLEAR = DigestFacts(
    at=NOW,
    markets=(ETH, BTC, SHIB),
    grids=(GRID,),
    budget=Budget("02-02", 1.4, 0.222, 18),
    hours_recorded=72,
    hours_due=72,
)
STOP = Waiting(
    "2026-02-03/dec-ETH-USDT-070000", "eth-usdt-1", Action.STOP_GRID, NOW.replace(hour=8, minute=0)
)


def body(**changes):
    return digest_notice(replace(CLEAR, **changes), DAY).body


def title(**changes):
    return digest_notice(replace(CLEAR, **changes), DAY).title


def test_a_day_on_which_all_is_clear_says_so_and_shows_everything():
    """The whole note, word for word; quiet, once a day, about the whole program."""
    notice = digest_notice(CLEAR, DAY)
    assert notice.title == "All clear: 3 markets, 1 grid running"
    assert notice.body.splitlines() == [
        (
            "eth-usdt-1 NORMAL since 02-02 14:00 UTC, +12.30 USDT (+1.2 %) after fees, simulated,"
            " stop 8.1 % below"
        ),
        "BTC-USDT TREND, p 0.20 to hold 24 h, 65123.5 below [66000, 68000]",
        "ETH-USDT RANGE_OK, p 0.81 to hold 24 h, 2500 in [2400, 2600]",
        "SHIB-USDT RANGE_WEAK, 0.0000123456 in [0.000012, 0.000013]",
        "Alerts in the 30 days to 02-02: 1.4 a week, false 22 % (n 18)",
        "Hours recorded: 72 of 72",
    ]
    assert (notice.dedupe, notice.kind, notice.level) == ("digest/2026-02-03", Kind.DIGEST, Level.QUIET)
    assert (notice.market, notice.grid_id, notice.at) == ("", "", NOW)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grids": ()}, "All clear: 3 markets, no grid running"),
        ({"markets": (ETH,), "grids": (GRID, GRID)}, "All clear: 1 market, 2 grids running"),
        ({"grids": (replace(GRID, exit_state=ExitState.WARNING),)}, "1 grid at WARNING"),
        (
            {
                "grids": tuple(replace(GRID, exit_state=state) for state in ExitState),
                "markets": (
                    replace(ETH, trouble=Trouble.STALE, problem="x"),
                    replace(BTC, trouble=Trouble.STALE, problem="x"),
                    replace(SHIB, trouble=Trouble.UNJUDGED, problem="x"),
                ),
                "waiting": (STOP,),
                "hours_recorded": 70,
                "notes": ("push fails",),
            },
            (
                "1 grid at MANDATORY_EXIT, 1 grid at LATEST_ACCEPTABLE_EXIT, 1 grid at WARNING,"
                " 1 answer wanted, 2 markets stale, 1 market not judged, 2 hours missing, 1 health note"
            ),
        ),
        ({"waiting": (STOP, STOP)}, "2 answers wanted"),
        ({"markets": (replace(ETH, trouble=Trouble.OTHER, problem="x"),)}, "1 market in trouble"),
        ({"hours_recorded": 71}, "1 hour missing"),
        ({"notes": ("a", "b")}, "2 health notes"),
    ],
)
def test_the_title_is_all_clear_only_where_nothing_at_all_is_wrong(changes, told):
    """Each trouble alone takes the all clear away; the most urgent stands first."""
    assert title(**changes) == told
    assert len(told) <= MOST_TITLE


def test_what_is_urgent_stands_first_in_the_note():
    """Answers wanted, then the worst grid, then the market that is not well."""
    lines = body(
        waiting=(STOP, replace(STOP, until=None)),
        grids=(GRID, replace(GRID, grid_id="zec-usdt-1", exit_state=ExitState.MANDATORY_EXIT)),
        markets=(ETH, replace(SHIB, trouble=Trouble.STALE, problem="5.0 h old; advice is withheld")),
        notes=("git: push fails",),
    ).splitlines()
    assert lines[0] == (
        "eth-usdt-1 STOP_GRID wants your answer until 02-03 08:00 UTC: 2026-02-03/dec-ETH-USDT-070000"
    )
    assert "wants your answer until the next hour" in lines[1]
    assert lines[2].startswith("zec-usdt-1 MANDATORY_EXIT since")
    assert lines[3].startswith("eth-usdt-1 NORMAL")
    assert lines[4] == "SHIB-USDT stale: 5.0 h old; advice is withheld"
    assert lines[6] == "Health: git: push fails"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profit": None}, ", profit not known,"),
        ({"profit": -3.0, "profit_pct": None}, ", -3.00 USDT after fees"),
        ({"stop": None, "stop_distance_pct": None}, ", stop distance not known"),
        ({"stop": False, "stop_distance_pct": None}, ", no stop-loss"),
        ({"stop_distance_pct": 0.0}, ", at its stop"),
        ({"as_of": NOW - timedelta(hours=5)}, ", as of 02-03 02:00 UTC"),
    ],
)
def test_a_grid_says_what_is_not_known_of_it(changes, words):
    """Nothing is left out in silence: an unknown is named, and an old state says of when it is."""
    assert words in body(grids=(replace(GRID, **changes),)).splitlines()[0]


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        (None, "Alerts: no KPI day is recorded yet"),
        (Budget("02-02", None, None, 0), "Alerts in the 30 days to 02-02: no grid ran"),
        (
            Budget("02-02", 0.0, None, 3),
            "Alerts in the 30 days to 02-02: 0.0 a week, false insufficient (n 3)",
        ),
    ],
)
def test_the_alert_budget_claims_nothing_of_too_few_cases(budget, line):
    """No record, no grid and too few alerts are three different words."""
    assert line in body(budget=budget).splitlines()


def test_what_changed_is_told_newest_first_and_price_above_the_range_is_said():
    """Transitions with their reason, what was advised, who answered, what ran out."""
    at = NOW - timedelta(hours=3)
    lines = body(
        markets=(replace(ETH, price=2700.0),),
        changes=(
            moved(at, "eth-usdt-1", ExitState.NORMAL, ExitState.WARNING, ["the range is weak", "other"]),
            advised(at + timedelta(hours=1), "eth-usdt-1", Action.STOP_GRID),
            answered(at + timedelta(hours=2), "eth-usdt-1", Action.STOP_GRID, Answer.DECLINE, "me"),
        ),
        expired=2,
    ).splitlines()
    assert "2700 above [2400, 2600]" in lines[1]
    assert lines[2:7] == [
        "Last 24 h, UTC:",
        "06:00 eth-usdt-1 STOP_GRID declined by me",
        "05:00 eth-usdt-1 STOP_GRID advised",
        "04:00 eth-usdt-1 NORMAL to WARNING: the range is weak",
        "2 expired unanswered",
    ]


def test_a_long_note_is_cut_in_whole_lines_and_counts_what_it_leaves_out():
    """A day of alarms keeps the figures at its end and says how many changes are not shown."""
    changes = tuple(Change(NOW - timedelta(minutes=i), f"grid-{i} NORMAL to WARNING") for i in range(100))
    lines = body(changes=changes).splitlines()
    shown = [line for line in lines if "NORMAL to WARNING" in line]
    assert shown[0].startswith("07:00 grid-0 ")
    assert lines[-3] == f"and {100 - len(shown)} more changes"
    assert lines[-1] == "Hours recorded: 72 of 72"
    assert len(body(changes=changes)) > MOST_BODY - 60


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=400)


@given(st.integers(0, 60), st.integers(1, 60), st.text("ab c", max_size=300))
def test_one_cause_is_one_line_and_no_market_is_left_out_of_the_count(grids, markets, words):
    """Twenty markets that wait for one exchange are told once; cut, they still count as twenty."""
    held = tuple(replace(ETH, key=f"M{i:02}", trouble=Trouble.OTHER, problem=words) for i in range(markets))
    notice = digest_notice(DigestFacts(at=NOW, markets=held, grids=(GRID,) * grids), DAY)
    (line,) = (each for each in notice.body.split("\n") if each.startswith("M00") or "market" in each)
    more = re.search(r"(\d+) (?:more|markets?)", line)
    named = len(re.findall(r"\bM\d\d\b", line))
    assert named + (int(more[1]) if more else 0) == markets, line
    assert named <= 3


@given(
    counts=st.tuples(*[st.integers(0, 60)] * 5),
    words=texts,
)
def test_no_note_is_longer_than_a_phone_takes_and_every_left_out_line_is_counted(counts, words):
    """Whatever there is of each kind: within the limit, and shown plus counted is all there is."""
    waiting, grids, markets, notes, changes = counts
    facts = DigestFacts(
        at=NOW,
        markets=tuple(
            replace(ETH, key=f"M{i}", trouble=Trouble.STALE, problem=f"{i} {words}") for i in range(markets)
        ),
        grids=(GRID,) * grids,
        waiting=(STOP,) * waiting,
        changes=(Change(NOW, f"changed {words}"),) * changes,
        notes=(words,) * notes,
    )
    notice = digest_notice(facts, DAY)
    assert 0 < len(notice.body) <= MOST_BODY
    assert 0 < len(notice.title) <= MOST_TITLE
    lines = notice.body.split("\n")
    for count, start, noun in (
        (waiting, "eth-usdt-1 STOP_GRID", "answers? wanted"),
        (grids, "eth-usdt-1 NORMAL", "grids?"),
        (markets, "M", "markets?"),
        (notes, "Health:", "health notes?"),
        (changes, "07:00 changed", "changes?"),
    ):
        shown = sum(line.startswith(start) for line in lines)
        left = sum(
            int(found[1])
            for line in lines
            if (found := re.fullmatch(rf"(?:and )?(\d+) (?:more )?{noun}", line))
        )
        assert shown + left == count, (noun, notice.body)
