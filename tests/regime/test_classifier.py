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
from regime.verdicts import VerdictFold, fold_verdicts

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


def fold(hours: list[Signals], known: VerdictFold | None = None) -> VerdictFold:
    return fold_verdicts(np.array([list(map(float, each)) for each in hours]).T, CONFIG, known)


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
        ([0.80, 0.5500004], [OK, TRANSITION]),  # .1999996 below is .20 to the millionth
        ([0.80, 0.550004], [OK, OK]),  # .199996 is not
        ([0.80, 0.55] + [0.62] * 6, [OK] + [TRANSITION] * 6 + [WEAK]),  # after a change from 0 again
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
    never = {"leave_by": 0.5, "leave_after_bars": 100}
    evidence = {f"trend_{name}": value for name, value in never.items()}
    wide = RegimeConfig.model_validate({"classic": never, "evidence": evidence})
    calm = Standing(TRANSITION, 0)
    assert stepped("classic", calm, TREND, hour(t=0.74), wide).present is TRANSITION
    assert stepped("classic", calm, TREND, hour(t=0.75), wide).present is TREND
    assert stepped("evidence", calm, TREND, hour(0.5, 0.75, 0.5), wide).present is TREND
    assert stepped("evidence", Standing(WEAK, 0), TREND, hour(0.55, 0.75, 0.5), wide).present is WEAK


@pytest.mark.parametrize(
    ("model", "t", "expected"), [("classic", 0.63, TREND), ("evidence", 0.63, TRANSITION)]
)
def test_each_model_leaves_transition_by_its_own_distance(model: ScoreModel, t: float, expected: Verdict):
    """.03 in classic, .15 in evidence, as shipped."""
    assert stepped(model, Standing(TRANSITION, 0), TREND, hour(0.5, t), RegimeConfig()).present is expected


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
    verdicts = fold(hours).tracks["evidence"]
    assert [verdicts.verdict_at(row) for row in range(3)] == [OK, WEAK, OK]
    assert verdicts.flips(2) == 2
    assert verdicts.dwell(2) == 0


def test_distances_are_positive_on_the_calm_side():
    """Of p to its two boundaries, of T to that of TREND; in classic all three of T."""
    seen = hour(0.70, 0.50)
    assert distances("evidence", seen, CONFIG) == {"RANGE_OK": -0.05, "RANGE_WEAK": 0.1, "TREND": 0.1}
    assert distances("classic", seen, CONFIG) == {"RANGE_OK": -0.2, "RANGE_WEAK": -0.05, "TREND": 0.1}


def test_distances_are_recorded_to_the_millionth_without_a_negative_zero():
    """Whatever digits the configured boundary has."""
    odd = RegimeConfig.model_validate({"evidence": {"range_ok": 0.7500004}})
    assert distances("evidence", hour(0.700001), odd)["RANGE_OK"] == -0.049999
    assert distances("evidence", hour(0.7), odd)["RANGE_OK"] == -0.05
    assert math.copysign(1, distances("classic", hour(t=0.1 + 0.2), CONFIG)["RANGE_OK"]) == 1


def test_hours_without_a_judgement_leave_the_standing_alone():
    """A gap in the metrics neither flips the verdict nor counts as a bar across."""
    unknown = hour(math.nan, math.nan)
    hours = [hour(0.8), *[hour(0.7)] * 5, unknown, unknown, hour(0.7), hour(0.7)]
    track = fold(hours).tracks["evidence"]
    assert [track.verdict_at(row) for row in range(10)] == [OK] * 6 + [None, None, WEAK, WEAK]
    assert (track.flips(9), track.dwell(9)) == (1, 1)


def test_flips_and_dwell_look_back_a_week():
    """Changes older than 168 hours are no longer counted, and a dwell is at most 168."""
    ps = [0.9, 0.3] + [0.9] * 200
    track = fold([hour(p) for p in ps]).tracks["evidence"]
    assert [track.flips(row) for row in (0, 1, 2, 168, 169, 170)] == [0, 1, 2, 2, 1, 0]
    assert [track.dwell(row) for row in (0, 1, 2, 3, 170, 201)] == [0, 0, 0, 1, 168, 168]


@pytest.mark.parametrize("unknown", [hour(0.8, math.nan), hour(math.nan, 0.2), hour(math.nan, math.nan)])
def test_an_hour_is_judged_only_with_both_p_and_t(unknown: Signals):
    """Else both models say -1 and hold what they held; 0 is a number like any other."""
    for track in fold([unknown, hour(0.0, 0.0), unknown]).tracks.values():
        assert [rank == -1 for rank in track.verdict.tolist()] == [True, False, True]
        assert [rank == -1 for rank in track.present.tolist()] == [True, False, False]
        assert track.across.tolist() == [0, 0, 0]
    assert fold([hour(0.0, 0.2), hour(0.2, 0.0)]).tracks["classic"].verdict_at(1) is OK


def test_bars_across_are_recorded():
    """Each hour says how long the raw class has differed, so that a fold can be taken up anywhere."""
    track = fold([hour(p) for p in (0.8, 0.7, 0.7, 0.8, 0.7)]).tracks["evidence"]
    assert track.across.tolist() == [0, 1, 2, 0, 1]


def test_a_verdict_that_never_changed_has_stood_since_the_first():
    """Hours without a verdict before it do not count."""
    track = fold([hour(math.nan), *[hour(0.8)] * 5]).tracks["evidence"]
    assert [track.dwell(row) for row in (1, 2, 5)] == [0, 1, 4]


def test_facts_reach_the_vetoes_through_their_rows():
    """Valid, inside and outside are 1 or 0 in the columns, NaN where unknown, which counts as no."""
    cases = {
        OK: hour(),
        WEAK: hour(price_inside=math.nan),
        TRANSITION: hour(close_outside=True),
    }
    for expected, signals in cases.items():
        assert fold([signals]).tracks["classic"].verdict_at(0) is expected
    assert fold([hour(price_inside=False)]).tracks["classic"].verdict_at(0) is WEAK
    assert fold([hour(close_outside=math.nan)]).tracks["classic"].verdict_at(0) is OK
    assert fold([hour(range_valid=math.nan)]).tracks["evidence"].verdict_at(0) is WEAK


def test_a_fold_is_taken_up_at_the_first_hour_that_differs():
    """The same signals give the same fold back; another past is judged anew, from where it is another."""
    hours = [hour(t=t) for t in (0.1, 0.5, 0.2, 0.5, 0.2, 0.5, 0.2, 0.5, 0.2)]
    fresh = fold(hours)
    assert fold(hours, fresh) is fresh
    pasts = {
        "another first hour": [hour(t=0.9), *hours[1:]],
        "another everything": [Signals(*(float(number) + 0.05 for number in each)) for each in hours],
        "seven hours of nine": hours[:7],
    }
    for past in pasts.values():
        again = fold(hours, fold(past))
        assert again.tracks["classic"].verdict.tolist() == fresh.tracks["classic"].verdict.tolist()
        assert again.tracks["classic"].across.tolist() == fresh.tracks["classic"].across.tolist()


def test_a_fold_taken_up_after_its_first_judged_hour_waits_like_any_other():
    """The standing of the last hour kept counts, not that of the one before."""
    hours = [hour(math.nan), hour(0.8), hour(0.7)]
    assert fold(hours, fold(hours[:2])).tracks["evidence"].present_at(2) is OK


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
