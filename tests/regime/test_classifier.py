"""Raw class, hysteresis, vetoes: tables checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regime.analysis import ScoreModel, Verdict
from regime.classifier import Signals, Standing, class_4h, distances, raw_class, stepped, vetoed
from regime.config import RegimeConfig
from regime.verdicts import fold_verdicts

OK, WEAK, TRANSITION, TREND = Verdict
# The tables below were worked out by hand for these numbers.
CONFIG = RegimeConfig.model_validate(
    {"evidence": {"leave_after_bars": 6, "trend_leave_by": 0.03, "trend_leave_after_bars": 2}}
)


def hour(p: float = 0.8, t: float = 0.2, t4: float = 0.2, **facts: float) -> Signals:
    calm = {"half_life": 12.0, "range_valid": True, "price_inside": True, "close_outside": False}
    return Signals(p, t, t4, **(calm | facts))  # type: ignore[arg-type]


def out(t: float = 0.2, t4: float = 0.2) -> Signals:
    return hour(0.05, t, t4, price_inside=False, close_outside=True)


def way(model: ScoreModel, hours: list[Signals]) -> list[Verdict]:
    """Return the class that hysteresis holds after each hour."""
    standing, held = None, []
    for signals in hours:
        standing = stepped(model, standing, raw_class(model, signals, CONFIG), signals, CONFIG)
        held.append(standing.present)
    return held


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (hour(0.75), OK),
        (hour(0.749999), WEAK),
        (hour(0.60), WEAK),
        (hour(0.599999), TRANSITION),
        (hour(0.59, 0.60, 0.30), TREND),
        (hour(0.59, 0.599999, 0.9), TRANSITION),
        (hour(0.59, 0.9, 0.299999), TRANSITION),
        (hour(0.59, 0.9, math.nan), TRANSITION),
        (hour(0.9, 0.9, 0.9), OK),
        (out(), TREND),
    ],
)
def test_evidence_classes_by_p_and_below_by_the_six_metrics(signals: Signals, expected: Verdict):
    """p decides between range and not; TREND needs T on both timeframes, or a close outside."""
    assert raw_class("evidence", signals, CONFIG) is expected


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, OK),
        (0.299999, OK),
        (0.30, WEAK),
        (0.45, TRANSITION),
        (0.599999, TRANSITION),
        (0.60, TREND),
        (1, TREND),
    ],
)
def test_classic_classes_by_t_alone(t: float, expected: Verdict):
    """.30, .45 and .60, the same for T4."""
    assert raw_class("classic", hour(0.1, t), CONFIG) is expected
    assert class_4h(t, CONFIG.classic) is expected


def test_there_is_no_4h_class_without_t4():
    """Not known is not calm."""
    assert class_4h(math.nan, CONFIG.classic) is None


@pytest.mark.parametrize(
    ("ps", "expected"),
    [
        ([0.80, 0.56], [OK, OK]),  # .19 below .75
        ([0.80, 0.55], [OK, TRANSITION]),  # .20 below .75: the raw class of that bar, not the next one down
        ([0.80] + [0.70] * 6, [OK] * 6 + [WEAK]),  # the sixth bar across
        ([0.80] + [0.70] * 5 + [0.76] + [0.70] * 5, [OK] * 12),  # the raw class equals: from 0 again
        ([0.80, 0.70, 0.70, 0.58, 0.58, 0.58, 0.58], [OK] * 6 + [TRANSITION]),
        ([0.65, 0.94], [WEAK, WEAK]),
        ([0.65, 0.95], [WEAK, OK]),  # upward from RANGE_WEAK means .95
        ([0.65] + [0.80] * 6, [WEAK] * 6 + [OK]),  # or six bars
        ([0.65, 0.41], [WEAK, WEAK]),
        ([0.65, 0.40], [WEAK, TRANSITION]),
        ([0.50, 0.79], [TRANSITION, TRANSITION]),
        ([0.50, 0.80], [TRANSITION, OK]),  # .20 above .60, the edge on that side
        ([0.50] + [0.62] * 6, [TRANSITION] * 6 + [WEAK]),
        (
            [0.65, 0.80, 0.55, 0.80, 0.55, 0.80, 0.55],
            [WEAK] * 6 + [TRANSITION],
        ),  # across on either side counts
    ],
)
def test_evidence_hysteresis(ps: list[float], expected: list[Verdict]):
    """A class is left .20 beyond its boundary or after 6 bars across."""
    assert way("evidence", [hour(p) for p in ps]) == expected


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ([0.50, 0.62, 0.59, 0.62], [TRANSITION] * 4),  # across for one bar, twice
        ([0.50, 0.62, 0.62], [TRANSITION, TRANSITION, TREND]),  # two bars
        ([0.50, 0.63], [TRANSITION, TREND]),  # .03 beyond
        ([0.65, 0.58], [TREND, TREND]),
        ([0.65, 0.57], [TREND, TRANSITION]),
        ([0.65, 0.58, 0.58], [TREND, TREND, TRANSITION]),
    ],
)
def test_between_transition_and_trend_evidence_uses_classics_hysteresis(
    ts: list[float], expected: list[Verdict]
):
    """p does not tell these two apart, T does."""
    assert way("evidence", [hour(0.5, t, 0.5) for t in ts]) == expected


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ([0.25, 0.32, 0.29], [OK, OK, OK]),
        ([0.25, 0.32, 0.32], [OK, OK, WEAK]),
        ([0.25, 0.33], [OK, WEAK]),
        ([0.25, 0.50], [OK, TRANSITION]),
        ([0.40, 0.28, 0.28], [WEAK, WEAK, OK]),
        ([0.40, 0.27], [WEAK, OK]),
        ([0.40, 0.46, 0.29], [WEAK, WEAK, OK]),
        ([0.50, 0.43, 0.43], [TRANSITION, TRANSITION, WEAK]),
        ([0.70, 0.10], [TREND, OK]),
        ([0.50, 0.75], [TRANSITION, TREND]),
    ],
)
def test_classic_hysteresis(ts: list[float], expected: list[Verdict]):
    """A class is left .03 beyond its boundary or after 2 bars across."""
    assert way("classic", [hour(t=t) for t in ts]) == expected


def test_a_close_outside_acts_at_once():
    """No waiting when the range is broken; the way back is by the rules."""
    assert way("evidence", [hour(0.9), out(), hour(0.5), hour(0.7), hour(0.81)]) == [
        OK,
        TREND,
        TRANSITION,
        TRANSITION,
        OK,
    ]
    assert way("classic", [hour(t=0.44), out(t=0.46)]) == [WEAK, TRANSITION]


def test_a_very_high_t_acts_at_once_in_classic():
    """Even where the distance would not do: T >= .75 is a trend now."""
    wide = RegimeConfig.model_validate({"classic": {"leave_by": 0.5, "leave_after_bars": 100}})
    calm = Standing(TRANSITION, 0)
    assert stepped("classic", calm, TREND, hour(t=0.74), wide).present is TRANSITION
    assert stepped("classic", calm, TREND, hour(t=0.75), wide).present is TREND
    assert stepped("evidence", calm, TREND, hour(0.5, 0.75, 0.5), wide).present is TREND
    assert stepped("evidence", Standing(WEAK, 0), TREND, hour(0.55, 0.75, 0.5), wide).present is WEAK


@pytest.mark.parametrize(
    ("verdict", "signals", "expected", "fired"),
    [
        (OK, hour(), OK, ()),
        (OK, hour(half_life=24.0), OK, ()),
        (OK, hour(half_life=24.1), WEAK, ("half_life_long",)),
        (OK, hour(half_life=math.inf), WEAK, ("half_life_long",)),
        (OK, hour(half_life=math.nan), WEAK, ("half_life_long",)),
        (OK, hour(range_valid=False), WEAK, ("no_valid_range",)),
        (OK, hour(price_inside=False), WEAK, ("price_outside_range",)),
        (OK, hour(t4=0.45), WEAK, ("four_hours_not_calm",)),
        (OK, hour(t4=math.nan), WEAK, ("four_hours_not_calm",)),
        (OK, hour(t4=0.5, half_life=99.0), WEAK, ("half_life_long", "four_hours_not_calm")),
        (TREND, hour(t=0.7, t4=0.29), TRANSITION, ("four_hours_calm",)),
        (TREND, hour(t=0.7, t4=0.30), TREND, ()),
        (TREND, hour(t=0.7, t4=math.nan), TREND, ()),
        (WEAK, out(), TRANSITION, ("close_outside",)),
        (OK, out(), TRANSITION, ("price_outside_range", "close_outside")),
        (TREND, out(t=0.7, t4=0.1), TRANSITION, ("four_hours_calm",)),
    ],
)
def test_classic_vetoes_in_their_order(
    verdict: Verdict, signals: Signals, expected: Verdict, fired: tuple[str, ...]
):
    """What is not known speaks against RANGE_OK, never for it."""
    assert vetoed("classic", verdict, signals, CONFIG) == (expected, fired)


def test_evidence_needs_a_valid_range_for_range_ok():
    """Without one at most RANGE_WEAK; nothing else is vetoed."""
    assert vetoed("evidence", OK, hour(range_valid=False), CONFIG) == (WEAK, ("no_valid_range",))
    assert vetoed("evidence", WEAK, hour(range_valid=False), CONFIG) == (WEAK, ())
    assert vetoed("evidence", OK, hour(half_life=math.inf, t4=0.9), CONFIG) == (OK, ())


def test_vetoes_come_after_hysteresis_and_do_not_feed_it():
    """A vetoed hour leaves the class that hysteresis holds as it is."""
    hours = [hour(0.8), hour(0.8, range_valid=False), hour(0.7)]
    verdicts = fold_verdicts(np.array([list(map(float, h)) for h in hours]).T, CONFIG).tracks["evidence"]
    assert [verdicts.verdict_at(row) for row in range(3)] == [OK, WEAK, OK]
    assert verdicts.flips(2) == 2
    assert verdicts.dwell(2) == 0


def test_distances_are_positive_on_the_calm_side():
    """Of p to its two boundaries, of T to that of TREND; in classic all three of T."""
    seen = hour(0.70, 0.50)
    assert distances("evidence", seen, CONFIG) == {"RANGE_OK": -0.05, "RANGE_WEAK": 0.1, "TREND": 0.1}
    assert distances("classic", seen, CONFIG) == {"RANGE_OK": -0.2, "RANGE_WEAK": -0.05, "TREND": 0.1}


def test_hours_without_a_judgement_leave_the_standing_alone():
    """A gap in the metrics neither flips the verdict nor counts as a bar across."""
    unknown = hour(math.nan, math.nan)
    hours = [hour(0.8), *[hour(0.7)] * 5, unknown, unknown, hour(0.7), hour(0.7)]
    track = fold_verdicts(np.array([list(map(float, h)) for h in hours]).T, CONFIG).tracks["evidence"]
    assert [track.verdict_at(row) for row in range(10)] == [OK] * 6 + [None, None, WEAK, WEAK]
    assert (track.flips(9), track.dwell(9)) == (1, 1)


def test_flips_and_dwell_look_back_a_week():
    """Changes older than 168 hours are no longer counted, and a dwell is at most 168."""
    ps = [0.9, 0.3] + [0.9] * 200
    track = fold_verdicts(np.array([list(map(float, hour(p))) for p in ps]).T, CONFIG).tracks["evidence"]
    assert [track.flips(row) for row in (0, 1, 2, 168, 169, 170)] == [0, 1, 2, 2, 1, 0]
    assert [track.dwell(row) for row in (0, 1, 2, 3, 170, 201)] == [0, 0, 0, 1, 168, 168]


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3, *[st.booleans()] * 3), min_size=1, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_a_remembered_fold_gives_the_bits_of_a_new_one(
    rows: list[tuple[float, float, float, bool, bool, bool]], data: st.DataObject
):
    """Whether its start is kept, changed or longer than what is asked now."""
    signals = np.array([[p, t, t4, 12.0, a, b, c] for p, t, t4, a, b, c in rows], dtype=np.float64).T.copy()
    cut = data.draw(st.integers(1, len(rows)))
    other = signals.copy()
    other[0, data.draw(st.integers(0, len(rows) - 1)) :] = 0.5
    fresh = fold_verdicts(signals, CONFIG)
    for known in (fold_verdicts(signals[:, :cut].copy(), CONFIG), fold_verdicts(other, CONFIG), fresh):
        again = fold_verdicts(signals, CONFIG, known)
        for model in ("evidence", "classic"):
            for name in ("verdict", "present", "across"):
                assert (
                    getattr(again.tracks[model], name).tobytes()
                    == getattr(fresh.tracks[model], name).tobytes()
                )
    shorter = fold_verdicts(signals[:, :cut].copy(), CONFIG, fresh)
    assert shorter.tracks["evidence"].verdict_at(cut - 1) is fresh.tracks["evidence"].verdict_at(cut - 1)
